//! QUIC: endpoints, connections, streams and datagrams, driven from the engine's one thread.

pub mod byte_splice;
pub mod connection;
mod connection_delivery;
mod connection_statistics;
mod connection_streams;
pub mod datagram;
pub mod endpoint;
pub mod greeting;
pub mod leave;
pub mod outcome;
pub mod packet_path;
pub mod secret;
pub mod send_window;
pub mod settings;
pub mod shard;
pub mod splice;
pub mod stream;
mod stream_receiving;
mod stream_sending;
mod stream_splicing;

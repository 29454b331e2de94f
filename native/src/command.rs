//! What JavaScript asks for rarely, with values that do not fit into a record.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use quinn_proto::EcnCodepoint;
use rustls::pki_types::ServerName;

use crate::counters::{Counter, ListenerCounters, SocketCounters, SpliceCounters};
use crate::quic::secret::Secret;
use crate::quic::settings::Transport;
use crate::quic::shard::Shard;
use crate::tcp::listener::SecureLimits;
use crate::tcp::opening::{Connecting, Listening};
use crate::tls::Verdict;
use crate::udp::plain_socket::PlainSocket;

pub enum Command {
    Listen(Box<Listen>),
    Connect(Box<Connect>),
    AdoptSocket(AdoptSocket),
    PrepareJoin(PrepareJoin),
    JoinStreams(Box<JoinStreams>),
    ConnectTcp(ConnectTcp),
    ListenTcp(ListenTcp),
    ListenSecure(Box<ListenSecure>),
    Stray(Box<Stray>),
    /// The owner is gone; end the thread.
    Stop,
}

pub struct Listen {
    pub endpoint: u32,
    pub local: SocketAddr,
    pub dual_stack: bool,
    pub is_virtual: bool,
    /// Where the endpoint is one of several on its address.
    pub shard: Option<Shard>,
    pub server: quinn_proto::ServerConfig,
    pub transport: Transport,
    pub max_handshakes: usize,
    pub retry_above: usize,
    pub handshake_timeout: Duration,
    pub greeting: Arc<[u8]>,
    pub first_credit: u64,
    pub secret: Secret,
    pub counters: Arc<ListenerCounters>,
}

pub struct Connect {
    pub endpoint: u32,
    pub remote: SocketAddr,
    /// The near address of a virtual path.
    pub virtual_local: Option<SocketAddr>,
    pub server_name: String,
    pub client: quinn_proto::ClientConfig,
    pub verdict: Arc<Verdict>,
    pub transport: Transport,
    pub handshake_timeout: Duration,
}

/// A UDP socket that JavaScript's thread has opened.
pub struct AdoptSocket {
    pub socket: u32,
    pub os: PlainSocket,
    pub remote: Option<SocketAddr>,
    pub counters: Arc<SocketCounters>,
}

pub struct ConnectTcp {
    pub socket: u32,
    pub connecting: Connecting,
    /// For TCP, and TLS if there is to be some.
    pub timeout: Duration,
    pub secure: Option<Box<ConnectSecure>>,
}

pub struct ConnectSecure {
    pub config: Arc<rustls::ClientConfig>,
    pub name: ServerName<'static>,
    pub verdict: Arc<Verdict>,
}

pub struct ListenTcp {
    pub listener: u32,
    pub listening: Listening,
}

pub struct ListenSecure {
    pub listener: u32,
    /// Bound; it listens already.
    pub os: std::net::TcpListener,
    pub limits: SecureLimits,
}

/// Datagrams of two connections that become each other's. Sides are connections with their numbers.
pub struct PrepareJoin {
    pub join: u32,
    pub sides: [(u32, u64); 2],
    pub counters: [Arc<SpliceCounters>; 2],
}

/// Streams of two connections that become each other's.
pub struct JoinStreams {
    pub join: u32,
    pub sides: [JoinedStream; 2],
    /// Bytes from the first to the second, and back.
    pub moved: [Arc<Counter>; 2],
}

/// One of them, as `SpliceBytes` has it.
pub struct JoinedStream {
    pub connection: u32,
    pub stream: u32,
    pub received: u64,
    pub capsule: Option<u64>,
    pub prefix: Vec<u8>,
}

/// A packet that another shard got.
pub struct Stray {
    pub endpoint: u32,
    pub from: SocketAddr,
    pub to: Option<IpAddr>,
    pub ecn: Option<EcnCodepoint>,
    pub packet: BytesMut,
}

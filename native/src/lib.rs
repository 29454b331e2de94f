//! The native engine of bauta: QUIC packets, UDP and TCP sockets for JavaScript, in batches.
//!
//! It knows no user, no policy and no HTTP; `src/quic` is the only part of bauta that knows it.

// napi leaves its entries out of test builds.
#![cfg_attr(test, allow(dead_code))]

mod certificate;
mod command;
mod counters;
mod driver;
mod engine;
mod http2;
mod node_values;
mod quic;
mod quic_endpoints;
mod seam;
mod secure_sockets;
mod splice;
mod statistics;
mod stream_joins;
mod target_sockets;
mod tcp;
mod tls;
mod udp;

//! A listening socket, and how many connections one with TLS takes.

use std::collections::hash_map::Entry;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::net::TcpListener;
use rustc_hash::FxHashMap;
use rustls::ServerConfig;

use crate::counters::ListenerCounters;
use crate::quic::endpoint::counted_as;
use crate::tcp::sealing::Greeting;

/// Connections accepted before others have their turn.
pub const TURN: usize = 64;

/// Without descriptors or memory, accepting is tried again after this.
pub const PAUSE: Duration = Duration::from_millis(100);

pub struct Listener {
    /// Nothing once it accepts no more.
    pub os: Option<TcpListener>,
    pub secure: Option<Box<SecureListener>>,
    /// In the engine's list of listeners to accept from.
    pub listed: bool,
    /// Nothing is accepted before.
    pub paused: Option<Instant>,
}

pub struct SecureLimits {
    pub config: Arc<ServerConfig>,
    pub greeting: Option<Greeting>,
    pub handshake_timeout: Duration,
    pub max_handshakes: usize,
    /// Of one address, so that nobody takes all of them.
    pub max_handshakes_per_address: usize,
    pub max_connections: usize,
    pub counters: Arc<ListenerCounters>,
}

/// Connections of a listener, those in the handshake apart.
pub struct SecureListener {
    pub limits: SecureLimits,
    pub handshakes: usize,
    handshakes_of: FxHashMap<IpAddr, usize>,
    /// All of them.
    connections: usize,
}

impl SecureListener {
    pub fn new(limits: SecureLimits) -> Self {
        Self {
            limits,
            handshakes: 0,
            handshakes_of: FxHashMap::default(),
            connections: 0,
        }
    }

    /// Takes one connection more, or counts it as refused.
    pub fn admit(&mut self, from: SocketAddr) -> bool {
        let limits = &self.limits;
        let of = self.handshakes_of.entry(counted_as(from)).or_default();
        let full = self.handshakes >= limits.max_handshakes
            || self.connections >= limits.max_connections
            || *of >= limits.max_handshakes_per_address;
        if full {
            limits.counters.refused.add(1);
            self.tidy(from);
            return false;
        }
        *of += 1;
        self.handshakes += 1;
        self.connections += 1;
        limits.counters.handshakes.set(self.handshakes as u64);
        true
    }

    /// A handshake came to its end, one way or the other.
    pub fn handshake_over(&mut self, from: SocketAddr) {
        self.handshakes = self.handshakes.saturating_sub(1);
        if let Some(of) = self.handshakes_of.get_mut(&counted_as(from)) {
            *of = of.saturating_sub(1);
        }
        self.tidy(from);
        self.limits.counters.handshakes.set(self.handshakes as u64);
    }

    /// A connection is gone.
    pub fn left(&mut self) {
        self.connections = self.connections.saturating_sub(1);
    }

    fn tidy(&mut self, from: SocketAddr) {
        if let Entry::Occupied(of) = self.handshakes_of.entry(counted_as(from))
            && *of.get() == 0
        {
            of.remove();
        }
    }
}

/// An error of the connection that would have been accepted: the next one may be well.
pub fn concerns_one(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
            | io::ErrorKind::TimedOut
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::NetworkDown
    ) || matches!(
        error.raw_os_error(),
        Some(libc::EPROTO | libc::ENOPROTOOPT | libc::EPERM)
    )
}

//! One QUIC endpoint: a packet path, the protocol's endpoint, and the connections on it.

use std::collections::VecDeque;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use quinn_proto::{
    ConnectionEvent, ConnectionHandle, DatagramEvent, EcnCodepoint, EndpointConfig,
    HashedConnectionIdGenerator, Incoming, ServerConfig, Transmit,
};
use rustc_hash::FxHashMap;

use crate::counters::ListenerCounters;
use crate::quic::packet_path::PacketPath;
use crate::quic::secret::EndpointKeys;
use crate::quic::settings::Transport;
use crate::quic::shard::Shard;
use crate::tls::Verdict;

/// One address may have the larger of these under way: so many handshakes, and this part of all.
const FEWEST_OF_ADDRESS: usize = 64;
const PART_OF_ADDRESS: usize = 8;

/// Responses without a connection that wait to be sent; more are dropped.
const RESPONSES: usize = 256;

/// From so many handshakes under way on, those that begin are lean: most may never go on.
const LEAN_ABOVE: usize = 256;

pub struct Server {
    pub max_handshakes: usize,
    pub retry_above: usize,
    pub handshake_timeout: Duration,
    pub greeting: Arc<[u8]>,
    /// Bytes that a stream of the client may deliver before JavaScript grants any.
    pub first_credit: u64,
    pub counters: Arc<ListenerCounters>,
    pub accepting: bool,
    pub handshakes: usize,
    /// Those of each address, so that nobody takes all of them.
    pub handshakes_of: FxHashMap<IpAddr, usize>,
}

impl Server {
    fn is_full_for(&self, from: SocketAddr) -> bool {
        let most = FEWEST_OF_ADDRESS.max(self.max_handshakes / PART_OF_ADDRESS);
        self.handshakes >= self.max_handshakes
            || self
                .handshakes_of
                .get(&counted_as(from))
                .is_some_and(|&many| many >= most)
    }
}

/// Whom an address is counted as: an IPv6 /64 is one.
pub fn counted_as(address: SocketAddr) -> IpAddr {
    match address.ip().to_canonical() {
        IpAddr::V6(ip) => Ipv6Addr::from(u128::from(ip) >> 64 << 64).into(),
        ip => ip,
    }
}

pub enum Role {
    Server(Server),
    Client(Arc<Verdict>),
}

/// What a packet led to.
pub enum Arrival {
    Nothing,
    Packet(u32, ConnectionEvent),
    Accepted(ConnectionHandle, Box<quinn_proto::Connection>),
}

pub struct Endpoint {
    pub index: u32,
    pub quic: quinn_proto::Endpoint,
    pub path: PacketPath,
    pub role: Role,
    pub transport: Transport,
    /// Connection numbers by the protocol's handles.
    pub connections: FxHashMap<usize, u32>,
    /// A batch that the socket had no room for.
    pub blocked: Option<(Transmit, Vec<u8>)>,
    /// Connections that wait for the socket.
    pub waiting: Vec<u32>,
    pub responses: VecDeque<(Transmit, Vec<u8>)>,
    /// Closing; gone at this time at the latest.
    pub closing: Option<Instant>,
    pub listed_readable: bool,
    pub shard: Option<Shard>,
    /// For handshakes while there are many.
    pub lean: Option<Arc<ServerConfig>>,
}

/// One stateless reset in this time: the peers of a process that was restarted come at once.
const RESET_INTERVAL: Duration = Duration::from_millis(1);

/// The protocol's endpoint settings.
pub fn endpoint_config(
    largest_received: u16,
    keys: EndpointKeys,
    shard: Option<&Shard>,
) -> Arc<EndpointConfig> {
    let EndpointKeys {
        reset,
        connection_ids,
    } = keys;
    let mut config = EndpointConfig::new(Arc::new(reset));
    config.min_reset_interval(RESET_INTERVAL);
    match shard {
        Some(shard) => shard.steer_to(&mut config, connection_ids),
        None => {
            config.cid_generator(move || {
                Box::new(HashedConnectionIdGenerator::from_key(connection_ids))
            });
        }
    }
    // Refused below 1200 only, which no path has.
    let _ = config.max_udp_payload_size(largest_received);
    Arc::new(config)
}

impl Endpoint {
    pub fn new(
        index: u32,
        quic: quinn_proto::Endpoint,
        path: PacketPath,
        role: Role,
        transport: Transport,
    ) -> Self {
        Self {
            index,
            quic,
            path,
            role,
            transport,
            connections: FxHashMap::default(),
            blocked: None,
            waiting: Vec::new(),
            responses: VecDeque::new(),
            closing: None,
            listed_readable: false,
            shard: None,
            lean: None,
        }
    }

    /// Takes one packet in; `behind` tells that JavaScript has more to take in than new connections.
    pub fn handle(
        &mut self,
        now: Instant,
        behind: bool,
        from: SocketAddr,
        to: Option<IpAddr>,
        ecn: Option<EcnCodepoint>,
        packet: BytesMut,
    ) -> Arrival {
        let mut response = Vec::new();
        match self.quic.handle(now, from, to, ecn, packet, &mut response) {
            Some(DatagramEvent::ConnectionEvent(handle, event)) => {
                match self.connections.get(&handle.0) {
                    Some(&connection) => Arrival::Packet(connection, event),
                    None => Arrival::Nothing,
                }
            }
            Some(DatagramEvent::NewConnection(incoming)) => self.incoming(now, behind, incoming),
            Some(DatagramEvent::Response(transmit)) => {
                self.respond(transmit, response);
                Arrival::Nothing
            }
            None => Arrival::Nothing,
        }
    }

    fn incoming(&mut self, now: Instant, behind: bool, incoming: Incoming) -> Arrival {
        let Role::Server(server) = &mut self.role else {
            self.quic.ignore(incoming);
            return Arrival::Nothing;
        };
        if behind {
            // The client asks again after a second.
            self.quic.ignore(incoming);
            return Arrival::Nothing;
        }
        let mut response = Vec::new();
        let from = incoming.remote_address();
        if !server.accepting || self.closing.is_some() || server.is_full_for(from) {
            server.counters.refused.add(1);
            let transmit = self.quic.refuse(incoming, &mut response);
            self.respond(transmit, response);
            return Arrival::Nothing;
        }
        if server.handshakes >= server.retry_above
            && !incoming.remote_address_validated()
            && incoming.may_retry()
        {
            server.counters.retries.add(1);
            if let Ok(transmit) = self.quic.retry(incoming, &mut response) {
                self.respond(transmit, response);
            }
            return Arrival::Nothing;
        }
        let lean = self
            .lean
            .as_ref()
            .filter(|_| server.handshakes >= LEAN_ABOVE);
        match self
            .quic
            .accept(incoming, now, &mut response, lean.cloned())
        {
            Ok((handle, connection)) => {
                server.handshakes += 1;
                *server.handshakes_of.entry(counted_as(from)).or_default() += 1;
                server.counters.handshakes.set(server.handshakes as u64);
                Arrival::Accepted(handle, Box::new(connection))
            }
            Err(error) => {
                if let Some(transmit) = error.response {
                    self.respond(transmit, response);
                }
                Arrival::Nothing
            }
        }
    }

    /// A handshake is complete, or its connection is gone.
    pub fn handshake_over(&mut self, from: SocketAddr) {
        if let Role::Server(server) = &mut self.role {
            server.handshakes = server.handshakes.saturating_sub(1);
            if let Entry::Occupied(mut many) = server.handshakes_of.entry(counted_as(from)) {
                *many.get_mut() -= 1;
                if *many.get() == 0 {
                    many.remove();
                }
            }
            server.counters.handshakes.set(server.handshakes as u64);
        }
    }

    fn respond(&mut self, transmit: Transmit, bytes: Vec<u8>) {
        if self.responses.len() < RESPONSES {
            self.responses.push_back((transmit, bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_its_part_of_the_handshakes() {
        let mut server = Server {
            max_handshakes: 1000,
            retry_above: 0,
            handshake_timeout: Duration::from_secs(1),
            greeting: Arc::default(),
            first_credit: 0,
            counters: Arc::default(),
            accepting: true,
            handshakes: 125,
            handshakes_of: FxHashMap::default(),
        };
        let of = |ip: &str| SocketAddr::new(ip.parse().expect("an address"), 1);
        server
            .handshakes_of
            .insert(counted_as(of("::ffff:192.0.2.1")), 125);
        server
            .handshakes_of
            .insert(counted_as(of("2001:db8::1")), 124);
        assert!(server.is_full_for(of("192.0.2.1")));
        assert!(!server.is_full_for(of("192.0.2.2")));
        assert!(!server.is_full_for(of("2001:db8::2")));
        server
            .handshakes_of
            .insert(counted_as(of("2001:db8::3")), 125);
        assert!(server.is_full_for(of("2001:db8::2")), "the same /64");
        assert!(!server.is_full_for(of("2001:db8:0:1::1")));
        server.handshakes = 1000;
        assert!(server.is_full_for(of("192.0.2.2")));
    }
}

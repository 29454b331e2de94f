//! The end of connections and of endpoints, by whatever cause.

use std::time::{Duration, Instant};

use quinn_proto::{EndpointEvent, VarInt};

use crate::driver::Driver;
use crate::driver::splice::orphan_splices;
use crate::quic::connection::Connection;
use crate::quic::endpoint::Endpoint;
use crate::quic::outcome::{Ending, Failure, write_closed};
use crate::seam::completion::{Completions, Kind};

/// Longest wait for a close frame to have arrived.
pub(super) const LINGER: Duration = Duration::from_secs(1);

/// The same where nobody was there, or nobody that was trusted.
pub(super) const SHORT_LINGER: Duration = Duration::from_millis(50);

impl Driver {
    /// A defect of ours ended this connection: nothing of it is touched any more.
    pub(super) fn connection_failed(&mut self, index: u32, reason: &str) {
        let Some(Some(connection)) = self.connections.get_mut(index as usize) else {
            return;
        };
        if connection.announced && !connection.told_closed {
            write_closed(&mut self.out, index, &Ending::Engine(reason.to_owned()));
        } else if connection.client && !connection.told_closed {
            Failure::Engine(reason.to_owned()).write(&mut self.out, connection.endpoint);
        }
        connection.told_closed = true;
        if let Some(Some(endpoint)) = self.endpoints.get_mut(connection.endpoint as usize) {
            endpoint
                .quic
                .handle_event(connection.handle, EndpointEvent::drained());
        }
        self.connection_gone(index);
    }

    /// Forgets a connection without the closing period of RFC 9000 section 10.2: what a peer that never
    /// finished its handshake still sends is like any packet without a connection.
    pub(super) fn abandon(&mut self, index: u32) {
        let Some(Some(connection)) = self.connections.get(index as usize) else {
            return;
        };
        if let Some(Some(endpoint)) = self.endpoints.get_mut(connection.endpoint as usize) {
            endpoint
                .quic
                .handle_event(connection.handle, EndpointEvent::drained());
        }
        self.connection_gone(index);
    }

    /// The protocol is done with the connection.
    pub(super) fn connection_gone(&mut self, index: u32) {
        let Some(mut connection) = self.take_connection(index) else {
            return;
        };
        orphan_splices(&mut connection, &mut self.sockets, &mut self.connections);
        if let Some(registered) = connection.registered {
            self.timers.remove(&(registered, index));
        }
        if connection.forgotten || !connection.announced {
            self.connections.remove(index as usize);
        }
        let Some(Some(endpoint)) = self.endpoints.get_mut(connection.endpoint as usize) else {
            return;
        };
        if connection.handshaking {
            endpoint.handshake_over(connection.came_from);
        }
        endpoint.connections.remove(&connection.handle.0);
        if connection.client && endpoint.closing.is_none() {
            endpoint.closing = Some(self.now);
            self.closing.push(connection.endpoint);
        }
    }

    /// JavaScript has let go of the connection's number.
    pub(super) fn forget(&mut self, index: u32) {
        match self.connections.get_mut(index as usize) {
            Some(Some(connection)) => connection.forgotten = true,
            Some(None) => {
                self.connections.remove(index as usize);
            }
            None => {}
        }
    }

    /// Ends endpoints whose connections are gone, or whose time is up.
    pub(super) fn finish_closing(&mut self) {
        let now = self.now;
        for index in std::mem::take(&mut self.closing) {
            let Some(Some(endpoint)) = self.endpoints.get_mut(index as usize) else {
                continue;
            };
            let late = endpoint.closing.is_none_or(|at| at <= now);
            if !endpoint.connections.is_empty() && !late {
                self.closing.push(index);
                continue;
            }
            let left: Vec<u32> = endpoint.connections.values().copied().collect();
            for connection in left {
                self.drop_connection(connection);
            }
            if let Some(mut endpoint) = self.endpoints[index as usize].take() {
                endpoint.path.leave(self.poll.registry());
            }
            self.out.begin(Kind::EndpointClosed, index).end();
        }
        if self.shutting_down && self.endpoints.iter().all(Option::is_none) {
            self.out.begin(Kind::EngineClosed, 0).end();
            self.stopped = true;
        }
    }

    /// Lets a connection go that still waits for its peer.
    fn drop_connection(&mut self, index: u32) {
        let Some(Some(connection)) = self.connections.get_mut(index as usize) else {
            return;
        };
        if connection.announced && !connection.told_closed {
            let ending = connection.ending.take();
            let ending =
                ending.unwrap_or_else(|| Ending::Local(VarInt::from_u32(0), String::new()));
            write_closed(&mut self.out, index, &ending);
        }
        self.connection_gone(index);
    }
}

/// Ends a handshake that takes too long or reaches nobody.
pub(super) fn give_up(
    connection: &mut Connection,
    endpoint: &Endpoint,
    now: Instant,
    out: &mut Completions,
) {
    if connection.client && !connection.told_closed {
        let failure = connection
            .unreachable
            .map_or(Failure::Timeout, Failure::Unreachable);
        failure.write(out, endpoint.index);
    }
    connection.told_closed = true;
    connection.unreachable = None;
    connection.close(now, 0, b"");
}

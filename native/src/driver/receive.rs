//! Packets coming in, for endpoints and for target sockets.

use std::net::SocketAddr;

use crate::command::Stray;
use crate::driver::Driver;
use crate::quic::connection::Connection;
use crate::quic::endpoint::{Arrival, Endpoint, Role};
use crate::quic::greeting::Greeting;
use crate::quic::outcome::errno;
use crate::seam::budget::Budget;
use crate::seam::mailbox::BACKLOG_LIMIT;
use crate::udp::scratch::TURN;
use crate::udp::target::Phase;

/// Most batches read from one endpoint before others have their turn.
const BATCHES: usize = 8;

/// Undrained bytes above which no connection is accepted: their openings are told whatever the
/// backlog, and JavaScript, which alone limits their number, has not caught up for a while.
const ACCEPTING_BELOW: usize = 2 * BACKLOG_LIMIT;

impl Driver {
    pub(super) fn receive(&mut self) {
        for index in std::mem::take(&mut self.readable_endpoints) {
            let Some(mut endpoint) = self
                .endpoints
                .get_mut(index as usize)
                .and_then(Option::take)
            else {
                continue;
            };
            endpoint.listed_readable = self.receive_endpoint(&mut endpoint);
            if endpoint.listed_readable {
                self.readable_endpoints.push(index);
            }
            self.endpoints[index as usize] = Some(endpoint);
        }
        self.receive_spliced();
        self.receive_sockets();
    }

    /// Sockets leave half of the room to connections, and each other their turn.
    fn receive_sockets(&mut self) {
        let budget = Budget::new(self.mailbox.backlog(), BACKLOG_LIMIT / 2, &self.starved);
        let mut again = Vec::new();
        for index in std::mem::take(&mut self.readable_sockets) {
            let Some(Some(socket)) = self.sockets.get_mut(index as usize) else {
                continue;
            };
            if let Some(splice) = &socket.splice {
                socket.listed_readable = splice.phase == Phase::Running;
                if socket.listed_readable {
                    self.readable_splices.push(index);
                }
                continue;
            }
            if budget.spent(&self.out) {
                self.readable_sockets.push(index);
                continue;
            }
            socket.listed_readable = socket.receive(
                &mut self.scratch,
                &mut self.out,
                &mut self.addresses,
                budget,
            );
            if socket.listed_readable {
                again.push(index);
            }
        }
        self.readable_sockets.append(&mut again);
    }

    /// True when more may wait.
    fn receive_endpoint(&mut self, endpoint: &mut Endpoint) -> bool {
        let mut scratch = std::mem::take(&mut self.scratch);
        let mut more = true;
        let behind = self.mailbox.backlog() > ACCEPTING_BELOW;
        let path = endpoint.path.clone();
        let local = path.local_address();
        let mut received = 0;
        for _ in 0..BATCHES {
            if received >= TURN {
                break;
            }
            let result = path.receive(&mut scratch, |from, to, ecn, bytes| {
                received += bytes.len();
                if let Some(shard) = &endpoint.shard
                    && shard.hand_on(from, to, ecn, &bytes)
                {
                    return;
                }
                let arrival = endpoint.handle(self.now, behind, from, to, ecn, bytes);
                self.arrival(endpoint, local, arrival);
            });
            match result {
                Ok(true) => {}
                Ok(false) => {
                    more = false;
                    break;
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    more = false;
                    break;
                }
                Err(error) => self.path_error(endpoint, errno(&error)),
            }
        }
        self.scratch = scratch;
        more
    }

    /// An error of a client's socket tells, during the handshake, that nobody can be reached.
    /// Later, as on a server, it may be forged and proves nothing (RFC 9000 section 14.2.1).
    pub(super) fn path_error(&mut self, endpoint: &Endpoint, errno: i32) {
        if !matches!(endpoint.role, Role::Client(_)) {
            return;
        }
        for &index in endpoint.connections.values() {
            if let Some(Some(connection)) = self.connections.get_mut(index as usize)
                && !connection.announced
                && connection.ending.is_none()
            {
                connection.unreachable = Some(errno);
            }
            self.attend(index);
        }
    }

    /// A packet from a virtual path.
    pub(super) fn arrived(&mut self, index: u32, from: SocketAddr, bytes: &[u8]) {
        let Some(mut endpoint) = self
            .endpoints
            .get_mut(index as usize)
            .and_then(Option::take)
        else {
            return;
        };
        let behind = self.mailbox.backlog() > ACCEPTING_BELOW;
        let arrival = endpoint.handle(self.now, behind, from, None, None, bytes.into());
        let local = endpoint.path.local_address();
        self.arrival(&mut endpoint, local, arrival);
        self.endpoints[index as usize] = Some(endpoint);
    }

    /// A packet that another shard got.
    pub(super) fn stray(&mut self, stray: Stray) {
        let index = stray.endpoint as usize;
        let Some(mut endpoint) = self.endpoints.get_mut(index).and_then(Option::take) else {
            return;
        };
        if let Some(shard) = &endpoint.shard {
            shard.stray_taken();
            let behind = self.mailbox.backlog() > ACCEPTING_BELOW;
            let Stray { from, to, ecn, .. } = stray;
            let arrival = endpoint.handle(self.now, behind, from, to, ecn, stray.packet);
            let local = endpoint.path.local_address();
            self.arrival(&mut endpoint, local, arrival);
        }
        self.endpoints[index] = Some(endpoint);
    }

    fn arrival(&mut self, endpoint: &mut Endpoint, local: SocketAddr, arrival: Arrival) {
        match arrival {
            Arrival::Nothing => {}
            Arrival::Packet(index, event) => {
                self.with_connection(index, |connection, _| connection.quic.handle_event(event));
            }
            Arrival::Accepted(handle, quic) => {
                let Role::Server(server) = &endpoint.role else {
                    return;
                };
                let deadline = self.now + server.handshake_timeout;
                let entry = self.connections.vacant_entry();
                let number = entry.key() as u32;
                let mut connection = Box::new(Connection::new(
                    number,
                    endpoint.index,
                    handle,
                    *quic,
                    false,
                    local,
                    deadline,
                    &endpoint.transport,
                ));
                connection.greeting = Greeting::new(&server.greeting);
                connection.first_credit = server.first_credit;
                entry.insert(Some(connection));
                endpoint.connections.insert(handle.0, number);
                self.attend(number);
            }
        }
        if !endpoint.responses.is_empty() && !self.responding.contains(&endpoint.index) {
            self.responding.push(endpoint.index);
        }
    }
}

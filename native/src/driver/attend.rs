//! Attending to connections: what they report, what they send, and their end.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use quinn_proto::Transmit;

use crate::driver::Driver;
use crate::driver::ending::{LINGER, SHORT_LINGER, give_up};
use crate::driver::forward::{ByteOutlets, forward_bytes};
use crate::driver::room;
use crate::driver::splice::{Outlets, orphan_splices};
use crate::driver::targets::Targets;
use crate::quic::connection::Connection;
use crate::quic::endpoint::{Endpoint, Role};
use crate::quic::outcome::{Ending, Failure, errno};
use crate::seam::budget::Budget;
use crate::seam::mailbox::BACKLOG_LIMIT;

/// Batches of packets that a connection sends before others have their turn.
const TURN: usize = 8;

pub(super) fn panic_text(panic: &(dyn Any + Send)) -> String {
    if let Some(text) = panic.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = panic.downcast_ref::<String>() {
        text.clone()
    } else {
        "panic".to_owned()
    }
}

impl Driver {
    /// Has the connection looked at before the loop waits again.
    pub(super) fn attend(&mut self, index: u32) {
        if let Some(Some(connection)) = self.connections.get_mut(index as usize) {
            connection.list(&mut self.attention);
        }
    }

    /// Serves the timers that are due.
    pub(super) fn expire(&mut self) {
        while let Some(&(at, index)) = self.timers.first() {
            if at > self.now {
                break;
            }
            self.timers.pop_first();
            let now = self.now;
            if let Some(Some(connection)) = self.connections.get_mut(index as usize)
                && connection.registered == Some(at)
            {
                connection.registered = None;
                self.with_connection(index, |connection, _| connection.quic.handle_timeout(now));
            }
        }
    }

    /// Ends the connections that broke while their endpoint was receiving.
    fn fail_broken(&mut self) {
        for (connection, reason) in std::mem::take(&mut self.broken) {
            let index = connection.index;
            if let Some(place) = self.connections.get_mut(index as usize) {
                *place = Some(connection);
                self.connection_failed(index, &reason);
            }
        }
    }

    /// Lets each connection to attend to tell what has happened.
    pub(super) fn report(&mut self) {
        self.fail_broken();
        let backlog = self.mailbox.backlog();
        for position in 0..self.attention.len() {
            let index = self.attention[position];
            let Some(mut connection) = self.take_connection(index) else {
                continue;
            };
            let outcome = catch_unwind(AssertUnwindSafe(|| {
                self.report_one(&mut connection, backlog)
            }));
            self.connections[index as usize] = Some(connection);
            if let Err(panic) = outcome {
                self.connection_failed(index, &panic_text(&*panic));
            }
        }
    }

    pub(super) fn take_connection(&mut self, index: u32) -> Option<Box<Connection>> {
        self.connections.get_mut(index as usize)?.take()
    }

    fn report_one(&mut self, connection: &mut Connection, backlog: usize) {
        let Some(Some(endpoint)) = self.endpoints.get_mut(connection.endpoint as usize) else {
            return;
        };
        exchange(endpoint, connection);
        connection.absorb(&mut self.out);
        let overdue = connection
            .handshake_deadline
            .is_some_and(|deadline| deadline <= self.now);
        // One that failed keeps its place until its memory is free.
        if connection.handshaking && connection.announced {
            connection.handshaking = false;
            endpoint.handshake_over(connection.came_from);
            connection.allow_streams(endpoint.transport.first_streams);
            connection.later_streams = Some(endpoint.transport.streams);
        }
        if !connection.announced {
            if overdue || connection.unreachable.is_some() {
                give_up(connection, endpoint, self.now, &mut self.out);
            } else if let Some(ending) = &connection.ending
                && !connection.told_closed
            {
                connection.told_closed = true;
                if let (Role::Client(verdict), Ending::Quic(error)) = (&endpoint.role, ending) {
                    let failure = match verdict.refusal() {
                        Some(refusal) => Failure::Certificate {
                            problem: refusal.problem.as_str().to_owned(),
                            pin: refusal.pin,
                            reason: refusal.reason,
                        },
                        None => Failure::from_error(error),
                    };
                    failure.write(&mut self.out, endpoint.index);
                }
            }
        }
        if connection.announced && !connection.told_closed {
            let mut outlets = Outlets {
                targets: Targets {
                    sockets: &mut self.sockets,
                    to_flush: &mut self.to_flush,
                    now: self.now,
                },
                connections: &mut self.connections,
                attention: &mut self.attention,
                memory: &mut self.datagram_memory,
            };
            connection.sort_datagrams(|sink, counters, payload| {
                outlets.forward(sink, counters, payload);
            });
        }
        if connection.announced && !connection.told_closed {
            let mut outlets = ByteOutlets {
                tcp: &mut self.tcp,
                connections: &mut self.connections,
                attention: &mut self.attention,
                payload: &mut self.splice_payload,
                out: &mut self.out,
            };
            forward_bytes(connection, &mut outlets);
        }
        let budget = Budget::new(backlog, BACKLOG_LIMIT, &self.starved);
        let before = self.out.bytes.len();
        connection.more = connection.deliver(&mut self.out, budget);
        connection.served = self.out.bytes.len() > before;
        if connection.told_closed {
            orphan_splices(connection, &mut self.sockets, &mut self.connections);
        }
        if connection.client && connection.told_closed && endpoint.closing.is_none() {
            let linger = if connection.announced {
                LINGER
            } else {
                SHORT_LINGER
            };
            endpoint.closing = Some(self.now + linger);
            self.closing.push(endpoint.index);
        }
    }

    /// Sends what the connections attended to have to send, and sets their timers.
    pub(super) fn transmit(&mut self) {
        self.send_responses();
        for index in std::mem::take(&mut self.attention) {
            let Some(mut connection) = self.take_connection(index) else {
                continue;
            };
            connection.listed = false;
            connection.given = 0;
            let outcome = catch_unwind(AssertUnwindSafe(|| self.transmit_one(&mut connection)));
            let drained = connection.quic.is_drained();
            let abandoned = connection.owes_nothing();
            let again = matches!(outcome, Ok(true)) || !connection.readable_splices.is_empty();
            let (more, served) = (connection.more, connection.served);
            self.connections[index as usize] = Some(connection);
            if let Err(panic) = outcome {
                self.connection_failed(index, &panic_text(&*panic));
            } else if drained {
                self.connection_gone(index);
            } else if abandoned {
                self.abandon(index);
            } else if again || more && !self.starved.get() {
                self.attend(index);
            } else if more {
                if served {
                    self.held.push(index);
                } else {
                    self.hungry.push(index);
                }
            }
        }
    }

    /// True when there is more to do in the next round.
    fn transmit_one(&mut self, connection: &mut Connection) -> bool {
        let Some(Some(endpoint)) = self.endpoints.get_mut(connection.endpoint as usize) else {
            return false;
        };
        let mut batches = 0;
        let mut more = false;
        let mut failed = None;
        loop {
            // Also while the socket is full: what is too old must go, or its time would come due in every round.
            connection.datagrams.feed(&mut connection.quic, self.now);
            if endpoint.blocked.is_some() {
                if !connection.listed_waiting {
                    connection.listed_waiting = true;
                    endpoint.waiting.push(connection.index);
                }
                break;
            }
            if batches == TURN {
                more = true;
                break;
            }
            batches += 1;
            self.transmit_buffer.clear();
            let segments = endpoint.path.batch();
            let Some(transmit) =
                connection
                    .quic
                    .poll_transmit(self.now, segments, &mut self.transmit_buffer)
            else {
                break;
            };
            let bytes = &self.transmit_buffer[..transmit.size];
            match endpoint.path.send(
                endpoint.index,
                &transmit,
                bytes,
                &mut self.out,
                &mut self.addresses,
            ) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if room::watch_endpoint(self.poll.registry(), endpoint, true) {
                        endpoint.blocked = Some((transmit, bytes.to_vec()));
                    }
                }
                Err(error) if transmit.segment_size.is_some() => {
                    // A driver without segmentation: packet by packet, and no more batches.
                    let _ = error;
                    for packet in bytes.chunks(transmit.segment_size.unwrap_or(bytes.len())) {
                        let single = Transmit {
                            segment_size: None,
                            size: packet.len(),
                            ..copy(&transmit)
                        };
                        let _ = endpoint.path.send(
                            endpoint.index,
                            &single,
                            packet,
                            &mut self.out,
                            &mut self.addresses,
                        );
                    }
                }
                Err(error) => failed = Some(errno(&error)),
            }
        }
        if let Some(errno) = failed
            && !connection.announced
            && connection.client
            && errno != libc::EMSGSIZE
        {
            connection.unreachable = Some(errno);
            more = true;
        }
        more |= exchange(endpoint, connection);
        if connection.has_space() {
            connection.report_space(&mut self.out, false);
            if connection.has_space() && !connection.listed_space {
                connection.listed_space = true;
                self.spaces.push(connection.index);
            }
        }
        self.set_timer(connection);
        more
    }

    /// Registers the time of the connection's next need; a later one is found when the earlier fires.
    fn set_timer(&mut self, connection: &mut Connection) {
        let Some(deadline) = connection.deadline() else {
            return;
        };
        if let Some(registered) = connection.registered {
            if registered <= deadline {
                return;
            }
            self.timers.remove(&(registered, connection.index));
        }
        connection.registered = Some(deadline);
        self.timers.insert((deadline, connection.index));
    }

    fn send_responses(&mut self) {
        for index in std::mem::take(&mut self.responding) {
            let Some(Some(endpoint)) = self.endpoints.get_mut(index as usize) else {
                continue;
            };
            for (transmit, bytes) in endpoint.responses.drain(..) {
                // Lost if there is no room: the peer asks again.
                let _ = endpoint.path.send(
                    index,
                    &transmit,
                    &bytes[..transmit.size],
                    &mut self.out,
                    &mut self.addresses,
                );
            }
        }
    }

    /// The endpoint's socket has room again.
    pub(super) fn endpoint_writable(&mut self, index: u32) {
        let Some(Some(endpoint)) = self.endpoints.get_mut(index as usize) else {
            return;
        };
        if let Some((transmit, bytes)) = endpoint.blocked.take() {
            let result =
                endpoint
                    .path
                    .send(index, &transmit, &bytes, &mut self.out, &mut self.addresses);
            if result.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock) {
                endpoint.blocked = Some((transmit, bytes));
                return;
            }
            room::watch_endpoint(self.poll.registry(), endpoint, false);
        }
        for index in std::mem::take(&mut endpoint.waiting) {
            if let Some(Some(connection)) = self.connections.get_mut(index as usize) {
                connection.listed_waiting = false;
            }
            self.attend(index);
        }
    }
}

/// Passes events between a connection and its endpoint; true when the connection got any.
fn exchange(endpoint: &mut Endpoint, connection: &mut Connection) -> bool {
    let mut any = false;
    while let Some(event) = connection.quic.poll_endpoint_events() {
        if let Some(event) = endpoint.quic.handle_event(connection.handle, event) {
            connection.quic.handle_event(event);
            any = true;
        }
    }
    any
}

fn copy(transmit: &Transmit) -> Transmit {
    Transmit {
        destination: transmit.destination,
        ecn: transmit.ecn,
        size: transmit.size,
        segment_size: transmit.segment_size,
        src_ip: transmit.src_ip,
    }
}

//! Splices: packets of a socket that become datagrams of a connection, and the other way round,
//! without JavaScript.

use bytes::BytesMut;
use slab::Slab;

use crate::command::PrepareJoin;
use crate::counters::SpliceCounters;
use crate::driver::Driver;
use crate::driver::targets::Targets;
use crate::quic::connection::Connection;
use crate::quic::splice::Sink;
use crate::seam::completion::Kind;
use crate::udp::target::{Near, Phase, SocketSplice, TargetSocket};

type Sockets = [Option<Box<TargetSocket>>];
type Connections = Slab<Option<Box<Connection>>>;

/// Where payloads of splices leave a connection that is taken out of its place.
pub(super) struct Outlets<'a> {
    pub targets: Targets<'a>,
    pub connections: &'a mut Connections,
    pub attention: &'a mut Vec<u32>,
    pub memory: &'a mut BytesMut,
}

impl Outlets<'_> {
    pub fn forward(&mut self, sink: Sink, counters: &SpliceCounters, payload: &[u8]) {
        counters.payloads_in.add(1);
        counters.bytes_in.add(payload.len() as u64);
        match sink {
            Sink::Socket(index) => self.targets.push(index, payload),
            Sink::Connection(index, number) => {
                if let Some(Some(other)) = self.connections.get_mut(index as usize) {
                    let (now, largest) = (self.targets.now, other.max_datagram_size);
                    other
                        .datagrams
                        .push_spliced(now, number, payload, largest, self.memory);
                    other.list(self.attention);
                }
            }
            Sink::Nowhere => {}
        }
    }
}

/// Tells the other sides of its splices that the connection is over.
pub(super) fn orphan_splices(
    connection: &mut Connection,
    sockets: &mut Sockets,
    connections: &mut Connections,
) {
    for (_, splice) in connection.datagrams.splices.by_number.drain() {
        match splice.sink {
            Sink::Socket(index) => {
                if let Some(Some(socket)) = sockets.get_mut(index as usize)
                    && let Some(side) = &mut socket.splice
                {
                    side.phase = Phase::Orphaned;
                }
            }
            Sink::Connection(index, number) => {
                if let Some(Some(other)) = connections.get_mut(index as usize)
                    && let Some(side) = other.datagrams.splices.by_number.get_mut(&number)
                {
                    side.sink = Sink::Nowhere;
                }
            }
            Sink::Nowhere => {}
        }
    }
}

impl Driver {
    /// Has a socket read in this round, in its kind's list.
    pub(super) fn socket_readable(&mut self, index: u32) {
        let Some(Some(socket)) = self.sockets.get_mut(index as usize) else {
            return;
        };
        if socket.listed_readable {
            return;
        }
        match socket.splice.as_ref().map(|splice| splice.phase) {
            None => self.readable_sockets.push(index),
            Some(Phase::Running) => self.readable_splices.push(index),
            // What comes waits in the kernel until the splice starts; afterwards nobody wants it.
            Some(Phase::Held | Phase::Orphaned) => return,
        }
        socket.listed_readable = true;
    }

    pub(super) fn prepare_splice(&mut self, index: u32, connection: u32, number: u64) {
        let Some(Some(socket)) = self.sockets.get_mut(index as usize) else {
            return;
        };
        let mut done = false;
        if socket.splice.is_none()
            && let Some(Some(side)) = self.connections.get_mut(connection as usize)
            && side.prepare_splice(number, Sink::Socket(index), socket.splice_counters())
        {
            socket.splice = Some(SocketSplice {
                near: Near::Datagrams { connection, number },
                phase: Phase::Held,
            });
            done = true;
        }
        self.tell_spliced(Kind::SpliceHeld, index, done);
    }

    /// `prefix` is for capsules.
    pub(super) fn start_splice(&mut self, index: u32, prefix: &[u8]) {
        let Some(Some(socket)) = self.sockets.get_mut(index as usize) else {
            return;
        };
        let Some(splice) = &mut socket.splice else {
            return;
        };
        if splice.phase != Phase::Held {
            return;
        }
        splice.phase = Phase::Running;
        match splice.near {
            Near::Datagrams { connection, number } => self.release_held(connection, number),
            Near::Capsules(ref own) => {
                let carrier = own.carrier;
                self.start_capsules(index, carrier, prefix);
            }
        }
        // Packets may have come since the last look.
        self.socket_readable(index);
    }

    /// What was held back for a splice goes its way.
    fn release_held(&mut self, index: u32, number: u64) {
        let Some(mut connection) = self.take_connection(index) else {
            return;
        };
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
        connection.start_splice(number, |sink, counters, payload| {
            outlets.forward(sink, counters, payload);
        });
        self.connections[index as usize] = Some(connection);
    }

    pub(super) fn prepare_join(&mut self, prepare: &PrepareJoin) {
        let PrepareJoin {
            join,
            sides: [near, far],
            counters,
        } = prepare;
        let mut prepared = |of: (u32, u64), to: (u32, u64), counters| {
            let Some(Some(connection)) = self.connections.get_mut(of.0 as usize) else {
                return false;
            };
            connection.prepare_splice(of.1, Sink::Connection(to.0, to.1), counters)
        };
        // A connection is no other to itself: it is taken out of its place while it forwards.
        let mut done = near.0 != far.0 && prepared(*near, *far, &counters[0]);
        if done && !prepared(*far, *near, &counters[1]) {
            done = false;
            self.stop_side(*near, *far);
        }
        if done {
            self.joins.insert(*join, [*near, *far]);
        }
        self.out
            .begin(Kind::JoinHeld, *join)
            .word(u32::from(done))
            .end();
    }

    pub(super) fn start_join(&mut self, join: u32) {
        if let Some(&[near, far]) = self.joins.get(&join) {
            self.release_held(near.0, near.1);
            self.release_held(far.0, far.1);
        }
    }

    pub(super) fn stop_join(&mut self, join: u32) {
        if let Some([near, far]) = self.joins.remove(&join) {
            self.stop_side(near, far);
            self.stop_side(far, near);
            self.out.begin(Kind::JoinHeld, join).word(0).end();
        }
    }

    /// One side of a join is JavaScript's again.
    fn stop_side(&mut self, (index, number): (u32, u64), other: (u32, u64)) {
        let Some(Some(connection)) = self.connections.get_mut(index as usize) else {
            return;
        };
        // The place may be another connection's by now.
        let sink = connection.datagrams.splices.by_number.get(&number);
        let sink = sink.map(|splice| splice.sink);
        if sink == Some(Sink::Connection(other.0, other.1)) || sink == Some(Sink::Nowhere) {
            connection.stop_splice(number);
            self.attend(index);
        }
    }

    pub(super) fn stop_splice(&mut self, index: u32) {
        let Some(Some(socket)) = self.sockets.get_mut(index as usize) else {
            return;
        };
        let Some(splice) = socket.splice.take() else {
            return;
        };
        match splice.near {
            Near::Datagrams { connection, number } => {
                if splice.phase != Phase::Orphaned
                    && let Some(Some(side)) = self.connections.get_mut(connection as usize)
                {
                    side.stop_splice(number);
                    self.attend(connection);
                }
            }
            Near::Capsules(own) => self.stop_capsules(index, own.carrier),
        }
        self.socket_readable(index);
    }

    /// The socket of a splice is closed: what waits for the peer is not sent any more, but for capsules.
    pub(super) fn forget_splice(&mut self, index: u32, splice: &SocketSplice) {
        match &splice.near {
            Near::Datagrams { connection, number } => {
                if splice.phase != Phase::Orphaned
                    && let Some(Some(connection)) = self.connections.get_mut(*connection as usize)
                {
                    connection.datagrams.remove_splice(*number, false);
                }
            }
            Near::Capsules(own) => self.stop_capsules(index, own.carrier),
        }
    }

    /// Packets of spliced sockets, each socket with its turn.
    pub(super) fn receive_spliced(&mut self) {
        for index in std::mem::take(&mut self.readable_splices) {
            let Some(Some(socket)) = self.sockets.get_mut(index as usize) else {
                continue;
            };
            socket.listed_readable = false;
            let near = match &socket.splice {
                Some(splice) if splice.phase == Phase::Running => &splice.near,
                _ => {
                    self.socket_readable(index);
                    continue;
                }
            };
            let (connection, number) = match near {
                Near::Datagrams { connection, number } => (*connection, *number),
                Near::Capsules(own) => {
                    let carrier = own.carrier;
                    self.send_in_capsules(index, carrier);
                    continue;
                }
            };
            let Some(Some(side)) = self.connections.get_mut(connection as usize) else {
                continue;
            };
            let (now, largest) = (self.now, side.max_datagram_size);
            let more = socket.receive_spliced(&mut self.scratch, &mut self.out, |payload| {
                let memory = &mut self.datagram_memory;
                side.datagrams
                    .push_spliced(now, number, payload, largest, memory);
            });
            if more {
                self.socket_readable(index);
            }
            self.attend(connection);
        }
    }
}

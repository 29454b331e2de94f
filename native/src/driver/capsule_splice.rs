//! Splices of UDP sockets with the DATAGRAM capsules of a stream of HTTP/2 or of a TCP socket.

use std::io;
use std::time::Duration;

use crate::driver::Driver;
use crate::driver::targets::Targets;
use crate::seam::completion::Kind;
use crate::splice::framing::push_datagram;
use crate::splice::side::{Carrier, Side};
use crate::splice::waiting_time::WaitingTime;
use crate::tcp::socket::{Over, SocketSplice as TcpSplice, TcpSocket};
use crate::udp::target::{Capsules, Near, Phase, SocketSplice};

/// Bytes of capsules that wait for the peer, and how long the oldest of them may have waited: from there on packets
/// are dropped, as they would come late anyway. The same as where JavaScript frames them.
const QUEUE: usize = 256 * 1024;
const DELAY: Duration = Duration::from_millis(250);

/// From this wait on what is to come waits here rather than in the kernel.
const PROMPT: Duration = Duration::from_millis(20);

/// Bytes read from a TCP socket at once.
const PIECE: usize = 64 * 1024;

impl Driver {
    /// As `prepare_splice`.
    pub(super) fn prepare_capsules(&mut self, index: u32, carrier: Carrier) {
        let free = matches!(self.sockets.get(index as usize), Some(Some(socket)) if socket.splice.is_none());
        let held = free && self.hold_capsules(index, carrier);
        if held && let Some(Some(socket)) = self.sockets.get_mut(index as usize) {
            socket.splice = Some(SocketSplice {
                near: Near::Capsules(Box::new(Capsules {
                    carrier,
                    waiting: WaitingTime::default(),
                })),
                phase: Phase::Held,
            });
        }
        self.tell_spliced(Kind::SpliceHeld, index, held);
    }

    fn hold_capsules(&mut self, index: u32, carrier: Carrier) -> bool {
        match carrier {
            Carrier::Http2 { socket, stream } => {
                let session = self.http2.sessions.get_mut(&socket);
                session.is_some_and(|session| session.hold_datagrams(stream, index))
            }
            Carrier::Socket(near) => {
                let id = self.next_splice();
                let near = self.tcp.sockets.get_mut(&near);
                let Some(near) = near.filter(|near| near.is_free() && near.is_open()) else {
                    return false;
                };
                near.splice = Some(TcpSplice {
                    id,
                    near: Side::Target(index),
                    capsule: None,
                    reads: true,
                    awaited: false,
                });
                true
            }
        }
    }

    pub(super) fn start_capsules(&mut self, index: u32, carrier: Carrier, prefix: &[u8]) {
        match carrier {
            Carrier::Http2 { socket, stream } => self.with_told(socket, |session, told| {
                session.start_datagrams(stream, index, prefix, told);
            }),
            Carrier::Socket(near) => {
                if let Some(near) = self.capsules_of(near, index) {
                    near.datagrams = Some(Box::default());
                }
                self.give_to_target(near, index, prefix);
            }
        }
    }

    /// JavaScript takes over again.
    pub(super) fn stop_capsules(&mut self, index: u32, carrier: Carrier) {
        match carrier {
            Carrier::Http2 { socket, stream } => self.with_told(socket, |session, told| {
                session.stop_datagrams(stream, index, told);
            }),
            Carrier::Socket(near) => {
                if let Some(socket) = self.tcp.sockets.get_mut(&near)
                    && socket.is_spliced_with(Side::Target(index))
                {
                    socket.unframed(&mut self.out);
                    socket.splice = None;
                    self.tcp.list_readable(near);
                }
            }
        }
    }

    /// The TCP socket that has the capsules of this UDP socket.
    fn capsules_of(&mut self, near: u32, index: u32) -> Option<&mut Box<TcpSocket>> {
        let near = self.tcp.sockets.get_mut(&near)?;
        near.is_spliced_with(Side::Target(index)).then_some(near)
    }

    /// Packets of a spliced socket go out.
    pub(super) fn send_in_capsules(&mut self, index: u32, carrier: Carrier) {
        let waiting = self.capsules_waiting(index, carrier);
        let Some(Some(socket)) = self.sockets.get_mut(index as usize) else {
            return;
        };
        let Some(SocketSplice { near, phase }) = &mut socket.splice else {
            return;
        };
        let (Some(waiting), Near::Capsules(own)) = (waiting, near) else {
            // The stream is over: nobody wants what comes.
            *phase = Phase::Orphaned;
            return;
        };
        let waited = own.waiting.note(self.now, waiting);
        let late = waited >= DELAY;
        let mut capsules = std::mem::take(&mut self.capsules);
        let (mut payloads, mut bytes, mut dropped) = (0, 0, 0);
        let more = socket.receive_spliced(&mut self.scratch, &mut self.out, |payload| {
            if late || waiting + capsules.len() >= QUEUE {
                dropped += 1;
                return;
            }
            push_datagram(&mut capsules, payload);
            payloads += 1;
            bytes += payload.len() as u64;
        });
        let counters = socket.splice_counters();
        counters.payloads_out.add(payloads);
        counters.bytes_out.add(bytes);
        counters.dropped_out_queue_full.add(dropped);
        if more {
            self.socket_readable(index);
        }
        if waited >= PROMPT {
            self.hold_little(carrier);
        }
        self.write_capsules(carrier, &capsules);
        capsules.clear();
        self.capsules = capsules;
        let left = self.capsules_waiting(index, carrier).unwrap_or(0);
        if left > 0
            && let Some(Some(socket)) = self.sockets.get_mut(index as usize)
            && let Some(Near::Capsules(own)) = socket.splice.as_mut().map(|splice| &mut splice.near)
        {
            own.waiting.note(self.now, left);
        }
    }

    /// Bytes that wait where capsules of this socket go; `None` where none do any more.
    fn capsules_waiting(&mut self, index: u32, carrier: Carrier) -> Option<usize> {
        match carrier {
            Carrier::Http2 { socket, stream } => {
                let session = self.http2.sessions.get_mut(&socket)?;
                session.datagrams_waiting(stream, index)
            }
            Carrier::Socket(near) => {
                let near = self.capsules_of(near, index)?;
                near.takes().map(|_| near.waiting())
            }
        }
    }

    /// The path may be slower than the target.
    fn hold_little(&mut self, carrier: Carrier) {
        if let Some(socket) = self.tcp.sockets.get_mut(&carrier.socket()) {
            socket.be_prompt();
        }
    }

    fn write_capsules(&mut self, carrier: Carrier, capsules: &[u8]) {
        match carrier {
            _ if capsules.is_empty() => {}
            Carrier::Http2 { socket, stream } => self.with_session(socket, |session, wire| {
                session.write_datagrams(stream, capsules, wire)
            }),
            Carrier::Socket(near) => self.with_tcp(near, |near| near.write_untold(capsules)),
        }
    }

    /// Moves one piece of what a TCP socket received; returns how much was read.
    pub(super) fn move_to_target(&mut self, near: u32, index: u32) -> io::Result<usize> {
        let socket = self.tcp.sockets.get_mut(&near);
        // Until the splice starts nothing is read.
        let Some(socket) = socket.filter(|socket| socket.datagrams.is_some()) else {
            return Ok(0);
        };
        let mut buffer = std::mem::take(&mut self.splice_buffer);
        buffer.resize(buffer.len().max(PIECE), 0);
        let read = socket.read_spliced(&mut buffer[..PIECE], &mut self.out);
        let over = socket.ended();
        if let Ok(count) = read {
            self.give_to_target(near, index, &buffer[..count]);
        }
        self.splice_buffer = buffer;
        if over {
            self.tcp_over(near, &Over::Ended);
        }
        read
    }

    /// A last piece of a socket that was reset.
    pub(super) fn last_words_to_target(&mut self, near: u32, index: u32) {
        let socket = self.tcp.sockets.get_mut(&near);
        let Some(socket) = socket.filter(|socket| socket.datagrams.is_some()) else {
            return;
        };
        let mut buffer = std::mem::take(&mut self.splice_buffer);
        buffer.resize(buffer.len().max(PIECE), 0);
        let count = socket.last_spliced_words(&mut buffer[..PIECE]);
        self.give_to_target(near, index, &buffer[..count]);
        self.splice_buffer = buffer;
    }

    /// Takes payloads out of their capsules.
    fn give_to_target(&mut self, near: u32, index: u32, bytes: &[u8]) {
        let socket = self.tcp.sockets.get_mut(&near);
        let Some(socket) = socket else {
            return;
        };
        let Some(mut datagrams) = socket.datagrams.take() else {
            return;
        };
        let mut targets = Targets {
            sockets: &mut self.sockets,
            to_flush: &mut self.to_flush,
            now: self.now,
        };
        match datagrams.push(bytes, &mut |content| targets.take(index, &content)) {
            Ok(()) => socket.datagrams = Some(datagrams),
            Err(given_back) => socket.tell_again(&given_back, &mut self.out),
        }
        self.tcp.list_readable(near);
    }
}

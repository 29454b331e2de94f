//! Splices of streams and TCP sockets: bytes of the one that go to the other without JavaScript. Ends,
//! resets and all that is not just bytes are told to it as ever.

use std::io;

use crate::driver::Driver;
use crate::quic::byte_splice::StreamSplice;
use crate::seam::completion::Kind;
use crate::seam::operation::SpliceBytes;
use crate::splice::framing::HEADERS;
use crate::splice::side::Side;
use crate::splice::unframing::Unframing;
use crate::tcp::socket::{Over, SocketSplice};

/// Most bytes in one DATA frame.
const PIECE: usize = 64 * 1024;

/// Bytes read from one socket before another has its turn, and from all of them in one round.
const TURN: usize = 256 * 1024;
const ROUND: usize = 1024 * 1024;

impl Driver {
    /// Begins a splice, unless something has been told of either that JavaScript did not know, and says
    /// whether it did.
    pub(super) fn splice_bytes(&mut self, ask: &SpliceBytes<'_>) {
        let index = ask.socket;
        let id = self.next_splice();
        let begun = self.begin_byte_splice(ask, id);
        self.tell_spliced(Kind::BytesSpliced, index, begun);
        if !begun {
            return;
        }
        let mut payload = std::mem::take(&mut self.splice_payload);
        payload.clear();
        let key = ask.stream;
        let prefix = ask.prefix;
        self.with_connection(ask.connection, |connection, _| {
            connection.push_prefix(key, prefix, &mut payload);
        });
        self.with_tcp(index, |socket| socket.write_spliced(&payload));
        self.splice_payload = payload;
        self.tcp.list_readable(index);
    }

    pub(super) fn next_splice(&mut self) -> u64 {
        self.tcp.next_splice += 1;
        self.tcp.next_splice
    }

    pub(super) fn tell_spliced(&mut self, kind: Kind, index: u32, begun: bool) {
        self.out.begin(kind, index).word(u32::from(begun)).end();
    }

    fn begin_byte_splice(&mut self, ask: &SpliceBytes<'_>, id: u64) -> bool {
        let Some(socket) = self.tcp.sockets.get_mut(&ask.socket) else {
            return false;
        };
        let Some(Some(connection)) = self.connections.get_mut(ask.connection as usize) else {
            return false;
        };
        let capsule = (ask.capsule != 0).then_some(u64::from(ask.capsule));
        let splice = StreamSplice {
            id,
            to: Side::Socket(ask.socket),
            unframing: Unframing::new(true, capsule.is_some()),
            relabelled: None,
        };
        let may = socket.may_splice(ask.told);
        if !may || !connection.begin_byte_splice(ask.stream, splice, ask.received) {
            return false;
        }
        socket.revoke();
        socket.splice = Some(SocketSplice {
            id,
            near: Side::Stream {
                connection: ask.connection,
                stream: ask.stream,
            },
            capsule,
            reads: true,
            awaited: false,
        });
        true
    }

    /// Whoever waited for room at a socket goes on, if there is some.
    pub(super) fn has_room(&mut self, index: u32) {
        let Some(socket) = self.tcp.sockets.get_mut(&index) else {
            return;
        };
        let room = socket.room() > 0;
        if socket.session && room {
            self.http2.has_room(index);
        }
        let Some(splice) = socket.splice.filter(|splice| splice.awaited) else {
            return;
        };
        if let Side::Http2 { socket, stream } = splice.near {
            return self.settle_socket(index, splice, socket, stream);
        }
        if !room {
            return;
        }
        socket.splice = Some(SocketSplice {
            awaited: false,
            ..splice
        });
        match splice.near {
            Side::Stream { connection, stream } => {
                if let Some(Some(side)) = self.connections.get_mut(connection as usize)
                    && side.drain_of(stream) == Some((splice.id, Side::Socket(index)))
                {
                    side.list_readable(stream);
                    self.attend(connection);
                }
            }
            Side::Socket(near) => self.tcp.list_readable(near),
            Side::Http2 { .. } | Side::Target(_) => {}
        }
    }

    /// Bytes of spliced sockets, each socket with its turn.
    pub(super) fn receive_spliced_tcp(&mut self) {
        let mut left = ROUND;
        let mut again = Vec::new();
        for index in std::mem::take(&mut self.tcp.readable_splices) {
            let turn = left.min(TURN).min(self.burst_left(index));
            if turn == 0 {
                again.push(index);
                continue;
            }
            if let Some(socket) = self.tcp.sockets.get_mut(&index) {
                socket.listed_readable = false;
                left = left.saturating_sub(self.receive_spliced_from(index, turn));
            }
        }
        // Those that had no turn go first next time.
        again.append(&mut self.tcp.readable_splices);
        self.tcp.readable_splices = again;
    }

    /// Bytes that the connection to which this socket writes still gets in this round.
    fn burst_left(&self, index: u32) -> usize {
        let near = self
            .tcp
            .sockets
            .get(&index)
            .and_then(|socket| Some(socket.splice?.near));
        let connection = match near {
            Some(Side::Stream { connection, .. }) => self.connections.get(connection as usize),
            _ => None,
        };
        match connection {
            Some(Some(connection)) => connection.burst_left(),
            _ => TURN,
        }
    }

    /// Returns how much was read.
    fn receive_spliced_from(&mut self, index: u32, turn: usize) -> usize {
        let mut done = 0;
        loop {
            if done >= turn {
                self.tcp.list_readable(index);
                return done;
            }
            match self.move_to_near(index) {
                Ok(0) => return done,
                Ok(count) => done += count,
                Err(error) => {
                    self.tcp_cut(index, error);
                    return done;
                }
            }
        }
    }

    /// JavaScript decides what becomes of what still comes.
    pub(super) fn stop_reading_spliced(&mut self, index: u32) {
        if let Some(socket) = self.tcp.sockets.get_mut(&index) {
            if let Some(splice) = &mut socket.splice {
                splice.reads = false;
            }
            self.tcp.list_readable(index);
        }
    }

    /// Moves one piece; 0 when there was nothing, no room, or nobody to take it.
    fn move_to_near(&mut self, index: u32) -> io::Result<usize> {
        let Some(socket) = self.tcp.sockets.get(&index) else {
            return Ok(0);
        };
        let Some(splice) = socket.splice.filter(|splice| splice.reads) else {
            // It is read for JavaScript again.
            self.tcp.list_readable(index);
            return Ok(0);
        };
        let takes = match splice.near {
            Side::Http2 { socket, stream } => {
                self.offer_to_session(index, splice, socket, stream);
                return Ok(0);
            }
            Side::Target(target) => return self.move_to_target(index, target),
            Side::Stream { connection, stream } => self.stream_takes(connection, stream, splice.id),
            Side::Socket(near) => self.socket_takes(near, splice.id),
        };
        match (takes, splice.near) {
            (None, _) => self.stop_reading_spliced(index),
            (Some(true), Side::Stream { connection, stream }) => {
                return self.move_to_stream(index, &splice, connection, stream);
            }
            (Some(true), Side::Socket(near)) => {
                return self.move_to_socket(index, near, splice.capsule);
            }
            _ => {}
        }
        Ok(0)
    }

    fn stream_takes(&mut self, connection: u32, stream: u32, splice: u64) -> Option<bool> {
        match self.connections.get_mut(connection as usize) {
            Some(Some(connection)) => connection.takes_bytes(stream, splice),
            _ => None,
        }
    }

    fn move_to_stream(
        &mut self,
        index: u32,
        splice: &SocketSplice,
        connection: u32,
        stream: u32,
    ) -> io::Result<usize> {
        let Some(socket) = self.tcp.sockets.get_mut(&index) else {
            return Ok(0);
        };
        let mut buffer = std::mem::take(&mut self.splice_buffer);
        buffer.resize(buffer.len().max(HEADERS + PIECE), 0);
        let read = socket.read_spliced(&mut buffer[HEADERS..HEADERS + PIECE], &mut self.out);
        let over = socket.ended();
        if let Ok(count) = read {
            let buffer = &mut buffer[..HEADERS + count];
            self.write_to_stream(connection, stream, splice.capsule, buffer);
        }
        self.splice_buffer = buffer;
        if over {
            self.tcp_over(index, &Over::Ended);
        }
        read
    }

    /// As `Connection::write_framed`.
    pub(super) fn write_to_stream(
        &mut self,
        connection: u32,
        stream: u32,
        capsule: Option<u64>,
        buffer: &mut [u8],
    ) {
        self.with_connection(connection, |connection, out| {
            connection.write_framed(stream, capsule, buffer, out);
        });
    }

    /// After a reset the kernel still has what came before it: a last piece goes to the other side.
    pub(super) fn last_spliced_words(&mut self, index: u32) {
        let Some(socket) = self.tcp.sockets.get_mut(&index) else {
            return;
        };
        let Some(splice) = socket.splice.filter(|splice| splice.reads) else {
            return;
        };
        match splice.near {
            Side::Http2 { socket, stream } => {
                self.last_words_to_session(index, splice, socket, stream);
            }
            Side::Target(target) => self.last_words_to_target(index, target),
            Side::Socket(near) => {
                if self.socket_takes(near, splice.id) == Some(true) {
                    self.last_words_to_socket(index, near, splice.capsule);
                }
            }
            Side::Stream { connection, stream } => {
                if self.stream_takes(connection, stream, splice.id) != Some(true) {
                    return;
                }
                let Some(socket) = self.tcp.sockets.get_mut(&index) else {
                    return;
                };
                let mut buffer = std::mem::take(&mut self.splice_buffer);
                buffer.resize(buffer.len().max(HEADERS + PIECE), 0);
                let room = &mut buffer[HEADERS..HEADERS + PIECE];
                let count = socket.last_spliced_words(room);
                let buffer_of = &mut buffer[..HEADERS + count];
                self.write_to_stream(connection, stream, splice.capsule, buffer_of);
                self.splice_buffer = buffer;
            }
        }
    }
}

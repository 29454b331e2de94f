//! What sessions tell: records for JavaScript, and bytes for the sockets of splices.

use std::cell::Cell;
use std::io::{self, IoSlice};

use crate::http2::outlet::Outlet;
use crate::seam::budget::Budget;
use crate::seam::completion::{Completions, Kind};
use crate::tcp::Sockets;
use crate::tcp::socket::SocketSplice;

/// Pieces given to a socket at once.
const PARTS: usize = 32;

/// Where the gathered pieces go.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Target {
    splice: u64,
    socket: u32,
}

/// Gathers the pieces for one socket, so that they go to the kernel together and from where they lie.
pub(super) struct Told<'a, 'b> {
    socket: u32,
    out: &'a mut Completions,
    budget: Budget<'a>,
    tcp: &'a mut Sockets,
    target: Option<Target>,
    parts: [IoSlice<'b>; PARTS],
    count: usize,
}

impl<'a, 'b> Told<'a, 'b> {
    pub fn new(
        socket: u32,
        out: &'a mut Completions,
        tcp: &'a mut Sockets,
        backlog: usize,
        limit: usize,
        starved: &'a Cell<bool>,
    ) -> Self {
        Self {
            socket,
            out,
            budget: Budget::new(backlog, limit, starved),
            tcp,
            target: None,
            parts: [IoSlice::new(&[]); PARTS],
            count: 0,
        }
    }

    /// Gives what was gathered to its socket.
    pub fn flush(&mut self) {
        let count = std::mem::take(&mut self.count);
        let Some(Target {
            splice,
            socket: index,
        }) = self.target.take()
        else {
            return;
        };
        // Where it is gone JavaScript hears of it.
        let socket = self.tcp.sockets.get_mut(&index);
        let own = |own: &SocketSplice| own.id == splice;
        let Some(socket) = socket.filter(|socket| socket.splice.as_ref().is_some_and(own)) else {
            return;
        };
        let written: io::Result<()> = socket.write_spliced_parts(&mut self.parts[..count]);
        match written {
            Ok(()) => self.tcp.list_flush(index),
            Err(error) => self.tcp.cut.push((index, error)),
        }
    }
}

impl<'b> Outlet<'b> for Told<'_, 'b> {
    fn takes(&self) -> bool {
        !self.budget.spent(self.out)
    }

    fn headers(&mut self, stream: u32, block: &[u8], end: bool, opened: bool) {
        self.out
            .begin(Kind::Http2Headers, self.socket)
            .word(stream)
            .word(u32::from(end) | u32::from(opened) << 1)
            .bytes(block)
            .end();
    }

    fn data(&mut self, stream: u32, bytes: &[u8]) {
        self.out
            .begin(Kind::Http2Data, self.socket)
            .word(stream)
            .bytes(bytes)
            .end();
    }

    fn end(&mut self, stream: u32) {
        self.out
            .begin(Kind::Http2End, self.socket)
            .word(stream)
            .end();
    }

    fn reset(&mut self, stream: u32, code: u32) {
        self.out
            .begin(Kind::Http2Reset, self.socket)
            .word(stream)
            .word(code)
            .end();
    }

    fn settings(&mut self, pairs: &[(u16, u32)]) {
        let record = self.out.begin(Kind::Http2Settings, self.socket);
        record.word(pairs.len() as u32);
        for &(id, value) in pairs {
            record.word(u32::from(id)).word(value);
        }
        record.end();
    }

    fn pong(&mut self, payload: [u8; 8]) {
        self.out
            .begin(Kind::Http2Pong, self.socket)
            .bytes(&payload)
            .end();
    }

    fn goaway(&mut self, last: u32, code: u32, debug: &[u8]) {
        self.out
            .begin(Kind::Http2Goaway, self.socket)
            .word(last)
            .word(code)
            .bytes(debug)
            .end();
    }

    fn failed(&mut self, code: u32, reason: &str) {
        self.out
            .begin(Kind::Http2Failed, self.socket)
            .word(code)
            .text(reason)
            .end();
    }

    fn forward(&mut self, _stream: u32, splice: u64, socket: u32, bytes: &'b [u8]) {
        if bytes.is_empty() {
            return;
        }
        let target = Some(Target { splice, socket });
        if self.target != target || self.count == PARTS {
            self.flush();
            self.target = target;
        }
        self.parts[self.count] = IoSlice::new(bytes);
        self.count += 1;
    }
}

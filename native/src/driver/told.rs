//! What sessions tell: records for JavaScript, and bytes for the sockets of splices.

use std::io::IoSlice;

use crate::driver::targets::Targets;
use crate::http2::outlet::Outlet;
use crate::seam::budget::Budget;
use crate::seam::completion::{Completions, Kind};
use crate::splice::datagram_capsules::Content;
use crate::tcp::Sockets;
use crate::tcp::socket::SocketSplice;

/// Most pieces that are gathered.
const PARTS: usize = 64;

/// Where the gathered pieces go.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Destination {
    splice: u64,
    socket: u32,
}

/// Gathers the pieces for each socket, so that they go to the kernel together and from where they lie.
pub(super) struct Told<'a, 'b> {
    socket: u32,
    out: &'a mut Completions,
    budget: Budget<'a>,
    tcp: &'a mut Sockets,
    targets: Targets<'a>,
    gathered: Vec<(Destination, IoSlice<'b>)>,
}

impl<'a, 'b> Told<'a, 'b> {
    pub fn new(
        socket: u32,
        out: &'a mut Completions,
        budget: Budget<'a>,
        tcp: &'a mut Sockets,
        targets: Targets<'a>,
    ) -> Self {
        Self {
            socket,
            out,
            budget,
            tcp,
            targets,
            gathered: Vec::new(),
        }
    }

    /// Gives what was gathered to the sockets.
    pub fn flush(&mut self) {
        let mut gathered = std::mem::take(&mut self.gathered);
        let mut parts = Vec::with_capacity(gathered.len());
        while let Some(&(target, _)) = gathered.first() {
            gathered.retain(|&(other, part)| {
                let own = other == target;
                if own {
                    parts.push(part);
                }
                !own
            });
            self.give(target, &mut parts);
            parts.clear();
        }
        self.gathered = gathered;
    }

    fn give(&mut self, target: Destination, parts: &mut [IoSlice<'b>]) {
        // Where it is gone JavaScript hears of it.
        let socket = self.tcp.sockets.get_mut(&target.socket);
        let own = |own: &SocketSplice| own.id == target.splice;
        let Some(socket) = socket.filter(|socket| socket.splice.as_ref().is_some_and(own)) else {
            return;
        };
        match socket.write_spliced_parts(parts) {
            Ok(()) => self.tcp.list_flush(target.socket),
            Err(error) => self.tcp.cut.push((target.socket, error)),
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
        if self.gathered.len() == PARTS {
            self.flush();
        }
        let target = Destination { splice, socket };
        self.gathered.push((target, IoSlice::new(bytes)));
    }

    fn datagram(&mut self, target: u32, content: Content<'_>) {
        self.targets.take(target, &content);
    }
}

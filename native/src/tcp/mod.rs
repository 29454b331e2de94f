//! TCP sockets of the operating system: bytes by credit, half close, and resets told apart from ends.

pub mod handshake;
mod input;
pub mod listener;
pub mod opening;
mod output;
pub mod queue;
pub mod sealing;
pub mod secure;
#[cfg(test)]
mod secure_tests;
pub mod socket;
mod splicing;

use std::collections::BTreeSet;
use std::time::Instant;

use rustc_hash::FxHashMap;

use crate::tcp::listener::Listener;
use crate::tcp::socket::TcpSocket;

/// Numbers of accepted sockets are odd, those that JavaScript gives are even; none is soon used twice.
const LAST_NUMBER: u32 = (1 << 30) - 1;

/// All of one engine, and which of it has something to do.
pub struct Sockets {
    pub sockets: FxHashMap<u32, Box<TcpSocket>>,
    pub listeners: FxHashMap<u32, Listener>,
    /// Sockets whose handshake of TLS may go on.
    pub shaking: Vec<u32>,
    /// Sockets to read.
    pub readable: Vec<u32>,
    /// Those of them whose bytes go to a stream or to another socket, or to a session.
    pub readable_splices: Vec<u32>,
    pub readable_sessions: Vec<u32>,
    /// Sockets that an error has ended while they were written to for a splice.
    pub cut: Vec<(u32, std::io::Error)>,
    /// The id of the next splice.
    pub next_splice: u64,
    /// Sockets that have something to write, or whose peer is looked for.
    pub to_flush: Vec<u32>,
    /// Sockets with room to report.
    pub spaces: Vec<u32>,
    /// Listeners with connections to accept.
    pub acceptable: Vec<u32>,
    /// When a connection attempt ends, or a listener that ran out of descriptors tries again.
    pub timers: BTreeSet<(Instant, u32)>,
    next: u32,
}

impl Default for Sockets {
    fn default() -> Self {
        Self {
            sockets: FxHashMap::default(),
            listeners: FxHashMap::default(),
            shaking: Vec::new(),
            readable: Vec::new(),
            readable_splices: Vec::new(),
            readable_sessions: Vec::new(),
            cut: Vec::new(),
            next_splice: 0,
            to_flush: Vec::new(),
            spaces: Vec::new(),
            acceptable: Vec::new(),
            timers: BTreeSet::new(),
            next: 1,
        }
    }
}

impl Sockets {
    /// Has a socket read in this round or the next, if there may be something and somebody wants it.
    pub fn list_readable(&mut self, index: u32) {
        let Some(socket) = self.sockets.get_mut(&index) else {
            return;
        };
        if socket.listed_readable || !socket.wants_reading() {
            return;
        }
        socket.listed_readable = true;
        if socket.handshake.is_some() {
            self.shaking.push(index);
        } else if socket.session {
            self.readable_sessions.push(index);
        } else if socket.splice.is_some_and(|splice| splice.reads) {
            self.readable_splices.push(index);
        } else {
            self.readable.push(index);
        }
    }

    /// Has what waits given to the kernel.
    pub fn list_flush(&mut self, index: u32) {
        if let Some(socket) = self.sockets.get_mut(&index)
            && !socket.listed_flush
        {
            socket.listed_flush = true;
            self.to_flush.push(index);
        }
    }

    /// A number for an accepted socket.
    pub fn number(&mut self) -> u32 {
        loop {
            let number = self.next;
            self.next = if number == LAST_NUMBER { 1 } else { number + 2 };
            if !self.sockets.contains_key(&number) {
                return number;
            }
        }
    }
}

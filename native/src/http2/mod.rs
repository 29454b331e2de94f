//! The frames and the flow control of HTTP/2 (RFC 9113). What the requests, the settings and GOAWAY mean
//! is JavaScript's.

pub mod closed;
mod datagrams;
pub mod delivering;
pub mod flow;
pub mod frame;
pub mod outlet;
pub mod parser;
pub mod receiving;
pub mod sending;
pub mod session;
pub mod settings;
pub mod splicing;
pub mod stream;
#[cfg(test)]
mod tests;

use rustc_hash::FxHashMap;

use crate::http2::session::Session;

/// All of one engine by their sockets, and which of them has something to do.
#[derive(Default)]
pub struct Sessions {
    pub sessions: FxHashMap<u32, Box<Session>>,
    /// Sessions with something to send.
    pub to_pump: Vec<u32>,
    /// Sessions with something to deliver once JavaScript takes it.
    pub delivering: Vec<u32>,
    /// Sessions with room to report.
    pub spaces: Vec<u32>,
    /// Some are not read because JavaScript has too much to do.
    pub held: bool,
}

impl Sessions {
    /// Has what a session has to send given to its socket in this round or the next.
    pub fn list_pump(&mut self, index: u32) {
        if let Some(session) = self.sessions.get_mut(&index)
            && !session.listed_pump
        {
            session.listed_pump = true;
            self.to_pump.push(index);
        }
    }

    /// The same where its socket has room again.
    pub fn has_room(&mut self, index: u32) {
        let session = self.sessions.get(&index);
        if session.is_some_and(|session| session.has_output()) {
            self.list_pump(index);
        }
    }

    pub fn list_delivering(&mut self, index: u32) {
        if let Some(session) = self.sessions.get_mut(&index)
            && session.has_undelivered()
            && !session.listed_delivering
        {
            session.listed_delivering = true;
            self.delivering.push(index);
        }
    }
}

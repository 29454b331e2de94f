//! The sending part of a stream (RFC 9000 section 3.1): what waits to be written, and the ends of it.

use std::collections::VecDeque;

use bytes::{Buf, Bytes};
use quinn_proto::{Connection, VarInt, WriteError};

use crate::quic::stream::{Sending, Stream};
use crate::seam::completion::{Completions, Kind};

/// Bytes given to QUIC that JavaScript has not been told of, above which it is told at once.
const UNREPORTED: usize = 32 * 1024;

/// How a stream's turn to give bytes to QUIC ended.
pub enum Turn {
    /// Nothing is left to be given.
    Done,
    /// More waits for the next turn.
    Over,
    /// QUIC takes no more now, and tells of room; bytes that were left of the turn.
    Blocked { left: usize },
}

impl Stream {
    pub fn write(&mut self, quic: &mut Connection, bytes: &[u8]) {
        if self.sending != Sending::Open || self.fin {
            // JavaScript did not know yet: what it counts as buffered is nevertheless gone.
            self.unreported += bytes.len();
            return;
        }
        let mut written = 0;
        if let Some(id) = self.id
            && self.queue.is_empty()
        {
            written = quic.send_stream(id).write(bytes).unwrap_or(0);
            self.unreported += self.untold.take(written);
        }
        if written < bytes.len() {
            self.queue
                .push_back(Bytes::copy_from_slice(&bytes[written..]));
            self.queued += bytes.len() - written;
            if self.queue.len() == 1 {
                self.pump(quic);
            }
        }
    }

    pub fn end(&mut self, quic: &mut Connection) {
        if self.sending == Sending::Open {
            self.fin = true;
            self.pump(quic);
        }
    }

    pub fn reset(&mut self, quic: &mut Connection, code: VarInt) {
        if self.sending != Sending::Open && !(self.sending == Sending::Closing && self.fin) {
            return;
        }
        self.drop_queue();
        let Some(id) = self.id else {
            self.reset = Some(code);
            return;
        };
        self.fin = false;
        // An error says that it is over already.
        let _ = quic.send_stream(id).reset(code);
        self.sending = Sending::Over;
    }

    pub fn set_priority(&mut self, quic: &mut Connection, priority: i32) {
        self.priority = priority;
        if let Some(id) = self.id
            && self.sending != Sending::Over
        {
            let _ = quic.send_stream(id).set_priority(priority);
        }
    }

    /// The peer's STOP_SENDING: answered by RESET_STREAM with the same code (RFC 9000 section 3.5).
    pub fn stopped(
        &mut self,
        quic: &mut Connection,
        code: VarInt,
        out: &mut Completions,
        connection: u32,
    ) {
        if self.sending == Sending::Over {
            return;
        }
        self.drop_queue();
        if let Some(id) = self.id {
            let _ = quic.send_stream(id).reset(code);
        }
        self.sending = Sending::Over;
        out.begin(Kind::StreamStopped, connection)
            .word(self.key)
            .long(code.into_inner())
            .end();
    }

    /// The peer has acknowledged everything.
    pub fn finished(&mut self) {
        self.sending = Sending::Over;
    }

    /// Moves queued bytes, and the end after them, to QUIC.
    pub fn pump(&mut self, quic: &mut Connection) {
        self.pump_turn(quic, usize::MAX);
    }

    /// The same with `left` bytes at most.
    pub fn pump_turn(&mut self, quic: &mut Connection, mut left: usize) -> Turn {
        let Some(id) = self.id.filter(|_| self.sending == Sending::Open) else {
            return Turn::Done;
        };
        let mut stream = quic.send_stream(id);
        // Until QUIC says that it is blocked: only then does it tell of room.
        while let Some(chunk) = self.queue.front_mut() {
            if left == 0 {
                return Turn::Over;
            }
            let mut part = [chunk.slice(..chunk.len().min(left))];
            match stream.write_chunks(&mut part) {
                Ok(written) => {
                    let count = written.bytes;
                    left -= count;
                    self.queued -= count;
                    self.unreported += self.untold.take(count);
                    chunk.advance(count);
                    if chunk.is_empty() {
                        self.queue.pop_front();
                    }
                }
                Err(WriteError::Blocked) => return Turn::Blocked { left },
                // The event that tells why comes by itself.
                Err(WriteError::Stopped(_) | WriteError::ClosedStream) => {
                    self.drop_queue();
                    return Turn::Done;
                }
            }
        }
        if self.fin {
            let _ = stream.finish();
            self.sending = Sending::Closing;
        }
        Turn::Done
    }

    fn drop_queue(&mut self) {
        self.queue = VecDeque::new();
        self.unreported += self.untold.take(self.queued);
        self.queued = 0;
    }

    /// Whether the room that was freed should be told at once; `None` when there is nothing to tell.
    pub fn space(&self) -> Option<bool> {
        (self.unreported > 0).then_some(self.unreported >= UNREPORTED)
    }

    pub fn report_space(&mut self, out: &mut Completions, connection: u32) {
        if self.unreported > 0 {
            out.begin(Kind::StreamSpace, connection)
                .word(self.key)
                .word(self.unreported as u32)
                .end_quietly();
            self.unreported = 0;
        }
    }
}

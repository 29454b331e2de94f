//! One stream of a connection: what waits to be written, and how much may be read.

use std::collections::VecDeque;

use bytes::Bytes;
use quinn_proto::{Connection, ReadError, StreamId, VarInt, WriteError};

use crate::quic::byte_splice::{Feeder, StreamSplice};
use crate::seam::budget::Budget;
use crate::seam::completion::{Completions, Kind};
use crate::seam::untold::Untold;

/// Largest piece of stream data in one record.
const PIECE: usize = 64 * 1024;

/// Bytes of one stream delivered before another stream has its turn.
const TURN: usize = 256 * 1024;

/// Bytes given to QUIC that JavaScript has not been told of, above which it is told at once.
const UNREPORTED: usize = 32 * 1024;

#[derive(PartialEq, Eq, Clone, Copy)]
enum Sending {
    /// There is no such side, or QUIC has forgotten it.
    Over,
    Open,
    /// FIN was given to QUIC, or reset; its acknowledgement will end the side.
    Closing,
}

pub struct Stream {
    pub key: u32,
    pub id: Option<StreamId>,
    pub priority: i32,
    /// In the connection's list of streams to read.
    pub listed_readable: bool,
    /// In the connection's list of streams with something to report.
    pub listed_space: bool,
    sending: Sending,
    queue: VecDeque<Bytes>,
    queued: usize,
    fin: bool,
    reset: Option<VarInt>,
    unreported: usize,
    untold: Untold,
    receiving: bool,
    stop: Option<VarInt>,
    credit: u64,
    /// Bytes that were delivered.
    delivered: u64,
    /// What comes goes to a socket.
    pub(super) splice: Option<Box<StreamSplice>>,
    /// A socket writes here.
    pub(super) feeder: Option<Feeder>,
    /// What a splice did not take: delivered before all else, and the end behind it if that came.
    given_back: Vec<u8>,
    late_end: Option<End>,
}

impl Stream {
    pub fn new(key: u32, id: Option<StreamId>, sends: bool, receives: bool) -> Self {
        Self {
            key,
            id,
            priority: 0,
            listed_readable: false,
            listed_space: false,
            sending: if sends { Sending::Open } else { Sending::Over },
            queue: VecDeque::new(),
            queued: 0,
            fin: false,
            reset: None,
            unreported: 0,
            untold: Untold::default(),
            receiving: receives,
            stop: None,
            credit: 0,
            delivered: 0,
            splice: None,
            feeder: None,
            given_back: Vec::new(),
            late_end: None,
        }
    }

    /// Neither side will tell anything more.
    pub fn done(&self) -> bool {
        self.sending == Sending::Over && !self.receiving
    }

    /// Gives what was asked for before the stream had its id to QUIC.
    pub fn opened(&mut self, quic: &mut Connection, id: StreamId) {
        self.id = Some(id);
        if self.priority != 0 {
            self.set_priority(quic, self.priority);
        }
        if let Some(code) = self.stop.take() {
            self.stop(quic, code);
        }
        if let Some(code) = self.reset.take() {
            self.reset(quic, code);
        } else {
            self.pump(quic);
        }
    }

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
        self.sending = match quic.send_stream(id).reset(code) {
            Ok(()) => Sending::Over,
            Err(_) => Sending::Over,
        };
    }

    pub fn stop(&mut self, quic: &mut Connection, code: VarInt) {
        if !self.receiving {
            return;
        }
        match self.id {
            Some(id) => {
                self.receiving = false;
                // An error means that the peer had finished already.
                let _ = quic.recv_stream(id).stop(code);
            }
            None => self.stop = Some(code),
        }
    }

    pub fn set_priority(&mut self, quic: &mut Connection, priority: i32) {
        self.priority = priority;
        if let Some(id) = self.id
            && self.sending != Sending::Over
        {
            let _ = quic.send_stream(id).set_priority(priority);
        }
    }

    pub fn grant(&mut self, bytes: u64) {
        self.credit = self.credit.saturating_add(bytes);
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
        let Some(id) = self.id else { return };
        if self.sending != Sending::Open {
            return;
        }
        let mut stream = quic.send_stream(id);
        // Until QUIC says that it is blocked: only then does it tell of room.
        while !self.queue.is_empty() {
            let (chunks, _) = self.queue.as_mut_slices();
            match stream.write_chunks(chunks) {
                Ok(written) => {
                    self.queued -= written.bytes;
                    self.unreported += self.untold.take(written.bytes);
                    self.queue.drain(..written.chunks);
                }
                Err(WriteError::Blocked) => break,
                // The event that tells why comes by itself.
                Err(WriteError::Stopped(_) | WriteError::ClosedStream) => {
                    self.drop_queue();
                    return;
                }
            }
        }
        if self.queue.is_empty() && self.fin {
            let _ = quic.send_stream(id).finish();
            self.sending = Sending::Closing;
        }
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

    /// Delivers within the credit; true when more could follow at once. The end is left to the caller.
    pub fn read(
        &mut self,
        quic: &mut Connection,
        out: &mut Completions,
        connection: u32,
        budget: Budget<'_>,
    ) -> (bool, Option<End>) {
        let Some(id) = self.id else {
            return (false, None);
        };
        if !self.receiving || self.splice.is_some() {
            return (false, None);
        }
        if !self.given_back.is_empty() {
            let bytes = std::mem::take(&mut self.given_back);
            self.credit = self.credit.saturating_sub(bytes.len() as u64);
            out.begin(Kind::StreamData, connection)
                .word(self.key)
                .bytes(&bytes)
                .end();
        }
        if let Some(end) = self.late_end.take() {
            self.receiving = false;
            return (false, Some(end));
        }
        let mut receiver = quic.recv_stream(id);
        let Ok(mut chunks) = receiver.read(true) else {
            self.receiving = false;
            return (false, None);
        };
        let mut turn = TURN;
        let outcome = loop {
            if turn == 0 || budget.spent(out) {
                break (true, None);
            }
            let limit = (PIECE.min(turn) as u64).min(self.credit) as usize;
            match chunks.next(limit) {
                // No credit, and data is there.
                Ok(Some(chunk)) if chunk.bytes.is_empty() => break (false, None),
                Ok(Some(chunk)) => {
                    self.credit -= chunk.bytes.len() as u64;
                    self.delivered += chunk.bytes.len() as u64;
                    turn -= chunk.bytes.len();
                    out.begin(Kind::StreamData, connection)
                        .word(self.key)
                        .bytes(&chunk.bytes)
                        .end();
                }
                Ok(None) => break (false, Some(End::Clean)),
                Err(ReadError::Reset(code)) => break (false, Some(End::Reset(code))),
                Err(ReadError::Blocked) => break (false, None),
            }
        };
        let _ = chunks.finalize();
        if outcome.1.is_some() {
            self.receiving = false;
        }
        outcome
    }
}

impl Stream {
    /// Has what comes from here on go to a socket, and lets that write; false where JavaScript has yet to
    /// hear of something, or a side is over.
    pub fn begin_splice(&mut self, splice: StreamSplice, received: u64) -> bool {
        let open = self.receiving && self.sending == Sending::Open && !self.fin;
        if !open || self.id.is_none() || self.splice.is_some() || self.delivered != received {
            return false;
        }
        self.feeder = Some(Feeder {
            id: splice.id,
            socket: splice.socket,
            waiting: false,
        });
        self.splice = Some(Box::new(splice));
        true
    }

    /// What comes is delivered to JavaScript again: first these bytes.
    pub fn end_splice(&mut self, given_back: Vec<u8>) {
        self.splice = None;
        self.given_back = given_back;
    }

    /// Adds what was received to `payload`, out of `room` bytes at most; true when more waits. Where
    /// something comes that JavaScript has to see, the splice of this direction is over.
    pub fn forward(
        &mut self,
        quic: &mut Connection,
        mut room: usize,
        payload: &mut Vec<u8>,
    ) -> bool {
        let (Some(id), Some(splice)) = (self.id, &mut self.splice) else {
            return false;
        };
        let mut receiver = quic.recv_stream(id);
        let Ok(mut chunks) = receiver.read(true) else {
            self.receiving = false;
            self.splice = None;
            return false;
        };
        let mut end = None;
        let mut given_back = None;
        let more = loop {
            // Also without room: a reset is told at once.
            match chunks.next(room.min(PIECE)) {
                Ok(Some(chunk)) if chunk.bytes.is_empty() => break true,
                Ok(Some(chunk)) => {
                    room -= chunk.bytes.len();
                    if let Err(back) = splice
                        .unframing
                        .push(&chunk.bytes, &mut |piece| payload.extend_from_slice(piece))
                    {
                        given_back = Some(back);
                        break false;
                    }
                }
                Ok(None) => end = Some(End::Clean),
                Err(ReadError::Reset(code)) => end = Some(End::Reset(code)),
                Err(ReadError::Blocked) => break false,
            }
            if end.is_some() {
                given_back = Some(splice.unframing.give_back(&[]));
                break false;
            }
        };
        let _ = chunks.finalize();
        if let Some(bytes) = given_back {
            self.late_end = end;
            self.end_splice(bytes);
        }
        more
    }

    /// Whether the socket of this splice may write now; `None` when it may no more.
    pub fn takes(&mut self, splice: u64) -> Option<bool> {
        let feeder = self.feeder.as_mut().filter(|feeder| feeder.id == splice)?;
        if self.sending != Sending::Open || self.fin {
            return None;
        }
        feeder.waiting = !self.queue.is_empty();
        Some(!feeder.waiting)
    }

    /// The socket that may go on writing, or has to hear that it may not.
    pub fn freed_feeder(&mut self) -> Option<u32> {
        let feeder = self.feeder.as_mut().filter(|feeder| feeder.waiting)?;
        if !self.queue.is_empty() && self.sending == Sending::Open {
            return None;
        }
        feeder.waiting = false;
        Some(feeder.socket)
    }

    /// Writes bytes of a splice.
    pub fn write_spliced(&mut self, quic: &mut Connection, bytes: &[u8]) {
        if self.sending == Sending::Open && !self.fin {
            self.untold.push(bytes.len(), self.queued);
            self.write(quic, bytes);
        }
    }
}

/// How the peer's side of a stream ended.
pub enum End {
    Clean,
    Reset(VarInt),
}

impl End {
    pub fn write(&self, out: &mut Completions, connection: u32, key: u32) {
        match self {
            Self::Clean => out.begin(Kind::StreamEnd, connection).word(key).end(),
            Self::Reset(code) => out
                .begin(Kind::StreamReset, connection)
                .word(key)
                .long(code.into_inner())
                .end(),
        }
    }
}

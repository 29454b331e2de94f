//! The receiving part of a stream (RFC 9000 section 3.2): what is read within the credit, and the ends of it.

use quinn_proto::{Connection, ReadError, VarInt};

use crate::quic::stream::Stream;
use crate::seam::budget::Budget;
use crate::seam::completion::{Completions, Kind};

/// Largest piece of stream data in one record.
pub(super) const PIECE: usize = 64 * 1024;

/// Bytes of one stream delivered before another stream has its turn.
const TURN: usize = 256 * 1024;

impl Stream {
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

    pub fn grant(&mut self, bytes: u64) {
        self.credit = self.credit.saturating_add(bytes);
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

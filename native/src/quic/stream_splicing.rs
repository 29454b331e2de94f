//! A stream whose bytes go to another side, and to which that side writes.

use quinn_proto::{Connection, ReadError};

use crate::quic::byte_splice::{Feeder, StreamSplice};
use crate::quic::stream::{Sending, Stream};
use crate::quic::stream_receiving::{End, PIECE};
use crate::splice::side::Side;

impl Stream {
    /// False where JavaScript has yet to hear of something, or a side is over.
    pub fn may_splice(&self, received: u64) -> bool {
        let open = self.receiving && self.sending == Sending::Open && !self.fin;
        open && self.id.is_some() && self.splice.is_none() && self.delivered == received
    }

    /// Has what comes from here on go to the other side, and lets that write.
    pub fn begin_splice(&mut self, splice: StreamSplice) {
        self.feeder = Some(Feeder {
            id: splice.id,
            from: splice.to,
            waiting: false,
        });
        self.splice = Some(Box::new(splice));
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

    /// Whether the other side of this splice may write now; `None` when it may no more.
    pub fn takes(&mut self, splice: u64) -> Option<bool> {
        let feeder = self.feeder.as_mut().filter(|feeder| feeder.id == splice)?;
        if self.sending != Sending::Open || self.fin {
            return None;
        }
        feeder.waiting = !self.queue.is_empty();
        Some(!feeder.waiting)
    }

    /// The side that may go on writing, or has to hear that it may not.
    pub fn freed_feeder(&mut self) -> Option<Side> {
        let feeder = self.feeder.as_mut().filter(|feeder| feeder.waiting)?;
        if !self.queue.is_empty() && self.sending == Sending::Open {
            return None;
        }
        feeder.waiting = false;
        Some(feeder.from)
    }

    /// Writes bytes of a splice.
    pub fn write_spliced(&mut self, quic: &mut Connection, bytes: &[u8]) {
        if self.sending == Sending::Open && !self.fin {
            self.untold.push(bytes.len(), self.queued);
            self.write(quic, bytes);
        }
    }
}

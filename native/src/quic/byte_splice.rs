//! Streams whose bytes the engine moves to and from a TCP socket, or a stream of another connection.

use std::sync::Arc;

use crate::counters::Counter;
use crate::quic::connection::Connection;
use crate::splice::side::Side;
use crate::splice::unframing::Unframing;

/// The way from a stream to the other side.
pub struct StreamSplice {
    /// Never used twice, unlike the numbers of sockets and streams.
    pub id: u64,
    pub to: Side,
    pub unframing: Unframing,
    /// Where the other side is a stream.
    pub relabelled: Option<Relabelled>,
}

/// How bytes are written to another stream.
#[derive(Clone)]
pub struct Relabelled {
    /// The type of the capsules around them there.
    pub capsule: Option<u64>,
    pub moved: Arc<Counter>,
}

/// The side that writes to a stream.
pub struct Feeder {
    pub id: u64,
    pub from: Side,
    /// It waits for room.
    pub waiting: bool,
}

impl Connection {
    /// Whether `begin_byte_splice` would be done.
    pub fn may_splice(&self, key: u32, received: u64) -> bool {
        let stream = self.streams.get(&key);
        self.announced && !self.told_closed && stream.is_some_and(|it| it.may_splice(received))
    }

    pub fn relabelled(&self, key: u32) -> Option<Relabelled> {
        self.streams.get(&key)?.splice.as_ref()?.relabelled.clone()
    }

    /// As `Stream::begin_splice`, if it may.
    pub fn begin_byte_splice(&mut self, key: u32, splice: StreamSplice, received: u64) -> bool {
        if !self.may_splice(key, received) {
            return false;
        }
        let Some(stream) = self.streams.get_mut(&key) else {
            return false;
        };
        stream.begin_splice(splice);
        // It may stand in the list of those that JavaScript reads.
        stream.listed_readable = true;
        self.readable_splices.push(key);
        true
    }

    /// Where a stream's bytes go to, with the splice's id.
    pub fn drain_of(&self, key: u32) -> Option<(u64, Side)> {
        let splice = self.streams.get(&key)?.splice.as_ref()?;
        Some((splice.id, splice.to))
    }

    /// As `Stream::forward`; a stream that is JavaScript's again is listed to be read.
    pub fn forward_bytes(&mut self, key: u32, room: usize, payload: &mut Vec<u8>) -> bool {
        let Some(stream) = self.streams.get_mut(&key) else {
            return false;
        };
        stream.listed_readable = false;
        let more = stream.forward(&mut self.quic, room, payload);
        if stream.splice.is_none() {
            self.list_readable(key);
        }
        more
    }

    /// Bytes that JavaScript had been told of before the splice go first.
    pub fn push_prefix(&mut self, key: u32, prefix: &[u8], payload: &mut Vec<u8>) {
        let Some(stream) = self.streams.get_mut(&key) else {
            return;
        };
        if let Some(splice) = &mut stream.splice
            && let Err(given_back) = splice
                .unframing
                .push(prefix, &mut |piece| payload.extend_from_slice(piece))
        {
            self.end_byte_splice(key, given_back);
        }
    }

    /// The other side takes nothing any more: JavaScript reads the stream again, from where the splice stands.
    pub fn give_up_byte_splice(&mut self, key: u32) {
        let splice = self.streams.get(&key).and_then(|it| it.splice.as_ref());
        if let Some(splice) = splice {
            let given_back = splice.unframing.give_back(&[]);
            self.end_byte_splice(key, given_back);
        }
    }

    /// JavaScript reads the stream again, first these bytes.
    fn end_byte_splice(&mut self, key: u32, given_back: Vec<u8>) {
        if let Some(stream) = self.streams.get_mut(&key) {
            stream.end_splice(given_back);
            stream.listed_readable = false;
            self.list_readable(key);
        }
    }

    /// As `Stream::takes`.
    pub fn takes_bytes(&mut self, key: u32, splice: u64) -> Option<bool> {
        if self.told_closed {
            return None;
        }
        self.streams.get_mut(&key)?.takes(splice)
    }
}

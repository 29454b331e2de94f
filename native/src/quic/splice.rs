//! The splices of a connection: datagrams that begin with a certain number, and then 0, belong to a
//! socket or to another connection, whose packets or datagrams become such datagrams.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use rustc_hash::FxHashMap;

use crate::counters::SpliceCounters;
use crate::quic::connection::Connection;
use crate::quic::datagram::OVERHEAD;

/// Bytes of datagrams that wait while a splice begins, and of those that wait for JavaScript beside
/// running splices; beyond it the oldest is dropped.
const WAITING: usize = 256 * 1024;

/// Memory taken at once for datagrams to be sent: asking for each costs more.
const PIECE: usize = 32 * 1024;

/// Where the payloads that a connection receives go.
#[derive(Clone, Copy, PartialEq)]
pub enum Sink {
    Socket(u32),
    /// Datagrams of this number.
    Connection(u32, u64),
    /// It is over.
    Nowhere,
}

/// One splice, as its connection knows it.
pub struct Splice {
    pub sink: Sink,
    pub counters: Arc<SpliceCounters>,
    /// What comes while JavaScript still works on what came before; `None` once it is done.
    held: Option<Waiting>,
    /// The number and the 0 in front of every datagram.
    prefix: Vec<u8>,
    /// Datagrams to be sent, with the time at which they came.
    pub queue: VecDeque<(Instant, Bytes)>,
    /// Their bytes, with what each costs besides.
    pub queued: usize,
    /// How many datagrams of JavaScript go first: those that it had queued before the splice began.
    pub after: u64,
}

/// Datagrams within `WAITING` bytes, the oldest first.
#[derive(Default)]
pub struct Waiting {
    queue: VecDeque<Bytes>,
    bytes: usize,
}

impl Waiting {
    /// How many had to go for this one.
    pub fn push(&mut self, datagram: Bytes) -> u64 {
        self.bytes += datagram.len() + OVERHEAD;
        self.queue.push_back(datagram);
        let mut dropped = 0;
        while self.bytes > WAITING && self.pop().is_some() {
            dropped += 1;
        }
        dropped
    }

    pub fn pop(&mut self) -> Option<Bytes> {
        let datagram = self.queue.pop_front()?;
        self.bytes -= datagram.len() + OVERHEAD;
        Some(datagram)
    }

    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}

/// What a connection has of splices.
#[derive(Default)]
pub struct Splices {
    pub by_number: FxHashMap<u64, Splice>,
    /// Datagrams for JavaScript that were found among those of splices.
    pub upward: Waiting,
}

/// A variable-length integer (RFC 9000 section 16) and the bytes it takes.
pub(crate) fn varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let first = *bytes.first()?;
    let length = 1usize << (first >> 6);
    let rest = bytes.get(1..length)?;
    let value = rest.iter().fold(u64::from(first & 0x3f), |value, &byte| {
        value << 8 | u64::from(byte)
    });
    Some((value, length))
}

pub(crate) fn encoded(value: u64) -> Vec<u8> {
    let length = match value {
        0..0x40 => 1,
        0x40..0x4000 => 2,
        0x4000..0x4000_0000 => 4,
        _ => 8usize,
    };
    let mut bytes = value.to_be_bytes()[8 - length..].to_vec();
    bytes[0] |= (length.trailing_zeros() as u8) << 6;
    bytes
}

/// The number that a datagram begins with and where what follows the 0 after it begins; `None` where
/// another number follows, or nothing.
fn address(datagram: &[u8]) -> Option<(u64, usize)> {
    let (number, length) = varint(datagram)?;
    match varint(&datagram[length..])? {
        (0, more) => Some((number, length + more)),
        _ => None,
    }
}

impl Splice {
    pub fn new(number: u64, sink: Sink, counters: Arc<SpliceCounters>) -> Self {
        let mut prefix = encoded(number);
        prefix.push(0);
        Self {
            sink,
            counters,
            held: Some(Waiting::default()),
            prefix,
            queue: VecDeque::new(),
            queued: 0,
            after: 0,
        }
    }

    /// Bytes of payload in one of its datagrams.
    pub fn payload_size(&self, datagram: &[u8]) -> u64 {
        (datagram.len() - self.prefix.len()) as u64
    }
}

impl Splices {
    /// The splice and a datagram of it that carries this payload, if the datagram is not too large.
    pub fn datagram(
        &mut self,
        number: u64,
        payload: &[u8],
        largest: usize,
        memory: &mut BytesMut,
    ) -> Option<(&mut Splice, Bytes)> {
        let splice = self.by_number.get_mut(&number)?;
        let size = splice.prefix.len() + payload.len();
        if size > largest {
            splice.counters.dropped_out_too_large.add(1);
            return None;
        }
        if memory.capacity() < size {
            *memory = BytesMut::with_capacity(PIECE.max(size));
        }
        memory.extend_from_slice(&splice.prefix);
        memory.extend_from_slice(payload);
        Some((splice, memory.split().freeze()))
    }
}

impl Connection {
    /// Holds back, from now on, the datagrams of this number; false where that cannot be.
    pub fn prepare_splice(
        &mut self,
        number: u64,
        sink: Sink,
        counters: &Arc<SpliceCounters>,
    ) -> bool {
        let splices = &mut self.datagrams.splices;
        if !self.announced || self.told_closed || splices.by_number.contains_key(&number) {
            return false;
        }
        let mut splice = Splice::new(number, sink, Arc::clone(counters));
        // What JavaScript has not been told yet comes after what it has.
        let mut others = Waiting::default();
        while let Some(datagram) = splices.upward.pop() {
            match (address(&datagram), &mut splice.held) {
                (Some((of, _)), Some(held)) if of == number => held.push(datagram),
                _ => others.push(datagram),
            };
        }
        splices.upward = others;
        splices.by_number.insert(number, splice);
        self.datagrams_waiting = true;
        true
    }

    /// JavaScript has handed on all that it was told: what was held back goes to `forward`.
    pub fn start_splice(
        &mut self,
        number: u64,
        mut forward: impl FnMut(Sink, &SpliceCounters, &[u8]),
    ) {
        let after = self.datagrams.pushed();
        let Some(splice) = self.datagrams.splices.by_number.get_mut(&number) else {
            return;
        };
        splice.after = after;
        let mut held = splice.held.take().unwrap_or_default();
        while let Some(datagram) = held.pop() {
            if let Some((_, start)) = address(&datagram) {
                self.datagrams_delivered += 1;
                forward(splice.sink, &splice.counters, &datagram[start..]);
            }
        }
    }

    /// JavaScript takes over again: what waits to be sent goes before what it will send, what was
    /// held back goes to it.
    pub fn stop_splice(&mut self, number: u64) {
        if let Some(splice) = self.datagrams.remove_splice(number, true) {
            let mut held = splice.held.unwrap_or_default();
            while let Some(datagram) = held.pop() {
                self.datagrams.splices.upward.push(datagram);
                self.datagrams_waiting = true;
            }
        }
    }

    /// Gives the payloads received for splices to `forward`; other datagrams wait for JavaScript.
    pub fn sort_datagrams(&mut self, mut forward: impl FnMut(Sink, &SpliceCounters, &[u8])) {
        let splices = &mut self.datagrams.splices;
        if !self.datagrams_waiting || splices.by_number.is_empty() {
            return;
        }
        while let Some(datagram) = self.quic.datagrams().recv() {
            let found = address(&datagram)
                .and_then(|(number, start)| Some((splices.by_number.get_mut(&number)?, start)));
            match found {
                Some((splice, start)) => match &mut splice.held {
                    Some(held) => splice.counters.dropped_in_socket.add(held.push(datagram)),
                    None => {
                        self.datagrams_delivered += 1;
                        forward(splice.sink, &splice.counters, &datagram[start..]);
                    }
                },
                None => {
                    splices.upward.push(datagram);
                }
            }
        }
        self.datagrams_waiting = !splices.upward.is_empty();
    }

    /// The next datagram for JavaScript.
    pub(super) fn next_datagram(&mut self) -> Option<Bytes> {
        self.datagrams
            .splices
            .upward
            .pop()
            .or_else(|| self.quic.datagrams().recv())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_in_every_length_and_written_in_the_shortest() {
        for value in [
            0,
            63,
            64,
            16_383,
            16_384,
            0x3fff_ffff,
            0x4000_0000,
            (1 << 62) - 1,
        ] {
            let bytes = encoded(value);
            assert_eq!(varint(&bytes), Some((value, bytes.len())));
        }
        assert_eq!(encoded(63), [63]);
        assert_eq!(encoded(64), [0x40, 64]);
        assert_eq!(varint(&[0x80, 0, 0, 7]), Some((7, 4)));
        assert_eq!(varint(&[0x80, 0, 0]), None);
        assert_eq!(varint(&[]), None);
    }

    #[test]
    fn only_what_a_zero_follows_is_addressed() {
        assert_eq!(address(&[5, 0, 1, 2]), Some((5, 2)));
        assert_eq!(address(&[5, 0x40, 0, 1]), Some((5, 3)), "a longer zero");
        assert_eq!(address(&[5, 0]), Some((5, 2)), "an empty payload");
        assert_eq!(address(&[5, 2, 0]), None);
        assert_eq!(address(&[5]), None);
        assert_eq!(address(&[0x40]), None);
    }

    #[test]
    fn what_waits_is_bounded_and_the_oldest_goes() {
        let mut waiting = Waiting::default();
        let mut dropped = 0;
        for number in 0..4u8 {
            dropped += waiting.push(Bytes::from(vec![number; WAITING / 3]));
        }
        assert_eq!(dropped, 2);
        assert_eq!(waiting.pop().map(|bytes| bytes[0]), Some(2));
        assert_eq!(waiting.pop().map(|bytes| bytes[0]), Some(3));
        assert!(waiting.is_empty());
        assert_eq!(waiting.bytes, 0);
    }
}

//! Datagrams waiting to be sent: JavaScript's, bounded in bytes by its own count, and those of
//! splices, bounded here; all of them bounded in time, and each sender with its turn.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use quinn_proto::{Connection, SendDatagramError};

use crate::quic::splice::{Splice, Splices};

/// What QUIC itself may hold: enough for the largest batch of packets, little enough that the
/// waiting is done here, where age counts.
pub const INNER_QUEUE: usize = 48 * 1024;

/// What each datagram counts besides its bytes, as in `src/quic/native/context.ts`.
pub const OVERHEAD: usize = 32;

/// Bytes that one sender moves to QUIC before others have their turn.
const TURN: usize = 16 * 1024;

/// A sender of datagrams.
#[derive(Clone, Copy, PartialEq)]
enum Sender {
    JavaScript,
    Splice(u64),
}

/// What came of a sender's turn.
enum Fed {
    Blocked,
    Empty,
    Turn,
}

/// A datagram of JavaScript, or one that a splice left.
struct Own {
    since: Instant,
    bytes: Bytes,
    /// JavaScript has counted it and waits to hear that it left.
    counted: bool,
}

pub struct DatagramQueue {
    own: VecDeque<Own>,
    pub splices: Splices,
    /// Senders with something to send, in the order of their turns; the first one has `left` bytes.
    turns: VecDeque<Sender>,
    left: usize,
    /// Datagrams that ever joined JavaScript's queue, and that left it.
    pushed: u64,
    popped: u64,
    /// Bytes in the queues of splices.
    spliced: usize,
    max_age: Duration,
    capacity: usize,
    unreported: usize,
    pub dropped: u64,
}

impl DatagramQueue {
    pub fn new(max_age: Duration, capacity: usize) -> Self {
        Self {
            own: VecDeque::new(),
            splices: Splices::default(),
            turns: VecDeque::new(),
            left: TURN,
            pushed: 0,
            popped: 0,
            spliced: 0,
            max_age,
            capacity,
            unreported: 0,
            dropped: 0,
        }
    }

    /// Datagrams that ever joined JavaScript's queue.
    pub fn pushed(&self) -> u64 {
        self.pushed
    }

    pub fn push(&mut self, now: Instant, bytes: &[u8]) {
        self.join(Own {
            since: now,
            bytes: Bytes::copy_from_slice(bytes),
            counted: true,
        });
    }

    fn join(&mut self, own: Own) {
        if self.own.is_empty() {
            self.turns.push_back(Sender::JavaScript);
        }
        self.own.push_back(own);
        self.pushed += 1;
    }

    /// Queues a packet of a splice's socket. When the queues are full, the oldest of the sender with
    /// more than its share goes.
    pub fn push_spliced(
        &mut self,
        now: Instant,
        number: u64,
        payload: &[u8],
        largest: usize,
        memory: &mut BytesMut,
    ) {
        let Some((splice, datagram)) = self.splices.datagram(number, payload, largest, memory)
        else {
            return;
        };
        let cost = datagram.len() + OVERHEAD;
        if splice.queue.is_empty() {
            self.turns.push_back(Sender::Splice(number));
        }
        splice.queue.push_back((now, datagram));
        splice.queued += cost;
        self.spliced += cost;
        while self.spliced > self.capacity {
            self.drop_of_largest(number);
        }
    }

    fn drop_of_largest(&mut self, number: u64) {
        let queued = |number: u64| {
            let splice = self.splices.by_number.get(&number);
            splice.map_or(0, |splice| splice.queued)
        };
        let mut largest = number;
        if queued(number) * self.turns.len() < self.spliced {
            for &sender in &self.turns {
                if let Sender::Splice(other) = sender
                    && queued(other) > queued(largest)
                {
                    largest = other;
                }
            }
        }
        if let Some(splice) = self.splices.by_number.get_mut(&largest)
            && let Some((_, bytes)) = splice.queue.pop_front()
        {
            splice.queued -= bytes.len() + OVERHEAD;
            self.spliced -= bytes.len() + OVERHEAD;
            splice.counters.dropped_out_queue_full.add(1);
            self.dropped += 1;
            if splice.queue.is_empty() {
                self.turns
                    .retain(|&sender| sender != Sender::Splice(largest));
            }
        } else {
            // Never: what is counted is in a queue.
            self.spliced = 0;
        }
    }

    /// Forgets a splice. With `keep`, what waits goes on in JavaScript's queue.
    pub fn remove_splice(&mut self, number: u64, keep: bool) -> Option<Splice> {
        let mut splice = self.splices.by_number.remove(&number)?;
        self.spliced -= splice.queued;
        let queue = std::mem::take(&mut splice.queue);
        if !queue.is_empty() {
            self.turns
                .retain(|&sender| sender != Sender::Splice(number));
        }
        for (since, bytes) in queue {
            if keep {
                splice.counters.payloads_out.add(1);
                splice.counters.bytes_out.add(splice.payload_size(&bytes));
                self.join(Own {
                    since,
                    bytes,
                    counted: false,
                });
            } else {
                splice.counters.dropped_out_queue_full.add(1);
                self.dropped += 1;
            }
        }
        Some(splice)
    }

    /// Moves what QUIC takes to it, oldest first of each sender in its turn; drops what has waited too
    /// long or no longer fits.
    pub fn feed(&mut self, quic: &mut Connection, now: Instant) {
        while let Some(&sender) = self.turns.front() {
            let fed = match sender {
                Sender::JavaScript => self.feed_own(quic, now),
                Sender::Splice(number) => self.feed_spliced(number, quic, now),
            };
            match fed {
                Fed::Blocked => return,
                Fed::Empty => {
                    self.turns.pop_front();
                }
                Fed::Turn => self.turns.rotate_left(1),
            }
            self.left = TURN;
        }
    }

    fn feed_own(&mut self, quic: &mut Connection, now: Instant) -> Fed {
        while let Some(own) = self.own.pop_front() {
            let length = own.bytes.len();
            if now.saturating_duration_since(own.since) >= self.max_age {
                self.dropped += 1;
            } else {
                match quic.datagrams().send(own.bytes, false) {
                    Ok(()) => {}
                    Err(SendDatagramError::Blocked(bytes)) => {
                        self.own.push_front(Own { bytes, ..own });
                        return Fed::Blocked;
                    }
                    Err(_) => self.dropped += 1,
                }
            }
            self.popped += 1;
            if own.counted {
                self.unreported += length + OVERHEAD;
            }
            if self.left <= length && !self.own.is_empty() {
                return Fed::Turn;
            }
            self.left = self.left.saturating_sub(length);
        }
        Fed::Empty
    }

    fn feed_spliced(&mut self, number: u64, quic: &mut Connection, now: Instant) -> Fed {
        let Some(splice) = self.splices.by_number.get_mut(&number) else {
            return Fed::Empty;
        };
        if self.popped < splice.after {
            return Fed::Turn;
        }
        while let Some((since, bytes)) = splice.queue.pop_front() {
            let length = bytes.len();
            let counters = &splice.counters;
            if now.saturating_duration_since(since) >= self.max_age {
                self.dropped += 1;
                counters.dropped_out_queue_full.add(1);
            } else {
                let size = splice.payload_size(&bytes);
                match quic.datagrams().send(bytes, false) {
                    Ok(()) => {
                        counters.payloads_out.add(1);
                        counters.bytes_out.add(size);
                    }
                    Err(SendDatagramError::Blocked(bytes)) => {
                        splice.queue.push_front((since, bytes));
                        return Fed::Blocked;
                    }
                    Err(_) => {
                        self.dropped += 1;
                        counters.dropped_out_too_large.add(1);
                    }
                }
            }
            splice.queued -= length + OVERHEAD;
            self.spliced -= length + OVERHEAD;
            if self.left <= length && !splice.queue.is_empty() {
                return Fed::Turn;
            }
            self.left = self.left.saturating_sub(length);
        }
        Fed::Empty
    }

    pub fn has_unreported(&self) -> bool {
        self.unreported > 0
    }

    /// When the oldest of the next sender will be too old.
    pub fn deadline(&self) -> Option<Instant> {
        let since = match self.turns.front()? {
            Sender::JavaScript => self.own.front()?.since,
            Sender::Splice(number) => self.splices.by_number.get(number)?.queue.front()?.0,
        };
        Some(since + self.max_age)
    }

    /// Bytes that left the queue since the last call; with `anyway` false only when they are many.
    pub fn take_unreported(&mut self, anyway: bool) -> Option<u32> {
        if self.unreported == 0 || !(anyway || self.unreported >= self.capacity / 4) {
            return None;
        }
        Some(std::mem::take(&mut self.unreported) as u32)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::counters::SpliceCounters;
    use crate::quic::splice::Sink;

    const CAPACITY: usize = 10_000;

    fn queue(numbers: &[u64]) -> (DatagramQueue, Vec<Arc<SpliceCounters>>) {
        let mut queue = DatagramQueue::new(Duration::from_millis(250), CAPACITY);
        let counters = numbers.iter().map(|&number| {
            let counters = Arc::new(SpliceCounters::default());
            let splice = Splice::new(number, Sink::Socket(0), Arc::clone(&counters));
            queue.splices.by_number.insert(number, splice);
            counters
        });
        let counters = counters.collect();
        (queue, counters)
    }

    fn waiting(queue: &DatagramQueue, number: u64) -> Vec<u8> {
        let splice = &queue.splices.by_number[&number];
        splice.queue.iter().map(|(_, bytes)| bytes[2]).collect()
    }

    #[test]
    fn the_oldest_of_a_flood_goes_and_others_keep_theirs() {
        let (mut queue, counters) = queue(&[1, 2]);
        let now = Instant::now();
        queue.push_spliced(now, 2, &[0; 100], 1200, &mut BytesMut::new());
        for round in 0..20 {
            queue.push_spliced(now, 1, &[round; 1000], 1200, &mut BytesMut::new());
        }
        queue.push_spliced(now, 2, &[1; 100], 1200, &mut BytesMut::new());
        assert_eq!(waiting(&queue, 2), [0, 1]);
        assert_eq!(counters[1].dropped_out_queue_full.get(), 0.0);
        let kept = waiting(&queue, 1);
        assert_eq!(kept, (20 - kept.len() as u8..20).collect::<Vec<_>>());
        assert_eq!(
            counters[0].dropped_out_queue_full.get(),
            20.0 - kept.len() as f64
        );
        assert!(queue.spliced <= CAPACITY && queue.spliced > CAPACITY - 1200);
    }

    #[test]
    fn what_is_too_large_is_counted_and_not_kept() {
        let (mut queue, counters) = queue(&[1]);
        queue.push_spliced(Instant::now(), 1, &[0; 1200], 1201, &mut BytesMut::new());
        queue.push_spliced(Instant::now(), 1, &[0; 1200], 1202, &mut BytesMut::new());
        assert_eq!(waiting(&queue, 1).len(), 1);
        assert_eq!(counters[0].dropped_out_too_large.get(), 1.0);
    }

    #[test]
    fn a_removed_splice_leaves_nothing_or_hands_over_what_waits() {
        for keep in [true, false] {
            let (mut queue, counters) = queue(&[1]);
            let now = Instant::now();
            queue.push(now, &[1, 0, 7]);
            queue.push_spliced(now, 1, &[8], 1200, &mut BytesMut::new());
            assert!(queue.remove_splice(1, keep).is_some());
            let own: Vec<u8> = queue.own.iter().map(|own| own.bytes[2]).collect();
            assert_eq!(own, if keep { vec![7, 8] } else { vec![7] });
            assert_eq!(counters[0].payloads_out.get(), f64::from(u8::from(keep)));
            assert_eq!(
                counters[0].dropped_out_queue_full.get(),
                f64::from(u8::from(!keep))
            );
            assert_eq!(queue.spliced, 0);
            assert_eq!(queue.turns.len(), 1);
        }
    }
}

//! Two queues between the engine's thread and JavaScript, and the two ways of waking the other side.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::command::Command;
use crate::counters::TcpCounterTable;

/// Undrained bytes above which the engine delivers nothing more but ends: datagrams and stream data
/// then wait in QUIC, and packets in the kernel, within the bounds that these have.
pub const BACKLOG_LIMIT: usize = 384 * 1024;

/// Emptied batches that are kept for reuse.
const SPARE_BATCHES: usize = 4;

/// A batch that grew beyond this is given back to the allocator instead of being reused.
const SPARE_CAPACITY: usize = 1024 * 1024;

#[derive(Default)]
struct Inbox {
    operations: Vec<u8>,
    /// Each with the length that the operations had when it came: what was submitted before it goes first.
    commands: Vec<(usize, Command)>,
}

#[derive(Default)]
struct Outbox {
    batches: VecDeque<Vec<u8>>,
    /// Bytes of the first batch that were drained already.
    offset: usize,
    spare: Vec<Vec<u8>>,
}

/// Shared by the engine's thread and the JavaScript thread that owns it.
pub struct Mailbox {
    inbox: Mutex<Inbox>,
    outbox: Mutex<Outbox>,
    backlog: AtomicUsize,
    /// The engine is in, or about to enter, its wait for events.
    sleeping: AtomicBool,
    /// The engine holds something back until JavaScript has drained.
    starved: AtomicBool,
    /// JavaScript was told of completions and has not begun to drain.
    notified: AtomicBool,
    waker: mio::Waker,
    pub tcp_counters: TcpCounterTable,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Mailbox {
    pub fn new(waker: mio::Waker) -> Self {
        Self {
            inbox: Mutex::default(),
            outbox: Mutex::default(),
            backlog: AtomicUsize::new(0),
            sleeping: AtomicBool::new(false),
            starved: AtomicBool::new(false),
            notified: AtomicBool::new(false),
            waker,
            tcp_counters: TcpCounterTable::default(),
        }
    }

    fn wake_engine(&self) {
        if self.sleeping.swap(false, Ordering::SeqCst) {
            // The only failure is an exhausted counter, and then the wake-up is pending anyway.
            let _ = self.waker.wake();
        }
    }

    // JavaScript's side

    /// Hands over one tick's operations.
    pub fn submit(&self, operations: &[u8]) {
        lock(&self.inbox).operations.extend_from_slice(operations);
        self.wake_engine();
    }

    pub fn command(&self, command: Command) {
        self.command_quietly(command);
        self.wake_engine();
    }

    /// A command for which the engine is not woken: something will be submitted soon.
    pub fn command_quietly(&self, command: Command) {
        let mut inbox = lock(&self.inbox);
        let at = inbox.operations.len();
        inbox.commands.push((at, command));
    }

    /// Copies whole records into `target`; returns the bytes copied.
    pub fn drain(&self, target: &mut [u8]) -> usize {
        self.notified.store(false, Ordering::SeqCst);
        let mut filled = 0;
        {
            let mut guard = lock(&self.outbox);
            let outbox = &mut *guard;
            while let Some(batch) = outbox.batches.front_mut() {
                let rest = &batch[outbox.offset..];
                let room = target.len() - filled;
                let count = if rest.len() <= room {
                    rest.len()
                } else {
                    whole_records(rest, room)
                };
                target[filled..filled + count].copy_from_slice(&rest[..count]);
                filled += count;
                if count < rest.len() {
                    outbox.offset += count;
                    break;
                }
                outbox.offset = 0;
                if let Some(mut batch) = outbox.batches.pop_front()
                    && outbox.spare.len() < SPARE_BATCHES
                    && batch.capacity() <= SPARE_CAPACITY
                {
                    batch.clear();
                    outbox.spare.push(batch);
                }
            }
        }
        let before = self.backlog.fetch_sub(filled, Ordering::SeqCst);
        if before - filled <= BACKLOG_LIMIT / 2 && self.starved.swap(false, Ordering::SeqCst) {
            self.wake_engine();
        }
        filled
    }

    // the engine's side

    /// Takes what was submitted, giving an empty buffer in exchange.
    pub fn take(&self, operations: &mut Vec<u8>, commands: &mut Vec<(usize, Command)>) {
        let mut inbox = lock(&self.inbox);
        std::mem::swap(&mut inbox.operations, operations);
        std::mem::swap(&mut inbox.commands, commands);
    }

    /// Announces a wait, with `starved` also one for JavaScript to drain; true when there is
    /// something to do first. What is announced is looked at only afterwards, so that none is missed.
    pub fn about_to_sleep(&self, starved: bool) -> bool {
        self.sleeping.store(true, Ordering::SeqCst);
        self.starved.store(starved, Ordering::SeqCst);
        let drained = starved && self.backlog.load(Ordering::SeqCst) <= BACKLOG_LIMIT / 2;
        let inbox = lock(&self.inbox);
        let busy = drained || !inbox.operations.is_empty() || !inbox.commands.is_empty();
        drop(inbox);
        if busy {
            self.sleeping.store(false, Ordering::SeqCst);
        }
        busy
    }

    pub fn awake(&self) {
        self.sleeping.store(false, Ordering::SeqCst);
    }

    /// Bytes that JavaScript has not drained yet.
    pub fn backlog(&self) -> usize {
        self.backlog.load(Ordering::Relaxed)
    }

    /// Publishes a batch, replacing it by an empty one; true when JavaScript has to be told.
    pub fn publish(&self, batch: &mut Vec<u8>) -> bool {
        self.backlog.fetch_add(batch.len(), Ordering::SeqCst);
        let mut outbox = lock(&self.outbox);
        let empty = outbox.spare.pop().unwrap_or_default();
        outbox.batches.push_back(std::mem::replace(batch, empty));
        drop(outbox);
        !self.notified.swap(true, Ordering::SeqCst)
    }
}

/// Length of the records at the start of `bytes` that fit into `room`.
fn whole_records(bytes: &[u8], room: usize) -> usize {
    let mut end = 0;
    while end + 4 <= bytes.len() {
        let word = u32::from_le_bytes([bytes[end], bytes[end + 1], bytes[end + 2], bytes[end + 3]]);
        let next = end + 4 * (word >> 8) as usize;
        if next > room {
            break;
        }
        end = next;
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seam::completion::{Completions, Kind};

    fn mailbox() -> (mio::Poll, Mailbox) {
        let poll = mio::Poll::new().expect("a poll");
        let waker = mio::Waker::new(poll.registry(), mio::Token(0)).expect("a waker");
        (poll, Mailbox::new(waker))
    }

    fn batch(records: usize, payload: usize) -> Vec<u8> {
        let mut out = Completions::default();
        for index in 0..records {
            out.begin(Kind::Datagram, index as u32)
                .bytes(&vec![7; payload])
                .end();
        }
        out.bytes
    }

    #[test]
    fn drains_whole_records_in_order() {
        let (_poll, mailbox) = mailbox();
        assert!(mailbox.publish(&mut batch(3, 5)), "the first one tells");
        assert!(!mailbox.publish(&mut batch(1, 5)), "the second rides along");
        let mut target = [0; 50];
        // A record of five bytes takes 20.
        assert_eq!(mailbox.drain(&mut target), 40);
        assert_eq!(mailbox.drain(&mut target), 40);
        assert_eq!(mailbox.drain(&mut target), 0);
        assert_eq!(mailbox.backlog(), 0);
        assert!(
            mailbox.publish(&mut batch(1, 5)),
            "after a drain it tells again"
        );
    }

    #[test]
    fn a_wait_for_a_drain_that_has_happened_is_no_wait() {
        let (_poll, mailbox) = mailbox();
        mailbox.publish(&mut batch(400, 1200));
        assert!(!mailbox.about_to_sleep(true));
        let mut target = vec![0; 1024 * 1024];
        assert!(mailbox.drain(&mut target) > BACKLOG_LIMIT);
        assert!(mailbox.about_to_sleep(true));
        mailbox.submit(&[0; 8]);
        assert!(mailbox.about_to_sleep(false));
    }
}

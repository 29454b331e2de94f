//! Counters that the engine's thread raises and JavaScript reads at any time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rustc_hash::FxHashMap;

#[derive(Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub fn add(&self, count: u64) {
        // Only one thread writes.
        self.0
            .store(self.0.load(Ordering::Relaxed) + count, Ordering::Relaxed);
    }

    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    pub fn get(&self) -> f64 {
        self.0.load(Ordering::Relaxed) as f64
    }
}

#[derive(Default)]
pub struct ListenerCounters {
    /// Under way now.
    pub handshakes: Counter,
    pub refused: Counter,
    pub retries: Counter,
}

#[derive(Default)]
pub struct SocketCounters {
    pub packets_sent: Counter,
    pub packets_received: Counter,
    pub bytes_sent: Counter,
    pub bytes_received: Counter,
    pub dropped_sending: Counter,
    pub dropped_receiving: Counter,
    pub splice: Arc<SpliceCounters>,
}

/// What a splice has moved: in is towards the socket, out towards the peer.
#[derive(Default)]
pub struct SpliceCounters {
    pub payloads_in: Counter,
    pub bytes_in: Counter,
    pub payloads_out: Counter,
    pub bytes_out: Counter,
    /// A queue was full, or the wait too long.
    pub dropped_out_queue_full: Counter,
    pub dropped_out_too_large: Counter,
    pub dropped_in_socket: Counter,
    /// Larger than the path to the target takes.
    pub dropped_in_too_large: Counter,
    /// Of capsules, where the engine reads them.
    pub dropped_in_unknown_context: Counter,
    pub dropped_in_malformed: Counter,
}

#[derive(Default)]
pub struct TcpCounters {
    pub bytes_sent: Counter,
    pub bytes_received: Counter,
    /// What a splice has moved: in is towards the socket, out towards the stream.
    pub spliced_in: Counter,
    pub spliced_out: Counter,
}

/// The counters of TCP sockets by number: the engine puts them in, JavaScript takes them out.
#[derive(Default)]
pub struct TcpCounterTable(Mutex<FxHashMap<u32, Arc<TcpCounters>>>);

impl TcpCounterTable {
    pub fn insert(&self, socket: u32) -> Arc<TcpCounters> {
        let counters = Arc::<TcpCounters>::default();
        self.with(|table| table.insert(socket, Arc::clone(&counters)));
        counters
    }

    pub fn get(&self, socket: u32) -> Option<Arc<TcpCounters>> {
        self.with(|table| table.get(&socket).cloned())
    }

    pub fn remove(&self, socket: u32) {
        self.with(|table| table.remove(&socket));
    }

    fn with<T>(&self, act: impl FnOnce(&mut FxHashMap<u32, Arc<TcpCounters>>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

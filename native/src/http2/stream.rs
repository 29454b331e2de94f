//! One stream: what waits to be sent, what was received and not delivered, and the windows of both.

use std::collections::VecDeque;

use crate::http2::flow::Inflow;
use crate::seam::untold::Untold;
use crate::splice::datagram_capsules::DatagramCapsules;
use crate::splice::unframing::Unframing;
use crate::tcp::queue::Queue;

/// How the peer's side ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Receiving {
    Open,
    /// END_STREAM came, and was not told yet.
    Ending,
    Over,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sending {
    Open,
    /// END_STREAM follows what waits.
    Ending,
    Over,
}

/// A header block behind bytes that wait.
pub struct LateBlock {
    /// Bytes of the queue that go before it.
    pub after: usize,
    pub block: Box<[u8]>,
    pub end: bool,
}

/// The socket whose bytes are sent, and which takes what is received.
pub struct StreamSplice {
    pub id: u64,
    pub socket: u32,
    /// The type of the capsules around what is sent, if there are any.
    pub capsule: Option<u64>,
    /// The socket may have bytes.
    pub readable: bool,
    /// For what is received; `None` once JavaScript reads that.
    pub unframing: Option<Box<Unframing>>,
}

/// The UDP socket whose packets are sent in DATAGRAM capsules, and which takes the payloads of those received.
pub struct DatagramSplice {
    pub target: u32,
    /// JavaScript still works on what it was told: what comes waits.
    pub held: bool,
    /// For what is received; `None` once JavaScript reads that.
    pub capsules: Option<DatagramCapsules>,
}

pub struct Stream {
    pub sending: Sending,
    pub queue: Queue,
    pub late_blocks: VecDeque<LateBlock>,
    /// What may be sent beyond the peer's INITIAL_WINDOW_SIZE; less than nothing for what was sent.
    pub beyond_initial: i64,
    /// In the session's line of those that send.
    pub in_line: bool,
    /// In the session's list of those that wait for its window.
    pub awaits_outflow: bool,
    /// Bytes of JavaScript that have left the queue, and were not reported.
    pub unreported: usize,
    pub untold: Untold,
    pub listed_space: bool,
    pub receiving: Receiving,
    pub inflow: Inflow,
    /// Bytes of the window that were received and are not consumed.
    pub held: usize,
    pub credit: u64,
    /// Bytes that were delivered.
    pub delivered: u64,
    /// Bytes that wait for credit, or for JavaScript to take any.
    pub received: Queue,
    /// In the session's list of those with something to deliver.
    pub listed_delivery: bool,
    pub splice: Option<Box<StreamSplice>>,
    pub datagrams: Option<Box<DatagramSplice>>,
}

impl Stream {
    pub fn new(inflow: Inflow) -> Self {
        Self {
            sending: Sending::Open,
            queue: Queue::default(),
            late_blocks: VecDeque::new(),
            beyond_initial: 0,
            in_line: false,
            awaits_outflow: false,
            unreported: 0,
            untold: Untold::default(),
            listed_space: false,
            receiving: Receiving::Open,
            inflow,
            held: 0,
            credit: 0,
            delivered: 0,
            received: Queue::default(),
            listed_delivery: false,
            splice: None,
            datagrams: None,
        }
    }

    /// There are bytes to be sent, or there may be.
    pub fn has_bytes(&self) -> bool {
        !self.queue.is_empty()
            || self.sending == Sending::Open
                && self.splice.as_ref().is_some_and(|splice| splice.readable)
    }

    /// Both sides are over, and all of it was told.
    pub fn done(&self) -> bool {
        self.sending == Sending::Over && self.receiving == Receiving::Over
    }

    /// The splice that takes what is received.
    pub fn taker(&mut self) -> Option<&mut StreamSplice> {
        let splice = self.splice.as_deref_mut()?;
        splice.unframing.is_some().then_some(splice)
    }

    /// The splice with this UDP socket.
    pub fn datagrams_of(&mut self, target: u32) -> Option<&mut DatagramSplice> {
        let splice = self.datagrams.as_deref_mut()?;
        (splice.target == target).then_some(splice)
    }

    /// What is received goes to a UDP socket.
    pub fn moves_datagrams(&self) -> bool {
        let splice = self.datagrams.as_ref();
        splice.is_some_and(|splice| !splice.held && splice.capsules.is_some())
    }

    /// Nothing is told of what was received for now.
    pub fn is_held(&self) -> bool {
        self.datagrams.as_ref().is_some_and(|splice| splice.held)
    }
}

//! One stream of a connection: the state of its two parts, and its id once it has one.

use std::collections::VecDeque;

use bytes::Bytes;
use quinn_proto::{Connection, StreamId, VarInt};

use crate::quic::byte_splice::{Feeder, StreamSplice};
use crate::quic::stream_receiving::End;
use crate::seam::untold::Untold;

#[derive(PartialEq, Eq, Clone, Copy)]
pub(super) enum Sending {
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
    pub(super) sending: Sending,
    pub(super) queue: VecDeque<Bytes>,
    pub(super) queued: usize,
    pub(super) fin: bool,
    pub(super) reset: Option<VarInt>,
    pub(super) unreported: usize,
    pub(super) untold: Untold,
    pub(super) receiving: bool,
    pub(super) stop: Option<VarInt>,
    pub(super) credit: u64,
    /// Bytes that were delivered.
    pub(super) delivered: u64,
    /// What comes goes to a socket.
    pub(super) splice: Option<Box<StreamSplice>>,
    /// A socket writes here.
    pub(super) feeder: Option<Feeder>,
    /// What a splice did not take: delivered before all else, and the end behind it if that came.
    pub(super) given_back: Vec<u8>,
    pub(super) late_end: Option<End>,
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
}

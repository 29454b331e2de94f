//! One connection: its settings, its windows, and what waits in front of all streams.

use rustc_hash::FxHashMap;

use crate::http2::closed::RecentResets;
use crate::http2::flow::{INITIAL, Inflow};
use crate::http2::frame::{LEAST_FRAME, PREFACE, flag, kind, push_frame};
use crate::http2::outlet::Outlet;
use crate::http2::parser::Parser;
use crate::http2::sending::Line;
use crate::http2::settings::{self, Limits, Pairs};
use crate::http2::stream::{Receiving, Sending, Stream};

/// Control frames that wait to be sent above which nothing is received.
const CONTROL: usize = 64 * 1024;

/// Longest text that goes with GOAWAY.
const DEBUG: usize = 1024;

pub struct Options {
    pub client: bool,
    /// The settings and the window were sent already.
    pub greeted: bool,
    pub settings: Pairs,
    /// Of a stream of whose first window a quarter was consumed; INITIAL_WINDOW_SIZE where this is less.
    pub stream_window: u32,
    pub connection_window: u32,
    /// Longest header block that is taken.
    pub block_size: usize,
}

/// A header block of which CONTINUATION is still to come.
pub(super) struct OpenBlock {
    pub stream: u32,
    pub end: bool,
    pub frames: u32,
}

pub struct Session {
    pub(super) client: bool,
    pub(super) parser: Parser,
    pub(super) streams: FxHashMap<u32, Box<Stream>>,
    /// The peer's SETTINGS have come.
    pub(super) up: bool,
    /// Nothing more is received, and what waits is sent.
    pub(super) closing: bool,
    /// The peer has ended the connection.
    pub(super) peer_ended: bool,
    pub(super) block_size: usize,
    pub(super) open_block: Option<OpenBlock>,
    pub(super) block: Vec<u8>,
    pub(super) recent_resets: RecentResets,
    /// The highest ids of streams that either side has opened.
    pub(super) last_peer: u32,
    pub(super) last_local: u32,
    /// Our settings as they were sent last, and how many of them are not acknowledged.
    pub(super) local: Limits,
    pub(super) unacknowledged: u32,
    /// What the peer may still go by until then: longer frames, and so much more of each window.
    pub(super) frame_limit: u32,
    pub(super) tolerance: i64,
    pub(super) inflow: Inflow,
    pub(super) connection_window: u32,
    /// By so much the windows of streams grow once they are wanted.
    pub(super) kept_back: u32,
    pub(super) peer: Limits,
    pub(super) outflow: i64,
    /// The peer's INITIAL_WINDOW_SIZE has changed, and the streams were not looked at.
    pub(super) windows_changed: bool,
    /// Frames that go before all DATA.
    pub(super) control: Vec<u8>,
    pub(super) line: Line,
    /// Streams for whose next capsule the connection's window is too small.
    pub(super) await_outflow: Vec<u32>,
    /// Streams with something to deliver once JavaScript takes it.
    pub(super) undelivered: Vec<u32>,
    /// Streams whose END_STREAM has gone out.
    pub(super) ended: Vec<u32>,
    /// Streams with room to report.
    pub(super) spaces: Vec<u32>,
    /// Spliced streams that received something.
    pub(super) forwarded: Vec<u32>,
    /// In the engine's lists of sessions.
    pub listed_pump: bool,
    pub listed_delivering: bool,
    pub listed_space: bool,
}

impl Session {
    pub fn new(options: Options) -> Self {
        let mut local = Limits::default();
        local.take(&options.settings);
        let connection_window = options.connection_window.max(INITIAL);
        let mut session = Self {
            client: options.client,
            parser: Parser::new(!options.client),
            streams: FxHashMap::default(),
            up: false,
            closing: false,
            peer_ended: false,
            block_size: options.block_size,
            open_block: None,
            block: Vec::new(),
            recent_resets: RecentResets::default(),
            last_peer: 0,
            last_local: 0,
            local,
            unacknowledged: 1,
            frame_limit: local.frame.max(LEAST_FRAME),
            tolerance: (i64::from(INITIAL) - i64::from(local.initial_window)).max(0),
            inflow: Inflow::new(connection_window),
            connection_window,
            kept_back: options.stream_window.saturating_sub(local.initial_window),
            peer: Limits::default(),
            outflow: i64::from(INITIAL),
            windows_changed: false,
            control: Vec::new(),
            line: Line::default(),
            await_outflow: Vec::new(),
            undelivered: Vec::new(),
            ended: Vec::new(),
            spaces: Vec::new(),
            forwarded: Vec::new(),
            listed_pump: false,
            listed_delivering: false,
            listed_space: false,
        };
        if options.greeted {
            return session;
        }
        if options.client {
            session.control.extend_from_slice(PREFACE);
        }
        let payload = settings::encode(&options.settings);
        push_frame(&mut session.control, kind::SETTINGS, 0, 0, &payload);
        if connection_window > INITIAL {
            session.push_window_update(0, connection_window - INITIAL);
        }
        session
    }

    /// Sends a further SETTINGS frame.
    pub fn settings(&mut self, pairs: &[(u16, u32)]) {
        let before = self.local;
        self.local.take(pairs);
        let change = i64::from(self.local.initial_window) - i64::from(before.initial_window);
        if change != 0 {
            // RFC 9113 section 6.9.2; the peer sends by the old value until it has seen this.
            self.tolerance += (-change).max(0);
            for stream in self.streams.values_mut() {
                stream.inflow.adjust(change);
            }
        }
        self.frame_limit = self.frame_limit.max(self.local.frame);
        self.unacknowledged += 1;
        let payload = settings::encode(pairs);
        push_frame(&mut self.control, kind::SETTINGS, 0, 0, &payload);
    }

    pub fn ping(&mut self, payload: [u8; 8]) {
        push_frame(&mut self.control, kind::PING, 0, 0, &payload);
    }

    pub fn goaway(&mut self, last: u32, code: u32, debug: &[u8]) {
        let mut payload = Vec::with_capacity(8 + debug.len().min(DEBUG));
        payload.extend_from_slice(&last.to_be_bytes());
        payload.extend_from_slice(&code.to_be_bytes());
        payload.extend_from_slice(&debug[..debug.len().min(DEBUG)]);
        push_frame(&mut self.control, kind::GOAWAY, 0, 0, &payload);
    }

    /// RST_STREAM, and nothing more of the stream, be it known or not.
    pub fn reset(&mut self, id: u32, code: u32) {
        let payload = code.to_be_bytes();
        push_frame(&mut self.control, kind::RST_STREAM, 0, id, &payload);
        self.recent_resets.push(id);
        self.streams.remove(&id);
    }

    /// The peer has ended the connection: what it sent before is still delivered.
    pub fn ended_by_peer(&mut self) {
        self.peer_ended = true;
        self.let_go();
    }

    /// Lets go of everything, once the peer is gone and nothing of it waits to be delivered.
    pub fn let_go(&mut self) {
        let waits =
            |stream: &Stream| !stream.received.is_empty() || stream.receiving == Receiving::Ending;
        if !self.peer_ended || self.closing || self.streams.values().any(|stream| waits(stream)) {
            return;
        }
        self.streams.clear();
        self.line.clear();
        self.control.clear();
        self.closing = true;
    }

    /// Sends what waits, and receives nothing more.
    pub fn close(&mut self) {
        self.closing = true;
    }

    /// What waits is sent: the socket may be ended.
    pub fn is_finished(&self) -> bool {
        self.closing && self.control.is_empty() && !self.may_send()
    }

    /// So much waits that the peer asked for that nothing more of it is read.
    pub fn is_flooded(&self) -> bool {
        self.control.len() > CONTROL
    }

    /// Streams that are not over.
    pub fn stream_count(&self) -> usize {
        self.streams.len()
    }

    /// The stream of this id was never opened.
    pub(super) fn is_idle(&self, id: u32) -> bool {
        if self.is_peers(id) {
            id > self.last_peer
        } else {
            id > self.last_local
        }
    }

    /// The peer opens streams of this kind (RFC 9113 section 5.1.1).
    pub(super) fn is_peers(&self, id: u32) -> bool {
        (id % 2 == 1) != self.client
    }

    pub(super) fn push_window_update(&mut self, id: u32, bytes: u32) {
        let payload = bytes.to_be_bytes();
        push_frame(&mut self.control, kind::WINDOW_UPDATE, 0, id, &payload);
    }

    pub(super) fn push_acknowledgement(&mut self, kind: u8, payload: &[u8]) {
        push_frame(&mut self.control, kind, flag::ACK, 0, payload);
    }

    /// Bytes of a stream's window are consumed.
    pub(super) fn consume(&mut self, id: u32, bytes: usize) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        let bytes = bytes.min(stream.held);
        stream.held -= bytes;
        if stream.receiving == Receiving::Open
            && let Some(grown) = stream.inflow.consume(
                bytes,
                self.local.initial_window.saturating_add(self.kept_back),
            )
        {
            self.push_window_update(id, grown);
        }
    }

    /// A new stream, of either side.
    pub(super) fn open_stream(&mut self, id: u32) {
        let stream = Stream::new(Inflow::narrow(self.local.initial_window, self.kept_back));
        self.streams.insert(id, Box::new(stream));
    }

    /// Lets go of a stream of which nothing more will be told.
    pub(super) fn reap(&mut self, id: u32) {
        if self.streams.get(&id).is_some_and(|stream| stream.done()) {
            self.streams.remove(&id);
        }
    }

    /// Tells which streams are sent to their end, once nothing of that waits here.
    pub fn report_ended(&mut self, mut tell: impl FnMut(u32)) {
        if self.control.is_empty() {
            for id in self.ended.drain(..) {
                tell(id);
            }
        }
    }

    /// Tells how much of what JavaScript wrote has gone; without `anyway` only where it is much. True when
    /// some of it stays untold.
    pub fn report_spaces(&mut self, anyway: bool, mut tell: impl FnMut(u32, usize)) -> bool {
        let streams = &mut self.streams;
        self.spaces.retain(|id| {
            let Some(stream) = streams.get_mut(id) else {
                return false;
            };
            if !anyway && stream.unreported < UNREPORTED && stream.sending == Sending::Open {
                return true;
            }
            stream.listed_space = false;
            tell(*id, std::mem::take(&mut stream.unreported));
            false
        });
        !self.spaces.is_empty()
    }

    /// Ends the session for a defect of the peer, or of ours.
    pub fn fail<'b>(&mut self, code: u32, reason: &str, out: &mut impl Outlet<'b>) {
        self.goaway(self.last_peer, code, reason.as_bytes());
        self.streams.clear();
        self.line.clear();
        self.closing = true;
        out.failed(code, reason);
    }
}

/// Bytes given to the socket that JavaScript has not been told of, above which it is told at once.
const UNREPORTED: usize = 32 * 1024;

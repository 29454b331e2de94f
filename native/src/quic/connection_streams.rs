//! The streams of a connection: opened here, accepted from the peer, found by key or by id.

use quinn_proto::{Dir, StreamEvent, StreamId};

use crate::quic::connection::Connection;
use crate::quic::stream::Stream;
use crate::seam::budget::Budget;
use crate::seam::completion::{Completions, Kind};

impl Connection {
    pub(super) fn stream_event(&mut self, event: StreamEvent, out: &mut Completions) {
        match event {
            StreamEvent::Opened { dir } => self.acceptable[dir as usize] = true,
            StreamEvent::Available { dir } => {
                if dir == Dir::Bi {
                    self.leave.raised();
                }
                self.open_waiting(dir, out);
            }
            StreamEvent::Readable { id } => {
                if let Some(&key) = self.keys.get(&id) {
                    self.list_readable(key);
                }
            }
            StreamEvent::Writable { id } if self.greeting.is_on(id) => {
                self.greeting.pump(&mut self.quic);
                self.open_waiting(Dir::Uni, out);
            }
            // The one that waits longest is told of last.
            StreamEvent::Writable { id } => self.writable.push_front(id),
            StreamEvent::Finished { id } => {
                self.with_id(id, out, |stream, _, _, _| stream.finished())
            }
            StreamEvent::Stopped { id, error_code } if self.greeting.is_on(id) => {
                self.greeting.stop(error_code);
                self.open_waiting(Dir::Uni, out);
            }
            StreamEvent::Stopped { id, error_code } => {
                // A stream that JavaScript has not been shown yet is shown first.
                if !self.keys.contains_key(&id) {
                    self.accept_streams(id.dir(), out, None);
                }
                self.with_id(id, out, |stream, quic, out, index| {
                    stream.stopped(quic, error_code, out, index)
                });
            }
        }
    }

    pub(super) fn with_id(
        &mut self,
        id: StreamId,
        out: &mut Completions,
        act: impl FnOnce(&mut Stream, &mut quinn_proto::Connection, &mut Completions, u32),
    ) {
        if let Some(&key) = self.keys.get(&id) {
            self.with_stream(key, out, act);
        }
    }

    /// Acts on a stream, and forgets it when it is over.
    pub fn with_stream(
        &mut self,
        key: u32,
        out: &mut Completions,
        act: impl FnOnce(&mut Stream, &mut quinn_proto::Connection, &mut Completions, u32),
    ) {
        let Some(stream) = self.streams.get_mut(&key) else {
            return;
        };
        act(stream, &mut self.quic, out, self.index);
        if let Some(side) = stream.freed_feeder() {
            self.freed_feeders.push(side);
        }
        match stream.space() {
            Some(true) => {
                stream.report_space(out, self.index);
                out.urgent = true;
            }
            Some(false) if !stream.listed_space => {
                stream.listed_space = true;
                self.spaces.push(key);
            }
            _ => {}
        }
        if stream.done() {
            stream.report_space(out, self.index);
            if let Some(id) = stream.id {
                self.keys.remove(&id);
            }
            self.streams.remove(&key);
            out.begin(Kind::StreamDone, self.index)
                .word(key)
                .end_quietly();
        }
    }

    pub fn list_readable(&mut self, key: u32) {
        if let Some(stream) = self.streams.get_mut(&key)
            && !stream.listed_readable
        {
            stream.listed_readable = true;
            if stream.splice.is_some() {
                self.readable_splices.push(key);
            } else {
                self.readable.push(key);
            }
        }
    }

    /// Opens a stream of this side, or has it wait for the peer's MAX_STREAMS.
    pub fn open(&mut self, key: u32, bidirectional: bool, out: &mut Completions) {
        if self.told_closed {
            return;
        }
        let dir = if bidirectional { Dir::Bi } else { Dir::Uni };
        self.streams
            .insert(key, Stream::new(key, None, true, bidirectional));
        self.waiting[dir as usize].push_back(key);
        self.open_waiting(dir, out);
        if bidirectional && self.announced {
            self.watch_leave(out);
        }
    }

    fn open_waiting(&mut self, dir: Dir, out: &mut Completions) {
        while let Some(&key) = self.waiting[dir as usize].front() {
            if dir == Dir::Uni && self.greeting.is_unfinished() {
                return;
            }
            let greeted = (dir == Dir::Uni).then(|| self.greeting.take()).flatten();
            let opened = greeted.map(|(id, _)| id);
            let Some(id) = opened.or_else(|| match dir {
                Dir::Bi => self.leave.open(&mut self.quic),
                Dir::Uni => self.quic.streams().open(dir),
            }) else {
                return;
            };
            self.waiting[dir as usize].pop_front();
            self.keys.insert(id, key);
            out.begin(Kind::StreamId, self.index)
                .word(key)
                .long(id.into())
                .end();
            self.with_stream(key, out, |stream, quic, out, index| {
                stream.opened(quic, id);
                if let Some((_, Some(code))) = greeted {
                    stream.stopped(quic, code, out, index);
                }
            });
        }
    }

    /// Tells of the peer's new streams, each with what came on it as far as that has credit and there is a budget:
    /// a request and its first bytes reach JavaScript together.
    pub(super) fn accept_streams(
        &mut self,
        dir: Dir,
        out: &mut Completions,
        budget: Option<Budget<'_>>,
    ) {
        while let Some(id) = self.quic.streams().accept(dir) {
            let key = self.free_key();
            let mut stream = Stream::new(key, Some(id), dir == Dir::Bi, true);
            stream.grant(self.first_credit);
            self.streams.insert(key, stream);
            self.keys.insert(id, key);
            out.begin(Kind::StreamOpened, self.index)
                .word(key)
                .long(id.into())
                .word(u32::from(dir == Dir::Bi))
                .end();
            match budget {
                Some(budget) if !budget.spent(out) => {
                    if self.read_stream(key, out, budget) {
                        self.readable.push(key);
                    }
                }
                _ => self.list_readable(key),
            }
        }
        self.acceptable[dir as usize] = false;
        if let Some(later) = self.later_streams
            && self.streams.len() as u64 * 2 > self.quic.max_concurrent_streams(Dir::Bi)
        {
            self.later_streams = None;
            self.allow_streams(later);
        }
    }

    /// Keys of the peer's streams are even, those that JavaScript gives out odd.
    fn free_key(&mut self) -> u32 {
        loop {
            let key = self.next_key;
            self.next_key = key.wrapping_add(2);
            if !self.streams.contains_key(&key) {
                return key;
            }
        }
    }
}

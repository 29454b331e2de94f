//! What the peer's frames do.

use crate::http2::flow::LARGEST;
use crate::http2::frame::{Fault, Head, code, fault, flag, kind, number};
use crate::http2::outlet::Outlet;
use crate::http2::parser::Step;
use crate::http2::session::{OpenBlock, Session};
use crate::http2::settings;
use crate::http2::stream::Receiving;

/// Most frames of one header block.
const BLOCK_FRAMES: u32 = 128;

/// Longest text of GOAWAY that is told.
const DEBUG: usize = 1024;

impl Session {
    /// Takes what the socket gave. A peer that breaks the rules ends the session.
    pub fn receive<'b>(&mut self, mut bytes: &'b [u8], out: &mut impl Outlet<'b>) {
        if self.closing || self.peer_ended {
            return;
        }
        let taken = self
            .take(&mut bytes, out)
            .and_then(|()| self.apply_windows());
        if let Err(fault) = taken {
            self.fail(fault.code, fault.reason, out);
        }
    }

    fn take<'b>(&mut self, rest: &mut &'b [u8], out: &mut impl Outlet<'b>) -> Result<(), Fault> {
        loop {
            match self.parser.step(rest, self.frame_limit)? {
                Step::Wait => return Ok(()),
                Step::Data(head) => {
                    self.expect(head)?;
                    self.data_begins(head, out)?;
                }
                Step::Padding(head, count) => self.consume(head.stream, count),
                Step::Content(head, bytes) => self.content(head.stream, bytes, out),
                Step::DataOver(head) => {
                    if head.has(flag::END_STREAM) {
                        self.peer_ends(head.stream, out);
                    }
                }
                Step::Whole(head, payload) => {
                    self.expect(head)?;
                    self.frame(head, payload, out)?;
                }
                Step::Gathered(head) => {
                    self.expect(head)?;
                    let payload = std::mem::take(&mut self.parser.gathered);
                    let done = self.frame(head, &payload, out);
                    self.parser.reuse(payload);
                    done?;
                }
            }
        }
    }

    /// What may come now (RFC 9113 sections 3.4 and 6.10).
    fn expect(&self, head: Head) -> Result<(), Fault> {
        let settings = head.kind == kind::SETTINGS && !head.has(flag::ACK);
        if !self.up && !settings {
            return fault(code::PROTOCOL_ERROR, "the first frame is not SETTINGS");
        }
        let continues = head.kind == kind::CONTINUATION;
        match &self.open_block {
            Some(open) if !continues || open.stream != head.stream => {
                fault(code::PROTOCOL_ERROR, "a frame within a header block")
            }
            None if continues => fault(code::PROTOCOL_ERROR, "CONTINUATION of nothing"),
            _ => Ok(()),
        }
    }

    fn data_begins<'b>(&mut self, head: Head, out: &mut impl Outlet<'b>) -> Result<(), Fault> {
        let id = head.stream;
        if id == 0 || !self.streams.contains_key(&id) && self.is_idle(id) {
            return fault(code::PROTOCOL_ERROR, "DATA on a stream that is not open");
        }
        if !self.inflow.take(head.length, 0) {
            return fault(
                code::FLOW_CONTROL_ERROR,
                "more than the connection's window",
            );
        }
        // A stream has its own window to fill: what lies there holds up no other.
        let most = self.connection_window;
        if let Some(grown) = self.inflow.consume(head.length, most) {
            self.push_window_update(0, grown);
        }
        let Some(stream) = self.streams.get_mut(&id) else {
            // RFC 9113 section 5.1: what the peer sent before it heard of a reset is ignored.
            if !self.recent_resets.contains(id) {
                self.reset(id, code::STREAM_CLOSED);
            }
            return Ok(());
        };
        if stream.receiving != Receiving::Open {
            self.stream_fault(id, code::STREAM_CLOSED, out);
            return Ok(());
        }
        if !stream.inflow.take(head.length, self.tolerance) {
            return fault(code::FLOW_CONTROL_ERROR, "more than a stream's window");
        }
        stream.held += head.length;
        Ok(())
    }

    /// The peer's fault with one stream ends that (RFC 9113 section 5.4.2).
    fn stream_fault<'b>(&mut self, id: u32, code: u32, out: &mut impl Outlet<'b>) {
        let known = self.streams.contains_key(&id);
        self.reset(id, code);
        if known {
            out.reset(id, code);
        }
    }

    fn frame<'b>(
        &mut self,
        head: Head,
        payload: &[u8],
        out: &mut impl Outlet<'b>,
    ) -> Result<(), Fault> {
        match head.kind {
            kind::HEADERS => self.block_begins(head, payload, out),
            kind::CONTINUATION => self.block_continues(head, payload, out),
            kind::PRIORITY => {
                if head.stream == 0 {
                    return fault(code::PROTOCOL_ERROR, "PRIORITY of no stream");
                }
                // RFC 9113 section 6.3.
                if payload.len() != 5 {
                    self.stream_fault(head.stream, code::FRAME_SIZE_ERROR, out);
                }
                Ok(())
            }
            kind::RST_STREAM => self.peer_resets(head, payload, out),
            kind::SETTINGS => self.peer_settings(head, payload, out),
            kind::PUSH_PROMISE => fault(code::PROTOCOL_ERROR, "PUSH_PROMISE"),
            kind::PING => self.pinged(head, payload, out),
            kind::GOAWAY => {
                if head.stream != 0 {
                    return fault(code::PROTOCOL_ERROR, "GOAWAY of a stream");
                }
                let (Some(_), Some((last, rest))) =
                    (payload.get(..8), payload.split_first_chunk::<4>())
                else {
                    return fault(code::FRAME_SIZE_ERROR, "the length of GOAWAY");
                };
                let debug = &rest[4..rest.len().min(4 + DEBUG)];
                let last = u32::from_be_bytes(*last) & (u32::MAX >> 1);
                out.goaway(last, number(rest), debug);
                Ok(())
            }
            kind::WINDOW_UPDATE => self.window_update(head, payload, out),
            // RFC 9113 section 5.5.
            _ => Ok(()),
        }
    }

    fn block_begins<'b>(
        &mut self,
        head: Head,
        mut payload: &[u8],
        out: &mut impl Outlet<'b>,
    ) -> Result<(), Fault> {
        if head.stream == 0 {
            return fault(code::PROTOCOL_ERROR, "HEADERS of no stream");
        }
        // RFC 9113 section 6.2.
        if head.has(flag::PADDED) {
            let Some((&length, rest)) = payload.split_first() else {
                return fault(code::FRAME_SIZE_ERROR, "HEADERS without its pad length");
            };
            let Some(end) = rest.len().checked_sub(usize::from(length)) else {
                return fault(code::PROTOCOL_ERROR, "more padding than payload");
            };
            payload = &rest[..end];
        }
        if head.has(flag::PRIORITY) {
            let Some(rest) = payload.get(5..) else {
                return fault(code::FRAME_SIZE_ERROR, "HEADERS without its priority");
            };
            payload = rest;
        }
        if payload.len() > self.block_size {
            return fault(code::ENHANCE_YOUR_CALM, "a header block is too long");
        }
        let end = head.has(flag::END_STREAM);
        if head.has(flag::END_HEADERS) {
            self.block_over(head.stream, end, payload, out);
            return Ok(());
        }
        self.block.extend_from_slice(payload);
        self.open_block = Some(OpenBlock {
            stream: head.stream,
            end,
            frames: 1,
        });
        Ok(())
    }

    fn block_continues<'b>(
        &mut self,
        head: Head,
        payload: &[u8],
        out: &mut impl Outlet<'b>,
    ) -> Result<(), Fault> {
        let Some(open) = &mut self.open_block else {
            return Ok(());
        };
        open.frames += 1;
        if self.block.len() + payload.len() > self.block_size || open.frames > BLOCK_FRAMES {
            return fault(code::ENHANCE_YOUR_CALM, "a header block is too long");
        }
        self.block.extend_from_slice(payload);
        if head.has(flag::END_HEADERS) {
            let end = open.end;
            self.open_block = None;
            let block = std::mem::take(&mut self.block);
            self.block_over(head.stream, end, &block, out);
        }
        Ok(())
    }

    fn block_over<'b>(&mut self, id: u32, end: bool, block: &[u8], out: &mut impl Outlet<'b>) {
        let opened = self.is_peers(id) && self.is_idle(id);
        if opened {
            self.last_peer = id;
            self.open_stream(id);
        }
        out.headers(id, block, end, opened);
        if end {
            self.peer_ends(id, out);
        }
    }

    fn peer_resets<'b>(
        &mut self,
        head: Head,
        payload: &[u8],
        out: &mut impl Outlet<'b>,
    ) -> Result<(), Fault> {
        let id = head.stream;
        if payload.len() != 4 {
            return fault(code::FRAME_SIZE_ERROR, "the length of RST_STREAM");
        }
        if id == 0 || self.is_idle(id) {
            return fault(
                code::PROTOCOL_ERROR,
                "RST_STREAM of a stream that is not open",
            );
        }
        self.deliver_now(id, out);
        if self.streams.remove(&id).is_some() {
            out.reset(id, number(payload));
        }
        Ok(())
    }

    fn peer_settings<'b>(
        &mut self,
        head: Head,
        payload: &[u8],
        out: &mut impl Outlet<'b>,
    ) -> Result<(), Fault> {
        if head.stream != 0 {
            return fault(code::PROTOCOL_ERROR, "SETTINGS of a stream");
        }
        if head.has(flag::ACK) {
            if !payload.is_empty() {
                return fault(
                    code::FRAME_SIZE_ERROR,
                    "SETTINGS that acknowledge and say more",
                );
            }
            self.unacknowledged = self.unacknowledged.saturating_sub(1);
            if self.unacknowledged == 0 {
                self.tolerance = 0;
                self.frame_limit = self.local.frame;
            }
            return Ok(());
        }
        let pairs = settings::decode(payload, self.client)?;
        let before = self.peer.initial_window;
        self.peer.take(&pairs);
        self.windows_changed |= self.peer.initial_window != before;
        self.up = true;
        self.push_acknowledgement(kind::SETTINGS, &[]);
        out.settings(&pairs);
        Ok(())
    }

    /// All streams follow a change of INITIAL_WINDOW_SIZE (RFC 9113 section 6.9.2): once for all that came.
    fn apply_windows(&mut self) -> Result<(), Fault> {
        if !std::mem::take(&mut self.windows_changed) {
            return Ok(());
        }
        let initial = i64::from(self.peer.initial_window);
        if self
            .streams
            .values()
            .any(|stream| initial + stream.beyond_initial > LARGEST)
        {
            return fault(code::FLOW_CONTROL_ERROR, "a window beyond 2^31-1");
        }
        let ids: Vec<u32> = self.streams.keys().copied().collect();
        for id in ids {
            self.line_up(id);
        }
        Ok(())
    }

    fn pinged<'b>(
        &mut self,
        head: Head,
        payload: &[u8],
        out: &mut impl Outlet<'b>,
    ) -> Result<(), Fault> {
        if head.stream != 0 {
            return fault(code::PROTOCOL_ERROR, "PING of a stream");
        }
        let Ok(eight) = <[u8; 8]>::try_from(payload) else {
            return fault(code::FRAME_SIZE_ERROR, "the length of PING");
        };
        if head.has(flag::ACK) {
            out.pong(eight);
        } else {
            self.push_acknowledgement(kind::PING, &eight);
        }
        Ok(())
    }

    fn window_update<'b>(
        &mut self,
        head: Head,
        payload: &[u8],
        out: &mut impl Outlet<'b>,
    ) -> Result<(), Fault> {
        if payload.len() != 4 {
            return fault(code::FRAME_SIZE_ERROR, "the length of WINDOW_UPDATE");
        }
        let id = head.stream;
        let grown = i64::from(number(payload) & (u32::MAX >> 1));
        if id == 0 {
            if grown == 0 {
                return fault(code::PROTOCOL_ERROR, "WINDOW_UPDATE by nothing");
            }
            self.outflow += grown;
            if self.outflow > LARGEST {
                return fault(code::FLOW_CONTROL_ERROR, "a window beyond 2^31-1");
            }
            for id in std::mem::take(&mut self.await_outflow) {
                if let Some(stream) = self.streams.get_mut(&id) {
                    stream.awaits_outflow = false;
                    self.line_up(id);
                }
            }
            return Ok(());
        }
        if self.is_idle(id) {
            return fault(
                code::PROTOCOL_ERROR,
                "WINDOW_UPDATE of a stream that is not open",
            );
        }
        let Some(stream) = self.streams.get_mut(&id) else {
            return Ok(());
        };
        if grown == 0 {
            self.stream_fault(id, code::PROTOCOL_ERROR, out);
            return Ok(());
        }
        stream.beyond_initial += grown;
        if i64::from(self.peer.initial_window) + stream.beyond_initial > LARGEST {
            self.stream_fault(id, code::FLOW_CONTROL_ERROR, out);
            return Ok(());
        }
        self.line_up(id);
        Ok(())
    }
}

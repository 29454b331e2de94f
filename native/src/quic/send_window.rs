//! How much QUIC is given ahead of what it can send.
//!
//! QUIC keeps what it was given until it is acknowledged, and takes that for the whole connection: bulk of one stream
//! fills the room of all, and waits there long after it has left the processor's cache. So bulk gets what congestion
//! control lets go and a little more; what is small, such as the head of a response, finds the rest free.

use quinn_proto::Connection as Quic;

use crate::quic::connection::Connection;
use crate::quic::stream_sending::Turn;
use crate::seam::completion::Completions;
use crate::splice::framing::{HEADERS, write_headers};

/// Bytes beyond the congestion window that bulk may have waiting, for all streams of a connection: enough to send
/// until the next round.
const AHEAD: u64 = 512 * 1024;

/// Bytes that splices give to a connection in one round: QUIC paces bursts of 256 packets, and more would wait there
/// until it has left the processor's cache.
const BURST: usize = 256 * 1024;

/// What a stream that waits for room gets of it before others have their turn, bytes.
const TURN: usize = 16 * 1024;

/// What is no bulk, bytes.
const SMALL: usize = 4 * 1024;

/// Bytes that a connection keeps for its peer at most.
#[derive(Clone, Copy)]
pub struct SendWindow(u64);

impl SendWindow {
    pub fn new(bytes: u64) -> Self {
        Self(bytes)
    }

    /// What holds unless something small is written.
    pub fn narrow(self, quic: &mut Quic) {
        let window = quic.congestion_state().window().saturating_add(AHEAD);
        quic.set_send_window(window.min(self.0));
    }

    fn widen(self, quic: &mut Quic) {
        quic.set_send_window(self.0);
    }
}

impl Connection {
    /// As `Stream::write`.
    pub fn write(&mut self, key: u32, bytes: &[u8], out: &mut Completions) {
        let window = self.send_window;
        self.with_stream(key, out, |stream, quic, _, _| {
            if bytes.len() > SMALL {
                return stream.write(quic, bytes);
            }
            window.widen(quic);
            stream.write(quic, bytes);
            window.narrow(quic);
        });
    }

    /// Writes what a splice has put behind `HEADERS` bytes of room, in a DATA frame and, where `capsule` is the type of
    /// one, a capsule. Nothing is written where nothing stands there.
    pub fn write_framed(
        &mut self,
        key: u32,
        capsule: Option<u64>,
        buffer: &mut [u8],
        out: &mut Completions,
    ) {
        let (room, payload) = buffer.split_at_mut(HEADERS);
        if payload.is_empty() {
            return;
        }
        let at = write_headers(room, capsule, payload.len());
        let bytes = &buffer[at..];
        self.given += bytes.len();
        self.with_stream(key, out, |stream, quic, _, _| {
            stream.write_spliced(quic, bytes);
        });
    }

    /// Bytes that splices may still give in this round.
    pub fn burst_left(&self) -> usize {
        BURST.saturating_sub(self.given)
    }

    /// Gives the streams that had to wait for room what there is of it, in turns. QUIC tells of the last one first, which
    /// would have it all for as long as there is not enough; and again of those only that found none.
    pub(super) fn write_on(&mut self, out: &mut Completions) {
        let mut writable = std::mem::take(&mut self.writable);
        let mut turn = TURN;
        if let Some((of, left)) = self.turn_of.take()
            && let Some(place) = writable.iter().position(|&id| id == of)
        {
            writable.rotate_left(place);
            turn = left;
        }
        while let Some(id) = writable.pop_front() {
            let mut done = Turn::Done;
            self.with_id(id, out, |stream, quic, _, _| {
                done = stream.pump_turn(quic, turn)
            });
            match done {
                Turn::Done => {}
                Turn::Over => writable.push_back(id),
                // The first of them goes on when there is room again.
                Turn::Blocked { left } => {
                    self.turn_of.get_or_insert((id, left));
                }
            }
            turn = TURN;
        }
        self.writable = writable;
    }
}

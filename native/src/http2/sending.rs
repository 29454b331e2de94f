//! What streams send: in turns, each a piece, within both windows.

use std::collections::VecDeque;
use std::io;

use crate::http2::frame::{Head, flag, kind, push_block, push_frame};
use crate::http2::session::Session;
use crate::http2::stream::{LateBlock, Sending, Stream};

/// Longest payload of one frame, whatever the peer takes.
const LONGEST: usize = 64 * 1024;

/// The header of a capsule around a socket's bytes: its type, and its length in four bytes.
pub const CAPSULE: usize = 8;

/// The shortest such capsule. One never goes on in another frame.
pub const SHORTEST: usize = CAPSULE + 1;

/// Memory for control frames that is kept.
const KEPT: usize = 16 * 1024;

/// The socket of the session.
pub trait Wire {
    /// What may be written now.
    fn room(&self) -> usize;
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// A frame in two pieces.
    fn write_frame(&mut self, head: &[u8], payload: &[u8]) -> io::Result<()>;
}

/// Streams that have bytes to send and room in their windows.
#[derive(Default)]
pub struct Line(VecDeque<u32>);

impl Line {
    fn join(&mut self, id: u32, stream: &mut Stream) {
        if !stream.in_line {
            stream.in_line = true;
            self.0.push_back(id);
        }
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }
}

/// Whose turn it is.
#[derive(Debug, PartialEq, Eq)]
pub enum Turn {
    Queued(u32),
    /// A socket's bytes, of which at most so many, with the headers of capsules, may be sent.
    Spliced {
        stream: u32,
        splice: u64,
        socket: u32,
        capsule: Option<u64>,
        most: usize,
    },
}

impl Session {
    /// Sends a header block, behind what waits of the stream; opens the stream if it is a new one of ours.
    pub fn headers(&mut self, id: u32, block: &[u8], end: bool) {
        if !self.streams.contains_key(&id) && !self.is_peers(id) && self.is_idle(id) {
            self.last_local = id;
            self.open_stream(id);
        }
        let largest = self.peer.frame as usize;
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        if stream.sending != Sending::Open {
            return;
        }
        if stream.queue.is_empty() {
            push_block(&mut self.control, id, block, end, largest);
            if end {
                stream.sending = Sending::Over;
                self.ended.push(id);
                self.reap(id);
            }
            return;
        }
        let before: usize = stream.late_blocks.iter().map(|late| late.after).sum();
        stream.late_blocks.push_back(LateBlock {
            after: stream.queue.waiting().len() - before,
            block: block.into(),
            end,
        });
        if end {
            stream.sending = Sending::Ending;
        }
    }

    /// Takes bytes, and sends them at once where nobody is in line.
    pub fn write(&mut self, id: u32, bytes: &[u8], wire: &mut impl Wire) -> io::Result<()> {
        self.send_control(wire)?;
        let free = self.line.0.is_empty() && self.control.is_empty();
        let Some(stream) = self.streams.get_mut(&id) else {
            return Ok(());
        };
        if stream.sending != Sending::Open {
            return Ok(());
        }
        let mut rest = bytes;
        if free && stream.queue.is_empty() {
            while !rest.is_empty() && wire.room() > 0 {
                let most = piece(&self.peer, self.outflow, stream).min(rest.len());
                if most == 0 {
                    break;
                }
                let (now, after) = rest.split_at(most);
                write_data(wire, id, 0, now)?;
                self.outflow -= most as i64;
                stream.beyond_initial -= most as i64;
                note_gone(&mut self.spaces, id, stream, most);
                rest = after;
            }
        }
        if !rest.is_empty() {
            stream.queue.push(rest);
            self.line_up(id);
        }
        Ok(())
    }

    /// END_STREAM behind what waits.
    pub fn end(&mut self, id: u32) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        if stream.sending != Sending::Open {
            return;
        }
        if stream.queue.is_empty() {
            push_frame(&mut self.control, kind::DATA, flag::END_STREAM, id, &[]);
            stream.sending = Sending::Over;
            self.ended.push(id);
            self.reap(id);
        } else {
            stream.sending = Sending::Ending;
        }
    }

    /// Puts a stream in line if it has bytes and a window for them.
    pub(super) fn line_up(&mut self, id: u32) {
        if let Some(stream) = self.streams.get_mut(&id)
            && stream.has_bytes()
            && window(&self.peer, stream) > 0
        {
            self.line.join(id, stream);
        }
    }

    /// Somebody is in line, and the connection's window is open.
    pub fn may_send(&self) -> bool {
        self.outflow > 0 && !self.line.0.is_empty()
    }

    /// There is something to give to the socket.
    pub fn has_output(&self) -> bool {
        !self.control.is_empty() || self.may_send()
    }

    /// How many streams wait for their turn.
    pub fn in_line(&self) -> usize {
        self.line.len()
    }

    pub fn send_control(&mut self, wire: &mut impl Wire) -> io::Result<()> {
        if self.control.is_empty() || wire.room() == 0 {
            return Ok(());
        }
        wire.write(&self.control)?;
        self.control.clear();
        self.control.shrink_to(KEPT);
        Ok(())
    }

    /// Who may send a piece now; it leaves the line.
    pub fn next_turn(&mut self) -> Option<Turn> {
        while self.outflow > 0 {
            let id = self.line.0.pop_front()?;
            let Some(stream) = self.streams.get_mut(&id) else {
                continue;
            };
            stream.in_line = false;
            let most = window(&self.peer, stream).min(self.outflow);
            if most <= 0 || !stream.has_bytes() {
                continue;
            }
            if !stream.queue.is_empty() {
                return Some(Turn::Queued(id));
            }
            if let Some(splice) = &stream.splice {
                let least = splice.capsule.map_or(1, |_| SHORTEST as i64);
                if most < least {
                    // WINDOW_UPDATE of the stream lines it up again by itself.
                    if self.outflow < least && !stream.awaits_outflow {
                        stream.awaits_outflow = true;
                        self.await_outflow.push(id);
                    }
                    continue;
                }
                return Some(Turn::Spliced {
                    stream: id,
                    splice: splice.id,
                    socket: splice.socket,
                    capsule: splice.capsule,
                    most: usize::try_from(most).unwrap_or(0),
                });
            }
        }
        None
    }

    /// Sends a piece of what waits; returns its length.
    pub fn send_queued(&mut self, id: u32, wire: &mut impl Wire) -> io::Result<usize> {
        let Some(stream) = self.streams.get_mut(&id) else {
            return Ok(0);
        };
        let waiting = stream.queue.waiting();
        let before_block = stream.late_blocks.front().map(|late| late.after);
        let count = piece(&self.peer, self.outflow, stream)
            .min(waiting.len())
            .min(before_block.unwrap_or(usize::MAX));
        let last = count == waiting.len() && before_block.is_none();
        let ends = last && stream.sending == Sending::Ending;
        let flags = if ends { flag::END_STREAM } else { 0 };
        write_data(wire, id, flags, &waiting[..count])?;
        stream.queue.taken(count);
        if stream.queue.is_empty() {
            // A stream that sends nothing for a while holds no memory for it.
            stream.queue = Default::default();
        }
        self.outflow -= count as i64;
        stream.beyond_initial -= count as i64;
        note_gone(&mut self.spaces, id, stream, count);
        if ends {
            stream.sending = Sending::Over;
            self.ended.push(id);
        }
        self.send_late_blocks(id, count);
        self.line_up(id);
        self.reap(id);
        Ok(count)
    }

    /// The blocks whose turn has come now that `count` bytes have gone.
    fn send_late_blocks(&mut self, id: u32, mut count: usize) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        while let Some(late) = stream.late_blocks.front_mut() {
            late.after -= count;
            count = 0;
            if late.after > 0 {
                return;
            }
            if let Some(late) = stream.late_blocks.pop_front() {
                let largest = self.peer.frame as usize;
                push_block(&mut self.control, id, &late.block, late.end, largest);
                if late.end {
                    stream.sending = Sending::Over;
                    self.ended.push(id);
                }
            }
        }
    }

    /// Longest payload of a DATA frame.
    pub fn frame_payload(&self) -> usize {
        (self.peer.frame as usize).min(LONGEST)
    }
}

fn window(peer: &crate::http2::settings::Limits, stream: &Stream) -> i64 {
    i64::from(peer.initial_window) + stream.beyond_initial
}

/// What the next frame may have.
fn piece(peer: &crate::http2::settings::Limits, outflow: i64, stream: &Stream) -> usize {
    let most = window(peer, stream).min(outflow).max(0);
    usize::try_from(most)
        .unwrap_or(LONGEST)
        .min(peer.frame as usize)
        .min(LONGEST)
}

fn write_data(wire: &mut impl Wire, stream: u32, flags: u8, bytes: &[u8]) -> io::Result<()> {
    let head = Head {
        length: bytes.len(),
        kind: kind::DATA,
        flags,
        stream,
    };
    wire.write_frame(&head.encode(), bytes)
}

fn note_gone(spaces: &mut Vec<u32>, id: u32, stream: &mut Stream, count: usize) {
    let told = stream.untold.take(count);
    stream.unreported += told;
    if told > 0 && !stream.listed_space {
        stream.listed_space = true;
        spaces.push(id);
    }
}

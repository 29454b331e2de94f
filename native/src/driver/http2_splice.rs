//! Splices of HTTP/2 streams and TCP sockets. What a stream receives goes to the socket at once; a socket is
//! read when it is the stream's turn to send, behind room for the headers of frames and capsules.

use std::io::IoSliceMut;

use crate::driver::Driver;
use crate::http2::frame::{HEAD, Head, kind};
use crate::http2::sending::CAPSULE;
use crate::http2::stream::StreamSplice;
use crate::quic::splice::encoded;
use crate::seam::completion::Kind;
use crate::seam::operation::SpliceBytes;
use crate::splice::side::Side;
use crate::splice::unframing::Unframing;
use crate::tcp::socket::{Over, SocketSplice};

/// Bytes read from a socket at once, with the headers in front of them. A record of TLS, or four, hold that.
pub(super) const PIECE: usize = 64 * 1024;

/// Most frames in it.
const FRAMES: usize = 4;

/// Where the payloads of frames lie in a buffer: behind their headers, one frame behind the other.
struct Layout {
    /// Length of the headers.
    head: usize,
    /// Length of the payload of each frame, and of the last.
    payload: usize,
    last: usize,
    frames: usize,
}

impl Layout {
    /// For at most `most` bytes in at most `frames` frames of `largest` each; capsule headers count among them.
    fn new(capsule: bool, largest: usize, most: usize, frames: usize) -> Option<Self> {
        let inner = if capsule { CAPSULE } else { 0 };
        // With its header a frame fills a record.
        let content = largest.min(PIECE) - HEAD;
        let frames = frames.min(PIECE / (HEAD + content)).clamp(1, FRAMES);
        let whole = (most / content).min(frames);
        let rest = most - whole * content;
        let (frames, last) = if whole < frames && rest > inner {
            (whole + 1, rest.min(content) - inner)
        } else {
            (whole, content - inner)
        };
        (frames > 0).then_some(Self {
            head: HEAD + inner,
            payload: content - inner,
            last,
            frames,
        })
    }

    fn length_of(&self, frame: usize) -> usize {
        if frame + 1 == self.frames {
            self.last
        } else {
            self.payload
        }
    }

    /// The places of the payloads in `room`.
    fn places<'b>(&self, mut room: &'b mut [u8], parts: &mut [IoSliceMut<'b>; FRAMES]) {
        for (frame, part) in parts.iter_mut().enumerate().take(self.frames) {
            let (_, after) = room.split_at_mut(self.head);
            let (place, after) = after.split_at_mut(self.length_of(frame));
            *part = IoSliceMut::new(place);
            room = after;
        }
    }

    /// Writes the headers around `count` bytes of payload. Returns the length of it all, and of the frames'
    /// content.
    fn write_heads(
        &self,
        buffer: &mut [u8],
        stream: u32,
        capsule: Option<u64>,
        mut count: usize,
    ) -> (usize, usize) {
        let (mut at, mut sent) = (0, 0);
        for frame in 0..self.frames {
            let length = count.min(self.length_of(frame));
            if length == 0 {
                break;
            }
            count -= length;
            let head = Head {
                length: length + self.head - HEAD,
                kind: kind::DATA,
                flags: 0,
                stream,
            };
            buffer[at..at + HEAD].copy_from_slice(&head.encode());
            if let Some(kind) = capsule {
                let kind = encoded(kind);
                // A length of four bytes, however small: the header is as long for each.
                let long = length as u32 | 0x8000_0000;
                let room = &mut buffer[at + HEAD..at + self.head];
                room[..kind.len()].copy_from_slice(&kind);
                room[kind.len()..].copy_from_slice(&long.to_be_bytes());
            }
            at += self.head + length;
            sent += head.length;
        }
        (at, sent)
    }
}

impl Driver {
    /// As `splice_bytes`, for a stream of a session.
    pub(super) fn splice_http2(&mut self, ask: &SpliceBytes<'_>) {
        let index = ask.socket;
        let id = self.next_splice();
        let begun = self.begin_http2_splice(ask, id);
        self.tell_spliced(Kind::BytesSpliced, index, begun);
        if !begun {
            return;
        }
        let (session, stream) = (ask.connection, ask.stream);
        let waited = match self.http2.sessions.get_mut(&session) {
            Some(session) => session.take_received(stream),
            None => Vec::new(),
        };
        self.with_told(session, |session, told| {
            session.forward_first(stream, ask.prefix, &waited, told);
        });
        self.tcp.list_readable(index);
    }

    fn begin_http2_splice(&mut self, ask: &SpliceBytes<'_>, id: u64) -> bool {
        let Some(socket) = self.tcp.sockets.get_mut(&ask.socket) else {
            return false;
        };
        let Some(session) = self.http2.sessions.get_mut(&ask.connection) else {
            return false;
        };
        let capsule = (ask.capsule != 0).then_some(u64::from(ask.capsule));
        let splice = StreamSplice {
            id,
            socket: ask.socket,
            capsule,
            readable: false,
            unframing: Some(Box::new(Unframing::new(false, capsule.is_some()))),
        };
        let may = socket.may_splice(ask.told);
        if !may || !session.begin_splice(ask.stream, splice, ask.received) {
            return false;
        }
        socket.revoke();
        let (socket_of_session, stream) = (ask.connection, ask.stream);
        socket.splice = Some(SocketSplice {
            id,
            near: Side::Http2 {
                socket: socket_of_session,
                stream,
            },
            capsule,
            reads: true,
            awaited: false,
        });
        true
    }

    /// What streams received is with their sockets, or waits there: the rest of their windows is free.
    pub(super) fn settle_forwarded(&mut self, index: u32) {
        while let Some(session) = self.http2.sessions.get_mut(&index)
            && let Some((stream, splice, socket)) = session.take_forwarded()
        {
            self.settle_stream(index, stream, splice, socket);
        }
    }

    fn settle_stream(&mut self, index: u32, stream: u32, splice: u64, socket: u32) {
        let socket = self.tcp.sockets.get_mut(&socket);
        let waiting = socket.and_then(|socket| {
            let waiting = socket.waiting();
            let own = socket.splice.as_mut().filter(|own| own.id == splice)?;
            own.awaited = waiting > 0;
            Some(waiting)
        });
        let Some(session) = self.http2.sessions.get_mut(&index) else {
            return;
        };
        match waiting {
            Some(waiting) => session.moved(stream, waiting),
            // It is gone: JavaScript hears of it and resets the stream.
            None => session.give_up(stream, splice),
        }
    }

    /// The socket of a splice has given something to the kernel.
    pub(super) fn settle_socket(
        &mut self,
        index: u32,
        splice: SocketSplice,
        session: u32,
        stream: u32,
    ) {
        self.settle_stream(session, stream, splice.id, index);
        self.http2.list_pump(session);
    }

    /// The socket of a splice may have bytes: the stream gets in line.
    pub(super) fn offer_to_session(
        &mut self,
        index: u32,
        splice: SocketSplice,
        near: u32,
        stream: u32,
    ) {
        let session = self.http2.sessions.get_mut(&near);
        if session.is_some_and(|session| session.source_readable(stream, splice.id)) {
            self.http2.list_pump(near);
        } else {
            self.stop_reading_spliced(index);
        }
    }

    /// It is the turn of a stream whose bytes a socket has: they are put into `room`, which has place for a
    /// piece, with their headers. Returns how much that was.
    pub(super) fn gather_spliced(
        &mut self,
        index: u32,
        stream: u32,
        (source, splice): (u32, u64),
        capsule: Option<u64>,
        most: usize,
        room: &mut [u8],
    ) -> usize {
        let Some(session) = self.http2.sessions.get_mut(&index) else {
            return 0;
        };
        // While others wait a frame is a turn.
        let frames = if session.in_line() == 0 { FRAMES } else { 1 };
        let layout = Layout::new(capsule.is_some(), session.frame_payload(), most, frames);
        let socket = self.tcp.sockets.get_mut(&source);
        let own = |own: &SocketSplice| own.id == splice && own.reads;
        let socket = socket.filter(|socket| socket.splice.as_ref().is_some_and(own));
        let (Some(layout), Some(socket)) = (layout, socket) else {
            session.source_empty(stream);
            return 0;
        };
        let mut parts: [IoSliceMut<'_>; FRAMES] = std::array::from_fn(|_| IoSliceMut::new(&mut []));
        layout.places(room, &mut parts);
        let read = socket.read_spliced_parts(&mut parts[..layout.frames], &mut self.out);
        let count = *read.as_ref().unwrap_or(&0);
        let (total, sent) = layout.write_heads(room, stream, capsule, count);
        // Where nothing came for all that, others have their turn first.
        if count == 0 || !socket.wants_reading() {
            session.source_empty(stream);
        }
        session.sent_spliced(stream, sent);
        if socket.ended() {
            self.tcp_over(source, &Over::Ended);
        } else if let Err(error) = read {
            self.tcp.cut.push((source, error));
        } else if count == 0 {
            self.tcp.list_readable(source);
        }
        total
    }

    /// A last piece of a socket that was reset.
    pub(super) fn last_words_to_session(
        &mut self,
        index: u32,
        splice: SocketSplice,
        near: u32,
        stream: u32,
    ) {
        let Some(session) = self.http2.sessions.get_mut(&near) else {
            return;
        };
        let most = session.takes(stream, splice.id).unwrap_or(0);
        let largest = session.frame_payload();
        let Some(layout) = Layout::new(splice.capsule.is_some(), largest, most, 1) else {
            return;
        };
        let Some(socket) = self.tcp.sockets.get_mut(&index) else {
            return;
        };
        let mut buffer = std::mem::take(&mut self.splice_buffer);
        buffer.resize(buffer.len().max(PIECE), 0);
        let place = layout.head..layout.head + layout.last;
        let count = socket.last_spliced_words(&mut buffer[place]);
        let (total, sent) = layout.write_heads(&mut buffer, stream, splice.capsule, count);
        session.sent_spliced(stream, sent);
        self.with_tcp(near, |near| near.write_untold(&buffer[..total]));
        self.splice_buffer = buffer;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_fill_what_the_windows_let() {
        for capsule in [None, Some(0x2028_d7f2)] {
            for most in [1, 8, 9, 100, 16_375, 16_376, 40_000, 1 << 20] {
                for count in [1, 50, 16_000, 16_375, 20_000, 70_000] {
                    let Some(layout) = Layout::new(capsule.is_some(), 16_384, most, FRAMES) else {
                        assert!(most <= 8 && capsule.is_some());
                        continue;
                    };
                    let room: usize = (0..layout.frames)
                        .map(|frame| layout.length_of(frame))
                        .sum();
                    let mut buffer = vec![7; PIECE];
                    let count = count.min(room);
                    let (total, sent) = layout.write_heads(&mut buffer, 5, capsule, count);
                    assert!(sent <= most && total <= PIECE);
                    let mut rest = &buffer[..total];
                    let mut payload = 0;
                    while let Some((head, after)) = rest.split_first_chunk::<HEAD>() {
                        let head = Head::decode(head);
                        assert!(head.stream == 5 && head.length <= 16_384);
                        let mut unframing = Unframing::new(false, capsule.is_some());
                        let (content, after) = after.split_at(head.length);
                        let pushed = unframing.push(content, &mut |piece| payload += piece.len());
                        assert!(pushed.is_ok());
                        assert!(unframing.give_back(&[]).is_empty(), "whole capsules");
                        rest = after;
                    }
                    assert_eq!(payload, count);
                }
            }
        }
    }
}

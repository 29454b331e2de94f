//! Splices of streams of two connections: what the one receives the other sends, in frames and capsules of its own.

use crate::command::{JoinStreams, JoinedStream};
use crate::counters::Counter;
use crate::driver::Driver;
use crate::driver::forward::ByteOutlets;
use crate::quic::byte_splice::{Relabelled, StreamSplice};
use crate::quic::connection::Connection;
use crate::seam::completion::Kind;
use crate::splice::framing::HEADERS;
use crate::splice::side::Side;
use crate::splice::unframing::Unframing;

/// Moves at most `left` bytes to a stream of another connection; returns how many, and whether that takes more that
/// waits.
pub(super) fn forward_to_stream(
    connection: &mut Connection,
    key: u32,
    (id, other, stream): (u64, u32, u32),
    left: usize,
    outlets: &mut ByteOutlets<'_>,
) -> (usize, bool) {
    let other = outlets
        .connections
        .get_mut(other as usize)
        .and_then(Option::as_mut);
    let taken = other.and_then(|other| {
        let takes = other.takes_bytes(stream, id)?;
        Some((other, takes, connection.relabelled(key)?))
    });
    let Some((other, takes, Relabelled { capsule, moved })) = taken else {
        // It is gone, or takes no more: JavaScript hears of it and decides.
        connection.give_up_byte_splice(key);
        return (0, false);
    };
    // Also without room: a reset is told at once.
    let room = if takes {
        left.min(other.burst_left())
    } else {
        0
    };
    let payload = &mut *outlets.payload;
    payload.clear();
    payload.resize(HEADERS, 0);
    let more = connection.forward_bytes(key, room, payload);
    let count = payload.len() - HEADERS;
    if count > 0 {
        other.write_framed(stream, capsule, payload, outlets.out);
        moved.add(count as u64);
        other.list(outlets.attention);
    }
    (count, more && takes)
}

impl Driver {
    /// Begins a splice of two streams, unless something has been told of either that JavaScript did not know, and
    /// says whether it did.
    pub(super) fn join_streams(&mut self, ask: &JoinStreams) {
        let begun = self.begin_stream_join(ask);
        self.tell_spliced(Kind::StreamsJoined, ask.join, begun);
        if !begun {
            return;
        }
        let [near, far] = &ask.sides;
        self.push_first(near, far, &ask.moved[0]);
        self.push_first(far, near, &ask.moved[1]);
    }

    fn begin_stream_join(&mut self, ask: &JoinStreams) -> bool {
        let [near, far] = &ask.sides;
        let may = |side: &JoinedStream| {
            let connection = self.connections.get(side.connection as usize);
            matches!(connection, Some(Some(connection)) if connection.may_splice(side.stream, side.received))
        };
        // A connection is no other to itself: it is taken out of its place while it forwards.
        if near.connection == far.connection || !may(near) || !may(far) {
            return false;
        }
        let id = self.next_splice();
        for (from, to, moved) in [(near, far, &ask.moved[0]), (far, near, &ask.moved[1])] {
            let splice = StreamSplice {
                id,
                to: Side::Stream {
                    connection: to.connection,
                    stream: to.stream,
                },
                unframing: Unframing::new(true, from.capsule.is_some()),
                relabelled: Some(Relabelled {
                    capsule: to.capsule,
                    moved: moved.clone(),
                }),
            };
            self.with_connection(from.connection, |connection, _| {
                connection.begin_byte_splice(from.stream, splice, from.received);
            });
        }
        true
    }

    /// What JavaScript had been told of before goes first.
    fn push_first(&mut self, from: &JoinedStream, to: &JoinedStream, moved: &Counter) {
        let mut payload = std::mem::take(&mut self.splice_payload);
        payload.clear();
        payload.resize(HEADERS, 0);
        self.with_connection(from.connection, |connection, _| {
            connection.push_prefix(from.stream, &from.prefix, &mut payload);
        });
        moved.add((payload.len() - HEADERS) as u64);
        self.write_to_stream(to.connection, to.stream, to.capsule, &mut payload);
        self.splice_payload = payload;
    }
}

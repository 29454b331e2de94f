//! What a connection receives on spliced streams goes to their other sides.

use slab::Slab;

use crate::driver::stream_splice::forward_to_stream;
use crate::quic::connection::Connection;
use crate::seam::completion::Completions;
use crate::splice::side::Side;
use crate::tcp::Sockets;

/// Bytes that the streams of one connection give away in one round.
const ROUND: usize = 1024 * 1024;

/// Where bytes of splices leave a connection that is taken out of its place.
pub(super) struct ByteOutlets<'a> {
    pub tcp: &'a mut Sockets,
    pub connections: &'a mut Slab<Option<Box<Connection>>>,
    pub attention: &'a mut Vec<u32>,
    pub payload: &'a mut Vec<u8>,
    pub out: &'a mut Completions,
}

impl ByteOutlets<'_> {
    /// The side reads on: the stream that it writes to has room.
    fn has_room(&mut self, side: Side) {
        match side {
            Side::Socket(socket) => self.tcp.list_readable(socket),
            Side::Stream { connection, stream } => {
                if let Some(Some(other)) = self.connections.get_mut(connection as usize) {
                    other.list_readable(stream);
                    other.list(self.attention);
                }
            }
            Side::Http2 { .. } | Side::Target(_) => {}
        }
    }
}

/// Gives what the connection received on spliced streams to their other sides. What these would take and does not
/// go in this round stays listed.
pub(super) fn forward_bytes(connection: &mut Connection, outlets: &mut ByteOutlets<'_>) {
    for side in std::mem::take(&mut connection.freed_feeders) {
        outlets.has_room(side);
    }
    let mut left = ROUND;
    let mut served = Vec::new();
    let mut keys = std::mem::take(&mut connection.readable_splices).into_iter();
    while left > 0
        && let Some(key) = keys.next()
    {
        let Some((id, to)) = connection.drain_of(key) else {
            continue;
        };
        let (moved, more) = match to {
            Side::Socket(index) => forward_to_socket(connection, key, (id, index), left, outlets),
            Side::Stream {
                connection: other,
                stream,
            } => forward_to_stream(connection, key, (id, other, stream), left, outlets),
            Side::Http2 { .. } | Side::Target(_) => (0, false),
        };
        left -= moved;
        if more && moved > 0 {
            served.push(key);
        } else if more {
            connection.list_readable(key);
        }
    }
    // Those that had no turn are still listed, and go first next time.
    connection.readable_splices.splice(0..0, keys);
    for key in served {
        connection.list_readable(key);
    }
}

/// Moves at most `left` bytes; returns how many, and whether the socket takes more that waits.
fn forward_to_socket(
    connection: &mut Connection,
    key: u32,
    (id, index): (u64, u32),
    left: usize,
    outlets: &mut ByteOutlets<'_>,
) -> (usize, bool) {
    let ByteOutlets { tcp, payload, .. } = outlets;
    let socket = tcp
        .sockets
        .get_mut(&index)
        .filter(|socket| socket.splice.is_some_and(|splice| splice.id == id));
    let Some(socket) = socket else {
        // It is gone: JavaScript hears of it and resets the stream.
        connection.give_up_byte_splice(key);
        return (0, false);
    };
    payload.clear();
    let room = socket.room().min(left);
    let waits = connection.forward_bytes(key, room, payload);
    let moved = room.min(payload.len());
    if let Err(error) = socket.write_spliced(payload) {
        tcp.cut.push((index, error));
        return (moved, false);
    }
    let more = waits && socket.room() > 0;
    if waits
        && !more
        && let Some(splice) = &mut socket.splice
    {
        splice.awaited = true;
    }
    tcp.list_flush(index);
    (moved, more)
}

//! Headers in front of tunnelled bytes: of HTTP/3 DATA frames (RFC 9114 section 7.2.1) and of capsules (RFC 9297
//! section 3.2).

use crate::quic::splice::encoded;

pub(super) const DATA_FRAME: u64 = 0;

/// RFC 9297 section 3.5.
pub(super) const DATAGRAM_CAPSULE: u64 = 0;

/// Room for the headers in front of a piece, as much as the longest take.
pub const HEADERS: usize = 32;

/// Writes the header of a capsule of `length` bytes to the end of `room`, in front of where these follow;
/// returns where it begins.
pub fn write_capsule_header(room: &mut [u8], kind: u64, length: usize) -> usize {
    let at = put_before(room, room.len(), &encoded(length as u64));
    put_before(room, at, &encoded(kind))
}

/// The same with the header of an HTTP/3 DATA frame. `capsule` is the type of the capsule around the bytes, if
/// there is one.
pub fn write_headers(room: &mut [u8], capsule: Option<u64>, length: usize) -> usize {
    let end = room.len();
    let at = match capsule {
        Some(kind) => write_capsule_header(room, kind, length),
        None => end,
    };
    let content = length + end - at;
    let at = put_before(room, at, &encoded(content as u64));
    put_before(room, at, &encoded(DATA_FRAME))
}

/// Adds a DATAGRAM capsule with context id 0 (RFC 9298 section 5) around a payload.
pub fn push_datagram(buffer: &mut Vec<u8>, payload: &[u8]) {
    let length = payload.len() as u32 + 1;
    buffer.push(DATAGRAM_CAPSULE as u8);
    match length {
        0..0x40 => buffer.push(length as u8),
        0x40..0x4000 => buffer.extend_from_slice(&(length as u16 | 0x4000).to_be_bytes()),
        _ => buffer.extend_from_slice(&(length | 0x8000_0000).to_be_bytes()),
    }
    buffer.push(0);
    buffer.extend_from_slice(payload);
}

fn put_before(room: &mut [u8], end: usize, bytes: &[u8]) -> usize {
    let at = end - bytes.len();
    room[at..end].copy_from_slice(bytes);
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_stand_right_in_front() {
        let mut room = [0; 32];
        let at = write_headers(&mut room, None, 100);
        assert_eq!(room[at..], [0, 0x40, 100]);
        let at = write_headers(&mut room, Some(0x2028_d7f2), 3);
        assert_eq!(room[at..], [0, 8, 0xa0, 0x28, 0xd7, 0xf2, 3][..]);
    }

    #[test]
    fn a_datagram_has_the_shortest_header() {
        for (length, header) in [
            (0, &[0, 1, 0][..]),
            (62, &[0, 63, 0]),
            (63, &[0, 0x40, 64, 0]),
            (16_382, &[0, 0x7f, 0xff, 0]),
            (16_383, &[0, 0x80, 0, 0x40, 0, 0]),
        ] {
            let mut buffer = vec![9];
            push_datagram(&mut buffer, &vec![7; length]);
            assert_eq!(buffer[1..=header.len()], *header);
            assert_eq!(buffer.len(), 1 + header.len() + length);
        }
    }
}

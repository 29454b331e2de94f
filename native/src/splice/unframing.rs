//! Tunnelled bytes taken out of HTTP/3 DATA frames (RFC 9114 section 7.1) where there are any, and of the
//! capsules of connect-tcp where these are used.
//!
//! Only what occurs all the time is understood. Anything else is given back as bytes that bring a
//! parser between two frames to where this one stands, with what follows.

use crate::quic::splice::{encoded, varint};

const DATA_FRAME: u64 = 0;

/// A frame type that means nothing (RFC 9114 section 7.2.8).
const RESERVED_FRAME: u64 = 0x21;

/// Frame types with a meaning, or forbidden ones (RFC 9114 sections 7.2 and 11.2.1).
fn is_known_frame(kind: u64) -> bool {
    matches!(kind, 0x01..=0x09 | 0x0d)
}

const DATAGRAM_CAPSULE: u64 = 0;

/// DATA capsules of the revisions; FINAL_DATA is the next higher type of each.
const DATA_CAPSULES: [u64; 2] = [0x2028_d7f2, 0x2028_d7f0];

/// The longest header: two numbers.
const HEADER: usize = 16;

const LARGEST: u64 = (1 << 62) - 1;

/// Type and length, as far as they have come.
#[derive(Default)]
struct Header {
    bytes: [u8; HEADER],
    length: usize,
}

impl Header {
    /// Takes what it lacks; type and length once it is whole.
    fn take(&mut self, rest: &mut &[u8]) -> Option<(u64, u64)> {
        while let Some((&byte, after)) = rest.split_first() {
            *rest = after;
            self.bytes[self.length] = byte;
            self.length += 1;
            let so_far = self.so_far();
            if let Some((kind, at)) = varint(so_far)
                && let Some((length, _)) = varint(&so_far[at..])
            {
                return Some((kind, length));
            }
        }
        None
    }

    fn so_far(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// A value being read.
#[derive(Default)]
struct Value {
    kind: u64,
    left: u64,
    skipped: bool,
}

impl Value {
    fn take<'a>(&mut self, rest: &mut &'a [u8]) -> &'a [u8] {
        let count = rest
            .len()
            .min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let (taken, after) = rest.split_at(count);
        *rest = after;
        self.left -= count as u64;
        taken
    }
}

pub struct Unframing {
    frames: bool,
    capsules: bool,
    frame_header: Header,
    frame: Value,
    capsule_header: Header,
    capsule: Value,
}

impl Unframing {
    /// `frames`: what comes is HTTP/3 frames, and not their content.
    pub fn new(frames: bool, capsules: bool) -> Self {
        Self {
            frames,
            capsules,
            frame_header: Header::default(),
            frame: Value::default(),
            capsule_header: Header::default(),
            capsule: Value::default(),
        }
    }

    /// Gives the tunnelled bytes to `payload`; fails with what is given back, after which it is done.
    pub fn push<'b>(
        &mut self,
        mut bytes: &'b [u8],
        payload: &mut impl FnMut(&'b [u8]),
    ) -> Result<(), Vec<u8>> {
        let rest = &mut bytes;
        if !self.frames {
            if !self.capsules {
                payload(rest);
            } else if self.push_content(rest, payload).is_err() {
                return Err(self.give_back(rest));
            }
            return Ok(());
        }
        while !rest.is_empty() {
            if self.frame.left == 0 {
                let Some((kind, left)) = self.frame_header.take(rest) else {
                    return Ok(());
                };
                if is_known_frame(kind) {
                    return Err(self.give_back(rest));
                }
                self.frame_header.length = 0;
                // RFC 9114 section 9: unknown types are ignored.
                let skipped = kind != DATA_FRAME;
                self.frame = Value {
                    kind,
                    left,
                    skipped,
                };
                continue;
            }
            let mut content = self.frame.take(rest);
            if self.frame.skipped {
                continue;
            }
            if !self.capsules {
                payload(content);
            } else if self.push_content(&mut content, payload).is_err() {
                self.frame.left += content.len() as u64;
                let mut after = content.to_vec();
                after.extend_from_slice(rest);
                return Err(self.give_back(&after));
            }
        }
        Ok(())
    }

    /// Takes bytes out of capsules; fails behind the header of one that it does not know how to treat.
    fn push_content<'b>(
        &mut self,
        rest: &mut &'b [u8],
        payload: &mut impl FnMut(&'b [u8]),
    ) -> Result<(), ()> {
        while !rest.is_empty() {
            if self.capsule.left == 0 {
                let Some((kind, left)) = self.capsule_header.take(rest) else {
                    return Ok(());
                };
                let data = DATA_CAPSULES.contains(&kind);
                let is_final = DATA_CAPSULES.iter().any(|&data| kind == data + 1);
                if kind == DATAGRAM_CAPSULE || is_final {
                    return Err(());
                }
                self.capsule_header.length = 0;
                // RFC 9297 section 3.2: unknown types are skipped.
                self.capsule = Value {
                    kind,
                    left,
                    skipped: !data,
                };
                continue;
            }
            let bytes = self.capsule.take(rest);
            if !self.capsule.skipped {
                payload(bytes);
            }
        }
        Ok(())
    }

    /// What brings a parser between two frames to this place, and then `rest`. Empty between two
    /// frames and two capsules with nothing to follow.
    pub fn give_back(&self, rest: &[u8]) -> Vec<u8> {
        let mut inner = Vec::new();
        if self.capsule.left > 0 {
            inner.extend(encoded(self.capsule.kind));
            inner.extend(encoded(self.capsule.left));
        } else {
            inner.extend_from_slice(self.capsule_header.so_far());
        }
        let content = if self.frame.skipped {
            0
        } else {
            self.frame.left
        };
        if !self.frames {
            inner.extend_from_slice(rest);
            return inner;
        }
        let mut bytes = Vec::with_capacity(4 * HEADER + rest.len());
        let length = inner.len() as u64 + content;
        if length > 0 {
            bytes.extend(encoded(DATA_FRAME));
            bytes.extend(encoded(length.min(LARGEST)));
            bytes.append(&mut inner);
        }
        if self.frame.skipped && self.frame.left > 0 {
            bytes.extend(encoded(RESERVED_FRAME));
            bytes.extend(encoded(self.frame.left));
        } else {
            bytes.extend_from_slice(self.frame_header.so_far());
        }
        bytes.extend_from_slice(rest);
        bytes
    }
}

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

fn put_before(room: &mut [u8], end: usize, bytes: &[u8]) -> usize {
    let at = end - bytes.len();
    room[at..end].copy_from_slice(bytes);
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u64, content: &[u8]) -> Vec<u8> {
        [
            encoded(kind),
            encoded(content.len() as u64),
            content.to_vec(),
        ]
        .concat()
    }

    /// Feeds pieces of this size; returns the payload and what was given back with what was not fed.
    fn feed(capsules: bool, bytes: &[u8], piece: usize) -> (Vec<u8>, Option<Vec<u8>>) {
        let mut unframing = Unframing::new(true, capsules);
        let mut payload = Vec::new();
        let mut fed = 0;
        for piece in bytes.chunks(piece) {
            fed += piece.len();
            if let Err(mut back) =
                unframing.push(piece, &mut |bytes| payload.extend_from_slice(bytes))
            {
                back.extend_from_slice(&bytes[fed..]);
                return (payload, Some(back));
            }
        }
        (payload, None)
    }

    #[test]
    fn bytes_are_taken_out_of_frames_however_they_are_cut() {
        let bytes = [
            frame(0, b"hello"),
            frame(0x21, b"grease"),
            frame(0, b""),
            frame(0x1f1f, b""),
            frame(0, &[7; 300]),
        ]
        .concat();
        for piece in 1..bytes.len() {
            let (payload, back) = feed(false, &bytes, piece);
            assert_eq!(payload, [&b"hello"[..], &[7; 300]].concat());
            assert!(back.is_none());
        }
    }

    #[test]
    fn other_frames_are_given_back_with_all_that_follows() {
        let after = [frame(1, b"trailers"), frame(0, b"more")].concat();
        let bytes = [frame(0, b"hello"), after.clone()].concat();
        for piece in 1..=bytes.len() {
            assert_eq!(
                feed(false, &bytes, piece),
                (b"hello".to_vec(), Some(after.clone()))
            );
        }
    }

    #[test]
    fn capsules_are_taken_apart_across_frames() {
        let data = frame(0x2028_d7f2, &[5; 100]);
        let older = frame(0x2028_d7f0, b"older");
        let unknown = frame(0x1234, b"unknown");
        let all = [data, unknown, older].concat();
        for cut in 1..all.len() {
            let bytes = [
                frame(0, &all[..cut]),
                frame(0x40, b"x"),
                frame(0, &all[cut..]),
            ]
            .concat();
            for piece in [1, 2, 3, 7, 1000] {
                let (payload, back) = feed(true, &bytes, piece);
                assert_eq!(payload, [&[5; 100][..], b"older"].concat());
                assert!(back.is_none());
            }
        }
    }

    #[test]
    fn final_data_is_given_back_as_if_a_frame_began_with_it() {
        let last = frame(0x2028_d7f3, b"last");
        let content = [frame(0x2028_d7f2, b"first"), last.clone()].concat();
        let bytes = [frame(0, &content), frame(0, b"x")].concat();
        let expected = [frame(0, &last), frame(0, b"x")].concat();
        for piece in 1..=bytes.len() {
            let (payload, back) = feed(true, &bytes, piece);
            assert_eq!(payload, b"first");
            assert_eq!(back, Some(expected.clone()), "in pieces of {piece}");
        }
    }

    /// What is given back in the middle leads another parser to the same bytes.
    #[test]
    fn the_place_is_given_back() {
        let content = [
            frame(0x2028_d7f2, &[5; 70]),
            frame(0x77, b"skipped"),
            frame(0x2028_d7f2, b"end"),
        ]
        .concat();
        let bytes = [
            frame(0, &content[..90]),
            frame(0x21, &[9; 20]),
            frame(0, &content[90..]),
        ]
        .concat();
        for cut in 0..bytes.len() {
            let mut first = Unframing::new(true, true);
            let mut payload = Vec::new();
            let pushed = first.push(&bytes[..cut], &mut |piece| payload.extend_from_slice(piece));
            assert!(pushed.is_ok());
            let back = first.give_back(&bytes[cut..]);
            let (rest, none) = feed(true, &back, 5);
            assert_eq!([payload, rest].concat(), [&[5; 70][..], b"end"].concat());
            assert!(none.is_none());
        }
    }

    /// The same without frames: what is given back is capsules.
    #[test]
    fn without_frames_only_capsules_are_looked_at() {
        let last = frame(0x2028_d7f3, b"last");
        let content = [
            frame(0x2028_d7f2, &[5; 70]),
            frame(0x77, b"skipped"),
            last.clone(),
        ]
        .concat();
        for cut in 0..content.len() {
            let mut unframing = Unframing::new(false, true);
            let mut payload = Vec::new();
            let first = unframing.push(&content[..cut], &mut |piece| {
                payload.extend_from_slice(piece)
            });
            let back = match first {
                Err(mut back) => {
                    back.extend_from_slice(&content[cut..]);
                    back
                }
                Ok(()) => {
                    let take = &mut |piece: &[u8]| payload.extend_from_slice(piece);
                    unframing
                        .push(&content[cut..], take)
                        .expect_err("FINAL_DATA")
                }
            };
            assert_eq!(payload, [5; 70], "cut at {cut}");
            assert_eq!(back, last, "cut at {cut}");
            let mut half = Unframing::new(false, true);
            if cut < 82 {
                assert!(half.push(&content[..cut], &mut |_| ()).is_ok());
                let mut again = Unframing::new(false, true);
                let back = half.give_back(&content[cut..]);
                assert_eq!(
                    again.push(&back, &mut |_| ()),
                    Err(last.clone()),
                    "at {cut}"
                );
            }
        }
        let mut plain = Unframing::new(false, false);
        assert!(
            plain
                .push(b"anything", &mut |piece| assert_eq!(piece, b"anything"))
                .is_ok()
        );
        assert!(plain.give_back(&[]).is_empty());
    }

    #[test]
    fn headers_stand_right_in_front() {
        let mut room = [0; 32];
        let at = write_headers(&mut room, None, 100);
        assert_eq!(room[at..], [0, 0x40, 100]);
        let at = write_headers(&mut room, Some(0x2028_d7f2), 3);
        assert_eq!(room[at..], [0, 8, 0xa0, 0x28, 0xd7, 0xf2, 3][..]);
    }
}

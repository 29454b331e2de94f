//! Tunnelled bytes taken out of HTTP/3 DATA frames (RFC 9114 section 7.1) where there are any, and of the
//! capsules of connect-tcp where these are used.
//!
//! Only what occurs all the time is understood. Anything else is given back as bytes that bring a
//! parser between two frames to where this one stands, with what follows.

use crate::quic::splice::encoded;
use crate::splice::framing::{DATA_FRAME, DATAGRAM_CAPSULE};
use crate::splice::header::{HEADER, Header};

/// A frame type that means nothing (RFC 9114 section 7.2.8).
const RESERVED_FRAME: u64 = 0x21;

/// Frame types with a meaning, or forbidden ones (RFC 9114 sections 7.2 and 11.2.1).
fn is_known_frame(kind: u64) -> bool {
    matches!(kind, 0x01..=0x09 | 0x0d)
}

/// DATA capsules of the revisions; FINAL_DATA is the next higher type of each.
const DATA_CAPSULES: [u64; 2] = [0x2028_d7f2, 0x2028_d7f0];

const LARGEST: u64 = (1 << 62) - 1;

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
                self.frame_header.clear();
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
                self.capsule_header.clear();
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

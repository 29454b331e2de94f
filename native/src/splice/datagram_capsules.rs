//! UDP payloads taken out of DATAGRAM capsules (RFC 9297 section 3.5) with context id 0 (RFC 9298 section 5).
//!
//! Capsules of other types are skipped. What JavaScript has to decide is given back as bytes that bring a parser
//! between two capsules to where this one stands, with what follows.

use crate::quic::splice::{encoded, varint};
use crate::splice::framing::DATAGRAM_CAPSULE;
use crate::splice::header::Header;

/// The longest value: a context id as short as can be, and the longest payload of UDP. What becomes of a longer
/// one is JavaScript's to decide.
const LONGEST: u64 = 1 + 65_527;

/// Memory for values that came in pieces that is kept for the next.
const KEPT: usize = 4 * 1024;

/// What a DATAGRAM capsule has.
#[derive(Debug, PartialEq, Eq)]
pub enum Content<'a> {
    Payload(&'a [u8]),
    /// To be dropped (RFC 9298 section 4).
    UnknownContext,
    /// Too short for its context id.
    Malformed,
}

impl<'a> Content<'a> {
    fn of(value: &'a [u8]) -> Self {
        match varint(value) {
            Some((0, length)) => Self::Payload(&value[length..]),
            Some(_) => Self::UnknownContext,
            None => Self::Malformed,
        }
    }
}

#[derive(Default)]
pub struct DatagramCapsules {
    header: Header,
    kind: u64,
    /// Bytes of the value that are missing.
    left: u64,
    /// What has come of the value of a DATAGRAM capsule.
    value: Vec<u8>,
}

impl DatagramCapsules {
    /// Tells what each capsule that is whole has; fails with what is given back, after which it is done.
    pub fn push(
        &mut self,
        mut bytes: &[u8],
        each: &mut impl FnMut(Content<'_>),
    ) -> Result<(), Vec<u8>> {
        let rest = &mut bytes;
        while !rest.is_empty() {
            if self.left > 0 {
                self.push_value(rest, each);
                continue;
            }
            let Some((kind, length)) = self.header.take(rest) else {
                break;
            };
            if kind == DATAGRAM_CAPSULE && length > LONGEST {
                return Err(self.give_back(rest));
            }
            self.header.clear();
            (self.kind, self.left) = (kind, length);
            if kind == DATAGRAM_CAPSULE && length == 0 {
                each(Content::Malformed);
            }
        }
        Ok(())
    }

    fn push_value(&mut self, rest: &mut &[u8], each: &mut impl FnMut(Content<'_>)) {
        let left = usize::try_from(self.left).unwrap_or(usize::MAX);
        let (piece, after) = rest.split_at(rest.len().min(left));
        *rest = after;
        self.left -= piece.len() as u64;
        // RFC 9297 section 3.2: unknown types are skipped.
        if self.kind != DATAGRAM_CAPSULE {
            return;
        }
        if self.left == 0 && self.value.is_empty() {
            return each(Content::of(piece));
        }
        self.value.extend_from_slice(piece);
        if self.left == 0 {
            each(Content::of(&self.value));
            if self.value.capacity() > KEPT {
                self.value = Vec::new();
            }
            self.value.clear();
        }
    }

    /// What brings a parser between two capsules to this place, and then `rest`.
    pub fn give_back(&self, rest: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(16 + self.value.len() + rest.len());
        if self.left > 0 {
            bytes.extend(encoded(self.kind));
            bytes.extend(encoded(self.left + self.value.len() as u64));
            bytes.extend_from_slice(&self.value);
        } else {
            bytes.extend_from_slice(self.header.so_far());
        }
        bytes.extend_from_slice(rest);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::splice::framing::push_datagram;

    fn capsule(kind: u64, value: &[u8]) -> Vec<u8> {
        [encoded(kind), encoded(value.len() as u64), value.to_vec()].concat()
    }

    fn text(content: &Content<'_>) -> String {
        match content {
            Content::Payload(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            other => format!("{other:?}"),
        }
    }

    /// Feeds pieces of this size; returns what was told, and what was given back with what was not fed.
    fn feed(bytes: &[u8], piece: usize) -> (Vec<String>, Option<Vec<u8>>) {
        let mut capsules = DatagramCapsules::default();
        let mut told = Vec::new();
        let mut fed = 0;
        for piece in bytes.chunks(piece) {
            fed += piece.len();
            if let Err(mut back) = capsules.push(piece, &mut |content| told.push(text(&content))) {
                back.extend_from_slice(&bytes[fed..]);
                return (told, Some(back));
            }
        }
        assert!(capsules.give_back(&[]).is_empty(), "between two capsules");
        (told, None)
    }

    fn several() -> (Vec<u8>, Vec<&'static str>) {
        let mut bytes = Vec::new();
        push_datagram(&mut bytes, b"first");
        bytes.extend(capsule(0x77, b"skipped"));
        bytes.extend(capsule(0x78, b""));
        push_datagram(&mut bytes, b"");
        bytes.extend(capsule(0, &[0x40, 0, b'l', b'o', b'n', b'g']));
        bytes.extend(capsule(0, &[2, b'x']));
        bytes.extend(capsule(0, b""));
        bytes.extend(capsule(0, &[0x40]));
        push_datagram(&mut bytes, b"last");
        let told = vec![
            "first",
            "",
            "long",
            "UnknownContext",
            "Malformed",
            "Malformed",
            "last",
        ];
        (bytes, told)
    }

    #[test]
    fn payloads_are_taken_out_however_they_are_cut() {
        let (bytes, expected) = several();
        for piece in 1..=bytes.len() {
            let (told, back) = feed(&bytes, piece);
            assert_eq!(told, expected, "in pieces of {piece}");
            assert!(back.is_none());
        }
    }

    #[test]
    fn the_place_is_given_back() {
        let (bytes, expected) = several();
        for cut in 0..=bytes.len() {
            let mut first = DatagramCapsules::default();
            let mut told = Vec::new();
            let pushed = first.push(&bytes[..cut], &mut |content| told.push(text(&content)));
            assert!(pushed.is_ok());
            let (rest, none) = feed(&first.give_back(&bytes[cut..]), 3);
            told.extend(rest);
            assert_eq!(told, expected, "cut at {cut}");
            assert!(none.is_none());
        }
    }

    #[test]
    fn the_longest_payload_passes_and_a_longer_one_is_given_back() {
        let mut bytes = Vec::new();
        push_datagram(&mut bytes, &vec![b'x'; 65_527]);
        for piece in [1000, 70_000] {
            let (told, back) = feed(&bytes, piece);
            assert_eq!((told.len(), told[0].len()), (1, 65_527));
            assert!(back.is_none());
        }
        let mut longer = Vec::new();
        push_datagram(&mut longer, &vec![b'x'; 65_528]);
        push_datagram(&mut longer, b"after");
        for piece in [1, 7, 1000, 70_000] {
            assert_eq!(feed(&longer, piece), (Vec::new(), Some(longer.clone())));
        }
    }
}

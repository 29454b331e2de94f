//! How many bidirectional streams the peer gives this side leave to open (RFC 9000 section 4.6), as far as it can
//! be found out: what it said in the handshake is known, of a later MAX_STREAMS only that it came. Then a few
//! streams are opened ahead of use, which sends nothing, until there is no leave for another.

use std::collections::VecDeque;

use quinn_proto::{Connection, Dir, StreamId};

/// Streams opened ahead of use, at most.
const AHEAD: u64 = 128;

#[derive(Default)]
pub struct Leave {
    /// Streams of which it is known that they may be opened, from the connection's start on.
    known: u64,
    /// Streams in use, or used.
    opened: u64,
    ahead: VecDeque<StreamId>,
    /// The peer may have given more than is known.
    raised: bool,
    told: u64,
}

/// The peer's initial_max_streams_bidi (RFC 9000 section 18.2), which the protocol's own type keeps to itself.
fn initial(connection: &Connection) -> u64 {
    let Ok(Some(parameters)) = connection.crypto_session().transport_parameters() else {
        return 0;
    };
    let mut bytes = Vec::new();
    parameters.write(&mut bytes);
    find(&bytes, 0x08).unwrap_or(0)
}

/// A transport parameter that is a number.
fn find(mut bytes: &[u8], wanted: u64) -> Option<u64> {
    while !bytes.is_empty() {
        let id = varint(&mut bytes)?;
        let length = varint(&mut bytes)? as usize;
        let (mut value, rest) = bytes.split_at_checked(length)?;
        if id == wanted {
            return varint(&mut value);
        }
        bytes = rest;
    }
    None
}

/// RFC 9000 section 16.
fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let (&first, _) = bytes.split_first()?;
    let (whole, rest) = bytes.split_at_checked(1 << (first >> 6))?;
    *bytes = rest;
    let start = u64::from(first & 0x3f);
    Some(
        whole[1..]
            .iter()
            .fold(start, |value, &byte| value << 8 | u64::from(byte)),
    )
}

impl Leave {
    /// The handshake is over; returns what the peer has said.
    pub fn start(&mut self, quic: &Connection) -> u64 {
        self.known = initial(quic).max(self.opened);
        self.told = self.known;
        self.known
    }

    /// MAX_STREAMS came.
    pub fn raised(&mut self) {
        self.raised = true;
    }

    pub fn open(&mut self, quic: &mut Connection) -> Option<StreamId> {
        let id = self
            .ahead
            .pop_front()
            .or_else(|| quic.streams().open(Dir::Bi))?;
        self.opened = id.index() + 1;
        self.known = self.known.max(self.opened);
        Some(id)
    }

    /// Looks ahead where what is known is nearly used up; a new number if there is one.
    pub fn look(&mut self, quic: &mut Connection) -> Option<u64> {
        if self.raised && self.known < self.opened + AHEAD {
            while (self.ahead.len() as u64) < AHEAD {
                let Some(id) = quic.streams().open(Dir::Bi) else {
                    self.raised = false;
                    break;
                };
                self.ahead.push_back(id);
                self.known = self.known.max(id.index() + 1);
            }
        }
        let news = self.known > self.told;
        self.told = self.known;
        news.then_some(self.known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_found_among_others() {
        let bytes = [
            0x01, 0x01, 0x05, 0x40, 0x55, 0x00, 0x08, 0x02, 0x44, 0x00, 0x03, 0x00,
        ];
        assert_eq!(find(&bytes, 0x08), Some(1024));
        assert_eq!(find(&bytes, 0x01), Some(5));
        assert_eq!(find(&bytes, 0x09), None);
        assert_eq!(find(&bytes[..8], 0x08), None);
        assert_eq!(
            find(&[0x08, 0x08, 0xc0, 0, 0, 1, 0, 0, 0, 0], 0x08),
            Some(1 << 32)
        );
    }
}

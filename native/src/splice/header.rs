//! The header of a frame or a capsule: a type and a length, as far as they have come.

use crate::quic::splice::varint;

/// The longest header: two numbers.
pub(super) const HEADER: usize = 16;

#[derive(Default)]
pub(super) struct Header {
    bytes: [u8; HEADER],
    length: usize,
}

impl Header {
    /// Takes what it lacks; type and length once it is whole.
    pub fn take(&mut self, rest: &mut &[u8]) -> Option<(u64, u64)> {
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

    pub fn so_far(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// What was taken is done with: another one begins.
    pub fn clear(&mut self) {
        self.length = 0;
    }
}

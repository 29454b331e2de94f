//! What the engine tells JavaScript, written as records of 32-bit words.
//!
//! The first word is `kind | words << 8`, where `words` counts the whole record; the second names
//! the subject. Numbers above 32 bits take two words, low first; bytes are preceded by their length
//! and padded to a word. `src/quic/native/records.ts` reads them.

use std::io;
use std::mem::MaybeUninit;
use std::net::SocketAddr;

#[derive(Clone, Copy)]
#[repr(u8)]
pub enum Kind {
    Listening = 1,
    ConnectionUp = 2,
    ConnectFailed = 3,
    ConnectionClosed = 4,
    StreamOpened = 5,
    StreamId = 6,
    StreamData = 7,
    StreamEnd = 8,
    StreamReset = 9,
    StreamStopped = 10,
    StreamSpace = 11,
    StreamDone = 12,
    Datagram = 13,
    DatagramSpace = 14,
    MaxDatagramSize = 15,
    Migrated = 16,
    Statistics = 17,
    EndpointClosed = 18,
    Address = 19,
    UdpPacket = 21,
    UdpSpace = 22,
    UdpProblem = 23,
    UdpClosed = 24,
    VirtualTransmit = 25,
    EngineClosed = 26,
    Rebound = 27,
    EngineFailed = 28,
    TcpListening = 29,
    TcpAccepted = 30,
    TcpOpened = 31,
    TcpData = 32,
    TcpSpace = 33,
    TcpEnd = 34,
    TcpClosed = 35,
    StreamLimit = 36,
    SecureFailed = 37,
    SecureListenerDone = 38,
    Http2Headers = 40,
    Http2Data = 41,
    Http2End = 42,
    Http2Reset = 43,
    Http2Space = 44,
    Http2Settings = 45,
    Http2Pong = 46,
    Http2Goaway = 47,
    Http2Failed = 48,
    Http2Sent = 49,
    SpliceHeld = 60,
    JoinHeld = 61,
    BytesSpliced = 70,
    SocketsSpliced = 71,
    StreamsJoined = 72,
}

/// The batch being written.
#[derive(Default)]
pub struct Completions {
    pub bytes: Vec<u8>,
    /// Something in it should reach JavaScript now, not with the next thing that does.
    pub urgent: bool,
    start: usize,
}

impl Completions {
    pub fn begin(&mut self, kind: Kind, subject: u32) -> &mut Self {
        self.start = self.bytes.len();
        self.bytes.extend_from_slice(&(kind as u32).to_le_bytes());
        self.word(subject)
    }

    pub fn word(&mut self, value: u32) -> &mut Self {
        self.bytes.extend_from_slice(&value.to_le_bytes());
        self
    }

    pub fn long(&mut self, value: u64) -> &mut Self {
        self.bytes.extend_from_slice(&value.to_le_bytes());
        self
    }

    pub fn bytes(&mut self, value: &[u8]) -> &mut Self {
        self.word(value.len() as u32);
        self.bytes.extend_from_slice(value);
        self.pad(value.len());
        self
    }

    /// A record of bytes that `read` puts into the room of `most` bytes that it is given, and counts.
    /// None is written where it gives none.
    pub fn filled(
        &mut self,
        kind: Kind,
        subject: u32,
        most: usize,
        read: impl FnOnce(&mut [MaybeUninit<u8>]) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let start = self.bytes.len();
        self.begin(kind, subject).word(0);
        let body = self.bytes.len();
        self.bytes.reserve(most + 4);
        let result = read(&mut self.bytes.spare_capacity_mut()[..most]);
        match result {
            Ok(count) if count > 0 => {
                let count = count.min(most);
                // SAFETY: there is room for `most` bytes, of which `read` has written this many.
                unsafe { self.bytes.set_len(body + count) };
                self.bytes[body - 4..body].copy_from_slice(&(count as u32).to_le_bytes());
                self.pad(count);
                self.end();
                Ok(count)
            }
            other => {
                self.bytes.truncate(start);
                other
            }
        }
    }

    fn pad(&mut self, length: usize) {
        let padding = (4 - length % 4) % 4;
        self.bytes.extend_from_slice(&[0; 3][..padding]);
    }

    pub fn text(&mut self, value: &str) -> &mut Self {
        self.bytes(value.as_bytes())
    }

    /// An address without an IPv4-mapped prefix: what a person would write.
    pub fn address(&mut self, value: SocketAddr) -> &mut Self {
        self.text(&value.ip().to_canonical().to_string())
            .word(u32::from(value.port()))
    }

    /// Ends the record.
    pub fn end(&mut self) {
        let words = ((self.bytes.len() - self.start) / 4) as u32;
        let first = u32::from(self.bytes[self.start]) | words << 8;
        self.bytes[self.start..self.start + 4].copy_from_slice(&first.to_le_bytes());
        self.urgent = true;
    }

    /// Ends a record that need not wake JavaScript by itself.
    pub fn end_quietly(&mut self) {
        let urgent = self.urgent;
        self.end();
        self.urgent = urgent;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_filled_in_place_or_not_written() {
        let mut out = Completions::default();
        let empty = out.filled(Kind::TcpData, 7, 100, |_| Ok(0));
        assert!(matches!(empty, Ok(0)));
        let blocked = out.filled(Kind::TcpData, 7, 100, |_| {
            Err(io::ErrorKind::WouldBlock.into())
        });
        assert!(blocked.is_err());
        assert!(out.bytes.is_empty() && !out.urgent);
        let five = out.filled(Kind::TcpData, 7, 100, |room| {
            assert_eq!(room.len(), 100);
            for (place, value) in room.iter_mut().zip(*b"hello") {
                place.write(value);
            }
            Ok(5)
        });
        assert!(matches!(five, Ok(5)));
        let mut same = Completions::default();
        same.begin(Kind::TcpData, 7).bytes(b"hello").end();
        assert_eq!(out.bytes, same.bytes);
        assert!(out.urgent);
    }
}

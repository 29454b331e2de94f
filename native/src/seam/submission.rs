//! Reads what JavaScript asks: the records of `src/quic/native/submission.ts`, in the form that `completion.rs`
//! describes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::seam::operation::{Http2Start, Operation, SpliceBytes};

/// Reads words off the front of a record; anything missing reads as zero or empty.
struct Words<'a>(&'a [u8]);

impl<'a> Words<'a> {
    fn word(&mut self) -> u32 {
        match self.0.split_first_chunk::<4>() {
            Some((first, rest)) => {
                self.0 = rest;
                u32::from_le_bytes(*first)
            }
            None => 0,
        }
    }

    fn long(&mut self) -> u64 {
        let low = u64::from(self.word());
        low | u64::from(self.word()) << 32
    }

    fn splice(&mut self, socket: u32) -> SpliceBytes<'a> {
        SpliceBytes {
            socket,
            connection: self.word(),
            stream: self.word(),
            received: self.long(),
            told: self.long(),
            capsule: self.word(),
            prefix: self.bytes(),
        }
    }

    fn bytes(&mut self) -> &'a [u8] {
        let length = (self.word() as usize).min(self.0.len());
        let (value, rest) = self.0.split_at(length);
        self.0 = rest.get((4 - length % 4) % 4..).unwrap_or_default();
        value
    }

    /// `family port` and then one word, or four, of address in network order.
    fn address(&mut self) -> Option<SocketAddr> {
        let family = self.word();
        let port = self.word() as u16;
        let ip: IpAddr = match family {
            4 => Ipv4Addr::from(self.word().to_le_bytes()).into(),
            6 => {
                let mut octets = [0; 16];
                for part in octets.chunks_exact_mut(4) {
                    part.copy_from_slice(&self.word().to_le_bytes());
                }
                Ipv6Addr::from(octets).into()
            }
            _ => return None,
        };
        Some(SocketAddr::new(ip, port))
    }
}

/// Takes the first operation off `batch`; `None` at its end (or at nonsense, which ends it).
pub fn next<'a>(batch: &mut &'a [u8]) -> Option<Operation<'a>> {
    let first = u32::from_le_bytes(*batch.first_chunk::<4>()?);
    let length = 4 * (first >> 8) as usize;
    if length < 8 || length > batch.len() {
        *batch = &[];
        return None;
    }
    let (record, rest) = batch.split_at(length);
    *batch = rest;
    let mut words = Words(&record[4..]);
    let subject = words.word();
    Some(match first & 0xff {
        1 => Operation::OpenStream {
            connection: subject,
            stream: words.word(),
            bidirectional: words.word() != 0,
        },
        2 => Operation::Write {
            connection: subject,
            stream: words.word(),
            bytes: words.bytes(),
        },
        3 => Operation::End {
            connection: subject,
            stream: words.word(),
        },
        4 => Operation::Reset {
            connection: subject,
            stream: words.word(),
            code: words.long(),
        },
        5 => Operation::Stop {
            connection: subject,
            stream: words.word(),
            code: words.long(),
        },
        6 => Operation::Grant {
            connection: subject,
            stream: words.word(),
            bytes: words.long(),
        },
        7 => Operation::Priority {
            connection: subject,
            stream: words.word(),
            priority: words.word() as i32,
        },
        8 => Operation::Datagram {
            connection: subject,
            bytes: words.bytes(),
        },
        9 => Operation::CloseConnection {
            connection: subject,
            code: words.long(),
            reason: words.bytes(),
        },
        10 => Operation::Statistics {
            connection: subject,
            request: words.word(),
        },
        11 => Operation::ForgetConnection {
            connection: subject,
        },
        12 => Operation::SendPacket {
            socket: subject,
            to: words.address(),
            bytes: words.bytes(),
        },
        13 => Operation::CloseSocket { socket: subject },
        14 => Operation::Deliver {
            endpoint: subject,
            from: words.address(),
            bytes: words.bytes(),
        },
        15 => Operation::StopAccepting { endpoint: subject },
        16 => Operation::CloseEndpoint {
            endpoint: subject,
            code: words.long(),
            reason: words.bytes(),
        },
        17 => Operation::CloseEngine,
        18 => Operation::Rebind { endpoint: subject },
        19 => Operation::AbortConnect { endpoint: subject },
        20 => Operation::TcpWrite {
            socket: subject,
            bytes: words.bytes(),
        },
        21 => Operation::TcpEnd { socket: subject },
        22 => Operation::TcpReset { socket: subject },
        23 => Operation::TcpGrant {
            socket: subject,
            bytes: words.long(),
        },
        24 => Operation::TcpCloseListener { listener: subject },
        25 => Operation::TcpStopAccepting { listener: subject },
        26 => Operation::TcpHangUp { socket: subject },
        60 => Operation::PrepareSplice {
            socket: subject,
            connection: words.word(),
            number: words.long(),
        },
        61 => Operation::StartSplice {
            socket: subject,
            prefix: words.bytes(),
        },
        62 => Operation::StopSplice { socket: subject },
        63 => Operation::StartJoin { join: subject },
        64 => Operation::StopJoin { join: subject },
        65 => Operation::PrepareCapsules {
            socket: subject,
            near: words.word(),
            stream: words.word(),
        },
        70 => Operation::SpliceBytes(words.splice(subject)),
        71 => Operation::SpliceSockets(words.splice(subject)),
        40..=50 => http2(first & 0xff, subject, &mut words),
        _ => return None,
    })
}

fn http2<'a>(kind: u32, socket: u32, words: &mut Words<'a>) -> Operation<'a> {
    match kind {
        40 => Operation::Http2Start(Http2Start {
            socket,
            client: words.word() != 0,
            greeted: words.word() != 0,
            stream_window: words.word(),
            connection_window: words.word(),
            block_size: words.word(),
            settings: words.bytes(),
        }),
        41 => Operation::Http2Headers {
            socket,
            stream: words.word(),
            end: words.word() != 0,
            block: words.bytes(),
        },
        42 => Operation::Http2Write {
            socket,
            stream: words.word(),
            bytes: words.bytes(),
        },
        43 => Operation::Http2End {
            socket,
            stream: words.word(),
        },
        44 => Operation::Http2Reset {
            socket,
            stream: words.word(),
            code: words.word(),
        },
        45 => Operation::Http2Grant {
            socket,
            stream: words.word(),
            bytes: words.long(),
        },
        46 => Operation::Http2Settings {
            socket,
            pairs: words.bytes(),
        },
        47 => Operation::Http2Ping {
            socket,
            payload: words.bytes(),
        },
        48 => Operation::Http2Goaway {
            socket,
            last: words.word(),
            code: words.word(),
            debug: words.bytes(),
        },
        49 => Operation::Http2Close { socket },
        _ => Operation::SpliceHttp2(words.splice(socket)),
    }
}

//! What a target's socket sends: what waits, what it is bounded by, and the runs that the kernel takes at once.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use quinn_udp::Transmit;

use crate::quic::datagram::OVERHEAD;
use crate::quic::outcome::errno;
use crate::seam::completion::{Completions, Kind};
use crate::udp::target::TargetSocket;

/// Largest run of packets handed to the kernel at once, bytes.
const RUN: usize = 63 * 1024;

/// Bytes sent that JavaScript has not been told of, above which it is told at once.
const UNREPORTED: usize = 256 * 1024;

/// What waits on a socket that the kernel takes nothing from, for a splice: bytes, and time. The
/// oldest goes first.
pub(super) const SPLICE_QUEUE: usize = 1024 * 1024;
pub(super) const SPLICE_AGE: Duration = Duration::from_millis(250);

/// Who sends a packet.
#[derive(Clone, Copy, PartialEq)]
enum Origin {
    /// To this address, where the socket has no peer.
    JavaScript(Option<SocketAddr>),
    /// Since when it waits.
    Splice(Instant),
}

impl Origin {
    fn address(self) -> Option<SocketAddr> {
        match self {
            Self::JavaScript(to) => to,
            Self::Splice(_) => None,
        }
    }
}

/// Packets that wait to be sent, back to back.
#[derive(Default)]
pub(super) struct Pending {
    bytes: Vec<u8>,
    packets: VecDeque<(u32, Origin)>,
    start: usize,
}

impl Pending {
    /// Bytes that wait.
    pub(super) fn size(&self) -> usize {
        self.bytes.len() - self.start
    }
}

impl TargetSocket {
    pub fn push(&mut self, to: Option<SocketAddr>, bytes: &[u8]) {
        self.pending.bytes.extend_from_slice(bytes);
        self.pending
            .packets
            .push_back((bytes.len() as u32, Origin::JavaScript(to)));
    }

    /// Queues a payload of the splice.
    pub fn push_spliced(&mut self, now: Instant, bytes: &[u8]) {
        self.pending.bytes.extend_from_slice(bytes);
        self.pending
            .packets
            .push_back((bytes.len() as u32, Origin::Splice(now)));
        // JavaScript bounds what it sends by itself.
        while self.pending.size() > SPLICE_QUEUE && self.drop_oldest() {}
    }

    /// False where the oldest packet is JavaScript's.
    fn drop_oldest(&mut self) -> bool {
        let Some(&(size, Origin::Splice(_))) = self.pending.packets.front() else {
            return false;
        };
        self.counters.splice.dropped_in_socket.add(1);
        self.advance(1, size as usize);
        true
    }

    /// Drops what the kernel did not take for too long.
    fn drop_late(&mut self, now: Instant) {
        while let Some(&(_, Origin::Splice(since))) = self.pending.packets.front()
            && now.saturating_duration_since(since) >= SPLICE_AGE
        {
            self.drop_oldest();
        }
    }

    /// The kernel took no more, and has not told of room since.
    pub fn is_full(&self) -> bool {
        self.blocked
    }

    pub fn writable(&mut self) {
        self.blocked = false;
    }

    /// Sends what waits, runs of equal size at once.
    pub fn flush(&mut self, now: Instant, out: &mut Completions) {
        let mut reported = 0;
        if !self.blocked {
            self.drop_late(now);
        }
        while !self.blocked && !self.pending.packets.is_empty() {
            let (count, bytes) = self.next_run();
            match self.send_run(count, bytes, &mut reported, out) {
                Ok(()) => {
                    self.counters.packets_sent.add(count as u64);
                    self.counters.bytes_sent.add(bytes as u64);
                    self.advance(count, bytes);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.blocked = true,
                Err(error) if count > 1 => {
                    let taken = self.send_singly(count, &mut reported, out);
                    // A run of packets that are too large for the path is refused in the same way.
                    if taken && matches!(errno(&error), libc::EIO | libc::EINVAL) {
                        self.os.send_no_runs();
                    }
                }
                Err(error) => {
                    self.refused(errno(&error), &mut reported, out);
                    self.advance(count, bytes);
                }
            }
        }
        if self.pending.packets.is_empty() {
            if self.pending.bytes.capacity() > 2 * RUN {
                self.pending = Pending::default();
            }
            self.pending.bytes.clear();
            self.pending.start = 0;
        }
    }

    /// Packets at the front for one address and of one size, but for a smaller last one.
    pub(super) fn next_run(&self) -> (usize, usize) {
        let mut packets = self.pending.packets.iter();
        let Some(&(size, origin)) = packets.next() else {
            return (0, 0);
        };
        let to = origin.address();
        let (mut count, mut total) = (1, size as usize);
        let most = self.os.segments();
        for &(next, origin) in packets {
            if size == 0
                || next == 0
                || next > size
                || origin.address() != to
                || count >= most
                || total + next as usize > RUN
            {
                break;
            }
            count += 1;
            total += next as usize;
            if next < size {
                break;
            }
        }
        (count, total)
    }

    fn send_run(
        &mut self,
        count: usize,
        bytes: usize,
        reported: &mut i32,
        out: &mut Completions,
    ) -> io::Result<()> {
        let Some(&(size, origin)) = self.pending.packets.front() else {
            return Ok(());
        };
        let Some(destination) = origin.address().or(self.remote) else {
            return Err(io::Error::from_raw_os_error(libc::EDESTADDRREQ));
        };
        let start = self.pending.start;
        let mut again = true;
        loop {
            let result = self.os.send(&Transmit {
                destination,
                ecn: None,
                contents: &self.pending.bytes[start..start + bytes],
                segment_size: (count > 1).then_some(size as usize),
                src_ip: None,
            });
            match result {
                // The error of an earlier packet: this one was not tried.
                Err(error) if again && is_earlier(&error) => {
                    again = false;
                    self.problem(Some(errno(&error)), reported, out);
                }
                other => return other,
            }
        }
    }

    /// After a refused run: one by one, so that each error is that of its packet. True when one of the
    /// run's size was taken.
    fn send_singly(&mut self, count: usize, reported: &mut i32, out: &mut Completions) -> bool {
        let mut taken = false;
        let run = self.pending.packets.front().map(|&(size, _)| size);
        for _ in 0..count {
            let Some(&(size, _)) = self.pending.packets.front() else {
                break;
            };
            match self.send_run(1, size as usize, reported, out) {
                Ok(()) => {
                    taken |= run == Some(size);
                    self.counters.packets_sent.add(1);
                    self.counters.bytes_sent.add(u64::from(size));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.blocked = true;
                    return taken;
                }
                Err(error) => self.refused(errno(&error), reported, out),
            }
            self.advance(1, size as usize);
        }
        taken
    }

    fn advance(&mut self, count: usize, bytes: usize) {
        for (size, origin) in self.pending.packets.drain(..count) {
            // JavaScript waits to hear of its own.
            if matches!(origin, Origin::JavaScript(_)) {
                self.unreported += size as usize + OVERHEAD;
            }
        }
        self.pending.start += bytes;
        // What was sent is given back now and then while the socket never runs empty.
        if self.pending.start > 4 * RUN {
            self.pending.bytes.drain(..self.pending.start);
            self.pending.start = 0;
        }
    }

    /// The kernel did not take the packet at the front. A splice counts what concerns this packet
    /// alone; JavaScript is told of the rest.
    fn refused(&mut self, error: i32, reported: &mut i32, out: &mut Completions) {
        self.counters.dropped_sending.add(1);
        let front = self.pending.packets.front();
        if matches!(front, Some((_, Origin::Splice(_)))) && of_one_packet(error) {
            let splice = &self.counters.splice;
            match error {
                libc::EMSGSIZE => splice.dropped_in_too_large.add(1),
                _ => splice.dropped_in_socket.add(1),
            }
            // The kernel queues some of these as well.
            self.problem(Some(error), &mut error.clone(), out);
        } else {
            self.problem(Some(error), reported, out);
        }
    }

    /// Tells how much was sent; with `anyway` false only when it is much.
    pub fn report_space(&mut self, out: &mut Completions, anyway: bool) -> bool {
        if self.unreported == 0 {
            return true;
        }
        if !anyway && self.unreported < UNREPORTED {
            return false;
        }
        out.begin(Kind::UdpSpace, self.index)
            .word(self.unreported as u32)
            .end_quietly();
        out.urgent |= !anyway;
        self.unreported = 0;
        true
    }
}

/// Errors that say nothing of the next packet.
fn of_one_packet(error: i32) -> bool {
    matches!(
        error,
        libc::EMSGSIZE | libc::ENOBUFS | libc::ENOMEM | libc::EACCES | libc::EPERM
    )
}

/// Errors that a call returns for what happened before it.
fn is_earlier(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            libc::ECONNREFUSED
                | libc::EHOSTUNREACH
                | libc::ENETUNREACH
                | libc::EHOSTDOWN
                | libc::ENOPROTOOPT
        )
    )
}

//! A UDP socket towards a target: what waits to be sent on it, and its errors.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use quinn_udp::Transmit;

use crate::counters::{SocketCounters, SpliceCounters};
use crate::quic::connection::Budget;
use crate::quic::datagram::OVERHEAD;
use crate::quic::outcome::errno;
use crate::seam::completion::{Completions, Kind};
use crate::udp::addresses::AddressTable;
use crate::udp::plain_socket::PlainSocket;
use crate::udp::scratch::Scratch;

/// Largest run of packets handed to the kernel at once, bytes.
const RUN: usize = 63 * 1024;

/// Bytes sent that JavaScript has not been told of, above which it is told at once.
const UNREPORTED: usize = 256 * 1024;

/// What waits on a socket that the kernel takes nothing from, for a splice: bytes, and time. The
/// oldest goes first.
const SPLICE_QUEUE: usize = 1024 * 1024;
const SPLICE_AGE: Duration = Duration::from_millis(250);

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
struct Pending {
    bytes: Vec<u8>,
    packets: VecDeque<(u32, Origin)>,
    start: usize,
}

#[derive(Clone, Copy, PartialEq)]
pub enum Phase {
    /// JavaScript still works on what it was told; nothing is read.
    Held,
    Running,
    /// The connection is over.
    Orphaned,
}

/// Where the packets of a spliced socket go.
pub struct SocketSplice {
    pub connection: u32,
    pub number: u64,
    pub phase: Phase,
}

pub struct TargetSocket {
    pub os: PlainSocket,
    index: u32,
    remote: Option<SocketAddr>,
    pending: Pending,
    blocked: bool,
    counters: Arc<SocketCounters>,
    unreported: usize,
    pub splice: Option<SocketSplice>,
    /// In the engine's lists of sockets to flush, to read, and with room to report.
    pub listed_flush: bool,
    pub listed_readable: bool,
    pub listed_space: bool,
}

impl TargetSocket {
    pub fn new(
        index: u32,
        os: PlainSocket,
        remote: Option<SocketAddr>,
        counters: Arc<SocketCounters>,
    ) -> Self {
        Self {
            os,
            index,
            remote,
            pending: Pending::default(),
            blocked: false,
            counters,
            unreported: 0,
            splice: None,
            listed_flush: false,
            listed_readable: false,
            listed_space: false,
        }
    }

    pub fn push(&mut self, to: Option<SocketAddr>, bytes: &[u8]) {
        self.pending.bytes.extend_from_slice(bytes);
        self.pending
            .packets
            .push_back((bytes.len() as u32, Origin::JavaScript(to)));
    }

    pub fn splice_counters(&self) -> &Arc<SpliceCounters> {
        &self.counters.splice
    }

    /// Queues a payload of the splice.
    pub fn push_spliced(&mut self, now: Instant, bytes: &[u8]) {
        self.pending.bytes.extend_from_slice(bytes);
        self.pending
            .packets
            .push_back((bytes.len() as u32, Origin::Splice(now)));
        // JavaScript bounds what it sends by itself.
        while self.pending.bytes.len() - self.pending.start > SPLICE_QUEUE && self.drop_oldest() {}
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
    fn next_run(&self) -> (usize, usize) {
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

    /// Reads within the budget; true when more may wait.
    pub fn receive(
        &mut self,
        scratch: &mut Scratch,
        out: &mut Completions,
        addresses: &mut AddressTable,
        budget: Budget<'_>,
        batches: usize,
    ) -> bool {
        let mut reported = 0;
        for _ in 0..batches {
            if budget.spent(out) {
                return true;
            }
            let (mut packets, mut total) = (0, 0);
            let (index, connected) = (self.index, self.remote.is_some());
            let result = self.os.receive(scratch, |received| {
                let from = if connected {
                    0
                } else {
                    addresses.index(received.from, out)
                };
                packets += 1;
                total += received.bytes.len() as u64;
                out.begin(Kind::UdpPacket, index)
                    .word(from)
                    .bytes(received.bytes)
                    .end();
            });
            self.counters.packets_received.add(packets);
            self.counters.bytes_received.add(total);
            match result {
                Ok(true) => self.count_kernel_drops(),
                Ok(false) => return false,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                Err(error) => self.problem(Some(errno(&error)), &mut reported, out),
            }
        }
        true
    }

    /// The same for a splice, without a budget: JavaScript has no part in it.
    pub fn receive_spliced(
        &mut self,
        scratch: &mut Scratch,
        out: &mut Completions,
        batches: usize,
        mut each: impl FnMut(&[u8]),
    ) -> bool {
        let mut reported = 0;
        for _ in 0..batches {
            let (mut packets, mut total) = (0, 0);
            let result = self.os.receive(scratch, |received| {
                packets += 1;
                total += received.bytes.len() as u64;
                each(received.bytes);
            });
            self.counters.packets_received.add(packets);
            self.counters.bytes_received.add(total);
            match result {
                Ok(true) => self.count_kernel_drops(),
                Ok(false) => return false,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                Err(error) => self.problem(Some(errno(&error)), &mut reported, out),
            }
        }
        true
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

    /// Tells of errors: of those that the kernel queued, or of the one that a call returned.
    pub fn problem(&mut self, direct: Option<i32>, reported: &mut i32, out: &mut Completions) {
        let spliced = self.splice.is_some();
        let too_large = &self.counters.splice.dropped_in_too_large;
        let mut tell = |error: i32| {
            if spliced && direct.is_none() && error == libc::EMSGSIZE {
                // A router of the path had no use for a packet.
                too_large.add(1);
            } else if error != *reported {
                *reported = error;
                out.begin(Kind::UdpProblem, self.index)
                    .word(error as u32)
                    .end();
            }
        };
        #[cfg(target_os = "linux")]
        let queued = {
            use std::os::fd::AsRawFd;
            let mut queued = false;
            crate::udp::error_queue::drain(self.os.socket.as_raw_fd(), |error| {
                queued = true;
                tell(error);
            });
            queued
        };
        #[cfg(not(target_os = "linux"))]
        let queued = false;
        if let Some(error) = direct
            && !queued
        {
            tell(error);
        }
    }

    pub fn count_kernel_drops(&self) {
        #[cfg(target_os = "linux")]
        {
            use std::os::fd::AsRawFd;
            if let Some(count) = crate::udp::error_queue::dropped(self.os.socket.as_raw_fd()) {
                self.counters.dropped_receiving.set(count);
            }
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

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use crate::udp::os_socket::Opening;

    fn open(remote: Option<SocketAddr>) -> PlainSocket {
        let local = SocketAddr::from(([127, 0, 0, 1], 0));
        let opening = Opening {
            local,
            remote,
            dual_stack: false,
            buffer: None,
            shared: false,
        };
        let os = PlainSocket::open(&opening).expect("a socket");
        use std::os::fd::AsRawFd;
        crate::udp::error_queue::prepare(os.socket.as_raw_fd(), false).expect("options");
        os
    }

    /// What the target of a spliced socket gets of payloads of these sizes.
    fn arrived(sizes: &[usize]) -> (TargetSocket, Vec<usize>) {
        let target = open(None);
        let far = open(Some(target.local));
        let mut socket = TargetSocket::new(0, far, Some(target.local), Arc::default());
        let (now, mut out) = (Instant::now(), Completions::default());
        for &size in sizes {
            socket.push_spliced(now, &vec![0; size]);
        }
        socket.flush(now, &mut out);
        assert!(out.bytes.is_empty(), "JavaScript is told nothing");
        let mut found = Vec::new();
        let mut scratch = Scratch::new();
        while target
            .receive(&mut scratch, |received| found.push(received.bytes.len()))
            .is_ok()
        {}
        (socket, found)
    }

    #[test]
    fn runs_of_any_sizes_arrive_whole_and_in_order() {
        let sizes = [1200, 1200, 1200, 60, 60, 0, 60, 1200, 1, 1, 0, 0];
        let (socket, found) = arrived(&sizes);
        assert_eq!(found, sizes);
        assert_eq!(socket.counters.packets_sent.get(), 12.0);
    }

    #[test]
    fn packets_that_are_too_large_take_neither_others_nor_runs_with_them() {
        // Above what a packet of IPv4 can hold; two of them are no run, as a run is smaller.
        let (socket, found) = arrived(&[100, 100, 65_520, 65_520, 100, 100]);
        assert_eq!(found, [100; 4]);
        assert_eq!(socket.counters.splice.dropped_in_too_large.get(), 2.0);
        assert!(socket.os.segments() > 1);
    }

    #[test]
    fn without_segmentation_each_packet_goes_alone() {
        let target = open(None);
        let far = open(Some(target.local));
        far.send_no_runs();
        let mut socket = TargetSocket::new(0, far, Some(target.local), Arc::default());
        for _ in 0..5 {
            socket.push_spliced(Instant::now(), &[7; 300]);
        }
        assert_eq!(socket.next_run(), (1, 300));
        socket.flush(Instant::now(), &mut Completions::default());
        assert_eq!(socket.counters.packets_sent.get(), 5.0);
    }

    #[test]
    fn what_waits_for_a_blocked_kernel_is_bounded_in_bytes_and_time() {
        let target = open(None);
        let far = open(Some(target.local));
        let mut socket = TargetSocket::new(0, far, Some(target.local), Arc::default());
        socket.blocked = true;
        let began = Instant::now();
        for _ in 0..2 * SPLICE_QUEUE / 1000 {
            socket.push_spliced(began, &[0; 1000]);
            socket.flush(began, &mut Completions::default());
        }
        let waiting = socket.pending.bytes.len() - socket.pending.start;
        assert!(waiting <= SPLICE_QUEUE && waiting > SPLICE_QUEUE - 1000);
        assert!(socket.counters.splice.dropped_in_socket.get() > 1000.0);
        socket.writable();
        let later = began + SPLICE_AGE;
        socket.push_spliced(later, &[0; 1000]);
        socket.flush(later, &mut Completions::default());
        assert_eq!(socket.counters.packets_sent.get(), 1.0);
    }
}

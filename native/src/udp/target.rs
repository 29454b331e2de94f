//! A UDP socket towards a target: its state and its errors.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::counters::{SocketCounters, SpliceCounters};
use crate::seam::completion::{Completions, Kind};
use crate::splice::side::Carrier;
use crate::splice::waiting_time::WaitingTime;
use crate::udp::plain_socket::PlainSocket;
use crate::udp::target_sending::Pending;

#[derive(Clone, Copy, PartialEq)]
pub enum Phase {
    /// JavaScript still works on what it was told; nothing is read.
    Held,
    Running,
    /// The connection is over, or the stream or its sending side.
    Orphaned,
}

/// Where the packets of a spliced socket go.
pub enum Near {
    /// Datagrams of a connection that begin with this number.
    Datagrams { connection: u32, number: u64 },
    /// Capsules on a stream of HTTP/2 or on a TCP socket.
    Capsules(Box<Capsules>),
}

pub struct Capsules {
    pub carrier: Carrier,
    /// How long capsules wait there.
    pub waiting: WaitingTime,
}

pub struct SocketSplice {
    pub near: Near,
    pub phase: Phase,
}

pub struct TargetSocket {
    pub os: PlainSocket,
    pub(super) index: u32,
    pub(super) remote: Option<SocketAddr>,
    pub(super) pending: Pending,
    pub(super) blocked: bool,
    pub(super) counters: Arc<SocketCounters>,
    pub(super) unreported: usize,
    pub splice: Option<SocketSplice>,
    /// In the engine's lists of sockets to flush, to read, and with room to report.
    pub listed_flush: bool,
    pub listed_readable: bool,
    pub listed_space: bool,
    /// The kernel tells of room.
    pub watched_for_room: bool,
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
            watched_for_room: false,
        }
    }

    pub fn splice_counters(&self) -> &Arc<SpliceCounters> {
        &self.counters.splice
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
}

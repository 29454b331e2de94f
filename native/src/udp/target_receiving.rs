//! What a target's socket receives: for JavaScript, or for a splice.

use std::io;

use crate::quic::outcome::errno;
use crate::seam::budget::Budget;
use crate::seam::completion::{Completions, Kind};
use crate::udp::addresses::AddressTable;
use crate::udp::os_socket::Received;
use crate::udp::scratch::{Scratch, TURN};
use crate::udp::target::TargetSocket;

/// Most batches read from one socket before others have their turn.
const BATCHES: usize = 4;

impl TargetSocket {
    /// Reads for JavaScript, within the budget; true when more may wait.
    pub fn receive(
        &mut self,
        scratch: &mut Scratch,
        out: &mut Completions,
        addresses: &mut AddressTable,
        budget: Budget<'_>,
    ) -> bool {
        let (index, connected) = (self.index, self.remote.is_some());
        self.read(
            scratch,
            out,
            |out| budget.spent(out),
            |received, out| {
                let from = if connected {
                    0
                } else {
                    addresses.index(received.from, out)
                };
                out.begin(Kind::UdpPacket, index)
                    .word(from)
                    .bytes(received.bytes)
                    .end();
            },
        )
    }

    /// The same for a splice, without a budget: JavaScript has no part in it.
    pub fn receive_spliced(
        &mut self,
        scratch: &mut Scratch,
        out: &mut Completions,
        mut each: impl FnMut(&[u8]),
    ) -> bool {
        self.read(scratch, out, |_| false, |received, _| each(received.bytes))
    }

    fn read(
        &mut self,
        scratch: &mut Scratch,
        out: &mut Completions,
        spent: impl Fn(&Completions) -> bool,
        mut each: impl FnMut(Received<'_>, &mut Completions),
    ) -> bool {
        let (mut reported, mut turn) = (0, 0);
        for _ in 0..BATCHES {
            if turn >= TURN || spent(out) {
                return true;
            }
            let (mut packets, mut bytes) = (0, 0);
            let result = self.os.receive(scratch, |received| {
                packets += 1;
                bytes += received.bytes.len();
                each(received, out);
            });
            turn += bytes;
            self.counters.packets_received.add(packets);
            self.counters.bytes_received.add(bytes as u64);
            match result {
                Ok(true) => self.count_kernel_drops(),
                Ok(false) => return false,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                Err(error) => self.problem(Some(errno(&error)), &mut reported, out),
            }
        }
        true
    }
}

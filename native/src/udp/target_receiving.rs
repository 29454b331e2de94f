//! What a target's socket receives: for JavaScript, or for a splice.

use std::io;

use crate::quic::outcome::errno;
use crate::seam::budget::Budget;
use crate::seam::completion::{Completions, Kind};
use crate::udp::addresses::AddressTable;
use crate::udp::scratch::Scratch;
use crate::udp::target::TargetSocket;

impl TargetSocket {
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
}

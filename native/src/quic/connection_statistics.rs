//! What is counted of a connection.

use std::time::Duration;

use crate::quic::connection::Connection;
use crate::seam::completion::{Completions, Kind};

impl Connection {
    pub fn write_statistics(&mut self, request: u32, out: &mut Completions) {
        if self.told_closed || !self.announced {
            return;
        }
        // So that none counts as dropped that merely waits.
        self.deliver_datagrams(out, None);
        let statistics = self.quic.stats();
        let dropped_receiving = statistics
            .frame_rx
            .datagram
            .saturating_sub(self.datagrams_delivered);
        out.begin(Kind::Statistics, self.index)
            .word(request)
            .long(duration_micros(self.quic.rtt()))
            .long(statistics.path.cwnd)
            .long(u64::from(self.quic.current_mtu()))
            .long(statistics.udp_tx.bytes)
            .long(statistics.udp_rx.bytes)
            .long(statistics.udp_tx.datagrams)
            .long(statistics.udp_rx.datagrams)
            .long(statistics.path.lost_packets)
            .long(statistics.frame_tx.datagram)
            .long(statistics.frame_rx.datagram)
            .long(self.datagrams.dropped)
            .long(dropped_receiving)
            .end();
    }
}

fn duration_micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

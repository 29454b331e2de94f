//! The face towards Node of what is counted.

use napi::bindgen_prelude::Float64ArraySlice;
use napi_derive::napi;

use crate::counters::{Counter, ListenerCounters, SpliceCounters};
use crate::engine::NativeEngine;

#[napi(object)]
pub struct TcpStatistics {
    pub bytes_sent: f64,
    pub bytes_received: f64,
    pub spliced_in: f64,
    pub spliced_out: f64,
}

#[napi(object)]
pub struct ListenerStatistics {
    pub handshakes: f64,
    pub refused: f64,
    pub retries: f64,
}

#[napi(object)]
pub struct SpliceStatistics {
    pub payloads_in: f64,
    pub bytes_in: f64,
    pub payloads_out: f64,
    pub bytes_out: f64,
    pub dropped_out_queue_full: f64,
    pub dropped_out_too_large: f64,
    pub dropped_in_socket: f64,
    pub dropped_in_too_large: f64,
    pub dropped_in_unknown_context: f64,
    pub dropped_in_malformed: f64,
}

#[napi]
impl NativeEngine {
    #[napi(catch_unwind)]
    pub fn tcp_statistics(&self, socket: u32) -> TcpStatistics {
        let counters = self.mailbox.tcp_counters.get(socket).unwrap_or_default();
        TcpStatistics {
            bytes_sent: counters.bytes_sent.get(),
            bytes_received: counters.bytes_received.get(),
            spliced_in: counters.spliced_in.get(),
            spliced_out: counters.spliced_out.get(),
        }
    }

    #[napi(catch_unwind)]
    pub fn listener_statistics(&self, endpoint: u32) -> ListenerStatistics {
        let counters = self.listeners.get(&endpoint);
        let get =
            |read: fn(&ListenerCounters) -> f64| counters.map_or(0.0, |counters| read(counters));
        ListenerStatistics {
            handshakes: get(|counters| counters.handshakes.get()),
            refused: get(|counters| counters.refused.get()),
            retries: get(|counters| counters.retries.get()),
        }
    }

    /// Written where they are wanted: each socket is asked once more as it is closed.
    #[napi(catch_unwind)]
    pub fn socket_statistics(&self, socket: u32, mut into: Float64ArraySlice<'_>) {
        let Some((_, counters)) = self.sockets.get(&socket) else {
            return;
        };
        let values = [
            &counters.packets_sent,
            &counters.packets_received,
            &counters.bytes_sent,
            &counters.bytes_received,
            &counters.dropped_sending,
            &counters.dropped_receiving,
        ];
        // SAFETY: the array belongs to the thread that this is called on, and nothing else of this
        // thread runs meanwhile.
        let into = unsafe { into.as_mut() };
        for (place, value) in into.iter_mut().zip(values) {
            *place = value.get();
        }
    }

    /// What a join has moved, as its near side has it.
    #[napi(catch_unwind)]
    pub fn join_statistics(&self, join: u32) -> SpliceStatistics {
        let sides = self.joins.get(&join);
        let near =
            |read: fn(&SpliceCounters) -> &Counter| sides.map_or(0.0, |[near, _]| read(near).get());
        let far =
            |read: fn(&SpliceCounters) -> &Counter| sides.map_or(0.0, |[_, far]| read(far).get());
        SpliceStatistics {
            payloads_in: near(|counters| &counters.payloads_in),
            bytes_in: near(|counters| &counters.bytes_in),
            payloads_out: near(|counters| &counters.payloads_out),
            bytes_out: near(|counters| &counters.bytes_out),
            dropped_out_queue_full: near(|counters| &counters.dropped_out_queue_full),
            dropped_out_too_large: near(|counters| &counters.dropped_out_too_large),
            dropped_in_socket: far(|counters| &counters.dropped_out_queue_full),
            dropped_in_too_large: far(|counters| &counters.dropped_out_too_large),
            // JavaScript reads those of datagrams.
            dropped_in_unknown_context: 0.0,
            dropped_in_malformed: 0.0,
        }
    }

    /// What the splice of a socket has moved.
    #[napi(catch_unwind)]
    pub fn splice_statistics(&self, socket: u32) -> SpliceStatistics {
        let counters = self.sockets.get(&socket).map(|(_, counters)| counters);
        let get = |read: fn(&SpliceCounters) -> &Counter| {
            counters.map_or(0.0, |counters| read(&counters.splice).get())
        };
        SpliceStatistics {
            payloads_in: get(|counters| &counters.payloads_in),
            bytes_in: get(|counters| &counters.bytes_in),
            payloads_out: get(|counters| &counters.payloads_out),
            bytes_out: get(|counters| &counters.bytes_out),
            dropped_out_queue_full: get(|counters| &counters.dropped_out_queue_full),
            dropped_out_too_large: get(|counters| &counters.dropped_out_too_large),
            dropped_in_socket: get(|counters| &counters.dropped_in_socket),
            dropped_in_too_large: get(|counters| &counters.dropped_in_too_large),
            dropped_in_unknown_context: get(|counters| &counters.dropped_in_unknown_context),
            dropped_in_malformed: get(|counters| &counters.dropped_in_malformed),
        }
    }
}

//! Payloads of splices on their way to the sockets of their targets.

use std::time::Instant;

use crate::splice::datagram_capsules::Content;
use crate::udp::target::TargetSocket;

/// The sockets, and which of them have something to send.
pub(super) struct Targets<'a> {
    pub sockets: &'a mut [Option<Box<TargetSocket>>],
    pub to_flush: &'a mut Vec<u32>,
    pub now: Instant,
}

impl Targets<'_> {
    pub fn push(&mut self, index: u32, payload: &[u8]) {
        if let Some(Some(socket)) = self.sockets.get_mut(index as usize) {
            socket.push_spliced(self.now, payload);
            if !socket.listed_flush {
                socket.listed_flush = true;
                self.to_flush.push(index);
            }
        }
    }

    /// The same for what a capsule has.
    pub fn take(&mut self, index: u32, content: &Content<'_>) {
        let Some(Some(socket)) = self.sockets.get(index as usize) else {
            return;
        };
        let counters = socket.splice_counters();
        match content {
            Content::Payload(payload) => {
                counters.payloads_in.add(1);
                counters.bytes_in.add(payload.len() as u64);
                self.push(index, payload);
            }
            // RFC 9298 section 4: a datagram with an unknown context id is dropped.
            Content::UnknownContext => counters.dropped_in_unknown_context.add(1),
            Content::Malformed => counters.dropped_in_malformed.add(1),
        }
    }
}

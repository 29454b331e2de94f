//! Streams whose bytes the engine moves to and from a TCP socket.

use crate::http2::outlet::Outlet;
use crate::http2::session::Session;
use crate::http2::stream::{Receiving, Sending, StreamSplice};

impl Session {
    /// Has what comes from here on go to a socket, and what that has to the peer; false where JavaScript has
    /// yet to hear of something, or a side is over.
    pub fn begin_splice(&mut self, id: u32, splice: StreamSplice, received: u64) -> bool {
        let Some(stream) = self.streams.get_mut(&id) else {
            return false;
        };
        let open = stream.receiving != Receiving::Over && stream.sending == Sending::Open;
        if self.closing
            || !open
            || stream.splice.is_some()
            || stream.datagrams.is_some()
            || stream.delivered != received
        {
            return false;
        }
        stream.splice = Some(Box::new(splice));
        self.line_up(id);
        true
    }

    /// Bytes that JavaScript had been told of before the splice go first, then those that waited.
    pub fn forward_first<'b>(
        &mut self,
        id: u32,
        prefix: &'b [u8],
        waited: &'b [u8],
        out: &mut impl Outlet<'b>,
    ) {
        self.forward(id, prefix, out);
        let ending = self.streams.get_mut(&id).is_some_and(|stream| {
            let ending = stream.receiving == Receiving::Ending;
            if ending {
                stream.receiving = Receiving::Open;
            }
            ending
        });
        self.content(id, waited, out);
        if ending {
            self.peer_ends(id, out);
        }
    }

    /// What was received and waits, taken out.
    pub fn take_received(&mut self, id: u32) -> Vec<u8> {
        self.streams.get_mut(&id).map_or_else(Vec::new, |stream| {
            let waited = std::mem::take(&mut stream.received);
            waited.waiting().to_vec()
        })
    }

    /// Gives content to the socket; from what is more than bytes to be moved or ignored on, it is JavaScript's.
    pub(super) fn forward<'b>(&mut self, id: u32, bytes: &'b [u8], out: &mut impl Outlet<'b>) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        let Some(splice) = stream.taker() else {
            return;
        };
        let (number, socket) = (splice.id, splice.socket);
        let Some(unframing) = &mut splice.unframing else {
            return;
        };
        let pushed = unframing.push(bytes, &mut |piece| out.forward(id, number, socket, piece));
        if self.forwarded.last() != Some(&id) {
            self.forwarded.push(id);
        }
        if let Err(given_back) = pushed {
            self.tell_again(id, number, &given_back);
            if out.takes() {
                self.deliver_now(id, out);
            }
        }
    }

    /// The socket of this splice is gone: JavaScript has what comes, from where the splice stands.
    pub fn give_up(&mut self, id: u32, splice: u64) {
        let stream = self.streams.get_mut(&id);
        let taker = stream.and_then(|stream| stream.taker());
        if let Some(unframing) = taker.and_then(|taker| taker.unframing.as_ref()) {
            let given_back = unframing.give_back(&[]);
            self.tell_again(id, splice, &given_back);
        }
    }

    /// What comes is delivered to JavaScript again: first these bytes.
    pub fn tell_again(&mut self, id: u32, splice: u64, given_back: &[u8]) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        if let Some(taker) = stream.taker().filter(|taker| taker.id == splice) {
            taker.unframing = None;
            stream.received.push(given_back);
            self.await_delivery(id);
        }
    }

    /// The streams that have received something for a socket, with that.
    pub fn take_forwarded(&mut self) -> Option<(u32, u64, u32)> {
        while let Some(id) = self.forwarded.pop() {
            // Also one that JavaScript has again from some byte on: the socket has those before it.
            if let Some(splice) = self.streams.get(&id).and_then(|it| it.splice.as_ref()) {
                return Some((id, splice.id, splice.socket));
            }
        }
        None
    }

    /// So much waits to be taken by the socket: the rest of what the stream received is consumed, but for what
    /// waits to be told again.
    pub fn moved(&mut self, id: u32, waiting: usize) {
        if let Some(stream) = self.streams.get_mut(&id) {
            let untold = stream.received.waiting().len();
            let consumed = stream.held.saturating_sub(waiting + untold);
            self.consume(id, consumed);
        }
    }

    /// The socket of this splice may have bytes. False where it can send none any more.
    pub fn source_readable(&mut self, id: u32, splice: u64) -> bool {
        let Some(stream) = self.streams.get_mut(&id) else {
            return false;
        };
        let open = stream.sending == Sending::Open;
        let Some(splice) = stream
            .splice
            .as_mut()
            .filter(|own| open && own.id == splice)
        else {
            return false;
        };
        splice.readable = true;
        self.line_up(id);
        true
    }

    /// The socket has no more for now.
    pub fn source_empty(&mut self, id: u32) {
        if let Some(stream) = self.streams.get_mut(&id)
            && let Some(splice) = &mut stream.splice
        {
            splice.readable = false;
        }
    }

    /// So much of a socket's bytes, with the headers of capsules, was sent.
    pub fn sent_spliced(&mut self, id: u32, count: usize) {
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.beyond_initial -= count as i64;
            self.outflow -= count as i64;
            self.line_up(id);
        }
    }

    /// How much of a socket's bytes may be sent now; `None` where none can be any more.
    pub fn takes(&self, id: u32, splice: u64) -> Option<usize> {
        let stream = self.streams.get(&id)?;
        let own = stream.splice.as_ref()?;
        if own.id != splice || stream.sending != Sending::Open {
            return None;
        }
        if !stream.queue.is_empty() {
            return Some(0);
        }
        let window = i64::from(self.peer.initial_window) + stream.beyond_initial;
        Some(usize::try_from(window.min(self.outflow)).unwrap_or(0))
    }
}

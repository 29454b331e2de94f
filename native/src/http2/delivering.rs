//! What was received, on its way to JavaScript or to the socket of a splice.

use crate::http2::outlet::Outlet;
use crate::http2::session::Session;
use crate::http2::stream::{Receiving, Stream};

/// Most bytes told at once.
const PIECE: usize = 64 * 1024;

impl Session {
    /// Content of DATA.
    pub(super) fn content<'b>(&mut self, id: u32, bytes: &'b [u8], out: &mut impl Outlet<'b>) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        if stream.receiving != Receiving::Open {
            return;
        }
        if stream.taker().is_some() {
            self.forward(id, bytes, out);
            return;
        }
        if stream.is_held() {
            stream.received.push(bytes);
            return;
        }
        if stream.moves_datagrams() {
            self.forward_datagrams(id, bytes, out);
            self.consume(id, bytes.len());
            return;
        }
        let mut now = 0;
        if stream.received.is_empty() && stream.credit > 0 && out.takes() {
            now = within_credit(stream, bytes.len());
            tell(stream, id, &bytes[..now], out);
        }
        if now < bytes.len() {
            stream.received.push(&bytes[now..]);
            self.await_delivery(id);
        }
        self.consume(id, now);
    }

    /// END_STREAM.
    pub(super) fn peer_ends<'b>(&mut self, id: u32, out: &mut impl Outlet<'b>) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        if stream.receiving != Receiving::Open {
            return;
        }
        stream.receiving = Receiving::Ending;
        if stream.is_held() {
            return;
        }
        // A capsule that was cut off in the middle is JavaScript's to judge.
        if let Some(splice) = stream.taker()
            && let Some(unframing) = splice.unframing.take()
        {
            stream.received.push(&unframing.give_back(&[]));
        }
        if let Some(splice) = &mut stream.datagrams
            && let Some(capsules) = splice.capsules.take()
        {
            stream.received.push(&capsules.give_back(&[]));
        }
        if !stream.received.is_empty() && !out.takes() {
            self.await_delivery(id);
            return;
        }
        self.deliver_now(id, out);
    }

    pub fn grant<'b>(&mut self, id: u32, bytes: u64, out: &mut impl Outlet<'b>) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        stream.credit = stream.credit.saturating_add(bytes);
        if stream.received.is_empty() || stream.is_held() {
            return;
        }
        if out.takes() {
            self.deliver_now(id, out);
        } else {
            self.await_delivery(id);
        }
    }

    /// Delivers what waits only because JavaScript took nothing.
    pub fn deliver_waiting<'b>(&mut self, out: &mut impl Outlet<'b>) {
        let waiting = std::mem::take(&mut self.undelivered);
        let mut ids = waiting.into_iter();
        while out.takes()
            && let Some(id) = ids.next()
        {
            if let Some(stream) = self.streams.get_mut(&id) {
                stream.listed_delivery = false;
                self.deliver_now(id, out);
            }
        }
        self.undelivered.extend(ids);
    }

    /// Something waits only because JavaScript took nothing.
    pub fn has_undelivered(&self) -> bool {
        !self.undelivered.is_empty()
    }

    /// Has a stream delivered once JavaScript takes bytes, if it has credit for them or nothing but its end.
    pub(super) fn await_delivery(&mut self, id: u32) {
        if let Some(stream) = self.streams.get_mut(&id)
            && !stream.listed_delivery
            && stream.credit > 0
            && !stream.is_held()
        {
            stream.listed_delivery = true;
            self.undelivered.push(id);
        }
    }

    /// Delivers within the credit, and the end behind the last byte.
    pub(super) fn deliver_now<'b>(&mut self, id: u32, out: &mut impl Outlet<'b>) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        if stream.is_held() {
            return;
        }
        let mut consumed = 0;
        while !stream.received.is_empty() && stream.credit > 0 {
            let waiting = std::mem::take(&mut stream.received);
            let now = within_credit(stream, waiting.waiting().len().min(PIECE));
            tell(stream, id, &waiting.waiting()[..now], out);
            stream.received = waiting;
            stream.received.taken(now);
            consumed += now;
        }
        if stream.received.is_empty() {
            stream.received = Default::default();
            if stream.receiving == Receiving::Ending {
                stream.receiving = Receiving::Over;
                out.end(id);
            }
        }
        self.consume(id, consumed);
        self.reap(id);
    }
}

/// Uses up credit for so many bytes, or as many as there is credit for.
fn within_credit(stream: &mut Stream, bytes: usize) -> usize {
    let now = bytes.min(usize::try_from(stream.credit).unwrap_or(usize::MAX));
    stream.credit -= now as u64;
    now
}

fn tell<'b>(stream: &mut Stream, id: u32, bytes: &[u8], out: &mut impl Outlet<'b>) {
    stream.delivered += bytes.len() as u64;
    out.data(id, bytes);
}

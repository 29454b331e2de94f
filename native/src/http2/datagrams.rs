//! Streams whose DATAGRAM capsules the engine moves to and from a UDP socket.

use std::io;

use crate::http2::outlet::Outlet;
use crate::http2::sending::Wire;
use crate::http2::session::Session;
use crate::http2::stream::{DatagramSplice, Receiving, Sending};
use crate::splice::datagram_capsules::DatagramCapsules;

impl Session {
    /// Holds back what comes from here on, for this UDP socket; false where a side is over or the stream is
    /// spliced already.
    pub fn hold_datagrams(&mut self, id: u32, target: u32) -> bool {
        let Some(stream) = self.streams.get_mut(&id) else {
            return false;
        };
        let open = stream.receiving == Receiving::Open && stream.sending == Sending::Open;
        let free = stream.splice.is_none() && stream.datagrams.is_none();
        if self.closing || !open || !free {
            return false;
        }
        stream.datagrams = Some(Box::new(DatagramSplice {
            target,
            held: true,
            capsules: Some(DatagramCapsules::default()),
        }));
        true
    }

    /// JavaScript has handed on all that it was told: what it has of an unfinished capsule goes to the socket, and
    /// then what was held back.
    pub fn start_datagrams<'b>(
        &mut self,
        id: u32,
        target: u32,
        prefix: &[u8],
        out: &mut impl Outlet<'b>,
    ) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        let Some(splice) = stream.datagrams_of(target).filter(|splice| splice.held) else {
            return;
        };
        splice.held = false;
        let ending = stream.receiving == Receiving::Ending;
        if ending {
            stream.receiving = Receiving::Open;
        }
        let waited = std::mem::take(&mut stream.received);
        self.forward_datagrams(id, prefix, out);
        if self
            .streams
            .get(&id)
            .is_some_and(|stream| stream.moves_datagrams())
        {
            self.forward_datagrams(id, waited.waiting(), out);
            self.consume(id, waited.waiting().len());
        } else if let Some(stream) = self.streams.get_mut(&id) {
            stream.received.push(waited.waiting());
            self.await_delivery(id);
        }
        if ending {
            self.peer_ends(id, out);
        }
    }

    /// Gives payloads to the socket; from what JavaScript has to decide on, what comes is its own.
    pub(super) fn forward_datagrams<'b>(
        &mut self,
        id: u32,
        bytes: &[u8],
        out: &mut impl Outlet<'b>,
    ) {
        let Some(splice) = self.streams.get_mut(&id).and_then(|s| s.datagrams.as_mut()) else {
            return;
        };
        let target = splice.target;
        let Some(capsules) = &mut splice.capsules else {
            return;
        };
        let pushed = capsules.push(bytes, &mut |content| out.datagram(target, content));
        if let Err(given_back) = pushed {
            splice.capsules = None;
            self.tell_datagrams_again(id, &given_back, out);
        }
    }

    fn tell_datagrams_again<'b>(&mut self, id: u32, given_back: &[u8], out: &mut impl Outlet<'b>) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        stream.received.push(given_back);
        if out.takes() || stream.received.is_empty() {
            self.deliver_now(id, out);
        } else {
            self.await_delivery(id);
        }
    }

    /// JavaScript takes over again, from where the splice stands; nothing where that is another socket's.
    pub fn stop_datagrams<'b>(&mut self, id: u32, target: u32, out: &mut impl Outlet<'b>) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        if stream.datagrams_of(target).is_none() {
            return;
        }
        let splice = stream.datagrams.take();
        let capsules = splice.and_then(|splice| splice.capsules);
        let given_back = capsules.map_or_else(Vec::new, |capsules| capsules.give_back(&[]));
        self.tell_datagrams_again(id, &given_back, out);
    }

    /// Bytes that wait on the stream of this socket; `None` where nothing is sent on it any more.
    pub fn datagrams_waiting(&mut self, id: u32, target: u32) -> Option<usize> {
        let stream = self.streams.get_mut(&id)?;
        let open = stream.sending == Sending::Open && stream.datagrams_of(target).is_some();
        open.then(|| stream.queue.waiting().len())
    }

    /// Sends capsules with the packets of the socket: JavaScript hears nothing of the room that they leave behind.
    pub fn write_datagrams(
        &mut self,
        id: u32,
        capsules: &[u8],
        wire: &mut impl Wire,
    ) -> io::Result<()> {
        if let Some(stream) = self.streams.get_mut(&id)
            && stream.sending == Sending::Open
        {
            stream
                .untold
                .push(capsules.len(), stream.queue.waiting().len());
        }
        self.write(id, capsules, wire)
    }
}

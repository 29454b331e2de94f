//! What a TCP socket reads and writes for a splice.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};

use crate::seam::completion::{Completions, Kind};
use crate::splice::side::Side;
use crate::tcp::opening;
use crate::tcp::output::DIRECT;
use crate::tcp::sealing::CHUNK;
use crate::tcp::socket::{Sending, TcpSocket};

impl TcpSocket {
    /// Whoever reads it is not JavaScript.
    pub(super) fn is_read_here(&self) -> bool {
        self.session || self.splice.is_some_and(|splice| splice.reads)
    }

    /// Nothing of what it received was told.
    pub fn is_fresh(&self) -> bool {
        self.may_splice(0)
    }

    /// It is JavaScript's, which knows of all that it received: `told` bytes.
    pub fn may_splice(&self, told: u64) -> bool {
        self.is_free() && self.received() == told
    }

    /// Its bytes are JavaScript's.
    pub fn is_free(&self) -> bool {
        let open = self.connecting.is_none() && self.handshake.is_none();
        open && self.splice.is_none() && !self.session
    }

    /// Neither direction is over.
    pub fn is_open(&self) -> bool {
        self.receiving && self.sending == Sending::Open
    }

    /// Datagrams have to wait; where it is for this connection, as few of them as can be are to be where they
    /// cannot be dropped any more.
    pub fn be_prompt(&mut self) {
        if !self.prompt && self.blocked {
            self.prompt = true;
            opening::hold_little(&self.os);
        }
    }

    /// What the kernel has is what was written.
    fn is_plain(&self) -> bool {
        self.secure.is_none()
    }

    /// Bytes that it received.
    pub fn received(&self) -> u64 {
        self.counters.bytes_received.get() as u64
    }

    /// Takes back what was granted.
    pub fn revoke(&mut self) {
        self.credit = 0;
    }

    /// Bytes that wait for the kernel.
    pub fn waiting(&self) -> usize {
        let sealed = self.secure.as_deref();
        self.queue.waiting().len() + sealed.map_or(0, |secure| secure.sealed.waiting().len())
    }

    /// It may be written to now; `None` when it may no more.
    pub fn takes(&self) -> Option<bool> {
        (self.sending == Sending::Open).then(|| self.room() > 0)
    }

    /// Reads for a splice, at most as much as there is room; 0 when there is nothing now. The peer's end is
    /// told.
    pub fn read_spliced(&mut self, room: &mut [u8], out: &mut Completions) -> io::Result<usize> {
        if !self.wants_reading() {
            return Ok(0);
        }
        match self.read_bytes(room) {
            Ok(0) => {
                self.unframed(out);
                self.tell_end(out);
                Ok(0)
            }
            Ok(count) => {
                self.counters.spliced_out.add(count as u64);
                Ok(count)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            Err(error) => Err(error),
        }
    }

    /// As `read_spliced`, into several places one after the other.
    pub fn read_spliced_parts(
        &mut self,
        parts: &mut [IoSliceMut<'_>],
        out: &mut Completions,
    ) -> io::Result<usize> {
        let most: usize = parts.iter().map(|part| part.len()).sum();
        let whole = parts.len() < 2 || !self.is_plain() || !self.wants_reading();
        if !whole {
            match self.os.read_vectored(parts) {
                Ok(count) if count > 0 => {
                    // As `read_bytes`.
                    if cfg!(target_os = "linux") && count < most && !self.read_closed {
                        self.readable = false;
                    }
                    self.counters.bytes_received.add(count as u64);
                    self.counters.spliced_out.add(count as u64);
                    return Ok(count);
                }
                // An end or an error, which is the same for one part.
                _ => {}
            }
        }
        match parts.first_mut() {
            Some(part) => self.read_spliced(part, out),
            None => Ok(0),
        }
    }

    /// As `last_words`, for a splice; returns how much was read.
    pub fn last_spliced_words(&mut self, room: &mut [u8]) -> usize {
        let count = self.read_bytes(room).unwrap_or(0);
        self.counters.spliced_out.add(count as u64);
        count
    }

    /// The other side of its splice is this one.
    pub fn is_spliced_with(&self, side: Side) -> bool {
        self.splice.is_some_and(|splice| splice.near == side)
    }

    /// A capsule that is cut off in the middle is told.
    pub fn unframed(&mut self, out: &mut Completions) {
        if let Some(unframing) = self.unframing.take() {
            self.tell_again(&unframing.give_back(&[]), out);
        }
        if let Some(datagrams) = self.datagrams.take() {
            self.tell_again(&datagrams.give_back(&[]), out);
        }
    }

    /// What a splice does not take is JavaScript's.
    pub fn tell_again(&mut self, bytes: &[u8], out: &mut Completions) {
        if let Some(splice) = &mut self.splice {
            splice.reads = false;
        }
        if !bytes.is_empty() {
            self.credit = self.credit.saturating_sub(bytes.len() as u64);
            out.begin(Kind::TcpData, self.index).bytes(bytes).end();
        }
    }

    /// Writes bytes that are not JavaScript's and belong together. TLS gets them with others: by itself the
    /// first piece would be a record.
    pub fn write_together(&mut self, first: &[u8], second: &[u8]) -> io::Result<()> {
        if self.is_plain() || self.sending != Sending::Open {
            self.write_untold(first)?;
            return self.write_untold(second);
        }
        let waiting = self.queue.waiting().len();
        self.untold.push(first.len() + second.len(), waiting);
        self.queue.push(first);
        self.queue.push(second);
        if self.queue.waiting().len() >= CHUNK {
            self.send(&[])?;
        }
        Ok(())
    }

    /// Writes bytes of a splice that lie in several places.
    pub fn write_spliced_parts(&mut self, mut parts: &mut [IoSlice<'_>]) -> io::Result<()> {
        let total: usize = parts.iter().map(|part| part.len()).sum();
        if self.sending != Sending::Open || total == 0 {
            return Ok(());
        }
        if total >= DIRECT && !self.blocked && !self.queue.is_empty() {
            self.flush()?;
        }
        self.counters.spliced_in.add(total as u64);
        self.untold.push(total, self.queue.waiting().len());
        let whole = self.queue.is_empty() && self.connecting.is_none();
        let direct = total >= DIRECT && whole && self.is_plain();
        while direct && !self.blocked && !parts.is_empty() {
            let left: usize = parts.iter().map(|part| part.len()).sum();
            match self.os.write_vectored(parts) {
                Ok(count) => {
                    self.untold.take(count);
                    self.counters.bytes_sent.add(count as u64);
                    self.blocked = cfg!(target_os = "linux") && count < left;
                    IoSlice::advance_slices(&mut parts, count);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.blocked = true,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        for part in parts {
            self.queue.push(part);
        }
        Ok(())
    }
}

//! What a TCP socket writes: payload that waits for the kernel, and the end behind it.

use std::io::{self, IoSlice, Write};
use std::net::Shutdown;

use mio::net::TcpStream;

use crate::seam::completion::{Completions, Kind};
use crate::tcp::sealing::{CHUNK, Plain};
use crate::tcp::socket::{Sending, TURN, TcpSocket};

/// A write from this size on goes to the kernel without being copied first.
pub(super) const DIRECT: usize = 8 * 1024;

/// Bytes given to the kernel that JavaScript has not been told of, above which it is told at once.
const UNREPORTED: usize = 32 * 1024;

/// Bytes that wait for the kernel, at half of which, and at all of which, nothing more should be written.
const ROOM: usize = 128 * 1024;

/// Gives bytes to the kernel, and notes when it has no room; returns how many it took.
fn give(os: &TcpStream, blocked: &mut bool, bytes: &[u8]) -> io::Result<usize> {
    loop {
        match (&mut &*os).write(bytes) {
            Ok(count) => {
                *blocked = cfg!(target_os = "linux") && count < bytes.len();
                return Ok(count);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                *blocked = true;
                return Ok(0);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

impl TcpSocket {
    /// Takes bytes, and gives them to the kernel at once if they are many.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.sending != Sending::Open {
            // JavaScript did not know yet: what it counts as buffered is nevertheless gone.
            self.unreported += bytes.len();
            return Ok(());
        }
        let mut taken = 0;
        if bytes.len() >= DIRECT && !self.blocked && self.connecting.is_none() {
            taken = self.send(bytes)?;
        }
        if taken < bytes.len() {
            self.queue.push(&bytes[taken..]);
        }
        Ok(())
    }

    /// Bytes that may be written for now.
    pub fn room(&self) -> usize {
        let sealed = self
            .secure
            .as_ref()
            .map_or(0, |secure| secure.sealed.waiting().len());
        match self.queue.waiting().len() + sealed {
            0 if !self.blocked => TURN,
            _ if self.prompt && self.blocked => 0,
            waiting if self.prompt => CHUNK.saturating_sub(waiting),
            waiting if waiting <= ROOM / 2 => ROOM - waiting,
            _ => 0,
        }
    }

    /// Writes bytes that are not JavaScript's: it hears nothing of the room that they leave behind.
    pub fn write_untold(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.sending != Sending::Open {
            return Ok(());
        }
        self.untold.push(bytes.len(), self.queue.waiting().len());
        self.write(bytes)
    }

    /// Writes bytes of a splice.
    pub fn write_spliced(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.sending == Sending::Open {
            self.counters.spliced_in.add(bytes.len() as u64);
        }
        self.write_untold(bytes)
    }

    /// False where it was ended before.
    pub fn end(&mut self) -> bool {
        let open = self.sending == Sending::Open;
        if open {
            self.sending = Sending::Ending;
        }
        open
    }

    /// As `end`, but without close_notify: the peer sees that the payload was cut off.
    pub fn hang_up(&mut self) {
        if self.end()
            && let Some(secure) = &mut self.secure
        {
            secure.sent_end = true;
        }
    }

    /// Gives what waits to the kernel, and FIN after the last of it.
    pub fn flush(&mut self) -> io::Result<()> {
        if self.connecting.is_some() {
            return Ok(());
        }
        self.send(&[])?;
        if self.sending == Sending::Ending && self.queue.is_empty() && self.said_end()? {
            self.shut()?;
            self.sending = Sending::Over;
        }
        Ok(())
    }

    /// FIN. Where a reset came before it, that is the error: the kernel only says that there is no connection.
    fn shut(&self) -> io::Result<()> {
        match self.os.shutdown(Shutdown::Write) {
            Err(error) if error.kind() == io::ErrorKind::NotConnected => {
                let reset = || io::Error::from_raw_os_error(libc::ECONNRESET);
                Err(self.os.take_error()?.unwrap_or_else(reset))
            }
            other => other,
        }
    }

    /// RFC 8446 section 6.1: each side sends close_notify before it closes its write side. True once the kernel
    /// has it, or where there is no TLS.
    fn said_end(&mut self) -> io::Result<bool> {
        let Some(secure) = &mut self.secure else {
            return Ok(true);
        };
        if !secure.sealed.is_empty() {
            return Ok(false);
        }
        if !secure.sent_end {
            let (os, blocked) = (&self.os, &mut self.blocked);
            secure.sent_end = true;
            secure.seal(Plain::End, |bytes| give(os, blocked, bytes))?;
        }
        Ok(secure.sealed.is_empty())
    }

    /// The same through TLS: what was encrypted and not sent goes first, and nothing more is encrypted while
    /// there is some. What was encrypted counts as taken, but is told when the kernel has it.
    fn send_sealed(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut taken = 0;
        while let Some(secure) = &mut self.secure {
            let (os, blocked) = (&self.os, &mut self.blocked);
            while !*blocked && !secure.sealed.is_empty() {
                let count = give(os, blocked, secure.sealed.waiting())?;
                secure.sealed.taken(count);
            }
            if secure.sealed.is_empty() {
                let payload = std::mem::take(&mut secure.sealed_payload);
                self.unreported += self.untold.take(payload);
                self.counters.bytes_sent.add(payload as u64);
            }
            let waiting = self.queue.waiting();
            let next = match waiting.is_empty() {
                true => &bytes[taken..],
                false => waiting,
            };
            let next = &next[..next.len().min(CHUNK)];
            if *blocked || next.is_empty() {
                return Ok(taken);
            }
            let count = next.len();
            secure.seal(Plain::Payload(next), |bytes| give(os, blocked, bytes))?;
            secure.sealed_payload = count;
            if waiting.is_empty() {
                taken += count;
            } else {
                self.queue.taken(count);
            }
        }
        Ok(taken)
    }

    /// Writes what waits and then `bytes`; returns how many of these the kernel, or TLS, took.
    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.secure.is_some() {
            return self.send_sealed(bytes);
        }
        let mut taken = 0;
        loop {
            let waiting = self.queue.waiting().len();
            let rest = &bytes[taken..];
            let total = waiting + rest.len();
            if total == 0 || self.blocked {
                return Ok(taken);
            }
            let parts = [IoSlice::new(self.queue.waiting()), IoSlice::new(rest)];
            let sent = if waiting == 0 {
                self.os.write(rest)
            } else if rest.is_empty() {
                self.os.write(self.queue.waiting())
            } else {
                self.os.write_vectored(&parts)
            };
            match sent {
                Ok(count) => {
                    let queued = count.min(waiting);
                    self.queue.taken(queued);
                    taken += count - queued;
                    self.unreported += self.untold.take(count);
                    self.counters.bytes_sent.add(count as u64);
                    // A part of it: the kernel is full, and tells when it has room.
                    self.blocked = cfg!(target_os = "linux") && count < total;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.blocked = true,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Tells how much the kernel took; with `anyway` false only when it is much.
    pub fn report_space(&mut self, out: &mut Completions, anyway: bool) -> bool {
        if self.unreported == 0 {
            return true;
        }
        if !anyway && self.unreported < UNREPORTED {
            return false;
        }
        out.begin(Kind::TcpSpace, self.index)
            .word(self.unreported as u32)
            .end_quietly();
        out.urgent |= !anyway;
        self.unreported = 0;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connected() -> (TcpSocket, std::net::TcpStream) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a listener");
        let address = listener.local_addr().expect("an address");
        let client = std::net::TcpStream::connect(address).expect("a connection");
        let (accepted, _) = listener.accept().expect("its other end");
        accepted.set_nonblocking(true).expect("an option");
        let os = TcpStream::from_std(accepted);
        (TcpSocket::new(1, os, Default::default()), client)
    }

    /// A socket whose peer reads nothing, written to until the kernel takes no more.
    fn full() -> (TcpSocket, std::net::TcpStream) {
        let (mut socket, client) = connected();
        while !socket.blocked {
            socket.write_untold(&[7; 64 * 1024]).expect("it lives");
        }
        socket.queue.clear();
        (socket, client)
    }

    #[test]
    fn what_may_be_dropped_does_not_go_where_it_has_to_wait() {
        let (mut socket, _client) = full();
        socket.write_untold(&[7; 1000]).expect("it lives");
        assert_eq!(socket.room(), ROOM - 1000);
        socket.be_prompt();
        assert_eq!(socket.room(), 0);
        socket.queue.clear();
        assert_eq!(socket.room(), 0, "the kernel is full");
        socket.blocked = false;
        assert_eq!(socket.room(), TURN);
        // What waits goes with the end of the round: as much as TLS puts into one piece.
        socket.queue.push(&[7; 1000]);
        assert_eq!(socket.room(), CHUNK - 1000);
    }

    #[test]
    fn an_end_behind_the_reset_of_the_peer_is_that_reset() {
        let (mut socket, client) = connected();
        let options = socket2::SockRef::from(&client);
        options
            .set_linger(Some(Default::default()))
            .expect("an option");
        drop(client);
        socket.end();
        let error = socket.flush().expect_err("it is gone");
        assert_eq!(error.raw_os_error(), Some(libc::ECONNRESET));
    }
}

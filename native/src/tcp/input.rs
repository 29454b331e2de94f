//! What a TCP socket reads: payload within credit and room, the peer's end, and what came before a reset.

use std::io::{self, Read};
use std::mem::MaybeUninit;

use socket2::SockRef;

use crate::seam::budget::Budget;
use crate::seam::completion::{Completions, Kind};
use crate::tcp::secure::{Room, Secure};
use crate::tcp::socket::{TURN, TcpSocket};

/// Most bytes read at once, and in one record.
const PIECE: usize = 64 * 1024;

/// Reads of ciphertext without payload in it before others have their turn.
const READS: usize = 4;

/// What is known of the kernel's side, noted with each read.
struct Kernel<'a> {
    readable: &'a mut bool,
    read_closed: bool,
}

impl Kernel<'_> {
    fn read(self, most: usize, read: &mut dyn FnMut() -> io::Result<usize>) -> io::Result<usize> {
        loop {
            match read() {
                Ok(count) => {
                    // Less than asked for: the kernel has no more, and tells when it has. An end that it has
                    // told of already is still to come.
                    if cfg!(target_os = "linux") && count < most && !self.read_closed {
                        *self.readable = false;
                    }
                    return Ok(count);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    *self.readable &= error.kind() != io::ErrorKind::WouldBlock;
                    return Err(error);
                }
            }
        }
    }
}

impl TcpSocket {
    pub fn grant(&mut self, bytes: u64) {
        self.credit = self.credit.saturating_add(bytes);
    }

    /// There may be something to tell.
    pub fn wants_reading(&self) -> bool {
        let held = self.secure.as_deref().is_some_and(Secure::holds_payload);
        let over = self.secure.as_deref().is_some_and(Secure::is_over);
        let something = self.readable || held || over;
        let wanted = self.is_read_here() || self.credit > 0 || self.handshake.is_some();
        self.receiving && something && (wanted || self.read_closed || over)
    }

    /// Reads payload, at most as much as there is room (which is some); 0 once at its end, which is not told
    /// here. `WouldBlock` when there is none now: where `wants_reading` says that there may be more all the
    /// same, others have their turn first.
    pub fn read_bytes(&mut self, room: &mut [u8]) -> io::Result<usize> {
        // SAFETY: `read` writes nothing but initialised bytes into it.
        let room = unsafe { &mut *(std::ptr::from_mut(room) as *mut [MaybeUninit<u8>]) };
        self.read(room)
    }

    /// As `read_bytes`; the bytes counted have been written.
    fn read(&mut self, room: &mut [MaybeUninit<u8>]) -> io::Result<usize> {
        if !self.receiving {
            return Ok(0);
        }
        let count = if self.secure.is_some() {
            self.read_secure(room)?
        } else {
            let os = &self.os;
            let kernel = Kernel {
                readable: &mut self.readable,
                read_closed: self.read_closed,
            };
            let most = room.len();
            let mut receive = || os.try_io(|| SockRef::from(os).recv(room));
            kernel.read(most, &mut receive)?
        };
        if count == 0 {
            self.peer_ended()?;
        }
        self.counters.bytes_received.add(count as u64);
        Ok(count)
    }

    /// The same through TLS.
    fn read_secure(&mut self, room: &mut [MaybeUninit<u8>]) -> io::Result<usize> {
        let mut room = Room::new(room);
        for _ in 0..READS {
            let Some(secure) = &mut self.secure else {
                break;
            };
            secure.give(&mut room);
            if room.filled() > 0 {
                return Ok(room.filled());
            }
            if secure.is_over() {
                return match secure.fault {
                    Some(_) => Err(secure.error()),
                    None => Ok(0),
                };
            }
            if !self.readable || secure.holds_payload() {
                break;
            }
            let count = self.take_in(&mut room)?;
            if room.filled() > 0 {
                return Ok(room.filled());
            }
            if count == 0 {
                self.truncated = true;
                return Ok(0);
            }
        }
        Err(io::ErrorKind::WouldBlock.into())
    }

    /// Reads ciphertext and opens it; what there is to say to that is said. 0 at the end of the connection.
    pub(super) fn take_in(&mut self, room: &mut Room<'_>) -> io::Result<usize> {
        let Some(secure) = &mut self.secure else {
            return Ok(0);
        };
        let os = &self.os;
        let kernel = Kernel {
            readable: &mut self.readable,
            read_closed: self.read_closed,
        };
        let count = secure.take_in(room, |incoming| {
            kernel.read(incoming.len(), &mut || (&mut &*os).read(incoming))
        })?;
        if !secure.sealed.is_empty() {
            self.send(&[])?;
        }
        Ok(count)
    }

    /// Reads within credit and budget; true when more may wait.
    pub fn receive(&mut self, out: &mut Completions, budget: Budget<'_>) -> io::Result<bool> {
        if self.is_read_here() {
            return Ok(false);
        }
        let mut turn = TURN;
        while self.wants_reading() {
            if turn == 0 || budget.spent(out) {
                return Ok(true);
            }
            if self.credit == 0 {
                self.look_for_end(out)?;
                return Ok(false);
            }
            let most = PIECE
                .min(turn)
                .min(usize::try_from(self.credit).unwrap_or(PIECE));
            match self.read_record(out, most) {
                Ok(0) => self.tell_end(out),
                Ok(count) => {
                    turn -= count;
                    self.credit -= count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok(self.wants_reading());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }

    /// Reads into a record; none is written where nothing was read.
    fn read_record(&mut self, out: &mut Completions, most: usize) -> io::Result<usize> {
        out.filled(Kind::TcpData, self.index, most, |room| self.read(room))
    }

    /// After a reset the kernel still has what came before it: a last piece, within the credit. What a
    /// server says as it refuses is often followed by its reset.
    pub fn last_words(&mut self, out: &mut Completions) {
        let most = PIECE.min(usize::try_from(self.credit).unwrap_or(PIECE));
        // Behind what a splice has read JavaScript would not know where it stands.
        let wanted = self.receiving && !self.is_read_here();
        if wanted && most > 0 {
            // The reset is told in any case.
            let _ = self.read_record(out, most);
        }
    }

    /// Without credit: an end with no bytes before it is told all the same.
    fn look_for_end(&mut self, out: &mut Completions) -> io::Result<()> {
        if self.secure.is_some() {
            return match self.read(&mut []) {
                Ok(_) => {
                    self.tell_end(out);
                    Ok(())
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
                Err(error) => Err(error),
            };
        }
        match self.os.peek(&mut [0]) {
            Ok(0) => {
                self.peer_ended()?;
                self.tell_end(out);
                Ok(())
            }
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.readable = false;
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// A FIN that a reset has followed reads like an end, but the socket has an error.
    fn peer_ended(&mut self) -> io::Result<()> {
        if let Some(error) = self.os.take_error()? {
            return Err(error);
        }
        self.receiving = false;
        Ok(())
    }

    pub(super) fn tell_end(&self, out: &mut Completions) {
        out.begin(Kind::TcpEnd, self.index)
            .word(u32::from(self.truncated))
            .end();
    }
}

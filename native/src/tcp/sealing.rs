//! Payload to ciphertext, and what a server says in its part of the handshake.

use std::cell::RefCell;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use rustls::Error;
use rustls::unbuffered::WriteTraffic;

use crate::tcp::secure::{Fault, OVERHEAD, RECORD, Room, Secure, Step};

/// Payload encrypted and sent in one go: little, so that the peer opens it while the next is made. Each wait of the
/// peer for more costs a wake-up.
pub const CHUNK: usize = 2 * RECORD;
const SEALED: usize = 2 * (RECORD + OVERHEAD);

/// Alerts, answers to key updates and the like go with the payload.
const AMONG: usize = 4 * 1024;

thread_local! {
    static OUTGOING: RefCell<Box<[u8]>> = RefCell::new(vec![0; SEALED + AMONG].into());
}

/// What is to be encrypted.
#[derive(Clone, Copy)]
pub enum Plain<'a> {
    Payload(&'a [u8]),
    /// close_notify.
    End,
}

pub struct Sealing<'a> {
    plain: Plain<'a>,
    into: &'a mut [u8],
    written: Option<usize>,
}

/// The first payload to clients that choose this protocol.
pub struct Greeting {
    pub protocol: Box<[u8]>,
    /// At most `CHUNK`.
    pub bytes: Box<[u8]>,
}

impl Secure {
    /// Encrypts at most `CHUNK` bytes and has `give` take the ciphertext; what it does not take waits.
    pub fn seal(
        &mut self,
        plain: Plain<'_>,
        give: impl FnOnce(&[u8]) -> io::Result<usize>,
    ) -> io::Result<()> {
        if self.seal_if_able(plain, give)? {
            Ok(())
        } else {
            Err(self.failed(Fault::Tls(Error::HandshakeNotComplete)))
        }
    }

    /// Puts the greeting behind the server's part of the handshake (RFC 8446 section 4.4.4), or, where that cannot
    /// be (TLS 1.2, or a client that is asked for its certificate), in front of all payload.
    pub fn greet(&mut self, greeting: &Greeting) -> io::Result<()> {
        if !self.greeted && self.alpn() == Some(&greeting.protocol) {
            self.greeted = self.seal_if_able(Plain::Payload(&greeting.bytes), |_| Ok(0))?;
        }
        Ok(())
    }

    /// False where the handshake is not that far.
    fn seal_if_able(
        &mut self,
        plain: Plain<'_>,
        give: impl FnOnce(&[u8]) -> io::Result<usize>,
    ) -> io::Result<bool> {
        if self.fault.is_some() {
            return Err(self.error());
        }
        OUTGOING.with_borrow_mut(|scratch| {
            let mut sealing = Sealing {
                plain,
                into: scratch,
                written: None,
            };
            let mut partial = std::mem::take(&mut self.partial);
            let done = catch_unwind(AssertUnwindSafe(|| {
                let mut used = 0;
                let mut nowhere = Room::new(&mut []);
                while let Step::Again =
                    self.step(&mut partial, &mut used, &mut nowhere, Some(&mut sealing))?
                {
                }
                Ok(used)
            }));
            let used = match done {
                Ok(Ok(used)) => used,
                Ok(Err(error)) => return Err(self.failed(Fault::Tls(error))),
                Err(_) => return Err(self.failed(Fault::Defect)),
            };
            partial.drain(..used.min(partial.len()));
            self.partial = partial;
            let Some(written) = sealing.written else {
                return Ok(false);
            };
            let ciphertext = &scratch[..written];
            // Messages of the layer itself go first.
            let taken = if self.sealed.is_empty() {
                give(ciphertext)?
            } else {
                0
            };
            if taken < written {
                self.sealed.push(&ciphertext[taken..]);
            }
            Ok(true)
        })
    }

    fn failed(&mut self, fault: Fault) -> io::Error {
        self.fault = Some(fault);
        self.error()
    }
}

pub fn encrypt<Data>(
    mut traffic: WriteTraffic<'_, Data>,
    sealing: &mut Sealing<'_>,
) -> Result<(), Error> {
    let written = match sealing.plain {
        Plain::Payload(bytes) => traffic.encrypt(bytes, sealing.into),
        Plain::End => traffic.queue_close_notify(sealing.into),
    };
    sealing.written = Some(written.map_err(|_| Error::EncryptError)?);
    Ok(())
}

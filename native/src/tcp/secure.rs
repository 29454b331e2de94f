//! The TLS layer of a TCP socket: ciphertext to payload and back. It touches no socket itself.
//!
//! Whole records are opened at once, so that between two calls there is never more than the start of one; what
//! nobody had room for waits as payload. A fault of the peer, or of ours, is the end: nothing is touched after it.

use std::cell::RefCell;
use std::io;
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use rustls::client::UnbufferedClientConnection;
use rustls::pki_types::ServerName;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, UnbufferedStatus};
use rustls::{ClientConfig, CommonState, Error, ServerConfig};

use crate::tcp::queue::Queue;
use crate::tcp::sealing::{Sealing, encrypt};
use crate::tls::asked_name;

/// Payload of one record at most (RFC 8446 section 5.1), and the room that its ciphertext takes.
pub(super) const RECORD: usize = 16 * 1024;
pub(super) const OVERHEAD: usize = 22;

/// The start of what is not whole: a record, or a message of the handshake, of which rustls takes none above
/// 64 KiB; more is an attack.
const PARTIAL: usize = 80 * 1024;

/// Ciphertext read at once: much, since what waits is there already.
const MOST: usize = 16 * (RECORD + OVERHEAD);
/// A whole record (RFC 5246 section 6.2.3: 2,048 bytes more than its payload), also where there is less room.
const LEAST: usize = RECORD + 2048 + 5;

thread_local! {
    /// One for a thread: sockets keep only what is not whole.
    static INCOMING: RefCell<Box<[u8]>> = RefCell::new(vec![0; PARTIAL + MOST].into());
}

enum Side {
    Server(UnbufferedServerConnection),
    Client(UnbufferedClientConnection),
}

/// Why TLS is over.
pub enum Fault {
    Tls(Error),
    /// A panic of ours.
    Defect,
}

/// Room for payload, filled from the front.
pub struct Room<'a> {
    bytes: &'a mut [MaybeUninit<u8>],
    filled: usize,
}

impl<'a> Room<'a> {
    pub fn new(bytes: &'a mut [MaybeUninit<u8>]) -> Self {
        Self { bytes, filled: 0 }
    }

    /// Bytes written so far.
    pub fn filled(&self) -> usize {
        self.filled
    }

    fn left(&self) -> usize {
        self.bytes.len() - self.filled
    }

    /// Takes what fits, and says how much that was.
    fn put(&mut self, payload: &[u8]) -> usize {
        let count = payload.len().min(self.left());
        let places = &mut self.bytes[self.filled..self.filled + count];
        // SAFETY: both are this long, and nobody else has the room while it is borrowed here.
        unsafe {
            std::ptr::copy_nonoverlapping(payload.as_ptr(), places.as_mut_ptr().cast(), count);
        }
        self.filled += count;
        count
    }
}

pub(super) enum Step {
    Again,
    /// Nothing is left to do with what there is.
    Idle,
}

pub struct Secure {
    side: Side,
    pub(super) partial: Vec<u8>,
    payload: Queue,
    /// Ciphertext that waits for the kernel, and the payload in it.
    pub sealed: Queue,
    pub sealed_payload: usize,
    received_end: bool,
    pub sent_end: bool,
    pub fault: Option<Fault>,
    /// The listener's greeting was sent.
    pub greeted: bool,
    /// What the client asked for, on a server.
    server_name: Option<Box<str>>,
}

impl Secure {
    fn new(side: Side) -> Self {
        Self {
            side,
            partial: Vec::new(),
            payload: Queue::default(),
            sealed: Queue::default(),
            sealed_payload: 0,
            received_end: false,
            sent_end: false,
            fault: None,
            greeted: false,
            server_name: None,
        }
    }

    pub fn server(config: Arc<ServerConfig>) -> Result<Self, Error> {
        UnbufferedServerConnection::new(config).map(|tls| Self::new(Side::Server(tls)))
    }

    pub fn client(config: Arc<ClientConfig>, name: ServerName<'static>) -> Result<Self, Error> {
        UnbufferedClientConnection::new(config, name).map(|tls| Self::new(Side::Client(tls)))
    }

    fn state(&self) -> &CommonState {
        match &self.side {
            Side::Server(tls) => tls,
            Side::Client(tls) => tls,
        }
    }

    pub fn is_handshaking(&self) -> bool {
        self.state().is_handshaking()
    }

    pub fn alpn(&self) -> Option<&[u8]> {
        self.state().alpn_protocol()
    }

    pub fn server_name(&self) -> Option<&str> {
        self.server_name.as_deref()
    }

    /// DER, leaf first.
    pub fn peer_certificates(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        let chain = self.state().peer_certificates().unwrap_or_default();
        chain.iter().map(|certificate| certificate.as_ref())
    }

    /// Payload waits for room.
    pub fn holds_payload(&self) -> bool {
        !self.payload.is_empty()
    }

    /// All was given, and nothing more will be.
    pub fn is_over(&self) -> bool {
        self.payload.is_empty() && (self.received_end || self.fault.is_some())
    }

    /// Gives payload that has waited.
    pub fn give(&mut self, room: &mut Room<'_>) {
        let count = room.put(self.payload.waiting());
        self.payload.taken(count);
    }

    /// Reads ciphertext by `read`, about as much as makes payload for the room, and opens it; what does not fit
    /// waits. Returns what `read` did, 0 at the end of the connection. A fault has to be looked for.
    pub fn take_in(
        &mut self,
        room: &mut Room<'_>,
        read: impl FnOnce(&mut [u8]) -> io::Result<usize>,
    ) -> io::Result<usize> {
        if self.fault.is_some() {
            return Err(self.error());
        }
        INCOMING.with_borrow_mut(|scratch| {
            let held = self.partial.len();
            let left = room.left();
            let most = (left + left.div_ceil(RECORD) * OVERHEAD).clamp(LEAST, MOST);
            let incoming = &mut scratch[..held + most];
            incoming[..held].copy_from_slice(&self.partial);
            let count = read(&mut incoming[held..])?;
            if count == 0 {
                return Ok(0);
            }
            self.open(&mut incoming[..held + count], room);
            Ok(count)
        })
    }

    /// Makes a client's first message.
    pub fn begin(&mut self) {
        self.open(&mut [], &mut Room::new(&mut []));
    }

    /// The handshake is over: what it took is given back.
    pub fn established(&mut self) {
        if self.sealed.is_empty() {
            self.sealed = Queue::default();
        }
    }

    fn open(&mut self, incoming: &mut [u8], room: &mut Room<'_>) {
        let mut used = 0;
        let done = catch_unwind(AssertUnwindSafe(|| self.process(incoming, &mut used, room)));
        if let Some(name) = asked_name() {
            self.server_name = Some(name);
        }
        let rest = incoming.get(used..).unwrap_or_default();
        self.fault = match done {
            Ok(Ok(())) if self.received_end || rest.is_empty() => {
                self.partial = Vec::new();
                return;
            }
            Ok(Ok(())) if rest.len() <= PARTIAL => {
                self.partial.clear();
                self.partial.extend_from_slice(rest);
                return;
            }
            Ok(Ok(())) => Some(Fault::Tls(Error::PeerSentOversizedRecord)),
            Ok(Err(error)) => Some(Fault::Tls(error)),
            Err(_) => Some(Fault::Defect),
        };
        self.partial = Vec::new();
    }

    /// Opens all that is whole. After an error what rustls has to say about it is ready to be sent.
    fn process(
        &mut self,
        incoming: &mut [u8],
        used: &mut usize,
        room: &mut Room<'_>,
    ) -> Result<(), Error> {
        loop {
            match self.step(incoming, used, room, None) {
                Ok(Step::Again) => {}
                Ok(Step::Idle) => return Ok(()),
                Err(error) => {
                    // Each step gives one message, before it looks at what has come in, which it must not any more.
                    while self.state().wants_write() {
                        let _ = self.step(&mut [], &mut 0, room, None);
                    }
                    return Err(error);
                }
            }
        }
    }

    pub(super) fn step(
        &mut self,
        incoming: &mut [u8],
        used: &mut usize,
        room: &mut Room<'_>,
        sealing: Option<&mut Sealing<'_>>,
    ) -> Result<Step, Error> {
        let rest = incoming.get_mut(*used..).unwrap_or_default();
        let Self {
            side,
            payload,
            sealed,
            received_end,
            ..
        } = self;
        let mut deliver = |bytes: &[u8]| {
            // In order: what is behind something that waits waits too.
            let count = if payload.is_empty() {
                room.put(bytes)
            } else {
                0
            };
            if count < bytes.len() {
                payload.push(&bytes[count..]);
            }
        };
        let (discard, step) = match side {
            Side::Server(tls) => advance(
                tls.process_tls_records(rest),
                &mut deliver,
                sealed,
                received_end,
                sealing,
            ),
            Side::Client(tls) => advance(
                tls.process_tls_records(rest),
                &mut deliver,
                sealed,
                received_end,
                sealing,
            ),
        };
        *used += discard;
        step
    }

    /// The fault as the socket's end has it.
    pub fn error(&self) -> io::Error {
        io::Error::from_raw_os_error(match self.fault {
            Some(Fault::Defect) => libc::EIO,
            _ => libc::EPROTO,
        })
    }
}

/// One step of rustls: how much of the ciphertext is done with, and what is next.
fn advance<Data>(
    status: UnbufferedStatus<'_, '_, Data>,
    deliver: &mut impl FnMut(&[u8]),
    sealed: &mut Queue,
    received_end: &mut bool,
    sealing: Option<&mut Sealing<'_>>,
) -> (usize, Result<Step, Error>) {
    let UnbufferedStatus { mut discard, state } = status;
    let step = match state {
        Err(error) => Err(error),
        Ok(ConnectionState::ReadTraffic(mut traffic)) => loop {
            match traffic.next_record() {
                None => break Ok(Step::Again),
                Some(Ok(record)) => {
                    discard += record.discard;
                    deliver(record.payload);
                }
                Some(Err(error)) => break Err(error),
            }
        },
        Ok(ConnectionState::EncodeTlsData(mut message)) => {
            let mut bytes = match message.encode(&mut []) {
                Err(EncodeError::InsufficientSize(size)) => vec![0; size.required_size],
                _ => Vec::new(),
            };
            let written = message.encode(&mut bytes).unwrap_or_default();
            sealed.push(&bytes[..written]);
            Ok(Step::Again)
        }
        Ok(ConnectionState::TransmitTlsData(transmit)) => {
            transmit.done();
            Ok(Step::Again)
        }
        Ok(ConnectionState::PeerClosed) => {
            *received_end = true;
            Ok(Step::Again)
        }
        Ok(ConnectionState::WriteTraffic(traffic)) => match sealing {
            Some(sealing) => encrypt(traffic, sealing).map(|()| Step::Idle),
            None => Ok(Step::Idle),
        },
        Ok(ConnectionState::BlockedHandshake | ConnectionState::Closed) => Ok(Step::Idle),
        Ok(_) => Err(Error::General("a state that nobody asked for".to_owned())),
    };
    (discard, step)
}

//! One TCP connection: its state, what the system tells of it, and its end.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use mio::net::TcpStream;
use socket2::SockRef;

use crate::counters::TcpCounters;
use crate::quic::outcome::errno;
use crate::seam::completion::{Completions, Kind};
use crate::seam::untold::Untold;
use crate::splice::datagram_capsules::DatagramCapsules;
use crate::splice::side::Side;
use crate::splice::unframing::Unframing;
use crate::tcp::handshake::Handshake;
use crate::tcp::queue::Queue;
use crate::tcp::secure::Secure;

/// Bytes that one socket moves before another has its turn.
pub(super) const TURN: usize = 256 * 1024;

#[derive(PartialEq, Eq, Clone, Copy)]
pub(super) enum Sending {
    Open,
    /// FIN follows what waits.
    Ending,
    Over,
}

/// How a connection is over, as `TcpEnd` says it.
pub enum Over {
    Ended,
    /// By the peer or the machine.
    Cut(io::Error),
    /// From this side; with an `errno`.
    Local(i32),
}

/// What a socket's bytes go to and come from.
#[derive(Clone, Copy)]
pub struct SocketSplice {
    pub id: u64,
    pub near: Side,
    /// The type of the capsules around the bytes, if there are any.
    pub capsule: Option<u64>,
    /// What is read goes there.
    pub reads: bool,
    /// The other side waits until there is room here.
    pub awaited: bool,
}

pub struct TcpSocket {
    pub os: TcpStream,
    pub index: u32,
    /// The handshake must be done by then; nothing once it is.
    pub connecting: Option<Instant>,
    pub(super) credit: u64,
    /// The kernel may have bytes, or the peer's end.
    pub(super) readable: bool,
    /// The kernel has told of the peer's end, which may still lie behind bytes.
    pub(super) read_closed: bool,
    /// The peer's end was not told.
    pub(super) receiving: bool,
    pub(super) sending: Sending,
    /// The peer's end was FIN alone, where close_notify belongs before it.
    pub(super) truncated: bool,
    /// The kernel has no room.
    pub(super) blocked: bool,
    pub(super) queue: Queue,
    /// What waits is to wait with whoever wrote it, who may still drop it.
    pub(super) prompt: bool,
    pub(super) unreported: usize,
    pub(super) untold: Untold,
    pub counters: Arc<TcpCounters>,
    pub splice: Option<SocketSplice>,
    /// For what is read of a socket with capsules that is spliced.
    pub unframing: Option<Box<Unframing>>,
    /// For what is read of one whose DATAGRAM capsules go to a UDP socket.
    pub datagrams: Option<Box<DatagramCapsules>>,
    /// An HTTP/2 session has it.
    pub session: bool,
    pub secure: Option<Box<Secure>>,
    /// The handshake of TLS, while it is under way.
    pub handshake: Option<Box<Handshake>>,
    /// The secure listener among whose connections it counts.
    pub listener: Option<u32>,
    /// In the engine's lists of sockets to read, to flush, and with room to report.
    pub listed_readable: bool,
    pub listed_flush: bool,
    pub listed_space: bool,
}

impl TcpSocket {
    pub fn new(index: u32, os: TcpStream, counters: Arc<TcpCounters>) -> Self {
        Self {
            os,
            index,
            connecting: None,
            credit: 0,
            readable: false,
            read_closed: false,
            receiving: true,
            sending: Sending::Open,
            truncated: false,
            blocked: false,
            queue: Queue::default(),
            prompt: false,
            unreported: 0,
            untold: Untold::default(),
            counters,
            splice: None,
            unframing: None,
            datagrams: None,
            session: false,
            secure: None,
            handshake: None,
            listener: None,
            listed_readable: false,
            listed_flush: false,
            listed_space: false,
        }
    }

    /// The near and the far address once the handshake is done; its error if it failed.
    pub fn connected(&self) -> io::Result<Option<(SocketAddr, SocketAddr)>> {
        if let Some(error) = self.os.take_error()? {
            return Err(error);
        }
        let local = self.os.local_addr()?;
        match self.os.peer_addr() {
            // A socket that found itself: nobody listens there (the kernel gave it the port it asked for).
            Ok(remote) if remote == local => Err(io::Error::from_raw_os_error(libc::ECONNREFUSED)),
            Ok(remote) => Ok(Some((local, remote))),
            Err(error) if error.kind() == io::ErrorKind::NotConnected => {
                // It may have been reset since.
                self.os.take_error()?.map_or(Ok(None), Err)
            }
            Err(error) => Err(error),
        }
    }

    /// Takes in what the system told; fails with what cut the connection off.
    pub fn noted(&mut self, event: &mio::event::Event) -> io::Result<()> {
        let closed = event.is_read_closed() || event.is_write_closed();
        if (event.is_error() || closed)
            && let Some(error) = self.os.take_error()?
        {
            return Err(error);
        }
        self.readable |= event.is_readable() || closed;
        self.read_closed |= event.is_read_closed();
        self.blocked &= !event.is_writable();
        Ok(())
    }

    /// Both directions are over, and the kernel has all that was written.
    pub fn ended(&self) -> bool {
        !self.receiving && self.sending == Sending::Over
    }

    /// Tells the end and lets the socket go; a closed one is reset, but for a clean end.
    pub fn over(mut self, over: &Over, out: &mut Completions) {
        self.report_space(out, true);
        let (kind, error) = match over {
            Over::Ended => (0, 0),
            Over::Cut(error) => (1, errno(error)),
            Over::Local(errno) => (2, *errno),
        };
        if kind == 0 {
            // Where it cannot be set the connection is gone already.
            let _ = SockRef::from(&self.os).set_linger(None);
        }
        out.begin(Kind::TcpClosed, self.index)
            .word(kind)
            .word(error as u32)
            .end();
    }
}

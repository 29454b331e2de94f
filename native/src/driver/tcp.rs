//! TCP sockets in the engine's loop.

use std::io;
use std::net::SocketAddr;

use mio::event::Event;
use mio::net::TcpStream;

use crate::command::{ConnectTcp, ListenTcp};
use crate::driver::{Driver, Source};
use crate::quic::outcome::{Failure, canonical, errno};
use crate::seam::budget::Budget;
use crate::seam::completion::Kind;
use crate::seam::mailbox::BACKLOG_LIMIT;
use crate::tcp::listener::{Listener, PAUSE, TURN, concerns_one};
use crate::tcp::opening;
use crate::tcp::socket::{Over, TcpSocket};

/// Undrained bytes up to which TCP sockets read: the connections have a third to themselves, and packets of
/// UDP sockets, which go first, do not take all of this.
pub(super) const LIMIT: usize = BACKLOG_LIMIT / 3 * 2;

/// Undrained bytes above which no connection is accepted, as for QUIC.
const ACCEPTING_BELOW: usize = 2 * BACKLOG_LIMIT;

const NOWHERE: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), 0);

impl Driver {
    pub(super) fn connect_tcp(&mut self, connect: ConnectTcp) {
        let index = connect.socket;
        let deadline = self.now + connect.timeout;
        let opened = opening::connect(&connect.connecting).and_then(|mut os| {
            self.register(&mut os, Source::Tcp(index))?;
            Ok(os)
        });
        match opened {
            Ok(os) => {
                let counters = self.mailbox.tcp_counters.insert(index);
                let mut socket = TcpSocket::new(index, os, counters);
                socket.connecting = Some(deadline);
                if let Some(secure) = connect.secure
                    && let Err(failure) = socket.secure_client(*secure, deadline)
                {
                    return failure.write_as(Kind::SecureFailed, &mut self.out, index);
                }
                self.tcp.timers.insert((deadline, index));
                self.tcp.sockets.insert(index, Box::new(socket));
            }
            Err(error) if connect.secure.is_some() => {
                let failure = Failure::Unreachable(errno(&error));
                failure.write_as(Kind::SecureFailed, &mut self.out, index);
            }
            Err(error) => self.tcp_opened(index, Err(errno(&error))),
        }
    }

    /// Tells how an attempt to connect came out.
    pub(super) fn tcp_opened(
        &mut self,
        index: u32,
        outcome: Result<(SocketAddr, SocketAddr), i32>,
    ) {
        let (errno, (local, remote)) = match outcome {
            Ok(addresses) => (0, addresses),
            Err(errno) => (errno, (NOWHERE, NOWHERE)),
        };
        self.out
            .begin(Kind::TcpOpened, index)
            .word(errno as u32)
            .address(local)
            .address(remote)
            .end();
    }

    pub(super) fn listen_tcp(&mut self, listen: &ListenTcp) {
        let index = listen.listener;
        let opened = opening::listen(&listen.listening).and_then(|mut os| {
            self.register(&mut os, Source::TcpListener(index))?;
            let local = os.local_addr()?;
            Ok((os, local))
        });
        let (errno, local) = match opened {
            Ok((os, local)) => {
                let listener = Listener {
                    os: Some(os),
                    secure: None,
                    listed: false,
                    paused: None,
                };
                self.tcp.listeners.insert(index, listener);
                (0, local)
            }
            Err(error) => (errno(&error), listen.listening.local),
        };
        self.out
            .begin(Kind::TcpListening, index)
            .word(errno as u32)
            .address(local)
            .end();
    }

    pub(super) fn close_tcp_listener(&mut self, index: u32) {
        let Some(listener) = self.tcp.listeners.remove(&index) else {
            return;
        };
        if let Some(at) = listener.paused {
            self.tcp.timers.remove(&(at, index));
        }
        if listener.secure.is_some_and(|secure| secure.handshakes > 0) {
            self.end_handshakes(index);
        }
    }

    /// Acts on a socket that lives, and has it flushed; an error ends it.
    pub(super) fn with_tcp(
        &mut self,
        index: u32,
        act: impl FnOnce(&mut TcpSocket) -> io::Result<()>,
    ) {
        let Some(socket) = self.tcp.sockets.get_mut(&index) else {
            return;
        };
        match act(socket) {
            Ok(()) => self.tcp.list_flush(index),
            Err(error) => self.tcp_cut(index, error),
        }
    }

    pub(super) fn grant_tcp(&mut self, index: u32, bytes: u64) {
        if let Some(socket) = self.tcp.sockets.get_mut(&index) {
            socket.grant(bytes);
            self.tcp.list_readable(index);
        }
    }

    pub(super) fn tcp_reset(&mut self, index: u32, errno: i32) {
        self.tcp_over(index, &Over::Local(errno));
    }

    /// The peer or the machine cut the connection off, or the attempt to make it.
    pub(super) fn tcp_cut(&mut self, index: u32, error: io::Error) {
        self.last_session_words(index);
        if self.in_handshake(index) {
            return self.tcp_over(index, &Over::Cut(error));
        }
        self.last_spliced_words(index);
        let room = self.mailbox.backlog() + self.out.bytes.len() < LIMIT;
        if room && let Some(socket) = self.tcp.sockets.get_mut(&index) {
            socket.last_words(&mut self.out);
        }
        self.tcp_over(index, &Over::Cut(error));
    }

    pub(super) fn tcp_over(&mut self, index: u32, over: &Over) {
        let Some(socket) = self.tcp.sockets.remove(&index) else {
            return;
        };
        self.http2.sessions.remove(&index);
        if socket.handshake.is_some() {
            return self.handshake_failed(*socket, over);
        }
        if let Some(listener) = socket.listener {
            self.left_listener(listener);
        }
        let Some(deadline) = socket.connecting else {
            socket.over(over, &mut self.out);
            return;
        };
        self.tcp.timers.remove(&(deadline, index));
        let errno = match over {
            Over::Ended => libc::ECONNRESET,
            Over::Cut(error) => errno(error),
            Over::Local(errno) => *errno,
        };
        self.tcp_opened(index, Err(errno));
    }

    pub(super) fn tcp_event(&mut self, index: u32, event: &Event) {
        let Some(socket) = self.tcp.sockets.get_mut(&index) else {
            return;
        };
        if let Some(deadline) = socket.connecting {
            match socket.connected() {
                Ok(None) => return,
                Ok(Some((local, remote))) => {
                    socket.connecting = None;
                    if let Some(handshake) = &mut socket.handshake {
                        (handshake.local, handshake.remote) = (local, remote);
                        if let Err(error) = socket.greet() {
                            return self.tcp_cut(index, error);
                        }
                    } else {
                        self.tcp.timers.remove(&(deadline, index));
                        self.tcp_opened(index, Ok((local, remote)));
                    }
                }
                Err(error) => return self.tcp_cut(index, error),
            }
        }
        self.with_tcp(index, |socket| socket.noted(event));
        self.tcp.list_readable(index);
    }

    pub(super) fn tcp_acceptable(&mut self, index: u32) {
        if let Some(listener) = self.tcp.listeners.get_mut(&index)
            && !listener.listed
            && listener.paused.is_none()
        {
            listener.listed = true;
            self.tcp.acceptable.push(index);
        }
    }

    /// Something is left to do before the loop may wait.
    pub(super) fn tcp_waits(&self, starved: bool) -> bool {
        !self.tcp.to_flush.is_empty()
            || !self.tcp.readable_splices.is_empty()
            || !self.tcp.shaking.is_empty()
            || !starved && (!self.tcp.readable.is_empty() || !self.tcp.acceptable.is_empty())
    }

    pub(super) fn flush_tcp(&mut self) {
        for (index, error) in std::mem::take(&mut self.tcp.cut) {
            self.tcp_cut(index, error);
        }
        for index in std::mem::take(&mut self.tcp.to_flush) {
            let Some(socket) = self.tcp.sockets.get_mut(&index) else {
                continue;
            };
            socket.listed_flush = false;
            match socket.flush() {
                Ok(()) => {
                    if !socket.report_space(&mut self.out, false) && !socket.listed_space {
                        socket.listed_space = true;
                        self.tcp.spaces.push(index);
                    }
                    if socket.ended() {
                        self.tcp_over(index, &Over::Ended);
                    } else {
                        self.has_room(index);
                    }
                }
                Err(error) => self.tcp_cut(index, error),
            }
        }
    }

    pub(super) fn receive_tcp(&mut self) {
        self.accept_tcp();
        self.shake_hands();
        let budget = Budget::new(self.mailbox.backlog(), LIMIT, &self.starved);
        let mut again = Vec::new();
        let mut ended = Vec::new();
        let mut cut = Vec::new();
        let mut spliced = Vec::new();
        let mut readable = std::mem::take(&mut self.tcp.readable).into_iter();
        while !readable.as_slice().is_empty() && !budget.spent(&self.out) {
            let Some(index) = readable.next() else {
                break;
            };
            let Some(socket) = self.tcp.sockets.get_mut(&index) else {
                continue;
            };
            match socket.receive(&mut self.out, budget) {
                Ok(true) => {
                    again.push(index);
                    continue;
                }
                Ok(false) if socket.ended() => ended.push(index),
                Ok(false) => {}
                Err(error) => cut.push((index, error)),
            }
            socket.listed_readable = false;
            if socket.splice.is_some() || socket.session {
                spliced.push(index);
            }
        }
        for index in spliced {
            self.tcp.list_readable(index);
        }
        // Those that had no turn go first next time.
        self.tcp.readable.extend(readable);
        self.tcp.readable.append(&mut again);
        for index in ended {
            self.tcp_over(index, &Over::Ended);
        }
        for (index, error) in cut {
            self.tcp_cut(index, error);
        }
    }

    fn accept_tcp(&mut self) {
        for index in std::mem::take(&mut self.tcp.acceptable) {
            if self.mailbox.backlog() + self.out.bytes.len() > ACCEPTING_BELOW {
                self.starved.set(true);
                self.tcp.acceptable.push(index);
            } else if self.accept_some(index) {
                self.tcp.acceptable.push(index);
            } else if let Some(listener) = self.tcp.listeners.get_mut(&index) {
                listener.listed = false;
            }
        }
    }

    /// True when more may wait.
    fn accept_some(&mut self, index: u32) -> bool {
        for _ in 0..TURN {
            let Some(listener) = self.tcp.listeners.get_mut(&index) else {
                return false;
            };
            let Some(os) = &listener.os else {
                return false;
            };
            match os.accept() {
                Ok((os, remote)) => self.tcp_accepted(index, os, remote),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                Err(error) if concerns_one(&error) => {}
                Err(_) => {
                    let at = self.now + PAUSE;
                    listener.paused = Some(at);
                    self.tcp.timers.insert((at, index));
                    return false;
                }
            }
        }
        true
    }

    fn tcp_accepted(&mut self, listener: u32, mut os: TcpStream, remote: SocketAddr) {
        // One that is broken already concerns nobody.
        let Ok(local) = os.local_addr() else {
            return;
        };
        let secure = self.tcp.listeners.get(&listener);
        if secure.is_some_and(|listener| listener.secure.is_some()) {
            return self.secure_accepted(listener, os, local, remote);
        }
        let index = self.tcp.number();
        if self.register(&mut os, Source::Tcp(index)).is_err() {
            return;
        }
        let counters = self.mailbox.tcp_counters.insert(index);
        self.out
            .begin(Kind::TcpAccepted, listener)
            .word(index)
            .address(local)
            .address(canonical(remote))
            .end();
        let socket = TcpSocket::new(index, os, counters);
        self.tcp.sockets.insert(index, Box::new(socket));
    }

    /// Ends the attempts to connect whose time is up, and has paused listeners try again.
    pub(super) fn expire_tcp(&mut self) {
        while let Some(&(at, index)) = self.tcp.timers.first() {
            if at > self.now {
                break;
            }
            self.tcp.timers.pop_first();
            if let Some(listener) = self.tcp.listeners.get_mut(&index) {
                listener.paused = None;
                self.tcp_acceptable(index);
            } else {
                self.tcp_cut(index, io::Error::from_raw_os_error(libc::ETIMEDOUT));
            }
        }
    }

    pub(super) fn report_tcp_spaces(&mut self) {
        for index in self.tcp.spaces.drain(..) {
            if let Some(socket) = self.tcp.sockets.get_mut(&index) {
                socket.listed_space = false;
                socket.report_space(&mut self.out, true);
            }
        }
    }

    /// Everything ends: with RST, as nobody may take what was cut off for whole.
    pub(super) fn close_tcp(&mut self) {
        self.tcp.listeners.clear();
        let open: Vec<u32> = self.tcp.sockets.keys().copied().collect();
        for index in open {
            self.tcp_reset(index, libc::ECANCELED);
        }
        self.tcp.timers.clear();
    }
}

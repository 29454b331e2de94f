//! TLS over TCP in the engine's loop: listeners, handshakes, and how they come out.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::net::{TcpListener, TcpStream};
use socket2::SockRef;

use crate::command::ListenSecure;
use crate::driver::{Driver, Source};
use crate::quic::outcome::{Failure, canonical, errno};
use crate::seam::completion::{Completions, Kind};
use crate::tcp::handshake::{Handshake, With};
use crate::tcp::listener::{Listener, SecureListener};
use crate::tcp::secure::Secure;
use crate::tcp::socket::{Over, TcpSocket};

/// Time that handshakes take of one round; signatures and key agreements are the dearest of all there is.
const ROUND: Duration = Duration::from_millis(2);

impl Driver {
    pub(super) fn listen_secure(&mut self, listen: ListenSecure) {
        let index = listen.listener;
        let mut os = TcpListener::from_std(listen.os);
        let opened = self
            .register(&mut os, Source::TcpListener(index))
            .and_then(|()| os.local_addr());
        let (errno, local) = match opened {
            Ok(local) => {
                let listener = Listener {
                    os: Some(os),
                    secure: Some(Box::new(SecureListener::new(listen.limits))),
                    listed: false,
                    paused: None,
                };
                self.tcp.listeners.insert(index, listener);
                (0, local)
            }
            Err(error) => (errno(&error), SocketAddr::from(([0, 0, 0, 0], 0))),
        };
        self.out
            .begin(Kind::TcpListening, index)
            .word(errno as u32)
            .address(local)
            .end();
        // Connections may have come before it was registered.
        self.tcp_acceptable(index);
    }

    pub(super) fn stop_accepting_tcp(&mut self, index: u32) {
        if let Some(listener) = self.tcp.listeners.get_mut(&index) {
            listener.os = None;
            if let Some(at) = listener.paused.take() {
                self.tcp.timers.remove(&(at, index));
            }
            self.drop_idle_listener(index);
        }
    }

    /// A listener that accepts no more is done with its last handshake.
    fn drop_idle_listener(&mut self, index: u32) {
        let Some(listener) = self.tcp.listeners.get(&index) else {
            return;
        };
        let handshakes = listener.secure.as_ref().map_or(0, |one| one.handshakes);
        if listener.os.is_none() && handshakes == 0 {
            self.tcp.listeners.remove(&index);
            self.out.begin(Kind::SecureListenerDone, index).end();
        }
    }

    /// A connection of a listener is gone.
    pub(super) fn left_listener(&mut self, index: u32) {
        if let Some(secure) = self.secure_listener(index) {
            secure.left();
        }
    }

    fn secure_listener(&mut self, index: u32) -> Option<&mut SecureListener> {
        self.tcp.listeners.get_mut(&index)?.secure.as_deref_mut()
    }

    pub(super) fn secure_accepted(
        &mut self,
        listener: u32,
        mut os: TcpStream,
        local: SocketAddr,
        remote: SocketAddr,
    ) {
        let index = self.tcp.number();
        let deadline = self.now;
        let Some(secure) = self.secure_listener(listener) else {
            return;
        };
        // Dropped, it is reset.
        if !secure.admit(remote) {
            return;
        }
        let deadline = deadline + secure.limits.handshake_timeout;
        let Ok(tls) = Secure::server(secure.limits.config.clone()) else {
            secure.handshake_over(remote);
            secure.left();
            return;
        };
        if self.register(&mut os, Source::Tcp(index)).is_err() {
            if let Some(secure) = self.secure_listener(listener) {
                secure.handshake_over(remote);
                secure.left();
            }
            return;
        }
        let mut socket = TcpSocket::new(index, os, Default::default());
        socket.secure = Some(Box::new(tls));
        socket.listener = Some(listener);
        socket.handshake = Some(Box::new(Handshake {
            deadline,
            local,
            remote,
            with: With::Client { listener },
        }));
        self.tcp.timers.insert((deadline, index));
        self.tcp.sockets.insert(index, Box::new(socket));
    }

    pub(super) fn in_handshake(&self, index: u32) -> bool {
        let socket = self.tcp.sockets.get(&index);
        socket.is_some_and(|socket| socket.handshake.is_some())
    }

    /// Goes on with the handshakes that can, as long as there is time for it.
    pub(super) fn shake_hands(&mut self) {
        if self.tcp.shaking.is_empty() {
            return;
        }
        let end = Instant::now() + ROUND;
        let mut shaking = std::mem::take(&mut self.tcp.shaking).into_iter();
        for index in shaking.by_ref() {
            self.shake(index);
            if Instant::now() >= end {
                break;
            }
        }
        // Those that had no turn go first next time.
        let again = std::mem::take(&mut self.tcp.shaking);
        self.tcp.shaking = shaking.chain(again).collect();
    }

    fn shake(&mut self, index: u32) {
        let Some(socket) = self.tcp.sockets.get_mut(&index) else {
            return;
        };
        socket.listed_readable = false;
        if socket.handshake.is_none() {
            return;
        }
        let listener = socket
            .listener
            .and_then(|index| self.tcp.listeners.get(&index));
        let secure = listener.and_then(|listener| listener.secure.as_ref());
        match socket.shake(secure.and_then(|secure| secure.limits.greeting.as_ref())) {
            Ok(done) => {
                if done {
                    self.handshake_done(index);
                }
                self.tcp.list_flush(index);
                self.tcp.list_readable(index);
            }
            Err(error) => self.tcp_over(index, &Over::Cut(error)),
        }
    }

    fn handshake_done(&mut self, index: u32) {
        let Some(socket) = self.tcp.sockets.get_mut(&index) else {
            return;
        };
        let (Some(handshake), Some(secure)) = (socket.handshake.take(), &socket.secure) else {
            return;
        };
        self.tcp.timers.remove(&(handshake.deadline, index));
        match handshake.with {
            With::Client { listener } => {
                socket.counters = self.mailbox.tcp_counters.insert(index);
                self.out
                    .begin(Kind::TcpAccepted, listener)
                    .word(index)
                    .address(handshake.local)
                    .address(canonical(handshake.remote));
                write_settled(&mut self.out, secure);
                self.handshake_left(listener, handshake.remote);
            }
            With::Server { .. } => {
                self.out
                    .begin(Kind::TcpOpened, index)
                    .word(0)
                    .address(handshake.local)
                    .address(handshake.remote);
                write_settled(&mut self.out, secure);
            }
        }
    }

    fn handshake_left(&mut self, listener: u32, from: SocketAddr) {
        if let Some(secure) = self.secure_listener(listener) {
            secure.handshake_over(from);
        }
        self.drop_idle_listener(listener);
    }

    /// A handshake will not be done any more.
    pub(super) fn handshake_failed(&mut self, socket: TcpSocket, over: &Over) {
        let Some(handshake) = &socket.handshake else {
            return;
        };
        let index = socket.index;
        self.tcp.timers.remove(&(handshake.deadline, index));
        let told = socket
            .secure
            .as_ref()
            .is_some_and(|secure| secure.fault.is_some());
        if told {
            // With FIN, not RST, so that the alert arrives. Where that cannot be it is gone already.
            let _ = SockRef::from(&socket.os).set_linger(None);
        }
        match &handshake.with {
            With::Client { listener } => {
                let (listener, remote) = (*listener, handshake.remote);
                self.left_listener(listener);
                self.handshake_left(listener, remote);
            }
            With::Server { verdict } => {
                let failure = match over {
                    Over::Local(errno) => Failure::Unreachable(*errno),
                    Over::Ended => closed_early(),
                    Over::Cut(error) => socket
                        .tls_failure(verdict)
                        .unwrap_or_else(|| failure_of(error)),
                };
                failure.write_as(Kind::SecureFailed, &mut self.out, index);
            }
        }
    }

    /// Ends the handshakes of a listener that is closed.
    pub(super) fn end_handshakes(&mut self, listener: u32) {
        let open = self.tcp.sockets.values();
        let under_way: Vec<u32> = open
            .filter(|socket| socket.handshake.is_some() && socket.listener == Some(listener))
            .map(|socket| socket.index)
            .collect();
        for index in under_way {
            self.tcp_reset(index, libc::ECONNABORTED);
        }
    }
}

fn failure_of(error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => closed_early(),
        io::ErrorKind::TimedOut => Failure::Timeout,
        _ => Failure::Unreachable(errno(error)),
    }
}

fn closed_early() -> Failure {
    Failure::Tls {
        alert: None,
        reason: "the connection was closed in the handshake".to_owned(),
    }
}

/// What the handshake has settled: the rest of a record.
fn write_settled(out: &mut Completions, secure: &Secure) {
    let alpn = secure.alpn();
    let name = secure.server_name();
    out.word(u32::from(alpn.is_some()))
        .bytes(alpn.unwrap_or_default())
        .word(u32::from(name.is_some()))
        .text(name.unwrap_or_default());
    let certificates = secure.peer_certificates();
    out.word(certificates.len() as u32);
    for certificate in certificates {
        out.bytes(certificate);
    }
    out.word(u32::from(secure.greeted));
    out.end();
}

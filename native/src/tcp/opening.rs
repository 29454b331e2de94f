//! Sockets of the system as bauta wants them: non-blocking, no delay, kept alive, and reset by whatever
//! ends them but a clean end.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use mio::net::{TcpListener, TcpStream};
use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};

#[cfg(target_os = "linux")]
use crate::udp::error_queue::set;

/// Bytes not sent yet above which the kernel takes no more of a socket: thousands of slow readers would
/// otherwise fill megabytes each, and a reset would throw them away.
const NOT_SENT: i32 = 128 * 1024;

/// The same where datagrams have to wait: what is in the kernel cannot be dropped any more when it is late.
const NOT_SENT_LATE: i32 = 16 * 1024;

/// Probes without an answer after which the peer counts as gone.
const PROBES: u32 = 4;

/// Longest time between two probes.
const LONGEST_INTERVAL: Duration = Duration::from_secs(15);

pub struct Connecting {
    pub remote: SocketAddr,
    pub local: Option<SocketAddr>,
    pub keep_alive: Option<Duration>,
}

fn open(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// No delay, probes after `keep_alive` of silence, and RST when it is closed: should the process die, nobody
/// takes what was cut off for whole.
fn prepare(socket: &Socket, keep_alive: Option<Duration>) -> io::Result<()> {
    socket.set_tcp_nodelay(true)?;
    socket.set_linger(Some(Duration::ZERO))?;
    limit_unsent(socket, NOT_SENT);
    if let Some(silence) = keep_alive {
        // The kernel counts in seconds, from one on.
        let silence = silence.max(Duration::from_secs(1));
        let probing = TcpKeepalive::new()
            .with_time(silence)
            .with_interval(silence.min(LONGEST_INTERVAL))
            .with_retries(PROBES);
        socket.set_tcp_keepalive(&probing)?;
    }
    Ok(())
}

/// A kernel without this limit takes as much as its buffer grows to.
#[cfg(target_os = "linux")]
fn limit_unsent(socket: &impl std::os::fd::AsRawFd, bytes: i32) {
    let name = libc::TCP_NOTSENT_LOWAT;
    let _ = set(socket.as_raw_fd(), libc::IPPROTO_TCP, name, bytes);
}

#[cfg(not(target_os = "linux"))]
fn limit_unsent<T>(_: &T, _: i32) {}

/// Little waits in the kernel from here on.
pub fn hold_little(socket: &TcpStream) {
    limit_unsent(socket, NOT_SENT_LATE);
}

/// Begins to connect; the socket becomes writable when that is over.
pub fn connect(options: &Connecting) -> io::Result<TcpStream> {
    let socket = open(options.remote)?;
    prepare(&socket, options.keep_alive)?;
    if let Some(local) = options.local {
        #[cfg(target_os = "linux")]
        if local.port() == 0 {
            use std::os::fd::AsRawFd;
            // A port is taken for one peer only. A kernel without this takes one for all.
            let name = libc::IP_BIND_ADDRESS_NO_PORT;
            let _ = set(socket.as_raw_fd(), libc::IPPROTO_IP, name, 1);
        }
        socket.bind(&local.into())?;
    }
    match socket.connect(&options.remote.into()) {
        Ok(()) => {}
        Err(error) if in_progress(&error) => {}
        Err(error) => return Err(error),
    }
    Ok(TcpStream::from_std(socket.into()))
}

fn in_progress(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock || error.raw_os_error() == Some(libc::EINPROGRESS)
}

pub struct Listening {
    pub local: SocketAddr,
    /// `::` takes IPv4 too.
    pub dual_stack: bool,
    pub backlog: i32,
    pub keep_alive: Option<Duration>,
}

/// A listener; what it accepts has its options.
pub fn listen(listening: &Listening) -> io::Result<TcpListener> {
    let socket = bind(listening, false)?;
    socket.listen(listening.backlog)?;
    Ok(TcpListener::from_std(socket.into()))
}

/// Listeners on one port, over which the kernel spreads the connections; one where it cannot. The first is
/// bound for itself, so that a port that somebody has is refused as ever, and shares its port only afterwards.
pub fn listen_together(
    listening: &Listening,
    count: usize,
) -> io::Result<Vec<std::net::TcpListener>> {
    let first = bind(listening, false)?;
    let local = first.local_addr()?.as_socket().unwrap_or(listening.local);
    let mut sockets = vec![first];
    if count > 1
        && share(
            &mut sockets,
            &Listening {
                local,
                ..*listening
            },
            count,
        )
        .is_err()
    {
        sockets.truncate(1);
    }
    for socket in &sockets {
        socket.listen(listening.backlog)?;
    }
    Ok(sockets.into_iter().map(Into::into).collect())
}

#[cfg(target_os = "linux")]
fn share(sockets: &mut Vec<Socket>, listening: &Listening, count: usize) -> io::Result<()> {
    sockets[0].set_reuse_port(true)?;
    for _ in 1..count {
        sockets.push(bind(listening, true)?);
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn share(_sockets: &mut Vec<Socket>, _listening: &Listening, _count: usize) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

fn bind(listening: &Listening, shared: bool) -> io::Result<Socket> {
    let local = listening.local;
    let socket = open(local)?;
    prepare(&socket, listening.keep_alive)?;
    #[cfg(not(windows))]
    socket.set_reuse_address(true)?;
    #[cfg(target_os = "linux")]
    if shared {
        socket.set_reuse_port(true)?;
    }
    #[cfg(not(target_os = "linux"))]
    let _ = shared;
    if local.is_ipv6() {
        socket.set_only_v6(!listening.dual_stack)?;
    }
    socket.bind(&local.into())?;
    Ok(socket)
}

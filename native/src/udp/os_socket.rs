//! A non-blocking UDP socket with GSO and GRO where the kernel has them.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use mio::net::UdpSocket;
use quinn_udp::{BATCH_SIZE, EcnCodepoint, RecvMeta, Transmit, UdpSocketState};
use socket2::{Domain, Protocol, Socket, Type};

use crate::udp::scratch::Scratch;

/// Kernel buffer asked for by QUIC endpoints, each way; the system may give less.
pub const ENDPOINT_BUFFER: usize = 4 * 1024 * 1024;

/// Most packets in one segmented send.
pub const SEGMENTS: usize = 44;

pub struct OsSocket {
    pub socket: UdpSocket,
    pub local: SocketAddr,
    state: UdpSocketState,
}

pub struct Received<'a> {
    pub from: SocketAddr,
    /// The address that the packet was sent to.
    pub to: Option<IpAddr>,
    pub ecn: Option<EcnCodepoint>,
    pub bytes: &'a [u8],
}

/// What to open.
pub struct Opening {
    pub local: SocketAddr,
    pub remote: Option<SocketAddr>,
    pub dual_stack: bool,
    pub buffer: Option<usize>,
    /// Others of this user may have the same address.
    pub shared: bool,
}

impl OsSocket {
    pub fn open(opening: &Opening) -> io::Result<Self> {
        Self::adopt(bind(opening)?)
    }

    pub fn adopt(socket: std::net::UdpSocket) -> io::Result<Self> {
        let state = UdpSocketState::new((&socket).into())?;
        let local = socket.local_addr()?;
        Ok(Self {
            socket: UdpSocket::from_std(socket),
            local,
            state,
        })
    }

    /// Bytes of receive buffer that the system gave.
    pub fn receive_buffer(&self) -> u32 {
        let size = self
            .state
            .recv_buffer_size((&self.socket).into())
            .unwrap_or(0) as u32;
        // Linux doubles what was asked for, for its own use, and reports the double.
        if cfg!(target_os = "linux") {
            size / 2
        } else {
            size
        }
    }

    pub fn segments(&self) -> usize {
        self.state.max_gso_segments().min(SEGMENTS)
    }

    /// quinn-udp finds out by itself.
    #[cfg(not(target_os = "linux"))]
    pub fn send_no_runs(&self) {}

    /// `open` has done it all.
    #[cfg(not(target_os = "linux"))]
    pub fn prepare(&self) -> io::Result<()> {
        Ok(())
    }

    pub fn send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.socket
            .try_io(|| self.state.try_send((&self.socket).into(), transmit))
    }

    /// Reads one batch, packet by packet; true when there may be more.
    #[cfg(not(target_os = "linux"))]
    pub fn receive(
        &self,
        scratch: &mut Scratch,
        mut each: impl FnMut(Received<'_>),
    ) -> io::Result<bool> {
        self.receive_runs(scratch, |run, stride| {
            let mut rest = run.bytes;
            loop {
                let (bytes, others) = rest.split_at(stride.min(rest.len()));
                each(Received { bytes, ..run });
                rest = others;
                if rest.is_empty() {
                    break;
                }
            }
        })
    }

    /// Reads one batch of runs: packets of one sender that the kernel joined, each as long as `each` is
    /// told but for a shorter last one. True when there may be more.
    pub fn receive_runs(
        &self,
        scratch: &mut Scratch,
        mut each: impl FnMut(Received<'_>, usize),
    ) -> io::Result<bool> {
        let mut metas = [RecvMeta::default(); BATCH_SIZE];
        let mut slices = scratch.buffers().map(IoSliceMut::new).collect::<Vec<_>>();
        let count = self.socket.try_io(|| {
            self.state
                .recv((&self.socket).into(), &mut slices, &mut metas)
        })?;
        for (meta, buffer) in metas.iter().zip(&slices).take(count) {
            let stride = if meta.stride == 0 {
                meta.len.max(1)
            } else {
                meta.stride
            };
            let run = Received {
                from: meta.addr,
                to: meta.dst_ip,
                ecn: meta.ecn,
                bytes: &buffer[..meta.len],
            };
            each(run, stride);
        }
        Ok(count == BATCH_SIZE)
    }
}

/// A socket as asked for, in the system's hands.
pub fn bind(opening: &Opening) -> io::Result<std::net::UdpSocket> {
    let domain = Domain::for_address(opening.local);
    #[cfg(target_os = "linux")]
    let socket = Socket::new(domain, Type::DGRAM.nonblocking(), Some(Protocol::UDP))?;
    #[cfg(not(target_os = "linux"))]
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    if domain == Domain::IPV6 {
        socket.set_only_v6(!opening.dual_stack)?;
    }
    ask_for_buffers(&socket, opening.buffer);
    #[cfg(not(target_os = "linux"))]
    socket.set_nonblocking(true)?;
    #[cfg(target_os = "linux")]
    if opening.shared {
        socket.set_reuse_port(true)?;
    }
    // To connect binds as well, to any address and port, where none was asked for.
    let any = opening.local.ip().is_unspecified() && opening.local.port() == 0;
    if opening.remote.is_none() || !any {
        socket.bind(&opening.local.into())?;
    }
    if let Some(remote) = opening.remote {
        socket.connect(&remote.into()).map_err(no_port)?;
    }
    Ok(socket.into())
}

/// What the system allows is what there is.
pub fn ask_for_buffers(socket: &Socket, bytes: Option<usize>) {
    if let Some(bytes) = bytes {
        let _ = socket.set_recv_buffer_size(bytes);
        let _ = socket.set_send_buffer_size(bytes);
    }
}

/// Linux has a word of its own for it that no port is left where connecting has to find one.
fn no_port(error: io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(libc::EAGAIN) => io::Error::from_raw_os_error(libc::EADDRINUSE),
        _ => error,
    }
}

/// Any address and port of the family of `other`.
pub fn any_like(other: SocketAddr) -> SocketAddr {
    if other.is_ipv4() {
        (Ipv4Addr::UNSPECIFIED, 0).into()
    } else {
        (Ipv6Addr::UNSPECIFIED, 0).into()
    }
}

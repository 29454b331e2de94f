//! Ports with several sockets (SO_REUSEPORT), and who of them has a packet.

use std::io;

use socket2::Socket;

#[cfg(target_os = "linux")]
use crate::udp::os_socket::{Opening, bind};

/// Lets sockets that ask for it be bound to the port of this one, which was bound for itself: a port that
/// somebody has is refused as ever.
#[cfg(target_os = "linux")]
pub fn set_shared(socket: &Socket, shared: bool) -> io::Result<()> {
    socket.set_reuse_port(shared)
}

#[cfg(not(target_os = "linux"))]
pub fn set_shared(_socket: &Socket, shared: bool) -> io::Result<()> {
    if shared {
        Err(io::ErrorKind::Unsupported.into())
    } else {
        Ok(())
    }
}

/// Has the kernel pick the socket of this one's port by what the program returns, in the order in which they
/// were bound.
#[cfg(target_os = "linux")]
pub fn steer(socket: &Socket, program: &mut [libc::sock_filter]) -> io::Result<()> {
    use std::os::fd::AsRawFd;
    let filter = libc::sock_fprog {
        len: program.len() as u16,
        filter: program.as_mut_ptr(),
    };
    // SAFETY: the pointer and length describe `filter`, which points to `program`; the kernel copies
    // both, and both outlive the call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_REUSEPORT_CBPF,
            (&raw const filter).cast(),
            size_of_val(&filter) as libc::socklen_t,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// One step of such a program.
#[cfg(target_os = "linux")]
pub const fn step(code: u32, yes: u8, no: u8, k: u32) -> libc::sock_filter {
    libc::sock_filter {
        code: code as u16,
        jt: yes,
        jf: no,
        k,
    }
}

/// Lets connected sockets be opened at the port of this one, which keeps the packets of all other peers.
#[cfg(target_os = "linux")]
pub fn let_peers_apart(socket: &Socket) -> io::Result<()> {
    let local = socket.local_addr()?.as_socket();
    let local = local.ok_or(io::ErrorKind::InvalidInput)?;
    set_shared(socket, true)?;
    // The kernel takes a program once there are two, and keeps it. Until a new one is connected it would
    // otherwise get packets of anybody.
    let second = bind(&Opening {
        local,
        remote: None,
        dual_stack: false,
        buffer: None,
        shared: true,
    });
    let steered = second.and_then(|second| {
        let always_the_first = &mut [step(libc::BPF_RET | libc::BPF_K, 0, 0, 0)];
        steer(&socket2::SockRef::from(&second), always_the_first)
    });
    if steered.is_err() {
        set_shared(socket, false)?;
    }
    steered
}

#[cfg(not(target_os = "linux"))]
pub fn let_peers_apart(_socket: &Socket) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

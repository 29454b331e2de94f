//! Linux keeps ICMP errors of a socket in a queue of their own (IP_RECVERR).

use std::io;
use std::mem;
use std::os::fd::RawFd;

/// Errors taken from one socket at a time.
const BOUND: usize = 16;

/// Sets an integer option of a socket.
pub fn set(fd: RawFd, level: libc::c_int, name: libc::c_int, value: libc::c_int) -> io::Result<()> {
    // SAFETY: the pointer and length describe `value`, which outlives the call.
    let result = unsafe {
        libc::setsockopt(
            fd,
            level,
            name,
            (&raw const value).cast(),
            mem::size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// DF on every packet, the kernel's path MTU obeyed, and ICMP errors queued.
pub fn prepare(fd: RawFd, ipv6: bool) -> io::Result<()> {
    if ipv6 {
        set(
            fd,
            libc::IPPROTO_IPV6,
            libc::IPV6_MTU_DISCOVER,
            libc::IPV6_PMTUDISC_DO,
        )?;
        set(fd, libc::IPPROTO_IPV6, libc::IPV6_RECVERR, 1)
    } else {
        set(
            fd,
            libc::IPPROTO_IP,
            libc::IP_MTU_DISCOVER,
            libc::IP_PMTUDISC_DO,
        )?;
        set(fd, libc::IPPROTO_IP, libc::IP_RECVERR, 1)
    }
}

/// Takes queued errors; calls `each` with the `errno` of each.
pub fn drain(fd: RawFd, mut each: impl FnMut(i32)) {
    for _ in 0..BOUND {
        let mut control = [0u64; 64];
        // SAFETY: an all-zero msghdr is valid.
        let mut message: libc::msghdr = unsafe { mem::zeroed() };
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = mem::size_of_val(&control) as _;
        // SAFETY: `message` points to `control`, which outlives the call, and to nothing else.
        if unsafe { libc::recvmsg(fd, &mut message, libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT) } < 0 {
            return;
        }
        // SAFETY: the kernel filled in `message`; the macros stay within its control buffer.
        unsafe {
            let mut header = libc::CMSG_FIRSTHDR(&message);
            while !header.is_null() {
                let kind = ((*header).cmsg_level, (*header).cmsg_type);
                if kind == (libc::IPPROTO_IP, libc::IP_RECVERR)
                    || kind == (libc::IPPROTO_IPV6, libc::IPV6_RECVERR)
                {
                    let error = libc::CMSG_DATA(header)
                        .cast::<libc::sock_extended_err>()
                        .read_unaligned();
                    each(error.ee_errno as i32);
                }
                header = libc::CMSG_NXTHDR(&message, header);
            }
        }
    }
}

/// Packets that the kernel dropped because the socket's buffer was full.
pub fn dropped(fd: RawFd) -> Option<u64> {
    // SK_MEMINFO_DROPS is the ninth of the 32-bit numbers.
    let mut numbers = [0u32; 9];
    let mut length = mem::size_of_val(&numbers) as libc::socklen_t;
    // SAFETY: the pointer and length describe `numbers`.
    let result = unsafe {
        libc::getsockopt(
            fd,
            libc::SOL_SOCKET,
            libc::SO_MEMINFO,
            numbers.as_mut_ptr().cast(),
            &mut length,
        )
    };
    (result == 0 && length as usize >= mem::size_of_val(&numbers)).then(|| u64::from(numbers[8]))
}

//! The socket of a target on Linux: no more system calls and control data than its packets need.
//!
//! An endpoint's socket asks for ECN and destination with every packet, and finding out what the
//! kernel can do takes sockets of its own; a proxy opens thousands of these for a packet or two.

use std::cell::Cell;
use std::io;
use std::mem;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};
use std::ptr;
use std::sync::OnceLock;

use mio::net::UdpSocket;
use quinn_udp::Transmit;
use socket2::{SockAddr, SockRef};

use crate::udp::error_queue::{prepare, set};
use crate::udp::os_socket::{Opening, Received, SEGMENTS, ask_for_buffers, bind};
use crate::udp::scratch::Scratch;

/// Packets in one batch from which on the kernel is asked to join packets (GRO). Short exchanges
/// never pay for it, and the kernel rewrites code when the first such socket comes or the last goes.
const BURST: usize = 8;

/// Control data of a message, aligned: one integer.
type Control = [u64; 3];

pub struct PlainSocket {
    pub socket: UdpSocket,
    pub local: SocketAddr,
    remote: Option<SocketAddr>,
    /// Kernel buffer to ask for, each way.
    buffer: Option<usize>,
    /// Packets in one segmented send; 1 where the kernel has no segmentation.
    segments: Cell<usize>,
    joining: Cell<bool>,
}

/// Packets in one segmented send, as this system has it: the first socket finds out.
fn segments_of(fd: RawFd) -> usize {
    static SEGMENTED: OnceLock<bool> = OnceLock::new();
    // Size 0 turns segmentation off, and fails where it is unknown.
    let known = SEGMENTED.get_or_init(|| set(fd, libc::SOL_UDP, libc::UDP_SEGMENT, 0).is_ok());
    if *known { SEGMENTS } else { 1 }
}

impl PlainSocket {
    /// Opens what can be refused; the rest is left to `prepare`, before it is read or written.
    pub fn open(opening: &Opening) -> io::Result<Self> {
        let socket = bind(&Opening {
            buffer: None,
            ..*opening
        })?;
        let local = socket.local_addr()?;
        let fd = socket.as_raw_fd();
        Ok(Self {
            socket: UdpSocket::from_std(socket),
            local,
            remote: opening.remote,
            buffer: opening.buffer,
            segments: Cell::new(segments_of(fd)),
            joining: Cell::new(false),
        })
    }

    /// DF on every packet, ICMP errors told, and the buffers.
    pub fn prepare(&self) -> io::Result<()> {
        let fd = self.socket.as_raw_fd();
        ask_for_buffers(&SockRef::from(&self.socket), self.buffer);
        let ipv6 = self.local.is_ipv6();
        if ipv6 {
            // Where it is missing, the kernel's path MTU alone decides.
            let _ = set(fd, libc::IPPROTO_IPV6, libc::IPV6_DONTFRAG, 1);
        }
        prepare(fd, ipv6)
    }

    pub fn segments(&self) -> usize {
        self.segments.get()
    }

    /// The kernel, or a driver, turned out to have no segmentation.
    pub fn send_no_runs(&self) {
        self.segments.set(1);
    }

    /// Sends one packet, or a run of packets of one size. Not-ECT: nothing else is ever asked for.
    pub fn send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let destination = match self.remote {
            Some(_) => None,
            None => Some(SockAddr::from(transmit.destination)),
        };
        let mut part = libc::iovec {
            iov_base: transmit.contents.as_ptr().cast_mut().cast(),
            iov_len: transmit.contents.len(),
        };
        let mut control: Control = [0; 3];
        // SAFETY: an all-zero msghdr is valid.
        let mut message: libc::msghdr = unsafe { mem::zeroed() };
        if let Some(address) = &destination {
            message.msg_name = address.as_ptr().cast_mut().cast();
            message.msg_namelen = address.len();
        }
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        if let Some(size) = transmit.segment_size {
            message.msg_control = control.as_mut_ptr().cast();
            // SAFETY: the control buffer has room for a header and one integer.
            unsafe {
                message.msg_controllen = libc::CMSG_SPACE(mem::size_of::<u16>() as u32) as _;
                let header = libc::CMSG_FIRSTHDR(&message);
                (*header).cmsg_level = libc::SOL_UDP;
                (*header).cmsg_type = libc::UDP_SEGMENT;
                (*header).cmsg_len = libc::CMSG_LEN(mem::size_of::<u16>() as u32) as _;
                libc::CMSG_DATA(header)
                    .cast::<u16>()
                    .write_unaligned(size as u16);
            }
        }
        loop {
            // SAFETY: all that `message` points to outlives the call, which only reads it.
            if unsafe { libc::sendmsg(self.socket.as_raw_fd(), &message, 0) } >= 0 {
                return Ok(());
            }
            let error = io::Error::last_os_error();
            if error.raw_os_error() != Some(libc::EINTR) {
                return Err(error);
            }
        }
    }

    /// Reads one batch; true when there may be more.
    pub fn receive(
        &self,
        scratch: &mut Scratch,
        mut each: impl FnMut(Received<'_>),
    ) -> io::Result<bool> {
        let batch = &mut scratch.batch;
        let fd = self.socket.as_raw_fd();
        let count = batch.receive(
            &mut scratch.bytes,
            fd,
            self.remote.is_none(),
            self.joining.get(),
        )?;
        for index in 0..count {
            let Some(from) = self.remote.or_else(|| batch.from(index)) else {
                continue;
            };
            let bytes = batch.bytes(&scratch.bytes, index);
            let stride = match batch.stride(index) {
                Some(stride) if stride > 0 => stride,
                _ => bytes.len().max(1),
            };
            let mut rest = bytes;
            loop {
                let (packet, others) = rest.split_at(stride.min(rest.len()));
                each(Received {
                    from,
                    to: None,
                    ecn: None,
                    bytes: packet,
                });
                rest = others;
                if rest.is_empty() {
                    break;
                }
            }
        }
        if count >= BURST && !self.joining.replace(true) {
            // Where it is unknown, packets come one by one.
            let _ = set(fd, libc::SOL_UDP, libc::UDP_GRO, 1);
        }
        Ok(count == batch.messages.len())
    }
}

/// The headers of one `recvmmsg`, made once and used for every socket of a thread.
#[derive(Default)]
pub struct Batch {
    messages: Box<[libc::mmsghdr]>,
    fields: Box<[Fields]>,
}

/// What the header of one message points to.
struct Fields {
    part: libc::iovec,
    name: libc::sockaddr_storage,
    control: Control,
}

impl Batch {
    pub fn new(size: usize) -> Self {
        // SAFETY: all-zero bytes are valid for both structures.
        unsafe {
            Self {
                messages: (0..size).map(|_| mem::zeroed()).collect(),
                fields: (0..size).map(|_| mem::zeroed()).collect(),
            }
        }
    }

    /// Fills the buffers with what waits at the socket; returns the number of messages.
    fn receive(
        &mut self,
        buffers: &mut [u8],
        fd: RawFd,
        named: bool,
        joined: bool,
    ) -> io::Result<usize> {
        let length = buffers.len() / self.messages.len().max(1);
        let places = buffers.chunks_exact_mut(length.max(1));
        for ((message, fields), buffer) in
            self.messages.iter_mut().zip(&mut self.fields).zip(places)
        {
            let Fields {
                part,
                name,
                control,
            } = fields;
            part.iov_base = buffer.as_mut_ptr().cast();
            part.iov_len = length;
            let header = &mut message.msg_hdr;
            header.msg_iov = part;
            header.msg_iovlen = 1;
            header.msg_name = ptr::null_mut();
            header.msg_namelen = 0;
            header.msg_control = ptr::null_mut();
            header.msg_controllen = 0;
            if named {
                header.msg_name = ptr::from_mut(name).cast();
                header.msg_namelen = mem::size_of::<libc::sockaddr_storage>() as libc::socklen_t;
            }
            if joined {
                header.msg_control = control.as_mut_ptr().cast();
                header.msg_controllen = mem::size_of::<Control>() as _;
            }
        }
        loop {
            // SAFETY: every header points to buffers of the stated lengths, which outlive the call.
            let count = unsafe {
                libc::recvmmsg(
                    fd,
                    self.messages.as_mut_ptr(),
                    self.messages.len() as libc::c_uint,
                    libc::MSG_DONTWAIT,
                    ptr::null_mut(),
                )
            };
            if count >= 0 {
                return Ok(count as usize);
            }
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
        }
    }

    fn bytes<'a>(&self, buffers: &'a [u8], index: usize) -> &'a [u8] {
        let start = index * (buffers.len() / self.messages.len());
        &buffers[start..start + self.messages[index].msg_len as usize]
    }

    fn from(&self, index: usize) -> Option<SocketAddr> {
        let length = self.messages[index].msg_hdr.msg_namelen;
        // SAFETY: the kernel wrote `length` bytes of an address.
        let (_, address) = unsafe {
            SockAddr::try_init(|storage, size| {
                storage
                    .cast::<libc::sockaddr_storage>()
                    .write(self.fields[index].name);
                *size = length;
                Ok(())
            })
        }
        .ok()?;
        address.as_socket()
    }

    /// The size of each of the packets that were joined into this message.
    fn stride(&self, index: usize) -> Option<usize> {
        let header = &self.messages[index].msg_hdr;
        // SAFETY: the kernel filled the control buffer in; the macros stay within it.
        unsafe {
            let control = libc::CMSG_FIRSTHDR(header).as_ref()?;
            if (control.cmsg_level, control.cmsg_type) != (libc::SOL_UDP, libc::UDP_GRO) {
                return None;
            }
            let size = libc::CMSG_DATA(control).cast::<libc::c_int>();
            usize::try_from(size.read_unaligned()).ok()
        }
    }
}

//! Room for packets in the buffers of UDP sockets.
//!
//! The kernel tells of it after every packet that has left, also where there was room all along: a thread that
//! heard of each would wake for nothing as often as it sends. So a socket is watched for room only while it has
//! none.

use std::io;

use mio::net::UdpSocket;
use mio::{Interest, Registry};

use crate::driver::Source;
use crate::quic::endpoint::Endpoint;
use crate::quic::packet_path::PacketPath;
use crate::udp::target::TargetSocket;

const ROOM_TOO: Interest = Interest::READABLE.add(Interest::WRITABLE);
#[cfg(unix)]
const WATCHED: Interest = Interest::READABLE;
#[cfg(not(unix))]
const WATCHED: Interest = ROOM_TOO;

pub(super) fn register(
    registry: &Registry,
    socket: &mut UdpSocket,
    about: Source,
) -> io::Result<()> {
    registry.register(socket, about.token(), WATCHED)
}

/// True when it is so.
#[cfg(unix)]
fn watch(registry: &Registry, socket: &UdpSocket, about: Source, room: bool) -> bool {
    use std::os::fd::AsRawFd;
    let fd = socket.as_raw_fd();
    let mut source = mio::unix::SourceFd(&fd);
    let interest = if room { ROOM_TOO } else { WATCHED };
    registry
        .reregister(&mut source, about.token(), interest)
        .is_ok()
}

/// Told of anyway.
#[cfg(not(unix))]
fn watch(_: &Registry, _: &UdpSocket, _: Source, _: bool) -> bool {
    true
}

/// Whether the kernel tells of room at the endpoint's socket, which a tunnel has not. What the kernel had no room
/// for waits until then, or is lost if that cannot be; where it goes on telling, that costs a wake-up.
pub(super) fn watch_endpoint(registry: &Registry, endpoint: &Endpoint, full: bool) -> bool {
    let PacketPath::Socket(os) = &endpoint.path else {
        return false;
    };
    watch(registry, &os.socket, Source::Endpoint(endpoint.index), full)
}

/// After a flush: the same for the socket of a target.
pub(super) fn watch_target(registry: &Registry, index: u32, socket: &mut TargetSocket) {
    let full = socket.is_full();
    if full == socket.watched_for_room {
        return;
    }
    if watch(registry, &socket.os.socket, Source::Socket(index), full) {
        socket.watched_for_room = full;
    } else if full {
        // It is tried again with the next packet.
        socket.writable();
    }
}

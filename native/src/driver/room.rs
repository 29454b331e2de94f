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

#[cfg(unix)]
const WATCHED: Interest = Interest::READABLE;
#[cfg(not(unix))]
const WATCHED: Interest = Interest::READABLE.add(Interest::WRITABLE);

pub(super) fn register(
    registry: &Registry,
    socket: &mut UdpSocket,
    about: Source,
) -> io::Result<()> {
    registry.register(socket, about.token(), WATCHED)
}

/// True when it is so.
#[cfg(unix)]
fn watch(registry: &Registry, socket: &UdpSocket, about: Source, interest: Interest) -> bool {
    use std::os::fd::AsRawFd;
    let fd = socket.as_raw_fd();
    let mut source = mio::unix::SourceFd(&fd);
    registry
        .reregister(&mut source, about.token(), interest)
        .is_ok()
}

/// Told of anyway.
#[cfg(not(unix))]
fn watch(_: &Registry, _: &UdpSocket, _: Source, _: Interest) -> bool {
    true
}

/// What the kernel had no room for waits until it has, or is lost if that cannot be found out.
pub(super) fn await_room(registry: &Registry, endpoint: &Endpoint) -> bool {
    let PacketPath::Socket(os) = &endpoint.path else {
        return false;
    };
    let about = Source::Endpoint(endpoint.index);
    watch(
        registry,
        &os.socket,
        about,
        Interest::READABLE | Interest::WRITABLE,
    )
}

pub(super) fn has_room(registry: &Registry, endpoint: &Endpoint) {
    if let PacketPath::Socket(os) = &endpoint.path {
        // Where it fails, it is told of room once more than it needs.
        let _ = watch(
            registry,
            &os.socket,
            Source::Endpoint(endpoint.index),
            WATCHED,
        );
    }
}

/// After a flush: the same for the socket of a target.
pub(super) fn watch_target(registry: &Registry, index: u32, socket: &mut TargetSocket) {
    let full = socket.is_full();
    if full == socket.watched_for_room {
        return;
    }
    let interest = if full {
        Interest::READABLE | Interest::WRITABLE
    } else {
        WATCHED
    };
    if watch(registry, &socket.os.socket, Source::Socket(index), interest) {
        socket.watched_for_room = full;
    } else if full {
        // It is tried again with the next packet.
        socket.writable();
    }
}

//! Where an endpoint's packets go: a socket of the operating system, or a tunnel.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

use bytes::BytesMut;
use quinn_proto::{EcnCodepoint, Transmit};

use crate::seam::completion::{Completions, Kind};
use crate::udp::addresses::AddressTable;
use crate::udp::os_socket::{OsSocket, Received};
use crate::udp::scratch::Scratch;

#[derive(Clone)]
pub enum PacketPath {
    Socket(Rc<OsSocket>),
    /// JavaScript carries the packets; this is the address that it gave for itself.
    Virtual(SocketAddr),
}

impl PacketPath {
    pub fn local_address(&self) -> SocketAddr {
        match self {
            Self::Socket(socket) => socket.local,
            Self::Virtual(address) => *address,
        }
    }

    /// Nothing is told of it any more. A socket of a group stays open beyond its endpoint.
    pub fn leave(&mut self, registry: &mio::Registry) {
        if let Self::Socket(socket) = self
            && let Some(socket) = Rc::get_mut(socket)
        {
            // What fails is not registered.
            let _ = registry.deregister(&mut socket.socket);
        }
    }

    /// Bytes that the kernel keeps for the endpoint; 0 where there is no kernel.
    pub fn receive_buffer(&self) -> u32 {
        match self {
            Self::Socket(socket) => socket.receive_buffer(),
            Self::Virtual(_) => 0,
        }
    }

    /// Packets that one call to `send` can take.
    pub fn batch(&self) -> usize {
        match self {
            Self::Socket(socket) => socket.segments(),
            Self::Virtual(_) => 8,
        }
    }

    pub fn send(
        &self,
        endpoint: u32,
        transmit: &Transmit,
        bytes: &[u8],
        out: &mut Completions,
        addresses: &mut AddressTable,
    ) -> io::Result<()> {
        match self {
            Self::Socket(socket) => socket.send(&quinn_udp::Transmit {
                destination: transmit.destination,
                ecn: transmit
                    .ecn
                    .and_then(|ecn| quinn_udp::EcnCodepoint::from_bits(ecn as u8)),
                contents: bytes,
                segment_size: transmit.segment_size,
                src_ip: transmit.src_ip,
            }),
            Self::Virtual(_) => {
                let to = addresses.index(transmit.destination, out);
                for packet in bytes.chunks(transmit.segment_size.unwrap_or(bytes.len()).max(1)) {
                    out.begin(Kind::VirtualTransmit, endpoint)
                        .word(to)
                        .bytes(packet)
                        .end();
                }
                Ok(())
            }
        }
    }

    /// Reads one batch, packet by packet; true when there may be more.
    pub fn receive(
        &self,
        scratch: &mut Scratch,
        mut each: impl FnMut(SocketAddr, Option<IpAddr>, Option<EcnCodepoint>, BytesMut),
    ) -> io::Result<bool> {
        let Self::Socket(socket) = self else {
            return Ok(false);
        };
        socket.receive_runs(scratch, |run, stride| {
            let Received { from, to, ecn, .. } = run;
            let ecn = ecn.and_then(|ecn| EcnCodepoint::from_bits(ecn as u8));
            // One copy and one piece of memory for all of a run.
            let mut rest = BytesMut::from(run.bytes);
            while !rest.is_empty() {
                let packet = rest.split_to(stride.min(rest.len()));
                each(from, to, ecn, packet);
            }
        })
    }
}

//! Splices of two TCP sockets: the one has the tunnel, perhaps in capsules, the other is the target's.

use std::io;

use crate::driver::Driver;
use crate::seam::completion::Kind;
use crate::seam::operation::SpliceBytes;
use crate::splice::framing::write_capsule_header;
use crate::splice::side::Side;
use crate::splice::unframing::Unframing;
use crate::tcp::socket::{Over, SocketSplice};

/// Most bytes read at once, and in one capsule, with room for its header; so much waits at most for a reader that
/// has stopped.
const PIECE: usize = 256 * 1024;
const HEADER: usize = 16;

impl Driver {
    /// As `splice_bytes`; `ask.connection` is the socket of the tunnel.
    pub(super) fn splice_sockets(&mut self, ask: &SpliceBytes<'_>) {
        let (far, near) = (ask.socket, ask.connection);
        let id = self.next_splice();
        let begun = self.begin_socket_splice(ask, id);
        self.tell_spliced(Kind::SocketsSpliced, far, begun);
        if !begun {
            return;
        }
        if let Err(error) = self.give_unframed(near, far, ask.prefix) {
            self.tcp.cut.push((far, error));
        }
        self.tcp.list_flush(far);
        self.tcp.list_readable(far);
        self.tcp.list_readable(near);
    }

    fn begin_socket_splice(&mut self, ask: &SpliceBytes<'_>, id: u64) -> bool {
        let (far, near) = (ask.socket, ask.connection);
        let capsule = (ask.capsule != 0).then_some(u64::from(ask.capsule));
        let other = self.tcp.sockets.get(&far);
        let may = far != near && other.is_some_and(|far| far.may_splice(ask.told));
        let Some(socket) = self.tcp.sockets.get_mut(&near).filter(|_| may) else {
            return false;
        };
        if !socket.is_open() || !socket.may_splice(ask.received) {
            return false;
        }
        socket.revoke();
        socket.unframing = Some(Box::new(Unframing::new(false, capsule.is_some())));
        socket.splice = Some(SocketSplice {
            id,
            near: Side::Socket(far),
            capsule: None,
            reads: true,
            awaited: false,
        });
        if let Some(socket) = self.tcp.sockets.get_mut(&far) {
            socket.revoke();
            socket.splice = Some(SocketSplice {
                id,
                near: Side::Socket(near),
                capsule,
                reads: true,
                awaited: false,
            });
        }
        true
    }

    /// Whether a socket takes bytes of this splice now; `None` when it does no more.
    pub(super) fn socket_takes(&mut self, index: u32, splice: u64) -> Option<bool> {
        let socket = self.tcp.sockets.get_mut(&index)?;
        let takes = socket.takes()?;
        let own = socket.splice.as_mut().filter(|own| own.id == splice)?;
        own.awaited = !takes;
        Some(takes)
    }

    /// Moves one piece; returns how much was read.
    pub(super) fn move_to_socket(
        &mut self,
        from: u32,
        to: u32,
        capsule: Option<u64>,
    ) -> io::Result<usize> {
        let Some(socket) = self.tcp.sockets.get_mut(&from) else {
            return Ok(0);
        };
        let mut buffer = std::mem::take(&mut self.splice_buffer);
        buffer.resize(buffer.len().max(HEADER + PIECE), 0);
        let read = socket.read_spliced(&mut buffer[HEADER..HEADER + PIECE], &mut self.out);
        let over = socket.ended();
        let count = *read.as_ref().unwrap_or(&0);
        let written = self.write_to_socket(from, to, capsule, &mut buffer[..HEADER + count]);
        self.splice_buffer = buffer;
        if let Err(error) = written {
            self.tcp.cut.push((to, error));
        }
        if over {
            self.tcp_over(from, &Over::Ended);
        }
        read
    }

    /// Writes what stands behind the room for a header.
    fn write_to_socket(
        &mut self,
        from: u32,
        to: u32,
        capsule: Option<u64>,
        buffer: &mut [u8],
    ) -> io::Result<()> {
        let (room, payload) = buffer.split_at_mut(HEADER);
        if payload.is_empty() {
            return Ok(());
        }
        let framed = self
            .tcp
            .sockets
            .get(&from)
            .is_some_and(|socket| socket.unframing.is_some());
        if framed {
            return self.give_unframed(from, to, payload);
        }
        let mut at = room.len();
        if let Some(kind) = capsule {
            at = write_capsule_header(room, kind, payload.len());
        }
        let Some(socket) = self.tcp.sockets.get_mut(&to) else {
            return Ok(());
        };
        socket.write_untold(&buffer[at..])?;
        self.tcp.list_flush(to);
        Ok(())
    }

    /// Takes bytes of the tunnel out of their capsules, if they are in any, and gives them to the target.
    fn give_unframed(&mut self, from: u32, to: u32, bytes: &[u8]) -> io::Result<()> {
        let tunnel = self.tcp.sockets.get_mut(&from);
        let Some(mut unframing) = tunnel.and_then(|tunnel| tunnel.unframing.take()) else {
            return Ok(());
        };
        let mut written = Ok(());
        let pushed = match self.tcp.sockets.get_mut(&to) {
            Some(target) => unframing.push(bytes, &mut |piece| {
                if written.is_ok() {
                    written = target.write_spliced(piece);
                }
            }),
            None => Ok(()),
        };
        if let Some(tunnel) = self.tcp.sockets.get_mut(&from) {
            match pushed {
                Ok(()) => tunnel.unframing = Some(unframing),
                Err(given_back) => tunnel.tell_again(&given_back, &mut self.out),
            }
        }
        self.tcp.list_readable(from);
        self.tcp.list_flush(to);
        written
    }

    /// A last piece of a socket that was reset.
    pub(super) fn last_words_to_socket(&mut self, from: u32, to: u32, capsule: Option<u64>) {
        let Some(socket) = self.tcp.sockets.get_mut(&from) else {
            return;
        };
        let mut buffer = std::mem::take(&mut self.splice_buffer);
        buffer.resize(buffer.len().max(HEADER + PIECE), 0);
        let count = socket.last_spliced_words(&mut buffer[HEADER..HEADER + PIECE]);
        let written = self.write_to_socket(from, to, capsule, &mut buffer[..HEADER + count]);
        if let Err(error) = written {
            self.tcp.cut.push((to, error));
        }
        self.splice_buffer = buffer;
    }
}

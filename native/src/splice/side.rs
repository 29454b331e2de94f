//! What the bytes of a splice go to and come from.

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// A stream of a QUIC connection.
    Stream {
        connection: u32,
        stream: u32,
    },
    /// A stream of the HTTP/2 session on this socket.
    Http2 {
        socket: u32,
        stream: u32,
    },
    Socket(u32),
    /// A UDP socket, which has the payloads of DATAGRAM capsules.
    Target(u32),
}

/// What DATAGRAM capsules come and go on.
#[derive(Clone, Copy)]
pub enum Carrier {
    /// A stream of the HTTP/2 session on this socket.
    Http2 {
        socket: u32,
        stream: u32,
    },
    Socket(u32),
}

impl Carrier {
    /// The TCP socket below it.
    pub fn socket(self) -> u32 {
        match self {
            Self::Http2 { socket, .. } | Self::Socket(socket) => socket,
        }
    }
}

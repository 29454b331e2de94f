//! What JavaScript asks of the engine.

use std::net::SocketAddr;

pub enum Operation<'a> {
    OpenStream {
        connection: u32,
        stream: u32,
        bidirectional: bool,
    },
    Write {
        connection: u32,
        stream: u32,
        bytes: &'a [u8],
    },
    End {
        connection: u32,
        stream: u32,
    },
    Reset {
        connection: u32,
        stream: u32,
        code: u64,
    },
    Stop {
        connection: u32,
        stream: u32,
        code: u64,
    },
    Grant {
        connection: u32,
        stream: u32,
        bytes: u64,
    },
    Priority {
        connection: u32,
        stream: u32,
        priority: i32,
    },
    Datagram {
        connection: u32,
        bytes: &'a [u8],
    },
    CloseConnection {
        connection: u32,
        code: u64,
        reason: &'a [u8],
    },
    Statistics {
        connection: u32,
        request: u32,
    },
    ForgetConnection {
        connection: u32,
    },
    SendPacket {
        socket: u32,
        to: Option<SocketAddr>,
        bytes: &'a [u8],
    },
    CloseSocket {
        socket: u32,
    },
    Deliver {
        endpoint: u32,
        from: Option<SocketAddr>,
        bytes: &'a [u8],
    },
    StopAccepting {
        endpoint: u32,
    },
    CloseEndpoint {
        endpoint: u32,
        code: u64,
        reason: &'a [u8],
    },
    CloseEngine,
    Rebind {
        endpoint: u32,
    },
    AbortConnect {
        endpoint: u32,
    },
    TcpWrite {
        socket: u32,
        bytes: &'a [u8],
    },
    TcpEnd {
        socket: u32,
    },
    /// FIN without close_notify.
    TcpHangUp {
        socket: u32,
    },
    TcpReset {
        socket: u32,
    },
    TcpGrant {
        socket: u32,
        bytes: u64,
    },
    TcpCloseListener {
        listener: u32,
    },
    Http2Start(Http2Start<'a>),
    Http2Headers {
        socket: u32,
        stream: u32,
        end: bool,
        block: &'a [u8],
    },
    Http2Write {
        socket: u32,
        stream: u32,
        bytes: &'a [u8],
    },
    Http2End {
        socket: u32,
        stream: u32,
    },
    Http2Reset {
        socket: u32,
        stream: u32,
        code: u32,
    },
    Http2Grant {
        socket: u32,
        stream: u32,
        bytes: u64,
    },
    Http2Settings {
        socket: u32,
        pairs: &'a [u8],
    },
    Http2Ping {
        socket: u32,
        payload: &'a [u8],
    },
    Http2Goaway {
        socket: u32,
        last: u32,
        code: u32,
        debug: &'a [u8],
    },
    Http2Close {
        socket: u32,
    },
    SpliceHttp2(SpliceBytes<'a>),
    TcpStopAccepting {
        listener: u32,
    },
    /// Holds back the packets of the socket, and the connection's datagrams that begin with this number
    /// and 0, until `StartSplice`.
    PrepareSplice {
        socket: u32,
        connection: u32,
        number: u64,
    },
    /// The same for the DATAGRAM capsules of a stream of HTTP/2; of a second, TCP, socket where the stream is 0.
    PrepareCapsules {
        socket: u32,
        near: u32,
        stream: u32,
    },
    StartSplice {
        socket: u32,
        /// What a parser between two capsules reads before what comes next.
        prefix: &'a [u8],
    },
    SpliceBytes(SpliceBytes<'a>),
    SpliceSockets(SpliceBytes<'a>),
    StopSplice {
        socket: u32,
    },
    StartJoin {
        join: u32,
    },
    StopJoin {
        join: u32,
    },
}

/// A socket becomes that of an HTTP/2 session.
pub struct Http2Start<'a> {
    pub socket: u32,
    pub client: bool,
    /// The settings and the window were sent already.
    pub greeted: bool,
    pub stream_window: u32,
    pub connection_window: u32,
    pub block_size: u32,
    /// Ids and values, a word each.
    pub settings: &'a [u8],
}

/// Bytes of a stream, or of a second socket, and of a TCP socket are to be moved without JavaScript.
pub struct SpliceBytes<'a> {
    pub socket: u32,
    /// Of a QUIC connection, or the socket of an HTTP/2 session, or the second socket.
    pub connection: u32,
    /// 0 for a second socket.
    pub stream: u32,
    /// Bytes of the stream, or of the second socket, that JavaScript has been told of.
    pub received: u64,
    /// The same of `socket`.
    pub told: u64,
    /// The type of the capsules around the bytes; 0 without.
    pub capsule: u32,
    /// What a parser between two frames reads before what comes next.
    pub prefix: &'a [u8],
}

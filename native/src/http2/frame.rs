//! Frames by their headers (RFC 9113 sections 4.1, 6 and 7).

/// Length of a frame's header.
pub const HEAD: usize = 9;

/// What a client sends first (RFC 9113 section 3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The least MAX_FRAME_SIZE, and what it is without that setting.
pub const LEAST_FRAME: u32 = 16_384;

pub mod kind {
    pub const DATA: u8 = 0;
    pub const HEADERS: u8 = 1;
    pub const PRIORITY: u8 = 2;
    pub const RST_STREAM: u8 = 3;
    pub const SETTINGS: u8 = 4;
    pub const PUSH_PROMISE: u8 = 5;
    pub const PING: u8 = 6;
    pub const GOAWAY: u8 = 7;
    pub const WINDOW_UPDATE: u8 = 8;
    pub const CONTINUATION: u8 = 9;
}

pub mod flag {
    pub const END_STREAM: u8 = 0x1;
    pub const ACK: u8 = 0x1;
    pub const END_HEADERS: u8 = 0x4;
    pub const PADDED: u8 = 0x8;
    pub const PRIORITY: u8 = 0x20;
}

pub mod code {
    pub const PROTOCOL_ERROR: u32 = 0x1;
    pub const FLOW_CONTROL_ERROR: u32 = 0x3;
    pub const STREAM_CLOSED: u32 = 0x5;
    pub const FRAME_SIZE_ERROR: u32 = 0x6;
    pub const ENHANCE_YOUR_CALM: u32 = 0xb;
}

/// What ends a connection.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub struct Fault {
    pub code: u32,
    pub reason: &'static str,
}

pub fn fault<T>(code: u32, reason: &'static str) -> Result<T, Fault> {
    Err(Fault { code, reason })
}

#[derive(Debug, PartialEq, Eq, Clone, Copy, Default)]
pub struct Head {
    pub length: usize,
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
}

impl Head {
    pub fn decode(bytes: &[u8; HEAD]) -> Self {
        let [a, b, c, kind, flags, stream @ ..] = *bytes;
        Self {
            length: u32::from_be_bytes([0, a, b, c]) as usize,
            kind,
            flags,
            // RFC 9113 section 4.1: the reserved bit is ignored.
            stream: u32::from_be_bytes(stream) & (u32::MAX >> 1),
        }
    }

    pub fn encode(&self) -> [u8; HEAD] {
        let [_, a, b, c] = (self.length as u32).to_be_bytes();
        let [d, e, f, g] = self.stream.to_be_bytes();
        [a, b, c, self.kind, self.flags, d, e, f, g]
    }

    pub fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// The number in the first four bytes; 0 where these are missing.
pub fn number(bytes: &[u8]) -> u32 {
    bytes
        .first_chunk::<4>()
        .map_or(0, |four| u32::from_be_bytes(*four))
}

/// Adds a whole frame.
pub fn push_frame(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    let length = payload.len();
    let head = Head {
        length,
        kind,
        flags,
        stream,
    };
    out.extend_from_slice(&head.encode());
    out.extend_from_slice(payload);
}

/// Adds a header block in as many frames as it takes (RFC 9113 section 4.3).
pub fn push_block(out: &mut Vec<u8>, stream: u32, block: &[u8], end: bool, largest: usize) {
    let mut kind = kind::HEADERS;
    let mut flags = if end { flag::END_STREAM } else { 0 };
    let mut rest = block;
    loop {
        let (piece, after) = rest.split_at(rest.len().min(largest));
        rest = after;
        if rest.is_empty() {
            push_frame(out, kind, flags | flag::END_HEADERS, stream, piece);
            return;
        }
        push_frame(out, kind, flags, stream, piece);
        kind = kind::CONTINUATION;
        flags = 0;
    }
}

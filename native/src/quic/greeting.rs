//! What a server says before it has heard the client's last word: the first bytes of its first unidirectional
//! stream go with its part of the handshake (0.5-RTT data, RFC 9001 section 4.1.1 and RFC 8446 section 4.4.4).

use std::sync::Arc;

use quinn_proto::{Connection, Dir, StreamId, VarInt};

pub enum Greeting {
    /// Nothing to say, or the stream is JavaScript's by now.
    None,
    /// The client's limits are not known yet.
    Unsaid(Arc<[u8]>),
    Saying {
        id: StreamId,
        bytes: Arc<[u8]>,
        sent: usize,
        stopped: Option<VarInt>,
    },
}

impl Greeting {
    pub fn new(bytes: &Arc<[u8]>) -> Self {
        if bytes.is_empty() {
            Self::None
        } else {
            Self::Unsaid(Arc::clone(bytes))
        }
    }

    /// Sends what the client allows.
    pub fn pump(&mut self, quic: &mut Connection) {
        if let Self::Unsaid(bytes) = self
            && let Some(id) = quic.streams().open(Dir::Uni)
        {
            *self = Self::Saying {
                id,
                bytes: Arc::clone(bytes),
                sent: 0,
                stopped: None,
            };
        }
        if let Self::Saying {
            id, bytes, sent, ..
        } = self
            && *sent < bytes.len()
        {
            *sent += quic.send_stream(*id).write(&bytes[*sent..]).unwrap_or(0);
        }
    }

    /// Whether it has begun. One that could not is given up: JavaScript says it then.
    pub fn settle(&mut self) -> bool {
        if let Self::Unsaid(_) = self {
            *self = Self::None;
        }
        matches!(self, Self::Saying { .. })
    }

    pub fn is_on(&self, stream: StreamId) -> bool {
        matches!(self, Self::Saying { id, .. } if *id == stream)
    }

    /// The client's STOP_SENDING, before the stream is JavaScript's.
    pub fn stop(&mut self, code: VarInt) {
        if let Self::Saying { stopped, .. } = self {
            *stopped = Some(code);
        }
    }

    /// True while something of it has to go before anything else of this side's streams.
    pub fn is_unfinished(&self) -> bool {
        matches!(self, Self::Saying { bytes, sent, stopped: None, .. } if *sent < bytes.len())
    }

    /// The stream, for JavaScript to go on with, and the code if the client wants no more.
    pub fn take(&mut self) -> Option<(StreamId, Option<VarInt>)> {
        match std::mem::replace(self, Self::None) {
            Self::Saying { id, stopped, .. } => Some((id, stopped)),
            other => {
                *self = other;
                None
            }
        }
    }
}

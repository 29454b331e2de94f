//! Joins of streams of two connections, as Node asks for them.

use std::sync::Arc;

use napi::bindgen_prelude::Uint8Array;
use napi_derive::napi;

use crate::command::{Command, JoinStreams, JoinedStream};
use crate::counters::Counter;
use crate::engine::NativeEngine;

/// One of the two streams: bytes of it that JavaScript has been told of, the type of its capsules (0 without), and
/// what a parser between two frames reads before what comes next.
#[napi(object, object_to_js = false)]
pub struct StreamToJoin {
    pub connection: u32,
    pub stream: u32,
    pub received: f64,
    pub capsule: u32,
    pub prefix: Uint8Array,
}

impl From<StreamToJoin> for JoinedStream {
    fn from(side: StreamToJoin) -> Self {
        Self {
            connection: side.connection,
            stream: side.stream,
            received: side.received as u64,
            capsule: (side.capsule != 0).then_some(u64::from(side.capsule)),
            prefix: side.prefix.to_vec(),
        }
    }
}

/// Bytes that a join has moved from its near stream to the far one, and back.
#[napi(object)]
pub struct StreamJoinStatistics {
    pub bytes_in: f64,
    pub bytes_out: f64,
}

#[napi]
impl NativeEngine {
    /// Makes the bytes of two streams each other's, behind what was submitted before.
    #[napi(catch_unwind)]
    pub fn join_streams(&mut self, join: u32, near: StreamToJoin, far: StreamToJoin) {
        let moved: [Arc<Counter>; 2] = Default::default();
        self.stream_joins.insert(join, moved.clone());
        self.mailbox
            .command(Command::JoinStreams(Box::new(JoinStreams {
                join,
                sides: [near.into(), far.into()],
                moved,
            })));
    }

    #[napi(catch_unwind)]
    pub fn stream_join_statistics(&self, join: u32) -> StreamJoinStatistics {
        let moved = self.stream_joins.get(&join);
        let of = |way: usize| moved.map_or(0.0, |moved| moved[way].get());
        StreamJoinStatistics {
            bytes_in: of(0),
            bytes_out: of(1),
        }
    }

    /// JavaScript has let go of a join's number.
    #[napi(catch_unwind)]
    pub fn forget_stream_join(&mut self, join: u32) {
        self.stream_joins.remove(&join);
    }
}

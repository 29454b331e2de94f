//! The buffers that every socket of a thread receives into.

#[cfg(target_os = "linux")]
use crate::udp::plain_socket::Batch;

/// Largest UDP packet, and so the largest run of packets that the kernel joins.
const LARGEST: usize = 65_536;

/// From one buffer to the next: not a power of two, or their first bytes all share a few lines of
/// the processor's cache.
const STRIDE: usize = LARGEST + 33 * 64;

/// Bytes after which a socket reads no further batch before others have their turn: what was received goes on while
/// it is in the processor's cache, and before queues overflow.
pub const TURN: usize = 32 * 1024;

#[derive(Default)]
pub struct Scratch {
    pub bytes: Box<[u8]>,
    #[cfg(target_os = "linux")]
    pub batch: Batch,
}

impl Scratch {
    pub fn new() -> Self {
        Self {
            bytes: vec![0; STRIDE * quinn_udp::BATCH_SIZE].into(),
            #[cfg(target_os = "linux")]
            batch: Batch::new(quinn_udp::BATCH_SIZE),
        }
    }

    pub fn buffers(&mut self) -> impl Iterator<Item = &mut [u8]> {
        self.bytes.chunks_mut(STRIDE)
    }
}

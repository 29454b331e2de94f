//! Streams that were reset from here a moment ago: what the peer sent before it heard is no fault of its.

use std::collections::VecDeque;

/// Most of them; what comes for an older one is answered by another reset.
const KEPT: usize = 256;

#[derive(Default)]
pub struct RecentResets(VecDeque<u32>);

impl RecentResets {
    pub fn push(&mut self, stream: u32) {
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back(stream);
    }

    pub fn contains(&self, stream: u32) -> bool {
        self.0.contains(&stream)
    }
}

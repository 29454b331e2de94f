//! What bounds the records that JavaScript has yet to read.

use std::cell::Cell;

use crate::seam::completion::Completions;

/// How much may be delivered until JavaScript has caught up.
#[derive(Clone, Copy)]
pub struct Budget<'a> {
    backlog: usize,
    limit: usize,
    /// What is left to this turn; less than `limit`.
    turn: usize,
    /// Set when something was held back for want of JavaScript.
    starved: &'a Cell<bool>,
}

impl<'a> Budget<'a> {
    pub fn new(backlog: usize, limit: usize, starved: &'a Cell<bool>) -> Self {
        Self {
            backlog,
            limit,
            turn: limit,
            starved,
        }
    }

    /// The same with an end after some more bytes.
    pub fn turn(self, out: &Completions, bytes: usize) -> Self {
        let turn = self.backlog + out.bytes.len() + bytes;
        Self {
            turn: self.turn.min(turn),
            ..self
        }
    }

    pub fn unlimited(self) -> Self {
        Self {
            limit: usize::MAX,
            turn: usize::MAX,
            ..self
        }
    }

    pub fn spent(&self, out: &Completions) -> bool {
        let used = self.backlog + out.bytes.len();
        if used > self.limit {
            self.starved.set(true);
        }
        used > self.turn
    }
}

//! Whose the bytes of a queue are: JavaScript hears of room that its own have made, not of the engine's.

#[derive(Default)]
pub struct Untold {
    /// JavaScript's, in front of those of the engine.
    before: usize,
    /// The engine's.
    own: usize,
}

impl Untold {
    /// The engine adds bytes behind all that waits.
    pub fn push(&mut self, bytes: usize, waiting: usize) {
        if self.own == 0 {
            self.before = waiting;
        }
        self.own += bytes;
    }

    /// Bytes have left at the front; returns how many were JavaScript's.
    pub fn take(&mut self, bytes: usize) -> usize {
        if self.own == 0 {
            return bytes;
        }
        let before = bytes.min(self.before);
        self.before -= before;
        let own = (bytes - before).min(self.own);
        self.own -= own;
        bytes - own
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bytes_of_javascript_are_told() {
        let mut untold = Untold::default();
        assert_eq!(untold.take(7), 7);
        // 5 of JavaScript, 10 of the engine, then 3 of JavaScript.
        untold.push(4, 5);
        untold.push(6, 9);
        assert_eq!(untold.take(3), 3);
        assert_eq!(untold.take(4), 2);
        assert_eq!(untold.take(7), 0);
        assert_eq!(untold.take(4), 3);
        assert_eq!(untold.take(1), 1);
    }
}

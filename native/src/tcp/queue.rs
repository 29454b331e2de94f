//! Bytes that wait until the kernel takes them.

/// A queue that has run empty keeps no more memory than this.
const KEPT: usize = 4 * 1024;

#[derive(Default)]
pub struct Queue {
    bytes: Vec<u8>,
    /// What the kernel has taken already.
    start: usize,
}

impl Queue {
    pub fn waiting(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    pub fn is_empty(&self) -> bool {
        self.start == self.bytes.len()
    }

    pub fn push(&mut self, bytes: &[u8]) {
        // What was taken is cut off only when it is as much as what is left: each byte moves once at most.
        if self.start > 0 && self.start >= self.bytes.len() - self.start {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    pub fn taken(&mut self, count: usize) {
        self.start += count;
        if self.is_empty() {
            self.clear();
        }
    }

    pub fn clear(&mut self) {
        self.start = 0;
        if self.bytes.capacity() > KEPT {
            self.bytes = Vec::new();
        } else {
            self.bytes.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_order_and_gives_memory_back() {
        let mut queue = Queue::default();
        let mut expected = Vec::new();
        let mut got = Vec::new();
        for round in 0..100u8 {
            let piece = vec![round; 1000];
            queue.push(&piece);
            expected.extend_from_slice(&piece);
            let count = queue.waiting().len().min(900);
            got.extend_from_slice(&queue.waiting()[..count]);
            queue.taken(count);
            assert!(queue.bytes.len() < 2 * (queue.waiting().len() + 1000));
        }
        got.extend_from_slice(queue.waiting());
        queue.taken(queue.waiting().len());
        assert_eq!(got, expected);
        assert!(queue.is_empty());
        assert!(queue.bytes.capacity() <= KEPT);
    }
}

//! How long the oldest byte of a queue has waited, to about ten milliseconds.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// What the answer is exact to.
const STEP: Duration = Duration::from_millis(10);

struct Mark {
    /// Bytes that had come to wait before this moment.
    at: u64,
    time: Instant,
}

/// Counts only what came to wait between two notes, so that what a write hands on at once costs nothing.
#[derive(Default)]
pub struct WaitingTime {
    marks: VecDeque<Mark>,
    entered: u64,
    last: usize,
}

impl WaitingTime {
    /// Tells how much waits, before what is added and after it; returns the time.
    pub fn note(&mut self, now: Instant, waiting: usize) -> Duration {
        let before = self.entered;
        self.entered += waiting.saturating_sub(self.last) as u64;
        self.last = waiting;
        if waiting == 0 {
            self.marks.clear();
            return Duration::ZERO;
        }
        let step = |mark: &Mark| now.saturating_duration_since(mark.time) >= STEP;
        if self.entered > before && self.marks.back().is_none_or(step) {
            self.marks.push_back(Mark {
                at: before,
                time: now,
            });
        }
        let oldest = self.entered - waiting as u64;
        while self.marks.get(1).is_some_and(|mark| mark.at <= oldest) {
            self.marks.pop_front();
        }
        let first = self.marks.front();
        first.map_or(Duration::ZERO, |mark| {
            now.saturating_duration_since(mark.time)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_that_waits_counts() {
        let start = Instant::now();
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        let passed = Duration::from_millis;
        let mut waiting = WaitingTime::default();
        assert_eq!(waiting.note(at(0), 0), passed(0));
        assert_eq!(waiting.note(at(0), 100), passed(0));
        assert_eq!(waiting.note(at(50), 100), passed(50));
        assert_eq!(waiting.note(at(50), 200), passed(50));
        // The first hundred have gone: the others came at 50.
        assert_eq!(waiting.note(at(80), 100), passed(30));
        assert_eq!(waiting.note(at(90), 50), passed(40));
        assert_eq!(waiting.note(at(95), 0), passed(0));
        assert_eq!(waiting.note(at(200), 10), passed(0));
        assert_eq!(waiting.note(at(300), 10), passed(100));
    }

    #[test]
    fn its_memory_is_bounded_by_the_time_that_is_looked_at() {
        let start = Instant::now();
        let mut waiting = WaitingTime::default();
        for round in 0..10_000u64 {
            let now = start + Duration::from_micros(100 * round);
            waiting.note(now, 1000);
            waiting.note(now, 2000);
        }
        assert!(waiting.marks.len() <= 3, "{}", waiting.marks.len());
    }
}

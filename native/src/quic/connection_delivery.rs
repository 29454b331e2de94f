//! What a connection delivers of what it received: whose turn it is, and how much of it.

use quinn_proto::Dir;
use rustc_hash::FxHashMap;

use crate::quic::connection::Connection;
use crate::quic::outcome::write_closed;
use crate::quic::splice::Waiting;
use crate::seam::budget::Budget;
use crate::seam::completion::{Completions, Kind};

/// What one connection delivers before others have their turn, bytes.
const TURN: usize = 128 * 1024;

impl Connection {
    /// Delivers what was received, in order: new streams, datagrams, stream data and ends.
    /// True when something was held back.
    pub fn deliver(&mut self, out: &mut Completions, budget: Budget<'_>) -> bool {
        if !self.announced || self.told_closed {
            return false;
        }
        let budget = match self.ending {
            Some(_) => budget.unlimited(),
            None => budget.turn(out, TURN),
        };
        // What a control stream says of the connection comes before the requests on it.
        for dir in [Dir::Uni, Dir::Bi] {
            if self.acceptable[dir as usize] && !budget.spent(out) {
                self.accept_streams(dir, out, Some(budget));
            }
        }
        // A flood of datagrams leaves room for streams.
        let share = if self.readable.is_empty() || self.ending.is_some() {
            budget
        } else {
            budget.turn(out, TURN / 2)
        };
        let waiting = self.datagrams_waiting && self.deliver_datagrams(out, Some(share));
        let mut position = 0;
        while position < self.readable.len() {
            if budget.spent(out) {
                self.readable.drain(..position);
                return true;
            }
            let key = self.readable[position];
            position += 1;
            if self.read_stream(key, out, budget) {
                self.readable.push(key);
            }
        }
        self.readable.clear();
        if self.ending.is_some() {
            // What is left to know of it.
            self.write_statistics(0, out);
        }
        if let Some(ending) = &self.ending {
            write_closed(out, self.index, ending);
            self.told_closed = true;
            self.streams = FxHashMap::default();
            self.keys = FxHashMap::default();
            self.spaces = Vec::new();
            self.readable_splices = Vec::new();
        }
        waiting || self.acceptable != [false; 2]
    }

    /// True when there is more to read. An end is told after the datagrams that came before it.
    pub(super) fn read_stream(
        &mut self,
        key: u32,
        out: &mut Completions,
        budget: Budget<'_>,
    ) -> bool {
        let mut more = false;
        let mut upward = std::mem::take(&mut self.datagrams.splices.upward);
        let mut delivered = None;
        self.with_stream(key, out, |stream, quic, out, index| {
            let (again, end) = stream.read(quic, out, index, budget);
            more = again;
            stream.listed_readable = again;
            if let Some(end) = end {
                delivered = Some(deliver_all_datagrams(&mut upward, quic, out, index));
                end.write(out, index, key);
            }
        });
        self.datagrams.splices.upward = upward;
        if let Some(count) = delivered {
            self.datagrams_delivered += count;
            self.datagrams_waiting = false;
        }
        more
    }

    /// True when some had to wait.
    pub fn deliver_datagrams(&mut self, out: &mut Completions, budget: Option<Budget<'_>>) -> bool {
        loop {
            if budget.is_some_and(|budget| budget.spent(out)) {
                return true;
            }
            let Some(datagram) = self.next_datagram() else {
                break;
            };
            self.datagrams_delivered += 1;
            out.begin(Kind::Datagram, self.index).bytes(&datagram).end();
        }
        self.datagrams_waiting = false;
        false
    }
}

/// Delivers the datagrams that wait, whatever their number: their queue is bounded.
fn deliver_all_datagrams(
    upward: &mut Waiting,
    quic: &mut quinn_proto::Connection,
    out: &mut Completions,
    index: u32,
) -> u64 {
    let mut count = 0;
    while let Some(datagram) = upward.pop().or_else(|| quic.datagrams().recv()) {
        count += 1;
        out.begin(Kind::Datagram, index).bytes(&datagram).end();
    }
    count
}

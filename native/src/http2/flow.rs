//! Windows (RFC 9113 sections 5.2 and 6.9).

/// The largest window.
pub const LARGEST: i64 = (1 << 31) - 1;

/// The window of a connection, and of its streams where no setting says otherwise.
pub const INITIAL: u32 = 65_535;

/// What the peer may send.
pub struct Inflow {
    window: i64,
    /// Consumed and not given back yet.
    consumed: u32,
}

impl Inflow {
    pub fn new(window: u32) -> Self {
        Self {
            window: i64::from(window),
            consumed: 0,
        }
    }

    /// Takes note of bytes that came; false where they are more than the window, which a setting that the
    /// peer has not acknowledged makes smaller by `tolerance`.
    pub fn take(&mut self, bytes: usize, tolerance: i64) -> bool {
        self.window -= bytes as i64;
        bytes == 0 || self.window + tolerance >= 0
    }

    /// Takes note of bytes that are consumed; returns what the window is to grow by once that is half of
    /// what it is at most.
    pub fn consume(&mut self, bytes: usize, most: u32) -> Option<u32> {
        self.consumed += bytes as u32;
        if self.consumed == 0 || self.consumed < most / 2 {
            return None;
        }
        let grown = std::mem::take(&mut self.consumed);
        self.window += i64::from(grown);
        Some(grown)
    }

    /// A setting has made the window larger or smaller.
    pub fn adjust(&mut self, change: i64) {
        self.window += change;
    }
}

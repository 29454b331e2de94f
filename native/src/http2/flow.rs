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
    /// By so much the window grows besides, once a quarter of it was consumed.
    kept_back: u32,
}

impl Inflow {
    pub fn new(window: u32) -> Self {
        Self {
            window: i64::from(window),
            consumed: 0,
            kept_back: 0,
        }
    }

    /// One that is wider by `kept_back` once it is known that somebody wants what comes.
    pub fn narrow(window: u32, kept_back: u32) -> Self {
        Self {
            kept_back,
            ..Self::new(window)
        }
    }

    /// Takes note of bytes that came; false where they are more than the window, which a setting that the
    /// peer has not acknowledged makes smaller by `tolerance`.
    pub fn take(&mut self, bytes: usize, tolerance: i64) -> bool {
        self.window -= bytes as i64;
        bytes == 0 || self.window + tolerance >= 0
    }

    /// Takes note of bytes that are consumed; returns what the window is to grow by once that is half of
    /// what it is at most, or a quarter of it while it is narrow.
    pub fn consume(&mut self, bytes: usize, most: u32) -> Option<u32> {
        self.consumed += bytes as u32;
        let enough = match self.kept_back {
            0 => most / 2,
            kept_back => most.saturating_sub(kept_back) / 4,
        };
        if self.consumed == 0 || self.consumed < enough {
            return None;
        }
        let grown = std::mem::take(&mut self.consumed) + std::mem::take(&mut self.kept_back);
        self.window += i64::from(grown);
        Some(grown)
    }

    /// A setting has made the window larger or smaller.
    pub fn adjust(&mut self, change: i64) {
        self.window += change;
    }
}

//! Addresses that JavaScript knows by number, so that a packet's source needs no new object.

use std::net::SocketAddr;

use rustc_hash::FxHashMap;

use crate::quic::outcome::canonical;
use crate::seam::completion::{Completions, Kind};

/// When this many are known, numbering starts again.
const LIMIT: usize = 8192;

#[derive(Default)]
pub struct AddressTable {
    numbers: FxHashMap<SocketAddr, u32>,
}

impl AddressTable {
    /// The number of an address, from 1; tells JavaScript of a new one first.
    pub fn index(&mut self, address: SocketAddr, out: &mut Completions) -> u32 {
        if let Some(&number) = self.numbers.get(&address) {
            return number;
        }
        if self.numbers.len() >= LIMIT {
            self.numbers.clear();
        }
        let number = self.numbers.len() as u32 + 1;
        self.numbers.insert(address, number);
        out.begin(Kind::Address, number)
            .address(canonical(address))
            .end_quietly();
        number
    }
}

//! What the splices of all protocols have in common.

pub mod datagram_capsules;
pub mod framing;
mod header;
pub mod side;
pub mod unframing;
#[cfg(test)]
mod unframing_tests;
pub mod waiting_time;

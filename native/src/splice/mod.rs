//! What the splices of all protocols have in common.

pub mod framing;
pub mod side;
pub mod unframing;
#[cfg(test)]
mod unframing_tests;

//! What the splices of all protocols have in common.

pub mod near;
pub mod unframing;

//! The seam: records that cross between the engine's thread and JavaScript, in batches.

pub mod budget;
pub mod completion;
pub mod mailbox;
pub mod operation;
pub mod submission;
pub mod untold;

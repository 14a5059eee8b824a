//! What a plan looks like as bytes. One writer per format; compose today, other orchestrators beside it later.

pub mod compose;
pub mod markdown;

//! What a plan looks like as bytes. One writer per format; compose today, other orchestrators beside it later.

pub mod compose;
pub mod eject;
pub mod markdown;
pub(crate) mod template;
pub(crate) mod view;

pub use template::Broken;

//! The shapes on the wire: requests that are read and edited, replies that are metered. No network, no clock.

pub mod content;
pub mod members;
pub mod meter;
pub mod request;
pub mod shape;
pub mod sse;
pub mod usage;

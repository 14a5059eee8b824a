//! The proxy.

mod convert;

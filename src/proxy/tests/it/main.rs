//! The proxy, part by part.

mod convert;
mod ledger;
mod money;

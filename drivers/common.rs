//! What more than one driver does: schemas of configurations, and settings judged by them.

pub(crate) mod schema;
pub(crate) mod settings;

//! What more than one driver does and no runtime owns.

pub(crate) mod answer;
pub(crate) mod cron;
pub(crate) mod people;
pub(crate) mod schema;
pub(crate) mod settings;
pub(crate) mod table;
pub(crate) mod unit;

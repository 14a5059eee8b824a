//! Complete replies: a reader and a writer per format, and the usage and stop reasons that streams share with them.

pub(super) mod chat;
pub(super) mod messages;
pub(super) mod responses;

use super::fields::Fields;
use super::neutral::Head;
use super::{Result, Unsupported};

/// Takes what identifies a reply; `created` is the field of its time.
pub(super) fn read_head(fields: &mut Fields, created: &str) -> Result<Head> {
    // Some servers write the time with a fraction.
    let created = fields.number(created)?.and_then(|number| number.as_u64().or_else(|| whole(&number)));
    Ok(Head {
        id: fields.text("id")?.unwrap_or_default(),
        model: fields.text("model")?.unwrap_or_default(),
        created: created.unwrap_or(0),
    })
}

/// Returns the whole seconds of a time.
fn whole(number: &serde_json::Number) -> Option<u64> {
    number.to_string().split('.').next()?.parse().ok()
}

/// Refuses a body that is an error with a good status.
fn refuse_error(fields: &mut Fields) -> Result<()> {
    match fields.take("error") {
        None => Ok(()),
        Some(error) => {
            let message = error["message"].as_str().or(error.as_str()).unwrap_or("no reason given").to_owned();
            Err(Unsupported::new("error", format!("the upstream failed: {message}")))
        }
    }
}

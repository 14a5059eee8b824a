//! The converter by its public interface: goldens written from the API references, round trips, streams, hostile bodies.

mod replies;
mod requests;
mod streams;

use claw_proxy::convert;
use claw_types::provider::WireFormat::{self, Anthropic, OpenAi, Responses};
use serde_json::{Value, json};

const FORMATS: [WireFormat; 3] = [OpenAi, Anthropic, Responses];

fn value(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).expect("sound")
}

#[track_caller]
fn request(from: WireFormat, to: WireFormat, body: &Value) -> Value {
    value(&convert::request(from, to, body.to_string().as_bytes()).expect("sound"))
}

#[track_caller]
fn reply(from: WireFormat, to: WireFormat, body: &Value) -> Value {
    value(&convert::reply(from, to, body.to_string().as_bytes()).expect("sound"))
}

/// The field for which a request is refused.
#[track_caller]
fn refused(from: WireFormat, to: WireFormat, body: &Value) -> String {
    convert::request(from, to, body.to_string().as_bytes()).map(|body| value(&body)).expect_err("refused").field
}

/// A body with one more field.
fn with(mut body: Value, key: &str, field: Value) -> Value {
    body[key] = field;
    body
}

fn chat() -> Value {
    json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]})
}

fn messages() -> Value {
    json!({"model": "m", "max_tokens": 10, "messages": [{"role": "user", "content": "hi"}]})
}

fn responses() -> Value {
    json!({"model": "m", "input": "hi"})
}

/// All bodies with something else in one place.
fn swap(value: &Value, other: &Value) -> Vec<Value> {
    let mut all = vec![other.clone()];
    match value {
        Value::Object(map) => {
            for (key, inner) in map {
                for mutant in swap(inner, other) {
                    let mut changed = map.clone();
                    changed.insert(key.clone(), mutant);
                    all.push(Value::Object(changed));
                }
            }
        }
        Value::Array(list) => {
            for (index, inner) in list.iter().enumerate() {
                for mutant in swap(inner, other) {
                    let mut changed = list.clone();
                    changed[index] = mutant;
                    all.push(Value::Array(changed));
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    all
}

/// Values that are seldom in their place.
fn strangers() -> [Value; 6] {
    [json!(null), json!(true), json!(-1.5), json!("\u{e9}\u{20ac}x"), json!([[]]), json!({"type": "x"})]
}

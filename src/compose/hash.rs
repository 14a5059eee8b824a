//! Compose's `config-hash`: SHA-256 over compact JSON of a service, its keys in the order of compose-go's structs. Observed
//! with docker compose 2.26.1 and 2.40.3, whose `up` recreates a container where this differs.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use crate::model::{Network, Service, Volume};
use crate::print;
use crate::shape::Shape;
use crate::value::Value;

/// The release of docker compose whose hash it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// 2.26.
    V2_26,
    /// 2.40.
    V2_40,
}

/// Returns the hash of a service of a normal project, in hexadecimal digits.
pub fn service(service: &Service, level: Level) -> String {
    digest(&hashed(service, level))
}

/// Returns short digests of what [`service`] is taken over at level 2.40, by path: a key, or a key and a name below it. Two
/// services differ where these do.
pub fn fields(service: &Service) -> BTreeMap<String, String> {
    let mut fields = BTreeMap::new();
    let mut add = |path: String, value: &Value| drop(fields.insert(path, digest(value)[..12].to_owned()));
    let Value::Map(keys) = hashed(service, Level::V2_40) else { return fields };
    for (key, value) in &keys {
        match value {
            Value::Null => {}
            Value::Map(entries) => entries.iter().for_each(|(name, value)| add(format!("{key}.{name}"), value)),
            value => add(key.to_string(), value),
        }
    }
    fields
}

/// What is hashed of a service.
fn hashed(service: &Service, level: Level) -> Value {
    let mut service = service.clone();
    service.build = None;
    service.pull_policy = None;
    service.scale = None;
    if let Some(deploy) = &mut service.deploy {
        deploy.replicas = None;
    }
    match level {
        Level::V2_40 => {
            service.depends_on.clear();
            service.profiles.clear();
        }
        Level::V2_26 => service.label_file.clear(),
    }
    let mut value = print::service(&service);
    if level == Level::V2_26 {
        older(&mut value);
    }
    value
}

/// Returns the hash of a network of a normal project.
pub fn network(network: &Network) -> String {
    digest(&bare(network.encode().unwrap_or(Value::Null)))
}

/// Returns the hash of a volume of a normal project.
pub fn volume(volume: &Volume) -> String {
    let mut volume = volume.clone();
    volume.driver.get_or_insert_with(|| "local".to_owned());
    digest(&bare(volume.encode().unwrap_or(Value::Null)))
}

fn bare(mut value: Value) -> Value {
    if let Value::Map(entries) = &mut value {
        entries.retain(|(key, _)| !key.starts_with("x-"));
    }
    value
}

/// 2.26 writes file modes as numbers, and the keys of an attachment in another order.
fn older(service: &mut Value) {
    const ATTACHMENT: &[&str] = &[
        "priority",
        "gw_priority",
        "aliases",
        "ipv4_address",
        "ipv6_address",
        "link_local_ips",
        "mac_address",
        "driver_opts",
    ];
    let Value::Map(keys) = service else { return };
    for (key, value) in keys {
        match (key.as_ref(), value) {
            ("secrets" | "configs", Value::List(mounts)) => mounts.iter_mut().for_each(|mount| {
                if let Value::Map(fields) = mount {
                    for (_, mode) in fields.iter_mut().filter(|(key, _)| key == "mode") {
                        if let Value::Str(text) = mode {
                            *mode = Value::Number(u32::from_str_radix(text, 8).unwrap_or(0).to_string());
                        }
                    }
                }
            }),
            ("networks", Value::Map(networks)) => networks.iter_mut().for_each(|(_, network)| {
                if let Value::Map(fields) = network {
                    fields.sort_by_key(|(key, _)| ATTACHMENT.iter().position(|known| known == key));
                }
            }),
            _ => {}
        }
    }
}

fn digest(value: &Value) -> String {
    let mut out = String::new();
    compact(value, &mut out);
    let digest = Sha256::digest(out.as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn compact(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Number(number) => out.push_str(number),
        Value::Str(text) => string(text, out),
        Value::Template(template) => string(&template.to_string(), out),
        Value::List(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index == 0 { "" } else { "," });
                compact(item, out);
            }
            out.push(']');
        }
        Value::Map(entries) => {
            out.push('{');
            for (index, (key, value)) in entries.iter().enumerate() {
                out.push_str(if index == 0 { "" } else { "," });
                string(key, out);
                out.push(':');
                compact(value, out);
            }
            out.push('}');
        }
    }
}

/// Go's `encoding/json`: characters of HTML are escaped, others beyond ASCII are not.
fn string(text: &str, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\u{0}'..='\u{1f}' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                out.push_str(&format!("\\u{:04x}", character as u32));
            }
            character => out.push(character),
        }
    }
    out.push('"');
}

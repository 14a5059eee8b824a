//! Who calls: a bearer token `<agent-id>:<secret>` becomes an agent, or nobody. One answer for every way to be wrong.

use std::collections::{BTreeMap, HashMap};

use hyper::HeaderMap;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::manifest::Agent;

/// The most bytes of a token: what is longer is none.
const LONGEST: usize = 512;

/// Digests of tokens, by agent.
#[derive(Debug)]
pub(crate) struct Callers {
    digests: HashMap<String, [u8; 32]>,
}

/// Returns the bytes of hexadecimal digits.
fn bytes(hex: &str) -> [u8; 32] {
    let mut out = [0; 32];
    for (index, byte) in out.iter_mut().enumerate() {
        let digits = hex.get(index * 2..index * 2 + 2).unwrap_or("00");
        *byte = u8::from_str_radix(digits, 16).unwrap_or(0);
    }
    out
}

impl Callers {
    /// Returns the callers of a manifest.
    pub(crate) fn new(agents: &BTreeMap<String, Agent>) -> Self {
        Self { digests: agents.iter().map(|(id, agent)| (id.clone(), bytes(&agent.token))).collect() }
    }

    /// Returns the agent whose token a request carries. The same is done for every token: its digest is made and compared with
    /// one other, whether there is such an agent or not.
    pub(crate) fn identify(&self, headers: &HeaderMap) -> Option<&str> {
        let token = token(headers)?;
        let id = token.split(|byte| *byte == b':').next().and_then(|id| std::str::from_utf8(id).ok()).unwrap_or("");
        let known = self.digests.get_key_value(id);
        let wanted = known.map_or([0; 32], |(_, digest)| *digest);
        let given: [u8; 32] = Sha256::digest(token).into();
        let is_right: bool = given.ct_eq(&wanted).into();
        known.filter(|_| is_right).map(|(id, _)| id.as_str())
    }
}

/// Returns the token of a request: of `authorization`, `x-api-key` or `x-goog-api-key`, the first that is there.
pub(crate) fn token(headers: &HeaderMap) -> Option<&[u8]> {
    let bearer = headers.get("authorization").map(|value| value.as_bytes()).and_then(|value| {
        let (scheme, rest) = value.split_at_checked(7)?;
        scheme.eq_ignore_ascii_case(b"bearer ").then(|| rest.trim_ascii())
    });
    let plain = |name: &str| headers.get(name).map(|value| value.as_bytes().trim_ascii());
    let found = bearer.or_else(|| plain("x-api-key")).or_else(|| plain("x-goog-api-key"));
    found.filter(|token| !token.is_empty() && token.len() <= LONGEST)
}

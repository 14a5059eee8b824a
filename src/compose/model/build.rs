//! How an image is built.

use super::{FileMount, Texts, Ulimit, Variables};
use crate::shape;
use crate::shape::{Decoder, Shape};
use crate::units::Bytes;
use crate::value::Value;
use crate::yaml::{Node, Resolved};
use std::collections::BTreeMap;

shape! {
    /// How an image is built.
    pub struct Build {
        /// Directory of the context.
        context: Option<String> = "context",
        /// The Dockerfile's path in the context.
        dockerfile: Option<String> = "dockerfile",
        /// The Dockerfile's text.
        dockerfile_inline: Option<String> = "dockerfile_inline",
        /// What the build may do beyond the usual; not carried out.
        entitlements: Vec<String> = "entitlements",
        /// Arguments.
        args: Variables = "args",
        /// Attestation of where the image is from; not carried out.
        provenance: Option<Word> = "provenance",
        /// Attestation of what the image holds; not carried out.
        sbom: Option<Word> = "sbom",
        /// Agents and keys of SSH; not carried out.
        ssh: Option<Ssh> = "ssh",
        /// Labels of the image.
        labels: Texts = "labels",
        /// Images to take layers from.
        cache_from: Vec<String> = "cache_from",
        /// Where layers are stored; not carried out.
        cache_to: Vec<String> = "cache_to",
        /// Build without cached layers.
        no_cache: Option<bool> = "no_cache",
        /// Further contexts by name; not carried out.
        additional_contexts: Texts = "additional_contexts",
        /// Pull base images first.
        pull: Option<bool> = "pull",
        /// Lines of `/etc/hosts` at build time.
        extra_hosts: Vec<String> = "extra_hosts",
        /// Isolation of Windows; not carried out.
        isolation: Option<String> = "isolation",
        /// Network at build time.
        network: Option<String> = "network",
        /// Stage to stop at.
        target: Option<String> = "target",
        /// Secrets at build time; not carried out.
        secrets: Vec<FileMount> = "secrets",
        /// Further tags.
        tags: Vec<String> = "tags",
        /// Platforms.
        platforms: Vec<String> = "platforms",
        /// Size of `/dev/shm` at build time.
        shm_size: Option<Bytes> = "shm_size",
        /// Resource limits at build time; not carried out.
        ulimits: BTreeMap<String, Ulimit> = "ulimits",
        /// All privileges at build time; not carried out.
        privileged: Option<bool> = "privileged",
    }
}

/// A text that may be written as a boolean: `provenance`, `sbom`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Word(pub String);

impl Shape for Word {
    fn decode(node: &Node, cx: &mut Decoder<'_>) -> Option<Self> {
        match node.scalar().map(crate::yaml::Scalar::resolve) {
            Some(Resolved::Str(text)) => Some(Self(text.to_owned())),
            Some(Resolved::Bool(value)) => Some(Self(value.to_string())),
            _ => {
                cx.wrong_type(node, "a string or a boolean");
                None
            }
        }
    }

    fn encode(&self) -> Option<Value> {
        Some(Value::Str(self.0.clone()))
    }
}

/// Agents and keys of SSH: `default`, or `id=path`; a path may be nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ssh(pub BTreeMap<String, String>);

impl Shape for Ssh {
    fn decode(node: &Node, cx: &mut Decoder<'_>) -> Option<Self> {
        BTreeMap::decode(node, cx).map(Self)
    }

    fn encode(&self) -> Option<Value> {
        let line = |(id, path): (&String, &String)| if path.is_empty() { id.clone() } else { format!("{id}={path}") };
        let lines = self.0.iter().map(|pair| Value::Str(line(pair))).collect();
        if self.0.is_empty() { None } else { Some(Value::List(lines)) }
    }
}

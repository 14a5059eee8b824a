//! What few files use: limits of block devices, GPUs, hooks, watching, and what is for other systems.

use std::collections::BTreeMap;

use super::{DeviceRequest, Variables};
use crate::shape;
use crate::shape::{Argv, Decoder, Shape};
use crate::units::Bytes;
use crate::value::Value;
use crate::yaml::{Kind, Node};

shape! {
    /// Limits of block devices.
    pub struct Blkio {
        /// Relative weight, 10 to 1000.
        weight: Option<i64> = "weight",
        /// Relative weights by device.
        weight_device: Vec<BlkioWeight> = "weight_device",
        /// Bytes read in a second.
        device_read_bps: Vec<BlkioLimit> = "device_read_bps",
        /// Reads in a second.
        device_read_iops: Vec<BlkioLimit> = "device_read_iops",
        /// Bytes written in a second.
        device_write_bps: Vec<BlkioLimit> = "device_write_bps",
        /// Writes in a second.
        device_write_iops: Vec<BlkioLimit> = "device_write_iops",
    }

    /// The weight of a device.
    pub struct BlkioWeight {
        /// The device.
        path: Option<String> = "path",
        /// Its weight.
        weight: Option<i64> = "weight",
    }

    /// The limit of a device.
    pub struct BlkioLimit {
        /// The device.
        path: Option<String> = "path",
        /// Its limit.
        rate: Option<Bytes> = "rate",
    }

    /// Credentials of Windows.
    pub struct CredentialSpec {
        /// A config.
        config: Option<String> = "config",
        /// A file.
        file: Option<String> = "file",
        /// A key of the registry.
        registry: Option<String> = "registry",
    }

    /// What is run inside a container that runs.
    pub struct Hook {
        /// Its words.
        command: Option<Argv> = "command",
        /// As whom.
        user: Option<String> = "user",
        /// With all privileges.
        privileged: Option<bool> = "privileged",
        /// Where.
        working_dir: Option<String> = "working_dir",
        /// Its environment.
        environment: Variables = "environment",
    }

    /// What `compose watch` does.
    pub struct Develop {
        /// Rules.
        watch: Vec<Watch> = "watch",
    }

    /// A rule of `compose watch`.
    pub struct Watch {
        /// What is watched.
        path: Option<String> = "path",
        /// `rebuild`, `sync`, `restart`, `sync+restart` or `sync+exec`.
        action: Option<String> = "action",
        /// Where it goes.
        target: Option<String> = "target",
        /// What is run then.
        exec: Option<Hook> = "exec",
        /// Patterns that count.
        include: Vec<String> = "include",
        /// Patterns that do not.
        ignore: Vec<String> = "ignore",
        /// Whether it begins with all files.
        initial_sync: Option<bool> = "initial_sync",
    }

    /// A model.
    pub struct Model {
        /// Its name.
        name: Option<String> = "name",
        /// Its reference.
        model: Option<String> = "model",
        /// Its context, in tokens.
        context_size: Option<i64> = "context_size",
        /// Options of what runs it.
        runtime_flags: Vec<String> = "runtime_flags",
    }

    /// How a service learns of a model.
    pub struct ModelUse {
        /// The variable that gets its address.
        endpoint_var: Option<String> = "endpoint_var",
        /// The variable that gets its name.
        model_var: Option<String> = "model_var",
    }

    /// A service that another program makes.
    pub struct Provider {
        /// Which program.
        kind: Option<String> = "type",
        /// Its options, each one or several.
        options: BTreeMap<String, Value> = "options",
    }
}

/// GPUs asked for: requests, or `all`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gpus(pub Vec<DeviceRequest>);

impl Shape for Gpus {
    fn decode(node: &Node, cx: &mut Decoder<'_>) -> Option<Self> {
        if !matches!(node.kind, Kind::Seq(_)) {
            cx.wrong_type(node, "`all`, or a list");
            return None;
        }
        Vec::decode(node, cx).map(Self)
    }

    fn encode(&self) -> Option<Value> {
        self.0.encode()
    }
}

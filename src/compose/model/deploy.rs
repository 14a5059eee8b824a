//! `deploy`: limits, restarts and what is for clusters, in swarm's words; and requests for devices.

use super::Texts;
use crate::shape;
use crate::shape::{Decoder, Shape};
use crate::units::{Bytes, Cpus, Decimal, Duration};
use crate::value::Value;
use crate::yaml::{Node, Resolved};

shape! {
    /// Limits and restarts, in swarm's words.
    pub struct Deploy {
        /// `replicated` or `global`.
        mode: Option<String> = "mode",
        /// Number of containers.
        replicas: Option<i64> = "replicas",
        /// Labels of the service.
        labels: Texts = "labels",
        /// How an update goes on; without effect on one engine.
        update_config: Option<UpdateConfig> = "update_config",
        /// How an update is taken back; without effect on one engine.
        rollback_config: Option<UpdateConfig> = "rollback_config",
        /// Limits and reservations.
        resources: Option<Resources> = "resources",
        /// When it is restarted.
        restart_policy: Option<RestartPolicy> = "restart_policy",
        /// On which machines; without effect on one engine.
        placement: Option<Placement> = "placement",
        /// `vip` or `dnsrr`; without effect on one engine.
        endpoint_mode: Option<String> = "endpoint_mode",
    }

    /// Limits and reservations.
    pub struct Resources {
        /// At most.
        limits: Option<Resource> = "limits",
        /// At least.
        reservations: Option<Resource> = "reservations",
    }

    /// An amount of each resource.
    pub struct Resource {
        /// CPUs.
        cpus: Option<Cpus> = "cpus",
        /// Memory.
        memory: Option<Bytes> = "memory",
        /// Processes and threads.
        pids: Option<i64> = "pids",
        /// Devices such as GPUs; of reservations.
        devices: Vec<DeviceRequest> = "devices",
        /// Resources by a name of one's own; of reservations, and without effect.
        generic_resources: Vec<GenericResource> = "generic_resources",
    }

    /// When a container is restarted.
    pub struct RestartPolicy {
        /// `none`, `on-failure` or `any`.
        condition: Option<String> = "condition",
        /// Pause before it.
        delay: Option<Duration> = "delay",
        /// At most this often.
        max_attempts: Option<i64> = "max_attempts",
        /// How long it must run to count as started.
        window: Option<Duration> = "window",
    }

    /// How an update goes on, or is taken back.
    pub struct UpdateConfig {
        /// How many at a time.
        parallelism: Option<i64> = "parallelism",
        /// Pause between them.
        delay: Option<Duration> = "delay",
        /// What a failure leads to.
        failure_action: Option<String> = "failure_action",
        /// How long each is looked at.
        monitor: Option<Duration> = "monitor",
        /// Which part may fail.
        max_failure_ratio: Option<Decimal> = "max_failure_ratio",
        /// `start-first` or `stop-first`.
        order: Option<String> = "order",
    }

    /// On which machines.
    pub struct Placement {
        /// What must be true of a machine.
        constraints: Vec<String> = "constraints",
        /// Over what they are spread.
        preferences: Vec<Preference> = "preferences",
        /// At most this many on one machine.
        max_replicas_per_node: Option<i64> = "max_replicas_per_node",
    }

    /// Over what containers are spread.
    pub struct Preference {
        /// A label of machines.
        spread: Option<String> = "spread",
    }

    /// A resource by a name of one's own.
    pub struct GenericResource {
        /// Its kind and amount.
        discrete_resource_spec: Option<DiscreteResource> = "discrete_resource_spec",
    }

    /// The kind and amount of a resource.
    pub struct DiscreteResource {
        /// Its kind.
        kind: Option<String> = "kind",
        /// Its amount.
        value: Option<i64> = "value",
    }

    /// Devices asked for by what they can do.
    pub struct DeviceRequest {
        /// What they can do.
        capabilities: Vec<String> = "capabilities",
        /// The engine's driver.
        driver: Option<String> = "driver",
        /// How many; -1 is all.
        count: Option<DeviceCount> = "count",
        /// Which.
        device_ids: Vec<String> = "device_ids",
        /// Options of the driver.
        options: Texts = "options",
    }
}

/// A number of devices; `all` is -1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceCount(pub i64);

impl Shape for DeviceCount {
    fn decode(node: &Node, cx: &mut Decoder<'_>) -> Option<Self> {
        let text: &str = match node.scalar().map(crate::yaml::Scalar::resolve) {
            Some(Resolved::Int(count)) => return Some(Self(count)),
            Some(Resolved::Str(text)) => text,
            _ => {
                cx.wrong_type(node, "a number or `all`");
                return None;
            }
        };
        let count = if text.eq_ignore_ascii_case("all") { Some(-1) } else { text.parse().ok() };
        if count.is_none() {
            cx.bad_value(node, "is no number of devices", "write a whole number, or `all`");
        }
        count.map(Self)
    }

    fn encode(&self) -> Option<Value> {
        Some(Value::Number(self.0.to_string()))
    }
}

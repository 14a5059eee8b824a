//! Where a pod's gate is: what the compiler tells agents and the gate itself listens at.

/// The gate's service, its role, and its name on agents' networks.
pub const GATE: &str = "egress";

/// The port at which it is a proxy.
pub const PROXY_PORT: u16 = 3128;

/// Where it says that it is ready, inside its own container.
pub const READY: &str = "127.0.0.1:3129";

//! The typed model: compose's long syntax only, one field for every key that claw carries out.
//!
//! The order of fields is compose-go's, because its config-hash is taken over them in that order (compose 2.40).

use std::collections::BTreeMap;

use crate::shape;
use crate::shape::{Argv, Decoder, Maybe, Shape};
use crate::template::Template;
use crate::units::{Bytes, Cpus, Decimal, Duration};
use crate::value::Value;
use crate::yaml::{Kind, Node};

mod build;
mod deploy;
mod more;

pub use build::{Build, Ssh, Word};
pub use deploy::{
    Deploy, DeviceCount, DeviceRequest, DiscreteResource, GenericResource, Placement, Preference, Resource, Resources,
    RestartPolicy, UpdateConfig,
};
pub use more::{Blkio, BlkioLimit, BlkioWeight, CredentialSpec, Develop, Gpus, Hook, Model, ModelUse, Provider, Watch};

/// Names and values that may be nothing: `environment`, `build.args`.
pub type Variables = BTreeMap<String, Maybe<Template>>;
/// Names and texts: labels, options.
pub type Texts = BTreeMap<String, String>;

shape! {
    /// A whole file.
    pub struct Project {
        /// The project's name, where the file gives one.
        name: Option<String> = "name",
        /// Obsolete, without effect.
        version: Option<String> = "version",
        /// Services by name.
        services: BTreeMap<String, Service> = "services",
        /// Networks by key.
        networks: BTreeMap<String, Network> = "networks",
        /// Volumes by key.
        volumes: BTreeMap<String, Volume> = "volumes",
        /// Secrets by key.
        secrets: BTreeMap<String, FileObject> = "secrets",
        /// Configs by key.
        configs: BTreeMap<String, FileObject> = "configs",
        /// Models by key; compose hands them to a program of Docker's own.
        models: BTreeMap<String, Model> = "models",
    }

    /// A service.
    pub struct Service {
        /// Profiles it belongs to.
        profiles: Vec<String> = "profiles",
        /// Annotations of the container.
        annotations: Texts = "annotations",
        /// Whether `up` shows its output.
        attach: Option<bool> = "attach",
        /// How its image is built.
        build: Option<Box<Build>> = "build",
        /// What `compose watch` does; without effect.
        develop: Option<Box<Develop>> = "develop",
        /// Limits of block devices.
        blkio_config: Option<Box<Blkio>> = "blkio_config",
        /// Capabilities added.
        cap_add: Vec<String> = "cap_add",
        /// Capabilities dropped.
        cap_drop: Vec<String> = "cap_drop",
        /// Parent cgroup.
        cgroup_parent: Option<String> = "cgroup_parent",
        /// Cgroup namespace.
        cgroup: Option<String> = "cgroup",
        /// CPUs it may use; of Windows.
        cpu_count: Option<i64> = "cpu_count",
        /// Part of the CPUs; of Windows.
        cpu_percent: Option<Decimal> = "cpu_percent",
        /// Period of the scheduler, in microseconds.
        cpu_period: Option<i64> = "cpu_period",
        /// Its time in each period, in microseconds.
        cpu_quota: Option<i64> = "cpu_quota",
        /// Period of the real-time scheduler, in microseconds.
        cpu_rt_period: Option<i64> = "cpu_rt_period",
        /// Its time in each of these, in microseconds.
        cpu_rt_runtime: Option<i64> = "cpu_rt_runtime",
        /// CPUs it may use.
        cpus: Option<Cpus> = "cpus",
        /// CPUs it may run on.
        cpuset: Option<String> = "cpuset",
        /// Relative weight.
        cpu_shares: Option<i64> = "cpu_shares",
        /// Command.
        command: Option<Argv> = "command",
        /// Configs mounted.
        configs: Vec<FileMount> = "configs",
        /// Fixed container name.
        container_name: Option<String> = "container_name",
        /// Credentials of Windows.
        credential_spec: Option<Box<CredentialSpec>> = "credential_spec",
        /// What must be there first.
        depends_on: BTreeMap<String, Dependency> = "depends_on",
        /// Limits and restarts.
        deploy: Option<Box<Deploy>> = "deploy",
        /// Cgroup device rules.
        device_cgroup_rules: Vec<String> = "device_cgroup_rules",
        /// Devices of the host.
        devices: Vec<Device> = "devices",
        /// DNS servers.
        dns: Vec<String> = "dns",
        /// DNS options.
        dns_opt: Vec<String> = "dns_opt",
        /// DNS search domains.
        dns_search: Vec<String> = "dns_search",
        /// Domain name.
        domainname: Option<String> = "domainname",
        /// Entrypoint.
        entrypoint: Option<Argv> = "entrypoint",
        /// What another program makes of it.
        provider: Option<Box<Provider>> = "provider",
        /// Environment.
        environment: Variables = "environment",
        /// Files of variables.
        env_file: Vec<EnvFile> = "env_file",
        /// Ports for other services.
        expose: Vec<String> = "expose",
        /// Containers outside the project.
        external_links: Vec<String> = "external_links",
        /// Lines of `/etc/hosts`, `host=address`.
        extra_hosts: Vec<String> = "extra_hosts",
        /// Supplementary groups.
        group_add: Vec<String> = "group_add",
        /// GPUs asked for.
        gpus: Option<Gpus> = "gpus",
        /// Host name.
        hostname: Option<String> = "hostname",
        /// Health check.
        healthcheck: Option<Box<Healthcheck>> = "healthcheck",
        /// Image.
        image: Option<String> = "image",
        /// A small init as process 1.
        init: Option<bool> = "init",
        /// IPC namespace.
        ipc: Option<String> = "ipc",
        /// Isolation of Windows.
        isolation: Option<String> = "isolation",
        /// Labels.
        labels: Texts = "labels",
        /// Files of labels.
        label_file: Vec<String> = "label_file",
        /// Other services by alias.
        links: Vec<String> = "links",
        /// Logging.
        logging: Option<Box<Logging>> = "logging",
        /// Memory limit.
        mem_limit: Option<Bytes> = "mem_limit",
        /// Memory reservation.
        mem_reservation: Option<Bytes> = "mem_reservation",
        /// Limit of memory and swap together.
        memswap_limit: Option<Bytes> = "memswap_limit",
        /// How willingly the kernel swaps it out, 0 to 100.
        mem_swappiness: Option<Bytes> = "mem_swappiness",
        /// Fixed hardware address on the first network.
        mac_address: Option<String> = "mac_address",
        /// Models it uses.
        models: BTreeMap<String, Maybe<Box<ModelUse>>> = "models",
        /// Network mode.
        network_mode: Option<String> = "network_mode",
        /// Networks.
        networks: BTreeMap<String, Maybe<Box<Attachment>>> = "networks",
        /// Whether the kernel may kill it.
        oom_kill_disable: Option<bool> = "oom_kill_disable",
        /// How willingly the kernel kills it.
        oom_score_adj: Option<i64> = "oom_score_adj",
        /// PID namespace.
        pid: Option<String> = "pid",
        /// Most processes and threads.
        pids_limit: Option<i64> = "pids_limit",
        /// Platform.
        platform: Option<String> = "platform",
        /// Published ports.
        ports: Vec<Port> = "ports",
        /// All privileges.
        privileged: Option<bool> = "privileged",
        /// When the image is pulled.
        pull_policy: Option<String> = "pull_policy",
        /// Read-only root.
        read_only: Option<bool> = "read_only",
        /// Restart policy.
        restart: Option<String> = "restart",
        /// OCI runtime.
        runtime: Option<String> = "runtime",
        /// Number of containers.
        scale: Option<i64> = "scale",
        /// Secrets mounted.
        secrets: Vec<FileMount> = "secrets",
        /// Security options.
        security_opt: Vec<String> = "security_opt",
        /// Size of `/dev/shm`.
        shm_size: Option<Bytes> = "shm_size",
        /// Standard input stays open.
        stdin_open: Option<bool> = "stdin_open",
        /// Time to finish at a stop.
        stop_grace_period: Option<Duration> = "stop_grace_period",
        /// Signal at a stop.
        stop_signal: Option<String> = "stop_signal",
        /// Storage options.
        storage_opt: Texts = "storage_opt",
        /// Kernel parameters.
        sysctls: Texts = "sysctls",
        /// Temporary file systems, `path:options`.
        tmpfs: Vec<String> = "tmpfs",
        /// A terminal.
        tty: Option<bool> = "tty",
        /// Resource limits.
        ulimits: BTreeMap<String, Ulimit> = "ulimits",
        /// The engine's socket is handed in.
        use_api_socket: Option<bool> = "use_api_socket",
        /// User.
        user: Option<String> = "user",
        /// User namespace.
        userns_mode: Option<String> = "userns_mode",
        /// UTS namespace.
        uts: Option<String> = "uts",
        /// Mounts.
        volumes: Vec<Mount> = "volumes",
        /// Volumes of other services.
        volumes_from: Vec<String> = "volumes_from",
        /// Working directory.
        working_dir: Option<String> = "working_dir",
        /// What is run inside after the start.
        post_start: Vec<Hook> = "post_start",
        /// What is run inside before the stop.
        pre_stop: Vec<Hook> = "pre_stop",
    }

    /// What must be true of another service first.
    pub struct Dependency {
        /// `service_started`, `service_healthy` or `service_completed_successfully`.
        condition: String = "condition",
        /// Whether it is restarted with the other.
        restart: Option<bool> = "restart",
        /// Whether its absence is an error.
        required: Option<bool> = "required",
    }

    /// A device of the host.
    pub struct Device {
        /// On the host.
        source: String = "source",
        /// In the container.
        target: String = "target",
        /// Any of `r`, `w`, `m`.
        permissions: Option<String> = "permissions",
    }

    /// A file of variables.
    pub struct EnvFile {
        /// Its path.
        path: String = "path",
        /// Whether its absence is an error.
        required: Option<bool> = "required",
        /// `raw` for a file without quoting and interpolation.
        format: Option<String> = "format",
    }

    /// A health check.
    pub struct Healthcheck {
        /// `CMD`, `CMD-SHELL` or `NONE`, and arguments.
        test: Vec<String> = "test",
        /// Time one run may take.
        timeout: Option<Duration> = "timeout",
        /// Time between runs.
        interval: Option<Duration> = "interval",
        /// Failures in a row that make it unhealthy.
        retries: Option<i64> = "retries",
        /// Time in which failures do not count.
        start_period: Option<Duration> = "start_period",
        /// Time between runs in that time.
        start_interval: Option<Duration> = "start_interval",
        /// Switches it off.
        disable: Option<bool> = "disable",
    }

    /// Logging.
    pub struct Logging {
        /// The engine's driver.
        driver: Option<String> = "driver",
        /// Its options.
        options: Texts = "options",
    }

    /// A published port.
    pub struct Port {
        /// Its name.
        name: Option<String> = "name",
        /// `ingress` or `host`; without effect on one engine.
        mode: Option<String> = "mode",
        /// Address of the host it is bound to.
        host_ip: Option<String> = "host_ip",
        /// Port in the container.
        target: i64 = "target",
        /// Port or range of the host.
        published: Option<String> = "published",
        /// `tcp` or `udp`.
        protocol: Option<String> = "protocol",
        /// What is spoken on it.
        app_protocol: Option<String> = "app_protocol",
    }

    /// A mount.
    pub struct Mount {
        /// `bind`, `volume`, `tmpfs`, `image`, `npipe` or `cluster`.
        kind: String = "type",
        /// Path of the host, or key of a volume.
        source: Option<String> = "source",
        /// Path in the container.
        target: String = "target",
        /// Nothing can be written.
        read_only: Option<bool> = "read_only",
        /// Consistency, without effect on Linux.
        consistency: Option<String> = "consistency",
        /// Of bind mounts.
        bind: Option<Box<BindOptions>> = "bind",
        /// Of volumes.
        volume: Option<Box<VolumeOptions>> = "volume",
        /// Of temporary file systems.
        tmpfs: Option<Box<TmpfsOptions>> = "tmpfs",
        /// Of images.
        image: Option<Box<ImageOptions>> = "image",
    }

    /// Options of a bind mount.
    pub struct BindOptions {
        /// `z` or `Z`.
        selinux: Option<String> = "selinux",
        /// Mount propagation.
        propagation: Option<String> = "propagation",
        /// The engine makes the path where it is absent.
        create_host_path: Option<bool> = "create_host_path",
        /// How inner mounts are taken along.
        recursive: Option<String> = "recursive",
    }

    /// Options of a volume mount.
    pub struct VolumeOptions {
        /// Labels of an anonymous volume.
        labels: Texts = "labels",
        /// The image's content is not copied into a new volume.
        nocopy: Option<bool> = "nocopy",
        /// A path inside the volume.
        subpath: Option<String> = "subpath",
    }

    /// Options of an image mount.
    pub struct ImageOptions {
        /// A path inside the image.
        subpath: Option<String> = "subpath",
    }

    /// Options of a temporary file system.
    pub struct TmpfsOptions {
        /// Its size.
        size: Option<Bytes> = "size",
        /// Its mode.
        mode: Option<i64> = "mode",
    }

    /// A secret or config in a container.
    pub struct FileMount {
        /// Its key.
        source: String = "source",
        /// Path or file name in the container.
        target: Option<String> = "target",
        /// Owner.
        uid: Option<String> = "uid",
        /// Group.
        gid: Option<String> = "gid",
        /// Octal mode.
        mode: Option<FileMode> = "mode",
    }

    /// A service on a network.
    pub struct Attachment {
        /// Further names.
        aliases: Vec<String> = "aliases",
        /// Options of the driver.
        driver_opts: Texts = "driver_opts",
        /// Which gateway is the default; the highest is.
        gw_priority: Option<i64> = "gw_priority",
        /// Name of the interface in the container.
        interface_name: Option<String> = "interface_name",
        /// Fixed address.
        ipv4_address: Option<String> = "ipv4_address",
        /// Fixed address.
        ipv6_address: Option<String> = "ipv6_address",
        /// Further addresses.
        link_local_ips: Vec<String> = "link_local_ips",
        /// Fixed hardware address.
        mac_address: Option<String> = "mac_address",
        /// The highest is connected first.
        priority: Option<i64> = "priority",
    }

    /// A network.
    pub struct Network {
        /// Its name on the engine.
        name: Option<String> = "name",
        /// The engine's driver.
        driver: Option<String> = "driver",
        /// Its options.
        driver_opts: Texts = "driver_opts",
        /// Addresses.
        ipam: Option<Ipam> = "ipam",
        /// It is there already.
        external: Option<bool> = "external",
        /// It has no way out.
        internal: Option<bool> = "internal",
        /// Others may attach.
        attachable: Option<bool> = "attachable",
        /// Labels.
        labels: Texts = "labels",
        /// IPv4.
        enable_ipv4: Option<bool> = "enable_ipv4",
        /// IPv6.
        enable_ipv6: Option<bool> = "enable_ipv6",
    }

    /// Addresses of a network.
    pub struct Ipam {
        /// The engine's driver.
        driver: Option<String> = "driver",
        /// Pools.
        config: Vec<IpamPool> = "config",
        /// Options of the driver.
        options: Texts = "options",
    }

    /// A pool of addresses.
    pub struct IpamPool {
        /// In CIDR form.
        subnet: Option<String> = "subnet",
        /// Gateway.
        gateway: Option<String> = "gateway",
        /// The part addresses are given from.
        ip_range: Option<String> = "ip_range",
        /// Addresses taken by name.
        aux_addresses: Texts = "aux_addresses",
    }

    /// A volume.
    pub struct Volume {
        /// Its name on the engine.
        name: Option<String> = "name",
        /// The engine's driver.
        driver: Option<String> = "driver",
        /// Its options.
        driver_opts: Texts = "driver_opts",
        /// It is there already.
        external: Option<bool> = "external",
        /// Labels.
        labels: Texts = "labels",
    }

    /// A secret or config: where its content comes from.
    pub struct FileObject {
        /// Its name.
        name: Option<String> = "name",
        /// A file.
        file: Option<String> = "file",
        /// A variable.
        environment: Option<String> = "environment",
        /// The content itself; configs only.
        content: Option<String> = "content",
        /// It is there already.
        external: Option<bool> = "external",
        /// Labels.
        labels: Texts = "labels",
        /// Swarm's driver; secrets only.
        driver: Option<String> = "driver",
        /// Its options; secrets only.
        driver_opts: Texts = "driver_opts",
        /// Swarm's driver of templates.
        template_driver: Option<String> = "template_driver",
    }
}

/// A resource limit: one value, or soft and hard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ulimit {
    /// The limit in force.
    pub soft: i64,
    /// The most it may be raised to.
    pub hard: i64,
    /// It was written as one number.
    pub is_single: bool,
}

impl Shape for Ulimit {
    fn decode(node: &Node, cx: &mut Decoder<'_>) -> Option<Self> {
        if !matches!(node.kind, Kind::Map(_)) {
            return i64::decode(node, cx).map(|limit| Self { soft: limit, hard: limit, is_single: true });
        }
        let side = |key: &str, cx: &mut Decoder<'_>| match node.get(key) {
            Some(value) => cx.at(key, |cx| i64::decode(value, cx)),
            None => {
                cx.bad_value(node, &format!("has no `{key}`"), "write both `soft` and `hard`");
                None
            }
        };
        let (soft, hard) = (side("soft", cx), side("hard", cx));
        Some(Self { soft: soft?, hard: hard?, is_single: false })
    }

    fn encode(&self) -> Option<Value> {
        let number = |value: i64| Value::Number(value.to_string());
        if self.is_single {
            return Some(number(self.soft));
        }
        Some(Value::Map(vec![("soft".into(), number(self.soft)), ("hard".into(), number(self.hard))]))
    }
}

/// The mode of a file in a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileMode(pub u32);

impl Shape for FileMode {
    fn decode(node: &Node, cx: &mut Decoder<'_>) -> Option<Self> {
        let scalar = node.scalar().map(|scalar| (scalar.resolve(), scalar.text.as_str()));
        let bits = match scalar {
            Some((crate::yaml::Resolved::Int(bits), _)) => u32::try_from(bits).ok(),
            Some((crate::yaml::Resolved::Str(_), text)) => u32::from_str_radix(text, 8).ok(),
            _ => None,
        };
        match bits.filter(|bits| *bits <= 0o7777) {
            Some(bits) => Some(Self(bits)),
            None => {
                cx.bad_value(node, "is not a file mode", "write an octal number, such as `0440`");
                None
            }
        }
    }

    fn encode(&self) -> Option<Value> {
        Some(Value::Str(format!("0{:o}", self.0)))
    }
}

//! Arguments of `config`.

use clap::Args;

/// What `config` prints instead of everything.
#[derive(Args, Debug)]
pub(crate) struct ConfigArgs {
    /// Compose's hash of these services, divided by commas; `*` for all
    #[arg(long, value_name = "SERVICES", group = "what")]
    pub(crate) hash: Option<String>,
    /// Names of services
    #[arg(long = "services", group = "what")]
    pub(crate) list_services: bool,
    /// Images
    #[arg(long, group = "what")]
    pub(crate) images: bool,
    /// Keys of volumes
    #[arg(long, group = "what")]
    pub(crate) volumes: bool,
    /// Keys of networks
    #[arg(long, group = "what")]
    pub(crate) networks: bool,
    /// Profiles of services
    #[arg(long = "profiles", group = "what")]
    pub(crate) profiles: bool,
    /// Variables that the files name
    #[arg(long, group = "what")]
    pub(crate) variables: bool,
    /// The environment that gives them values
    #[arg(long, group = "what")]
    pub(crate) environment: bool,
    /// Nothing: the exit code says whether the files are right
    #[arg(short, long, group = "what")]
    pub(crate) quiet: bool,
    /// Services, with what they depend on [default: all]
    pub(crate) services: Vec<String>,
}

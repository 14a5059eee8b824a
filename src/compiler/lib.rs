//! Clawfile and claw-pod.yml in, plan out. Pure: what must be read or inspected is asked for and comes in as facts.
//!
//! `facts::missing` until nothing is missing, then [`compile`]: `resolve → expand → lower → harden → assemble → audit`.
#![deny(clippy::disallowed_methods, clippy::disallowed_types, clippy::iter_over_hash_type)]

pub mod clawfile;
pub mod described;
pub mod emit;
mod excerpt;
pub mod facts;
pub mod lockfile;
pub mod plan;
pub mod pod;
pub mod recipe;
pub mod resolve;

use claw_types::diag::{Diagnostics, Reported};

/// Returns the plan of a pod file, everything it needs being known.
///
/// # Errors
/// Where the pod cannot be resolved or planned; every reason is in `diag`.
pub fn compile(
    spec: &facts::PodSpec,
    known: &facts::Facts,
    cx: &facts::Context<'_>,
    diag: &mut Diagnostics,
) -> Result<plan::Plan, Reported> {
    let plan = resolve::resolve(spec, known, cx, diag).and_then(|pod| plan::plan(&pod, known, cx, diag));
    excerpt::amend(spec, known, cx, diag);
    let mut plan = plan?;
    lockfile::pin(&mut plan, &known.pins);
    Ok(plan)
}

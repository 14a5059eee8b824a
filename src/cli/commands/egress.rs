//! `claw egress`: the gate.

use claw_egress::{Options, Resolver};

use crate::args::{Egress, GateArgs};
use crate::exit::{CommandError, Exit};

pub(crate) fn run(command: &Egress) -> Result<Exit, CommandError> {
    match command {
        Egress::Serve(args) => serve(args),
    }
}

/// Runs the gate.
pub(crate) fn serve(args: &GateArgs) -> Result<Exit, CommandError> {
    let options = Options {
        rules: args.rules.clone(),
        listen: args.listen,
        ready: args.ready.clone(),
        resolver: Resolver::System,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(32).build();
    runtime.map_err(CommandError::Start)?.block_on(claw_egress::serve(&options, Box::new(std::io::stdout())))?;
    Ok(Exit::Done)
}

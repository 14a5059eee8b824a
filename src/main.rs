//! The `claw` executable: one call into `claw-cli`, which owns arguments, messages and exit codes.

use std::process::ExitCode;

fn main() -> ExitCode {
    claw_cli::main()
}

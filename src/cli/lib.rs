//! Arguments, messages, exit codes.
/// Runs claw.
pub fn main() -> std::process::ExitCode {
    std::process::ExitCode::SUCCESS
}

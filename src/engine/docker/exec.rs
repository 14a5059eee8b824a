//! Commands run inside containers: to an end whose output is kept, or beside a person at a terminal.

use std::pin::Pin;
use std::time::Duration;

use bollard::container::LogOutput;
use bollard::exec::{ResizeExecOptions, StartExecOptions, StartExecResults};
use bollard::models::ExecConfig;
use bollard::query_parameters as query;
use claw_types::driver::ProbeOutput;
use futures_util::{Stream, StreamExt};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc::UnboundedReceiver;

use super::{Docker, EngineError, failed};

/// A command to run in a container.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExecCall<'c> {
    /// Its words.
    pub command: &'c [String],
    /// As whom, where not as the container's user.
    pub user: Option<&'c str>,
    /// With all privileges.
    pub is_privileged: bool,
    /// Where, where not in the container's directory.
    pub directory: Option<&'c str>,
    /// Variables beside the container's, `NAME=value`.
    pub environment: &'c [String],
}

impl ExecCall<'_> {
    fn config(&self) -> ExecConfig {
        ExecConfig {
            cmd: Some(self.command.to_vec()),
            user: self.user.map(ToOwned::to_owned),
            privileged: Some(self.is_privileged),
            working_dir: self.directory.map(ToOwned::to_owned),
            env: Some(self.environment.to_vec()),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            ..ExecConfig::default()
        }
    }
}

/// What a person's end of a command sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Bytes of standard input.
    Bytes(Vec<u8>),
    /// Standard input has ended.
    End,
    /// The terminal has another size: rows, columns.
    Size(u16, u16),
}

/// The most bytes that are kept of what a command says on each of its outputs: it may be an agent's own program.
const MOST: usize = 4 << 20;

/// Adds to what a command said; what follows the first [`MOST`] bytes is read and not kept.
fn keep(said: &mut Vec<u8>, piece: &[u8]) {
    said.extend_from_slice(&piece[..piece.len().min(MOST - said.len())]);
}

impl Docker {
    /// Runs a command in a container, as its own user.
    ///
    /// # Errors
    /// Where the engine refuses, or the command does not end in time.
    pub async fn exec(&self, container: &str, command: &[String], limit: Duration) -> Result<ProbeOutput, EngineError> {
        self.exec_call(container, &ExecCall { command, ..ExecCall::default() }, limit).await
    }

    /// Runs a command in a container.
    ///
    /// # Errors
    /// Where the engine refuses, or the command does not end in time.
    pub async fn exec_call(
        &self,
        container: &str,
        call: &ExecCall<'_>,
        limit: Duration,
    ) -> Result<ProbeOutput, EngineError> {
        let work = self.exec_unlimited(container, call);
        match tokio::time::timeout(limit, work).await {
            Ok(done) => done,
            Err(_) => Err(EngineError {
                call: "run a command in",
                resource: container.to_owned(),
                reason: format!("it did not end within {} seconds", limit.as_secs()),
                status: None,
            }),
        }
    }

    async fn exec_unlimited(&self, container: &str, call: &ExecCall<'_>) -> Result<ProbeOutput, EngineError> {
        let refused = || failed("run a command in", container);
        let config = call.config();
        let made = self.api.create_exec(container, config).await.map_err(refused())?;
        let started = self.api.start_exec(&made.id, None).await.map_err(refused())?;
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        if let StartExecResults::Attached { mut output, .. } = started {
            while let Some(piece) = output.next().await {
                match piece.map_err(refused())? {
                    LogOutput::StdErr { message } => keep(&mut stderr, &message),
                    other => keep(&mut stdout, &other.into_bytes()),
                }
            }
        }
        let ended = self.api.inspect_exec(&made.id).await.map_err(refused())?;
        Ok(ProbeOutput {
            exit_code: ended.exit_code.unwrap_or(0),
            stdout: String::from_utf8_lossy(&stdout).into_owned(),
            stderr: String::from_utf8_lossy(&stderr).into_owned(),
        })
    }

    /// Runs a command beside a person: `input` goes in, what comes out goes to `output`, whether it is an error first.
    /// With `has_terminal` the command sees a terminal, and errors come with the rest. Returns its exit code.
    ///
    /// # Errors
    /// Where the engine refuses.
    pub async fn exec_live(
        &self,
        container: &str,
        call: &ExecCall<'_>,
        has_terminal: bool,
        mut input: UnboundedReceiver<Input>,
        output: &mut dyn FnMut(bool, &[u8]),
    ) -> Result<i64, EngineError> {
        let refused = || failed("run a command in", container);
        let config = ExecConfig { attach_stdin: Some(true), tty: Some(has_terminal), ..call.config() };
        let made = self.api.create_exec(container, config).await.map_err(refused())?;
        let options = StartExecOptions { tty: has_terminal, ..StartExecOptions::default() };
        let started = self.api.start_exec(&made.id, Some(options)).await.map_err(refused())?;
        if let StartExecResults::Attached { output: pieces, input: sink } = started {
            // A command that has ended has no terminal any more.
            let resize = async |height: u16, width: u16| {
                let _ = self.api.resize_exec(&made.id, ResizeExecOptions { height, width }).await;
            };
            converse(pieces, sink, &mut input, output, &resize).await.map_err(refused())?;
        }
        let ended = self.api.inspect_exec(&made.id).await.map_err(refused())?;
        Ok(ended.exit_code.unwrap_or(0))
    }
    /// Attaches to a container that does not run yet, starts it, and lets a person speak with it as [`Docker::exec_live`] does, until
    /// it ends. Returns its exit code.
    ///
    /// # Errors
    /// Where the engine refuses.
    pub async fn start_live(
        &self,
        container: &str,
        mut input: UnboundedReceiver<Input>,
        output: &mut dyn FnMut(bool, &[u8]),
    ) -> Result<i64, EngineError> {
        let refused = || failed("attach to the container", container);
        let options =
            query::AttachContainerOptionsBuilder::default().stdin(true).stdout(true).stderr(true).stream(true).build();
        let attached = self.api.attach_container(container, Some(options)).await.map_err(refused())?;
        self.start(container).await?;
        let resize = async |height: u16, width: u16| {
            let size = query::ResizeContainerTTYOptionsBuilder::default().h(height.into()).w(width.into()).build();
            let _ = self.api.resize_container_tty(container, size).await;
        };
        converse(attached.output, attached.input, &mut input, output, &resize).await.map_err(refused())?;
        self.wait(container).await
    }
}

type Pieces = Pin<Box<dyn Stream<Item = Result<LogOutput, bollard::errors::Error>> + Send>>;
type Sink = Pin<Box<dyn AsyncWrite + Send>>;

/// Hands on what comes and goes until the other end closes.
async fn converse(
    mut pieces: Pieces,
    sink: Sink,
    input: &mut UnboundedReceiver<Input>,
    output: &mut dyn FnMut(bool, &[u8]),
    resize: &impl AsyncFn(u16, u16),
) -> Result<(), bollard::errors::Error> {
    let mut sink = Some(sink);
    let mut is_open = true;
    loop {
        tokio::select! {
            piece = pieces.next() => match piece {
                Some(Ok(LogOutput::StdErr { message })) => output(true, &message),
                Some(Ok(other)) => output(false, &other.into_bytes()),
                Some(Err(error)) => return Err(error),
                None => return Ok(()),
            },
            event = input.recv(), if is_open => match (event, &mut sink) {
                (Some(Input::Bytes(bytes)), Some(writer)) => {
                    // A command that reads no more is no failure.
                    if writer.write_all(&bytes).await.is_err() || writer.flush().await.is_err() {
                        sink = None;
                    }
                }
                (Some(Input::Size(height, width)), _) => resize(height, width).await,
                (Some(Input::End), Some(writer)) => {
                    let _ = writer.shutdown().await;
                    sink = None;
                }
                (Some(_), None) => {}
                (None, _) => is_open = false,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_command_that_never_falls_silent_the_begin_is_kept() {
        let mut said = Vec::new();
        for _ in 0..5000 {
            keep(&mut said, &[b'x'; 1000]);
        }
        assert_eq!(said.len(), MOST);
    }
}

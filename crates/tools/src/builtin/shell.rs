//! `shell.exec`: a shell command with a time limit and bounded output.

use std::{
    collections::VecDeque, fmt::Write as _, os::unix::process::ExitStatusExt as _, process::ExitStatus, time::Duration,
};

use masque_types::{
    BoxFuture,
    tool::{EffectClass, ToolOutput},
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::{Builtin, Call, Run, schema_of};
use crate::failure::{Failure, Outcome, arguments};

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(120);
/// The longest time that a call may ask for.
pub(crate) const LONGEST_TIMEOUT: Duration = Duration::from_secs(3_600);
/// How long output may still arrive after everything was ended.
const DRAIN: Duration = Duration::from_secs(1);
/// Bytes kept from the beginning and from the end of each stream.
const HEAD_BYTES: usize = 64 * 1024;
const TAIL_BYTES: usize = 64 * 1024;

pub(super) const TOOL: Builtin = Builtin {
    name: "shell.exec",
    description: "Runs a command with `sh -c` in the workspace and returns its exit code, standard output and \
                  standard error. There is no input and no terminal. After `timeout_s` seconds (120 when absent, at \
                  most 3600) it is ended with everything that it started; background processes end with the call \
                  too. Of long output the first and last 64 KiB are returned: redirect it to a file and read that. \
                  Prefer fs.read, fs.edit and fs.search to cat, sed and grep.",
    effect: EffectClass::Once,
    schema: schema_of::<Arguments>,
    run: Run::Waiting(start),
};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Arguments {
    /// The command.
    command: String,
    /// The directory to run it in, relative to the workspace; the workspace when absent.
    #[serde(default)]
    directory: Option<String>,
    /// Seconds after which it is ended.
    #[serde(default)]
    timeout_s: Option<u64>,
}

fn start(call: Call, value: Value) -> BoxFuture<'static, Outcome> {
    Box::pin(run(call, value))
}

async fn run(call: Call, value: Value) -> Outcome {
    let asked: Arguments = arguments(value)?;
    if asked.command.contains('\0') {
        return Err(Failure::new("a command cannot contain NUL"));
    }
    let relative = call.workspace.relative(asked.directory.as_deref().unwrap_or("."))?;
    let directory = call.workspace.directory(&relative)?;
    let limit = asked.timeout_s.map_or(DEFAULT_TIMEOUT, Duration::from_secs).min(LONGEST_TIMEOUT);
    let failed = |error: std::io::Error| Failure::new(format!("the shell could not be run: {error}"));
    let (mut child, group) = call.processes.shell(&asked.command, &directory).map_err(failed)?;
    let (mut output, mut errors) = (Captured::default(), Captured::default());
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let end = {
        let reading = async { tokio::join!(output.fill(stdout), errors.fill(stderr)) };
        tokio::pin!(reading);
        let deadline = tokio::time::Instant::now() + limit;
        let mut drained = false;
        let end = loop {
            tokio::select! {
                status = child.wait() => break End::Exited(status.map_err(failed)?),
                () = tokio::time::sleep_until(deadline) => break End::TimedOut,
                _ = &mut reading, if !drained => drained = true,
            }
        };
        group.kill();
        if matches!(end, End::TimedOut) {
            child.wait().await.map_err(failed)?;
        }
        group.ended();
        if !drained {
            // Something that left the group may hold the pipes open; it ends with `group`, its output is not awaited.
            let _ = tokio::time::timeout(DRAIN, reading).await;
        }
        end
    };
    Ok(report(end, limit, output, errors))
}

enum End {
    Exited(ExitStatus),
    TimedOut,
}

fn report(end: End, limit: Duration, output: Captured, errors: Captured) -> ToolOutput {
    let (first, is_error) = match end {
        End::Exited(status) => match (status.code(), status.signal()) {
            (Some(code), _) => (format!("exit code: {code}"), code != 0),
            (None, signal) => (format!("ended by signal {}", signal.unwrap_or_default()), true),
        },
        End::TimedOut => {
            let limit = limit.as_secs();
            (format!("ended after {limit} s, its time limit; raise timeout_s or do less at once"), true)
        }
    };
    let mut text = first;
    for (name, captured) in [("stdout", output), ("stderr", errors)] {
        if captured.total > 0 {
            let _ = write!(text, "\n{name}:\n{}", captured.text());
        }
    }
    let output = ToolOutput::text(text);
    ToolOutput { is_error, ..output }
}

/// The beginning and the end of a stream.
#[derive(Debug, Default)]
struct Captured {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    total: u64,
}

impl Captured {
    async fn fill(&mut self, stream: Option<impl AsyncRead + Unpin>) {
        let Some(mut stream) = stream else { return };
        let mut buffer = vec![0; 16 * 1024];
        while let Ok(count @ 1..) = stream.read(&mut buffer).await {
            self.push(buffer.get(..count).unwrap_or_default());
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        self.total += bytes.len() as u64;
        let room = HEAD_BYTES.saturating_sub(self.head.len()).min(bytes.len());
        let (head, rest) = bytes.split_at(room);
        self.head.extend_from_slice(head);
        self.tail.extend(rest);
        let over = self.tail.len().saturating_sub(TAIL_BYTES);
        self.tail.drain(..over);
    }

    fn text(self) -> String {
        let cut = self.total - self.head.len() as u64 - self.tail.len() as u64;
        let tail: Vec<u8> = self.tail.into();
        if cut == 0 {
            return String::from_utf8_lossy(&[self.head, tail].concat()).into_owned();
        }
        format!("{}\n[{cut} bytes cut here]\n{}", String::from_utf8_lossy(&self.head), String::from_utf8_lossy(&tail))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_output_keeps_both_ends_and_counts_the_rest() {
        let mut captured = Captured::default();
        captured.push(b"first");
        captured.push(&vec![b'x'; HEAD_BYTES + TAIL_BYTES]);
        captured.push(b"last");
        let text = captured.text();
        assert!(text.starts_with("first") && text.ends_with("last"));
        assert!(text.contains("\n[9 bytes cut here]\n"), "{}", text.len());
    }
}

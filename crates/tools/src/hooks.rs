//! A persona's hooks: programs of the persona that run in its sandbox, without network and without writing anything,
//! when it is activated, around every tool call, and when it is deactivated.
//!
//! A hook gets JSON on its standard input. Exit code 0 goes on; exit code 2 of the guard `pre_tool_use` blocks the call
//! with its standard error as the reason. A guard that ends in any other way, cannot be started or takes too long blocks
//! as well; of the other hooks that is a diagnostic. Standard output is not used.

use std::{collections::BTreeMap, ffi::OsString, time::Duration};

use masque_sandbox::Exit;
use masque_types::{
    id::RunId,
    message::joined_text,
    persona,
    tool::{Invocation, ToolOutput},
};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::{
    mcp::{SHORT, clean},
    program::{Output, Program, Start, Starter},
};

/// How long a hook may take when nothing else is said.
pub(crate) const HOOK_LIMIT: Duration = Duration::from_secs(10);
/// What a guard blocks with.
const BLOCK: i32 = 2;
/// Bytes of standard error that are kept.
const KEPT: usize = 8 * 1024;
/// Characters of a result that the hook after a call is told.
const RESULT_CHARACTERS: usize = 64 * 1024;

/// When a hook runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum When {
    Activate,
    PreToolUse,
    PostToolUse,
    Deactivate,
}

impl When {
    /// The key in the persona's file, and the `event` that the hook is told.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Activate => "on_activate",
            Self::PreToolUse => "pre_tool_use",
            Self::PostToolUse => "post_tool_use",
            Self::Deactivate => "on_deactivate",
        }
    }

    /// The persona's hooks with their times.
    pub(crate) fn all(hooks: &persona::Hooks) -> impl Iterator<Item = (Self, &persona::Hook)> {
        [
            (Self::Activate, &hooks.on_activate),
            (Self::PreToolUse, &hooks.pre_tool_use),
            (Self::PostToolUse, &hooks.post_tool_use),
            (Self::Deactivate, &hooks.on_deactivate),
        ]
        .into_iter()
        .filter_map(|(when, hook)| Some((when, hook.as_ref()?)))
    }
}

/// The program and the argument that the first line of a script names, as the kernel reads it.
pub(crate) fn interpreter(content: &str) -> Option<(OsString, Option<OsString>)> {
    let line = content.lines().next()?.strip_prefix("#!")?.trim();
    let (program, argument) = match line.split_once([' ', '\t']) {
        Some((program, argument)) => (program, Some(argument.trim().into())),
        None => (line, None),
    };
    (!program.is_empty()).then(|| (program.into(), argument))
}

/// The hooks of one environment.
#[derive(Debug)]
pub(crate) struct Hooks {
    pub(crate) starter: Starter,
    pub(crate) programs: BTreeMap<When, Start>,
    pub(crate) persona: String,
    pub(crate) run: RunId,
    pub(crate) limit: Duration,
}

/// How a hook ended.
enum Ended {
    Well,
    Blocked(String),
    Badly(String),
}

impl Hooks {
    /// Asks the guard before a call.
    ///
    /// # Errors
    /// Why the call is blocked, for the model.
    pub(crate) async fn guard(&self, invocation: &Invocation) -> Result<(), String> {
        let call = &invocation.call;
        let told = json!({ "tool": call.tool, "arguments": call.arguments, "attempt": invocation.attempt });
        match self.run(When::PreToolUse, told).await {
            Ended::Well => Ok(()),
            Ended::Blocked(reason) => Err(format!("`{}` was blocked by a hook of the persona: {reason}", call.tool)),
            Ended::Badly(why) => {
                Err(format!("`{}` was blocked: the persona's hook pre_tool_use did not say yes: {why}", call.tool))
            }
        }
    }

    /// Tells what a call gave.
    pub(crate) async fn after(&self, invocation: &Invocation, output: &ToolOutput) {
        if !self.programs.contains_key(&When::PostToolUse) {
            return;
        }
        let text: String = joined_text(&output.content).chars().take(RESULT_CHARACTERS).collect();
        let call = &invocation.call;
        let result = json!({ "text": text, "is_error": output.is_error });
        let told = json!({ "tool": call.tool, "arguments": call.arguments, "result": result });
        if let Some(why) = self.told(When::PostToolUse, told).await {
            tracing::warn!(persona = %self.persona, "{why}");
        }
    }

    /// Runs a hook that only is told something; what went wrong is for people.
    pub(crate) async fn told(&self, when: When, told: Value) -> Option<String> {
        match self.run(when, told).await {
            Ended::Well => None,
            Ended::Blocked(why) | Ended::Badly(why) => Some(format!("the hook {} failed: {why}", when.name())),
        }
    }

    async fn run(&self, when: When, mut told: Value) -> Ended {
        let Some(start) = self.programs.get(&when) else { return Ended::Well };
        if let Some(told) = told.as_object_mut() {
            told.insert("event".to_owned(), when.name().into());
            told.insert("persona".to_owned(), self.persona.clone().into());
            told.insert("run".to_owned(), self.run.to_string().into());
        }
        let mut program = match self.starter.start(start).await {
            Ok(program) => program,
            Err(error) => return Ended::Badly(error.to_string()),
        };
        let ended = tokio::time::timeout(self.limit, converse(&mut program, told.to_string())).await;
        // Whatever it left behind ends with it.
        program.kill().await;
        match ended {
            Err(_) => Ended::Badly(format!("it did not end within {} ms", self.limit.as_millis())),
            Ok((Ok(Exit::Code(0)), _)) => Ended::Well,
            Ok((Ok(Exit::Code(BLOCK)), said)) if said.is_empty() => Ended::Blocked("no reason was given".to_owned()),
            Ok((Ok(Exit::Code(BLOCK)), said)) => Ended::Blocked(said),
            Ok((Ok(Exit::Code(code)), said)) => Ended::Badly(format!("it ended with code {code} {said}")),
            Ok((Ok(Exit::Signal(signal)), said)) => Ended::Badly(format!("it was ended by signal {signal} {said}")),
            Ok((Err(error), _)) => Ended::Badly(error),
        }
    }
}

/// Gives the program its input, reads what it says, and waits for its end.
async fn converse(program: &mut Program, input: String) -> (Result<Exit, String>, String) {
    let (stdin, stdout, stderr) = (program.take_stdin(), program.take_stdout(), program.take_stderr());
    let write = async {
        if let Some(mut stdin) = stdin {
            // A hook need not read its input.
            let _ = stdin.write_all(input.as_bytes()).await;
            let _ = stdin.shutdown().await;
        }
    };
    let (exit, (), _, said) = tokio::join!(program.wait(), write, beginning(stdout), beginning(stderr));
    (exit, clean(String::from_utf8_lossy(&said).trim(), SHORT))
}

/// The beginning of what a program writes; the rest is read and dropped, so that it never waits for us.
async fn beginning(stream: Option<Output>) -> Vec<u8> {
    let mut kept = Vec::new();
    let Some(mut stream) = stream else { return kept };
    let mut buffer = vec![0; 4 * 1024];
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        let room = KEPT.saturating_sub(kept.len()).min(count);
        kept.extend(buffer.iter().take(room));
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_is_read_as_the_kernel_does() {
        let read = |content: &str| {
            interpreter(content).map(|(program, argument)| {
                (program.into_string().unwrap(), argument.map(|argument| argument.into_string().unwrap()))
            })
        };
        assert_eq!(read("#!/bin/sh\nexit 0"), Some(("/bin/sh".into(), None)));
        assert_eq!(
            read("#! /usr/bin/env -S python3 -I\n"),
            Some(("/usr/bin/env".into(), Some("-S python3 -I".into())))
        );
        for wrong in ["", "exit 0", "#!", "#!  \n/bin/sh", "\n#!/bin/sh"] {
            assert_eq!(read(wrong), None, "{wrong:?}");
        }
    }
}

//! A home, a project and an environment for one test; sessions of shell lines in it; their output without what
//! differs from one run to the next.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::{BufRead, BufReader, Read as _},
    path::{Path, PathBuf},
    process::{Child, ChildStderr, ChildStdout, Command, Output, Stdio},
};

use regex::Regex;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// A script whose only answer calls no tool.
pub(crate) const HELLO: &str = "replies:\n  - text: Hello. There is nothing to do.\n";

/// A script that lists the project, writes a file, which is asked, and says what came of it.
pub(crate) const WRITES: &str = r#"
replies:
  - text: I look around.
    calls:
      - { label: list, tool: fs.list, arguments: { path: . } }
  - text: Now I write what I found.
    calls:
      - { label: note, tool: fs.write, arguments: { path: note.txt, content: "{{ task }}\n" } }
  - text: "{{ results.note.text }}"
"#;

const TESTER: &str = "---
name: tester
description: Does what its script says.
tools: [fs.read, fs.list, fs.write, shell.exec, human.ask]
masque:
  rules:
    - { tool: fs.write, effect: ask }
---
You do what you are told.
";

/// One user with one project.
pub(crate) struct Masque {
    root: TempDir,
    environment: BTreeMap<String, String>,
}

impl Masque {
    /// A project with a persona `tester` and a model that says hello.
    pub(crate) fn new() -> Self {
        let root = tempfile::Builder::new().prefix("masque-").tempdir().unwrap();
        let mut masque = Self { root, environment: BTreeMap::new() };
        let program = Path::new(env!("CARGO_BIN_EXE_masque")).parent().unwrap();
        masque.set("PATH", &format!("{}:/usr/local/bin:/usr/bin:/bin", program.display()));
        masque.set("HOME", &masque.path("user").display().to_string());
        masque.set("MASQUE_HOME", &masque.path("home").display().to_string());
        masque.set("USER", "tester");
        masque.set("NO_COLOR", "1");
        // What happens to run on this machine is not part of a test.
        masque.set("MASQUE_MODEL_PROBE_LOCAL", "off");
        masque.write("project/README.md", "# Sample\n\nTODO: say what this is.\n");
        masque.write("project/src/main.rs", "fn main() {\n    // TODO: greet somebody.\n    println!(\"hello\");\n}\n");
        masque.write("project/.agents/agents/tester.md", TESTER);
        masque.write("user/.gitconfig", "");
        masque.script(HELLO);
        masque
    }

    /// The same, with another script.
    pub(crate) fn with_script(yaml: &str) -> Self {
        let mut masque = Self::new();
        masque.script(yaml);
        masque
    }

    /// Makes this script the model of all runs that follow, and of runs that are resumed.
    pub(crate) fn script(&mut self, yaml: &str) {
        let file = self.write("script.yaml", yaml);
        self.set("MASQUE_MODEL_DEFAULT", &format!("scripted/{}", file.display()));
    }

    /// Sets a variable of the environment.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.environment.insert(name.to_owned(), value.to_owned());
    }

    /// Takes a variable out of the environment.
    pub(crate) fn unset(&mut self, name: &str) {
        self.environment.remove(name);
    }

    /// A path below the root: `project`, `home`, `user`.
    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.root.path().join(below)
    }

    /// Writes a file below the root, with its directories.
    pub(crate) fn write(&self, below: &str, content: &str) -> PathBuf {
        let path = self.path(below);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(&path, content).unwrap();
        path
    }

    /// What a file of the project holds.
    pub(crate) fn read(&self, below: &str) -> String {
        fs_err::read_to_string(self.path("project").join(below)).unwrap()
    }

    #[expect(clippy::disallowed_methods, reason = "the program under test is started as a user would")]
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.path("project")).env_clear().envs(&self.environment).stdin(Stdio::null());
        command
    }

    /// Runs one line in a shell. `apr_…` stands for the newest open question, `prp_…` for the newest open proposal.
    pub(crate) fn shell(&self, line: &str) -> Output {
        let line =
            if line.contains("apr_…") { line.replace("apr_…", &self.open_question()) } else { line.to_owned() };
        let line = if line.contains("prp_…") { line.replace("prp_…", &self.open_proposal()) } else { line };
        self.command("/bin/sh").args(["-c", &line]).output().unwrap()
    }

    fn open_question(&self) -> String {
        let open = self.json("masque approvals list --json");
        open[0]["id"].as_str().unwrap_or("none-is-open").to_owned()
    }

    fn open_proposal(&self) -> String {
        let open = self.json("masque standard proposals --json");
        open[0]["id"].as_str().unwrap_or("none-is-open").to_owned()
    }

    /// Runs one line that succeeds, and reads what it prints as JSON.
    pub(crate) fn json(&self, line: &str) -> Value {
        let output = self.shell(line);
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Runs lines in a shell, one by one, and writes down what they print. Standard error is marked with `!`; an exit
    /// code other than 0 stands in brackets.
    pub(crate) fn session(&self, lines: &str) -> String {
        let mut record = String::new();
        for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let output = self.shell(line);
            writeln!(record, "$ {line}").unwrap();
            record.push_str(&String::from_utf8_lossy(&output.stdout));
            for line in String::from_utf8_lossy(&output.stderr).lines() {
                writeln!(record, "! {line}").unwrap();
            }
            match output.status.code() {
                Some(0) => {}
                code => {
                    writeln!(record, "[exit {}]", code.map_or_else(|| "by a signal".into(), |code| code.to_string()))
                        .unwrap()
                }
            }
        }
        self.steady(&record)
    }

    /// Starts a command and leaves it running.
    pub(crate) fn start(&self, arguments: &[&str]) -> Running {
        let mut command = self.command(env!("CARGO_BIN_EXE_masque"));
        let child = command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        Running::new(child)
    }

    /// Runs a command whose standard output nobody reads: exit code and standard error.
    pub(crate) fn unread(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = self.command(env!("CARGO_BIN_EXE_masque"));
        let child = command.args(arguments).stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
        let output = child.wait_with_output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    }

    /// Output without ids, times, sizes and places of this one run. Ids keep their width where columns depend on it.
    pub(crate) fn steady(&self, text: &str) -> String {
        let mut text = text.to_owned();
        let root = self.root.path().canonicalize().unwrap();
        for place in ["project", "home", "user"] {
            text = text.replace(&root.join(place).display().to_string(), &format!("[{place}]"));
        }
        text = text.replace(&root.display().to_string(), "[root]");
        for prefix in ["run", "apr", "prp"] {
            text = numbered(&text, prefix);
        }
        for (pattern, replacement) in [
            (r"\b[0-9a-f]{64}\b", "[digest]"),
            (r#""[0-9a-f]{32}…"#, "\"[digest]…"),
            (r"(?m)^! $", "!"),
            (r"(bundled|\.md), [0-9a-f]{12}\)", "$1, [digest])"),
            (r"has now \([0-9a-f]{12}\)", "has now ([digest])"),
            (r"(?m)^( *\d+) +\d+\.\d{3}  ", "$1  [at]  "),
            (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", "[date]"),
            (r#"((?:cre|upd)ated_at: )"\d{4}-\d\d-\d\d""#, "$1[day]"),
            (r"(yes|no)  \d{4}-\d\d-\d\d ", "$1  [day]      "),
            (r", \d{4}-\d\d-\d\d\n", ", [day]\n"),
            (r"\b[\d,]+ tokens", "[n] tokens"),
            (r"\b(\d+ m )?\d+(\.\d)? (ms|s)\b", "[time]"),
            (r"  \d+[sm] {1,3}(\S)", "  [s]  $1"),
            (r#""(\w+_tokens|at|\w+_at|\w+_ms|worker|deadline)":("[^"]*"|\d+)"#, r#""$1":"#),
        ] {
            text = Regex::new(pattern).unwrap().replace_all(&text, replacement).into_owned();
        }
        text
    }
}

/// Ids as `run_1`, `run_2`, … in the order of their appearance; in tables as wide as before.
fn numbered(text: &str, prefix: &str) -> String {
    let mut seen: Vec<String> = Vec::new();
    let pattern = Regex::new(&format!("({prefix}_[0-9a-z]{{26}})(  )?")).unwrap();
    let number = |captures: &regex::Captures<'_>| {
        let id = captures[1].to_owned();
        let place = seen.iter().position(|known| *known == id).unwrap_or_else(|| {
            seen.push(id);
            seen.len() - 1
        });
        let short = format!("{prefix}_{}", place + 1);
        if captures.get(2).is_some() { format!("{short:<30}  ") } else { short }
    };
    pattern.replace_all(text, number).into_owned()
}

/// A command that was started; killed when this is dropped.
pub(crate) struct Running {
    child: Child,
    output: BufReader<ChildStdout>,
    errors: BufReader<ChildStderr>,
}

impl Running {
    fn new(mut child: Child) -> Self {
        let output = BufReader::new(child.stdout.take().unwrap());
        let errors = BufReader::new(child.stderr.take().unwrap());
        Self { child, output, errors }
    }

    /// Waits for a line of standard output that holds this text.
    pub(crate) fn await_output(&mut self, text: &str) -> String {
        await_line(&mut self.output, text)
    }

    /// Waits for a line of standard error that holds this text.
    pub(crate) fn await_error(&mut self, text: &str) -> String {
        await_line(&mut self.errors, text)
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let id = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(id, signal).unwrap();
    }

    /// Waits for the end: exit code, none after a signal, and the rest of both outputs.
    pub(crate) fn end(mut self) -> (Option<i32>, String, String) {
        let (mut output, mut errors) = (String::new(), String::new());
        self.output.read_to_string(&mut output).unwrap();
        self.errors.read_to_string(&mut errors).unwrap();
        (self.child.wait().unwrap().code(), output, errors)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _it_ended_already = self.child.kill();
        let _it_was_waited_for_already = self.child.wait();
    }
}

fn await_line(source: &mut impl BufRead, text: &str) -> String {
    let mut before = String::new();
    for line in source.lines() {
        let line = line.unwrap();
        if line.contains(text) {
            return line;
        }
        before.push_str(&line);
        before.push('\n');
    }
    panic!("it ended without `{text}`:\n{before}");
}

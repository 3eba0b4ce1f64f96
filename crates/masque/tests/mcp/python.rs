//! The official Python SDK as a client, through the whole flow, over both transports and in both eras.

use std::path::PathBuf;

use crate::support::{Stage, can_confine, finished};

const FLOW: &str = include_str!("flow.py");

/// A Python with the MCP SDK; without one the test is passed over, and must not be where all tests count.
#[expect(clippy::disallowed_methods, reason = "tests learn from the environment which Python they may use")]
fn python() -> Option<PathBuf> {
    let python = std::env::var_os("MASQUE_TEST_MCP_PYTHON").map(PathBuf::from);
    if python.is_none() {
        assert!(option_env!("CI").is_none(), "MASQUE_TEST_MCP_PYTHON names no Python with the package `mcp`");
        println!("skipped: MASQUE_TEST_MCP_PYTHON names no Python with the package `mcp`; `make test` sets it");
    }
    python.filter(|_| can_confine())
}

#[track_caller]
fn flows(stage: &Stage, python: &std::path::Path, arguments: &[&str]) {
    let script = stage.write("flow.py", FLOW);
    let mut all = vec!["300".to_owned(), python.display().to_string(), script.display().to_string()];
    all.push(env!("CARGO_BIN_EXE_masque").to_owned());
    all.extend(arguments.iter().map(ToString::to_string));
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    let done = finished(stage.prepared("timeout", &all).spawn().unwrap());
    assert_eq!(done.code, Some(0), "{}\n{}", done.stdout, done.stderr);
    assert!(done.stdout.ends_with("the flow is complete\n"), "{}\n{}", done.stdout, done.stderr);
}

#[test]
fn the_whole_flow_over_standard_streams_in_the_newer_protocol() {
    let Some(python) = python() else { return };
    flows(&Stage::new("The review is done."), &python, &["auto", "stdio"]);
}

#[test]
fn the_whole_flow_over_standard_streams_in_the_older_protocol() {
    let Some(python) = python() else { return };
    flows(&Stage::new("The review is done."), &python, &["legacy", "stdio"]);
}

#[test]
fn the_whole_flow_over_http_in_both_eras() {
    let Some(python) = python() else { return };
    for era in ["auto", "legacy"] {
        let stage = Stage::new("The review is done.");
        let token = stage.token("ada");
        let server = stage.listen(&[]);
        flows(&stage, &python, &[era, &format!("http://{}/mcp", server.address), &token]);
        assert_eq!(server.stop().0, Some(0));
    }
}

//! Two personas at the same time: neither sees anything of the other.

use std::{collections::BTreeMap, path::PathBuf};

use masque_sandbox::{LandlockUse, Launcher};
use masque_types::{
    persona::{McpServer, McpTransport, Persona},
    policy::Policy,
    run::SandboxMode,
};
use serde_json::json;

use crate::{
    border::can_broker,
    environment::{Stage, modes, persona, strange},
    support::text,
};

#[tokio::test(flavor = "multi_thread")]
async fn two_personas_see_neither_files_nor_processes_nor_networks_of_each_other() {
    let launcher = Launcher::detect(LandlockUse::IfPresent);
    if !can_broker(&launcher) {
        return;
    }
    let mut persona = persona([("s", strange("normal"))]);
    persona.sandbox.hosts = vec!["one.example.org:443".into()];
    let policy = Policy::default();
    let (one, two) = futures::join!(
        Stage::new(&launcher, SandboxMode::Process, &persona, &policy),
        Stage::new(&launcher, SandboxMode::Process, &persona, &policy)
    );
    let place = one.workspace.path().canonicalize().unwrap();
    one.call("fs.write", json!({"path": "mine", "content": "CANARY"})).await;
    // The first one keeps a server on its loopback, and another on a socket with an abstract name.
    let serve = "import socket, sys, time
s = socket.create_server((\"127.0.0.1\", 4711))
open(\"up\", \"w\").close()
while True:
    s.accept()[0].close()";
    let serving = format!("/usr/bin/python3 -c '{serve}' & while [ ! -e up ]; do sleep 0.02; done; sleep 1000");
    let hold = async { one.call("shell.exec", json!({"command": serving, "timeout_s": 1000})).await };
    let look = async {
        while !place.join("up").exists() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        let connect = "/usr/bin/python3 -c 'import socket; socket.create_connection((\"127.0.0.1\", 4711), 3)' 2>&1";
        let inside = one.shell(&format!("{connect}; echo reached")).await;
        let outside = two.shell(connect).await;
        let files = two.shell(&format!("cat {0}/mine; ls {0}", place.display())).await;
        let root = two.shell(&format!("cat /proc/*/root{}/mine", place.display())).await;
        let processes = two.shell("cat /proc/[0-9]*/cmdline | tr '\\0' ' '").await;
        (inside, outside, files, root, processes)
    };
    tokio::pin!(hold);
    let (inside, outside, files, root, processes) = tokio::select! {
        looked = look => looked,
        held = &mut hold => panic!("it ended: {}", text(&held)),
    };
    assert!(inside.contains("reached") && !inside.contains("refused"), "{inside}");
    assert!(outside.contains("rror"), "{outside}");
    assert!(!files.contains("CANARY") && !root.contains("CANARY"), "{files}{root}");
    assert!(!processes.contains("4711"), "{processes}");
    two.environment.close().await;
    one.environment.close().await;
}

/// A server of the npm registry, when it is installed.
fn npm(package: &str, args: &[String]) -> Option<McpServer> {
    #[expect(clippy::disallowed_methods, reason = "tests learn from the environment where the packages are")]
    let modules = std::env::var_os("MASQUE_TEST_MCP_NODE").map(PathBuf::from);
    let Some(modules) = modules else {
        assert!(option_env!("CI").is_none(), "MASQUE_TEST_MCP_NODE names no node_modules with MCP servers");
        println!("skipped: MASQUE_TEST_MCP_NODE names no node_modules with MCP servers; `make test` sets it");
        return None;
    };
    let program = modules.join("@modelcontextprotocol").join(package).join("dist/index.js");
    let args = [program.display().to_string()].into_iter().chain(args.iter().cloned()).collect();
    let transport = McpTransport::Stdio { command: "/usr/bin/node".into(), args, env: BTreeMap::new() };
    Some(McpServer { transport, ..strange("") })
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_of_npm_run_in_two_personas_at_once() {
    let launcher = Launcher::detect(LandlockUse::IfPresent);
    if !modes(&launcher).contains(&SandboxMode::Process) {
        return;
    }
    let start = async |mark: &str| {
        let workspace = tempfile::tempdir().unwrap();
        let place = workspace.path().canonicalize().unwrap().display().to_string();
        fs_err::write(workspace.path().join("mark.txt"), mark).unwrap();
        let servers = [("everything", npm("server-everything", &[])?), ("files", npm("server-filesystem", &[place])?)];
        let mut persona: Persona = persona(servers);
        #[expect(clippy::disallowed_methods, reason = "as above")]
        persona.sandbox.ro.extend(std::env::var("MASQUE_TEST_MCP_NODE"));
        let policy = Policy::default();
        let stage = Stage::inside(workspace, &launcher, SandboxMode::Process, &persona, &policy, |_| {}).await;
        Some(stage.unwrap())
    };
    let (Some(one), Some(two)) = futures::join!(start("of the first"), start("of the second")) else { return };
    for stage in [&one, &two] {
        assert!(stage.diagnostics.is_empty(), "{:?}", stage.diagnostics);
        let echo = text(&stage.call("mcp:everything/echo", json!({"message": "hello"})).await);
        assert!(echo.contains("hello"), "{echo}");
    }
    let file = |stage: &Stage| stage.workspace.path().canonicalize().unwrap().join("mark.txt").display().to_string();
    let read = |path: String| json!({ "path": path });
    let own = text(&one.call("mcp:files/read_text_file", read(file(&one))).await);
    assert!(own.contains("of the first"), "{own}");
    let foreign = one.call("mcp:files/read_text_file", read(file(&two))).await;
    assert!(foreign.is_error && !text(&foreign).contains("of the second"), "{}", text(&foreign));
    let escape = one.call("mcp:files/read_text_file", read("/etc/passwd".into())).await;
    assert!(escape.is_error, "{}", text(&escape));
    futures::join!(one.environment.close(), two.environment.close());
}

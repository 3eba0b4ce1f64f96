//! Whole environments: the tool server and strange MCP servers, in the sandbox and without one.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use masque_sandbox::{LandlockUse, Launcher, State};
use masque_tools::{
    environment::{Border, Environment, EnvironmentSpec},
    host::{HostTool, fetch, result},
};
use masque_types::{
    BoxFuture,
    diagnostic::Diagnostic,
    digest::Digest,
    id::RunId,
    persona::{McpServer, McpTransport, Persona, SandboxSpec},
    policy::{Policy, Rule, ToolSelection, Verdict},
    run::SandboxMode,
    tool::{EffectClass, ProbeAnswer, ToolOutput, ToolSpec, Toolbox as _},
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{invocation, text};

/// An example of this crate, which `cargo test` builds beside the tests.
pub(crate) fn example(name: &str) -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let path = tests.parent().and_then(Path::parent).unwrap().join("examples").join(name);
    assert!(path.exists(), "{} is missing: run all tests of the crate, not one target", path.display());
    path
}

/// The ways to confine that this machine has.
pub(crate) fn modes(launcher: &Launcher) -> Vec<SandboxMode> {
    let missing: Vec<_> = launcher
        .mechanisms()
        .into_iter()
        .filter(|mechanism| mechanism.required && matches!(mechanism.state, State::Missing(_)))
        .collect();
    if missing.is_empty() {
        return vec![SandboxMode::None, SandboxMode::Process];
    }
    assert!(option_env!("CI").is_none(), "the sandbox cannot be enforced here: {missing:?}");
    println!("skipped in the sandbox: {missing:?}");
    vec![SandboxMode::None]
}

pub(crate) fn strange(argument: &str) -> McpServer {
    McpServer {
        timeout: Duration::from_secs(20),
        ..McpServer::new(McpTransport::Stdio {
            command: example("strange_server").display().to_string(),
            args: vec![argument.to_owned()],
            env: BTreeMap::from([("OWN".to_owned(), "1".to_owned())]),
        })
    }
}

pub(crate) fn persona(servers: impl IntoIterator<Item = (&'static str, McpServer)>) -> Persona {
    Persona {
        mcp_servers: servers.into_iter().map(|(name, server)| (name.to_owned(), server)).collect(),
        sandbox: SandboxSpec { ro: vec![example("strange_server").display().to_string()], ..SandboxSpec::default() },
        ..Persona::new("tester")
    }
}

pub(crate) struct Stage {
    pub(crate) workspace: TempDir,
    pub(crate) environment: Environment,
    pub(crate) diagnostics: Vec<Diagnostic>,
}

impl Stage {
    pub(crate) async fn new(launcher: &Launcher, mode: SandboxMode, persona: &Persona, policy: &Policy) -> Self {
        Self::with(launcher, mode, persona, policy, |_| {}).await
    }

    async fn resumed(
        launcher: &Launcher,
        mode: SandboxMode,
        persona: &Persona,
        policy: &Policy,
        pinned: Option<&[ToolSpec]>,
    ) -> Self {
        Self::with(launcher, mode, persona, policy, |spec| spec.pinned = pinned).await
    }

    pub(crate) async fn with<'a>(
        launcher: &Launcher,
        mode: SandboxMode,
        persona: &'a Persona,
        policy: &'a Policy,
        adjust: impl FnOnce(&mut EnvironmentSpec<'a>),
    ) -> Self {
        Self::inside(tempfile::tempdir().unwrap(), launcher, mode, persona, policy, adjust).await.unwrap()
    }

    pub(crate) async fn inside<'a>(
        workspace: TempDir,
        launcher: &Launcher,
        mode: SandboxMode,
        persona: &'a Persona,
        policy: &'a Policy,
        adjust: impl FnOnce(&mut EnvironmentSpec<'a>),
    ) -> Result<Self, masque_tools::Error> {
        let mut spec = EnvironmentSpec {
            run: RunId::from_uuid(uuid::Uuid::nil()),
            persona,
            policy,
            workspace: workspace.path().to_path_buf(),
            mode,
            launcher: launcher.clone(),
            masque: example("tool_server"),
            private: Vec::new(),
            discovery: None,
            host_tools: vec![Arc::new(fetch::WebFetch::new(fetch::FetchLimits::default()))],
            pinned: None,
            secrets: Vec::new(),
            border: Border::standard(Arc::new(|_| {})),
            hook_limit: Duration::from_secs(60),
            containers: None,
            cache: None,
            logins: None,
        };
        adjust(&mut spec);
        let (environment, diagnostics) = Environment::start(spec).await?;
        Ok(Self { workspace, environment, diagnostics })
    }

    pub(crate) async fn call(&self, tool: &str, arguments: Value) -> ToolOutput {
        self.environment.call(&invocation(tool, arguments)).await
    }

    /// What a shell command in the persona's sandbox prints.
    pub(crate) async fn shell(&self, command: &str) -> String {
        text(&self.call("shell.exec", json!({ "command": command })).await)
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.environment.specs().iter().map(|spec| spec.name.clone()).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tool_server_works_confined_and_unconfined() {
    let launcher = Launcher::detect(LandlockUse::IfPresent);
    for mode in modes(&launcher) {
        let mut persona = persona([]);
        persona.sandbox.rw = Some(vec!["data/out".into()]);
        let stage = Stage::new(&launcher, mode, &persona, &Policy::default()).await;
        assert!(stage.diagnostics.is_empty(), "{:?}", stage.diagnostics);
        let all = [
            "fs.edit",
            "fs.glob",
            "fs.list",
            "fs.read",
            "fs.search",
            "fs.write",
            "human.ask",
            "shell.exec",
            "web.fetch",
        ];
        assert_eq!(stage.names(), all);
        let written = stage.call("fs.write", json!({"path": "data/out/f", "content": "a = 1\n"})).await;
        assert!(!written.is_error, "{mode:?}: {}", text(&written));
        let edit = invocation("fs.edit", json!({"path": "data/out/f", "old": "a = 1", "new": "a = 2"}));
        assert_eq!(stage.environment.probe(&edit).await, ProbeAnswer::DidNotHappen);
        assert!(!stage.environment.call(&edit).await.is_error);
        assert!(matches!(stage.environment.probe(&edit).await, ProbeAnswer::Happened(_)));
        assert_eq!(fs_err::read_to_string(stage.workspace.path().join("data/out/f")).unwrap(), "a = 2\n");
        assert!(stage.call("fs.write", json!({"path": "other", "content": ""})).await.is_error);
        let shell = invocation("shell.exec", json!({"command": "cat data/out/f; env"}));
        assert_eq!(stage.environment.probe(&shell).await, ProbeAnswer::Unknown, "nobody knows, and it was not run");
        let output = text(&stage.environment.call(&shell).await);
        assert!(output.contains("a = 2") && !output.contains("CARGO"), "{mode:?}: {output}");
        assert!(stage.call("result.read", json!({})).await.is_error);
        stage.environment.close().await;
        assert!(text(&stage.call("fs.read", json!({"path": "data/out/f"})).await).contains("closed"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_detached_program_does_not_outlive_its_call() {
    let launcher = Launcher::detect(LandlockUse::IfPresent);
    for mode in modes(&launcher) {
        let stage = Stage::new(&launcher, mode, &persona([]), &Policy::default()).await;
        let command = "setsid sh -c 'setsid sh -c \"while :; do echo x >> beat; sleep 0.01; done\" &' >/dev/null 2>&1; \
                       while [ ! -s beat ]; do sleep 0.01; done";
        let output = stage.call("shell.exec", json!({"command": command})).await;
        assert!(!output.is_error, "{mode:?}: {}", text(&output));
        let list = stage
            .call("shell.exec", json!({"command": "cat /proc/[0-9]*/cmdline | tr '\\0' ' ' | grep -c 'x >> [b]eat'"}))
            .await;
        // Without a sandbox other tests run beside this one, so only the sandbox shows all processes there are.
        if mode == SandboxMode::Process {
            assert!(text(&list).contains("stdout:\n0"), "{}", text(&list));
        }
        let before = fs_err::metadata(stage.workspace.path().join("beat")).unwrap().len();
        stage.call("shell.exec", json!({"command": "sleep 0.2"})).await;
        assert_eq!(fs_err::metadata(stage.workspace.path().join("beat")).unwrap().len(), before, "{mode:?}");
        stage.environment.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_fail_are_absent_and_the_others_work() {
    let launcher = Launcher::detect(LandlockUse::IfPresent);
    for mode in modes(&launcher) {
        let mut silent = strange("silent");
        silent.timeout = Duration::from_millis(300);
        let missing = McpServer {
            transport: McpTransport::Stdio { command: "no-such-program".into(), args: vec![], env: BTreeMap::new() },
            ..strange("")
        };
        let web = McpServer {
            transport: McpTransport::Http { url: "http://127.0.0.1:1/mcp".into(), headers: BTreeMap::new() },
            ..strange("")
        };
        let mut good = strange("normal");
        good.tools = Some(vec!["e*".into(), "hang".into()]);
        good.effects = BTreeMap::from([("echo".into(), EffectClass::Pure)]);
        let persona = persona([
            ("fails", strange("fails")),
            ("good", good),
            ("missing", missing),
            ("silent", silent),
            ("web", web),
        ]);
        let policy = Policy { rules: vec![Rule::new("mcp:good/hang", Verdict::Deny)], ..Policy::default() };
        let stage = Stage::new(&launcher, mode, &persona, &policy).await;
        let found: Vec<String> = stage.diagnostics.iter().map(ToString::to_string).collect();
        assert_eq!(found.len(), 4, "{found:#?}");
        for (text, expected) in
            found.iter().zip(["no licence found", "no-such-program", "within 300 ms", "`web` did not start"])
        {
            assert!(text.contains(expected), "{mode:?}: {found:#?}");
        }
        let names = stage.names();
        let listed: Vec<_> = names.iter().filter(|name| name.starts_with("mcp:")).collect();
        assert_eq!(listed, ["mcp:good/echo", "mcp:good/environment"]);
        let specs = stage.environment.specs();
        let echo = specs.iter().find(|spec| spec.name == "mcp:good/echo").unwrap();
        assert_eq!((echo.description.as_str(), echo.effect), ("says it back", EffectClass::Pure));
        let said = stage.call("mcp:good/echo", json!({"a": [1]})).await;
        assert_eq!(text(&said), "{\"a\":[1]} \"key-1\"");
        let variables = text(&stage.call("mcp:good/environment", json!({})).await);
        assert!(variables.contains("OWN ") && !variables.contains("CARGO"), "{variables}");
        for filtered in ["mcp:good/secret", "mcp:good/hang", "mcp:good/crash", "mcp:fails/echo"] {
            let refused = stage.call(filtered, json!({})).await;
            assert!(refused.is_error && text(&refused).contains("no tool"), "{}", text(&refused));
        }
        stage.environment.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_crashes_is_started_again_but_not_trusted_when_it_changed() {
    let launcher = Launcher::detect(LandlockUse::IfPresent);
    for mode in modes(&launcher) {
        let mut server = strange("normal");
        server.timeout = Duration::from_secs(5);
        let persona = persona([("s", server)]);
        let stage = Stage::new(&launcher, mode, &persona, &Policy::default()).await;
        let crashed = stage.call("mcp:s/crash", json!({})).await;
        assert!(crashed.is_error && text(&crashed).contains("about to crash"), "{mode:?}: {}", text(&crashed));
        assert_eq!(text(&stage.call("mcp:s/echo", json!({"b": 2})).await), "{\"b\":2} \"key-1\"");
        fs_err::write(stage.workspace.path().join("switched"), "").unwrap();
        stage.call("mcp:s/crash", json!({})).await;
        let switched = stage.call("mcp:s/echo", json!({"b": 2})).await;
        assert!(switched.is_error && text(&switched).contains("not what it was"), "{}", text(&switched));
        assert!(!stage.call("mcp:s/environment", json!({})).await.is_error, "its other tools are the same");
        for _ in 0..4 {
            stage.call("mcp:s/crash", json!({})).await;
        }
        let given_up = stage.call("mcp:s/environment", json!({})).await;
        assert!(text(&given_up).contains("not started again"), "{}", text(&given_up));
        stage.environment.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_hangs_ends_with_its_limit() {
    let launcher = Launcher::detect(LandlockUse::IfPresent);
    let mut server = strange("normal");
    server.timeout = Duration::from_secs(4);
    let persona = persona([("s", server)]);
    let stage = Stage::new(&launcher, SandboxMode::None, &persona, &Policy::default()).await;
    let hung = stage.call("mcp:s/hang", json!({})).await;
    assert!(hung.is_error && text(&hung).contains("no answer within 4000 ms"), "{}", text(&hung));
    assert!(!stage.call("mcp:s/echo", json!({})).await.is_error, "the server itself goes on");
    stage.environment.close().await;
}

/// A server over HTTP in the plainest form: each request gets one JSON answer, and only with the persona's header.
async fn plain_http(
    headers: axum::http::HeaderMap,
    axum::Json(request): axum::Json<Value>,
) -> axum::response::Response {
    use axum::response::IntoResponse as _;
    if headers.get("x-key").is_none_or(|key| key != "k") {
        return axum::http::StatusCode::UNAUTHORIZED.into_response();
    }
    let result = match request["method"].as_str().unwrap() {
        "initialize" => json!({
            "protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": {"name": "p", "version": "1"},
        }),
        "tools/list" => json!({"tools": [
            {"name": "add", "description": "adds", "inputSchema": {"type": "object"}, "annotations": {"readOnlyHint": true}},
        ]}),
        "tools/call" => json!({"content": [], "structuredContent": request["params"]["arguments"]}),
        _ if request.get("id").is_some() => {
            let error = json!({ "code": -32601, "message": "no such method" });
            return axum::Json(json!({"jsonrpc": "2.0", "id": request["id"], "error": error})).into_response();
        }
        _ => return axum::http::StatusCode::ACCEPTED.into_response(),
    };
    axum::Json(json!({"jsonrpc": "2.0", "id": request["id"], "result": result})).into_response()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_over_http_is_called_with_the_headers_of_the_file() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    let mut server = tokio::task::JoinSet::new();
    let app = axum::Router::new().route("/mcp", axum::routing::post(plain_http));
    server.spawn(async move { axum::serve(listener, app).await.unwrap() });
    let with = |key: &str| McpServer {
        transport: McpTransport::Http {
            url: url.clone(),
            headers: BTreeMap::from([("X-Key".to_owned(), key.to_owned())]),
        },
        ..strange("")
    };
    let launcher = Launcher::detect(LandlockUse::IfPresent);
    let policy = Policy { tools: ToolSelection::Only(vec!["mcp:*".into()]), ..Policy::default() };
    let persona = persona([("right", with("k")), ("wrong", with("SECRET"))]);
    let stage = Stage::new(&launcher, SandboxMode::None, &persona, &policy).await;
    assert_eq!(stage.names(), ["mcp:right/add"]);
    let specs = stage.environment.specs();
    assert_eq!((specs[0].effect, specs[0].place), (EffectClass::Pure, masque_types::tool::Place::Remote));
    let failed = stage.diagnostics[0].to_string();
    assert!(stage.diagnostics.len() == 1 && failed.contains("`wrong`") && !failed.contains("SECRET"), "{failed}");
    let added = stage.call("mcp:right/add", json!({"a": 1})).await;
    assert_eq!(text(&added), "{\n  \"a\": 1\n}");
    stage.environment.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resumed_run_gets_only_the_tools_that_it_had() {
    let launcher = Launcher::detect(LandlockUse::IfPresent);
    let mut pinned = masque_tools::builtin_specs();
    pinned.retain(|spec| spec.name != "fs.glob");
    for spec in &mut pinned {
        if spec.name == "shell.exec" {
            spec.description.push_str(" changed");
        }
    }
    let stage = Stage::resumed(&launcher, SandboxMode::None, &persona([]), &Policy::default(), Some(&pinned)).await;
    assert!(!stage.names().iter().any(|name| name == "fs.glob" || name == "shell.exec"));
    assert_eq!(stage.diagnostics.len(), 2);
    let changed = stage.call("shell.exec", json!({"command": "true"})).await;
    assert!(changed.is_error && text(&changed).contains("not what it was"));
    let absent = stage.call("result.read", json!({})).await;
    assert!(text(&absent).contains("not any more"), "{}", text(&absent));
    stage.environment.close().await;
}

/// A server written by others, when a virtual environment with it is there.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_of_the_python_sdk_is_understood() {
    #[expect(clippy::disallowed_methods, reason = "tests learn from the environment which Python they may use")]
    let python = std::env::var_os("MASQUE_TEST_MCP_PYTHON").map(std::path::PathBuf::from);
    let Some(python) = python else {
        assert!(option_env!("CI").is_none(), "MASQUE_TEST_MCP_PYTHON names no Python with the package `mcp`");
        println!("skipped: MASQUE_TEST_MCP_PYTHON names no Python with the package `mcp`; `make test` sets it");
        return;
    };
    // The class was renamed in the second version.
    let script = "try:\n from mcp.server.mcpserver import MCPServer as S\nexcept ImportError:\n from \
                  mcp.server.fastmcp import FastMCP as S\ns = S('p')\n@s.tool()\ndef add(a: int, b: int) -> int:\n \
                  'adds'\n return a + b\ns.run()\n";
    let server = McpServer {
        transport: McpTransport::Stdio {
            command: python.display().to_string(),
            args: vec!["-c".into(), script.into()],
            env: BTreeMap::new(),
        },
        ..strange("")
    };
    let launcher = Launcher::detect(LandlockUse::IfPresent);
    let stage = Stage::new(&launcher, SandboxMode::None, &persona([("py", server)]), &Policy::default()).await;
    assert!(stage.diagnostics.is_empty(), "{:?}", stage.diagnostics);
    assert_eq!(text(&stage.call("mcp:py/add", json!({"a": 2, "b": 3})).await), "5");
    let wrong = stage.call("mcp:py/add", json!({"a": "x"})).await;
    assert!(wrong.is_error && text(&wrong).contains("validation"), "{}", text(&wrong));
    stage.environment.close().await;
}

struct OneResult(Vec<u8>);

impl result::ResultReader for OneResult {
    fn read(&self, _: RunId, digest: Digest) -> BoxFuture<'_, Result<Option<Vec<u8>>, String>> {
        Box::pin(async move { Ok((digest == Digest::of(&self.0)).then(|| self.0.clone())) })
    }
}

#[tokio::test]
async fn stored_results_are_read_on_by_lines() {
    for (stored, expected) in [(b"one\ntwo\nthree".to_vec(), "two\n"), (b"1\n2\n3\n".to_vec(), "2\n")] {
        let digest = Digest::of(&stored).to_string();
        let tool = result::ResultRead::new(Arc::new(OneResult(stored)));
        let read = |digest: String| json!({"digest": digest, "offset_line": 2, "lines": 1});
        let output = tool.call(&invocation("result.read", read(digest))).await;
        assert_eq!(text(&output), format!("{expected}[lines 2-2 of 3; read on with offset_line=3]"));
        for wrong in ["x".to_owned(), "0".repeat(64)] {
            assert!(tool.call(&invocation("result.read", read(wrong))).await.is_error);
        }
    }
}

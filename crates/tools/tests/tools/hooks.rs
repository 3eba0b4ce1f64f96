//! Hooks: what a guard lets through, what it blocks, and what hooks can touch.

use std::time::Duration;

use masque_sandbox::{LandlockUse, Launcher};
use masque_types::{
    persona::{Hook, Hooks, Persona},
    policy::Policy,
    run::SandboxMode,
};
use serde_json::{Value, json};

use crate::{
    environment::{Stage, modes, persona},
    support::text,
};

fn hook(content: &str) -> Option<Hook> {
    Some(Hook { path: "hooks/test".into(), content: content.into() })
}

fn with(hooks: Hooks) -> Persona {
    Persona { hooks, ..persona([]) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guard_stands_before_every_call_and_sees_what_is_called() {
    let launcher = Launcher::detect(LandlockUse::IfPresent);
    // It reads its input, blocks by the arguments, and tries to write.
    let guard = "#!/bin/sh\ninput=$(cat)\n(echo spoiled > mark) 2>/dev/null && echo 'it can write' >&2 && exit 2\n\
                 case $input in *forbidden*) echo \"no: $input\" >&2; exit 2;; esac\nexit 0\n";
    let persona = with(Hooks { pre_tool_use: hook(guard), ..Hooks::default() });
    for mode in modes(&launcher).into_iter().filter(|mode| *mode == SandboxMode::Process) {
        let stage = Stage::new(&launcher, mode, &persona, &Policy::default()).await;
        assert!(stage.diagnostics.is_empty(), "{:?}", stage.diagnostics);
        let fine = stage.call("fs.write", json!({"path": "f", "content": "1"})).await;
        assert!(!fine.is_error, "{}", text(&fine));
        let blocked = stage.call("fs.write", json!({"path": "forbidden", "content": "1"})).await;
        let reason = text(&blocked);
        assert!(blocked.is_error && reason.contains("blocked by a hook of the persona: no: "), "{reason}");
        let told: Value = serde_json::from_str(reason.split_once("no: ").unwrap().1).unwrap();
        assert_eq!(
            (&told["event"], &told["tool"], &told["persona"], &told["arguments"]["path"]),
            (&json!("pre_tool_use"), &json!("fs.write"), &json!("tester"), &json!("forbidden"))
        );
        assert!(!stage.workspace.path().join("forbidden").exists());
        // Tools inside Masque are guarded as well.
        let fetch = stage.call("web.fetch", json!({"url": "http://forbidden.example/"})).await;
        assert!(text(&fetch).contains("blocked by a hook"), "{}", text(&fetch));
        assert!(!stage.workspace.path().join("mark").exists(), "hooks cannot write");
        stage.environment.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guard_that_does_not_say_yes_blocks() {
    let launcher = Launcher::detect(LandlockUse::IfPresent);
    for (content, expected) in [
        ("#!/bin/sh\necho broken >&2\nexit 3\n", "code 3 broken"),
        ("#!/bin/sh\nkill -9 $$\n", "signal 9"),
        ("#!/no/such/program\n", "/no/such/program"),
        ("#!/bin/sh\nexit 2\n", "no reason was given"),
        ("#!/bin/sh\nexec sleep 1000\n", "did not end within 500 ms"),
    ] {
        let persona = with(Hooks { pre_tool_use: hook(content), ..Hooks::default() });
        let limit = if expected.contains("500") { Duration::from_millis(500) } else { Duration::from_secs(60) };
        let adjust = |spec: &mut masque_tools::environment::EnvironmentSpec<'_>| spec.hook_limit = limit;
        for mode in modes(&launcher) {
            let stage = Stage::with(&launcher, mode, &persona, &Policy::default(), adjust).await;
            let blocked = stage.call("fs.write", json!({"path": "f", "content": "1"})).await;
            assert!(blocked.is_error && text(&blocked).contains(expected), "{mode:?}: {}", text(&blocked));
            assert!(!stage.workspace.path().join("f").exists());
            stage.environment.close().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hooks_are_told_of_the_life_of_the_environment() {
    let launcher = Launcher::detect(LandlockUse::Off);
    // Without a sandbox hooks can write, so that the test sees what they were told.
    let keep = |name: &str| hook(&format!("#!/bin/sh\ncat > {name}.json\n"));
    let persona = with(Hooks {
        on_activate: hook("#!/bin/sh\ncat > activate.json\necho 'not today' >&2\nexit 7\n"),
        pre_tool_use: keep("pre"),
        post_tool_use: keep("post"),
        on_deactivate: keep("deactivate"),
    });
    let stage = Stage::new(&launcher, SandboxMode::None, &persona, &Policy::default()).await;
    let found = stage.diagnostics.iter().map(ToString::to_string).collect::<String>();
    assert!(found.contains("on_activate failed") && found.contains("not today"), "{found}");
    assert!(!stage.call("fs.list", json!({"path": "."})).await.is_error);
    stage.environment.close().await;
    let told = |name: &str| -> Value {
        let file = stage.workspace.path().join(format!("{name}.json"));
        serde_json::from_str(&fs_err::read_to_string(file).unwrap()).unwrap()
    };
    assert_eq!(told("activate")["event"], "on_activate");
    assert_eq!(told("pre")["tool"], "fs.list");
    assert!(told("post")["result"]["text"].as_str().unwrap().contains("pre.json"), "{}", told("post"));
    assert_eq!(told("post")["result"]["is_error"], false);
    assert_eq!(told("deactivate")["run"], told("pre")["run"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_without_interpreter_is_an_error_of_the_environment() {
    let launcher = Launcher::detect(LandlockUse::Off);
    let persona = with(Hooks { pre_tool_use: hook("exit 0\n"), ..Hooks::default() });
    let workspace = tempfile::tempdir().unwrap();
    let started = Stage::inside(workspace, &launcher, SandboxMode::None, &persona, &Policy::default(), |_| {}).await;
    assert!(started.err().unwrap().to_string().contains("`#!`"));
}

//! The extension `io.modelcontextprotocol/tasks` over the rows of jobs.

use std::time::Instant;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::{GUARD, Stage, Streams, can_confine, modern};

fn with_tasks(params: Value) -> Value {
    modern(params, &json!({ "extensions": { "io.modelcontextprotocol/tasks": {} } }))
}

fn until(server: &mut Streams, task: &str, wanted: &str) -> Value {
    let start = Instant::now();
    loop {
        let seen = server.ask("tasks/get", &with_tasks(json!({ "taskId": task })))["result"].clone();
        if seen["status"] == wanted {
            return seen;
        }
        assert!(start.elapsed() < GUARD, "{seen:#}");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

#[test]
fn a_client_with_the_extension_gets_a_task_that_outlives_the_server() {
    if !can_confine() {
        return;
    }
    let stage = Stage::new("all is well");
    let mut server = stage.serve(&[]);
    let call = json!({ "name": "invoke_security", "arguments": { "task": "look" } });
    let created = server.ask("tools/call", &with_tasks(call.clone()))["result"].clone();
    assert_eq!((&created["resultType"], &created["status"]), (&json!("task"), &json!("working")), "{created:#}");
    let task = created["taskId"].as_str().unwrap().to_owned();
    assert!(task.starts_with("run_") && created["pollIntervalMs"].is_u64(), "{created:#}");
    assert!(created["ttlMs"].is_u64() || created["ttlMs"].is_null(), "{created:#}");
    server.signal(Signal::KILL);
    server.wait();
    let mut next = stage.serve(&[]);
    let ended = until(&mut next, &task, "completed");
    assert_eq!(ended["resultType"], "complete");
    assert_eq!(ended["result"]["isError"], false);
    assert_eq!(ended["result"]["structuredContent"]["result"], "all is well");
    assert_eq!(ended["createdAt"], created["createdAt"]);
    // The same row, without the extension: it has to be declared with each request.
    let undeclared = next.ask_modern("tasks/get", json!({ "taskId": task }));
    assert_eq!(undeclared["error"]["code"], -32021, "{undeclared:#}");
    let plain = next.ask_modern("tools/call", call);
    assert_eq!(plain["result"]["structuredContent"]["status"], "started", "{plain:#}");
    let seen = next.ask_modern("tools/call", json!({ "name": "check_persona_job", "arguments": { "job_id": task } }));
    assert_eq!(seen["result"]["structuredContent"]["status"], "complete", "{seen:#}");
}

#[test]
fn a_job_that_fails_is_a_completed_task_with_an_error_in_its_result() {
    if !can_confine() {
        return;
    }
    let stage = Stage::scripted("replies:\n  - failure: { kind: bad_request, message: It does not want to. }\n");
    let mut server = stage.serve(&[]);
    let call = json!({ "name": "invoke_qa", "arguments": { "task": "test" } });
    let created = server.ask("tools/call", &with_tasks(call))["result"].clone();
    let ended = until(&mut server, created["taskId"].as_str().unwrap(), "completed");
    assert_eq!(ended["result"]["isError"], true, "{ended:#}");
    assert!(ended["result"]["content"][0]["text"].as_str().unwrap().contains("failed"), "{ended:#}");
}

#[test]
fn tasks_that_are_unknown_or_wrong_are_invalid_parameters() {
    let stage = Stage::new("hello");
    let mut server = stage.serve(&[]);
    for task in ["", "task-1", "run_00000000000000000000000000", "last"] {
        for method in ["tasks/get", "tasks/cancel"] {
            let said = server.ask(method, &with_tasks(json!({ "taskId": task })));
            assert_eq!(said["error"]["code"], -32602, "{method} {task}: {said:#}");
        }
        let update = with_tasks(json!({ "taskId": task, "inputResponses": {} }));
        assert_eq!(server.ask("tasks/update", &update)["error"]["code"], -32602);
    }
}

/// Writes a file, which is asked.
const WRITES: &str = "replies:\n  - text: I write.\n    calls:\n      - { label: w, tool: fs.write, arguments: { path: a.txt, \
                      content: x } }\n  - text: \"{{ results.w.text }}\"\n";

fn asking() -> Stage {
    let stage = Stage::scripted(WRITES);
    let persona = "---\nname: asker\ndescription: Asks.\ntools: [fs.write]\nmasque:\n  callable: true\n  rules:\n    - { \
                   tool: fs.write, effect: ask }\n---\nYou ask.\n";
    stage.write("project/.agents/agents/asker.md", persona);
    stage
}

fn with_forms(params: Value) -> Value {
    modern(params, &json!({ "elicitation": { "form": {} }, "extensions": { "io.modelcontextprotocol/tasks": {} } }))
}

fn open_question(server: &mut Streams, task: &str, wanted: &str) -> Value {
    let start = Instant::now();
    loop {
        let seen = server.ask("tasks/get", &with_forms(json!({ "taskId": task })))["result"].clone();
        let waits = seen["statusMessage"].as_str().is_some_and(|text| text.contains("waits for a person"));
        if waits {
            assert_eq!(seen["status"], wanted, "{seen:#}");
            return seen;
        }
        assert!(start.elapsed() < GUARD, "{seen:#}");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

#[test]
fn an_answered_form_counts_only_where_the_user_says_so() {
    if !can_confine() {
        return;
    }
    for counts in [false, true] {
        let stage = asking();
        let setting = if counts { "approvals.decide=elicitation" } else { "approvals.decide=cli" };
        let mut server = stage.serve(&["-c", setting]);
        let call = json!({ "name": "invoke_asker", "arguments": { "task": "write" } });
        let created = server.ask("tools/call", &with_forms(call))["result"].clone();
        let task = created["taskId"].as_str().unwrap().to_owned();
        let seen = open_question(&mut server, &task, if counts { "input_required" } else { "working" });
        let open = stage.json(&["approvals", "list", "--json"]);
        let key = format!("approval-{}", open[0]["id"].as_str().unwrap());
        assert_eq!(seen["inputRequests"].get(&key).is_some(), counts, "{seen:#}");
        let approve = json!({ "action": "accept", "content": { "decision": "approve" } });
        for nothing in [
            json!({ "action": "decline" }),
            json!({ "action": "cancel" }),
            json!({ "action": "accept", "content": { "decision": "perhaps" } }),
        ] {
            let update = with_forms(json!({ "taskId": task, "inputResponses": { &key: nothing } }));
            server.ask("tasks/update", &update);
        }
        let foreign = with_forms(json!({ "taskId": task, "inputResponses": { "approval-apr_1": approve.clone() } }));
        server.ask("tasks/update", &foreign);
        assert!(!stage.path("project/a.txt").exists(), "nobody approved yet");
        let update = with_forms(json!({ "taskId": task, "inputResponses": { &key: approve } }));
        let said = server.ask("tasks/update", &update);
        assert_eq!(said["error"].is_null(), counts, "{said:#}");
        if counts {
            until(&mut server, &task, "completed");
            assert!(stage.path("project/a.txt").exists());
        } else {
            let cancelled = server.ask("tasks/cancel", &with_tasks(json!({ "taskId": task })));
            assert!(cancelled["error"].is_null(), "{cancelled:#}");
            until(&mut server, &task, "cancelled");
            assert!(!stage.path("project/a.txt").exists());
        }
    }
}

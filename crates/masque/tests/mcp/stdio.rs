//! Jobs over standard streams: what calls answer, what is wrong with them, and how the server ends.

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::{Stage, can_confine};

/// A model that waits for a file and then answers.
const WAITS: &str = r#"
replies:
  - text: I wait.
    calls:
      - { label: wait, tool: shell.exec, arguments: { command: "until [ -e go ]; do sleep 0.05; done; echo went" } }
  - text: "{{ results.wait.text }}"
"#;

/// A persona that may run programs without being asked.
const RUNNER: &str = "---\nname: runner\ndescription: Runs programs.\ntools: [shell.exec, fs.read]\nmasque:\n  callable: \
                      true\n  rules:\n    - { tool: shell.exec, effect: allow }\n---\nYou run programs.\n";

/// A persona whose calls are asked.
const ASKER: &str = "---\nname: asker\ndescription: Asks first.\ntools: [fs.write]\nmasque:\n  callable: true\n  rules:\n    \
                     - { tool: fs.write, effect: ask }\n---\nYou ask first.\n";

fn waiting() -> Stage {
    let stage = Stage::scripted(WAITS);
    stage.write("project/.agents/agents/runner.md", RUNNER);
    stage
}

#[test]
fn wrong_arguments_name_the_field_and_unknown_tools_are_errors_of_the_protocol() {
    let stage = Stage::new("hello");
    let mut server = stage.serve(&[]).initialized();
    for (tool, arguments, named) in [
        ("invoke_security", json!({}), "`task`"),
        ("invoke_security", json!({ "task": 7 }), "`task`"),
        ("invoke_security", json!({ "task": "x", "wait_s": 56 }), "`wait_s`"),
        ("invoke_security", json!({ "task": "x", "priority": "urgent" }), "`priority`"),
        ("invoke_security", json!({ "task": "x", "files": ["a", 1] }), "`files[1]`"),
        ("invoke_persona", json!({ "persona": "security" }), "`task`"),
        ("check_persona_job", json!({ "job": "run_1" }), "`job`"),
        ("list_persona_jobs", json!({ "limit": 0 }), "`limit`"),
        ("search_standards", json!({ "query": "x", "limit": 99 }), "`limit`"),
    ] {
        let text = server.refusal(tool, arguments.clone());
        assert!(text.contains(named), "{tool} {arguments}: {text}");
    }
    let unknown = server.ask("tools/call", &json!({ "name": "invoke_nobody", "arguments": { "task": "x" } }));
    assert_eq!(unknown["error"]["code"], -32602, "{unknown:#}");
    let page = server.ask("tools/list", &json!({ "cursor": "2" }));
    assert_eq!(page["error"]["code"], -32602, "{page:#}");
    let text = server.refusal("invoke_persona", json!({ "persona": "@nobody", "task": "x" }));
    assert!(text.contains("do the task yourself") && text.contains("security"), "{text}");
    let text = server.refusal("check_persona_job", json!({ "job_id": "run_00000000000000000000000000" }));
    assert!(text.contains("run_00000000000000000000000000"), "{text}");
}

#[test]
fn messages_that_are_none_end_nothing() {
    let stage = Stage::new("hello");
    let mut server = stage.serve(&[]).initialized();
    server.send(&json!({ "jsonrpc": "2.0", "method": "notifications/nonsense" }));
    server.send(&json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 99 } }));
    let unknown = server.ask("no/such/method", &json!({}));
    assert_eq!(unknown["error"]["code"], -32601, "{unknown:#}");
    assert_eq!(server.ask("ping", &json!({}))["result"], json!({}));
    let (_, code) = server.end();
    assert_eq!(code, Some(0));
}

#[test]
fn the_newer_protocol_wants_its_metadata_with_each_request() {
    let stage = Stage::new("hello");
    let mut server = stage.serve(&[]);
    assert!(server.ask_modern("tools/list", json!({}))["result"].is_object());
    let bare = server.ask("tools/list", &json!({}));
    assert_eq!(bare["error"]["code"], -32602, "{bare:#}");
    let mut future = crate::support::modern(json!({}), &json!({}));
    future["_meta"]["io.modelcontextprotocol/protocolVersion"] = "2099-01-01".into();
    let refused = server.ask("tools/list", &future);
    assert_eq!(refused["error"]["code"], -32022, "{refused:#}");
    let old = server.ask_modern("ping", json!({}));
    assert_eq!(old["error"]["code"], -32601, "{old:#}");
}

#[test]
fn a_job_is_started_looked_at_listed_and_handed_on() {
    if !can_confine() {
        return;
    }
    let stage = Stage::new("The keys are in the vault.");
    let mut server = stage.serve(&[]).initialized();
    let started = server.call("invoke_security", json!({ "task": "look for keys", "context": "fn main() {}" }));
    assert_eq!((&started["status"], &started["persona"]), (&json!("started"), &json!("security")));
    let id = started["job_id"].as_str().unwrap();
    assert_eq!(started["poll_command"], format!("check_persona_job('{id}', wait_s=25)"));
    assert!(started["estimated_duration_seconds"].is_u64(), "{started:#}");
    let ended = server.ended(&started["job_id"]);
    assert_eq!((&ended["status"], &ended["result"]), (&json!("complete"), &json!("The keys are in the vault.")));
    assert!(ended["duration_seconds"].is_u64() && ended["tokens_used"]["input"].is_u64(), "{ended:#}");
    let listed = server.call("list_persona_jobs", json!({ "status": "complete", "persona": "security" }));
    assert_eq!((&listed["jobs"][0]["job_id"], &listed["filtered_count"]), (&started["job_id"], &json!(1)));
    let read = server.ask("resources/read", &json!({ "uri": format!("run://{id}") }));
    assert_eq!(read["result"]["contents"][0]["text"], "The keys are in the vault.");
    let handed = server.call("handoff", json!({ "persona": "qa", "task": "test that", "job_id": id }));
    assert_eq!(server.ended(&handed["job_id"])["status"], "complete");
    let statistics = server.call("persona_database_stats", json!({}));
    assert_eq!((&statistics["total_jobs"], &statistics["jobs_by_status"]["complete"]), (&json!(2), &json!(2)));
    let text = server.refusal("reset_persona_jobs", json!({}));
    assert!(text.contains("confirm"), "{text}");
    assert_eq!(server.call("reset_persona_jobs", json!({ "confirm": true }))["jobs_deleted"], 2);
}

#[test]
fn progress_grows_while_a_call_waits_and_a_cancelled_call_leaves_the_job_alone() {
    if !can_confine() {
        return;
    }
    let stage = waiting();
    let mut server = stage.serve(&[]).initialized();
    let started = server.call("invoke_runner", json!({ "task": "wait" }));
    let check = json!({ "name": "check_persona_job", "arguments": { "job_id": started["job_id"], "wait_s": 55 } });
    let with_token = |token: &str| {
        let mut check = check.clone();
        check["_meta"] = json!({ "progressToken": token });
        check
    };
    // With a token it waits for the end, and not only for a change, which may come before the cancellation.
    let given_up = server.begin("tools/call", &with_token("c"));
    let cancel = json!({ "requestId": given_up, "reason": "the user pressed a key" });
    server.send(&json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": cancel }));
    assert_eq!(server.ask("ping", &json!({}))["result"], json!({}), "nothing else waits");
    let watched = server.begin("tools/call", &with_token("p"));
    stage.write("project/go", "");
    let ended = server.answer(watched)["result"]["structuredContent"].clone();
    assert_eq!(
        (&ended["status"], ended["result"].as_str().is_some_and(|said| said.trim_end().ends_with("went"))),
        (&json!("complete"), true)
    );
    let progress: Vec<f64> = server
        .told
        .iter()
        .filter(|message| message["method"] == "notifications/progress" && message["params"]["progressToken"] == "p")
        .map(|message| message["params"]["progress"].as_f64().unwrap())
        .collect();
    assert!(!progress.is_empty() && progress.is_sorted_by(|one, next| one < next), "{progress:?}");
    assert!(server.told.iter().all(|message| message["id"] != given_up), "a cancelled call has no answer");
}

#[test]
fn the_end_of_the_input_ends_waiting_calls_and_the_job_goes_on() {
    if !can_confine() {
        return;
    }
    let stage = waiting();
    let mut server = stage.serve(&[]).initialized();
    let started = server.call("invoke_runner", json!({ "task": "wait" }));
    let check = json!({ "name": "check_persona_job", "arguments": { "job_id": started["job_id"], "wait_s": 55 } });
    let mut with_token = check;
    with_token["_meta"] = json!({ "progressToken": 1 });
    let waiting = server.begin("tools/call", &with_token);
    let (rest, code) = server.end();
    assert_eq!(code, Some(0));
    // Nobody need be answered who has left; whoever is, is told the truth.
    let answer = rest.iter().find(|message| message["id"] == waiting);
    assert!(answer.is_none_or(|answer| answer["result"]["structuredContent"]["status"] != "complete"), "{answer:#?}");
    stage.write("project/go", "");
    let mut next = stage.serve(&[]).initialized();
    let ended = next.ended(&started["job_id"]);
    // The program ran when the server went; whether it happened is a question to a person.
    assert!(ended["status"] == "complete" || !ended["questions"].is_null(), "{ended:#}");
}

#[test]
fn a_server_that_is_killed_loses_no_job() {
    if !can_confine() {
        return;
    }
    let stage = waiting();
    let mut server = stage.serve(&[]).initialized();
    let started: Vec<Value> =
        (0..3).map(|_| server.call("invoke_runner", json!({ "task": "wait" }))["job_id"].clone()).collect();
    server.signal(Signal::KILL);
    server.wait();
    stage.write("project/go", "");
    let mut next = stage.serve(&[]).initialized();
    for job in &started {
        let ended = next.ended(job);
        // A program that ran when the server died may have happened or not: then a person is asked, and the job waits.
        assert!(ended["status"] == "complete" || !ended["questions"].is_null(), "{ended:#}");
    }
    let listed = next.call("list_persona_jobs", json!({}));
    assert_eq!(listed["total_count"], 3, "none is lost and none is there twice: {listed:#}");
}

#[test]
fn two_editors_share_one_store() {
    if !can_confine() {
        return;
    }
    let stage = Stage::new("done");
    let (mut one, mut other) = (stage.serve(&[]).initialized(), stage.serve(&[]).initialized());
    let jobs: Vec<Value> = (0..6)
        .map(|number| {
            let server = if number % 2 == 0 { &mut one } else { &mut other };
            server.call("invoke_qa", json!({ "task": format!("job {number}") }))["job_id"].clone()
        })
        .collect();
    for (number, job) in jobs.iter().enumerate() {
        let server = if number % 2 == 0 { &mut other } else { &mut one };
        assert_eq!(server.ended(job)["status"], "complete", "each sees the jobs of the other");
    }
    assert_eq!(one.call("list_persona_jobs", json!({}))["total_count"], 6);
    // The one that drives a job may be either: none was driven twice.
    for job in &jobs {
        let id = job.as_str().unwrap();
        let events = stage.masque(&["runs", "export", id]).stdout;
        assert_eq!(events.matches("\"type\":\"run_completed\"").count(), 1, "{events}");
    }
}

#[test]
fn a_job_that_waits_for_a_person_names_the_command() {
    if !can_confine() {
        return;
    }
    let stage = Stage::scripted(
        "replies:\n  - text: I write.\n    calls:\n      - { label: w, tool: fs.write, arguments: { path: a.txt, content: x } \
         }\n  - text: written\n",
    );
    stage.write("project/.agents/agents/asker.md", ASKER);
    let mut server = stage.serve(&[]).initialized();
    let started = server.call("invoke_asker", json!({ "task": "write", "wait_s": 55 }));
    let command =
        started["job"]["questions"][0]["command"].as_str().unwrap_or_else(|| panic!("{started:#}")).to_owned();
    let words: Vec<&str> = command.trim_start_matches("masque ").split(' ').collect();
    assert_eq!(stage.masque(&words).code, Some(0), "{command}");
    assert_eq!(server.ended(&started["job_id"])["result"], "written");
}

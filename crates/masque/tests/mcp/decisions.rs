//! Standards that are decided at an editor: an answer to a form counts only where the user says so, for what was shown.

use serde_json::{Value, json};

use crate::support::{Stage, Streams, modern};

const FILE: &str = "project/.masque/standards/architecture/paging.md";

fn proposal(content: &str) -> Value {
    json!({
        "domain": "architecture",
        "topic": "paging",
        "title": "Paging",
        "content": format!("## Context\nLists grow.\n\n## Pattern\n{content}\n"),
    })
}

fn forms() -> Value {
    json!({ "elicitation": { "form": {} } })
}

fn call(tool: &str, arguments: &Value) -> Value {
    modern(json!({ "name": tool, "arguments": arguments }), &forms())
}

/// Proposes in the newer protocol; gives the arguments that have it decided.
fn proposed(server: &mut Streams) -> Value {
    let said = server.ask("tools/call", &call("propose_standard", &proposal("Lists must be paged.")));
    json!({ "proposal_id": said["result"]["structuredContent"]["proposal_id"] })
}

/// The form that the server wants shown: its key, its fields, and the state that goes back.
fn form(server: &mut Streams, decide: &Value) -> (String, Value, String) {
    let said = server.ask("tools/call", &call("decide_proposal", decide))["result"].clone();
    assert_eq!(said["resultType"], "input_required", "{said:#}");
    let (key, request) = said["inputRequests"].as_object().unwrap().iter().next().unwrap();
    assert_eq!(request["method"], "elicitation/create");
    (key.clone(), request["params"].clone(), said["requestState"].as_str().unwrap().to_owned())
}

fn filled(decide: &Value, key: &str, answer: &Value, state: &str) -> Value {
    let mut again = call("decide_proposal", decide);
    again["inputResponses"] = json!({ key: answer });
    again["requestState"] = state.into();
    again
}

#[test]
fn without_the_users_word_no_form_is_shown_and_none_counts() {
    let stage = Stage::new("hello");
    let mut server = stage.serve(&[]);
    let decide = proposed(&mut server);
    let said = server.ask("tools/call", &call("decide_proposal", &decide))["result"].clone();
    let told = &said["structuredContent"];
    assert_eq!(told["status"], "draft", "{said:#}");
    assert!(told["decide_with"].as_str().unwrap().starts_with("masque standard approve prp_"), "{said:#}");
    let accept = json!({ "action": "accept", "content": { "decision": "approve" } });
    let forced = server.ask("tools/call", &filled(&decide, "decide", &accept, "rs1.x.y"))["result"].clone();
    assert_eq!(forced["structuredContent"]["status"], "draft", "{forced:#}");
    assert!(!stage.path(FILE).exists());
}

#[test]
fn in_the_newer_protocol_the_answer_is_bound_to_what_was_shown() {
    let stage = Stage::new("hello");
    let mut server = stage.serve(&["-c", "standards.decide=elicitation"]);
    let decide = proposed(&mut server);
    let (key, shown, state) = form(&mut server, &decide);
    assert!(shown["message"].as_str().unwrap().contains("+Lists must be paged."), "{shown:#}");
    assert_eq!(shown["requestedSchema"]["required"], json!(["decision"]));
    let accept = json!({ "action": "accept", "content": { "decision": "approve" } });
    let mut tampered = state.clone();
    tampered.replace_range(tampered.len() - 4.., "AAAA");
    for (why, key, answer, state) in [
        ("declined", key.as_str(), json!({ "action": "decline" }), state.as_str()),
        ("closed", &key, json!({ "action": "cancel" }), &state),
        ("no decision", &key, json!({ "action": "accept", "content": {} }), &state),
        ("no content", &key, json!({ "action": "accept" }), &state),
        ("another decision", &key, json!({ "action": "accept", "content": { "decision": "yes" } }), &state),
        ("another form", "decide-prp_1-1", accept.clone(), &state),
        ("a changed state", &key, accept.clone(), &tampered),
        ("no state of ours", &key, accept.clone(), "rs1.YQ.YQ"),
    ] {
        server.ask("tools/call", &filled(&decide, key, &answer, state));
        assert!(!stage.path(FILE).exists(), "{why}");
    }
    // Somebody changes the proposal after the form was shown.
    let mut revised = proposal("Lists must be paged by a cursor.");
    revised["revises"] = decide["proposal_id"].clone();
    assert_eq!(server.ask("tools/call", &call("propose_standard", &revised))["result"]["isError"], false);
    let late = server.ask("tools/call", &filled(&decide, &key, &accept, &state));
    assert!(!stage.path(FILE).exists(), "what nobody saw is not approved: {late:#}");
    let (key, shown, state) = form(&mut server, &decide);
    assert!(shown["message"].as_str().unwrap().contains("by a cursor"), "{shown:#}");
    let done = server.ask("tools/call", &filled(&decide, &key, &accept, &state))["result"].clone();
    assert_eq!(done["structuredContent"]["status"], "approved", "{done:#}");
    assert!(fs_err::read_to_string(stage.path(FILE)).unwrap().contains("paged by a cursor"));
    // The same answer once more, after the file is gone.
    fs_err::remove_file(stage.path(FILE)).unwrap();
    server.ask("tools/call", &filled(&decide, &key, &accept, &state));
    assert!(!stage.path(FILE).exists(), "an answer counts once");
}

#[test]
fn in_the_older_protocol_the_form_is_shown_during_the_call() {
    for (answer, written) in [
        (json!({ "action": "accept", "content": { "decision": "approve" } }), true),
        (json!({ "action": "accept", "content": { "decision": "reject", "feedback": "too vague" } }), false),
        (json!({ "action": "accept", "content": {} }), false),
        (json!({ "action": "decline" }), false),
        (json!({ "action": "cancel" }), false),
    ] {
        let stage = Stage::new("hello");
        let mut server = stage.serve(&["-c", "standards.decide=elicitation"]);
        server.initialize(&forms());
        let review = server.call("propose_standard", proposal("Lists must be paged."));
        let decide = json!({ "name": "decide_proposal", "arguments": { "proposal_id": review["proposal_id"] } });
        let id = server.begin("tools/call", &decide);
        let request = server.message().unwrap();
        assert_eq!(request["method"], "elicitation/create", "{request:#}");
        assert!(request["params"]["message"].as_str().unwrap().contains("+Lists must be paged."), "{request:#}");
        server.send(&json!({ "jsonrpc": "2.0", "id": request["id"], "result": answer }));
        let said = server.answer(id);
        assert_eq!(stage.path(FILE).exists(), written, "{answer}: {said:#}");
    }
}

#[test]
fn a_client_without_forms_and_one_over_http_are_told_the_command() {
    let stage = Stage::new("hello");
    let mut server = stage.serve(&["-c", "standards.decide=elicitation"]).initialized();
    let review = server.call("propose_standard", proposal("Lists must be paged."));
    let told = server.call("decide_proposal", json!({ "proposal_id": review["proposal_id"] }));
    assert!(told["message"].as_str().unwrap().contains("masque standard approve"), "{told:#}");
    let remote = stage.listen(&["--no-token", "-c", "standards.decide=elicitation"]);
    let params = json!({ "name": "decide_proposal", "arguments": { "proposal_id": review["proposal_id"] } });
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": modern(params, &forms()) });
    let headers =
        [("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/call"), ("mcp-name", "decide_proposal")];
    let said = remote.post("/mcp", &headers, &body.to_string()).message()["result"].clone();
    assert_eq!(said["structuredContent"]["status"], "draft", "{said:#}");
    assert!(!stage.path(FILE).exists());
}

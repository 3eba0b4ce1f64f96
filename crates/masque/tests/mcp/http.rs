//! The server over HTTP: who gets in, which paths there are, and what remote callers may not do.

use serde_json::json;

use crate::support::{Answered, LEGACY, Listening, MODERN, Stage, can_confine, modern};

fn began(server: &Listening, path: &str, headers: &[(&str, &str)]) -> Answered {
    let client = json!({ "name": "test", "version": "1" });
    let params = json!({ "protocolVersion": LEGACY, "capabilities": {}, "clientInfo": client });
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params });
    server.post(path, headers, &body.to_string())
}

fn session(answer: &Answered) -> String {
    let line = answer.headers.lines().find_map(|line| line.strip_prefix("mcp-session-id:"));
    line.unwrap_or_else(|| panic!("{answer:#?}")).trim().to_owned()
}

#[test]
fn only_who_has_a_token_and_the_right_address_gets_in() {
    let stage = Stage::new("hello");
    let bearer = format!("Bearer {}", stage.token("ada"));
    let server = stage.listen(&[]);
    let token = ("authorization", bearer.as_str());
    for (why, status, headers) in [
        ("no token", 401, vec![]),
        ("a wrong token", 401, vec![("authorization", "Bearer mqt_nonsense")]),
        ("another scheme", 401, vec![("authorization", "Basic YTpi")]),
        ("another host", 403, vec![token, ("host", "evil.example")]),
        ("a web page", 403, vec![token, ("origin", "https://evil.example")]),
        ("a page of this machine", 403, vec![token, ("origin", "http://localhost:3000")]),
        ("no event stream", 406, vec![token, ("accept", "application/json")]),
        ("no JSON", 415, vec![token, ("content-type", "text/plain")]),
        ("everything right", 200, vec![token]),
    ] {
        let answer = began(&server, "/mcp", &headers);
        assert_eq!(answer.status, status, "{why}: {answer:#?}");
        assert_eq!(answer.headers.contains("www-authenticate: bearer"), status == 401, "{why}");
    }
    let large = format!("{{\"a\": \"{}\"}}", "x".repeat(5 << 20));
    assert_eq!(server.post("/mcp", &[token], &large).status, 413);
    assert_eq!(server.post("/", &[token], "{}").status, 404);
    assert_eq!(stage.masque(&["token", "revoke", "ada"]).code, Some(0));
    assert_eq!(began(&server, "/mcp", &[token]).status, 401, "a revoked token ends at once");
    let (code, said) = server.stop();
    assert_eq!(code, Some(0), "{said}");
    assert!(!said.contains("mqt_"), "{said}");
}

#[test]
fn without_tokens_only_this_machine_is_served_and_only_by_name() {
    let stage = Stage::new("hello");
    let refused = stage.masque(&["mcp", "--http", "0.0.0.0:0", "--no-token"]);
    assert_eq!(refused.code, Some(3), "{refused:#?}");
    assert!(refused.stderr.contains("tokens are needed"), "{}", refused.stderr);
    let server = stage.listen(&["--no-token", "--allow-origin", "http://app.example:80"]);
    assert_eq!(began(&server, "/mcp", &[]).status, 200);
    assert_eq!(began(&server, "/mcp", &[("origin", "http://app.example")]).status, 200);
    assert_eq!(began(&server, "/mcp", &[("origin", "http://other.example")]).status, 403);
}

#[test]
fn each_persona_has_a_path_and_both_eras_one_address() {
    let stage = Stage::new("hello");
    let server = stage.listen(&["--no-token"]);
    let listed = |path: &str| {
        let tools = server.ask(path, &[], "tools/list", json!({})).message()["result"]["tools"].clone();
        let tools = tools.as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap().to_owned());
        tools.filter(|name| name.starts_with("invoke_")).collect::<Vec<_>>()
    };
    assert_eq!(listed("/mcp/p/security"), ["invoke_security"]);
    assert_eq!(listed("/mcp/p/qa"), ["invoke_qa"]);
    assert!(listed("/mcp").len() > 6);
    assert_eq!(server.ask("/mcp/p/nobody", &[], "tools/list", json!({})).status, 404);
    // The older protocol has sessions, at the same address.
    let opened = began(&server, "/mcp/p/qa", &[]);
    assert_eq!(opened.message()["result"]["protocolVersion"], LEGACY);
    let id = session(&opened);
    let body = json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/list", "params": {} }).to_string();
    let headers = [("mcp-session-id", id.as_str()), ("mcp-protocol-version", LEGACY)];
    assert_eq!(server.post("/mcp/p/qa", &headers, &body).status, 200);
    assert_eq!(server.post("/mcp/p/security", &headers, &body).status, 404, "a session belongs to its address");
}

#[test]
fn headers_and_bodies_that_disagree_are_refused() {
    let stage = Stage::new("hello");
    let server = stage.listen(&["--no-token"]);
    let params = modern(json!({ "name": "persona_database_stats", "arguments": {} }), &json!({}));
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params }).to_string();
    let right =
        [("mcp-protocol-version", MODERN), ("mcp-method", "tools/call"), ("mcp-name", "persona_database_stats")];
    assert_eq!(server.post("/mcp", &right, &body).status, 200);
    for (name, value) in
        [("mcp-method", "tools/list"), ("mcp-name", "reset_persona_jobs"), ("mcp-protocol-version", LEGACY)]
    {
        let mut wrong = right.to_vec();
        wrong.push((name, value));
        assert_eq!(server.post("/mcp", &wrong, &body).status, 400, "{name}");
    }
}

#[test]
fn remote_callers_see_their_own_jobs_and_cannot_reset() {
    if !can_confine() {
        return;
    }
    let stage = Stage::new("hello");
    let [ada, bob] = ["ada", "bob"].map(|name| format!("Bearer {}", stage.token(name)));
    let server = stage.listen(&[]);
    let call = |bearer: &str, tool: &str, arguments: serde_json::Value| {
        let params = json!({ "name": tool, "arguments": arguments });
        server.ask("/mcp", &[("authorization", bearer)], "tools/call", params).message()["result"].clone()
    };
    let started = call(&ada, "invoke_qa", json!({ "task": "test" }))["structuredContent"].clone();
    let job = started["job_id"].clone();
    let seen = call(&ada, "check_persona_job", json!({ "job_id": job }));
    assert_eq!(seen["structuredContent"]["persona"], "qa", "{seen:#}");
    for tool in ["check_persona_job", "cancel_persona_job"] {
        let other = call(&bob, tool, json!({ "job_id": job }));
        assert_eq!(other["isError"], true, "{other:#}");
    }
    assert_eq!(call(&bob, "list_persona_jobs", json!({}))["structuredContent"]["total_count"], 0);
    let reset = call(&ada, "reset_persona_jobs", json!({ "confirm": true }));
    assert_eq!(reset["isError"], true, "{reset:#}");
    assert_eq!(call(&ada, "list_persona_jobs", json!({}))["structuredContent"]["total_count"], 1);
    // What goes wrong says nothing about where things are.
    let wrong = call(&ada, "invoke_qa", json!({ "task": "test", "files": ["no/such/file.txt"] }));
    assert_eq!(wrong["isError"], true, "{wrong:#}");
    assert!(!wrong.to_string().contains(&stage.path("").display().to_string()), "{wrong:#}");
    assert_eq!(server.stop().0, Some(0));
}

#[test]
fn a_session_is_its_owners() {
    let stage = Stage::new("hello");
    let [ada, bob] = ["ada", "bob"].map(|name| format!("Bearer {}", stage.token(name)));
    let server = stage.listen(&[]);
    let id = session(&began(&server, "/mcp", &[("authorization", &ada)]));
    let body = json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/list", "params": {} }).to_string();
    let ask = |bearer: &str| {
        let headers = [("authorization", bearer), ("mcp-session-id", &id), ("mcp-protocol-version", LEGACY)];
        server.post("/mcp", &headers, &body)
    };
    assert!(ask(&ada).message()["result"].is_object());
    assert!(ask(&bob).message()["error"]["message"].as_str().unwrap().contains("somebody else"));
}

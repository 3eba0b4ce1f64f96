//! What is offered: the same for every client, in a fixed order, in both eras of the protocol.

use serde_json::{Value, json};

use crate::support::{MODERN, Stage};

/// What every client knows by name.
const TOOLS: [&str; 19] = [
    "search_standards",
    "get_standard",
    "propose_standard",
    "decide_proposal",
    "memory_search",
    "memory_add",
    "invoke_architect",
    "invoke_engineer",
    "invoke_data",
    "invoke_qa",
    "invoke_security",
    "invoke_sre",
    "invoke_persona",
    "check_persona_job",
    "list_persona_jobs",
    "cancel_persona_job",
    "handoff",
    "persona_database_stats",
    "reset_persona_jobs",
];

fn names(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|entry| entry["name"].as_str().unwrap()).collect()
}

#[test]
fn both_eras_are_served_by_one_process_and_lists_are_the_same() {
    let stage = Stage::new("hello");
    let mut old = stage.serve(&[]);
    let began = old.initialize(&json!({}));
    assert_eq!(began["protocolVersion"], "2025-11-25");
    assert_eq!(began["serverInfo"]["name"], "masque");
    assert!(began["serverInfo"]["icons"][0]["src"].as_str().unwrap().starts_with("data:image/png;base64,"));
    assert!(began["instructions"].as_str().unwrap().contains("@security"), "{}", began["instructions"]);
    let listed = old.ask("tools/list", &json!({}))["result"].clone();
    assert_eq!(listed.get("resultType"), None, "the older protocol has no such field");

    let mut new = stage.serve(&[]);
    let found = new.ask_modern("server/discover", json!({}))["result"].clone();
    assert!(found["supportedVersions"].as_array().unwrap().contains(&json!(MODERN)), "{found:#}");
    assert!(found["capabilities"]["extensions"].get("io.modelcontextprotocol/tasks").is_some(), "{found:#}");
    let modern = new.ask_modern("tools/list", json!({}))["result"].clone();
    assert_eq!((&modern["resultType"], &modern["cacheScope"]), (&json!("complete"), &json!("private")));
    assert!(modern["ttlMs"].is_u64());
    assert_eq!(modern["tools"], listed["tools"]);
    assert_eq!(old.ask("tools/list", &json!({}))["result"], listed, "the order is fixed");
}

#[test]
fn every_tool_says_what_it_takes_gives_and_does() {
    let stage = Stage::new("hello");
    let mut server = stage.serve(&[]).initialized();
    let listed = server.ask("tools/list", &json!({}))["result"]["tools"].clone();
    let listed = listed.as_array().unwrap();
    let named: Vec<&str> = listed.iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    let places = TOOLS.iter().map(|name| named.iter().position(|tool| tool == name));
    assert!(places.clone().all(|place| place.is_some()), "{named:?}");
    assert!(places.is_sorted(), "{named:?}");
    for tool in listed {
        assert_eq!(tool["inputSchema"]["type"], "object", "{tool:#}");
        assert_eq!(tool["inputSchema"]["additionalProperties"], false, "{tool:#}");
        assert_eq!(tool["outputSchema"]["type"], "object", "{tool:#}");
        assert!(!tool["description"].as_str().unwrap().is_empty() && !tool["title"].as_str().unwrap().is_empty());
        assert!(tool["annotations"]["readOnlyHint"].is_boolean(), "{tool:#}");
        for (name, property) in tool["inputSchema"]["properties"].as_object().into_iter().flatten() {
            assert!(property["description"].is_string(), "{}: `{name}` says nothing", tool["name"]);
        }
    }
    let tool = |name: &str| listed.iter().find(|tool| tool["name"] == name).unwrap();
    assert_eq!(tool("reset_persona_jobs")["annotations"]["destructiveHint"], true);
    assert_eq!(tool("check_persona_job")["annotations"]["readOnlyHint"], true);
    assert!(tool("invoke_security")["icons"][0]["src"].as_str().unwrap().starts_with("data:image/png"));
    assert_eq!(tool("invoke_security")["inputSchema"]["required"], json!(["task"]));
}

#[test]
fn one_persona_alone_is_a_surface_of_its_own() {
    let stage = Stage::new("hello");
    let mut server = stage.serve(&["--persona", "security"]).initialized();
    let listed = server.ask("tools/list", &json!({}))["result"]["tools"].clone();
    let invoking: Vec<&str> = names(&listed).into_iter().filter(|name| name.starts_with("invoke_")).collect();
    assert_eq!(invoking, ["invoke_security"]);
    let prompts = server.ask("prompts/list", &json!({}))["result"]["prompts"].clone();
    assert_eq!(names(&prompts), ["security"]);
    let other = server.ask("tools/call", &json!({ "name": "invoke_qa", "arguments": { "task": "test" } }));
    assert_eq!(other["error"]["code"], -32602, "{other:#}");
    let nobody = stage.masque(&["mcp", "--persona", "nobody"]);
    assert_eq!(nobody.code, Some(2));
    assert!(nobody.stderr.contains("no persona `nobody` can be called"), "{}", nobody.stderr);
    assert_eq!(nobody.stdout, "", "standard output is the protocol's");
}

#[test]
fn prompts_lead_to_the_tool_of_the_persona() {
    let stage = Stage::new("hello");
    let mut server = stage.serve(&[]).initialized();
    let prompts = server.ask("prompts/list", &json!({}))["result"]["prompts"].clone();
    assert!(names(&prompts).starts_with(&["architect", "engineer", "data", "qa", "security", "sre"]));
    let filled = server.ask("prompts/get", &json!({ "name": "security", "arguments": { "task": "look for keys" } }));
    let text = filled["result"]["messages"][0]["content"]["text"].as_str().unwrap();
    assert!(text.contains("look for keys") && text.contains("`invoke_security`"), "{text}");
    let empty = server.ask("prompts/get", &json!({ "name": "security", "arguments": { "task": " " } }));
    assert!(empty["error"]["message"].as_str().unwrap().contains("`task`"), "{empty:#}");
    let unknown = server.ask("prompts/get", &json!({ "name": "nobody" }));
    assert_eq!(unknown["error"]["code"], -32602);
}

#[test]
fn standards_are_resources_with_templates_and_completion() {
    let stage = Stage::new("hello");
    stage.write(
        "project/.masque/standards/architecture/api-conventions.md",
        "# API conventions\n\nEvery list is paged by a cursor.\n",
    );
    stage.write("project/.masque/standards/security/keys.md", "# Keys\n\nKeys are kept in the vault.\n");
    let mut server = stage.serve(&[]).initialized();
    let listed = server.ask("resources/list", &json!({}))["result"]["resources"].clone();
    let uris: Vec<&str> = listed.as_array().unwrap().iter().map(|entry| entry["uri"].as_str().unwrap()).collect();
    assert_eq!(uris, ["standard://architecture/api-conventions", "standard://security/keys"]);
    let read = server.ask("resources/read", &json!({ "uri": uris[0] }));
    assert!(read["result"]["contents"][0]["text"].as_str().unwrap().contains("paged by a cursor"), "{read:#}");
    let missing = server.ask("resources/read", &json!({ "uri": "standard://architecture/nothing" }));
    assert_eq!(missing["error"]["code"], -32002, "{missing:#}");
    let template = json!({ "type": "ref/resource", "uri": "standard://{domain}/{topic}" });
    let domains =
        server.ask("completion/complete", &json!({ "ref": template, "argument": { "name": "domain", "value": "a" } }));
    assert_eq!(domains["result"]["completion"]["values"], json!(["architecture"]), "{domains:#}");
    let chosen = json!({
        "ref": template,
        "argument": { "name": "topic", "value": "" },
        "context": { "arguments": { "domain": "security" } },
    });
    let topics = server.ask("completion/complete", &chosen);
    assert_eq!(topics["result"]["completion"]["values"], json!(["keys"]), "{topics:#}");
}

#[test]
fn a_client_that_listens_hears_of_a_new_standard() {
    let stage = Stage::new("hello");
    let mut server = stage.serve(&[]).initialized();
    stage.write("project/.masque/standards/data/names.md", "# Names\n\nTables are named in the plural.\n");
    // The list before may have been taken with or without the file; a second one is news in any case.
    let heard = |server: &mut crate::support::Streams| loop {
        let message = server.message().unwrap();
        if message["method"] == "notifications/resources/list_changed" {
            return;
        }
    };
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut number = 0;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) && number < 600 {
                number += 1;
                stage.write(&format!("project/.masque/standards/data/names-{number}.md"), "# Names\n\nMore of them.\n");
                std::thread::sleep(std::time::Duration::from_millis(200));
            }
        });
        heard(&mut server);
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

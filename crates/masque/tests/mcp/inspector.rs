//! The protocol's own Inspector as a client: each call starts a server of its own, so that a whole flow crosses many.

use serde_json::Value;

use crate::support::{Packages, Stage, can_confine, finished};

#[test]
fn a_standard_goes_from_a_proposal_to_an_answer_and_a_job_to_its_result() {
    let Some(Packages { node, modules }) = Packages::find() else { return };
    let program = modules.join("@modelcontextprotocol/inspector-cli/build/index.js");
    if !can_confine() {
        return;
    }
    let stage = Stage::new("All is well.");
    let ask = |method: &str, more: &[&str]| {
        let own = [&program.display().to_string(), env!("CARGO_BIN_EXE_masque"), "mcp", "--method", method];
        let done = finished(stage.prepared(&node.display().to_string(), &[&own, more].concat()).spawn().unwrap());
        assert!(!done.stderr.contains("unknown format"), "{done:#?}");
        serde_json::from_str::<Value>(&done.stdout).unwrap_or_else(|error| panic!("{error}: {done:#?}"))
    };
    let call = |tool: &str, arguments: &[&str]| {
        let more = [&["--tool-name", tool, "--tool-arg"], arguments].concat();
        let said = ask("tools/call", &more);
        assert_ne!(said["isError"], true, "{tool}: {said:#}");
        said["structuredContent"].clone()
    };
    let tools = ask("tools/list", &[]);
    assert!(tools["tools"].as_array().unwrap().iter().any(|tool| tool["name"] == "invoke_security"), "{tools:#}");

    let started = call("invoke_security", &["task=Look for keys.", "wait_s=0"]);
    let job = format!("job_id={}", started["job_id"].as_str().unwrap());
    let ended =
        (0..20).map(|_| call("check_persona_job", &[&job, "wait_s=20"])).find(|seen| seen["status"] == "complete");
    assert_eq!(ended.unwrap()["result"], "All is well.");

    let content = "content=# Naming\n\nTables are named in the singular, columns in snake case.";
    let proposed = call("propose_standard", &["domain=data", "topic=naming", "title=Naming of tables", content]);
    let (id, digest) = (proposed["proposal_id"].as_str().unwrap(), proposed["digest"].as_str().unwrap());
    let question = "query=How are tables named?";
    assert!(!call("search_standards", &[question]).to_string().contains("singular"), "nobody approved it yet");
    let approved = stage.masque(&["standard", "approve", id, "--yes", "--digest", digest]);
    assert_eq!(approved.code, Some(0), "{approved:#?}");
    assert!(stage.path("project/.masque/standards/data/naming.md").exists());
    let found = call("search_standards", &[question]).to_string();
    assert!(found.contains("singular") && found.contains("standard://data/naming"), "{found}");
}

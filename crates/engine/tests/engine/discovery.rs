//! Tools that the model has to ask for: what it sees follows from the journal.

use std::sync::{Arc, Mutex};

use masque_engine::{
    driver::{Driven, Engine},
    state::State,
};
use masque_store::Store;
use masque_types::{
    model::ModelRequest,
    policy::Rule,
    policy::Verdict,
    tool::{EffectClass, Place, TOOL_DESCRIBE, TOOL_SEARCH, ToolSpec},
};
use serde_json::json;

use crate::support::{
    FnModel, ScriptModel, TestEnvironments, World, create, drive, engine, journal, persona, run_spec, spec,
};

const HIDDEN: [&str; 3] = ["mcp:far/a", "mcp:far/b", "mcp:far/c"];

fn tools() -> Vec<ToolSpec> {
    let of_servers = HIDDEN.map(|name| spec(name, EffectClass::Pure, Place::Remote));
    let own = ["read", TOOL_DESCRIBE, TOOL_SEARCH].map(|name| spec(name, EffectClass::Pure, Place::Host));
    of_servers.into_iter().chain(own).collect()
}

#[tokio::test]
async fn the_model_sees_tools_of_servers_from_when_it_asks_for_them() {
    let store = Store::in_memory().await.unwrap();
    let world = Arc::new(Mutex::new(World::default()));
    let mut spec = run_spec();
    spec.policy.rules = vec![Rule::new("mcp:far/a", Verdict::Deny), Rule::new("mcp:far/*", Verdict::Allow)];
    let run = create(&store, spec, persona()).await;
    let script = ScriptModel::new(vec![
        vec![(TOOL_DESCRIBE, json!({ "names": ["mcp:far/b", "mcp:far/a", "mcp:far/absent"] }))],
        // Whoever knows a name may call it; the policy decides as ever.
        vec![("mcp:far/c", json!({})), ("mcp:far/a", json!({}))],
        vec![("read", json!({ "n": 1 }))],
    ]);
    let shown: Arc<Mutex<Vec<Vec<String>>>> = Arc::default();
    let seen = Arc::clone(&shown);
    let model = FnModel(move |request: &ModelRequest| {
        seen.lock().unwrap().push(request.tools.iter().map(|tool| tool.name.clone()).collect());
        let reply = script.reply(request);
        Box::pin(async { Ok(reply) }) as masque_types::BoxFuture<'static, _>
    });
    let environments = TestEnvironments { specs: tools(), ..TestEnvironments::new(&world) };
    let engine = Engine { environments: Arc::new(environments), ..engine(&store, Arc::new(model), &world, "w1") };
    assert!(matches!(drive(&engine, run, None).await.unwrap(), Driven::Ended(_)));
    let core = ["read", TOOL_DESCRIBE, TOOL_SEARCH];
    let with = |more: &[&str]| core.iter().chain(more).map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let all = ["mcp:far/b", "mcp:far/a", "mcp:far/c"];
    assert_eq!(*shown.lock().unwrap(), [with(&[]), with(&all[..2]), with(&all), with(&all)]);
    let events = journal(&store, run).await;
    let state = State::fold(run, &events).unwrap();
    assert_eq!(state.discovered, all);
    let refused = events.iter().any(|event| serde_json::to_string(event).unwrap().contains("not permitted"));
    assert!(refused, "{events:#?}");
}

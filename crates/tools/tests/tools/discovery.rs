//! Tools that are looked for instead of shown, in a whole environment.

use std::sync::Arc;

use masque_sandbox::{LandlockUse, Launcher};
use masque_tools::host::discovery::{Discovery, FoundTool, ToolFinder};
use masque_types::{
    BoxFuture,
    policy::{Policy, Rule, Verdict},
    run::SandboxMode,
    tool::{TOOL_DESCRIBE, TOOL_SEARCH, ToolSpec, Toolbox as _},
};
use serde_json::json;

use crate::{
    environment::{Stage, persona, strange},
    support::text,
};

/// Finds by a part of the name.
struct ByName;

impl ToolFinder for ByName {
    fn find<'a>(
        &'a self,
        tools: &'a [ToolSpec],
        task: &'a str,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<FoundTool>, String>> {
        let fits = tools.iter().filter(|tool| tool.name.contains(task));
        let found = |tool: &ToolSpec| FoundTool {
            signature: format!("{}()", tool.name),
            summary: tool.description.clone(),
            after: vec!["login".to_owned()],
        };
        Box::pin(std::future::ready(Ok(fits.take(limit).map(found).collect())))
    }
}

fn discovery(above: usize) -> Option<Discovery> {
    Some(Discovery { above, finder: Arc::new(ByName) })
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_tools_are_found_and_described() {
    let launcher = Launcher::detect(LandlockUse::IfPresent);
    let (persona, policy) = (persona([("good", strange("normal"))]), Policy::default());
    let stage =
        Stage::with(&launcher, SandboxMode::None, &persona, &policy, |spec| spec.discovery = discovery(0)).await;
    let found = text(&stage.call(TOOL_SEARCH, json!({ "task": "echo" })).await);
    assert_eq!(found, "mcp:good/echo() — says it back [after login]");
    let none = text(&stage.call(TOOL_SEARCH, json!({ "task": "weather on Saturday" })).await);
    assert!(none.contains("No tool fits"), "{none}");
    let described = text(&stage.call(TOOL_DESCRIBE, json!({ "names": ["mcp:good/echo"] })).await);
    assert!(described.contains("says it back"), "{described}");
    for wrong in [json!({ "names": [] }), json!({ "names": ["mcp:good/absent"] })] {
        assert!(stage.call(TOOL_DESCRIBE, wrong).await.is_error);
    }
    assert!(stage.call(TOOL_SEARCH, json!({ "task": " " })).await.is_error);
    let pinned = stage.environment.specs();
    stage.environment.close().await;

    // A resumed run stays with what it began with, also where the limit is another one now.
    let stage = Stage::with(&launcher, SandboxMode::None, &persona, &policy, |spec| {
        (spec.discovery, spec.pinned) = (discovery(1000), Some(&pinned[..]));
    });
    let stage = stage.await;
    assert_eq!(stage.environment.specs(), pinned);
    stage.environment.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn few_tools_are_shown_and_who_may_not_search_sees_all() {
    let launcher = Launcher::detect(LandlockUse::IfPresent);
    let persona = persona([("good", strange("normal"))]);
    let denied = Policy { rules: vec![Rule::new("tool.*", Verdict::Deny)], ..Policy::default() };
    for (above, policy) in [(1000, Policy::default()), (0, denied)] {
        let stage =
            Stage::with(&launcher, SandboxMode::None, &persona, &policy, |spec| spec.discovery = discovery(above))
                .await;
        let names: Vec<String> = stage.environment.specs().iter().map(|spec| spec.name.clone()).collect();
        assert!(!names.iter().any(|name| name == TOOL_SEARCH || name == TOOL_DESCRIBE), "{names:?}");
        assert!(names.iter().any(|name| name == "mcp:good/echo"), "{names:?}");
        stage.environment.close().await;
    }
}

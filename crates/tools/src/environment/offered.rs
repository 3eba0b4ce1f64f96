//! What is offered to the model, and what is not and why.

use std::{collections::BTreeMap, sync::Arc};

use masque_types::{
    diagnostic::Diagnostic,
    persona::Persona,
    policy::Policy,
    tool::{TOOL_SEARCH, ToolSpec},
};

use super::{
    EnvironmentSpec,
    routes::{Route, Routes},
};
use crate::{
    Error, builtin,
    host::{
        agent, ask,
        discovery::{Describe, Search, describe_spec, search_spec},
        skill,
    },
    mcp::{Source, StartFailure},
};

/// What is offered to the model, and what is not.
pub(super) struct Offered<'a> {
    policy: &'a Policy,
    pub(super) specs: BTreeMap<String, ToolSpec>,
    pub(super) routes: Routes,
    pub(super) diagnostics: Vec<Diagnostic>,
    pub(super) fatal: Option<Error>,
}

impl<'a> Offered<'a> {
    pub(super) fn new(policy: &'a Policy) -> Self {
        Self { policy, specs: BTreeMap::new(), routes: Routes::default(), diagnostics: Vec::new(), fatal: None }
    }

    fn add(&mut self, spec: ToolSpec, route: Route) {
        if self.policy.has_tool(&spec.name, spec.effect) {
            self.routes.open.insert(spec.name.clone(), route);
            self.specs.insert(spec.name.clone(), spec);
        }
    }

    pub(super) fn add_source(&mut self, source: &Arc<Source>) {
        for (name, spec) in source.tools() {
            self.add(spec.clone(), Route::Mcp(Arc::clone(source), name.clone()));
        }
    }

    /// Masque's own tools come last, so that no server can take their names.
    pub(super) fn add_own(&mut self, spec: &EnvironmentSpec<'_>) {
        for tool in &builtin::ALL {
            self.add(tool.spec(), Route::Builtin);
        }
        self.add(ask::spec(), Route::Engine);
        for tool in agent::specs_of(spec.persona) {
            self.add(tool, Route::Engine);
        }
        for tool in &spec.host_tools {
            self.add(tool.spec(), Route::Host(Arc::clone(tool)));
        }
        if !spec.persona.skills.is_empty() {
            let tool = skill::SkillUse::new(spec.persona.skills.clone());
            self.add(skill::spec(), Route::Host(Arc::new(tool)));
        }
    }

    /// The search among the tools, where they are too many to be shown. A run stays with what it began with.
    pub(super) fn add_discovery(&mut self, spec: &EnvironmentSpec<'_>) {
        let Some(discovery) = &spec.discovery else { return };
        let of_servers: Vec<ToolSpec> =
            self.specs.values().filter(|tool| tool.name.starts_with("mcp:")).cloned().collect();
        let is_wanted = match spec.pinned {
            Some(pinned) => pinned.iter().any(|tool| tool.name == TOOL_SEARCH),
            None => of_servers.len() > discovery.above,
        };
        // Without both of them nothing would bring the hidden tools back.
        let has = |tool: &ToolSpec| self.policy.has_tool(&tool.name, tool.effect);
        if !is_wanted || !has(&search_spec()) || !has(&describe_spec()) {
            return;
        }
        let tools: Arc<[ToolSpec]> = of_servers.into();
        let search = Search::new(Arc::clone(&tools), Arc::clone(&discovery.finder));
        self.add(search_spec(), Route::Host(Arc::new(search)));
        self.add(describe_spec(), Route::Host(Arc::new(Describe::new(tools))));
    }

    pub(super) fn add_failure(&mut self, persona: &Persona, name: &str, failure: &StartFailure) {
        let message = format!("MCP server `{name}` did not start, its tools are absent: {failure}");
        let hint = format!("check the entry `{name}` of the persona's MCP servers; the run goes on without it");
        self.diagnostics.push(Diagnostic::warning(&persona.source, message).hint(hint));
    }

    /// Keeps what is the same as when the run started.
    pub(super) fn pin(&mut self, persona: &Persona, pinned: Option<&[ToolSpec]>) {
        let Some(pinned) = pinned else { return };
        let digests: BTreeMap<&str, _> = pinned.iter().map(|spec| (spec.name.as_str(), spec.digest())).collect();
        let mut refused = Vec::new();
        for (name, spec) in &self.specs {
            match digests.get(name.as_str()) {
                Some(digest) if *digest == spec.digest() => {}
                Some(_) => refused.push((name.clone(), "it is not what it was when the run started")),
                None => refused.push((name.clone(), "it did not exist when the run started")),
            }
        }
        for (name, reason) in refused {
            self.specs.remove(&name);
            self.routes.open.remove(&name);
            let message = format!("tool `{name}` is not offered to the resumed run: {reason}");
            self.diagnostics.push(Diagnostic::warning(&persona.source, message));
            self.routes.refused.insert(name, reason.to_owned());
        }
        for name in digests.keys().filter(|name| !self.specs.contains_key(**name)) {
            let reason = "it was there when the run started and is not any more";
            self.routes.refused.entry((*name).to_owned()).or_insert_with(|| reason.to_owned());
        }
    }
}

//! `tool.search` and `tool.describe`: tools found by what they do, where there are too many to show them all.
//!
//! Owns what the two declare and answer. How tools are found is [`ToolFinder`]'s; that described tools are shown to the
//! model from then on is the engine's.

use std::sync::Arc;

use masque_types::{
    BoxFuture,
    tool::{EffectClass, Invocation, Place, TOOL_DESCRIBE, TOOL_SEARCH, ToolOutput, ToolSpec},
};
use schemars::JsonSchema;
use serde::Deserialize;

use super::HostTool;
use crate::{
    builtin::schema_of,
    failure::{Failure, Outcome, arguments, into_output},
};

/// Tools that a search gives when no number is asked for.
const USUAL: usize = 8;
/// Tools that a search gives at most.
const MOST: usize = 25;
/// Tools that are described at once at most.
const MOST_DESCRIBED: usize = 12;

/// A tool that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundTool {
    /// Name and arguments on one line.
    pub signature: String,
    /// What it does, in one sentence.
    pub summary: String,
    /// Tools that usually come before it.
    pub after: Vec<String>,
}

/// Finds tools by what they do.
pub trait ToolFinder: Send + Sync {
    /// The best of `tools` for a task in words, best first.
    ///
    /// Implementers answer also without an embedding model. The error is a sentence for the model.
    fn find<'a>(
        &'a self,
        tools: &'a [ToolSpec],
        task: &'a str,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<FoundTool>, String>>;
}

/// When tools are looked for instead of shown.
#[derive(Clone)]
pub struct Discovery {
    /// More tools of servers than this are not shown.
    pub above: usize,
    /// What finds them.
    pub finder: Arc<dyn ToolFinder>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SearchArguments {
    /// What you want to do, in a few words: "create an issue in a repository".
    task: String,
    /// Tools to give, 8 when absent, 25 at most.
    #[serde(default)]
    limit: Option<usize>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct DescribeArguments {
    /// Names of tools as tool.search gave them, 12 at most.
    names: Vec<String>,
}

/// What the search declares.
#[must_use]
pub fn search_spec() -> ToolSpec {
    ToolSpec {
        name: TOOL_SEARCH.to_owned(),
        description:
            "Finds tools that are not shown to you, by what they do. You have many more tools than those that \
                      you see: look here before you say that something cannot be done. Gives names with arguments, \
                      best first; then ask tool.describe for those that you want to use."
                .to_owned(),
        input_schema: schema_of::<SearchArguments>(),
        output_schema: None,
        effect: EffectClass::Pure,
        place: Place::Host,
        depends_on: Vec::new(),
    }
}

/// What describing declares.
#[must_use]
pub fn describe_spec() -> ToolSpec {
    ToolSpec {
        name: TOOL_DESCRIBE.to_owned(),
        description: "Adds tools that tool.search found to those that you can call, with their full descriptions and \
                      schemas. They stay until the end."
            .to_owned(),
        input_schema: schema_of::<DescribeArguments>(),
        output_schema: None,
        effect: EffectClass::Pure,
        place: Place::Host,
        depends_on: vec![TOOL_SEARCH.to_owned()],
    }
}

/// The search, over the tools of one environment.
pub(crate) struct Search {
    tools: Arc<[ToolSpec]>,
    finder: Arc<dyn ToolFinder>,
}

impl Search {
    pub(crate) fn new(tools: Arc<[ToolSpec]>, finder: Arc<dyn ToolFinder>) -> Self {
        Self { tools, finder }
    }

    async fn find(&self, invocation: &Invocation) -> Outcome {
        let asked: SearchArguments = arguments(invocation.call.arguments.clone())?;
        if asked.task.trim().is_empty() {
            return Err(Failure::new("`task` is empty: say in a few words what you want to do"));
        }
        let limit = asked.limit.unwrap_or(USUAL).clamp(1, MOST);
        let found = self.finder.find(&self.tools, &asked.task, limit).await.map_err(Failure::new)?;
        if found.is_empty() {
            return Ok(ToolOutput::text("No tool fits these words. Try others, or go on without."));
        }
        let lines: Vec<String> = found.iter().map(line).collect();
        Ok(ToolOutput::text(lines.join("\n")))
    }
}

fn line(found: &FoundTool) -> String {
    let after = if found.after.is_empty() { String::new() } else { format!(" [after {}]", found.after.join(", ")) };
    format!("{} — {}{after}", found.signature, found.summary)
}

impl HostTool for Search {
    fn spec(&self) -> ToolSpec {
        search_spec()
    }

    fn call<'a>(&'a self, invocation: &'a Invocation) -> BoxFuture<'a, ToolOutput> {
        Box::pin(async move { into_output(self.find(invocation).await) })
    }
}

/// Describing, over the tools of one environment.
pub(crate) struct Describe {
    tools: Arc<[ToolSpec]>,
}

impl Describe {
    pub(crate) const fn new(tools: Arc<[ToolSpec]>) -> Self {
        Self { tools }
    }

    fn describe(&self, invocation: &Invocation) -> Outcome {
        let asked: DescribeArguments = arguments(invocation.call.arguments.clone())?;
        if asked.names.is_empty() || asked.names.len() > MOST_DESCRIBED {
            return Err(Failure::new(format!("`names` must hold between 1 and {MOST_DESCRIBED} names of tools")));
        }
        let tool = |name: &String| {
            self.tools.iter().find(|tool| tool.name == *name).ok_or_else(|| {
                Failure::new(format!("there is no tool `{name}`; ask {TOOL_SEARCH}, and write names as it gives them"))
            })
        };
        let tools = asked.names.iter().map(tool).collect::<Result<Vec<_>, _>>()?;
        let before = |tool: &ToolSpec| match tool.depends_on.as_slice() {
            [] => String::new(),
            first => format!(" Call {} before it.", first.join(", ")),
        };
        let text = |tool: &&ToolSpec| format!("{}: {}{}", tool.name, tool.description, before(tool));
        let texts: Vec<String> = tools.iter().map(text).collect();
        Ok(ToolOutput::text(format!("{}\n\nYou can call them now.", texts.join("\n\n"))))
    }
}

impl HostTool for Describe {
    fn spec(&self) -> ToolSpec {
        describe_spec()
    }

    fn call<'a>(&'a self, invocation: &'a Invocation) -> BoxFuture<'a, ToolOutput> {
        Box::pin(async move { into_output(self.describe(invocation)) })
    }
}

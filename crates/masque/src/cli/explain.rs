//! `masque explain`: what a persona may do, what it may not, and which rule says so.

use masque_app::{
    Error,
    config::Argument,
    explain::{Question, explain, explain_call, remarks},
    personas,
};
use masque_types::policy::{Rule, Verdict};

use super::{Context, given};
use crate::{exit::Exit, render};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Persona
    persona: String,
    /// As it would be when this persona calls it
    #[arg(long, value_name = "PERSONA")]
    as_child_of: Option<String>,
    /// Explain the decision about this tool
    #[arg(long)]
    tool: Option<String>,
    /// Arguments of the call, as JSON
    #[arg(long, value_name = "JSON", requires = "tool")]
    args: Option<String>,
    /// What is done where no rule speaks: plan, default, accept-edits, auto
    #[arg(long, value_name = "MODE")]
    mode: Option<String>,
    /// Tools that are denied, by name or pattern
    #[arg(long, value_name = "TOOL")]
    deny: Vec<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Arguments {
    /// The options among the arguments, as configuration of the highest layer.
    pub(crate) fn settings(&self) -> Vec<Argument> {
        given(&[("run.mode", "--mode", &self.mode)])
    }
}

pub(crate) fn run(context: &Context, arguments: &Arguments) -> Result<Exit, Error> {
    let catalog = personas::catalog(&context.host, &context.project);
    let persona = &personas::find(&catalog, &arguments.persona)?.persona;
    let caller = arguments.as_child_of.as_deref().map(|name| personas::find(&catalog, name)).transpose()?;
    let ceiling: Vec<Rule> = arguments.deny.iter().map(|tool| Rule::new(tool, Verdict::Deny)).collect();
    let question = Question { persona, caller: caller.map(|caller| &caller.persona), ceiling: &ceiling };
    let Some(tool) = &arguments.tool else {
        let explanation = explain(&context.host, &context.settings, &question)?;
        if arguments.json {
            render::json(&explanation)
        } else {
            render::explain::whole(&explanation)
        }
        return Ok(Exit::Success);
    };
    let wrong =
        |error| Error::usage(format!("--args is not JSON: {error}")).hint("for example --args '{\"path\": \"a.txt\"}'");
    let call = arguments.args.as_deref().map(serde_json::from_str).transpose().map_err(wrong)?.unwrap_or_default();
    remarks(persona, tool).iter().for_each(render::warning);
    let answer = explain_call(&context.host, &context.settings, &question, tool, call)?;
    if arguments.json {
        render::json(&answer)
    } else {
        render::explain::call(&answer)
    }
    Ok(Exit::Success)
}

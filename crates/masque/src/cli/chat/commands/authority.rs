//! `/tools`, `/mcp`, `/why` and `/approvals`: what the persona may do, and who decided it.

use masque_app::Error;
use masque_types::{
    approval::Approval,
    event::EventBody,
    message::ToolCall,
    persona::McpTransport,
    policy::{Layer, Policy, Verdict},
    tool::{EffectClass, ToolSpec},
};

use super::{Command, Done, Takes, rows};
use crate::{
    chat::{screen, text::Line},
    cli::chat::session::{After, Session},
    render::style::{self, BOLD, DIM},
};

pub(super) const TOOLS: Command = Command {
    name: "tools",
    hint: "",
    about: "Show the persona's tools and what the policy says of them",
    takes: Takes::Nothing,
    run: tools,
};

pub(super) const MCP: Command = Command {
    name: "mcp",
    hint: "",
    about: "Show the persona's MCP servers and their tools",
    takes: Takes::Nothing,
    run: mcp,
};

pub(super) const WHY: Command = Command {
    name: "why",
    hint: "[CALL | TOOL]",
    about: "Explain which rule decided the last call, another one, or calls of a tool",
    takes: Takes::Text,
    run: why,
};

pub(super) const APPROVALS: Command = Command {
    name: "approvals",
    hint: "",
    about: "Show the questions of this session, their answers, and what is always allowed",
    takes: Takes::Nothing,
    run: approvals,
};

/// The longest description of a tool in a listing, in bytes.
const DESCRIPTION: usize = 160;

fn tools<'a>(session: &'a mut Session<'_>, _: &'a str) -> Done<'a> {
    Box::pin(async move {
        let (policy, specs) = session.authority().await?;
        let row = |spec: &ToolSpec| {
            let first = spec.description.split(". ").next().unwrap_or_default();
            let verdict = policy.decide(&call_of(&spec.name), spec.effect).verdict;
            [
                spec.name.clone(),
                word(verdict).to_owned(),
                spec.effect.name().to_owned(),
                style::shortened(first, DESCRIPTION),
            ]
        };
        let columns = screen::size().columns.saturating_sub(1);
        let lines = rows(&specs.iter().map(row).collect::<Vec<_>>());
        session.view.lines(&lines.iter().map(|line| line.clipped(columns)).collect::<Vec<_>>());
        if session.front.run.is_none() {
            session.view.note("tools of MCP servers join when the first turn starts them");
        }
        Ok(After::Stay)
    })
}

fn mcp<'a>(session: &'a mut Session<'_>, _: &'a str) -> Done<'a> {
    Box::pin(async move {
        let (_, specs) = session.authority().await?;
        if session.front.persona.mcp_servers.is_empty() {
            session.view.note(&format!("{} has no MCP servers", session.front.persona.name));
        }
        let servers = session.front.persona.mcp_servers.clone();
        for (name, server) in &servers {
            let place = match &server.transport {
                McpTransport::Stdio { command, args, .. } => format!("{command} {}", args.join(" ")),
                McpTransport::Http { url, .. } => url.clone(),
            };
            let prefix = format!("mcp:{name}/");
            let own: Vec<&str> = specs.iter().filter_map(|spec| spec.name.strip_prefix(&prefix)).collect();
            let lazy = if server.lazy { ", started when it is needed" } else { "" };
            let line = Line::plain("  ").with(name, BOLD).with(&format!("  {}{lazy}", style::harmless(&place)), DIM);
            let tools = match (own.is_empty(), session.front.run) {
                (false, _) => own.join(", "),
                (true, None) => "not started yet".to_owned(),
                (true, Some(_)) => "no tools: it did not start, or the project is not trusted".to_owned(),
            };
            session.view.lines(&[line, Line::plain(&format!("    {tools}"))]);
        }
        Ok(After::Stay)
    })
}

fn why<'a>(session: &'a mut Session<'_>, rest: &'a str) -> Done<'a> {
    Box::pin(async move {
        let (policy, specs) = session.authority().await?;
        let call = session.meant_call(rest, &specs).await?;
        let effect = specs.iter().find(|spec| spec.name == call.tool).map_or(EffectClass::Once, |spec| spec.effect);
        let decided = policy.decide(&call, effect);
        let arguments = style::arguments(&call.arguments, 100);
        let head = Line::styled(&call.tool, BOLD).with(&format!(" {arguments}"), anstyle::Style::new());
        let verdict = Line::plain("  ")
            .with(word(decided.verdict), BOLD)
            .with(&format!(": {}", decided.reason), anstyle::Style::new());
        let mut lines = vec![head, verdict];
        lines.extend(policy.explain(&call, effect).iter().map(|layer| {
            let what =
                format!("    {:<9}{:<6}{}", name(layer.layer), word(layer.decision.verdict), layer.decision.reason);
            Line::styled(&what, DIM)
        }));
        session.view.lines(&lines);
        session.view.note("the strictest of these layers decides");
        Ok(After::Stay)
    })
}

fn approvals<'a>(session: &'a mut Session<'_>, _: &'a str) -> Done<'a> {
    Box::pin(async move {
        let Some(run) = session.front.run else {
            session.view.note("nothing was asked: nothing was said yet");
            return Ok(After::Stay);
        };
        let asked = session.app.approvals(Some(run), false, 200).await?;
        let row = |approval: &Approval| {
            let state = approval.ruling.as_ref().map_or_else(
                || "open".to_owned(),
                |ruling| format!("{} by {} ({})", ruling.answer.name(), ruling.by, ruling.channel.name()),
            );
            [crate::render::approvals::summary(&approval.question), state]
        };
        session.view.lines(&rows(&asked.iter().map(row).collect::<Vec<_>>()));
        if asked.is_empty() {
            session.view.note("nothing was asked in this session");
        }
        let allowed: Vec<&str> =
            session.front.allowed.iter().chain(&session.terms.approve).map(String::as_str).collect();
        if !allowed.is_empty() {
            let allowed = allowed.join(", ");
            session.view.note(&format!("not asked again in this session: {allowed}"));
        }
        Ok(After::Stay)
    })
}

impl Session<'_> {
    /// The policy in force, and the tools that the persona has under it.
    pub(super) async fn authority(&self) -> Result<(Policy, Vec<ToolSpec>), Error> {
        let own = masque_app::tools::list(Some(&self.front.persona));
        let built_in = || own.iter().map(|view| view.spec.clone()).collect();
        let Some(run) = self.front.run else {
            let mut policy = Policy::of(&self.front.persona);
            policy.ceiling.clone_from(&self.terms.ceiling);
            policy.mode = self.front.mode.or(self.app.settings.mode()).unwrap_or(policy.mode);
            return Ok((policy, built_in()));
        };
        let state = self.app.state(run).await?;
        Ok(((*state.policy).clone(), state.tools.as_deref().map_or_else(built_in, <[ToolSpec]>::to_vec)))
    }

    /// The call that a person means: the last one, one by its id, or any call of a tool.
    async fn meant_call(&self, rest: &str, specs: &[ToolSpec]) -> Result<ToolCall, Error> {
        let mut calls: Vec<ToolCall> = Vec::new();
        if let Some(run) = self.front.run {
            let events = self.app.journal(run, 0).await?;
            let proposed = events.iter().filter(|event| matches!(event.body, EventBody::ModelCallFinished { .. }));
            calls.extend(proposed.flat_map(|event| event.body.calls()).cloned());
        }
        if rest.is_empty() {
            return calls.pop().ok_or_else(|| {
                Error::usage("no call was made in this session").hint("/why TOOL explains calls of a tool")
            });
        }
        let is_meant = |call: &&ToolCall| call.id.starts_with(rest) || call.tool == rest;
        if let Some(call) = calls.iter().rev().find(is_meant) {
            return Ok(call.clone());
        }
        if specs.iter().any(|spec| spec.name == rest) || masque_app::tools::find(rest).is_ok() {
            return Ok(call_of(rest));
        }
        Err(Error::usage(format!("there is no call or tool `{rest}`")).hint("/tools lists the tools"))
    }
}

fn call_of(tool: &str) -> ToolCall {
    let arguments = serde_json::Value::Object(serde_json::Map::new());
    ToolCall { id: String::new(), tool: tool.to_owned(), arguments, signature: None }
}

const fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Allow => "allow",
        Verdict::Ask => "ask",
        Verdict::Deny => "deny",
    }
}

const fn name(layer: Layer) -> &'static str {
    match layer {
        Layer::Tools => "tools",
        Layer::Rules => "rules",
        Layer::Grant => "grant",
        Layer::Mode => "mode",
        Layer::Ceiling => "ceiling",
    }
}

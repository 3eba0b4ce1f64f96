//! `/context`, `/memory` and `/budget`: what is in the context, what is kept, what was used.

use masque_app::Error;
use masque_types::message::Message;

use super::{Command, Done, Takes, rows};
use crate::{
    cli::chat::{
        session::{After, Session},
        status::compact,
    },
    render::style,
};

pub(super) const CONTEXT: Command = Command {
    name: "context",
    hint: "",
    about: "Show what is in the context, by estimated tokens",
    takes: Takes::Nothing,
    run: context,
};

pub(super) const MEMORY: Command = Command {
    name: "memory",
    hint: "",
    about: "Show what the persona knows beside this conversation",
    takes: Takes::Nothing,
    run: memory,
};

pub(super) const BUDGET: Command = Command {
    name: "budget",
    hint: "",
    about: "Show what the session used and may use",
    takes: Takes::Nothing,
    run: budget,
};

/// Letters of a bar.
const BAR: usize = 24;

fn context<'a>(session: &'a mut Session<'_>, _: &'a str) -> Done<'a> {
    Box::pin(async move {
        let Some(run) = session.front.run else {
            let prompt = (session.front.persona.prompt.len() as u64).div_ceil(4);
            session.view.say(&format!("the prompt of {}: {} tokens", session.front.persona.name, style::count(prompt)));
            session.view.note("nothing was said yet");
            return Ok(After::Stay);
        };
        let state = session.app.state(run).await?;
        let prompt = state.persona.as_ref().map_or(0, |persona| (persona.prompt.len() as u64).div_ceil(4));
        let tools = state.tools.as_deref().unwrap_or_default();
        let weight = |tool: &masque_types::tool::ToolSpec| tool.description.len() + tool.input_schema.to_string().len();
        let tool_tokens = (tools.iter().map(weight).sum::<usize>() as u64).div_ceil(4);
        let (mut person, mut persona, mut results) = ((0, 0), (0, 0), (0, 0));
        for message in &state.messages {
            let part = match **message {
                Message::User { .. } => &mut person,
                Message::Assistant(_) => &mut persona,
                Message::Tool(_) => &mut results,
            };
            *part = (part.0 + 1, part.1 + message.estimated_tokens());
        }
        let limit = state.context_limit.max(1);
        let row = |what: String, tokens: u64| [what, style::count(tokens), bar(tokens, limit)];
        let lines = rows(&[
            row("prompt, skills and instructions".to_owned(), prompt),
            row(format!("{} tools", tools.len()), tool_tokens),
            row(format!("{} messages of yours", person.0), person.1),
            row(format!("{} of the persona", persona.0), persona.1),
            row(format!("{} results", results.0), results.1),
            row("all".to_owned(), state.context_tokens),
        ]);
        session.view.lines(&lines);
        let (used, limit) = (compact(state.context_tokens), compact(state.context_limit));
        session.view.note(&format!("{used} of {limit} tokens, estimated; beyond that, old turns are shortened"));
        Ok(After::Stay)
    })
}

/// A bar as long as the share is large, and the share in numbers.
fn bar(part: u64, whole: u64) -> String {
    let filled = usize::try_from(part * BAR as u64 / whole.max(1)).unwrap_or(BAR).min(BAR);
    format!("{}{} {}%", "█".repeat(filled), "·".repeat(BAR - filled), part * 100 / whole.max(1))
}

fn memory<'a>(session: &'a mut Session<'_>, _: &'a str) -> Done<'a> {
    Box::pin(async move {
        let instructions = masque_app::personas::instructions(&session.workspace);
        let row = |source: &str, bytes: usize| [source.to_owned(), format!("{} tokens", bytes.div_ceil(4))];
        let files: Vec<_> = instructions.iter().map(|file| row(&file.source, file.text.len())).collect();
        if files.is_empty() {
            session.view.note("no instructions: this project has no AGENTS.md");
        } else {
            session.view.say("instructions of the project, in the context from the first turn on:");
            session.view.lines(&rows(&files));
        }
        let skills = session.front.persona.skills.clone();
        if skills.is_empty() {
            session.view.note(&format!("{} has no skills", session.front.persona.name));
        } else {
            session.view.say("skills, read when they are needed:");
            let row = |skill: &masque_types::persona::Skill| {
                [format!("/{}", skill.name), style::shortened(&skill.description, 100)]
            };
            session.view.lines(&rows(&skills.iter().map(row).collect::<Vec<_>>()));
        }
        remembered(session).await?;
        Ok(After::Stay)
    })
}

/// What the persona may read of the memory beyond the conversation.
async fn remembered(session: &mut Session<'_>) -> Result<(), Error> {
    let persona = &session.front.persona;
    let project = session.app.project_namespace(&masque_app::host::Host::project(&session.workspace))?;
    let namespaces = masque_app::memory::readable(persona, &project);
    if namespaces.is_empty() {
        let told = format!("{} has no memory beyond that: its file names no scopes under masque.memory", persona.name);
        session.view.note(&told);
        return Ok(());
    }
    let stats = session.app.memory_statistics(Some(&namespaces)).await?;
    let row = |namespace: &masque_app::memory::Namespace| {
        let sizes = stats.namespaces.get(namespace).copied().unwrap_or_default();
        [namespace.to_string(), format!("{} documents, {} parts", sizes.documents, sizes.chunks)]
    };
    session.view.say("memory, searched when it is needed:");
    session.view.lines(&rows(&namespaces.iter().map(row).collect::<Vec<_>>()));
    Ok(())
}

fn budget<'a>(session: &'a mut Session<'_>, _: &'a str) -> Done<'a> {
    Box::pin(async move {
        let lines = session.budget().await?;
        session.view.lines(&rows(&lines));
        session.view.note("money and tokens count over the whole session; model calls and time for each turn");
        Ok(After::Stay)
    })
}

impl Session<'_> {
    async fn budget(&self) -> Result<Vec<[String; 3]>, Error> {
        let status = self.status().await?;
        let (spend, limits) = (status.spend, status.limits);
        let of = |limit: Option<String>| limit.map_or_else(|| "no limit".to_owned(), |limit| format!("of {limit}"));
        let usage = spend.usage;
        Ok(vec![
            ["money".to_owned(), spend.micro_usd.to_string(), of(limits.micro_usd.map(|limit| limit.to_string()))],
            ["tokens".to_owned(), style::count(usage.total()), of(limits.tokens.map(style::count))],
            ["  read".to_owned(), style::count(usage.input_tokens), String::new()],
            ["  of that from caches".to_owned(), style::count(usage.cache_read_tokens), String::new()],
            ["  written".to_owned(), style::count(usage.output_tokens), String::new()],
            [
                "model calls".to_owned(),
                spend.steps.to_string(),
                limits.steps.map_or_else(String::new, |limit| format!("{limit} in a turn")),
            ],
            [
                "time".to_owned(),
                String::new(),
                limits.wall.map_or_else(String::new, |limit| format!("{} in a turn", style::duration(limit))),
            ],
        ])
    }
}

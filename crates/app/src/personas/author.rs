//! New personas, and changes to those that are there.
//!
//! Owns where they are written, and that nothing wrong ever replaces something right. Leaves out asking people.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use masque_persona::{Origin, Sources, dialect};
use masque_types::{
    actor::Actor,
    diagnostic::{Diagnostic, Severity},
    message::Message,
    model::{Model as _, ModelRef, ModelRequest},
    persona::Persona,
    policy::{Rule, ToolSelection, Verdict},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::files::{self, Replace};
use crate::{App, Error, host::Host};

/// Whose directory a persona goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The project's `.agents/agents/`.
    Project,
    /// The user's own.
    User,
}

/// The directory of personas of a place.
#[must_use]
pub fn directory(host: &Host, project: &Path, place: Place) -> PathBuf {
    match place {
        Place::Project => project.join(".agents/agents"),
        Place::User => host.config.join("agents"),
    }
}

/// What a new persona may do, as a person would say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Look at files.
    Read,
    /// Look, and change files after asking.
    Write,
    /// Look, change files and run commands after asking.
    Run,
}

impl Reach {
    /// All of them, the narrowest first, with what they are called.
    pub const ALL: [(Self, &'static str); 3] = [
        (Self::Read, "read files"),
        (Self::Write, "read and change files"),
        (Self::Run, "change files and run commands"),
    ];

    /// The tools, and rules that ask before anything changes.
    #[must_use]
    pub fn tools(self) -> (Vec<&'static str>, Vec<&'static str>) {
        let read = ["fs.read", "fs.list", "fs.glob", "fs.search", "human.ask"];
        let asked: &[&str] = match self {
            Self::Read => &[],
            Self::Write => &["fs.write", "fs.edit"],
            Self::Run => &["fs.write", "fs.edit", "shell.exec"],
        };
        (read.iter().chain(asked).copied().collect(), asked.to_vec())
    }
}

/// A persona that is to be written.
#[derive(Debug, Clone)]
pub struct Draft {
    /// The persona.
    pub persona: Persona,
    /// The text of its file.
    pub text: String,
    /// What was noticed; a draft with errors cannot be written.
    pub diagnostics: Vec<Diagnostic>,
}

/// A draft of a new persona.
///
/// # Errors
/// When the name cannot be one, or is taken at that place.
pub fn draft(persona: Persona, target: &Path) -> Result<Draft, Error> {
    if !masque_persona::is_name(&persona.name) {
        let error = Error::usage(format!("`{}` cannot be the name of a persona", persona.name));
        return Err(error.hint("use 1 to 64 lower-case letters, digits and `-`"));
    }
    let ours = super::dialect_named("agents")?;
    let text = dialect::export(&persona, ours, None).text;
    let diagnostics = masque_persona::check_text(target, &text, &Sources::default()).1;
    Ok(Draft { persona, text, diagnostics })
}

/// A persona from a description, the tools it may use and the rules that ask.
#[must_use]
pub fn compose(name: &str, description: &str, prompt: &str, reach: Reach, model: Option<ModelRef>) -> Persona {
    let (tools, asked) = reach.tools();
    let mut persona = Persona {
        description: description.to_owned(),
        prompt: prompt.to_owned(),
        tools: ToolSelection::Only(tools.into_iter().map(str::to_owned).collect()),
        rules: asked.into_iter().map(|tool| Rule::new(tool, Verdict::Ask)).collect(),
        ..Persona::new(name)
    };
    persona.model.prefer.extend(model);
    persona
}

/// What a model answers when it is asked for a persona.
#[derive(Debug, Deserialize)]
struct Proposal {
    description: String,
    prompt: String,
    #[serde(default)]
    tools: Vec<String>,
}

const SYSTEM: &str = "\
You write definitions of AI agents. Answer with one JSON object and nothing else:
{\"description\": one sentence that says what the agent does and when to use it,
 \"prompt\": its system prompt in Markdown, 200 to 900 words, written to the agent as \"you\",
 \"tools\": the tools that it needs, from the list}
A good prompt says how a senior practitioner of the field works: what to look at first, the steps, what must be proven
and never guessed, what to refuse, and the form of the result. Concrete method, no flattery, no generalities.
Take few tools. The list: fs.read, fs.list, fs.glob, fs.search, fs.write, fs.edit, shell.exec, web.fetch, human.ask,
agent.call.";

/// Tools that change something or reach out: a proposed persona asks before it uses them.
const ASKED: [&str; 5] = ["fs.write", "fs.edit", "shell.exec", "web.fetch", "agent.call"];

impl App {
    /// Asks the configured model for a persona that fits a description.
    ///
    /// # Errors
    /// When there is no model, it fails, or its answer is no persona.
    pub async fn propose_persona(&self, name: &str, text: &str, model: Option<ModelRef>) -> Result<Persona, Error> {
        let mut asking = Persona::new(name);
        asking.model.prefer.extend(model.clone());
        let models = self.models(&asking).await?;
        let request = ModelRequest {
            run: crate::clock::new_run_id(),
            step: 1,
            route: Arc::new(models.route),
            system: SYSTEM.into(),
            messages: vec![Arc::new(Message::user(format!("Name: {name}\nWhat it is for: {text}")))],
            tools: Arc::new([]),
            output_schema: Some(Arc::new(proposal_schema())),
        };
        let reply = models.gateway.call(&request, &|_| {}).await.map_err(|error| {
            Error::environment(format!("the model gave no persona: {error}")).hint("`masque doctor` shows the models")
        })?;
        let mut persona = proposed(name, &reply.message.text)?;
        persona.model.prefer.extend(model);
        Ok(persona)
    }

    /// Writes a draft.
    ///
    /// # Errors
    /// When it has errors, a file is there already and may not be replaced, or it cannot be written.
    pub async fn write_persona(
        &self,
        actor: &Actor,
        draft: &Draft,
        target: &Path,
        replace: Replace,
    ) -> Result<(), Error> {
        refuse_errors(&draft.diagnostics)?;
        files::write(target, draft.text.as_bytes(), replace)?;
        self.audit_persona(actor, "persona.new", &draft.persona.name, json!({ "file": target })).await
    }

    /// Replaces the file of a persona by an edited text, if that is right.
    ///
    /// # Errors
    /// When the text has errors, or the file cannot be written.
    pub async fn finish_edit(&self, actor: &Actor, edit: &Edit, text: &str) -> Result<(), Error> {
        refuse_errors(&edit.check(text))?;
        for (path, content) in &edit.beside {
            files::write(path, content.as_bytes(), Replace::Allowed)?;
        }
        files::write(&edit.target, text.as_bytes(), Replace::Allowed)?;
        self.audit_persona(actor, "persona.edit", &edit.name, json!({ "file": edit.target })).await
    }

    pub(super) async fn audit_persona(
        &self,
        actor: &Actor,
        action: &str,
        target: &str,
        detail: Value,
    ) -> Result<(), Error> {
        let entry = crate::audit::entry(self.clock.now(), actor, action, None, target, detail);
        Ok(self.store.audit(entry).await?)
    }
}

fn refuse_errors(diagnostics: &[Diagnostic]) -> Result<(), Error> {
    match diagnostics.iter().find(|found| found.severity == Severity::Error) {
        Some(error) => Err(error.clone().into()),
        None => Ok(()),
    }
}

fn proposal_schema() -> Value {
    json!({
        "type": "object",
        "required": ["description", "prompt", "tools"],
        "additionalProperties": false,
        "properties": {
            "description": { "type": "string" },
            "prompt": { "type": "string" },
            "tools": { "type": "array", "items": { "type": "string" } },
        },
    })
}

fn proposed(name: &str, answer: &str) -> Result<Persona, Error> {
    // Models like to put JSON into a block.
    let object = answer.find('{').zip(answer.rfind('}')).and_then(|(first, last)| answer.get(first..=last));
    let proposal: Proposal = object.and_then(|object| serde_json::from_str(object).ok()).ok_or_else(|| {
        Error::environment("the model answered with something else than a persona")
            .hint("try again, or another model with --model")
    })?;
    let asked = ASKED.iter().filter(|tool| proposal.tools.iter().any(|named| named == *tool));
    Ok(Persona {
        description: proposal.description.split_whitespace().collect::<Vec<_>>().join(" "),
        prompt: proposal.prompt,
        rules: asked.map(|tool| Rule::new(*tool, Verdict::Ask)).collect(),
        tools: ToolSelection::Only(proposal.tools),
        ..Persona::new(name)
    })
}

/// A persona whose file is being edited.
#[derive(Debug, Clone)]
pub struct Edit {
    /// Its name.
    pub name: String,
    /// The file that will be replaced, or made from a bundled one.
    pub target: PathBuf,
    /// The text to begin with.
    pub text: String,
    /// Files of a bundled persona that come along.
    beside: Vec<(PathBuf, &'static str)>,
    sources: Sources,
}

impl Edit {
    /// What is wrong with a text.
    #[must_use]
    pub fn check(&self, text: &str) -> Vec<Diagnostic> {
        if self.beside.is_empty() {
            return masque_persona::check_text(&self.target, text, &self.sources).1;
        }
        masque_persona::check_bundled(&self.name, &self.target, text).1
    }
}

/// Begins to edit a persona, also one whose file is wrong. A bundled one is copied to `place` first.
///
/// # Errors
/// When there is none, or its file belongs to another program.
pub fn edit(host: &Host, project: &Path, name: &str, place: Place) -> Result<Edit, Error> {
    let catalog = super::catalog(host, project);
    let sources = super::sources(host, project);
    let found = catalog.find(name).map(|loaded| (loaded.persona.source.clone(), loaded.origin));
    let broken = || catalog.find_broken(name).map(|broken| (broken.file.clone(), broken.origin));
    let Some((source, origin)) = found.or_else(broken) else {
        return Err(super::find(&catalog, name).err().unwrap_or_else(|| Error::usage("there is no such persona")));
    };
    let name = name.to_owned();
    match origin {
        Origin::ProjectClaude => {
            let error = Error::refused(format!("{source} belongs to Claude Code, and Masque only reads it"));
            Err(error.hint(format!("import it first: masque persona import {source} --to .agents/agents")))
        }
        Origin::Bundled => {
            let directory = directory(host, project, place);
            let mut files = masque_persona::bundled_files(&name).unwrap_or_default().into_iter();
            let text = files.next().map(|(_, text)| text.to_owned()).unwrap_or_default();
            let beside = files.map(|(path, text)| (directory.join(path), text)).collect();
            Ok(Edit { target: directory.join(format!("{name}.md")), name, text, beside, sources })
        }
        Origin::Project | Origin::User => {
            let text = String::from_utf8_lossy(&fs_err::read(&source)?).into_owned();
            Ok(Edit { name, target: source.into(), text, beside: Vec::new(), sources })
        }
    }
}

/// Lets the user edit a text in their editor, and returns it.
///
/// # Errors
/// When no editor is set, or it fails.
pub fn in_editor(host: &Host, name: &str, text: &str) -> Result<String, Error> {
    let editor = host.variable("VISUAL").or_else(|| host.variable("EDITOR")).ok_or_else(|| {
        Error::usage("neither VISUAL nor EDITOR is set").hint("for example: EDITOR=nano masque persona edit …")
    })?;
    let directory = tempfile::Builder::new().prefix("masque-edit-").tempdir()?;
    let file = directory.path().join(format!("{name}.md"));
    fs_err::write(&file, text)?;
    // Editors are set with arguments, as in `code --wait`: a shell reads them.
    #[expect(clippy::disallowed_methods, reason = "the user's own editor, at the user's terminal, outside any run")]
    let status =
        std::process::Command::new("/bin/sh").args(["-c", &format!("{editor} \"$1\""), "sh"]).arg(&file).status()?;
    if !status.success() {
        return Err(Error::refused(format!("the editor ended with {status}: nothing was changed")));
    }
    Ok(fs_err::read_to_string(&file)?)
}

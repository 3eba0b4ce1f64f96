//! Texts of scripts that are filled in from what the run's tools returned.
//!
//! Owns the template language (Jinja, with a few filters for text) and the values that templates see. Texts without
//! template marks are never rendered.

use std::collections::BTreeMap;

use masque_types::{
    message::{Message, ToolMessage, joined_text},
    model::ModelRequest,
};
use minijinja::{Environment, UndefinedBehavior, Value as Var, context, value::Serde};
use serde::Serialize;

/// The templates of one script, parsed once.
pub(crate) struct Templates {
    environment: Environment<'static>,
    count: usize,
}

/// A text of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Text {
    /// Given as it is.
    Plain(String),
    /// Rendered: the template's number.
    Template(usize),
}

impl Default for Templates {
    fn default() -> Self {
        let mut environment = Environment::new();
        // A condition may ask for a result that is not there; using one is an error with a line.
        environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
        environment.add_filter("lines", |text: String| lines(&text));
        environment.add_filter("containing", containing);
        environment.add_filter("before", |text: String, mark: String| before(&text, &mark));
        environment.add_filter("after", |text: String, mark: String| after(&text, &mark));
        environment.add_filter("from_json", from_json);
        Self { environment, count: 0 }
    }
}

impl Templates {
    /// Takes a text in, parsed when it holds template marks.
    ///
    /// # Errors
    /// What is wrong with the template, in words.
    pub(crate) fn add(&mut self, text: &str) -> Result<Text, String> {
        if !["{{", "{%", "{#"].iter().any(|mark| text.contains(mark)) {
            return Ok(Text::Plain(text.to_owned()));
        }
        let number = self.count;
        self.environment.add_template_owned(number.to_string(), text.to_owned()).map_err(|error| words(&error))?;
        self.count += 1;
        Ok(Text::Template(number))
    }

    /// Renders a template.
    ///
    /// # Errors
    /// What is wrong, in words: usually a result that is not there.
    pub(crate) fn render(&self, number: usize, variables: &Var) -> Result<String, String> {
        let template = self.environment.get_template(&number.to_string()).map_err(|error| words(&error))?;
        template.render(variables.clone()).map_err(|error| words(&error))
    }
}

fn words(error: &minijinja::Error) -> String {
    let line = error.line().map_or(String::new(), |line| format!("line {line} of the text: "));
    let detail = error.detail().map_or(String::new(), |detail| format!(": {detail}"));
    format!("{line}{}{detail}", error.kind())
}

/// What templates see of an earlier call's result.
#[derive(Debug, Serialize)]
struct CallResult {
    text: String,
    lines: Vec<String>,
    is_error: bool,
}

impl CallResult {
    fn of(message: &ToolMessage) -> Self {
        let text = joined_text(&message.content);
        Self { lines: lines(&text), text, is_error: message.is_error }
    }
}

/// The variables of one request: `task`, `step`, and `results` by label. `labels` are pairs of call id and label.
pub(crate) fn variables(request: &ModelRequest, labels: &[(String, String)]) -> Var {
    let task = request.messages.iter().find_map(|message| match &**message {
        Message::User { content } => Some(joined_text(content)),
        Message::Assistant(_) | Message::Tool(_) => None,
    });
    let label_of = |id: &str| labels.iter().find(|(call_id, _)| call_id == id).map(|(_, label)| label.clone());
    let results: BTreeMap<String, CallResult> = request
        .messages
        .iter()
        .filter_map(|message| match &**message {
            Message::Tool(result) => Some((label_of(&result.call_id)?, CallResult::of(result))),
            Message::User { .. } | Message::Assistant(_) => None,
        })
        .collect();
    context! { task => task.unwrap_or_default(), step => request.step, results => Serde(results) }
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

/// The items of a list that contain a text.
fn containing(items: Vec<String>, needle: String) -> Vec<String> {
    items.into_iter().filter(|item| item.contains(&needle)).collect()
}

/// What stands before the first mark; all of it when there is none.
fn before(text: &str, mark: &str) -> String {
    text.split_once(mark).map_or(text, |(head, _)| head).to_owned()
}

/// What stands after the first mark; nothing when there is none.
fn after(text: &str, mark: &str) -> String {
    text.split_once(mark).map_or("", |(_, tail)| tail).to_owned()
}

fn from_json(text: String) -> Result<Var, minijinja::Error> {
    let value: serde_json::Value = serde_json::from_str(&text).map_err(|error| {
        minijinja::Error::new(minijinja::ErrorKind::InvalidOperation, format!("the text is no JSON ({error})"))
    })?;
    Ok(Var::from(Serde(value)))
}

//! A model that follows a script: no network, no key, the same answer to the same step.
//!
//! The reply is chosen by the request's step, so a resumed or forked run goes on rightly.

use std::{path::Path, time::Duration};

use masque_types::{
    BoxFuture,
    cost::Price,
    message::{AssistantMessage, ToolCall},
    model::{
        Failure, FailureKind, FinishReason, Model, ModelDelta, ModelError, ModelFacts, ModelRef, ModelReply,
        ModelRequest,
    },
};
use minijinja::Value as Var;
use serde_json::Value;

use crate::{
    answer::{Answer, Screen},
    config::Retry,
    error::Error,
    failure::failure,
    prices::PriceTable,
    route::{Candidate, RouteCall},
    script::{Rendering, Script, ScriptCall, ScriptFailure, ScriptReply},
    template::{Templates, Text, variables},
    upstream::{Ask, Upstream},
};

/// Into how many pieces a text is cut when it is shown.
const PIECES: usize = 4;

/// A script that is ready to answer.
pub struct ScriptedModel {
    name: String,
    replies: Vec<Reply>,
    templates: Templates,
    prices: PriceTable,
}

struct Reply {
    /// The last step that this reply answers.
    until_step: u64,
    text: Text,
    reasoning: Text,
    calls: Vec<Call>,
    delay: Duration,
    source: ScriptReply,
}

struct Call {
    label: Option<String>,
    id: Option<String>,
    tool: String,
    arguments: Argument,
}

/// A call's arguments; only those that hold a template are built anew for each call.
enum Argument {
    Whole(Value),
    Template(usize),
    List(Vec<Argument>),
    Object(Vec<(String, Argument)>),
}

impl ScriptedModel {
    /// Reads a script; `name` stands for it in errors.
    ///
    /// # Errors
    /// When the YAML is broken, a field is unknown, or a template does not parse: the error names line or field.
    pub fn from_yaml(text: &str, name: &str) -> Result<Self, Error> {
        Self::new(Script::from_yaml(text, name)?, name)
    }

    /// Reads a script from a file.
    ///
    /// # Errors
    /// As [`from_yaml`](Self::from_yaml), and when the file cannot be read.
    pub fn from_file(path: &Path) -> Result<Self, Error> {
        Self::from_yaml(&fs_err::read_to_string(path)?, &path.display().to_string())
    }

    /// Takes a script; `name` stands for it in errors.
    ///
    /// # Errors
    /// When it has no replies, a call has no tool, or a template does not parse: the error names the field.
    pub fn new(script: Script, name: &str) -> Result<Self, Error> {
        let mut reader = Reader { file: name, texts: script.texts, templates: Templates::default(), steps: 0 };
        if script.replies.is_empty() {
            return Err(reader.wrong("replies", "a script needs at least one reply"));
        }
        let replies = script
            .replies
            .into_iter()
            .enumerate()
            .map(|(place, reply)| reader.reply(place + 1, reply))
            .collect::<Result<_, _>>()?;
        let templates = reader.templates;
        Ok(Self { name: name.to_owned(), replies, templates, prices: PriceTable::default() })
    }

    fn reply(&self, step: u32) -> Option<(usize, &Reply)> {
        let place = self.replies.partition_point(|reply| reply.until_step < u64::from(step));
        self.replies.get(place).map(|reply| (place + 1, reply))
    }

    async fn answer(&self, request: &ModelRequest, screen: &Screen<'_>) -> Result<Answer, Failure> {
        let (number, reply) = self.reply(request.step).ok_or_else(|| self.is_over(request.step))?;
        if !reply.delay.is_zero() {
            tokio::time::sleep(reply.delay).await;
        }
        let mut filling = Filling { model: self, request, number, variables: None };
        let message = filling.message(reply)?;
        if let Some(reasoning) = &message.reasoning {
            screen.reasoning(reasoning);
        }
        show_in_pieces(&message.text, screen);
        if let Some(failure) = &reply.source.failure {
            return Err(self.injected(failure));
        }
        let usual = if message.calls.is_empty() { FinishReason::Stop } else { FinishReason::ToolCalls };
        Ok(Answer {
            message,
            finish: reply.source.finish.unwrap_or(usual),
            usage: reply.source.usage,
            reported_model: None,
            response_id: None,
        })
    }

    fn is_over(&self, step: u32) -> Failure {
        let last = self.replies.last().map_or(0, |reply| reply.until_step);
        let message = format!(
            "the script {} answers {last} steps, and the run asks for step {step}: add a reply, or end the run sooner \
             with one that calls no tool",
            self.name
        );
        failure(FailureKind::BadRequest, message)
    }

    fn injected(&self, given: &ScriptFailure) -> Failure {
        let message = match given.message.as_str() {
            "" => format!("injected by the script {}", self.name),
            message => message.to_owned(),
        };
        Failure { kind: given.kind, message, retry_after_ms: given.retry_after_ms }
    }

    /// Pairs of call id and label of all calls before a step.
    fn labels(&self, step: u32) -> Vec<(String, String)> {
        let mut labels = Vec::new();
        let mut first_step = 1;
        for reply in &self.replies {
            for step in first_step..=reply.until_step.min(u64::from(step)) {
                let calls = reply.calls.iter().enumerate();
                labels.extend(calls.filter_map(|(place, call)| {
                    Some((call.id(u32::try_from(step).ok()?, place), call.label.clone()?))
                }));
            }
            first_step = reply.until_step + 1;
        }
        labels
    }
}

impl Upstream for ScriptedModel {
    fn ask<'a>(&'a self, ask: Ask<'a>, screen: &'a Screen<'a>) -> BoxFuture<'a, Result<Answer, Failure>> {
        Box::pin(self.answer(ask.request, screen))
    }

    fn may_recover(&self) -> bool {
        false
    }
}

/// Answers each request itself, whatever models its route names; the first of them stands in the receipt.
impl Model for ScriptedModel {
    fn call<'a>(
        &'a self,
        request: &'a ModelRequest,
        show: &'a (dyn Fn(ModelDelta) + Send + Sync),
    ) -> BoxFuture<'a, Result<ModelReply, Box<ModelError>>> {
        let find = |_: &ModelRef| Ok(Candidate { upstream: self as &dyn Upstream, is_free: true });
        Box::pin(async move { RouteCall::new(request, &self.prices, Retry::default(), show).run(&find).await })
    }

    fn facts(&self, _model: &ModelRef) -> ModelFacts {
        ModelFacts { price: Some(Price::default()), context_tokens: None }
    }
}

fn show_in_pieces(text: &str, screen: &Screen<'_>) {
    let mut rest = text;
    let size = text.len().div_ceil(PIECES).max(16);
    while !rest.is_empty() {
        let (piece, tail) = rest.split_at(rest.ceil_char_boundary(size.min(rest.len())));
        screen.text(piece);
        rest = tail;
    }
}

/// Fills one reply in; the variables are collected only when a template wants them.
struct Filling<'a> {
    model: &'a ScriptedModel,
    request: &'a ModelRequest,
    /// The reply's place in the script, from 1.
    number: usize,
    variables: Option<Var>,
}

impl Filling<'_> {
    fn message(&mut self, reply: &Reply) -> Result<AssistantMessage, Failure> {
        let text = self.text(&reply.text, "text")?;
        let reasoning = Some(self.text(&reply.reasoning, "reasoning")?).filter(|text| !text.is_empty());
        let mut calls = Vec::with_capacity(reply.calls.len());
        for (place, call) in reply.calls.iter().enumerate() {
            calls.push(ToolCall {
                id: call.id(self.request.step, place),
                tool: call.tool.clone(),
                arguments: self.argument(&call.arguments)?,
                signature: None,
            });
        }
        Ok(AssistantMessage { text, reasoning, calls, opaque: None })
    }

    fn text(&mut self, text: &Text, field: &str) -> Result<String, Failure> {
        match text {
            Text::Plain(text) => Ok(text.clone()),
            Text::Template(number) => self.render(*number, field),
        }
    }

    fn argument(&mut self, argument: &Argument) -> Result<Value, Failure> {
        Ok(match argument {
            Argument::Whole(value) => value.clone(),
            Argument::Template(number) => Value::String(self.render(*number, "arguments")?),
            Argument::List(items) => items.iter().map(|item| self.argument(item)).collect::<Result<_, _>>()?,
            Argument::Object(fields) => Value::Object(
                fields
                    .iter()
                    .map(|(name, field)| Ok((name.clone(), self.argument(field)?)))
                    .collect::<Result<_, Failure>>()?,
            ),
        })
    }

    fn render(&mut self, template: usize, field: &str) -> Result<String, Failure> {
        let (model, request) = (self.model, self.request);
        let variables = self.variables.get_or_insert_with(|| variables(request, &model.labels(request.step)));
        model.templates.render(template, variables).map_err(|problem| {
            let message = format!("the script {}, reply {}, {field}: {problem}", model.name, self.number);
            failure(FailureKind::BadRequest, message)
        })
    }
}

impl Call {
    fn id(&self, step: u32, place: usize) -> String {
        self.id.clone().unwrap_or_else(|| format!("call_{step}_{}", place + 1))
    }
}

/// Turns a script into replies, and names the field where it cannot.
struct Reader<'a> {
    file: &'a str,
    texts: Rendering,
    templates: Templates,
    steps: u64,
}

impl Reader<'_> {
    fn reply(&mut self, number: usize, reply: ScriptReply) -> Result<Reply, Error> {
        if reply.repeat == 0 {
            return Err(self.wrong(&format!("reply {number}, repeat"), "must be 1 or more"));
        }
        if reply.repeat > 1 && reply.calls.iter().any(|call| call.id.is_some()) {
            return Err(self.wrong(&format!("reply {number}, repeat"), "must be 1 where a call has an id of its own"));
        }
        self.steps += u64::from(reply.repeat);
        let text = self.text(&reply.text, &format!("reply {number}, text"))?;
        let reasoning = self.text(&reply.reasoning, &format!("reply {number}, reasoning"))?;
        let calls = reply
            .calls
            .iter()
            .enumerate()
            .map(|(place, call)| self.call(&format!("reply {number}, call {}", place + 1), call))
            .collect::<Result<_, _>>()?;
        let delay = Duration::from_millis(reply.delay_ms);
        Ok(Reply { until_step: self.steps, text, reasoning, calls, delay, source: reply })
    }

    fn call(&mut self, field: &str, call: &ScriptCall) -> Result<Call, Error> {
        if call.tool.trim().is_empty() {
            return Err(self.wrong(&format!("{field}, tool"), "must be a tool's name, for example `fs.read`"));
        }
        Ok(Call {
            label: call.label.clone(),
            id: call.id.clone(),
            tool: call.tool.clone(),
            arguments: self.argument(&call.arguments, &format!("{field}, arguments"))?,
        })
    }

    fn argument(&mut self, value: &Value, field: &str) -> Result<Argument, Error> {
        if !has_template(value) || self.texts == Rendering::Verbatim {
            return Ok(Argument::Whole(value.clone()));
        }
        Ok(match value {
            Value::String(text) => match self.text(text, field)? {
                Text::Plain(text) => Argument::Whole(Value::String(text)),
                Text::Template(number) => Argument::Template(number),
            },
            Value::Array(items) => {
                Argument::List(items.iter().map(|item| self.argument(item, field)).collect::<Result<_, _>>()?)
            }
            Value::Object(fields) => Argument::Object(
                fields
                    .iter()
                    .map(|(name, value)| Ok((name.clone(), self.argument(value, &format!("{field}.{name}"))?)))
                    .collect::<Result<_, Error>>()?,
            ),
            other => Argument::Whole(other.clone()),
        })
    }

    fn text(&mut self, text: &str, field: &str) -> Result<Text, Error> {
        if self.texts == Rendering::Verbatim {
            return Ok(Text::Plain(text.to_owned()));
        }
        self.templates.add(text).map_err(|problem| self.wrong(field, &problem))
    }

    fn wrong(&self, field: &str, problem: &str) -> Error {
        Error::Field { file: self.file.to_owned(), field: field.to_owned(), problem: problem.to_owned() }
    }
}

fn has_template(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('{'),
        Value::Array(items) => items.iter().any(has_template),
        Value::Object(fields) => fields.values().any(has_template),
        _ => false,
    }
}

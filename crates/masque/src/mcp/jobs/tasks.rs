//! Jobs as tasks of the extension `io.modelcontextprotocol/tasks`: the same rows, so a task outlives the server.

use std::{collections::BTreeMap, time::Duration};

use masque_app::{App, Kind, jobs::JobView};
use masque_types::{
    actor::{Channel, Reach},
    approval::{Answer, Approval, Question},
    id::RunId,
    job::JobStatus,
};
use rmcp::{
    ErrorData,
    model::{
        DetailedTask, ElicitRequest, ElicitResult, ElicitationAction, ElicitationSchema, EnumSchema, InputRequest,
        InputRequests, InputResponses, JsonObject, Task, TaskPayload, TaskStatus,
    },
};
use serde_json::{Map, Value};

use super::{
    super::{
        failure,
        feature::Asked,
        form::{Forms, parameters},
        tool::{refused, told},
    },
    Jobs,
    view::{Job, rfc3339},
};

/// What the key of a question begins with; the rest is its id.
const QUESTION: &str = "approval-";

/// A job as a task.
pub(super) fn task(app: &App, view: &JobView) -> Task {
    let status = match view.status {
        JobStatus::Pending | JobStatus::Running => TaskStatus::Working,
        JobStatus::Complete | JobStatus::Failed => TaskStatus::Completed,
        JobStatus::Cancelled => TaskStatus::Cancelled,
    };
    let (id, created, updated) = (view.run.to_string(), rfc3339(view.created_at), rfc3339(view.updated_at));
    let task = Task::new(id, status, created, updated).with_status_message(message(view));
    let task = match app.settings.duration("jobs.keep") {
        Some(keep) => task.with_ttl_ms(u64::try_from(keep.as_millis()).unwrap_or(u64::MAX)),
        None => task,
    };
    if view.status.is_final() { task } else { task.with_poll_interval_ms(view.poll_after_ms) }
}

/// Phase, percent and the time that is left, or what has to happen first.
fn message(view: &JobView) -> String {
    if let Some(open) = view.questions.first() {
        return format!("waits for a person: {}; answer with `{}`", open.question, open.command);
    }
    let progress = &view.progress;
    let left = progress.eta_seconds.map(|seconds| format!(", about {seconds} s left")).unwrap_or_default();
    format!("{}, {} %{left}", progress.message, progress.percent_complete)
}

impl Jobs {
    pub(in crate::mcp) async fn task_of(&self, asked: &Asked, id: &str) -> Result<Option<DetailedTask>, ErrorData> {
        let Some(run) = self.own(asked, id).await? else { return Ok(None) };
        let looked = self.app.check_job(&asked.caller, run, Duration::ZERO, None).await;
        let view = looked.map_err(|error| failure::for_client(&self.app, &asked.caller, &error))?;
        let payload = match view.status {
            JobStatus::Complete => TaskPayload::Completed { result: as_result(&view) },
            JobStatus::Failed => TaskPayload::Completed { result: as_failure(&view) },
            JobStatus::Cancelled => TaskPayload::Cancelled,
            JobStatus::Pending | JobStatus::Running => self.open_payload(asked, run, &view).await?,
        };
        Ok(Some(DetailedTask::new(task(&self.app, &view), payload)))
    }

    /// What a task that has not ended needs: input only where an answer would count.
    async fn open_payload(&self, asked: &Asked, run: RunId, view: &JobView) -> Result<TaskPayload, ErrorData> {
        if view.questions.is_empty() || !self.answers_count(asked) || !Forms::can_show(asked) {
            return Ok(TaskPayload::Working);
        }
        let input_requests: InputRequests = self
            .open_questions(asked, run)
            .await?
            .iter()
            .filter_map(|approval| Some((format!("{QUESTION}{}", approval.id), form(approval)?)))
            .collect();
        Ok(if input_requests.is_empty() { TaskPayload::Working } else { TaskPayload::InputRequired { input_requests } })
    }

    /// Whether an answer to a form is taken for a person's: it proves none, so that the user has to want it, and only from
    /// a client on this machine.
    fn answers_count(&self, asked: &Asked) -> bool {
        asked.caller.reach == Reach::Local && self.app.settings.text("approvals.decide") == "elicitation"
    }

    pub(in crate::mcp) async fn answered(
        &self,
        asked: &Asked,
        id: &str,
        answers: InputResponses,
    ) -> Result<Option<()>, ErrorData> {
        let Some(run) = self.own(asked, id).await? else { return Ok(None) };
        if !self.answers_count(asked) {
            let message =
                "answers to forms do not count here (`approvals.decide`); the task's message names the command";
            return Err(ErrorData::invalid_request(message, None));
        }
        let open: BTreeMap<String, Approval> = self
            .open_questions(asked, run)
            .await?
            .into_iter()
            .map(|approval| (format!("{QUESTION}{}", approval.id), approval))
            .collect();
        for (key, answer) in answers {
            let Some((approval, answer)) =
                open.get(&key).and_then(|approval| Some((approval, given(approval, answer)?)))
            else {
                continue;
            };
            let answered = self.app.answer(&asked.caller.actor, approval, answer, Channel::Elicitation).await;
            answered.map_err(|error| failure::for_client(&self.app, &asked.caller, &error))?;
        }
        Ok(Some(()))
    }

    pub(super) async fn task_cancelled(&self, asked: &Asked, id: &str) -> Result<Option<()>, ErrorData> {
        let Some(run) = self.own(asked, id).await? else { return Ok(None) };
        match self.app.cancel_job(&asked.caller, run).await {
            // One that has ended cannot be cancelled any more; the client sees its end when it looks.
            Ok(_) => Ok(Some(())),
            Err(error) if error.kind == Kind::Refused => Ok(Some(())),
            Err(error) => Err(failure::for_client(&self.app, &asked.caller, &error)),
        }
    }

    /// The job with exactly that id, if it is the caller's.
    async fn own(&self, asked: &Asked, id: &str) -> Result<Option<RunId>, ErrorData> {
        let Ok(run) = id.parse::<RunId>() else { return Ok(None) };
        match self.app.find_job(&asked.caller, &run.to_string()).await {
            Ok(run) => Ok(Some(run)),
            Err(error) if error.kind == Kind::Environment => Err(failure::for_client(&self.app, &asked.caller, &error)),
            Err(_) => Ok(None),
        }
    }

    async fn open_questions(&self, asked: &Asked, run: RunId) -> Result<Vec<Approval>, ErrorData> {
        let open = self.app.approvals_of_tree(run).await;
        open.map_err(|error| failure::for_client(&self.app, &asked.caller, &error))
    }
}

/// The result of the call that the task stands for.
fn as_result(view: &JobView) -> JsonObject {
    object(serde_json::to_value(told(&Job::of(view))))
}

fn as_failure(view: &JobView) -> JsonObject {
    let why = view.error.as_deref().unwrap_or("it ended without a result");
    let partial = view.partial_result.as_ref().map(|partial| format!("\n\nUntil then:\n{partial}")).unwrap_or_default();
    object(serde_json::to_value(refused(format!("the job of {} failed: {why}{partial}", view.persona))))
}

fn object(value: serde_json::Result<Value>) -> JsonObject {
    match value {
        Ok(Value::Object(object)) => object,
        _ => Map::new(),
    }
}

/// A question as a form; none when it cannot be asked by one.
fn form(approval: &Approval) -> Option<InputRequest> {
    let schema = ElicitationSchema::builder();
    let (message, schema) = match &approval.question {
        Question::ToolCall { tool, arguments, reason } => {
            let choices = EnumSchema::builder(vec!["approve".to_owned(), "deny".to_owned()]).build();
            let message = format!("May the persona call {tool} with {arguments}?\n{reason}");
            (message, schema.required_enum_schema("decision", choices).optional_string("reason"))
        }
        Question::InDoubt { tool, arguments, .. } => {
            let choices = ["happened", "retry", "abort"].map(str::to_owned).to_vec();
            let choices = EnumSchema::builder(choices).build();
            let message = format!("The call of {tool} with {arguments} was interrupted. Did it happen?");
            (message, schema.required_enum_schema("decision", choices))
        }
        Question::Input { question, .. } => (question.clone(), schema.required_string("reply")),
    };
    Some(InputRequest::Elicitation(ElicitRequest::new(parameters(message, schema.build().ok()?))))
}

/// What an answered form says; nothing when it was not accepted or says nothing that fits.
fn given(approval: &Approval, answer: Value) -> Option<Answer> {
    let answer: ElicitResult = serde_json::from_value(answer).ok()?;
    if answer.action != ElicitationAction::Accept {
        return None;
    }
    let content = answer.content?;
    let text = |field: &str| content.get(field).and_then(Value::as_str).map(str::to_owned);
    match (&approval.question, text("decision").as_deref()) {
        (Question::ToolCall { .. }, Some("approve")) => Some(Answer::Approve),
        (Question::ToolCall { .. }, Some("deny")) => Some(Answer::Deny { reason: text("reason") }),
        (Question::InDoubt { .. }, Some("happened")) => Some(Answer::Happened { result: None }),
        (Question::InDoubt { .. }, Some("retry")) => Some(Answer::Retry),
        (Question::InDoubt { .. }, Some("abort")) => Some(Answer::Abort),
        (Question::Input { .. }, _) => Some(Answer::Reply { text: text("reply")? }),
        _ => None,
    }
}

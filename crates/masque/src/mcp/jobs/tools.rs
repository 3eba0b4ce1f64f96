//! The tools over jobs: their arguments, and what each does.

use std::time::Duration;

use masque_app::{
    Error,
    jobs::{Invoke, Invoked, JobQuery, LONGEST_WAIT},
};
use masque_types::{
    id::RunId,
    job::{JobStatus, Priority},
};
use rmcp::model::{CallToolRequestParams, CallToolResponse, CallToolResult, CreateTaskResult, JsonObject, Tool};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    super::{
        failure,
        feature::Asked,
        people::Person,
        tool::{Does, arguments, define, refused, told},
    },
    Jobs, tasks,
    view::{Cancelled, Job, Listing, Reset, Started, Statistics},
    waiting,
};

/// What a call comes to; the error is a result too, one that says what is wrong.
pub(in crate::mcp) type Outcome = Result<CallToolResponse, CallToolResult>;

/// Jobs of one page at most.
const LONGEST_PAGE: usize = 100;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Task {
    /// What to do, in full sentences.
    task: String,
    /// What the persona needs and cannot know: code, text, decisions. It is given as data, not as instructions.
    #[serde(default)]
    context: Option<String>,
    /// Files of the project whose content goes along, by their paths from the project's directory on.
    #[serde(default)]
    files: Vec<String>,
    /// Which jobs are taken first: low, normal or high.
    #[serde(default)]
    priority: Priority,
    /// Seconds to wait for the result, 0 to 55. The job goes on when they are over.
    #[serde(default)]
    wait_s: u64,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct TaskOf {
    /// The persona's name, without `@`.
    persona: String,
    /// What to do, in full sentences.
    task: String,
    /// What the persona needs and cannot know: code, text, decisions. It is given as data, not as instructions.
    #[serde(default)]
    context: Option<String>,
    /// Files of the project whose content goes along, by their paths from the project's directory on.
    #[serde(default)]
    files: Vec<String>,
    /// Which jobs are taken first: low, normal or high.
    #[serde(default)]
    priority: Priority,
    /// Seconds to wait for the result, 0 to 55. The job goes on when they are over.
    #[serde(default)]
    wait_s: u64,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Handoff {
    /// The persona that takes over, without `@`.
    persona: String,
    /// What it is to do with what is handed on.
    task: String,
    /// The job that has ended and whose task and result are handed on.
    job_id: String,
    /// What the persona needs beside that. It is given as data, not as instructions.
    #[serde(default)]
    context: Option<String>,
    /// Files of the project whose content goes along, by their paths from the project's directory on.
    #[serde(default)]
    files: Vec<String>,
    /// Which jobs are taken first: low, normal or high.
    #[serde(default)]
    priority: Priority,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Check {
    /// The job.
    job_id: String,
    /// Seconds to wait for news, 0 to 55. The call returns as soon as there is news.
    #[serde(default)]
    wait_s: u64,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct List {
    /// Only jobs that stand there: pending, running, complete, failed or cancelled.
    #[serde(default)]
    status: Option<JobStatus>,
    /// Only jobs of this persona.
    #[serde(default)]
    persona: Option<String>,
    /// How many at most, 1 to 100.
    #[serde(default = "usual_page")]
    limit: usize,
}

const fn usual_page() -> usize {
    10
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct OneJob {
    /// The job.
    job_id: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Nothing {}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Confirm {
    /// Must be true. Only a person may decide this: ask first.
    #[serde(default)]
    confirm: bool,
}

/// The tools, in the order of the list.
pub(super) fn definitions(callable: &[Person], only: Option<&str>) -> Vec<Tool> {
    let mut tools: Vec<Tool> = callable.iter().filter(|person| person.has_tool).map(invoking).collect();
    if only.is_none() {
        tools.push(define::<TaskOf, Started>(
            "invoke_persona",
            "Invoke a persona",
            "Starts any callable persona on a task, in the background, and returns at once with a job_id. Look at the job \
             with check_persona_job. Use it for `@name` when there is no tool invoke_<name>.",
            Does::Start,
        ));
    }
    tools.push(define::<Check, Job>(
        "check_persona_job",
        "Check a job",
        "Says how far a job is, and gives its result when it is complete. With wait_s it waits for news instead of \
         returning the same again, so call it with wait_s: 25 until status is complete, failed or cancelled.",
        Does::Read,
    ));
    tools.push(define::<List, Listing>(
        "list_persona_jobs",
        "List jobs",
        "Lists recent jobs, newest first.",
        Does::Read,
    ));
    tools.push(define::<OneJob, Cancelled>(
        "cancel_persona_job",
        "Cancel a job",
        "Stops a job that has not ended, and keeps what there is of a result.",
        Does::End,
    ));
    tools.push(define::<Handoff, Started>(
        "handoff",
        "Hand off a job's result",
        "Hands the task and the result of a job that has ended on to another persona, and starts that one.",
        Does::Start,
    ));
    tools.push(define::<Nothing, Statistics>(
        "persona_database_stats",
        "Statistics of jobs",
        "Says how much is stored about jobs, and when old ones are deleted.",
        Does::Read,
    ));
    tools.push(define::<Confirm, Reset>(
        "reset_persona_jobs",
        "Delete all jobs",
        "DANGER: deletes the history of all jobs. Only when a person of this machine asks for it, with confirm: true.",
        Does::Delete,
    ));
    tools
}

fn invoking(person: &Person) -> Tool {
    let title = format!("Invoke {}", person.title);
    let description = format!(
        "Starts the persona {} on a task, in the background, and returns at once with a job_id. {} Look at the job with \
         check_persona_job.",
        person.name,
        person.description.trim(),
    );
    define::<Task, Started>(format!("invoke_{}", person.name), &title, description, Does::Start)
        .with_icons(person.icons.clone())
}

impl Jobs {
    /// Calls the tool of that name; `None` when there is none here.
    pub(super) async fn called(&self, asked: &Asked, call: CallToolRequestParams) -> Option<Outcome> {
        let given = call.arguments;
        Some(match call.name.as_ref() {
            "invoke_persona" if self.people.only().is_none() => self.invoke_named(asked, given).await,
            "check_persona_job" => self.check(asked, given).await,
            "list_persona_jobs" => self.list(asked, given).await,
            "cancel_persona_job" => self.cancel(asked, given).await,
            "handoff" => self.hand_off(asked, given).await,
            "persona_database_stats" => self.statistics(asked, given).await,
            "reset_persona_jobs" => self.reset(asked, given).await,
            name => {
                let persona = self.people.of_tool(name.strip_prefix("invoke_")?)?;
                self.invoke_one(asked, &persona, given).await
            }
        })
    }

    async fn invoke_one(&self, asked: &Asked, persona: &str, given: Option<JsonObject>) -> Outcome {
        let task: Task = arguments(given)?;
        let wish = Invoke {
            context: task.context,
            files: task.files,
            priority: task.priority,
            ..Invoke::new(persona, task.task, self.workspace.clone())
        };
        self.invoke(asked, wish, task.wait_s).await
    }

    async fn invoke_named(&self, asked: &Asked, given: Option<JsonObject>) -> Outcome {
        let task: TaskOf = arguments(given)?;
        let name = task.persona.trim_start_matches('@').to_owned();
        if !self.people.can_be_called(&name) {
            return Err(self.nobody(&name));
        }
        let wish = Invoke {
            context: task.context,
            files: task.files,
            priority: task.priority,
            ..Invoke::new(name, task.task, self.workspace.clone())
        };
        self.invoke(asked, wish, task.wait_s).await
    }

    /// What a model does without the persona is said here too: not every client shows the server's instructions.
    fn nobody(&self, name: &str) -> CallToolResult {
        let names: Vec<String> = self.people.names();
        refused(format!(
            "there is no persona `{name}` that can be called. Say so in one sentence and do the task yourself; do not \
             choose another persona instead. Those that can be called: {}",
            names.join(", ")
        ))
    }

    pub(in crate::mcp) async fn invoke(&self, asked: &Asked, wish: Invoke, wait_s: u64) -> Outcome {
        let wait = waiting_time(wait_s)?;
        let invoked = self.app.invoke(&asked.caller, wish).await.map_err(|error| self.failed(asked, &error))?;
        if asked.client().supports_tasks() {
            let look = self.app.check_job(&asked.caller, invoked.run, Duration::ZERO, None).await;
            let view = look.map_err(|error| self.failed(asked, &error))?;
            return Ok(CreateTaskResult::new(tasks::task(&self.app, &view)).into());
        }
        self.started(asked, &invoked, wait).await
    }

    async fn started(&self, asked: &Asked, invoked: &Invoked, wait: Duration) -> Outcome {
        if wait.is_zero() {
            return Ok(told(&Started::of(invoked, None)).into());
        }
        let looked = waiting::to_the_end(&self.app, asked, invoked.run, wait).await;
        let view = looked.map_err(|error| self.failed(asked, &error))?;
        Ok(told(&Started::of(invoked, Some(&view))).into())
    }

    async fn hand_off(&self, asked: &Asked, given: Option<JsonObject>) -> Outcome {
        let wish: Handoff = arguments(given)?;
        let name = wish.persona.trim_start_matches('@').to_owned();
        if !self.people.can_be_called(&name) {
            return Err(self.nobody(&name));
        }
        let from = self.job(asked, &wish.job_id).await?;
        let looked = self.app.check_job(&asked.caller, from, Duration::ZERO, None).await;
        let before = looked.map_err(|error| self.failed(asked, &error))?;
        let Some(result) = before.result.or(before.partial_result) else {
            return Err(refused(format!(
                "`job_id`: {from} has no result to hand on; check_persona_job says how far it is"
            )));
        };
        let handed = format!("Task of {}: {}\n\nResult of {}:\n{result}", before.persona, before.task, before.persona);
        let context = wish.context.into_iter().chain([handed]).collect::<Vec<_>>().join("\n\n");
        let wish = Invoke {
            context: Some(context),
            files: wish.files,
            priority: wish.priority,
            ..Invoke::new(name, wish.task, self.workspace.clone())
        };
        self.invoke(asked, wish, 0).await
    }

    async fn check(&self, asked: &Asked, given: Option<JsonObject>) -> Outcome {
        let check: Check = arguments(given)?;
        let wait = waiting_time(check.wait_s)?;
        let run = self.job(asked, &check.job_id).await?;
        let looked = waiting::look(&self.app, asked, run, wait).await;
        let view = looked.map_err(|error| self.failed(asked, &error))?;
        Ok(told(&Job::of(&view)).into())
    }

    async fn list(&self, asked: &Asked, given: Option<JsonObject>) -> Outcome {
        let list: List = arguments(given)?;
        if !(1..=LONGEST_PAGE).contains(&list.limit) {
            return Err(refused(format!("wrong argument `limit`: expected 1 to {LONGEST_PAGE}, got {}", list.limit)));
        }
        // An address of one persona shows that one's jobs only.
        let persona = self.people.only().map(str::to_owned).or(list.persona);
        let query = JobQuery { status: list.status, persona, before: None, limit: list.limit };
        let page = self.app.jobs(&asked.caller, &query).await.map_err(|error| self.failed(asked, &error))?;
        Ok(told(&Listing::of(&page, self.app.now())).into())
    }

    async fn cancel(&self, asked: &Asked, given: Option<JsonObject>) -> Outcome {
        let one: OneJob = arguments(given)?;
        let run = self.job(asked, &one.job_id).await?;
        let view = self.app.cancel_job(&asked.caller, run).await.map_err(|error| self.failed(asked, &error))?;
        Ok(told(&Cancelled::of(&view)).into())
    }

    async fn statistics(&self, asked: &Asked, given: Option<JsonObject>) -> Outcome {
        let Nothing {} = arguments(given)?;
        let statistics = self.app.job_statistics().await.map_err(|error| self.failed(asked, &error))?;
        Ok(told(&Statistics::of(&statistics, self.app.now())).into())
    }

    async fn reset(&self, asked: &Asked, given: Option<JsonObject>) -> Outcome {
        let Confirm { confirm } = arguments(given)?;
        let deleted = self.app.reset_jobs(&asked.caller, confirm).await;
        Ok(told(&Reset::of(&deleted.map_err(|error| self.failed(asked, &error))?)).into())
    }

    async fn job(&self, asked: &Asked, id: &str) -> Result<RunId, CallToolResult> {
        self.app.find_job(&asked.caller, id).await.map_err(|error| self.failed(asked, &error))
    }

    fn failed(&self, asked: &Asked, error: &Error) -> CallToolResult {
        failure::for_model(&self.app, &asked.caller, error)
    }
}

fn waiting_time(seconds: u64) -> Result<Duration, CallToolResult> {
    let most = LONGEST_WAIT.as_secs();
    if seconds > most {
        return Err(refused(format!("wrong argument `wait_s`: expected 0 to {most}, got {seconds}")));
    }
    Ok(Duration::from_secs(seconds))
}

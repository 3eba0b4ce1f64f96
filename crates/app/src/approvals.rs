//! Use cases over approvals: list, show, answer.

use std::collections::{BTreeMap, BTreeSet};

use masque_store::{ApprovalFilter, RunFilter};
use masque_types::{
    actor::{Actor, Channel},
    approval::{Answer, Approval, Question, Ruling},
    id::{ApprovalId, RunId},
    run::Command,
};
use serde_json::json;

use crate::{App, Error, audit, clock};

impl App {
    /// Questions, newest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn approvals(&self, run: Option<RunId>, open_only: bool, limit: usize) -> Result<Vec<Approval>, Error> {
        let approvals = self.store.approvals(&ApprovalFilter { open_only, run, limit }).await?;
        let mut approvals = self.with_waiting_answers(approvals).await?;
        if open_only {
            approvals.retain(|approval| approval.ruling.is_none());
        }
        Ok(approvals)
    }

    /// The open questions of a run and of all that it called, directly or through others.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn approvals_of_tree(&self, run: RunId) -> Result<Vec<Approval>, Error> {
        let mut found = Vec::new();
        let mut runs = vec![run];
        while let Some(run) = runs.pop() {
            found.extend(self.approvals(Some(run), true, 100).await?);
            let called = self.runs(&RunFilter { parent: Some(run), ..RunFilter::default() }).await?;
            runs.extend(called.into_iter().filter(|called| !called.status.is_final()).map(|called| called.id));
        }
        Ok(found)
    }

    /// Fills in answers that wait in the inboxes of runs that nobody drives.
    async fn with_waiting_answers(&self, mut approvals: Vec<Approval>) -> Result<Vec<Approval>, Error> {
        let runs: BTreeSet<RunId> =
            approvals.iter().filter(|approval| approval.ruling.is_none()).map(|approval| approval.run).collect();
        let mut answers: BTreeMap<ApprovalId, Ruling> = BTreeMap::new();
        for run in runs {
            for (_, command) in self.store.inbox(run).await? {
                if let Command::Answer { approval, ruling, .. } = command {
                    // The first answer counts, as it does when the run takes them.
                    answers.entry(approval).or_insert(ruling);
                }
            }
        }
        for approval in approvals.iter_mut().filter(|approval| approval.ruling.is_none()) {
            approval.ruling = answers.remove(&approval.id);
        }
        Ok(approvals)
    }

    /// The question with that id or unique beginning of an id.
    ///
    /// # Errors
    /// When there is none, or more than one.
    pub async fn find_approval(&self, id: &str) -> Result<Approval, Error> {
        let id = match id.parse::<ApprovalId>() {
            Ok(id) => id,
            Err(_) => crate::runs::only_match("approval", id, &self.store.find_approvals(id).await?)?,
        };
        let found = self.store.approval(id).await?.into_iter().collect();
        self.with_waiting_answers(found).await?.pop().ok_or_else(|| {
            Error::usage(format!("there is no approval {id}")).hint("`masque approvals list --all` shows what there is")
        })
    }

    /// Answers a question. The answer waits in the run's inbox; a worker that holds the run takes it at once.
    ///
    /// # Errors
    /// When the question was answered before, its time is over, or the answer does not fit it.
    pub async fn answer(
        &self,
        actor: &Actor,
        approval: &Approval,
        answer: Answer,
        channel: Channel,
    ) -> Result<(), Error> {
        check_answer(approval, &answer)?;
        let run = self.run(approval.run).await?;
        if run.status.is_final() {
            let message = format!("{} is {} already: it does not wait for an answer", run.id, run.status.name());
            return Err(Error::refused(message));
        }
        let now = self.clock.now();
        if approval.deadline.is_some_and(|deadline| deadline <= now) {
            return Err(Error::refused(format!("the time to answer {} is over: the call is denied", approval.id))
                .hint(format!("let the run go on without it: masque runs resume {}", approval.run)));
        }
        let detail = json!({ "answer": answer.name(), "call": approval.call_id, "digest": approval.digest });
        let ruling = Ruling { answer, by: actor.clone(), channel };
        let command = Command::Answer { approval: approval.id, digest: approval.digest, ruling };
        self.store.send(clock::new_command_id(), approval.run, &command, now).await?;
        let entry = audit::entry(now, actor, "approval.answer", Some(approval.run), approval.id, detail);
        Ok(self.store.audit(entry).await?)
    }
}

fn check_answer(approval: &Approval, answer: &Answer) -> Result<(), Error> {
    if let Some(ruling) = &approval.ruling {
        let message = format!("{} was answered before: {} by {}", approval.id, ruling.answer.name(), ruling.by);
        return Err(Error::refused(message));
    }
    if approval.question.accepts(answer) {
        return Ok(());
    }
    let ways = match approval.question {
        Question::ToolCall { .. } => "approve or deny",
        Question::InDoubt { .. } => "approve --happened, approve --retry, or deny (gives the run up)",
        Question::Input { .. } => "approve --reply TEXT, or deny",
    };
    Err(Error::usage(format!("`{}` does not answer {}", answer.name(), approval.id))
        .hint(format!("this question takes: {ways}")))
}

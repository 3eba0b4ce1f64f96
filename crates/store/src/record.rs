//! The plain data that goes into the store and comes out of it, beyond the nouns of `masque_types`.

use masque_types::{
    actor::Actor,
    approval::{Approval, Ruling},
    cost::Spend,
    digest::Digest,
    event::Event,
    id::{ApprovalId, CommandId, Epoch, RunId, Seq},
    run::{Command, RunStatus, SandboxMode},
    time::Timestamp,
};

use crate::jobs::NewJob;

/// A run that is to be created, with its first events.
#[derive(Debug, Clone)]
pub struct NewRun {
    /// Its id.
    pub id: RunId,
    /// The persona's name.
    pub persona: String,
    /// The beginning of the task, one line.
    pub title: String,
    /// How its tools are confined.
    pub sandbox: SandboxMode,
    /// When.
    pub created_at: Timestamp,
    /// Where it stands at first.
    pub status: RunStatus,
    /// The first events, without gaps; of a fork they follow the parent's event.
    pub events: Vec<Event>,
    /// The run and the last of its events that belongs to this run too.
    pub forked_from: Option<(RunId, Seq)>,
    /// The run that called it. It must not have ended.
    pub parent: Option<RunId>,
    /// Whether it is a conversation.
    pub conversation: bool,
    /// What makes it a job; absent for a run that is none.
    pub job: Option<NewJob>,
    /// What is written to the audit log in the same transaction.
    pub audit: Vec<NewAudit>,
}

/// Events that are to be added to a run's journal, with everything that must become durable together with them.
#[derive(Debug, Clone)]
pub struct Append {
    /// The run.
    pub run: RunId,
    /// The lease under which it is written.
    pub epoch: Epoch,
    /// The events, without gaps, right after the journal's last one. May be empty.
    pub events: Vec<Event>,
    /// Where the run stands afterwards.
    pub head: RunHead,
    /// Large bodies, stored once by their SHA-256.
    pub blobs: Vec<Vec<u8>>,
    /// Questions that are asked.
    pub asked: Vec<Approval>,
    /// Questions that are answered. A question that has an answer keeps it.
    pub decided: Vec<(ApprovalId, Ruling, Timestamp)>,
    /// Commands that are taken from the inbox.
    pub consumed: Vec<CommandId>,
    /// Commands that go to other runs. One for a run that does not exist is left out.
    pub sent: Vec<Sent>,
    /// What is written to the audit log.
    pub audit: Vec<NewAudit>,
}

impl Append {
    /// Only events and the head.
    #[must_use]
    pub fn new(run: RunId, epoch: Epoch, events: Vec<Event>, head: RunHead) -> Self {
        Self {
            run,
            epoch,
            events,
            head,
            blobs: Vec::new(),
            asked: Vec::new(),
            decided: Vec::new(),
            consumed: Vec::new(),
            sent: Vec::new(),
            audit: Vec::new(),
        }
    }
}

/// A command that an append puts into another run's inbox. Sending the same id again changes nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct Sent {
    /// Its id.
    pub id: CommandId,
    /// To which run.
    pub run: RunId,
    /// What.
    pub command: Command,
}

/// The part of a run's state that listings and claims need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunHead {
    /// Where it stands.
    pub status: RunStatus,
    /// What it used.
    pub spend: Spend,
    /// When a waiting run wants to be claimed although nobody sent anything.
    pub wake_at: Option<Timestamp>,
}

/// A wish to work on a run.
#[derive(Debug, Clone, Copy)]
pub struct ClaimRequest<'a> {
    /// Who wants it.
    pub worker: &'a str,
    /// The time now.
    pub now: Timestamp,
    /// When the lease ends unless it is renewed.
    pub until: Timestamp,
    /// A worker that is known to be dead: its lease may be taken before it expires.
    pub dead_worker: Option<&'a str>,
}

/// The answer to a [`ClaimRequest`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// The run is the caller's.
    Granted {
        /// The fencing token for every append.
        epoch: Epoch,
        /// The worker that had the run and did not release it.
        previous: Option<String>,
    },
    /// Somebody else has it.
    Held {
        /// Who.
        worker: String,
        /// Until when, unless it is renewed.
        until: Timestamp,
    },
}

/// A worker's hold on a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Who.
    pub worker: String,
    /// The fencing token.
    pub epoch: Epoch,
    /// Until when, unless it is renewed.
    pub until: Timestamp,
}

/// Which runs to list, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunFilter {
    /// Only those that stand there.
    pub status: Option<RunStatus>,
    /// Only those of this persona.
    pub persona: Option<String>,
    /// Only conversations, or only what is none.
    pub conversation: Option<bool>,
    /// Only those that this run called.
    pub parent: Option<RunId>,
    /// Only jobs, or only what is none.
    pub job: Option<bool>,
    /// Only those older than this one: the next page.
    pub before: Option<RunId>,
    /// At most so many.
    pub limit: usize,
}

impl Default for RunFilter {
    fn default() -> Self {
        Self { status: None, persona: None, conversation: None, parent: None, job: None, before: None, limit: 100 }
    }
}

/// Which approvals to list, oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovalFilter {
    /// Only those without an answer, of runs that have not ended.
    pub open_only: bool,
    /// Only those of this run.
    pub run: Option<RunId>,
    /// At most so many.
    pub limit: usize,
}

impl Default for ApprovalFilter {
    fn default() -> Self {
        Self { open_only: true, run: None, limit: 100 }
    }
}

/// Something that an actor did, for the audit log.
#[derive(Debug, Clone, PartialEq)]
pub struct NewAudit {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: Actor,
    /// What, for example `run.start`.
    pub action: String,
    /// In which run.
    pub run: Option<RunId>,
    /// To what.
    pub target: String,
    /// Anything else worth knowing; without secrets.
    pub detail: serde_json::Value,
}

/// One entry of the audit log.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditEntry {
    /// Its number, from 1, without gaps.
    pub number: u64,
    /// What was done.
    pub what: NewAudit,
    /// Covers the digest of the entry in front of it and all fields of this one.
    pub digest: Digest,
}

/// What a check of the audit log found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditReport {
    /// How many entries the log should have.
    pub entries: u64,
    /// The digest of the last entry. Kept somewhere else, it shows also that the log was rewritten as a whole.
    pub head: Digest,
    /// The first thing that is wrong.
    pub broken: Option<AuditBreak>,
}

/// Where the audit log was tampered with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditBreak {
    /// The number of the entry.
    pub entry: u64,
    /// What is wrong, in one sentence without full stop.
    pub what: String,
}

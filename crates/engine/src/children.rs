//! The seam to called personas: who they are, their runs, and who drives those.

use std::sync::Arc;

use masque_types::{
    BoxFuture,
    approval::Approval,
    child::{AgentCall, Ancestor, ChildMode},
    cost::Limits,
    digest::Digest,
    event::BlobRef,
    id::RunId,
    message::Message,
    persona::Persona,
    policy::Policy,
    run::RunSpec,
};
use tokio_util::sync::CancellationToken;

use crate::driver::{Progress, WhenWaiting};

/// A run that calls another persona.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The run.
    pub run: RunId,
    /// What is fixed for it.
    pub spec: Arc<RunSpec>,
    /// Its persona.
    pub persona: Arc<Persona>,
    /// What it may do now.
    pub policy: Arc<Policy>,
    /// Who called whom, this run last.
    pub lineage: Vec<Ancestor>,
    /// How many generations there may be below the called run.
    pub depth_left: u32,
}

/// A call that the caller's file and policy allow.
#[derive(Debug, Clone, PartialEq)]
pub struct ChildRequest {
    /// The call.
    pub call_id: String,
    /// What is asked for.
    pub call: AgentCall,
    /// How the result is taken.
    pub mode: ChildMode,
    /// What of the conversation goes with it, oldest first; not yet cut to its budget.
    pub history: Vec<Message>,
}

/// A called persona that was found, and the package for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// The digest of what the persona was loaded from.
    pub digest: Digest,
    /// What its own file lets it use.
    pub budget: Limits,
    /// The package that carries the task.
    pub package: Vec<u8>,
}

/// A called run that is to exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartChild {
    /// Its id.
    pub child: RunId,
    /// The call.
    pub call_id: String,
    /// Its persona.
    pub persona: String,
    /// The stored package.
    pub package: BlobRef,
    /// What it may use.
    pub reserved: Limits,
}

/// How a called run is driven beside its caller.
pub struct ChildDrive<'a> {
    /// What to do when only an answer to this question can make it go on.
    pub when_waiting: &'a (dyn Fn(&Approval) -> WhenWaiting + Send + Sync),
    /// Told what happens in it.
    pub observe: &'a (dyn Fn(Progress<'_>) + Send + Sync),
    /// Stops driving without ending it.
    pub stop: CancellationToken,
}

/// Something that knows other personas and runs them.
pub trait Children: Send + Sync {
    /// Looks a persona up and packs the task for it. Changes nothing.
    ///
    /// The error is for the model: why the persona cannot be called, and what to do instead.
    fn resolve<'a>(&'a self, caller: &'a Caller, request: ChildRequest) -> BoxFuture<'a, Result<Resolved, String>>;

    /// Makes the run, unless it exists.
    ///
    /// The error is for the model, as above.
    fn start<'a>(&'a self, caller: &'a Caller, start: StartChild) -> BoxFuture<'a, Result<(), String>>;

    /// Drives a called run until it ends or waits; while another worker has it, until that one has let it go.
    fn drive<'a>(&'a self, child: RunId, drive: ChildDrive<'a>) -> BoxFuture<'a, ()>;
}

/// For runs that call nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoChildren;

impl Children for NoChildren {
    fn resolve<'a>(&'a self, _: &'a Caller, request: ChildRequest) -> BoxFuture<'a, Result<Resolved, String>> {
        Box::pin(async move { Err(format!("there is no persona `{}` here", request.call.persona)) })
    }

    fn start<'a>(&'a self, _: &'a Caller, start: StartChild) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async move { Err(format!("there is no persona `{}` here", start.persona)) })
    }

    fn drive<'a>(&'a self, _: RunId, _: ChildDrive<'a>) -> BoxFuture<'a, ()> {
        Box::pin(async {})
    }
}

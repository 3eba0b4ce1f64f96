//! Called personas for the engine's tests: a helper whose runs live in the caller's store and are driven beside it.

use std::{sync::Arc, time::Duration};

use super::{ScriptModel, Turn, engine, options, persona, run_spec, specs, try_create};
use masque_engine::{
    children::{Caller, ChildDrive, ChildRequest, Children, Resolved, StartChild},
    driver::{DriveOptions, Driven, Engine},
    environment::Environments,
};
use masque_store::Store;
use masque_types::{
    BoxFuture,
    child::{CALL, Called, HANDOFF},
    cost::Limits,
    digest::Digest,
    id::RunId,
    model::{Model, ModelDelta, ModelError, ModelFacts, ModelRef, ModelReply, ModelRequest},
    persona::{Delegation, Persona},
    run::RunSpec,
    tool::{EffectClass, Place, ToolSpec},
};

use super::spec;

/// The prompt that the model knows a helper by.
const HELPS: &str = "You help.";

/// A persona that may call the helper.
pub(crate) fn caller() -> Persona {
    let delegate = Delegation { to: vec!["helper".into()], history: true, ..Delegation::default() };
    Persona { delegate, ..persona() }
}

/// The tools of callers and helpers.
pub(crate) fn tools() -> Vec<ToolSpec> {
    let calls = [CALL, HANDOFF].map(|name| spec(name, EffectClass::Keyed, Place::Run));
    let calls = calls.map(|spec| ToolSpec { input_schema: serde_json::json!({ "type": "object" }), ..spec });
    specs().into_iter().chain(calls).collect()
}

/// Answers callers and helpers by scripts of their own.
pub(crate) struct TreeModel {
    caller: Arc<ScriptModel>,
    helper: Arc<ScriptModel>,
}

impl TreeModel {
    pub(crate) fn new(caller: Vec<Turn>, helper: Vec<Turn>) -> Arc<Self> {
        Arc::new(Self { caller: ScriptModel::new(caller), helper: ScriptModel::named("help", helper) })
    }
}

impl Model for TreeModel {
    fn call<'a>(
        &'a self,
        request: &'a ModelRequest,
        show: &'a (dyn Fn(ModelDelta) + Send + Sync),
    ) -> BoxFuture<'a, Result<ModelReply, Box<ModelError>>> {
        if &*request.system == HELPS { self.helper.call(request, show) } else { self.caller.call(request, show) }
    }

    fn facts(&self, _: &ModelRef) -> ModelFacts {
        ModelFacts::default()
    }
}

/// Makes and drives the runs of helpers.
#[derive(Clone)]
pub(crate) struct Helpers {
    pub(crate) store: Store,
    pub(crate) model: Arc<dyn Model>,
    pub(crate) environments: Arc<dyn Environments>,
    pub(crate) worker: String,
    pub(crate) dead_worker: Option<String>,
}

impl Helpers {
    /// An engine that calls these helpers.
    pub(crate) fn engine(&self) -> Engine {
        Engine {
            environments: Arc::clone(&self.environments),
            children: Arc::new(self.clone()),
            ..engine(&self.store, Arc::clone(&self.model), &Arc::default(), &self.worker)
        }
    }
}

impl Children for Helpers {
    fn resolve<'a>(&'a self, _: &'a Caller, request: ChildRequest) -> BoxFuture<'a, Result<Resolved, String>> {
        let package = request.call.task.into_bytes();
        Box::pin(async { Ok(Resolved { digest: Digest::of("helper"), budget: Limits::default(), package }) })
    }

    fn start<'a>(&'a self, caller: &'a Caller, start: StartChild) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async move {
            let called = Called {
                call_id: start.call_id,
                lineage: caller.lineage.clone(),
                depth_left: caller.depth_left,
                package: start.package,
            };
            let spec = RunSpec { parent: Some(caller.run), called: Some(called), ..run_spec() };
            let helper = Persona { prompt: HELPS.into(), ..persona() };
            match try_create(&self.store, start.child, spec, helper).await {
                Ok(()) | Err(masque_store::Error::RunExists { .. }) => Ok(()),
                Err(error) => Err(error.to_string()),
            }
        })
    }

    fn drive<'a>(&'a self, child: RunId, drive: ChildDrive<'a>) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            while !drive.stop.is_cancelled() {
                let options = DriveOptions {
                    when_waiting: drive.when_waiting,
                    observe: drive.observe,
                    stop: drive.stop.clone(),
                    dead_worker: self.dead_worker.as_deref(),
                    ..options()
                };
                if !matches!(self.engine().drive(child, options).await, Ok(Driven::HeldBy { .. })) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
    }
}

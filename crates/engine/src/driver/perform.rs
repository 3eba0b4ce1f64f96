//! Performing actions: environments, model calls, tool calls, probes, called runs. The driver has committed what announces
//! them.

use std::sync::{Arc, PoisonError};

use masque_types::{
    id::RunId,
    model::{ModelDelta, ModelRequest},
    tool::{EffectClass, Invocation, ToolOutput},
};
use tokio::time::Instant;

use super::{Drive, Driven, Progress, Stop, told::activated};
use crate::{
    calling,
    children::{ChildDrive, ChildRequest, StartChild},
    environment::{Activation, ActiveEnvironment},
    machine::{Action, Input, Probed},
    output,
};

const NO_PERSONA: &str = "the journal names no persona";

impl<'a> Drive<'a> {
    /// Begins what an action asks for; what it brings comes as an input.
    pub(super) async fn perform(&mut self, action: Action) -> Result<(), Stop> {
        match action {
            Action::Activate => match self.activate().await {
                Ok(environment) => self.inputs.push_back(Input::ToolsReady(environment.specs().to_vec())),
                Err(message) => self.inputs.push_back(Input::EnvironmentFailed(message)),
            },
            Action::CallModel(request) => self.call_model(*request),
            Action::CallTool { invocation, effect } => {
                // Setting the environment up may take long, so the lease is looked at afterwards.
                let environment = self.activate().await;
                if effect != EffectClass::Pure {
                    self.hold_lease().await?;
                }
                self.call_tool(environment, invocation);
            }
            Action::Probe(invocation) => self.probe(invocation).await,
            Action::ResolveChild(request) => self.resolve_child(*request),
            Action::StartChild(start) => {
                self.hold_lease().await?;
                self.start_child(start);
            }
            Action::DriveChild(child) => self.drive_child(child),
            Action::Abandon => self.in_flight.clear(),
        }
        Ok(())
    }

    /// A call that changes something is not begun with less than two heartbeats of lease left. Borrows exclusively,
    /// so that a drive can be sent to another thread.
    async fn hold_lease(&mut self) -> Result<(), Stop> {
        let engine = self.engine;
        let now = (engine.clock)();
        if self.heartbeat.until().since(now) >= engine.lease * 2 / 3 {
            return Ok(());
        }
        let run = self.machine.state().run;
        if engine.store.renew(run, self.epoch, now.plus(engine.lease)).await? {
            Ok(())
        } else {
            Err(Stop::Driven(Driven::LeaseLost))
        }
    }

    fn call_model(&self, request: ModelRequest) {
        let (model, observe) = (Arc::clone(&self.engine.model), self.options.observe);
        let said = Arc::clone(&self.said);
        said.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.in_flight.push(Box::pin(async move {
            let show = |delta| {
                if let ModelDelta::Text(text) = &delta {
                    said.lock().unwrap_or_else(PoisonError::into_inner).push_str(text);
                }
                observe(Progress::Delta(delta));
            };
            Input::Model(model.call(&request, &show).await)
        }));
    }

    fn call_tool(&self, environment: Result<Arc<dyn ActiveEnvironment>, String>, invocation: Invocation) {
        self.in_flight.push(Box::pin(async move {
            let begun = Instant::now();
            let output = match environment {
                Ok(environment) => environment.call(&invocation).await,
                Err(message) => ToolOutput::error(message),
            };
            let duration_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
            Input::Tool { call_id: invocation.call.id, output: output::bounded(output), duration_ms }
        }));
    }

    async fn probe(&mut self, invocation: Invocation) {
        let environment = self.activate().await;
        self.in_flight.push(Box::pin(async move {
            let answer = match environment {
                Ok(environment) => Probed::from_answer(environment.probe(&invocation).await),
                Err(_) => Probed::Unknown,
            };
            Input::Probed { call_id: invocation.call.id, answer }
        }));
    }

    fn resolve_child(&self, request: ChildRequest) {
        let (engine, caller) = (self.engine, calling::caller(self.machine.state()));
        self.in_flight.push(Box::pin(async move {
            let call_id = request.call_id.clone();
            let resolved = match &caller {
                Some(caller) => engine.children.resolve(caller, request).await,
                None => Err(NO_PERSONA.to_owned()),
            };
            Input::ChildResolved { call_id, resolved }
        }));
    }

    fn start_child(&self, start: StartChild) {
        let (engine, caller) = (self.engine, calling::caller(self.machine.state()));
        self.in_flight.push(Box::pin(async move {
            let child = start.child;
            let started = match &caller {
                Some(caller) => engine.children.start(caller, start).await,
                None => Err(NO_PERSONA.to_owned()),
            };
            Input::ChildReady { child, started }
        }));
    }

    fn drive_child(&self, child: RunId) {
        let Some(open) = self.machine.state().children.iter().find(|open| open.child == child) else { return };
        let (engine, persona, stop) = (self.engine, open.persona.clone(), self.stop_children.clone());
        let (when_waiting, observe) = (self.options.when_waiting, self.options.observe);
        self.children.push(Box::pin(async move {
            let show = |progress: Progress<'_>| {
                observe(Progress::Child { run: child, persona: &persona, progress: &progress });
            };
            engine.children.drive(child, ChildDrive { when_waiting, observe: &show, stop }).await;
        }));
    }

    /// The environment, set up on first use: a run that only waits needs none.
    async fn activate(&mut self) -> Result<Arc<dyn ActiveEnvironment>, String> {
        if let Some(environment) = &self.environment {
            return Ok(Arc::clone(environment));
        }
        let state = self.machine.state();
        let persona = state.persona.clone().ok_or(NO_PERSONA)?;
        let activation = Activation { run: state.run, spec: activated(state), persona, pinned: state.tools.clone() };
        let environment = self.engine.environments.activate(activation).await?;
        for diagnostic in &environment.diagnostics() {
            (self.options.observe)(Progress::Diagnostic(diagnostic));
        }
        self.environment = Some(Arc::clone(&environment));
        Ok(environment)
    }
}

//! Use cases over conversations: runs in which a person speaks again after each answer.
//!
//! A conversation is one durable run. What the person says waits in its inbox until a worker takes it, so nothing that
//! was said is lost when a process dies. Driving it is [`App::drive`], as for any run.

use masque_types::{
    actor::Actor,
    id::RunId,
    message::Part,
    model::ModelRef,
    policy::{Mode, Rule},
    run::{Command, ModelChoice, RunSummary},
};

use crate::{App, Error, clock, runs::check_task};

/// What a person says in a conversation.
#[derive(Debug, Clone, Default)]
pub struct Say {
    /// The words.
    pub parts: Vec<Part>,
    /// The models to ask from here on, first choice first; empty means those that were asked so far.
    pub models: Vec<ModelRef>,
}

impl App {
    /// Says something in a conversation. It begins a turn, or joins the one that is under way. The run goes on when it
    /// is driven.
    ///
    /// # Errors
    /// When the run is no conversation or has ended, nothing was said, or none of the models can be used.
    pub async fn say(&self, actor: &Actor, run: RunId, say: Say) -> Result<(), Error> {
        check_task(&say.parts)?;
        self.open_conversation(run).await?;
        let model = self.chosen(run, say.models).await?.map(Box::new);
        let command = Command::Say { parts: say.parts, by: actor.clone(), model };
        self.send(run, &command).await
    }

    /// Stops the turn of a conversation; what the model had said so far stays, and the run waits for the next words.
    ///
    /// # Errors
    /// When the run is no conversation or has ended.
    pub async fn interrupt(&self, actor: &Actor, run: RunId) -> Result<(), Error> {
        self.open_conversation(run).await?;
        self.send(run, &Command::Interrupt { by: actor.clone() }).await
    }

    /// Changes what a conversation may do from here on: its mode, and rules that only take away.
    ///
    /// # Errors
    /// When the run is no conversation or has ended, or somebody else started it.
    pub async fn set_policy(
        &self,
        actor: &Actor,
        run: RunId,
        mode: Option<Mode>,
        narrow: Vec<Rule>,
    ) -> Result<(), Error> {
        self.open_conversation(run).await?;
        let starter = self.state(run).await?.spec.started_by.clone();
        if starter != *actor {
            return Err(Error::refused(format!("{run} was started by {starter}: only they change what it may do")));
        }
        self.send(run, &Command::SetPolicy { mode, narrow, by: actor.clone() }).await
    }

    /// Ends a conversation with its last answer as the result.
    ///
    /// # Errors
    /// When the run is no conversation or has ended.
    pub async fn finish_conversation(&self, actor: &Actor, run: RunId) -> Result<RunSummary, Error> {
        self.open_conversation(run).await?;
        self.end_by(run, &Command::Finish { by: actor.clone() }).await
    }

    async fn send(&self, run: RunId, command: &Command) -> Result<(), Error> {
        Ok(self.store.send(clock::new_command_id(), run, command, self.now()).await?)
    }

    async fn open_conversation(&self, run: RunId) -> Result<(), Error> {
        let summary = self.run(run).await?;
        if !summary.conversation {
            return Err(Error::usage(format!("{run} is no conversation: nobody speaks in it"))
                .hint(format!("go on from it in a new run: masque runs fork {run} -p \"…\"")));
        }
        if summary.status.is_final() {
            return Err(Error::refused(format!("{run} is {} already", summary.status.name()))
                .hint(format!("go on from it in a new one: masque runs fork {run} -p \"…\"")));
        }
        Ok(())
    }

    /// The models that were asked for by name, if any were.
    async fn chosen(&self, run: RunId, models: Vec<ModelRef>) -> Result<Option<ModelChoice>, Error> {
        if models.is_empty() {
            return Ok(None);
        }
        let state = self.state(run).await?;
        let persona = state.persona.as_deref();
        let persona = persona.ok_or_else(|| Error::environment(format!("the journal of {run} names no persona")))?;
        Ok(Some(self.choice(self.models_named(persona, models).await?)))
    }
}

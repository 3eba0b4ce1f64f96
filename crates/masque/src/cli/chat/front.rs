//! Who is in front: the persona that the person talks to, and the conversation with it.
//!
//! Leaves out the sessions that are parked.

use masque_app::sessions;
use masque_types::{id::RunId, model::ModelRef, persona::Persona, policy::Mode, time::Timestamp};

/// The persona and the conversation in front.
#[derive(Debug, Clone)]
pub(crate) struct Front {
    pub(crate) persona: Persona,
    /// The conversation, once something was said in it.
    pub(crate) run: Option<RunId>,
    /// The name that the person gave it.
    pub(crate) name: Option<String>,
    /// The conversation to go back to.
    pub(crate) back: Option<RunId>,
    /// Runs whose results are told with the next words.
    pub(crate) untold: Vec<RunId>,
    /// Tools that the person allowed for this session.
    pub(crate) allowed: Vec<String>,
    /// The models asked from the next words on, when the person chose others.
    pub(crate) models: Vec<ModelRef>,
    /// The mode that the person chose and the conversation does not have yet.
    pub(crate) mode: Option<Mode>,
}

impl Front {
    /// A persona to whom nothing was said yet.
    pub(crate) fn new(persona: Persona) -> Self {
        Self {
            persona,
            run: None,
            name: None,
            back: None,
            untold: Vec::new(),
            allowed: Vec::new(),
            models: Vec::new(),
            mode: None,
        }
    }

    /// A conversation that goes on.
    pub(crate) fn again(persona: Persona, run: RunId, known: Option<&sessions::Session>) -> Self {
        let mut front = Self { run: Some(run), ..Self::new(persona) };
        if let Some(known) = known {
            front.name.clone_from(&known.name);
            front.back = known.back;
            front.untold.clone_from(&known.untold);
            front.allowed.clone_from(&known.allowed);
        }
        front
    }

    /// What the list of sessions keeps of it; nothing before something was said.
    pub(crate) fn kept(&self, now: Timestamp) -> Option<sessions::Session> {
        Some(sessions::Session {
            run: self.run?,
            persona: self.persona.name.clone(),
            name: self.name.clone(),
            used_at: now,
            back: self.back,
            untold: self.untold.clone(),
            allowed: self.allowed.clone(),
        })
    }
}

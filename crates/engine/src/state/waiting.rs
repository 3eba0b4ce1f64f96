//! What a state says about waiting: whether the run waits, for what, until when, and which calls are held back.

use std::time::Duration;

use masque_types::{
    approval::Approval,
    child::DEFAULT_PARALLEL,
    run::RunStatus,
    time::Timestamp,
    tool::{EffectClass, Place},
};

use super::{CallState, Outcome, Phase, State, Waits};

impl State {
    /// Where the run stands.
    #[must_use]
    pub fn status(&self) -> RunStatus {
        match &self.outcome {
            Some(Outcome::Completed { .. }) => RunStatus::Completed,
            Some(Outcome::Failed { .. }) => RunStatus::Failed,
            Some(Outcome::Cancelled { .. }) => RunStatus::Cancelled,
            None if self.turn_over || self.waits_for_others_only() => RunStatus::Waiting,
            None => RunStatus::Running,
        }
    }

    /// What a run that waits waits for.
    #[must_use]
    pub fn waits(&self) -> Waits {
        if self.turn_over {
            Waits::Words
        } else if self.questions().next().is_some() {
            Waits::Answers
        } else {
            Waits::Runs
        }
    }

    /// The open questions.
    pub fn questions(&self) -> impl Iterator<Item = &Approval> {
        self.calls.iter().filter_map(|call| match &call.phase {
            Phase::Asked(approval) => Some(&**approval),
            _ => None,
        })
    }

    /// When something happens by itself: the next deadline of a question or a called run, or the end of the active time.
    #[must_use]
    pub fn wake_at(&self) -> Option<Timestamp> {
        let called = self.children.iter().filter(|child| !child.stopping).filter_map(|child| child.deadline);
        let deadline = self.questions().filter_map(|question| question.deadline).chain(called).min();
        let wall = self.spec.limits.wall.zip(self.active_since);
        let out_of_time = wall.map(|(wall, since)| since.plus(wall.saturating_sub(self.active)));
        match (deadline, out_of_time) {
            (Some(one), Some(two)) => Some(one.min(two)),
            (one, two) => one.or(two),
        }
    }

    /// The active time until `now`; waiting for humans does not count.
    #[must_use]
    pub fn active_time(&self, now: Timestamp) -> Duration {
        self.active + self.active_since.map_or(Duration::ZERO, |since| now.since(since))
    }

    /// Whether work was under way when the last event was written.
    #[must_use]
    pub fn has_open_work(&self) -> bool {
        self.model_call.is_some() || self.calls.iter().any(|call| matches!(call.phase, Phase::Running { .. }))
    }

    fn waits_for_others_only(&self) -> bool {
        let busy =
            |phase: &Phase| matches!(phase, Phase::Running { .. } | Phase::Interrupted { .. } | Phase::InDoubt { .. });
        let stopping = self.cancelled_by.is_some() || self.interrupted_by.is_some() || self.finished_by.is_some();
        let waits = self.questions().next().is_some()
            || self.calls.iter().enumerate().any(|(place, call)| match call.phase {
                Phase::Child { .. } => true,
                Phase::Proposed | Phase::Cleared => self.held_back(place),
                _ => false,
            })
            || self.awaits_children();
        waits
            && !stopping
            && self.model_call.is_none()
            && !self.calls.iter().any(|call| busy(&call.phase))
            && self.calls.iter().enumerate().all(|(place, call)| match call.phase {
                Phase::Proposed | Phase::Cleared => self.held_back(place),
                _ => true,
            })
    }

    /// Whether the model has given its answer and called runs are yet to be waited for. A conversation does not wait: the
    /// person may speak meanwhile.
    #[must_use]
    pub fn awaits_children(&self) -> bool {
        self.unjudged.is_some() && !self.spec.conversation && self.children.iter().any(|child| !child.stopping)
    }

    /// How many more runs may be called now.
    #[must_use]
    pub fn free_calls(&self) -> usize {
        let parallel = self.persona.as_ref().and_then(|persona| persona.delegate.parallel).unwrap_or(DEFAULT_PARALLEL);
        let open = self.children.iter().filter(|child| !child.stopping).count();
        (parallel as usize).saturating_sub(open)
    }

    /// Whether a call is one of another persona.
    #[must_use]
    pub fn calls_persona(&self, call: &CallState) -> bool {
        self.tool(&call.call.tool).is_some_and(|tool| tool.place == Place::Run)
    }

    /// Whether a call must wait for others before it may begin.
    #[must_use]
    pub fn held_back(&self, place: usize) -> bool {
        let full = |call: &CallState| self.calls_persona(call) && self.free_calls() == 0;
        self.blocked(place) || self.calls.get(place).is_some_and(full)
    }

    /// Whether a call must wait for an earlier one: only pure calls and calls of other personas run beside each other.
    #[must_use]
    pub fn blocked(&self, place: usize) -> bool {
        let light = |call: &CallState| {
            let tool = self.tool(&call.call.tool);
            tool.is_none_or(|tool| tool.effect == EffectClass::Pure || tool.place == Place::Run)
        };
        let Some(this) = self.calls.get(place) else { return false };
        self.calls
            .iter()
            .take(place)
            .filter(|earlier| !matches!(earlier.phase, Phase::Settled(_)))
            .any(|earlier| !light(earlier) || !light(this))
    }
}

//! Runs as tables, lines and heads.

use masque_types::{
    event::{Event, EventBody},
    id::RunId,
    run::RunSummary,
    time::Timestamp,
};

use super::{
    line,
    style::{self, BOLD, DIM},
};

/// A listing.
pub(crate) fn table(runs: &[RunSummary], now: Timestamp) {
    let listed = |parent: RunId| runs.iter().any(|run| run.id == parent);
    let rows = runs.iter().map(|run| {
        // A run that another one in the list called stands out from those that people started.
        let mark = if run.parent.is_some_and(listed) { "↳ " } else { "" };
        [
            format!("{mark}{}", run.id),
            run.status.name().to_owned(),
            run.persona.clone(),
            run.sandbox.name().to_owned(),
            run.spend.steps.to_string(),
            run.spend.micro_usd.to_string(),
            style::age(now, run.updated_at),
            run.title.clone(),
        ]
    });
    super::table(["RUN", "STATUS", "PERSONA", "SANDBOX", "CALLS", "COST", "AGE", "TASK"], rows);
}

/// One run on one line.
pub(crate) fn line_of(run: &RunSummary) -> String {
    let mark = style::of_status(run.status);
    format!("{} {mark}{}{mark:#} {}", run.id, run.status.name(), style::spend(&run.spend))
}

/// Prints one run on one line.
pub(crate) fn print_line(run: &RunSummary) {
    line(&line_of(run));
}

/// What stands above a timeline.
pub(crate) fn head(run: &RunSummary, worker: Option<&str>, events: &[Event]) {
    line(&line_of(run));
    line(&format!("persona    {}   sandbox {}", run.persona, run.sandbox.name()));
    line(&format!("created    {}", style::date(run.created_at)));
    if let Some(EventBody::RunCreated { spec }) = events.first().map(|event| &event.body) {
        let models: Vec<String> = spec.route.models.iter().map(ToString::to_string).collect();
        line(&format!("models     {}", models.join(", ")));
        line(&format!("workspace  {}", spec.workspace));
    }
    if let Some((parent, seq)) = run.forked_from {
        line(&format!("fork of    {parent} at event {seq}"));
    }
    if let Some(parent) = run.parent {
        line(&format!("called by  {parent}"));
    }
    if let Some(worker) = worker {
        line(&format!("worker     {worker}"));
    }
}

/// The runs that it called, oldest first.
pub(crate) fn called(runs: &[RunSummary]) {
    for run in runs.iter().rev() {
        line(&format!("calls      {} {} {}", run.id, run.persona, run.status.name()));
    }
}

/// The line above a timeline.
pub(crate) fn timeline_head() {
    line(&format!("\n{DIM}   #   seconds{DIM:#}"));
}

/// The result that stands below a timeline.
pub(crate) fn tail(run: &RunSummary, events: &[Event]) {
    let text = match events.last().map(|event| &event.body) {
        Some(EventBody::RunCompleted { text, .. }) => text,
        Some(EventBody::RunFailed { partial, .. } | EventBody::RunCancelled { partial, .. }) => partial,
        _ => return,
    };
    if !text.is_empty() {
        line(&format!("\n{BOLD}{}{BOLD:#}\n{}", run.persona, style::harmless(text.trim_end())));
    }
}

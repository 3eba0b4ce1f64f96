//! The start of a fleet while it happens: a line per service that arrives somewhere, a bar per group below, and at the
//! end what decided how long it took. Without a terminal the lines only.

use std::{collections::BTreeMap, io::IsTerminal as _, time::Duration};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use masque_app::fleet::{
    Chain, Progress,
    status::{Change, State},
};
use serde_json::json;

use super::{
    fleet::{color, symbol},
    note,
    style::{self, BOLD, DIM},
};

/// What is shown of a start.
pub(crate) struct Live {
    json: bool,
    screen: Option<MultiProgress>,
    bars: BTreeMap<Option<String>, ProgressBar>,
    /// When the first change was, to count from.
    begin: Option<Duration>,
}

impl Live {
    /// At a terminal with bars; with `json` changes as JSON lines.
    pub(crate) fn new(json: bool) -> Self {
        let screen = (!json && std::io::stderr().is_terminal()).then(MultiProgress::new);
        Self { json, screen, bars: BTreeMap::new(), begin: None }
    }

    /// Draws the bars of the groups.
    pub(crate) fn begin(&mut self, progress: &Progress) {
        let Some(screen) = &self.screen else { return };
        let mut sizes: BTreeMap<Option<String>, u64> = BTreeMap::new();
        for (_, standing) in progress.services() {
            *sizes.entry(standing.group.clone()).or_default() += 1;
        }
        let width = sizes.keys().flatten().map(|name| name.chars().count()).max().unwrap_or_default();
        for (group, size) in sizes {
            let name = group.clone().unwrap_or_else(|| "services".to_owned());
            let bar = screen.add(ProgressBar::new(size).with_message(format!("{name:<width$}")));
            let template =
                if is_coloured() { "{msg} {bar:24.green/dim} {pos}/{len}" } else { "{msg} {bar:24} {pos}/{len}" };
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
            self.bars.insert(group, bar);
        }
        self.count(progress);
    }

    /// Shows a change.
    pub(crate) fn show(&mut self, change: &Change, progress: &Progress) {
        let begin = *self.begin.get_or_insert(change.offset);
        if self.json {
            super::json(change);
        } else if !matches!(change.to, State::Declared | State::Blocked | State::Starting | State::Stopping) {
            self.line(&line_of(change, Some(change.offset.saturating_sub(begin))));
        }
        self.count(progress);
    }

    /// Shows a change after the start.
    pub(crate) fn later(&mut self, change: &Change) {
        if self.json {
            super::json(change);
        } else {
            self.line(&line_of(change, None));
        }
    }

    fn count(&self, progress: &Progress) {
        for (group, bar) in &self.bars {
            let of_group = progress.services().filter(|(_, standing)| standing.group == *group);
            bar.set_position(of_group.filter(|(_, standing)| standing.state.is_usable()).count() as u64);
        }
    }

    fn line(&self, text: &str) {
        match &self.screen {
            Some(screen) => {
                let plain = anstream::adapter::strip_str(text).to_string();
                // A terminal that is gone is seen elsewhere.
                let _ = screen.println(if is_coloured() { text } else { &plain });
            }
            None => {
                use std::io::Write as _;
                let _ = writeln!(anstream::stderr(), "{text}");
            }
        }
    }

    /// Shows what became of the start.
    pub(crate) fn finish(&mut self, progress: &Progress, chain: Option<&Chain>) {
        self.clear();
        let (usable, all) = progress.count();
        if self.json {
            return super::json(&json!({ "ready": usable, "of": all, "good": progress.is_good(), "chain": chain }));
        }
        for (id, standing) in progress.services().filter(|(_, standing)| !standing.state.is_usable()) {
            let mark = color(standing.state);
            let why = style::harmless(&standing.why);
            self.line(&format!("{mark}{} {id} {}{mark:#} {why}", symbol(standing.state), standing.state.word()));
        }
        self.line(&format!("{BOLD}{usable}/{all} ready{BOLD:#}"));
        if let Some(chain) = chain {
            super::fleet::chain(chain);
        } else if usable == 0 {
            note("nothing became ready");
        }
    }

    /// Takes the bars away.
    pub(crate) fn clear(&mut self) {
        for bar in std::mem::take(&mut self.bars).into_values() {
            bar.finish_and_clear();
        }
        self.screen = None;
    }
}

/// Whether colours are wanted; the lines above bars do not go through `anstream`.
fn is_coloured() -> bool {
    anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never
}

fn line_of(change: &Change, offset: Option<Duration>) -> String {
    let mark = color(change.to);
    let offset = offset.map(|offset| format!("{:>9} ", style::duration(offset))).unwrap_or_default();
    let why = match change.to {
        State::Ready | State::Completed => String::new(),
        _ => format!(" {}", style::harmless(&change.why)),
    };
    format!("{DIM}{offset}{DIM:#}{mark}{} {} {}{mark:#}{why}", symbol(change.to), change.id, change.to.word())
}

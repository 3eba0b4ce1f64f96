//! What people and programs read: data on standard output, everything else on standard error.
//!
//! Colours go through `anstream`, which leaves them away where they are not wanted (`NO_COLOR`, pipes). Meaning never
//! stands in a colour alone.

pub(crate) mod approvals;
pub(crate) mod audit;
pub(crate) mod doctor;
pub(crate) mod explain;
pub(crate) mod fleet;
pub(crate) mod fleet_live;
pub(crate) mod handoff;
pub(crate) mod homes;
pub(crate) mod live;
pub(crate) mod memory;
pub(crate) mod personas;
pub(crate) mod runs;
pub(crate) mod standards;
pub(crate) mod style;
pub(crate) mod timeline;
pub(crate) mod tools;

use std::io::Write as _;

use masque_app::Error;
use masque_types::{
    approval::{Approval, Question},
    diagnostic::{Diagnostic, Severity},
    event::Event,
    id::RunId,
};
use serde_json::json;

use style::{BOLD, DIM, ERROR, HINT, WARNING};

// A closed pipe (`masque runs list | head -1`) is no error: what could not be written was not wanted.

/// A line of data on standard output.
pub(crate) fn line(text: &str) {
    let _ = writeln!(anstream::stdout(), "{text}");
}

/// Data on standard output, as it is.
pub(crate) fn text(text: &str) {
    let _ = write!(anstream::stdout(), "{text}");
}

/// A value as JSON on standard output, on one line.
pub(crate) fn json(value: &impl serde::Serialize) {
    if let Ok(text) = serde_json::to_string(value) {
        line(&text);
    }
}

/// A value as JSON over lines, for people and files.
pub(crate) fn pretty(value: &impl serde::Serialize) -> String {
    serde_json::to_string_pretty(value).map(|text| text + "\n").unwrap_or_default()
}

/// An event as a line of JSON, with the run that it belongs to.
pub(crate) fn event_json(run: RunId, event: &Event) {
    let mut value = json!({ "v": masque_types::event::EVENT_VERSION, "run": run });
    if let (Some(object), Ok(serde_json::Value::Object(fields))) = (value.as_object_mut(), serde_json::to_value(event))
    {
        object.extend(fields);
    }
    json(&value);
}

/// A line for people on standard error.
pub(crate) fn note(text: &str) {
    let _ = writeln!(anstream::stderr(), "{DIM}{text}{DIM:#}");
}

/// A heading on standard output.
pub(crate) fn heading(text: &str) {
    let _ = writeln!(anstream::stdout(), "\n{BOLD}{text}{BOLD:#}");
}

/// An error with its hints, on standard error.
pub(crate) fn error(error: &Error) {
    let mut out = anstream::stderr();
    let _ = writeln!(out, "{ERROR}error{ERROR:#}: {error}");
    for hint in &error.hints {
        let _ = writeln!(out, "{HINT}hint{HINT:#}: {hint}");
    }
}

/// A finding about a file, on standard error.
pub(crate) fn warning(diagnostic: &Diagnostic) {
    let mark = match diagnostic.severity {
        Severity::Warning => WARNING,
        Severity::Error => ERROR,
    };
    let _ = writeln!(anstream::stderr(), "{mark}{diagnostic}{mark:#}");
}

/// A question to the person at the terminal, on standard error.
pub(crate) fn question(approval: &Approval) {
    let mut out = anstream::stderr();
    let _ = match &approval.question {
        Question::ToolCall { tool, arguments, reason } => {
            write!(out, "{BOLD}{tool}{BOLD:#} {DIM}asked by {reason}{DIM:#}\n{}", style::argument_block(arguments))
        }
        Question::InDoubt { tool, arguments, .. } => write!(
            out,
            "{WARNING}in doubt{WARNING:#}: {BOLD}{tool}{BOLD:#} was interrupted; nobody knows whether it happened\n{}",
            style::argument_block(arguments)
        ),
        Question::Input { question, choices } => {
            let choices = choices.iter().enumerate().map(|(place, choice)| format!("\n  {}. {choice}", place + 1));
            let (question, choices) = (style::harmless(question), style::harmless(&choices.collect::<String>()));
            writeln!(out, "{BOLD}{question}{BOLD:#}{choices}")
        }
    };
}

/// A table on standard output: columns as wide as their cells, the last one open.
pub(crate) fn table<const N: usize>(head: [&str; N], rows: impl IntoIterator<Item = [String; N]>) {
    let rows: Vec<[String; N]> = rows.into_iter().collect();
    let mut widths = head.map(|cell| cell.chars().count());
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let join = |cells: [&str; N]| {
        let padded = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let mut out = anstream::stdout();
    let _ = writeln!(out, "{BOLD}{}{BOLD:#}", join(head));
    for row in &rows {
        let _ = writeln!(out, "{}", join(row.each_ref().map(String::as_str)));
    }
}

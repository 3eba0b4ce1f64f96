//! Figures as Markdown: sections of rows, each with what stands beside it and its goal.

use std::{fmt, path::Path};

use anyhow::Context as _;

use crate::places::Places;

/// The line in front of the generated part of a page.
const BEGIN: &str = "<!-- figures: written by make bench -->";
/// The line after it.
const END: &str = "<!-- end of figures -->";

/// One benchmark's figures.
#[derive(Debug)]
pub(crate) struct Section {
    pub(crate) title: &'static str,
    /// The command that measures it again, without `make bench`.
    pub(crate) command: &'static str,
    /// What was done, in a few sentences.
    pub(crate) about: String,
    pub(crate) rows: Vec<Row>,
}

/// One figure of Masque.
#[derive(Debug)]
pub(crate) struct Row {
    what: String,
    unit: Unit,
    value: f64,
    goal: Option<Goal>,
    beside: Vec<Beside>,
}

/// What a number counts; decides how it is written and which direction is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Microseconds,
    Milliseconds,
    PerSecond,
    Bytes,
    /// A share or a count per something: less is better.
    Share,
    /// A measure from 0 to 1, or a difference of two; what stands beside it is compared by difference.
    Quality,
    /// How many.
    Count,
}

#[derive(Debug, Clone, Copy)]
enum Goal {
    AtMost(f64),
    AtLeast(f64),
}

/// The same of somebody else, or why it could not be measured.
#[derive(Debug)]
struct Beside {
    who: String,
    value: Result<f64, String>,
}

impl Row {
    pub(crate) fn new(what: impl Into<String>, unit: Unit, value: f64) -> Self {
        Self { what: what.into(), unit, value, goal: None, beside: Vec::new() }
    }

    /// Says more of what was measured.
    pub(crate) fn named(mut self, what: impl FnOnce(&str) -> String) -> Self {
        self.what = what(&self.what);
        self
    }

    pub(crate) fn at_most(mut self, goal: f64) -> Self {
        self.goal = Some(Goal::AtMost(goal));
        self
    }

    pub(crate) fn at_least(mut self, goal: f64) -> Self {
        self.goal = Some(Goal::AtLeast(goal));
        self
    }

    pub(crate) fn beside(mut self, who: impl Into<String>, value: Result<f64, String>) -> Self {
        self.beside.push(Beside { who: who.into(), value });
        self
    }

    fn beside_text(&self) -> String {
        let one = |beside: &Beside| match &beside.value {
            Ok(value) => {
                format!("{}: {} ({})", beside.who, self.unit.text(*value), self.compared(*value))
            }
            Err(reason) => format!("{}: not measured, {reason}", beside.who),
        };
        self.beside.iter().map(one).collect::<Vec<_>>().join("; ")
    }

    fn compared(&self, value: f64) -> String {
        match self.unit {
            Unit::Quality => format!("{:+.3}", self.value - value),
            Unit::PerSecond => times_text(self.value / value),
            _ => times_text(value / self.value),
        }
    }

    fn goal_text(&self) -> String {
        let Some(goal) = self.goal else { return String::new() };
        let (sign, value, is_met) = match goal {
            Goal::AtMost(goal) => ("≤", goal, self.value <= goal),
            Goal::AtLeast(goal) => ("≥", goal, self.value >= goal),
        };
        format!("{sign} {}: {}", self.unit.text(value), if is_met { "met" } else { "**missed**" })
    }
}

impl Unit {
    fn text(self, value: f64) -> String {
        match self {
            Self::Microseconds => format!("{value:.2} µs"),
            Self::Milliseconds if value >= 100.0 => format!("{value:.0} ms"),
            Self::Milliseconds if value >= 10.0 => format!("{value:.1} ms"),
            Self::Milliseconds => format!("{value:.2} ms"),
            Self::PerSecond => format!("{}/s", thousands(value)),
            Self::Bytes if value >= 1e6 => format!("{:.1} MB", value / 1e6),
            Self::Bytes => format!("{:.1} kB", value / 1e3),
            Self::Share => format!("{value:.2}"),
            Self::Quality if value.is_nan() => String::new(),
            Self::Quality => format!("{value:.3}"),
            Self::Count => thousands(value),
        }
    }
}

fn times_text(times: f64) -> String {
    if times >= 10.0 { format!("{times:.0}×") } else { format!("{times:.2}×") }
}

fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n## {}\n\n{} Again: `{}`.\n", self.title, self.about, self.command)?;
        writeln!(f, "| measured | Masque | beside it | goal |\n|---|---|---|---|")?;
        for row in &self.rows {
            let Row { what, unit, value, .. } = row;
            writeln!(f, "| {what} | {} | {} | {} |", unit.text(*value), row.beside_text(), row.goal_text())?;
        }
        Ok(())
    }
}

/// The generated part of a page.
pub(crate) fn page(sections: &str, places: &Places) -> String {
    format!(
        "Measured on {}. The machine was shared with other work: read the ratios, not the absolute figures. \
         In brackets: how many times better Masque is than what stands beside it, or by how much for measures from 0 to 1.\n{sections}",
        places.machine()
    )
}

/// Replaces the generated part of a file.
pub(crate) fn replace_in(file: &Path, text: &str) -> anyhow::Result<()> {
    let old = fs_err::read_to_string(file)?;
    let replaced = replaced(&old, text).with_context(|| {
        format!("{} has no lines `{BEGIN}` and `{END}`: put them where the figures belong", file.display())
    })?;
    Ok(fs_err::write(file, replaced)?)
}

fn replaced(old: &str, text: &str) -> Option<String> {
    let (before, rest) = old.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n\n{}\n\n{END}{after}", text.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_say_ratio_and_goal() {
        let section = Section {
            title: "Speed",
            command: "make bench ARGS=speed",
            about: "It ran.".to_owned(),
            rows: vec![
                Row::new("steps", Unit::PerSecond, 12_345.0).at_least(20_000.0).beside("Peer", Ok(500.0)),
                Row::new("start", Unit::Milliseconds, 2.0)
                    .at_most(4.0)
                    .beside("Peer", Ok(5.0))
                    .beside("Other", Err("it is missing".to_owned())),
                Row::new("size", Unit::Bytes, 40_500_000.0),
                Row::new("found", Unit::Quality, 0.75).beside("Peer", Ok(0.8)),
            ],
        };
        let text = section.to_string();
        assert!(text.contains("| steps | 12,345/s | Peer: 500/s (25×) | ≥ 20,000/s: **missed** |"), "{text}");
        assert!(
            text.contains(
                "| start | 2.00 ms | Peer: 5.00 ms (2.50×); Other: not measured, it is missing | ≤ 4.00 ms: met |"
            ),
            "{text}"
        );
        assert!(text.contains("| size | 40.5 MB |  |  |"), "{text}");
        assert!(text.contains("| found | 0.750 | Peer: 0.800 (-0.050) |  |"), "{text}");
    }

    #[test]
    fn only_the_figures_of_a_page_are_replaced() {
        let old = format!("# Page\n{BEGIN}\nold\n{END}\nrest\n");
        let new = replaced(&old, "\nnew\n").unwrap();
        assert_eq!(new, format!("# Page\n{BEGIN}\n\nnew\n\n{END}\nrest\n"));
        assert_eq!(replaced("# Page\n", "new"), None);
    }
}

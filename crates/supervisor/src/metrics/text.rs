//! [`Text`]: metrics in the text format of Prometheus. Source: its documentation, "Exposition formats", version 0.0.4.

use std::fmt::Write as _;

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It goes up and down.
    Gauge,
    /// It only rises, until its process begins anew.
    Counter,
}

/// Metrics, family by family. A family without samples is left out.
#[derive(Debug, Default)]
pub(super) struct Text {
    written: String,
    name: &'static str,
    head: String,
}

impl Text {
    /// Begins a family. Its help is one line without backslashes.
    pub(super) fn family(&mut self, name: &'static str, kind: Kind, help: &'static str) {
        let kind = match kind {
            Kind::Gauge => "gauge",
            Kind::Counter => "counter",
        };
        self.name = name;
        self.head = format!("# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    /// Adds a sample to the family.
    pub(super) fn sample(&mut self, labels: &[(&str, &str)], value: f64) {
        self.written.push_str(&std::mem::take(&mut self.head));
        self.written.push_str(self.name);
        for (place, (name, value)) in labels.iter().enumerate() {
            self.written.push(if place == 0 { '{' } else { ',' });
            self.written.push_str(name);
            self.written.push_str("=\"");
            self.escape(value);
            self.written.push('"');
        }
        let end = if labels.is_empty() { "" } else { "}" };
        // Writing to a string does not fail.
        let _ = writeln!(self.written, "{end} {value}");
    }

    fn escape(&mut self, value: &str) {
        for letter in value.chars() {
            match letter {
                '\\' => self.written.push_str("\\\\"),
                '"' => self.written.push_str("\\\""),
                '\n' => self.written.push_str("\\n"),
                other => self.written.push(other),
            }
        }
    }

    pub(super) fn finish(self) -> String {
        self.written
    }
}

//! The line above the prompt: who, which model, which mode, what was spent, how full the context is.
//!
//! Leaves out drawing it.

use masque_types::{
    cost::{Limits, Spend},
    model::ModelRef,
    policy::Mode,
};

use crate::{chat::text, render::style};

/// What the line says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Status {
    pub(crate) persona: String,
    /// The name of the session, when it has one.
    pub(crate) session: Option<String>,
    pub(crate) model: Option<ModelRef>,
    pub(crate) mode: Mode,
    pub(crate) spend: Spend,
    pub(crate) limits: Limits,
    pub(crate) context_tokens: u64,
    pub(crate) context_limit: u64,
}

impl Status {
    /// The line in at most so many columns: what matters least is left away first.
    pub(crate) fn line(&self, columns: usize) -> String {
        let mut parts = self.parts();
        loop {
            let line = parts.iter().map(|(_, part)| part.as_str()).collect::<Vec<_>>().join(" · ");
            if text::width(&line) <= columns || parts.len() < 2 {
                return text::prefix(&line, columns).to_owned();
            }
            let least = parts.iter().map(|(rank, _)| *rank).max();
            parts.retain(|(rank, _)| Some(*rank) != least);
        }
    }

    /// The parts in their order, each with its rank: 0 is left away last.
    fn parts(&self) -> Vec<(u8, String)> {
        let persona = match &self.session {
            Some(name) => format!("{} ({name})", self.persona),
            None => self.persona.clone(),
        };
        let mut parts = vec![(0, style::harmless(&persona))];
        parts.extend(self.model.as_ref().map(|model| (4, short(model))));
        parts.push((1, self.mode.name().to_owned()));
        let spent = self.spend.micro_usd;
        let money = match self.limits.micro_usd {
            Some(limit) => format!("{spent} of {limit}"),
            None => spent.to_string(),
        };
        parts.push((3, money));
        let tokens = compact(self.spend.usage.total());
        let tokens = match self.limits.tokens {
            Some(limit) => format!("{tokens} of {} tokens", compact(limit)),
            None => format!("{tokens} tokens"),
        };
        parts.push((5, tokens));
        if let Some(percent) = (self.context_tokens * 100).checked_div(self.context_limit) {
            parts.push((2, format!("context {percent}%")));
        }
        parts
    }
}

/// A model by its provider and the end of its name.
pub(crate) fn short(model: &ModelRef) -> String {
    let name = model.model.rsplit('/').find(|part| !part.is_empty()).unwrap_or(&model.model);
    style::harmless(&format!("{}/{name}", model.provider))
}

/// A count in three digits: `950`, `12.3k`, `4.5M`.
pub(crate) fn compact(count: u64) -> String {
    match count {
        0..1_000 => count.to_string(),
        1_000..1_000_000 => format!("{}.{}k", count / 1_000, count % 1_000 / 100),
        _ => format!("{}.{}M", count / 1_000_000, count % 1_000_000 / 100_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use masque_types::cost::{MicroUsd, Usage};

    #[test]
    fn the_line_keeps_what_matters_most() {
        let status = Status {
            persona: "architect".into(),
            model: "anthropic/claude-sonnet-4-5".parse().ok(),
            mode: Mode::AcceptEdits,
            spend: Spend {
                steps: 3,
                usage: Usage { input_tokens: 12_345, ..Usage::default() },
                micro_usd: MicroUsd(12_300),
            },
            limits: Limits { micro_usd: Some(MicroUsd(1_000_000)), ..Limits::default() },
            context_tokens: 14_000,
            context_limit: 100_000,
            ..Status::default()
        };
        let all =
            "architect · anthropic/claude-sonnet-4-5 · accept-edits · $0.0123 of $1.0000 · 12.3k tokens · context 14%";
        assert_eq!(status.line(120), all);
        assert_eq!(status.line(90), all.replace(" · 12.3k tokens", ""));
        assert_eq!(status.line(60), "architect · accept-edits · $0.0123 of $1.0000 · context 14%");
        assert_eq!(status.line(40), "architect · accept-edits · context 14%");
        assert_eq!(status.line(5), "archi");
    }
}

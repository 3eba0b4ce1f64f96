//! What the writers of the dialects share: the persona, what was lost on the way, and the parts that most of them have.

use masque_tree::Node;
use masque_types::{
    model::ModelRef,
    persona::Persona,
    policy::{Rule, ToolSelection, Verdict},
};

use super::fields::{self, Loss, MODEL, Risk, TOOLS};
use crate::{aliases::Aliases, tool_names};

/// A persona that is being written, and its losses.
pub(crate) struct Writer<'a> {
    pub(crate) persona: &'a Persona,
    pub(crate) losses: Vec<Loss>,
}

impl<'a> Writer<'a> {
    /// The losses begin with the fields that the dialect has no place for.
    pub(crate) fn new(persona: &'a Persona, title: &str, says: &[&str]) -> Self {
        let unsaid = fields::all().filter(|field| !says.contains(&field.name) && !(field.value)(persona).is_null());
        let losses = unsaid.map(|field| Loss {
            field: field.name,
            reason: format!("{title} has no place for it"),
            risk: (field.risk)(persona),
        });
        Self { persona, losses: losses.collect() }
    }

    /// Something of a field is lost, with the risk that the field has.
    pub(crate) fn lose(&mut self, field: &'static str, reason: impl Into<String>) {
        let risk = fields::all().find(|known| known.name == field).map_or(Risk::Security, |f| (f.risk)(self.persona));
        self.lose_at(risk, field, reason);
    }

    /// Something of a field is lost, with a risk of its own.
    pub(crate) fn lose_at(&mut self, risk: Risk, field: &'static str, reason: impl Into<String>) {
        let loss = Loss { field, reason: reason.into(), risk };
        if !self.losses.contains(&loss) {
            self.losses.push(loss);
        }
    }

    /// The one model that a dialect can name: the first that `theirs` has a name for. The others are lost.
    pub(crate) fn model(&mut self, program: &str, theirs: impl Fn(&ModelRef) -> Option<String>) -> Option<String> {
        let prefer = &self.persona.model.prefer;
        let (at, name) = prefer.iter().enumerate().find_map(|(at, model)| Some((at, theirs(model)?))).unzip();
        if prefer.len() > 1 || (at != Some(0) && !prefer.is_empty()) {
            self.lose(MODEL, format!("{program} takes one model of its own"));
        }
        name
    }

    /// The listed tools by the names of a program. Patterns over our tools are written out. Nothing when the persona has
    /// the default set.
    pub(crate) fn tools(
        &mut self,
        aliases: &Aliases,
        server: impl Fn(&str, &str) -> Option<String>,
    ) -> Option<Vec<String>> {
        let ToolSelection::Only(names) = &self.persona.tools else { return None };
        let mut written: Vec<String> = Vec::new();
        for name in names {
            let theirs = match name.strip_prefix("mcp:").and_then(|rest| rest.split_once('/')) {
                Some((of, tool)) => server(of, tool).into_iter().collect(),
                None => self.own_tool(name, aliases),
            };
            if theirs.is_empty() {
                self.lose_at(Risk::Behaviour, TOOLS, format!("`{name}` has no name in {}", aliases.program));
            }
            for tool in theirs {
                if written.contains(&tool) {
                    self.lose_at(Risk::Cosmetic, TOOLS, format!("`{tool}` stands once for several names"));
                } else {
                    written.push(tool);
                }
            }
        }
        Some(written)
    }

    fn own_tool(&mut self, name: &str, aliases: &Aliases) -> Vec<String> {
        if !tool_names::is_pattern(name) || name.contains('(') {
            let unknown = aliases.keeps_unknown && !tool_names::is_canonical(name);
            return aliases
                .theirs(name)
                .map(str::to_owned)
                .or_else(|| unknown.then(|| name.to_owned()))
                .into_iter()
                .collect();
        }
        self.lose_at(Risk::Cosmetic, TOOLS, format!("the pattern `{name}` is written out"));
        if name.contains("mcp:") || name == "*" {
            self.lose_at(Risk::Behaviour, TOOLS, format!("`{name}` no longer means tools of MCP servers"));
        }
        tool_names::matching(name).filter_map(|tool| aliases.theirs(tool)).map(str::to_owned).collect()
    }

    /// The rules of one effect that hold for all calls of one tool; the others of that effect are lost.
    pub(crate) fn whole_tool_rules(&mut self, effect: Verdict, field: &'static str) -> Vec<&'a Rule> {
        let mut whole: Vec<&Rule> = Vec::new();
        for rule in self.persona.rules.iter().filter(|rule| rule.effect == effect) {
            if rule.path.is_some() {
                self.lose(field, format!("no place for a path: {}", rule.describe()));
            } else if tool_names::is_pattern(&rule.tool) && !rule.tool.starts_with("mcp:") {
                self.lose(field, format!("no place for a pattern: {}", rule.describe()));
            } else if !whole.contains(&rule) {
                whole.push(rule);
            }
        }
        whole
    }
}

/// A text as a node, where it says something.
pub(crate) fn text(text: &str) -> Option<Node> {
    (!text.is_empty()).then(|| Node::text(text))
}

//! What one decision of a policy costs: the question that stands before every tool call.

use std::{hint::black_box, time::Instant};

use masque_types::{
    message::ToolCall,
    persona::Persona,
    policy::{Mode, Policy, Rule, ToolSelection, Verdict},
    tool::EffectClass,
};
use serde_json::json;

use crate::{
    figures::{Row, Section, Unit},
    statistics::median,
};

const ROUNDS: usize = 200;
const DECISIONS: u32 = 1_000;

/// Measures decisions of a policy with every layer.
pub(crate) fn measure() -> Section {
    let policy = policy();
    let calls = ["src/main.rs", "data/raw/2024/table.csv", "docs/../data/notes.md", "a/very/long/path/to/a/file.txt"]
        .map(|path| ToolCall {
            id: "call".to_owned(),
            tool: "fs.write".to_owned(),
            arguments: json!({ "path": path, "content": "text" }),
            signature: None,
        });
    let rounds: Vec<f64> = (0..ROUNDS).map(|_| one_round(&policy, &calls)).collect();
    Section {
        title: "Policy",
        command: "make bench ARGS=decision",
        about: format!(
            "One decision about a call of `fs.write` under a policy of twenty rules, half of them with path patterns, two \
             grants of callers and a ceiling of five rules. The median of {ROUNDS} rounds of {DECISIONS} decisions."
        ),
        rows: vec![Row::new("one decision", Unit::Microseconds, median(rounds)).at_most(2.0)],
    }
}

fn one_round(policy: &Policy, calls: &[ToolCall]) -> f64 {
    let begun = Instant::now();
    for call in calls.iter().cycle().take(DECISIONS as usize) {
        black_box(policy.decide(black_box(call), EffectClass::Keyed));
    }
    begun.elapsed().as_secs_f64() * 1e6 / f64::from(DECISIONS)
}

fn policy() -> Policy {
    let with_path = |path: String, effect| Rule { path: Some(path), ..Rule::new("fs.*", effect) };
    let persona = Persona {
        tools: ToolSelection::Only(vec!["fs.*".to_owned(), "shell.exec".to_owned(), "mcp:*".to_owned()]),
        rules: (0..10)
            .flat_map(|n| {
                [with_path(format!("data/{n}*/**"), Verdict::Ask), Rule::new(format!("mcp:{n}/*"), Verdict::Ask)]
            })
            .collect(),
        ..Persona::new("bench")
    };
    Policy {
        mode: Mode::AcceptEdits,
        grants: vec![vec!["*".to_owned()], vec!["fs.*".to_owned(), "shell.exec".to_owned()]],
        ceiling: ["web.*", "shell.exec", "mcp:mail/*", "mcp:web/*", "agent.*"]
            .map(|tool| Rule::new(tool, Verdict::Deny))
            .to_vec(),
        ..Policy::of(&persona)
    }
}

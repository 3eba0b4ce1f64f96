//! What a persona may do, for people.

use masque_app::{
    explain::{CallAnswer, Explanation, SecretAnswer},
    secrets::Standing,
};
use masque_types::{cost::Limits, persona::Injection};

use super::{
    line,
    style::{self, BOLD},
};

/// Everything.
pub(crate) fn whole(explanation: &Explanation) {
    let called = explanation.caller.as_ref().map(|caller| format!(", called by {caller}")).unwrap_or_default();
    line(&format!("{BOLD}{}{BOLD:#}{called}  {}", explanation.persona, explanation.source));
    if !explanation.lost.is_empty() {
        line(&format!("not trusted: it goes without {} (masque trust)", explanation.lost.join(", ")));
    }
    line("");
    let rows = explanation.tools.iter().map(|answer| {
        let verdict = if answer.visible { answer.decision.verdict.name() } else { "hidden" };
        [
            answer.tool.clone(),
            answer.effect.name().to_owned(),
            verdict.to_owned(),
            style::harmless(&answer.decision.reason),
        ]
    });
    super::table(["TOOL", "EFFECT", "POLICY", "WHY"], rows);
    line("");
    field("mode", explanation.mode.name());
    field("sandbox", &explanation.sandbox);
    field("writes", &explanation.writes);
    field("network", &explanation.network);
    for answer in &explanation.secrets {
        field("secret", &secret(answer));
    }
    field("limits", &limits(&explanation.limits));
    if !explanation.calls.is_empty() {
        field("calls", &explanation.calls.join(", "));
    }
    if !explanation.hooks.is_empty() {
        field("hooks", &explanation.hooks.join(", "));
    }
}

/// One decision, layer by layer.
pub(crate) fn call(answer: &CallAnswer) {
    let decision = &answer.answer.decision;
    let tool = &answer.answer.tool;
    line(&format!("{BOLD}{}{BOLD:#} {} for {}", decision.verdict.name(), style::harmless(tool), answer.persona));
    line(&format!("because {}", style::harmless(&decision.reason)));
    if !answer.answer.visible {
        line("the model does not see the tool at all");
    }
    line("");
    let rows = answer.layers.iter().map(|layer| {
        let decision = &layer.decision;
        [layer.layer.name().to_owned(), decision.verdict.name().to_owned(), style::harmless(&decision.reason)]
    });
    super::table(["LAYER", "SAYS", "WHY"], rows);
}

fn field(name: &str, text: &str) {
    line(&format!("{name:<8} {}", style::harmless(text)));
}

fn secret(answer: &SecretAnswer) -> String {
    let grant = &answer.grant;
    let way = match grant.inject {
        Injection::Header => format!("put in at the border for {}", grant.hosts.join(", ")),
        Injection::Environment => "seen by programs".to_owned(),
    };
    let standing = match answer.standing {
        Standing::Granted => "granted",
        Standing::Changed => "granted on other terms, so not used",
        Standing::NotGranted => "not granted",
        Standing::NotSet => "has no value",
        Standing::Revoked => "granted, and kept from it: its key was revoked",
    };
    format!("{}: {standing}, {way}", grant.name)
}

fn limits(limits: &Limits) -> String {
    let parts = [
        limits.steps.map(|steps| format!("{steps} steps")),
        limits.tokens.map(|tokens| format!("{tokens} tokens")),
        limits.micro_usd.map(|money| format!("{money}")),
        limits.wall.map(|wall| format!("{} s", wall.as_secs())),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() { "none".to_owned() } else { parts.join(", ") }
}

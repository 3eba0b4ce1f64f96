//! Questions as tables and whole.

use masque_types::{
    approval::{Approval, Question},
    time::Timestamp,
};

use super::{line, style};

/// A listing.
pub(crate) fn table(approvals: &[Approval], now: Timestamp) {
    let rows = approvals.iter().map(|approval| {
        [
            approval.id.to_string(),
            approval.question.kind().to_owned(),
            approval.run.to_string(),
            style::age(now, approval.asked_at),
            approval.ruling.as_ref().map_or("open", |ruling| ruling.answer.name()).to_owned(),
            summary(&approval.question),
        ]
    });
    super::table(["APPROVAL", "KIND", "RUN", "AGE", "STATE", "QUESTION"], rows);
}

/// A question on one line.
pub(crate) fn summary(question: &Question) -> String {
    let text = match question {
        Question::ToolCall { tool, arguments, .. } | Question::InDoubt { tool, arguments, .. } => {
            format!("{tool} {}", style::arguments(arguments, 80))
        }
        Question::Input { question, .. } => question.clone(),
    };
    style::shortened(&text, 80)
}

/// A question with everything that an answer is bound to.
pub(crate) fn whole(approval: &Approval) {
    line(&format!("{} ({})", approval.id, approval.question.kind()));
    line(&format!("run       {}", approval.run));
    line(&format!("call      {}", approval.call_id));
    line(&format!("digest    {}", approval.digest));
    line(&format!("asked     {}", style::date(approval.asked_at)));
    if let Some(deadline) = approval.deadline {
        line(&format!("deadline  {}: then the call is denied", style::date(deadline)));
    }
    if let Some(ruling) = &approval.ruling {
        line(&format!("answer    {} by {} ({})", ruling.answer.name(), ruling.by, ruling.channel.name()));
    }
    match &approval.question {
        Question::ToolCall { tool, arguments, reason } => {
            line(&format!("asked by  {reason}\n\n{tool} {}", pretty(arguments)));
        }
        Question::InDoubt { tool, arguments, announced_at } => {
            let when = style::date(*announced_at);
            line(&format!(
                "\n{tool} {}\nbegan {when} and was interrupted: nobody knows whether it happened",
                pretty(arguments)
            ));
        }
        Question::Input { question, choices } => {
            line(&format!("\n{question}"));
            for choice in choices {
                line(&format!("  {choice}"));
            }
        }
    }
}

fn pretty(arguments: &serde_json::Value) -> String {
    serde_json::to_string_pretty(arguments).unwrap_or_default()
}

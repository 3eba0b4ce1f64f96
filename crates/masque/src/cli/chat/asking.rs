//! Questions in the middle of a turn: may this call be made, did it happen, what does the persona want to know.
//!
//! Leaves out how a question came about.

use masque_app::Error;
use masque_types::{
    actor::Channel,
    approval::{Answer, Approval, Question},
    id::ApprovalId,
    policy,
};
use serde_json::Value;

use super::{
    drives,
    editor::{Ask, Typed},
    session::{After, Session},
};
use crate::{
    chat::{diff::Change, text::Line},
    exit::Exit,
    render::style::{self, BOLD, DIM, WARNING},
};

/// Lines of a proposed change that a question shows.
const CHANGE_LINES: usize = 30;

/// What a person answers.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Said {
    Answer(Answer),
    /// Yes, now and for the rest of the session.
    Always,
}

impl Session<'_> {
    /// Asks, unless the answer is known; tells when the session is to end.
    pub(crate) async fn ask(&mut self, question: ApprovalId) -> Result<Option<After>, Error> {
        let approval = self.app.find_approval(&question.to_string()).await?;
        if approval.ruling.is_some() {
            return Ok(None);
        }
        let asker = self.asker(&approval).await?;
        if self.is_allowed(&approval.question, asker.as_deref()) {
            self.app.answer(&self.actor, &approval, Answer::Approve, Channel::Flag).await?;
            return Ok(None);
        }
        if let Question::ToolCall { tool, arguments, .. } = &approval.question
            && let Some(change) = proposed(tool, arguments, &self.workspace)
        {
            self.view.proposed(change);
        }
        // A called persona must not be taken for the one that is talked to.
        let head = asker.iter().map(|name| Line::styled(name, BOLD).with(" asks you", DIM));
        let shown: Vec<Line> = head.chain(self.shown(&approval)).collect();
        self.view.lines(&shown);
        loop {
            let ask = Ask::Question(prompt(&approval.question).to_owned());
            match self.read(&ask, Some(question)).await? {
                Typed::Line(line) => match understood(&approval.question, line.trim()) {
                    Some(said) => return self.answer(&approval, asker.as_deref(), said).await.map(|()| None),
                    None => self.view.typed(),
                },
                Typed::Cleared => {}
                Typed::Broken if self.leaving => return Ok(Some(After::Leave(Exit::Environment))),
                Typed::Broken => return Ok(None),
                Typed::Interrupt => return self.stop_asking(&approval).await.map(|()| None),
                Typed::End => return Ok(Some(After::Leave(Exit::Success))),
            }
        }
    }

    /// The persona that asks, when it is not the one that is talked to.
    async fn asker(&self, approval: &Approval) -> Result<Option<String>, Error> {
        if self.front.run == Some(approval.run) {
            return Ok(None);
        }
        Ok(Some(self.app.run(approval.run).await?.persona))
    }

    /// Whether the command line or an earlier answer allows a call: an answer does so for the persona that asked.
    fn is_allowed(&self, question: &Question, asker: Option<&str>) -> bool {
        let Question::ToolCall { tool, .. } = question else { return false };
        policy::is_among(&self.terms.approve, tool) || self.front.allowed.contains(&allowance(tool, asker))
    }

    async fn answer(&mut self, approval: &Approval, asker: Option<&str>, said: Said) -> Result<(), Error> {
        let answer = match said {
            Said::Answer(answer) => answer,
            Said::Always => {
                if let Question::ToolCall { tool, .. } = &approval.question {
                    let allowance = allowance(tool, asker);
                    self.view.note(&format!("{allowance} is not asked again in this session"));
                    self.front.allowed.push(allowance);
                    self.remember()?;
                }
                Answer::Approve
            }
        };
        match self.app.answer(&self.actor, approval, answer, Channel::Cli).await {
            // Somebody else was faster, or its time ran out.
            Err(error) if error.kind == masque_app::Kind::Refused => {
                self.view.error(&error);
                Ok(())
            }
            answered => answered,
        }
    }

    /// Ctrl-C at a question stops the turn that asked it.
    async fn stop_asking(&mut self, approval: &Approval) -> Result<(), Error> {
        if self.front.run == Some(approval.run) {
            self.app.interrupt(&self.actor, approval.run).await
        } else {
            self.app.cancel(&self.actor, approval.run).await.map(|_| ())
        }
    }

    /// A question with everything that an answer is about.
    fn shown(&self, approval: &Approval) -> Vec<Line> {
        match &approval.question {
            Question::ToolCall { tool, arguments, reason } => {
                let mut lines = vec![Line::styled(tool, BOLD).with(&format!(" is asked: {reason}"), DIM)];
                match proposed(tool, arguments, &self.workspace) {
                    Some(change) => lines.extend(change.lines(CHANGE_LINES)),
                    None => lines.extend(block(arguments)),
                }
                lines
            }
            Question::InDoubt { tool, arguments, .. } => {
                let what = " was interrupted; nobody knows whether it happened";
                let mut lines =
                    vec![Line::styled("in doubt", WARNING).with(": ", DIM).with(tool, BOLD).with(what, DIM)];
                lines.extend(block(arguments));
                lines
            }
            Question::Input { question, choices } => {
                let mut lines: Vec<Line> = question.lines().map(|line| Line::styled(line, BOLD)).collect();
                let numbered = choices.iter().enumerate();
                lines.extend(numbered.map(|(place, choice)| Line::plain(&format!("  {}. {choice}", place + 1))));
                lines
            }
        }
    }
}

/// How an allowance is kept: the tool, behind the name of a persona that is not the one that is talked to.
fn allowance(tool: &str, asker: Option<&str>) -> String {
    asker.map_or_else(|| tool.to_owned(), |asker| format!("{asker}: {tool}"))
}

fn block(arguments: &Value) -> Vec<Line> {
    style::argument_block(arguments).lines().map(Line::plain).collect()
}

/// What a call would change, when that can be told before.
fn proposed(tool: &str, arguments: &Value, workspace: &std::path::Path) -> Option<Change> {
    let text = |name: &str| arguments.get(name).and_then(Value::as_str);
    let path = text("path")?;
    let before = drives::content(workspace, path);
    let after = match tool {
        "fs.write" => text("content")?.to_owned(),
        "fs.edit" => {
            let (old, new) = (text("old").filter(|old| !old.is_empty())?, text("new").unwrap_or_default());
            let before = before.as_deref().filter(|before| before.contains(old))?;
            before.replace(old, new)
        }
        _ => return None,
    };
    let change = Change { path: path.to_owned(), before, after: Some(after) };
    (!change.is_none()).then_some(change)
}

const fn prompt(question: &Question) -> &'static str {
    match question {
        Question::ToolCall { .. } => "[y]es [n]o [a]lways, or why not:",
        Question::InDoubt { .. } => "[h]appened [r]etry [a]bort:",
        Question::Input { .. } => "your answer:",
    }
}

fn understood(question: &Question, line: &str) -> Option<Said> {
    let answer = match (question, line) {
        (_, "") => return None,
        (Question::ToolCall { .. }, "a" | "always") => return Some(Said::Always),
        (Question::ToolCall { .. }, "y" | "yes") => Answer::Approve,
        (Question::ToolCall { .. }, "n" | "no") => Answer::Deny { reason: None },
        (Question::ToolCall { .. }, reason) => Answer::Deny { reason: Some(reason.to_owned()) },
        (Question::InDoubt { .. }, "h" | "happened") => Answer::Happened { result: None },
        (Question::InDoubt { .. }, "r" | "retry") => Answer::Retry,
        (Question::InDoubt { .. }, "a" | "abort") => Answer::Abort,
        (Question::InDoubt { .. }, _) => return None,
        (Question::Input { choices, .. }, line) => {
            let chosen = line.parse::<usize>().ok().and_then(|number| choices.get(number.checked_sub(1)?));
            Answer::Reply { text: chosen.cloned().unwrap_or_else(|| line.to_owned()) }
        }
    };
    Some(Said::Answer(answer))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn answers_are_understood() {
        let call = Question::ToolCall { tool: "fs.write".into(), arguments: json!({}), reason: String::new() };
        let deny = |reason: Option<&str>| Some(Said::Answer(Answer::Deny { reason: reason.map(Into::into) }));
        assert_eq!(understood(&call, ""), None);
        assert_eq!(understood(&call, "y"), Some(Said::Answer(Answer::Approve)));
        assert_eq!(understood(&call, "a"), Some(Said::Always));
        assert_eq!(understood(&call, "n"), deny(None));
        assert_eq!(understood(&call, "not now"), deny(Some("not now")));
        let input = Question::Input { question: "which?".into(), choices: vec!["red".into(), "blue".into()] };
        let reply = |text: &str| Some(Said::Answer(Answer::Reply { text: text.into() }));
        assert_eq!((understood(&input, "2"), understood(&input, "3")), (reply("blue"), reply("3")));
    }

    #[test]
    fn what_is_allowed_to_one_persona_is_not_allowed_to_another() {
        assert_eq!(allowance("shell.exec", None), "shell.exec");
        assert_eq!(allowance("shell.exec", Some("qa")), "qa: shell.exec");
    }

    #[test]
    fn what_a_call_would_change_is_shown_as_a_difference() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        fs_err::write(root.join("a.txt"), "one\ntwo\n").unwrap();
        let change = |tool, arguments| proposed(tool, &arguments, &root).map(|change| change.after.unwrap());
        assert_eq!(change("fs.edit", json!({ "path": "a.txt", "old": "two", "new": "2" })).unwrap(), "one\n2\n");
        assert_eq!(change("fs.edit", json!({ "path": "a.txt", "old": "three", "new": "3" })), None);
        assert_eq!(change("fs.write", json!({ "path": "b.txt", "content": "x" })).unwrap(), "x");
        assert_eq!(change("shell.exec", json!({ "path": "b.txt", "content": "x" })), None);
    }
}

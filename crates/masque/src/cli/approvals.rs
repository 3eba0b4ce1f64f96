//! `masque approvals`: the questions of waiting runs.

use masque_app::{App, Error};
use masque_types::{
    actor::{Actor, Channel},
    approval::{Answer, Approval, Question},
};

use super::{
    Context,
    drive::{Answers, DriveArguments, Output, drive},
};
use crate::{exit::Exit, render};

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// List open questions
    List {
        /// Answered ones too
        #[arg(long)]
        all: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show a question with the exact call
    Show {
        /// Question: its id or the beginning of it
        approval: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Approve a call, answer a question, or settle a doubt
    Approve(Approve),
    /// Deny a call; for a call in doubt, give the run up
    Deny {
        /// Question: its id or the beginning of it
        approval: String,
        /// Why; the model is told
        #[arg(long)]
        reason: Option<String>,
        /// Go on with the run here
        #[arg(long)]
        resume: bool,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct Approve {
    /// Question: its id or the beginning of it
    approval: String,
    /// The call in doubt happened; its result, if known, is given to the model
    #[arg(long, value_name = "RESULT", num_args = 0..=1, default_missing_value = "", conflicts_with_all = ["retry", "reply"])]
    happened: Option<String>,
    /// The call in doubt did not happen: make it
    #[arg(long, conflicts_with = "reply")]
    retry: bool,
    /// Answer to the persona's question
    #[arg(long, value_name = "TEXT")]
    reply: Option<String>,
    /// Go on with the run here
    #[arg(long)]
    resume: bool,
}

impl Approve {
    fn answer(&self) -> Answer {
        match (&self.happened, self.retry, &self.reply) {
            (Some(result), ..) => Answer::Happened { result: (!result.is_empty()).then(|| result.clone()) },
            (None, true, _) => Answer::Retry,
            (None, false, Some(text)) => Answer::Reply { text: text.clone() },
            (None, false, None) => Answer::Approve,
        }
    }
}

pub(crate) async fn run(context: Context, command: Command) -> Result<Exit, Error> {
    let actor = context.actor();
    let app = context.open().await?;
    let exit = match command {
        Command::List { all, json } => {
            let approvals = app.approvals(None, !all, 1000).await?;
            if json {
                render::json(&approvals)
            } else {
                render::approvals::table(&approvals, app.now())
            }
            Ok(Exit::Success)
        }
        Command::Show { approval, json } => {
            let approval = app.find_approval(&approval).await?;
            if json {
                render::json(&approval)
            } else {
                render::approvals::whole(&approval)
            }
            Ok(Exit::Success)
        }
        Command::Approve(approve) => {
            let approval = app.find_approval(&approve.approval).await?;
            answer(&app, &actor, &approval, approve.answer(), approve.resume).await
        }
        Command::Deny { approval, reason, resume } => {
            let approval = app.find_approval(&approval).await?;
            let answer_given = match approval.question {
                Question::InDoubt { .. } => Answer::Abort,
                Question::ToolCall { .. } | Question::Input { .. } => Answer::Deny { reason },
            };
            answer(&app, &actor, &approval, answer_given, resume).await
        }
    };
    app.close().await?;
    exit
}

async fn answer(app: &App, actor: &Actor, approval: &Approval, answer: Answer, resume: bool) -> Result<Exit, Error> {
    let name = answer.name();
    app.answer(actor, approval, answer, Channel::Cli).await?;
    render::note(&format!("{name}: {}", approval.id));
    if resume {
        let arguments = DriveArguments { output: Output::Text, approve: Vec::new(), wait: false };
        return drive(app, actor, approval.run, &arguments, &Answers::at_terminal(&arguments)).await;
    }
    if app.held_by(approval.run).await?.is_none() {
        render::note(&format!("nobody works on the run now: masque runs resume {}", approval.run));
    }
    Ok(Exit::Success)
}

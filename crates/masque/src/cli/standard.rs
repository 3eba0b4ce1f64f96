//! `masque standard`: the standards of a project, and the proposals that wait for a person.

use std::{
    io::{IsTerminal as _, Read as _, Write as _},
    path::PathBuf,
};

use masque_app::{
    App, Error,
    standards::{Decide, ProposalFilter, Propose, Review, Severity, StandardQuery, Verdict},
};
use masque_types::{
    actor::{Caller, Channel, Reach},
    digest::Digest,
    id::ProposalId,
    standard::{Proposal, ProposalStatus},
};

use super::Context;
use crate::{exit::Exit, render};

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// List the standards of the project
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show a standard
    Show {
        /// Standard: domain/topic
        standard: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Search the standards of the project
    Search {
        /// Words or a question
        #[arg(required = true)]
        query: Vec<String>,
        /// Parts to show, at most
        #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(1..=20))]
        limit: u8,
        /// Only standards of this domain
        #[arg(long, value_name = "DOMAIN")]
        domain: Vec<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Propose a standard, or a change of one
    Propose(Suggest),
    /// List proposals that wait for a person
    Proposals {
        /// Decided and replaced ones too
        #[arg(long)]
        all: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show a proposal: the difference that an approval makes, and what to look at
    Diff {
        /// Proposal: its id or the beginning of it
        proposal: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Approve a proposal: its file is written
    Approve(Approve),
    /// Reject a proposal
    Reject {
        /// Proposal: its id or the beginning of it
        proposal: String,
        /// Why; whoever proposed it can read it
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
    /// Show how the standards are used: most used, never used, stale
    Stats {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Check the standards: files, secrets, words that address a model, contradictions
    Check {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct Suggest {
    /// Standard: domain/topic
    standard: String,
    /// Title, one line
    #[arg(long)]
    title: String,
    /// Markdown file with the text; `-` is standard input
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
    /// Searchable word
    #[arg(long, value_name = "WORD")]
    tag: Vec<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Approve {
    /// Proposal: its id or the beginning of it
    proposal: String,
    /// Change the text in $VISUAL or $EDITOR first
    #[arg(long, conflicts_with = "with")]
    edit: bool,
    /// Approve this text instead: a Markdown file without front matter
    #[arg(long, value_name = "FILE")]
    with: Option<PathBuf>,
    /// Do not ask; needs --digest
    #[arg(long, requires = "digest")]
    yes: bool,
    /// Digest of the proposal that was looked at
    #[arg(long, value_name = "DIGEST")]
    digest: Option<Digest>,
    /// What to tell whoever proposed it
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
}

pub(crate) async fn run(context: Context, command: Command) -> Result<Exit, Error> {
    let caller = Caller { actor: context.actor(), reach: Reach::Local };
    let (project, directory) = (context.project.clone(), context.directory.clone());
    let app = context.open().await?;
    let at = Place { app: &app, caller: &caller, project: &project, directory: &directory };
    let exit = at.run(command).await;
    app.close().await?;
    exit
}

/// Who works where.
struct Place<'a> {
    app: &'a App,
    caller: &'a Caller,
    project: &'a std::path::Path,
    directory: &'a std::path::Path,
}

impl Place<'_> {
    async fn run(&self, command: Command) -> Result<Exit, Error> {
        match command {
            Command::List { json } => self.list(json).await,
            Command::Show { standard, json } => self.show(&standard, json).await,
            Command::Search { query, limit, domain, json } => {
                let query = StandardQuery { text: query.join(" "), limit: limit.into(), domains: domain };
                self.search(&query, json).await
            }
            Command::Propose(suggest) => self.propose(suggest).await,
            Command::Proposals { all, json } => self.proposals(all, json).await,
            Command::Diff { proposal, json } => self.diff(&proposal, json).await,
            Command::Approve(approve) => self.approve(approve).await,
            Command::Reject { proposal, reason } => self.reject(&proposal, reason).await,
            Command::Stats { json } => self.stats(json).await,
            Command::Check { json } => self.check(json).await,
        }
    }

    async fn list(&self, json: bool) -> Result<Exit, Error> {
        let standards = self.app.standards(self.project).await?;
        if json {
            render::json(&standards);
        } else {
            render::standards::table(&standards);
        }
        Ok(Exit::Success)
    }

    async fn show(&self, standard: &str, json: bool) -> Result<Exit, Error> {
        let view = self.app.standard(self.project, standard).await?;
        if json {
            render::json(&view);
        } else {
            render::standards::whole(&view);
        }
        Ok(Exit::Success)
    }

    async fn search(&self, query: &StandardQuery, json: bool) -> Result<Exit, Error> {
        let found = self.app.search_standards(self.caller, self.project, query).await?;
        if json {
            render::json(&found);
        } else {
            render::standards::found(&found);
        }
        Ok(if found.hits.is_empty() { Exit::Failed } else { Exit::Success })
    }

    async fn propose(&self, suggest: Suggest) -> Result<Exit, Error> {
        let content = self.text_of(&suggest.file)?;
        let (domain, topic) = suggest.standard.split_once('/').unwrap_or((&suggest.standard, ""));
        let propose = Propose {
            project: self.project.to_owned(),
            domain: domain.to_owned(),
            topic: topic.to_owned(),
            title: suggest.title,
            tags: suggest.tag,
            content,
            run: None,
            revises: None,
            key: None,
        };
        let review = self.app.propose_standard(self.caller, propose).await?;
        if suggest.json {
            render::json(&review);
        } else {
            render::line(&review.proposal.id.to_string());
            render::standards::findings(&review);
            render::note(&format!("a person decides: {}", review.decide_with));
        }
        Ok(Exit::Success)
    }

    async fn proposals(&self, all: bool, json: bool) -> Result<Exit, Error> {
        let status = (!all).then_some(ProposalStatus::Draft);
        let filter = ProposalFilter { project: Some(self.project.to_owned()), status, run: None, limit: 1_000 };
        let proposals = self.app.proposals(&filter).await?;
        if json {
            render::json(&proposals);
        } else {
            render::standards::proposals(&proposals, self.app.now());
        }
        Ok(Exit::Success)
    }

    async fn diff(&self, id: &str, json: bool) -> Result<Exit, Error> {
        let review = self.app.review_proposal(self.app.find_proposal(id).await?.id).await?;
        if json {
            render::json(&review);
        } else {
            render::standards::review(&review);
        }
        Ok(Exit::Success)
    }

    async fn approve(&self, approve: Approve) -> Result<Exit, Error> {
        let id = self.app.find_proposal(&approve.proposal).await?.id;
        let review = self.app.review_proposal(id).await?;
        let digest = review.proposal.digest;
        if approve.digest.is_some_and(|given| given != digest) {
            let message = format!("{id} has another digest than the one that was given: {digest}");
            return Err(Error::refused(message).hint(format!("look at it as it is now: masque standard diff {id}")));
        }
        let verdict = match (&approve.with, approve.edit) {
            (Some(file), _) => Verdict::ApproveWith(self.text_of(file)?),
            (None, true) => Verdict::ApproveWith(masque_app::personas::in_editor(
                &self.app.host,
                "standard",
                &review.proposal.content,
            )?),
            (None, false) => Verdict::Approve,
        };
        if !approve.yes && !self.is_confirmed(&review, &verdict)? {
            render::note("nothing is decided");
            return Ok(Exit::Failed);
        }
        let decided = self.decide(id, digest, verdict, approve.note).await?;
        render::line(&format!("approved {}: {}", decided.standard, decided.file));
        Ok(Exit::Success)
    }

    /// Shows what is approved and asks the person at the terminal.
    fn is_confirmed(&self, review: &Review, verdict: &Verdict) -> Result<bool, Error> {
        let id = review.proposal.id;
        if review.proposal.status != ProposalStatus::Draft {
            // The use case says by whom it was decided.
            return Ok(true);
        }
        render::standards::review(review);
        if let Verdict::ApproveWith(content) = verdict {
            render::standards::changes(&review.proposal.content, content);
        }
        if !(std::io::stdin().is_terminal() && std::io::stderr().is_terminal()) {
            let command = format!("masque standard approve {id} --yes --digest {}", review.proposal.digest);
            let error = Error::refused("there is no terminal to ask at");
            return Err(error.hint(format!("when you have looked at it: {command}")));
        }
        agreed("write this standard?")
    }

    async fn reject(&self, proposal: &str, reason: Option<String>) -> Result<Exit, Error> {
        let proposal = self.app.find_proposal(proposal).await?;
        let decided = self.decide(proposal.id, proposal.digest, Verdict::Reject, reason).await?;
        render::line(&format!("rejected {}: {}", decided.standard, decided.id));
        Ok(Exit::Success)
    }

    async fn decide(
        &self,
        proposal: ProposalId,
        digest: Digest,
        verdict: Verdict,
        feedback: Option<String>,
    ) -> Result<Proposal, Error> {
        let decide = Decide { proposal, digest, verdict, feedback };
        self.app.decide_proposal(self.caller, Channel::Cli, decide).await
    }

    async fn stats(&self, json: bool) -> Result<Exit, Error> {
        let statistics = self.app.standard_stats(self.project).await?;
        if json {
            render::json(&statistics);
        } else {
            render::standards::statistics(&statistics, self.app.now());
        }
        Ok(Exit::Success)
    }

    async fn check(&self, json: bool) -> Result<Exit, Error> {
        let checked = self.app.check_standards(self.project).await?;
        if json {
            render::json(&checked);
        } else {
            render::standards::checked(&checked);
        }
        let is_clean = checked.iter().all(|found| found.severity == Severity::Note);
        Ok(if is_clean { Exit::Success } else { Exit::Failed })
    }

    /// A file's text, or what stands on standard input.
    fn text_of(&self, file: &std::path::Path) -> Result<String, Error> {
        if file.as_os_str() != "-" {
            return Ok(fs_err::read_to_string(self.directory.join(file))?);
        }
        let mut text = String::new();
        std::io::stdin().take(1 << 20).read_to_string(&mut text)?;
        Ok(text)
    }
}

/// Asks the person at the terminal; no answer is a no.
fn agreed(question: &str) -> Result<bool, Error> {
    let mut out = anstream::stderr();
    write!(out, "{question} [y/N] ")?;
    out.flush()?;
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    Ok(matches!(line.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

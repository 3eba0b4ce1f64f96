//! Deciding about a proposal, and what an approval does.
//!
//! The decision is a row first, with its audit entry; the file follows. A process that dies between the two leaves an
//! approval without a file, which the next use of the project's standards completes: writing is the same however often it
//! is done.

use masque_memory::standards::{Draft, Replaced, secrets};
use masque_store::{DecideProposal, Unwritten};
use masque_types::{
    actor::{Actor, Caller, Channel, Reach},
    digest::Digest,
    standard::{Decision, Proposal, ProposalStatus},
};

use super::{
    project::{Project, off_thread},
    propose::{check_open, draft_of, output, refuse_secrets, revised},
    view::{Decide, Verdict},
};
use crate::{App, Error};

/// The longest feedback, in bytes.
const LONGEST_FEEDBACK: usize = 8 << 10;

impl App {
    /// Decides about a proposal. An approval writes the file and indexes it.
    ///
    /// # Errors
    /// When the caller or the channel may not decide, the proposal was decided or replaced, is too old, is another one
    /// than the digest says, or the file that it changes was changed meanwhile; nothing is written then.
    pub async fn decide_proposal(&self, caller: &Caller, channel: Channel, decide: Decide) -> Result<Proposal, Error> {
        self.may_decide(caller, channel, &decide)?;
        check_feedback(&decide)?;
        let proposal = self.proposal(decide.proposal).await?;
        let project = self.standards_project(proposal.directory.as_ref())?;
        self.finish_approvals(&project).await?;
        let proposal = self.proposal(decide.proposal).await?;
        check_open(&proposal)?;
        if proposal.digest != decide.digest {
            return Err(changed(&proposal, "it has another revision than the one that was decided on"));
        }
        match decide.verdict.clone() {
            Verdict::Reject => self.reject(caller, channel, &decide, proposal).await,
            Verdict::Approve => {
                let draft = draft_of(&proposal);
                self.approve(caller, channel, &decide, (&project, proposal, draft)).await
            }
            Verdict::ApproveWith(content) => {
                let draft = Draft::new(&proposal.title, &proposal.tags, &content).map_err(Error::usage)?;
                self.approve(caller, channel, &decide, (&project, proposal, draft)).await
            }
        }
    }

    /// A person at this machine decides; what a program sends in a person's name counts only where the person said so.
    fn may_decide(&self, caller: &Caller, channel: Channel, decide: &Decide) -> Result<(), Error> {
        let command = format!("masque standard approve {}", decide.proposal);
        let refused = |why: &str| Err(Error::refused(why).hint(format!("a person decides at a terminal: {command}")));
        if !matches!(caller.actor, Actor::User(_)) {
            return refused("only a person decides about standards");
        }
        if caller.reach != Reach::Local {
            return refused("standards are decided about on the machine where they are kept, not over the network");
        }
        match channel {
            Channel::Cli => Ok(()),
            Channel::Elicitation if self.settings.text("standards.decide") == "elicitation" => Ok(()),
            Channel::Elicitation => {
                refused("an editor's form is no proof of a person, unless the setting standards.decide says so")
            }
            Channel::Mcp => refused("a call of an MCP client is no proof of a person"),
            Channel::Timeout | Channel::Flag => refused("nothing decides about standards in advance or by time"),
        }
    }

    async fn reject(
        &self,
        caller: &Caller,
        channel: Channel,
        decide: &Decide,
        proposal: Proposal,
    ) -> Result<Proposal, Error> {
        let expected = proposal.digest;
        let decision = self.decision(caller, channel, decide, expected);
        let proposal = Proposal {
            status: ProposalStatus::Rejected,
            updated_at: decision.at,
            decision: Some(decision),
            ..proposal
        };
        self.store_decision(proposal, expected, None, "standard.reject").await
    }

    async fn approve(
        &self,
        caller: &Caller,
        channel: Channel,
        decide: &Decide,
        (project, proposal, draft): (&Project, Proposal, Draft),
    ) -> Result<Proposal, Error> {
        self.check_age(&proposal)?;
        refuse_secrets(&draft)?;
        if !project.directory.holds(&proposal.file) {
            let message = format!("{} does not lie in {}", proposal.file, project.directory.below());
            return Err(Error::refused(message)
                .hint(format!("decide in the project itself: cd {}", proposal.directory))
                .hint("if standards.directory was changed since, reject the proposal and have it proposed again"));
        }
        let current = project.read(&proposal.file).await?;
        if proposal.base != current.as_deref().map(Digest::of) {
            let proposal = self.on_current(proposal, current.as_deref()).await?;
            return Err(changed(&proposal, &format!("{} was changed meanwhile", proposal.file)));
        }
        let expected = proposal.digest;
        let approved = if draft == draft_of(&proposal) {
            proposal
        } else {
            revised(&proposal, &draft, proposal.base, self.clock.now())
        };
        let decision = self.decision(caller, channel, decide, approved.digest);
        let output = output(&approved, current.as_deref(), &caller.actor, decision.at);
        let approved = Proposal {
            status: ProposalStatus::Approved,
            updated_at: decision.at,
            decision: Some(decision),
            ..approved
        };
        let approved = self.store_decision(approved, expected, Some(output.clone()), "standard.approve").await?;
        let unwritten = Unwritten { proposal: approved.clone(), output };
        self.finish_approval(project, unwritten).await.map_err(|error| {
            let message = format!("{} is approved, but its file is not written yet: {error}", approved.id);
            Error { message, ..error }.hint("it is written as soon as it can be: masque standard list")
        })?;
        self.index_standards(project).await?;
        self.proposal(approved.id).await
    }

    fn decision(&self, caller: &Caller, channel: Channel, decide: &Decide, digest: Digest) -> Decision {
        let at = self.clock.now();
        let feedback = decide.feedback.clone().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        Decision { digest, by: caller.actor.clone(), channel, at, feedback }
    }

    async fn store_decision(
        &self,
        proposal: Proposal,
        expected: Digest,
        output: Option<String>,
        action: &str,
    ) -> Result<Proposal, Error> {
        let Some(decision) = &proposal.decision else { return Ok(proposal) };
        let mut entry = self.proposal_entry(&decision.by, action, &proposal, decision.at);
        if let Some(detail) = entry.detail.as_object_mut() {
            detail.insert("channel".to_owned(), decision.channel.name().into());
        }
        let decided = DecideProposal { proposal: proposal.clone(), expected, output, audit: entry };
        if self.store.decide_proposal(decided).await? {
            return Ok(proposal);
        }
        let now = self.proposal(proposal.id).await?;
        check_open(&now)?;
        Err(changed(&now, "it was revised at the same time"))
    }

    /// An old draft was written for another project than the one of today.
    fn check_age(&self, proposal: &Proposal) -> Result<(), Error> {
        let Some(ttl) = self.settings.duration("standards.ttl") else { return Ok(()) };
        if self.clock.now().since(proposal.created_at) <= ttl {
            return Ok(());
        }
        let message = format!("{} was proposed more than {} days ago", proposal.id, ttl.as_secs() / 86_400);
        Err(Error::refused(message).hint("reject it, and have it proposed again; standards.ttl says how long it waits"))
    }

    /// Writes what was approved and is not known to be written. A failure is told and keeps nobody from reading.
    pub(super) async fn finish_approvals(&self, project: &Project) -> Result<(), Error> {
        for unwritten in self.store.unwritten_proposals(&project.id).await? {
            let id = unwritten.proposal.id;
            if let Err(error) = self.finish_approval(project, unwritten).await {
                tracing::warn!(%id, %error, "an approved standard cannot be written");
            }
        }
        Ok(())
    }

    async fn finish_approval(&self, project: &Project, unwritten: Unwritten) -> Result<(), Error> {
        let Unwritten { proposal, output } = unwritten;
        let (directory, file, base) = (project.directory.clone(), proposal.file.clone(), proposal.base);
        fs_err::create_dir_all(&self.host.home)?;
        let lock = self.host.home.join("standards.lock");
        let replaced = off_thread(move || Ok(directory.replace(&file, base.as_ref(), &output, &lock)?)).await?;
        if replaced != Replaced::Changed {
            return Ok(self.store.proposal_written(proposal.id).await?);
        }
        // Written by another process meanwhile, or changed by somebody: only the second makes the approval void.
        let entry = self.proposal_entry(&Actor::System, "standard.void", &proposal, self.clock.now());
        if self.store.void_approval(proposal.id, self.clock.now(), entry).await? {
            let message = format!("{} was changed before it could be written: the approval is void", proposal.file);
            return Err(Error::refused(message).hint(format!("look at it again: masque standard diff {}", proposal.id)));
        }
        Ok(())
    }
}

fn changed(proposal: &Proposal, why: &str) -> Error {
    Error::refused(format!("nothing is decided about {}: {why}", proposal.id))
        .hint(format!("look at it as it is now: masque standard diff {}", proposal.id))
}

fn check_feedback(decide: &Decide) -> Result<(), Error> {
    let Some(feedback) = &decide.feedback else { return Ok(()) };
    if feedback.len() > LONGEST_FEEDBACK {
        return Err(Error::usage(format!(
            "the feedback has {} bytes, at most {LONGEST_FEEDBACK} are kept",
            feedback.len()
        )));
    }
    match secrets::scan(feedback).first() {
        Some(leak) => Err(Error::refused(format!("the feedback holds a secret ({}): models read it", leak.kind))),
        None => Ok(()),
    }
}

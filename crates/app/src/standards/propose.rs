//! Proposing a standard, and looking at a proposal before deciding. Nothing is written to the project here.

use masque_memory::standards::{self, Draft, StandardFile, secrets};
use masque_store::ProposalQuery;
use masque_types::{
    actor::{Actor, Caller},
    digest::Digest,
    id::ProposalId,
    standard::{Proposal, ProposalStatus, StandardKey},
    time::Timestamp,
};
use serde_json::json;

use super::{
    project::{Loading, Project, day},
    view::{ProposalFilter, Propose, Review},
};
use crate::{App, Error, audit, clock};

/// Proposals of one project that may wait for a person at a time.
const MOST_OPEN: usize = 500;

impl App {
    /// Proposes a standard, or revises a proposal. Nothing is written to the project: a person decides.
    ///
    /// # Errors
    /// When a name or the text is not accepted, the text holds a secret, or the proposal that it revises is decided,
    /// gone, or somebody else's.
    pub async fn propose_standard(&self, caller: &Caller, propose: Propose) -> Result<Review, Error> {
        let project = self.standards_project(&propose.project)?;
        self.finish_approvals(&project).await?;
        let key = standards::key(&propose.domain, &propose.topic).map_err(|error| Error::usage(error.to_string()))?;
        let draft = Draft::new(&propose.title, &propose.tags, &propose.content).map_err(Error::usage)?;
        refuse_secrets(&draft)?;
        let loading = self.load(&project).await?;
        let proposal = match propose.revises {
            Some(id) => self.revise(caller, &project, &loading, id, &key, &draft).await?,
            None => self.propose_new(caller, &project, &loading, &propose, &key, &draft).await?,
        };
        self.review_of(&project, &loading, proposal).await
    }

    async fn propose_new(
        &self,
        caller: &Caller,
        project: &Project,
        loading: &Loading,
        propose: &Propose,
        key: &StandardKey,
        draft: &Draft,
    ) -> Result<Proposal, Error> {
        let file = loading.find(key).map_or_else(|| project.directory.file_of(key), |found| found.found.file.clone());
        let base = self.base_of(project, &file, draft).await?;
        let id = match &propose.key {
            Some(key) => {
                ProposalId::derive(&Digest::of_parts([b"proposal".as_slice(), project.id.as_bytes(), key.as_bytes()]))
            }
            None => clock::new_proposal_id(),
        };
        if let Some(known) = self.store.proposal(id).await? {
            return Ok(known);
        }
        self.refuse_flood(project).await?;
        let now = self.clock.now();
        let proposal = Proposal {
            id,
            project: project.id.clone(),
            directory: project.directory.project().display().to_string(),
            digest: standards::digest(&project.id, &file, key, draft, base.as_ref()),
            file,
            standard: key.clone(),
            title: draft.title.clone(),
            tags: draft.tags.clone(),
            content: draft.content.clone(),
            base,
            revision: 1,
            proposed_by: caller.actor.clone(),
            run: propose.run,
            status: ProposalStatus::Draft,
            created_at: now,
            updated_at: now,
            decision: None,
        };
        let entry = self.proposal_entry(&caller.actor, "standard.propose", &proposal, now);
        if !self.store.propose(&proposal, entry).await? {
            return self.proposal(id).await;
        }
        Ok(proposal)
    }

    /// The digest of the file that would be changed.
    async fn base_of(&self, project: &Project, file: &str, draft: &Draft) -> Result<Option<Digest>, Error> {
        let Some(text) = project.read(file).await? else { return Ok(None) };
        let key = standards::key("a", "a").map_err(|error| Error::usage(error.to_string()))?;
        let (now, _) = standards::read(file, &key, &text);
        if now.content.trim() == draft.content && now.title == draft.title && now.tags == draft.tags {
            return Err(Error::usage(format!("{file} says exactly this already")));
        }
        Ok(Some(Digest::of(text)))
    }

    async fn refuse_flood(&self, project: &Project) -> Result<(), Error> {
        let query = ProposalQuery {
            project: Some(project.id.clone()),
            status: Some(ProposalStatus::Draft),
            run: None,
            limit: MOST_OPEN,
        };
        if self.store.proposals(&query).await?.len() < MOST_OPEN {
            return Ok(());
        }
        Err(Error::refused(format!("{MOST_OPEN} proposals of this project wait for a person already"))
            .hint("decide about some: masque standard proposals"))
    }

    async fn revise(
        &self,
        caller: &Caller,
        project: &Project,
        loading: &Loading,
        id: ProposalId,
        key: &StandardKey,
        draft: &Draft,
    ) -> Result<Proposal, Error> {
        let old = self.proposal(id).await?;
        if old.proposed_by != caller.actor || old.project != project.id {
            return Err(Error::refused(format!("{id} was proposed by {}, who alone may revise it", old.proposed_by)));
        }
        check_open(&old)?;
        if old.standard != *key {
            let message = format!("{id} is for {}, not for {key}", old.standard);
            return Err(Error::usage(message).hint("propose the other standard by itself"));
        }
        let file = loading.find(key).map_or_else(|| old.file.clone(), |found| found.found.file.clone());
        let base = self.base_of(project, &file, draft).await?;
        // The file of a proposal never changes: a decision names it.
        let base = if file == old.file { base } else { old.base };
        self.next_revision(&caller.actor, &old, draft, base).await
    }

    /// Stores the next revision of a draft.
    pub(super) async fn next_revision(
        &self,
        by: &Actor,
        old: &Proposal,
        draft: &Draft,
        base: Option<Digest>,
    ) -> Result<Proposal, Error> {
        let next = revised(old, draft, base, self.clock.now());
        let entry = self.proposal_entry(by, "standard.revise", &next, next.updated_at);
        if self.store.revise_proposal(&next, by, entry).await? {
            return Ok(next);
        }
        let now = self.proposal(old.id).await?;
        check_open(&now)?;
        Ok(now)
    }

    /// Proposals, newest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn proposals(&self, filter: &ProposalFilter) -> Result<Vec<Proposal>, Error> {
        let project = match &filter.project {
            Some(directory) => {
                let project = self.standards_project(directory)?;
                self.finish_approvals(&project).await?;
                Some(project.id)
            }
            None => None,
        };
        let query = ProposalQuery { project, status: filter.status, run: filter.run, limit: filter.limit };
        Ok(self.store.proposals(&query).await?)
    }

    /// The proposal with that id or unique beginning of an id.
    ///
    /// # Errors
    /// When there is none, or more than one.
    pub async fn find_proposal(&self, id: &str) -> Result<Proposal, Error> {
        let id = match id.parse::<ProposalId>() {
            Ok(id) => id,
            Err(_) => crate::runs::only_match("proposal", id, &self.store.find_proposals(id).await?)?,
        };
        self.proposal(id).await
    }

    pub(super) async fn proposal(&self, id: ProposalId) -> Result<Proposal, Error> {
        self.store.proposal(id).await?.ok_or_else(|| {
            Error::usage(format!("there is no proposal {id}"))
                .hint("`masque standard proposals --all` shows what there is")
        })
    }

    /// A proposal with its diff and what to look at. When the file that it changes was changed meanwhile, the proposal
    /// gets a new revision for the file as it is now, and with it a new digest.
    ///
    /// # Errors
    /// When there is no such proposal, or its project cannot be read.
    pub async fn review_proposal(&self, id: ProposalId) -> Result<Review, Error> {
        let proposal = self.proposal(id).await?;
        let project = self.standards_project(proposal.directory.as_ref())?;
        self.finish_approvals(&project).await?;
        let proposal = self.proposal(id).await?;
        let loading = self.load(&project).await?;
        self.review_of(&project, &loading, proposal).await
    }

    async fn review_of(&self, project: &Project, loading: &Loading, proposal: Proposal) -> Result<Review, Error> {
        let current = project.read(&proposal.file).await?;
        let proposal = self.on_current(proposal, current.as_deref()).await?;
        let reader = Actor::User(self.host.user.clone());
        let output = output(&proposal, current.as_deref(), &reader, self.clock.now());
        let before = if proposal.status == ProposalStatus::Draft { current.as_deref() } else { None };
        let existing = loading.existing();
        Ok(Review {
            diff: standards::diff(&proposal.file, before, &output),
            findings: standards::review(&proposal.standard, &proposal.title, &proposal.content, &existing),
            decide_with: format!("masque standard approve {}", proposal.id),
            proposal,
        })
    }

    /// A draft on the file as it is now: a new revision when the file was changed since.
    pub(super) async fn on_current(&self, proposal: Proposal, current: Option<&str>) -> Result<Proposal, Error> {
        let base = current.map(Digest::of);
        if proposal.status != ProposalStatus::Draft || proposal.base == base {
            return Ok(proposal);
        }
        let draft = draft_of(&proposal);
        self.next_revision(&Actor::System, &proposal, &draft, base).await
    }

    pub(super) fn proposal_entry(
        &self,
        actor: &Actor,
        action: &str,
        proposal: &Proposal,
        at: Timestamp,
    ) -> masque_store::NewAudit {
        let detail = json!({
            "standard": proposal.standard.to_string(), "file": proposal.file, "project": proposal.directory,
            "revision": proposal.revision, "digest": proposal.digest, "base": proposal.base,
        });
        audit::entry(at, actor, action, proposal.run, proposal.id, detail)
    }
}

/// The parts of a proposal that a person writes.
pub(super) fn draft_of(proposal: &Proposal) -> Draft {
    Draft { title: proposal.title.clone(), tags: proposal.tags.clone(), content: proposal.content.clone() }
}

/// The next revision of a proposal.
pub(super) fn revised(old: &Proposal, draft: &Draft, base: Option<Digest>, at: Timestamp) -> Proposal {
    Proposal {
        title: draft.title.clone(),
        tags: draft.tags.clone(),
        content: draft.content.clone(),
        digest: standards::digest(&old.project, &old.file, &old.standard, draft, base.as_ref()),
        base,
        revision: old.revision.saturating_add(1),
        updated_at: at,
        ..old.clone()
    }
}

/// The file that an approval by this person writes.
pub(super) fn output(proposal: &Proposal, current: Option<&str>, by: &Actor, at: Timestamp) -> String {
    let known = current.map(|text| standards::read(&proposal.file, &proposal.standard, text).0);
    let created = known.and_then(|known| Some((known.created_by?, known.created_at?)));
    let (created_by, created_at) =
        created.unwrap_or_else(|| (proposal.proposed_by.to_string(), day(proposal.created_at)));
    standards::write(&StandardFile {
        key: proposal.standard.clone(),
        title: proposal.title.clone(),
        tags: proposal.tags.clone(),
        created_by: Some(created_by),
        approved_by: Some(by.to_string()),
        created_at: Some(created_at),
        updated_at: Some(day(at)),
        content: proposal.content.clone(),
        content_line: 1,
    })
}

pub(super) fn check_open(proposal: &Proposal) -> Result<(), Error> {
    let id = proposal.id;
    match (proposal.status, &proposal.decision) {
        (ProposalStatus::Draft, _) => Ok(()),
        (ProposalStatus::Superseded, _) => {
            Err(Error::refused(format!("a later proposal for {} took the place of {id}", proposal.standard))
                .hint("`masque standard proposals` shows it"))
        }
        (status, Some(decision)) => {
            Err(Error::refused(format!("{id} was {} by {} before", status.name(), decision.by)))
        }
        (status, None) => Err(Error::refused(format!("{id} is {}", status.name()))),
    }
}

/// Keys have no place in a file that everybody reads; the message names lines and what to write instead.
pub(super) fn refuse_secrets(draft: &Draft) -> Result<(), Error> {
    let beside = format!("{}\n{}", draft.title, draft.tags.join(" "));
    if let Some(leak) = secrets::scan(&beside).first() {
        let message = format!("the title or a tag holds a secret ({}): a standard never does", leak.kind);
        return Err(Error::refused(message).hint(format!("write {} instead", leak.placeholder)));
    }
    let leaks = secrets::scan(&draft.content);
    if leaks.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = leaks.iter().map(|leak| format!("line {} ({})", leak.line, leak.kind)).collect();
    let mut error = Error::refused(format!("the text holds a secret: {}", lines.join(", ")));
    for leak in leaks.iter().take(3) {
        error = error.hint(format!("in line {} write {} and say where it is kept", leak.line, leak.placeholder));
    }
    Err(error)
}

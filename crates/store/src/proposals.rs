//! Proposals for standards, their revisions and decisions, and how often standards are asked for.
//!
//! A decision is a conditional update: of two that come at once, one changes the row. Leaves out who may decide, what a
//! digest covers, and the files.

use masque_types::{
    actor::Actor,
    digest::Digest,
    id::{ProposalId, RunId},
    standard::{Decision, Proposal, ProposalStatus, StandardKey},
    time::Timestamp,
};

use crate::{
    Error, Store,
    audit::{self, StoredAudit},
    journal::to_json,
    record::NewAudit,
    runs::id_range,
    session::Session,
    store::mixed_up,
    value::{Row, without_nul},
    write::{Outcome, Write},
};

/// Which proposals to list, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProposalQuery {
    /// Only those of this project.
    pub project: Option<String>,
    /// Only those that stand there.
    pub status: Option<ProposalStatus>,
    /// Only those of this run.
    pub run: Option<RunId>,
    /// At most so many.
    pub limit: usize,
}

impl Default for ProposalQuery {
    fn default() -> Self {
        Self { project: None, status: None, run: None, limit: 100 }
    }
}

/// A decision that is to be made durable, if the proposal is still the one that was decided on.
#[derive(Debug, Clone)]
pub struct DecideProposal {
    /// The proposal as it is afterwards: its status, decision, digest and, when it was approved with changes, its new
    /// revision.
    pub proposal: Proposal,
    /// The digest that it must have now.
    pub expected: Digest,
    /// The whole file that an approval writes.
    pub output: Option<String>,
    /// What is written to the audit log in the same transaction.
    pub audit: NewAudit,
}

/// A file that a person approved and that is not known to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unwritten {
    /// The approved proposal.
    pub proposal: Proposal,
    /// The whole file.
    pub output: String,
}

/// How often a standard was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StandardUses {
    /// Which.
    pub standard: StandardKey,
    /// How many searches it answered.
    pub queries: u64,
    /// When it last answered one.
    pub last_used_at: Timestamp,
}

impl Store {
    /// Stores a new proposal. Drafts for the same standard of the project are superseded. False when a proposal of that
    /// id exists: nothing is changed then.
    ///
    /// # Errors
    /// When nothing can be written.
    pub async fn propose(&self, proposal: &Proposal, audit: NewAudit) -> Result<bool, Error> {
        self.change_proposals(Change::Propose(
            Box::new(StoredProposal::prepare(proposal)?),
            StoredAudit::prepare(&audit),
        ))
        .await
    }

    /// Stores the next revision of a draft. False when it is none, or was revised by somebody else: nothing is changed
    /// then.
    ///
    /// # Errors
    /// When nothing can be written.
    pub async fn revise_proposal(&self, proposal: &Proposal, by: &Actor, audit: NewAudit) -> Result<bool, Error> {
        let stored = StoredProposal { revised_by: plain(&by.to_string()), ..StoredProposal::prepare(proposal)? };
        self.change_proposals(Change::Revise(Box::new(stored), StoredAudit::prepare(&audit))).await
    }

    /// Stores a decision. False when the proposal is no draft any more or another one than was decided on: nothing is
    /// changed then.
    ///
    /// # Errors
    /// When nothing can be written.
    pub async fn decide_proposal(&self, decided: DecideProposal) -> Result<bool, Error> {
        let by = decided.proposal.decision.as_ref().map(|decision| decision.by.to_string()).unwrap_or_default();
        let stored = StoredProposal { revised_by: plain(&by), ..StoredProposal::prepare(&decided.proposal)? };
        let change = Change::Decide {
            stored: Box::new(stored),
            expected: decided.expected,
            output: decided.output,
            audit: StoredAudit::prepare(&decided.audit),
        };
        self.change_proposals(change).await
    }

    /// Notes that an approved file stands in its place.
    ///
    /// # Errors
    /// When nothing can be written.
    pub async fn proposal_written(&self, id: ProposalId) -> Result<(), Error> {
        self.change_proposals(Change::Written(id)).await.map(|_changed| ())
    }

    /// Makes an approved proposal, whose file was not written, a draft again: its approval is void. False when it was
    /// written, or is none.
    ///
    /// # Errors
    /// When nothing can be written.
    pub async fn void_approval(&self, id: ProposalId, at: Timestamp, audit: NewAudit) -> Result<bool, Error> {
        self.change_proposals(Change::Void(id, at, StoredAudit::prepare(&audit))).await
    }

    /// Counts a search for each of the standards that answered it.
    ///
    /// # Errors
    /// When nothing can be written.
    pub async fn count_standard_uses(
        &self,
        project: &str,
        standards: &[StandardKey],
        at: Timestamp,
    ) -> Result<(), Error> {
        if standards.is_empty() {
            return Ok(());
        }
        // In one order everywhere, so that two writers never wait for each other's rows.
        let mut standards = standards.to_vec();
        standards.sort();
        standards.dedup();
        self.change_proposals(Change::Count(plain(project), standards, at)).await.map(|_changed| ())
    }

    async fn change_proposals(&self, change: Change) -> Result<bool, Error> {
        match self.write(Write::Proposals(Box::new(change))).await? {
            Outcome::Changed(changed) => Ok(changed),
            _ => Err(mixed_up()),
        }
    }

    /// Lists proposals, newest first.
    ///
    /// # Errors
    /// When nothing can be read.
    pub async fn proposals(&self, query: &ProposalQuery) -> Result<Vec<Proposal>, Error> {
        let params = vec![
            query.project.clone().into(),
            query.status.map(ProposalStatus::name).into(),
            query.run.map(|run| run.to_string()).into(),
            query.limit.into(),
        ];
        self.reader().query(LIST, params).await?.iter_mut().map(read).collect()
    }

    /// One proposal, if it exists.
    ///
    /// # Errors
    /// When nothing can be read.
    pub async fn proposal(&self, id: ProposalId) -> Result<Option<Proposal>, Error> {
        let mut rows = self.reader().query(ONE, vec![id.to_string().into()]).await?;
        rows.first_mut().map(read).transpose()
    }

    /// The proposals whose printed id begins so, at most 10; `prp_` may be left out.
    ///
    /// # Errors
    /// When nothing can be read.
    pub async fn find_proposals(&self, prefix: &str) -> Result<Vec<ProposalId>, Error> {
        let Some(params) = id_range(ProposalId::PREFIX, prefix) else { return Ok(Vec::new()) };
        self.reader().query(FIND, params).await?.into_iter().map(|mut row| row.parsed()).collect()
    }

    /// Approvals of a project whose files are not known to be written, oldest first.
    ///
    /// # Errors
    /// When nothing can be read.
    pub async fn unwritten_proposals(&self, project: &str) -> Result<Vec<Unwritten>, Error> {
        let mut rows = self.reader().query(UNWRITTEN, vec![plain(project).into()]).await?;
        rows.iter_mut().map(|row| Ok(Unwritten { proposal: read(row)?, output: row.text()? })).collect()
    }

    /// The files of a project, with the digest of each content that was ever approved for them.
    ///
    /// # Errors
    /// When nothing can be read.
    pub async fn approved_files(&self, project: &str) -> Result<Vec<(String, Digest)>, Error> {
        let rows = self.reader().query(APPROVED, vec![plain(project).into()]).await?;
        rows.into_iter().map(|mut row| Ok((row.text()?, row.digest()?))).collect()
    }

    /// How often the standards of a project were asked for, those that were.
    ///
    /// # Errors
    /// When nothing can be read.
    pub async fn standard_uses(&self, project: &str) -> Result<Vec<StandardUses>, Error> {
        let rows = self.reader().query(USES, vec![plain(project).into()]).await?;
        let read = |mut row: Row| {
            let standard = StandardKey { domain: row.text()?, topic: row.text()? };
            Ok(StandardUses { standard, queries: row.count()?, last_used_at: row.time()? })
        };
        rows.into_iter().map(read).collect()
    }
}

/// One change of these tables.
#[derive(Debug)]
pub(crate) enum Change {
    Propose(Box<StoredProposal>, StoredAudit),
    Revise(Box<StoredProposal>, StoredAudit),
    Decide { stored: Box<StoredProposal>, expected: Digest, output: Option<String>, audit: StoredAudit },
    Written(ProposalId),
    Void(ProposalId, Timestamp, StoredAudit),
    Count(String, Vec<StandardKey>, Timestamp),
}

/// A proposal as its columns hold it.
#[derive(Debug)]
pub(crate) struct StoredProposal {
    id: String,
    project: String,
    directory: String,
    file: String,
    standard: StandardKey,
    title: String,
    tags: String,
    content: String,
    digest: Digest,
    base: Option<Digest>,
    revision: u32,
    proposed_by: String,
    revised_by: String,
    run: Option<String>,
    status: ProposalStatus,
    created_at: Timestamp,
    updated_at: Timestamp,
    decision: Option<String>,
}

impl StoredProposal {
    fn prepare(proposal: &Proposal) -> Result<Self, Error> {
        let by = plain(&proposal.proposed_by.to_string());
        Ok(Self {
            id: proposal.id.to_string(),
            project: plain(&proposal.project),
            directory: plain(&proposal.directory),
            file: plain(&proposal.file),
            standard: proposal.standard.clone(),
            title: plain(&proposal.title),
            tags: to_json("the tags of a proposal", &proposal.tags)?,
            content: plain(&proposal.content),
            digest: proposal.digest,
            base: proposal.base,
            revision: proposal.revision,
            revised_by: by.clone(),
            proposed_by: by,
            run: proposal.run.map(|run| run.to_string()),
            status: proposal.status,
            created_at: proposal.created_at,
            updated_at: proposal.updated_at,
            decision: proposal.decision.as_ref().map(|decision| to_json("a decision", decision)).transpose()?,
        })
    }

    async fn insert_revision<S: Session>(&self, session: &S) -> Result<(), Error> {
        let params = [
            self.id.as_str().into(),
            u64::from(self.revision).into(),
            self.title.as_str().into(),
            self.tags.as_str().into(),
            self.content.as_str().into(),
            (&self.digest).into(),
            self.base.as_ref().into(),
            self.revised_by.as_str().into(),
            self.updated_at.into(),
        ];
        session.execute(INSERT_REVISION, &params).await.map(|_changed| ())
    }
}

const INSERT: &str = "INSERT INTO proposals (id, project, directory, file, domain, topic, revision, digest, proposed_by, \
     run, status, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) \
     ON CONFLICT (id) DO NOTHING";
const INSERT_REVISION: &str = "INSERT INTO proposal_revisions (id, revision, title, tags, content, digest, base, \
     revised_by, at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (id, revision) DO NOTHING";
const SUPERSEDE: &str = "UPDATE proposals SET status = 'superseded', updated_at = $5 \
     WHERE project = $1 AND domain = $2 AND topic = $3 AND id <> $4 AND status = 'draft'";
const REVISE: &str = "UPDATE proposals SET revision = $2, digest = $3, updated_at = $4 \
     WHERE id = $1 AND status = 'draft' AND revision + 1 = $2";
const DECIDE: &str = "UPDATE proposals SET status = $3, revision = $4, digest = $5, updated_at = $6, decision = $7, \
     output = $8, output_digest = $9 WHERE id = $1 AND digest = $2 AND status = 'draft'";
const WRITTEN: &str = "UPDATE proposals SET written = true WHERE id = $1 AND status = 'approved' AND NOT written";
const VOID: &str = "UPDATE proposals SET status = 'draft', decision = NULL, output = NULL, output_digest = NULL, \
     updated_at = $2 WHERE id = $1 AND status = 'approved' AND NOT written";
const COUNT: &str = "INSERT INTO standard_uses (project, domain, topic, queries, last_used_at) VALUES ($1, $2, $3, 1, $4) \
     ON CONFLICT (project, domain, topic) DO UPDATE SET queries = standard_uses.queries + 1, last_used_at = $4";
const USES: &str = "SELECT domain, topic, queries, last_used_at FROM standard_uses WHERE project = $1 \
     ORDER BY queries DESC, domain, topic";
const FIND: &str = "SELECT id FROM proposals WHERE id >= $1 AND id < $2 ORDER BY id LIMIT $3";
const APPROVED: &str = "SELECT file, output_digest FROM proposals WHERE project = $1 AND status = 'approved' \
     AND output_digest IS NOT NULL";

macro_rules! select_proposals {
    ($more:literal, $($rest:literal)*) => {
        concat!(
            "SELECT proposals.id, project, directory, file, domain, topic, proposals.revision, proposals.digest, ",
            "proposed_by, run, status, created_at, updated_at, decision, title, tags, content, base", $more,
            " FROM proposals JOIN proposal_revisions ON proposal_revisions.id = proposals.id ",
            "AND proposal_revisions.revision = proposals.revision ",
            $($rest),*
        )
    };
}

const ONE: &str = select_proposals!("", "WHERE proposals.id = $1");
const LIST: &str = select_proposals!("",
    "WHERE (CAST($1 AS TEXT) IS NULL OR project = $1) AND (CAST($2 AS TEXT) IS NULL OR status = $2) "
    "AND (CAST($3 AS TEXT) IS NULL OR run = $3) ORDER BY created_at DESC, proposals.id DESC LIMIT $4"
);
const UNWRITTEN: &str = select_proposals!(
    ", output",
    "WHERE project = $1 AND status = 'approved' AND NOT written AND output IS NOT NULL ORDER BY updated_at, proposals.id"
);

/// Makes a change. False when the condition under which it was wanted does not hold.
pub(crate) async fn apply<S: Session>(session: &S, change: &Change) -> Result<bool, Error> {
    match change {
        Change::Propose(stored, audit) => propose(session, stored, audit).await,
        Change::Revise(stored, audit) => revise(session, stored, audit).await,
        Change::Decide { stored, expected, output, audit } => {
            decide(session, stored, expected, output.as_deref(), audit).await
        }
        Change::Written(id) => Ok(session.execute(WRITTEN, &[id.to_string().into()]).await? > 0),
        Change::Void(id, at, audit) => {
            let changed = session.execute(VOID, &[id.to_string().into(), (*at).into()]).await?;
            audited(session, changed, audit).await
        }
        Change::Count(project, standards, at) => {
            for standard in standards {
                let params = [
                    project.as_str().into(),
                    standard.domain.as_str().into(),
                    standard.topic.as_str().into(),
                    (*at).into(),
                ];
                session.execute(COUNT, &params).await?;
            }
            Ok(true)
        }
    }
}

async fn audited<S: Session>(session: &S, changed: u64, entry: &StoredAudit) -> Result<bool, Error> {
    if changed == 0 {
        return Ok(false);
    }
    audit::append(session, std::slice::from_ref(entry)).await?;
    Ok(true)
}

async fn propose<S: Session>(session: &S, stored: &StoredProposal, audit: &StoredAudit) -> Result<bool, Error> {
    let params = [
        stored.id.as_str().into(),
        stored.project.as_str().into(),
        stored.directory.as_str().into(),
        stored.file.as_str().into(),
        stored.standard.domain.as_str().into(),
        stored.standard.topic.as_str().into(),
        u64::from(stored.revision).into(),
        (&stored.digest).into(),
        stored.proposed_by.as_str().into(),
        stored.run.as_deref().into(),
        stored.status.name().into(),
        stored.created_at.into(),
        stored.updated_at.into(),
    ];
    if session.execute(INSERT, &params).await? == 0 {
        return Ok(false);
    }
    stored.insert_revision(session).await?;
    let others = [
        stored.project.as_str().into(),
        stored.standard.domain.as_str().into(),
        stored.standard.topic.as_str().into(),
        stored.id.as_str().into(),
        stored.updated_at.into(),
    ];
    session.execute(SUPERSEDE, &others).await?;
    audited(session, 1, audit).await
}

async fn revise<S: Session>(session: &S, stored: &StoredProposal, audit: &StoredAudit) -> Result<bool, Error> {
    let params = [
        stored.id.as_str().into(),
        u64::from(stored.revision).into(),
        (&stored.digest).into(),
        stored.updated_at.into(),
    ];
    let changed = session.execute(REVISE, &params).await?;
    if changed > 0 {
        stored.insert_revision(session).await?;
    }
    audited(session, changed, audit).await
}

async fn decide<S: Session>(
    session: &S,
    stored: &StoredProposal,
    expected: &Digest,
    output: Option<&str>,
    audit: &StoredAudit,
) -> Result<bool, Error> {
    let digest = output.map(Digest::of);
    let params = [
        stored.id.as_str().into(),
        expected.into(),
        stored.status.name().into(),
        u64::from(stored.revision).into(),
        (&stored.digest).into(),
        stored.updated_at.into(),
        stored.decision.as_deref().into(),
        output.into(),
        digest.as_ref().into(),
    ];
    let changed = session.execute(DECIDE, &params).await?;
    if changed > 0 {
        // The revision that was decided on is there already; one that was approved with changes is new.
        stored.insert_revision(session).await?;
    }
    audited(session, changed, audit).await
}

fn read(row: &mut Row) -> Result<Proposal, Error> {
    let id: ProposalId = row.parsed()?;
    let unreadable = |reason: String| Error::unreadable(format!("proposal {id}"), reason);
    let (project, directory, file) = (row.text()?, row.text()?, row.text()?);
    let standard = StandardKey { domain: row.text()?, topic: row.text()? };
    let revision = u32::try_from(row.count()?).unwrap_or(u32::MAX);
    let (digest, by, run) = (row.digest()?, row.text()?, row.optional_parsed()?);
    let (status, created_at, updated_at) = (row.text()?, row.time()?, row.time()?);
    let (decision, title, tags, content) = (row.optional_text()?, row.text()?, row.text()?, row.text()?);
    let base = row.optional_bytes()?.map(|bytes| Digest::from_bytes(&bytes));
    let decision = decision.map(|text| serde_json::from_str::<Decision>(&text)).transpose();
    Ok(Proposal {
        id,
        project,
        directory,
        file,
        standard,
        title,
        tags: serde_json::from_str(&tags).map_err(|error| unreadable(error.to_string()))?,
        content,
        digest,
        base: base.map(|base| base.ok_or_else(|| unreadable("its base has not 32 bytes".to_owned()))).transpose()?,
        revision,
        proposed_by: audit::read_actor(&by).ok_or_else(|| unreadable(format!("`{by}` is no actor")))?,
        run,
        status: ProposalStatus::from_name(&status).ok_or_else(|| unreadable(format!("`{status}` is no status")))?,
        created_at,
        updated_at,
        decision: decision.map_err(|error| unreadable(error.to_string()))?,
    })
}

fn plain(text: &str) -> String {
    without_nul(text).into_owned()
}

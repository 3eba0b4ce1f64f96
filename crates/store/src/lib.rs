//! All SQL of Masque: runs and their journals, leases, approvals, inboxes, large bodies and the audit log, on SQLite
//! in a file or on PostgreSQL, with the same statements on both.
//!
//! Writes go through one writer per store, which makes durable with one flush whatever is queued; an acknowledged
//! write is flushed. Leaves out what events mean, clocks and new ids: callers pass them in.

mod approval;
mod audit;
mod blob;
mod chores;
mod dialect;
mod error;
mod faults;
mod inbox;
mod jobs;
mod journal;
mod lease;
mod memory;
mod postgres_writer;
mod proposals;
mod record;
mod retention;
mod run_keys;
mod runs;
mod schema;
mod session;
mod sqlite_writer;
mod store;
mod tokens;
mod value;
mod watch;
mod write;

pub use error::Error;
pub use faults::{FaultPoint, Faults};
pub use jobs::{JobCounts, JobFilter, JobScope, NewJob, StoredJob};
pub use memory::{
    ChunkKey, DocumentFilter, ForgetFilter, Forgotten, ForgottenDocument, Hit, MemoryFilter, MemoryStats,
    NamespaceStats, NewChunk, NewDocument, Put, StoredChunk, StoredModel, TextQuery, Unembedded, VectorQuery,
    VectorSupport,
};
pub use proposals::{DecideProposal, ProposalQuery, StandardUses, Unwritten};
pub use record::{
    Append, ApprovalFilter, AuditBreak, AuditEntry, AuditReport, Claim, ClaimRequest, Lease, NewAudit, NewRun,
    RunFilter, RunHead, Sent,
};
pub use retention::{DeletedRuns, Expired, Family};
pub use store::Store;
pub use tokens::StoredToken;
pub use watch::Watch;

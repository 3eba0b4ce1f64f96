//! Use cases over the audit log.

pub use masque_store::{AuditEntry, AuditReport};

use masque_store::NewAudit;
use masque_types::{actor::Actor, id::RunId, time::Timestamp};
use serde_json::Value;

use crate::{App, Error};

/// What an actor did to a target, for the audit log.
pub(crate) fn entry(
    at: Timestamp,
    actor: &Actor,
    action: &str,
    run: Option<RunId>,
    target: impl ToString,
    detail: Value,
) -> NewAudit {
    NewAudit { at, actor: actor.clone(), action: action.to_owned(), run, target: target.to_string(), detail }
}

impl App {
    /// The newest entries of the audit log, oldest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn audit_tail(&self, limit: usize) -> Result<Vec<AuditEntry>, Error> {
        Ok(self.store.audit_tail(limit).await?)
    }

    /// Checks the whole chain of the audit log.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn audit_verify(&self) -> Result<AuditReport, Error> {
        Ok(self.store.audit_verify().await?)
    }
}

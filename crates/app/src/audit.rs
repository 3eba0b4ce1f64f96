//! Use cases over the audit log.

pub use masque_store::{AuditEntry, AuditReport};

use crate::{App, Error};

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

//! Telling metrics: what is asked of the runner by a monitoring system.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::{Runner, event::Event};
use crate::metrics::{Metrics, Snapshot, Source, Usage};

impl Runner {
    /// Begins to tell metrics where that is asked for. Where it cannot, services are not to suffer from it: all supervisors
    /// of a machine share the setting, and only one of them can have the port.
    pub(super) async fn tell_metrics(&mut self) {
        let Some(address) = &self.spec.metrics else { return };
        let (hear, fleet) = (self.hear.clone(), self.fleet.name.clone());
        // The link is closed when nobody else has it.
        let link = self.link.as_ref().map(Arc::downgrade);
        let source = Source::new(move || {
            let (hear, fleet, link) = (hear.clone(), fleet.clone(), link.clone());
            Box::pin(async move {
                let (reply, told) = oneshot::channel();
                hear.send(Event::Describe(reply)).ok()?;
                let host = told.await.ok()?;
                let peers = link.and_then(|link| link.upgrade()).map(|link| link.peers()).unwrap_or_default();
                Some(Snapshot { fleet, host, peers, own: Usage::of_this_process() })
            })
        });
        match Metrics::start(address, source).await {
            Ok(metrics) => self.metrics = Some(metrics),
            Err(error) => tracing::warn!("this supervisor tells no metrics: {error}; see `fleet.metrics`"),
        }
    }
}

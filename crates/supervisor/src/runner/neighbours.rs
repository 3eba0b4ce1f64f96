//! Other supervisors: what they tell becomes the machine's, what happens here is told to them.

use std::sync::Arc;

use masque_types::BoxFuture;
use tokio::sync::{mpsc, oneshot};

use super::{LinkParts, Runner, event::Event};
use crate::{
    Error,
    link::{Bound, LinkSpec, News, Rhythm, StatusSource},
    machine::Input,
};

/// News that may wait to be heard.
const NEWS: usize = 64;

impl Runner {
    /// Takes the addresses at which other supervisors reach this one, before anything runs that a failure would leave
    /// alone.
    pub(super) async fn bind_link(&mut self) -> Result<Option<Bound>, Error> {
        let Some(LinkParts { name, tcp, unix, peers }) = self.spec.link.clone() else { return Ok(None) };
        let (news, mut heard) = mpsc::channel(NEWS);
        let spec = LinkSpec {
            fleet: self.fleet.name.clone(),
            name,
            host: self.spec.host.clone(),
            tcp,
            unix,
            peers,
            rhythm: Rhythm::default(),
            states: self.states.subscribe(),
            status: self.source(),
            news,
        };
        let bound = Bound::bind(spec).await?;
        let hear = self.hear.clone();
        self.tasks.spawn(async move {
            while let Some(news) = heard.recv().await {
                if hear.send(Event::News(news)).is_err() {
                    return;
                }
            }
        });
        Ok(Some(bound))
    }

    /// Begins to speak with other supervisors. What runs here is known by now, so that nobody hears less than before.
    pub(super) fn connect(&mut self, bound: Option<Bound>) {
        self.link = bound.map(|bound| Arc::new(bound.start()));
    }

    /// Tells everything about the services here, when another supervisor asks.
    fn source(&self) -> StatusSource {
        let (hear, host) = (self.hear.clone(), self.spec.host.clone());
        StatusSource::new(move || {
            let (hear, host) = (hear.clone(), host.clone());
            Box::pin(async move {
                let (reply, told) = oneshot::channel();
                // At its end a supervisor tells nothing more.
                let _ = hear.send(Event::Describe(reply));
                told.await.unwrap_or_else(|_| super::status::nothing(host))
            }) as BoxFuture<'static, _>
        })
    }

    /// Takes what other supervisors told.
    pub(super) fn hear_news(&mut self, news: News) {
        match news {
            News::States(states) => {
                for (id, state) in states {
                    match state {
                        Some(state) => drop(self.elsewhere.insert(id.clone(), state)),
                        None => drop(self.elsewhere.remove(&id)),
                    }
                    self.tell(Input::Remote { id, state });
                }
            }
            News::Connected { peer } => tracing::info!("{peer} answers"),
            News::Lost { peer } => tracing::warn!("{peer} does not answer any more"),
            News::Trouble { from, why } => tracing::warn!("{from}: {why}"),
        }
    }

    /// Ends the link, and the telling of metrics about it.
    pub(super) async fn disconnect(&mut self) {
        if let Some(metrics) = self.metrics.take() {
            metrics.close().await;
        }
        if let Some(link) = self.link.take().and_then(Arc::into_inner) {
            link.close().await;
        }
    }
}

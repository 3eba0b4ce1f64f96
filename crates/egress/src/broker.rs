//! The broker as its owner sees it: start, the certificate, the numbers, close.

use std::{fmt, os::fd::OwnedFd, sync::Arc};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{BrokerSpec, Counters, Error, PacketPort, context::Context, port::TunPort, stack::Stack};

/// The way out of one sandbox.
pub struct Broker {
    stop: CancellationToken,
    tasks: JoinSet<()>,
    context: Arc<Context>,
}

impl Broker {
    /// Serves the programs behind a network device that is set up as [`crate::DEVICE`] says. Must be called inside of a
    /// Tokio runtime with I/O and time.
    ///
    /// # Errors
    /// When a secret's rule is wrong, no certificates can be issued, or the device cannot be used.
    pub fn start(tun: OwnedFd, spec: BrokerSpec) -> Result<Self, Error> {
        Self::start_on(TunPort::new(tun).map_err(Error::Device)?, spec)
    }

    /// Like [`Broker::start`], for packets that come from elsewhere.
    ///
    /// # Errors
    /// Like [`Broker::start`].
    pub fn start_on(port: impl PacketPort, spec: BrokerSpec) -> Result<Self, Error> {
        let context = Arc::new(Context::new(spec)?);
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(Stack::new(port, Arc::clone(&context)).run(stop.clone()));
        Ok(Self { stop, tasks, context })
    }

    /// The certificate of the authority that signs for bound hosts, as PEM. It is made for this broker, its key never
    /// leaves it, and both are gone with it. Programs must trust it: see [`crate::CERTIFICATE_VARIABLES`].
    #[must_use]
    pub fn root_certificate(&self) -> String {
        self.context.authority.certificate()
    }

    /// The numbers up to now.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.context.counting.read()
    }

    /// Breaks all connections and waits until nothing remains. Dropping a broker breaks them without waiting.
    pub async fn close(mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}

impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Broker").field("counters", &self.counters()).finish_non_exhaustive()
    }
}

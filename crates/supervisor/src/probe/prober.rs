//! [`Prober`]: checks one service by one probe, once or in its rhythm.

use std::{
    future::pending,
    sync::Arc,
    time::{Duration, Instant},
};

use masque_fleet::model::{Check, Command, Http, Probe};
use masque_sandbox::service::ServiceProcess;

use super::{Begin, Hooks, command, grpc, hooks::Source, http, listening, rhythm::Rhythm, tcp, zmq::Zmq};
use crate::{
    machine::{Outcome, Which},
    process::Surroundings,
};

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// Whether it was good.
    pub outcome: Outcome,
    /// How long it took; nothing when the service said it itself.
    pub took: Duration,
}

/// How a service is asked.
#[derive(Debug)]
enum Question {
    Exec(Command),
    Tcp(String),
    Http(Http),
    Grpc {
        address: String,
        service: String,
    },
    Zmq(Zmq),
    /// It says so itself.
    Said(Option<Source>),
}

/// One probe of one start of a service. It knows nothing of earlier starts.
#[derive(Debug)]
pub struct Prober {
    probe: Probe,
    question: Question,
    surroundings: Arc<Surroundings>,
}

impl Prober {
    /// The probe of a service. What the service says itself comes through the hooks of its start. What it says on its
    /// notify socket comes from [`Hooks::take_notices`] alone.
    #[must_use]
    pub fn new(probe: &Probe, which: Which, hooks: &mut Hooks, surroundings: Arc<Surroundings>) -> Self {
        let question = match &probe.check {
            Check::Exec(command) => Question::Exec(command.clone()),
            Check::Tcp(address) => Question::Tcp(address.clone()),
            Check::Http(http) => Question::Http(http.clone()),
            Check::Grpc { address, service } => Question::Grpc { address: address.clone(), service: service.clone() },
            Check::Zmq { address, request, expect } => Question::Zmq(Zmq::new(address, request, expect)),
            Check::Notify | Check::Descriptor | Check::File(_) | Check::Log(_) => {
                Question::Said(hooks.take_source(which))
            }
        };
        Self { probe: probe.clone(), question, surroundings }
    }

    /// The port that is asked.
    fn port(&self) -> Option<u16> {
        let address = match &self.question {
            Question::Tcp(address) | Question::Grpc { address, .. } => address,
            Question::Http(request) => &request.address,
            Question::Zmq(zmq) => zmq.address(),
            Question::Exec(_) | Question::Said(_) => return None,
        };
        address.rsplit_once(':')?.1.parse().ok()
    }

    /// Asks once; none when the service can only say it itself.
    pub async fn check_once(&mut self) -> Option<Checked> {
        let (begun, timeout) = (Instant::now(), self.probe.timeout);
        let asked = async {
            Some(match &mut self.question {
                // It ends its command itself.
                Question::Exec(words) => command::check(words, &self.surroundings, timeout).await,
                Question::Tcp(address) => within(timeout, tcp::check(address)).await,
                Question::Http(request) => within(timeout, http::check(request)).await,
                Question::Grpc { address, service } => within(timeout, grpc::check(address, service)).await,
                Question::Zmq(zmq) => within(timeout, zmq.check()).await,
                Question::Said(_) => return None,
            })
        };
        let outcome = Box::pin(asked).await?;
        Some(Checked { outcome, took: begun.elapsed() })
    }

    /// Checks in the probe's rhythm and tells each result, for ever; dropping the future ends that, and what is being
    /// asked. A check never begins before the one before it has ended.
    pub async fn watch(mut self, begin: Begin, process: Arc<ServiceProcess>, mut tell: impl FnMut(Checked) + Send) {
        if let Question::Said(source) = self.question {
            return listen(source, &process, tell).await;
        }
        let mut rhythm = Rhythm::new(&self.probe, begin);
        let mut opening = self.port();
        loop {
            wait(&mut rhythm, &mut opening).await;
            let Some(checked) = self.check_once().await else { return };
            rhythm.checked(matches!(checked.outcome, Outcome::Healthy | Outcome::Degraded(_)));
            tell(checked);
        }
    }
}

/// Waits for the next check. A starting service that begins to listen is asked at once.
async fn wait(rhythm: &mut Rhythm, opening: &mut Option<u16>) {
    let pause = tokio::time::sleep(rhythm.wait());
    let Some(port) = opening.filter(|_| rhythm.is_starting()) else { return pause.await };
    tokio::select! {
        () = pause => {}
        () = listening::opens(port) => {
            *opening = None;
            rhythm.hurry();
        }
    }
}

/// What a check finds within its time.
async fn within(timeout: Duration, check: impl Future<Output = Outcome>) -> Outcome {
    tokio::time::timeout(timeout, check).await.unwrap_or_else(|_| Outcome::Unhealthy(no_answer(timeout)))
}

/// That a check took too long.
pub(super) fn no_answer(timeout: Duration) -> String {
    format!("no answer within {timeout:?}")
}

/// Tells what the service says itself.
async fn listen(source: Option<Source>, process: &ServiceProcess, mut tell: impl FnMut(Checked)) {
    let mut said = |outcome| tell(Checked { outcome, took: Duration::ZERO });
    let result = match source {
        None => pending().await,
        Some(Source::Printed) => Ok(()),
        Some(Source::Log(line)) => match line.await {
            Ok(_) => Ok(()),
            // Its output is not read any more.
            Err(_) => pending().await,
        },
        Some(Source::Descriptor(mut descriptor)) => descriptor.said(process).await,
        Some(Source::Marker(marker)) => loop {
            if let Err(error) = marker.becomes(true).await {
                break Err(error);
            }
            said(Outcome::Healthy);
            if let Err(error) = marker.becomes(false).await {
                break Err(error);
            }
            said(Outcome::Unhealthy(format!("file {} is gone", marker.path().display())));
        },
    };
    said(match result {
        Ok(()) => Outcome::Healthy,
        Err(error) => Outcome::Unhealthy(format!("what it says cannot be received: {error}")),
    });
    pending().await
}

//! One model call over a route: candidates in order, retries, fallback by class of failure, the receipt.
//!
//! An answer that began to be shown is never replaced: a failure from then on is the call's failure.

use std::time::{Duration, Instant};

use masque_types::{
    cost::Price,
    model::{Attempt, Failure, FailureKind, ModelDelta, ModelError, ModelRef, ModelReply, ModelRequest, Receipt},
};
use rand::Rng as _;

use crate::{
    answer::{Answer, Screen, estimated_loss, estimated_usage},
    config::Retry,
    failure::failure,
    prices::PriceTable,
    upstream::{Ask, Upstream},
};

/// Who serves a candidate.
pub(crate) struct Candidate<'a> {
    pub(crate) upstream: &'a dyn Upstream,
    /// Whether its models cost nothing.
    pub(crate) is_free: bool,
}

/// Finds who serves a model, or says why nobody does.
pub(crate) type Find<'a> = dyn Fn(&ModelRef) -> Result<Candidate<'a>, Failure> + Send + Sync + 'a;

/// The state of one call.
pub(crate) struct RouteCall<'a> {
    request: &'a ModelRequest,
    prices: &'a PriceTable,
    retry: Retry,
    screen: Screen<'a>,
    started: Instant,
    attempts: Vec<Attempt>,
}

/// What follows a failed try.
enum Next {
    /// The same candidate again, after a wait.
    Again(Duration),
    /// The route's next candidate, if its rules allow.
    Candidate,
    /// Nothing: an answer had begun to be shown.
    Nothing,
}

impl<'a> RouteCall<'a> {
    pub(crate) fn new(
        request: &'a ModelRequest,
        prices: &'a PriceTable,
        retry: Retry,
        show: &'a (dyn Fn(ModelDelta) + Send + Sync),
    ) -> Self {
        let screen = Screen::new(show);
        Self { request, prices, retry, screen, started: Instant::now(), attempts: Vec::with_capacity(1) }
    }

    /// Tries the candidates until one serves.
    pub(crate) async fn run(mut self, find: &Find<'_>) -> Result<ModelReply, Box<ModelError>> {
        let route = &self.request.route;
        let mut last = failure(FailureKind::NotFound, "the route names no model: add one as `provider/model`");
        for model in &route.models {
            match self.try_candidate(model, find).await {
                Ok((answer, is_free)) => return Ok(self.reply(model, answer, is_free)),
                Err((failed, Next::Candidate)) if route.fallback_on.contains(&failed.kind) => last = failed,
                Err((failed, _)) => return Err(self.error(failed, find)),
            }
        }
        Err(self.error(last, find))
    }

    async fn try_candidate(&mut self, model: &ModelRef, find: &Find<'_>) -> Result<(Answer, bool), (Failure, Next)> {
        let mut tries = 0;
        loop {
            tries += 1;
            let asked = Instant::now();
            self.screen.notice(ModelDelta::Asking(model.clone()));
            let candidate = find(model);
            let (result, may_recover) = match &candidate {
                Ok(candidate) => {
                    let ask = Ask { provider: &model.provider, model: &model.model, request: self.request };
                    (candidate.upstream.ask(ask, &self.screen).await, candidate.upstream.may_recover())
                }
                Err(missing) => (Err(missing.clone()), false),
            };
            let failed = match (result, candidate) {
                (Ok(answer), Ok(candidate)) => {
                    self.attempts.push(Attempt { model: model.clone(), failure: None, latency: asked.elapsed() });
                    return Ok((answer, candidate.is_free));
                }
                (Err(failed), _) | (Ok(_), Err(failed)) => failed,
            };
            let attempt = Attempt { model: model.clone(), failure: Some(failed.clone()), latency: asked.elapsed() };
            tracing::debug!(run = %self.request.run, model = %model, kind = failed.kind.name(), "a model try failed");
            self.screen.notice(ModelDelta::Failed(attempt.clone()));
            self.attempts.push(attempt);
            match self.next(&failed, tries, may_recover) {
                Next::Again(wait) => tokio::time::sleep(wait).await,
                next => return Err((failed, next)),
            }
        }
    }

    fn next(&self, failed: &Failure, tries: u32, may_recover: bool) -> Next {
        if self.screen.has_shown() {
            return Next::Nothing;
        }
        let is_passing =
            matches!(failed.kind, FailureKind::Unavailable | FailureKind::RateLimit | FailureKind::Timeout);
        if !may_recover || !is_passing || tries >= self.retry.tries {
            return Next::Candidate;
        }
        let jitter = self.jitter(tries);
        match failed.retry_after_ms.map(Duration::from_millis) {
            Some(wait) if wait > self.retry.retry_after_cap => Next::Candidate,
            // Never before the provider wants it; a little later, so that callers do not come back all at once.
            Some(wait) => Next::Again(wait + jitter.min(wait / 4)),
            None => Next::Again(jitter),
        }
    }

    /// A random wait up to the bound of this try, which doubles each time.
    fn jitter(&self, tries: u32) -> Duration {
        let factor = 1u32.checked_shl(tries.saturating_sub(1)).unwrap_or(u32::MAX);
        let bound = self.retry.base.saturating_mul(factor).min(self.retry.cap);
        bound.mul_f64(rand::rng().random_range(0.0..=1.0))
    }

    fn reply(self, model: &ModelRef, answer: Answer, is_free: bool) -> ModelReply {
        let usage_reported = answer.usage.is_some();
        let usage = answer.usage.unwrap_or_else(|| estimated_usage(self.request, &answer.message));
        let receipt = Receipt {
            micro_usd: self.price(model, is_free).map(|price| price.cost(&usage)),
            attempts: self.attempts,
            served: Some(model.clone()),
            reported_model: answer.reported_model.filter(|reported| *reported != model.model),
            response_id: answer.response_id,
            usage,
            usage_reported,
            latency: self.started.elapsed(),
        };
        ModelReply { message: answer.message, finish: answer.finish, receipt }
    }

    /// The receipt of a failure counts an answer that broke off: the provider may bill it.
    fn error(self, failure: Failure, find: &Find<'_>) -> Box<ModelError> {
        let broken_off = self.attempts.last().filter(|_| self.screen.has_begun()).map(|attempt| {
            let usage = estimated_loss(self.request, self.screen.shown_bytes());
            let is_free = find(&attempt.model).is_ok_and(|candidate| candidate.is_free);
            (usage, self.price(&attempt.model, is_free).map(|price| price.cost(&usage)))
        });
        let (usage, micro_usd) = broken_off.unwrap_or_default();
        let latency = self.started.elapsed();
        let receipt = Receipt { attempts: self.attempts, usage, micro_usd, latency, ..Receipt::default() };
        Box::new(ModelError { failure, receipt })
    }

    fn price(&self, model: &ModelRef, is_free: bool) -> Option<Price> {
        if is_free { Some(Price::default()) } else { self.prices.facts(model).price }
    }
}

//! Waiting for a job within a call: until there is news, the client gives up, or the time is over; and telling progress
//! meanwhile.

use std::time::{Duration, Instant};

use masque_app::{App, Error, jobs::JobView};
use masque_types::id::RunId;
use rmcp::model::{ProgressNotificationParam, ProgressToken};

use super::super::feature::Asked;

/// The least that progress grows by from one notification to the next: clients expect it to grow.
const STEP: f64 = 0.01;

/// Looks at a job. A client that hears of progress gets the answer when the job ended or waits for a person; one that
/// does not, as soon as something changed. Nobody waits longer than `wait`.
///
/// # Errors
/// When there is no such job, or it is not the caller's.
pub(super) async fn look(app: &App, asked: &Asked, run: RunId, wait: Duration) -> Result<JobView, Error> {
    if asked.progress_token().is_some() {
        return to_the_end(app, asked, run, wait).await;
    }
    let looking = app.check_job(&asked.caller, run, wait, None);
    unless_given_up(app, asked, run, looking).await
}

/// Looks at a job until it ended or waits for a person, at most so long. A client that wants to hears of progress.
///
/// # Errors
/// As for [`look`].
pub(super) async fn to_the_end(app: &App, asked: &Asked, run: RunId, wait: Duration) -> Result<JobView, Error> {
    let until = Instant::now() + wait;
    let mut told = asked.progress_token().map(|token| Told { token, progress: 0.0 });
    let mut view = app.check_job(&asked.caller, run, Duration::ZERO, None).await?;
    loop {
        if let Some(told) = &mut told {
            told.tell(asked, &view).await;
        }
        let left = until.saturating_duration_since(Instant::now());
        if view.status.is_final() || !view.questions.is_empty() || left.is_zero() || asked.stop.is_cancelled() {
            return Ok(view);
        }
        let looking = app.check_job(&asked.caller, run, left, Some(view.seq));
        view = unless_given_up(app, asked, run, looking).await?;
        if asked.context.ct.is_cancelled() {
            return Ok(view);
        }
    }
}

/// Ends a wait that nobody waits for any more, with what is known by then.
async fn unless_given_up(
    app: &App,
    asked: &Asked,
    run: RunId,
    looking: impl Future<Output = Result<JobView, Error>>,
) -> Result<JobView, Error> {
    tokio::select! {
        view = looking => view,
        () = asked.given_up() => app.check_job(&asked.caller, run, Duration::ZERO, None).await,
    }
}

/// What was told to a client about progress.
struct Told {
    token: ProgressToken,
    progress: f64,
}

impl Told {
    async fn tell(&mut self, asked: &Asked, view: &JobView) {
        let progress = f64::from(view.progress.percent_complete).max(self.progress + STEP);
        if progress >= 100.0 && !view.status.is_final() {
            return;
        }
        self.progress = progress;
        let told = ProgressNotificationParam::new(self.token.clone(), progress)
            .with_total(100.0)
            .with_message(view.progress.message.clone());
        // A client that does not listen any more is noticed by its transport.
        let _ = asked.context.peer.notify_progress(told).await;
    }
}

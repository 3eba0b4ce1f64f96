//! Jobs from their queueing to their end, in one process, with a scripted model.

use std::time::Duration;

use masque_types::{
    actor::{Actor, Caller, Reach},
    job::{JobStatus, Phase, Priority},
    run::{RunStatus, SandboxMode},
};

use super::{Invoke, JobQuery, JobWorkers};
use crate::{
    App, Kind,
    config::{Settings, argument},
    host::Host,
};

const HELLO: &str = "replies:\n  - text: All is well.\n";

struct World {
    root: tempfile::TempDir,
    app: App,
}

impl World {
    async fn new(settings: &[&str]) -> Self {
        let root = tempfile::tempdir().unwrap();
        let project = root.path().join("project");
        fs_err::create_dir_all(project.join(".agents/agents")).unwrap();
        let persona = |name: &str, more: &str| {
            let text = format!("---\nname: {name}\ndescription: Tests.\ntools: [fs.read]\n{more}---\nYou test.\n");
            fs_err::write(project.join(format!(".agents/agents/{name}.md")), text).unwrap();
        };
        persona("open", "masque:\n  callable: true\n");
        persona("closed", "");
        let script = root.path().join("script.yaml");
        fs_err::write(&script, HELLO).unwrap();
        let host = Host { directory: project.canonicalize().unwrap(), ..Host::for_tests(root.path()) };
        let model = format!("model.default=scripted/{}", script.display());
        // Tools are not called: what confines them is not under test.
        let given = [model.as_str(), "model.probe_local=off"].into_iter().chain(settings.iter().copied());
        let given: Vec<_> = given.map(|pair| argument(pair).unwrap()).collect();
        let settings = Settings::load(&host, &host.directory, &given).unwrap();
        Self { root, app: App::open(host, settings).await.unwrap() }
    }

    fn wish(&self, persona: &str) -> Invoke {
        Invoke::new(persona, "Look around", self.app.host.directory.clone())
    }
}

fn local() -> Caller {
    Caller { actor: Actor::User("ada".to_owned()), reach: Reach::Local }
}

fn remote(name: &str) -> Caller {
    Caller { actor: Actor::User(name.to_owned()), reach: Reach::Remote }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_waits_in_the_queue_and_is_cancelled_there() {
    let world = World::new(&["sandbox.mode=none", "run.mode=auto"]).await;
    let (app, ada) = (&world.app, local());
    let wish = Invoke { context: Some("the code".to_owned()), priority: Priority::High, ..world.wish("closed") };
    let invoked = app.invoke(&ada, wish).await.unwrap();
    assert_eq!((invoked.estimate.seconds, invoked.estimate.learned_from), (60, 0));
    let view = app.check_job(&ada, invoked.run, Duration::from_secs(50), None).await.unwrap();
    assert_eq!((view.status, view.progress.percent_complete), (JobStatus::Pending, 0), "the first look is news");
    assert_eq!(view.progress.phase, Phase::Initializing);
    assert_eq!(view.progress.eta_seconds, Some(60));
    let state = app.state(invoked.run).await.unwrap();
    assert_eq!(state.spec.sandbox, SandboxMode::Process, "a job is never unconfined");
    assert_eq!(state.policy.mode, masque_types::policy::Mode::Default, "nor wider than its persona");
    let task = masque_types::message::joined_text(&state.spec.task);
    assert!(task.contains("```material context\nthe code\n```"), "{task}");

    // What happens while somebody waits ends the waiting.
    let (waited, cancelled) = tokio::join!(
        app.check_job(&ada, invoked.run, Duration::from_secs(50), None),
        app.cancel_job(&ada, invoked.run),
    );
    assert!(waited.unwrap().seq >= view.seq);
    let cancelled = cancelled.unwrap();
    assert_eq!((cancelled.status, cancelled.poll_after_ms), (JobStatus::Cancelled, 0));
    assert_eq!(app.cancel_job(&ada, invoked.run).await.unwrap_err().kind, Kind::Refused);
    assert_eq!(app.run(invoked.run).await.unwrap().status, RunStatus::Cancelled);
    assert_eq!(app.find_job(&ada, "last").await.unwrap(), invoked.run);
    world.app.close().await.unwrap();
    drop(world.root);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_from_elsewhere_reach_what_is_open_and_see_their_own() {
    let world = World::new(&[]).await;
    let (app, bob, eve) = (&world.app, remote("bob"), remote("eve"));
    let job = app.invoke(&bob, world.wish("open")).await.unwrap().run;
    assert_eq!(app.invoke(&bob, world.wish("closed")).await.unwrap_err().kind, Kind::Refused);
    let outside = Invoke { workspace: world.root.path().canonicalize().unwrap(), ..world.wish("open") };
    assert!(app.invoke(&bob, outside).await.is_err());
    app.invoke(&local(), world.wish("open")).await.unwrap();
    let count = async |caller: &Caller| app.jobs(caller, &JobQuery::default()).await.unwrap().total;
    assert_eq!((count(&bob).await, count(&eve).await, count(&local()).await), (1, 0, 1));
    for refused in [
        app.check_job(&eve, job, Duration::ZERO, None).await.is_err(),
        app.cancel_job(&eve, job).await.is_err(),
        app.find_job(&eve, &job.to_string()).await.is_err(),
        app.reset_jobs(&bob, true).await.is_err(),
        app.reset_jobs(&local(), false).await.is_err(),
        app.reset_jobs(&local(), true).await.is_err(),
    ] {
        assert!(refused);
    }
    assert_eq!(app.job_statistics().await.unwrap().pending, 2);
    for run in app.runs(&crate::runs::RunFilter::default()).await.unwrap() {
        app.cancel(&Actor::System, run.id).await.unwrap();
    }
    let deleted = app.reset_jobs(&local(), true).await.unwrap();
    assert_eq!((deleted.jobs, deleted.runs, deleted.kept), (2, 2, 0));
    assert!(deleted.bytes > 0);
    assert!(app.check_job(&bob, job, Duration::ZERO, None).await.is_err());
    assert!(app.audit_tail(3).await.unwrap().iter().any(|entry| entry.what.action == "job.reset"));
    world.app.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clean_up_takes_what_is_old_and_happens_once_a_day() {
    let world = World::new(&["jobs.keep=0s"]).await;
    let (app, ada) = (&world.app, local());
    let ended = app.invoke(&ada, world.wish("open")).await.unwrap().run;
    app.cancel_job(&ada, ended).await.unwrap();
    let open = app.invoke(&ada, world.wish("open")).await.unwrap().run;
    // Time passes: what ended in this very millisecond is not older than now.
    while app.job_statistics().await.unwrap().overdue == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(app.clean_up_jobs().await.unwrap().map(|deleted| (deleted.jobs, deleted.kept)), Some((1, 1)));
    assert_eq!(app.clean_up_jobs().await.unwrap(), None, "once a day");
    let statistics = app.job_statistics().await.unwrap();
    assert_eq!((statistics.total, statistics.recommendation.as_str()), (1, "healthy"));
    assert!(statistics.next_clean_up > statistics.cleaned_up_at);
    app.check_job(&ada, open, Duration::ZERO, None).await.unwrap();
    world.app.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_persona_is_seen_by_the_next_job() {
    let world = World::new(&[]).await;
    let app = &world.app;
    let prompt = async || {
        let run = app.invoke(&local(), world.wish("open")).await.unwrap().run;
        app.state(run).await.unwrap().persona.unwrap().prompt.clone()
    };
    assert_eq!(prompt().await.trim(), "You test.");
    assert_eq!(prompt().await.trim(), "You test.");
    let file = app.host.directory.join(".agents/agents/open.md");
    let text = fs_err::read_to_string(&file).unwrap().replace("You test.", "You look.");
    fs_err::write(&file, text).unwrap();
    assert_eq!(prompt().await.trim(), "You look.");
    world.app.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_drive_jobs_to_their_ends() {
    let world = World::new(&[]).await;
    let (app, ada) = (&world.app, local());
    let first = app.invoke(&ada, world.wish("open")).await.unwrap().run;
    let workers = JobWorkers::start(app, 2);
    let second = app.invoke(&ada, world.wish("open")).await.unwrap().run;
    for run in [first, second] {
        let mut view = app.check_job(&ada, run, Duration::ZERO, None).await.unwrap();
        while !view.status.is_final() {
            view = app.check_job(&ada, run, Duration::from_secs(50), Some(view.seq)).await.unwrap();
        }
        // Where nothing can be confined, a job fails with the reason; elsewhere it says what its script says.
        match view.status {
            JobStatus::Complete => {
                assert_eq!(view.result.as_deref(), Some("All is well."));
                assert_eq!((view.progress.percent_complete, view.progress.eta_seconds), (100, None));
                assert!(view.started_at.is_some() && view.ended_at.is_some());
            }
            _ => assert!(view.error.is_some_and(|error| !error.is_empty())),
        }
    }
    workers.close().await.unwrap();
    world.app.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_its_principal_until_it_is_revoked() {
    let world = World::new(&[]).await;
    let (app, ada) = (&world.app, Actor::User("ada".to_owned()));
    let (view, secret) = app.create_token(&ada, "laptop", None).await.unwrap();
    assert!(secret.expose().starts_with("mqt_") && secret.expose().len() >= 47);
    assert_eq!(app.create_token(&ada, "laptop", None).await.unwrap_err().kind, Kind::Refused);
    for name in ["", "a b", "a/b", &"x".repeat(65)] {
        assert_eq!(app.create_token(&ada, name, None).await.unwrap_err().kind, Kind::Usage, "{name}");
    }
    assert_eq!(app.authenticate(secret.expose()).await.unwrap(), Some(remote("laptop")));
    let mut wrong = secret.expose().to_owned();
    wrong.push('x');
    for token in ["", "mqt_", wrong.as_str(), &secret.expose()["mqt_".len()..]] {
        assert_eq!(app.authenticate(token).await.unwrap(), None);
    }
    let soon = app.now().plus(Duration::from_millis(1));
    let (_, short) = app.create_token(&ada, "short", Some(soon)).await.unwrap();
    while app.now() < soon {
        tokio::task::yield_now().await;
    }
    assert_eq!(app.authenticate(short.expose()).await.unwrap(), None, "it expired");
    assert!(app.tokens().await.unwrap().iter().any(|token| token.id == view.id && token.used_at.is_some()));
    assert!(app.revoke_token(&ada, "laptop").await.unwrap().revoked_at.is_some());
    assert_eq!(app.authenticate(secret.expose()).await.unwrap(), None);
    assert_eq!(app.revoke_token(&ada, "laptop").await.unwrap_err().kind, Kind::Usage);
    assert_eq!(app.audit_tail(9).await.unwrap().iter().filter(|e| e.what.action.starts_with("token.")).count(), 3);
    world.app.close().await.unwrap();
}

//! The runner with real processes: starts in order, survives its own death, ends in order.

mod support;

use masque_fleet::{
    model::{Check, Command, Dependency, Fleet, Kind, OnLoss, RestartPolicy},
    status::State,
};
use masque_supervisor::{Error, control::Target, runner::Begin};

use support::{Place, id, service, shell};

fn fleet(services: Vec<masque_fleet::model::Service>) -> Fleet {
    support::fleet(services)
}

#[tokio::test]
async fn a_chain_starts_in_order_and_ends_in_reverse() {
    let place = Place::new();
    let needs = |mut service: masque_fleet::model::Service, on: &str| {
        service.dependencies = vec![Dependency::on(id(on))];
        service
    };
    let services = vec![
        needs(shell("c", "exec sleep 1000"), "b"),
        needs(shell("b", "exec sleep 1000"), "a"),
        shell("a", "exec sleep 1000"),
    ];
    let runner = place.start(fleet(services), Begin::Up).await;
    let mut client = place.client().await;
    place.reach(&[("a", State::Ready), ("b", State::Ready), ("c", State::Ready)]).await;
    let order = |changes: &[masque_fleet::status::Change], to| {
        let of_state = changes.iter().filter(|change| change.to == to);
        of_state.map(|change| change.id.name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(order(&client.changes(0).await.unwrap(), State::Ready), ["a", "b", "c"]);
    let status = client.status().await.unwrap();
    let pids: Vec<u32> = status.hosts[0].services.iter().filter_map(|service| service.pid).collect();
    assert_eq!(pids.len(), 3);
    assert!(status.hosts[0].services.iter().all(|service| service.memory_bytes.is_some_and(|bytes| bytes > 0)));
    client.down(Target::All).await.unwrap();
    place.reach(&[("a", State::Stopped), ("b", State::Stopped), ("c", State::Stopped)]).await;
    assert_eq!(order(&client.changes(0).await.unwrap(), State::Stopped), ["c", "b", "a"]);
    client.shutdown().await.unwrap();
    runner.await.unwrap().unwrap();
    assert!(pids.iter().all(|pid| !support::runs(*pid)));
}

#[tokio::test]
async fn a_service_that_dies_comes_back_with_the_environment_that_it_is_told() {
    let place = Place::new();
    let mut first = shell("first", "exec sleep 1000");
    first.port = Some(4711);
    let mut second = shell("second", "env | grep ^MASQUE_ | sort; exec sleep 1000");
    second.dependencies = vec![Dependency { on_loss: OnLoss::Restart, ..Dependency::on(id("first")) }];
    let runner = place.start(fleet(vec![first, second]), Begin::Up).await;
    let mut client = place.client().await;
    place.reach(&[("first", State::Ready), ("second", State::Ready)]).await;
    let lines = place.lines("second", 6).await;
    let value = |name: &str| lines.iter().find_map(|line| line.strip_prefix(&format!("{name}="))).map(str::to_owned);
    assert_eq!(value("MASQUE_DEP_FIRST").as_deref(), Some("127.0.0.1:4711"));
    assert_eq!(value("MASQUE_DEP_FIRST_SERVICE").as_deref(), Some("here/first"));
    assert_eq!(value("MASQUE_SERVICE").as_deref(), Some("second"));
    let pid = place.pid("first").await;
    support::kill(pid);
    let mut events = place.client().await;
    events.follow_changes(0).await.unwrap();
    support::until(&mut events, |change| change.id == id("first") && change.to == State::Waiting).await;
    support::until(&mut events, |change| change.id == id("first") && change.to == State::Ready).await;
    let explanation = client.why("first").await.unwrap();
    assert_eq!(explanation.service.restarts, 1);
    assert_eq!(explanation.service.last_end.as_deref(), Some("signal KILL"));
    assert_eq!(explanation.dependants, [id("second")]);
    let error = client.why("frist").await.unwrap_err();
    assert!(matches!(&error, Error::Refused(why) if why.contains("did you mean `first`")), "{error}");
    client.shutdown().await.unwrap();
    runner.await.unwrap().unwrap();
}

#[tokio::test]
async fn what_a_person_stopped_stays_so_over_the_death_of_the_supervisor_and_nothing_is_lost_or_doubled() {
    let place = Place::new();
    let mut task = shell("task", "echo once >> task.txt");
    task.kind = Kind::Task;
    task.restart.policy = RestartPolicy::Never;
    task.program.directory = place.path().to_owned();
    let services = vec![shell("a", "exec sleep 1000"), shell("held", "exec sleep 1000"), task];
    let fleet = fleet(services);
    let mut supervisor = place.supervise(&fleet, &[]).await;
    place.reach(&[("a", State::Ready), ("held", State::Ready), ("task", State::Completed)]).await;
    let pid = place.pid("a").await;
    place.client().await.down(Target::Services(vec!["held".into()])).await.unwrap();
    place.reach(&[("held", State::Stopped)]).await;
    supervisor.kill().await;
    assert!(support::runs(pid), "services outlive their supervisor");
    let supervisor = place.supervise(&fleet, &["--resume"]).await;
    place.reach(&[("a", State::Ready), ("held", State::Stopped), ("task", State::Completed)]).await;
    assert_eq!(place.pid("a").await, pid, "it is the same process");
    assert_eq!(fs_err::read_to_string(place.path().join("task.txt")).unwrap(), "once\n");
    place.client().await.shutdown().await.unwrap();
    supervisor.wait().await;
    assert!(!support::runs(pid));
}

#[tokio::test]
async fn a_second_supervisor_is_told_who_runs() {
    let place = Place::new();
    let runner = place.start(fleet(vec![service("a")]), Begin::Up).await;
    let error = place.try_start(fleet(vec![service("a")])).await.unwrap_err();
    assert!(matches!(error, Error::Running { process, .. } if process == std::process::id()), "{error}");
    place.client().await.shutdown().await.unwrap();
    runner.await.unwrap().unwrap();
}

#[tokio::test]
async fn readiness_is_what_a_service_says_or_answers() {
    let place = Place::new();
    let ready = |mut service: masque_fleet::model::Service, check| {
        service.ready = Some(masque_fleet::model::Probe::new(check));
        service.program.directory = place.path().to_owned();
        service
    };
    let services = vec![
        ready(shell("line", "echo now ready; exec sleep 1000"), Check::Log("^now ready$".into())),
        ready(shell("file", "touch there; exec sleep 1000"), Check::File("there".into())),
        ready(shell("descriptor", "echo 1 >&$READY_FD; exec sleep 1000"), Check::Descriptor),
        ready(shell("asked", "exec sleep 1000"), Check::Exec(Command::Shell("test -e there".into()))),
    ];
    let fleet = fleet(services);
    let all = ["line", "file", "descriptor", "asked"].map(|name| (name, State::Ready));
    let mut supervisor = place.supervise(&fleet, &[]).await;
    place.reach(&all).await;
    let before = place.status().await.hosts[0].services.iter().map(|service| service.pid).collect::<Vec<_>>();
    supervisor.kill().await;
    let supervisor = place.supervise(&fleet, &["--resume"]).await;
    place.reach(&all).await;
    let after = place.status().await.hosts[0].services.iter().map(|service| service.pid).collect::<Vec<_>>();
    assert_eq!(before, after);
    place.client().await.shutdown().await.unwrap();
    supervisor.wait().await;
}

#[tokio::test]
async fn a_new_manifest_replaces_what_changed_and_a_bad_one_is_put_back() {
    let place = Place::new();
    let ready_when = |name: &str, line: &str| {
        let mut service = shell(name, line);
        service.ready = Some(masque_fleet::model::Probe::new(Check::Log("ready".into())));
        service.ready_within = std::time::Duration::from_secs(30);
        service
    };
    let good = |word: &str| format!("echo {word} ready; exec sleep 1000");
    let mut second = ready_when("second", &good("old"));
    second.dependencies = vec![Dependency::on(id("first"))];
    let old = fleet(vec![ready_when("first", &good("old")), second.clone(), ready_when("gone", &good("old"))]);
    let supervisor = place.supervise(&old, &[]).await;
    place.reach(&[("first", State::Ready), ("second", State::Ready), ("gone", State::Ready)]).await;
    let kept = place.pid("first").await;
    second.program.command = Command::Shell(good("new"));
    let new = fleet(vec![ready_when("first", &good("old")), second.clone(), ready_when("added", &good("new"))]);
    place.write(&new);
    let mut client = place.client().await;
    let rolled = client.reload().await.unwrap();
    assert_eq!((rolled.waves, rolled.halted), (vec![vec![id("second")]], None));
    place
        .until(|services| {
            let ready = ["first", "second", "added"].map(|name| (id(name), State::Ready));
            services.iter().map(|service| (service.id.clone(), service.state)).collect::<Vec<_>>() == ready
        })
        .await;
    assert_eq!(place.pid("first").await, kept, "what did not change runs on");
    second.program.command = Command::Shell("exit 7".to_owned());
    place.write(&fleet(vec![ready_when("first", &good("old")), second, ready_when("added", &good("new"))]));
    let rolled = client.reload().await.unwrap();
    assert!(rolled.halted.is_some_and(|why| why.contains("here/second")));
    assert_eq!(rolled.rolled_back, [id("second")]);
    place.reach(&[("second", State::Ready)]).await;
    let rolled = client.roll(Target::All).await.unwrap();
    assert_eq!(rolled.halted, None);
    assert_eq!(rolled.waves, [vec![id("added"), id("second")], vec![id("first")]]);
    assert_ne!(place.pid("first").await, kept);
    client.shutdown().await.unwrap();
    supervisor.wait().await;
}

//! The runner with real processes: starts in order, survives its own death, ends in order.

mod support;

use masque_fleet::{
    model::{Check, Command, Dependency, Fleet, Kind, OnLoss, RestartPolicy},
    status::State,
};
use masque_supervisor::{
    Error,
    control::Target,
    runner::{Begin, LinkParts, Runner, RunnerSpec},
};

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

#[tokio::test]
async fn a_program_that_does_not_show_whose_it_is_is_taken_over_all_the_same() {
    let place = Place::new();
    // What `setproctitle` does to it, as far as others see.
    let fleet = fleet(vec![shell("wiped", "exec env -i sleep 1000"), shell("dead", "env -i sleep 1000 & wait")]);
    let mut supervisor = place.supervise(&fleet, &[]).await;
    place.reach(&[("wiped", State::Ready), ("dead", State::Ready)]).await;
    let (wiped, dead) = (place.pid("wiped").await, place.pid("dead").await);
    let shows_nothing = |pid: u32| fs_err::read(format!("/proc/{pid}/environ")).is_ok_and(|shown| shown.is_empty());
    support::until_true(|| shows_nothing(wiped)).await;
    let mut left = None;
    support::until_true(|| {
        left = support::children(dead).into_iter().find(|pid| shows_nothing(*pid));
        left.is_some()
    })
    .await;
    supervisor.kill().await;
    support::kill(dead);
    support::until_true(|| !support::runs(dead)).await;
    let supervisor = place.supervise(&fleet, &["--resume"]).await;
    place.reach(&[("wiped", State::Ready), ("dead", State::Ready)]).await;
    assert_eq!(place.pid("wiped").await, wiped, "it is the same process");
    assert!(left.is_some_and(|pid| !support::runs(pid)), "what a dead one left is not met by the next one");
    place.client().await.shutdown().await.unwrap();
    supervisor.wait().await;
    assert!(!support::runs(wiped));
}

#[tokio::test]
async fn limits_that_are_new_and_cannot_be_enforced_end_nothing_that_runs() {
    let place = Place::new();
    let mut limited = service("limited");
    let mut supervisor = place.supervise(&fleet(vec![limited.clone()]), &[]).await;
    place.reach(&[("limited", State::Ready)]).await;
    let pid = place.pid("limited").await;
    supervisor.kill().await;
    limited.limits.enforce = true;
    limited.limits.milli_cpus = Some(u32::MAX);
    let supervisor = place.supervise(&fleet(vec![limited]), &["--resume"]).await;
    place.reach(&[("limited", State::Ready)]).await;
    assert_eq!(place.pid("limited").await, pid);
    place.client().await.shutdown().await.unwrap();
    supervisor.wait().await;
}

#[tokio::test]
async fn a_fleet_whose_manifest_is_broken_is_supervised_again_when_it_is_mended() {
    let place = Place::new();
    let mut task = shell("task", "read line < gate; echo once >> task.txt");
    task.kind = Kind::Task;
    task.program.directory = place.path().to_owned();
    let gate = place.path().join("gate");
    rustix::fs::mknodat(rustix::fs::CWD, &gate, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    let fleet = fleet(vec![service("a"), task]);
    let keeper = place.supervise(&fleet, &["--keep"]).await;
    place.reach(&[("a", State::Ready), ("task", State::Starting)]).await;
    let pid = place.pid("a").await;
    let supervisor = place.status().await.hosts[0].supervisor.unwrap();
    let file = place.path().join("fleet.json");
    fs_err::write(&file, "broken").unwrap();
    support::kill(supervisor);
    let log = place.state().join("supervisor.log");
    support::until_true(|| fs_err::read_to_string(&log).unwrap_or_default().contains("fleet.json")).await;
    assert!(support::runs(pid) && support::runs(keeper.pid()));
    place.write(&fleet);
    support::until_async(async || place.connect().await.is_ok()).await;
    place.reach(&[("a", State::Ready)]).await;
    assert_eq!(place.pid("a").await, pid);
    tokio::task::spawn_blocking(move || fs_err::write(gate, "go\n").unwrap()).await.unwrap();
    place.until(|services| services.iter().any(|it| it.id == id("task") && it.last_end.is_some())).await;
    if place.service("task").await.last_end.as_deref() == Some("exit code 0") {
        assert_eq!(place.service("task").await.state, State::Completed);
    } else {
        println!("this kernel does not tell how an adopted program ended");
    }
    place.client().await.shutdown().await.unwrap();
    keeper.wait().await;
    assert_eq!(fs_err::read_to_string(place.path().join("task.txt")).unwrap(), "once\n");
}

#[tokio::test]
async fn wishes_outlive_the_supervisor() {
    let place = Place::new();
    let mut api = service("api");
    api.dependencies = vec![Dependency::on(id("db"))];
    let mut standby = service("standby");
    standby.start = masque_fleet::model::Start::Standby;
    let fleet = fleet(vec![service("db"), api, standby]);
    let names = |name: &str| Target::Services(vec![name.into()]);
    let mut supervisor = place.supervise(&fleet, &[]).await;
    place.reach(&[("db", State::Ready), ("api", State::Ready), ("standby", State::Declared)]).await;
    let mut client = place.client().await;
    client.down(Target::Services(vec!["api".into(), "db".into()])).await.unwrap();
    place.reach(&[("db", State::Stopped), ("api", State::Stopped)]).await;
    client.up(names("api")).await.unwrap();
    client.up(names("standby")).await.unwrap();
    let all = [("db", State::Ready), ("api", State::Ready), ("standby", State::Ready)];
    place.reach(&all).await;
    let mut before = Vec::new();
    for (name, _) in all {
        before.push(place.pid(name).await);
    }
    supervisor.kill().await;
    let supervisor = place.supervise(&fleet, &["--resume"]).await;
    place.reach(&all).await;
    for ((name, _), pid) in all.into_iter().zip(before) {
        assert_eq!(place.pid(name).await, pid, "{name} runs on");
    }
    place.client().await.shutdown().await.unwrap();
    supervisor.wait().await;
}

#[tokio::test]
async fn a_fleet_that_was_ended_runs_its_tasks_again() {
    let place = Place::new();
    let mut task = shell("task", "echo once >> task.txt");
    task.kind = Kind::Task;
    task.program.directory = place.path().to_owned();
    let fleet = fleet(vec![task]);
    for times in 1..3 {
        let runner = place.start(fleet.clone(), Begin::Up).await;
        place.reach(&[("task", State::Completed)]).await;
        assert_eq!(fs_err::read_to_string(place.path().join("task.txt")).unwrap(), "once\n".repeat(times));
        place.client().await.shutdown().await.unwrap();
        runner.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_link_that_cannot_be_had_leaves_nothing_running_and_metrics_are_no_condition() {
    let place = Place::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let key = masque_home::identity::KeyPair::from_seed(&[7; 32]);
    let tcp = Some(masque_supervisor::link::Tcp { key, listen: Some(address.clone()) });
    let link = LinkParts { name: "here".into(), tcp, unix: None, peers: Vec::new() };
    let mut touches = shell("a", "touch there; exec sleep 1000");
    touches.program.directory = place.path().to_owned();
    let spec = place.spec(fleet(vec![touches]), Begin::Up);
    let error = Runner::start(RunnerSpec { link: Some(link), ..spec.clone() }).await.unwrap_err();
    assert!(matches!(error, Error::LinkListen { .. }), "{error}");
    assert!(!place.path().join("there").exists(), "nothing was started");
    let runner = Runner::start(RunnerSpec { metrics: Some(address), ..spec }).await.unwrap();
    let running = support::run(runner);
    place.reach(&[("a", State::Ready)]).await;
    place.client().await.shutdown().await.unwrap();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_full_disk_stops_no_start_and_names_that_are_alike_have_files_of_their_own() {
    let place = Place::new();
    fs_err::create_dir(place.state()).unwrap();
    let Some(disk) = masque_testkit::disk::SmallDisk::mount_on(&place.state(), 1 << 20) else { return };
    let told = |name: &str| {
        let mut service = service(name);
        service.reload_signal = Some("HUP".into());
        service
    };
    let fleet = fleet(vec![told("a-b"), told("a_b")]);
    for fill in [false, true] {
        let room = fill.then(|| disk.fill());
        let runner = place.start(fleet.clone(), Begin::Up).await;
        place.reach(&[("a-b", State::Ready), ("a_b", State::Ready)]).await;
        place.client().await.shutdown().await.unwrap();
        runner.await.unwrap().unwrap();
        assert!(place.state().join("dependencies/a-b.json").exists());
        assert!(place.state().join("dependencies/a_b.json").exists());
        drop(room);
    }
}

#[tokio::test]
async fn what_is_put_back_while_it_ends_runs_again_and_who_needs_it_is_told_its_real_address() {
    let place = Place::new();
    let mut slow = shell("slow", "trap 'read line < gate; exit 0' TERM; echo up; while :; do sleep 0.01; done");
    slow.program.directory = place.path().to_owned();
    slow.port = Some(1_111);
    slow.ready = Some(masque_fleet::model::Probe::new(Check::Log("up".into())));
    slow.stop.grace = std::time::Duration::from_secs(60);
    let mut needs = shell("needs", "echo at $MASQUE_DEP_SLOW; exec sleep 1000");
    needs.dependencies = vec![Dependency { on_loss: OnLoss::Ignore, ..Dependency::on(id("slow")) }];
    let gate = place.path().join("gate");
    rustix::fs::mknodat(rustix::fs::CWD, &gate, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    let open = |gate: std::path::PathBuf| tokio::task::spawn_blocking(move || fs_err::write(gate, "go\n").unwrap());
    let with = fleet(vec![slow.clone(), service("other")]);
    let supervisor = place.supervise(&with, &[]).await;
    place.reach(&[("slow", State::Ready), ("other", State::Ready)]).await;
    let mut client = place.client().await;
    place.write(&fleet(vec![service("other")]));
    client.reload().await.unwrap();
    place.reach(&[("slow", State::Stopping)]).await;
    place.write(&with);
    client.reload().await.unwrap();
    open(gate.clone()).await.unwrap();
    place.reach(&[("slow", State::Ready)]).await;
    // A new definition that does harm is put back, with its address.
    let mut wrong = slow.clone();
    wrong.port = Some(2_222);
    wrong.program.command = Command::Shell("exit 7".to_owned());
    place.write(&fleet(vec![wrong, needs.clone()]));
    let opened = open(gate.clone());
    let rolled = client.reload().await.unwrap();
    assert_eq!(rolled.rolled_back, [id("slow")]);
    opened.await.unwrap();
    place.reach(&[("slow", State::Ready), ("needs", State::Ready)]).await;
    client.restart(Target::Services(vec!["needs".into()])).await.unwrap();
    let lines = place.lines("needs", 2).await;
    assert_eq!(lines.last().map(String::as_str), Some("at 127.0.0.1:1111"), "{lines:?}");
    let opened = open(gate);
    client.shutdown().await.unwrap();
    supervisor.wait().await;
    opened.await.unwrap();
}

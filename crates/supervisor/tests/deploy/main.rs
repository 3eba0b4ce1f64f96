//! Groups of a fleet in real containers, each with a supervisor inside, on an engine of the test's own.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "all of it is test code, and skipped tests say why")]
#![expect(clippy::disallowed_methods, reason = "tests read the environment and look at files as anybody would")]

#[expect(dead_code, reason = "it has more than this test needs")]
#[path = "../../../container/tests/containers/station.rs"]
mod station;

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use masque_container::libraries_of_this_process;
use masque_fleet::{
    export::{HOME, MANIFEST},
    model::{Check, Command, Container, Fleet, Group, Probe, Service},
    status::State,
};
use masque_supervisor::{
    Error,
    control::Client,
    deploy::{Build, DeploySpec, Inside, Progress, Start, deploy, undeploy},
    directory::StateDirectory,
    link::{Peer, Route},
    runner::{Begin, LinkParts, Runner, RunnerSpec},
};
use masque_testkit::fleets::plain_fleet;
use masque_types::time::Timestamp;
use tokio_util::sync::CancellationToken;

use station::{IMAGE, LIMIT, Station};

/// `web` of one group needs `db` of another one; each says so when it is ready.
fn fleet(directory: &Path) -> Fleet {
    let mut fleet = plain_fleet("web: db; db; helper");
    fleet.name = "deployed".to_owned();
    fleet.directory = directory.to_owned();
    for (service, group) in fleet.services.iter_mut().zip(["front", "back", "back"]) {
        let line = format!("echo {} is up; exec sleep 600", service.id.name);
        *service = Service {
            group: Some(group.to_owned()),
            program: masque_fleet::model::Program {
                command: Command::Shell(line),
                directory: directory.to_owned(),
                ..service.program.clone()
            },
            ready: Some(Probe::new(Check::Log("is up$".to_owned()))),
            ready_within: LIMIT,
            ..service.clone()
        };
    }
    let container =
        Container { image: Some(IMAGE.to_owned()), volumes: vec!["./work:/app".to_owned()], ..Container::default() };
    let group = Group { description: None, container: Some(container) };
    fleet.groups = ["front", "back"].map(|name| (name.to_owned(), group.clone())).into();
    fleet
}

/// This very program is what supervises inside: as the first process of a container, its test of that name.
fn spec(station: &Station, fleet: &Fleet) -> DeploySpec {
    let start = Start::new(|unit| {
        let group = unit.group.unwrap();
        let words = [&format!("inside_of_{group}"), "--exact", "--nocapture", "--test-threads=1"];
        Inside { arguments: words.map(str::to_owned).to_vec(), state: group.into() }
    });
    fs_err::create_dir_all(station.at("home/links")).unwrap();
    std::fs::set_permissions(station.at("home/links"), std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    DeploySpec {
        fleet: fleet.clone(),
        host: "h".to_owned(),
        groups: BTreeSet::new(),
        home: station.at("home"),
        environment: BTreeMap::from([("TOKEN".to_owned(), "of the caller".to_owned())]),
        executable: std::env::current_exe().unwrap(),
        libraries: libraries_of_this_process().unwrap(),
        start,
        build: Build::Never,
        patience: Some(LIMIT),
    }
}

#[tokio::test]
async fn inside_of_front() {
    supervise("front").await;
}

#[tokio::test]
async fn inside_of_back() {
    supervise("back").await;
}

/// Supervises a group, as the first process of a container; anywhere else there is nothing to do.
async fn supervise(group: &str) {
    if std::process::id() != 1 {
        return;
    }
    let text = fs_err::read_to_string(MANIFEST).unwrap();
    let others = ["front", "back"].into_iter().filter(|other| *other != group);
    let peer = |other| Peer { name: format!("h.{other}"), host: "h".to_owned(), route: Route::Unix };
    let (unix, peers) = (Some(Path::new(HOME).join("links")), others.map(peer).collect());
    let spec = RunnerSpec {
        fleet: masque_fleet::import::description(&text).unwrap(),
        host: "h".to_owned(),
        groups: BTreeSet::from([group.to_owned()]),
        directory: Path::new(HOME).join(group),
        environment: std::env::vars().collect(),
        clock: || {
            let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
            Timestamp(i64::try_from(since.as_millis()).unwrap())
        },
        begin: Begin::Up,
        is_shown: false,
        reload: None,
        link: Some(LinkParts { name: format!("h.{group}"), tcp: None, unix, peers }),
        metrics: None,
    };
    Runner::start(spec).await.unwrap().run(CancellationToken::new()).await.unwrap();
}

/// What the supervisor of a group says of its services.
async fn states(station: &Station, group: &str) -> Result<Vec<(String, State)>, Error> {
    let directory = StateDirectory::open(&station.at("home").join(group))?;
    let status = Client::connect(&directory).await?.status().await?;
    let own = status.hosts.into_iter().flat_map(|host| host.services).filter(|one| one.group.as_deref() == Some(group));
    Ok(own.map(|service| (service.id.name, service.state)).collect())
}

/// Nothing is judged before everything has ended: a container would outlive a failed test.
#[tokio::test]
async fn groups_run_in_containers_and_their_services_wait_for_each_other() {
    let Some(station) = Station::open().await else { return };
    let fleet = fleet(&station.workspace());
    let spec = spec(&station, &fleet);
    let told = RefCell::new(Vec::new());
    let tell = |progress| told.borrow_mut().push(progress);
    let deployed = deploy(&station.engine, &spec, tell).await;
    let first = told.take();
    let (front, back) = (states(&station, "front").await, states(&station, "back").await);
    let again = deploy(&station.engine, &spec, tell).await;
    let second = told.take();
    undeploy(&station.engine, &spec).await.unwrap();
    for unit in ["deployed-front", "deployed-back"] {
        assert_eq!(station.engine.service(unit).await.unwrap(), None);
    }
    station.close().await;
    let deployed = deployed.unwrap();
    assert_eq!((deployed.well.len(), deployed.failed.as_slice()), (2, &[][..]), "{first:?}");
    // Each supervisor has its own services, and answers from outside.
    let ready = |names: &[&str]| -> Vec<_> { names.iter().map(|name| ((*name).to_owned(), State::Ready)).collect() };
    assert_eq!((front.unwrap(), back.unwrap()), (ready(&["web"]), ready(&["db", "helper"])));
    // The service of one container waited for that of the other one.
    let line = |progress: &Progress| match progress {
        Progress::Service { id, state, .. } => Some((id.name.clone(), *state)),
        _ => None,
    };
    let seen: Vec<_> = first.iter().filter_map(line).collect();
    assert!(seen.contains(&("web".to_owned(), State::Blocked)), "{seen:?}");
    // What runs as it should is left alone.
    assert_eq!(again.unwrap().well.len(), 2);
    let already = second.iter().filter(|progress| matches!(progress, Progress::Started { already: true, .. }));
    assert_eq!(already.count(), 2);
}

#[tokio::test]
async fn a_group_that_does_not_come_up_says_why() {
    let Some(station) = Station::open().await else { return };
    let mut fleet = fleet(&station.workspace());
    fleet.services.retain(|service| service.id.name == "db");
    for service in &mut fleet.services {
        service.program.command = Command::Shell("echo no disk; exit 3".to_owned());
        service.restart.policy = masque_fleet::model::RestartPolicy::Never;
    }
    let spec = spec(&station, &fleet);
    let deployed = deploy(&station.engine, &spec, |_| {}).await;
    undeploy(&station.engine, &spec).await.unwrap();
    station.close().await;
    let failed = deployed.unwrap().failed;
    let (unit, why) = failed.first().unwrap();
    assert!(unit == "back" && why.starts_with("h/db is failed") && why.contains("exit code 3"), "{why}");
}

/// A service in an image of its own, in the network of the machine.
fn alone(station: &Station, line: &str, check: Check) -> Fleet {
    let mut fleet = plain_fleet("solo");
    fleet.name = "alone".to_owned();
    fleet.directory = station.workspace();
    let network = Some(masque_fleet::model::Network::Host);
    let container = Some(Container { network, ..Container::default() });
    fleet.groups.insert("solo".to_owned(), Group { description: None, container });
    for service in &mut fleet.services {
        service.group = Some("solo".to_owned());
        service.program.image = Some(IMAGE.to_owned());
        service.program.directory = "/".into();
        service.program.command = Command::Shell(line.to_owned());
        service.program.pass = vec!["TOKEN".to_owned(), "NOBODY_SETS_IT".to_owned()];
        service.restart.policy = masque_fleet::model::RestartPolicy::OnFailure;
        service.ready = Some(Probe::new(check.clone()));
        service.ready_within = LIMIT;
    }
    fleet
}

#[tokio::test]
async fn a_service_in_an_image_of_its_own_is_heard_by_what_it_prints() {
    let Some(station) = Station::open().await else { return };
    let line = "echo begun; echo \"token is $TOKEN\" >&2; exec sleep 600";
    let fleet = alone(&station, line, Check::Log("^token is of the caller$".to_owned()));
    let spec = spec(&station, &fleet);
    let deployed = deploy(&station.engine, &spec, |_| {}).await;
    undeploy(&station.engine, &spec).await.unwrap();
    // One that ends without having said it, and one whose check cannot be executed: the deployment goes on.
    let mut verdicts = Vec::new();
    for (line, check) in [
        ("echo no disk", Check::Log("^ready$".to_owned())),
        ("exec sleep 600", Check::Exec(Command::Exec(vec!["/bin/no-such-program".to_owned()]))),
    ] {
        let mut fleet = alone(&station, line, check);
        fleet.services.iter_mut().for_each(|service| service.ready_within = std::time::Duration::from_secs(3));
        let spec = DeploySpec { fleet, ..spec.clone() };
        verdicts.push(deploy(&station.engine, &spec, |_| {}).await);
        undeploy(&station.engine, &spec).await.unwrap();
    }
    station.close().await;
    let deployed = deployed.unwrap();
    assert_eq!(deployed.failed, []);
    let failed: Vec<_> = verdicts
        .into_iter()
        .map(|deployed| deployed.unwrap().failed.into_iter().map(|(_, why)| why).collect::<String>())
        .collect();
    assert!(failed[0].contains("it ended; it printed: no disk"), "{failed:?}");
    assert!(failed[1].contains("not ready within 3s"), "{failed:?}");
}

#[tokio::test]
async fn needs_that_cross_hosts_are_refused_before_anything_starts() {
    let Some(station) = Station::open().await else { return };
    let mut fleet = fleet(&station.workspace());
    let far = masque_fleet::model::ServiceId::new("far", "store");
    fleet.services.push(masque_testkit::fleets::plain_service("far", "store"));
    fleet.services.iter_mut().take(1).for_each(|web| {
        web.dependencies.push(masque_fleet::model::Dependency::on(far.clone()));
    });
    let refused = deploy(&station.engine, &spec(&station, &fleet), |_| {}).await;
    let containers = station.engine.service("deployed-front").await;
    station.close().await;
    let refused = refused.unwrap_err().to_string();
    assert!(refused.starts_with("`h/web` needs `far/store` of another host"), "{refused}");
    assert_eq!(containers.unwrap(), None);
}

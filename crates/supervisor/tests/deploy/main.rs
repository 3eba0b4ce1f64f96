//! Groups of a fleet in real containers, each with a supervisor inside, on an engine of the test's own.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "all of it is test code, and skipped tests say why")]
#![expect(clippy::disallowed_methods, reason = "tests read the environment and look at files as anybody would")]

#[expect(dead_code, reason = "it has more than this test needs")]
#[path = "../../../container/tests/containers/station.rs"]
mod station;

use std::{cell::RefCell, path::Path};

use masque_container::libraries_of_this_process;
use masque_fleet::{
    export::{HOME, MANIFEST},
    model::{Check, Command, Container, Fleet, Group, Probe, Service},
    status::State,
};
use masque_supervisor::{
    control::Client,
    deploy::{Build, DeploySpec, Inside, Progress, Start, deploy, undeploy},
    directory::StateDirectory,
};
use masque_testkit::fleets::plain_fleet;

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

fn spec(station: &Station, fleet: &Fleet) -> DeploySpec {
    let test = std::env::current_exe().unwrap();
    let start = Start::new(|unit| {
        let group = unit.group.unwrap();
        let words =
            [MANIFEST, unit.host, &format!("{HOME}/{group}"), "--group", group, "--sockets", &format!("{HOME}/links")];
        Inside { arguments: words.map(str::to_owned).to_vec(), state: group.into() }
    });
    DeploySpec {
        fleet: fleet.clone(),
        host: "h".to_owned(),
        groups: std::collections::BTreeSet::new(),
        home: station.at("home"),
        executable: test.parent().unwrap().parent().unwrap().join("examples/supervise"),
        libraries: libraries_of_this_process().unwrap(),
        start,
        build: Build::Never,
        patience: Some(LIMIT),
    }
}

#[tokio::test]
async fn groups_run_in_containers_and_their_services_wait_for_each_other() {
    let Some(station) = Station::open().await else { return };
    let fleet = fleet(&station.workspace());
    fs_err::create_dir_all(station.at("home/links")).unwrap();
    std::fs::set_permissions(station.at("home/links"), std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let spec = spec(&station, &fleet);
    let told = RefCell::new(Vec::new());
    let deployed = deploy(&station.engine, &spec, |progress| told.borrow_mut().push(progress)).await.unwrap();
    assert_eq!((deployed.well.len(), deployed.failed.as_slice()), (2, &[][..]), "{:?}", told.borrow());
    // Each supervisor has its own services, and answers from outside.
    for (group, services) in [("front", &["web"][..]), ("back", &["db", "helper"])] {
        let directory = StateDirectory::open(&station.at("home").join(group)).unwrap();
        let status = Client::connect(&directory).await.unwrap().status().await.unwrap();
        let own = status.hosts.iter().flat_map(|host| &host.services).filter(|one| one.group.as_deref() == Some(group));
        let own: Vec<_> = own.map(|service| (service.id.name.as_str(), service.state)).collect();
        let expected: Vec<_> = services.iter().map(|name| (*name, State::Ready)).collect();
        assert_eq!(own, expected);
    }
    let order: Vec<_> = told
        .borrow()
        .iter()
        .filter_map(|progress| match progress {
            Progress::Service { id, state: State::Ready, .. } => Some(id.name.clone()),
            _ => None,
        })
        .collect();
    let place = |name: &str| order.iter().position(|other| other == name);
    assert!(place("db") < place("web"), "{order:?}");
    // What runs as it should is left alone.
    told.borrow_mut().clear();
    deploy(&station.engine, &spec, |progress| told.borrow_mut().push(progress)).await.unwrap();
    let already =
        told.borrow().iter().filter(|progress| matches!(progress, Progress::Started { already: true, .. })).count();
    assert_eq!(already, 2);
    undeploy(&station.engine, &spec).await.unwrap();
    for unit in ["deployed-front", "deployed-back"] {
        assert_eq!(station.engine.service(unit).await.unwrap(), None);
    }
    station.close().await;
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
    fs_err::create_dir_all(station.at("home/links")).unwrap();
    std::fs::set_permissions(station.at("home/links"), std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let deployed = deploy(&station.engine, &spec, |_| {}).await.unwrap();
    let (unit, why) = deployed.failed.first().unwrap();
    assert!(unit == "back" && why.starts_with("h/db is failed") && why.contains("exit code 3"), "{why}");
    undeploy(&station.engine, &spec).await.unwrap();
    station.close().await;
}

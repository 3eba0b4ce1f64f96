//! The units of Quadlet before systemd's own check, and the forms of one whole fleet.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use masque_fleet::{
    export::{self, Files},
    model::{
        Check, Condition, Container, Dependency, Expectation, Fleet, Group, Http, Kind, Network, Probe, ServiceId,
    },
};
use masque_testkit::fleets::plain_fleet;

/// Two groups on one machine that need each other, one on another, and two services with images of their own.
fn sample() -> Fleet {
    let mut fleet = plain_fleet(
        "mainpc/Manager; mainpc/Translator: mainpc/Manager mainpc/Memory mainpc/db; mainpc/Memory: mainpc/Manager; \
         mainpc/db: mainpc/init; mainpc/init; pc2/Auth: mainpc/Manager",
    );
    fleet.name = "ai_system".to_owned();
    for (service, (group, port)) in fleet.services.iter_mut().zip([
        ("core", 5570),
        ("gpu", 5563),
        ("core", 5575),
        ("data", 5432),
        ("data", 0),
        ("pc2_core", 7116),
    ]) {
        service.group = Some(group.to_owned());
        service.port = Some(port).filter(|port| *port > 0);
        service.listen = Some("0.0.0.0".to_owned());
        service.ready = service.port.map(|port| zmq(port + u16::from(port != 5563)));
        service.limits.memory_bytes = Some(256 << 20);
        service.limits.milli_cpus = Some(500);
    }
    let script = "main_pc_code/FORMAINPC/translator.py";
    let translator = &mut fleet.services[1].program;
    translator.script = Some("FORMAINPC/translator.py".to_owned());
    translator.script_file = Some(Path::new("/srv/fleet").join(script));
    translator.command = masque_fleet::model::Command::Exec(
        ["python3", "-u", "/srv/fleet/main_pc_code/FORMAINPC/translator.py"].map(str::to_owned).to_vec(),
    );
    fleet.services[4].kind = Kind::Task;
    for place in [3, 4] {
        fleet.services[place].program.image = Some("docker.io/library/postgres:17".to_owned());
        fleet.services[place].program.environment.insert("POSTGRES_PASSWORD".to_owned(), "a b$c%d\"e".to_owned());
    }
    fleet.services[3].dependencies[0].condition = Condition::Completed;
    fleet.services[3].ready = Some(Probe::new(Check::Http(Http {
        address: "127.0.0.1:5432".to_owned(),
        path: "/it's?x=1".to_owned(),
        headers: [("X-A".to_owned(), "b c".to_owned())].into(),
        status: (200, 399),
    })));
    // The groups `core` and `gpu` need each other, although no service waits for itself.
    fleet.services[2].dependencies.push(Dependency::on(ServiceId::new("mainpc", "Translator")));
    fleet.services[1].dependencies.remove(1);
    let container = Container {
        base: Some("docker.io/library/python:3.9-slim".to_owned()),
        packages: vec!["libzmq3-dev".to_owned()],
        requirements: Some("requirements.txt".into()),
        copy: [("main_pc_code".into(), "/app/main_pc_code".into())].into(),
        links: [("/app/FORMAINPC".into(), "/app/main_pc_code/FORMAINPC".into())].into(),
        volumes: vec!["./logs:/app/logs".to_owned(), "models:/app/models:ro".to_owned()],
        network: Some(Network::Named("ai_system_mainpc".to_owned())),
        address: Some("172.20.0.30".to_owned()),
        devices: vec!["nvidia.com/gpu=all".to_owned()],
        ..Container::default()
    };
    fleet.groups.insert("gpu".to_owned(), Group { description: None, container: Some(container) });
    for name in ["core", "data", "pc2_core"] {
        fleet.groups.insert(name.to_owned(), Group::default());
    }
    fleet
}

fn zmq(port: u16) -> Probe {
    let status =
        Expectation { path: "status".to_owned(), healthy: vec!["ok".into()], degraded: Vec::new(), optional: false };
    Probe {
        timeout: Duration::from_millis(1500),
        ..Probe::new(Check::Zmq {
            address: format!("127.0.0.1:{port}"),
            request: serde_json::json!({"action": "health_check"}),
            expect: vec![status],
        })
    }
}

/// The files without what is carried for reading them again, which says nothing new.
fn shown(files: &Files) -> String {
    let is_carried = |line: &str| {
        let line = line.trim_start();
        ["x-masque:", "masque.services:", "Services=", "Fleet=", "masque.fleet/", "fleet.json: \"{"]
            .iter()
            .any(|start| line.starts_with(start))
    };
    let mut text = String::new();
    for (path, content) in files.0.iter().filter(|(path, _)| path.extension().is_none_or(|kind| kind != "json")) {
        text.push_str(&format!("=== {}\n", path.display()));
        content.lines().filter(|line| !is_carried(line)).for_each(|line| {
            text.push_str(line);
            text.push('\n');
        });
    }
    text
}

#[test]
fn forms_of_one_fleet() {
    let fleet = sample();
    insta::assert_snapshot!("compose", shown(&export::compose(&fleet)));
    insta::assert_snapshot!("quadlet", shown(&export::quadlet(&fleet)));
    insta::assert_snapshot!("kube", shown(&export::kube(&fleet)));
    insta::assert_snapshot!("containerfiles", shown(&export::dockerfiles(&fleet)));
    let inside = export::inside(&fleet);
    let program = &inside.services[1].program;
    assert_eq!(program.script_file.as_deref(), Some(Path::new("/app/main_pc_code/FORMAINPC/translator.py")));
    assert_eq!(program.command.words()[2], "/app/main_pc_code/FORMAINPC/translator.py");
    assert_eq!(program.directory, Path::new("/app"));
}

/// Runs systemd's check over unit files. None, with the reason printed, where there is no systemd; that is a failure on
/// a build machine.
fn verify(units: &[PathBuf]) -> Option<()> {
    let output =
        Command::new("systemd-analyze").args(["verify", "--man=no", "--recursive-errors=no"]).args(units).output();
    let output = match output {
        Ok(output) => output,
        Err(error) => {
            assert!(
                std::env::var("CI").as_deref() != Ok("true"),
                "systemd-analyze: {error}; .ci/setup installs systemd"
            );
            println!("skipped: systemd-analyze: {error}");
            return None;
        }
    };
    let said = String::from_utf8_lossy(&output.stderr);
    let ours: Vec<_> = said
        .lines()
        .filter(|line| units.iter().any(|unit| line.contains(unit.file_name().unwrap().to_str().unwrap())))
        .collect();
    assert!(output.status.success() && ours.is_empty(), "{said}");
    Some(())
}

/// Podman's generator, which makes services of the units; Podman has it since version 4.4.
fn generator() -> Option<PathBuf> {
    let known = ["/usr/libexec/podman/quadlet", "/usr/lib/systemd/system-generators/podman-system-generator"];
    let given = std::env::var_os("MASQUE_TEST_QUADLET").map(PathBuf::from);
    given.into_iter().chain(known.map(PathBuf::from)).find(|path| path.exists())
}

#[test]
fn systemd_finds_nothing_wrong_with_the_units() {
    let directory = tempfile::tempdir().unwrap();
    export::quadlet(&sample()).write(directory.path()).unwrap();
    for host in ["mainpc", "pc2"] {
        let units = directory.path().join(host);
        let services = directory.path().join(format!("{host}.services"));
        fs_err::create_dir(&services).unwrap();
        match generator() {
            Some(generator) => {
                let made = Command::new(generator)
                    .args(["-v", "--no-kmsg-log"])
                    .arg(&services)
                    .env("QUADLET_UNIT_DIRS", &units)
                    .output()
                    .unwrap();
                let said = String::from_utf8_lossy(&made.stderr).into_owned();
                assert!(made.status.success() && !said.contains("unsupported key"), "{said}");
            }
            None => {
                println!(
                    "without Podman's generator, which comes with Podman 4.4, only systemd's part of the units is checked"
                );
                as_services(&units, &services);
            }
        }
        let made = fs_err::read_dir(&services).unwrap().map(|entry| entry.unwrap().path());
        let made: Vec<_> = made.filter(|path| path.extension().is_some_and(|kind| kind == "service")).collect();
        assert!(!made.is_empty());
        if verify(&made).is_none() {
            return;
        }
    }
}

/// Systemd's part of the units as services: Podman's part in a section that is passed over.
fn as_services(units: &Path, services: &Path) {
    for unit in fs_err::read_dir(units).unwrap().map(|entry| entry.unwrap().path()) {
        if unit.extension().is_some_and(|kind| kind == "container") {
            let text = fs_err::read_to_string(&unit).unwrap();
            let text =
                text.replace("[Container]", "[X-Container]").replace("[Service]", "[Service]\nExecStart=/bin/true");
            let name = unit.file_stem().unwrap().to_str().unwrap();
            fs_err::write(services.join(format!("{name}.service")), text).unwrap();
        }
    }
}

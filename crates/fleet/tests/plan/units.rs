//! The units of Quadlet before systemd's own check, and the forms of one whole fleet.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use masque_fleet::{
    export::{self, Files},
    model::{
        Account, Check, Condition, Container, Dependency, Expectation, Fleet, Group, Http, Kind, Network, Probe,
        RestartPolicy, ServiceId, Shared,
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

/// The lines that begin so, in the exported file of that name.
fn lines(files: &Files, name: &str, start: &str) -> Vec<String> {
    let text = &files.0[Path::new(name)];
    text.lines().filter_map(|line| line.trim_start().strip_prefix(start)).map(str::to_owned).collect()
}

/// Runs a service of a fleet whose files are where an export has them.
#[test]
fn a_script_imports_across_the_roots_where_an_export_puts_them() {
    let directory = tempfile::tempdir().unwrap();
    let (source, image) = (directory.path().join("fleet"), directory.path().join("image"));
    let write = |path: &str, text: &str| {
        fs_err::create_dir_all(source.join(path).parent().unwrap()).unwrap();
        fs_err::write(source.join(path), text).unwrap();
    };
    write("one/agent.py", "import sys, other\nprint(other.WORD, open(sys.argv[1][len('--file='):]).read())\n");
    write("two/other.py", "WORD = 'across'\n");
    write("data.txt", "roots");
    let manifest = source.join("fleet.toml");
    let text = format!(
        "name = 'f'\nroots = ['one', 'two']\n[groups.g.container]\ncopy = {{ '.' = '{0}' }}\n[services.a]\ngroup = 'g'\n\
         script = 'agent.py'\nargs = ['--file={1}/data.txt']\n",
        image.display(),
        source.display()
    );
    fs_err::write(&manifest, text).unwrap();
    let loaded = masque_fleet::manifest::load(&[manifest], &masque_fleet::manifest::Variables::default());
    let fleet = loaded.fleet.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics));
    let files = export::compose(&fleet);
    // From here on only what an image holds is there.
    fs_err::rename(&source, &image).unwrap();
    let inside = masque_fleet::import::description(&files.0[Path::new("fleet.json")]).unwrap();
    let program = &inside.services[0].program;
    let words = program.command.words();
    let output = Command::new(&words[0])
        .args(&words[1..])
        .current_dir(&program.directory)
        .envs(&program.environment)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "across roots\n",
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn needs_that_containers_cannot_see_met_are_named() {
    let fleet = sample();
    let crossings = export::crossings(&fleet);
    let [crossing] = crossings.as_slice() else { panic!("{crossings:?}") };
    assert_eq!(
        (crossing.from.to_string(), crossing.to.to_string()),
        ("pc2/Auth".to_owned(), "mainpc/Manager".to_owned())
    );
    for (files, name, start) in [
        (export::compose(&fleet), "compose.pc2.yaml", "# Warning: "),
        (export::quadlet(&fleet), "pc2/pc2-core.container", "# Warning: "),
        (export::kube(&fleet), "kube.yaml", "# Warning: "),
    ] {
        let told = lines(&files, name, start);
        assert!(told.iter().any(|line| line.contains("`pc2/Auth` needs `mainpc/Manager` of another host")), "{told:?}");
    }
}

/// A supervisor would wait for ever for what no supervisor tells.
#[test]
fn what_the_engine_starts_is_not_waited_for_inside() {
    let fleet = sample();
    let files = export::compose(&fleet);
    let inside = masque_fleet::import::description(&files.0[Path::new("fleet.gpu.json")]).unwrap();
    let translator = &inside.services[1];
    let needs: Vec<_> = translator.dependencies.iter().map(|dependency| dependency.on.to_string()).collect();
    assert_eq!(needs, ["mainpc/Manager"]);
    assert_eq!(translator.program.environment["MASQUE_DEP_DB"], "db:5432");
    assert_eq!(translator.program.environment["MASQUE_DEP_DB_SERVICE"], "mainpc/db");
    assert!(inside.services[3].group.is_none(), "a supervisor of the group would take it for its own");
    let text = &export::kube(&fleet).0[Path::new("kube.yaml")];
    assert!(text.contains(r#"\"MASQUE_DEP_DB\":\"db:5432\""#));
}

#[test]
fn restarts_are_kept_by_every_tool() {
    let exported = |policy, limit| {
        let mut fleet = plain_fleet("db");
        fleet.services[0].program.image = Some("db:1".to_owned());
        fleet.services[0].restart.policy = policy;
        fleet.services[0].restart.limit = limit;
        let quadlet = export::quadlet(&fleet);
        let of_quadlet =
            ["Restart=", "StartLimitBurst="].map(|start| lines(&quadlet, "h/db.container", start).concat());
        let kube = export::kube(&fleet);
        let of_kube = ["restartPolicy: ", "backoffLimit: "].map(|start| lines(&kube, "kube.yaml", start).concat());
        let compose = lines(&export::compose(&fleet), "compose.h.yaml", "restart: ").concat();
        format!("{compose}; {}; {}", of_quadlet.join(" "), of_kube.join(" "))
    };
    assert_eq!(exported(RestartPolicy::Always, Some(5)), "unless-stopped; always ;  ");
    assert_eq!(exported(RestartPolicy::OnFailure, Some(5)), "\"on-failure:5\"; on-failure 5; OnFailure 5");
    assert_eq!(exported(RestartPolicy::OnFailure, None), "on-failure; on-failure ; OnFailure 2147483647");
    assert_eq!(exported(RestartPolicy::Never, Some(5)), "\"no\"; no ; Never 0");
}

#[test]
fn variables_of_the_caller_are_passed_on() {
    let mut fleet = plain_fleet("app; db");
    fleet.services[0].program.pass = ["TOKEN", "PATH"].map(str::to_owned).to_vec();
    fleet.services[1].program.image = Some("db:1".to_owned());
    fleet.services[1].program.pass = vec!["TOKEN".to_owned(), "SET".to_owned()];
    fleet.services[1].program.environment.insert("SET".to_owned(), "here".to_owned());
    let compose = export::compose(&fleet);
    assert_eq!(lines(&compose, "compose.h.yaml", "TOKEN: "), ["null", "null"]);
    assert!(lines(&compose, "compose.h.yaml", "PATH: ").is_empty());
    let quadlet = export::quadlet(&fleet);
    for name in ["h/app.container", "h/db.container"] {
        assert_eq!(lines(&quadlet, name, "PodmanArgs=--env "), ["TOKEN"]);
        assert_eq!(lines(&quadlet, name, "PassEnvironment="), ["TOKEN"]);
    }
    let told = lines(&export::kube(&fleet), "kube.yaml", "# Warning: ");
    assert!(told.iter().any(|line| line.contains("`db`: nobody passes `TOKEN` on")), "{told:?}");
}

#[test]
fn checks_wait_for_the_chain_of_what_is_needed() {
    let fleet = plain_fleet("a: b; b: c; c; d");
    let told = lines(&export::compose(&fleet), "compose.h.yaml", "start_period: ");
    assert_eq!(told, ["90s", "60s", "30s", "30s"].map(|text| format!("\"{text}\"")));
    assert_eq!(lines(&export::kube(&fleet), "kube.yaml", "failureThreshold: ")[0], "90");
}

#[test]
fn kubernetes_puts_no_variables_into_texts() {
    let mut fleet = plain_fleet("db");
    let service = &mut fleet.services[0];
    service.program.image = Some("db:1".to_owned());
    service.program.command = masque_fleet::model::Command::Exec(vec!["run".to_owned(), "$(A)".to_owned()]);
    service.program.environment.insert("B".to_owned(), "$(A)".to_owned());
    service.program.account = Some(Account { user: "postgres".to_owned(), group: None });
    service.ready = Some(Probe::new(Check::Http(Http {
        address: "127.0.0.1:80".to_owned(),
        path: "/".to_owned(),
        headers: [].into(),
        status: (200, 204),
    })));
    let files = export::kube(&fleet);
    let text = &files.0[Path::new("kube.yaml")];
    for expected in [r#"- "$$(A)""#, r#"value: "$$(A)""#, "status=$$(curl ", "-le 204\"", "and not as `postgres`"] {
        assert!(text.contains(expected), "{expected} in {text}");
    }
    assert!(!text.contains("httpGet"));
}

#[test]
fn what_others_make_is_neither_made_nor_renamed() {
    let mut fleet = plain_fleet("db; web");
    let container = Container {
        network: Some(Network::Named("back".to_owned())),
        aliases: vec!["store".to_owned()],
        volumes: ["data:/data:Z", "own:/own", "/srv/x:/x:ro,z"].map(str::to_owned).to_vec(),
        publish: vec!["15432:5432".parse().unwrap()],
        ..Container::default()
    };
    fleet.groups.insert("db".to_owned(), Group { description: None, container: Some(container) });
    fleet.groups.insert(
        "web".to_owned(),
        Group {
            description: None,
            container: Some(Container { network: Some(Network::Host), ..Container::default() }),
        },
    );
    for (service, group) in fleet.services.iter_mut().zip(["db", "web"]) {
        service.group = Some(group.to_owned());
        service.program.image = Some("db:1".to_owned());
    }
    fleet.services[0].port = Some(15432);
    let external = |name: &str| Shared { name: name.to_owned(), external: true };
    fleet.networks.insert("back".to_owned(), external("company"));
    fleet.volumes.insert("data".to_owned(), external("company_data"));
    let compose = export::compose(&fleet);
    let text = &compose.0[Path::new("compose.h.yaml")];
    for expected in [
        "networks:\n  back:\n    name: company\n    external: true\n",
        "  data:\n    name: company_data\n    external: true\n",
        "- \"data:/data:Z\"\n",
        "- \"/srv/x:/x:z,ro\"\n",
        "- store\n",
        "network_mode: host\n",
    ] {
        assert!(text.contains(expected), "{expected} in {text}");
    }
    let quadlet = export::quadlet(&fleet);
    let names: Vec<_> = quadlet.0.keys().map(|path| path.display().to_string()).collect();
    assert_eq!(names, ["h/db.container", "h/plain-masque.volume", "h/plain-own.volume", "h/web.container"]);
    assert_eq!(lines(&quadlet, "h/db.container", "Network="), ["company"]);
    assert_eq!(lines(&quadlet, "h/web.container", "Network="), ["host"]);
    assert_eq!(
        lines(&quadlet, "h/db.container", "Volume=").concat(),
        "company_data:/data:Zplain-own.volume:/own/srv/x:/x:z,ro"
    );
    let kube = export::kube(&fleet);
    assert_eq!(lines(&kube, "kube.yaml", "claimName: "), ["company-data", "plain-own"]);
    assert_eq!(lines(&kube, "kube.yaml", "kind: PersistentVolumeClaim").len(), 1);
    assert_eq!(lines(&kube, "kube.yaml", "hostNetwork: "), ["true"]);
    assert_eq!(lines(&kube, "kube.yaml", "targetPort: "), ["5432"]);
    assert_eq!(lines(&kube, "kube.yaml", "- containerPort: "), ["5432"]);
}

#[test]
fn lines_of_a_shell_that_run_python_get_it() {
    let base = |line: &str| {
        let mut fleet = plain_fleet("a");
        fleet.services[0].program.command = masque_fleet::model::Command::Shell(line.to_owned());
        lines(&export::dockerfiles(&fleet), "Containerfile.base", "FROM ").concat()
    };
    assert!(base("cd x && exec python3 x.py").contains("python"));
    assert!(base("/srv/fleet/venv/bin/python x.py").contains("python"));
    assert!(base("cat python.txt/x").contains("debian"));
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

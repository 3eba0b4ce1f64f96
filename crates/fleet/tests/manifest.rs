//! Reading fleets from files: real files as they are found, every key, names and variables, and what is said about
//! broken ones.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on stops")]

use std::{collections::BTreeMap, fmt::Write as _, path::Path, time::Duration};

use masque_fleet::{
    export,
    graph::Graph,
    manifest::{self, Loaded, Variables},
    model::{
        Check, Command, Condition, Container, Fallback, Fleet, Kind, Network, OnLoss, RestartPolicy, ServiceId, Shared,
        Start,
    },
};
use proptest::prelude::*;
use serde_json::json;

/// Files by their names, the first one is loaded.
fn load(files: &[(&str, &str)], variables: &Variables) -> (tempfile::TempDir, Loaded) {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = directory.path().join(name);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, text).unwrap();
    }
    let loaded = manifest::load(&[directory.path().join(files[0].0)], variables);
    (directory, loaded)
}

/// The diagnostics as they are shown, with paths from the directory on.
fn shown(directory: &Path, loaded: &Loaded) -> String {
    let mut out = String::new();
    for diagnostic in &loaded.diagnostics {
        writeln!(out, "{diagnostic}").unwrap();
    }
    out.replace(&format!("{}/", directory.display()), "").replace(&directory.display().to_string(), ".")
}

/// The fleet of files without faults.
fn fleet(files: &[(&str, &str)]) -> (tempfile::TempDir, Fleet) {
    let (directory, loaded) = load(files, &Variables::default());
    assert_eq!(shown(directory.path(), &loaded), "");
    (directory, loaded.fleet.unwrap())
}

fn id(text: &str) -> ServiceId {
    ServiceId::try_from(text.to_owned()).unwrap()
}

const GPU: &str = include_str!("data/gpu_services.yaml");

#[test]
fn a_list_of_agents_is_read_as_it_is() {
    let (directory, fleet) = fleet(&[
        ("config/gpu_services.yaml", GPU),
        ("main_pc_code/FORMAINPC/NLLBAdapter.py", ""),
        ("main_pc_code/FORMAINPC/consolidated_translator.py", ""),
    ]);
    let root = directory.path().join("main_pc_code");
    assert_eq!(fleet.services.len(), 8);
    assert_eq!(fleet.directory, directory.path());
    assert_eq!(fleet.roots, [directory.path().to_owned(), root.clone()]);
    assert_eq!(fleet.hosts.keys().collect::<Vec<_>>(), ["local"]);
    let translator = fleet.service(&id("local/ConsolidatedTranslator")).unwrap();
    assert_eq!(translator.group.as_deref(), Some("gpu_services"));
    assert_eq!((translator.listen.as_deref(), translator.port), (Some("0.0.0.0"), Some(5563)));
    let on: Vec<String> = translator.dependencies.iter().map(|dependency| dependency.on.to_string()).collect();
    assert_eq!(on, ["local/MemoryOrchestrator", "local/ModelManagerAgent", "local/NLLBAdapter"]);
    assert_eq!(translator.program.script.as_deref(), Some("FORMAINPC/consolidated_translator.py"));
    let file = root.join("FORMAINPC/consolidated_translator.py");
    assert_eq!(translator.program.script_file, Some(file.clone()));
    assert_eq!(translator.program.command.words(), ["python3", "-u", &file.to_string_lossy()]);
    let Check::Zmq { address, request, expect } = &translator.ready.as_ref().unwrap().check else { panic!() };
    assert_eq!((address.as_str(), request), ("127.0.0.1:5563", &json!({"action": "health_check"})));
    assert!(expect[0].healthy.contains(&json!("ok")) && !expect[0].healthy.contains(&json!("error")));
    assert!(!expect[0].optional);
    assert_eq!(translator.ready, translator.live);
    let missing = fleet.service(&id("local/TinyLlamaService")).unwrap();
    assert_eq!(missing.program.script_file, None);
}

#[test]
fn one_script_has_two_names() {
    let agents =
        "agents:\n- {name: A, script_path: FORMAINPC/x.py}\n- {name: B, script_path: main_pc_code/FORMAINPC/x.py}\n";
    let file = ("main_pc_code/FORMAINPC/x.py", "");
    let (_a, above) = fleet(&[("agents.yaml", agents), file]);
    let (_b, inside) = fleet(&[("main_pc_code/config/startup_config.yaml", agents), file]);
    let toml = "roots = ['main_pc_code']\ninclude = ['agents.yaml']\n";
    let (_c, rooted) = fleet(&[("fleet.toml", toml), ("agents.yaml", agents), file]);
    for fleet in [above, inside, rooted] {
        let [a, b] = &fleet.services[..] else { panic!() };
        assert!(a.program.script_file.is_some());
        assert_eq!(a.program.script_file, b.program.script_file);
    }
}

#[test]
fn lists_of_agents_have_many_shapes() {
    let yaml = "
environment: {SHARED: 3.10, OTHER: a}
main_pc_agents:
  - {name: MemoryManager, script_path: a.py, port: 5000}
pc2_agents:
  - {name: MemoryManager, script_path: b.py, port: '5000', env: {OTHER: b}, dependencies: MainOnly}
agent_groups:
  core_services:
    MainOnly: {script_path: c.py, port: 5001, health_check_port: 6001, host: pc2, args: --x 1}
  more:
    - {name: Last, script_path: d.py, params: {level: 2, fast: true, slow: false}, dependencies: [mainpc/MemoryManager]}
";
    let toml = "name = 'two'\ninclude = ['startup_config.yaml']\n[hosts.pc2]\n[hosts.mainpc]\n";
    let toml = format!("{toml}[defaults]\nhost = 'mainpc'\n");
    let (_directory, fleet) = fleet(&[("fleet.toml", &toml), ("startup_config.yaml", yaml)]);
    let ids: Vec<String> = fleet.services.iter().map(|service| service.id.to_string()).collect();
    assert_eq!(ids, ["mainpc/MemoryManager", "pc2/MemoryManager", "pc2/MainOnly", "mainpc/Last"]);
    let [_, second, third, last] = &fleet.services[..] else { panic!() };
    assert_eq!(second.program.environment["OTHER"], "b");
    assert_eq!(second.program.environment["SHARED"], "3.10", "as it is written");
    assert_eq!(second.dependencies[0].on, id("pc2/MainOnly"));
    assert_eq!(third.health_port(), Some(6001));
    assert_eq!(third.group.as_deref(), Some("core_services"));
    assert_eq!(third.program.command.words()[3..], ["--x", "1"]);
    assert_eq!(last.program.command.words()[3..], ["--level=2", "--fast"]);
    assert!(last.ready.is_none(), "without a port there is nobody to ask");
}

#[test]
fn every_key_of_a_service_is_read() {
    let text = include_str!("data/every_key.toml");
    let variables = Variables {
        environment: BTreeMap::from([("HOME".to_owned(), "/root".to_owned())]),
        set: BTreeMap::from([("level".to_owned(), "debug".to_owned())]),
    };
    let (directory, loaded) = load(&[("fleet.toml", text), ("scripts/run.py", "")], &variables);
    assert_eq!(shown(directory.path(), &loaded), "");
    let fleet = loaded.fleet.unwrap();
    let json = serde_json::to_string_pretty(&fleet).unwrap();
    insta::assert_snapshot!("every_key", json.replace(&directory.path().display().to_string(), "/fleet"));
}

#[test]
fn names_mean_the_own_host_first() {
    let toml = "
[hosts.a]
[hosts.b]
[services.'a/x']
command = 'x'
[services.'b/x']
command = 'x'
dependencies = ['y', 'x', 'a/x', 'nowhere']
[services.'a/y']
command = 'y'
fallback = ['x', 'b/x', { environment = { WITHOUT = 1 } }]
";
    let (_directory, fleet) = fleet(&[("fleet.toml", toml)]);
    let of = |name: &str| fleet.service(&id(name)).unwrap();
    let on: Vec<String> = of("b/x").dependencies.iter().map(|dependency| dependency.on.to_string()).collect();
    assert_eq!(on, ["a/y", "b/x", "a/x", "b/nowhere"]);
    let environment = Fallback::Environment(BTreeMap::from([("WITHOUT".to_owned(), "1".to_owned())]));
    assert_eq!(of("a/y").fallback, [Fallback::Service(id("a/x")), Fallback::Service(id("b/x")), environment]);
}

#[test]
fn the_fleet_file_adds_to_included_services() {
    let toml = "
include = [{ files = 'a.yaml', host = 'one', group = 'g' }]
port_offset = 100
[hosts.one]
[hosts.two]
[groups.g]
host = 'one'
defaults = { health_port_offset = 1, limits = { memory = '1GiB' }, live = { period = '1s' } }
[services.A]
fallback = ['B']
limits = { processes = 7 }
[services.B]
command = 'b'
host = 'two'
start = 'standby'
";
    let yaml = "agents:\n- {name: A, script_path: a.py, port: 5000}\n";
    let (_directory, fleet) = fleet(&[("fleet.toml", toml), ("a.yaml", yaml)]);
    let a = fleet.service(&id("one/A")).unwrap();
    assert_eq!((a.port, a.health_port()), (Some(5100), Some(5101)));
    assert_eq!(a.fallback, [Fallback::Service(id("two/B"))]);
    assert_eq!((a.limits.memory_bytes, a.limits.processes), (Some(1 << 30), Some(7)));
    let live = a.live.as_ref().unwrap();
    assert!(matches!(&live.check, Check::Zmq { address, .. } if address == "127.0.0.1:5101"));
    assert_eq!(live.period, Duration::from_secs(1));
    assert_eq!(fleet.service(&id("two/B")).unwrap().start, Start::Standby);
}

#[test]
fn compose_files_are_read_as_they_are() {
    for (name, text) in [
        ("mainpc", include_str!("data/podman-compose.mainpc.yml")),
        ("pc2", include_str!("data/podman-compose.pc2.yml")),
    ] {
        let (directory, loaded) = load(&[("podman-compose.yml", text)], &Variables::default());
        let told = shown(directory.path(), &loaded);
        let fleet = loaded.fleet.unwrap();
        let json = serde_json::to_string_pretty(&fleet).unwrap();
        let json = json.replace(&directory.path().display().to_string(), "/fleet");
        let json = json.replace(&directory.path().file_name().unwrap().to_string_lossy().replace('.', ""), "fleet");
        let json: Vec<&str> = json.lines().filter(|line| !line.contains("\"name\": \"")).collect();
        insta::assert_snapshot!(format!("compose_{name}"), format!("{told}\n{}", json.join("\n")));
    }
}

#[test]
fn compose_keys_become_what_they_mean() {
    let yaml = "
name: shop
services:
  db:
    image: postgres:17
    user: '70:70'
    working_dir: /data
    stop_signal: SIGINT
    stop_grace_period: 1m30s
    env_file: [{path: db.env}, {path: none.env, required: false}]
    environment: {POSTGRES_DB: shop, TERM:}
    healthcheck: {test: pg_isready, interval: 5s, timeout: 1s, retries: 2, start_period: 90s, start_interval: 1s}
    restart: on-failure:5
    deploy: {resources: {limits: {cpus: '0.5', memory: 512M, pids: 99}}}
    volumes: ['data:/data', {type: bind, source: ./x, target: /x, read_only: true}, {type: tmpfs, target: /tmp}]
  migrate:
    build: {context: ./migrate, dockerfile: Other, args: {A: 1}}
    command: 'run \"two words\" $$HOME'
    depends_on: {db: {condition: service_healthy, restart: true}}
  web:
    image: web
    entrypoint: [/bin/web]
    ports: ['127.0.0.1:8443:443', '9000-9001:9000-9001', {target: 80, published: '8080', protocol: tcp}]
    healthcheck: {test: [CMD, curl, -f, localhost]}
    depends_on: {migrate: {condition: service_completed_successfully, required: false}, cache: {condition: service_started}}
    networks: {front: {ipv4_address: 10.0.0.2}, back: }
    cap_add: [NET_ADMIN]
  cache:
    image: cache
    profiles: [extra]
    healthcheck: {test: [NONE]}
    restart: no
volumes: {data: }
";
    let env = "# comment\nPOSTGRES_DB=other\nexport POSTGRES_USER='the user' \nPLAIN=a b # c\n";
    let (directory, loaded) = load(&[("compose.yaml", yaml), ("db.env", env)], &Variables::default());
    let told = shown(directory.path(), &loaded);
    let lost: Vec<&str> = told.lines().filter(|line| !line.starts_with("  hint")).collect();
    assert_eq!(
        lost,
        [
            "compose.yaml:15:85: warning: a volume of type `tmpfs` of `db` is not kept",
            "compose.yaml:17:52: warning: `build.args` of `migrate` is not kept",
            "compose.yaml:26:49: warning: the second network `back` of `web` is not kept",
            "compose.yaml:27:5: warning: `cap_add` of `web` is not kept",
        ]
    );
    let fleet = loaded.fleet.unwrap();
    let of = |name: &str| fleet.service(&ServiceId::new("local", name)).unwrap();
    let db = of("db");
    assert_eq!(fleet.name, "shop");
    assert_eq!(db.program.image.as_deref(), Some("postgres:17"));
    assert_eq!(db.program.command, Command::Exec(Vec::new()));
    assert_eq!(db.program.environment["POSTGRES_DB"], "shop");
    assert_eq!(db.program.environment["POSTGRES_USER"], "the user");
    assert_eq!(db.program.environment["PLAIN"], "a b");
    assert_eq!(db.program.pass, ["TERM"]);
    assert_eq!(db.program.directory, Path::new("/data"));
    assert_eq!((db.stop.signal.as_str(), db.stop.grace), ("INT", Duration::from_secs(90)));
    assert_eq!((db.restart.policy, db.restart.limit), (RestartPolicy::OnFailure, Some(5)));
    assert_eq!((db.limits.milli_cpus, db.limits.memory_bytes), (Some(500), Some(512 << 20)));
    let ready = db.ready.as_ref().unwrap();
    assert_eq!(ready.check, Check::Exec(Command::Shell("pg_isready".to_owned())));
    assert_eq!((ready.period, ready.failures), (Duration::from_secs(5), 2));
    assert_eq!(db.ready_within, Duration::from_secs(100));
    assert_eq!(
        fleet.groups["db"].container.as_ref().unwrap().volumes,
        ["data:/data".to_owned(), format!("{}:/x:ro", directory.path().join("x").display())]
    );
    let migrate = of("migrate");
    assert_eq!(migrate.program.command.words(), ["run", "two words", "$HOME"]);
    assert_eq!(migrate.restart.policy, RestartPolicy::Never);
    assert_eq!(migrate.kind, Kind::Task, "another one waits for its end");
    assert_eq!(migrate.dependencies[0].condition, Condition::Ready);
    assert_eq!(migrate.dependencies[0].on_loss, OnLoss::Restart);
    let build = fleet.groups["migrate"].container.as_ref().unwrap().build.clone().unwrap();
    assert_eq!((build.context, build.file), (directory.path().join("migrate"), Some("Other".into())));
    let web = of("web");
    assert_eq!((web.port, web.ports["9001"], web.ports["8080"]), (Some(8443), 9001, 8080));
    assert_eq!(web.dependencies[0].condition, Condition::Completed);
    assert!(!web.dependencies[0].required);
    assert_eq!(
        (of("cache").start, of("cache").ready.is_none(), of("cache").kind),
        (Start::Standby, true, Kind::Service)
    );
}

/// A Compose file: the fleet, and what is told without hints.
fn compose(yaml: &str) -> (tempfile::TempDir, Fleet, Vec<String>) {
    let environment = BTreeMap::from([("HOME".to_owned(), "/home/ada".to_owned())]);
    let (directory, loaded) = load(&[("compose.yaml", yaml)], &Variables { environment, ..Variables::default() });
    let told = shown(directory.path(), &loaded);
    let told = told.lines().filter(|line| !line.starts_with("  hint")).map(str::to_owned).collect();
    (directory, loaded.fleet.unwrap_or_default(), told)
}

fn container<'a>(fleet: &'a Fleet, group: &str) -> &'a Container {
    fleet.groups[group].container.as_ref().unwrap()
}

#[test]
fn containers_of_compose_keep_their_place() {
    let yaml = "
services:
  db:
    image: db
    networks: {back: {aliases: [store, sql], ipv6_address: 'fd00::2', priority: 5}}
    ports: ['15571:5571', '127.0.0.1::80', '7000-7001:80/udp', {target: 81, host_ip: '::1', published: '82', x: y}]
    healthcheck: {test: [CMD, python3, -c, \"import zmq; s = zmq.Context().socket(zmq.REQ); s.connect('tcp://localhost:5571')\"]}
    volumes:
      - ./a:/a:Z,U
      - ../b:/b
      - ~/c:/c
      - models:/m
      - {type: bind, source: d, target: /d, bind: {selinux: z, propagation: rshared, create_host_path: false}}
      - {type: volume, source: models, target: /e, volume: {nocopy: true, subpath: x}, consistency: cached}
    labels: {a: b}
  near: {image: near, network_mode: host, ports: ['8080:80']}
  plain: {image: plain}
networks:
  back: {external: true, name: the_back}
  old: {external: {name: older}}
  default: {name: shared, driver: bridge}
volumes: {models: {external: true}, own: {driver: nfs}}
";
    let (directory, fleet, told) = compose(yaml);
    assert_eq!(
        told,
        [
            "compose.yaml:5:46: warning: `ipv6_address` in the network `back` of `db` is not kept",
            "compose.yaml:5:71: warning: `priority` in the network `back` of `db` is not kept",
            "compose.yaml:6:110: warning: `x` of a port of `db` is not kept",
            "compose.yaml:13:86: warning: `bind.create_host_path` of a volume of `db` is not kept",
            "compose.yaml:14:75: warning: `volume.subpath` of a volume of `db` is not kept",
            "compose.yaml:14:88: warning: `consistency` of a volume of `db` is not kept",
            "compose.yaml:15:5: warning: `labels` of `db` is not kept",
            "compose.yaml:22:43: warning: `driver` of `own` under `volumes` is not kept",
        ]
    );
    let db = container(&fleet, "db");
    assert_eq!(db.network, Some(Network::Named("back".to_owned())));
    assert_eq!((db.aliases.as_slice(), &db.address), (["store".to_owned(), "sql".to_owned()].as_slice(), &None));
    let ports: Vec<String> = db.publish.iter().map(ToString::to_string).collect();
    assert_eq!(ports, ["15571:5571", "127.0.0.1::80", "7000-7001:80/udp", "[::1]:82:81"]);
    let here = directory.path().display();
    let above = directory.path().parent().unwrap().display();
    let volumes = [
        format!("{here}/a:/a:Z,U"),
        format!("{above}/b:/b"),
        "/home/ada/c:/c".to_owned(),
        "models:/m".to_owned(),
        format!("{here}/d:/d:z,rshared"),
        "models:/e:nocopy".to_owned(),
    ];
    assert_eq!(db.volumes, volumes);
    assert_eq!(container(&fleet, "near").network, Some(Network::Host));
    assert_eq!(container(&fleet, "plain").network, Some(Network::Named("default".to_owned())));
    let shared = |name: &str, external: bool| Shared { name: name.to_owned(), external };
    assert_eq!(fleet.networks["back"], shared("the_back", true));
    assert_eq!(fleet.networks["old"], shared("older", true));
    assert_eq!(fleet.networks["default"], shared("shared", false));
    assert_eq!(fleet.volumes, BTreeMap::from([("models".to_owned(), shared("models", true))]));
    let service = fleet.service(&id("local/db")).unwrap();
    assert_eq!(service.port, Some(15571));
    let Check::Zmq { address, .. } = &service.ready.as_ref().unwrap().check else { panic!() };
    assert_eq!(address, "127.0.0.1:5571", "a container is asked from inside");
    assert_eq!(fleet.service(&id("local/near")).unwrap().port, Some(80), "the machine's network passes nothing on");
    assert_eq!(fleet.places.of(&service.id).map(|place| place.line), Some(3));
}

#[test]
fn restarts_of_compose_are_what_deploy_says_first() {
    let yaml = "
services:
  a: {image: a, deploy: {restart_policy: {condition: on-failure, max_attempts: 3, delay: 5s}}, restart: always}
  b: {image: b, deploy: {restart_policy: {max_attempts: 3}}}
  c: {image: c, restart: on-failure}
  d: {image: d, restart: }
";
    let (_directory, fleet, told) = compose(yaml);
    let of = |name: &str| fleet.service(&ServiceId::new("local", name)).map(|found| &found.restart).unwrap();
    let restart = |name: &str| (of(name).policy, of(name).limit);
    assert_eq!(restart("a"), (RestartPolicy::OnFailure, Some(3)));
    assert_eq!(restart("b"), (RestartPolicy::Always, None));
    assert_eq!(restart("c"), (RestartPolicy::OnFailure, None));
    assert_eq!(of("d").policy, RestartPolicy::Never);
    assert_eq!(
        told,
        [
            "compose.yaml:3:83: warning: `deploy.restart_policy.delay` of `a` is not kept",
            "compose.yaml:4:43: warning: `deploy.restart_policy.max_attempts` of `b` is not kept",
        ]
    );
}

#[test]
fn two_hosts_may_have_services_of_one_name_in_different_containers() {
    let toml = "
include = [{ files = 'a/compose.yaml', host = 'a' }, { files = 'b/compose.yaml', host = 'b' }]
[hosts.a]
[hosts.b]
[groups.own]
";
    let yaml = |tag: &str| format!("services: {{db: {{image: 'db:{tag}', ports: ['{tag}:80'], volumes: ['./x:/x']}}}}");
    let files = [("fleet.toml", toml), ("a/compose.yaml", &yaml("1")), ("b/compose.yaml", &yaml("2"))];
    let (directory, fleet) = fleet(&files);
    for (host, group, port) in [("a", "db", "1:80"), ("b", "b.db", "2:80")] {
        assert_eq!(fleet.service(&ServiceId::new(host, "db")).unwrap().group.as_deref(), Some(group));
        assert_eq!(container(&fleet, group).publish[0].to_string(), port);
        let path = directory.path().join(host).join("x");
        assert_eq!(container(&fleet, group).volumes, [format!("{}:/x", path.display())]);
    }
    let toml = "include = ['compose.yaml']\n[groups.db]\n";
    let (directory, loaded) = load(&[("fleet.toml", toml), ("compose.yaml", &yaml("1"))], &Variables::default());
    assert!(shown(directory.path(), &loaded).contains("compose.yaml:1:12: error: there is a group `db` already"));
}

#[test]
fn an_export_is_read_as_the_fleet_that_it_was() {
    let toml = "[services.x]\ncommand = 'echo $HOME'\nport = 80\nready = { tcp = true }\n";
    let (_directory, fleet) = fleet(&[("fleet.toml", toml)]);
    let files = export::compose(&fleet).0;
    let files: Vec<(String, String)> =
        files.into_iter().map(|(path, text)| (path.to_string_lossy().into_owned(), text)).collect();
    let json = serde_json::to_string(&fleet).unwrap();
    let compose = files.iter().find(|(path, _)| path.starts_with("compose")).unwrap();
    for (name, text) in [(compose.0.as_str(), compose.1.as_str()), ("fleet.json", json.as_str())] {
        let (directory, loaded) = load(&[(name, text)], &Variables::default());
        assert_eq!(shown(directory.path(), &loaded), "");
        assert_eq!(loaded.fleet.unwrap(), fleet, "{name}");
    }
}

#[test]
fn exports_of_every_kind_are_read_as_the_fleet_that_they_were() {
    let toml = "[hosts.a]\n[hosts.b]\n[services.'a/x']\ncommand = 'x'\nport = 80\n[services.'b/y']\ncommand = 'y'\ndependencies = ['x']\n";
    let (_directory, fleet) = fleet(&[("fleet.toml", toml)]);
    for (write, below) in [
        (export::compose as fn(&Fleet) -> export::Files, ""),
        (export::quadlet, ""),
        (export::kube, ""),
        (export::kube, "kube.yaml"),
    ] {
        let directory = tempfile::tempdir().unwrap();
        write(&fleet).write(directory.path()).unwrap();
        let loaded = manifest::load(&[directory.path().join(below)], &Variables::default());
        assert_eq!(shown(directory.path(), &loaded), "");
        assert_eq!(loaded.fleet.unwrap(), fleet);
    }
    let directory = tempfile::tempdir().unwrap();
    export::quadlet(&fleet).write(directory.path()).unwrap();
    let told = |path: &Path| shown(directory.path(), &manifest::load(&[path.to_owned()], &Variables::default()));
    let partial = told(&directory.path().join("a"));
    assert!(partial.starts_with("a: error: these files lack `b/y` of their fleet; name all files"), "{partial}");
    fs_err::create_dir(directory.path().join("empty")).unwrap();
    let empty = told(&directory.path().join("empty"));
    assert!(empty.starts_with("empty: error: these files were not made by `masque fleet render`"), "{empty}");
}

#[test]
fn overrides_keep_services_in_their_groups() {
    let toml = "
include = [{ files = 'a.yaml', group = 'own' }]
port_offset = 1000
[defaults]
group = 'usual'
[groups.usual]
[groups.own]
[services.a]
ready_within = '5s'
[services.b]
command = 'b'
";
    let (_directory, fleet) = fleet(&[("fleet.toml", toml), ("a.yaml", "agents:\n- {name: a, script_path: a.py}\n")]);
    let group = |name: &str| fleet.service(&ServiceId::new("local", name)).unwrap().group.clone();
    assert_eq!((group("a").as_deref(), group("b").as_deref()), (Some("own"), Some("usual")));
}

#[test]
fn containers_are_asked_by_their_own_ports() {
    let toml = "
include = ['compose.yaml']
port_offset = 1000
[services.db]
ready = { tcp = true }
live = { http = { port = 5572 } }
";
    let yaml = "services: {db: {image: db, ports: ['15571:5571']}}";
    let (_directory, fleet) = fleet(&[("fleet.toml", toml), ("compose.yaml", yaml)]);
    let db = &fleet.services[0];
    assert_eq!((db.port, container(&fleet, "db").publish[0].to_string().as_str()), (Some(16571), "16571:5571"));
    assert_eq!(db.ready.as_ref().unwrap().check, Check::Tcp("127.0.0.1:5571".to_owned()));
    let Check::Http(http) = &db.live.as_ref().unwrap().check else { panic!() };
    assert_eq!(http.address, "127.0.0.1:5572");
}

#[test]
fn values_that_only_mean_degraded_are_no_demands() {
    let toml = "[services.x]\ncommand = 'x'\nport = 80\nready = { zmq = { degraded = { load = 'high' } } }\n";
    let (_directory, fleet) = fleet(&[("fleet.toml", toml)]);
    let Check::Zmq { expect, .. } = &fleet.services[0].ready.as_ref().unwrap().check else { panic!() };
    let [load, status] = &expect[..] else { panic!() };
    assert_eq!((load.path.as_str(), load.optional, load.healthy.len()), ("load", true, 0));
    assert_eq!((status.path.as_str(), status.optional), ("status", false));
}

#[test]
fn the_nearest_manifest_is_found() {
    let (directory, _) = fleet(&[("fleet.toml", "[services.x]\ncommand = 'x'\n"), ("a/b/x.py", "")]);
    assert_eq!(manifest::find(&directory.path().join("a/b")), Some(directory.path().join("fleet.toml")));
}

#[test]
fn the_schema_takes_what_the_reader_takes() {
    let schema = manifest::schema();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let text = include_str!("data/every_key.toml");
    let value: serde_json::Value = toml::from_str(text).unwrap();
    let faults: Vec<String> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
    assert_eq!(faults, Vec::<String>::new());
    for wrong in [
        "nmae = 'x'",
        "[services.x]\ncomand = 'x'",
        "[services.x]\nport = 70000",
        "[services.x]\nready_within = '20'",
        "[services.x]\nrestart = 'sometimes'",
        "[hosts.x]\naddress = 1",
    ] {
        assert!(!validator.is_valid(&toml::from_str(wrong).unwrap()), "{wrong}");
    }
}

/// Broken files and what is said about them.
#[test]
fn broken_manifests_are_explained() {
    let bomb = format!(
        "a: &a [x, x, x, x, x, x, x, x, x, x]\n{}",
        ('b'..='j').map(|at| { let before = char::from(at as u8 - 1); format!("{at}: &{at} [*{before}, *{before}, *{before}, *{before}, *{before}, *{before}, *{before}, *{before}, *{before}, *{before}]\n") }).collect::<String>()
    );
    let deep = format!("agents: {}{}\n", "[".repeat(60), "]".repeat(60));
    let cases: Vec<(&str, Vec<(&str, &str)>)> = vec![
        ("TOML that is none", vec![("fleet.toml", "[services.x]\ncommand = \n")]),
        ("a key that is there twice", vec![("fleet.toml", "name = 'a'\nname = 'b'\n")]),
        ("many faults at once", vec![("fleet.toml", include_str!("data/many_faults.toml"))]),
        ("unknown key at the top", vec![("fleet.toml", "nmae = 'x'\n[service.x]\ncommand = 'x'\n")]),
        ("no services", vec![("fleet.toml", "name = 'x'\n")]),
        ("nothing to execute", vec![("fleet.toml", "[services.x]\nport = 80\n")]),
        ("command and script", vec![("fleet.toml", "[services.x]\ncommand = 'x'\nscript = 'x.py'\n")]),
        ("unknown host", vec![("fleet.toml", "[hosts.mainpc]\n[services.x]\ncommand = 'x'\nhost = 'manpc'\n")]),
        ("no host said", vec![("fleet.toml", "[hosts.a]\n[hosts.b]\n[services.x]\ncommand = 'x'\n")]),
        ("unknown group", vec![("fleet.toml", "[groups.core]\n[services.x]\ncommand = 'x'\ngroup = 'cor'\n")]),
        (
            "group on another host",
            vec![(
                "fleet.toml",
                "[hosts.a]\n[hosts.b]\n[groups.g]\nhost = 'a'\n[services.'b/x']\ncommand = 'x'\ngroup = 'g'\n",
            )],
        ),
        (
            "unknown variables",
            vec![(
                "fleet.toml",
                "[variables]\nbase = '/x'\na = '${b}'\nb = '${a}'\n[services.x]\ncommand = '${bsae}/x ${env:NONE} ${x%%y} ${'\n",
            )],
        ),
        (
            "a name on several hosts",
            vec![(
                "fleet.toml",
                "[hosts.a]\n[hosts.b]\n[hosts.c]\n[services.'a/x']\ncommand = 'x'\n[services.'b/x']\ncommand = 'x'\n[services.'c/y']\ncommand = 'y'\ndependencies = ['x', 'd/x', 'a b']\n",
            )],
        ),
        (
            "words for a script that is not there",
            vec![(
                "fleet.toml",
                "[defaults]\ninterpreter = 'python3.13'\n[services.x]\ncommand = 'x'\nargs = ['a']\n[services.y]\nimage = 'y'\ninterpreter = 'sh'\n[services.z]\ncommand = 'z'\n",
            )],
        ),
        (
            "a descriptor that is to say that a service lives",
            vec![("fleet.toml", "[services.x]\ncommand = 'x'\nready = { fd = true }\nlive = { fd = true }\n")],
        ),
        (
            "an override that moves a service to another host's group",
            vec![
                (
                    "fleet.toml",
                    "include = [{ files = 'a.yaml', host = 'a' }]\n[hosts.a]\n[hosts.b]\n[groups.g]\nhost = 'b'\n[services.x]\ngroup = 'g'\n",
                ),
                ("a.yaml", "agents:\n- {name: x, script_path: x.py}\n"),
            ],
        ),
        (
            "ports and volumes of a container",
            vec![(
                "fleet.toml",
                "[groups.g.container]\npublish = ['80:x']\nvolumes = ['~eve/x:/x']\n[services.x]\ncommand = 'x'\n",
            )],
        ),
        ("probes", vec![("fleet.toml", include_str!("data/broken_probes.toml"))]),
        (
            "hosts",
            vec![(
                "fleet.toml",
                "[hosts.a]\nlink = 7400\nkey = 'ed25519:12'\nmemory = 'much'\n[hosts.'b c']\n[services.'a/x']\ncommand = 'x'\n",
            )],
        ),
        (
            "an include without files",
            vec![("fleet.toml", "include = ['config/*.yaml', { file = 'x' }]\n[services.x]\ncommand = 'x'\n")],
        ),
        (
            "an included file that is broken",
            vec![
                ("fleet.toml", "include = ['a.yaml', 'b.yaml']\n"),
                ("a.yaml", "agents: [\n"),
                ("b.yaml", "agents:\n- name: x\n"),
            ],
        ),
        (
            "declared twice",
            vec![
                ("fleet.toml", "include = ['a.yaml', 'b.yaml']\n[services.x]\ncommand = 'x'\n"),
                ("a.yaml", "agents:\n- {name: x, script_path: x.py}\n"),
                ("b.yaml", "agents:\n- {name: x, script_path: x.py}\n"),
            ],
        ),
        (
            "ports above the end",
            vec![(
                "fleet.toml",
                "port_offset = 60000\n[services.x]\ncommand = 'x'\nport = 5600\nhealth_port_offset = 6\n",
            )],
        ),
        ("tabs in YAML", vec![("agents.yaml", "agents:\n\t- name: x\n")]),
        (
            "a key that is there twice in YAML",
            vec![("agents.yaml", "agents:\n- name: x\n  name: y\n  script_path: x.py\n")],
        ),
        ("agents with faults", vec![("agents.yaml", include_str!("data/broken_agents.yaml"))]),
        ("no manifest", vec![("some.yaml", "a: 1\n")]),
        ("an empty file", vec![("agents.yaml", "")]),
        ("an alias bomb", vec![("agents.yaml", &bomb)]),
        ("too deep", vec![("agents.yaml", &deep)]),
        ("Compose with faults", vec![("compose.yaml", include_str!("data/broken_compose.yaml"))]),
    ];
    let mut out = String::new();
    for (title, files) in cases {
        let (directory, loaded) = load(&files, &Variables::default());
        assert!(loaded.fleet.is_none(), "{title}: it was taken");
        let told = shown(directory.path(), &loaded);
        assert!(!told.is_empty(), "{title}: nothing is said");
        writeln!(out, "## {title}\n{told}").unwrap();
    }
    insta::assert_snapshot!("broken", out);
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("fleet.toml");
    let loaded = manifest::load(std::slice::from_ref(&path), &Variables::default());
    assert!(loaded.fleet.is_none());
    assert!(shown(directory.path(), &loaded).starts_with("fleet.toml: error: cannot read it"));
    fs_err::write(&path, b"name = 'x'\n\xff").unwrap();
    let loaded = manifest::load(std::slice::from_ref(&path), &Variables::default());
    assert_eq!(
        shown(directory.path(), &loaded),
        "fleet.toml:2:1: error: this is not UTF-8\n  hint: save the file as UTF-8\n"
    );
    fs_err::write(&path, "#".repeat(9 << 20)).unwrap();
    let loaded = manifest::load(&[path], &Variables::default());
    assert!(shown(directory.path(), &loaded).contains("it has 9437184 bytes"));
}

/// A text with some of its bytes changed, removed or doubled.
fn mangled(text: &'static str) -> impl Strategy<Value = String> {
    let change = (0..text.len(), 0..4_u8, prop::sample::select(&b"[]{}:-'\"#$&*!|>%\n\t =.,a0\xc3"[..]));
    prop::collection::vec(change, 1..8).prop_map(move |changes| {
        let mut bytes = text.as_bytes().to_vec();
        for (at, what, byte) in changes {
            let at = at % bytes.len().max(1);
            match what {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                2 => bytes.truncate(at.max(1)),
                _ => bytes.drain(at..(at + 20).min(bytes.len())).for_each(drop),
            }
            if bytes.is_empty() {
                bytes.push(byte);
            }
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(150) })]

    #[test]
    fn reading_never_panics(
        toml in mangled(include_str!("data/every_key.toml")),
        agents in mangled(GPU),
        compose in mangled(include_str!("data/podman-compose.mainpc.yml")),
    ) {
        for (name, text) in [("fleet.toml", &toml), ("agents.yaml", &agents), ("compose.yaml", &compose)] {
            let (_directory, loaded) = load(&[(name, text)], &Variables::default());
            let errors = loaded.diagnostics.iter().any(|d| d.severity == masque_types::diagnostic::Severity::Error);
            prop_assert_eq!(loaded.fleet.is_none(), errors, "{}", text);
        }
    }
}

/// The example fleet of the repository: every agent, its traps, and nothing to warn about.
#[test]
fn the_example_fleet_is_complete() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fleets/ai-system");
    let loaded = manifest::load(&[directory.join("fleet.toml")], &Variables::default());
    assert_eq!(shown(&directory, &loaded), "");
    let fleet = loaded.fleet.unwrap();
    let (substitutes, agents): (Vec<_>, Vec<_>) = fleet.services.iter().partition(|service| {
        ["PhiTranslationService", "FixedStreamingTranslation"].contains(&service.id.name.as_str())
    });
    let on = |host: &str| agents.iter().filter(|service| service.id.host == host).count();
    assert_eq!((substitutes.len(), on("mainpc"), on("pc2"), fleet.groups.len()), (2, 59, 30, 16));
    let missing: Vec<&str> = fleet
        .services
        .iter()
        .filter(|service| service.program.script_file.is_none())
        .map(|service| service.id.name.as_str())
        .collect();
    assert_eq!(missing, ["PhiTranslationService"]);
    let health = |text: &str| fleet.service(&id(text)).unwrap().health_port();
    assert_eq!(health("mainpc/SystemDigitalTwin"), Some(7121));
    assert_eq!(health("mainpc/MemoryOrchestrator"), Some(5576));
    assert_eq!(health("mainpc/ConsolidatedTranslator"), Some(5563));
    assert_eq!(health("pc2/AuthenticationAgent"), Some(8116));
    let of_pc2 = &fleet.service(&id("pc2/UnifiedMemoryReasoningAgent")).unwrap().dependencies;
    assert_eq!(of_pc2[0].on, id("pc2/MemoryManager"), "there is one on each machine");
    let across =
        agents.iter().flat_map(|service| service.dependencies.iter().map(move |needed| (&service.id, &needed.on)));
    let across: Vec<_> = across.filter(|(from, to)| from.host != to.host).collect();
    assert!(across.len() >= 5 && across.iter().all(|(from, _)| from.host == "pc2"), "{across:?}");
    let graph = Graph::of(&fleet);
    assert_eq!(graph.waves().unwrap().len(), 12);
    let mut ports: Vec<u16> =
        fleet.services.iter().flat_map(|service| service.ports.values().copied().chain(service.port)).collect();
    let all = ports.len();
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), all, "both hosts can run on one machine");
}

//! What a service gets, and whether what it executes is there.

use std::{collections::BTreeMap, path::PathBuf};

use masque_fleet::model::{Command, Host, Limits};
use masque_sandbox::service::{ServiceEnd, ServiceGroups, find_marked};
use masque_supervisor::process::{INSTANCE_VARIABLE, Surroundings, adopt, missing};

use crate::stage::{Stage, guarded, own, service};

#[tokio::test]
async fn a_service_gets_exactly_its_environment() {
    let mut stage = Stage::changed("env | sort; pwd; echo error >&2", None, |service| {
        service.port = Some(5570);
        service.listen = Some("0.0.0.0".into());
        service.program.pass = vec!["GIVEN".into(), "ABSENT".into()];
        service.program.environment.insert("A".into(), "1".into());
        service.program.environment.insert("B".into(), "1".into());
    });
    let host = Host { environment: BTreeMap::from([("A".into(), "0".into())]), ..Host::default() };
    let dependencies = BTreeMap::from([("B".into(), "2".into()), ("MASQUE_DEP_X".into(), "127.0.0.1:1".into())]);
    let groups = ServiceGroups::default();
    let surroundings =
        Surroundings::of(&stage.service, &host, &stage.instance, &dependencies, &own(), &groups).unwrap();
    let process = surroundings.start(stage.hooks.take_additions(), &stage.capture).unwrap();
    assert_eq!(guarded(process.wait()).await.unwrap(), ServiceEnd::Code(0));
    stage.capture.drain().await;
    let lines: Vec<String> = stage.capture.tail(99).unwrap().iter().map(|line| line.text()).collect();
    let directory = stage.service.program.directory.display().to_string();
    let fleet = stage.instance.fleet();
    let expected = [
        "A=1",
        "B=2",
        "GIVEN=g",
        "HOST=0.0.0.0",
        "MASQUE_DEP_X=127.0.0.1:1",
        &format!("MASQUE_FLEET={fleet}"),
        "MASQUE_HOST=pc1",
        &format!("MASQUE_INSTANCE={}", stage.instance.cookie()),
        "MASQUE_SERVICE=agent",
        &format!("PATH={}", own()["PATH"]),
        "PORT=5570",
        &format!("PWD={directory}"),
        &directory,
        "error",
    ];
    assert_eq!(lines, expected);
}

#[tokio::test]
async fn a_later_supervisor_finds_and_takes_over_what_runs() {
    let mut stage = Stage::new("exec sleep 1000", None);
    let started = stage.start();
    let found = find_marked(INSTANCE_VARIABLE.as_ref()).unwrap();
    let found = found.iter().find(|found| found.value == stage.instance.cookie()).unwrap();
    let adopted = adopt(&stage.instance, found.process, found.start_time, &ServiceGroups::default()).unwrap();
    guarded(adopted.kill_tree()).await.unwrap();
    assert_eq!(guarded(adopted.wait()).await.unwrap(), ServiceEnd::Unknown);
    assert_eq!(guarded(started.wait()).await.unwrap(), ServiceEnd::Signal(libc_kill()));
}

fn libc_kill() -> i32 {
    masque_sandbox::service::signals::number("KILL").unwrap()
}

#[test]
fn what_is_missing_is_told_before_a_start() {
    let directory = tempfile::tempdir().unwrap();
    let told = |change: &dyn Fn(&mut masque_fleet::model::Program)| {
        let mut service = service("true", directory.path(), None);
        change(&mut service.program);
        let why = missing(&service, &BTreeMap::from([("PATH".into(), "/usr/bin:/bin".into())]));
        why.map(|why| why.replace(&directory.path().display().to_string(), "DIR"))
    };
    let exec = |word: &str| Command::Exec(vec![word.to_owned()]);
    assert_eq!(told(&|_| ()), None);
    assert_eq!(told(&|program| program.command = exec("sh")), None);
    assert_eq!(
        told(&|program| program.image = Some("redis:7".into())).unwrap(),
        "it runs in the image `redis:7`, which `masque fleet deploy` starts and no supervisor"
    );
    assert_eq!(
        told(&|program| program.script = Some("a/x.py".into())).unwrap(),
        "script `a/x.py` is in none of the fleet's directories"
    );
    let with_file = |program: &mut masque_fleet::model::Program, file: PathBuf| {
        program.script = Some("x.py".into());
        program.script_file = Some(file);
    };
    assert_eq!(told(&|program| with_file(program, "/bin/sh".into())), None);
    assert_eq!(told(&|program| with_file(program, directory.path().join("x"))).unwrap(), "script DIR/x is not there");
    assert_eq!(told(&|program| program.directory = "/no".into()).unwrap(), "directory /no is not there");
    assert_eq!(
        told(&|program| program.command = exec("no-such")).unwrap(),
        "program `no-such` is not there; PATH is /usr/bin:/bin"
    );
    assert_eq!(
        told(&|program| program.command = exec("./x")).unwrap(),
        "program `./x` is not there; PATH is /usr/bin:/bin"
    );
}

#[tokio::test]
async fn limits_that_must_be_enforced_are_or_nothing_starts() {
    let stage = Stage::new("true", None);
    let make = |enforce| {
        let mut service = stage.service.clone();
        service.limits = Limits { memory_bytes: Some(1 << 30), enforce, ..Limits::default() };
        let groups = ServiceGroups::default();
        Surroundings::of(&service, &Host::default(), &stage.instance, &BTreeMap::new(), &own(), &groups)
    };
    let why = "memory is not limited: no control group with `memory` is given to this process";
    assert_eq!(make(false).unwrap().unenforced(), [why]);
    assert_eq!(make(true).err().unwrap().to_string(), format!("its limits must be enforced, but {why}"));
}

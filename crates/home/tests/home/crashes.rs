//! A process that backs up, rolls back and prunes is killed at any moment, again and again.

use std::{
    io::{BufRead as _, BufReader},
    os::unix::process::ExitStatusExt as _,
    process::{Command, Stdio},
    time::Duration,
};

use masque_home::{
    home::Homes,
    versions::{Kind, Manifest, Note, Reason, Retention, Target},
};
use masque_types::time::Timestamp;
use rand::Rng as _;

use crate::support::{World, noise, persona, write};

const DIRECTORY: &str = "MASQUE_HOME_TEST_DIRECTORY";
const KILLS: usize = 200;
const FILES: usize = 5;

#[test]
#[expect(clippy::disallowed_methods, reason = "the test starts itself, to kill it")]
fn killed_at_any_moment_a_home_is_the_old_or_the_new_one() {
    let world = World::fast();
    for generation in 1..=2_u8 {
        for file in 0..FILES {
            world.write(&format!("workspace/{file}"), noise(u64::from(generation), 30_000));
        }
        world.backup(i64::from(generation));
    }
    for round in 0..KILLS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "crashes::child", "--ignored", "--nocapture"])
            .env(DIRECTORY, world.root.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        assert!(output.lines().any(|line| line.unwrap().contains("at work")), "round {round}: the child did not start");
        std::thread::sleep(Duration::from_micros(rand::rng().random_range(0..25_000)));
        child.kill().unwrap();
        let ended = child.wait().unwrap();
        assert_eq!(ended.signal(), Some(9), "round {round}: the child gave up by itself");

        let homes = Homes::open(world.root.path(), None).unwrap();
        let home = homes.find(&persona()).unwrap().unwrap();
        let first = fs_err::read(home.workspace().join("0")).unwrap();
        assert!([noise(1, 30_000), noise(2, 30_000)].contains(&first), "round {round}");
        for file in 1..FILES {
            assert_eq!(fs_err::read(home.workspace().join(file.to_string())).unwrap(), first, "round {round}");
        }
        // The newest version is what is there, but for what the child wrote after it.
        let newest = home.versions().newest().unwrap().unwrap();
        if let Reason::Rollback { .. } = newest.reason {
            let mut differences = home.versions().diff(newest.number, None).unwrap();
            differences.retain(|found| found.path != "workspace/notes");
            assert_eq!(differences, [], "round {round}");
        }
        assert_eq!(home.versions().verify().unwrap().faults, [""; 0], "round {round}");
    }
}

/// What is killed. Not a test by itself.
#[test]
#[ignore = "started by the test above"]
#[expect(clippy::disallowed_methods, reason = "the test that starts this says where to work")]
fn child() {
    let Ok(directory) = std::env::var(DIRECTORY) else { return };
    let homes = Homes::open(directory.as_ref(), None).unwrap();
    let home = homes.find(&persona()).unwrap().unwrap();
    let versions = home.versions();
    let holds = |manifest: &Manifest, generation: u64| {
        let content = masque_types::digest::Digest::of(noise(generation, 30_000));
        manifest.entry("workspace/0").is_some_and(|entry| match &entry.kind {
            Kind::File { digest, .. } => *digest == content,
            _ => false,
        })
    };
    println!("at work");
    for round in 0_u64.. {
        // By turns, also across deaths: otherwise one of the two would be pruned away.
        let history = versions.history().unwrap();
        let generation = if holds(history.last().unwrap(), 1) { 2 } else { 1 };
        let back = history.iter().rev().find(|manifest| holds(manifest, generation)).unwrap().number;
        versions.rollback(&Target::Version(back), "back", Timestamp(5)).unwrap();
        write(&home.cache().join("counter"), round.to_string().as_bytes());
        // A file that grows; going back loses it from the home, and keeps it in the versions.
        write(&home.workspace().join("notes"), &noise(round, 2_000));
        let note = Note { at: Timestamp(6), description: "kept", reason: Reason::Asked, origin: None };
        versions.backup(&note).unwrap();
        versions.prune(&Retention { last: 6, daily: 0, weekly: 0 }).unwrap();
    }
}

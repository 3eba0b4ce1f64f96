//! Backups and rollbacks.

use std::os::unix::{
    ffi::OsStrExt as _,
    fs::{MetadataExt as _, PermissionsExt as _},
};

use masque_home::{
    Error,
    versions::{Change, Kind, Note, Reason, Retention, Target},
};
use masque_types::time::Timestamp;
use rusqlite::Connection;

use crate::support::{World, noise};

fn go_back(world: &World, to: u64) -> u64 {
    world.home.versions().rollback(&Target::Version(to), "a test", Timestamp(99)).unwrap().number
}

#[test]
fn everything_of_a_home_comes_back_as_it_was() {
    let world = World::new();
    let large = noise(1, 3 << 20);
    world.write("workspace/src/main.rs", "fn main() {}");
    world.write("workspace/large", &large);
    world.write("workspace/empty", "");
    let strange = world.path("workspace").join(std::ffi::OsStr::from_bytes(b"back\\slash \xff"));
    fs_err::write(&strange, "x").unwrap();
    fs_err::set_permissions(world.path("workspace/src/main.rs"), std::fs::Permissions::from_mode(0o755)).unwrap();
    fs_err::os::unix::fs::symlink("../../../etc/passwd", world.path("workspace/link")).unwrap();
    fs_err::create_dir(world.path("workspace/bare")).unwrap();
    world.write("cache/made", "again");
    let first = world.backup(10);
    assert_eq!(first.size(), (4, 12 + large.len() as u64 + 1));
    assert!(first.entries.iter().all(|entry| !entry.path.starts_with("cache")));

    fs_err::remove_dir_all(world.path("workspace/src")).unwrap();
    fs_err::remove_file(&strange).unwrap();
    fs_err::remove_file(world.path("workspace/link")).unwrap();
    world.write("workspace/link/now/a", "directory");
    let mut changed = large.clone();
    changed[2 << 20] ^= 1;
    world.write("workspace/large", &changed);
    let differences = world.home.versions().diff(1, None).unwrap();
    let listed: Vec<_> = differences.iter().map(|found| (found.path.as_str(), found.change)).collect();
    assert_eq!(
        listed,
        [
            ("workspace/back\\\\slash \\xff", Change::Removed),
            ("workspace/large", Change::Changed),
            ("workspace/link", Change::Changed),
            ("workspace/link/now", Change::Added),
            ("workspace/link/now/a", Change::Added),
            ("workspace/src", Change::Removed),
            ("workspace/src/main.rs", Change::Removed),
        ]
    );

    assert_eq!(go_back(&world, 1), 3, "what was there is version 2");
    assert!(world.home.versions().diff(1, None).unwrap().is_empty());
    assert_eq!(fs_err::read(world.path("workspace/large")).unwrap(), large);
    assert_eq!(fs_err::metadata(world.path("workspace/src/main.rs")).unwrap().mode() & 0o777, 0o755);
    assert_eq!(fs_err::read_link(world.path("workspace/link")).unwrap().to_str(), Some("../../../etc/passwd"));
    assert_eq!(world.read("cache/made"), "again", "the cache is of the present");
    assert!(world.home.versions().previous().join("workspace/link/now/a").exists());
    assert_eq!(go_back(&world, 2), 4);
    assert_eq!(fs_err::read(world.path("workspace/large")).unwrap(), changed);
    let history = world.home.versions().history().unwrap();
    let reasons: Vec<_> = history.into_iter().map(|manifest| manifest.reason).collect();
    let back = |to| Reason::Rollback { to };
    assert_eq!(reasons, [Reason::Asked, Reason::BeforeRollback, back(1), back(2)]);
    assert_eq!(world.home.versions().verify().unwrap().faults, [""; 0]);
}

#[test]
fn pieces_are_stored_once_and_unchanged_files_are_not_read_again() {
    let world = World::new();
    world.write("workspace/one", noise(1, 4 << 20));
    world.backup(1);
    let size = || world.stored().iter().map(|path| fs_err::metadata(path).unwrap().len()).sum::<u64>();
    let before = size();
    // A copy, and a byte in the middle of another copy.
    world.write("workspace/two", noise(1, 4 << 20));
    let mut inserted = noise(1, 4 << 20);
    inserted.insert(2 << 20, 7);
    world.write("workspace/three", inserted);
    world.backup(2);
    assert!(size() - before < 3 << 20, "{} bytes more", size() - before);

    // What cannot be read any more is still known, as long as nothing about the file changed.
    let settled = |number| {
        let manifest = world.home.versions().version(number).unwrap();
        serde_json::to_value(manifest.entry("workspace/one").unwrap()).unwrap()["stamp"].is_object()
    };
    let mut newest = 2;
    while !settled(newest) {
        newest = world.backup(3).number;
    }
    let packs = || world.stored().iter().filter(|path| path.extension().is_some_and(|e| e == "pack")).count();
    let count = packs();
    world.backup(4);
    assert_eq!(packs(), count);
    // The same size and time of modification, other content: the time of change gives it away.
    let path = world.path("workspace/one");
    let modified = fs_err::metadata(&path).unwrap().modified().unwrap();
    fs_err::write(&path, noise(2, 4 << 20)).unwrap();
    fs_err::File::options().write(true).open(&path).unwrap().into_parts().0.set_modified(modified).unwrap();
    assert_eq!(world.home.versions().diff(newest, None).unwrap().len(), 1);
}

#[test]
fn a_database_is_copied_whole_while_it_is_written() {
    let world = World::new();
    fs_err::create_dir_all(world.path("workspace")).unwrap();
    let database = world.path("workspace/notes.db");
    let writer = Connection::open(&database).unwrap();
    writer.pragma_update(None, "journal_mode", "wal").unwrap();
    writer.execute_batch("CREATE TABLE notes (text TEXT); INSERT INTO notes VALUES ('kept in the log')").unwrap();
    writer.execute_batch("BEGIN; INSERT INTO notes VALUES ('never committed')").unwrap();
    let manifest = world.backup(1);
    let paths: Vec<_> = manifest.entries.iter().map(|entry| entry.path.as_str()).collect();
    assert_eq!(paths, ["context", "workspace", "workspace/notes.db"]);
    assert!(matches!(manifest.entries[2].kind, Kind::File { sqlite: true, .. }));
    writer.execute_batch("COMMIT; INSERT INTO notes VALUES ('later')").unwrap();
    drop(writer);
    go_back(&world, 1);
    let texts = |world: &World| -> Vec<String> {
        let reader = Connection::open(world.path("workspace/notes.db")).unwrap();
        let mut query = reader.prepare("SELECT text FROM notes").unwrap();
        query.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    assert_eq!(texts(&world), ["kept in the log"]);
    go_back(&world, 2);
    assert_eq!(texts(&world), ["kept in the log", "never committed", "later"]);
    // What only begins like a database is a file.
    world.write("workspace/notes.db", "SQLite format 3\0 and nothing more");
    let odd = world.backup(5);
    assert!(odd.entry("workspace/notes.db").is_some());
}

#[test]
fn what_was_learned_from_one_source_is_undone_and_the_rest_stays() {
    let world = World::new();
    world.write("workspace/own", "1");
    world.write("workspace/mixed", "own");
    world.backup(1);
    world.write("workspace/mixed", "poisoned");
    world.write("workspace/learned", "poison");
    world.learned(2, Some("web:evil.example"));
    world.write("workspace/own", "2");
    world.write("workspace/good", "kept");
    world.learned(3, Some("mail:bob"));
    world.home.label("workspace/own", Some("mail:bob")).unwrap();
    let undo = |origin: &str| {
        let target = Target::Origin { version: 1, origin: origin.to_owned() };
        world.home.versions().rollback(&target, "a test", Timestamp(9))
    };
    let undone = undo("web:evil.example").unwrap();
    assert_eq!(undone.reason, Reason::Undo { to: 1, origin: "web:evil.example".into() });
    assert_eq!((world.read("workspace/own"), world.read("workspace/mixed")), ("2".into(), "own".into()));
    assert_eq!(world.read("workspace/good"), "kept");
    assert!(!world.path("workspace/learned").exists());
    assert!(matches!(undo("web:evil.example"), Err(Error::Nothing { .. })));
    undo("mail:bob").unwrap();
    assert_eq!(world.read("workspace/own"), "1");
    assert!(!world.path("workspace/good").exists());
}

#[test]
fn versions_are_found_by_time_and_pruned_by_age() {
    let day = 24 * 3_600_000;
    let world = World::fast();
    for number in 1..=6 {
        world.write("workspace/file", noise(number, 200_000));
        world.write(&format!("workspace/{number}"), "x");
        world.backup(i64::try_from(number).unwrap() * day);
    }
    let versions = world.home.versions();
    assert_eq!(versions.version_at(Timestamp(3 * day + 5)).unwrap().number, 3);
    assert!(matches!(versions.version_at(Timestamp(5)), Err(Error::NoVersion { .. })));
    let size = || world.stored().iter().map(|path| fs_err::metadata(path).unwrap().len()).sum::<u64>();
    let before = size();
    assert_eq!(versions.prune(&Retention { last: 2, daily: 0, weekly: 0 }).unwrap(), [1, 2, 3, 4]);
    assert!(size() * 2 < before);
    assert_eq!(versions.verify().unwrap().faults, [""; 0]);
    assert!(matches!(versions.rollback(&Target::Version(4), "", Timestamp(0)), Err(Error::NoVersion { .. })));
    go_back(&world, 5);
    assert_eq!(fs_err::read(world.path("workspace/file")).unwrap(), noise(5, 200_000));
}

#[test]
fn any_flipped_bit_is_found_and_nothing_damaged_is_laid_out() {
    let world = World::fast();
    world.write("workspace/text", "some text ".repeat(200));
    world.write("workspace/noise", noise(1, 150_000));
    world.backup(1);
    world.write("workspace/text", "other");
    world.backup(2);
    assert_eq!(world.home.versions().verify().unwrap().faults, [""; 0]);
    let files: Vec<_> =
        world.stored().into_iter().filter(|path| path.extension().is_some_and(|e| e != "lock")).collect();
    assert_eq!(files.len(), 6, "two manifests, two packs, two keys: {files:?}");
    let mut tried = 0;
    for path in &files {
        let whole = fs_err::read(path).unwrap();
        let step = (whole.len() / 60).max(1);
        let near_ends = (0..whole.len()).filter(|byte| byte % step == 0 || *byte < 16 || byte + 16 >= whole.len());
        for byte in near_ends {
            let mut flipped = whole.clone();
            flipped[byte] ^= 1 << (byte % 8);
            fs_err::write(path, &flipped).unwrap();
            let report = world.home.versions().verify();
            assert!(report.is_err() || !report.unwrap().faults.is_empty(), "{} byte {byte}", path.display());
            tried += 1;
        }
        fs_err::write(path, &whole[..whole.len() - 1]).unwrap();
        assert!(!world.home.versions().verify().unwrap().faults.is_empty(), "{} cut", path.display());
        fs_err::write(path, &whole).unwrap();
    }
    assert!(tried > 400, "{tried}");
    let pack = files.iter().filter(|path| path.extension().is_some_and(|e| e == "pack"));
    let pack = pack.max_by_key(|path| fs_err::metadata(path).unwrap().len()).unwrap();
    let mut flipped = fs_err::read(pack).unwrap();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    fs_err::write(pack, &flipped).unwrap();
    let refused = world.home.versions().rollback(&Target::Version(1), "", Timestamp(0));
    assert!(matches!(refused, Err(Error::Damaged { .. })));
    assert_eq!(world.read("workspace/text"), "other");
}

#[test]
fn a_prepared_rollback_changes_nothing_until_it_is_committed() {
    let world = World::new();
    world.write("workspace/file", "1");
    world.backup(1);
    world.write("workspace/file", "2");
    world.backup(2);
    let versions = world.home.versions();
    drop(versions.prepare(&Target::Version(1), "", Timestamp(3)).unwrap());
    assert_eq!(world.read("workspace/file"), "2");
    assert_eq!(versions.newest().unwrap().unwrap().number, 2);
    versions.prepare(&Target::Version(1), "", Timestamp(3)).unwrap().commit().unwrap();
    assert_eq!(world.read("workspace/file"), "1");
    let note = Note { at: Timestamp(4), description: "", reason: Reason::Scheduled, origin: None };
    assert_eq!(versions.backup(&note).unwrap().number, 4);
}

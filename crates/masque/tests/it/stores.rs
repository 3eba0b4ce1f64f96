//! Stores that cannot be used: each is an error that says what to do, with the exit code of the environment.

use insta::assert_snapshot;

use crate::support::Masque;

#[test]
fn a_home_that_cannot_be_made() {
    let mut masque = Masque::new();
    let file = masque.write("a-file", "");
    masque.set("MASQUE_HOME", &file.join("home").display().to_string());
    let first = masque.session("masque run tester -p Hello");
    masque.unset("MASQUE_HOME");
    masque.unset("HOME");
    assert_snapshot!(first + &masque.session("masque runs list"), @r#"
    $ masque run tester -p Hello
    ! error: [root]/a-file/home/masque.db cannot be written (failed to create directory `[root]/a-file/home`: Not a directory (os error 20)): give the user write permission to the file and its directory, or choose another place
    [exit 5]
    $ masque runs list
    ! error: neither HOME nor MASQUE_HOME is set
    ! hint: set MASQUE_HOME to a directory for Masque's data
    [exit 5]
    "#);
}

#[test]
fn a_database_that_is_none_or_damaged() {
    let masque = Masque::new();
    masque.write("home/masque.db", "This is a text, and no database; it is long enough to be looked at as one.\n");
    let none = masque.session("masque runs list");
    fs_err::remove_file(masque.path("home/masque.db")).unwrap();
    masque.session("masque run tester -p Hello");
    let path = masque.path("home/masque.db");
    let mut bytes = fs_err::read(&path).unwrap();
    for byte in bytes.iter_mut().skip(100) {
        *byte = 0xa5;
    }
    fs_err::write(&path, bytes).unwrap();
    for rest in ["home/masque.db-wal", "home/masque.db-shm"] {
        let _there_may_be_none = fs_err::remove_file(masque.path(rest));
    }
    assert_snapshot!(none + &masque.session("masque runs list"), @r#"
    $ masque runs list
    ! error: [home]/masque.db is not a SQLite database: move that file away, or choose another place
    [exit 5]
    $ masque runs list
    ! error: [home]/masque.db is damaged (database disk image is malformed): stop Masque, keep a copy of the file, and restore a backup or run `sqlite3 FILE .recover`
    [exit 5]
    "#);
}

#[test]
fn a_database_of_a_newer_masque() {
    let masque = Masque::new();
    masque.session("masque run tester -p Hello");
    let database = rusqlite::Connection::open(masque.path("home/masque.db")).unwrap();
    database.execute("INSERT INTO masque_migrations (number, name) VALUES (999, 'later')", []).unwrap();
    drop(database);
    assert_snapshot!(masque.session("masque runs list"), @"
    $ masque runs list
    ! error: [home]/masque.db has schema 999, this Masque knows up to 5: install the newer Masque again
    [exit 5]
    ");
}

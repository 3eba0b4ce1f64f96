//! `masque persona backup` and the other commands about what a persona keeps.

use insta::assert_snapshot;

use crate::support::Masque;

const ICON: &str = "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 8 8' onload='x()'><script>x()</script>\
                    <circle cx='4' cy='4' r='3' fill='#3465a4'/></svg>";

#[test]
fn versions_are_made_listed_compared_and_gone_back_to() {
    let masque = Masque::new();
    assert_snapshot!(masque.session(
        "masque persona history tester
         masque persona backup tester -m 'the beginning'
         echo one > $MASQUE_HOME/personas/tester/workspace/notes.md
         masque persona backup tester --origin web:example.org
         echo changed > $MASQUE_HOME/personas/tester/workspace/notes.md
         masque persona diff tester
         masque persona rollback tester 2
         cat $MASQUE_HOME/personas/tester/workspace/notes.md
         masque persona rollback tester 1 --origin web:example.org
         ls $MASQUE_HOME/personas/tester/workspace
         masque persona history tester
         masque persona restore tester --at 2020-01-01
         masque persona restore tester --at soon
         masque persona rollback tester 77
         masque persona verify tester | cut -d , -f 1
         masque persona backup nobody"
    ), @r#"
    $ masque persona history tester
    ! error: persona `tester` has no home yet
    ! hint: `masque persona backup tester` makes it, with a first version
    [exit 2]
    $ masque persona backup tester -m 'the beginning'
    version 1 of tester: 0 files, 0 bytes
    $ echo one > $MASQUE_HOME/personas/tester/workspace/notes.md
    $ masque persona backup tester --origin web:example.org
    version 2 of tester: 1 file, 4 bytes
    $ echo changed > $MASQUE_HOME/personas/tester/workspace/notes.md
    $ masque persona diff tester
    changed  workspace/notes.md  4 → 8 bytes
    $ masque persona rollback tester 2
    version 4 of tester: 1 file, 4 bytes
    $ cat $MASQUE_HOME/personas/tester/workspace/notes.md
    one
    $ masque persona rollback tester 1 --origin web:example.org
    version 5 of tester: 0 files, 0 bytes
    $ ls $MASQUE_HOME/personas/tester/workspace
    $ masque persona history tester
    VERSION  MADE                     BY                FILES  BYTES  DESCRIPTION
    5        [date]  undo as in 1      0      0      without what came from web:example.org, as in version 1
    4        [date]  rollback to 2     1      4      back to version 2
    3        [date]  rollback, before  1      8      what was there before a rollback
    2        [date]  request           1      4
    1        [date]  request           0      0      the beginning
    $ masque persona restore tester --at 2020-01-01
    ! error: `tester` has no version from that time or before
    ! hint: `masque persona history tester` lists the versions
    [exit 2]
    $ masque persona restore tester --at soon
    ! error: `soon` is no time
    ! hint: write for example 2026-05-01 or "2026-05-01 14:30:00"
    [exit 2]
    $ masque persona rollback tester 77
    ! error: `tester` has no version 77
    ! hint: `masque persona history tester` lists the versions
    [exit 2]
    $ masque persona verify tester | cut -d , -f 1
    whole    5 versions are as signed
    $ masque persona backup nobody
    ! error: there is no persona `nobody`
    ! hint: `masque persona list` shows all personas
    [exit 2]
    "#);
    let audit = masque.shell("masque audit tail --json").stdout;
    let entries: Vec<serde_json::Value> =
        serde_json::Deserializer::from_slice(&audit).into_iter().map(Result::unwrap).collect();
    let actions: Vec<_> = entries.iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["persona.backup", "persona.backup", "persona.rollback", "persona.rollback"]);
}

#[test]
fn a_flipped_bit_is_found() {
    let masque = Masque::new();
    masque.shell("masque persona backup tester");
    masque.write("home/personas/tester/workspace/notes.md", "some notes");
    masque.shell("masque persona backup tester");
    let packs = masque.path("home/versions/tester/packs");
    let pack = fs_err::read_dir(packs).unwrap().map(|entry| entry.unwrap().path());
    let pack = pack.into_iter().find(|path| path.extension().is_some_and(|extension| extension == "pack")).unwrap();
    let mut bytes = fs_err::read(&pack).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs_err::write(&pack, bytes).unwrap();
    let verify = masque.shell("masque persona verify tester --json");
    assert_eq!(verify.status.code(), Some(1));
    let report: serde_json::Value = serde_json::from_slice(&verify.stdout).unwrap();
    assert_eq!(report["faults"].as_array().unwrap().len(), 1, "{report}");
    let health = masque.shell("masque persona health tester --json");
    assert_eq!(health.status.code(), Some(1));
    let checks: serde_json::Value = serde_json::from_slice(&health.stdout).unwrap();
    assert_eq!((&checks[0]["what"], &checks[0]["state"]), (&"data".into(), &"wrong".into()), "{checks}");
}

#[test]
fn a_persona_has_an_icon_and_an_identity_and_is_well() {
    let masque = Masque::new();
    masque.write("project/icon.svg", ICON);
    assert_snapshot!(masque.session(
        "masque persona icon tester
         masque persona icon tester --from icon.svg
         masque persona icon tester
         masque persona icon tester --png icon.png --size 32
         head -c 4 icon.png | tail -c 3; echo
         masque persona identity tester
         masque persona health tester
         masque persona identity tester --rotate | head -1
         masque persona identity tester --revoke 'the machine was lost' | cut -c 1-15
         masque persona health
         masque persona health nobody"
    ), @r##"
    $ masque persona icon tester
    ! error: persona `tester` has no icon
    ! hint: masque persona icon tester --from FILE.svg
    [exit 2]
    $ masque persona icon tester --from icon.svg
    ! removed from the icon: <script>
    ! removed from the icon: onload
    $ masque persona icon tester
    <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8"><circle cx="4" cy="4" r="3" fill="#3465a4"></circle></svg>
    $ masque persona icon tester --png icon.png --size 32
    ! icon.png: 32 × 32 pixels
    $ head -c 4 icon.png | tail -c 3; echo
    PNG
    $ masque persona identity tester
    tester  card 1, signed [date]
    file     [digest]
    icon     [digest]
    key      [digest] (epoch 1)
    card     [digest]
    ! a new card was signed
    $ masque persona health tester
    PERSONA  CHECK      STATE  DETAIL
    tester   data       good   0 versions and 0 saved contexts are whole
    tester   icon       good   clean, 739613253806
    tester   identity   good   card 1, key of epoch 1
    tester   handshake  good   proven to the registry of this installation
    tester   programs   good   started and stopped, 0 MCP servers
    $ masque persona identity tester --rotate | head -1
    tester  card 2, signed [date]
    $ masque persona identity tester --revoke 'the machine was lost' | cut -c 1-15
    revoked the key
    $ masque persona health
    PERSONA  CHECK      STATE  DETAIL
    tester   data       good   0 versions and 0 saved contexts are whole
    tester   icon       good   clean, 739613253806
    tester   identity   good   card 2, key of epoch 2
    tester   handshake  WRONG  refused: revoked: the key of the persona was revoked
    tester   programs   good   started and stopped, 0 MCP servers
    [exit 1]
    $ masque persona health nobody
    ! error: there is no persona `nobody`
    ! hint: `masque persona list` shows all personas
    [exit 2]
    "##);
    // The persona changes: its card is not right any more until it is renewed.
    masque.shell("masque persona identity tester --rotate");
    masque.write(
        "project/.agents/agents/tester.md",
        "---\nname: tester\ndescription: Another one.\ntools: [fs.read]\n---\nText.\n",
    );
    let state = |line: &str| {
        let health: serde_json::Value = serde_json::from_slice(&masque.shell(line).stdout).unwrap();
        health[2]["state"].clone()
    };
    assert_eq!(state("masque persona health tester --json"), "wrong");
    let card = masque.json("masque persona identity tester --json");
    assert_eq!((&card["card"]["key_epoch"], &card["revoked"]), (&3.into(), &false.into()));
    assert_eq!(state("masque persona health tester --json"), "good");
}

#[test]
fn a_worker_makes_the_backups_that_are_due() {
    let masque = Masque::new();
    masque.shell("masque persona backup tester");
    assert!(masque.shell("masque worker --drain").status.success());
    assert_eq!(masque.json("masque persona history tester --json").as_array().unwrap().len(), 1, "not due yet");
    assert!(masque.shell("masque worker --drain -c home.backup_every=1ms -c home.keep=2").status.success());
    assert!(masque.shell("masque worker --drain -c home.backup_every=1ms -c home.keep=2").status.success());
    let history = masque.json("masque persona history tester --json");
    let reasons: Vec<_> = history.as_array().unwrap().iter().map(|version| &version["reason"]["kind"]).collect();
    assert_eq!(reasons, ["scheduled", "scheduled"]);
    assert!(masque.shell("masque worker --drain -c home.backup_every=unlimited").status.success());
    assert_eq!(masque.json("masque persona history tester --json").as_array().unwrap().len(), 2);
}

#[test]
fn runs_write_the_activity_of_a_home_that_is_there() {
    let masque = Masque::new();
    masque.shell("masque run tester -p Hello");
    assert!(!masque.path("home/personas").exists(), "a run makes no home");
    masque.shell("masque persona backup tester");
    let run = masque.json("masque run tester -p canary --output json")["run"].clone();
    let lines = fs_err::read_to_string(masque.path("home/personas/tester/activity.jsonl")).unwrap();
    let lines: Vec<serde_json::Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let [start, end] = lines.as_slice() else { panic!("{lines:?}") };
    assert_eq!((&start["action"], &start["detail"]["by"]), (&"run.start".into(), &"user:tester".into()));
    assert_eq!((&end["action"], &end["detail"]["status"]), (&"run.end".into(), &"completed".into()));
    assert_eq!((&start["detail"]["run"], &end["detail"]["run"]), (&run, &run));
    assert_eq!(end["detail"]["spend"]["steps"], 1);
    assert!(!format!("{lines:?}").contains("canary"));

    // Whatever happens to the home, the run goes on.
    fs_err::remove_dir_all(masque.path("home/versions")).unwrap();
    masque.write("home/versions", "");
    let run = masque.shell("masque run tester -p Hello");
    assert!(run.status.success());
    assert!(String::from_utf8_lossy(&run.stderr).contains("is missing in the activity"));
}

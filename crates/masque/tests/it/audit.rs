//! `masque audit`: who did what, and whether anybody changed it afterwards.

use insta::assert_snapshot;

use crate::support::{Masque, WRITES};

#[test]
fn every_change_is_recorded_and_a_changed_record_is_found() {
    let masque = Masque::with_script(WRITES);
    masque.session("masque trust\nmasque run tester -p 'Write it'\nmasque approvals approve apr_… --resume");
    let good = masque.session("masque audit tail | cut -d' ' -f1,5-20 | tr -s ' '\nmasque audit verify\nmasque audit tail -n 1 --json | cut -c1-40");
    let database = rusqlite::Connection::open(masque.path("home/masque.db")).unwrap();
    assert_eq!(database.execute("UPDATE audit SET target = 'nothing' WHERE number = 2", []).unwrap(), 1);
    drop(database);
    let bad = masque.session("masque audit verify\nmasque audit verify --json\nmasque doctor | grep -A1 '^store'");
    assert_snapshot!(good + &bad, @r#"
    $ masque audit tail | cut -d' ' -f1,5-20 | tr -s ' '
    # 
    1 UTC user:tester project.trust [project] 
    2 UTC user:tester run.create tester
    3 UTC user:tester approval.answer apr_1 {"answer":"approve","call":"call_2_1","digest":"[digest]…
    4 UTC user:tester approval.decided apr_1 {"answer":"approve"}
    5 UTC persona:tester run.ended run_1 {"spend":{"input_tokens":,"micro_usd":0,"output_tokens":,"steps":3},"statu…
    $ masque audit verify
    unbroken: 5 entries, head [digest]
    $ masque audit tail -n 1 --json | cut -c1-40
    {"action":"run.ended","actor":{"kind":"p
    $ masque audit verify
    broken at entry 2 of 5: the entry, or its place in the log, was changed
    [exit 1]
    $ masque audit verify --json
    {"broken":{"entry":2,"what":"the entry, or its place in the log, was changed"},"entries":5,"head":"[digest]"}
    [exit 1]
    $ masque doctor | grep -A1 '^store'
    store
      bad    audit                         the audit chain is broken at entry 2: the entry, or its place in the log, was changed
    "#);
}

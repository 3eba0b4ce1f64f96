//! The audit log: what is written comes back, and every way of tampering is found.

use masque_store::{AuditBreak, NewAudit};
use masque_testkit::{
    on_both_databases,
    sample::{new_run, run_id},
};
use masque_types::{actor::Actor, time::Timestamp};
use serde_json::json;

fn entry(number: i64) -> NewAudit {
    NewAudit {
        at: Timestamp(number),
        actor: Actor::User("ada:lovelace".to_owned()),
        action: "run.start".to_owned(),
        run: (number % 2 == 0).then(|| run_id(1)),
        target: format!("target {number}"),
        detail: json!({"b": 1, "a": number}),
    }
}

/// Puts every row back after each tampering, so that one log serves the whole matrix.
const KEEP: &str = "CREATE TABLE kept AS SELECT * FROM audit; CREATE TABLE kept_head AS SELECT * FROM audit_head";
const RESTORE: &str = "DELETE FROM audit; INSERT INTO audit SELECT * FROM kept; \
     DELETE FROM audit_head; INSERT INTO audit_head SELECT * FROM kept_head";

on_both_databases! {
    async fn tampering_is_found(database: &TestDatabase) {
        let store = database.open().await;
        assert_eq!(store.audit_verify().await.unwrap().broken, None);
        // With a run, alone, and from two programs at once.
        store.create_run(masque_store::NewRun { audit: vec![entry(1), entry(2)], ..new_run(run_id(1)) }).await.unwrap();
        let other = database.open().await;
        let (one, two) = tokio::join!(store.audit(entry(3)), other.audit(entry(3)));
        one.unwrap();
        two.unwrap();
        other.close().await.unwrap();
        store.audit(entry(5)).await.unwrap();
        let report = store.audit_verify().await.unwrap();
        assert_eq!((report.entries, report.broken), (5, None));
        let tail = store.audit_tail(2).await.unwrap();
        assert_eq!((tail[1].number, &tail[1].what, tail[1].digest), (5, &entry(5), report.head));

        database.tamper(KEEP).await;
        let swap = "UPDATE audit SET number = 99 WHERE number = 2; UPDATE audit SET number = 2 WHERE number = 3; \
             UPDATE audit SET number = 3 WHERE number = 99";
        let close_gap = "DELETE FROM audit WHERE number = 2; UPDATE audit SET number = 2 WHERE number = 3; \
             UPDATE audit SET number = 3 WHERE number = 4; UPDATE audit SET number = 4 WHERE number = 5; \
             UPDATE audit_head SET entries = 4";
        let matrix = [
            ("UPDATE audit SET at = 7 WHERE number = 3", 3),
            ("UPDATE audit SET actor = 'system' WHERE number = 3", 3),
            ("UPDATE audit SET action = 'run.stop' WHERE number = 1", 1),
            ("UPDATE audit SET run = NULL WHERE number = 2", 2),
            ("UPDATE audit SET run = '' WHERE number = 1", 1),
            ("UPDATE audit SET target = 'other' WHERE number = 5", 5),
            ("UPDATE audit SET detail = '{}' WHERE number = 4", 4),
            ("UPDATE audit SET digest = (SELECT digest FROM kept WHERE number = 1) WHERE number = 2", 2),
            (swap, 2),
            ("DELETE FROM audit WHERE number = 1", 1),
            ("DELETE FROM audit WHERE number = 3", 3),
            (close_gap, 2),
            ("DELETE FROM audit WHERE number = 5", 5),
            ("DELETE FROM audit", 1),
            ("DELETE FROM audit WHERE number = 5; UPDATE audit_head SET entries = 4", 4),
            ("INSERT INTO audit SELECT 6, at, actor, action, run, target, detail, digest FROM kept WHERE number = 5", 6),
            ("UPDATE audit_head SET digest = (SELECT digest FROM kept WHERE number = 1)", 5),
        ];
        for (tampering, entry) in matrix {
            database.tamper(tampering).await;
            let broken = store.audit_verify().await.unwrap().broken;
            assert_eq!(broken.as_ref().map(|AuditBreak { entry, .. }| *entry), Some(entry), "{tampering}: {broken:?}");
            database.tamper(RESTORE).await;
        }
        assert_eq!(store.audit_verify().await.unwrap().broken, None);
        store.close().await.unwrap();
    }
}

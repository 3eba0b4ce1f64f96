//! Proposals: one decision wins, whoever comes at the same time and over whichever connection.

use masque_store::{DecideProposal, NewAudit, ProposalQuery, Store};
use masque_testkit::{database::TestDatabase, on_both_databases};
use masque_types::{
    actor::{Actor, Channel},
    digest::Digest,
    id::ProposalId,
    standard::{Decision, Proposal, ProposalStatus, StandardKey},
    time::Timestamp,
};

const PROJECT: &str = "9f2c61d0aa";

fn key(topic: &str) -> StandardKey {
    StandardKey { domain: "data".into(), topic: topic.into() }
}

fn draft(seed: &str, topic: &str) -> Proposal {
    Proposal {
        id: ProposalId::derive(&Digest::of(seed)),
        project: PROJECT.into(),
        directory: "/p".into(),
        file: format!(".masque/standards/data/{topic}.md"),
        standard: key(topic),
        title: "A title".into(),
        tags: vec!["one".into(), "two".into()],
        content: format!("Text of {seed}."),
        digest: Digest::of(format!("digest of {seed}")),
        base: None,
        revision: 1,
        proposed_by: Actor::Persona("architect".into()),
        run: None,
        status: ProposalStatus::Draft,
        created_at: Timestamp(1_000),
        updated_at: Timestamp(1_000),
        decision: None,
    }
}

fn entry(action: &str) -> NewAudit {
    NewAudit {
        at: Timestamp(1_000),
        actor: Actor::System,
        action: action.into(),
        run: None,
        target: "t".into(),
        detail: serde_json::json!({}),
    }
}

fn decided(draft: &Proposal, status: ProposalStatus, by: &str) -> DecideProposal {
    let decision = Decision {
        digest: draft.digest,
        by: Actor::User(by.into()),
        channel: Channel::Cli,
        at: Timestamp(2_000),
        feedback: Some("why".into()),
    };
    DecideProposal {
        proposal: Proposal { status, decision: Some(decision), updated_at: Timestamp(2_000), ..draft.clone() },
        expected: draft.digest,
        output: (status == ProposalStatus::Approved).then(|| format!("file by {by}")),
        audit: entry("standard.decide"),
    }
}

async fn actions(store: &Store) -> Vec<String> {
    store.audit_tail(50).await.unwrap().into_iter().map(|entry| entry.what.action).collect()
}

on_both_databases! {
    async fn a_proposal_is_kept_once_and_replaces_older_drafts(database: &TestDatabase) {
        let store = database.open().await;
        let (first, second) = (draft("a", "kafka"), Proposal { created_at: Timestamp(1_500), ..draft("b", "kafka") });
        assert!(store.propose(&first, entry("first")).await.unwrap());
        assert!(!store.propose(&first, entry("again")).await.unwrap());
        assert_eq!(store.proposal(first.id).await.unwrap().unwrap(), first);
        assert!(store.propose(&second, entry("second")).await.unwrap());
        assert!(store.propose(&draft("c", "dbt"), entry("third")).await.unwrap());
        let stands = |id| async move { store_status(database, id).await };
        assert_eq!(stands(first.id).await, ProposalStatus::Superseded);
        assert_eq!(stands(second.id).await, ProposalStatus::Draft);
        let open = ProposalQuery { project: Some(PROJECT.into()), status: Some(ProposalStatus::Draft), ..ProposalQuery::default() };
        let ids: Vec<_> = store.proposals(&open).await.unwrap().iter().map(|open| open.id).collect();
        assert_eq!(ids, [second.id, draft("c", "dbt").id], "newest first");
        let other = ProposalQuery { project: Some("other".into()), ..ProposalQuery::default() };
        assert!(store.proposals(&other).await.unwrap().is_empty());
        let printed = first.id.to_string();
        assert_eq!(store.find_proposals(&printed[..12]).await.unwrap(), [first.id]);
        assert_eq!(actions(&store).await, ["first", "second", "third"], "what changed nothing is not audited");
        store.close().await.unwrap();
    }

    async fn a_revision_follows_the_one_before_it(database: &TestDatabase) {
        let store = database.open().await;
        let first = draft("a", "kafka");
        store.propose(&first, entry("propose")).await.unwrap();
        let second = Proposal { revision: 2, content: "Other.".into(), digest: Digest::of("2"), base: Some(Digest::of("f")), ..first.clone() };
        let by = Actor::System;
        assert!(store.revise_proposal(&second, &by, entry("revise")).await.unwrap());
        assert!(!store.revise_proposal(&second, &by, entry("late")).await.unwrap());
        assert_eq!(store.proposal(first.id).await.unwrap().unwrap(), second);
        assert!(!store.decide_proposal(decided(&first, ProposalStatus::Approved, "ada")).await.unwrap(), "an old revision");
        assert!(store.decide_proposal(decided(&second, ProposalStatus::Rejected, "ada")).await.unwrap());
        let third = Proposal { revision: 3, ..second };
        assert!(!store.revise_proposal(&third, &by, entry("after")).await.unwrap(), "decided ones stay");
        assert_eq!(actions(&store).await, ["propose", "revise", "standard.decide"]);
        store.close().await.unwrap();
    }

    async fn of_two_programs_that_decide_one_does(database: &TestDatabase) {
        let (one, two) = (database.open().await, database.open().await);
        for round in 0..8 {
            let seen = draft(&format!("round {round}"), &format!("topic-{round}"));
            one.propose(&seen, entry("propose")).await.unwrap();
            let (ada, bob) = tokio::join!(
                one.decide_proposal(decided(&seen, ProposalStatus::Approved, "ada")),
                two.decide_proposal(decided(&seen, ProposalStatus::Rejected, "bob")),
            );
            let (ada, bob) = (ada.unwrap(), bob.unwrap());
            assert!(ada != bob, "exactly one");
            let stands = one.proposal(seen.id).await.unwrap().unwrap();
            let winner = Actor::User(if ada { "ada" } else { "bob" }.into());
            assert_eq!(stands.decision.unwrap().by, winner);
        }
        one.close().await.unwrap();
        two.close().await.unwrap();
    }

    async fn what_is_approved_is_written_or_void(database: &TestDatabase) {
        let store = database.open().await;
        let seen = draft("a", "kafka");
        store.propose(&seen, entry("propose")).await.unwrap();
        assert!(store.approved_files(PROJECT).await.unwrap().is_empty());
        assert!(store.decide_proposal(decided(&seen, ProposalStatus::Approved, "ada")).await.unwrap());
        let unwritten = store.unwritten_proposals(PROJECT).await.unwrap();
        assert_eq!((unwritten.len(), unwritten[0].output.as_str()), (1, "file by ada"));
        assert!(store.void_approval(seen.id, Timestamp(3_000), entry("void")).await.unwrap());
        let again = store.proposal(seen.id).await.unwrap().unwrap();
        assert_eq!((again.status, again.decision), (ProposalStatus::Draft, None));
        assert!(store.decide_proposal(decided(&seen, ProposalStatus::Approved, "bob")).await.unwrap());
        store.proposal_written(seen.id).await.unwrap();
        assert!(store.unwritten_proposals(PROJECT).await.unwrap().is_empty());
        assert!(!store.void_approval(seen.id, Timestamp(4_000), entry("late")).await.unwrap());
        assert_eq!(store.approved_files(PROJECT).await.unwrap(), [(seen.file, Digest::of("file by bob"))]);
        store.close().await.unwrap();
    }

    async fn searches_are_counted(database: &TestDatabase) {
        let store = database.open().await;
        store.count_standard_uses(PROJECT, &[], Timestamp(1)).await.unwrap();
        store.count_standard_uses(PROJECT, &[key("b"), key("a"), key("b")], Timestamp(1)).await.unwrap();
        store.count_standard_uses(PROJECT, &[key("b")], Timestamp(2)).await.unwrap();
        store.count_standard_uses("other", &[key("b")], Timestamp(3)).await.unwrap();
        let uses = store.standard_uses(PROJECT).await.unwrap();
        let counted: Vec<_> = uses.iter().map(|uses| (uses.standard.topic.as_str(), uses.queries, uses.last_used_at.0)).collect();
        assert_eq!(counted, [("b", 2, 2), ("a", 1, 1)]);
        store.close().await.unwrap();
    }
}

async fn store_status(database: &TestDatabase, id: ProposalId) -> ProposalStatus {
    let store = database.open().await;
    let status = store.proposal(id).await.unwrap().unwrap().status;
    store.close().await.unwrap();
    status
}

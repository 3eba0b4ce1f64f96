//! Order, fencing, forks, large bodies and commands.

use masque_store::{Append, Error, NewRun, RunFilter, Sent, Store};
use masque_testkit::{
    on_both_databases,
    sample::{command_id, event, head, new_run, run_id},
};
use masque_types::{
    actor::{Actor, Channel},
    approval::{Answer, Approval, Question, Ruling},
    cost::{MicroUsd, Spend, Usage},
    digest::Digest,
    id::{ApprovalId, RunId, Seq},
    run::{Command, RunStatus},
    time::Timestamp,
};

fn append(run: RunId, epoch: u64, seqs: &[Seq]) -> Append {
    let events = seqs.iter().map(|seq| event(*seq, epoch, &format!("event {seq}"))).collect();
    Append::new(run, epoch, events, head(RunStatus::Running))
}

async fn seqs(store: &Store, run: RunId) -> Vec<Seq> {
    store.journal(run, 0).await.unwrap().iter().map(|event| event.seq).collect()
}

fn approval(run: RunId, name: &str) -> Approval {
    Approval {
        id: ApprovalId::derive(&Digest::of(name)),
        run,
        call_id: "call-1".to_owned(),
        question: Question::Input { question: "Which colour?\0".to_owned(), choices: vec!["red".to_owned()] },
        digest: Digest::of("bound"),
        asked_at: Timestamp(5),
        deadline: Some(Timestamp(50)),
        ruling: None,
    }
}

on_both_databases! {
    /// The end of a called run and what its caller is told are one transaction; the caller is told once.
    async fn a_called_run_tells_its_caller_with_its_last_event(database: &TestDatabase) {
        let store = database.open().await;
        let (caller, called) = (run_id(1), run_id(2));
        store.create_run(new_run(caller)).await.unwrap();
        store.create_run(NewRun { parent: Some(caller), ..new_run(called) }).await.unwrap();
        let of_caller = RunFilter { parent: Some(caller), ..RunFilter::default() };
        assert_eq!(store.runs(&of_caller).await.unwrap()[0].parent, Some(caller));

        let ended = Command::Cancel { by: Actor::System };
        let sent = |number, run| Sent { id: command_id(number), run, command: ended.clone() };
        let last = |epoch| Append { sent: vec![sent(1, caller), sent(2, run_id(99))], ..append(called, epoch, &[2]) };
        let stale = store.append(last(7)).await;
        assert!(matches!(stale, Err(Error::StaleLease { .. })), "{stale:?}");
        assert_eq!(store.inbox(caller).await.unwrap(), [], "what is not written is not told");
        store.append(last(0)).await.unwrap();
        store.send(command_id(1), caller, &ended, Timestamp(9)).await.unwrap();
        assert_eq!(store.inbox(caller).await.unwrap(), [(command_id(1), ended)]);

        let end = Append { head: head(RunStatus::Completed), ..append(caller, 0, &[2]) };
        store.append(end).await.unwrap();
        let late = store.create_run(NewRun { parent: Some(caller), ..new_run(run_id(3)) }).await;
        assert_eq!(late, Err(Error::Ended { run: caller }), "one that ended calls nobody");
        assert_eq!(store.run(run_id(3)).await.unwrap(), None);
        store.close().await.unwrap();
    }

    async fn what_is_written_comes_back(database: &TestDatabase) {
        let store = database.open().await;
        let run = run_id(1);
        let mut new = new_run(run);
        new.title = "nul\0 and ünï".to_owned();
        store.create_run(new).await.unwrap();
        let spend = Spend {
            steps: 2,
            usage: Usage { input_tokens: 3, output_tokens: 4, cache_read_tokens: 5, cache_write_tokens: 6 },
            micro_usd: MicroUsd(7),
        };
        let mut next = append(run, 0, &[2, 3]);
        next.events[0] = event(2, 0, "nul\0 and ünï \u{1f980}");
        next.head.spend = spend;
        let events = next.events.clone();
        store.append(next).await.unwrap();
        assert_eq!(store.journal(run, 1).await.unwrap(), events);
        let summary = store.run(run).await.unwrap().unwrap();
        assert_eq!((summary.spend, summary.last_seq, summary.updated_at), (spend, 3, Timestamp(3)));
        assert_eq!(summary.title, "nul\u{fffd} and ünï");
        store.close().await.unwrap();
        let again = database.open().await;
        assert_eq!(seqs(&again, run).await, [1, 2, 3]);
        assert_eq!(again.run(run_id(2)).await.unwrap(), None);
        again.close().await.unwrap();
    }

    async fn order_and_fencing(database: &TestDatabase) {
        let store = database.open().await;
        let run = run_id(1);
        store.create_run(new_run(run)).await.unwrap();
        assert_eq!(store.create_run(new_run(run)).await, Err(Error::RunExists { run }));

        let gap = store.append(append(run, 0, &[3])).await;
        assert_eq!(gap, Err(Error::OutOfOrder { run, expected: 2, got: 3 }));
        let hole = store.append(append(run, 0, &[2, 4])).await;
        assert_eq!(hole, Err(Error::OutOfOrder { run, expected: 3, got: 4 }));
        let mut stale = append(run, 7, &[2]);
        stale.blobs = vec![b"never stored".to_vec()];
        stale.asked = vec![approval(run, "never")];
        assert_eq!(store.append(stale).await, Err(Error::StaleLease { run, epoch: 7, current: 0 }));
        assert_eq!(store.blob(&Digest::of("never stored")).await.unwrap(), None);
        assert_eq!(store.approval(approval(run, "never").id).await.unwrap(), None);
        let nobody = run_id(9);
        assert_eq!(store.append(append(nobody, 0, &[2])).await, Err(Error::NoSuchRun { run: nobody }));
        assert_eq!(store.journal(nobody, 0).await, Err(Error::NoSuchRun { run: nobody }));
        assert_eq!(seqs(&store, run).await, [1]);

        // Enqueued in call order, whatever order they are awaited in; a wrong one in the middle fails alone.
        let appends: Vec<_> =
            [(0, 2), (5, 3), (0, 3), (0, 9), (0, 4)].map(|(epoch, seq)| store.append(append(run, epoch, &[seq]))).into();
        let mut results = Vec::new();
        for future in appends.into_iter().rev() {
            results.push(future.await.is_ok());
        }
        assert_eq!(results, [true, false, true, false, true]);
        assert_eq!(seqs(&store, run).await, [1, 2, 3, 4]);
        store.append(append(run, 0, &[])).await.unwrap();
        store.close().await.unwrap();
    }

    async fn a_write_that_the_database_refuses_fails_alone(database: &TestDatabase) {
        let store = database.open().await;
        let run = run_id(1);
        store.create_run(new_run(run)).await.unwrap();
        let mut one = append(run, 0, &[2]);
        one.asked = vec![approval(run, "same")];
        let mut two = append(run, 0, &[3]);
        two.asked = vec![approval(run, "same")];
        let (one, two, three) = (store.append(one), store.append(two), store.append(append(run, 0, &[3])));
        one.await.unwrap();
        assert!(matches!(two.await, Err(Error::Database { .. })));
        three.await.unwrap();
        assert_eq!(seqs(&store, run).await, [1, 2, 3]);
        store.close().await.unwrap();
    }

    async fn a_fork_reads_its_ancestors(database: &TestDatabase) {
        let store = database.open().await;
        let [grandparent, parent, child, sibling] = [1, 2, 3, 4].map(run_id);
        store.create_run(new_run(grandparent)).await.unwrap();
        store.append(append(grandparent, 0, &[2, 3, 4, 5])).await.unwrap();
        let fork = |id, from, seq: Seq, text: &str| NewRun {
            forked_from: Some((from, seq)),
            events: vec![event(seq + 1, 0, text)],
            ..new_run(id)
        };
        store.create_run(fork(parent, grandparent, 3, "parent")).await.unwrap();
        store.append(append(parent, 0, &[5, 6])).await.unwrap();
        store.create_run(fork(child, parent, 5, "child")).await.unwrap();
        // Branches off before the parent's own first event.
        store.create_run(fork(sibling, parent, 2, "sibling")).await.unwrap();

        assert_eq!(seqs(&store, parent).await, [1, 2, 3, 4, 5, 6]);
        assert_eq!(seqs(&store, sibling).await, [1, 2, 3]);
        let events = store.journal(child, 0).await.unwrap();
        let expected = [
            event(1, 0, "first"), event(2, 0, "event 2"), event(3, 0, "event 3"),
            event(4, 0, "parent"), event(5, 0, "event 5"), event(6, 0, "child"),
        ];
        assert_eq!(events, expected);
        assert_eq!(store.journal(child, 3).await.unwrap(), expected[3..]);
        assert_eq!(store.journal(child, 6).await.unwrap(), []);
        assert_eq!(store.run(child).await.unwrap().unwrap().forked_from, Some((parent, 5)));

        let beyond = store.create_run(fork(run_id(5), parent, 8, "beyond")).await;
        assert_eq!(beyond, Err(Error::OutOfOrder { run: parent, expected: 6, got: 8 }));
        let orphan = store.create_run(fork(run_id(5), run_id(9), 1, "orphan")).await;
        assert_eq!(orphan, Err(Error::NoSuchRun { run: run_id(9) }));
        store.close().await.unwrap();
    }

    async fn large_bodies_are_stored_once(database: &TestDatabase) {
        let store = database.open().await;
        let text = "x".repeat(50_000);
        for number in 1..=3 {
            let run = run_id(number);
            store.create_run(new_run(run)).await.unwrap();
            let mut large = append(run, 0, &[]);
            large.events = vec![event(2, 0, &text)];
            large.blobs = vec![text.clone().into_bytes()];
            store.append(large).await.unwrap();
            assert_eq!(store.journal(run, 1).await.unwrap(), [event(2, 0, &text)]);
        }
        assert_eq!(store.blob(&Digest::of(&text)).await.unwrap(), Some(text.into_bytes()));
        // The blob and the event's body: two rows, though stored three times. A third one would break this.
        database.tamper("CREATE TABLE two (n BIGINT CHECK (n = 2)); INSERT INTO two SELECT count(*) FROM blobs").await;
        store.close().await.unwrap();
    }

    async fn questions_and_commands_move_with_the_append(database: &TestDatabase) {
        let store = database.open().await;
        let run = run_id(1);
        store.create_run(new_run(run)).await.unwrap();
        let asked = approval(run, "colour");
        let mut asking = append(run, 0, &[2]);
        asking.head.status = RunStatus::Waiting;
        asking.asked.push(asked.clone());
        store.append(asking).await.unwrap();
        assert_eq!(store.approvals(&masque_store::ApprovalFilter::default()).await.unwrap(), vec![asked.clone()]);
        let printed = asked.id.to_string();
        assert_eq!(store.find_approvals(&printed[..12]).await.unwrap(), [asked.id]);

        let by = Actor::User("ada".to_owned());
        let ruling = Ruling { answer: Answer::Reply { text: "red".to_owned() }, by: by.clone(), channel: Channel::Cli };
        let answer = Command::Answer { approval: asked.id, digest: asked.digest, ruling: ruling.clone() };
        let cancel = Command::Cancel { by };
        store.send(command_id(7), run, &answer, Timestamp(6)).await.unwrap();
        store.send(command_id(5), run, &cancel, Timestamp(6)).await.unwrap();
        store.send(command_id(7), run, &cancel, Timestamp(7)).await.unwrap();
        let both = [(command_id(7), answer.clone()), (command_id(5), cancel.clone())];
        assert_eq!(store.inbox(run).await.unwrap(), both);
        let nobody = store.send(command_id(8), run_id(9), &cancel, Timestamp(7)).await;
        assert_eq!(nobody, Err(Error::NoSuchRun { run: run_id(9) }));

        let deciding = |epoch| {
            let mut deciding = append(run, epoch, &[3]);
            deciding.decided = vec![(asked.id, ruling.clone(), Timestamp(8))];
            deciding.consumed = vec![command_id(7)];
            deciding
        };
        store.append(deciding(3)).await.unwrap_err();
        assert_eq!(store.inbox(run).await.unwrap(), both);
        assert_eq!(store.approval(asked.id).await.unwrap().unwrap().ruling, None);
        store.append(deciding(0)).await.unwrap();
        assert_eq!(store.inbox(run).await.unwrap(), both[1..]);
        assert_eq!(store.approval(asked.id).await.unwrap().unwrap().ruling, Some(ruling.clone()));
        store.send(command_id(7), run, &answer, Timestamp(9)).await.unwrap();
        assert_eq!(store.inbox(run).await.unwrap(), both[1..]);
        assert_eq!(store.approvals(&masque_store::ApprovalFilter::default()).await.unwrap(), []);
        let all = masque_store::ApprovalFilter { open_only: false, run: Some(run), limit: 5 };
        assert_eq!(store.approvals(&all).await.unwrap().len(), 1);
        store.close().await.unwrap();
    }
}

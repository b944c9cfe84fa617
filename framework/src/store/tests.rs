use futures::FutureExt as _;
use landbridge_database::testing::TestDatabase;

use super::*;
use crate::network::PortalKey;

async fn open(database: &TestDatabase) -> Arc<Store> {
    Store::open(database.open().await.unwrap()).await.unwrap()
}

#[tokio::test]
async fn a_key_is_put_once_per_login_and_numbers_go_on_after_a_restart() {
    let database = TestDatabase::new();
    let opened = database.open().await.unwrap();
    let store = Store::open(opened.clone()).await.unwrap();
    let mut batch = Batch::new();
    let (first, second, third) = (store.next_id(), store.next_id(), store.next_id());
    batch.add_inbox(first, "a", "k", "1".into(), 5);
    batch.add_inbox(second, "a", "k", "2".into(), 5);
    batch.add_inbox(third, "b", "k", "3".into(), 5);
    assert_eq!(store.commit(batch).await.unwrap(), [1, 0, 1]);
    let raws: Vec<_> = store.inbox_new(10).await.unwrap().into_iter().map(|row| row.raw).collect();
    assert_eq!(raws, ["1", "3"]);
    drop(store);
    let store = Store::open(opened).await.unwrap();
    assert!(store.next_id() > third);
}

#[tokio::test]
async fn batches_that_wait_together_fail_alone() {
    let database = TestDatabase::new();
    let store = open(&database).await;
    let put = |id: i64| {
        let mut batch = Batch::new();
        batch.push(
            "INSERT INTO as_txn (txn_id, received_at) VALUES ($1, $2)",
            landbridge_database::args!["t", id],
        );
        batch
    };
    let (a, b, c) = tokio::join!(store.commit(put(1)), store.commit(put(2)), async {
        let mut batch = Batch::new();
        batch.add_txn("other", "digest", 1);
        store.commit(batch).await
    });
    assert!(a.is_ok() != b.is_ok(), "exactly one of two equal keys is taken");
    assert_eq!(c.unwrap(), [1]);
    assert_eq!(store.digest_of_txn("other").await.unwrap().as_deref(), Some("digest"));
}

#[tokio::test]
async fn a_portal_is_found_by_all_its_names() {
    let database = TestDatabase::new();
    let store = open(&database).await;
    let mut portal =
        PortalRow::new(store.next_id(), PortalKey::private("chat", "login".to_owned()));
    portal.room_id = Some("!room".into());
    portal.state = PortalState::Open;
    let mut batch = Batch::new();
    batch.save_portal(&portal);
    batch.add_portal_login(portal.id, "login");
    store.commit(batch).await.unwrap();
    assert_eq!(store.portal_by_key(&portal.key).await.unwrap().unwrap().id, portal.id);
    assert_eq!(store.portal_by_room("!room").await.unwrap().unwrap().id, portal.id);
    assert!(store.portal_by_key(&PortalKey::shared("chat")).await.unwrap().is_none());
    assert_eq!(store.open_portals("login").await.unwrap().len(), 1);
    assert!(store.open_portals("another").await.unwrap().is_empty());
    let mut batch = Batch::new();
    batch.delete_portal(portal.id);
    store.commit(batch).await.unwrap();
    assert!(store.portal(portal.id).await.unwrap().is_none());
}

#[tokio::test]
async fn a_parked_task_goes_on_when_its_message_comes() {
    let database = TestDatabase::new();
    let store = open(&database).await;
    let task = |seq, key| NewTask { seq, portal: 1, key, inbox_seq: 1, place: 0, now: 0 };
    let mut batch = Batch::new();
    batch.add_inbox(1, "a", "k", "1".into(), 5);
    batch.add_task(&task(1, "edit"));
    batch.add_task(&task(2, "edit"));
    batch.park_task(1, "message", 100);
    assert_eq!(store.commit(batch).await.unwrap(), [1, 1, 0, 1]);
    assert!(store.ready_tasks(1, 9).await.unwrap().is_empty());
    assert_eq!(store.overdue_parked(100, 9).await.unwrap(), [1]);
    assert!(store.overdue_parked(99, 9).await.unwrap().is_empty());
    let mut batch = Batch::new();
    batch.unpark_tasks(1, "message");
    store.commit(batch).await.unwrap();
    assert_eq!(store.ready_tasks(1, 9).await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_is_put_again_has_no_second_task() {
    let database = TestDatabase::new();
    let store = open(&database).await;
    for (seq, touched) in [(1, [1, 1]), (2, [0, 0])] {
        let mut batch = Batch::new();
        batch.add_decoded(seq, "a", "k", "1".into(), 5);
        // Its task was pruned, say: only the raw event still tells that it came before.
        let key = &format!("task {seq}");
        batch.add_task(&NewTask { seq, portal: 1, key, inbox_seq: seq, place: 0, now: 0 });
        assert_eq!(store.commit(batch).await.unwrap(), touched);
    }
    assert!(store.inbox_new(9).await.unwrap().is_empty(), "decoded already");
}

#[tokio::test]
async fn an_echo_is_found_by_whatever_part_of_its_key_comes_back() {
    let database = TestDatabase::new();
    let store = open(&database).await;
    let key = crate::IdempotencyKey::derive("b", "$e", "text");
    let row = RemoteOutboxRow {
        seq: 7,
        mx_seq: 1,
        portal: 1,
        event_id: "$e".into(),
        login: "l".into(),
        op: "send".into(),
        key: key.to_hex(),
        state: SendState::Ready,
        attempts: 0,
        not_before: 0,
        first_sent_at: None,
        expires_at: 9,
        checkpoint: None,
        event: tokio::sync::OnceCell::new(),
    };
    let again = RemoteOutboxRow { seq: 8, ..row.clone() };
    let mut batch = Batch::new();
    batch.add_remote_outbox(&row, 1);
    // Planned twice, it is there once: the second one's mark finds nothing.
    batch.add_remote_outbox(&again, 1);
    batch.remote_sending(8, 1);
    assert_eq!(store.commit(batch).await.unwrap(), [1, 0, 0]);
    let found = store.remote_outbox_by_key(&key.as_nonce(20)).await.unwrap().unwrap();
    assert_eq!((found.seq, found.state), (7, SendState::Ready));
    assert!(
        store
            .remote_outbox_by_key("0123456789abcdef0")
            .await
            .unwrap()
            .is_none_or(|row| row.key.starts_with("0123456789abcdef0"))
    );
    let mut batch = Batch::new();
    batch.remote_settled(7, SendState::Sent, Some("m"), None, 2);
    batch.remote_settled(7, SendState::Unknown, None, None, 3);
    store.commit(batch).await.unwrap();
    assert!(store.open_remote_outbox(1, 9).await.unwrap().is_empty(), "what is sent stays sent");
}

#[tokio::test]
async fn who_fetches_history_is_told_once_it_is_asked_for() {
    let database = TestDatabase::new();
    let store = open(&database).await;
    let mut effects = Batch::new();
    effects.save_backfill(&BackfillRow {
        portal: 1,
        dir: "newer".into(),
        login: "ann".into(),
        cursor: None,
        anchor: None,
        remaining: 10,
        not_before: 0,
        attempts: 0,
    });
    let mut batch = Batch::new();
    batch.append(effects);
    // Told before, they would look, find nothing, and wait.
    assert!(store.history.notified().now_or_never().is_none());
    store.commit(batch).await.unwrap();
    assert!(store.history.notified().now_or_never().is_some());
    assert_eq!(store.ready_backfill(0, 8).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_dead_letter_can_be_replayed_or_dropped() {
    let database = TestDatabase::new();
    let store = open(&database).await;
    let mut batch = Batch::new();
    batch.add_inbox(1, "a", "k", "1".into(), 5);
    batch.inbox_dead(1, "no idea");
    batch.add_inbox(2, "a", "l", "1".into(), 5);
    batch.inbox_dead(2, "no idea");
    store.commit(batch).await.unwrap();
    assert_eq!(store.letters(10).await.unwrap().len(), 2);
    assert!(store.replay_letter(Queue::Inbox, 1).await.unwrap());
    assert!(store.drop_letter(Queue::Inbox, 2).await.unwrap());
    assert!(!store.drop_letter(Queue::Inbox, 2).await.unwrap());
    assert_eq!(store.inbox_new(10).await.unwrap().len(), 1);
    assert!(store.letters(10).await.unwrap().is_empty());
}

#[tokio::test]
async fn pruning_keeps_what_is_still_needed() {
    let database = TestDatabase::new();
    let store = open(&database).await;
    let mut batch = Batch::new();
    batch.add_inbox(1, "a", "old", "1".into(), 5);
    batch.add_inbox(2, "a", "needed", "1".into(), 5);
    batch.inbox_done(1);
    batch.inbox_done(2);
    batch.add_task(&NewTask { seq: 3, portal: 1, key: "needed", inbox_seq: 2, place: 0, now: 5 });
    store.commit(batch).await.unwrap();
    assert_eq!(store.prune(6, 100).await.unwrap(), 1);
    assert!(store.inbox_row(1).await.unwrap().is_none());
    assert!(store.inbox_row(2).await.unwrap().is_some());
}

#[tokio::test]
async fn the_small_map_lists_by_literal_prefix() {
    use crate::kv::KeyValue;
    let database = TestDatabase::new();
    let store = open(&database).await;
    for key in ["a_b/1", "axb/2", "a_b/3"] {
        store.put(key, key).await.unwrap();
    }
    let found: Vec<_> = store.list("a_b/").await.unwrap().into_iter().map(|(key, _)| key).collect();
    assert_eq!(found, ["a_b/1", "a_b/3"]);
}

#[tokio::test]
async fn what_waits_for_reading_is_due_once_it_was_read() {
    let database = TestDatabase::new();
    let store = open(&database).await;
    let message = |event: &str, ts| MessageRow {
        portal: 1,
        remote_id: event.into(),
        part: String::new(),
        place: 0,
        event_id: event.into(),
        sender: "bot".into(),
        order: None,
        ts,
        edit_version: 0,
        thread_root: None,
        tombstone: false,
        meta: crate::plain::PlainMeta::default(),
    };
    let mut batch = Batch::new();
    for (event, ts) in [("$a", 10), ("$b", 20), ("$c", 30)] {
        batch.add_message(&message(event, ts));
        batch.add_disappearing(event, 1, ts, 100, None);
    }
    batch.add_disappearing("$soon", 1, 5, 100, Some(105));
    store.commit(batch).await.unwrap();
    assert!(store.waits_for_reading().await.unwrap());
    let mut batch = Batch::new();
    batch.read_up_to(1, "$b", 1000);
    batch.read_up_to(1, "$unknown", 5000);
    store.commit(batch).await.unwrap();
    assert_eq!(store.next_disappearing().await.unwrap(), Some(105));
    let due = async |now| {
        let due = store.due_disappearing(now, 10).await.unwrap();
        due.into_iter().map(|row| row.event_id).collect::<Vec<_>>()
    };
    assert_eq!(due(1099).await, ["$soon"]);
    let mut known = due(1100).await;
    known.sort();
    assert_eq!(known, ["$a", "$b", "$soon"]);
    let mut batch = Batch::new();
    batch.read_all(1, 2000);
    batch.disappeared("$soon");
    store.commit(batch).await.unwrap();
    assert!(!store.waits_for_reading().await.unwrap());
    assert_eq!(due(2100).await.len(), 3);
}

#[tokio::test]
async fn a_room_that_is_asked_for_again_meanwhile_is_looked_at_again() {
    let database = TestDatabase::new();
    let store = open(&database).await;
    let mut batch = Batch::new();
    batch.add_space_job("!child", 1);
    batch.save_space_child("!child", "!space", "here");
    store.commit(batch).await.unwrap();
    let job = store.space_jobs(0, 10).await.unwrap().remove(0);
    // All in the space are asked for again while the job is under way.
    let mut batch = Batch::new();
    batch.add_space_jobs_of("!space", 2);
    store.commit(batch).await.unwrap();
    let mut batch = Batch::new();
    batch.space_job_done(&job);
    store.commit(batch).await.unwrap();
    let again = store.space_jobs(0, 10).await.unwrap();
    assert_eq!(again.len(), 1);
    let mut batch = Batch::new();
    batch.space_job_later(&again[0], 50);
    store.commit(batch).await.unwrap();
    assert!(store.space_jobs(49, 10).await.unwrap().is_empty());
    assert_eq!(store.space_jobs(50, 10).await.unwrap()[0].attempts, 1);
}

#[tokio::test]
async fn a_poll_keeps_what_is_known_of_it_when_its_options_change() {
    let database = TestDatabase::new();
    let store = open(&database).await;
    let option = |id: &str| PollOptionRow {
        matrix: format!("x{id}"),
        remote: id.into(),
        text: id.to_uppercase(),
    };
    let mut poll = PollRow {
        portal: 1,
        remote_id: "p".into(),
        options: vec![option("a")],
        max_choices: 1,
        counts: Vec::new(),
        ended: false,
    };
    let mut batch = Batch::new();
    batch.save_poll(&poll);
    batch.poll_counts(1, "p", &[("a".into(), 3)]);
    batch.save_vote(1, "p", "u:bob", &["a".into()]);
    batch.save_vote(1, "p", "u:bob", &[]);
    batch.poll_ended(1, "p");
    poll.options.push(option("b"));
    batch.save_poll(&poll);
    store.commit(batch).await.unwrap();
    let known = store.poll(1, "p").await.unwrap().unwrap();
    assert_eq!(known.options, poll.options);
    assert_eq!(known.counts, [("a".to_owned(), 3)]);
    assert!(known.ended);
    assert_eq!(store.vote_of(1, "p", "u:bob").await.unwrap(), Some(Vec::new()));
    assert_eq!(store.votes(1, "p").await.unwrap(), [Vec::<String>::new()]);
    assert!(store.poll(2, "p").await.unwrap().is_none());
}

use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

use futures::future::join_all;
use landbridge_database::testing::TestDatabase;

use super::*;
use crate::{nid::Pos, storage::SCHEMA};

struct Rig {
    db: Database,
    feed: Feed,
    committer: Committer,
}

async fn rig(test: &TestDatabase) -> Rig {
    let db = test.open().await.unwrap();
    db.migrate(&SCHEMA).await.unwrap();
    let stream = server::stream(&db).await.unwrap();
    let feed = Feed::new(1, stream.head, []);
    let committer = Committer::start(db.clone(), feed.clone(), vec![]).await.unwrap();
    Rig { db, feed, committer }
}

/// Writes a fact and takes a position; fails when asked to.
fn work(
    name: &str,
    fails: bool,
) -> impl for<'a> Fn(&'a mut CommitTx) -> BoxFuture<'a, Result<Pos, StorageError>> + Send + Sync + use<>
{
    let name = name.to_owned();
    move |tx| {
        let name = name.clone();
        Box::pin(async move {
            server::set(tx, &name, "here").await?;
            if fails {
                return Err(StorageError::Conflict("refused by the test"));
            }
            Ok(tx.next_pos())
        })
    }
}

/// Counts its commits; fails when asked to.
fn counting(
    calls: Arc<AtomicUsize>,
    fails: bool,
) -> impl for<'a> Fn(&'a mut CommitTx) -> BoxFuture<'a, Result<(), StorageError>> + Send + Sync {
    move |tx| {
        let calls = Arc::clone(&calls);
        tx.on_commit(move || {
            calls.fetch_add(1, Ordering::Relaxed);
        });
        let end = if fails { Err(StorageError::Conflict("refused by the test")) } else { Ok(()) };
        Box::pin(async move { end })
    }
}

#[tokio::test]
async fn positions_are_dense_over_failures_and_restarts() {
    let test = TestDatabase::new();
    let rig1 = rig(&test).await;
    let replies: Vec<_> = (0..20)
        .map(|i| rig1.committer.enqueue(None, work(&format!("fact {i}"), i % 7 == 3)))
        .collect();
    let outcomes = join_all(replies).await;
    let positions: Vec<Pos> = outcomes.into_iter().filter_map(Result::ok).collect();
    assert_eq!(positions, (1..=17).collect::<Vec<_>>());
    assert_eq!(rig1.feed.head(), 17);
    assert_eq!(server::get(&rig1.db, "fact 3").await.unwrap(), None, "what failed left nothing");
    assert_eq!(server::get(&rig1.db, "fact 4").await.unwrap().as_deref(), Some("here"));
    rig1.committer.flush().await.unwrap();
    rig1.db.close().await;

    let rig2 = rig(&test).await;
    assert_eq!(rig2.committer.run(work("later", false)).await.unwrap(), 18);
}

#[tokio::test]
async fn what_a_failed_unit_was_built_on_supersedes_the_later_ones_of_its_room() {
    let test = TestDatabase::new();
    let rig = rig(&test).await;
    let room = |epoch| Some((RoomNid(1), epoch));
    let replies = [
        rig.committer.enqueue(room(1), work("a", false)),
        rig.committer.enqueue(room(1), work("b", true)),
        rig.committer.enqueue(room(1), work("c", false)),
        rig.committer.enqueue(Some((RoomNid(2), 1)), work("d", false)),
        rig.committer.enqueue(room(2), work("e", false)),
    ];
    let outcomes = join_all(replies).await;
    assert!([0, 3, 4].into_iter().all(|i: usize| outcomes[i].is_ok()));
    assert!(matches!(outcomes[1], Err(CommitError::Storage(_))));
    assert!(matches!(outcomes[2], Err(CommitError::Superseded)));
    assert_eq!(server::get(&rig.db, "c").await.unwrap(), None);
}

#[tokio::test]
async fn a_panic_fails_its_own_unit_only() {
    let test = TestDatabase::new();
    let rig = rig(&test).await;
    let panics = rig.committer.enqueue(None, |_tx: &mut CommitTx| {
        let future: BoxFuture<'_, Result<(), StorageError>> =
            Box::pin(async { panic!("on purpose") });
        future
    });
    let fine = rig.committer.enqueue(None, work("fine", false));
    assert!(matches!(panics.await, Err(CommitError::Storage(_))));
    assert_eq!(fine.await.unwrap(), 1);
}

#[tokio::test]
async fn callbacks_run_once_after_the_commit_and_never_for_what_failed() {
    let test = TestDatabase::new();
    let rig = rig(&test).await;
    let calls = Arc::new(AtomicUsize::new(0));
    let count = |fails: bool| counting(Arc::clone(&calls), fails);
    let replies =
        [rig.committer.enqueue(None, count(false)), rig.committer.enqueue(None, count(true))];
    join_all(replies).await;
    assert_eq!(calls.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn hooks_write_inside_the_commit() {
    #[derive(Default)]
    struct Hook(Mutex<Vec<&'static str>>);
    impl CommitHook for Hook {
        fn before_commit<'a>(
            &'a self,
            tx: &'a mut CommitTx,
        ) -> BoxFuture<'a, Result<(), StorageError>> {
            self.0.lock().unwrap().push("before");
            Box::pin(server::set(tx, "hook", "was here"))
        }
        fn after_commit(&self, _: &[Published]) {
            self.0.lock().unwrap().push("after");
        }
        fn after_rollback(&self) {
            self.0.lock().unwrap().push("rollback");
        }
    }
    let test = TestDatabase::new();
    let db = test.open().await.unwrap();
    db.migrate(&SCHEMA).await.unwrap();
    let hook = Arc::new(Hook::default());
    let feed = Feed::new(1, 0, []);
    let hooks = vec![Arc::clone(&hook) as Arc<dyn CommitHook>];
    let committer = Committer::start(db.clone(), feed, hooks).await.unwrap();
    committer.run(work("a", false)).await.unwrap();
    committer.run(work("b", true)).await.unwrap_err();
    assert_eq!(*hook.0.lock().unwrap(), ["before", "after", "rollback"]);
    assert_eq!(server::get(&db, "hook").await.unwrap().as_deref(), Some("was here"));
}

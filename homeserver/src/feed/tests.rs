use std::sync::Mutex;

use futures::FutureExt as _;
use ruma::user_id;

use super::*;

fn receipt(room: i64) -> Change {
    Change::Receipt {
        room: RoomNid(room),
        user: user_id!("@reader:example.org").to_owned(),
        kind: "m.read".into(),
        thread: None,
        event_id: ruma::event_id!("$event").to_owned(),
        ts: 0,
    }
}

fn published(pos: Pos, change: Change) -> Vec<Published> {
    vec![Published { pos, change }]
}

#[tokio::test]
async fn only_users_in_the_changed_room_are_woken() {
    let feed = Feed::new(1, 10, [(RoomNid(1), 4)]);
    let mut inside = feed.user(user_id!("@in:example.org"), || [RoomNid(1)]);
    let mut outside = feed.user(user_id!("@out:example.org"), || [RoomNid(2)]);
    feed.publish(11, published(11, receipt(1)));
    inside.changed().await;
    assert!(outside.changed().now_or_never().is_none());
    assert_eq!((feed.head(), feed.room_head(RoomNid(1)), feed.room_head(RoomNid(2))), (11, 11, 0));
}

#[tokio::test]
async fn a_change_between_two_polls_is_not_missed() {
    let feed = Feed::new(1, 0, []);
    let user = user_id!("@in:example.org");
    drop(feed.user(user, || [RoomNid(1)]));
    let mut again =
        feed.user(user, || -> [RoomNid; 1] { unreachable!("the feed follows the rooms") });
    feed.publish(1, published(1, receipt(1)));
    again.changed().await;
}

#[tokio::test]
async fn observers_learn_before_the_head_moves() {
    struct Spy(Feed, Mutex<Vec<(Pos, Pos)>>);
    impl FeedObserver for Spy {
        fn published(&self, batch: &[Published]) {
            let seen = batch.iter().map(|p| (p.pos, self.0.head()));
            self.1.lock().unwrap().extend(seen);
        }
    }
    let feed = Feed::new(1, 5, []);
    let spy = Arc::new(Spy(feed.clone(), Mutex::default()));
    feed.observe(&spy);
    feed.publish(6, published(6, receipt(1)));
    assert_eq!(*spy.1.lock().unwrap(), [(6, 5)]);
}

#[tokio::test]
async fn a_slow_reader_is_told_to_read_the_tables() {
    let feed = Feed::new(1, 0, []);
    let mut reader = feed.reader();
    for pos in 1..=2000 {
        feed.publish(pos, published(pos, receipt(1)));
    }
    assert!(matches!(reader.next().await, Next::Lagged));
    assert!(matches!(reader.next().await, Next::Group(_)));
}

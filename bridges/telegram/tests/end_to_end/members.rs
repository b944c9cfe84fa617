//! Who is in a chat, and who may do what there.

use grammers_tl_types as tl;
use landbridge_framework::testing::eventually;
use landbridge_telegram_peer::Place;
use serde_json::{Value, json};

use crate::rig::{ALICE, BOB, BOBS_GHOST, CAROL, CAROLS_GHOST, CLUB, LOBBY, LOBBY_ID, Rig};

impl Rig {
    pub(crate) fn is(&self, room: &str, who: &str, membership: &str) -> bool {
        self.homeserver.membership(room, who).as_deref() == Some(membership)
    }

    pub(crate) fn levels(&self, room: &str) -> Value {
        self.state(room, "m.room.power_levels")
    }

    /// Ann changes power levels.
    pub(crate) fn change_levels(&self, room: &str, change: impl Fn(&mut Value)) {
        let mut levels = self.levels(room);
        change(&mut levels);
        self.ann.set_state(room, "m.room.power_levels", "", &levels).expect("Ann may");
    }

    /// What comes back of what Ann does in a chat has come: it comes before what Carol says there after it.
    pub(crate) async fn settled(&self, room: &str, place: Place, text: &str) {
        self.peer.world().say(CAROL, place, text);
        eventually(text, || self.heard(room).contains(&text.to_owned())).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_and_goes_on_telegram_does_so_on_matrix() {
    let rig = Rig::with_alice().await;
    rig.peer.world().person(CAROL, "Carol", "+15550003");
    let room = rig.club().await;
    assert!(rig.is(&room, BOBS_GHOST, "join"));
    rig.peer.world().bring(CAROL, CLUB, CAROL);
    eventually("Carol has come", || rig.is(&room, CAROLS_GHOST, "join")).await;
    rig.peer.world().remove(CAROL, CLUB, CAROL);
    eventually("Carol has gone", || rig.is(&room, CAROLS_GHOST, "leave")).await;
    assert_eq!(rig.last(&room, "m.room.member")["sender"], CAROLS_GHOST);
    rig.peer.world().bring(BOB, CLUB, CAROL);
    eventually("Bob has brought Carol", || rig.is(&room, CAROLS_GHOST, "join")).await;
    rig.peer.world().remove(ALICE, CLUB, CAROL);
    eventually("Alice has put her out", || rig.is(&room, CAROLS_GHOST, "leave")).await;
    // The account's own owner, too.
    rig.peer.world().remove(ALICE, CLUB, ALICE);
    eventually("Ann has gone with Alice", || rig.is(&room, rig.ann.id(), "leave")).await;
    // What the bridge does by Ann's account is not done on Telegram again.
    rig.peer.world().bring(BOB, CLUB, ALICE);
    eventually("Ann is called back", || !rig.is(&room, rig.ann.id(), "leave")).await;
    rig.peer.world().say(BOB, CLUB, "welcome back");
    eventually("a word to her", || rig.heard(&room).contains(&"welcome back".to_owned())).await;
    assert!(rig.peer.world().shown(CLUB).members.contains(&ALICE));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bots_are_told_who_is_shut_out_and_who_administers() {
    let rig = Rig::start().await;
    let room = rig.lobby().await;
    eventually("Bob is there", || rig.is(&room, BOBS_GHOST, "join")).await;
    rig.peer.world().promote(ALICE, LOBBY_ID, BOB, true);
    eventually("Bob is an administrator", || rig.levels(&room)["users"][BOBS_GHOST] == 50).await;
    rig.peer.world().promote(ALICE, LOBBY_ID, BOB, false);
    eventually("Bob is none any more", || {
        rig.levels(&room)["users"][BOBS_GHOST].as_i64().unwrap_or(0) == 0
    })
    .await;
    rig.peer.world().ban(ALICE, LOBBY_ID, BOB, true);
    eventually("Bob is shut out", || rig.is(&room, BOBS_GHOST, "ban")).await;
    rig.peer.world().ban(ALICE, LOBBY_ID, BOB, false);
    eventually("Bob may come back", || rig.is(&room, BOBS_GHOST, "leave")).await;
    rig.peer.world().bring(BOB, LOBBY, BOB);
    eventually("Bob is back", || rig.is(&room, BOBS_GHOST, "join")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_called_and_put_out_on_matrix_is_so_on_telegram() {
    let rig = Rig::with_alice().await;
    rig.peer.world().person(CAROL, "Carol", "+15550003");
    let room = rig.club().await;
    let shown = || rig.peer.world().shown(CLUB);
    eventually("Bob is there", || rig.is(&room, BOBS_GHOST, "join")).await;
    assert!(rig.ann.kick(&room, BOBS_GHOST));
    eventually("Bob is put out", || !shown().members.contains(&BOB)).await;
    eventually("he may come back", || shown().banned.is_empty()).await;
    rig.settled(&room, CLUB, "bye Bob").await;
    assert!(rig.ann.invite(&room, BOBS_GHOST));
    eventually("Bob is called", || shown().members.contains(&BOB)).await;
    eventually("and has come", || rig.is(&room, BOBS_GHOST, "join")).await;
    rig.settled(&room, CLUB, "hi Bob").await;
    assert!(rig.ann.ban(&room, BOBS_GHOST));
    eventually("Bob is shut out", || {
        shown().banned.contains(&BOB) && !shown().members.contains(&BOB)
    })
    .await;
    rig.settled(&room, CLUB, "bye again").await;
    assert!(rig.is(&room, BOBS_GHOST, "ban"), "he stays shut out here");
    assert!(rig.ann.unban(&room, BOBS_GHOST));
    eventually("he may come back again", || shown().banned.is_empty()).await;
    assert!(rig.ann.leave(&room));
    eventually("Alice has gone with Ann", || !shown().members.contains(&ALICE)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_enters_a_room_enters_its_chat() {
    let mut rig = Rig::prepare().await;
    rig.bridge_config.portals[0].public = true;
    rig.go().await;
    rig.become_alice().await;
    let room = rig.found_room("Lobby").await;
    eventually("Ann is there with Alice", || rig.is(&room, rig.ann.id(), "join")).await;
    rig.peer.world().remove(ALICE, LOBBY, ALICE);
    eventually("Ann is not there", || !rig.is(&room, rig.ann.id(), "join")).await;
    assert!(rig.ann.join(&room), "it is open to everybody");
    eventually("Alice has come with Ann", || {
        rig.peer.world().shown(LOBBY).members.contains(&ALICE)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_everybody_may_do_is_power_levels() {
    let rig = Rig::with_alice().await;
    let room = rig.club().await;
    eventually("everybody may speak", || rig.levels(&room)["events_default"] == 0).await;
    let free = rig.peer.world().rights(CLUB);
    let quiet = tl::types::ChatBannedRights {
        send_messages: true,
        pin_messages: true,
        invite_users: true,
        ..free
    };
    rig.peer.world().permit(CLUB, &quiet);
    eventually("only administrators may", || {
        let levels = rig.levels(&room);
        levels["events_default"] == 50
            && levels["events"]["m.room.pinned_events"] == 50
            && levels["events"]["m.room.name"] == 0
            && levels["invite"] == 50
    })
    .await;

    // What Ann changes is changed, and nothing else.
    rig.change_levels(&room, |levels| levels["events_default"] = json!(0));
    let rights = || rig.peer.world().rights(CLUB);
    eventually("everybody may speak again", || !rights().send_messages).await;
    assert!(rights().pin_messages && rights().invite_users && !rights().change_info);
    // What comes back of it changes levels, too, and levels are replaced as a whole.
    eventually("so may their stickers", || rig.levels(&room)["events"]["m.sticker"] == 0).await;
    rig.change_levels(&room, |levels| levels["users"][BOBS_GHOST] = json!(50));
    let administrators = || rig.peer.world().shown(CLUB).administrators;
    eventually("Bob is an administrator", || administrators().contains(&BOB)).await;
    rig.change_levels(&room, |levels| levels["users"][BOBS_GHOST] = json!(0));
    eventually("Bob is none any more", || administrators().is_empty()).await;
}

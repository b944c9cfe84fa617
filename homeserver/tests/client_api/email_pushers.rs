//! E-mails about what people have not read.

use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};
use landbridge_homeserver::clock::Clock;
use serde_json::{Value, json};

use super::smtp::Smtp;
use super::support::{Later, TestServer, User};
use super::threepids::{add, mail};

const ADDRESS: &str = "alice@example.org";

fn pusher(address: &str) -> Value {
    json!({ "app_id": "m.email", "pushkey": address, "kind": "email", "app_display_name": "E-mail",
        "device_display_name": address, "lang": "en", "data": {}, "append": true })
}

async fn pushers(user: &User<'_>) -> usize {
    let answer = user.must(Method::GET, "v3/pushers", Value::Null).await;
    answer["pushers"].as_array().unwrap().len()
}

/// A server that sends e-mail, and its clock.
async fn start(smtp: &Smtp) -> (TestServer, Arc<Later>) {
    let clock = Arc::new(Later::default());
    let time = Arc::clone(&clock) as Arc<dyn Clock>;
    (TestServer::start_with_at(|config| mail(config, smtp), time).await, clock)
}

/// Alice, who gets e-mails, and Bob, who writes to her in a room.
struct Scene<'a> {
    clock: &'a Later,
    alice: User<'a>,
    bob: User<'a>,
    room: String,
}

impl<'a> Scene<'a> {
    async fn new(server: &'a TestServer, smtp: &Smtp, clock: &'a Later) -> Self {
        let (alice, bob) = (server.register("alice").await, server.register("bob").await);
        add(server, smtp, &alice, ADDRESS).await;
        let body = json!({ "invite": [alice.id], "name": "The\nRoom" });
        let room = bob.create_room(body).await;
        alice.must(Method::POST, &format!("v3/join/{room}"), json!({})).await;
        let scene = Self { clock, alice, bob, room };
        scene.poke().await;
        scene
    }

    /// Sets the pusher again, which lets it look what there is to tell.
    async fn poke(&self) {
        self.alice.must(Method::POST, "v3/pushers/set", pusher(ADDRESS)).await;
    }

    /// Bob says something; the event's ID once Alice is notified of it.
    async fn say(&self, text: &str) -> String {
        let path = format!("v3/rooms/{}/send/m.room.message/{text}", self.room);
        let body = json!({ "msgtype": "m.text", "body": text });
        let answer = self.bob.must(Method::PUT, &path, body).await;
        self.alice.must(Method::GET, "v3/notifications", Value::Null).await;
        answer["event_id"].as_str().unwrap().to_owned()
    }

    async fn read(&self, event: &str) {
        let path = format!("v3/rooms/{}/receipt/m.read/{event}", self.room);
        self.alice.must(Method::POST, &path, json!({})).await;
    }

    async fn later(&self, minutes: i64) {
        self.clock.pass(minutes * 60);
        self.poke().await;
    }
}

#[tokio::test]
async fn what_is_unread_for_a_while_is_told_by_email_and_ever_more_seldom() {
    let smtp = Smtp::start().await;
    let (server, clock) = start(&smtp).await;
    let scene = Scene::new(&server, &smtp, &clock).await;
    let before = smtp.count();
    scene.say("first").await;
    scene.say("second").await;
    scene.later(11).await;
    let told = smtp.wait(before + 1).await;
    assert_eq!(told.to, ADDRESS);
    for part in [
        "The Room",
        "@bob:hs.test: first",
        "@bob:hs.test: second",
        "List-Unsubscribe: <https://hs.test/",
    ] {
        assert!(told.text.contains(part), "{part}: {}", told.text);
    }
    assert!(
        told.text.contains("List-Unsubscribe-Post: List-Unsubscribe=One-Click"),
        "{}",
        told.text
    );

    // Nothing is read: the next one comes an hour later, by the server's clock.
    let first = told.sent();
    scene.say("third").await;
    scene.later(11).await;
    scene.say("fourth").await;
    scene.later(50).await;
    let told = smtp.wait(before + 2).await;
    assert!(told.text.contains(": third") && told.text.contains(": fourth"), "{}", told.text);
    assert!(!told.text.contains(": second"), "{}", told.text);
    let between = told.sent().duration_since(first).unwrap();
    assert!(between >= Duration::from_hours(1), "{between:?}");

    // Who reads again hears sooner, and not of what was read.
    let read = scene.say("fifth").await;
    scene.read(&read).await;
    scene.say("sixth").await;
    scene.later(11).await;
    let told = smtp.wait(before + 3).await;
    assert!(told.text.contains(": sixth") && !told.text.contains(": fifth"), "{}", told.text);

    // Who has read everything hears nothing, however long it takes: the next e-mail is about what is new.
    let read = scene.say("seventh").await;
    scene.read(&read).await;
    scene.later(1440).await;
    scene.say("eighth").await;
    scene.later(11).await;
    let told = smtp.wait(before + 4).await;
    assert!(told.text.contains(": eighth"), "{}", told.text);
    assert!(!told.text.contains(": sixth") && !told.text.contains(": seventh"), "{}", told.text);
    assert_eq!(smtp.count(), before + 4);
}

#[tokio::test]
async fn a_mailbox_that_is_not_there_loses_its_pusher() {
    let smtp = Smtp::start().await;
    let (server, clock) = start(&smtp).await;
    let scene = Scene::new(&server, &smtp, &clock).await;
    let refused = "refused@example.org";
    let addresses = vec![ADDRESS.to_owned(), refused.to_owned()];
    let user = scene.alice.id.as_str().try_into().unwrap();
    server.server.app().threepids.replace(user, addresses, false).await.unwrap();
    scene.alice.must(Method::POST, "v3/pushers/set", pusher(refused)).await;
    scene.say("first").await;
    scene.later(11).await;
    smtp.wait_for_refusals(1).await;
    // Perhaps it was a mistake of the SMTP server's: one refusal means little.
    assert_eq!(pushers(&scene.alice).await, 2);
    scene.later(61).await;
    smtp.wait_for_refusals(2).await;
    let gone = async {
        while pushers(&scene.alice).await > 1 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), gone).await.expect("a pusher that goes");
}

#[tokio::test]
async fn who_is_locked_out_gets_no_emails() {
    let smtp = Smtp::start().await;
    let (server, clock) = start(&smtp).await;
    let scene = Scene::new(&server, &smtp, &clock).await;
    let (carol, address) = (server.register("carol").await, "carol@example.org");
    add(&server, &smtp, &carol, address).await;
    let invite = format!("v3/rooms/{}/invite", scene.room);
    scene.bob.must(Method::POST, &invite, json!({ "user_id": carol.id })).await;
    carol.must(Method::POST, &format!("v3/join/{}", scene.room), json!({})).await;
    carol.must(Method::POST, "v3/pushers/set", pusher(address)).await;
    let (app, before) = (server.server.app(), smtp.count());
    let user = scene.alice.id.as_str().try_into().unwrap();
    scene.say("first").await;
    carol.must(Method::GET, "v3/notifications", Value::Null).await;
    app.accounts.set_locked(user, true).await.unwrap();
    clock.pass(11 * 60);
    app.push.added(app, user).await.unwrap();
    carol.must(Method::POST, "v3/pushers/set", pusher(address)).await;
    assert_eq!(smtp.wait(before + 1).await.to, address);
    // Once let in again, she hears of it.
    app.accounts.set_locked(user, false).await.unwrap();
    scene.poke().await;
    let told = smtp.wait(before + 2).await;
    assert_eq!(told.to, ADDRESS);
    assert!(told.text.contains(": first"), "{}", told.text);
}

#[tokio::test]
async fn emails_go_to_ones_own_address_until_they_are_stopped() {
    let smtp = Smtp::start().await;
    let (server, clock) = start(&smtp).await;
    let scene = Scene::new(&server, &smtp, &clock).await;
    let set = "v3/pushers/set";
    let refused = scene.bob.refused(Method::POST, set, pusher(ADDRESS)).await;
    assert_eq!(refused, (400, "M_THREEPID_NOT_FOUND".to_owned()));
    let refused = scene.alice.refused(Method::POST, set, pusher("nobody")).await;
    assert_eq!(refused, (400, "M_THREEPID_NOT_FOUND".to_owned()));
    let mut other = pusher(ADDRESS);
    other["app_id"] = json!("org.app");
    let refused = scene.alice.refused(Method::POST, set, other).await;
    assert_eq!(refused, (400, "M_INVALID_PARAM".to_owned()));

    let before = smtp.count();
    scene.say("first").await;
    scene.later(11).await;
    let link = smtp.wait(before + 1).await.link_to("unsubscribe").to_owned();
    let (status, policy, text) = server.page(&link).await;
    assert_eq!(status, StatusCode::OK);
    assert!(text.contains("<button>") && text.contains(ADDRESS), "{text}");
    assert!(policy.contains("form-action 'self'"), "{policy}");
    let wrong = link.replace("alice%3A", "bob%3A");
    assert_ne!(wrong, link);
    assert_eq!(server.page(&wrong).await.0, StatusCode::NOT_FOUND);
    assert_eq!(server.form(&wrong, "").await.0, StatusCode::NOT_FOUND);
    assert_eq!(pushers(&scene.alice).await, 1);
    assert_eq!(server.form(&link, "List-Unsubscribe=One-Click").await.0, StatusCode::OK);
    assert_eq!(pushers(&scene.alice).await, 0);

    // It goes with the address as well.
    scene.poke().await;
    assert_eq!(pushers(&scene.alice).await, 1);
    let named = json!({ "medium": "email", "address": "Alice@example.org" });
    scene.alice.must(Method::POST, "v3/account/3pid/delete", named).await;
    assert_eq!(pushers(&scene.alice).await, 0);

    let silent = TestServer::start().await;
    let carol = silent.register("carol").await;
    let refused = carol.refused(Method::POST, set, pusher("carol@example.org")).await;
    assert_eq!(refused, (400, "M_INVALID_PARAM".to_owned()));
}

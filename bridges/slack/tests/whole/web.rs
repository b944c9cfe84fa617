//! What Slack and browsers call the bridge for: the Events API in the place of Socket Mode, slash commands, and the page that people come
//! back from who have allowed the bridge to act for them.

use std::{collections::BTreeMap, fmt::Write as _, net::SocketAddr};

use hmac::{Hmac, Mac as _};
use reqwest::StatusCode;
use serde_json::{Value, json};
use sha2::Sha256;

use crate::{
    World,
    slack::{Inside, with_channel},
};
use landbridge_framework::{
    login::{Display, StepKind},
    permissions::Level,
    testing::{eventually, free_port},
};
use landbridge_slack::config::Secret;

const SECRET: &str = "signing-secret";

/// A world in which Slack calls the bridge, at an address of the bridge's.
async fn called() -> (World, SocketAddr) {
    let free = SocketAddr::from(([127, 0, 0, 1], free_port().unwrap()));
    let world = World::with(|bridge, network| {
        bridge.permissions.insert("@ann:hs.example".into(), Level::Admin);
        network.app_token = None;
        network.signing_secret = Some(Secret::new(SECRET));
        network.client_id = Some("1.2".into());
        network.client_secret = Some(Secret::new("client-secret"));
        network.listen = Some(free);
        network.public_url = Some("https://bridge.example".into());
    })
    .await;
    (world, free)
}

/// A request as Slack signs it now.
async fn signed(at: SocketAddr, path: &str, body: &str, secret: &str) -> (StatusCode, String) {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let now = now.as_secs().to_string();
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("v0:{now}:{body}").as_bytes());
    let digits = mac.finalize().into_bytes().iter().fold(String::new(), |mut digits, byte| {
        write!(digits, "{byte:02x}").unwrap();
        digits
    });
    let request = reqwest::Client::new().post(format!("http://{at}/slack/{path}"));
    let request = request.header("x-slack-request-timestamp", now);
    let request = request.header("x-slack-signature", format!("v0={digits}"));
    let answer = request.body(body.to_owned()).send().await.unwrap();
    (answer.status(), answer.text().await.unwrap())
}

/// Somebody says something; gives what Slack tells the bridge of it.
fn told(inside: &mut Inside, text: &str) -> Value {
    let message = inside.add(json!({ "type": "message", "user": "U01", "text": text }));
    inside.callback(&with_channel(message))
}

#[tokio::test]
async fn what_slack_calls_the_bridge_for_is_said() {
    let (world, at) = called().await;
    let (ann, room, bridge) = world.entered().await;
    let slack = &world.slack;
    let tell = async |event: &Value, secret: &str| {
        signed(at, "events", &event.to_string(), secret).await.0
    };
    let first = told(&mut slack.inside(), "one");
    assert_eq!(tell(&first, "another").await, StatusCode::UNAUTHORIZED);
    // What was not acknowledged, or only seemed so, comes again.
    for _ in 0..2 {
        assert_eq!(tell(&first, SECRET).await, StatusCode::OK);
    }
    let second = told(&mut slack.inside(), "two");
    assert_eq!(tell(&second, SECRET).await, StatusCode::OK);
    eventually("both, once", || world.said(&room) == ["one", "two"]).await;
    ann.say(&room, "three").unwrap();
    eventually("her words", || slack.texts() == ["one", "two", "three"]).await;
    // What Slack could not tell while the bridge was away is read.
    bridge.stop(std::time::Duration::from_secs(10)).await;
    world.homeserver.detach();
    told(&mut slack.inside(), "four");
    let _bridge = world.start().await;
    eventually("what was missed", || world.said(&room) == ["one", "two", "four"]).await;
}

#[tokio::test]
async fn who_asks_by_a_slash_command_is_answered() {
    let (world, at) = called().await;
    let _all = world.entered().await;
    let ask = async |channel: &str, words: &str| {
        let form =
            format!("team_id=T01&channel_id={channel}&user_id=U01&command=/matrix&text={words}");
        let (status, answer) = signed(at, "commands", &form, SECRET).await;
        assert_eq!(status, StatusCode::OK);
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(answer["response_type"], "ephemeral", "nobody else sees it");
        answer["text"].as_str().unwrap().to_owned()
    };
    assert!(ask("C01", "status").await.contains("is bridged"));
    let not = ask("C02", "status").await;
    assert!(not.contains("not bridged") && not.contains("!slack bridge T01-C02"), "{not}");
    assert_eq!(ask("C02", "id").await, "`T01-C02`");
    assert!(ask("C01", "help").await.contains("/matrix status"));
}

#[tokio::test]
async fn the_app_is_installed_in_another_workspace() {
    let (world, at) = called().await;
    let (ann, room, bridge) = world.entered().await;
    let answer = async |command: &str| {
        let answers = || {
            let mut all = world.homeserver.messages(&room);
            all.retain(|(who, _)| who == "@slackbot:hs.example");
            all
        };
        let before = answers().len();
        ann.say(&room, command).unwrap();
        eventually(command, || answers().len() > before).await;
        answers().pop().unwrap().1
    };
    let browser = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
    let browser = browser.build().unwrap();
    let open = async |path: &str| {
        let answer = browser.get(format!("http://{at}/slack/{path}")).send().await.unwrap();
        let sent_to = answer.headers().get("location").map(|to| to.to_str().unwrap().to_owned());
        (answer.status(), sent_to)
    };
    let words = answer("!slack install").await;
    let link = words.split_whitespace().find_map(|word| word.split_once("/slack/install?ticket="));
    let (base, ticket) = link.unwrap();
    assert_eq!(base, "https://bridge.example");
    assert_eq!(open("install?ticket=guessed").await.0, StatusCode::FORBIDDEN);
    let (status, sent_to) = open(&format!("install?ticket={ticket}")).await;
    assert_eq!(status, StatusCode::TEMPORARY_REDIRECT);
    let page = url::Url::parse(&sent_to.unwrap()).unwrap();
    assert_eq!(page.path(), "/oauth/v2/authorize");
    let asked: BTreeMap<_, _> = page.query_pairs().into_owned().collect();
    assert!(asked["scope"].contains("chat:write") && asked["user_scope"].is_empty(), "{asked:?}");
    let back = format!("oauth?state={}&code=installed", asked["state"]);
    assert_eq!(open(&back).await.0, StatusCode::OK);
    assert_eq!(open(&back).await.0, StatusCode::FORBIDDEN, "it is good once");
    let there = "The app is in\n- Test (T01)\n- Second (T02)";
    assert_eq!(answer("!slack workspaces").await, there);
    // The token is kept.
    bridge.stop(std::time::Duration::from_secs(10)).await;
    world.homeserver.detach();
    let _bridge = world.start().await;
    assert_eq!(answer("!slack workspaces").await, there);
}

#[tokio::test]
async fn people_log_in_on_slacks_own_page() {
    let (world, at) = called().await;
    let (ann, room, bridge) = world.entered().await;
    let slack = &world.slack;
    let back = async |state: &str, what: &str| {
        let page = format!("http://{at}/slack/oauth?state={state}&{what}");
        let answer = reqwest::get(page).await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    };
    let control = bridge.control();
    // She is sent there, and comes back with a no first.
    for (what, allowed) in [("error=access_denied", false), ("code=good", true)] {
        let mut login = control.start_login(ann.id(), "oauth", None).await.unwrap();
        let step = login.next().await;
        let StepKind::Show(Display::Nothing(words)) = &step.kind else { panic!("{step:?}") };
        let page = words.split_whitespace().find(|word| word.starts_with("http")).unwrap();
        let page = url::Url::parse(page).unwrap();
        let value = |key: &str| {
            let found = page.query_pairs().find(|(known, _)| known == key);
            found.map(|(_, value)| value.into_owned()).unwrap_or_default()
        };
        assert_eq!((page.path(), &*value("client_id")), ("/oauth/v2/authorize", "1.2"));
        assert!(value("user_scope").contains("chat:write") && value("scope").is_empty());
        assert_eq!(value("redirect_uri"), "https://bridge.example/slack/oauth");
        let (status, _) = back("guessed", what).await;
        assert_eq!(status, StatusCode::FORBIDDEN);
        let (status, words) = back(&value("state"), what).await;
        assert_eq!((status, words.contains("Done")), (StatusCode::OK, allowed), "{words}");
        let end = login.next().await;
        assert_eq!(matches!(end.kind, StepKind::Done(_)), allowed, "{end:?}");
    }
    let asked = slack.asked("oauth.v2.access").remove(0);
    assert_eq!(
        (&asked["code"], &asked["redirect_uri"]),
        (&json!("good"), &json!("https://bridge.example/slack/oauth"))
    );
    eventually("her conversations", || slack.called("users.conversations") > 0).await;
    ann.say(&room, "as myself").unwrap();
    eventually("her own words", || slack.messages().iter().any(|it| it["user"] == "U07")).await;
}

//! People: how they look, what they may do, whether they are there, how they come and go.

use serde_json::{Value, json};

use crate::{
    fake::{CHANNEL, Fake, GUILD, OTHER},
    fake_oauth::{CLIENT_SECRET, CODE},
    fake_server::{MODERATORS, RULERS, STEWARDS},
    texts,
    world::World,
};
use landbridge_discord::config::{OAuthConfig, Secret};
use landbridge_framework::{
    login::StepKind,
    testing::{eventually, own_logins},
};

/// Ann says something, as somebody who looks so in the server and has these roles.
fn says(world: &World, text: &str, member: &Value) {
    let mut without = member.clone();
    without.as_object_mut().unwrap().remove("user");
    let message = json!({ "author": member["user"], "member": without, "content": text });
    world.fake.post(CHANNEL, message);
}

/// In a world where the members are told of.
async fn among_members() -> World {
    let mut world = World::with(|bridge, network| {
        bridge.portals.clear();
        network.gateway.members = true;
        network.moderation.members = true;
    })
    .await;
    world.fake.admit(Fake::member_of("eve", None, &[RULERS]));
    world.open(CHANNEL).await;
    world
}

#[tokio::test]
async fn people_look_as_they_do_in_their_server() {
    let world = among_members().await;
    let ann = World::ghost("ann");
    let looks = |name: &str, picture: &str| {
        let profile = world.homeserver.profile(&ann);
        profile["displayname"] == name
            && world.picture(&profile["avatar_url"]).is_some_and(|path| path == picture)
    };
    let mut member = Fake::member_of("ann", Some("Annie"), &[]);
    member["user"]["avatar"] = "0a1b".into();
    member["avatar"] = "2c3d".into();
    says(&world, "hello", &member);
    let there = "guilds/500/users/10317/avatars/2c3d.png";
    eventually("nick and picture of the server", || looks("Annie", there)).await;
    member["nick"] = "Anna".into();
    member["avatar"] = Value::Null;
    world.fake.change_member(member.clone());
    eventually("another nick, her own picture", || looks("Anna", "avatars/10317/0a1b.png")).await;
    member["nick"] = Value::Null;
    member["user"]["avatar"] = Value::Null;
    world.fake.change_member(member);
    eventually("her own name, a picture of Discord's", || looks("ann", "embed/avatars/0.png"))
        .await;
}

#[tokio::test]
async fn roles_are_power_levels() {
    let world = among_members().await;
    let power = |name: &str| {
        let levels = world.homeserver.state(&world.room, "m.room.power_levels", "").unwrap();
        levels["users"][World::ghost(name)].as_i64().unwrap_or_default()
    };
    eventually("who governs the server", || power("eve") == 90).await;
    says(&world, "hello", &Fake::member_of("ann", None, &[STEWARDS]));
    eventually("who manages channels", || power("ann") == 75).await;
    world.fake.change_member(Fake::member_of("ann", None, &[MODERATORS]));
    eventually("who moderates", || power("ann") == 50).await;
    world.fake.change_member(Fake::member_of("ann", None, &[]));
    eventually("everybody else", || power("ann") == 0).await;
    says(&world, "hello, too", &Fake::member_of("dan", None, &[]));
    eventually("what they said", || texts(&world.said()) == ["hello", "hello, too"]).await;
    assert_eq!(power("dan"), 0);
}

#[tokio::test]
async fn who_leaves_or_is_banned_on_discord_is_so_on_matrix() {
    let world = among_members().await;
    for name in ["ann", "dan"] {
        world.fake.admit(Fake::member_of(name, None, &[]));
        says(&world, name, &Fake::member_of(name, None, &[]));
    }
    eventually("both", || texts(&world.said()) == ["ann", "dan"]).await;
    let is = |name: &str, expected: &str| {
        world.homeserver.membership(&world.room, &World::ghost(name)).as_deref() == Some(expected)
    };
    world.fake.dismiss(Fake::user("ann")["id"].as_str().unwrap());
    eventually("her departure", || is("ann", "leave")).await;
    world.fake.banish(Fake::user("dan")["id"].as_str().unwrap());
    eventually("his ban", || is("dan", "ban")).await;
    // She comes back, and what is said goes on.
    says(&world, "again", &Fake::member_of("ann", None, &[]));
    eventually("her return", || texts(&world.said()) == ["ann", "dan", "again"]).await;
    assert!(is("ann", "join") && is("dan", "ban"));
}

#[tokio::test]
async fn who_is_put_out_on_matrix_is_so_on_discord() {
    let mut world = among_members().await;
    world.plumb(OTHER).await;
    let ann = World::ghost("ann");
    let id = Fake::user("ann")["id"].as_str().unwrap().to_owned();
    let asked = |method: &str, place: &str| {
        world.fake.bodies(method, &format!("/guilds/{GUILD}/{place}/{id}")).len()
    };
    let is = |expected: &str| {
        world.homeserver.membership(&world.room, &ann).as_deref() == Some(expected)
    };
    let says = |text: &str| {
        world.fake.admit(Fake::member_of("ann", None, &[]));
        world.fake.say(OTHER, "ann", text)
    };
    says("hello");
    eventually("her words", || texts(&world.said()).contains(&"hello") && is("join")).await;
    assert!(world.user.kick(&world.room, &ann));
    eventually("she is put out", || asked("DELETE", "members") == 1).await;
    says("back");
    eventually("her return", || texts(&world.said()).contains(&"back") && is("join")).await;
    assert!(world.user.ban(&world.room, &ann));
    eventually("she is banned", || asked("PUT", "bans") == 1).await;
    assert!(world.user.unban(&world.room, &ann));
    eventually("no longer", || asked("DELETE", "bans") == 1).await;
    assert_eq!(asked("DELETE", "members"), 1, "what Discord tells of it is not done again");
}

#[tokio::test]
async fn who_types_and_who_is_there_is_seen() {
    let mut world = World::with(|bridge, network| {
        bridge.portals.clear();
        network.gateway.presence = true;
    })
    .await;
    world.open(CHANNEL).await;
    world.fake.say(CHANNEL, "ann", "hello");
    eventually("her words", || texts(&world.said()) == ["hello"]).await;
    let ann = World::ghost("ann");
    let id = Fake::user("ann")["id"].clone();
    world.fake.dispatch(
        "TYPING_START",
        &json!({
            "channel_id": CHANNEL, "guild_id": GUILD, "user_id": id, "timestamp": 1_767_225_600,
            "member": Fake::member_of("ann", None, &[]),
        }),
    );
    eventually("that she types", || world.user.seen_typing(&world.room).contains(&ann)).await;
    world.user.typing(&world.room);
    let shown = || world.fake.bodies("POST", &format!("/channels/{CHANNEL}/typing")).len();
    eventually("that he types", || shown() == 1).await;
    for (status, presence) in
        [("online", "online"), ("idle", "unavailable"), ("offline", "offline")]
    {
        let update = json!({
            "user": { "id": id }, "guild_id": GUILD, "status": status, "activities": [],
            "client_status": {},
        });
        world.fake.dispatch("PRESENCE_UPDATE", &update);
        eventually(status, || world.user.seen_presence(&ann)["presence"] == presence).await;
    }
}

#[tokio::test]
async fn people_prove_who_they_are_on_discords_own_page() {
    let mut world = World::with(|_, network| {
        network.oauth = Some(OAuthConfig {
            client_id: "701".into(),
            client_secret: Secret(CLIENT_SECRET.into()),
            redirect_uri: "https://bridge.example/done".into(),
        });
    })
    .await;
    world.open(CHANNEL).await;
    let control = world.control();
    for (code, good) in [("bad", false), (CODE, true)] {
        let mut login = control.start_login(world.user.id(), "oauth", None).await.unwrap();
        let step = login.next().await;
        let StepKind::OAuth(spec) = &step.kind else { panic!("{step:?}") };
        let page = url::Url::parse(&spec.authorize_url).unwrap();
        let asked = |key: &str| {
            page.query_pairs().find(|(k, _)| k == key).map(|(_, value)| value.into_owned())
        };
        assert_eq!(
            (page.path(), asked("scope").as_deref()),
            ("/oauth2/authorize", Some("identify"))
        );
        let back = |state: &str| {
            let url = format!("https://bridge.example/done?code={code}&state={state}");
            [("url".to_owned(), url)].into()
        };
        // A page that somebody else has made for them is of no use.
        login.answer(step.number, back("guessed")).unwrap();
        let again = login.next().await;
        assert!(matches!(again.kind, StepKind::OAuth(_)), "{again:?}");
        login.answer(again.number, back(&spec.state)).unwrap();
        let end = login.next().await;
        assert_eq!(matches!(end.kind, StepKind::Done(_)), good, "{end:?}");
    }
    assert!(world.fake.state().tokens.is_empty(), "the token is given back");
    world.user.say(&world.room, "it is me").unwrap();
    let heard = || world.heard() == [("ann".to_owned(), "it is me".to_owned())];
    eventually("their words", heard).await;
    // Whoever logs out is relayed again under their own name.
    let own = own_logins(&*control, world.user.id()).await.remove(0);
    control.logout(world.user.id(), &own.id).await.unwrap();
    assert!(own_logins(&*control, world.user.id()).await.is_empty());
    world.user.say(&world.room, "and me").unwrap();
    eventually("his words", || world.heard().last().is_some_and(|said| said.0 == "bob")).await;
}

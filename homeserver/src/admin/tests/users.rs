//! Users.

use http::StatusCode;
use ruma::user_id;
use serde_json::{Value, json};

use super::rig::{Rig, texts};
use crate::services::sso::accounts::join;
use crate::storage::external_ids::{self, ExternalId};

#[tokio::test]
async fn only_administrators_get_in() {
    let rig = Rig::new().await;
    let bob = rig.person("bob").await;
    let paths = crate::client::routes()
        .into_iter()
        .filter(|route| {
            route.path.starts_with("/_synapse/admin/") && !route.path.ends_with("/register")
        })
        .map(|route| (route.method, route.path))
        .collect::<Vec<_>>();
    assert!(paths.len() > 20);
    for (method, path) in paths {
        let path = path
            .replace("{userId}", "@boss:h")
            .replace("{roomId}", "!r:h")
            .replace("{roomIdOrAlias}", "!r:h")
            .replace("{eventId}", "$e")
            .replace(['{', '}'], "");
        for (token, status, errcode) in [
            (bob.token.as_str(), StatusCode::FORBIDDEN, "M_FORBIDDEN"),
            ("", StatusCode::UNAUTHORIZED, "M_MISSING_TOKEN"),
            ("wrong", StatusCode::UNAUTHORIZED, "M_UNKNOWN_TOKEN"),
        ] {
            let answer = rig.ask(method.as_str(), &path, token, &json!({})).await;
            assert_eq!(
                (answer.0, &answer.1["errcode"]),
                (status, &json!(errcode)),
                "{method} {path}"
            );
        }
    }
}

#[tokio::test]
async fn accounts_are_made_shown_and_changed() {
    let rig = Rig::new().await;
    let path = "v2/users/@anna:h";
    assert_eq!(rig.refused("GET", path, Value::Null).await, (404, "M_NOT_FOUND".into()));
    let body = json!({ "password": "a long password", "displayname": "Anna", "admin": true,
        "avatar_url": "mxc://h/face", "user_type": "bot" });
    let (status, made) = rig.try_to("PUT", path, body).await;
    assert_eq!(status, StatusCode::CREATED);
    assert_eq!(rig.must("GET", path, Value::Null).await, made);
    for (key, value) in [
        ("name", json!("@anna:h")),
        ("displayname", json!("Anna")),
        ("avatar_url", json!("mxc://h/face")),
        ("user_type", json!("bot")),
        ("admin", json!(true)),
        ("deactivated", json!(false)),
        ("is_guest", json!(false)),
        ("threepids", json!([])),
        ("external_ids", json!([])),
    ] {
        assert_eq!(made[key], value, "{key}");
    }
    assert!(made["creation_ts"].as_i64().unwrap() > 1_500_000_000);

    let login =
        json!({ "type": "m.login.password", "user": "anna", "password": "a long password" });
    let (status, session) = rig.ask("POST", "/_matrix/client/v3/login", "", &login).await;
    assert_eq!(status, StatusCode::OK, "{session}");
    let token = session["access_token"].as_str().unwrap().to_owned();
    let (status, changed) = rig
        .try_to(
            "PUT",
            path,
            json!({ "displayname": "", "admin": false, "user_type": null,
            "password": "another password", "logout_devices": false }),
        )
        .await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(
        (&changed["displayname"], &changed["admin"], &changed["user_type"]),
        (&Value::Null, &json!(false), &Value::Null)
    );
    assert_eq!(changed["avatar_url"], "mxc://h/face", "what isn't named stays");
    let whoami = "/_matrix/client/v3/account/whoami";
    assert_eq!(rig.ask("GET", whoami, &token, &Value::Null).await.0, StatusCode::OK);
    rig.must("PUT", path, json!({ "password": "a third password" })).await;
    assert_eq!(rig.ask("GET", whoami, &token, &Value::Null).await.0, StatusCode::UNAUTHORIZED);

    for (path, body, code) in [
        ("v2/users/@anna:elsewhere", json!({}), "M_INVALID_PARAM"),
        ("v2/users/anna", json!({}), "M_INVALID_PARAM"),
        ("v2/users/@Upper:h", json!({}), "M_INVALID_USERNAME"),
        ("v2/users/@boss:h", json!({ "admin": false }), "M_INVALID_PARAM"),
        (path, json!({ "password": "short" }), "M_WEAK_PASSWORD"),
        (path, json!({ "admin": "yes" }), "M_BAD_JSON"),
        (path, json!({ "user_type": "alien" }), "M_INVALID_PARAM"),
        (path, json!({ "avatar_url": "https://x" }), "M_INVALID_PARAM"),
    ] {
        assert_eq!(rig.refused("PUT", path, body.clone()).await.1, code, "{path} {body}");
    }
}

#[tokio::test]
async fn accounts_are_listed_by_anything_and_page_by_page() {
    let rig = Rig::new().await;
    for (name, more) in [
        ("carl", json!({ "displayname": "Zacharias" })),
        ("anna", json!({ "displayname": "Emile", "user_type": "bot" })),
        ("bert", json!({ "admin": true })),
    ] {
        rig.must("PUT", &format!("v2/users/@{name}:h"), more).await;
    }
    rig.must("PUT", "v2/users/@gone:h", json!({ "deactivated": true })).await;
    let list = async |query: &str| {
        let answer = rig.must("GET", query, Value::Null).await;
        (texts(&answer["users"], "name").join(" "), answer)
    };
    for (query, expected) in [
        ("v2/users", "@anna:h @bert:h @boss:h @carl:h"),
        ("v2/users?dir=b", "@carl:h @boss:h @bert:h @anna:h"),
        ("v2/users?deactivated=true", "@anna:h @bert:h @boss:h @carl:h @gone:h"),
        ("v3/users", "@anna:h @bert:h @boss:h @carl:h @gone:h"),
        ("v3/users?deactivated=true", "@gone:h"),
        ("v3/users?deactivated=false&admins=true", "@bert:h @boss:h"),
        ("v2/users?admins=false", "@anna:h @carl:h"),
        ("v2/users?name=zach", "@carl:h"),
        ("v2/users?name=mile", "@anna:h"),
        ("v2/users?name=h", "@carl:h"),
        ("v2/users?name=_", ""),
        ("v2/users?user_id=BE", "@bert:h"),
        ("v2/users?not_user_type=bot", "@bert:h @boss:h @carl:h"),
        ("v2/users?not_user_type=&not_user_type=x", "@anna:h"),
        ("v2/users?order_by=displayname&dir=b", "@carl:h @anna:h @bert:h @boss:h"),
        ("v2/users?order_by=admin", "@anna:h @carl:h @bert:h @boss:h"),
        ("v2/users?order_by=last_seen_ts&dir=b", "@boss:h @anna:h @bert:h @carl:h"),
    ] {
        assert_eq!(list(query).await.0, expected, "{query}");
    }
    let (first, answer) = list("v2/users?limit=3").await;
    assert_eq!((first.as_str(), &answer["total"]), ("@anna:h @bert:h @boss:h", &json!(4)));
    let next = answer["next_token"].as_str().unwrap();
    let (rest, answer) = list(&format!("v2/users?limit=3&from={next}")).await;
    assert_eq!((rest.as_str(), &answer["next_token"]), ("@carl:h", &Value::Null));
    for query in ["order_by=shoe_size", "dir=up", "limit=-1", "guests=maybe"] {
        let refused = rig.refused("GET", &format!("v2/users?{query}"), Value::Null).await;
        assert_eq!(refused, (400, "M_INVALID_PARAM".into()), "{query}");
    }
}

#[tokio::test]
async fn who_somebody_is_at_an_identity_provider_is_shown() {
    let rig = Rig::new().await;
    let bob = rig.person("bob").await;
    let path = "v1/auth_providers/oidc-x/users/bob%2F1";
    assert_eq!(rig.refused("GET", path, Value::Null).await, (404, "M_NOT_FOUND".into()));
    let user: ruma::OwnedUserId = bob.id.as_str().try_into().unwrap();
    let link = rig.app().committer.run(move |tx| {
        let user = user.clone();
        Box::pin(async move {
            let id = ExternalId { provider: "oidc-x".into(), subject: "bob/1".into() };
            external_ids::insert(tx, &id, &user).await.map(drop)
        })
    });
    link.await.unwrap();
    assert_eq!(rig.must("GET", path, Value::Null).await, json!({ "user_id": "@bob:h" }));
    let shown = rig.must("GET", "v2/users/@bob:h", Value::Null).await;
    let expected = json!([{ "auth_provider": "oidc-x", "external_id": "bob/1" }]);
    assert_eq!(shown["external_ids"], expected);
}

#[tokio::test]
async fn a_closed_account_is_out_at_once_and_may_be_opened_again() {
    let rig = Rig::new().await;
    let bob = rig.person("bob").await;
    let room = rig.room(&bob, json!({})).await;
    let acting = rig.must("POST", "v1/users/@bob:h/login", json!({})).await;
    let acting = acting["access_token"].as_str().unwrap().to_owned();
    rig.must("POST", "v1/deactivate/@bob:h", json!({ "erase": true })).await;
    for token in [&bob.token, &acting] {
        let path = "/_matrix/client/v3/account/whoami";
        assert_eq!(rig.ask("GET", path, token, &Value::Null).await.0, StatusCode::UNAUTHORIZED);
    }
    let left = async {
        loop {
            let answer = rig.must("GET", "v1/users/@bob:h/memberships", Value::Null).await;
            if answer["memberships"][&room] == "leave" {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), left).await.expect("bob leaves");
    let path = "v2/users/@bob:h";
    let closed = rig.must("GET", path, Value::Null).await;
    assert_eq!((&closed["deactivated"], &closed["erased"]), (&json!(true), &json!(true)));
    let reset = json!({ "new_password": "a new password" });
    assert_eq!(rig.refused("POST", "v1/reset_password/@bob:h", reset.clone()).await.0, 400);
    rig.must("PUT", path, json!({ "deactivated": false })).await;
    rig.must("POST", "v1/reset_password/@bob:h", reset).await;
    let login = json!({ "type": "m.login.password", "user": "bob", "password": "a new password" });
    let (status, _) = rig.ask("POST", "/_matrix/client/v3/login", "", &login).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(rig.refused("POST", "v1/deactivate/@nobody:h", json!({})).await.0, 404);
}

#[tokio::test]
async fn who_acts_as_a_user_leaves_no_trace_and_is_out_with_their_own_logout() {
    let rig = Rig::new().await;
    let bob = rig.person("bob").await;
    let token = async |body: Value| {
        let answer = rig.must("POST", "v1/users/@bob:h/login", body).await;
        answer["access_token"].as_str().unwrap().to_owned()
    };
    let (first, second, old) = (
        token(json!({})).await,
        token(json!({})).await,
        token(json!({ "valid_until_ms": 5 })).await,
    );
    let me = async |token: &str| {
        rig.ask("GET", "/_matrix/client/v3/account/whoami", token, &Value::Null).await
    };
    let (_, answer) = me(&first).await;
    assert_eq!(answer, json!({ "user_id": "@bob:h", "is_guest": false }), "without a device");
    assert_eq!(me(&old).await.0, StatusCode::UNAUTHORIZED);
    let devices = rig.must("GET", "v2/users/@bob:h/devices", Value::Null).await;
    assert_eq!(texts(&devices["devices"], "device_id"), [&bob.device]);
    // The user's own log-out ends the user's sessions alone.
    rig.client(&bob, "POST", "logout/all", Value::Null).await;
    assert_eq!(me(&first).await.0, StatusCode::OK);
    rig.ask("POST", "/_matrix/client/v3/logout", &first, &Value::Null).await;
    assert_eq!(me(&first).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(me(&second).await.0, StatusCode::OK);
    rig.ask("POST", "/_matrix/client/v3/logout/all", &rig.admin, &Value::Null).await;
    assert_eq!(me(&second).await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn devices_are_shown_made_renamed_and_deleted() {
    let rig = Rig::new().await;
    let bob = rig.person("bob").await;
    let devices = "v2/users/@bob:h/devices";
    rig.must("POST", devices, json!({ "device_id": "SPARE" })).await;
    rig.must("PUT", &format!("{devices}/SPARE"), json!({ "display_name": "In the drawer" })).await;
    let spare = rig.must("GET", &format!("{devices}/SPARE"), Value::Null).await;
    assert_eq!(
        (&spare["display_name"], &spare["user_id"]),
        (&json!("In the drawer"), &json!("@bob:h"))
    );
    assert_eq!(rig.must("GET", devices, Value::Null).await["total"], 2);
    let whois = rig.must("GET", "v1/whois/@bob:h", Value::Null).await;
    assert!(whois["devices"][&bob.device]["sessions"][0]["connections"].is_array(), "{whois}");
    rig.must("DELETE", &format!("{devices}/SPARE"), Value::Null).await;
    assert_eq!(rig.refused("DELETE", &format!("{devices}/SPARE"), Value::Null).await.0, 404);
    assert_eq!(rig.refused("PUT", &format!("{devices}/SPARE"), json!({})).await.0, 404);
    rig.must("POST", "v2/users/@bob:h/delete_devices", json!({ "devices": [bob.device] })).await;
    let whoami = "/_matrix/client/v3/account/whoami";
    assert_eq!(rig.ask("GET", whoami, &bob.token, &Value::Null).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(rig.refused("GET", "v2/users/@nobody:h/devices", Value::Null).await.0, 404);
    let long = json!({ "device_id": "x".repeat(256) });
    assert_eq!(rig.refused("POST", devices, long).await.1, "M_INVALID_PARAM");
}

#[tokio::test]
async fn cross_signing_keys_may_be_replaced_unconfirmed_for_a_while() {
    let rig = Rig::new().await;
    let bob = rig.person("bob").await;
    let path = "v1/users/@bob:h/_allow_cross_signing_replacement_without_uia";
    assert_eq!(rig.refused("POST", path, Value::Null).await, (404, "M_NOT_FOUND".into()));
    let upload = "/_matrix/client/v3/keys/device_signing/upload";
    let key = |letter: &str| {
        let public = letter.repeat(42) + "A";
        let name = format!("ed25519:{public}");
        json!({ "master_key": { "user_id": "@bob:h", "usage": ["master"], "keys": { name: public } } })
    };
    let put = async |letter: &str| rig.ask("POST", upload, &bob.token, &key(letter)).await;
    let (status, answer) = put("A").await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert_eq!(put("B").await.0, StatusCode::UNAUTHORIZED);
    let allowed = rig.must("POST", path, json!({})).await;
    let until = allowed["updatable_without_uia_before_ms"].as_i64().unwrap();
    assert!(until > rig.app().clock.now_ms());
    let rig = rig.restart().await;
    let (status, answer) = rig.ask("POST", upload, &bob.token, &key("B")).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert_eq!(rig.refused("POST", &path.replace("bob", "nobody"), json!({})).await.0, 404);
}

#[tokio::test]
async fn what_users_have_and_did_is_told() {
    let rig = Rig::new().await;
    let (bob, eve) = (rig.person("bob").await, rig.person("eve").await);
    let room = rig.room(&bob, json!({ "invite": [eve.id] })).await;
    let data = json!({ "theme": "dark" });
    rig.client(&bob, "PUT", "user/@bob:h/account_data/org.settings", data.clone()).await;
    rig.client(&bob, "PUT", &format!("user/@bob:h/rooms/{room}/account_data/org.here"), json!({}))
        .await;
    let pusher = json!({ "app_id": "app", "pushkey": "key", "kind": "http", "lang": "en",
        "app_display_name": "App", "device_display_name": "Phone", "data": { "url": "https://push.example/_matrix/push/v1/notify" } });
    rig.client(&bob, "POST", "pushers/set", pusher).await;
    let of =
        async |what: &str| rig.must("GET", &format!("v1/users/@bob:h/{what}"), Value::Null).await;
    assert_eq!(of("joined_rooms").await, json!({ "joined_rooms": [room], "total": 1 }));
    assert_eq!(of("memberships").await, json!({ "memberships": { &room: "join" } }));
    let told = of("accountdata").await;
    assert_eq!(told["account_data"]["global"]["org.settings"], data);
    assert_eq!(told["account_data"]["rooms"][&room]["org.here"], json!({}));
    let pushers = of("pushers").await;
    assert_eq!((&pushers["total"], &pushers["pushers"][0]["pushkey"]), (&json!(1), &json!("key")));
    assert_eq!(of("sent_invite_count?from_ts=0").await["invite_count"], 1);
    assert_eq!(of("sent_invite_count?from_ts=9999999999999").await["invite_count"], 0);
    let joined = of("cumulative_joined_room_count?from_ts=0").await;
    assert_eq!(joined["cumulative_joined_room_count"], 1);
    let path = "v1/users/@bob:h/sent_invite_count";
    assert_eq!(rig.refused("GET", path, Value::Null).await.1, "M_MISSING_PARAM");
    assert_eq!(rig.refused("GET", "v1/users/@nobody:h/joined_rooms", Value::Null).await.0, 404);

    let free = async |name: &str| {
        rig.try_to("GET", &format!("v1/username_available?username={name}"), Value::Null).await
    };
    assert_eq!(free("new").await, (StatusCode::OK, json!({ "available": true })));
    assert_eq!(free("bob").await.1["errcode"], "M_USER_IN_USE");
    assert_eq!(free("b%20b").await.1["errcode"], "M_INVALID_USERNAME");
}

#[tokio::test]
async fn a_limit_of_ones_own_holds_also_after_a_restart() {
    let rig = Rig::new().await;
    rig.person("bob").await;
    let path = "v1/users/@bob:h/override_ratelimit";
    assert_eq!(rig.must("GET", path, Value::Null).await, json!({}));
    let limit = json!({ "messages_per_second": 3, "burst_count": 7 });
    assert_eq!(rig.must("POST", path, limit.clone()).await, limit);
    let negative = json!({ "messages_per_second": -1 });
    assert_eq!(rig.refused("POST", path, negative).await.1, "M_INVALID_PARAM");
    let rig = rig.restart().await;
    assert_eq!(rig.must("GET", path, Value::Null).await, limit);
    rig.must("DELETE", path, Value::Null).await;
    let rig = rig.restart().await;
    assert_eq!(rig.must("GET", path, Value::Null).await, json!({}));
    // Nobody is told that they are heard when they are not.
    let refused = rig.refused("POST", "v1/users/@bob:h/shadow_ban", Value::Null).await;
    assert_eq!(refused, (400, "M_UNRECOGNIZED".into()));
}

#[tokio::test]
async fn accounts_are_locked_and_suspended() {
    let rig = Rig::new().await;
    let bob = rig.person("bob").await;
    let whoami = "/_matrix/client/v3/account/whoami";
    let path = "v2/users/@bob:h";
    assert_eq!(rig.must("PUT", path, json!({ "locked": true })).await["locked"], true);
    let (_, answer) = rig.ask("GET", whoami, &bob.token, &Value::Null).await;
    assert_eq!(answer["errcode"], "M_USER_LOCKED");
    let list = rig.must("GET", "v2/users", Value::Null).await;
    assert_eq!(texts(&list["users"], "name"), ["@boss:h"]);
    let list = rig.must("GET", "v2/users?locked=true", Value::Null).await;
    assert_eq!(texts(&list["users"], "name"), ["@bob:h", "@boss:h"]);
    rig.must("PUT", path, json!({ "locked": false })).await;
    assert_eq!(rig.ask("GET", whoami, &bob.token, &Value::Null).await.0, StatusCode::OK);
    let told = rig.must("PUT", "v1/suspend/@bob:h", json!({ "suspend": true })).await;
    assert_eq!(told, json!({ "user_@bob:h_suspended": true }));
    assert_eq!(rig.must("GET", path, Value::Null).await["suspended"], true);
    let create = "/_matrix/client/v3/createRoom";
    let (_, answer) = rig.ask("POST", create, &bob.token, &json!({})).await;
    assert_eq!(answer["errcode"], "M_USER_SUSPENDED");
    for (path, body) in [
        ("v2/users/@boss:h", json!({ "locked": true })),
        ("v1/suspend/@boss:h", json!({ "suspend": true })),
        (path, json!({ "locked": true, "deactivated": true })),
    ] {
        assert_eq!(rig.refused("PUT", path, body).await, (400, "M_INVALID_PARAM".into()));
    }
}

#[tokio::test]
async fn addresses_are_given_and_lead_to_their_account() {
    let rig = Rig::new().await;
    rig.person("bob").await;
    let path = "v2/users/@anna:h";
    let email = |address: &str| json!({ "medium": "email", "address": address });
    let body = json!({ "threepids": [email("Zoe@X.org"), email("anna@y.org")] });
    let made = rig.must("PUT", path, body).await;
    assert_eq!(texts(&made["threepids"], "address"), ["anna@y.org", "zoe@x.org"]);
    assert_eq!(made["threepids"][0]["medium"], "email");
    assert!(made["threepids"][0]["added_at"].as_i64().unwrap() > 1_500_000_000_000);
    let owner = "v1/threepid/email/users/zoe@x.org";
    assert_eq!(rig.must("GET", owner, Value::Null).await, json!({ "user_id": "@anna:h" }));

    let bob = "v2/users/@bob:h";
    let phone = json!({ "medium": "msisdn", "address": "4912345" });
    for (given, code) in [
        (json!([email("anna@y.org")]), "M_THREEPID_IN_USE"),
        (json!([email("nobody")]), "M_INVALID_PARAM"),
        (json!([phone]), "M_INVALID_PARAM"),
        (json!(["b@y.org"]), "M_BAD_JSON"),
    ] {
        let refused = rig.refused("PUT", bob, json!({ "threepids": given })).await;
        assert_eq!(refused, (400, code.to_owned()), "{given}");
    }
    assert_eq!(rig.must("GET", bob, Value::Null).await["threepids"], json!([]));

    // What isn't named stays, and what isn't in the list goes.
    rig.must("PUT", path, json!({ "displayname": "Anna" })).await;
    assert_eq!(rig.must("GET", path, Value::Null).await["threepids"], made["threepids"]);
    let left = rig.must("PUT", path, json!({ "threepids": [email("anna@y.org")] })).await;
    assert_eq!(left["threepids"], json!([made["threepids"][0]]));
    assert_eq!(rig.refused("GET", owner, Value::Null).await, (404, "M_NOT_FOUND".into()));
    let closed = rig.must("PUT", path, json!({ "deactivated": true })).await;
    assert_eq!(closed["threepids"], json!([]));
    let again = json!({ "threepids": [email("anna@y.org")] });
    assert_eq!(rig.refused("PUT", path, again).await, (400, "M_INVALID_PARAM".into()));
}

#[tokio::test]
async fn identities_lead_to_their_account() {
    let rig = Rig::new().await;
    let (bob, carl) = ("v2/users/@bob:h", "v2/users/@carl:h");
    rig.person("bob").await;
    rig.person("carl").await;
    // From a provider that the settings named once.
    let id = ExternalId { provider: "old".into(), subject: "b/1".into() };
    join(rig.app(), user_id!("@bob:h"), &id).await.unwrap();
    let listed = json!([{ "auth_provider": "old", "external_id": "b/1" }]);
    assert_eq!(rig.must("GET", bob, Value::Null).await["external_ids"], listed);
    let owner = "v1/auth_providers/old/users/b%2F1";
    assert_eq!(rig.must("GET", owner, Value::Null).await, json!({ "user_id": "@bob:h" }));
    let same = rig.must("PUT", bob, json!({ "external_ids": listed })).await;
    assert_eq!(same["external_ids"], listed);
    let refused = rig.refused("PUT", carl, json!({ "external_ids": listed })).await;
    assert_eq!(refused, (400, "M_INVALID_PARAM".into()));
    rig.must("PUT", bob, json!({ "external_ids": [] })).await;
    assert_eq!(rig.refused("GET", owner, Value::Null).await, (404, "M_NOT_FOUND".into()));
}

//! OpenID tokens, TURN credentials, rooms in common, and what stands under `/.well-known`.

use http::{Method, StatusCode};
use landbridge_homeserver::config::{Contact, Secret};
use serde_json::{Value, json};

use super::support::TestServer;

const USERINFO: &str = "/_matrix/federation/v1/openid/userinfo";

#[tokio::test]
async fn an_openid_token_says_whose_it_is_and_nothing_else() {
    let server = TestServer::start().await;
    let admin = server.administrator("admin").await;
    let alice = server.register("alice").await;
    let path = format!("v3/user/{}/openid/request_token", alice.id);
    let answer = alice.must(Method::POST, &path, json!({})).await;
    assert_eq!(answer["token_type"], "Bearer");
    assert_eq!(answer["matrix_server_name"], "hs.test");
    assert_eq!(answer["expires_in"], 3600);
    let token = answer["access_token"].as_str().unwrap();
    let ask = |query: String| {
        let server = &server;
        async move {
            let path = format!("{USERINFO}{query}");
            server.request(Method::GET, &path, None, &Value::Null).await
        }
    };
    let (status, owner) = ask(format!("?access_token={token}")).await;
    assert_eq!((status, owner), (StatusCode::OK, json!({ "sub": alice.id })));
    let (status, answer) = ask(format!("?access_token={}", alice.token)).await;
    assert_eq!(
        (status, answer["errcode"].as_str()),
        (StatusCode::UNAUTHORIZED, Some("M_UNKNOWN_TOKEN"))
    );
    let (status, answer) = ask(String::new()).await;
    assert_eq!(
        (status, answer["errcode"].as_str()),
        (StatusCode::UNAUTHORIZED, Some("M_MISSING_TOKEN"))
    );
    let whoami = "/_matrix/client/v3/account/whoami";
    let (status, _) = server.request(Method::GET, whoami, Some(token), &Value::Null).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    let refused = admin.refused(Method::POST, &path, json!({})).await;
    assert_eq!(refused, (403, "M_FORBIDDEN".to_owned()));
    let lock = format!("v1/admin/lock/{}", alice.id);
    admin.must(Method::PUT, &lock, json!({ "locked": true })).await;
    assert_eq!(ask(format!("?access_token={token}")).await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn turn_credentials_are_those_of_the_settings() {
    let server = TestServer::start().await;
    let alice = server.register("alice").await;
    let refused = alice.refused(Method::GET, "v3/voip/turnServer", Value::Null).await;
    assert_eq!(refused, (404, "M_NOT_FOUND".to_owned()));
    let uris = vec!["turn:turn.test?transport=udp".to_owned()];
    let server = TestServer::start_with(|config| {
        config.turn.uris.clone_from(&uris);
        config.turn.username = Some("all".to_owned());
        config.turn.password = Some(Secret::new("pass"));
        config.turn.lifetime_seconds = 60;
    })
    .await;
    let alice = server.register("alice").await;
    let answer = alice.must(Method::GET, "v3/voip/turnServer", Value::Null).await;
    let expected = json!({ "username": "all", "password": "pass", "uris": uris, "ttl": 60 });
    assert_eq!(answer, expected);
    let (status, _) =
        server.request(Method::GET, "/_matrix/client/v3/voip/turnServer", None, &Value::Null).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn support_and_policy_server_are_published_when_set() {
    let get = async |server: &TestServer, name: &str| {
        let path = format!("/.well-known/matrix/{name}");
        server.request(Method::GET, &path, None, &Value::Null).await
    };
    let server = TestServer::start().await;
    for name in ["support", "policy_server"] {
        assert_eq!(get(&server, name).await.0, StatusCode::NOT_FOUND);
    }
    let key = "6yhHGKhCiXTSEN2ksjV7kX_N6rBQZ3Xb-M7LlC6NS-s";
    let server = TestServer::start_with(|config| {
        config.support.contacts = vec![Contact {
            role: "m.role.admin".to_owned(),
            matrix_id: Some("@admin:other.test".to_owned()),
            email_address: None,
        }];
        config.support.page = Some("https://hs.test/help".to_owned());
        config.policy_server.public_keys.insert("ed25519".to_owned(), key.to_owned());
    })
    .await;
    let expected = json!({
        "contacts": [{ "role": "m.role.admin", "matrix_id": "@admin:other.test" }],
        "support_page": "https://hs.test/help",
    });
    assert_eq!(get(&server, "support").await, (StatusCode::OK, expected));
    let expected = json!({ "public_keys": { "ed25519": key } });
    assert_eq!(get(&server, "policy_server").await, (StatusCode::OK, expected));
}

#[tokio::test]
async fn rooms_in_common_are_those_that_both_are_in() {
    let server = TestServer::start().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let path = format!("v1/mutual_rooms?user_id={}", bob.id);
    let none = json!({ "joined": [], "count": 0 });
    assert_eq!(alice.must(Method::GET, &path, Value::Null).await, none);
    alice.create_room(json!({})).await;
    alice.create_room(json!({ "invite": [bob.id] })).await;
    let common = alice.create_room(json!({ "preset": "public_chat" })).await;
    bob.must(Method::POST, &format!("v3/join/{common}"), json!({})).await;
    let answer = alice.must(Method::GET, &path, Value::Null).await;
    assert_eq!(answer, json!({ "joined": [common], "count": 1 }));
    let old = format!("unstable/uk.half-shot.msc2666/user/mutual_rooms?user_id={}", bob.id);
    assert_eq!(alice.must(Method::GET, &old, Value::Null).await, json!({ "joined": [common] }));
    // One page is enough here; a token from after it leads to an empty one.
    let later = format!("{path}&from=m{}", i64::MAX);
    let answer = alice.must(Method::GET, &later, Value::Null).await;
    assert_eq!(answer, json!({ "joined": [], "count": 1 }));
    let nobody = alice.must(Method::GET, "v1/mutual_rooms?user_id=@x:y.test", Value::Null).await;
    assert_eq!(nobody, none);
    for (query, code) in [
        (String::new(), "M_MISSING_PARAM"),
        ("?user_id=bob".to_owned(), "M_INVALID_PARAM"),
        (format!("?user_id={}", alice.id), "M_INVALID_PARAM"),
        (format!("?user_id={}&from=x", bob.id), "M_INVALID_PARAM"),
    ] {
        let path = format!("v1/mutual_rooms{query}");
        let refused = alice.refused(Method::GET, &path, Value::Null).await;
        assert_eq!(refused, (400, code.to_owned()), "{query}");
    }
}

#[tokio::test]
async fn clients_find_the_server_and_its_versions() {
    let get = async |server: &TestServer, path: &str| {
        server.request(Method::GET, path, None, &Value::Null).await
    };
    let server = TestServer::start().await;
    let (status, answer) = get(&server, "/_matrix/client/versions").await;
    assert_eq!(status, StatusCode::OK);
    assert!(answer["versions"].as_array().unwrap().contains(&json!("v1.11")), "{answer}");
    assert_eq!(answer["unstable_features"]["org.matrix.simplified_msc3575"], true, "{answer}");
    let path = "/.well-known/matrix/client";
    assert_eq!(get(&server, path).await.0, StatusCode::NOT_FOUND);
    let server = TestServer::start_with(|config| {
        config.public_base_url = Some("https://matrix.hs.test".to_owned());
    })
    .await;
    let (status, answer) = get(&server, path).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(answer, json!({ "m.homeserver": { "base_url": "https://matrix.hs.test" } }));
}

#[tokio::test]
async fn clients_are_told_of_the_identity_server() {
    let told = async |names: &[&str], default: Option<&str>| {
        let server = TestServer::start_with(|config| {
            config.public_base_url = Some("https://matrix.hs.test".to_owned());
            for name in names {
                config.identity_servers.insert((*name).to_owned(), format!("https://{name}/"));
            }
            config.default_identity_server = default.map(ToOwned::to_owned);
        })
        .await;
        let path = "/.well-known/matrix/client";
        let (_, answer) = server.request(Method::GET, path, None, &Value::Null).await;
        answer["m.identity_server"]["base_url"].as_str().map(ToOwned::to_owned)
    };
    assert_eq!(told(&["a.test"], None).await.as_deref(), Some("https://a.test"));
    assert_eq!(told(&["a.test", "b.test"], None).await, None);
    let named = told(&["a.test", "b.test"], Some("b.test")).await;
    assert_eq!(named.as_deref(), Some("https://b.test"));
}

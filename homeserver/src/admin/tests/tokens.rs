//! Tokens that let people register.

use http::StatusCode;
use serde_json::{Value, json};

use super::rig::{Rig, texts};

const ALL: &str = "v1/registration_tokens";
const NEW: &str = "v1/registration_tokens/new";
const REGISTER: &str = "/_matrix/client/v3/register";

/// A server on which an administrator exists and registration is closed.
async fn closed() -> Rig {
    Rig::new().await.restart_with(|config| config.registration.open = false).await
}

/// Registers with a token: status and answer.
async fn register(rig: &Rig, name: &str, token: &str) -> (StatusCode, Value) {
    let auth = json!({ "type": "m.login.registration_token", "token": token });
    let body = json!({ "username": name, "password": "a long password", "auth": auth });
    rig.ask("POST", REGISTER, "", &body).await
}

async fn is_valid(rig: &Rig, token: &str) -> (StatusCode, Value) {
    let path =
        format!("/_matrix/client/v1/register/m.login.registration_token/validity?token={token}");
    let (status, answer) = rig.ask("GET", &path, "", &Value::Null).await;
    (status, answer["valid"].clone())
}

#[tokio::test]
async fn tokens_are_made_shown_changed_and_deleted() {
    let rig = Rig::new().await;
    assert_eq!(rig.must("GET", ALL, Value::Null).await, json!({ "registration_tokens": [] }));
    let made = rig.must("POST", NEW, json!({})).await;
    assert_eq!(made["token"].as_str().unwrap().len(), 16);
    let long = rig.must("POST", NEW, json!({ "length": 64 })).await;
    assert_eq!(long["token"].as_str().unwrap().len(), 64);
    let abcd =
        json!({ "token": "a.b_c~d-", "uses_allowed": 3, "expiry_time": 4_781_243_146_000_i64 });
    let shown = rig.must("POST", NEW, abcd).await;
    assert_eq!(
        shown,
        json!({ "token": "a.b_c~d-", "uses_allowed": 3, "pending": 0, "completed": 0,
            "expiry_time": 4_781_243_146_000_i64 })
    );
    let one = "v1/registration_tokens/a.b_c~d-";
    assert_eq!(rig.must("GET", one, Value::Null).await, shown);
    let changed = rig.must("PUT", one, json!({ "uses_allowed": 0 })).await;
    assert_eq!(
        (&changed["uses_allowed"], &changed["expiry_time"]),
        (&json!(0), &shown["expiry_time"]),
        "what isn't named stays"
    );
    let valid = async |query: &str| {
        let answer = rig.must("GET", &format!("{ALL}?valid={query}"), Value::Null).await;
        answer["registration_tokens"].as_array().unwrap().len()
    };
    assert_eq!((valid("true").await, valid("false").await, valid("").await), (2, 1, 3));
    let changed = rig.must("PUT", one, json!({ "uses_allowed": null, "expiry_time": null })).await;
    assert_eq!((&changed["uses_allowed"], &changed["expiry_time"]), (&Value::Null, &Value::Null));
    assert_eq!(rig.must("PUT", one, json!({})).await, changed);
    assert_eq!(rig.must("DELETE", one, Value::Null).await, json!({}));
    for method in ["GET", "PUT", "DELETE"] {
        assert_eq!(
            rig.refused(method, one, json!({})).await,
            (404, "M_NOT_FOUND".into()),
            "{method}"
        );
    }
    let name = made["token"].clone();
    for body in [
        json!({ "token": "" }),
        json!({ "token": "a b" }),
        json!({ "token": "x".repeat(65) }),
        json!({ "token": name }),
        json!({ "length": 0 }),
        json!({ "length": 65 }),
        json!({ "length": -1 }),
        json!({ "uses_allowed": -1 }),
        json!({ "expiry_time": 5 }),
    ] {
        let refused = rig.refused("POST", NEW, body.clone()).await;
        assert_eq!(refused, (400, "M_INVALID_PARAM".into()), "{body}");
    }
    let path = format!("{ALL}/{}", name.as_str().unwrap());
    for body in [json!({ "uses_allowed": -1 }), json!({ "expiry_time": 5 })] {
        assert_eq!(rig.refused("PUT", &path, body).await, (400, "M_INVALID_PARAM".into()));
    }
    let text = json!({ "uses_allowed": "many" });
    assert_eq!(rig.refused("POST", NEW, text).await, (400, "M_BAD_JSON".into()));
    let query = format!("{ALL}?valid=maybe");
    assert_eq!(rig.refused("GET", &query, Value::Null).await, (400, "M_INVALID_PARAM".into()));
}

#[tokio::test]
async fn a_token_lets_as_many_register_as_it_is_for() {
    let rig = closed().await;
    let (status, answer) = register(&rig, "early", "door").await;
    assert_eq!((status, &answer["errcode"]), (StatusCode::FORBIDDEN, &json!("M_FORBIDDEN")));
    assert_eq!(is_valid(&rig, "door").await.0, StatusCode::FORBIDDEN, "nobody may register");
    rig.must("POST", NEW, json!({ "token": "door", "uses_allowed": 2 })).await;
    assert_eq!(is_valid(&rig, "door").await, (StatusCode::OK, json!(true)));
    assert_eq!(is_valid(&rig, "window").await, (StatusCode::OK, json!(false)));
    let (status, answer) = register(&rig, "anna", "window").await;
    assert_eq!(status, StatusCode::UNAUTHORIZED, "{answer}");
    assert_eq!(answer["flows"], json!([{ "stages": ["m.login.registration_token"] }]));
    // A name that is taken and a password that is refused use nothing up.
    assert_eq!(register(&rig, "boss", "door").await.0, StatusCode::BAD_REQUEST);
    let auth = json!({ "type": "m.login.registration_token", "token": "door" });
    let short = json!({ "username": "anna", "password": "x", "auth": auth });
    assert_eq!(rig.ask("POST", REGISTER, "", &short).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(register(&rig, "anna", "door").await.0, StatusCode::OK);
    let rig = rig.restart_with(|config| config.registration.open = false).await;
    let told = rig.must("GET", "v1/registration_tokens/door", Value::Null).await;
    assert_eq!((&told["completed"], &told["pending"]), (&json!(1), &json!(0)));
    // Of several who come at once for what is left one gets it.
    let (one, two, three) = tokio::join!(
        register(&rig, "b1", "door"),
        register(&rig, "b2", "door"),
        register(&rig, "b3", "door")
    );
    let let_in = [one, two, three].iter().filter(|(status, _)| *status == StatusCode::OK).count();
    assert_eq!(let_in, 1);
    assert_eq!(rig.must("GET", "v1/registration_tokens/door", Value::Null).await["completed"], 2);
    assert_eq!(register(&rig, "late", "door").await.0, StatusCode::FORBIDDEN);
    let used = rig.must("GET", "v1/registration_tokens?valid=false", Value::Null).await;
    assert_eq!(texts(&used["registration_tokens"], "token"), ["door"]);
}

#[tokio::test]
async fn who_has_shown_a_token_and_is_not_done_is_counted() {
    let rig = closed().await;
    rig.must("POST", NEW, json!({ "token": "door", "uses_allowed": 1 })).await;
    let names = json!({ "username": "anna", "password": "a long password" });
    let (_, answer) = rig.ask("POST", REGISTER, "", &names).await;
    let session = answer["session"].as_str().unwrap().to_owned();
    let page = "/_matrix/client/v3/auth/m.login.registration_token/fallback/web";
    for (token, pending) in [("window", 0), ("door", 1), ("door", 1)] {
        let form = format!("session={session}&token={token}");
        rig.form(page, &form).await;
        let told = rig.must("GET", "v1/registration_tokens/door", Value::Null).await;
        assert_eq!(told["pending"], pending, "{token}");
    }
    assert_eq!(is_valid(&rig, "door").await.1, false, "it is as good as used");
    assert_eq!(register(&rig, "eve", "door").await.0, StatusCode::UNAUTHORIZED);
    let mut done = names.clone();
    done["auth"] = json!({ "session": session });
    let (status, answer) = rig.ask("POST", REGISTER, "", &done).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let told = rig.must("GET", "v1/registration_tokens/door", Value::Null).await;
    assert_eq!((&told["completed"], &told["pending"]), (&json!(1), &json!(0)));
}

#[tokio::test]
async fn where_anyone_may_register_a_token_shuts_nobody_out() {
    let rig = Rig::new().await;
    rig.must("POST", NEW, json!({ "token": "door" })).await;
    rig.person("anna").await;
    // Those in the settings stand beside them, are for everybody, and are not told.
    let rig = rig
        .restart_with(|config| {
            config.registration.tokens = vec![crate::config::Secret::new("gate".to_owned())];
        })
        .await;
    assert_eq!(register(&rig, "b1", "gate").await.0, StatusCode::OK);
    assert_eq!(register(&rig, "b2", "gate").await.0, StatusCode::OK);
    assert_eq!(register(&rig, "b3", "door").await.0, StatusCode::OK);
    let without = json!({ "username": "b4", "password": "a long password",
        "auth": { "type": "m.login.dummy" } });
    assert_eq!(rig.ask("POST", REGISTER, "", &without).await.0, StatusCode::UNAUTHORIZED);
    let told = rig.must("GET", ALL, Value::Null).await;
    assert_eq!(texts(&told["registration_tokens"], "token"), ["door"]);
    assert_eq!(rig.refused("GET", "v1/registration_tokens/gate", Value::Null).await.0, 404);
    let taken = json!({ "token": "gate" });
    assert_eq!(rig.refused("POST", NEW, taken).await, (400, "M_INVALID_PARAM".into()));
}

//! The API as a program uses it, over the engine that the commands' tests play.

use axum::body::Body;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::*;
use crate::commands::tests::World;

const SECRET: &str = "a-secret-of-many-characters";

struct Caller {
    router: Router,
    world: World,
}

impl Caller {
    fn new() -> Self {
        let world = World::new();
        let config =
            ProvisioningConfig { shared_secret: Some(Token::new(SECRET)), allow_matrix_auth: true };
        let router = router(world.fake.clone(), world.matrix.clone(), world.kv.clone(), config);
        Self { router, world }
    }

    async fn ask(&self, method: &str, path: &str, token: &str, body: Value) -> (u16, Value) {
        let mut request = axum::http::Request::builder()
            .method(method)
            .uri(format!("/_matrix/provision/v3{path}"));
        if !token.is_empty() {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        let answer = self.router.clone().oneshot(request.body(body).unwrap()).await.unwrap();
        let status = answer.status().as_u16();
        assert_eq!(answer.headers()["access-control-allow-origin"], "*");
        let bytes = axum::body::to_bytes(answer.into_body(), 1 << 20).await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap())
    }

    /// As a user, by the shared secret.
    async fn as_user(&self, user: &str, method: &str, path: &str, body: Value) -> (u16, Value) {
        let sign = if path.contains('?') { '&' } else { '?' };
        self.ask(method, &format!("{path}{sign}user_id={user}"), SECRET, body).await
    }
}

#[tokio::test(start_paused = true)]
async fn only_those_who_may_are_let_in() {
    let caller = Caller::new();
    assert_eq!(caller.ask("GET", "/whoami", "", Value::Null).await.1["errcode"], "M_MISSING_TOKEN");
    assert_eq!(
        caller.ask("GET", "/whoami", "guess", Value::Null).await.1["errcode"],
        "M_UNKNOWN_TOKEN"
    );
    assert_eq!(
        caller.ask("GET", "/whoami", SECRET, Value::Null).await.1["errcode"],
        "M_MISSING_PARAM"
    );
    assert_eq!(caller.as_user("@nobody:hs", "GET", "/whoami", Value::Null).await.0, 403);
    let (status, who) = caller.as_user("@admin:hs", "GET", "/whoami", Value::Null).await;
    assert_eq!((status, who["logins"][0]["id"].as_str()), (200, Some("a1")));
    assert_eq!(who["network"]["displayname"], "Sim");
    // By their own token, which is nobody else's.
    let token = caller.world.hs.token("@alice:hs");
    let (status, who) = caller.ask("GET", "/whoami", &token, Value::Null).await;
    assert_eq!((status, who["logins"].as_array().unwrap().len()), (200, 0));
    assert_eq!(caller.ask("GET", "/whoami?user_id=@admin:hs", &token, Value::Null).await.0, 401);
    assert_eq!(caller.ask("OPTIONS", "/whoami", "", Value::Null).await.0, 200);
    assert_eq!(
        caller.as_user("@alice:hs", "GET", "/nothing", Value::Null).await.1["errcode"],
        "M_UNRECOGNIZED"
    );
}

#[tokio::test(start_paused = true)]
async fn a_login_by_steps() {
    let caller = Caller::new();
    let flows = caller.as_user("@alice:hs", "GET", "/login/flows", Value::Null).await.1;
    assert_eq!(flows["flows"][0]["id"], "password");
    let (_, step) = caller.as_user("@alice:hs", "POST", "/login/start/password", json!({})).await;
    assert_eq!(
        (step["type"].as_str(), step["user_input"]["fields"][1]["type"].as_str()),
        (Some("user_input"), Some("password"))
    );
    let path = format!(
        "/login/step/{}/{}/user_input",
        step["login_id"].as_str().unwrap(),
        step["step_id"].as_str().unwrap()
    );
    assert_eq!(
        caller.as_user("@admin:hs", "POST", &path, json!({})).await.0,
        404,
        "somebody else's login"
    );
    let wrong = path.replace("user_input", "display_and_wait");
    assert_eq!(
        caller.as_user("@alice:hs", "POST", &wrong, json!({})).await.1["errcode"],
        "M_BAD_STATE"
    );
    let (_, again) = caller.as_user("@alice:hs", "POST", &path, json!({ "name": "alice" })).await;
    assert!(again["instructions"].as_str().unwrap().contains("Password: an answer is needed"));
    // The same step once more: the answer was lost on its way to the program.
    let (_, repeated) =
        caller.as_user("@alice:hs", "POST", &path, json!({ "name": "alice" })).await;
    assert_eq!(repeated, again);
    let next = path.replace("/1/", &format!("/{}/", again["step_id"].as_str().unwrap()));
    let (status, done) = caller
        .as_user("@alice:hs", "POST", &next, json!({ "name": "alice", "password": "hunter2" }))
        .await;
    assert_eq!((status, done["complete"]["user_login_id"].as_str()), (200, Some("alice")));
    assert_eq!(caller.as_user("@alice:hs", "POST", &next, json!({})).await.0, 404);
}

#[tokio::test(start_paused = true)]
async fn a_login_that_waits_and_one_that_is_cancelled() {
    let caller = Caller::new();
    let (_, step) = caller.as_user("@alice:hs", "POST", "/login/start/qr", json!({})).await;
    assert_eq!(step["display_and_wait"], json!({ "type": "qr", "data": "sim:scan" }));
    let id = step["login_id"].as_str().unwrap();
    let path = format!("/login/step/{id}/1/display_and_wait");
    let (_, done) = caller.as_user("@alice:hs", "POST", &path, Value::Null).await;
    assert_eq!(done["complete"]["user_login_id"], "scanned");
    let (_, step) = caller.as_user("@alice:hs", "POST", "/login/start/password", json!({})).await;
    let cancel = format!("/login/cancel/{}", step["login_id"].as_str().unwrap());
    assert_eq!(caller.as_user("@alice:hs", "POST", &cancel, Value::Null).await.0, 200);
    assert_eq!(caller.as_user("@alice:hs", "POST", &cancel, Value::Null).await.0, 404);
    for i in 0..6 {
        let status =
            caller.as_user("@alice:hs", "POST", "/login/start/password", json!({})).await.0;
        assert_eq!(status, if i < 5 { 200 } else { 429 });
    }
}

#[tokio::test(start_paused = true)]
async fn people_and_rooms() {
    let caller = Caller::new();
    let (_, bob) = caller.as_user("@alice:hs", "GET", "/resolve_identifier/bob", Value::Null).await;
    assert_eq!((bob["id"].as_str(), bob["name"].as_str()), (Some("b0b"), Some("Bob")));
    assert_eq!(
        caller.as_user("@alice:hs", "GET", "/resolve_identifier/carl", Value::Null).await.0,
        404
    );
    let (_, dm) = caller.as_user("@alice:hs", "POST", "/create_dm/bob", Value::Null).await;
    assert_eq!(dm["dm_room_mxid"], "!dm:hs");
    let (_, found) =
        caller.as_user("@alice:hs", "POST", "/search_users", json!({ "query": "bob" })).await;
    assert_eq!(found["results"][0]["id"], "b0b");
    let alice = caller.world.hs.user("@alice:hs");
    let room = caller.world.room(&[&alice]).await;
    let path = format!("/bridge/{room}");
    assert_eq!(caller.as_user("@alice:hs", "POST", &path, json!({ "chat": "#c" })).await.0, 403);
    let (status, bridged) =
        caller.as_user("@admin:hs", "POST", &path, json!({ "chat": "#c" })).await;
    assert_eq!((status, bridged["portal"]["remote_id"].as_str()), (200, Some("#c")));
    assert_eq!(
        caller.as_user("@admin:hs", "POST", &path, json!([])).await.1["errcode"],
        "M_BAD_JSON"
    );
    assert_eq!(caller.as_user("@admin:hs", "POST", "/logout/all", Value::Null).await.0, 200);
    assert_eq!(caller.world.done().last().unwrap(), "logout @admin:hs a1");
}

#[tokio::test(start_paused = true)]
async fn groups_in_the_form_of_mautrix_bridges() {
    let caller = Caller::new();
    let (_, caps) = caller.as_user("@alice:hs", "GET", "/capabilities", Value::Null).await;
    let group = &caps["group_creation"]["group"];
    assert_eq!(group["type_description"], "small group");
    assert_eq!(
        group["name"],
        json!({ "allowed": true, "required": true, "min_length": 1, "max_length": 20 })
    );
    assert_eq!(group["username"], json!({ "allowed": false, "required": false }));
    let body = json!({ "type": "group", "participants": ["b0b"], "name": { "name": "Club" } });
    let create = |body: Value| caller.as_user("@alice:hs", "POST", "/create_group/group", body);
    let (status, made) = create(body).await;
    assert_eq!((status, &made["id"], &made["mxid"]), (200, &json!("g1"), &json!("!group:hs")));
    assert_eq!(made["failed_participants"]["sh1"]["reason"], "shy");
    assert_eq!(caller.world.done().last().unwrap(), "group @alice:hs group Club b0b");
    for bad in [
        json!({ "type": "channel" }),
        json!({ "participants": "b0b" }),
        json!({ "participants": [1] }),
        json!({ "name": { "name": 5 } }),
        json!({ "username": "club" }),
    ] {
        assert_eq!(create(bad).await.1["errcode"], "M_INVALID_PARAM");
    }
    // Only who may decide about a room may give it away.
    let alice = caller.world.hs.user("@alice:hs");
    let room = caller.world.room(&[&alice]).await;
    assert_eq!(create(json!({ "room_id": room })).await.0, 403);
}

//! Files, complaints, and the server itself.

use axum::body::Body;
use http::{Request, StatusCode};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::rig::{Person, Rig, texts};

async fn upload(rig: &Rig, who: &Person, bytes: &'static str, name: &str) -> String {
    let request = Request::post(format!("/_matrix/media/v3/upload?filename={name}"))
        .header("authorization", format!("Bearer {}", who.token))
        .header("content-type", "text/plain")
        .body(Body::from(bytes))
        .unwrap();
    let response = rig.server.router().oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let bytes = http_body_util::BodyExt::collect(response.into_body()).await.unwrap().to_bytes();
    let answer: Value = serde_json::from_slice(&bytes).unwrap();
    answer["content_uri"].as_str().unwrap().strip_prefix("mxc://h/").unwrap().to_owned()
}

async fn download(rig: &Rig, who: &Person, id: &str) -> u16 {
    let path = format!("/_matrix/client/v1/media/download/h/{id}");
    rig.ask("GET", &path, &who.token, &Value::Null).await.0.as_u16()
}

#[tokio::test]
async fn files_are_taken_out_of_sight_and_shown_again() {
    let rig = Rig::new().await;
    let bob = rig.person("bob").await;
    let (bad, twin) = (upload(&rig, &bob, "bad", "a").await, upload(&rig, &bob, "bad", "b").await);
    let (good, safe) =
        (upload(&rig, &bob, "good", "c").await, upload(&rig, &bob, "safe", "d").await);
    rig.must("POST", &format!("v1/media/protect/{safe}"), json!({})).await;
    rig.must("POST", &format!("v1/media/quarantine/h/{bad}"), json!({})).await;
    assert_eq!(download(&rig, &bob, &bad).await, 404);
    assert_eq!(download(&rig, &bob, &twin).await, 404, "the same bytes");
    assert_eq!(download(&rig, &bob, &good).await, 200);
    let later = upload(&rig, &bob, "bad", "again").await;
    assert_eq!(download(&rig, &bob, &later).await, 404, "also when they come again");
    let info = rig.must("GET", &format!("v1/media/h/{bad}"), Value::Null).await;
    assert_eq!(info["media_info"]["quarantined_by"], "@boss:h");
    rig.must("POST", &format!("v1/media/unquarantine/h/{bad}"), json!({})).await;
    assert_eq!(download(&rig, &bob, &later).await, 200);
    let told = async |query: &str| {
        rig.must("GET", &format!("v1/media/quarantine_changes{query}"), Value::Null).await
    };
    let changes = told("").await;
    let quarantined = |change: &Value| change["quarantined"] == true;
    let list = changes["changes"].as_array().unwrap();
    assert_eq!((list.len(), list.iter().filter(|change| quarantined(change)).count()), (6, 3));
    assert_eq!(list[2], json!({ "origin": "h", "media_id": later, "quarantined": true }));
    assert_eq!(changes["next_batch"], 6);
    assert_eq!(told("?from=4").await["changes"].as_array().unwrap().len(), 2);
    assert_eq!(told("?from=6").await, json!({ "next_batch": 6, "changes": [] }));

    let room = rig.room(&bob, json!({})).await;
    let body = json!({ "msgtype": "m.file", "body": "c", "url": format!("mxc://h/{good}"),
        "info": { "thumbnail_url": "mxc://elsewhere/x" } });
    let path = format!("rooms/{room}/send/m.room.message/1");
    rig.client(&bob, "PUT", &path, body).await;
    let media = rig.must("GET", &format!("v1/room/{room}/media"), Value::Null).await;
    assert_eq!(
        media,
        json!({ "local": [format!("mxc://h/{good}")], "remote": ["mxc://elsewhere/x"] })
    );
    let done = rig.must("POST", &format!("v1/room/{room}/media/quarantine"), json!({})).await;
    assert_eq!(done["num_quarantined"], 1);
    assert_eq!(download(&rig, &bob, &good).await, 404);
    let done = rig.must("POST", "v1/user/@bob:h/media/quarantine", json!({})).await;
    assert_eq!(done["num_quarantined"], 3, "what is protected stays");
    assert_eq!(download(&rig, &bob, &safe).await, 200);
    rig.must("POST", &format!("v1/media/unprotect/{safe}"), json!({})).await;
    let body = json!({ "msgtype": "m.file", "body": "d", "url": format!("mxc://h/{safe}") });
    rig.client(&bob, "PUT", &format!("rooms/{room}/send/m.room.message/2"), body).await;
    // Under its older path.
    let done = rig.must("POST", &format!("v1/quarantine_media/{room}"), json!({})).await;
    assert_eq!(done["num_quarantined"], 1);
    assert_eq!(download(&rig, &bob, &safe).await, 404);
    for path in
        ["quarantine/h/nothing", "unquarantine/h/nothing", "protect/nothing", "quarantine/x/y"]
    {
        assert_eq!(
            rig.refused("POST", &format!("v1/media/{path}"), json!({})).await.0,
            404,
            "{path}"
        );
    }
}

#[tokio::test]
async fn files_are_listed_and_deleted() {
    let rig = Rig::new().await;
    let bob = rig.person("bob").await;
    let (one, two) = (upload(&rig, &bob, "1", "one").await, upload(&rig, &bob, "22", "two").await);
    let copy = upload(&rig, &bob, "22", "copy").await;
    let list = rig.must("GET", "v1/users/@bob:h/media?order_by=upload_name", Value::Null).await;
    assert_eq!(texts(&list["media"], "upload_name"), ["copy", "one", "two"]);
    assert_eq!(list["total"], 3);
    let list =
        rig.must("GET", "v1/users/@bob:h/media?order_by=media_length&limit=1", Value::Null).await;
    assert_eq!((&list["media"][0]["media_id"], &list["next_token"]), (&json!(one), &json!(1)));
    let usage = rig.must("GET", "v1/statistics/users/media", Value::Null).await;
    assert_eq!(
        usage,
        json!({ "users": [{ "user_id": "@bob:h", "displayname": null, "media_count": 3, "media_length": 5 }], "total": 1 })
    );
    let gone = rig.must("DELETE", &format!("v1/media/h/{two}"), json!({})).await;
    assert_eq!(gone, json!({ "deleted_media": [two], "total": 1 }));
    assert_eq!(download(&rig, &bob, &two).await, 404);
    assert_eq!(download(&rig, &bob, &copy).await, 200, "its bytes have another id");
    assert_eq!(rig.refused("DELETE", &format!("v1/media/h/{two}"), json!({})).await.0, 404);

    let avatar = json!({ "avatar_url": format!("mxc://h/{one}") });
    rig.client(&bob, "PUT", "profile/@bob:h/avatar_url", avatar).await;
    assert_eq!(rig.must("POST", "v1/media/delete?before_ts=5", json!({})).await["total"], 0);
    let before_any = rig.must("POST", "v1/media/h/delete?before_ts=5", json!({})).await;
    assert_eq!(before_any["total"], 0, "under its older path");
    let gone = rig.must("POST", "v1/media/delete?before_ts=9999999999999", json!({})).await;
    assert_eq!(gone["deleted_media"], json!([copy]), "an avatar stays");
    assert_eq!(download(&rig, &bob, &one).await, 200);
    let gone = rig.must("DELETE", "v1/users/@bob:h/media", Value::Null).await;
    assert_eq!(gone["deleted_media"], json!([one]));
    // The bytes are gone, too, and come back with the next upload.
    let again = upload(&rig, &bob, "22", "again").await;
    assert_eq!(download(&rig, &bob, &again).await, 200);
    assert_eq!(rig.refused("POST", "v1/media/delete", json!({})).await.1, "M_MISSING_PARAM");
    let empty = rig.must("POST", "v1/purge_media_cache?before_ts=1", json!({})).await;
    assert_eq!(empty, json!({ "deleted": 0 }));
}

#[tokio::test]
async fn complaints_are_read_and_forgotten() {
    let rig = Rig::new().await;
    let (bob, eve) = (rig.person("bob").await, rig.person("eve").await);
    let room = rig.room(&bob, json!({ "name": "Pub", "preset": "public_chat" })).await;
    rig.client(&eve, "POST", &format!("join/{room}"), json!({})).await;
    for text in ["rude", "ruder"] {
        let event = rig.say(&bob, &room, text).await;
        let body = json!({ "reason": format!("{text}!"), "score": -50 });
        rig.client(&eve, "POST", &format!("rooms/{room}/report/{event}"), body).await;
    }
    let list = rig.must("GET", "v1/event_reports", Value::Null).await;
    assert_eq!(texts(&list["event_reports"], "reason"), ["ruder!", "rude!"]);
    let first = &list["event_reports"][1];
    assert_eq!(
        (&first["user_id"], &first["sender"], &first["name"], &first["score"]),
        (&json!("@eve:h"), &json!("@bob:h"), &json!("Pub"), &json!(-50))
    );
    for (query, total) in [
        ("user_id=@eve:h", 2),
        ("user_id=@bob:h", 0),
        ("event_sender_user_id=@bob:h", 2),
        ("room_id=!x:h", 0),
    ] {
        let list = rig.must("GET", &format!("v1/event_reports?{query}"), Value::Null).await;
        assert_eq!(list["total"], total, "{query}");
    }
    let list = rig.must("GET", "v1/event_reports?dir=f&limit=1", Value::Null).await;
    assert_eq!(
        (texts(&list["event_reports"], "reason"), &list["next_token"]),
        (vec!["rude!"], &json!(1))
    );
    let path = format!("v1/event_reports/{}", first["id"]);
    let whole = rig.must("GET", &path, Value::Null).await;
    assert_eq!(whole["event_json"]["content"]["body"], "rude");
    rig.must("DELETE", &path, Value::Null).await;
    assert_eq!(rig.refused("GET", &path, Value::Null).await.0, 404);
    assert_eq!(rig.refused("DELETE", &path, Value::Null).await.0, 404);
    assert_eq!(rig.refused("GET", "v1/event_reports/x", Value::Null).await.1, "M_INVALID_PARAM");
}

#[tokio::test]
async fn complaints_about_users_are_read_and_forgotten() {
    let rig = Rig::new().await;
    let (bob, eve) = (rig.person("bob").await, rig.person("eve").await);
    let room = rig.room(&bob, json!({ "invite": [eve.id] })).await;
    rig.client(&eve, "POST", &format!("join/{room}"), json!({})).await;
    for (who, whom, reason) in [(&eve, "@bob:h", "rude"), (&bob, "@eve:h", "touchy")] {
        let path = format!("users/{whom}/report");
        rig.client(who, "POST", &path, json!({ "reason": reason })).await;
    }
    let event = rig.say(&bob, &room, "rude").await;
    rig.client(&eve, "POST", &format!("rooms/{room}/report/{event}"), json!({})).await;
    let list = rig.must("GET", "v1/user_reports", Value::Null).await;
    assert_eq!(texts(&list["user_reports"], "reason"), ["touchy", "rude"]);
    assert_eq!(list["total"], 2, "those about events are elsewhere");
    let first = &list["user_reports"][1];
    assert_eq!((&first["user_id"], &first["target_user_id"]), (&json!("@eve:h"), &json!("@bob:h")));
    for (query, reasons) in [
        ("user_id=@eve:h", vec!["rude"]),
        ("target_user_id=@eve:h", vec!["touchy"]),
        ("user_id=@eve:h&target_user_id=@eve:h", vec![]),
        ("dir=f&limit=1", vec!["rude"]),
    ] {
        let list = rig.must("GET", &format!("v1/user_reports?{query}"), Value::Null).await;
        assert_eq!(texts(&list["user_reports"], "reason"), reasons, "{query}");
    }
    let path = format!("v1/user_reports/{}", first["id"]);
    assert_eq!(rig.must("GET", &path, Value::Null).await, *first);
    // A number names one complaint, whatever it is about.
    let other = format!("v1/event_reports/{}", first["id"]);
    assert_eq!(rig.refused("GET", &other, Value::Null).await.0, 404);
    assert_eq!(rig.refused("DELETE", &other, Value::Null).await.0, 404);
    rig.must("DELETE", &path, Value::Null).await;
    assert_eq!(rig.refused("GET", &path, Value::Null).await.0, 404);
    assert_eq!(rig.refused("DELETE", &path, Value::Null).await.0, 404);
    assert_eq!(rig.refused("GET", "v1/user_reports/-1", Value::Null).await.1, "M_INVALID_PARAM");
}

#[tokio::test]
async fn the_largest_rooms_come_first() {
    let rig = Rig::new().await;
    let bob = rig.person("bob").await;
    let (small, large) = (rig.room(&bob, json!({})).await, rig.room(&bob, json!({})).await);
    for _ in 0..5 {
        rig.say(&bob, &large, &"long ".repeat(200)).await;
    }
    let answer = rig.must("GET", "v1/statistics/database/rooms", Value::Null).await;
    assert_eq!(texts(&answer["rooms"], "room_id"), [large, small]);
    let sizes: Vec<i64> = answer["rooms"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|r| r["estimated_size"].as_i64())
        .collect();
    assert!(sizes[1] > 1_000 && sizes[0] > sizes[1] + 5_000, "{sizes:?}");
}

#[tokio::test]
async fn the_server_says_what_it_is_and_what_it_lacks() {
    let rig = Rig::new().await;
    let version = rig.must("GET", "v1/server_version", Value::Null).await;
    assert!(version["server_version"].as_str().unwrap().starts_with("Landbridge "));
    let updates = rig.must("GET", "v1/background_updates/status", Value::Null).await;
    assert_eq!(updates["current_updates"], json!({}));
    let pause = json!({ "enabled": false });
    let enabled = "v1/background_updates/enabled";
    assert_eq!(rig.refused("POST", enabled, pause).await.0, 400);
    let on = json!({ "enabled": true });
    assert_eq!(rig.must("POST", enabled, on.clone()).await, on);
    assert_eq!(rig.must("GET", enabled, Value::Null).await, on);
    let others = rig.must("GET", "v1/federation/destinations", Value::Null).await;
    assert_eq!(others, json!({ "destinations": [], "total": 0 }));
    for (method, path) in [
        ("GET", "federation/destinations/x.org"),
        ("GET", "federation/destinations/x.org/rooms"),
        ("POST", "federation/destinations/x.org/reset_connection"),
        ("GET", "threepid/email/users/a@b.c"),
    ] {
        let refused = rig.refused(method, &format!("v1/{path}"), Value::Null).await;
        assert_eq!(refused, (404, "M_NOT_FOUND".into()), "{path}");
    }
    let job = json!({ "job_name": "regenerate_directory" });
    let refused = rig.refused("POST", "v1/background_updates/start_job", job).await;
    assert_eq!(refused, (400, "M_INVALID_PARAM".into()));
    let features = "v1/experimental_features/@boss:h";
    assert_eq!(rig.must("GET", features, Value::Null).await, json!({ "features": {} }));
    let on = json!({ "features": { "msc3881": true } });
    assert_eq!(rig.refused("PUT", features, on).await.1, "M_UNRECOGNIZED");
    assert_eq!(rig.must("PUT", features, json!({ "features": {} })).await, json!({}));
    // Whoever can read the data folder administers as well: the command line.
    let token = "x".repeat(40);
    std::fs::write(rig.app().config.data_dir.join(crate::admin::local::TOKEN_FILE), &token)
        .unwrap();
    let (status, _) = rig.ask("GET", "/_synapse/admin/v1/rooms", &token, &Value::Null).await;
    assert_eq!(status, StatusCode::OK);
    let whoami = "/_matrix/client/v3/account/whoami";
    assert_eq!(rig.ask("GET", whoami, &token, &Value::Null).await.0, StatusCode::UNAUTHORIZED);
}

//! Registrations from a folder and from this process, and requests to services in this process.

use axum::extract::Path;
use axum::routing::get;
use http::StatusCode;
use landbridge_registration::Blueprint;
use ruma::{room_alias_id, user_id};
use serde_json::{Value, json};

use super::*;

fn registration(id: &str) -> Registration {
    Blueprint::new(id, None, &format!("{id}bot"))
        .user(&format!("@_{id}_"), true)
        .alias(&format!("#_{id}_"), true)
        .protocol("chat")
        .generate(&mut rand::rng())
        .unwrap()
}

fn config(folder: Option<&std::path::Path>) -> Config {
    let mut config = Config::default();
    config.appservices.directory = folder.map(ToOwned::to_owned);
    config
}

#[test]
fn a_folder_is_read_again_and_numbers_stay() {
    let folder = tempfile::tempdir().unwrap();
    let write = |one: &Registration| {
        std::fs::write(folder.path().join(format!("{}.yaml", one.id)), one.to_yaml()).unwrap();
    };
    let (irc, slack, mail) = (registration("irc"), registration("slack"), registration("mail"));
    write(&irc);
    write(&slack);
    let services = Appservices::open(&config(Some(folder.path()))).unwrap();
    let slack_number = services.by_id("slack").unwrap().number();
    let generation = InterestSource::generation(&services);

    std::fs::remove_file(folder.path().join("irc.yaml")).unwrap();
    write(&mail);
    services.reload().unwrap();
    assert!(services.by_id("irc").is_none());
    assert!(services.by_token(irc.as_token.expose()).is_none());
    assert_eq!(services.by_token(slack.as_token.expose()).unwrap().number(), slack_number);
    assert_eq!(
        services.by_id("mail").unwrap().number(),
        2,
        "the number of one that has gone is not reused"
    );
    assert!(InterestSource::generation(&services) > generation);

    std::fs::write(folder.path().join("broken.yaml"), "id: [").unwrap();
    let error = services.reload().unwrap_err().to_string();
    assert!(error.contains("broken.yaml: line 1"), "{error}");
    assert!(services.by_id("mail").is_some(), "a reload that fails changes nothing");
}

#[test]
fn namespaces_hold_against_everybody() {
    let services = Appservices::open(&config(None)).unwrap();
    services.register(registration("irc")).unwrap();
    services.register(registration("slack")).unwrap();
    let ghost = user_id!("@_irc_alice:localhost");
    assert!(services.exclusive_user(ghost, None) && services.exclusive_user(ghost, Some("slack")));
    assert!(!services.exclusive_user(ghost, Some("irc")));
    assert!(services.exclusive_user(user_id!("@ircbot:localhost"), None));
    assert!(!services.exclusive_user(user_id!("@alice:localhost"), None));
    let alias = room_alias_id!("#_irc_rust:localhost");
    assert!(
        services.exclusive_alias(alias, Some("slack"))
            && !services.exclusive_alias(alias, Some("irc"))
    );
    let irc = services.by_id("irc").unwrap();
    assert!(irc.owns_user(ghost) && irc.owns_user(irc.sender()) && irc.owns_alias(alias));
    assert!(!irc.owns_user(user_id!("@_slack_a:localhost")));
    assert_eq!(services.of_user(ghost), Mask::single(0));
}

#[test]
fn a_service_without_url_is_in_nobodys_interest() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("puppet.yaml"), registration("puppet").to_yaml()).unwrap();
    let services = Appservices::open(&config(Some(folder.path()))).unwrap();
    let ghost = user_id!("@_puppet_a:localhost");
    assert_eq!(services.of_user(ghost), Mask::EMPTY);
    assert!(services.exclusive_user(ghost, None));
}

#[test]
fn clashing_services_are_refused_and_forgotten() {
    let services = Appservices::open(&config(None)).unwrap();
    let irc = registration("irc");
    services.register(irc.clone()).unwrap();
    let thief = Registration { id: "thief".to_owned(), ..irc };
    assert!(matches!(services.register(thief), Err(AppserviceError::Conflict(_))));
    services.reload().unwrap();
    assert!(services.by_id("thief").is_none());
}

fn answering() -> Router {
    Router::new()
        .route(
            "/_matrix/app/v1/users/{id}",
            get(async |Path(id): Path<String>| {
                if id == "@_irc_known:localhost" { StatusCode::OK } else { StatusCode::NOT_FOUND }
            }),
        )
        // A service of old: it knows the path without a version.
        .route("/rooms/{alias}", get(async || "{}"))
        .route(
            "/_matrix/app/v1/thirdparty/protocol/chat",
            get(async || {
                axum::Json(json!({"user_fields": ["nick"], "instances": [{"desc": "one", "network_id": "net"}]}))
            }),
        )
        .route(
            "/_matrix/app/v1/thirdparty/user/chat",
            get(async |uri: http::Uri| axum::Json(json!([{ "asked": uri.query() }, 5]))),
        )
        .route("/_matrix/app/v1/ping", axum::routing::post(async |body: String| (StatusCode::IM_A_TEAPOT, body)))
}

#[tokio::test]
async fn services_in_this_process_answer_queries() {
    let services = Appservices::open(&config(None)).unwrap();
    services.register(registration("irc")).unwrap();
    let known = user_id!("@_irc_known:localhost");
    services.attach("irc", answering()).unwrap();
    assert!(services.query_user(known).await);
    assert!(!services.query_user(user_id!("@_irc_other:localhost")).await);
    assert!(!services.query_user(user_id!("@alice:localhost")).await);
    assert!(services.query_alias(room_alias_id!("#_irc_x:localhost")).await);
}

#[tokio::test]
async fn protocols_of_several_services_become_one() {
    let services = Appservices::open(&config(None)).unwrap();
    for id in ["irc", "slack"] {
        services.register(registration(id)).unwrap();
        services.attach(id, answering()).unwrap();
    }
    let protocol = services.protocol("chat").await.unwrap();
    let ids: Vec<_> = protocol["instances"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["instance_id"].clone())
        .collect();
    assert_eq!(ids.len(), 2);
    assert!(ids.contains(&Value::from("irc|net")) && ids.contains(&Value::from("slack|net")));
    assert!(services.protocol("mail").await.is_none());
    let fields = vec![("nick".to_owned(), "a b".to_owned())];
    let users = services.users("chat", &fields).await.unwrap();
    assert_eq!(users, vec![json!({"asked": "nick=a+b"}); 2]);
}

#[tokio::test]
async fn a_ping_tells_what_came_back() {
    let services = Appservices::open(&config(None)).unwrap();
    services.register(registration("irc")).unwrap();
    let irc = services.by_id("irc").unwrap();
    assert!(matches!(irc.ping(None).await, Err(PingError::NoUrl)), "nothing is attached yet");
    services.attach("irc", answering()).unwrap();
    match irc.ping(Some("meow")).await {
        Err(PingError::BadStatus { status: 418, body }) => {
            assert_eq!(body, r#"{"transaction_id":"meow"}"#);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn instances_are_told_by_service_and_network() {
    let id: InstanceId = "irc|a|b".parse().unwrap();
    assert_eq!((id.appservice.as_str(), id.network.as_str()), ("irc", "a|b"));
    assert_eq!(id.to_string(), "irc|a|b");
    assert!("irc".parse::<InstanceId>().is_err() && "|x".parse::<InstanceId>().is_err());
}

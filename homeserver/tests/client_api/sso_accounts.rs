//! Which account somebody gets who signs in through an identity provider.

use http::Method;
use landbridge_homeserver::config::{RequiredClaim, SsoProvider};
use ruma::UserId;
use serde_json::{Value, json};

use super::sso_provider::{Browser, CLIENT, Got, Idp, log_in, path_of, server};
use super::support::TestServer;

const ACCOUNT: &str = "/_landbridge/sso/account";

fn somebody(subject: &str, name: &str) -> Value {
    json!({ "sub": subject, "preferred_username": name })
}

async fn with(idp: &Idp, change: impl FnOnce(&mut SsoProvider)) -> TestServer {
    let mut settings = idp.settings("corp");
    change(&mut settings);
    server(vec![settings]).await
}

/// The key of the page on which somebody is asked, and the page.
async fn asked(browser: &Browser<'_>, got: Got) -> (String, Got) {
    let url = got.sent();
    assert_eq!(url.path(), ACCOUNT);
    let key = super::sso_provider::parameter(&url, "key").unwrap();
    let page = browser.get(&path_of(&url)).await;
    assert_eq!(page.status, 200);
    (key, page)
}

async fn user(server: &TestServer, got: &Got) -> Value {
    log_in(server, &got.sent()).await.1["user_id"].clone()
}

async fn exists(server: &TestServer, user: &str) -> bool {
    let user = UserId::parse(user).unwrap();
    server.server.app().accounts.get(&user).await.unwrap().is_some()
}

#[tokio::test]
async fn whoever_has_no_name_yet_chooses_one() {
    let idp = Idp::start().await;
    let server = with(&idp, |settings| settings.localpart_template = None).await;
    server.register("taken").await;
    let browser = Browser::new(&server);
    let got = browser.sign_in(&idp, "corp", CLIENT, &somebody("u1", "x")).await;
    let (key, page) = asked(&browser, got).await;
    assert!(page.policy.contains("form-action 'self' https://app.test;"), "{}", page.policy);
    let choose = async |name: &str| {
        browser.post(ACCOUNT, &[("key", &key), ("way", "new"), ("username", name)]).await
    };
    for bad in ["taken", "not a name", "_bridge", ""] {
        let got = choose(bad).await;
        assert_eq!(got.status, 400, "{bad}");
        assert!(got.body.contains("role=\"alert\"") && got.body.contains("name=\"username\""));
    }
    let markup = choose("\"><script>").await;
    assert!(markup.status == 400 && !markup.body.contains("<script>"));
    let other = Browser::new(&server);
    let stolen = other.post(ACCOUNT, &[("key", &key), ("way", "new"), ("username", "thief")]).await;
    assert_eq!(stolen.status, 400);
    assert!(!exists(&server, "@thief:hs.test").await);
    let got = choose("Chosen").await;
    assert_eq!(user(&server, &got).await, "@chosen:hs.test");
    assert_eq!(choose("another").await.status, 400, "the choice is made");
    let got = browser.sign_in(&idp, "corp", CLIENT, &somebody("u1", "x")).await;
    assert_eq!(user(&server, &got).await, "@chosen:hs.test");
}

#[tokio::test]
async fn a_name_may_have_to_be_confirmed() {
    let idp = Idp::start().await;
    let server = with(&idp, |settings| settings.confirm_localpart = true).await;
    let browser = Browser::new(&server);
    let got = browser.sign_in(&idp, "corp", CLIENT, &somebody("u1", "ada")).await;
    let (_, page) = asked(&browser, got).await;
    assert!(page.body.contains("value=\"ada\""), "{}", page.body);
    assert!(!exists(&server, "@ada:hs.test").await);
}

#[tokio::test]
async fn an_account_is_connected_by_its_password() {
    let idp = Idp::start().await;
    let server = with(&idp, |_| ()).await;
    server.register("ada").await;
    let browser = Browser::new(&server);
    let got = browser.sign_in(&idp, "corp", CLIENT, &somebody("u1", "ada")).await;
    let (key, _) = asked(&browser, got).await;
    let link = async |name: &str, password: &str| {
        let form = [("key", &*key), ("way", "link"), ("username", name), ("password", password)];
        browser.post(ACCOUNT, &form).await
    };
    for (name, password) in [("ada", "wrong"), ("nobody", "correct horse"), ("ada", "")] {
        assert_eq!(link(name, password).await.status, 403);
    }
    let got = link("Ada", "correct horse").await;
    assert_eq!(user(&server, &got).await, "@ada:hs.test");
    let got = browser.sign_in(&idp, "corp", CLIENT, &somebody("u1", "x")).await;
    assert_eq!(user(&server, &got).await, "@ada:hs.test");
}

#[tokio::test]
async fn accounts_are_joined_by_name_only_where_the_settings_say_so() {
    let idp = Idp::start().await;
    let server = with(&idp, |settings| settings.allow_existing_users = true).await;
    server.register("ada").await;
    let browser = Browser::new(&server);
    let got = browser.sign_in(&idp, "corp", CLIENT, &somebody("u1", "ada")).await;
    assert_eq!(user(&server, &got).await, "@ada:hs.test");
    let got = browser.sign_in(&idp, "corp", CLIENT, &somebody("u2", "new")).await;
    assert_eq!(user(&server, &got).await, "@new:hs.test");
}

#[tokio::test]
async fn accounts_are_made_only_where_the_settings_say_so() {
    let idp = Idp::start().await;
    let server = with(&idp, |settings| {
        settings.enable_registration = false;
        settings.link_by_password = false;
    })
    .await;
    let browser = Browser::new(&server);
    let got = browser.sign_in(&idp, "corp", CLIENT, &somebody("u1", "ada")).await;
    assert_eq!((got.status, got.location), (403, None));
    let server = with(&idp, |settings| settings.enable_registration = false).await;
    let browser = Browser::new(&server);
    let got = browser.sign_in(&idp, "corp", CLIENT, &somebody("u1", "ada")).await;
    let (key, page) = asked(&browser, got).await;
    assert!(!page.body.contains("value=\"new\""), "{}", page.body);
    let form = [("key", &*key), ("way", "new"), ("username", "ada")];
    assert_eq!(browser.post(ACCOUNT, &form).await.status, 403);
    assert!(!exists(&server, "@ada:hs.test").await);
}

#[tokio::test]
async fn claims_open_the_door_and_userinfo_tells_more_of_them() {
    let idp = Idp::start().await;
    let claim = RequiredClaim {
        claim: "groups".to_owned(),
        value: Some("staff".to_owned()),
        one_of: Vec::new(),
    };
    idp.tell(json!({ "sub": "u1", "groups": ["staff"], "name": "Ada of userinfo" }));
    let server = with(&idp, |settings| settings.required_claims = vec![claim.clone()]).await;
    let browser = Browser::new(&server);
    let got = browser.sign_in(&idp, "corp", CLIENT, &somebody("u1", "ada")).await;
    assert_eq!(user(&server, &got).await, "@ada:hs.test");
    let (_, profile) = server
        .request(Method::GET, "/_matrix/client/v3/profile/@ada:hs.test", None, &Value::Null)
        .await;
    assert_eq!(profile["displayname"], "Ada of userinfo");
    let got = browser.sign_in(&idp, "corp", CLIENT, &somebody("u2", "eve")).await;
    assert_eq!(got.status, 403, "userinfo tells of somebody else");
    idp.tell(json!({ "sub": "u2", "groups": ["guests"] }));
    let got = browser.sign_in(&idp, "corp", CLIENT, &somebody("u2", "eve")).await;
    assert_eq!(got.status, 403);
    assert!(!exists(&server, "@eve:hs.test").await);
}

#[tokio::test]
async fn closed_and_locked_accounts_stay_shut() {
    let idp = Idp::start().await;
    let server = with(&idp, |_| ()).await;
    let browser = Browser::new(&server);
    let got = browser.sign_in(&idp, "corp", CLIENT, &somebody("u1", "ada")).await;
    assert_eq!(user(&server, &got).await, "@ada:hs.test");
    let ada = UserId::parse("@ada:hs.test").unwrap();
    server.server.app().accounts.set_locked(&ada, true).await.unwrap();
    let got = browser.sign_in(&idp, "corp", CLIENT, &somebody("u1", "ada")).await;
    assert_eq!((got.status, got.location), (403, None));
    server.server.app().accounts.set_locked(&ada, false).await.unwrap();
    server.server.app().accounts.deactivate(&ada).await.unwrap();
    // The identity is free again, the name is not.
    let got = browser.sign_in(&idp, "corp", CLIENT, &somebody("u1", "ada")).await;
    asked(&browser, got).await;
}

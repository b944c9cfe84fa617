//! E-mail addresses on the pages: signing in with one, a forgotten password, creating an account, and one's own.

use http::Method;
use serde_json::{Value, json};

use super::super::smtp::Smtp;
use super::super::threepids::mail;
use super::{ACCOUNT, Answer, Browser, Provider, SIGN_IN};

const FORGOTTEN: &str = "/_landbridge/forgotten";
const SIGN_UP: &str = "/_landbridge/sign-up";
const EMAILS: &str = "/_landbridge/account?action=org.landbridge.emails";

/// Presses the button on the page that the newest e-mail to an address leads to.
async fn confirm(provider: &Provider, smtp: &Smtp, to: &str) {
    let mail = smtp.newest(to);
    let (path, query) = mail.link().split_once('?').unwrap();
    let fields: Vec<(String, String)> =
        url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let fields: Vec<_> = fields.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    assert_eq!(provider.form(path, &fields).await.status, 200);
}

/// The form on a page that holds a field with this value, or else a field of this name.
fn form_with(answer: &Answer, name: &str) -> super::Form {
    let all = super::forms(&answer.text);
    let has =
        |form: &super::Form| form.fields.iter().any(|(key, value)| key == name || value == name);
    all.into_iter().find(has).unwrap_or_else(|| panic!("{name} in {}", answer.text))
}

async fn sign_in(browser: &Browser<'_>, name: &str, password: &str) -> u16 {
    let form = browser.form(SIGN_IN).await;
    browser.submit(&form.with("username", name).with("password", password)).await.status
}

/// Gives alice an address, on her page.
async fn add(browser: &Browser<'_>, smtp: &Smtp, email: &str) {
    let page = browser.open(EMAILS).await;
    let add = form_with(&page, "address").with("address", email).with("decision", "add");
    let waiting = browser.submit(&add).await;
    assert_eq!(waiting.status, 200, "{}", waiting.text);
    let go_on = form_with(&waiting, "sid").with("decision", "confirm");
    let early = browser.submit(&go_on).await;
    assert_eq!(early.status, 400);
    assert!(early.text.contains("role=\"alert\""), "{}", early.text);
    confirm(browser.provider, smtp, email).await;
    let done = browser.submit(&go_on).await;
    assert_eq!(done.status, 200, "{}", done.text);
    assert!(done.text.contains(email), "{}", done.text);
}

#[tokio::test]
async fn an_address_is_added_signs_in_and_is_removed() {
    let smtp = Smtp::start().await;
    let provider = Provider::start_with(|config| mail(config, &smtp)).await;
    let browser = provider.browser();
    browser.sign_in("alice").await;
    let nonsense = form_with(&browser.open(EMAILS).await, "address");
    let nonsense = nonsense.with("address", "nonsense").with("decision", "add");
    assert_eq!(browser.submit(&nonsense).await.status, 400);
    add(&browser, &smtp, "alice@example.org").await;
    let other = provider.browser();
    assert_eq!(sign_in(&other, "Alice@Example.org", "wrong").await, 403);
    assert_eq!(sign_in(&other, "nobody@example.org", "correct horse").await, 403);
    assert_eq!(sign_in(&other, "Alice@Example.org", "correct horse").await, 303);
    let page = other.open(ACCOUNT).await;
    assert!(page.text.contains("@alice:hs.test"), "{}", page.text);
    // An address is a way into the account: whoever changes them shows who they are.
    let remove = form_with(&browser.open(EMAILS).await, "alice@example.org");
    let remove = remove.with("decision", "remove");
    provider.clock.pass(11 * 60);
    assert!(browser.submit(&remove).await.path().starts_with(SIGN_IN));
    browser.sign_in("alice").await;
    let remove = form_with(&browser.open(EMAILS).await, "alice@example.org");
    let removed = browser.submit(&remove.with("decision", "remove")).await;
    assert_eq!(removed.status, 200, "{}", removed.text);
    assert_eq!(sign_in(&other, "alice@example.org", "correct horse").await, 403);
}

#[tokio::test]
async fn a_forgotten_password_is_set_by_whoever_reads_the_e_mail_and_asked_for_it() {
    let smtp = Smtp::start().await;
    let provider = Provider::start_with(|config| mail(config, &smtp)).await;
    let browser = provider.browser();
    browser.sign_in("alice").await;
    add(&browser, &smtp, "alice@example.org").await;
    let client = provider.client().await;
    let tokens = provider.tokens(&client, "DEVICE").await;
    assert!(browser.open(SIGN_IN).await.text.contains(FORGOTTEN));

    let visitor = provider.browser();
    let asked = visitor.form(FORGOTTEN).await.with("email", "alice@example.org");
    let page = visitor.submit(&asked).await;
    assert_eq!(page.status, 200, "{}", page.text);
    let form = form_with(&page, "sid").with("password", "battery staple");
    let form = form.with("again", "battery staple");
    assert_eq!(visitor.submit(&form).await.status, 400, "it is not confirmed yet");
    confirm(&provider, &smtp, "alice@example.org").await;
    assert_eq!(visitor.submit(&form.clone().with("again", "other")).await.status, 400);
    // Another browser has not asked.
    let stranger = provider.browser();
    let own = stranger.form(FORGOTTEN).await;
    let csrf = own.fields.iter().find(|(name, _)| name == "csrf").unwrap().1.clone();
    assert_eq!(stranger.submit(&form.clone().with("csrf", &csrf)).await.status, 400);
    let done = visitor.submit(&form).await;
    assert_eq!(done.status, 200, "{}", done.text);
    assert_eq!(visitor.submit(&form).await.status, 400, "a proof is good once");
    assert_eq!(sign_in(&visitor, "alice", "correct horse").await, 403);
    assert_eq!(sign_in(&visitor, "alice", "battery staple").await, 303);
    assert_eq!(provider.whoami(tokens["access_token"].as_str().unwrap()).await, Err(401));
    assert!(browser.open(ACCOUNT).await.path().starts_with(SIGN_IN));

    // Whether there is an account is told to nobody but the address.
    let unknown = visitor.form(FORGOTTEN).await.with("email", "nobody@example.org");
    assert_eq!(visitor.submit(&unknown).await.status, 200);
    assert!(smtp.newest("nobody@example.org").text.contains("no account"));
}

#[tokio::test]
async fn a_client_may_ask_again_and_again_whether_the_link_was_followed() {
    let smtp = Smtp::start().await;
    let provider = Provider::start_with(|config| {
        mail(config, &smtp);
        config.rate_limits.enabled = true;
        config.rate_limits.login =
            landbridge_homeserver::config::Rate { per_second: 0.001, burst: 1 };
    })
    .await;
    let creds = json!({ "sid": "x", "client_secret": "y" });
    let auth = json!({ "type": "m.login.email.identity", "threepid_creds": creds });
    let body = json!({ "auth": auth, "new_password": "battery staple" });
    for _ in 0..4 {
        let answer = provider.post_json("/_matrix/client/v3/account/password", &body).await;
        assert_eq!(answer.status, 401, "{}", answer.text);
    }
}

#[tokio::test]
async fn an_account_begins_with_its_address_where_it_needs_one() {
    let smtp = Smtp::start().await;
    let provider = Provider::start_with(|config| mail(config, &smtp)).await;
    assert!(!provider.browser().open(SIGN_UP).await.text.contains("type=\"email\""));

    let provider = Provider::start_needing_email(&smtp).await;
    let metadata = provider.get("/_matrix/client/v1/auth_metadata", None).await.json();
    assert_eq!(metadata["prompt_values_supported"], json!(["create"]));
    let browser = provider.browser();
    let asked = browser.form(SIGN_UP).await;
    let elsewhere = browser.submit(&asked.clone().with("email", "bob@elsewhere.org")).await;
    assert_eq!(elsewhere.status, 400, "the settings allow other domains");
    let page = browser.submit(&asked.with("email", "bob@example.org")).await;
    assert_eq!(page.status, 200, "{}", page.text);
    let form = form_with(&page, "sid").with("username", "bob");
    let form = form.with("password", "a long password").with("again", "a long password");
    assert_eq!(browser.submit(&form).await.status, 400, "it is not confirmed yet");
    confirm(&provider, &smtp, "bob@example.org").await;
    let done = browser.submit(&form).await;
    assert_eq!((done.status, done.path()), (303, ACCOUNT), "{}", done.text);
    let app = provider.server.server.app();
    let owner = app.threepids.owner("email", "bob@example.org").await.unwrap();
    assert_eq!(owner.unwrap(), "@bob:hs.test");
}

#[tokio::test]
async fn the_fallback_page_proves_an_address_for_a_client() {
    let smtp = Smtp::start().await;
    let provider = Provider::start_with(|config| mail(config, &smtp)).await;
    let register = async |auth: Value| {
        let body = json!({ "username": "bob", "password": "a long password", "auth": auth });
        let path = "/_matrix/client/v3/register";
        let (status, answer) = provider.server.request(Method::POST, path, None, &body).await;
        (status.as_u16(), answer)
    };
    let begin = json!({ "type": "m.login.email.identity", "threepid_creds": { "sid": "x", "client_secret": "y" } });
    let (status, challenge) = register(begin).await;
    assert_eq!(status, 401, "{challenge}");
    let session = challenge["session"].as_str().unwrap();
    let path = "/_matrix/client/v3/auth/m.login.email.identity/fallback/web";
    let page = provider.get(&format!("{path}?session={session}"), None).await;
    assert!(page.status == 200 && page.text.contains("type=\"email\""), "{}", page.text);
    assert_eq!(provider.get(&format!("{path}?session=unknown"), None).await.status, 400);
    let waiting = provider.form(path, &[("session", session), ("email", "bob@example.org")]).await;
    assert_eq!(waiting.status, 200, "{}", waiting.text);
    let text = waiting.text.replace("<form", "<form action=\"\"");
    let form = super::forms(&text).remove(0);
    let fields: Vec<_> = form.fields.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    let early = provider.form(path, &fields).await;
    assert!(early.status == 400 && !early.text.contains("onAuthDone"), "{}", early.text);
    confirm(&provider, &smtp, "bob@example.org").await;
    assert!(provider.form(path, &fields).await.text.contains("onAuthDone"));
    let (status, answer) = register(json!({ "session": session })).await;
    assert_eq!((status, &answer["user_id"]), (200, &json!("@bob:hs.test")), "{answer}");
    let owner = provider.server.server.app().threepids.owner("email", "bob@example.org").await;
    assert_eq!(owner.unwrap().unwrap(), "@bob:hs.test");
}

//! Device codes: clients without a browser (RFC 8628).

use serde_json::{Value, json};

use super::{Answer, Browser, Provider, scope};

const LINK: &str = "/_landbridge/link";

struct Asking<'a> {
    provider: &'a Provider,
    client: String,
    answer: Value,
}

impl<'a> Asking<'a> {
    async fn begin(provider: &'a Provider, device: &str) -> Self {
        let client = provider.client().await;
        let fields = [("client_id", &*client), ("scope", &*scope(device))];
        let answer = provider.form("/_landbridge/oauth/device", &fields).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        Self { provider, answer: answer.json(), client }
    }

    fn user_code(&self) -> &str {
        self.answer["user_code"].as_str().unwrap()
    }

    async fn poll(&self) -> Answer {
        let fields = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
            ("device_code", self.answer["device_code"].as_str().unwrap()),
            ("client_id", &*self.client),
        ];
        self.provider.token(&fields).await
    }

    async fn told(&self) -> String {
        self.poll().await.refusal().1
    }

    async fn decide(&self, browser: &Browser<'_>, decision: &str) -> Answer {
        let page = format!("{LINK}?user_code={}", self.user_code());
        let form = browser.form(&page).await;
        browser.submit(&form.with("decision", decision)).await
    }
}

#[tokio::test]
async fn a_device_is_let_in_by_the_code_that_it_shows() {
    let provider = Provider::start().await;
    provider.clock.stop();
    let asking = Asking::begin(&provider, "TELEVISION").await;
    assert_eq!(asking.answer["interval"], 5);
    let complete = asking.answer["verification_uri_complete"].as_str().unwrap();
    assert_eq!(complete, format!("{}{LINK}?user_code={}", super::BASE, asking.user_code()));
    assert_eq!(asking.told().await, "authorization_pending");
    assert_eq!(asking.told().await, "slow_down");
    provider.clock.pass(6);
    assert_eq!(asking.told().await, "slow_down", "the wait is longer now");
    provider.clock.pass(16);
    assert_eq!(asking.told().await, "authorization_pending");

    let browser = provider.browser();
    let answer = browser.open(complete.strip_prefix(super::BASE).unwrap()).await;
    assert!(answer.path().starts_with(super::SIGN_IN), "{}", answer.location());
    browser.sign_in("alice").await;
    // Typed by hand, in small letters and without the sign between them.
    let form = browser.form(LINK).await;
    let typed = asking.user_code().replace('-', "").to_lowercase();
    let page = browser.submit(&form.with("user_code", &typed)).await;
    assert_eq!(page.status, 200);
    assert!(page.text.contains("TELEVISION") && page.text.contains("My App"), "{}", page.text);
    let consent = super::forms(&page.text).remove(0).with("decision", "allow");
    let done = browser.submit(&consent).await;
    assert_eq!(done.status, 200, "{}", done.text);
    assert_eq!(browser.submit(&consent).await.status, 400, "it was decided");

    let tokens = asking.poll().await;
    assert_eq!(tokens.status, 200, "{}", tokens.text);
    let tokens = tokens.json();
    let me = provider.whoami(tokens["access_token"].as_str().unwrap()).await.unwrap();
    assert_eq!(
        me,
        json!({ "user_id": "@alice:hs.test", "device_id": "TELEVISION", "is_guest": false })
    );
    assert!(tokens["refresh_token"].is_string());
    assert_eq!(asking.told().await, "invalid_grant", "a device code is good once");
}

#[tokio::test]
async fn a_device_that_is_denied_or_late_stays_out() {
    let provider = Provider::start().await;
    let browser = provider.browser();
    browser.sign_in("alice").await;
    let denied = Asking::begin(&provider, "D").await;
    assert_eq!(denied.decide(&browser, "deny").await.status, 200);
    assert_eq!(denied.told().await, "access_denied");
    let late = Asking::begin(&provider, "D").await;
    provider.clock.pass(20 * 60 + 1);
    assert_eq!(late.told().await, "expired_token");
    let page = browser.open(&format!("{LINK}?user_code={}", late.user_code())).await;
    assert_eq!(page.status, 400);
    let granted = Asking::begin(&provider, "D").await;
    assert_eq!(granted.decide(&browser, "allow").await.status, 200);
    provider.clock.pass(20 * 60 + 1);
    assert_eq!(granted.told().await, "expired_token");
}

#[tokio::test]
async fn a_code_that_is_asked_for_twice_at_once_is_good_once() {
    let provider = Provider::start().await;
    let browser = provider.browser();
    browser.sign_in("alice").await;
    let asking = Asking::begin(&provider, "D").await;
    assert_eq!(asking.decide(&browser, "allow").await.status, 200);
    let (one, other) = tokio::join!(asking.poll(), asking.poll());
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 400]);
    let code = browser.code(&asking.client, "E").await;
    let fields = super::redemption(&asking.client, &code);
    let (one, other) = tokio::join!(provider.token(&fields), provider.token(&fields));
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 400]);
}

#[tokio::test]
async fn one_network_does_not_keep_the_others_from_their_codes() {
    let provider = Provider::start_with(|config| config.listen.behind_proxy = true).await;
    let client = provider.client().await;
    let scope = scope("D");
    let fields = [("client_id", &*client), ("scope", &*scope)];
    let ask = async |address: &str| {
        let answer = provider.form_from(address, "/_landbridge/oauth/device", &fields).await;
        answer.status
    };
    for n in 0..100 {
        assert_eq!(ask(&format!("2001:db8::{n}")).await, 200);
    }
    assert_eq!(ask("2001:db8::ffff").await, 503);
    assert_eq!(ask("2001:db8:0:1::1").await, 200);
    // What nobody decided about in time counts no more.
    provider.clock.pass(20 * 60 + 1);
    assert_eq!(ask("2001:db8::1").await, 200);
}

#[tokio::test]
async fn each_parameter_of_a_device_request_is_checked() {
    let provider = Provider::start().await;
    let asking = Asking::begin(&provider, "D").await;
    let (path, all) = ("/_landbridge/oauth/device", scope("D"));
    for (client, scope, refusal) in [
        ("", &*all, (400, "invalid_request")),
        ("unknown", &*all, (400, "invalid_client")),
        (&*asking.client, "", (400, "invalid_request")),
        (&*asking.client, "openid", (400, "invalid_scope")),
    ] {
        let answer = provider.form(path, &[("client_id", client), ("scope", scope)]).await;
        let (status, error) = answer.refusal();
        assert_eq!((status, &*error), refusal, "{client} {scope}");
    }
    let mut web = super::client_metadata();
    web["grant_types"] = json!(["authorization_code", "refresh_token"]);
    let web = provider.post_json("/_landbridge/oauth/register", &web).await.json();
    let web = web["client_id"].as_str().unwrap();
    let answer = provider.form(path, &[("client_id", web), ("scope", &all)]).await;
    assert_eq!(answer.refusal(), (400, "unauthorized_client".to_owned()));
    // A device code is of one client.
    let code = asking.answer["device_code"].as_str().unwrap();
    let mut other = super::client_metadata();
    other["client_name"] = json!("Another");
    let other = provider.post_json("/_landbridge/oauth/register", &other).await.json();
    for (client, code) in [(other["client_id"].as_str().unwrap(), code), (&*asking.client, "x")] {
        let fields = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
            ("device_code", code),
            ("client_id", client),
        ];
        assert_eq!(provider.token(&fields).await.refusal(), (400, "invalid_grant".to_owned()));
    }
}

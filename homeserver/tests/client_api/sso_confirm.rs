//! What identity providers are for beside logging in: confirming what a client is about to do, and ending sessions.

use http::Method;
use landbridge_homeserver::clock::{Clock, SystemClock};
use serde_json::{Value, json};

use super::sso_provider::{Browser, CLIENT, Idp, log_in, server};
use super::support::{TestServer, User};

fn somebody(subject: &str, name: &str) -> Value {
    json!({ "sub": subject, "preferred_username": name })
}

async fn arrive<'a>(server: &'a TestServer, idp: &Idp, claims: &Value) -> User<'a> {
    let client = Browser::new(server).sign_in(idp, "corp", CLIENT, claims).await.sent();
    server.user(&log_in(server, &client).await.1)
}

#[tokio::test]
async fn whoever_has_no_password_confirms_by_the_provider() {
    let idp = Idp::start().await;
    let server = server(vec![idp.settings("corp")]).await;
    let ada = arrive(&server, &idp, &somebody("u1", "ada")).await;
    arrive(&server, &idp, &somebody("u2", "eve")).await;
    let path = format!("v3/devices/{}", ada.device);
    let (status, challenge) = ada.ask(Method::DELETE, &path, json!({})).await;
    assert_eq!(status.as_u16(), 401);
    assert_eq!(challenge["flows"], json!([{ "stages": ["m.login.sso"] }]));
    let session = challenge["session"].as_str().unwrap().to_owned();
    let auth = json!({ "auth": { "session": session } });
    let claimed = json!({ "auth": { "session": session, "type": "m.login.sso" } });
    for undone in [&auth, &claimed] {
        assert_eq!(ada.ask(Method::DELETE, &path, undone.clone()).await.0.as_u16(), 401);
    }

    let browser = Browser::new(&server);
    let page = format!("/_matrix/client/v3/auth/m.login.sso/fallback/web?session={session}");
    let page = browser.get(&page).await;
    assert!(page.body.contains("sign out devices") && page.body.contains("@ada:hs.test"));
    let link = page.link("/_landbridge/sso/confirm");
    // Nor does anybody who was sent a link without having seen the page.
    assert_eq!(Browser::new(&server).get(&link).await.status, 400);
    // Somebody else's identity confirms nothing.
    let sent = browser.get(&link).await.sent();
    assert_eq!(browser.get(&idp.sign_in(&sent, &somebody("u2", "eve"))).await.status, 403);
    let sent = browser.get(&link).await.sent();
    assert_eq!(browser.get(&idp.sign_in(&sent, &somebody("u3", "new"))).await.status, 403);
    assert_eq!(ada.ask(Method::DELETE, &path, auth.clone()).await.0.as_u16(), 401);
    let sent = browser.get(&link).await.sent();
    let done = browser.get(&idp.sign_in(&sent, &somebody("u1", "ada"))).await;
    assert_eq!(done.status, 200);
    assert!(done.body.contains("window.onAuthDone") && done.policy.contains("script-src 'sha256-"));
    // A session is good for what it was begun for.
    let other = ada.refused(Method::POST, "v3/account/deactivate", auth.clone()).await;
    assert_eq!(other, (403, "M_FORBIDDEN".to_owned()));
    ada.must(Method::DELETE, &path, auth).await;
    let unknown = "/_matrix/client/v3/auth/m.login.sso/fallback/web?session=unknown";
    assert_eq!(browser.get(unknown).await.status, 400);
}

#[tokio::test]
async fn whoever_has_both_chooses() {
    let idp = Idp::start().await;
    let mut settings = idp.settings("corp");
    settings.allow_existing_users = true;
    let server = server(vec![settings]).await;
    let bob = server.register("bob").await;
    let (_, challenge) = bob.ask(Method::POST, "v3/account/deactivate", json!({})).await;
    assert_eq!(challenge["flows"], json!([{ "stages": ["m.login.password"] }]));
    arrive(&server, &idp, &somebody("u1", "bob")).await;
    let (_, challenge) = bob.ask(Method::POST, "v3/account/deactivate", json!({})).await;
    let both = json!([{ "stages": ["m.login.password"] }, { "stages": ["m.login.sso"] }]);
    assert_eq!(challenge["flows"], both);
    // The password has a page too.
    let session = challenge["session"].as_str().unwrap();
    let browser = Browser::new(&server);
    let path = "/_matrix/client/v3/auth/m.login.password/fallback/web";
    let page = browser.get(&format!("{path}?session={session}")).await;
    assert!(page.status == 200 && page.body.contains("type=\"password\""));
    let wrong = browser.post(path, &[("session", session), ("password", "wrong")]).await;
    assert!(!wrong.body.contains("onAuthDone"));
    let right = browser.post(path, &[("session", session), ("password", "correct horse")]).await;
    assert!(right.body.contains("onAuthDone"));
    let auth = json!({ "auth": { "session": session } });
    bob.must(Method::POST, "v3/account/deactivate", auth).await;
}

#[tokio::test]
async fn the_provider_ends_the_sessions_that_it_began() {
    let idp = Idp::start().await;
    let mut settings = idp.settings("corp");
    settings.backchannel_logout = true;
    let server = server(vec![settings]).await;
    let mut claims = somebody("u1", "ada");
    claims["sid"] = json!("first");
    let first = arrive(&server, &idp, &claims).await;
    claims["sid"] = json!("second");
    let second = arrive(&server, &idp, &claims).await;
    claims["sid"] = json!("third");
    let third = arrive(&server, &idp, &claims).await;
    let alive = async |user: &User<'_>| {
        user.ask(Method::GET, "v3/account/whoami", Value::Null).await.0.is_success()
    };
    let browser = Browser::new(&server);
    let path = "/_synapse/client/oidc/backchannel_logout";
    let now = SystemClock.now_ms() / 1000;
    let event = json!({ "http://schemas.openid.net/event/backchannel-logout": {} });
    let token = json!({
        "iss": idp.issuer(), "aud": "us", "iat": now, "exp": now + 60, "jti": "1", "events": event, "sid": "first",
    });
    let without = |key: &str| {
        let mut token = token.clone();
        token.as_object_mut().unwrap().remove(key);
        idp.signed(&token)
    };
    let end = async |token: &str| browser.post(path, &[("logout_token", token)]).await.status;
    assert_eq!(end("nonsense").await, 400);
    assert_eq!(end(&without("events")).await, 400);
    assert_eq!(end(&without("aud")).await, 400);
    let forged = Idp::start().await.signed(&token);
    assert_eq!(end(&forged).await, 400);
    assert!(alive(&first).await && alive(&second).await);
    assert_eq!(end(&idp.signed(&token)).await, 200);
    assert!(!alive(&first).await && alive(&second).await && alive(&third).await);
    let mut all = token.clone();
    all.as_object_mut().unwrap().remove("sid");
    all["sub"] = json!("u1");
    assert_eq!(end(&idp.signed(&all)).await, 200);
    assert!(!alive(&second).await && !alive(&third).await);
}

/// The fields that a form on a page carries.
fn hidden(page: &str) -> Vec<(String, String)> {
    let form = page.split("</form>").next().unwrap();
    let part = |tag: &str, name: &str| {
        let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
        Some(rest.split('"').next().unwrap().replace("&amp;", "&"))
    };
    let inputs = form.split("<input").skip(1).map(|tag| tag.split('>').next().unwrap());
    inputs.filter_map(|tag| Some((part(tag, "name")?, part(tag, "value")?))).collect()
}

/// RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const RETURN: &str = "https://app.example.com/callback";

/// Lets a client in by OAuth 2.0: the code.
async fn let_in(browser: &Browser<'_>, client: &str, device: &str) -> String {
    let fields = [
        ("client_id", client),
        ("redirect_uri", RETURN),
        ("response_type", "code"),
        ("scope", &*format!("urn:matrix:client:api:* urn:matrix:client:device:{device}")),
        ("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
        ("code_challenge_method", "S256"),
    ];
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let page = browser.get(&format!("/_landbridge/oauth/authorize?{query}")).await;
    assert_eq!(page.status, 200, "{}", page.body);
    let mut fields = hidden(&page.body);
    fields.push(("decision".to_owned(), "allow".to_owned()));
    let fields: Vec<_> = fields.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    let back = browser.post("/_landbridge/oauth/authorize", &fields).await;
    let back = url::Url::parse(back.location.as_deref().unwrap()).unwrap();
    super::sso_provider::parameter(&back, "code").unwrap()
}

async fn redeem(browser: &Browser<'_>, client: &str, code: &str) -> Value {
    let fields = [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", RETURN),
        ("client_id", client),
        ("code_verifier", VERIFIER),
    ];
    let answer = browser.post("/_landbridge/oauth/token", &fields).await;
    serde_json::from_str(&answer.body).unwrap()
}

#[tokio::test]
async fn the_provider_ends_what_began_on_the_pages() {
    let idp = Idp::start().await;
    let mut settings = idp.settings("corp");
    settings.backchannel_logout = true;
    let server = server(vec![settings]).await;
    let metadata = json!({ "client_uri": "https://example.com/", "redirect_uris": [RETURN] });
    let register = "/_landbridge/oauth/register";
    let (_, client) = server.request(Method::POST, register, None, &metadata).await;
    let client = client["client_id"].as_str().unwrap();
    let (first, second) = (Browser::new(&server), Browser::new(&server));
    for (browser, sid) in [(&first, "first"), (&second, "second")] {
        let start = "/_landbridge/sso/start?provider=corp&page=%2F_landbridge%2Faccount";
        let sent = browser.get(start).await.sent();
        let mut claims = somebody("u1", "ada");
        claims["sid"] = json!(sid);
        assert_eq!(browser.get(&idp.sign_in(&sent, &claims)).await.status, 303);
    }
    let whoami = async |tokens: &Value| {
        let path = "/_matrix/client/v3/account/whoami";
        let token = tokens["access_token"].as_str();
        server.request(Method::GET, path, token, &Value::Null).await.0.as_u16()
    };
    let one = redeem(&first, client, &let_in(&first, client, "ONE").await).await;
    let two = redeem(&second, client, &let_in(&second, client, "TWO").await).await;
    let waiting = let_in(&first, client, "THREE").await;
    assert_eq!((whoami(&one).await, whoami(&two).await), (200, 200));
    let now = SystemClock.now_ms() / 1000;
    let event = json!({ "http://schemas.openid.net/event/backchannel-logout": {} });
    let token = json!({
        "iss": idp.issuer(), "aud": "us", "iat": now, "exp": now + 60, "jti": "1", "events": event, "sid": "first",
    });
    let path = "/_synapse/client/oidc/backchannel_logout";
    let ended = Browser::new(&server).post(path, &[("logout_token", &idp.signed(&token))]).await;
    assert_eq!(ended.status, 200, "{}", ended.body);
    assert_eq!((whoami(&one).await, whoami(&two).await), (401, 200));
    assert_eq!(redeem(&first, client, &waiting).await["error"], "invalid_grant");
    assert_eq!(first.get("/_landbridge/account").await.status, 303);
    assert_eq!(second.get("/_landbridge/account").await.status, 200);
}

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

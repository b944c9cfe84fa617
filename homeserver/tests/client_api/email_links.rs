//! What links in e-mails prove, to whom, and what may be proven.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::smtp::Smtp;
use super::threepids::{add, begin, confirm, identity, login, post, server, server_with};

#[tokio::test]
async fn however_an_address_is_written_it_is_one() {
    let smtp = Smtp::start().await;
    let server = server_with(&smtp, |config| {
        config.email.allowed_domains = vec!["Exämple.org".to_owned()];
    })
    .await;
    let alice = server.register("alice").await;
    add(&server, &smtp, &alice, "strauss@xn--exmple-cua.org").await;
    for written in ["Strauß@exämple.org", "STRAUSS@EXÄMPLE.ORG", "strauss@xn--exmple-cua.org"] {
        let (status, answer) = post(&server, "login", login(written, "correct horse")).await;
        assert_eq!((status, &answer["user_id"]), (StatusCode::OK, &json!(alice.id)), "{written}");
    }
    begin(&server, "register", "Strauß@exämple.org").await;
    let mail = smtp.newest("strauss@xn--exmple-cua.org");
    assert!(mail.text.contains("belongs to the account @alice:hs.test"), "{}", mail.text);
}

#[tokio::test]
async fn texts_with_zero_bytes_are_refused_and_nothing_else() {
    let smtp = Smtp::start().await;
    let server = server(&smtp).await;
    let alice = server.register("alice").await;
    let proof = json!({ "sid": "\0", "client_secret": "\0" });
    let refused = alice.refused(Method::POST, "v3/account/3pid/add", proof.clone()).await;
    assert_eq!(refused, (400, "M_THREEPID_AUTH_FAILED".to_owned()));
    let body = json!({ "new_password": "another one", "auth": identity(&proof) });
    let (status, answer) = post(&server, "account/password", body).await;
    assert_eq!(
        (status.as_u16(), answer["errcode"].as_str()),
        (401, Some("M_THREEPID_AUTH_FAILED"))
    );
    let (path, fields) = ("/_landbridge/email/confirm", "sid=%00&token=%00");
    assert_eq!(server.page(&format!("{path}?{fields}")).await.0, StatusCode::NOT_FOUND);
    assert_eq!(server.form(path, fields).await.0, StatusCode::NOT_FOUND);
    let (status, _) = post(&server, "login", login("a\0@example.org", "correct horse")).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    let named = json!({ "medium": "email", "address": "a\0@example.org" });
    alice.must(Method::POST, "v3/account/3pid/delete", named).await;
}

#[tokio::test]
async fn the_page_behind_a_link_says_what_it_is_for() {
    let smtp = Smtp::start().await;
    let server = server(&smtp).await;
    let alice = server.register("alice").await;
    add(&server, &smtp, &alice, "alice@example.org").await;
    for (place, email, says) in [
        ("register", "new@example.org", "create an account on <strong>hs.test</strong>"),
        ("account/3pid", "new@example.org", "to their account on <strong>hs.test</strong>"),
        ("account/password", "alice@example.org", "<strong>@alice:hs.test</strong>"),
    ] {
        begin(&server, place, email).await;
        let link = smtp.newest(email).link().to_owned();
        let (status, _, page) = server.page(&link).await;
        assert_eq!(status, StatusCode::OK);
        assert!(page.contains(says), "{place}: {page}");
        let takes_over = page.contains("whoever asked can choose the new password");
        assert_eq!(takes_over, place == "account/password", "{page}");
    }
    // An address that is nobody's any more opens nothing.
    let link = smtp.newest("alice@example.org").link().to_owned();
    let named = json!({ "medium": "email", "address": "alice@example.org" });
    alice.must(Method::POST, "v3/account/3pid/delete", named).await;
    assert_eq!(server.page(&link).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn owners_are_told_of_addresses_that_come_and_go() {
    let smtp = Smtp::start().await;
    let server = server(&smtp).await;
    let alice = server.register("alice").await;
    add(&server, &smtp, &alice, "first@example.org").await;
    add(&server, &smtp, &alice, "second@example.org").await;
    // Two links, and one e-mail to the address that was there already.
    let told = smtp.wait(3).await;
    assert_eq!(told.to, "first@example.org");
    assert!(told.text.contains("second@example.org was just added"), "{}", told.text);
    let named = json!({ "medium": "email", "address": "First@example.org" });
    alice.must(Method::POST, "v3/account/3pid/delete", named.clone()).await;
    let told = smtp.wait(4).await;
    assert_eq!(told.to, "first@example.org");
    assert!(told.text.contains("was just taken from the account @alice:hs.test"), "{}", told.text);
    // What was not the account's is not taken from it: the next e-mail is about something else.
    alice.must(Method::POST, "v3/account/3pid/delete", named).await;
    add(&server, &smtp, &alice, "third@example.org").await;
    smtp.wait(6).await;
    assert_eq!(smtp.to(4..6), ["third@example.org", "second@example.org"]);
}

#[tokio::test]
async fn a_link_is_good_until_the_next_one_is_out() {
    let smtp = Smtp::start().await;
    let server = server(&smtp).await;
    let ask = async |attempt: u32| {
        let body =
            json!({ "client_secret": "secret", "email": "a@example.org", "send_attempt": attempt });
        post(&server, "register/email/requestToken", body).await.0.as_u16()
    };
    assert_eq!(ask(1).await, 200);
    let first = smtp.newest("a@example.org").link().to_owned();
    smtp.set_full(true);
    assert_eq!(ask(2).await, 502);
    assert_eq!(server.page(&first).await.0, StatusCode::OK);
    smtp.set_full(false);
    assert_eq!(ask(2).await, 200);
    let second = smtp.newest("a@example.org").link().to_owned();
    assert_ne!(first, second);
    assert_eq!(server.page(&first).await.0, StatusCode::NOT_FOUND);
    assert_eq!(confirm(&server, &second).await, StatusCode::OK);
    // What leads nowhere for the address of an account doesn't once its e-mail is out either: it has no link.
    let alice = server.register("alice").await;
    add(&server, &smtp, &alice, "alice@example.org").await;
    begin(&server, "register", "alice@example.org").await;
    assert!(!smtp.newest("alice@example.org").text.contains("/_landbridge/"));
}

#[tokio::test]
async fn a_guest_becomes_a_user_with_an_address() {
    let smtp = Smtp::start().await;
    let server = server_with(&smtp, |config| config.registration.guests = true).await;
    let alice = server.register("alice").await;
    let (_, answer) = post(&server, "register?kind=guest", json!({})).await;
    let guest = server.user(&answer);
    let name = guest.id.strip_prefix('@').unwrap().split(':').next().unwrap();
    let credentials = begin(&server, "register", "guest@example.org").await;
    confirm(&server, smtp.newest("guest@example.org").link()).await;
    // Somebody else is faster: the guest stays a guest.
    add(&server, &smtp, &alice, "guest@example.org").await;
    let upgrade = async || {
        let body = json!({ "username": name, "password": "correct horse", "guest_access_token": guest.token,
            "auth": identity(&credentials) });
        post(&server, "register", body).await
    };
    let (status, answer) = upgrade().await;
    assert_eq!((status.as_u16(), answer["errcode"].as_str()), (400, Some("M_THREEPID_IN_USE")));
    let who = guest.must(Method::GET, "v3/account/whoami", Value::Null).await;
    assert_eq!(who["is_guest"], true);
    let named = json!({ "medium": "email", "address": "guest@example.org" });
    alice.must(Method::POST, "v3/account/3pid/delete", named).await;
    let (status, answer) = upgrade().await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let (status, answer) =
        post(&server, "login", login("guest@example.org", "correct horse")).await;
    assert_eq!((status, &answer["user_id"]), (StatusCode::OK, &json!(guest.id)));
}

#[tokio::test]
async fn what_is_no_form_is_refused_in_the_specifications_words() {
    let smtp = Smtp::start().await;
    let server = server_with(&smtp, |_| {}).await;
    let body = json!({ "sid": "x", "token": "y" });
    let (status, answer) =
        server.request(Method::POST, "/_landbridge/email/confirm", None, &body).await;
    assert_eq!((status.as_u16(), answer["errcode"].as_str()), (415, Some("M_INVALID_PARAM")));
}

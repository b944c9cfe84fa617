//! What must be true of the claims of a token before they are believed.

use serde_json::Value;

use super::jws::Claims;
use crate::config::RequiredClaim;

/// How far the provider's clock may be from ours.
const LEEWAY_SECONDS: i64 = 60;
/// Who has to show who they are may take so long about it.
const PROOF_SECONDS: i64 = 20 * 60;
/// The longest subject (OpenID Connect Core 1.0, section 2, says 255 ASCII characters; other claims may be longer).
const MAX_SUBJECT: usize = 512;
const LOGOUT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// Why claims aren't believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Disbelief {
    /// Another issuer.
    #[error("it comes from another issuer")]
    Issuer,
    /// For another client.
    #[error("it was made for another client")]
    Audience,
    /// Over, or not begun.
    #[error("it is expired, or not valid yet")]
    Time,
    /// Not the answer to what was asked.
    #[error("it does not answer this request")]
    Nonce,
    /// Of somebody who showed who they are long ago, and was to do it now.
    #[error("it tells of an authentication of before")]
    Stale,
    /// Without what it is about.
    #[error("the claim {0:?} is missing or unusable")]
    Missing(String),
    /// No logout token.
    #[error("it is not a logout token")]
    Logout,
}

/// Whom a token has to be from and for.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// The issuer.
    pub issuer: &'a str,
    /// The client.
    pub client_id: &'a str,
    /// The time.
    pub now_ms: i64,
}

fn text<'a>(claims: &'a Claims, key: &str) -> Option<&'a str> {
    claims.get(key).and_then(Value::as_str)
}

/// A time in seconds; providers may write fractions.
fn seconds(claims: &Claims, key: &str) -> Option<i64> {
    let value = claims.get(key)?;
    value.as_i64().or_else(|| value.as_f64().map(|seconds| seconds as i64))
}

impl Expected<'_> {
    /// What ID tokens and logout tokens have in common.
    fn check(&self, claims: &Claims) -> Result<(), Disbelief> {
        if text(claims, "iss") != Some(self.issuer) {
            return Err(Disbelief::Issuer);
        }
        let audience = match claims.get("aud") {
            Some(Value::String(one)) => one == self.client_id,
            Some(Value::Array(several)) => several.iter().any(|one| one == self.client_id),
            _ => false,
        };
        let several = claims.get("aud").and_then(Value::as_array).is_some_and(|all| all.len() > 1);
        let party = claims.get("azp");
        if !audience
            || several && party.is_none()
            || party.is_some_and(|party| party != self.client_id)
        {
            return Err(Disbelief::Audience);
        }
        Ok(())
    }

    fn now(&self) -> i64 {
        self.now_ms / 1000
    }

    /// Checks an ID token (OpenID Connect Core 1.0, section 3.1.3.7), whose signature was checked before.
    pub fn id_token(&self, claims: &Claims, nonce: &str) -> Result<(), Disbelief> {
        self.check(claims)?;
        let now = self.now();
        let expires = seconds(claims, "exp").ok_or(Disbelief::Time)?;
        let issued = seconds(claims, "iat").ok_or(Disbelief::Time)?;
        let from = match claims.get("nbf") {
            None => i64::MIN,
            Some(_) => seconds(claims, "nbf").ok_or(Disbelief::Time)?,
        };
        let until = now.saturating_add(LEEWAY_SECONDS);
        if expires <= now.saturating_sub(LEEWAY_SECONDS) || issued > until || from > until {
            return Err(Disbelief::Time);
        }
        if text(claims, "nonce") != Some(nonce) {
            return Err(Disbelief::Nonce);
        }
        Ok(())
    }

    /// When somebody showed who they are, in ms since 1970, if the token says so (`auth_time`). If it was to be now, not long ago.
    pub fn proven(&self, claims: &Claims, now: bool) -> Result<Option<i64>, Disbelief> {
        let Some(at) = seconds(claims, "auth_time") else { return Ok(None) };
        if now && at < self.now().saturating_sub(PROOF_SECONDS + LEEWAY_SECONDS) {
            return Err(Disbelief::Stale);
        }
        // A provider's clock may go before ours.
        Ok(Some(at.min(self.now()).saturating_mul(1000)))
    }

    /// Checks a logout token (OpenID Connect Back-Channel Logout 1.0, section 2.6), whose signature was checked before. Gives the
    /// session and the subject that it names.
    pub fn logout_token(
        &self,
        claims: &Claims,
    ) -> Result<(Option<String>, Option<String>), Disbelief> {
        self.check(claims)?;
        let now = self.now();
        let issued = seconds(claims, "iat").ok_or(Disbelief::Time)?;
        let expires = match claims.get("exp") {
            // Optional before the final text; then it isn't good for longer than a few minutes.
            None => issued.saturating_add(300),
            Some(_) => seconds(claims, "exp").ok_or(Disbelief::Time)?,
        };
        if expires <= now.saturating_sub(LEEWAY_SECONDS)
            || issued > now.saturating_add(LEEWAY_SECONDS)
        {
            return Err(Disbelief::Time);
        }
        let event = claims.get("events").and_then(|events| events.get(LOGOUT));
        if claims.contains_key("nonce") || !event.is_some_and(Value::is_object) {
            return Err(Disbelief::Logout);
        }
        let (sid, subject) = (text(claims, "sid"), text(claims, "sub"));
        if sid.is_none() && subject.is_none() {
            return Err(Disbelief::Missing("sid".to_owned()));
        }
        Ok((sid.map(ToOwned::to_owned), subject.map(ToOwned::to_owned)))
    }
}

/// The claim that names the person for good, which may be a number.
pub fn subject(claims: &Claims, claim: &str) -> Result<String, Disbelief> {
    let missing = || Disbelief::Missing(claim.to_owned());
    let subject = match claims.get(claim) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => return Err(missing()),
    };
    if subject.is_empty() || subject.len() > MAX_SUBJECT || subject.contains('\0') {
        return Err(missing());
    }
    Ok(subject)
}

/// Whether the claims say all that the settings ask for.
pub fn fit(claims: &Claims, required: &[RequiredClaim]) -> bool {
    required.iter().all(|required| {
        let Some(value) = claims.get(&required.claim) else { return false };
        let wanted: Vec<&str> =
            required.value.iter().chain(&required.one_of).map(String::as_str).collect();
        let fits = |value: &Value| match value {
            Value::String(text) => wanted.contains(&text.as_str()),
            Value::Bool(_) | Value::Number(_) => wanted.contains(&value.to_string().as_str()),
            _ => false,
        };
        match value {
            Value::Null => false,
            _ if wanted.is_empty() => true,
            Value::Array(values) => values.iter().any(fits),
            value => fits(value),
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: i64 = 1_700_000_000;
    const EXPECTED: Expected<'static> =
        Expected { issuer: "https://id.test", client_id: "us", now_ms: NOW * 1000 };

    fn claims(change: &[(&str, Value)]) -> Claims {
        let mut claims: Claims = [
            ("iss", json!("https://id.test")),
            ("aud", json!("us")),
            ("sub", json!("u1")),
            ("exp", json!(NOW + 300)),
            ("iat", json!(NOW)),
            ("nonce", json!("n")),
        ]
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect();
        for (key, value) in change {
            match value {
                Value::Null => drop(claims.remove(*key)),
                value => drop(claims.insert((*key).to_owned(), value.clone())),
            }
        }
        claims
    }

    #[test]
    fn an_id_token_is_from_the_issuer_for_us_in_time_and_what_was_asked_for() {
        let check = |change: &[(&str, Value)]| EXPECTED.id_token(&claims(change), "n").err();
        assert_eq!(check(&[]), None);
        assert_eq!(check(&[("iss", json!("https://evil.test"))]), Some(Disbelief::Issuer));
        assert_eq!(check(&[("aud", json!("them"))]), Some(Disbelief::Audience));
        assert_eq!(check(&[("aud", json!(["them", "us"]))]), Some(Disbelief::Audience));
        assert_eq!(check(&[("aud", json!(["them", "us"])), ("azp", json!("us"))]), None);
        assert_eq!(check(&[("azp", json!("them"))]), Some(Disbelief::Audience));
        assert_eq!(check(&[("exp", json!(NOW - 61))]), Some(Disbelief::Time));
        assert_eq!(check(&[("exp", json!(NOW - 59))]), None);
        assert_eq!(check(&[("exp", json!("later"))]), Some(Disbelief::Time));
        assert_eq!(check(&[("exp", Value::Null)]), Some(Disbelief::Time));
        assert_eq!(check(&[("iat", json!(NOW + 61))]), Some(Disbelief::Time));
        assert_eq!(check(&[("nbf", json!(NOW + 61))]), Some(Disbelief::Time));
        assert_eq!(check(&[("nonce", json!("m"))]), Some(Disbelief::Nonce));
        assert_eq!(check(&[("nonce", Value::Null)]), Some(Disbelief::Nonce));
    }

    #[test]
    fn a_logout_token_is_no_id_token() {
        let events = json!({ LOGOUT: {} });
        let good = [("nonce", Value::Null), ("events", events.clone()), ("sid", json!("s"))];
        let named = EXPECTED.logout_token(&claims(&good)).unwrap();
        assert_eq!(named, (Some("s".to_owned()), Some("u1".to_owned())));
        let check = |change: &[(&str, Value)]| EXPECTED.logout_token(&claims(change)).unwrap_err();
        assert_eq!(check(&[]), Disbelief::Logout);
        assert_eq!(check(&[("events", events.clone())]), Disbelief::Logout);
        let nobody = [("nonce", Value::Null), ("events", events), ("sub", Value::Null)];
        assert_eq!(check(&nobody), Disbelief::Missing("sid".to_owned()));
        let old = [good[0].clone(), good[1].clone(), ("exp", json!(NOW - 61))];
        assert_eq!(check(&old), Disbelief::Time);
    }

    #[test]
    fn a_subject_may_be_a_number_but_not_nothing() {
        let of = |value: Value| subject(&claims(&[("id", value)]), "id");
        assert_eq!(of(json!(42)).unwrap(), "42");
        assert_eq!(of(json!("x")).unwrap(), "x");
        for bad in [json!(""), json!(true), json!(["a"]), Value::Null, json!("x".repeat(513))] {
            assert!(of(bad).is_err());
        }
    }

    #[test]
    fn claims_are_required_to_be_there_or_to_say_something() {
        let claims = claims(&[("groups", json!(["staff", "admins"])), ("verified", json!(true))]);
        let required = |claim: &str, value: Option<&str>, one_of: &[&str]| RequiredClaim {
            claim: claim.to_owned(),
            value: value.map(ToOwned::to_owned),
            one_of: one_of.iter().map(ToString::to_string).collect(),
        };
        let fits = |r| fit(&claims, &[r]);
        assert!(fit(&claims, &[]));
        assert!(fits(required("groups", None, &[])));
        assert!(fits(required("groups", Some("admins"), &[])));
        assert!(fits(required("groups", None, &["x", "staff"])));
        assert!(fits(required("verified", Some("true"), &[])));
        assert!(!fits(required("groups", Some("admin"), &[])));
        assert!(!fits(required("roles", None, &[])));
        assert!(!fit(&claims, &[required("groups", None, &[]), required("sub", Some("u2"), &[])]));
    }
}

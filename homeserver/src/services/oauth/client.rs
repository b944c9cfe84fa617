//! Clients and their metadata (Client-Server API, "Client metadata"; RFC 7591).

use serde_json::{Map, Value, json};
use url::Url;

use super::redirect;

/// Keys that metadata may have; more than that is refused.
const MAX_KEYS: usize = 200;
/// The longest name of a client.
const MAX_NAME: usize = 256;
/// The longest URL.
const MAX_URL: usize = 2_048;
/// The most redirect URIs.
const MAX_REDIRECTS: usize = 20;
/// The longest language tag.
const MAX_LANGUAGE: usize = 35;

/// The grant by an authorisation code.
pub const AUTHORIZATION_CODE: &str = "authorization_code";
/// The grant by a refresh token.
pub const REFRESH_TOKEN: &str = "refresh_token";
/// The grant by a device code (RFC 8628).
pub const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// The grants that there are.
pub const GRANTS: [&str; 3] = [AUTHORIZATION_CODE, REFRESH_TOKEN, DEVICE_CODE];

/// Why a client was not registered (RFC 7591, 3.2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// The error code.
    pub error: &'static str,
    /// What is wrong.
    pub description: &'static str,
}

const fn metadata(description: &'static str) -> Refused {
    Refused { error: "invalid_client_metadata", description }
}

const fn redirects(description: &'static str) -> Refused {
    Refused { error: "invalid_redirect_uri", description }
}

/// A client that is registered.
#[derive(Debug, Clone)]
pub struct Client {
    /// Its ID.
    pub id: String,
    /// What it says of itself, as far as it means something here.
    pub metadata: Map<String, Value>,
}

impl Client {
    fn text(&self, key: &str) -> Option<&str> {
        self.metadata.get(key).and_then(Value::as_str)
    }

    fn list(&self, key: &str) -> impl Iterator<Item = &str> {
        self.metadata
            .get(key)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
    }

    /// A value in the first of the languages (`Accept-Language`) that it is there in.
    pub fn localised(&self, key: &str, languages: &str) -> Option<&str> {
        let wanted = languages.split(',').filter_map(|one| one.split(';').next()).map(str::trim);
        for language in wanted.filter(|language| !language.is_empty()).take(10) {
            let fits = |name: &str| {
                let tag = name.strip_prefix(key).and_then(|rest| rest.strip_prefix('#'));
                tag.is_some_and(|tag| {
                    tag.eq_ignore_ascii_case(language)
                        || language
                            .split('-')
                            .next()
                            .is_some_and(|main| tag.eq_ignore_ascii_case(main))
                })
            };
            if let Some((_, value)) = self.metadata.iter().find(|(name, _)| fits(name)) {
                return value.as_str();
            }
        }
        self.text(key)
    }

    /// What to call it: its name, or else the host of its page.
    pub fn name(&self, languages: &str) -> String {
        let host = || self.host();
        self.localised("client_name", languages).map_or_else(host, ToOwned::to_owned)
    }

    /// The host of its page.
    pub fn host(&self) -> String {
        let url = self.text("client_uri").and_then(|url| Url::parse(url).ok());
        url.and_then(|url| url.host_str().map(ToOwned::to_owned)).unwrap_or_default()
    }

    /// Whether it may use a grant.
    pub fn may(&self, grant: &str) -> bool {
        self.list("grant_types").any(|one| one == grant)
    }

    /// Whether this is one of its redirect URIs.
    pub fn returns_to(&self, uri: &str) -> bool {
        self.list("redirect_uris").any(|registered| redirect::fits(registered, uri))
    }
}

/// Checks the metadata that a client registers with; what is kept of it, which is what is answered.
pub fn registered(asked: &Map<String, Value>) -> Result<Map<String, Value>, Refused> {
    if asked.len() > MAX_KEYS {
        return Err(metadata("there are too many values"));
    }
    let mut kept = Map::new();
    let page = string(asked, "client_uri")?.ok_or(metadata("client_uri is missing"))?;
    let client = url(page).filter(|url| redirect::is_page_of(url, url));
    let client =
        client.ok_or(metadata("client_uri must be an https URL without user or password"))?;
    kept.insert("client_uri".to_owned(), json!(page));
    for (key, value) in asked {
        let (name, language) =
            key.split_once('#').map_or((&**key, None), |(name, tag)| (name, Some(tag)));
        if !matches!(name, "client_name" | "logo_uri" | "tos_uri" | "policy_uri") || value.is_null()
        {
            continue;
        }
        if language.is_some_and(|tag| !is_language(tag)) {
            return Err(metadata("what follows # must be a language tag"));
        }
        let text = value.as_str().ok_or(metadata("names and addresses must be strings"))?;
        if name == "client_name" {
            if text.trim().is_empty() || text.len() > MAX_NAME || text.chars().any(is_odd) {
                return Err(metadata("client_name must be a short text of one line"));
            }
        } else if !url(text).is_some_and(|url| redirect::is_page_of(&url, &client)) {
            let text = "logo_uri, tos_uri and policy_uri must be https URLs on the host of client_uri or below it";
            return Err(metadata(text));
        }
        kept.insert(key.clone(), value.clone());
    }
    let kind = string(asked, "application_type")?.unwrap_or("web");
    if !matches!(kind, "web" | "native") {
        return Err(metadata("application_type must be web or native"));
    }
    kept.insert("application_type".to_owned(), json!(kind));
    // Clients run at their users', so that they can keep no secret.
    if !matches!(string(asked, "token_endpoint_auth_method")?, None | Some("none")) {
        return Err(metadata("token_endpoint_auth_method must be none"));
    }
    kept.insert("token_endpoint_auth_method".to_owned(), json!("none"));
    let grants = known(asked, "grant_types", &GRANTS, &[AUTHORIZATION_CODE, REFRESH_TOKEN])?;
    let responses = known(asked, "response_types", &["code"], &["code"])?;
    let by_code = grants.contains(&AUTHORIZATION_CODE);
    if grants.is_empty() || by_code && responses.is_empty() {
        return Err(metadata("no grant type or response type is one that the server knows"));
    }
    kept.insert("grant_types".to_owned(), json!(grants));
    kept.insert("response_types".to_owned(), json!(responses));
    let uris = strings(asked, "redirect_uris")?.unwrap_or_default();
    if uris.len() > MAX_REDIRECTS || uris.iter().any(|uri| uri.len() > MAX_URL) {
        return Err(redirects("there are too many redirect URIs, or they are too long"));
    }
    if by_code && uris.is_empty() {
        return Err(redirects("redirect_uris is missing"));
    }
    if !uris.iter().all(|uri| redirect::may_register(uri, &client, kind == "native")) {
        return Err(redirects("a redirect URI is not one that such a client may have"));
    }
    kept.insert("redirect_uris".to_owned(), json!(uris));
    Ok(kept)
}

fn url(text: &str) -> Option<Url> {
    (text.len() <= MAX_URL).then(|| Url::parse(text).ok()).flatten()
}

/// Whether a character could make a name look like another, or like two lines.
fn is_odd(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
                | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0e}' | '\u{feff}' | '\u{ffa0}'
                | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{e0000}'..='\u{e0fff}'
        )
}

fn is_language(tag: &str) -> bool {
    let fits = |part: &str| {
        (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric())
    };
    tag.len() <= MAX_LANGUAGE && tag.split('-').all(fits)
}

fn string<'a>(asked: &'a Map<String, Value>, key: &str) -> Result<Option<&'a str>, Refused> {
    match asked.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(metadata("a value that must be a string is none")),
    }
}

fn strings<'a>(asked: &'a Map<String, Value>, key: &str) -> Result<Option<Vec<&'a str>>, Refused> {
    let wrong = metadata("a value that must be a list of strings is none");
    match asked.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Array(all)) => {
            all.iter().map(|one| one.as_str().ok_or(wrong)).collect::<Result<_, _>>().map(Some)
        }
        Some(_) => Err(wrong),
    }
}

/// A list without what the server doesn't know, which it must ignore.
fn known(
    asked: &Map<String, Value>,
    key: &str,
    all: &[&'static str],
    default: &[&'static str],
) -> Result<Vec<&'static str>, Refused> {
    let Some(named) = strings(asked, key)? else { return Ok(default.to_vec()) };
    Ok(all.iter().copied().filter(|one| named.contains(one)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Value {
        json!({
            "client_name": "My App",
            "client_name#fr": "Mon application",
            "client_uri": "https://example.com/",
            "logo_uri": "https://example.com/logo.png",
            "tos_uri": "https://example.com/tos.html",
            "policy_uri": "https://example.com/policy.html",
            "redirect_uris": ["https://app.example.com/callback"],
            "token_endpoint_auth_method": "none",
            "response_types": ["code"],
            "grant_types": ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:token-exchange"],
            "application_type": "web",
            "contacts": ["someone@example.com"],
        })
    }

    fn register(value: &Value) -> Result<Map<String, Value>, Refused> {
        registered(value.as_object().unwrap())
    }

    #[test]
    fn the_example_of_the_spec() {
        let kept = register(&example()).unwrap();
        assert_eq!(kept["grant_types"], json!(["authorization_code", "refresh_token"]));
        assert!(!kept.contains_key("contacts"));
        let client = Client { id: "x".to_owned(), metadata: kept };
        assert_eq!(client.name("fr-CA, en;q=0.5"), "Mon application");
        assert_eq!(client.name("de"), "My App");
        assert_eq!(client.host(), "example.com");
        assert!(client.may(REFRESH_TOKEN) && !client.may(DEVICE_CODE));
        assert!(client.returns_to("https://app.example.com/callback"));
        assert!(!client.returns_to("https://app.example.com/"));
    }

    #[test]
    fn what_is_left_out_is_what_matrix_clients_need() {
        let least = json!({ "client_uri": "https://example.com", "redirect_uris": ["https://example.com/cb"] });
        let kept = register(&least).unwrap();
        assert_eq!(kept["grant_types"], json!(["authorization_code", "refresh_token"]));
        assert_eq!(kept["application_type"], "web");
        let client = Client { id: String::new(), metadata: kept };
        assert_eq!(client.name("en"), "example.com");
        let device = json!({ "client_uri": "https://example.com", "grant_types": [DEVICE_CODE, REFRESH_TOKEN] });
        assert_eq!(register(&device).unwrap()["redirect_uris"], json!([]));
    }

    #[test]
    fn each_value_is_checked() {
        let (meta, uri) = ("invalid_client_metadata", "invalid_redirect_uri");
        let many: Vec<String> = (0..21).map(|n| format!("https://example.com/{n}")).collect();
        for (key, value, error) in [
            ("client_uri", Value::Null, meta),
            ("client_uri", json!(1), meta),
            ("client_uri", json!("http://example.com/"), meta),
            ("client_uri", json!("https://user@example.com/"), meta),
            ("client_name", json!("two\nlines"), meta),
            ("client_name", json!("App\u{ad}le"), meta),
            ("client_name", json!("App\u{2060}le"), meta),
            ("client_name", json!("App\u{3164}"), meta),
            ("client_name", json!("App\u{e0041}"), meta),
            ("client_name", json!("x".repeat(257)), meta),
            ("client_name", json!(["x"]), meta),
            ("client_name#no_tag", json!("x"), meta),
            ("logo_uri", json!("https://other.org/logo.png"), meta),
            ("tos_uri#de", json!("http://example.com/tos"), meta),
            ("policy_uri", json!("javascript:alert(1)"), meta),
            ("application_type", json!("desktop"), meta),
            ("token_endpoint_auth_method", json!("client_secret_basic"), meta),
            ("grant_types", json!(["password"]), meta),
            ("grant_types", json!("authorization_code"), meta),
            ("response_types", json!(["token"]), meta),
            ("redirect_uris", json!([]), uri),
            ("redirect_uris", Value::Null, uri),
            ("redirect_uris", json!(["https://other.org/"]), uri),
            ("redirect_uris", json!(many), uri),
            ("redirect_uris", json!([1]), meta),
        ] {
            let mut asked = example();
            asked[key] = value.clone();
            assert_eq!(register(&asked).unwrap_err().error, error, "{key}: {value}");
        }
    }
}

//! Where people are sent back to (Client-Server API, "Redirect URI validation"; RFC 8252). By its redirect URI a client proves
//! who it is, so these rules are strict.

use url::Url;

const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// Whether a URL's host is that of the client or one below it.
pub(super) fn shares_host(url: &Url, client: &Url) -> bool {
    match (url.host_str(), client.host_str()) {
        (Some(host), Some(base)) => {
            host == base || host.strip_suffix(base).is_some_and(|sub| sub.ends_with('.'))
        }
        _ => false,
    }
}

/// Whether a URL is a web page of a client: HTTPS, its host or one below it, and nobody's name or password in it.
pub(super) fn is_page_of(url: &Url, client: &Url) -> bool {
    url.scheme() == "https"
        && url.username().is_empty()
        && url.password().is_none()
        && shares_host(url, client)
}

/// Whether a client may register this URI.
pub fn may_register(uri: &str, client: &Url, native: bool) -> bool {
    // It goes into a header as it is.
    if uri.contains('#') || !uri.bytes().all(|byte| byte.is_ascii_graphic()) {
        return false;
    }
    let Ok(url) = Url::parse(uri) else { return false };
    match url.scheme() {
        "https" => is_page_of(&url, client),
        "http" => native && loopback(uri).is_some_and(|(_, port, _)| port.is_none()),
        scheme => native && is_private(uri, scheme, client),
    }
}

/// A scheme that belongs to whoever has the client's domain. There is no host after it, so nothing stands after two slashes.
fn is_private(uri: &str, scheme: &str, client: &Url) -> bool {
    let Some(host) = client.domain() else { return false };
    let reversed = host.split('.').rev().collect::<Vec<_>>().join(".");
    let below =
        scheme.strip_prefix(&reversed).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    let rest = uri.get(scheme.len() + 1..).unwrap_or_default();
    // A host without dots would be a claim to schemes like "javascript".
    below && reversed.contains('.') && !rest.starts_with("//")
}

/// An `http` URI of the machine itself: host, port, and what follows.
fn loopback(uri: &str) -> Option<(&str, Option<&str>, &str)> {
    let rest = uri.strip_prefix("http://")?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, after) = rest.split_at(end);
    let host = LOOPBACK.into_iter().find(|host| authority.starts_with(host))?;
    match &authority[host.len()..] {
        "" => Some((host, None, after)),
        port => {
            let port = port.strip_prefix(':')?;
            port.parse::<u16>().ok()?;
            port.bytes().all(|byte| byte.is_ascii_digit()).then_some((host, Some(port), after))
        }
    }
}

/// Whether a URI is the one that was registered; on the machine itself any port will do, since the client takes one that is free.
pub fn fits(registered: &str, asked: &str) -> bool {
    if registered == asked {
        return true;
    }
    match (loopback(registered), loopback(asked)) {
        (Some((host, None, after)), Some((other, _, rest))) => host == other && after == rest,
        _ => false,
    }
}

/// What a page whose form leads to a URI has to allow: its origin or its scheme.
pub fn target(uri: &str) -> String {
    let Ok(url) = Url::parse(uri) else { return String::new() };
    match url.host() {
        // There is no way to write these.
        Some(url::Host::Ipv6(_)) | None => format!("{}:", url.scheme()),
        Some(_) => url.origin().ascii_serialization(),
    }
}

/// A URI with the parameters of an answer: in its query, or in its fragment.
pub fn with_answer(uri: &str, in_fragment: bool, answer: &[(&str, &str)]) -> String {
    let answer = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(answer).finish();
    let between = match (in_fragment, uri.split_once('?')) {
        (true, _) => "#",
        (false, None) => "?",
        (false, Some((_, ""))) => "",
        (false, Some(_)) => "&",
    };
    format!("{uri}{between}{answer}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn may(uri: &str, native: bool) -> bool {
        may_register(uri, &Url::parse("https://example.com/").unwrap(), native)
    }

    #[test]
    fn the_examples_of_the_spec() {
        for good in [
            "https://example.com/callback",
            "https://app.example.com/callback",
            "https://example.com:5173/?query=value",
        ] {
            assert!(may(good, false) && may(good, true), "{good}");
        }
        for bad in [
            "https://example.com/callback#fragment",
            "http://example.com/callback",
            "http://localhost/",
            "https://user@example.com/",
            "https://notexample.com/",
            "https://example.com.evil.org/",
            "com.example.app:/callback",
            "no URL",
        ] {
            assert!(!may(bad, false), "{bad}");
        }
        for good in [
            "com.example.app:/callback",
            "com.example:/",
            "com.example:callback",
            "http://localhost/callback",
            "http://127.0.0.1/callback",
            "http://[::1]/callback",
        ] {
            assert!(may(good, true), "{good}");
        }
        for bad in [
            "example:/callback",
            "com.example.app://callback",
            "com.examples:/callback",
            "https://localhost/callback",
            "http://localhost:1234/callback",
            "http://localhost:80/callback",
            "http://localhost.evil.org/",
            "http://user@localhost/",
            "javascript:alert(1)",
            "com.example.app:/callback#x",
        ] {
            assert!(!may(bad, true), "{bad}");
        }
        let odd = Url::parse("https://javascript/").unwrap();
        assert!(!may_register("javascript:alert(1)", &odd, true));
    }

    #[test]
    fn only_the_port_of_the_machine_itself_is_free() {
        assert!(fits("http://127.0.0.1/cb", "http://127.0.0.1:4321/cb"));
        assert!(fits("http://[::1]/cb", "http://[::1]:4321/cb"));
        assert!(!fits("http://127.0.0.1/cb", "http://127.0.0.1:4321/other"));
        assert!(!fits("http://127.0.0.1/cb", "http://127.0.0.1:99999/cb"));
        assert!(!fits("http://127.0.0.1/cb", "http://127.0.0.1:1@evil.org/cb"));
        assert!(!fits("https://example.com/cb", "https://example.com:8443/cb"));
        assert!(!fits("https://example.com/cb", "https://example.com/cb?more"));
    }

    #[test]
    fn an_answer_goes_where_it_was_asked_for() {
        let answer = [("state", "a b"), ("code", "x")];
        assert_eq!(with_answer("https://x/", true, &answer), "https://x/#state=a+b&code=x");
        assert_eq!(with_answer("https://x/", false, &answer), "https://x/?state=a+b&code=x");
        assert_eq!(
            with_answer("https://x/?a=b", false, &answer),
            "https://x/?a=b&state=a+b&code=x"
        );
        assert_eq!(with_answer("com.x:/cb", false, &answer), "com.x:/cb?state=a+b&code=x");
    }

    #[test]
    fn forms_may_lead_there() {
        assert_eq!(target("https://app.example.com/cb?x=y"), "https://app.example.com");
        assert_eq!(target("com.example.app:/cb"), "com.example.app:");
        assert_eq!(target("http://127.0.0.1:8080/cb"), "http://127.0.0.1:8080");
        assert_eq!(target("http://[::1]:8080/cb"), "http:");
    }
}

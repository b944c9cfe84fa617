//! When two e-mail addresses are the same, and which are none (Appendices, "3PID Types").

use icu_casemap::CaseMapper;
use lettre::Address;
use url::Host;

use super::EMAIL;

/// The longest address that SMTP takes.
const MAX_ADDRESS: usize = 254;
/// What other mail programs read otherwise than we do: quoted local parts, addresses of hosts, encoded words. Each is a way to write an
/// address that seems to be of one domain and goes to another.
const AMBIGUOUS: [&str; 6] = ["\"", "[", "]", "\\", "%", "=?"];

/// Reads an e-mail address into its canonical form: people write the same address in small and capital letters, and domains with
/// letters beyond ASCII in two ways. `None` for what is none, or can be misunderstood.
pub fn parse_email(text: &str) -> Option<Address> {
    let text = text.trim();
    if text.len() > MAX_ADDRESS || AMBIGUOUS.iter().any(|sign| text.contains(sign)) {
        return None;
    }
    let (name, domain) = text.rsplit_once('@')?;
    let address = Address::new(fold(name), canonical_domain(domain)?).ok()?;
    (AsRef::<str>::as_ref(&address).len() <= MAX_ADDRESS).then_some(address)
}

/// The canonical form of a domain: small letters, and ASCII only. `None` for the address of a host.
pub fn canonical_domain(domain: &str) -> Option<String> {
    // Hosts are percent-decoded by this parser, which those of e-mail addresses are not.
    if domain.contains('%') || domain.ends_with('.') {
        return None;
    }
    match Host::parse(domain) {
        Ok(Host::Domain(domain)) => Some(domain),
        _ => None,
    }
}

/// The canonical form of an identifier, if it can be an account's.
pub fn canonical(medium: &str, address: &str) -> Option<String> {
    if medium != EMAIL {
        return None;
    }
    parse_email(address).map(|address| AsRef::<str>::as_ref(&address).to_owned())
}

/// An identifier as identity servers compare it: of an e-mail address the name is case-folded and the domain small, whether or not
/// it could be an account's here; all else is as it stands.
pub fn folded(medium: &str, address: &str) -> String {
    match address.rsplit_once('@') {
        Some((name, domain)) if medium == EMAIL => {
            format!("{}@{}", fold(name), domain.to_lowercase())
        }
        _ => address.to_owned(),
    }
}

/// Unicode's full case folding: `ß` is `ss`.
fn fold(text: &str) -> String {
    CaseMapper::new().fold_string(text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_one_form() {
        for (given, form) in [
            (" Alice@Example.ORG ", "alice@example.org"),
            // The example of the appendix.
            ("Strauß@Example.com", "strauss@example.com"),
            ("ΣΊΣΥΦΟΣ@example.org", "σίσυφοσ@example.org"),
            ("a@EXÄMPLE.org", "a@xn--exmple-cua.org"),
            ("a@xn--exmple-cua.org", "a@xn--exmple-cua.org"),
            ("a+b.c@example.org", "a+b.c@example.org"),
        ] {
            assert_eq!(canonical(EMAIL, given).as_deref(), Some(form));
            assert_eq!(canonical(EMAIL, form).as_deref(), Some(form), "it is stable");
        }
        assert_eq!(canonical("msisdn", "alice@example.org"), None);
    }

    #[test]
    fn what_is_none_or_could_be_misunderstood_is_refused() {
        for bad in [
            "",
            "alice",
            "alice@",
            "@example.org",
            "a b@c.d",
            "a@b.c\r\nBcc: d@e.f",
            &"x".repeat(300),
            "\"x@evil.example\"@example.org",
            "x@evil.example@example.org",
            "a@[127.0.0.1]",
            "a@127.0.0.1",
            "a@[::1]",
            "=?utf-8?q?x=40evil.example=3e?=@example.org",
            "x%evil.example@example.org",
            "a@%65xample.org",
            "a@example.org.",
            "a@exa mple.org",
            "a\0@example.org",
        ] {
            assert_eq!(canonical(EMAIL, bad), None, "{bad}");
        }
    }

    #[test]
    fn addresses_elsewhere_are_compared_as_identity_servers_do() {
        assert_eq!(folded(EMAIL, "Strauß@Example.com"), "strauss@example.com");
        assert_eq!(folded(EMAIL, "\"A\"@[::1]"), "\"a\"@[::1]");
        assert_eq!(folded("msisdn", "447700900000"), "447700900000");
    }
}

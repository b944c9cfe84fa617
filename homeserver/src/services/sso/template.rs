//! The templates that make a profile out of claims. They are Jinja's, as administrators know them from other servers.

use minijinja::{AutoEscape, Environment, Error, context, escape_formatter};
use serde_json::Value;

use super::jws::Claims;
use crate::config::SsoProvider;
use crate::services::threepids::{EMAIL, canonical};

/// Steps that a template may take; claims are of any size.
const FUEL: u64 = 20_000;
/// The longest text that is taken from a template, in bytes.
const MAX_TEXT: usize = 1_000;

/// The templates of a provider.
#[derive(Debug)]
pub struct Templates {
    jinja: Environment<'static>,
    localpart: Option<String>,
    display_name: Option<String>,
    picture: Option<String>,
    email: Option<String>,
}

/// What somebody is called, as far as it is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attributes {
    /// The user name, in the form that user IDs allow.
    pub localpart: Option<String>,
    /// The display name.
    pub display_name: Option<String>,
    /// The address of a picture.
    pub picture: Option<String>,
    /// The e-mail address, in its canonical form.
    pub email: Option<String>,
}

impl Templates {
    /// The templates in the settings; an error says which is wrong.
    pub fn new(settings: &SsoProvider) -> Result<Self, Error> {
        let mut jinja = Environment::new();
        jinja.set_fuel(Some(FUEL));
        jinja.set_auto_escape_callback(|_| AutoEscape::None);
        // What isn't there is nothing, also when the provider says so in words.
        jinja.set_formatter(|out, state, value| {
            if value.is_none() || value.is_undefined() {
                Ok(())
            } else {
                escape_formatter(out, state, value)
            }
        });
        jinja.add_filter("localpart_from_email", |email: &str| {
            email.rsplit_once('@').map_or(email, |(localpart, _)| localpart).to_owned()
        });
        let templates = Self {
            jinja,
            localpart: settings.localpart_template.clone(),
            display_name: settings.display_name_template.clone(),
            picture: settings.picture_template.clone(),
            email: settings.email_template.clone(),
        };
        let Self { localpart, display_name, picture, email, .. } = &templates;
        let all = [localpart, display_name, picture, email];
        for template in all.into_iter().flatten() {
            templates.jinja.template_from_str(template)?;
        }
        Ok(templates)
    }

    /// What the templates make of claims.
    pub fn attributes(&self, claims: &Claims) -> Attributes {
        let user = without_nulls(Value::Object(claims.clone()));
        let render = |template: &Option<String>| {
            let rendered = self.jinja.render_str(template.as_deref()?, context! { user => user });
            match rendered {
                Ok(text) => Some(text.trim().to_owned())
                    .filter(|text| !text.is_empty() && text.len() <= MAX_TEXT),
                Err(error) => {
                    // The error's detail may quote claims.
                    tracing::warn!(kind = ?error.kind(), "a template for identity providers failed");
                    None
                }
            }
        };
        Attributes {
            localpart: render(&self.localpart).map(|name| map_localpart(&name)),
            display_name: render(&self.display_name),
            picture: render(&self.picture),
            email: render(&self.email)
                // Whoever may claim any address there would get the passwords of others here.
                .filter(|_| claims.get("email_verified") != Some(&Value::Bool(false)))
                .and_then(|address| canonical(EMAIL, &address)),
        }
    }
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(map) => map
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(key, value)| (key, without_nulls(value)))
            .collect(),
        other => other,
    }
}

/// Makes a user name out of any text (Appendices, "Mapping from other character sets"): lower case, and `=` with hexadecimal
/// digits for each byte that user names don't have. An underscore at the beginning is for bridges.
fn map_localpart(name: &str) -> String {
    use std::fmt::Write as _;
    let mut mapped = String::new();
    for byte in name.to_lowercase().bytes() {
        let plain = byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-/+".contains(&byte);
        if plain || byte == b'_' && !mapped.is_empty() {
            mapped.push(char::from(byte));
        } else {
            let _ = write!(mapped, "={byte:02x}");
        }
    }
    mapped
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn templates(localpart: &str, display_name: &str) -> Result<Templates, Error> {
        Templates::new(&SsoProvider {
            localpart_template: Some(localpart.to_owned()),
            display_name_template: Some(display_name.to_owned()),
            ..SsoProvider::default()
        })
    }

    fn of(localpart: &str, display_name: &str, claims: &Value) -> Attributes {
        templates(localpart, display_name).unwrap().attributes(claims.as_object().unwrap())
    }

    #[test]
    fn names_are_made_of_claims() {
        let claims =
            json!({ "email": "Ada.L@x.test", "name": "Ada <3", "nick": null, "org": { "id": 7 } });
        let made = of(
            "{{ user.email | localpart_from_email }}",
            "{{ user.name }} ({{ user.org.id }})",
            &claims,
        );
        assert_eq!(made.localpart.as_deref(), Some("ada.l"));
        assert_eq!(made.display_name.as_deref(), Some("Ada <3 (7)"));
        let made = of("{{ user.nick }}", "{{ user.nothing }} ", &claims);
        assert_eq!(made, Attributes::default());
        let made = of("{{ user.nick or user.org.id }}", "{{ user.nothing.at_all }}", &claims);
        assert_eq!((made.localpart.as_deref(), made.display_name), (Some("7"), None));
    }

    #[test]
    fn an_address_is_taken_unless_the_provider_says_that_it_is_unproven() {
        let settings = SsoProvider {
            email_template: Some("{{ user.email }}".to_owned()),
            ..SsoProvider::default()
        };
        let templates = Templates::new(&settings).unwrap();
        let email = |claims: Value| templates.attributes(claims.as_object().unwrap()).email;
        let address = "Ada@X.test";
        for claims in
            [json!({ "email": address }), json!({ "email": address, "email_verified": true })]
        {
            assert_eq!(email(claims).as_deref(), Some("ada@x.test"));
        }
        assert_eq!(email(json!({ "email": address, "email_verified": false })), None);
        assert_eq!(email(json!({ "email": "nobody" })), None);
    }

    #[test]
    fn a_wrong_template_is_found_at_the_start_and_an_endless_one_ends() {
        assert!(templates("{{ user.", "x").is_err());
        let endless =
            "{% for i in range(10000) %}{% for j in range(10000) %}x{% endfor %}{% endfor %}";
        assert_eq!(of("a", endless, &json!({})).display_name, None);
    }

    #[test]
    fn any_text_becomes_a_user_name() {
        assert_eq!(map_localpart("Ada"), "ada");
        assert_eq!(map_localpart("_a_b"), "=5fa_b");
        assert_eq!(map_localpart("a=b c"), "a=3db=20c");
        assert_eq!(map_localpart("é"), "=c3=a9");
    }
}

//! Signing in through identity providers.

use std::collections::HashSet;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

use super::{ConfigError, Secret};

/// Signing in through identity providers (`m.login.sso`), by OpenID Connect. The redirect URI to register with each of them is
/// `public_base_url` followed by `/_synapse/client/oidc/callback`, which is what their guides for Matrix name.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Sso {
    /// The providers, in the order in which people see them.
    pub providers: Vec<SsoProvider>,
    /// Clients that people are sent back to without being asked whether they know them, as `https://app.example.org/` or
    /// `element://connect`: all addresses with that scheme and host whose path begins so.
    pub client_whitelist: Vec<String>,
}

/// A provider of identities.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is a setting, and any goes with any other")]
pub struct SsoProvider {
    /// A name for it that never changes: who has signed in through it is known under this name. Letters, digits and `-._~`.
    pub id: String,
    /// What people see.
    pub name: String,
    /// A picture for it, as `mxc://...`.
    pub icon: Option<String>,
    /// What kind of provider it is, so that clients show its own button: `google`, `github`, `gitlab`, `apple`, `facebook`, `twitter`...
    pub brand: Option<String>,
    /// Its issuer identifier: the address that its ID tokens name.
    pub issuer: String,
    /// Whether the endpoints are read from `ISSUER/.well-known/openid-configuration`. Those set below go before what is read.
    pub discover: bool,
    /// Where people are sent to sign in.
    pub authorization_endpoint: Option<String>,
    /// Where codes are traded for tokens.
    pub token_endpoint: Option<String>,
    /// Where more is told about who signed in.
    pub userinfo_endpoint: Option<String>,
    /// Where its keys are.
    pub jwks_uri: Option<String>,
    /// The name under which this server is registered with it.
    pub client_id: String,
    /// The secret that goes with `client_id`.
    pub client_secret: Option<Secret>,
    /// A file with that secret, instead.
    pub client_secret_file: Option<PathBuf>,
    /// The variable of the environment that holds it, instead.
    pub client_secret_env: Option<String>,
    /// How the secret is shown: `client_secret_basic`, `client_secret_post`, or `none` for a client without one.
    pub client_auth_method: ClientAuth,
    /// What is asked for; `openid` must be among it.
    pub scopes: Vec<String>,
    /// Whether PKCE (RFC 7636) is used. Turn it off only for a provider that can't bear it.
    pub pkce: bool,
    /// Whether the userinfo endpoint is asked, where there is one; otherwise the ID token has to hold all claims.
    pub userinfo: bool,
    /// The claim that names a person for good.
    pub subject_claim: String,
    /// The user name (before the colon) of a new account, as a Jinja template over the claims:
    /// `{{ user.preferred_username }}` or `{{ user.email | localpart_from_email }}`. Without one, or when it is taken, people choose.
    pub localpart_template: Option<String>,
    /// The display name of a new account, in the same way.
    pub display_name_template: Option<String>,
    /// The address of a picture for a new account, in the same way.
    pub picture_template: Option<String>,
    /// The e-mail address of a new account, in the same way. It counts as proven, unless the claim `email_verified` is false, and is left out
    /// when another account has it.
    pub email_template: Option<String>,
    /// Whether people confirm or change the user name that the template gives.
    pub confirm_localpart: bool,
    /// Whether those who have no account get one.
    pub enable_registration: bool,
    /// Whether somebody who signs in for the first time is given the account that already has the template's user name. Only for providers
    /// where nobody can choose their name freely: whoever has it there has the account here.
    pub allow_existing_users: bool,
    /// Whether people may connect an account that they have here, by its password, when they sign in for the first time.
    pub link_by_password: bool,
    /// What the claims of people who may sign in have to say.
    pub required_claims: Vec<RequiredClaim>,
    /// Whether the provider may end sessions (OpenID Connect Back-Channel Logout) at `/_synapse/client/oidc/backchannel_logout`.
    pub backchannel_logout: bool,
}

/// What a claim has to say.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RequiredClaim {
    /// The claim.
    pub claim: String,
    /// Its value, or one of them when it is a list. Without this and `one_of`, it only has to be there.
    pub value: Option<String>,
    /// The same, where several values will do.
    pub one_of: Vec<String>,
}

/// How a client shows its secret (OpenID Connect Core 1.0, section 9).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuth {
    /// In the header.
    #[default]
    ClientSecretBasic,
    /// In the body.
    ClientSecretPost,
    /// Not at all.
    None,
}

impl Default for SsoProvider {
    fn default() -> Self {
        Self {
            id: String::new(),
            name: String::new(),
            icon: None,
            brand: None,
            issuer: String::new(),
            discover: true,
            authorization_endpoint: None,
            token_endpoint: None,
            userinfo_endpoint: None,
            jwks_uri: None,
            client_id: String::new(),
            client_secret: None,
            client_secret_file: None,
            client_secret_env: None,
            client_auth_method: ClientAuth::default(),
            scopes: vec!["openid".to_owned(), "profile".to_owned(), "email".to_owned()],
            pkce: true,
            userinfo: true,
            subject_claim: "sub".to_owned(),
            localpart_template: None,
            display_name_template: None,
            picture_template: None,
            email_template: None,
            confirm_localpart: false,
            enable_registration: true,
            allow_existing_users: false,
            link_by_password: true,
            required_claims: Vec::new(),
            backchannel_logout: false,
        }
    }
}

fn fail(key: &'static str, problem: impl Into<String>) -> Result<(), ConfigError> {
    Err(ConfigError { key, problem: problem.into() })
}

fn is_web(url: &str) -> bool {
    Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

impl Sso {
    pub(super) fn check(&self, public_base_url: Option<&str>) -> Result<(), ConfigError> {
        if self.client_whitelist.iter().any(|client| Url::parse(client).is_err()) {
            return fail(
                "sso.client_whitelist",
                "each must be a whole address, such as https://app.example.org/",
            );
        }
        if self.providers.is_empty() {
            return Ok(());
        }
        if public_base_url.is_none() {
            return fail("sso", "set public_base_url: identity providers send people back to it");
        }
        let mut ids = HashSet::new();
        for provider in &self.providers {
            provider.check()?;
            if !ids.insert(&provider.id) {
                return fail("sso.providers", format!("two have the id {:?}", provider.id));
            }
        }
        Ok(())
    }
}

impl SsoProvider {
    fn check(&self) -> Result<(), ConfigError> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-._~".contains(c);
        if self.id.is_empty() || self.id.len() > 255 || !self.id.chars().all(allowed) {
            return fail("sso.providers.id", "must be 1 to 255 of letters, digits and -._~");
        }
        let id = &self.id;
        if self.name.is_empty() {
            return fail("sso.providers.name", format!("say what people see for {id}"));
        }
        if self.icon.as_deref().is_some_and(|icon| !icon.starts_with("mxc://")) {
            return fail("sso.providers.icon", format!("of {id}: must start with mxc://"));
        }
        let in_brand = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
        if self
            .brand
            .as_deref()
            .is_some_and(|b| b.is_empty() || b.len() > 255 || !b.chars().all(in_brand))
        {
            return fail("sso.providers.brand", format!("of {id}: must be a-z, 0-9 and -_."));
        }
        let endpoints = [
            &self.authorization_endpoint,
            &self.token_endpoint,
            &self.userinfo_endpoint,
            &self.jwks_uri,
        ];
        if !is_web(&self.issuer) || endpoints.into_iter().flatten().any(|url| !is_web(url)) {
            return fail(
                "sso.providers",
                format!("{id}: issuer and endpoints must be http or https addresses"),
            );
        }
        let known = [&self.authorization_endpoint, &self.token_endpoint, &self.jwks_uri];
        if !self.discover && known.into_iter().any(Option::is_none) {
            let needed =
                "without discover, set authorization_endpoint, token_endpoint and jwks_uri";
            return fail("sso.providers.discover", format!("of {id}: {needed}"));
        }
        if self.client_id.is_empty() {
            return fail("sso.providers.client_id", format!("of {id}: is missing"));
        }
        let secrets = usize::from(self.client_secret.is_some())
            + usize::from(self.client_secret_file.is_some())
            + usize::from(self.client_secret_env.is_some());
        let wanted = usize::from(self.client_auth_method != ClientAuth::None);
        if secrets != wanted {
            let problem = "set one of client_secret, client_secret_file and client_secret_env, or client_auth_method = \"none\"";
            return fail("sso.providers.client_secret", format!("of {id}: {problem}"));
        }
        if !self.scopes.iter().any(|scope| scope == "openid") {
            return fail("sso.providers.scopes", format!("of {id}: openid is missing"));
        }
        if self.subject_claim.is_empty() || self.required_claims.iter().any(|r| r.claim.is_empty())
        {
            return fail("sso.providers", format!("{id}: a claim needs a name"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn provider() -> SsoProvider {
        SsoProvider {
            id: "corp".to_owned(),
            name: "Corp".to_owned(),
            issuer: "https://id.corp.test".to_owned(),
            client_id: "matrix".to_owned(),
            client_secret: Some(Secret::new("s3cret")),
            ..SsoProvider::default()
        }
    }

    fn key(change: impl FnOnce(&mut SsoProvider)) -> &'static str {
        let mut provider = provider();
        change(&mut provider);
        let sso = Sso { providers: vec![provider], ..Sso::default() };
        sso.check(Some("https://m.test")).map_or_else(|error| error.key, |()| "sound")
    }

    #[test]
    fn half_a_provider_is_refused() {
        assert_eq!(key(|_| ()), "sound");
        assert_eq!(key(|p| p.id = "a b".to_owned()), "sso.providers.id");
        assert_eq!(key(|p| p.name.clear()), "sso.providers.name");
        assert_eq!(key(|p| p.icon = Some("https://x".to_owned())), "sso.providers.icon");
        assert_eq!(key(|p| p.brand = Some("Corp!".to_owned())), "sso.providers.brand");
        assert_eq!(key(|p| p.issuer = "corp".to_owned()), "sso.providers");
        assert_eq!(key(|p| p.discover = false), "sso.providers.discover");
        assert_eq!(key(|p| p.client_secret = None), "sso.providers.client_secret");
        assert_eq!(key(|p| p.client_auth_method = ClientAuth::None), "sso.providers.client_secret");
        assert_eq!(key(|p| p.scopes.clear()), "sso.providers.scopes");
    }

    #[test]
    fn providers_need_an_address_to_come_back_to_and_names_of_their_own() {
        let sso = Sso { providers: vec![provider(), provider()], ..Sso::default() };
        assert_eq!(sso.check(None).unwrap_err().key, "sso");
        assert_eq!(sso.check(Some("https://m.test")).unwrap_err().key, "sso.providers");
        let sso = Sso { client_whitelist: vec!["app.test".to_owned()], ..Sso::default() };
        assert_eq!(sso.check(None).unwrap_err().key, "sso.client_whitelist");
        Sso::default().check(None).unwrap();
    }
}

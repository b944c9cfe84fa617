//! What a login can ask for and show.

use serde::{Deserialize, Serialize};
use url::Url;

/// What kind of text a field wants: how it is shown, hidden and checked.
/// The names are those of the provisioning API (`user_input` steps).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FieldKind {
    /// Any text.
    Text,
    /// A user name.
    Username,
    /// A password: the message that carried it is redacted.
    Password,
    /// A token or key: as secret as a password.
    Token,
    /// A phone number in international form.
    #[serde(rename = "phone_number")]
    Phone,
    /// An e-mail address.
    Email,
    /// A code of a second factor.
    #[serde(rename = "2fa_code")]
    Code,
    /// An absolute URL.
    Url,
    /// A host name.
    Domain,
    /// One of the field's options.
    Select,
}

impl FieldKind {
    /// Whether the answer must not stay readable in a chat.
    pub fn is_secret(self) -> bool {
        matches!(self, Self::Password | Self::Token | Self::Code)
    }
}

/// One question.
#[derive(Clone, Debug, Serialize)]
pub struct Field {
    /// Key of the answer.
    pub id: String,
    /// What is asked for.
    #[serde(rename = "type")]
    pub kind: FieldKind,
    /// What the user sees.
    pub name: String,
    /// More words, if needed.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Used when the answer is empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_value: Option<String>,
    /// The choices of a [`FieldKind::Select`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
}

impl Field {
    /// The answer as it goes to the flow: trimmed (but for passwords), defaulted, checked. The error is for the user.
    pub fn accept(&self, answer: &str) -> Result<String, String> {
        let answer = if self.kind == FieldKind::Password { answer } else { answer.trim() };
        let answer = match (&self.default_value, answer) {
            (Some(default), "") => default.as_str(),
            (_, answer) => answer,
        };
        let fail = |what: &str| Err(format!("{}: {what}", self.name));
        match self.kind {
            _ if answer.is_empty() => fail("an answer is needed"),
            _ if answer.len() > 16_384 => fail("that is too long"),
            FieldKind::Phone => {
                let digits: String = answer.chars().filter(|c| !" -()./".contains(*c)).collect();
                let plain = digits.strip_prefix('+').unwrap_or(&digits);
                if (5..=15).contains(&plain.len()) && plain.bytes().all(|b| b.is_ascii_digit()) {
                    Ok(digits)
                } else {
                    fail("a phone number has 5 to 15 digits, for example +49 30 123456")
                }
            }
            FieldKind::Email
                if !answer
                    .split_once('@')
                    .is_some_and(|(a, b)| !a.is_empty() && b.contains('.')) =>
            {
                fail("that is not an e-mail address")
            }
            FieldKind::Url if Url::parse(answer).is_err() => fail("that is not a URL"),
            FieldKind::Domain if answer.contains(['/', ' ', '@']) => {
                fail("that is not a host name")
            }
            FieldKind::Select => match self.options.iter().find(|o| o.eq_ignore_ascii_case(answer))
            {
                Some(option) => Ok(option.clone()),
                None => fail(&format!("choose one of {}", self.options.join(", "))),
            },
            _ => Ok(answer.to_owned()),
        }
    }
}

/// Questions that are asked together.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Form {
    /// What the user reads first.
    #[serde(skip)]
    pub instructions: String,
    /// The questions.
    pub fields: Vec<Field>,
}

impl Form {
    /// No question yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// What the user reads first.
    #[must_use]
    pub fn instructions(mut self, text: impl Into<String>) -> Self {
        self.instructions = text.into();
        self
    }

    /// Adds a question of any kind.
    #[must_use]
    pub fn field(
        mut self,
        id: impl Into<String>,
        name: impl Into<String>,
        kind: FieldKind,
    ) -> Self {
        self.fields.push(Field {
            id: id.into(),
            kind,
            name: name.into(),
            description: String::new(),
            default_value: None,
            options: Vec::new(),
        });
        self
    }

    /// Asks for text.
    #[must_use]
    pub fn text(self, id: impl Into<String>, name: impl Into<String>) -> Self {
        self.field(id, name, FieldKind::Text)
    }

    /// Asks for a user name.
    #[must_use]
    pub fn username(self, id: impl Into<String>, name: impl Into<String>) -> Self {
        self.field(id, name, FieldKind::Username)
    }

    /// Asks for a password.
    #[must_use]
    pub fn password(self, id: impl Into<String>, name: impl Into<String>) -> Self {
        self.field(id, name, FieldKind::Password)
    }

    /// Asks for a token.
    #[must_use]
    pub fn token(self, id: impl Into<String>, name: impl Into<String>) -> Self {
        self.field(id, name, FieldKind::Token)
    }

    /// Asks for a phone number.
    #[must_use]
    pub fn phone(self, id: impl Into<String>, name: impl Into<String>) -> Self {
        self.field(id, name, FieldKind::Phone)
    }

    /// Asks for an e-mail address.
    #[must_use]
    pub fn email(self, id: impl Into<String>, name: impl Into<String>) -> Self {
        self.field(id, name, FieldKind::Email)
    }

    /// Asks for the code of a second factor.
    #[must_use]
    pub fn code(self, id: impl Into<String>, name: impl Into<String>) -> Self {
        self.field(id, name, FieldKind::Code)
    }

    /// Asks for one of `options`.
    #[must_use]
    pub fn select(
        self,
        id: impl Into<String>,
        name: impl Into<String>,
        options: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        let mut form = self.field(id, name, FieldKind::Select);
        if let Some(field) = form.fields.last_mut() {
            field.options = options.into_iter().map(Into::into).collect();
        }
        form
    }

    /// Explains the last question.
    #[must_use]
    pub fn describe(mut self, text: impl Into<String>) -> Self {
        if let Some(field) = self.fields.last_mut() {
            field.description = text.into();
        }
        self
    }

    /// What the last question's answer is if the user gives none.
    #[must_use]
    pub fn default_value(mut self, value: impl Into<String>) -> Self {
        if let Some(field) = self.fields.last_mut() {
            field.default_value = Some(value.into());
        }
        self
    }
}

/// Something to look at while the network waits for the user's other device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", content = "data", rename_all = "snake_case")]
pub enum Display {
    /// The text of a QR code to be scanned.
    Qr(String),
    /// A code to be typed elsewhere.
    Code(String),
    /// An emoji to be chosen elsewhere.
    Emoji(String),
    /// Nothing: the user only has to confirm elsewhere; the text says where.
    Nothing(String),
}

/// Cookies and the like that the user's browser holds after logging in on the network's own page.
#[derive(Clone, Debug, Default, Serialize)]
pub struct CookieSpec {
    /// The page to log in on.
    pub url: String,
    /// The browser to pose as, if the network cares.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub user_agent: String,
    /// What to take from the browser afterwards.
    pub fields: Vec<CookieField>,
}

/// One value to take from the browser.
#[derive(Clone, Debug, Serialize)]
pub struct CookieField {
    /// Key of the answer.
    pub id: String,
    /// Name of the cookie.
    pub name: String,
    /// Domain of the cookie.
    pub cookie_domain: String,
    /// Whether the login can't go on without it.
    pub required: bool,
}

/// An OAuth 2.0 authorization the user grants in a browser.
#[derive(Clone, Debug, Serialize)]
pub struct OAuthSpec {
    /// The page that asks the user; contains the client ID, the redirect URI and `state`.
    pub authorize_url: String,
    /// The `state` parameter sent along; an answer with another one is refused (RFC 6749, section 10.12).
    #[serde(skip)]
    pub state: String,
}

/// The code that an authorization server gave.
#[derive(Clone)]
pub struct OAuthCode(
    /// To be exchanged for a token at once.
    pub String,
);

impl OAuthSpec {
    /// Takes the code out of the address that the browser was sent to.
    pub fn accept(&self, address: &str) -> Result<OAuthCode, String> {
        let url = Url::parse(address.trim())
            .map_err(|_| "that is not the address of a page".to_owned())?;
        let param = |name: &str| {
            url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
        };
        if let Some(error) = param("error") {
            return Err(format!(
                "the network said: {}",
                param("error_description").unwrap_or(error)
            ));
        }
        if param("state").as_deref() != Some(self.state.as_str()) {
            return Err(
                "that address belongs to another login; please follow the link again".to_owned()
            );
        }
        param("code").map(OAuthCode).ok_or_else(|| "there is no code in that address".to_owned())
    }
}

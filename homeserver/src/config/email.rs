//! How the server sends e-mail.

use lettre::message::Mailbox;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ConfigError, Secret};

/// E-mail, by which people prove that an address is theirs: to get back into their account, and to log in with it. Needs
/// `public_base_url`, for the links.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Email {
    /// The SMTP server that takes the server's e-mail. Unset: no e-mail is sent, and accounts have no addresses.
    pub smtp_host: Option<String>,
    /// Its port. Unset: 587, 465 or 25, as `security` is `starttls`, `tls` or `none`.
    pub smtp_port: Option<u16>,
    /// Whether the connection is encrypted.
    pub security: SmtpSecurity,
    /// The user name for the SMTP server.
    pub username: Option<String>,
    /// The password that goes with it.
    pub password: Option<Secret>,
    /// Whom e-mail comes from, as `Example <noreply@example.org>`.
    pub from: String,
    /// The only domains that people's addresses may be of. Empty: all.
    pub allowed_domains: Vec<String>,
    /// The only hosts of web pages to which clients may have people led once they have confirmed an address. Empty: any; the page says
    /// which.
    pub next_link_domains: Vec<String>,
    /// Whether an address must be proven to register.
    pub required_to_register: bool,
    /// How long people may leave unread what they were notified of before they get an e-mail about it, if their client asked for that.
    pub notification_delay_seconds: u64,
    /// For how long a link in an e-mail is good.
    pub link_lifetime_seconds: u64,
}

/// Whether the connection to the SMTP server is encrypted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SmtpSecurity {
    /// It begins in plain text and must then be encrypted.
    #[default]
    Starttls,
    /// From its first byte.
    Tls,
    /// Not at all: only for a server on this machine or in its own network.
    None,
}

impl Default for Email {
    fn default() -> Self {
        Self {
            smtp_host: None,
            smtp_port: None,
            security: SmtpSecurity::Starttls,
            username: None,
            password: None,
            from: String::new(),
            allowed_domains: Vec::new(),
            next_link_domains: Vec::new(),
            required_to_register: false,
            notification_delay_seconds: 10 * 60,
            link_lifetime_seconds: 24 * 3600,
        }
    }
}

impl Email {
    /// The port of the SMTP server.
    pub fn port(&self) -> u16 {
        self.smtp_port.unwrap_or(match self.security {
            SmtpSecurity::Starttls => 587,
            SmtpSecurity::Tls => 465,
            SmtpSecurity::None => 25,
        })
    }

    pub(super) fn check(&self, public_base_url: Option<&str>) -> Result<(), ConfigError> {
        let fail = |key, problem: &str| Err(ConfigError { key, problem: problem.to_owned() });
        if self.smtp_host.is_none() {
            return if self.required_to_register {
                fail("email.required_to_register", "needs email.smtp_host")
            } else {
                Ok(())
            };
        }
        if self.from.parse::<Mailbox>().is_err() {
            return fail("email.from", "must be an address, as Example <noreply@example.org>");
        }
        if public_base_url.is_none() {
            return fail("email", "needs public_base_url, for the links in e-mails");
        }
        match (&self.username, &self.password) {
            (None, None) => {}
            (Some(_), Some(_)) if self.security != SmtpSecurity::None => {}
            (Some(_), Some(_)) => {
                return fail("email.security", "a password needs starttls or tls");
            }
            _ => return fail("email", "username and password go together"),
        }
        // What is a day old is told no more.
        if self.notification_delay_seconds > 12 * 3600 {
            return fail("email.notification_delay_seconds", "must be at most 12 hours");
        }
        if !(60..=30 * 24 * 3600).contains(&self.link_lifetime_seconds) {
            return fail("email.link_lifetime_seconds", "must be from a minute to 30 days");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn email_needs_a_sender_links_and_no_password_in_the_clear() {
        Email::default().check(None).unwrap();
        let email = Email { smtp_host: Some("mail".to_owned()), ..Email::default() };
        let base = Some("https://hs.test");
        assert_eq!(email.check(base).unwrap_err().key, "email.from");
        let email = Email { from: "Us <us@hs.test>".to_owned(), ..email };
        email.check(base).unwrap();
        assert_eq!(email.check(None).unwrap_err().key, "email");
        let half = Email { username: Some("us".to_owned()), ..email };
        assert_eq!(half.check(base).unwrap_err().key, "email");
        let open = Email {
            password: Some(Secret::new("p")),
            security: SmtpSecurity::None,
            ..half.clone()
        };
        assert_eq!(open.check(base).unwrap_err().key, "email.security");
        Email { security: SmtpSecurity::Tls, ..open }.check(base).unwrap();
        let must = Email { required_to_register: true, ..Email::default() };
        assert_eq!(must.check(base).unwrap_err().key, "email.required_to_register");
    }
}

//! Sends e-mail by SMTP.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use lettre::message::header::{ContentType, Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{Address, AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use ruma::OwnedServerName;
use tokio::sync::Semaphore;

use crate::config::{Config, SmtpSecurity};
use crate::services::sessions::random_token;

const TIMEOUT: Duration = Duration::from_secs(30);
/// How many of those that are one of many are sent at once: pushers may all have something to tell after a start.
const AT_ONCE: usize = 4;

/// Why there is no way to send e-mail, or why one was not sent.
#[derive(Debug, thiserror::Error)]
pub enum EmailError {
    /// The settings can't be used.
    #[error("email: {0}")]
    Settings(String),
    /// The message could not be written.
    #[error("an e-mail could not be written: {0}")]
    Message(#[from] lettre::error::Error),
    /// The SMTP server did not take it.
    #[error("the SMTP server did not take an e-mail: {0}")]
    Smtp(#[from] lettre::transport::smtp::Error),
    /// It took too long.
    #[error("the SMTP server took too long")]
    Timeout,
    /// No SMTP server is set.
    #[error("no SMTP server is set")]
    Off,
}

impl EmailError {
    /// Whether the SMTP server says that there is no such mailbox and won't be: what else it refuses for good may be about us.
    pub fn is_no_mailbox(&self) -> bool {
        let Self::Smtp(error) = self else { return false };
        matches!(error.status().map(u16::from), Some(550 | 551 | 553 | 556))
    }
}

/// A message: who gets it, and what it says.
#[derive(Debug, Clone)]
pub struct Letter {
    /// Who gets it.
    pub to: Address,
    /// Its subject.
    pub subject: String,
    /// Its text.
    pub text: String,
    /// For one of many: the link that stops them, which mail programs post to as well (RFC 8058).
    pub unsubscribe: Option<String>,
}

/// A header whose text is ours.
macro_rules! header {
    ($header:ident, $name:literal) => {
        #[derive(Clone)]
        struct $header(String);

        impl Header for $header {
            fn name() -> HeaderName {
                HeaderName::new_from_ascii_str($name)
            }

            fn parse(text: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
                Ok(Self(text.to_owned()))
            }

            fn display(&self) -> HeaderValue {
                HeaderValue::new(Self::name(), self.0.clone())
            }
        }
    };
}

header!(AutoSubmitted, "Auto-Submitted");
header!(ListUnsubscribe, "List-Unsubscribe");
header!(ListUnsubscribePost, "List-Unsubscribe-Post");

/// The way out for e-mail, if the settings name one. Clones share it.
#[derive(Clone)]
pub struct Mailer(Option<Arc<Way>>);

struct Way {
    smtp: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    server: OwnedServerName,
    /// Those of many wait for each other, and not those that somebody waits for.
    many: Semaphore,
}

impl Mailer {
    /// As the settings have it. Nothing is connected before the first message.
    pub fn new(config: &Config) -> Result<Self, EmailError> {
        let email = &config.email;
        let Some(host) = &email.smtp_host else { return Ok(Self(None)) };
        let settings = |error: &dyn std::fmt::Display| EmailError::Settings(error.to_string());
        let from =
            email.from.parse().map_err(|error: lettre::address::AddressError| settings(&error))?;
        let tls = match email.security {
            SmtpSecurity::None => Tls::None,
            SmtpSecurity::Starttls => Tls::Required(parameters(config, host)?),
            SmtpSecurity::Tls => Tls::Wrapper(parameters(config, host)?),
        };
        let mut smtp = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host)
            .port(email.port())
            .tls(tls)
            .hello_name(ClientId::Domain(config.server_name.host().to_owned()))
            .timeout(Some(TIMEOUT));
        if let (Some(user), Some(password)) = (&email.username, &email.password) {
            let credentials = Credentials::new(user.clone(), password.expose().to_owned());
            smtp = smtp.credentials(credentials);
        }
        let (server, many) = (config.server_name.clone(), Semaphore::new(AT_ONCE));
        Ok(Self(Some(Arc::new(Way { smtp: smtp.build(), from, server, many }))))
    }

    /// Whether e-mail can be sent at all.
    pub const fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Sends a message; the SMTP server has taken it when this returns.
    pub async fn send(&self, letter: Letter, now_ms: i64) -> Result<(), EmailError> {
        let way = self.0.as_ref().ok_or(EmailError::Off)?;
        let _place = match &letter.unsubscribe {
            // It is never closed.
            Some(_) => way.many.acquire().await.ok(),
            None => None,
        };
        let date = UNIX_EPOCH + Duration::from_millis(now_ms.unsigned_abs());
        let mut message = Message::builder()
            .from(way.from.clone())
            .to(Mailbox::new(None, letter.to))
            .subject(letter.subject)
            .date(date)
            .message_id(Some(format!("<{}@{}>", random_token(), way.server.host())))
            // Nobody's absence note answers it (RFC 3834).
            .header(AutoSubmitted("auto-generated".to_owned()))
            .header(ContentType::TEXT_PLAIN);
        if let Some(link) = &letter.unsubscribe {
            let post = "List-Unsubscribe=One-Click".to_owned();
            message = message
                .header(ListUnsubscribe(format!("<{link}>")))
                .header(ListUnsubscribePost(post));
        }
        let message = message.body(letter.text)?;
        // The transport's own limit is for each command.
        tokio::time::timeout(TIMEOUT, way.smtp.send(message))
            .await
            .map_err(|_| EmailError::Timeout)??;
        Ok(())
    }
}

fn parameters(config: &Config, host: &str) -> Result<TlsParameters, EmailError> {
    let mut parameters = TlsParameters::builder(host.to_owned());
    if let Some(file) = &config.outbound.extra_root_certificate {
        let pem = std::fs::read(file)
            .map_err(|error| EmailError::Settings(format!("{}: {error}", file.display())))?;
        parameters = parameters.add_root_certificate(Certificate::from_pem(&pem)?);
    }
    Ok(parameters.build_rustls()?)
}

impl std::fmt::Debug for Mailer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mailer").field("on", &self.is_on()).finish()
    }
}

//! Signing in (core.telegram.org/api/auth): by phone and code, by QR code, with a second factor, and as a bot.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use grammers_crypto::two_factor_auth::{calculate_2fa, check_p_and_g};
use grammers_session::updates::UpdatesLike;
use grammers_tl_types as tl;
use tokio::sync::mpsc;

use super::{api::Api, error::ApiError};

/// How often another data centre may be named before it is a mistake.
const MOVES: usize = 3;

/// Why somebody was not signed in.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// The code is wrong, or too old.
    #[error("the code is wrong")]
    WrongCode,
    /// The code is no longer good: another must be asked for.
    #[error("the code has expired; begin again")]
    CodeExpired,
    /// The password is wrong.
    #[error("the password is wrong")]
    WrongPassword,
    /// There is no such account.
    #[error("there is no Telegram account with this number; make one in Telegram's own app first")]
    NoAccount,
    /// Something that only Telegram's own apps can do.
    #[error("{0}")]
    Unsupported(&'static str),
    /// Telegram wants to be left alone for so long.
    #[error("Telegram asks to wait {0} seconds before the next attempt")]
    Wait(u64),
    /// Anything else.
    #[error("{}", .0.words())]
    Api(ApiError),
}

impl From<ApiError> for SignInError {
    fn from(error: ApiError) -> Self {
        if let Some((wait, _)) = error.wait() {
            return Self::Wait(wait.as_secs());
        }
        match error.name() {
            Some("PHONE_CODE_INVALID" | "PHONE_CODE_EMPTY") => Self::WrongCode,
            Some("PHONE_CODE_EXPIRED") => Self::CodeExpired,
            Some("PASSWORD_HASH_INVALID") => Self::WrongPassword,
            Some("PHONE_NUMBER_UNOCCUPIED") => Self::NoAccount,
            _ => Self::Api(error),
        }
    }
}

/// How far signing in has come.
pub enum SignIn {
    /// All the way.
    Done(Box<tl::types::User>),
    /// The account has a password besides.
    Password(Password),
}

/// What an account's password is asked for with.
pub struct Password(Box<tl::types::account::Password>);
impl Password {
    /// What its owner wrote down to remember it by.
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref().filter(|hint| !hint.is_empty())
    }
}

/// A code that Telegram has sent.
pub struct Code {
    phone: String,
    hash: String,
    /// Where to look for it.
    pub sent_to: &'static str,
}

/// Where a login by QR code stands.
pub enum Qr {
    /// Show this until it expires, or an update says that it was scanned.
    Show(String, Duration),
    /// It was scanned.
    Scanned(SignIn),
}

fn sent_to(kind: &tl::enums::auth::SentCodeType) -> Option<&'static str> {
    use tl::enums::auth::SentCodeType as T;
    Some(match kind {
        T::App(_) => "in a message from \u{201c}Telegram\u{201d}, in an app you are signed in with",
        T::Sms(_) | T::FirebaseSms(_) | T::SmsWord(_) | T::SmsPhrase(_) => "by SMS",
        T::Call(_) => "by a phone call that says it",
        T::FlashCall(_) | T::MissedCall(_) => {
            "as the last digits of the number that is calling you"
        }
        T::EmailCode(_) => "by e-mail",
        T::FragmentSms(_) => "on fragment.com",
        T::SetUpEmailRequired(_) => return None,
    })
}

impl Api {
    /// Has a code sent to a phone number.
    pub async fn send_code(&self, phone: &str) -> Result<Code, SignInError> {
        let (api_id, api_hash) = self.application();
        let settings = tl::types::CodeSettings {
            allow_flashcall: false,
            current_number: false,
            allow_app_hash: false,
            allow_missed_call: false,
            allow_firebase: false,
            unknown_number: false,
            logout_tokens: None,
            token: None,
            app_sandbox: None,
        };
        let request = tl::functions::auth::SendCode {
            phone_number: phone.to_owned(),
            api_id,
            api_hash,
            settings: settings.into(),
        };
        match self.invoke_moving(&request).await? {
            tl::enums::auth::SentCode::Code(code) => {
                let sent_to = sent_to(&code.r#type).ok_or(SignInError::Unsupported(
                    "Telegram wants an e-mail address first: sign in once with its own app",
                ))?;
                Ok(Code { phone: phone.to_owned(), hash: code.phone_code_hash, sent_to })
            }
            tl::enums::auth::SentCode::Success(_) => Err(SignInError::Unsupported(
                "Telegram signed in without a code, which this bridge can't take",
            )),
            tl::enums::auth::SentCode::PaymentRequired(_) => Err(SignInError::Unsupported(
                "Telegram wants money for a code by SMS: use the QR code instead",
            )),
        }
    }

    /// Signs in with the code.
    pub async fn sign_in(&self, sent: &Code, code: &str) -> Result<SignIn, SignInError> {
        let request = tl::functions::auth::SignIn {
            phone_number: sent.phone.clone(),
            phone_code_hash: sent.hash.clone(),
            phone_code: Some(code.to_owned()),
            email_verification: None,
        };
        let answer = self.invoke(&request).await;
        self.signed_in(answer).await
    }

    async fn signed_in(
        &self,
        answer: Result<tl::enums::auth::Authorization, ApiError>,
    ) -> Result<SignIn, SignInError> {
        match answer {
            Ok(authorization) => Ok(SignIn::Done(Box::new(user_of(authorization)?))),
            Err(error) if error.is("SESSION_PASSWORD_NEEDED") => {
                Ok(SignIn::Password(self.password().await?))
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn password(&self) -> Result<Password, SignInError> {
        let tl::enums::account::Password::Password(password) =
            self.invoke(&tl::functions::account::GetPassword {}).await?;
        Ok(Password(Box::new(password)))
    }

    /// Proves to know the account's password, without telling it (core.telegram.org/api/srp).
    pub async fn check_password(&self, password: &str) -> Result<tl::types::User, SignInError> {
        // Each attempt needs a new challenge.
        let Password(challenge) = self.password().await?;
        let strange = SignInError::Unsupported(
            "Telegram asks for the password in a way this bridge doesn't know",
        );
        let Some(tl::enums::PasswordKdfAlgo::Sha256Sha256Pbkdf2Hmacsha512iter100000Sha256ModPow(
            algo,
        )) = &challenge.current_algo
        else {
            return Err(strange);
        };
        let (Some(g_b), Some(srp_id)) = (challenge.srp_b.clone(), challenge.srp_id) else {
            return Err(strange);
        };
        // What the library takes to be so, and would panic over.
        if algo.p.len() != 256 || g_b.len() > 256 || !(2..=7).contains(&algo.g) {
            return Err(strange);
        }
        let secret: [u8; 256] = rand::random();
        let (salt1, salt2, p, g) = (algo.salt1.clone(), algo.salt2.clone(), algo.p.clone(), algo.g);
        let password = password.to_owned();
        // A proof of primality, and a hundred thousand rounds of a hash: not among other tasks.
        let proof = tokio::task::spawn_blocking(move || {
            check_p_and_g(&p, &g)
                .then(|| calculate_2fa(&salt1, &salt2, &p, &g, g_b, secret.to_vec(), password))
        });
        let proof = proof
            .await
            .map_err(|error| SignInError::Api(ApiError::Unreachable(error.to_string())))?;
        let Some((m1, a)) = proof else { return Err(strange) };
        let proof = tl::types::InputCheckPasswordSrp { srp_id, a: a.to_vec(), m1: m1.to_vec() };
        let request = tl::functions::auth::CheckPassword { password: proof.into() };
        user_of(self.invoke(&request).await?)
    }

    /// Signs in as a bot.
    pub async fn sign_in_bot(&self, token: &str) -> Result<tl::types::User, SignInError> {
        let (api_id, api_hash) = self.application();
        let request = tl::functions::auth::ImportBotAuthorization {
            flags: 0,
            api_id,
            api_hash,
            bot_auth_token: token.to_owned(),
        };
        user_of(self.invoke_moving(&request).await?)
    }

    /// One step of signing in by QR code: what to show, or who it was (core.telegram.org/api/qr-login).
    pub async fn qr(&self, now_seconds: i64) -> Result<Qr, SignInError> {
        let (api_id, api_hash) = self.application();
        let request =
            tl::functions::auth::ExportLoginToken { api_id, api_hash, except_ids: Vec::new() };
        let mut answer = self.invoke(&request).await;
        for _ in 0..MOVES {
            match answer {
                Ok(tl::enums::auth::LoginToken::MigrateTo(other)) => {
                    self.move_to(other.dc_id).await?;
                    let request = tl::functions::auth::ImportLoginToken { token: other.token };
                    answer = self.invoke(&request).await;
                }
                Ok(tl::enums::auth::LoginToken::Token(token)) => {
                    let left = i64::from(token.expires) - now_seconds;
                    let wait = Duration::from_secs(left.clamp(1, 60).unsigned_abs());
                    let url = format!("tg://login?token={}", URL_SAFE_NO_PAD.encode(&token.token));
                    return Ok(Qr::Show(url, wait));
                }
                Ok(tl::enums::auth::LoginToken::Success(success)) => {
                    return Ok(Qr::Scanned(self.signed_in(Ok(success.authorization)).await?));
                }
                Err(error) => return Ok(Qr::Scanned(self.signed_in(Err(error)).await?)),
            }
        }
        Err(SignInError::Unsupported("Telegram names one data centre after another"))
    }
}

/// Waits until a QR code was scanned; other updates are of no interest before the login is done.
pub async fn scanned(updates: &mut mpsc::Receiver<UpdatesLike>) {
    while let Some(update) = updates.recv().await {
        if let UpdatesLike::Updates(tl::enums::Updates::UpdateShort(short)) = update
            && matches!(short.update, tl::enums::Update::LoginToken)
        {
            return;
        }
    }
    // The connection is gone; the code's expiry ends the wait.
    std::future::pending::<()>().await;
}

fn user_of(authorization: tl::enums::auth::Authorization) -> Result<tl::types::User, SignInError> {
    match authorization {
        tl::enums::auth::Authorization::Authorization(authorization) => match authorization.user {
            tl::enums::User::User(user) => Ok(user),
            tl::enums::User::Empty(_) => Err(SignInError::NoAccount),
        },
        tl::enums::auth::Authorization::SignUpRequired(_) => Err(SignInError::NoAccount),
    }
}

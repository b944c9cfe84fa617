//! Logging in with one's own account: by phone number and code, or by a QR code; both with the account's password if it has one.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use grammers_tl_types as tl;
use landbridge_framework::prelude::*;
use serde::Deserialize;

use super::{Credentials, Telegram};
use crate::{
    client::{Api, Kept, Password, Qr, SignIn, SignInError, import, scanned},
    ids::UserId,
};

/// How often a code or a password may be mistyped.
const ATTEMPTS: usize = 3;
/// How many QR codes are shown, one after the other: for about ten minutes.
const CODES: usize = 20;

pub(super) fn register(logins: Logins<Telegram>) -> Logins<Telegram> {
    logins
        .flow("phone", "With your phone number and the code that Telegram sends", by_phone)
        .flow("qr", "With a QR code, scanned by Telegram's app on your phone", by_qr)
        .flow("session", "With a session string of Telethon or Pyrogram", by_session)
}

#[derive(Deserialize)]
struct Phone {
    phone: String,
}

#[derive(Deserialize)]
struct Code {
    code: String,
}

#[derive(Deserialize)]
struct Secret {
    password: String,
}

impl From<SignInError> for LoginError {
    fn from(error: SignInError) -> Self {
        match error {
            SignInError::Api(error) if error.is_temporary() => Self::Network(error.to_string()),
            error => Self::Refused(error.to_string()),
        }
    }
}

/// Each session gets a nonce, so that a renewed login doesn't go on with the old one's keys.
fn nonce() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; 16]>())
}

/// A session of its own for a login.
fn session(network: &Telegram) -> Arc<Kept> {
    Arc::new(Kept::new(&network.config, nonce()))
}

#[derive(Deserialize)]
struct Text {
    session: String,
}

async fn by_session(mut io: LoginIo<Telegram>) -> Result<NewLogin<Telegram>, LoginError> {
    let form = Form::new()
        .instructions(
            "The session must not be used by any other program from now on, or Telegram ends it. It must be of the same application \
             (api_id) as the bridge's.",
        )
        .token("session", "Session string");
    let Text { session } = io.ask(form).await?;
    let config = io.network().config.clone();
    let stored = import(&config, nonce(), &session).map_err(LoginError::refused)?;
    let (api, _updates) = Api::open(&config, Arc::new(Kept::restored(&config, &stored)));
    let request = tl::functions::users::GetUsers { id: vec![tl::enums::InputUser::UserSelf] };
    let users = api.invoke(&request).await.map_err(|error| {
        if error.is_logged_out() {
            LoginError::refused("Telegram no longer takes this session")
        } else {
            SignInError::from(error).into()
        }
    })?;
    let user = users.into_iter().find_map(|user| match user {
        tl::enums::User::User(user) => Some(user),
        tl::enums::User::Empty(_) => None,
    });
    let user = user.ok_or_else(|| LoginError::refused("that session is nobody's"))?;
    finish(&mut io, &api, SignIn::Done(Box::new(user))).await
}

async fn by_phone(mut io: LoginIo<Telegram>) -> Result<NewLogin<Telegram>, LoginError> {
    let (api, _updates) = Api::open(&io.network().config, session(io.network()));
    let form = Form::new()
        .instructions("Telegram will send a code to an app you are signed in with, or by SMS.")
        .phone("phone", "Phone number, with country code");
    let Phone { phone } = io.ask(form).await?;
    let sent = api.send_code(&phone).await?;
    for attempt in 1..=ATTEMPTS {
        let first = format!("Telegram has sent a code {}.", sent.sent_to);
        let again = "That code is wrong. Please look again.".to_owned();
        let form =
            Form::new().instructions(if attempt == 1 { first } else { again }).code("code", "Code");
        let Code { code } = io.ask(form).await?;
        // People type it as it is shown.
        let code: String = code.chars().filter(|c| !c.is_whitespace() && *c != '-').collect();
        match api.sign_in(&sent, &code).await {
            Ok(signed_in) => return finish(&mut io, &api, signed_in).await,
            Err(SignInError::WrongCode) if attempt < ATTEMPTS => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(SignInError::WrongCode.into())
}

async fn by_qr(mut io: LoginIo<Telegram>) -> Result<NewLogin<Telegram>, LoginError> {
    let (api, mut updates) = Api::open(&io.network().config, session(io.network()));
    for _ in 0..CODES {
        let now = io.network().runtime.clock.now_ms() / 1000;
        match api.qr(now).await? {
            Qr::Scanned(signed_in) => return finish(&mut io, &api, signed_in).await,
            Qr::Show(url, wait) => {
                let done = tokio::time::timeout(wait, scanned(&mut updates));
                // Scanned or expired: either way Telegram is asked again.
                let _ = io.show_until(Display::Qr(url), done).await?;
            }
        }
    }
    Err(LoginError::refused("nobody scanned the code; begin again"))
}

async fn finish(
    io: &mut LoginIo<Telegram>,
    api: &Api,
    signed_in: SignIn,
) -> Result<NewLogin<Telegram>, LoginError> {
    let user = match signed_in {
        SignIn::Done(user) => *user,
        SignIn::Password(password) => with_password(io, api, &password).await?,
    };
    if user.bot {
        return Err(LoginError::refused(
            "that is a bot's account; bots belong into the configuration",
        ));
    }
    if io.relogin().is_some_and(|id| *id != user.id) {
        return Err(LoginError::refused("that is another account than the one to be renewed"));
    }
    let credentials = Credentials { session: api.session().stored() };
    // The bridge connects with this session in a moment.
    api.quit();
    Ok(NewLogin::new(user.id, shown(&user), credentials).user(UserId::user(user.id)))
}

async fn with_password(
    io: &mut LoginIo<Telegram>,
    api: &Api,
    password: &Password,
) -> Result<tl::types::User, LoginError> {
    let hint = password.hint().map(|hint| format!(" Your hint: {hint}")).unwrap_or_default();
    for attempt in 1..=ATTEMPTS {
        let begin = if attempt == 1 {
            "Your account has a password besides."
        } else {
            "That password is wrong."
        };
        let form =
            Form::new().instructions(format!("{begin}{hint}")).password("password", "Password");
        let Secret { password } = io.ask(form).await?;
        match api.check_password(&password).await {
            Ok(user) => return Ok(user),
            Err(SignInError::WrongPassword) if attempt < ATTEMPTS => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(SignInError::WrongPassword.into())
}

/// What the account is called in lists.
fn shown(user: &tl::types::User) -> String {
    let number =
        user.phone.as_deref().filter(|phone| !phone.is_empty()).map(|phone| format!("+{phone}"));
    let username = user.username.as_deref().map(|name| format!("@{name}"));
    username.or(number).or_else(|| user.first_name.clone()).unwrap_or_else(|| user.id.to_string())
}

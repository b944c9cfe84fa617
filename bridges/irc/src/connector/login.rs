//! Logging in: a Matrix user's own nick, with or without an account of the network.

use landbridge_framework::login::{Form, LoginError, LoginIo};
use landbridge_framework::{NewLogin, RemoteId as _};
use serde::Deserialize;

use super::{Irc, LoginMeta};
use crate::client::Secret;
use crate::ids::Account;
use crate::nick;

#[derive(Deserialize)]
struct Guest {
    #[serde(default)]
    network: String,
    nick: String,
}

#[derive(Deserialize)]
struct WithAccount {
    #[serde(default)]
    network: String,
    nick: String,
    account: String,
    password: Secret,
}

const NETWORK: &str = "The network's name in this bridge; leave it empty for the default one";

/// Only a nick: one gets a connection that stays, private messages both ways, and the nick one wants.
pub(super) async fn guest(mut io: LoginIo<Irc>) -> Result<NewLogin<Irc>, LoginError> {
    let form = Form::new()
        .text("network", "Network")
        .describe(NETWORK)
        .default_value("")
        .text("nick", "Nick");
    let answer: Guest = io.ask(form).await?;
    finish(&io, &answer.network, &answer.nick, None, None)
}

/// An account with the network's services.
pub(super) async fn account(mut io: LoginIo<Irc>) -> Result<NewLogin<Irc>, LoginError> {
    let form = Form::new()
        .text("network", "Network")
        .describe(NETWORK)
        .default_value("")
        .text("nick", "Nick")
        .username("account", "Account")
        .password("password", "Password");
    let answer: WithAccount = io.ask(form).await?;
    finish(&io, &answer.network, &answer.nick, Some(answer.account), Some(answer.password))
}

fn finish(
    io: &LoginIo<Irc>,
    network: &str,
    nick: &str,
    account: Option<String>,
    password: Option<Secret>,
) -> Result<NewLogin<Irc>, LoginError> {
    if !nick::is_valid(nick) {
        return Err(LoginError::Refused(format!(
            "{nick:?} can't be a nick on IRC: letters, digits and -_[]\\`^{{|}} only, and no digit first"
        )));
    }
    let id = Account { network: network.trim().to_owned(), owner: Some(io.owner().to_owned()) };
    let name =
        if id.network.is_empty() { nick.to_owned() } else { format!("{nick} on {}", id.network) };
    tracing::info!(login = %id.encode(), "a Matrix user logs in to IRC");
    Ok(NewLogin::new(id, name, LoginMeta { nick: Some(nick.to_owned()), account, password }))
}

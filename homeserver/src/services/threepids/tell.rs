//! Tells the owners of accounts what was done with their addresses, or by them. It happens behind the request that did it: an SMTP
//! server that is slow or away keeps nobody from anything.

use lettre::Address;
use ruma::UserId;

use super::{EMAIL, letters, parse_email};
use crate::app::App;
use crate::services::email::Letter;

/// A password was set anew by e-mail.
pub async fn password_set(app: &App, user: &UserId) {
    tracing::info!(%user, "a password was set anew by e-mail");
    let server = &app.config.server_name;
    for address in addresses(app, user).await {
        send(app, letters::password_set(address, server, user));
    }
}

/// An account was given an address.
pub async fn address_added(app: &App, user: &UserId, new: &str) {
    let server = &app.config.server_name;
    for address in addresses(app, user).await {
        if AsRef::<str>::as_ref(&address) != new {
            send(app, letters::address_added(address, server, user, new));
        }
    }
}

/// An address was taken from an account.
pub fn address_removed(app: &App, user: &UserId, old: &str) {
    if let Some(address) = parse_email(old) {
        send(app, letters::address_removed(address, &app.config.server_name, user));
    }
}

/// The addresses of an account. What was done is done, so that nobody is refused because they can't be read.
async fn addresses(app: &App, user: &UserId) -> Vec<Address> {
    match app.threepids.list(user).await {
        Ok(known) => {
            let known = known.iter().filter(|known| known.medium == EMAIL);
            known.filter_map(|known| parse_email(&known.address)).collect()
        }
        Err(error) => {
            tracing::warn!(%user, %error, "the owner of an account could not be told what was done");
            Vec::new()
        }
    }
}

fn send(app: &App, letter: Letter) {
    if !app.mailer.is_on() {
        return;
    }
    let (mailer, now) = (app.mailer.clone(), app.clock.now_ms());
    app.background.spawn(async move {
        if let Err(error) = mailer.send(letter, now).await {
            tracing::warn!(%error, "an e-mail about an account was not sent");
        }
    });
}

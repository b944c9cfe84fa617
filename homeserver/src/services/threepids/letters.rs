//! What the server writes to people about their addresses. Every request for a proof sends one e-mail, whether or not the address
//! belongs to an account: only who reads that address learns which.

use lettre::Address;
use ruma::{ServerName, UserId};

use super::Purpose;
use crate::services::email::Letter;

/// The letter with the link that confirms an address.
pub fn confirm(to: Address, server: &ServerName, purpose: Purpose, link: &str) -> Letter {
    let (subject, what) = match purpose {
        Purpose::Register => ("Confirm your e-mail address", "create an account"),
        Purpose::Password => ("Set a new password", "set a new password for your account"),
        Purpose::Add => ("Confirm your e-mail address", "add this address to an account"),
    };
    let text = format!(
        "Hello,\n\n\
         somebody, hopefully you, asked to {what} on {server}.\n\
         To go on, open this link and confirm:\n\n\
         {link}\n\n\
         If it wasn't you, ignore this e-mail, and nothing happens.\n"
    );
    Letter { to, subject: format!("{subject} ({server})"), text, unsubscribe: None }
}

/// The letter to somebody who has an account with this address already.
pub fn in_use(to: Address, server: &ServerName, user: &UserId, purpose: Purpose) -> Letter {
    let what = match purpose {
        Purpose::Register => "create an account",
        _ => "add this address to an account",
    };
    let text = format!(
        "Hello,\n\n\
         somebody, hopefully you, asked to {what} on {server}.\n\
         But this address belongs to the account {user} there.\n\n\
         If you have forgotten its password, your Matrix client can set a new one with this address.\n\
         If it wasn't you, ignore this e-mail, and nothing happens.\n"
    );
    Letter { to, subject: format!("You have an account ({server})"), text, unsubscribe: None }
}

/// The letter to somebody who wants a new password, but has no account with this address.
pub fn no_account(to: Address, server: &ServerName) -> Letter {
    let text = format!(
        "Hello,\n\n\
         somebody, hopefully you, asked to set a new password on {server}.\n\
         But no account there has this address. If you have one, it has another address, or none.\n\n\
         If it wasn't you, ignore this e-mail, and nothing happens.\n"
    );
    Letter {
        to,
        subject: format!("No account with this address ({server})"),
        text,
        unsubscribe: None,
    }
}

/// The letter to somebody whose password was set anew by e-mail.
pub fn password_set(to: Address, server: &ServerName, user: &UserId) -> Letter {
    let text = format!(
        "Hello,\n\n\
         the password of your account {user} was just set anew, by the link in an e-mail.\n\n\
         If it wasn't you, somebody else reads your e-mail or had you follow the link. Set a new password\n\
         yourself with your Matrix client (\"Forgot password?\"), and tell whoever runs {server}.\n"
    );
    Letter { to, subject: format!("Your password was changed ({server})"), text, unsubscribe: None }
}

/// The letter to the other addresses of an account that was given one more.
pub fn address_added(to: Address, server: &ServerName, user: &UserId, address: &str) -> Letter {
    let text = format!(
        "Hello,\n\n\
         the address {address} was just added to your account {user}: with it one can log in, and set a new password.\n\n\
         If it wasn't you, take it away with your Matrix client, set a new password, and tell whoever runs {server}.\n"
    );
    Letter { to, subject: format!("An address was added ({server})"), text, unsubscribe: None }
}

/// The letter to an address that was taken from an account.
pub fn address_removed(to: Address, server: &ServerName, user: &UserId) -> Letter {
    let text = format!(
        "Hello,\n\n\
         this address was just taken from the account {user}: it can't set the account's password any more.\n\n\
         If it wasn't you, log in with your Matrix client, set a new password, and tell whoever runs {server}.\n"
    );
    Letter { to, subject: format!("Your address was removed ({server})"), text, unsubscribe: None }
}

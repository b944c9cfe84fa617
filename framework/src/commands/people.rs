//! Commands about logins and people.

use std::fmt::Write as _;

use super::reply::Reply;
use super::{Context, Outcome};
use crate::control::{Contact, ControlError, LoginInfo};

pub(super) async fn login(c: Context<'_>) -> Outcome {
    begin(&c, c.args.first().map(String::as_str), None).await
}

pub(super) async fn relogin(c: Context<'_>) -> Outcome {
    let login = own_login(&c, c.args.first().map(String::as_str)).await?;
    begin(&c, c.args.get(1).map(String::as_str), Some(&login)).await
}

async fn begin(c: &Context<'_>, flow: Option<&str>, relogin: Option<&str>) -> Outcome {
    let flows = c.inner.control.login_flows();
    let chosen = match (flow, &flows[..]) {
        (Some(id), flows) => flows.iter().find(|f| f.id.eq_ignore_ascii_case(id)),
        (None, [only]) => Some(only),
        (None, _) => None,
    };
    let Some(flow) = chosen else {
        if flows.is_empty() {
            return Err(ControlError::Unsupported("Nobody can log in to this network.".into()));
        }
        let mut text = String::from("Which way? Say `login` and one of these:\n");
        for flow in &flows {
            let _ = writeln!(text, "- `{}`: {}", flow.id, flow.title);
        }
        return Ok(text.trim_end().to_owned());
    };
    let process = c.inner.control.start_login(c.user, &flow.id, relogin).await?;
    c.inner.logins.start(c.user, c.room_id, c.event_id, process).await;
    Ok(String::new())
}

pub(super) async fn cancel(c: Context<'_>) -> Outcome {
    if c.inner.logins.cancel(c.user).await {
        Ok("The login was ended.".into())
    } else {
        Err(ControlError::NotFound("There is nothing to end.".into()))
    }
}

pub(super) async fn logout(c: Context<'_>) -> Outcome {
    let login = own_login(&c, c.args.first().map(String::as_str)).await?;
    c.inner.control.logout(c.user, &login).await?;
    Ok(format!("Logged out of `{login}`."))
}

pub(super) async fn list(c: Context<'_>) -> Outcome {
    let logins = c.inner.control.logins(c.user).await?;
    if logins.is_empty() {
        return Ok("You are not logged in. `login` begins.".into());
    }
    Ok(logins.iter().map(line).collect::<Vec<_>>().join("\n"))
}

fn line(login: &LoginInfo) -> String {
    let reason = login.reason.as_deref().map(|reason| format!(" ({reason})")).unwrap_or_default();
    format!("- `{}` {}: {}{reason}", login.id, login.name, login.state.replace('_', " "))
}

pub(super) async fn ping(c: Context<'_>) -> Outcome {
    let about = c.inner.control.about();
    let mut out = format!("I am **{}** for {}.", about.bot, about.network_name);
    let level = c.inner.control.level(c.user);
    let _ = write!(out, "\nYou are `{}` and may: {}.", c.user, format!("{level:?}").to_lowercase());
    let logins = c.inner.control.logins(c.user).await?;
    if logins.is_empty() {
        out.push_str("\nYou are not logged in.");
    }
    for login in &logins {
        out.push('\n');
        out.push_str(&line(login));
    }
    Ok(out)
}

pub(super) async fn login_matrix(c: Context<'_>) -> Outcome {
    let reply = Reply::new(&c.inner.matrix, c.room_id, c.event_id);
    let gone = reply.redact(c.event_id).await;
    c.inner.control.set_puppet(c.user, Some(c.rest)).await?;
    let warning = if gone { "" } else { " Please delete your message: it holds your token." };
    Ok(format!("From now on what you do on the network itself is shown as yours.{warning}"))
}

pub(super) async fn logout_matrix(c: Context<'_>) -> Outcome {
    c.inner.control.set_puppet(c.user, None).await?;
    Ok("Your access token is forgotten.".into())
}

pub(super) async fn resolve(c: Context<'_>) -> Outcome {
    match c.inner.control.resolve(c.user, None, c.rest).await? {
        Some(contact) => Ok(contact_line(&contact)),
        None => Err(nobody(c.rest)),
    }
}

pub(super) async fn search(c: Context<'_>) -> Outcome {
    let found = c.inner.control.search(c.user, None, c.rest).await?;
    if found.is_empty() {
        return Err(nobody(c.rest));
    }
    let more = found.len().saturating_sub(50);
    let mut lines: Vec<String> = found.iter().take(50).map(contact_line).collect();
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    Ok(lines.join("\n"))
}

pub(super) async fn start_chat(c: Context<'_>) -> Outcome {
    let contact =
        c.inner.control.resolve(c.user, None, c.rest).await?.ok_or_else(|| nobody(c.rest))?;
    let room = c.inner.control.start_chat(c.user, None, &contact.id).await?;
    Ok(format!("Here it is: https://matrix.to/#/{room}"))
}

fn nobody(query: &str) -> ControlError {
    ControlError::NotFound(format!("There is nobody called `{query}`."))
}

fn contact_line(contact: &Contact) -> String {
    let mut out = format!("- `{}`", contact.id);
    if let Some(name) = &contact.name {
        let _ = write!(out, " {name}");
    }
    if let Some(mxid) = &contact.mxid {
        let _ = write!(out, " (https://matrix.to/#/{mxid})");
    }
    out
}

/// The login that somebody means: the named one, or their only one.
pub(super) async fn own_login(
    c: &Context<'_>,
    named: Option<&str>,
) -> Result<String, ControlError> {
    let mut logins = c.inner.control.logins(c.user).await?;
    // The bridge's own are nobody's unless they are named.
    logins.retain(|login| named.is_some() || !login.system);
    match (named, &logins[..]) {
        (Some(id), logins) => logins
            .iter()
            .find(|login| login.id == id || login.name.eq_ignore_ascii_case(id))
            .map(|login| login.id.clone())
            .ok_or_else(|| {
                ControlError::NotFound(format!(
                    "You have no login `{id}`. `list-logins` shows them."
                ))
            }),
        (None, [only]) => Ok(only.id.clone()),
        (None, []) => Err(ControlError::NoLogin("You are not logged in. `login` begins.".into())),
        (None, _) => Err(ControlError::NoLogin("Which login? `list-logins` shows them.".into())),
    }
}

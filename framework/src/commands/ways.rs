//! Commands about single messages: where one is, and what became of those that failed.

use std::fmt::Write as _;

use super::{Context, Outcome};
use crate::control::ControlError;

pub(super) async fn trace(c: Context<'_>) -> Outcome {
    // A link to an event: its last part, without the servers to ask.
    let query = c.rest.rsplit('/').next().unwrap_or(c.rest);
    let query = if c.rest.starts_with("https://matrix.to/") {
        query.split('?').next().unwrap_or(query)
    } else {
        c.rest
    };
    let found = c.inner.control.trace(query).await?;
    let trace =
        found.ok_or_else(|| ControlError::NotFound("I have never seen that message.".into()))?;
    let mut out = format!("It is **{}**.", trace.state.replace('_', " "));
    if let Some(id) = &trace.event_id {
        let _ = write!(out, " Matrix calls it `{id}`.");
    }
    if let Some(id) = &trace.remote_id {
        let _ = write!(out, " The network calls it `{id}`.");
    }
    let first = trace.hops.first().map_or(0, |hop| hop.at_ms);
    for hop in &trace.hops {
        let note = hop.note.as_deref().map(|note| format!(": {note}")).unwrap_or_default();
        let _ = write!(out, "\n- after {} ms: {}{note}", hop.at_ms - first, hop.name);
    }
    Ok(out)
}

pub(super) async fn dead_letters(c: Context<'_>) -> Outcome {
    let id = |at: usize| {
        c.args.get(at).and_then(|id| id.parse::<i64>().ok()).ok_or_else(|| {
            ControlError::NotFound("Which one? `dead-letters` shows their numbers.".into())
        })
    };
    let done = |found: bool, text: &str| {
        let missing = || ControlError::NotFound("There is no dead letter of that number.".into());
        found.then(|| text.to_owned()).ok_or_else(missing)
    };
    match c.args.first().map(String::as_str) {
        None | Some("list") => {
            let letters = c.inner.control.dead_letters(20).await?;
            if letters.is_empty() {
                return Ok("There are no dead letters.".into());
            }
            let mut out = String::from("The newest dead letters (`replay` or `drop` by number):");
            for letter in letters {
                let place =
                    letter.portal.map(|portal| format!(" in `{portal}`")).unwrap_or_default();
                let _ = write!(
                    out,
                    "\n- **{}** {} ({}){place}: {}",
                    letter.id, letter.what, letter.queue, letter.error
                );
            }
            Ok(out)
        }
        Some("replay") => {
            done(c.inner.control.replay_dead_letter(id(1)?).await?, "It is tried again.")
        }
        Some("drop") => done(c.inner.control.drop_dead_letter(id(1)?).await?, "It is given up."),
        Some(other) => {
            Err(ControlError::NotFound(format!("`{other}` is none of list, replay and drop.")))
        }
    }
}

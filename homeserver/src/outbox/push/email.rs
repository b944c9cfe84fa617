//! Pushers of the kind `email` (Client-Server API, "Push Notifications"): whoever has not read for a while what they were notified of gets
//! an e-mail about it, all in one. As long as they read nothing, the next ones come ever more seldom.

pub mod letter;
pub mod unsubscribe;

use std::time::Duration;

use lettre::Address;
use ruma::UserId;

use self::letter::Told;
use super::news::News;
use super::worker::{Problem, Step};
use crate::app::App;
use crate::http::error::{ApiError, ApiResult};
use crate::services::threepids::{EMAIL, parse_email};
use crate::storage::pushers::{Mailed, Pusher, PusherKey};
use crate::storage::{notifications, receipts};

pub use crate::storage::pushers::EMAIL as KIND;

/// Their `app_id`.
pub const APP_ID: &str = "m.email";
/// Notifications that are looked at to find the oldest that is unread.
const LOOK: usize = 5;
/// Those that one e-mail may tell of.
const MOST: usize = 30;
const HOUR_MS: i64 = 60 * 60 * 1000;
/// E-mails go out at least so often while there is something unread.
const LONGEST_MS: i64 = 24 * HOUR_MS;

/// Refuses a pusher whose address is not its user's (400 `M_THREEPID_NOT_FOUND`), and all where no e-mail is sent.
pub async fn may_set(app: &App, user: &UserId, key: &PusherKey) -> ApiResult<()> {
    if !app.mailer.is_on() {
        return Err(ApiError::invalid_param("This server sends no e-mail"));
    }
    if key.app_id != APP_ID {
        let text = format!("The app_id of a pusher of kind {KIND:?} must be {APP_ID:?}");
        return Err(ApiError::invalid_param(text));
    }
    if address(app, user, &key.pushkey).await?.is_some() {
        return Ok(());
    }
    let text = "That address is not one of the account's";
    Err(ApiError::new(http::StatusCode::BAD_REQUEST, "M_THREEPID_NOT_FOUND", text))
}

/// The address of a pusher, if it is the user's.
async fn address(app: &App, user: &UserId, pushkey: &str) -> ApiResult<Option<Address>> {
    let owner = app.threepids.owner(EMAIL, pushkey).await?;
    Ok(if owner.is_some_and(|owner| owner == user) { parse_email(pushkey) } else { None })
}

/// Sends an e-mail if it is time for one.
pub(super) async fn step(app: &App, user: &UserId, mut pusher: Pusher) -> Result<Step, Problem> {
    // Taken first: what is due by it is decided by what is known after it.
    let now = app.clock.now_ms();
    // Who is locked out reads nothing this way either.
    let locked = app.accounts.get(user).await?.is_some_and(|account| account.locked);
    if !app.mailer.is_on() || locked {
        return Ok(Step::Idle);
    }
    let Some(to) = address(app, user, &pusher.key.pushkey).await? else {
        app.pushers.reject(user, &pusher).await?;
        return Ok(Step::Again);
    };
    // What is read from here on is read after the e-mail.
    let head = app.feed.head();
    let upto = app.notifications.noted();
    let before = pusher.pos;
    let mut oldest = None;
    for row in notifications::after(&app.db, user, before, upto, LOOK).await? {
        if News::of(app, user, &row).await?.is_some() {
            oldest = Some(row.ts);
            break;
        }
        pusher.pos = row.pos;
    }
    if pusher.pos > before {
        // What is read by now, or old, needn't be looked at again.
        app.pushers.told(user, &pusher).await?;
    }
    let Some(oldest) = oldest else {
        return Ok(if pusher.pos > before { Step::Again } else { Step::Idle });
    };
    let mailed = pusher.mailed;
    let reads = mailed.count > 0 && receipts::any_since(&app.db, user, mailed.pos).await?;
    let count = if reads { 0 } else { mailed.count };
    let delay_ms = app.config.email.notification_delay_seconds as i64 * 1000;
    let due = due(oldest, delay_ms, Mailed { count, ..mailed });
    if now < due {
        return Ok(Step::Wait(Duration::from_millis((due - now) as u64)));
    }
    let mut told = Told::default();
    // What was noted meanwhile goes with it: the next e-mail may be hours away.
    let upto = app.notifications.noted();
    let page = notifications::after(&app.db, user, pusher.pos, upto, MOST).await?;
    told.more = page.len() == MOST;
    for row in page {
        if let Some(news) = News::of(app, user, &row).await? {
            told.add(app, user, &news).await?;
        }
    }
    if told.is_empty() {
        // All was read meanwhile.
        return Ok(Step::Again);
    }
    let letter = told.letter(app, user, to, &pusher.key.pushkey);
    let sent = app.mailer.send(letter, now).await;
    let outcome = if sent.is_ok() { "taken" } else { "failed" };
    metrics::counter!("landbridge_pushes_total", "outcome" => outcome).increment(1);
    sent?;
    pusher.pos = upto;
    pusher.mailed = Mailed { ms: now, pos: head, count: count + 1 };
    app.pushers.mailed(user, &pusher).await?;
    Ok(Step::Again)
}

/// For how long nothing is sent to a mailbox that has just refused an e-mail: an hour, as it may be a mistake of the SMTP server.
pub(super) fn pause(refused_ms: i64, now_ms: i64) -> Option<Duration> {
    let rest = refused_ms + HOUR_MS - now_ms;
    (rest > 0).then(|| Duration::from_millis(rest.unsigned_abs()))
}

/// When an e-mail is due: some time after the oldest unread notification; after another that brought nobody to read anything, first an
/// hour later, then two, four...
fn due(oldest_ms: i64, delay_ms: i64, mailed: Mailed) -> i64 {
    let due = oldest_ms + delay_ms;
    let wait = match mailed.count {
        ..=0 => return due,
        count => (HOUR_MS << (count - 1).min(8)).min(LONGEST_MS),
    };
    due.max(mailed.ms + wait)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn emails_come_more_seldom_the_longer_nothing_is_read() {
        let after = |count| due(1_000, 600_000, Mailed { ms: 500_000, pos: 0, count }) - 500_000;
        assert_eq!(after(0), 101_000);
        let hours: Vec<i64> = (1..8).map(|count| after(count) / HOUR_MS).collect();
        assert_eq!(hours, [1, 2, 4, 8, 16, 24, 24]);
        assert_eq!(after(i64::MAX), LONGEST_MS);
        // What came long after the last e-mail waits as it always does.
        let late = Mailed { ms: 0, pos: 0, count: 1 };
        assert_eq!(due(9 * HOUR_MS, 600_000, late), 9 * HOUR_MS + 600_000);
    }
}

//! Waiting for what must come.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::control::{Control, LoginInfo};

/// How long something may take on a busy machine.
const PATIENCE: Duration = Duration::from_mins(2);
/// How often it is looked: at first, and when it takes long.
const PAUSES: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(100));

/// Waits until something holds.
///
/// # Panics
///
/// When it does not within two minutes; `what` says what was waited for.
pub async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    let mut pause = PAUSES.0;
    while !holds() {
        assert!(Instant::now() < until, "it never came: {what}");
        sleep(pause).await;
        pause = (pause * 5 / 4).min(PAUSES.1);
    }
}

/// Somebody's own logins.
///
/// # Panics
///
/// When the bridge doesn't answer.
pub async fn own_logins(control: &dyn Control, user: &str) -> Vec<LoginInfo> {
    let mut all = control.logins(user).await.expect("the bridge answers");
    all.retain(|login| !login.system);
    all
}

/// Waits until a login that somebody sees is in a state; gives it.
///
/// # Panics
///
/// When it is not within two minutes.
pub async fn login_becomes(
    control: &dyn Control,
    user: &str,
    which: impl Fn(&LoginInfo) -> bool,
    state: &str,
) -> LoginInfo {
    let until = Instant::now() + PATIENCE;
    loop {
        let all = control.logins(user).await.expect("the bridge answers");
        let login = all.into_iter().find(&which);
        if let Some(login) = login.as_ref().filter(|login| login.state == state) {
            return login.clone();
        }
        assert!(Instant::now() < until, "it never became {state}: {login:?}");
        sleep(PAUSES.1).await;
    }
}

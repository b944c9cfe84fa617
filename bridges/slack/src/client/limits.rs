//! What Slack has asked to wait with: each method of each token by itself, and messages by channel as well
//! (<https://docs.slack.dev/apis/web-api/rate-limits>). What isn't limited goes on.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// The longest that is believed.
const MAX_WAIT: Duration = Duration::from_mins(15);

/// What is limited: whose token, which method, and in which channel where Slack counts by channel.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Bucket {
    who: String,
    method: String,
    channel: Option<String>,
}

/// Until when what has to wait.
#[derive(Default)]
pub(crate) struct Limits(Mutex<HashMap<Bucket, Instant>>);

impl Limits {
    fn bucket(who: &str, method: &str, channel: Option<&str>) -> Bucket {
        // Messages are counted by channel, everything else by workspace.
        let by_channel = method == "chat.postMessage";
        Bucket {
            who: who.to_owned(),
            method: method.to_owned(),
            channel: channel.filter(|_| by_channel).map(ToOwned::to_owned),
        }
    }

    /// How long to wait before calling a method; `None` is not at all.
    pub(crate) fn wait(&self, who: &str, method: &str, channel: Option<&str>) -> Option<Duration> {
        let waits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let until = waits.get(&Self::bucket(who, method, channel))?;
        let left = until.saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(left)
    }

    /// Slack asked to wait.
    pub(crate) fn asked(&self, who: &str, method: &str, channel: Option<&str>, wait: Duration) {
        let now = Instant::now();
        let mut waits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waits.retain(|_, until| *until > now);
        waits.insert(Self::bucket(who, method, channel), now + wait.min(MAX_WAIT));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_limit_stops_its_method_and_channel_only() {
        let limits = Limits::default();
        let post = "chat.postMessage";
        limits.asked("T1", post, Some("C1"), Duration::from_secs(3));
        assert_eq!(limits.wait("T1", post, Some("C1")), Some(Duration::from_secs(3)));
        assert_eq!(limits.wait("T1", post, Some("C2")), None);
        assert_eq!(limits.wait("T2", post, Some("C1")), None);
        limits.asked("T1", "reactions.add", Some("C1"), Duration::from_secs(9));
        assert_eq!(limits.wait("T1", "reactions.add", Some("C2")), Some(Duration::from_secs(9)));
        tokio::time::advance(Duration::from_secs(4)).await;
        assert_eq!(limits.wait("T1", post, Some("C1")), None);
        assert!(limits.wait("T1", "reactions.add", None).is_some());
    }
}

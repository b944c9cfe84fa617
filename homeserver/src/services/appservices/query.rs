//! Asking services whether something exists that is theirs: they create it before they say yes
//! (Application Service API, "Querying").

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use landbridge_registration::Mask;
use ruma::{RoomAliasId, UserId};

use super::transport::segment;
use super::{Appservice, Appservices};

/// How long one service may take to create what it is asked for.
const TIME: Duration = Duration::from_secs(20);
/// How often a service is asked that does not answer.
const TRIES: u32 = 3;

impl Appservices {
    /// Asks the services in whose namespace an unknown alias of this server lies; whether one has created it.
    pub async fn query_alias(&self, alias: &RoomAliasId) -> bool {
        let id = segment(alias.as_str());
        let services = self.of(self.alias(alias).interested);
        ask(services, &format!("/rooms/{id}"), &format!("/rooms/{id}")).await
    }

    /// Asks the services in whose namespace an unknown user of this server lies; whether one has created them.
    pub async fn query_user(&self, user: &UserId) -> bool {
        let id = segment(user.as_str());
        let services = self.of(self.user(user).interested);
        ask(services, &format!("/users/{id}"), &format!("/users/{id}")).await
    }

    fn of(&self, mask: Mask) -> Vec<Arc<Appservice>> {
        mask.iter()
            .filter_map(|number| self.by_number(number))
            .filter(|service| service.wants_traffic())
            .collect()
    }
}

/// Asks one service after the other until one says yes.
async fn ask(services: Vec<Arc<Appservice>>, path: &str, legacy: &str) -> bool {
    let work = async {
        for service in services {
            for attempt in 1..=TRIES {
                match service.transport().call(Method::GET, path, Some(legacy), None, TIME).await {
                    Ok(answer) if answer.status.is_success() => return true,
                    Ok(answer) if answer.status.is_server_error() => {
                        tracing::warn!(service = service.id(), status = %answer.status, "a query failed");
                    }
                    Ok(_) => break,
                    Err(error) => tracing::warn!(service = service.id(), %error, "a query failed"),
                }
                tokio::time::sleep(Duration::from_millis(200 * u64::from(attempt))).await;
            }
        }
        false
    };
    // A client waits for this, so the whole has a limit, too.
    tokio::time::timeout(TIME, work).await.unwrap_or(false)
}

//! Send-to-device messaging (Client-Server API, "Send-to-Device messaging").

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::FutureExt;
use ruma::{OwnedDeviceId, OwnedUserId, UserId};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::clock::Clock;
use crate::commit::{CommitError, Committer};
use crate::feed::Change;
use crate::storage::{devices, to_device};

/// For how long a transaction ID is remembered.
const REMEMBER_MS: i64 = 30 * 24 * 3600 * 1000;

/// What goes to a user: to one device, or with `*` to all of them.
pub type Messages = BTreeMap<OwnedUserId, BTreeMap<String, Box<RawValue>>>;

/// Delivers messages to devices.
pub struct ToDevice {
    committer: Committer,
    clock: Arc<dyn Clock>,
}

#[derive(Serialize)]
struct Message<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    sender: &'a UserId,
    content: &'a RawValue,
}

impl ToDevice {
    /// A service that writes through this committer.
    pub fn new(committer: Committer, clock: Arc<dyn Clock>) -> Self {
        Self { committer, clock }
    }

    /// Queues messages for their devices; devices that don't exist get none. A request (`scope` and `request`) that was done
    /// before does nothing.
    pub async fn send(
        &self,
        sender: &UserId,
        kind: &str,
        messages: Messages,
        scope: String,
        request: String,
    ) -> Result<(), CommitError> {
        let now = self.clock.now_ms();
        let (sender, kind, messages) =
            (sender.to_owned(), Arc::<str>::from(kind), Arc::new(messages));
        self.committer
            .run(move |tx| {
                let (sender, kind, messages) = (sender.clone(), kind.clone(), messages.clone());
                let (scope, request) = (scope.clone(), request.clone());
                async move {
                    if !to_device::mark_done(tx, &scope, &request, now).await? {
                        return Ok(());
                    }
                    to_device::purge_done(tx, now - REMEMBER_MS).await?;
                    for (user, by_device) in messages.iter() {
                        let known: Vec<OwnedDeviceId> = devices::list_in(tx, user)
                            .await?
                            .into_iter()
                            .map(|device| device.device_id)
                            .collect();
                        for (target, content) in by_device {
                            let message = Message { kind: &kind, sender: &sender, content };
                            let text = serde_json::to_string(&message).map_err(|error| {
                                crate::storage::StorageError::Damaged(error.to_string())
                            })?;
                            for device in known
                                .iter()
                                .filter(|device| target == "*" || target == device.as_str())
                            {
                                let pos = tx.next_pos();
                                to_device::insert(tx, user, device, pos, &text).await?;
                                let change =
                                    Change::ToDevice { user: user.clone(), device: device.clone() };
                                tx.publish(pos, change);
                            }
                        }
                    }
                    Ok(())
                }
                .boxed()
            })
            .await
    }
}

impl std::fmt::Debug for ToDevice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ToDevice").finish_non_exhaustive()
    }
}

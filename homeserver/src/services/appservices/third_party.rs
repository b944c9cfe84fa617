//! Third-party networks: what services know of the world outside, put together
//! (Client-Server API, "Third-party networks").

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use http::Method;
use serde_json::{Map, Value, json};

use super::transport::segment;
use super::{Appservice, Appservices, InstanceId};

const TIME: Duration = Duration::from_secs(10);
/// How many entries of one service's answer are taken.
const MAX_ENTRIES: usize = 1000;

/// The fields of a lookup, from the query of the request; without the client's access token.
pub type Fields = Vec<(String, String)>;

impl Appservices {
    /// What the services say of all their protocols.
    pub async fn protocols(&self) -> BTreeMap<String, Value> {
        let mut names: Vec<String> = self
            .all()
            .iter()
            .flat_map(|service| service.registration().protocols.clone())
            .collect();
        names.sort();
        names.dedup();
        let found = join_all(names.iter().map(|name| self.protocol(name))).await;
        names.into_iter().zip(found).filter_map(|(name, found)| Some((name, found?))).collect()
    }

    /// What the services say of one protocol; `None` if none has it. Several services may each have networks of
    /// it: the first one's fields count, and all their instances.
    pub async fn protocol(&self, name: &str) -> Option<Value> {
        let services = self.providing(Some(name));
        let path = format!("/thirdparty/protocol/{}", segment(name));
        let answers = self.ask_all(services, &path, &Fields::new()).await;
        let mut merged: Option<Map<String, Value>> = None;
        for (service, answer) in answers {
            let Value::Object(mut protocol) = answer else { continue };
            let mut instances = match protocol.remove("instances") {
                Some(Value::Array(instances)) => instances,
                _ => Vec::new(),
            };
            instances.truncate(MAX_ENTRIES);
            for instance in instances.iter_mut().filter_map(Value::as_object_mut) {
                // By this clients ask for the network's rooms in /publicRooms.
                if let Some(network) = instance.get("network_id").and_then(Value::as_str) {
                    let id = InstanceId {
                        appservice: service.id().to_owned(),
                        network: network.to_owned(),
                    };
                    instance.insert("instance_id".to_owned(), id.to_string().into());
                }
                complete(instance, &[("desc", json!("")), ("fields", json!({}))]);
            }
            let whole = merged.get_or_insert(protocol);
            complete(
                whole,
                &[
                    ("user_fields", json!([])),
                    ("location_fields", json!([])),
                    ("icon", json!("")),
                    ("field_types", json!({})),
                ],
            );
            match whole.entry("instances").or_insert_with(|| Value::Array(Vec::new())) {
                Value::Array(all) => all.extend(instances),
                other => *other = Value::Array(instances),
            }
        }
        merged.map(Value::Object)
    }

    /// Locations of a protocol; `None` if no service has the protocol.
    pub async fn locations(&self, protocol: &str, fields: &Fields) -> Option<Vec<Value>> {
        self.lookup("location", protocol, fields).await
    }

    /// Users of a protocol; `None` if no service has the protocol.
    pub async fn users(&self, protocol: &str, fields: &Fields) -> Option<Vec<Value>> {
        self.lookup("user", protocol, fields).await
    }

    /// The locations behind an alias.
    pub async fn locations_of_alias(&self, alias: &str) -> Vec<Value> {
        let fields = vec![("alias".to_owned(), alias.to_owned())];
        lists(self.ask_all(self.providing(None), "/thirdparty/location", &fields).await)
    }

    /// The third-party users behind a user id.
    pub async fn users_of_id(&self, user: &str) -> Vec<Value> {
        let fields = vec![("userid".to_owned(), user.to_owned())];
        lists(self.ask_all(self.providing(None), "/thirdparty/user", &fields).await)
    }

    async fn lookup(&self, what: &str, protocol: &str, fields: &Fields) -> Option<Vec<Value>> {
        let services = self.providing(Some(protocol));
        if services.is_empty() {
            return None;
        }
        let path = format!("/thirdparty/{what}/{}", segment(protocol));
        Some(lists(self.ask_all(services, &path, fields).await))
    }

    /// Services with a protocol, or with any.
    fn providing(&self, protocol: Option<&str>) -> Vec<Arc<Appservice>> {
        self.all()
            .into_iter()
            .filter(|service| service.wants_traffic())
            .filter(|service| match protocol {
                Some(protocol) => service.provides(protocol),
                None => !service.registration().protocols.is_empty(),
            })
            .collect()
    }

    /// Asks services at once and gives those that answered. One that fails only leaves its part out.
    async fn ask_all(
        &self,
        services: Vec<Arc<Appservice>>,
        path: &str,
        fields: &Fields,
    ) -> Vec<(Arc<Appservice>, Value)> {
        let query: String =
            url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let query = if query.is_empty() { query } else { format!("?{query}") };
        let (current, legacy) =
            (format!("{path}{query}"), format!("/_matrix/app/unstable{path}{query}"));
        let asked = services.into_iter().map(|service| {
            let (current, legacy) = (&current, &legacy);
            async move {
                match service.transport().call(Method::GET, current, Some(legacy), None, TIME).await {
                    Ok(answer) if answer.status.is_success() => {
                        let value = serde_json::from_slice(&answer.body).ok()?;
                        Some((service, value))
                    }
                    Ok(_) => None,
                    Err(error) => {
                        tracing::warn!(service = service.id(), %error, "a third-party lookup failed");
                        None
                    }
                }
            }
        });
        join_all(asked).await.into_iter().flatten().collect()
    }
}

/// Adds what the spec requires and a service left out, so that clients get no half of a protocol.
fn complete(object: &mut Map<String, Value>, required: &[(&str, Value)]) {
    for (key, empty) in required {
        if object
            .get(*key)
            .is_none_or(|value| std::mem::discriminant(value) != std::mem::discriminant(empty))
        {
            object.insert((*key).to_owned(), empty.clone());
        }
    }
}

fn lists(answers: Vec<(Arc<Appservice>, Value)>) -> Vec<Value> {
    answers
        .into_iter()
        .flat_map(|(_, answer)| match answer {
            Value::Array(list) => list.into_iter().take(MAX_ENTRIES).collect(),
            _ => Vec::new(),
        })
        .filter(Value::is_object)
        .collect()
}

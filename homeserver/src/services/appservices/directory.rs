//! The room directories of networks: a service publishes rooms under a network of its own, and clients find them
//! by the instance's id (Client-Server API, `third_party_instance_id`).

use std::fmt;
use std::str::FromStr;

/// A network of a service, written `SERVICE|NETWORK` as the field has it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct InstanceId {
    /// The service's id.
    pub appservice: String,
    /// The network, as the service names it.
    pub network: String,
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}|{}", self.appservice, self.network)
    }
}

impl FromStr for InstanceId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        // A service's id holds no bar; a network's may.
        let (appservice, network) = text.split_once('|').ok_or(())?;
        if appservice.is_empty() || network.is_empty() {
            return Err(());
        }
        Ok(Self { appservice: appservice.to_owned(), network: network.to_owned() })
    }
}

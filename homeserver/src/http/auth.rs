//! Who makes a request (Client-Server API, "Client Authentication").

mod guests;
mod moderation;

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequestParts, MatchedPath};
use http::header::{AUTHORIZATION, USER_AGENT};
use http::request::Parts;
use http::{HeaderMap, StatusCode, Uri};
use ruma::{DeviceId, OwnedDeviceId, OwnedUserId, UserId};

use crate::app::App;
use crate::http::error::{ApiError, ApiResult};
use crate::http::extract::query_one;
use crate::http::limit::Limit;
use crate::server::Peer;
use crate::services::appservices::Appservice;
use crate::services::delegation::Delegated;
use crate::services::sessions::Lookup;

/// The user that a request comes from. Extracting it authenticates the request; for a session that was used lately this
/// needs no I/O. Guests get through only where the spec lets them.
#[derive(Debug, Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each says another thing of the session, and any goes with any other"
)]
pub struct Requester {
    /// Who.
    pub user: OwnedUserId,
    /// With which device.
    pub device: Option<OwnedDeviceId>,
    /// Whether the account is a guest's.
    pub guest: bool,
    /// Whether a client was granted the session by OAuth 2.0, so that the account is managed in a browser.
    pub oauth: bool,
    /// Whether the session may use the administration API whatever the account may.
    pub admin: bool,
    /// Whether the account is suspended. What is then forbidden altogether doesn't get this far; what depends on more
    /// than the path, handlers refuse.
    pub suspended: bool,
    /// From where.
    pub address: Option<IpAddr>,
    /// The application service that acts as the user.
    pub appservice: Option<Arc<Appservice>>,
}

/// Whoever asks, if they say who they are.
#[derive(Debug, Clone)]
pub struct MaybeRequester(pub Option<Requester>);

/// The address that a request comes from, as far as it is known: requests within the process have none.
#[derive(Debug, Clone, Copy)]
pub struct Address(pub Option<IpAddr>);

impl Address {
    /// What limits count the address by. An IPv6 network counts as one: whoever has one address there has 2^64 of them.
    pub fn key(self) -> String {
        match self.0.map(|address| address.to_canonical()) {
            None => String::new(),
            Some(IpAddr::V4(address)) => address.to_string(),
            Some(IpAddr::V6(address)) => {
                let [a, b, c, d, ..] = address.segments();
                format!("{}/64", Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
            }
        }
    }
}

impl Requester {
    /// The device, where the request makes no sense without one.
    pub fn device(&self) -> ApiResult<&DeviceId> {
        self.device
            .as_deref()
            .ok_or_else(|| ApiError::missing_param("This needs a device; say which with device_id"))
    }

    /// Refuses requests about another user's things.
    pub fn must_be(&self, user: &UserId) -> ApiResult<()> {
        if self.user == user {
            Ok(())
        } else {
            Err(ApiError::forbidden("That belongs to another user"))
        }
    }

    /// Whether the request comes from an administrator. A client that was granted its session by OAuth 2.0 has an administrator's
    /// rights only where these were granted to it, too.
    pub async fn is_admin(&self, app: &App) -> ApiResult<bool> {
        Ok(self.admin || !self.oauth && app.accounts.is_admin(&self.user).await?)
    }

    /// Refuses whoever isn't an administrator.
    pub async fn must_be_admin(&self, app: &App) -> ApiResult<()> {
        if self.is_admin(app).await? {
            Ok(())
        } else {
            Err(ApiError::forbidden("Only administrators may do that"))
        }
    }

    /// Counts the request against the user's limit.
    pub fn limit(&self, app: &App, limit: Limit) -> ApiResult<()> {
        if self.appservice.as_ref().is_some_and(|service| !service.rate_limited()) {
            return Ok(());
        }
        app.limits.check(limit, self.user.as_str())
    }

    /// Within what a transaction ID is unique: the user and the device, and the application service that acts as them.
    pub fn txn_scope(&self) -> String {
        let service = self
            .appservice
            .as_ref()
            .map(|service| format!("{}|", service.id()))
            .unwrap_or_default();
        format!("{service}{}|{}", self.user, self.device.as_deref().map_or("", DeviceId::as_str))
    }
}

/// An application service acts as one of its users, and perhaps as one of that user's devices (Application Service API,
/// "Identity assertion"). Without `user_id` it acts as its own user, which is made at the first need.
async fn masquerade(
    app: &App,
    service: Arc<Appservice>,
    uri: &Uri,
    address: Option<IpAddr>,
) -> ApiResult<Requester> {
    let user = match query_one(uri, "user_id") {
        None => service.sender().to_owned(),
        Some(id) => UserId::parse(&id)
            .map_err(|_| ApiError::invalid_param(format!("{id:?} is not a user ID")))?,
    };
    if user == service.sender() {
        app.accounts.ensure_appservice_user(&user, service.id()).await?;
    } else {
        // A bridge that double puppets may act as any local user, so that people's own messages from the other side
        // are their own here (double puppeting), but not as another service's.
        let own = service.owns_user(&user)
            || service.double_puppets()
                && !app.appservices.exclusive_user(&user, Some(service.id()));
        if !own {
            return Err(ApiError::forbidden(format!(
                "The application service may not act as {user}"
            )));
        }
        if !app.accounts.active(&user).await? {
            return Err(ApiError::forbidden(format!(
                "The application service has not registered {user}"
            )));
        }
    }
    let device: Option<OwnedDeviceId> = query_one(uri, "device_id")
        .or_else(|| query_one(uri, "org.matrix.msc3202.device_id"))
        .map(OwnedDeviceId::from);
    if let Some(device) = &device
        && !app.devices.exists(&user, device).await?
    {
        let text = format!("{user} has no device {device}");
        return Err(ApiError::new(StatusCode::BAD_REQUEST, "M_UNKNOWN_DEVICE", text));
    }
    let (guest, oauth, admin, suspended) = (false, false, false, false);
    let appservice = Some(service);
    Ok(Requester { user, device, guest, oauth, admin, suspended, address, appservice })
}

/// Holds a request against what was done to the account (Client-Server API, "Account moderation"): refuses what those who are
/// locked out or suspended may not do, and tells whether the account is suspended.
async fn moderated(app: &App, user: &UserId, parts: &Parts) -> ApiResult<bool> {
    let Some(account) = app.accounts.get(user).await? else { return Ok(false) };
    let path = parts.extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str);
    if account.locked && !moderation::may_locked(path) {
        return Err(ApiError::user_locked());
    }
    if account.suspended && !moderation::may_suspended(&parts.method, path) {
        return Err(ApiError::user_suspended());
    }
    Ok(account.suspended)
}

/// Somebody whom an authorisation server let in.
async fn delegated(
    app: &App,
    found: Delegated,
    parts: &Parts,
    address: Option<IpAddr>,
) -> ApiResult<Requester> {
    let suspended = moderated(app, &found.user, parts).await?;
    let device = found.session.as_ref().and_then(|session| session.device.clone());
    if let Some(session) = &found.session {
        let agent = parts.headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok());
        app.sessions.seen(session, address, agent);
    }
    let (user, admin) = (found.user, found.admin);
    let (guest, oauth, appservice) = (false, true, None);
    Ok(Requester { user, device, guest, oauth, admin, suspended, address, appservice })
}

/// The access token of a request: the header's, else the query's, which older clients use.
pub fn access_token(headers: &HeaderMap, uri: &Uri) -> Option<String> {
    match headers.get(AUTHORIZATION) {
        Some(value) => {
            let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
            let token = token.trim();
            (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then(|| token.to_owned())
        }
        None => query_one(uri, "access_token").filter(|token| !token.is_empty()),
    }
}

impl FromRequestParts<Arc<App>> for Requester {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        let token = access_token(&parts.headers, &parts.uri).ok_or_else(ApiError::missing_token)?;
        let Address(address) = Address::from_request_parts(parts, app).await?;
        if let Some(service) = app.appservices.by_token(&token) {
            let mut requester = masquerade(app, service, &parts.uri, address).await?;
            requester.suspended = moderated(app, &requester.user, parts).await?;
            return Ok(requester);
        }
        // Who was let in elsewhere lately is known without reading a table.
        if let Some(delegation) = &app.delegation
            && let Some(found) = delegation.known(app, &token).await?
        {
            return delegated(app, found, parts, address).await;
        }
        let session = match (app.sessions.find(&token).await?, &app.delegation) {
            (Lookup::Live(session), _) => session,
            (_, Some(delegation)) => {
                let found = delegation.introspect(app, &token).await?;
                let found = found.ok_or_else(|| ApiError::unknown_token(false))?;
                return delegated(app, found, parts, address).await;
            }
            (Lookup::Expired, None) => return Err(ApiError::unknown_token(true)),
            (Lookup::Unknown, None) => return Err(ApiError::unknown_token(false)),
        };
        if session.guest
            && !guests::may(
                &parts.method,
                parts.extensions.get::<MatchedPath>().map(MatchedPath::as_str),
                &parts.uri,
            )
        {
            let text = "Guests may not do that; register an account";
            return Err(ApiError::new(StatusCode::FORBIDDEN, "M_GUEST_ACCESS_FORBIDDEN", text));
        }
        let suspended = moderated(app, &session.user, parts).await?;
        let agent = parts.headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok());
        app.sessions.seen(&session, address, agent);
        // Whoever granted it may be no administrator any more.
        let admin = session.admin && app.accounts.is_admin(&session.user).await?;
        Ok(Self {
            user: session.user.clone(),
            device: session.device.clone(),
            guest: session.guest,
            oauth: session.oauth,
            admin,
            suspended,
            address,
            appservice: None,
        })
    }
}

impl FromRequestParts<Arc<App>> for MaybeRequester {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        if access_token(&parts.headers, &parts.uri).is_none() {
            return Ok(Self(None));
        }
        Requester::from_request_parts(parts, app).await.map(|requester| Self(Some(requester)))
    }
}

impl FromRequestParts<Arc<App>> for Address {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        let peer = parts
            .extensions
            .get::<ConnectInfo<Peer>>()
            .map(|ConnectInfo(Peer(address))| address.ip());
        if app.config.listen.behind_proxy
            && let Some(told) = forwarded_for(&parts.headers)
        {
            return Ok(Self(Some(told)));
        }
        Ok(Self(peer))
    }
}

/// The last address in `X-Forwarded-For`: the one that the proxy in front has seen itself; clients can write the others.
fn forwarded_for(headers: &HeaderMap) -> Option<IpAddr> {
    let last = headers.get_all("x-forwarded-for").into_iter().next_back()?;
    last.to_str().ok()?.rsplit(',').next()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(
            http::HeaderName::from_static(name),
            HeaderValue::from_str(value).unwrap(),
        )])
    }

    #[test]
    fn the_header_goes_before_the_query() {
        let uri: Uri = "/x?access_token=query".parse().unwrap();
        assert_eq!(
            access_token(&headers("authorization", "Bearer head"), &uri).as_deref(),
            Some("head")
        );
        assert_eq!(
            access_token(&headers("authorization", "bearer  head"), &uri).as_deref(),
            Some("head")
        );
        assert_eq!(access_token(&headers("authorization", "Basic x"), &uri), None);
        assert_eq!(access_token(&HeaderMap::new(), &uri).as_deref(), Some("query"));
        assert_eq!(access_token(&HeaderMap::new(), &"/x?access_token=".parse().unwrap()), None);
    }

    #[test]
    fn limits_count_a_network_as_one() {
        let key = |text: &str| Address(Some(text.parse().unwrap())).key();
        assert_eq!(key("192.0.2.7"), "192.0.2.7");
        assert_eq!(key("::ffff:192.0.2.7"), "192.0.2.7");
        assert_eq!(key("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
        assert_eq!(key("2001:db8:1:2:ffff::1"), key("2001:db8:1:2::"));
        assert_ne!(key("2001:db8:1:3::1"), key("2001:db8:1:2::1"));
        assert_eq!(Address(None).key(), "");
    }

    #[test]
    fn clients_can_not_choose_their_address() {
        let told = forwarded_for(&headers("x-forwarded-for", "6.6.6.6, 192.0.2.7"));
        assert_eq!(told, Some("192.0.2.7".parse().unwrap()));
        assert_eq!(forwarded_for(&HeaderMap::new()), None);
    }
}

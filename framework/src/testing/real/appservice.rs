//! Where the homeserver reaches the bridge, which comes and goes.

use std::{
    net::{SocketAddr, TcpListener},
    sync::{Arc, Mutex, PoisonError},
};

use axum::{Router, extract::Request, response::IntoResponse};
use http::StatusCode;
use tokio::runtime::Handle;
use tower::ServiceExt;

/// An address that answers for the bridge while that is there.
pub(super) struct Listener {
    address: SocketAddr,
    bridge: Arc<Mutex<Option<Router>>>,
}

impl Listener {
    /// Listens in a runtime, until that ends.
    pub(super) fn start(runtime: &Handle) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it has an address");
        listener.set_nonblocking(true).expect("a socket need not block");
        let bridge = Arc::new(Mutex::new(None::<Router>));
        let target = bridge.clone();
        let router = Router::new().fallback(move |request: Request| {
            let bridge = target.lock().unwrap_or_else(PoisonError::into_inner).clone();
            async move {
                match bridge {
                    // A router is a service that can't fail.
                    Some(bridge) => bridge.oneshot(request).await.into_response(),
                    None => StatusCode::SERVICE_UNAVAILABLE.into_response(),
                }
            }
        });
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener);
            axum::serve(listener.expect("it does not block"), router).await
        });
        Self { address, bridge }
    }

    /// Its URL.
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The bridge is up and answers so, or it is gone.
    pub(super) fn bridge_is(&self, bridge: Option<Router>) {
        *self.bridge.lock().unwrap_or_else(PoisonError::into_inner) = bridge;
    }
}

//! The tables of routes, and the router made from them.
//!
//! Each module of `client/`, `admin/`... has one function that returns its table. Handlers are erased to axum's boxed
//! form as soon as they stand in a table, so that compile times stay human, and the tables can be printed, which is how
//! the tests compare them with the spec's OpenAPI data.

use axum::Router;
use axum::handler::Handler;
use axum::routing::{MethodFilter, MethodRouter, on};
use http::Method;

use crate::http::error::ApiError;

/// One endpoint: a method, a path as the spec writes it, and its handler.
pub struct Route<S> {
    /// The method.
    pub method: Method,
    /// The path, with parameters in braces as the spec's OpenAPI data has them.
    pub path: &'static str,
    /// The file of the table that it stands in.
    pub file: &'static str,
    endpoint: MethodRouter<S>,
}

impl<S> std::fmt::Debug for Route<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

macro_rules! methods {
    ($($name:ident $method:ident),*) => {$(
        #[doc = concat!("A `", stringify!($method), "` endpoint.")]
        #[track_caller]
        pub fn $name<H, T, S>(path: &'static str, handler: H) -> Route<S>
        where
            H: Handler<T, S>,
            T: 'static,
            S: Clone + Send + Sync + 'static,
        {
            let file = std::panic::Location::caller().file();
            Route { method: Method::$method, path, file, endpoint: on(MethodFilter::$method, handler) }
        }
    )*};
}

methods!(get GET, post POST, put PUT, delete DELETE, patch PATCH);

const CURRENT: &str = "/_matrix/client/v3/";
const LEGACY: &str = "/_matrix/client/r0/";
const MEDIA: &str = "/_matrix/media/v3/";

/// Builds the router. Paths under `/_matrix/client/v3/` are served under `r0` too, the name they had before spec v1.1, which
/// older bridges and bots still ask for;
/// those under `/_matrix/media/v3/` under `r0` and `v1`. Unknown paths and methods get `M_UNRECOGNIZED` with 404 and 405.
pub fn build<S>(tables: impl IntoIterator<Item = Vec<Route<S>>>) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    let mut router = Router::new();
    for route in tables.into_iter().flatten() {
        if let Some(rest) = route.path.strip_prefix(CURRENT) {
            router = router.route(&format!("{LEGACY}{rest}"), route.endpoint.clone());
        }
        if let Some(rest) = route.path.strip_prefix(MEDIA) {
            for version in ["r0", "v1"] {
                router = router
                    .route(&format!("/_matrix/media/{version}/{rest}"), route.endpoint.clone());
            }
        }
        router = router.route(route.path, route.endpoint);
    }
    router
        .fallback(|| async { ApiError::unrecognized() })
        .method_not_allowed_fallback(|| async { ApiError::wrong_method() })
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use http::{Request, StatusCode};
    use tower::ServiceExt;

    use super::*;

    async fn status(method: Method, path: &str) -> StatusCode {
        let table = vec![
            get("/_matrix/client/v3/things/{id}", || async { "got" }),
            put("/_matrix/client/v3/things/{id}", || async { "put" }),
        ];
        let router: Router = build([table]).with_state(());
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        router.oneshot(request).await.unwrap().status()
    }

    #[tokio::test]
    async fn knows_its_paths_and_methods() {
        assert_eq!(status(Method::GET, "/_matrix/client/v3/things/a%2Fb").await, StatusCode::OK);
        assert_eq!(status(Method::PUT, "/_matrix/client/r0/things/a").await, StatusCode::OK);
        assert_eq!(
            status(Method::POST, "/_matrix/client/v3/things/a").await,
            StatusCode::METHOD_NOT_ALLOWED
        );
        assert_eq!(status(Method::GET, "/_matrix/client/v3/thing").await, StatusCode::NOT_FOUND);
    }
}

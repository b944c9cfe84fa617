//! Prometheus metrics. The registry is passed around like everything else, so that tests have their own.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};
use metrics::{
    Counter, Gauge, Histogram, Key, KeyName, Label, Level, Metadata, Recorder, SharedString, Unit,
};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use quick_cache::sync::Cache;

const METADATA: Metadata<'static> = Metadata::new("landbridge", Level::INFO, None);
const REQUESTS: &str = "landbridge_http_requests_total";
const SECONDS: &str = "landbridge_http_request_seconds";
const BUCKETS: [f64; 12] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];
/// Routes times methods times kinds of answer: some hundreds.
const HANDLES: usize = 4_096;

/// A registry of metrics.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
    requests: Cache<(Arc<str>, Method, u16), (Counter, Histogram)>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// An empty registry.
    pub fn new() -> Self {
        // Only an empty list of buckets is refused.
        let builder = PrometheusBuilder::new().set_buckets(&BUCKETS).unwrap_or_default();
        let recorder = builder.build_recorder();
        let handle = recorder.handle();
        let describe = |name: &'static str, unit, text: &'static str| {
            (KeyName::from_const_str(name), unit, SharedString::const_str(text))
        };
        let (name, unit, text) =
            describe(REQUESTS, None, "Requests served, by route, method and class of status");
        recorder.describe_counter(name, unit, text);
        let (name, unit, text) = describe(SECONDS, Some(Unit::Seconds), "Time that requests took");
        recorder.describe_histogram(name, unit, text);
        Self(Arc::new(Inner { recorder, handle, requests: Cache::new(HANDLES) }))
    }

    /// Counts a request.
    pub fn request(&self, route: &Arc<str>, method: &Method, status: StatusCode, took: Duration) {
        let class = status.as_u16() / 100;
        let key = (route.clone(), method.clone(), class);
        let (count, seconds) = self.0.requests.get(&key).unwrap_or_else(|| {
            let labels = vec![
                Label::new("route", route.to_string()),
                Label::new("method", method.to_string()),
                Label::new("status", format!("{class}xx")),
            ];
            let handles = (
                self.0
                    .recorder
                    .register_counter(&Key::from_parts(REQUESTS, labels.clone()), &METADATA),
                self.0.recorder.register_histogram(&Key::from_parts(SECONDS, labels), &METADATA),
            );
            self.0.requests.insert(key, handles.clone());
            handles
        });
        count.increment(1);
        seconds.record(took.as_secs_f64());
    }

    /// A counter by its name.
    pub fn counter(&self, name: &'static str) -> Counter {
        self.0.recorder.register_counter(&Key::from_static_name(name), &METADATA)
    }

    /// A gauge by its name.
    pub fn gauge(&self, name: &'static str) -> Gauge {
        self.0.recorder.register_gauge(&Key::from_static_name(name), &METADATA)
    }

    /// A histogram of seconds by its name.
    pub fn histogram(&self, name: &'static str) -> Histogram {
        self.0.recorder.register_histogram(&Key::from_static_name(name), &METADATA)
    }

    /// All metrics in Prometheus' text form.
    pub fn render(&self) -> String {
        self.0.handle.render()
    }

    /// Folds what histograms have recorded, every few seconds, so that memory stays bounded when nobody scrapes.
    pub async fn upkeep(self) {
        loop {
            tokio::time::sleep(Duration::from_secs(5)).await;
            self.0.handle.run_upkeep();
        }
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_route_and_class() {
        let metrics = Metrics::new();
        let route: Arc<str> = "/_matrix/client/v3/sync".into();
        metrics.request(&route, &Method::GET, StatusCode::OK, Duration::from_millis(3));
        metrics.request(&route, &Method::GET, StatusCode::NO_CONTENT, Duration::from_millis(3));
        let text = metrics.render();
        let line = text.lines().find(|line| line.starts_with(REQUESTS)).unwrap();
        assert!(line.contains("2xx") && line.ends_with(" 2"), "{line}");
        assert!(text.contains("landbridge_http_request_seconds_bucket"));
    }
}

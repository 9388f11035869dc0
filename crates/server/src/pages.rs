//! The pages of the server.

use std::sync::Arc;
use std::time::Duration;

use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Response, StatusCode};
use peregrine_telemetry::{Heartbeat, Scraper};
use serde_json::json;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// What the server answers.
#[derive(Clone, Debug)]
pub struct Pages {
    /// Path of the health page.
    pub health_path: String,
    /// Silence of the event loop after which the health page answers 503; zero is never.
    pub stall_timeout: Duration,
    /// Heartbeat of the event loop.
    pub heartbeat: Arc<Heartbeat>,
    /// The page `/versions`, JSON.
    pub versions: String,
    /// Source of the page `/metrics`; without it there is no such page.
    pub scraper: Option<Scraper>,
}

/// Longest wait for metrics. Prometheus itself waits for ten seconds.
const SCRAPE_TIMEOUT: Duration = Duration::from_secs(8);
/// Content type of the Prometheus text format.
const PROMETHEUS: &str = "text/plain; version=0.0.4";
const JSON: &str = "application/json";
const TEXT: &str = "text/plain";

/// A page that exists.
enum Page<'a> {
    Health,
    Versions,
    Metrics(&'a Scraper),
}

impl Pages {
    /// Answers a request.
    pub(crate) async fn answer(&self, method: &Method, path: &str) -> Response<String> {
        let Some(page) = self.page(path) else {
            return response(StatusCode::NOT_FOUND, TEXT, "There is no such page.\n");
        };
        if ![Method::GET, Method::HEAD].contains(method) {
            let mut response =
                response(StatusCode::METHOD_NOT_ALLOWED, TEXT, "Pages can only be read.\n");
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        match page {
            Page::Health => self.health(),
            Page::Versions => response(StatusCode::OK, JSON, self.versions.as_str()),
            Page::Metrics(scraper) => match timeout(SCRAPE_TIMEOUT, scrape(scraper)).await {
                Ok(Ok(text)) => response(StatusCode::OK, PROMETHEUS, text),
                _ => {
                    let text = "The event loop does not answer.\n";
                    response(StatusCode::SERVICE_UNAVAILABLE, TEXT, text)
                }
            },
        }
    }

    fn page(&self, path: &str) -> Option<Page<'_>> {
        match path {
            path if path == self.health_path => Some(Page::Health),
            "/versions" => Some(Page::Versions),
            "/metrics" => self.scraper.as_ref().map(Page::Metrics),
            _ => None,
        }
    }

    fn health(&self) -> Response<String> {
        let silence = self.heartbeat.silence();
        if self.stall_timeout.is_zero() || silence <= self.stall_timeout {
            return response(StatusCode::OK, JSON, r#"{"status": "ok"}"#);
        }
        let body = json!({ "status": "stalled", "seconds": silence.as_secs() });
        response(StatusCode::SERVICE_UNAVAILABLE, JSON, body.to_string())
    }
}

/// The metrics, or an error when the event loop has ended.
async fn scrape(scraper: &Scraper) -> Result<String, oneshot::error::RecvError> {
    let (sender, text) = oneshot::channel();
    // A client that has gone needs no answer.
    scraper.scrape(move |text| drop(sender.send(text.to_owned())));
    text.await
}

fn response(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<String>,
) -> Response<String> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

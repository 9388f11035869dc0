//! The pages of the server.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use peregrine_telemetry::{Heartbeat, Scraper, WebStats};
use serde_json::json;

use crate::endpoint::{Answer, Site};
use crate::scrapes::Scrapes;

/// What the server answers.
#[derive(Clone, Debug)]
pub struct Pages {
    /// Path of the health page.
    pub health_path: String,
    /// Time without progress of the event thread after which the health page answers 503; zero is
    /// never.
    pub stall_timeout: Duration,
    /// Heartbeat of the event thread.
    pub heartbeat: Arc<Heartbeat>,
    /// The page `/versions`, JSON.
    pub versions: String,
    /// Source of the page `/metrics`; without it there is no such page.
    pub scraper: Option<Scraper>,
    /// Counts connections.
    pub stats: Arc<WebStats>,
}

/// The pages with what several requests share.
pub(crate) struct PagesSite {
    pages: Pages,
    scrapes: Option<Scrapes>,
}

/// Content type of the Prometheus text format.
const PROMETHEUS: &str = "text/plain; version=0.0.4";
const JSON: &str = "application/json";
const TEXT: &str = "text/plain";

/// A page that exists.
enum Page<'a> {
    Health,
    Versions,
    Metrics(&'a Scrapes),
}

impl PagesSite {
    pub(crate) fn new(mut pages: Pages) -> Self {
        Self { scrapes: pages.scraper.take().map(Scrapes::new), pages }
    }

    async fn page_at(&self, method: &Method, path: &str) -> Answer {
        let Some(page) = self.page(path) else {
            return typed(StatusCode::NOT_FOUND, TEXT, "There is no such page.\n");
        };
        if ![Method::GET, Method::HEAD].contains(method) {
            let mut response =
                typed(StatusCode::METHOD_NOT_ALLOWED, TEXT, "Pages can only be read.\n");
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        match page {
            Page::Health => self.health(),
            Page::Versions => typed(StatusCode::OK, JSON, self.pages.versions.clone()),
            Page::Metrics(scrapes) => match scrapes.text().await {
                Some(text) => typed(StatusCode::OK, PROMETHEUS, text),
                None => {
                    let text = "The event loop does not answer.\n";
                    typed(StatusCode::SERVICE_UNAVAILABLE, TEXT, text)
                }
            },
        }
    }

    fn page(&self, path: &str) -> Option<Page<'_>> {
        match path {
            path if path == self.pages.health_path => Some(Page::Health),
            "/versions" => Some(Page::Versions),
            "/metrics" => self.scrapes.as_ref().map(Page::Metrics),
            _ => None,
        }
    }

    fn health(&self) -> Answer {
        let Pages { heartbeat, stall_timeout, .. } = &self.pages;
        let silence = heartbeat.silence();
        if stall_timeout.is_zero() || silence <= *stall_timeout {
            return typed(StatusCode::OK, JSON, r#"{"status": "ok"}"#);
        }
        let body = json!({ "status": "stalled", "seconds": silence.as_secs() });
        typed(StatusCode::SERVICE_UNAVAILABLE, JSON, body.to_string())
    }
}

impl Site for PagesSite {
    async fn answer(&self, request: Request<Incoming>) -> Answer {
        self.page_at(request.method(), request.uri().path()).await
    }
}

/// A response with a text.
pub fn response(status: StatusCode, text: impl Into<Bytes>) -> Answer {
    typed(status, TEXT, text)
}

fn typed(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

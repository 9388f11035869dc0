//! Scrapes of metrics: one at a time, whose text all requests share that come meanwhile.

use std::cell::RefCell;
use std::time::Duration;

use hyper::body::Bytes;
use peregrine_telemetry::Scraper;
use tokio::sync::watch::{self, Receiver};
use tokio::time::timeout;

/// Longest wait for metrics: shorter than the time for a response.
const SCRAPE_TIMEOUT: Duration = Duration::from_secs(4);

/// Requests metrics from the event loop.
pub(crate) struct Scrapes {
    scraper: Scraper,
    /// The last scrape. `None` in it until the text has come.
    last: RefCell<Option<Receiver<Option<Bytes>>>>,
}

impl Scrapes {
    pub(crate) fn new(scraper: Scraper) -> Self {
        Self { scraper, last: RefCell::default() }
    }

    /// The metrics. `None` when the event loop does not answer in time, or has ended.
    pub(crate) async fn text(&self) -> Option<Bytes> {
        let mut scrape = self.in_flight().unwrap_or_else(|| self.start());
        let text = timeout(SCRAPE_TIMEOUT, scrape.wait_for(Option::is_some)).await.ok()?.ok()?;
        text.clone()
    }

    /// The scrape that is under way. It outlives the request that has started it, so that a loop
    /// that does not answer is asked once.
    fn in_flight(&self) -> Option<Receiver<Option<Bytes>>> {
        let last = self.last.borrow();
        last.as_ref().filter(|last| last.borrow().is_none() && last.has_changed().is_ok()).cloned()
    }

    fn start(&self) -> Receiver<Option<Bytes>> {
        let (sender, receiver) = watch::channel(None);
        self.scraper.scrape(move |text| {
            // An error says that all clients have gone.
            let _ = sender.send(Some(Bytes::copy_from_slice(text.as_bytes())));
        });
        self.last.replace(Some(receiver.clone()));
        receiver
    }
}

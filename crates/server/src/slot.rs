//! A server that a reload may replace.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::ServerError;
use crate::pages::Pages;
use crate::server::{Server, ServerSettings};

/// The server of a run, if it has one. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct ServerSlot(Arc<Mutex<Option<Server>>>);

/// A change of the server, checked as far as it can be before.
#[derive(Debug, Default)]
pub enum ServerChange {
    /// None.
    #[default]
    Stay,
    /// Another one listens already, or there is to be none.
    Replace(Option<Server>),
    /// The address is the same, so the old one ends before the new one begins.
    Restart(ServerSettings, Pages),
}

impl ServerChange {
    /// From a server with `old` settings to a new one.
    ///
    /// # Errors
    /// When the new one cannot listen, or its TLS file is not usable.
    pub fn new(
        old: Option<&ServerSettings>,
        new: Option<(ServerSettings, Pages)>,
    ) -> Result<Self, ServerError> {
        Ok(match (old, new) {
            (_, None) => Self::Replace(None),
            (Some(old), Some((new, pages))) if old.listen == new.listen => {
                new.check()?;
                Self::Restart(new, pages)
            }
            (_, Some((new, pages))) => Self::Replace(Some(Server::start(&new, pages)?)),
        })
    }
}

impl ServerSlot {
    /// Changes the server. `started` is called with a new one.
    ///
    /// # Errors
    /// When it can't be restarted. Then there is none.
    pub fn apply(
        &self,
        change: ServerChange,
        started: impl FnMut(&Server),
    ) -> Result<(), ServerError> {
        let mut server = self.lock();
        *server = match change {
            ServerChange::Stay => return Ok(()),
            ServerChange::Replace(new) => new,
            ServerChange::Restart(settings, pages) => {
                *server = None;
                Some(Server::start(&settings, pages)?)
            }
        };
        server.iter().for_each(started);
        Ok(())
    }

    /// Ends the server.
    pub fn stop(&self) {
        self.lock().take();
    }

    fn lock(&self) -> MutexGuard<'_, Option<Server>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! What every command is given: the global options, the screen, and a way to the coordinator.

use std::time::Duration;

use votum_client::{Client, Options};
use votum_ids::JobId;

use crate::{access::Credentials, args::Global, fault::Fault, screen::Screen};

/// What every command is given.
#[derive(Debug)]
pub(crate) struct Context {
    /// The global options.
    pub global: Global,
    /// Where results and remarks go.
    pub screen: Screen,
}

/// How long a coordinator that is away is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    /// Somebody waits for a look: soon, or not at all.
    Short,
    /// A submission: over a restart of the coordinator.
    Long,
    /// Following: for as long as somebody wants to look.
    Endless,
}

impl Context {
    /// Looks at the global options.
    pub(crate) fn new(global: Global) -> Self {
        let screen = Screen::new(&global);
        Self { global, screen }
    }

    /// Returns a client of the coordinator that the options name.
    pub(crate) fn client(&self, patience: Patience) -> Result<Client, Fault> {
        self.client_of(self.global.address(), patience, &self.global.credentials)
    }

    /// Returns a client whose calls wait for the answers of workers, unless the options say how
    /// long they may take.
    pub(crate) fn patient_client(&self) -> Result<Client, Fault> {
        let timeout = self.global.timeout.unwrap_or(WORKERS_TIMEOUT);
        let options = Options { timeout, patience: Duration::from_mins(1) };
        Ok(Client::connect_with(
            self.global.address(),
            options,
            &self.global.credentials.access()?,
        )?)
    }

    /// Returns where a browser finds a job of this coordinator.
    pub(crate) fn page_of(&self, job: &JobId) -> String {
        let address = self.global.address().trim_end_matches('/');
        let scheme = if address.contains("://") { "" } else { "http://" };
        format!("{scheme}{address}/jobs/{job}")
    }

    /// Returns how patient a client is.
    pub(crate) fn options(&self, patience: Patience) -> Options {
        let patience = match patience {
            Patience::Short => Duration::from_secs(2),
            Patience::Long => self.global.timeout.unwrap_or(Duration::from_mins(1)),
            Patience::Endless => self.global.timeout.unwrap_or(Duration::from_hours(24)),
        };
        Options { timeout: self.global.call_timeout(), patience }
    }

    /// Returns a client of this coordinator that shows these credentials.
    pub(crate) fn client_of(
        &self,
        address: &str,
        patience: Patience,
        credentials: &Credentials,
    ) -> Result<Client, Fault> {
        let options = self.options(patience);
        Ok(Client::connect_with(address, options, &credentials.access()?)?)
    }
}

/// Longer than a coordinator waits for its workers.
const WORKERS_TIMEOUT: Duration = Duration::from_secs(30);

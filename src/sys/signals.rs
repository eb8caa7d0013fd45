//! SIGTERM, SIGINT and SIGHUP.

use std::io::{self, IsTerminal as _};

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that ask the agent for something.
#[derive(Debug)]
pub struct Signals {
    term: Signal,
    int: Signal,
    hup: Signal,
    reloads: bool,
    /// A reload was asked for while only a stop was waited for.
    postponed: bool,
}

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// By the signal of this name.
    Stop(&'static str),
    Reload,
}

impl Signals {
    /// From here on these signals do not end the process by themselves. SIGHUP asks for a reload if `reloads`; else
    /// it means that the terminal was closed, and asks to stop.
    ///
    /// # Errors
    /// The handlers could not be installed.
    pub fn listen(reloads: bool) -> io::Result<Self> {
        let (term, int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        Ok(Self { term, int, hup: signal(SignalKind::hangup())?, reloads, postponed: false })
    }

    /// Waits for the next one. Several SIGHUPs that nobody waited for count once. Cancel-safe.
    pub async fn next(&mut self) -> Asked {
        if std::mem::take(&mut self.postponed) {
            return Asked::Reload;
        }
        self.received().await
    }

    async fn received(&mut self) -> Asked {
        tokio::select! {
            biased;
            _ = self.term.recv() => Asked::Stop("SIGTERM"),
            _ = self.int.recv() => Asked::Stop("SIGINT"),
            _ = self.hup.recv() => if self.reloads { Asked::Reload } else { Asked::Stop("SIGHUP") },
        }
    }

    /// Waits for one that asks to stop; one that asks for a reload is kept for [`Self::next`].
    pub async fn stop(&mut self) -> &'static str {
        loop {
            match self.received().await {
                Asked::Stop(name) => return name,
                Asked::Reload => self.postponed = true,
            }
        }
    }
}

/// A person at a terminal started this process, and ends it by closing that.
pub fn is_interactive() -> bool {
    io::stdin().is_terminal() || io::stdout().is_terminal() || io::stderr().is_terminal()
}

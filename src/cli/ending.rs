//! How the program is asked to end, and to read its certificate again.

use anyhow::Result;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that we heed, heard from the moment this is made.
pub(super) struct Ending {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

/// What a signal asks for.
pub(super) enum Event {
    /// The program shall end.
    End,
    /// The certificate was renewed.
    Reload,
}

impl Ending {
    pub(super) fn listen() -> Result<Ending> {
        Ok(Ending {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for the next signal.
    pub(super) async fn next(&mut self) -> Event {
        tokio::select! {
            _ = self.interrupt.recv() => Event::End,
            _ = self.terminate.recv() => Event::End,
            _ = self.hangup.recv() => Event::Reload,
        }
    }

    /// Waits until the program shall end.
    pub(super) async fn asked(&mut self) {
        while !matches!(self.next().await, Event::End) {}
    }
}

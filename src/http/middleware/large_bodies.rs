//! Room for large bodies: so many bytes of them are worked on at once, whoever sends how many.
//!
//! A bundle takes many times its size while it is validated and sealed. Whoever has no room yet waits, its body read: on
//! an HTTP/2 connection a body that is left unread would hold up those that have room.

use crate::config::limits::Limits;
use crate::fhir::issue_type::IssueType;
use crate::fhir::outcome::Issue;
use crate::http::respond::outcome::Refusal;
use actix_web::http::StatusCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What no body needs to ask for.
const SMALL_BYTES: usize = 256 * 1024;
/// How room is counted.
const UNIT_BYTES: usize = 1024;
/// How long room is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// The room of a process.
pub(crate) struct LargeBodies {
    room: Arc<Semaphore>,
    units: usize,
    patience: Duration,
}

/// The room of one body, which is free again when the last of these is gone.
pub(crate) type Room = Option<Arc<OwnedSemaphorePermit>>;

impl LargeBodies {
    pub(crate) fn new(limits: &Limits) -> LargeBodies {
        let units = (limits.bodies_bytes / UNIT_BYTES).clamp(1, Semaphore::MAX_PERMITS);
        LargeBodies { room: Arc::new(Semaphore::new(units)), units, patience: PATIENCE }
    }

    /// Room for a body. One that is larger than all the room takes all of it.
    ///
    /// # Errors
    /// Others take all the room, and go on taking it (503).
    pub(crate) async fn wait(&self, bytes: usize) -> Result<Room, Refusal> {
        if bytes <= SMALL_BYTES {
            return Ok(None);
        }
        let units = u32::try_from(bytes.div_ceil(UNIT_BYTES).min(self.units)).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room).acquire_many_owned(units);
        match tokio::time::timeout(self.patience, room).await {
            Ok(Ok(room)) => Ok(Some(Arc::new(room))),
            Ok(Err(_)) | Err(_) => {
                let issue = Issue::error(IssueType::Throttled, "too many large bodies at once, try again");
                Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, issue.into()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_next_large_body_waits_and_small_ones_do_not() {
        let limits = Limits { bodies_bytes: 4 << 20, ..Limits::default() };
        let bodies = LargeBodies { patience: Duration::from_millis(20), ..LargeBodies::new(&limits) };
        let first = bodies.wait(3 << 20).await.unwrap();
        assert!(first.is_some());
        assert!(bodies.wait(1000).await.unwrap().is_none());
        let refusal = bodies.wait(2 << 20).await.unwrap_err();
        assert_eq!(refusal.status(), StatusCode::SERVICE_UNAVAILABLE);
        drop(first);
        // Larger than all the room: it has it alone.
        let alone = bodies.wait(30 << 20).await.unwrap();
        assert!(alone.is_some());
        assert!(bodies.wait(1 << 20).await.is_err());
        drop(alone);
        assert!(bodies.wait(1 << 20).await.unwrap().is_some());
    }
}

//! What is built once and shared by every request.

use crate::clock::Clock;
use crate::config::Config;
use crate::conformance::definitions::Definitions;
use crate::conformance::sealing::SealingPolicy;
use crate::crypto::sign::CheckpointKey;
use crate::search::verify::Verifier;
use crate::store::Store;
use std::sync::Arc;

/// The server without its edge.
pub struct App {
    /// Every setting.
    pub config: Arc<Config>,
    /// The time.
    pub clock: Clock,
    /// What is legal.
    pub definitions: Arc<Definitions>,
    /// What is sealed.
    pub sealing: SealingPolicy,
    /// The database and the keys.
    pub store: Store,
    /// Looks at resources for the store.
    pub verifier: Verifier,
    /// The key that signs checkpoints of the trail.
    pub checkpoint_key: CheckpointKey,
}

impl App {
    /// The FHIR base, without a closing slash.
    #[must_use]
    pub fn fhir_base(&self) -> String {
        self.config.fhir_base()
    }
}

//! Proving that what was restored is what was backed up: the trail of every tenant, event by event, up to the head
//! that the manifest signed; and bodies, opened with the keys that came along.

use crate::app::App;
use crate::audit::checkpoint::hex;
use crate::audit::live;
use crate::backup::manifest::{Manifest, TenantFacts};
use crate::crypto::sign::CheckpointPublicKey;
use crate::fhir::id::TenantId;
use crate::store::walk::{Cursor, Shelf, Walked};
use anyhow::Result;

/// As many bodies are opened together.
const PAGE: u64 = 500;

/// What was proved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proof {
    /// So many events of the trail were verified.
    pub events: i64,
    /// So many bodies were opened, or tried.
    pub bodies: u64,
    /// So many of them belong to keys that were destroyed.
    pub shredded: u64,
    /// What is wrong; nothing where all is well.
    pub faults: Vec<String>,
}

impl Proof {
    /// Whether all is well.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.faults.is_empty()
    }
}

pub(super) async fn prove(
    app: &App,
    manifest: &Manifest,
    keys: &[CheckpointPublicKey],
    sample: Option<u64>,
) -> Result<Proof> {
    let mut proof = Proof::default();
    for facts in &manifest.tenants {
        prove_trail(app, facts, keys, &mut proof).await?;
        prove_bodies(app, TenantId(facts.id), sample, &mut proof).await?;
    }
    Ok(proof)
}

async fn prove_trail(
    app: &App,
    facts: &TenantFacts,
    keys: &[CheckpointPublicKey],
    proof: &mut Proof,
) -> Result<()> {
    let tenant = TenantId(facts.id);
    let mut wrong = |what: String| proof.faults.push(format!("tenant {}: {what}", facts.slug));
    let report = live::verify(&app.store, tenant, keys, Vec::new(), app.clock.now_microseconds()).await?;
    if let Some(first) = report.faults.first() {
        wrong(format!("the trail has {} faults; the first: {first}", report.fault_count));
    }
    let head = match facts.chained {
        0 => Some([0; 32]),
        place => app.store.chain_hash(tenant, place).await?,
    };
    if head.map(|it| hex(&it)).as_deref() != Some(&facts.head) {
        wrong("the trail does not have the head that was signed".to_owned());
    }
    proof.events += report.head.count + report.waiting;
    Ok(())
}

async fn prove_bodies(app: &App, tenant: TenantId, sample: Option<u64>, proof: &mut Proof) -> Result<()> {
    let mut all = Walked::default();
    for resource_type in app.store.stored_types(tenant).await? {
        for shelf in [Shelf::Current(resource_type), Shelf::Superseded(resource_type)] {
            let (mut after, mut seen) = (Some(Cursor::START), 0);
            while let Some(from) = after {
                let left = sample.map_or(PAGE, |most| most.saturating_sub(seen).min(PAGE));
                if left == 0 {
                    break;
                }
                let page = app.store.check_page(tenant, shelf, from, usize::try_from(left)?).await?;
                seen += page.seen;
                all.broken += page.broken;
                all.shredded += page.shredded;
                after = page.next;
            }
            all.seen += seen;
        }
    }
    proof.bodies += all.seen;
    proof.shredded += all.shredded;
    if all.broken > 0 {
        proof.faults.push(format!("{} bodies are damaged", all.broken));
    }
    Ok(())
}

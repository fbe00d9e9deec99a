//! What is sealed outside resources: accounts, signing keys. Under the tenant's own key, bound to its place.

use crate::crypto::seal;
use crate::fhir::id::TenantId;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::keys::NOBODY;
use zeroize::Zeroizing;

impl Store {
    /// Seals bytes for a place: a label of ours, and the row.
    pub(super) async fn seal_private(
        &self,
        tenant: TenantId,
        (label, row): (&str, &[u8]),
        plain: &[u8],
    ) -> Result<Vec<u8>, StoreError> {
        let keys = self.sealing_keys(tenant, &[NOBODY]).await?;
        let key = keys.get(&NOBODY).and_then(|keys| keys.active()).ok_or(StoreError::Shredded)?;
        let mut sealed = key.epoch().to_be_bytes().to_vec();
        seal::seal_onto(&key.section_key(label), &place(tenant, label, row), plain, &mut sealed);
        Ok(sealed)
    }

    /// Opens what was sealed for that place.
    pub(super) async fn open_private(
        &self,
        tenant: TenantId,
        (label, row): (&str, &[u8]),
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        let (epoch, sealed) =
            sealed.split_first_chunk::<2>().ok_or(StoreError::broken("a sealed row is too short"))?;
        let epoch = u16::from_be_bytes(*epoch);
        let keys = self.keys_named(tenant, &[(NOBODY, epoch)]).await?;
        let key = keys.get(&NOBODY).and_then(|keys| keys.of_epoch(epoch));
        let key = key.ok_or(StoreError::Shredded)?;
        seal::open(&key.section_key(label), &place(tenant, label, row), sealed)
            .map_err(|error| StoreError::Broken(Box::new(error)))
    }

    /// A keyed hash to find something private by, the same for ever.
    pub(super) async fn private_name(
        &self,
        tenant: TenantId,
        label: &str,
        name: &str,
    ) -> Result<Vec<u8>, StoreError> {
        Ok(self.tenant_keys(tenant).await?.name(label, name.as_bytes()).to_vec())
    }
}

fn place(tenant: TenantId, label: &str, row: &[u8]) -> Vec<u8> {
    let mut place = b"vesta private\0".to_vec();
    place.extend_from_slice(&tenant.0.to_be_bytes());
    place.extend_from_slice(label.as_bytes());
    place.push(0);
    place.extend_from_slice(row);
    place
}

//! Sealed tokens: what leaves the server and comes back unread, such as the place in a page link.

use crate::crypto::seal;
use crate::fhir::id::TenantId;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::keys::NOBODY;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The longest token that is looked at.
const LONGEST: usize = 4096;

impl Store {
    /// Seals a text into a token that opens only beside the same `binding`, on any server of the tenant.
    ///
    /// # Errors
    /// The keys cannot be fetched.
    pub async fn seal_token(
        &self,
        tenant: TenantId,
        binding: &[u8],
        text: &[u8],
    ) -> Result<String, StoreError> {
        let keys = self.sealing_keys(tenant, &[NOBODY]).await?;
        let key = keys.get(&NOBODY).and_then(|keys| keys.active());
        let key = key.ok_or(StoreError::unavailable("there is no key to seal a token with"))?;
        let mut token = key.epoch().to_be_bytes().to_vec();
        seal::seal_onto(&key.section_key("token"), &bound(tenant, binding), text, &mut token);
        Ok(URL_SAFE_NO_PAD.encode(token))
    }

    /// Opens a token; nothing if it is not one of ours, or not bound to that.
    ///
    /// # Errors
    /// The keys cannot be fetched.
    pub async fn open_token(
        &self,
        tenant: TenantId,
        binding: &[u8],
        token: &str,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        if token.len() > LONGEST {
            return Ok(None);
        }
        let Ok(bytes) = URL_SAFE_NO_PAD.decode(token) else { return Ok(None) };
        let Some((epoch, sealed)) = bytes.split_first_chunk::<2>() else { return Ok(None) };
        let keys = self.subject_keys(tenant, &[NOBODY]).await?;
        let key = keys.get(&NOBODY).and_then(|keys| keys.of_epoch(u16::from_be_bytes(*epoch)));
        let Some(key) = key else { return Ok(None) };
        let opened = seal::open(&key.section_key("token"), &bound(tenant, binding), sealed);
        Ok(opened.ok().map(|text| text.to_vec()))
    }
}

fn bound(tenant: TenantId, binding: &[u8]) -> Vec<u8> {
    let mut out = b"vesta token".to_vec();
    out.extend_from_slice(&tenant.0.to_be_bytes());
    out.extend_from_slice(binding);
    out
}

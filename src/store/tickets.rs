//! Tickets: things with a hidden name and an end, such as an authorization request under way, an EHR launch,
//! or a client assertion that was seen.
//!
//! The name is random, or the keyed hash of something; its hash alone is stored. A ticket is *kept*,
//! *looked at*, *changed*, and at most once *used*: of two who try at once, one succeeds.

use crate::fhir::id::TenantId;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::sql::Sql;
use diesel::sql_types::Text;

/// What a ticket is for. Its number is stored and never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TicketKind {
    /// An authorization request under way.
    Flow,
    /// A launch that an EHR has begun.
    Launch,
    /// Leave to register clients.
    Registration,
    /// A client assertion that was seen.
    Assertion,
    /// A question that an authenticator is to sign.
    Passkey,
    /// A sign-in at another provider under way.
    Federation,
    /// A DPoP proof that was seen.
    Proof,
}

impl TicketKind {
    fn code(self) -> i16 {
        match self {
            TicketKind::Flow => 1,
            TicketKind::Launch => 2,
            TicketKind::Registration => 3,
            TicketKind::Assertion => 4,
            TicketKind::Passkey => 5,
            TicketKind::Federation => 6,
            TicketKind::Proof => 7,
        }
    }
}

impl Store {
    /// Keeps a ticket until `expires`, in microseconds since 1970: false if there is one of that name.
    ///
    /// # Errors
    /// The database fails.
    pub async fn keep_ticket(
        &self,
        tenant: TenantId,
        (kind, hash): (TicketKind, &[u8]),
        document: &str,
        expires: i64,
    ) -> Result<bool, StoreError> {
        let sql = Sql::new(
            "insert into tickets (tenant, kind, hash, created, expires, document) \
             values ($1, $2, $3, $4, $5, $6) on conflict do nothing",
        );
        let sql = sql.with(tenant.0).with(kind.code()).with(hash.to_vec()).with(self.now());
        let sql = sql.with(expires).with(document);
        Ok(self.act(tenant, &sql).await? == 1)
    }

    /// The document of a ticket that is neither used nor over.
    ///
    /// # Errors
    /// The database fails.
    pub async fn ticket(
        &self,
        tenant: TenantId,
        (kind, hash): (TicketKind, &[u8]),
    ) -> Result<Option<String>, StoreError> {
        let sql = Sql::new(
            "select document from tickets where tenant = $1 and kind = $2 and hash = $3 \
             and expires > $4 and used is null",
        );
        let sql = sql.with(tenant.0).with(kind.code()).with(hash.to_vec()).with(self.now());
        Ok(self.ask::<Text, String>(tenant, &[], &sql).await?.into_iter().next())
    }

    /// Changes the document of a ticket that still says what it said: false if it does not, or is over.
    ///
    /// # Errors
    /// The database fails.
    pub async fn change_ticket(
        &self,
        tenant: TenantId,
        (kind, hash): (TicketKind, &[u8]),
        (before, after): (&str, &str),
    ) -> Result<bool, StoreError> {
        let sql = Sql::new(
            "update tickets set document = $6 where tenant = $1 and kind = $2 and hash = $3 \
             and expires > $4 and used is null and document = $5",
        );
        let sql = sql.with(tenant.0).with(kind.code()).with(hash.to_vec()).with(self.now());
        let sql = sql.with(before).with(after);
        Ok(self.act(tenant, &sql).await? == 1)
    }

    /// Uses a ticket up, and gives its document: nothing if it was used before, or is over.
    ///
    /// # Errors
    /// The database fails.
    pub async fn use_ticket(
        &self,
        tenant: TenantId,
        (kind, hash): (TicketKind, &[u8]),
    ) -> Result<Option<String>, StoreError> {
        let sql = Sql::new(
            "update tickets set used = $4 where tenant = $1 and kind = $2 and hash = $3 \
             and expires > $4 and used is null returning document",
        );
        let sql = sql.with(tenant.0).with(kind.code()).with(hash.to_vec()).with(self.now());
        let connection = self.connection(tenant).await?;
        Ok(sql.rows::<Text, String>(&connection).await?.into_iter().next())
    }

    /// Removes what is long over: tickets, codes and refresh tokens, sessions, failures, revocations.
    ///
    /// # Errors
    /// The database fails.
    pub async fn sweep_sign_in(&self, tenant: TenantId) -> Result<(), StoreError> {
        const HOUR: i64 = 3_600_000_000;
        let connection = self.upkeep(tenant).await?;
        let ago = |hours: i64| self.now().saturating_sub(hours.saturating_mul(HOUR));
        for (statement, before) in [
            ("delete from tickets where tenant = $1 and expires < $2", ago(1)),
            // A replayed refresh token is known again for a month after its end.
            ("delete from grant_tokens where tenant = $1 and expires < $2", ago(720)),
            ("delete from sessions where tenant = $1 and created < $2", ago(48)),
            ("delete from sign_in_failures where tenant = $1 and latest < $2", ago(24)),
            ("delete from revocations where tenant = $1 and expires < $2", ago(1)),
            ("delete from signing_keys where tenant = $1 and expires < $2", ago(24)),
        ] {
            Sql::new(statement).with(tenant.0).with(before).execute(&connection).await?;
        }
        Ok(())
    }
}

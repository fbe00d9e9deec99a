//! Big code systems: concepts, and who stands above whom.

use crate::fhir::id::TenantId;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::sql::Sql;
use diesel::sql_types::{Nullable, SmallInt, Text};

/// A concept as it is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoredConcept {
    /// The code.
    pub code: String,
    /// What it is called.
    pub display: Option<String>,
    /// 1 active, 0 not, -1 nothing is said.
    pub active: i16,
    /// A line for each property: its code, a tab, its value.
    pub properties: String,
}

/// Which way the hierarchy is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To what is above.
    Up,
    /// To what is below.
    Down,
}

impl Store {
    /// The version of a big code system, if it was imported.
    ///
    /// # Errors
    /// The database fails.
    pub async fn imported_system(&self, tenant: TenantId, system: i16) -> Result<Option<String>, StoreError> {
        let sql = Sql::new("select version from imported_systems where tenant = $1 and system = $2");
        let rows = self.ask::<Text, String>(tenant, &[], &sql.with(tenant.0).with(system)).await?;
        Ok(rows.into_iter().next())
    }

    /// The concepts with these codes.
    ///
    /// # Errors
    /// The database fails.
    pub async fn concepts(
        &self,
        tenant: TenantId,
        system: i16,
        codes: Vec<String>,
    ) -> Result<Vec<StoredConcept>, StoreError> {
        let sql = Sql::new(
            "select code, display, active, properties from concepts \
             where tenant = $1 and system = $2 and code = any($3) order by code",
        );
        type Row = (String, Option<String>, i16, String);
        let sql = sql.with(tenant.0).with(system).with(codes);
        let rows = self.ask::<(Text, Nullable<Text>, SmallInt, Text), Row>(tenant, &[], &sql).await?;
        let read = |(code, display, active, properties)| StoredConcept { code, display, active, properties };
        Ok(rows.into_iter().map(read).collect())
    }

    /// Every step up or down from these codes, as child and parent; one more than `most` if there are more.
    ///
    /// # Errors
    /// The database fails.
    pub async fn steps(
        &self,
        tenant: TenantId,
        direction: Direction,
        (system, codes): (i16, Vec<String>),
        most: i64,
    ) -> Result<Vec<(String, String)>, StoreError> {
        let (from, to) = match direction {
            Direction::Up => ("child", "parent"),
            Direction::Down => ("parent", "child"),
        };
        let sql = Sql::new(format!(
            "with recursive way (child, parent) as ( \
             select child, parent from concept_parents where tenant = $1 and system = $2 and {from} = any($3) \
             union select it.child, it.parent from way join concept_parents as it \
             on it.tenant = $1 and it.system = $2 and it.{from} = way.{to}) \
             select child, parent from way limit $4 + 1"
        ));
        let sql = sql.with(tenant.0).with(system).with(codes).with(most);
        self.ask::<(Text, Text), _>(tenant, &[], &sql).await
    }

    /// Forgets an imported code system.
    ///
    /// # Errors
    /// The database fails.
    pub async fn forget_system(&self, tenant: TenantId, system: i16) -> Result<(), StoreError> {
        // Who asks meanwhile finds no such system, rather than half of one: that row goes first.
        for table in ["imported_systems", "concept_parents", "concepts"] {
            let sql = Sql::new(format!("delete from {table} where tenant = $1 and system = $2"));
            self.act(tenant, &sql.with(tenant.0).with(system)).await?;
        }
        Ok(())
    }

    /// Adds concepts, or what is newly known of them. No code may come twice.
    ///
    /// # Errors
    /// The database fails.
    pub async fn put_concepts(
        &self,
        tenant: TenantId,
        system: i16,
        concepts: Vec<StoredConcept>,
    ) -> Result<(), StoreError> {
        let (mut codes, mut displays, mut active, mut properties) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for it in concepts {
            codes.push(it.code);
            displays.push(it.display);
            active.push(it.active);
            properties.push(it.properties);
        }
        let sql = Sql::new(
            "insert into concepts (tenant, system, code, display, active, properties) \
             select $1, $2, it.* from unnest($3::text[], $4::text[], $5::smallint[], $6::text[]) as it \
             on conflict (tenant, system, code) do update set \
             display = coalesce(excluded.display, concepts.display), \
             active = case when excluded.active = -1 then concepts.active else excluded.active end, \
             properties = concepts.properties || excluded.properties",
        );
        let sql = sql.with(tenant.0).with(system).with(codes).with(displays).with(active).with(properties);
        self.act(tenant, &sql).await?;
        Ok(())
    }

    /// Adds steps of the hierarchy: child and parent.
    ///
    /// # Errors
    /// The database fails.
    pub async fn put_steps(
        &self,
        tenant: TenantId,
        system: i16,
        steps: Vec<(String, String)>,
    ) -> Result<(), StoreError> {
        let (children, parents): (Vec<String>, Vec<String>) = steps.into_iter().unzip();
        let sql = Sql::new(
            "insert into concept_parents (tenant, system, child, parent) \
             select $1, $2, it.* from unnest($3::text[], $4::text[]) as it on conflict do nothing",
        );
        self.act(tenant, &sql.with(tenant.0).with(system).with(children).with(parents)).await?;
        Ok(())
    }

    /// Says that a code system is there, whole.
    ///
    /// # Errors
    /// The database fails.
    pub async fn complete_system(
        &self,
        tenant: TenantId,
        system: i16,
        version: &str,
    ) -> Result<(), StoreError> {
        let sql = Sql::new(
            "insert into imported_systems (tenant, system, version, imported) values ($1, $2, $3, $4) \
             on conflict (tenant, system) do update set version = excluded.version, imported = excluded.imported",
        );
        self.act(tenant, &sql.with(tenant.0).with(system).with(version).with(self.now())).await?;
        Ok(())
    }
}

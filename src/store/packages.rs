//! Guides that a tenant added, and how every server learns of a change of what is legal.
//!
//! What is legal for a tenant is what comes with the program, the packages here, and the tenant's own
//! SearchParameter resources. [`RulesVersion`] counts the changes of both: of packages in a row of its own, of
//! SearchParameters as the sum of their versions, which every write of one raises. So a change is known from
//! its commit on, and no write has to tell anybody.

use crate::fhir::id::{ResourceType, TenantId};
use crate::store::Store;
use crate::store::audit_log::{self, AuditRow};
use crate::store::error::StoreError;
use crate::store::sql::Sql;
use diesel::sql_types::{BigInt, Binary, Integer, SmallInt, Text};

/// How hard facts are compressed: they are written once.
const LEVEL: i32 = 9;
/// The longest facts of a package, uncompressed.
pub const LONGEST_FACTS: usize = 64 << 20;

/// Which changes of what is legal have been seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RulesVersion {
    /// Of packages, and of search parameters that were built.
    pub packages: i64,
    /// Of the tenant's SearchParameter resources.
    pub parameters: i64,
}

/// A guide that a tenant added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredPackage {
    /// `hl7.fhir.us.core`
    pub name: String,
    /// `6.1.0`
    pub version: String,
    /// When it was added, in microseconds since 1970.
    pub added: i64,
}

/// A package to be added.
#[derive(Clone, Copy, Debug)]
pub struct NewPackage<'a> {
    /// `hl7.fhir.us.core`
    pub name: &'a str,
    /// `6.1.0`
    pub version: &'a str,
    /// The SHA-256 of its archive.
    pub digest: &'a [u8],
    /// What it says, as `conformance::compile` writes it.
    pub facts: &'a str,
}

/// Type, code and digest of a search parameter.
pub type BuiltParameter = (ResourceType, String, Vec<u8>);

impl Store {
    /// Which changes of what is legal there were.
    ///
    /// # Errors
    /// The database fails.
    pub async fn rules_version(&self, tenant: TenantId) -> Result<RulesVersion, StoreError> {
        let types: Vec<ResourceType> = ResourceType::parse("SearchParameter").into_iter().collect();
        let sql = Sql::new(
            "select coalesce((select version from rule_versions where tenant = $1), 0), \
             coalesce((select sum(version) from resource.searchparameter where tenant = $1), 0)::bigint",
        );
        let rows = self.ask::<(BigInt, BigInt), (i64, i64)>(tenant, &types, &sql.with(tenant.0)).await?;
        let (packages, parameters) = rows.into_iter().next().unwrap_or_default();
        Ok(RulesVersion { packages, parameters })
    }

    /// The packages of a tenant, in the order in which they were added.
    ///
    /// # Errors
    /// The database fails.
    pub async fn packages(&self, tenant: TenantId) -> Result<Vec<StoredPackage>, StoreError> {
        let sql = Sql::new(
            "select name, version, added from packages where tenant = $1 order by added, name, version",
        );
        let rows = self.ask::<(Text, Text, BigInt), _>(tenant, &[], &sql.with(tenant.0)).await?;
        let rows: Vec<(String, String, i64)> = rows;
        Ok(rows.into_iter().map(|(name, version, added)| StoredPackage { name, version, added }).collect())
    }

    /// What a package says; nothing where it was removed meanwhile.
    ///
    /// # Errors
    /// The database fails, or the facts cannot be read.
    pub async fn package_facts(
        &self,
        tenant: TenantId,
        name: &str,
        version: &str,
    ) -> Result<Option<String>, StoreError> {
        let sql = Sql::new("select facts from packages where tenant = $1 and name = $2 and version = $3");
        let sql = sql.with(tenant.0).with(name).with(version);
        let rows = self.ask::<Binary, Vec<u8>>(tenant, &[], &sql).await?;
        let Some(compressed) = rows.into_iter().next() else { return Ok(None) };
        let facts = zstd::bulk::decompress(&compressed, LONGEST_FACTS)
            .map_err(|error| StoreError::Broken(Box::new(error)))?;
        String::from_utf8(facts).map(Some).map_err(|error| StoreError::Broken(Box::new(error)))
    }

    /// Adds a package, in the place of the one of the same name and version, and tells every server.
    ///
    /// # Errors
    /// The database fails.
    pub async fn add_package(
        &self,
        tenant: TenantId,
        package: NewPackage<'_>,
        audit: AuditRow,
    ) -> Result<(), StoreError> {
        let facts = zstd::bulk::compress(package.facts.as_bytes(), LEVEL)
            .map_err(|error| StoreError::Broken(Box::new(error)))?;
        let mut sql = Sql::new(
            "with main as (insert into packages (added, tenant, name, version, digest, facts) values (",
        );
        sql.bind(self.now()).push(", ").bind(tenant.0).push(", ").bind(package.name).push(", ");
        sql.bind(package.version).push(", ").bind(package.digest.to_vec()).push(", ").bind(facts);
        sql.push(
            ") on conflict (tenant, name, version) do update set added = excluded.added, \
             digest = excluded.digest, facts = excluded.facts returning tenant)",
        );
        self.change_rules(tenant, sql, audit).await.map(|_| ())
    }

    /// Removes a package: false if there was none of that name and version.
    ///
    /// # Errors
    /// The database fails.
    pub async fn remove_package(
        &self,
        tenant: TenantId,
        (name, version): (&str, &str),
        audit: AuditRow,
    ) -> Result<bool, StoreError> {
        let mut sql = Sql::new("with main as (delete from packages where tenant = ");
        sql.bind(tenant.0).push(" and name = ").bind(name).push(" and version = ").bind(version);
        sql.push(" returning tenant)");
        self.change_rules(tenant, sql, audit).await
    }

    /// The search parameters by which everything that is stored can be found, beside those that come with the
    /// program: type, code, digest.
    ///
    /// # Errors
    /// The database fails.
    pub async fn built_search_parameters(&self, tenant: TenantId) -> Result<Vec<BuiltParameter>, StoreError> {
        let sql = Sql::new("select type, code, digest from built_search_parameters where tenant = $1");
        let rows = self.ask::<(SmallInt, Text, Binary), _>(tenant, &[], &sql.with(tenant.0)).await?;
        let rows: Vec<(i16, String, Vec<u8>)> = rows;
        let rows = rows.into_iter();
        Ok(rows.filter_map(|(of, code, digest)| Some((ResourceType::from_code(of)?, code, digest))).collect())
    }

    /// Everything that is stored can be found by these from now on: tells every server.
    ///
    /// # Errors
    /// The database fails.
    pub async fn search_parameters_are_built(
        &self,
        tenant: TenantId,
        built: &[BuiltParameter],
        audit: AuditRow,
    ) -> Result<(), StoreError> {
        let mut sql = Sql::new(
            "with main as (insert into built_search_parameters (built, tenant, type, code, digest) select ",
        );
        sql.bind(self.now()).push(", ").bind(tenant.0).push(", * from unnest(");
        push_parameters(&mut sql, built);
        sql.push(
            ") on conflict (tenant, type, code) do update set digest = excluded.digest, \
             built = excluded.built returning tenant)",
        );
        self.change_rules(tenant, sql, audit).await.map(|_| ())
    }

    /// Forgets that others than these were built: what is written from now on is not found by them.
    ///
    /// # Errors
    /// The database fails.
    pub async fn forget_other_search_parameters(
        &self,
        tenant: TenantId,
        kept: &[BuiltParameter],
    ) -> Result<(), StoreError> {
        let mut sql = Sql::new("delete from built_search_parameters as b where tenant = ");
        sql.bind(tenant.0).push(" and not exists (select from unnest(");
        push_parameters(&mut sql, kept);
        sql.push(
            ") as k (type, code, digest) where (k.type, k.code, k.digest) = (b.type, b.code, b.digest))",
        );
        self.act(tenant, &sql).await.map(|_| ())
    }

    /// Runs a statement that begins with `with main as (…)`, and if it touched anything, tells every server and
    /// records it, all at once.
    async fn change_rules(
        &self,
        tenant: TenantId,
        mut sql: Sql,
        audit: AuditRow,
    ) -> Result<bool, StoreError> {
        let rows = self.seal_audit(tenant, vec![audit]).await?;
        sql.push(
            ", told as (insert into rule_versions (tenant, version) select distinct tenant, 1 from main ",
        );
        sql.push("on conflict (tenant) do update set version = rule_versions.version + 1), trail as (");
        audit_log::push_insert(&mut sql, &rows, tenant, " from (select distinct tenant from main) as once");
        sql.push(") select tenant from main");
        let connection = self.connection(tenant).await?;
        let touched = sql.uncached().rows::<(Integer,), (i32,)>(&connection).await?;
        Ok(!touched.is_empty())
    }
}

fn push_parameters(sql: &mut Sql, parameters: &[BuiltParameter]) {
    sql.bind(parameters.iter().map(|it| it.0.code()).collect::<Vec<i16>>()).push("::smallint[], ");
    sql.bind(parameters.iter().map(|it| it.1.clone()).collect::<Vec<String>>()).push("::text[], ");
    sql.bind(parameters.iter().map(|it| it.2.clone()).collect::<Vec<Vec<u8>>>()).push("::bytea[]");
}

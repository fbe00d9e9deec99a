//! Which table holds what: one per resource type, made when the type is first used.

use crate::fhir::id::ResourceType;
use crate::store::connection::Pooled;
use crate::store::error::StoreError;
use crate::store::hot;
use crate::store::sql::Sql;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// What the template needs to know of a type.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Shape {
    /// It has a clinical date, to sort by.
    pub(super) has_date: bool,
    /// It has a clinical code.
    pub(super) has_code: bool,
    /// It has one value with a unit.
    pub(super) has_quantity: bool,
    /// Others refer to it, and it is not among the most frequent: see [`hot::is_target`].
    pub(super) is_target: bool,
}

/// The types whose tables are known to be there.
pub(super) struct Tables {
    known: Vec<AtomicBool>,
    /// How many deeds of each type this process has done.
    deeds: Vec<AtomicU64>,
}

/// After so many deeds of a type, and again after ten times as many, its table may have statistics that mislead.
const FIRST_GROWTH: u64 = 300;

/// The table of that type, quoted where SQL needs no quotes: every name is legal after the schema's dot.
pub(super) fn table(resource_type: ResourceType) -> String {
    format!("resource.{}", resource_type.name().to_ascii_lowercase())
}

impl Tables {
    pub(super) fn new() -> Tables {
        Tables {
            known: ResourceType::all().map(|_| AtomicBool::new(false)).collect(),
            deeds: ResourceType::all().map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// Counts deeds; whether the table may have outgrown its statistics by them.
    pub(super) fn grow(&self, resource_type: ResourceType, deeds: u64) -> bool {
        let place = usize::try_from(resource_type.code()).ok();
        let Some(count) = place.and_then(|place| self.deeds.get(place)) else { return false };
        let before = count.fetch_add(deeds, Ordering::Relaxed);
        let mut threshold = FIRST_GROWTH;
        while threshold <= before {
            threshold = threshold.saturating_mul(10);
        }
        before + deeds >= threshold
    }

    /// Makes the table of that type, if nobody has.
    pub(super) async fn ensure(
        &self,
        connection: &Pooled,
        resource_type: ResourceType,
    ) -> Result<(), StoreError> {
        if self.knows(resource_type) {
            return Ok(());
        }
        let shape = hot::shape(resource_type);
        Sql::new("select create_resource_table($1, $2, $3, $4, $5)")
            .with(resource_type.name())
            .with(shape.has_date)
            .with(shape.has_code)
            .with(shape.has_quantity)
            .with(shape.is_target)
            .uncached()
            .execute(connection)
            .await?;
        if let Some(known) = self.known(resource_type) {
            known.store(true, Ordering::Release);
        }
        Ok(())
    }

    /// Whether it is known to be there.
    pub(super) fn knows(&self, resource_type: ResourceType) -> bool {
        self.known(resource_type).is_some_and(|it| it.load(Ordering::Acquire))
    }

    fn known(&self, resource_type: ResourceType) -> Option<&AtomicBool> {
        self.known.get(usize::try_from(resource_type.code()).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_that_grows_tenfold_is_noticed() {
        let tables = Tables::new();
        let Some(patient) = ResourceType::parse("Patient") else { unreachable!() };
        let mut noticed = Vec::new();
        for deed in 1..=40_000 {
            if tables.grow(patient, 1) {
                noticed.push(deed);
            }
        }
        assert_eq!(noticed, [300, 3_000, 30_000]);
        assert!(tables.grow(patient, 1_000_000), "a bundle may go past a threshold");
    }
}

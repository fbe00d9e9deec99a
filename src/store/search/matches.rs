//! The matches of one type, verified where the index does not decide.
//!
//! Where it does not, more candidates are fetched than a page has, opened in memory and held against the whole
//! condition, batch by batch, until the page is full. What is looked at is bounded: beyond it the question is
//! too costly, and nobody gets half an answer.

use crate::access::permit::{Narrowing, Permit};
use crate::crypto::key_ring::TenantKeys;
use crate::fhir::id::{ResourceId, ResourceType, TenantId};
use crate::fhir::json::Limits;
use crate::fhir::resource::Resource;
use crate::fhir::seal_class::SealClasses;
use crate::search::predicate::Predicate;
use crate::search::sort::SortKey;
use crate::search::verify::Verifier;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::resources::{Sealed, Stored};
use crate::store::search::asked::{Asked, Conjunct, Origin};
use crate::store::search::order::{After, Order, Tie, compare};
use crate::store::search::page::{self, Candidate};
use crate::store::search::predicate::{Compiler, add_types};
use diesel_async::AsyncPgConnection;
use std::collections::HashMap;
use std::sync::Arc;

/// So many candidates are opened for one question.
const MOST_OPENED: usize = 10_000;
/// So many are fetched at once to be opened.
const LARGEST_BATCH: usize = 500;
/// So many matches are sorted in memory.
const MOST_SORTED: usize = 5_000;

/// Who asks, and how.
pub(super) struct Asker<'a> {
    pub(super) store: &'a Store,
    pub(super) connection: &'a AsyncPgConnection,
    pub(super) tenant: TenantId,
    pub(super) keys: Arc<TenantKeys>,
    pub(super) permit: &'a Permit,
    pub(super) verifier: &'a Verifier,
}

/// A question about one type.
#[derive(Clone, Copy)]
pub(super) struct Question<'a> {
    pub(super) resource_type: ResourceType,
    pub(super) filter: &'a Predicate,
    /// Who wants to know: for a narrowing's own question there is no narrowing.
    pub(super) origin: Origin,
    pub(super) sort: &'a [SortKey],
}

/// What the database is asked, and what is asked of the resources that it finds.
pub(super) struct Prepared {
    pub(super) conjuncts: Vec<Conjunct>,
    pub(super) verified: Predicate,
}

impl<'a> Asker<'a> {
    /// What may be touched.
    pub(super) fn narrowing(&self) -> &'a Narrowing {
        self.permit.narrowing()
    }

    /// The matches after that place, in order, as many at most.
    pub(super) async fn take(
        &self,
        question: Question<'_>,
        after: Option<After>,
        count: usize,
    ) -> Result<Vec<Candidate>, StoreError> {
        let prepared = self.prepare(question).await?;
        let compiler = Compiler { keys: &self.keys, narrowing: None };
        match Order::new(&compiler, self.verifier, question.resource_type, question.sort) {
            Some(order) => {
                let asked = self.asked(question, &prepared, order, after, count);
                self.verified(asked, &prepared.verified, MOST_OPENED).await
            }
            None => self.sorted(question, &prepared, after.as_ref(), count).await,
        }
    }

    /// What to ask of the database and of the resources.
    pub(super) async fn prepare(&self, question: Question<'_>) -> Result<Prepared, StoreError> {
        let resource_type = question.resource_type;
        self.ensure(resource_type, question.filter).await?;
        let mut parts = vec![(question.filter.for_type(resource_type), question.origin)];
        if question.origin == Origin::Filter {
            let narrowing = self.narrowing().of(resource_type);
            self.ensure(resource_type, narrowing).await?;
            parts.push((narrowing.for_type(resource_type), Origin::Narrowing));
        }
        let mut prepared = Prepared { conjuncts: Vec::new(), verified: Predicate::True };
        for (predicate, origin) in parts {
            let resolved = self.resolve_inexact(resource_type, predicate, origin).await?;
            for conjunct in Conjunct::all_of(resolved, origin) {
                if conjunct.predicate.is_exact() {
                    prepared.conjuncts.push(conjunct);
                    continue;
                }
                // In memory a chain cannot be followed.
                let whole = self.resolve_all(resource_type, conjunct.predicate, origin).await?;
                prepared.conjuncts.extend(Conjunct::all_of(whole.superset(), origin));
                prepared.verified = prepared.verified.and(whole);
            }
        }
        Ok(prepared)
    }

    /// The question as the database gets it.
    pub(super) fn asked(
        &self,
        question: Question<'_>,
        prepared: &Prepared,
        order: Order,
        after: Option<After>,
        count: usize,
    ) -> Asked<'_> {
        Asked {
            keys: &self.keys,
            narrowing: self.narrowing(),
            resource_type: question.resource_type,
            conjuncts: prepared.conjuncts.clone(),
            order,
            after,
            count,
        }
    }

    /// The candidates that satisfy the predicate, too.
    pub(super) async fn verified(
        &self,
        mut asked: Asked<'_>,
        predicate: &Predicate,
        most_opened: usize,
    ) -> Result<Vec<Candidate>, StoreError> {
        if *predicate == Predicate::True {
            return page::fetch(self.store, self.connection, &asked).await;
        }
        let count = asked.count;
        asked.count = count.saturating_mul(2).clamp(50, LARGEST_BATCH);
        let (mut matches, mut opened) = (Vec::new(), 0);
        while matches.len() < count {
            let batch = page::fetch(self.store, self.connection, &asked).await?;
            opened += batch.len();
            let is_last = batch.len() < asked.count;
            let Some(last) = batch.last() else { break };
            asked.after = Some(After { values: last.values.clone(), tie: Tie::Row(last.row) });
            let resources = self.open(&batch, SealClasses::ALL).await?;
            matches.extend(batch.into_iter().filter(|it| {
                let resource = resources.get(&it.sealed.id);
                resource.is_some_and(|it| self.verifier.satisfies(it, predicate))
            }));
            if is_last {
                break;
            }
            if opened >= most_opened {
                return Err(StoreError::TooCostly);
            }
            asked.count = (asked.count * 2).min(LARGEST_BATCH);
        }
        matches.truncate(count);
        Ok(matches)
    }

    /// By values that only the resources have.
    async fn sorted(
        &self,
        question: Question<'_>,
        prepared: &Prepared,
        after: Option<&After>,
        count: usize,
    ) -> Result<Vec<Candidate>, StoreError> {
        let order = Order::by_row(question.resource_type);
        let asked = self.asked(question, prepared, order, None, MOST_SORTED + 1);
        let mut matches = self.verified(asked, &prepared.verified, MOST_OPENED).await?;
        if matches.len() > MOST_SORTED {
            return Err(StoreError::TooCostly);
        }
        // What may not be seen has no place in the order: else the order would tell it.
        let resources = self.open(&matches, self.permit.classes()).await?;
        for it in &mut matches {
            if let Some(resource) = resources.get(&it.sealed.id) {
                it.values = self.verifier.sort_values(resource, question.sort);
            }
        }
        if let Some(after) = after {
            matches.retain(|it| after.is_before(question.sort, &it.values, it.row));
        }
        matches.sort_by(|one, other| {
            compare(question.sort, &one.values, &other.values).then(one.row.cmp(&other.row))
        });
        matches.truncate(count);
        Ok(matches)
    }

    /// The candidates as resources, by id. One whose key was destroyed is not among them.
    pub(super) async fn open(
        &self,
        candidates: &[Candidate],
        classes: SealClasses,
    ) -> Result<HashMap<ResourceId, Resource>, StoreError> {
        let sealed: Vec<Sealed> = candidates.iter().map(|it| it.sealed.clone()).collect();
        let opened = self.store.unseal(self.tenant, sealed, classes).await?;
        let parsed = opened.into_iter().map(|it| Ok((it.id.clone(), parse(it)?)));
        parsed.collect()
    }

    /// Makes the tables that the predicate needs.
    async fn ensure(&self, resource_type: ResourceType, predicate: &Predicate) -> Result<(), StoreError> {
        let mut types = vec![resource_type];
        add_types(predicate, &mut types);
        for place in 1..types.len() {
            if let Some(narrowing) = types.get(place).map(|it| self.narrowing().of(*it)) {
                add_types(narrowing, &mut types);
            }
        }
        self.store.ensure(self.tenant, &types).await
    }
}

/// A stored resource, to be looked into.
pub(super) fn parse(stored: Stored) -> Result<Resource, StoreError> {
    Resource::parse(stored.text, &Limits::default())
        .map_err(|_| StoreError::broken("a stored resource is none"))
}

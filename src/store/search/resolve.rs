//! Chains whose inner condition only the resources decide: their ends are found first.
//!
//! The chain is then a list of references, or of ids, and the index decides. There is a limit on how many.

use crate::fhir::id::{ResourceId, ResourceType};
use crate::fhir::seal_class::SealClasses;
use crate::search::index::{Key, KeyKind};
use crate::search::predicate::Predicate;
use crate::store::error::StoreError;
use crate::store::search::asked::Origin;
use crate::store::search::matches::{Asker, Question};
use crate::store::search::page::Candidate;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use std::sync::Arc;

/// So many ends may a chain have that is resolved first.
const MOST_ENDS: usize = 1_000;

/// Which chains are resolved.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Which {
    Inexact,
    All,
}

impl Asker<'_> {
    /// Resolves the chains that the database cannot decide.
    pub(super) async fn resolve_inexact(
        &self,
        here: ResourceType,
        predicate: Predicate,
        origin: Origin,
    ) -> Result<Predicate, StoreError> {
        if self.is_decided(&predicate, origin) {
            return Ok(predicate);
        }
        self.resolve(here, predicate, origin, Which::Inexact).await
    }

    /// Resolves every chain.
    pub(super) async fn resolve_all(
        &self,
        here: ResourceType,
        predicate: Predicate,
        origin: Origin,
    ) -> Result<Predicate, StoreError> {
        if !predicate.is_chained() {
            return Ok(predicate);
        }
        self.resolve(here, predicate, origin, Which::All).await
    }

    fn resolve(
        &self,
        here: ResourceType,
        predicate: Predicate,
        origin: Origin,
        which: Which,
    ) -> BoxFuture<'_, Result<Predicate, StoreError>> {
        async move {
            Ok(match predicate {
                Predicate::All(parts) => Predicate::all(self.resolve_each(here, parts, origin, which).await?),
                Predicate::Any(parts) => Predicate::any(self.resolve_each(here, parts, origin, which).await?),
                Predicate::Not(inner) => self.resolve(here, *inner, origin, which).await?.negated(),
                chain @ (Predicate::References { .. } | Predicate::ReferencedBy { .. })
                    if which == Which::Inexact && self.is_decided(&chain, origin) =>
                {
                    chain
                }
                Predicate::References { parameter, target, inner } => {
                    let ends = self.ends(target, &inner, origin).await?;
                    let key = |it: &Candidate| reference(&parameter, target, &it.sealed.id);
                    Predicate::any(ends.iter().map(key))
                }
                Predicate::ReferencedBy { source, parameter, inner } => {
                    let ends = self.ends(source, &inner, origin).await?;
                    let resources = self.open(&ends, SealClasses::ALL).await?;
                    let referred =
                        resources.values().flat_map(|it| self.verifier.references(it, Some(&parameter)));
                    let ids = referred.filter(|(it, _)| *it == here).map(|(_, id)| id);
                    Predicate::Id(ids.collect::<std::collections::BTreeSet<_>>().into_iter().collect())
                }
                other => other,
            })
        }
        .boxed()
    }

    async fn resolve_each(
        &self,
        here: ResourceType,
        parts: Vec<Predicate>,
        origin: Origin,
        which: Which,
    ) -> Result<Vec<Predicate>, StoreError> {
        let mut resolved = Vec::with_capacity(parts.len());
        for part in parts {
            resolved.push(self.resolve(here, part, origin, which).await?);
        }
        Ok(resolved)
    }

    /// The resources that satisfy what is inside a chain.
    async fn ends(
        &self,
        there: ResourceType,
        inner: &Predicate,
        origin: Origin,
    ) -> Result<Vec<Candidate>, StoreError> {
        let question = Question { resource_type: there, filter: inner, origin, sort: &[] };
        let ends = self.take(question, None, MOST_ENDS + 1).await?;
        if ends.len() > MOST_ENDS { Err(StoreError::TooCostly) } else { Ok(ends) }
    }

    /// Whether the index decides every chain, the narrowing at its end included.
    fn is_decided(&self, predicate: &Predicate, origin: Origin) -> bool {
        match predicate {
            Predicate::All(parts) | Predicate::Any(parts) => {
                parts.iter().all(|it| self.is_decided(it, origin))
            }
            Predicate::Not(inner) => self.is_decided(inner, origin),
            Predicate::References { target: there, inner, .. }
            | Predicate::ReferencedBy { source: there, inner, .. } => {
                let is_open = origin == Origin::Narrowing || self.narrowing().of(*there).is_exact();
                is_open && inner.is_exact() && self.is_decided(inner, origin)
            }
            _ => true,
        }
    }
}

/// The key of a reference.
pub(super) fn reference(parameter: &Arc<str>, resource_type: ResourceType, id: &ResourceId) -> Predicate {
    Predicate::Key(Key::new(parameter, KeyKind::Reference, format!("{resource_type}/{id}")))
}

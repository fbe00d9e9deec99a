//! SQL as text with typed values: our own diesel query.
//!
//! diesel does not cache `sql_query`, nor most of what its query builder makes; a statement that is parsed
//! and planned anew costs two to three times its execution. [`Sql`] is cached by its text, so the text must
//! come from a small set: shapes, never values. Lists are arrays for `= any(...)`, never `in (...)`.
//!
//! diesel lets a query add a value only where it writes the placeholder, so all placeholders are first
//! written in a comment; the text then uses each as often as it likes.

use crate::store::sql_value::Value;
use diesel::deserialize::FromSqlRow;
use diesel::pg::Pg;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::result::{Error, QueryResult};
use diesel_async::{AsyncConnectionCore, AsyncPgConnection};
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, TryStreamExt};
use std::collections::HashSet;
use std::fmt::Write;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::marker::PhantomData;
use std::sync::{Mutex, PoisonError};

/// A statement and its values.
pub(super) struct Sql {
    text: String,
    values: Vec<Value>,
    is_cached: bool,
}

/// Which statements come so often that the database is to remember them. A connection never forgets one, and
/// questions come in any number of shapes, so only the first of those that come again are remembered.
#[derive(Default)]
pub(super) struct Shapes {
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    once: HashSet<u64>,
    again: HashSet<u64>,
}

/// As many shapes are remembered by each connection.
const MOST_SHAPES: usize = 128;
/// As many are watched, to see whether they come again.
const MOST_WATCHED: usize = 4096;

impl Shapes {
    /// The statement, remembered if it is one of those.
    pub(super) fn settle(&self, sql: Sql) -> Sql {
        let mut hasher = DefaultHasher::new();
        sql.text.hash(&mut hasher);
        let shape = hasher.finish();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let Seen { once, again } = &mut *seen;
        if again.contains(&shape) {
            return sql;
        }
        if again.len() < MOST_SHAPES && once.remove(&shape) {
            again.insert(shape);
            return sql;
        }
        if once.len() >= MOST_WATCHED {
            once.clear();
        }
        once.insert(shape);
        sql.uncached()
    }
}

/// A statement whose rows have the SQL types `T`.
struct Typed<'s, T> {
    sql: &'s Sql,
    types: PhantomData<fn() -> T>,
}

impl Sql {
    /// A statement, which may name the values that follow as `$1`, `$2` and so on.
    pub(super) fn new(text: impl Into<String>) -> Sql {
        Sql { text: text.into(), values: Vec::new(), is_cached: true }
    }

    /// Not worth remembering: a rare shape would only fill the cache, which has no bound.
    pub(super) fn uncached(mut self) -> Sql {
        self.is_cached = false;
        self
    }

    /// What tells statements apart that have the same text.
    pub(super) fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.text.hash(&mut hasher);
        self.values.iter().for_each(|it| it.hash(&mut hasher));
        hasher.finish()
    }

    /// The next value that the text names.
    pub(super) fn with(mut self, value: impl Into<Value>) -> Sql {
        self.values.push(value.into());
        self
    }

    /// Adds text.
    pub(super) fn push(&mut self, text: &str) -> &mut Sql {
        self.text.push_str(text);
        self
    }

    /// Adds a value, and its placeholder to the text.
    pub(super) fn bind(&mut self, value: impl Into<Value>) -> &mut Sql {
        let place = self.value(value);
        self.place(place)
    }

    /// Adds a value without a placeholder: its place, for [`Sql::place`].
    pub(super) fn value(&mut self, value: impl Into<Value>) -> usize {
        self.values.push(value.into());
        self.values.len()
    }

    /// Adds the placeholder of a value to the text.
    pub(super) fn place(&mut self, place: usize) -> &mut Sql {
        // Writing to a String does not fail.
        let _ = write!(self.text, "${place}");
        self
    }

    /// Every row. Polled together with others on one connection, it is pipelined.
    pub(super) fn rows<'c, T, Row>(
        &self,
        mut connection: &'c AsyncPgConnection,
    ) -> BoxFuture<'c, QueryResult<Vec<Row>>>
    where
        T: 'static,
        Row: FromSqlRow<T, Pg> + Send + 'static,
    {
        let typed: Typed<'_, T> = Typed { sql: self, types: PhantomData };
        let loading = AsyncConnectionCore::load(&mut connection, typed);
        async move {
            let rows = loading.await?;
            let read = |row| async move { Row::build_from_row(&row).map_err(Error::DeserializationError) };
            rows.and_then(read).try_collect().await
        }
        .boxed()
    }

    /// Runs it, and says how many rows it touched.
    pub(super) fn execute<'c>(
        &self,
        mut connection: &'c AsyncPgConnection,
    ) -> BoxFuture<'c, QueryResult<usize>> {
        AsyncConnectionCore::execute_returning_count(&mut connection, self)
    }
}

impl QueryId for Sql {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<T> QueryId for Typed<'_, T> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<T> Query for Typed<'_, T> {
    type SqlType = T;
}

impl<T> QueryFragment<Pg> for Typed<'_, T> {
    fn walk_ast<'b>(&'b self, pass: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        self.sql.walk_ast(pass)
    }
}

impl QueryFragment<Pg> for Sql {
    fn walk_ast<'b>(&'b self, mut pass: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        if !self.is_cached {
            pass.unsafe_to_cache_prepared();
        }
        if !self.values.is_empty() {
            pass.push_sql("/*");
            for value in &self.values {
                value.push(&mut pass)?;
            }
            pass.push_sql("*/ ");
        }
        pass.push_sql(&self.text);
        Ok(())
    }
}

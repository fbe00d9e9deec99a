//! Jobs: work that outlives a request, and the process that began it.
//!
//! A worker *claims* the next due job and holds its lease while it works; it *reports* how far it got, so that
//! another can go on from there when it dies. The number of attempts is the lease's name: whoever lost the
//! lease can neither report nor finish. Parameters and progress are sealed.

use crate::crypto::random;
use crate::fhir::id::TenantId;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::sql::Sql;
use diesel::sql_types::{BigInt, Binary, Integer, Nullable, SmallInt, Text, Uuid as SqlUuid};
use std::time::Duration;
use uuid::Uuid;

const PARAMETERS: &str = "job parameters";
const PROGRESS: &str = "job progress";
/// Held so often without a report, a job is given up.
const MOST_FAILURES: i32 = 5;
/// The first pause after a failure; each one after it is twice as long.
const PAUSE: i64 = 2_000_000;
/// The columns of a [`Row`], in order.
const COLUMNS: &str =
    "id, kind, created, due, finished, attempts, state, problem, parameters, coalesce(progress, ''::bytea)";

type Row = (Uuid, String, i64, i64, Option<i64>, i32, i16, Option<String>, Vec<u8>, Vec<u8>);
type RowTypes =
    (SqlUuid, Text, BigInt, BigInt, Nullable<BigInt>, Integer, SmallInt, Nullable<Text>, Binary, Binary);

/// What shall be done.
#[derive(Clone, Copy, Debug)]
pub struct NewJob<'a> {
    /// Which kind of work: a name of the table in `jobs`.
    pub kind: &'a str,
    /// At most one job of this kind and lock waits or runs.
    pub lock: Option<&'a str>,
    /// What it needs to know: JSON.
    pub parameters: &'a [u8],
    /// Not before then, in microseconds since 1970.
    pub due: i64,
}

/// How a job stands. The number is stored and never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobState {
    /// It waits for a worker, or for its time.
    Waiting,
    /// A worker holds its lease.
    Running,
    /// It is done.
    Done,
    /// It cannot be done: see [`Job::problem`].
    Failed,
    /// Somebody called it off.
    Cancelled,
}

/// A job as it stands.
#[derive(Clone, Debug)]
pub struct Job {
    /// Its id.
    pub id: Uuid,
    /// Which kind of work.
    pub kind: String,
    /// When it was asked for, in microseconds since 1970.
    pub created: i64,
    /// When it may begin, in microseconds since 1970.
    pub due: i64,
    /// When it came to its end, in microseconds since 1970.
    pub finished: Option<i64>,
    /// How often it was claimed.
    pub attempts: i32,
    /// How it stands.
    pub state: JobState,
    /// Why it failed, or what went wrong the last time.
    pub problem: Option<String>,
    /// What it needs to know: JSON.
    pub parameters: Vec<u8>,
    /// How far it got, as its worker reported; empty before the first report.
    pub progress: Vec<u8>,
}

/// A claimed job: as long as nobody else claims it, its bearer alone works on it.
#[derive(Clone)]
pub struct Lease {
    /// Where it is kept.
    pub store: Store,
    /// Whose it is.
    pub tenant: TenantId,
    /// The job as it was when it was claimed.
    pub job: Job,
    /// How long the lease is, from each report.
    pub length: Duration,
}

/// Why a worker stopped before the end.
#[derive(Debug, thiserror::Error)]
pub enum JobFailure {
    /// The job was cancelled, or somebody else holds it: stop, and say nothing.
    #[error("the job is not ours any more")]
    Lost,
    /// It may go better later: the job is tried again.
    #[error("the job will be tried again")]
    Later(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It goes on at that time, in microseconds since 1970, from that progress.
    #[error("the job waits")]
    NotYet {
        /// When.
        due: i64,
        /// How far it got: JSON.
        progress: Vec<u8>,
    },
    /// It will never go: the reason, in words that give nothing of the data away.
    #[error("{0}")]
    Never(String),
}

impl JobState {
    const ALL: [JobState; 5] =
        [JobState::Waiting, JobState::Running, JobState::Done, JobState::Failed, JobState::Cancelled];

    pub(super) fn code(self) -> i16 {
        match self {
            JobState::Waiting => 0,
            JobState::Running => 1,
            JobState::Done => 2,
            JobState::Failed => 3,
            JobState::Cancelled => 4,
        }
    }

    fn from_code(code: i16) -> Option<JobState> {
        JobState::ALL.into_iter().find(|it| it.code() == code)
    }

    /// Whether nothing more will happen.
    #[must_use]
    pub fn is_over(self) -> bool {
        !matches!(self, JobState::Waiting | JobState::Running)
    }
}

impl From<StoreError> for JobFailure {
    fn from(error: StoreError) -> JobFailure {
        JobFailure::Later(Box::new(error))
    }
}

impl Store {
    /// Asks for a job; nothing if one of the same kind and lock waits or runs already.
    ///
    /// # Errors
    /// The database fails, or the keys cannot be fetched.
    pub async fn enqueue(&self, tenant: TenantId, job: NewJob<'_>) -> Result<Option<Uuid>, StoreError> {
        let id = random::id(self.now());
        let parameters = self.seal_private(tenant, (PARAMETERS, id.as_bytes()), job.parameters).await?;
        let sql = Sql::new(
            "insert into jobs (id, due, created, tenant, kind, lock, parameters) \
             values ($1, $2, $3, $4, $5, $6, $7) on conflict do nothing",
        );
        let sql = sql.with(id).with(job.due).with(self.now()).with(tenant.0).with(job.kind);
        let sql = sql.with(job.lock.map(str::to_owned)).with(parameters);
        let is_new = self.act(tenant, &sql).await? == 1;
        if is_new {
            self.shared.job_news.notify_waiters();
        }
        Ok(is_new.then_some(id))
    }

    /// A job.
    ///
    /// # Errors
    /// The database fails, or the keys cannot be fetched.
    pub async fn job(&self, tenant: TenantId, id: Uuid) -> Result<Option<Job>, StoreError> {
        let sql = Sql::new(format!("select {COLUMNS} from jobs where tenant = $1 and id = $2"));
        let rows = self.ask::<RowTypes, Row>(tenant, &[], &sql.with(tenant.0).with(id)).await?;
        match rows.into_iter().next() {
            Some(row) => Ok(Some(self.open_job(tenant, row).await?)),
            None => Ok(None),
        }
    }

    /// The newest jobs of a kind, as many as that.
    ///
    /// # Errors
    /// The database fails, or the keys cannot be fetched.
    pub async fn jobs(&self, tenant: TenantId, kind: &str, most: u32) -> Result<Vec<Job>, StoreError> {
        let sql = Sql::new(format!(
            "select {COLUMNS} from jobs where tenant = $1 and kind = $2 order by id desc limit $3"
        ));
        let sql = sql.with(tenant.0).with(kind).with(i64::from(most));
        let mut jobs = Vec::new();
        for row in self.ask::<RowTypes, Row>(tenant, &[], &sql).await? {
            jobs.push(self.open_job(tenant, row).await?);
        }
        Ok(jobs)
    }

    /// Claims the next due job of these kinds, if there is one. A job whose workers died too often without a
    /// report is given up on the way.
    ///
    /// # Errors
    /// The database fails, or the keys cannot be fetched.
    pub async fn claim(
        &self,
        tenant: TenantId,
        kinds: &[&str],
        length: Duration,
    ) -> Result<Option<Lease>, StoreError> {
        let sql = Sql::new(format!(
            "with given_up as (\
               update jobs set state = 3, finished = $3, leased_until = null, \
                 problem = coalesce(problem, 'its workers ended without a word') \
               where tenant = $1 and kind = any($2) and failures >= $5 and state <= 1 \
                 and (leased_until is null or leased_until < $6)), \
             next as (\
               select id from jobs where tenant = $1 and kind = any($2) and state <= 1 and due <= $3 \
                 and failures < $5 and (leased_until is null or leased_until < $6) \
               order by due limit 1 for update skip locked) \
             update jobs set attempts = attempts + 1, leased_until = $4, state = 1, \
               failures = failures + case when state = 1 then 1 else 0 end \
             from next where jobs.tenant = $1 and jobs.id = next.id returning {}",
            COLUMNS.replace("id, kind", "jobs.id, kind"),
        ));
        let kinds: Vec<String> = kinds.iter().map(|it| (*it).to_owned()).collect();
        let now = self.lease_clock(tenant).await?;
        let sql = sql.with(tenant.0).with(kinds).with(self.now()).with(now + microseconds(length));
        let sql = sql.with(MOST_FAILURES).with(now);
        let connection = self.connection(tenant).await?;
        let rows = sql.rows::<RowTypes, Row>(&connection).await?;
        drop(connection);
        let Some(row) = rows.into_iter().next() else { return Ok(None) };
        let job = self.open_job(tenant, row).await?;
        Ok(Some(Lease { store: self.clone(), tenant, job, length }))
    }

    /// Calls a job off: false if it was over. Its worker finds out when it next reports or renews.
    ///
    /// # Errors
    /// The database fails.
    pub async fn cancel_job(&self, tenant: TenantId, id: Uuid) -> Result<bool, StoreError> {
        let sql = Sql::new(
            "update jobs set state = 4, finished = $3, leased_until = null \
             where tenant = $1 and id = $2 and state <= 1",
        );
        Ok(self.act(tenant, &sql.with(tenant.0).with(id).with(self.now())).await? == 1)
    }

    /// Removes a job, whatever its state: false if there is none.
    ///
    /// # Errors
    /// The database fails.
    pub async fn delete_job(&self, tenant: TenantId, id: Uuid) -> Result<bool, StoreError> {
        let sql = Sql::new("delete from jobs where tenant = $1 and id = $2");
        Ok(self.act(tenant, &sql.with(tenant.0).with(id)).await? == 1)
    }

    /// Waits until this server is asked for a job, or so long.
    pub async fn job_news(&self, longest: Duration) {
        let _ = tokio::time::timeout(longest, self.shared.job_news.notified()).await;
    }

    /// The clock that leases are measured by: the database's, since servers may differ.
    async fn lease_clock(&self, tenant: TenantId) -> Result<i64, StoreError> {
        let sql = Sql::new("select (extract(epoch from clock_timestamp()) * 1000000)::bigint");
        let rows = self.ask::<BigInt, i64>(tenant, &[], &sql).await?;
        rows.into_iter().next().ok_or(StoreError::broken("the database does not tell the time"))
    }

    async fn open_job(&self, tenant: TenantId, row: Row) -> Result<Job, StoreError> {
        let (id, kind, created, due, finished, attempts, state, problem, parameters, progress) = row;
        let state = JobState::from_code(state).ok_or(StoreError::broken("a job is in no known state"))?;
        let parameters = self.open_private(tenant, (PARAMETERS, id.as_bytes()), &parameters).await?.to_vec();
        let progress = match progress.as_slice() {
            [] => Vec::new(),
            sealed => self.open_private(tenant, (PROGRESS, id.as_bytes()), sealed).await?.to_vec(),
        };
        Ok(Job { id, kind, created, due, finished, attempts, state, problem, parameters, progress })
    }
}

impl Lease {
    /// Says how far the work got, and holds the lease on.
    ///
    /// # Errors
    /// [`JobFailure::Lost`] if the job is not ours any more; the database fails.
    pub async fn report(&self, progress: &[u8]) -> Result<(), JobFailure> {
        let sealed = self.seal_progress(progress).await?;
        let until = self.store.lease_clock(self.tenant).await? + microseconds(self.length);
        let sql = Sql::new(
            "update jobs set progress = $4, leased_until = $5, failures = 0, problem = null \
             where tenant = $1 and id = $2 and attempts = $3 and state = 1",
        );
        self.hold(sql.with(self.tenant.0).with(self.job.id).with(self.job.attempts).with(sealed).with(until))
            .await
    }

    /// Holds the lease on.
    ///
    /// # Errors
    /// [`JobFailure::Lost`] if the job is not ours any more; the database fails.
    pub async fn renew(&self) -> Result<(), JobFailure> {
        let until = self.store.lease_clock(self.tenant).await? + microseconds(self.length);
        let sql = Sql::new(
            "update jobs set leased_until = $4 where tenant = $1 and id = $2 and attempts = $3 and state = 1",
        );
        self.hold(sql.with(self.tenant.0).with(self.job.id).with(self.job.attempts).with(until)).await
    }

    /// Gives the job back until that time, with how far it got.
    ///
    /// # Errors
    /// [`JobFailure::Lost`] if the job is not ours any more; the database fails.
    pub async fn postpone(&self, due: i64, progress: &[u8]) -> Result<(), JobFailure> {
        let sealed = self.seal_progress(progress).await?;
        let sql = Sql::new(
            "update jobs set state = 0, progress = $4, due = $5, leased_until = null, failures = 0, \
               problem = null where tenant = $1 and id = $2 and attempts = $3 and state = 1",
        );
        let sql = sql.with(self.tenant.0).with(self.job.id).with(self.job.attempts);
        self.hold(sql.with(sealed).with(due)).await
    }

    /// The work is done; `progress` says what came of it.
    ///
    /// # Errors
    /// [`JobFailure::Lost`] if the job is not ours any more; the database fails.
    pub async fn finish(&self, progress: &[u8]) -> Result<(), JobFailure> {
        let sealed = self.seal_progress(progress).await?;
        let sql = Sql::new(
            "update jobs set state = 2, progress = $4, finished = $5, leased_until = null, problem = null \
             where tenant = $1 and id = $2 and attempts = $3 and state = 1",
        );
        let sql = sql.with(self.tenant.0).with(self.job.id).with(self.job.attempts);
        self.hold(sql.with(sealed).with(self.store.now())).await
    }

    /// The work will never be done, for that reason.
    ///
    /// # Errors
    /// [`JobFailure::Lost`] if the job is not ours any more; the database fails.
    pub async fn fail(&self, problem: &str) -> Result<(), JobFailure> {
        let sql = Sql::new(
            "update jobs set state = 3, problem = $4, finished = $5, leased_until = null \
             where tenant = $1 and id = $2 and attempts = $3 and state = 1",
        );
        let sql = sql.with(self.tenant.0).with(self.job.id).with(self.job.attempts);
        self.hold(sql.with(problem).with(self.store.now())).await
    }

    /// Gives the job back, to be tried again after a pause that grows with every failure.
    ///
    /// # Errors
    /// [`JobFailure::Lost`] if the job is not ours any more; the database fails.
    pub async fn give_back(&self, problem: &str) -> Result<(), JobFailure> {
        let sql = Sql::new(
            "update jobs set state = 0, problem = $4, leased_until = null, failures = failures + 1, \
               due = $5 + $6 * (1 << least(failures, 10)) \
             where tenant = $1 and id = $2 and attempts = $3 and state = 1",
        );
        let sql = sql.with(self.tenant.0).with(self.job.id).with(self.job.attempts);
        self.hold(sql.with(problem).with(self.store.now()).with(PAUSE)).await
    }

    async fn seal_progress(&self, progress: &[u8]) -> Result<Vec<u8>, StoreError> {
        self.store.seal_private(self.tenant, (PROGRESS, self.job.id.as_bytes()), progress).await
    }

    async fn hold(&self, sql: Sql) -> Result<(), JobFailure> {
        if self.store.act(self.tenant, &sql).await? == 1 { Ok(()) } else { Err(JobFailure::Lost) }
    }
}

fn microseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

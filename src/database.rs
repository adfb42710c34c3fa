//! PostgreSQL: a pool of connections, and a few connections at hand for single statements and for searches.
//!
//! The pool tests each connection that is given back, which makes PostgreSQL wake up twice for every statement; for a
//! read of one row that is a third of its cost. A connection at hand goes from one statement to the next. Only where
//! that is not safe it goes through the pool, and is tested: after an error, when its statement was abandoned, or when
//! nothing has used it for a moment.

use std::{
    fmt,
    ops::Deref,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use futures_util::{
    FutureExt as _, StreamExt as _, TryStreamExt as _,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use sqlx::{
    Connection as _, Describe, Either, Execute, Executor, PgPool, Postgres, SqlStr,
    pool::PoolConnection,
    postgres::{PgQueryResult, PgRow, PgStatement, PgTypeInfo},
};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};

use crate::error;

/// Number of connections at hand. More than twice the processors would mostly wait for each other.
const AT_HAND: usize = 4;
/// Connections idle for less than this are assumed to be alive; if one has just closed, the request gets a 503
/// response.
pub(crate) const FRESH: Duration = Duration::from_millis(20);
/// The wait for a connection at hand, after which a statement takes one of the pool: slow statements must not hold up
/// short ones.
const SHORT: Duration = Duration::from_millis(50);
/// Connections go back to the pool, and those for searches are closed, when they have been at hand for so long, and when
/// nothing has used them for so long, at the next statement: the pool knows how old one may become.
const LONGEST: Duration = Duration::from_mins(5);
const UNUSED: Duration = Duration::from_secs(10);

/// The database. As an executor it runs single statements on a connection at hand; transactions take one of the pool.
#[derive(Clone)]
pub struct Database {
    pool: PgPool,
    at_hand: Arc<AtHand>,
    searches: Arc<AtHand>,
}

struct AtHand {
    turns: Semaphore,
    idle: Mutex<Vec<Idle>>,
    /// The statement that prepares a connection; the pool does not get such a connection back.
    session: Option<&'static str>,
}

struct Idle {
    connection: PoolConnection<Postgres>,
    /// The time at which the pool gave it.
    since: Instant,
    used: Instant,
}

impl Database {
    /// Returns the database for a statement that searches many rows for a few: it is planned for its actual filters each
    /// time. A generic plan would read whole tables.
    #[must_use]
    pub fn search(&self) -> Self {
        Self { at_hand: Arc::clone(&self.searches), ..self.clone() }
    }

    /// Closes all connections. Statements that come later fail.
    pub async fn close(&self) {
        for at_hand in [&self.at_hand, &self.searches] {
            at_hand.turns.close();
            at_hand.lock().clear();
        }
        self.pool.close().await;
    }

    /// Takes a connection, waiting no longer than for one of the pool: a server that has vanished does not respond.
    async fn take(&self) -> sqlx::Result<Taken<'_>> {
        let patience = self.pool.options().get_acquire_timeout();
        timeout(patience, self.taken()).await.map_err(|_| sqlx::Error::PoolTimedOut)?
    }

    async fn taken(&self) -> sqlx::Result<Taken<'_>> {
        let turn = timeout(SHORT, self.at_hand.turns.acquire()).await.ok();
        let turn = turn.transpose().map_err(|_| sqlx::Error::PoolClosed)?;
        let alive = if turn.is_some() { self.at_hand.alive().await } else { None };
        let (connection, since) = match alive {
            Some(alive) => alive,
            None => (self.at_hand.prepared(self.pool.acquire().await?).await?, Instant::now()),
        };
        Ok(Taken { connection, since, at_hand: &self.at_hand, turn })
    }
}

/// A connection whose statement is under way. When it is dropped, the pool tests it; one for searches is closed.
struct Taken<'a> {
    connection: PoolConnection<Postgres>,
    since: Instant,
    at_hand: &'a AtHand,
    /// None for a connection that does not stay at hand.
    turn: Option<SemaphorePermit<'a>>,
}

impl Taken<'_> {
    /// Keeps the connection at hand: its statement has ended well.
    fn keep(self) {
        let Self { connection, since, at_hand, turn: Some(_turn) } = self else { return };
        let mut idle = at_hand.lock();
        idle.retain(|idle| idle.used.elapsed() < UNUSED && idle.since.elapsed() < LONGEST);
        // Also if the last one is closed at this moment: it closes what it finds, under the same lock.
        if !at_hand.turns.is_closed() {
            idle.push(Idle { connection, since, used: Instant::now() });
        }
    }
}

impl AtHand {
    fn new(session: Option<&'static str>) -> Arc<Self> {
        Arc::new(Self { turns: Semaphore::new(AT_HAND), idle: Mutex::default(), session })
    }

    async fn prepared(&self, mut connection: PoolConnection<Postgres>) -> sqlx::Result<PoolConnection<Postgres>> {
        if let Some(session) = self.session {
            connection.close_on_drop();
            connection.execute(session).await?;
        }
        Ok(connection)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the connection that was used last and is neither old nor closed.
    async fn alive(&self) -> Option<(PoolConnection<Postgres>, Instant)> {
        loop {
            let Idle { mut connection, since, used } = self.lock().pop()?;
            let age = since.elapsed();
            if age > LONGEST || error::was_read_only_within(age) {
                continue;
            }
            if used.elapsed() < FRESH {
                return Some((connection, since));
            }
            connection.close_on_drop(); // also if we are given up while it does not respond
            if connection.ping().await.is_ok() {
                return Some((connection, since));
            }
        }
    }
}

impl From<PgPool> for Database {
    fn from(pool: PgPool) -> Self {
        let searches = AtHand::new(Some("set plan_cache_mode = force_custom_plan"));
        Self { pool, at_hand: AtHand::new(None), searches }
    }
}

impl Deref for Database {
    type Target = PgPool;

    fn deref(&self) -> &PgPool {
        &self.pool
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pool.fmt(f)
    }
}

impl<'p> Executor<'p> for &'_ Database {
    type Database = Postgres;

    /// Returns the rows when all have arrived: they are a page at most.
    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, sqlx::Result<Either<PgQueryResult, PgRow>>>
    where
        'p: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let database = self.clone();
        let rows = async move {
            let mut taken = database.take().await?;
            let rows: Vec<_> = taken.connection.fetch_many(query).try_collect().await?;
            taken.keep();
            Ok::<_, sqlx::Error>(stream::iter(rows.into_iter().map(Ok)))
        };
        rows.into_stream().try_flatten().boxed()
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, sqlx::Result<Option<PgRow>>>
    where
        'p: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let database = self.clone();
        async move {
            let mut taken = database.take().await?;
            let row = taken.connection.fetch_optional(query).await?;
            taken.keep();
            Ok(row)
        }
        .boxed()
    }

    fn prepare_with<'e>(self, sql: SqlStr, parameters: &'e [PgTypeInfo]) -> BoxFuture<'e, sqlx::Result<PgStatement>>
    where
        'p: 'e,
    {
        let database = self.clone();
        async move { database.pool.acquire().await?.prepare_with(sql, parameters).await }.boxed()
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, sqlx::Result<Describe<Postgres>>>
    where
        'p: 'e,
    {
        let database = self.clone();
        async move { database.pool.acquire().await?.describe(sql).await }.boxed()
    }
}

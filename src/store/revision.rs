//! The one total order of committed transactions.

use sqlx::postgres::PgListener;
use sqlx::{PgConnection, PgPool, Row};

use super::Store;
use crate::domain::record::Revision;
use crate::error::{Error, Result};

/// The channel on which every new revision is announced.
const CHANNEL: &str = "lamppost_revision";

/// Held for the length of the numbering transaction, so that one node numbers at a time.
const NUMBERING_LOCK: i64 = 7_261_002;

impl Store {
    /// Numbers every transaction that has committed; see [`number`].
    pub async fn number_revisions(&self) -> Result<Option<i64>> {
        number(&self.pool).await
    }

    /// The number of the newest revision; 0 before the first.
    pub async fn newest_revision(&self) -> Result<i64> {
        let sql = "select coalesce(max(number), 0) from revision";
        Ok(sqlx::query_scalar(sql).fetch_one(&self.pool).await?)
    }

    /// A connection that hears of every new revision. It reconnects by itself and then says `None`.
    pub async fn listen(&self) -> Result<PgListener> {
        let mut listener = PgListener::connect_with(&self.pool).await?;
        listener.listen(CHANNEL).await?;
        Ok(listener)
    }

    /// A connection for a snapshot: everything read through it is as of one moment.
    pub async fn snapshot(&self) -> Result<sqlx::Transaction<'static, sqlx::Postgres>> {
        Ok(self
            .pool
            .begin_with("begin isolation level repeatable read read only")
            .await?)
    }

    /// A connection to read what was committed.
    pub async fn reader(&self) -> Result<sqlx::pool::PoolConnection<sqlx::Postgres>> {
        Ok(self.pool.acquire().await?)
    }
}

/// Numbers every transaction that has committed, in the order of the last change number that each drew under its row locks, and
/// tells everyone who follows. Any node may call it, and any number of times. Answers the newest revision, or none if nothing was
/// waiting.
pub(super) async fn number(pool: &PgPool) -> Result<Option<i64>> {
    let waiting: bool = sqlx::query_scalar("select exists (select from pending)")
        .fetch_one(pool)
        .await?;
    if !waiting {
        return Ok(None);
    }
    let mut tx = pool.begin().await?;
    sqlx::query("select pg_advisory_xact_lock($1)")
        .bind(NUMBERING_LOCK)
        .execute(&mut *tx)
        .await?;
    // A statement of its own: its snapshot is taken after the lock was granted, and so sees all that committed before.
    let newest: Option<i64> = sqlx::query_scalar("select number_revisions()")
        .fetch_one(&mut *tx)
        .await?;
    if let Some(number) = newest {
        sqlx::query("select pg_notify($1, $2)")
            .bind(CHANNEL)
            .bind(number.to_string())
            .execute(&mut *tx)
            .await?;
    }
    tx.commit().await?;
    Ok(newest)
}

/// The newest revision; none in a register that nobody has written to.
pub async fn newest(tx: &mut PgConnection) -> Result<Option<Revision>> {
    let row = sqlx::query("select number, txn, recorded from revision order by number desc limit 1")
        .fetch_optional(tx)
        .await?;
    row.map(|r| revision(&r)).transpose()
}

/// The revision of number `from` itself, if it is there, and up to `limit` after it, in order.
pub async fn since(tx: &mut PgConnection, from: i64, limit: i64) -> Result<Vec<Revision>> {
    let sql = "select number, txn, recorded from revision where number >= $1 order by number limit $2";
    let rows = sqlx::query(sql)
        .bind(from)
        .bind(limit.saturating_add(1))
        .fetch_all(tx)
        .await?;
    rows.iter().map(revision).collect()
}

fn revision(row: &sqlx::postgres::PgRow) -> Result<Revision> {
    let read = || -> Result<Revision, sqlx::Error> {
        Ok(Revision {
            number: row.try_get("number")?,
            txn: row.try_get("txn")?,
            recorded: row.try_get("recorded")?,
        })
    };
    read().map_err(Error::from)
}

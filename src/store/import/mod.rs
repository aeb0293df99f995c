//! Deliveries into the record: rows are staged by COPY and compared, updated and inserted as sets.
//!
//! A delivery changes only what differs: the same file twice writes nothing. [`components`] goes by batches, each one a
//! transaction; everything else (areas, cells, roads, land, parties, classes) is one transaction.
pub mod areas;
mod component_sql;
pub mod components;
pub mod delivery;
mod ground;
mod listed;
pub mod parties;
pub mod recode;
mod refused;
pub mod shapes;
pub mod sync;

use sqlx::{PgConnection, PgPool, Postgres, Transaction};

use crate::domain::delivery::{Change, Finding, RowFault, Tally};
use crate::error::Result;

/// The actor of every change that a delivery makes; how a later delivery tells a surveyor's edit from its own.
const ACTOR: &str = "import";

/// What became of staged rows.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Where rows went.
    pub tally: Tally,
    /// Rows that the register refused.
    pub rejects: Vec<(u64, RowFault)>,
    /// What is left to be looked at.
    pub findings: Vec<Finding>,
    /// Parties that were created.
    pub new_parties: Vec<String>,
    /// Components that got another cell.
    pub cells_assigned: u64,
    /// What became of each row, where a list is wanted.
    pub changes: Vec<Change>,
    /// The revision, when something was committed.
    pub revision: Option<i64>,
}

/// Says who writes and why, for the transaction.
async fn sign(conn: &mut PgConnection, reason: &str) -> Result<()> {
    sqlx::query("select set_config('lamppost.actor', $1, true), set_config('lamppost.reason', $2, true), set_config('jit', 'off', true)")
        .bind(ACTOR)
        .bind(reason)
        .execute(conn)
        .await?;
    Ok(())
}

/// Commits and numbers, or, on a dry run, takes everything back.
async fn close(pool: &PgPool, tx: Transaction<'_, Postgres>, dry_run: bool) -> Result<Option<i64>> {
    if dry_run {
        tx.rollback().await?;
        return Ok(None);
    }
    tx.commit().await?;
    super::revision::number(pool).await
}

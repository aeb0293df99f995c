//! The record: every SQL statement of the program stands in this folder, as static text with bound values.
pub mod access_log;
pub mod account;
pub mod bulk;
pub mod check;
pub mod claim;
pub mod claim_batch;
mod claim_write;
pub mod cluster;
pub mod code;
mod copy;
pub mod dictionary;
pub mod dispute;
pub mod dump;
pub mod edit;
pub mod evidence;
pub mod external;
pub mod handover;
pub mod import;
pub mod page;
pub mod past;
pub mod proposal;
mod quality;
pub mod record;
pub mod revision;
pub mod scenario;
pub mod statistics;
pub mod token;

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};

use crate::error::{Error, Result};
use crate::text;

/// The PostgreSQL database that holds the register. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    pool: PgPool,
}

impl Store {
    /// Connects with at most `connections` connections, waiting up to 10 s for one.
    pub async fn connect(options: PgConnectOptions, connections: u32) -> Result<Store> {
        let pool = PgPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(Duration::from_secs(10))
            .after_connect(|conn, _| {
                Box::pin(async move {
                    // What a killed client had begun must not go on for hours with its locks. Where a server cannot look, it goes on.
                    let _ = sqlx::query("set client_connection_check_interval = '5s'")
                        .execute(conn)
                        .await;
                    Ok(())
                })
            })
            .connect_with(options)
            .await?;
        Ok(Store { pool })
    }

    /// The store of a pool that is there already.
    pub fn from_pool(pool: PgPool) -> Store {
        Store { pool }
    }

    /// Brings schema and built-in dictionary up to date; safe to call by several processes at once.
    pub async fn migrate(&self) -> Result<()> {
        sqlx::migrate!("./migrations")
            .run(&self.pool)
            .await
            .map_err(Error::internal)?;
        dictionary::install(self).await
    }

    /// Waits for the queries under way and closes every connection.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

impl From<sqlx::Error> for Error {
    fn from(e: sqlx::Error) -> Error {
        match &e {
            sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::Io(_) => Error::Busy(text!(
                "数据库暂时不可用，请稍后重试",
                "the database is not reachable at the moment; try again shortly"
            )),
            // lock_not_available, deadlock_detected
            sqlx::Error::Database(d) if matches!(d.code().as_deref(), Some("55P03" | "40P01")) => Error::Busy(text!(
                "该内容正由他人编辑，请稍后重试",
                "somebody else is editing this; try again shortly"
            )),
            _ => Error::internal(e),
        }
    }
}

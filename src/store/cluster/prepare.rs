//! Role, database and extension of the private cluster: what a new one lacks, and what a kill during its making left out.
use std::path::Path;

use sqlx::{ConnectOptions, Connection, Executor};

use super::process::options;
use crate::error::{Error, Result};

/// Makes whatever is missing. The register's role is no superuser, so PostGIS is installed for it here.
pub(super) async fn prepare(socket: &Path) -> Result<()> {
    let mut server = options(socket, "postgres", "postgres").connect().await?;
    let (role, database): (bool, bool) = sqlx::query_as(
        "select exists (select from pg_roles where rolname = 'lamppost'),
                exists (select from pg_database where datname = 'lamppost')",
    )
    .fetch_one(&mut server)
    .await?;
    if !role {
        server.execute("create role lamppost login").await?;
    }
    if !database {
        server
            .execute("create database lamppost owner lamppost template template0 encoding 'UTF8'")
            .await?;
    }
    server.close().await?;
    let mut register = options(socket, "postgres", "lamppost").connect().await?;
    register.execute("create extension if not exists postgis").await?;
    register.close().await?;
    Ok(())
}

/// Whether the cluster at `socket` answers and holds a finished database for the register's role.
pub(super) async fn answers(socket: &Path) -> Result<bool> {
    let mut register = match options(socket, "lamppost", "lamppost").connect().await {
        Ok(register) => register,
        // Not there yet, starting or stopping, no such role or database yet: the owner is still at it.
        Err(sqlx::Error::Io(_)) => return Ok(false),
        Err(sqlx::Error::Database(e)) if matches!(e.code().as_deref(), Some("57P03" | "3D000" | "28000" | "28P01")) => {
            return Ok(false);
        }
        Err(e) => return Err(Error::internal(e)),
    };
    let ready = sqlx::query_scalar::<_, bool>("select exists (select from pg_extension where extname = 'postgis')")
        .fetch_one(&mut register)
        .await;
    Ok(ready.unwrap_or(false))
}

//! A PostgreSQL server that somebody else runs.
use std::str::FromStr;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Connection, Executor};

use super::cluster::OLDEST_MAJOR;
use crate::error::{Error, Result};
use crate::text;

/// Reads a database URL and makes sure that the register can live there; says what an administrator must do where it cannot.
pub async fn check(url: &str) -> Result<PgConnectOptions> {
    // The URL may hold a password, so no message repeats it.
    let options = PgConnectOptions::from_str(url).map_err(|e| {
        Error::Setup(text!(
            "无法读取数据库 URL（应为 postgres://用户:密码@主机/数据库）:{e}",
            "the database URL cannot be read (it looks like postgres://user:password@host/database): {e}"
        ))
    })?;
    let options = options.application_name("lamppost");
    let mut server = options.connect().await.map_err(|e| {
        let host = options.get_host();
        Error::Setup(text!(
            "无法连接数据库服务器 {host}:{e}",
            "cannot connect to the database server {host}: {e}"
        ))
    })?;
    check_server(&mut server).await?;
    check_postgis(&mut server).await?;
    server.close().await?;
    Ok(options)
}

#[derive(sqlx::FromRow)]
struct Facts {
    version: i32,
    utf8: bool,
    replica: bool,
    user: String,
    database: String,
    schema: Option<String>,
    may_create: bool,
}

async fn facts(server: &mut PgConnection) -> Result<Facts> {
    Ok(sqlx::query_as(
        r#"select current_setting('server_version_num')::int as version,
                  current_setting('server_encoding') = 'UTF8' as utf8,
                  pg_is_in_recovery() as replica,
                  current_user::text as "user",
                  current_database()::text as database,
                  current_schema()::text as schema,
                  to_regclass('_sqlx_migrations') is not null
                    or coalesce(has_schema_privilege(current_schema(), 'create'), false) as may_create"#,
    )
    .fetch_one(server)
    .await?)
}

async fn check_server(server: &mut PgConnection) -> Result<()> {
    let facts = facts(server).await?;
    let (user, database) = (&facts.user, &facts.database);
    let major = facts.version / 10_000;
    if facts.version < (OLDEST_MAJOR as i32) * 10_000 {
        return Err(Error::Setup(text!(
            "服务器是 PostgreSQL {major}，需要 {OLDEST_MAJOR} 或更新版本",
            "the server is PostgreSQL {major}; {OLDEST_MAJOR} or later is needed"
        )));
    }
    if !facts.utf8 {
        return Err(Error::Setup(text!(
            "数据库 {database} 的编码不是 UTF8:请执行 create database … encoding 'UTF8' template template0",
            "database {database} is not encoded in UTF8: make one with `create database … encoding 'UTF8' template template0`"
        )));
    }
    if facts.replica {
        return Err(Error::Setup(text!(
            "服务器是只读副本，请使用主服务器的 URL",
            "the server is a read-only replica; use the URL of its primary"
        )));
    }
    if !facts.may_create {
        let schema = facts.schema.as_deref().unwrap_or("public");
        return Err(Error::Setup(text!(
            "用户 {user} 不能在数据库 {database} 中建表，请管理员执行：grant usage, create on schema {schema} to \"{user}\"",
            "user {user} may not create tables in database {database}; an administrator must run there: grant usage, create on schema {schema} to \"{user}\""
        )));
    }
    Ok(())
}

async fn has_postgis(server: &mut PgConnection) -> Result<bool> {
    Ok(
        sqlx::query_scalar("select exists (select from pg_extension where extname = 'postgis')")
            .fetch_one(server)
            .await?,
    )
}

async fn check_postgis(server: &mut PgConnection) -> Result<()> {
    if has_postgis(server).await? {
        return Ok(());
    }
    let available: bool =
        sqlx::query_scalar("select exists (select from pg_available_extensions where name = 'postgis')")
            .fetch_one(&mut *server)
            .await?;
    if !available {
        let major = facts(server).await?.version / 10_000;
        return Err(Error::Setup(text!(
            "服务器没有安装 PostGIS:请在服务器上安装 Debian 软件包 postgresql-{major}-postgis-3",
            "the server has no PostGIS: install the Debian package postgresql-{major}-postgis-3 on it"
        )));
    }
    let created = server.execute("create extension if not exists postgis").await;
    // Two processes may create it at once: what counts is that it is there.
    if created.is_ok() || has_postgis(server).await? {
        return Ok(());
    }
    let database = facts(server).await?.database;
    let reason = created.err().map(|e| e.to_string()).unwrap_or_default();
    Err(Error::Setup(text!(
        "数据库 {database} 缺少 PostGIS 扩展({reason})。请管理员在数据库 {database} 中执行：create extension postgis;",
        "database {database} lacks the PostGIS extension ({reason}); an administrator must run in database {database}: create extension postgis;"
    )))
}

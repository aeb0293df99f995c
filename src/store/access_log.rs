//! The access log: what was refused, and who saw or took away what not everybody may.

use chrono::{DateTime, Utc};

use super::Store;
use crate::error::Result;

/// One row of the log.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Access {
    /// When, for the first time within its minute.
    pub at: DateTime<Utc>,
    /// What was done: refused, sign-in, sign-in-failed, sign-out, password, restricted, export.
    pub act: String,
    /// By whom; empty where nobody was signed in.
    pub who: String,
    /// From which address.
    pub peer: String,
    /// To what.
    pub subject: String,
    /// How often.
    pub times: i32,
}

impl Store {
    /// Adds rows.
    pub async fn log_accesses(&self, rows: &[Access]) -> Result<()> {
        let all = |get: fn(&Access) -> &str| rows.iter().map(|r| get(r).to_owned()).collect::<Vec<_>>();
        let sql = "insert into access_log (at, act, who, peer, subject, times)
                   select * from unnest($1::timestamptz[], $2::text[], $3::text[], $4::text[], $5::text[], $6::int[])";
        sqlx::query(sql)
            .bind(rows.iter().map(|r| r.at).collect::<Vec<_>>())
            .bind(all(|r| &r.act))
            .bind(all(|r| &r.who))
            .bind(all(|r| &r.peer))
            .bind(all(|r| &r.subject))
            .bind(rows.iter().map(|r| r.times).collect::<Vec<_>>())
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// The newest rows, newest first.
    pub async fn accesses(&self, limit: i64) -> Result<Vec<Access>> {
        let sql = "select at, act, who, peer, subject, times from access_log order by id desc limit $1";
        Ok(sqlx::query_as(sql).bind(limit).fetch_all(&self.pool).await?)
    }

    /// Forgets what is older than a number of days; the database refuses less than six months.
    pub async fn forget_accesses(&self, days: i32) -> Result<()> {
        let sql = "delete from access_log where at < now() - make_interval(days => $1)";
        sqlx::query(sql).bind(days).execute(&self.pool).await?;
        Ok(())
    }
}

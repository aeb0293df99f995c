//! Deliveries as such: begun, ended, undone.

use serde_json::Value;
use sqlx::PgConnection;

use super::{close, sign};
use crate::error::{Error, Result};
use crate::store::Store;
use crate::text;

/// A delivery that was begun.
#[derive(Debug)]
pub struct Begun {
    /// Its number.
    pub id: i64,
    /// How many components it had brought in before it was interrupted.
    pub resumes: Option<i64>,
    /// Holds the source: nobody else delivers from it until this is dropped.
    pub hold: PgConnection,
}

/// How a delivery ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// To its end.
    Done,
    /// By an error.
    Failed,
}

/// What an undo did.
#[derive(Clone, Debug, Default)]
pub struct Undone {
    /// Components that are again as they were before.
    pub restored: u64,
    /// Components that the delivery had added, now retired.
    pub retired: u64,
    /// Components left alone because somebody edited them since.
    pub kept: Vec<i64>,
    /// The revision.
    pub revision: Option<i64>,
}

impl Store {
    /// Notes that a delivery begins. Where the last one of the same file did not come to its end, this one goes on from it under its
    /// number, so that both are undone as one. Nobody else delivers from the source meanwhile.
    pub async fn begin_delivery(&self, source: &str, file: &str, target: &str, by: Option<&str>) -> Result<Begun> {
        let mut hold = self.pool.acquire().await?.detach();
        // Whoever was killed a moment ago lets go of it in a moment.
        sqlx::query("set lock_timeout = '5s'").execute(&mut hold).await?;
        let held = sqlx::query("select pg_advisory_lock(7261004, hashtext($1))")
            .bind(source)
            .execute(&mut hold)
            .await;
        if held.is_err_and(|e| {
            e.as_database_error()
                .is_some_and(|e| e.code().as_deref() == Some("55P03"))
        }) {
            return Err(Error::Conflict(text!(
                "来源“{source}”的另一次导入正在进行",
                "another import of the source \"{source}\" is under way"
            )));
        }
        let last: Option<(i64, String, i64)> = sqlx::query_as(
            "select l.id, l.state, (select count(distinct c.id) from delivery_txn d join change c on c.txn = d.txn where d.delivery = l.id)
             from delivery l where source = $1 and file = $2 and target = $3 order by l.id desc limit 1",
        )
        .bind(source)
        .bind(file)
        .bind(target)
        .fetch_optional(&mut hold)
        .await?;
        let resumes = last.filter(|(_, state, _)| matches!(state.as_str(), "running" | "failed"));
        if let Some((id, _, rows)) = resumes {
            sqlx::query("update delivery set state = 'running', finished = null, by = coalesce($2, by) where id = $1")
                .bind(id)
                .bind(by)
                .execute(&mut hold)
                .await?;
            return Ok(Begun {
                id,
                resumes: Some(rows),
                hold,
            });
        }
        let id: i64 =
            sqlx::query_scalar("insert into delivery (source, file, target, by) values ($1, $2, $3, $4) returning id")
                .bind(source)
                .bind(file)
                .bind(target)
                .bind(by)
                .fetch_one(&mut hold)
                .await?;
        Ok(Begun {
            id,
            resumes: None,
            hold,
        })
    }

    /// Notes how a delivery ended and what it reported.
    pub async fn end_delivery(&self, id: i64, end: End, report: Option<Value>) -> Result<()> {
        let state = match end {
            End::Done => "done",
            End::Failed => "failed",
        };
        sqlx::query(
            "update delivery set state = $2, finished = now(), report = $3 where id = $1 and state = 'running'",
        )
        .bind(id)
        .bind(state)
        .bind(report)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Takes a delivery of components back as one transaction: what it changed or retired is as before, what it added is retired. What
    /// somebody has edited since is left alone and named.
    pub async fn undo_delivery(&self, id: i64) -> Result<Undone> {
        let mut tx = self.pool.begin().await?;
        sign(&mut tx, &format!("undo {id}")).await?;
        crate::store::edit::hold_cells(&mut tx).await?;
        let found: Option<(String, String)> =
            sqlx::query_as("select state, target from delivery where id = $1 for update")
                .bind(id)
                .fetch_optional(&mut *tx)
                .await?;
        match found.as_ref().map(|(s, t)| (s.as_str(), t.as_str())) {
            None => {
                return Err(Error::NotFound(text!(
                    "没有第 {id} 次交付",
                    "there is no delivery {id}"
                )));
            }
            Some(("undone", _)) => {
                return Err(Error::Conflict(text!(
                    "第 {id} 次交付已撤销",
                    "delivery {id} has been undone already"
                )));
            }
            Some((_, target)) if target != "components" => {
                return Err(Error::Conflict(text!(
                    "第 {id} 次交付的是 {target}，只有部件的交付可以撤销",
                    "delivery {id} is of {target}; only deliveries of components can be undone"
                )));
            }
            Some(_) => {}
        }
        let kept = take_back(&mut tx, id).await?;
        let restored = sqlx::query(RESTORE).execute(&mut *tx).await?.rows_affected();
        let retired = sqlx::query("update component c set state = 'retired' from undo_component u where c.id = u.id and u.first = 1 and c.state <> 'retired'")
            .execute(&mut *tx)
            .await?
            .rows_affected();
        sqlx::query("update delivery set state = 'undone' where id = $1")
            .bind(id)
            .execute(&mut *tx)
            .await?;
        let revision = close(&self.pool, tx, false).await?;
        Ok(Undone {
            restored,
            retired,
            kept,
            revision,
        })
    }
}

/// Finds what the delivery wrote and nobody has written since; the ids of the rest.
async fn take_back(conn: &mut PgConnection, id: i64) -> Result<Vec<i64>> {
    sqlx::raw_sql(
        "create temp table undo_component (id bigint, first bigint, last bigint, own bigint, current bigint) on commit drop",
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query(
        "insert into undo_component
         select t.id, t.first, t.last, t.own, c.version
         from (select h.id, min(h.version) as first, max(h.version) as last, count(distinct h.version) as own
               from delivery_txn d join change h on h.txn = d.txn and h.entity = 'component'
               where d.delivery = $1 group by h.id) t
         cross join lateral (select c.version from component c where c.id = t.id for update) c",
    )
    .bind(id)
    .execute(&mut *conn)
    .await?;
    // Between the two halves of an interrupted delivery, too, somebody may have edited.
    let kept =
        sqlx::query_scalar("delete from undo_component where current <> last or own <> last - first + 1 returning id")
            .fetch_all(&mut *conn)
            .await?;
    Ok(kept)
}

const RESTORE: &str = "
update component c set
  class = v.class, geom = v.geom, scheme = v.scheme, code = v.code, name = v.name, state = v.state, authority = v.authority,
  owner = v.owner, maintainer = v.maintainer, ownership_status = v.ownership_status, property_kind = v.property_kind,
  management_kind = v.management_kind, address = v.address, road = v.road, surveyed_on = v.surveyed_on, accuracy = v.accuracy,
  note = v.note, attributes = v.attributes
from undo_component u join component_version v on v.id = u.id and v.version = u.first - 1
where c.id = u.id and u.first > 1";

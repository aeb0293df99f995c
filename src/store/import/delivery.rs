//! Deliveries as such: begun, ended, undone.

use serde_json::Value;
use sqlx::PgConnection;

use super::{close, sign};
use crate::error::{Error, Result};
use crate::store::Store;
use crate::text;

/// A delivery that was begun.
#[derive(Clone, Copy, Debug)]
pub struct Begun {
    /// Its number.
    pub id: i64,
    /// The number of an earlier one of the same file that was interrupted, and how many rows it had brought in.
    pub resumes: Option<(i64, i64)>,
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
    /// Notes that a delivery begins. One of the same file that was interrupted is marked as failed: this one goes on from it.
    pub async fn begin_delivery(&self, source: &str, file: &str, target: &str) -> Result<Begun> {
        let mut tx = self.pool.begin().await?;
        let resumes: Option<(i64, i64)> = sqlx::query_as(
            "with left_over as (
               update delivery set state = 'failed', finished = now()
               where state = 'running' and source = $1 and file = $2 and target = $3
               returning id
             )
             select l.id, (select count(distinct c.id) from delivery_txn d join change c on c.txn = d.txn where d.delivery = l.id)
             from left_over l order by l.id desc limit 1",
        )
        .bind(source)
        .bind(file)
        .bind(target)
        .fetch_optional(&mut *tx)
        .await?;
        let id: i64 =
            sqlx::query_scalar("insert into delivery (source, file, target) values ($1, $2, $3) returning id")
                .bind(source)
                .bind(file)
                .bind(target)
                .fetch_one(&mut *tx)
                .await?;
        tx.commit().await?;
        Ok(Begun { id, resumes })
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
        "create temp table undo_component (id bigint, first bigint, last bigint, current bigint) on commit drop",
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query(
        "insert into undo_component
         select t.id, t.first, t.last, c.version
         from (select h.id, min(h.version) as first, max(h.version) as last
               from delivery_txn d join change h on h.txn = d.txn and h.entity = 'component'
               where d.delivery = $1 group by h.id) t
         cross join lateral (select c.version from component c where c.id = t.id for update) c",
    )
    .bind(id)
    .execute(&mut *conn)
    .await?;
    let kept = sqlx::query_scalar("delete from undo_component where current <> last returning id")
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

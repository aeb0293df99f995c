//! Components as the register had them at a revision: what differs from now.

use chrono::{DateTime, Utc};
use futures_util::{Stream, TryStreamExt};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};

use super::Store;
use super::page::{DETAILS_OF_VERSIONS, Detail};
use super::record::{component, component_at, component_columns};
use crate::domain::record::Component;
use crate::error::{Error, Result};

/// Where a moment stands in the one total order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Standing {
    /// The last revision that was recorded then or before; 0 before the first.
    pub revision: i64,
    /// The newest revision.
    pub newest: i64,
}

/// What changed after revision `$1` and up to `$2`, and the version at one of the two, `$3`; 0 where it was not there yet.
const CHANGED: &str = concat!(
    "with changed as materialized (
       select c.id, case when $3 = $1 then min(c.version) - 1 else max(c.version) end as version
       from revision r join change c on c.txn = r.txn
       where r.number > $1 and r.number <= $2 and c.entity = 'component' group by c.id
     )
     select s.id as component, s.version as version_then, ",
    component_columns!(),
    " from changed s left join component_version v on v.id = s.id and v.version = s.version ",
    component_at!()
);

/// The same of some components.
const CHANGED_OF: &str = concat!(
    "with changed as materialized (
       select v.id, case when $3 = $1 then min(v.version) - 1 else max(v.version) end as version
       from component_version v join revision r on r.txn = v.txn
       where v.id = any ($4) and r.number > $1 and r.number <= $2 group by v.id
     )
     select s.id as component, s.version as version_then, ",
    component_columns!(),
    " from changed s left join component_version v on v.id = s.id and v.version = s.version ",
    component_at!()
);

/// A component that is another at another revision, as the database sends it: [`Then::read`] it where there is time.
#[derive(Debug)]
pub struct Then(PgRow);

impl Then {
    /// Its number, and what it was; none where it was not there yet.
    pub fn read(&self) -> Result<(i64, Option<Component>)> {
        let there = self.0.try_get::<i64, _>("version_then")? > 0;
        let then = there.then(|| component(&self.0)).transpose()?;
        Ok((self.0.try_get("component")?, then))
    }
}

/// What differs between two revisions, as it was at `then`, of some components or of all. Cost: about 10 µs a component that differs.
pub fn differing<'a>(
    connection: &'a mut PgConnection,
    then: i64,
    from: i64,
    of: Option<&'a [i64]>,
) -> impl Stream<Item = Result<Then>> + 'a {
    let query = sqlx::query(if of.is_some() { CHANGED_OF } else { CHANGED });
    let query = query.bind(then.min(from)).bind(then.max(from)).bind(then);
    let rows = match of {
        Some(ids) => query.bind(ids).fetch(connection),
        None => query.fetch(connection),
    };
    rows.map_ok(Then).map_err(Error::from)
}

impl Store {
    /// Where a moment stands.
    pub async fn standing_at(&self, moment: DateTime<Utc>) -> Result<Standing> {
        let sql = "select coalesce((select number from revision where recorded <= $1 order by recorded desc limit 1), 0) as revision,
              coalesce((select max(number) from revision), 0) as newest";
        Ok(sqlx::query_as(sql).bind(moment).fetch_one(&self.pool).await?)
    }

    /// The components that have ever left a place in a box, `[west, south, east, north]` degrees.
    pub async fn left(&self, b: [f64; 4]) -> Result<Vec<i64>> {
        let sql = "select distinct id from component_left where geom && st_makeenvelope($1, $2, $3, $4, 4326)";
        let query = b
            .into_iter()
            .fold(sqlx::query_scalar(sql), |query, degrees| query.bind(degrees));
        Ok(query.fetch_all(&self.pool).await?)
    }

    /// The version that a component had at a revision; none where it was not there yet.
    pub async fn version_at(&self, id: i64, revision: i64) -> Result<Option<i64>> {
        let sql = "select max(v.version) from component_version v join revision r on r.txn = v.txn where v.id = $1 and r.number <= $2";
        Ok(sqlx::query_scalar(sql)
            .bind(id)
            .bind(revision)
            .fetch_one(&self.pool)
            .await?)
    }

    /// Versions of components, in that order; what is not there is left out. One index look-up each.
    pub async fn details_of_versions(&self, versions: &[(i64, i64)]) -> Result<Vec<Detail>> {
        let (ids, versions): (Vec<i64>, Vec<i64>) = versions.iter().copied().unzip();
        Ok(sqlx::query_as(DETAILS_OF_VERSIONS)
            .bind(ids)
            .bind(versions)
            .fetch_all(&self.pool)
            .await?)
    }
}

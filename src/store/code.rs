//! Who has a code, and who had it.

use std::collections::HashMap;

use chrono::NaiveDate;
use sqlx::FromRow;

use super::Store;
use crate::error::Result;

/// A thing that has a code or had it.
#[derive(Clone, Debug, FromRow)]
pub struct Holder {
    /// `component`, `area` or `cell`.
    pub entity: String,
    /// Its permanent number.
    pub id: i64,
    /// The scheme of its code now; empty for an area.
    pub scheme: Option<String>,
    /// Its code now.
    pub code: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// Its class, if it is a component.
    pub class: Option<i32>,
    /// The day until which it had the code that was asked for; none if it has it.
    pub until: Option<NaiveDate>,
}

const HOLDERS: &str = "
with named as (
  select 'component' as entity, c.id, null::date as until from unnest($2::text[]) s join component c on c.scheme = s and c.code = $1
  union all select 'cell', id, null from cell where code = $1 and valid
  union all select 'area', id, null from area where code = $1 and valid
  union all select entity, id, until from former_code where code = $1
), held as (
  select distinct on (entity, id) * from named order by entity, id, until desc nulls first
)
select h.entity, h.id, coalesce(c.scheme, k.scheme) as scheme, coalesce(c.code, k.code, a.code) as code,
  coalesce(c.name, k.name, a.name) as name, c.class, h.until
from held h
left join component c on h.entity = 'component' and c.id = h.id
left join cell k on h.entity = 'cell' and k.id = h.id
left join area a on h.entity = 'area' and a.id = h.id
order by h.until nulls first, h.entity, h.id
limit 100";

impl Store {
    /// Districts that are another one now: the old code, the new, and since when.
    pub async fn former_districts(&self) -> Result<HashMap<String, (String, NaiveDate)>> {
        let sql = "select f.code, a.code, f.until from former_code f join area a on a.id = f.id
            where f.entity = 'area' and length(f.code) = 6 and f.code <> a.code";
        let rows: Vec<(String, String, NaiveDate)> = sqlx::query_as(sql).fetch_all(&self.pool).await?;
        Ok(rows.into_iter().map(|(old, new, on)| (old, (new, on))).collect())
    }

    /// Who has a code now under any of these schemes, then who had it: what a merger of districts or a correction has given another one.
    pub async fn code_holders(&self, code: &str, schemes: &[String]) -> Result<Vec<Holder>> {
        let held = sqlx::query_as(HOLDERS).bind(code).bind(schemes);
        Ok(held.fetch_all(&self.pool).await?)
    }

    /// The code that a component has now which once had this one.
    pub async fn successor_code(&self, code: &str) -> Result<Option<String>> {
        let sql = "select c.code from former_code f join component c on c.id = f.id
            where f.code = $1 and f.entity = 'component' and c.code is not null limit 1";
        Ok(sqlx::query_scalar(sql).bind(code).fetch_optional(&self.pool).await?)
    }
}

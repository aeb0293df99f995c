//! Counts of components as the register had them at a revision.

use super::Store;
use crate::error::Result;

/// The newest version of each component at a revision, counted. Versions are few a component, so that one pass over them in the order
/// of their key is cheapest.
const AT: &str = "
select g, class, state, ownership_status, maintained, count(*) as count
from (
  select distinct on (v.id) case $2 when 'cell' then v.cell::text when 'road' then v.road::text when 'owner' then v.owner::text
      when 'property' then v.property_kind else v.management_kind end as g,
    v.class, v.state, v.ownership_status, v.maintainer is not null as maintained
  from component_version v join revision r on r.txn = v.txn
  where r.number <= $1
  order by v.id, v.version desc
) c
where state <> 'retired'
group by 1, 2, 3, 4, 5";

/// How many live components of one sort there were in one group.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Count {
    /// The number of the cell, road or owner, or the word of the kind; none for those in none.
    #[sqlx(rename = "g")]
    pub group: Option<String>,
    /// The class.
    pub class: i32,
    /// The state.
    pub state: String,
    /// The ownership status.
    pub ownership_status: String,
    /// Whether a maintainer was named.
    pub maintained: bool,
    /// How many.
    pub count: i64,
}

impl Store {
    /// Counts as of a revision, by `cell`, `road`, `owner`, `property` or `management`. Cost: about 1 µs a version.
    pub async fn counts_at(&self, revision: i64, by: &'static str) -> Result<Vec<Count>> {
        Ok(sqlx::query_as(AT).bind(revision).bind(by).fetch_all(&self.pool).await?)
    }
}

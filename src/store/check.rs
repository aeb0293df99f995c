//! What the database says of itself that must be true.

use super::Store;
use crate::error::Result;

/// Each check: what would be wrong, and how many rows are.
const CHECKS: &[(&str, &str)] = &[
    (
        "components whose newest version is not what they are",
        "select count(*) from component c
         where not exists (
           select from component_version v
           where v.id = c.id and v.version = c.version
             and (v.code, v.class, v.state, v.cell, v.owner, v.attributes) is not distinct from
                 (c.code, c.class, c.state, c.cell, c.owner, c.attributes)
             and st_orderingequals(v.geom, c.geom))",
    ),
    (
        "components whose versions are not 1 to the newest",
        "select count(*) from (
           select c.id from component c join component_version v on v.id = c.id
           group by c.id, c.version
           having count(*) <> c.version or min(v.version) <> 1 or max(v.version) <> c.version
         ) x",
    ),
    (
        "versions of transactions that have no revision",
        "select count(*) from component_version v
         where not exists (select from revision r where r.txn = v.txn)
           and not exists (select from pending p where p.txn = v.txn)",
    ),
    (
        "versions that the change log does not name",
        "select count(*) from component_version v
         where not exists (
           select from change c where c.txn = v.txn and c.entity = 'component' and c.id = v.id and c.version = v.version)",
    ),
    ("revisions that are missing below the newest", "select coalesce(max(number), 0) - count(*) from revision"),
    (
        "revisions recorded before the one before them",
        "select count(*) from (select recorded < lag(recorded) over (order by number) as early from revision) x where early",
    ),
    (
        "components that are not in the cell that covers them",
        "select count(*) from component where cell is distinct from cell_covering(geom)",
    ),
];

impl Store {
    /// What is wrong in the database itself, one sentence each; nothing in a sound one.
    pub async fn check(&self) -> Result<Vec<String>> {
        let mut out = Vec::new();
        for (wrong, sql) in CHECKS {
            let n: i64 = sqlx::query_scalar(*sql).fetch_one(&self.pool).await?;
            if n != 0 {
                out.push(format!("{n} {wrong}"));
            }
        }
        Ok(out)
    }
}

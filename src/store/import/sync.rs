//! Keeping in step: what a source no longer delivers is retired, within bounds.

use serde_json::Value;
use sqlx::Connection;

use super::components::ComponentImport;
use super::{Outcome, close, sign};
use crate::domain::delivery::{Change, ComponentRow, What};
use crate::error::{Error, Result};
use crate::store::edit::hold_cells;
use crate::text;

/// Keys that have been delivered, with the numbers of their classes; kept until the connection is given back.
pub(super) const KEYS: &str = "create temp table import_key (key text, class int)";

/// What a batch would change, field by field: names instead of numbers.
pub(super) const DIFFER: &str = "
select n.no, n.id, d.diff
from import_next n
cross join lateral (select c.* from component c where c.id = n.id offset 0) c
cross join lateral (
  select jsonb_object_agg(f.name, jsonb_build_array(f.old, f.new)) as diff
  from (
    select * from (values
      ('class', (select to_jsonb(k.scheme || '/' || k.code) from class k where k.id = c.class),
                (select to_jsonb(k.scheme || '/' || k.code) from class k where k.id = n.class)),
      ('geometry', st_asgeojson(c.geom, 9)::jsonb, st_asgeojson(n.geom, 9)::jsonb),
      ('code', to_jsonb(c.code), to_jsonb(n.code)),
      ('name', to_jsonb(c.name), to_jsonb(n.name)),
      ('state', to_jsonb(c.state), to_jsonb(n.state)),
      ('authority', (select to_jsonb(name) from party where id = c.authority), (select to_jsonb(name) from party where id = n.authority)),
      ('owner', (select to_jsonb(name) from party where id = c.owner), (select to_jsonb(name) from party where id = n.owner)),
      ('maintainer', (select to_jsonb(name) from party where id = c.maintainer), (select to_jsonb(name) from party where id = n.maintainer)),
      ('property_kind', to_jsonb(c.property_kind), to_jsonb(n.property_kind)),
      ('management_kind', to_jsonb(c.management_kind), to_jsonb(n.management_kind)),
      ('address', to_jsonb(c.address), to_jsonb(n.address)),
      ('road', (select to_jsonb(name) from road where id = c.road), (select to_jsonb(name) from road where id = n.road)),
      ('surveyed_on', to_jsonb(c.surveyed_on), to_jsonb(n.surveyed_on)),
      ('accuracy', to_jsonb(c.accuracy), to_jsonb(n.accuracy)),
      ('note', to_jsonb(c.note), to_jsonb(n.note))
    ) own (name, old, new)
    union all
    select 'attributes.' || k, c.attributes -> k, n.attributes -> k from jsonb_object_keys(c.attributes || n.attributes) k
  ) f
  where f.old is distinct from f.new
) d
order by n.no";

/// The limits of what a source may retire by leaving it out.
#[derive(Clone, Copy, Debug)]
pub struct Shrink {
    /// The share of the source's components that may go, 0 to 1.
    pub most: f64,
    /// Whether more may.
    pub allowed: bool,
}

impl ComponentImport {
    /// Notes the keys of a batch, and of rows that were refused: what is refused is not gone.
    pub(super) async fn note_keys(&mut self, rows: &[ComponentRow], refused: &[String]) -> Result<()> {
        let keys: Vec<&str> = rows.iter().filter_map(|r| r.draft.source_key.as_deref()).collect();
        let classes: Vec<i32> = rows
            .iter()
            .filter(|r| r.draft.source_key.is_some())
            .map(|r| r.draft.class)
            .collect();
        sqlx::query(
            "insert into import_key select key, class from unnest($1::text[], $2::int[]) as k (key, class)
             union all select key, null from unnest($3::text[]) as k (key)",
        )
        .bind(keys)
        .bind(classes)
        .bind(refused)
        .execute(&mut *self.conn)
        .await?;
        Ok(())
    }

    /// Retires every component of the source and of a delivered class whose key was not delivered, as one transaction. More than the
    /// stated share is refused.
    pub async fn retire_rest(&mut self, shrink: Shrink) -> Result<Outcome> {
        let mut outcome = Outcome::default();
        sqlx::raw_sql("analyze import_key").execute(&mut *self.conn).await?;
        let mut tx = self.conn.begin().await?;
        sign(&mut tx, &self.reason).await?;
        hold_cells(&mut tx).await?;
        let (total, gone): (i64, Vec<i64>) = sqlx::query_as(
            "select count(*), coalesce(array_agg(c.id order by c.id) filter (where k.key is null), '{}')
             from component c left join (select distinct key from import_key) k on k.key = c.source_key
             where c.source = $1 and c.state <> 'retired' and c.class in (select class from import_key)",
        )
        .bind(&self.source)
        .fetch_one(&mut *tx)
        .await?;
        let n = gone.len();
        if n as f64 > total as f64 * shrink.most && !shrink.allowed {
            let (share, most) = (n as f64 / total as f64 * 100.0, shrink.most * 100.0);
            return Err(Error::Conflict(text!(
                "来源缺少 {total} 个部件中的 {n} 个（{share:.1}%），超过 {most:.0}%，未注销；确认来源完整后用 --allow-shrink",
                "the source leaves out {n} of {total} components ({share:.1} %), more than {most:.0} %; none was retired. If it is complete, use --allow-shrink"
            )));
        }
        let retired: Vec<(i64, Option<String>)> =
            sqlx::query_as("update component set state = 'retired' where id = any ($1) and state <> 'retired' returning id, source_key")
                .bind(&gone)
                .fetch_all(&mut *tx)
                .await?;
        outcome.tally.retired = retired.len() as u64;
        outcome.changes = retired
            .into_iter()
            .map(|(id, key)| Change {
                what: What::Retired,
                row: None,
                id: Some(id),
                key: key.unwrap_or_default(),
                diff: Value::Null,
            })
            .collect();
        super::components::own(&mut tx, self.delivery).await?;
        outcome.revision = close(&self.pool, tx, self.dry_run).await?;
        Ok(outcome)
    }
}

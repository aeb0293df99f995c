//! A change of districts: areas, cells and components get their new codes in one transaction, and the old ones lead to them.

use chrono::NaiveDate;
use sqlx::PgConnection;

use super::{close, shapes};
use crate::domain::area::Recode;
use crate::domain::code::{CJT214, GBT30428_2};
use crate::domain::text::Fault;
use crate::error::{Error, Result};
use crate::store::Store;
use crate::text;

/// What a change of districts has done.
#[derive(Clone, Debug, Default)]
pub struct Recoded {
    /// Everything that has another code: `area`, `cell` or `component`, its number, the old code and the new.
    pub codes: Vec<(String, i64, String, String)>,
    /// Areas that are part of another one now.
    pub merged: u64,
    /// Areas that have another name.
    pub renamed: u64,
    /// Components and cells whose serial was taken, so that they have another one.
    pub reserialed: u64,
    /// Components that got another cell, on borders.
    pub cells_assigned: u64,
    /// The revision.
    pub revision: Option<i64>,
}

/// Under a name of its own, so that a later delivery of the old codes does not take these versions for its own.
const ACTOR: &str = "recode";

impl Store {
    /// Gives everything whose code begins as a rule says its new code, from a day on. The longest beginning counts. Areas that become
    /// one are joined; a serial that is taken already is replaced by the next free one.
    pub async fn recode(&self, rules: &[Recode], on: NaiveDate, reason: &str, dry_run: bool) -> Result<Recoded> {
        let mut tx = self.pool.begin().await?;
        sqlx::query(
            "select set_config('lamppost.actor', $1, true), set_config('lamppost.reason', $2, true),
               set_config('lamppost.on', $3, true), set_config('jit', 'off', true)",
        )
        .bind(ACTOR)
        .bind(reason)
        .bind(on.to_string())
        .execute(&mut *tx)
        .await?;
        // No component may be written by the old division meanwhile.
        sqlx::query("select pg_advisory_xact_lock(7261001)")
            .execute(&mut *tx)
            .await?;
        stage(&mut tx, rules).await?;
        let mut done = Recoded::default();
        (done.merged, done.renamed) = areas(&mut tx).await?;
        done.reserialed = numbered(&mut tx, CELL_CLASHES, CELL_SERIALS, CELL_LONG).await?;
        sqlx::query(MOVE_CELLS).execute(&mut *tx).await?;
        done.reserialed += numbered(&mut tx, COMPONENT_CLASHES, COMPONENT_SERIALS, COMPONENT_LONG).await?;
        sqlx::query(MOVE_COMPONENTS).execute(&mut *tx).await?;
        done.codes = sqlx::query_as(
            "select 'area', id::bigint, old, new from recode_area where old <> new
             union all select 'cell', id::bigint, old, new from recode_cell
             union all select 'component', id, old, new from recode_component
             order by 1, 3, 2",
        )
        .fetch_all(&mut *tx)
        .await?;
        // On a border the lowest code has it, and what is lowest may be another one now.
        done.cells_assigned = shapes::assign_cells(&mut tx).await?;
        done.revision = close(&self.pool, tx, dry_run).await?;
        Ok(done)
    }
}

/// Finds what the rules are about; a rule that is about nothing is a fault.
async fn stage(conn: &mut PgConnection, rules: &[Recode]) -> Result<()> {
    sqlx::raw_sql("create temp table recode_rule (old text primary key, new text not null, name text) on commit drop")
        .execute(&mut *conn)
        .await?;
    let column = |of: fn(&Recode) -> Option<&str>| rules.iter().map(of).collect::<Vec<_>>();
    sqlx::query("insert into recode_rule select * from unnest($1::text[], $2::text[], $3::text[])")
        .bind(column(|r| Some(&r.old)))
        .bind(column(|r| Some(&r.new)))
        .bind(column(|r| r.name.as_deref()))
        .execute(&mut *conn)
        .await?;
    for sql in [
        STAGE_AREAS,
        STAGE_CELLS,
        "analyze recode_area",
        "analyze recode_cell",
        CLASH,
    ] {
        sqlx::raw_sql(sql).execute(&mut *conn).await?;
    }
    sqlx::query(
        "create temp table recode_component (id bigint primary key, scheme text, old text, new text) on commit drop",
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query(STAGE_COMPONENTS)
        .bind([CJT214, GBT30428_2].map(str::to_owned).to_vec())
        .execute(&mut *conn)
        .await?;
    sqlx::raw_sql("analyze recode_component").execute(&mut *conn).await?;
    let idle: Vec<String> = sqlx::query_scalar(
        "select old from recode_rule r
         where not exists (select from recode_area a where starts_with(a.old, r.old))
           and not exists (select from recode_cell c where starts_with(c.old, r.old))
           and not exists (select from recode_component c where starts_with(c.old, r.old))
         order by old",
    )
    .fetch_all(conn)
    .await?;
    if idle.is_empty() {
        return Ok(());
    }
    let fault = |old: String| {
        let detail = text!(
            "登记册没有以 {old} 开头的代码",
            "the register has no code that begins with {old}"
        );
        Fault::new(old, detail)
    };
    Err(Error::Invalid(idle.into_iter().map(fault).collect()))
}

/// How many areas were joined to another, and how many have another name.
async fn areas(conn: &mut PgConnection) -> Result<(u64, u64)> {
    sqlx::raw_sql(SURVIVORS).execute(&mut *conn).await?;
    let renamed: i64 = sqlx::query_scalar(
        "select count(*) from recode_survivor s join area a on a.id = s.id where s.name is not null and s.name <> a.name",
    )
    .fetch_one(&mut *conn)
    .await?;
    let merged = sqlx::query(
        "update area a set valid = false from recode_survivor s where a.id = any (s.members) and a.id <> s.id",
    )
    .execute(&mut *conn)
    .await?
    .rows_affected();
    for sql in [LEAD_TO_SURVIVOR, MOVE_AREAS, MOVE_CELLS_AREA] {
        sqlx::query(sql).execute(&mut *conn).await?;
    }
    Ok((merged, renamed as u64))
}

/// Replaces serials that are taken; how many. None may have more digits than its code has room for.
async fn numbered(
    conn: &mut PgConnection,
    clashes: &'static str,
    serials: &'static str,
    long: &'static str,
) -> Result<u64> {
    // Analysed tables in between: without figures PostgreSQL would compare each with each.
    sqlx::raw_sql("truncate recode_clash").execute(&mut *conn).await?;
    let n = sqlx::query(clashes).execute(&mut *conn).await?.rows_affected();
    sqlx::raw_sql("analyze recode_clash").execute(&mut *conn).await?;
    sqlx::query(serials).execute(&mut *conn).await?;
    let long: Option<String> = sqlx::query_scalar(long).fetch_optional(&mut *conn).await?;
    match long {
        None => Ok(n),
        Some(old) => Err(Error::Conflict(text!(
            "{old} 的新顺序号超出位数",
            "the new serial of {old} has too many digits"
        ))),
    }
}

const CLASH: &str = "create temp table recode_clash (id bigint primary key, prefix text, serial bigint) on commit drop";

const STAGE_AREAS: &str = "
create temp table recode_area on commit drop as
select a.id, a.code as old, r.new || substr(a.code, length(r.old) + 1) as new, case when r.old = a.code then r.name end as name
from area a
cross join lateral (select * from recode_rule r where starts_with(a.code, r.old) order by length(r.old) desc limit 1) r
where a.valid and a.code ~ '^[0-9]+$'";

const STAGE_CELLS: &str = "
create temp table recode_cell on commit drop as
select c.id, c.scheme, c.code as old, r.new || substr(c.code, length(r.old) + 1) as new
from cell c
cross join lateral (select * from recode_rule r where starts_with(c.code, r.old) order by length(r.old) desc limit 1) r
where c.valid and c.code ~ '^[0-9]{14,15}$' and r.old <> r.new";

const STAGE_COMPONENTS: &str = "
insert into recode_component
select c.id, c.scheme, c.code, r.new || substr(c.code, 7)
from component c join recode_rule r on r.old = left(c.code, 6) and r.old <> r.new
where c.scheme = any ($1)";

const SURVIVORS: &str = "
create temp table recode_survivor on commit drop as
select n.new as code, coalesce((select a.id from area a where a.valid and a.code = n.new), min(n.id)) as id,
  (array_agg(n.name order by n.old <> n.new, n.old) filter (where n.name is not null))[1] as name, array_agg(n.id) as members
from recode_area n group by n.new";

const LEAD_TO_SURVIVOR: &str = "
insert into former_code (entity, scheme, code, id, until)
select 'area', '', n.old, s.id, code_left_on()
from recode_area n join recode_survivor s on s.code = n.new
where n.id <> s.id
on conflict on constraint former_code_pkey do update set id = excluded.id, until = excluded.until";

const MOVE_AREAS: &str = "
update area a set code = s.code, name = coalesce(s.name, a.name),
  geom = case when s.members <@ array[a.id] then a.geom else
    (select st_multi(st_unaryunion(st_collect(x.geom))) from area x where x.id = a.id or x.id = any (s.members)) end
from recode_survivor s
where a.id = s.id and (a.code <> s.code or a.name <> coalesce(s.name, a.name) or not s.members <@ array[a.id])";

const MOVE_CELLS_AREA: &str = "
update cell c set area = s.id from recode_survivor s where c.area = any (s.members) and c.area <> s.id";

/// Cells whose new code is taken, in their order within their community, and the highest serial there.
const CELL_CLASHES: &str = "
insert into recode_clash
with ranked as (
  select r.*, row_number() over (partition by r.scheme, r.new order by r.id) as nth,
    exists (select from cell c where c.valid and c.scheme = r.scheme and c.code = r.new
            and not exists (select from recode_cell m where m.id = c.id)) as taken
  from recode_cell r
), clash as (
  select *, left(new, 12) as prefix from ranked where taken or nth > 1
), last as materialized (
  select p.scheme, p.prefix, (
    select max(substr(x.code, 13)::int) from (
      select c.code from cell c where c.valid and c.scheme = p.scheme and left(c.code, 12) = p.prefix
      union all select m.new from recode_cell m where m.scheme = p.scheme and left(m.new, 12) = p.prefix) x) as serial
  from (select distinct scheme, prefix from clash) p
)
select c.id, c.prefix, l.serial + row_number() over (partition by c.scheme, c.prefix order by c.old, c.id)
from clash c join last l on l.scheme = c.scheme and l.prefix = c.prefix";

const CELL_SERIALS: &str = "
update recode_cell r set new = c.prefix || lpad(c.serial::text, greatest(length(r.new) - 12, length(c.serial::text)), '0')
from recode_clash c where r.id = c.id";

const CELL_LONG: &str = "select old from recode_cell where length(new) <> length(old) limit 1";

const MOVE_CELLS: &str = "update cell c set code = n.new from recode_cell n where c.id = n.id";

/// The same of components, within a district and class, and the highest serial that ever was there.
const COMPONENT_CLASHES: &str = "
insert into recode_clash
with ranked as (
  select r.*, row_number() over (partition by r.scheme, r.new order by r.id) as nth,
    exists (select from component c where c.scheme = r.scheme and c.code = r.new
            and not exists (select from recode_component m where m.id = c.id))
    or exists (select from former_code f where f.entity = 'component' and f.scheme = r.scheme and f.code = r.new and f.id <> r.id) as taken
  from recode_component r
), clash as (
  select *, left(new, 10) as prefix from ranked where taken or nth > 1
), moved as materialized (
  select scheme, left(new, 10) as prefix, max(substr(new, 11))::bigint as serial from recode_component group by 1, 2
), last as materialized (
  select p.scheme, p.prefix, greatest(m.serial, last_serial(p.scheme, p.prefix)) as serial
  from (select distinct scheme, prefix from clash) p left join moved m on m.scheme = p.scheme and m.prefix = p.prefix
)
select c.id, c.prefix, l.serial + row_number() over (partition by c.scheme, c.prefix order by c.old, c.id)
from clash c join last l on l.scheme = c.scheme and l.prefix = c.prefix";

const COMPONENT_SERIALS: &str = "
update recode_component r set new = c.prefix || lpad(c.serial::text, greatest(6, length(c.serial::text)), '0')
from recode_clash c where r.id = c.id";

const COMPONENT_LONG: &str = "select old from recode_component where length(new) <> length(old) limit 1";

/// A source that knows its components by their codes goes on knowing them.
const MOVE_COMPONENTS: &str = "
update component c set code = n.new, source_key = case when c.source_key = n.old then n.new else c.source_key end
from recode_component n where c.id = n.id";

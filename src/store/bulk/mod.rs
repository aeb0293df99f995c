//! Bulk writes of the demo city by COPY: rows as the generator makes them, and the transactions that load them.
//!
//! Rows name each other by position within their district; the loader reserves the ids and fills them in.

mod copy;
mod rows;

use chrono::{DateTime, Utc};
use geo::Point;
use sqlx::{PgConnection, Postgres, Transaction};

pub use self::rows::{
    AreaRow, CellRow, ComponentRow, Deed, District, Edit, LandRow, PartyRow, RoadRow,
};

use self::copy::{Rows, copy};
use super::Store;
use crate::domain::word::{ManagementKind, PropertyKind};
use crate::error::{Error, Result};
use crate::text;

/// What `source` says of every row of the demo city.
pub const SOURCE: &str = "demo";

/// Components per COPY: its trigger keeps the rows of one statement in memory.
const CHUNK: usize = 20_000;

/// The first id of each of a district's lists.
#[derive(Clone, Copy, Debug)]
pub struct Bases {
    component: i64,
    party: i64,
    road: i64,
}

/// How much of the demo city the register holds.
#[derive(Clone, Debug)]
pub struct Standing {
    /// How many districts are loaded.
    pub districts: usize,
    /// The reason that the first of them was loaded with.
    pub reason: Option<String>,
    /// Whether there is no demo city but something else.
    pub foreign: bool,
    /// How many transactions of the seeded year are recorded.
    pub deeds: usize,
    /// Whether the last of them is.
    pub complete: bool,
    /// Whether something has been recorded after the seeded year.
    pub edited_since: bool,
}

fn base(first: i64, position: usize) -> i64 {
    first + position as i64
}

fn base4(first: i64, position: usize) -> i32 {
    // Identity columns of type int: PostgreSQL itself refuses numbers beyond.
    i32::try_from(base(first, position)).unwrap_or(i32::MAX)
}

impl Store {
    /// Looks at what the register holds, with `actors` those of the seeded year and `end` its last moment.
    pub async fn demo_standing(
        &self,
        actors: &[&str],
        loader: &str,
        end: DateTime<Utc>,
    ) -> Result<Standing> {
        let (districts, reason): (i64, Option<String>) = sqlx::query_as(
            "select count(*), (array_agg(reason order by number))[1] from revision where actor = $1",
        )
        .bind(loader)
        .fetch_one(&self.pool)
        .await?;
        let filled: bool =
            sqlx::query_scalar("select exists (select from component) or exists (select from area) or exists (select from cell)")
                .fetch_one(&self.pool)
                .await?;
        let (deeds, complete, edited_since): (i64, bool, bool) = sqlx::query_as(
            "select count(*) filter (where actor = any ($1) and recorded <= $2),
                    count(*) filter (where actor = any ($1) and recorded between $2 - interval '12 hours' and $2) > 0,
                    count(*) filter (where recorded > $2) > 0
             from revision",
        )
        .bind(actors.iter().map(ToString::to_string).collect::<Vec<_>>())
        .bind(end)
        .fetch_one(&self.pool)
        .await?;
        Ok(Standing {
            districts: districts as usize,
            reason,
            foreign: districts == 0 && filled,
            deeds: deeds as usize,
            complete,
            edited_since,
        })
    }

    /// Dates what an empty register has recorded (its class dictionary) before `moment`: a city cannot be older than the
    /// dictionary that describes it, and `recorded` has to rise.
    pub async fn demo_antedate(&self, moment: DateTime<Utc>) -> Result<()> {
        let mut tx = self.pool.begin().await?;
        sqlx::query("select pg_advisory_xact_lock(7261002)")
            .execute(&mut *tx)
            .await?;
        sqlx::query("select number_revisions()")
            .execute(&mut *tx)
            .await?;
        sqlx::query(
            "update revision set recorded = $1 - (select max(number) + 1 from revision) * interval '1 second'
                                               + number * interval '1 second'
             where not exists (select from component_version)",
        )
        .bind(moment)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }

    /// The ids of classes given by scheme and code. A class that is missing is named.
    pub async fn demo_classes(&self, wanted: &[(&str, &str)]) -> Result<Vec<i32>> {
        let mut out = Vec::with_capacity(wanted.len());
        let mut missing = Vec::new();
        for (scheme, code) in wanted {
            let id: Option<i32> =
                sqlx::query_scalar("select id from class where scheme = $1 and code = $2")
                    .bind(*scheme)
                    .bind(*code)
                    .fetch_optional(&self.pool)
                    .await?;
            match id {
                Some(id) => out.push(id),
                None => missing.push(format!("{scheme} {code}")),
            }
        }
        if missing.is_empty() {
            return Ok(out);
        }
        let list = missing.join(", ");
        Err(Error::Setup(text!(
            "数据库的小类字典缺少:{list};请先运行 lamppost migrate",
            "the class dictionary of this database lacks: {list}; run lamppost migrate first"
        )))
    }

    /// Installs the cell scheme and loads one district in one transaction and one revision. `progress` hears of every chunk.
    pub async fn demo_load(
        &self,
        d: &District,
        classes: &[i32],
        (actor, reason, recorded): (&str, &str, DateTime<Utc>),
        progress: impl Fn(usize),
    ) -> Result<Bases> {
        let mut tx = self.begin(actor, reason).await?;
        one_at_a_time(&mut tx, d).await?;
        sqlx::query("insert into scheme (name, title) values ($1, '单元网格 GB/T 30428.1-2013') on conflict do nothing")
            .bind(crate::domain::code::GBT30428_1)
            .execute(&mut *tx)
            .await?;
        let area = reserve(&mut tx, "area", d.areas.len()).await?;
        let mut rows = Rows::default();
        for (i, a) in d.areas.iter().enumerate() {
            rows.row(5);
            rows.int4(base4(area, i));
            rows.text(&a.code);
            rows.text(a.level.key());
            rows.text(&a.name);
            rows.multi_polygon(&a.geom);
        }
        copy(
            &mut tx,
            "copy area (id, code, level, name, geom) from stdin (format binary)",
            rows,
        )
        .await?;
        let cell = reserve(&mut tx, "cell", d.cells.len()).await?;
        let mut rows = Rows::default();
        for (i, c) in d.cells.iter().enumerate() {
            rows.row(5);
            rows.int4(base4(cell, i));
            rows.text(crate::domain::code::GBT30428_1);
            rows.text(&c.code);
            rows.multi_polygon(&c.geom);
            rows.int4(base4(area, c.area));
        }
        copy(
            &mut tx,
            "copy cell (id, scheme, code, geom, area) from stdin (format binary)",
            rows,
        )
        .await?;
        // The trigger that finds a component's cell plans its query now; without figures it might read the whole table.
        sqlx::query("analyze cell").execute(&mut *tx).await?;
        let road = reserve(&mut tx, "road", d.roads.len()).await?;
        let mut rows = Rows::default();
        for (i, r) in d.roads.iter().enumerate() {
            rows.row(5);
            rows.int4(base4(road, i));
            rows.text(&r.name);
            rows.text(r.class.key());
            rows.multi_line(&r.geom);
            rows.text(SOURCE);
        }
        copy(
            &mut tx,
            "copy road (id, name, class, geom, source) from stdin (format binary)",
            rows,
        )
        .await?;
        let land = reserve(&mut tx, "land", d.land.len()).await?;
        let mut rows = Rows::default();
        for (i, l) in d.land.iter().enumerate() {
            rows.row(7);
            rows.int4(base4(land, i));
            rows.text(l.kind);
            rows.text(l.code);
            rows.maybe(l.name.as_deref(), Rows::text);
            rows.maybe(l.population, Rows::int4);
            rows.multi_polygon(&l.geom);
            rows.text(SOURCE);
        }
        copy(
            &mut tx,
            "copy land (id, kind, code, name, population, geom, source) from stdin (format binary)",
            rows,
        )
        .await?;
        let party = reserve(&mut tx, "party", d.parties.len()).await?;
        let mut rows = Rows::default();
        for (i, p) in d.parties.iter().enumerate() {
            rows.row(4);
            rows.int4(base4(party, i));
            rows.text(&p.code);
            rows.text(&p.name);
            rows.texts(&p.aliases);
        }
        copy(
            &mut tx,
            "copy party (id, code, name, aliases) from stdin (format binary)",
            rows,
        )
        .await?;
        let component = reserve(&mut tx, "component", d.components.len()).await?;
        let bases = Bases {
            component,
            party,
            road,
        };
        let now: Vec<usize> = (0..d.components.len())
            .filter(|i| !d.components[*i].later)
            .collect();
        for chunk in now.chunks(CHUNK) {
            build(&mut tx, d, classes, bases, chunk).await?;
            progress(chunk.len());
        }
        number(tx, recorded).await?;
        Ok(bases)
    }

    /// The ids of the first district, for edits that come after an interruption.
    pub async fn demo_bases(&self, d: &District) -> Result<Bases> {
        let missing = || {
            Error::Conflict(text!(
                "示范城市数据不完整,请换用空库重新载入",
                "the demo city is incomplete; load it anew into an empty database"
            ))
        };
        let (Some(first), Some(party)) = (d.components.first(), d.parties.first()) else {
            return Err(missing());
        };
        let row: Option<(i64, i32, i32)> = sqlx::query_as(
            "select c.id, p.id, r.id from component c, party p, (select min(id) as id from road where source = $1) r
             where c.scheme = $2 and c.code = $3 and p.code = $4",
        )
        .bind(SOURCE)
        .bind(first.scheme)
        .bind(&first.code)
        .bind(&party.code)
        .fetch_optional(&self.pool)
        .await?;
        let (component, party, road) = row.ok_or_else(missing)?;
        Ok(Bases {
            component,
            party: i64::from(party),
            road: i64::from(road),
        })
    }

    /// Does one deed of the seeded year: one transaction, one revision.
    pub async fn demo_deed(
        &self,
        d: &District,
        classes: &[i32],
        bases: Bases,
        deed: &Deed,
    ) -> Result<()> {
        let mut tx = self.begin(deed.actor, deed.reason).await?;
        let on = deed.recorded.date_naive();
        let ids =
            |at: &[usize]| -> Vec<i64> { at.iter().map(|i| base(bases.component, *i)).collect() };
        for edit in &deed.edits {
            match edit {
                Edit::State(at, state) => {
                    sqlx::query(
                        "update component set state = $2, surveyed_on = $3 where id = any ($1)",
                    )
                    .bind(ids(at))
                    .bind(state.key())
                    .bind(on)
                    .execute(&mut *tx)
                    .await?;
                }
                Edit::Move(to) => {
                    let (at, points): (Vec<usize>, Vec<Point<f64>>) = to.iter().copied().unzip();
                    sqlx::query(
                        "update component c set geom = st_setsrid(st_makepoint(t.x, t.y), 4326), surveyed_on = $4
                         from unnest($1::bigint[], $2::float8[], $3::float8[]) as t (id, x, y) where c.id = t.id",
                    )
                    .bind(ids(&at))
                    .bind(points.iter().map(|p| p.x()).collect::<Vec<_>>())
                    .bind(points.iter().map(|p| p.y()).collect::<Vec<_>>())
                    .bind(on)
                    .execute(&mut *tx)
                    .await?;
                }
                Edit::Own(at, owner, status, kind) => {
                    sqlx::query(
                        "update component set owner = $2, ownership_status = $3, property_kind = $4 where id = any ($1)",
                    )
                    .bind(ids(at))
                    .bind(base4(bases.party, *owner))
                    .bind(status.key())
                    .bind(kind.key())
                    .execute(&mut *tx)
                    .await?;
                }
                Edit::Build(at) => build(&mut tx, d, classes, bases, at).await?,
            }
        }
        number(tx, deed.recorded).await
    }

    /// Figures for the planner and room to reuse, after a load.
    pub async fn demo_analyze(&self) -> Result<()> {
        sqlx::query(
            "analyze area, cell, road, land, party, component, component_version, change, revision",
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    async fn begin(&self, actor: &str, reason: &str) -> Result<Transaction<'static, Postgres>> {
        let mut tx = self.pool.begin().await?;
        sqlx::query("select set_config('lamppost.actor', $1, true), set_config('lamppost.reason', $2, true)")
            .bind(actor)
            .bind(reason)
            .execute(&mut *tx)
            .await?;
        Ok(tx)
    }
}

/// Waits for another load and refuses where it has brought the same district.
async fn one_at_a_time(tx: &mut PgConnection, d: &District) -> Result<()> {
    sqlx::query("select pg_advisory_xact_lock(7261003)")
        .execute(&mut *tx)
        .await?;
    let code = d.areas.first().map_or("", |a| a.code.as_str());
    let there: bool =
        sqlx::query_scalar("select exists (select from area where code = $1 and valid)")
            .bind(code)
            .fetch_one(tx)
            .await?;
    if there {
        return Err(Error::Conflict(text!(
            "区划 {code} 已在库中:可能有另一个示范城市载入正在进行",
            "area {code} is there already: another load of the demo city may be under way"
        )));
    }
    Ok(())
}

/// Takes `n` ids of a table out of its sequence and gives the first.
async fn reserve(tx: &mut PgConnection, table: &str, n: usize) -> Result<i64> {
    let first: i64 = sqlx::query_scalar(
        "select setval(s, nextval(s) + $2 - 1) - $2 + 1 from (select pg_get_serial_sequence($1, 'id')::regclass as s) t",
    )
    .bind(table)
    .bind(n.max(1) as i64)
    .fetch_one(tx)
    .await?;
    Ok(first)
}

async fn build(
    tx: &mut PgConnection,
    d: &District,
    classes: &[i32],
    bases: Bases,
    at: &[usize],
) -> Result<()> {
    let mut rows = Rows::default();
    for &i in at {
        let c = &d.components[i];
        let party = |p: Option<usize>| p.map(|p| base4(bases.party, p));
        rows.row(20);
        rows.int8(base(bases.component, i));
        rows.text(c.scheme);
        rows.text(&c.code);
        rows.maybe(classes.get(c.class).copied(), Rows::int4);
        rows.maybe(c.name.as_deref(), Rows::text);
        rows.geometry(&c.geom)?;
        rows.text(c.state.key());
        rows.maybe(party(c.authority), Rows::int4);
        rows.maybe(party(c.owner), Rows::int4);
        rows.maybe(party(c.maintainer), Rows::int4);
        rows.text(c.ownership_status.key());
        rows.maybe(c.property_kind.map(PropertyKind::key), Rows::text);
        rows.maybe(c.management_kind.map(ManagementKind::key), Rows::text);
        rows.maybe(c.address.as_deref(), Rows::text);
        rows.maybe(c.road.map(|r| base4(bases.road, r)), Rows::int4);
        rows.maybe(c.part_of.map(|p| base(bases.component, p)), Rows::int8);
        rows.date(c.surveyed_on);
        rows.text(SOURCE);
        rows.text(c.accuracy.key());
        rows.jsonb(&c.attributes);
    }
    copy(
        tx,
        "copy component (id, scheme, code, class, name, geom, state, authority, owner, maintainer, ownership_status,
           property_kind, management_kind, address, road, part_of, surveyed_on, source, accuracy, attributes)
         from stdin (format binary)",
        rows,
    )
    .await
}

/// Numbers the transaction's own revision with a moment of the past and commits both at once, so that nobody else can stamp it
/// with the present. Like `number_revisions`, it takes everything that is pending, in order: whoever committed before must not
/// come after.
async fn number(mut tx: Transaction<'static, Postgres>, recorded: DateTime<Utc>) -> Result<()> {
    sqlx::query("select pg_advisory_xact_lock(7261002)")
        .execute(&mut *tx)
        .await?;
    sqlx::query(
        "with moved as (
           delete from pending returning txn, last_no, actor, reason
         ), head as (
           select coalesce((select number from revision order by number desc limit 1), 0) as number,
                  greatest($1, (select recorded + interval '1 microsecond' from revision order by number desc limit 1)) as recorded
         )
         insert into revision (number, txn, recorded, actor, reason)
         select head.number + row_number() over w, txn, head.recorded + (row_number() over w - 1) * interval '1 microsecond',
                actor, reason
         from moved, head
         window w as (order by last_no)",
    )
    .bind(recorded)
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(())
}

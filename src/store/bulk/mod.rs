//! Bulk writes of the demo city by COPY: rows as the generator makes them, and the transactions that load them.
//!
//! Rows name each other by position within their district; the loader reserves the ids and fills them in.

mod rows;
mod tables;

use chrono::{DateTime, Utc};
use geo::Point;
use sqlx::{PgConnection, Postgres, Transaction};

pub use self::rows::{AreaRow, CellRow, ComponentRow, Deed, District, Edit, LandRow, PartyRow, RoadRow};

use self::tables::{CHUNK, base, base4, build, divisions, reserve, surroundings};
use super::Store;
use crate::error::{Error, Result};
use crate::text;

/// What `source` says of every row of the demo city.
pub const SOURCE: &str = "demo";

/// The first id of each of a district's lists.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bases {
    area: i64,
    cell: i64,
    road: i64,
    land: i64,
    party: i64,
    component: i64,
}

/// What a load says of itself.
#[derive(Clone, Debug)]
pub struct Stamp {
    /// Who loads.
    pub actor: &'static str,
    /// Why.
    pub reason: String,
    /// When it is recorded.
    pub recorded: DateTime<Utc>,
    /// Whether it is the first district, which prepares the ground.
    pub first: bool,
}

/// Keeps other processes from loading the demo city as long as it lives.
#[derive(Debug)]
pub struct Guard {
    _connection: PgConnection,
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

impl Store {
    /// Looks at what the register holds, with `actors` those of the seeded year and `end` its last moment.
    pub async fn demo_standing(&self, actors: &[&str], loader: &str, end: DateTime<Utc>) -> Result<Standing> {
        let (districts, reason): (i64, Option<String>) =
            sqlx::query_as("select count(*), (array_agg(reason order by number))[1] from revision where actor = $1")
                .bind(loader)
                .fetch_one(&self.pool)
                .await?;
        let filled: bool = sqlx::query_scalar(
            "select exists (select from component) or exists (select from area) or exists (select from cell)",
        )
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
        sqlx::query("select number_revisions()").execute(&mut *tx).await?;
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
            let id: Option<i32> = sqlx::query_scalar("select id from class where scheme = $1 and code = $2")
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
            "数据库的小类字典缺少：{list}；请先运行 lamppost migrate",
            "the class dictionary of this database lacks: {list}; run lamppost migrate first"
        )))
    }

    /// Takes the right to load the demo city; one process at a time has it.
    pub async fn demo_guard(&self) -> Result<Guard> {
        // A connection of its own: closing it gives the lock back, whatever happens.
        let mut connection = self.pool.acquire().await?.detach();
        let free: bool = sqlx::query_scalar("select pg_try_advisory_lock(7261003)")
            .fetch_one(&mut connection)
            .await?;
        if free {
            return Ok(Guard {
                _connection: connection,
            });
        }
        Err(Error::Conflict(text!(
            "另一个进程正在载入示范城市",
            "another process is loading the demo city"
        )))
    }

    /// Takes the ids of a district's rows out of the sequences. Only the holder of the [`Guard`] may: the two steps of each
    /// sequence would mix with another loader's.
    pub async fn demo_reserve(&self, _guard: &Guard, d: &District) -> Result<Bases> {
        let mut tx = self.pool.begin().await?;
        let bases = Bases {
            area: reserve(&mut tx, "area", d.areas.len()).await?,
            cell: reserve(&mut tx, "cell", d.cells.len()).await?,
            road: reserve(&mut tx, "road", d.roads.len()).await?,
            land: reserve(&mut tx, "land", d.land.len()).await?,
            party: reserve(&mut tx, "party", d.parties.len()).await?,
            component: reserve(&mut tx, "component", d.components.len()).await?,
        };
        tx.commit().await?;
        Ok(bases)
    }

    /// Loads one district in one transaction and one revision, which it numbers once `turn` says so. `progress` hears of every
    /// chunk. The first district also plans for those that follow.
    pub async fn demo_load(
        &self,
        d: &District,
        classes: &[i32],
        bases: Bases,
        stamp: &Stamp,
        progress: impl Fn(usize),
        turn: impl Future<Output = Result<()>>,
    ) -> Result<()> {
        let mut tx = self.begin(stamp.actor, &stamp.reason).await?;
        if stamp.first {
            sqlx::query(
                "insert into scheme (name, title) values ($1, '单元网格 GB/T 30428.1-2013') on conflict do nothing",
            )
            .bind(crate::domain::code::GBT30428_1)
            .execute(&mut *tx)
            .await?;
        }
        divisions(&mut tx, d, bases).await?;
        if stamp.first {
            // The trigger that finds a component's cell plans its query now; without figures it might read the whole table.
            // Districts loaded side by side would wait here for each other, so only the first does it.
            sqlx::query("analyze cell").execute(&mut *tx).await?;
        }
        surroundings(&mut tx, d, bases).await?;
        let now: Vec<usize> = (0..d.components.len()).filter(|i| !d.components[*i].later).collect();
        for chunk in now.chunks(CHUNK) {
            build(&mut tx, d, classes, bases, chunk).await?;
            progress(chunk.len());
        }
        turn.await?;
        number(tx, stamp.recorded).await
    }

    /// The ids of the first district, for edits that come after an interruption.
    pub async fn demo_bases(&self, d: &District) -> Result<Bases> {
        let missing = || {
            Error::Conflict(text!(
                "示范城市数据不完整，请换用空库重新载入",
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
            ..Bases::default()
        })
    }

    /// Does one deed of the seeded year: one transaction, one revision.
    pub async fn demo_deed(&self, d: &District, classes: &[i32], bases: Bases, deed: &Deed) -> Result<()> {
        let mut tx = self.begin(deed.actor, deed.reason).await?;
        let on = deed.recorded.date_naive();
        let ids = |at: &[usize]| -> Vec<i64> { at.iter().map(|i| base(bases.component, *i)).collect() };
        for edit in &deed.edits {
            match edit {
                Edit::State(at, state) => {
                    sqlx::query("update component set state = $2, surveyed_on = $3 where id = any ($1)")
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
        sqlx::query("analyze area, cell, road, land, party, component, component_version, change, revision")
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

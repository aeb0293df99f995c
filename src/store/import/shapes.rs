//! Delivered areas, cells, roads and land: each delivery one transaction.

use sqlx::PgConnection;

use super::{Outcome, areas, close, sign};
use crate::domain::delivery::{Reason, RowFault, ShapeRow, Tally};
use crate::domain::text::Text;
use crate::error::Result;
use crate::store::Store;
use crate::store::copy::Rows;
use crate::text;

/// What shapes become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShapeTable {
    /// 区划, by code.
    Area,
    /// 单元网格, by scheme and code.
    Cell,
    /// 道路, by source and key.
    Road,
    /// 用地, by source and key.
    Land,
}

/// One delivery of shapes.
#[derive(Clone, Debug)]
pub struct ShapeDelivery<'a> {
    /// What they become.
    pub table: ShapeTable,
    /// The source's name (roads and land).
    pub source: &'a str,
    /// Why, for the record.
    pub reason: &'a str,
    /// Whether rows of the same code are parts of one shape.
    pub merge: bool,
    /// Whether nothing is to be kept.
    pub dry_run: bool,
}

const COPY: &str = "copy import_shape (no, key, kind, name, code, population, geom) from stdin (format binary)";

impl Store {
    /// Takes delivered shapes and, for areas and cells, checks overlaps, gaps and prefixes; after cells every component gets its own.
    pub async fn import_shapes(&self, rows: &[ShapeRow], delivery: &ShapeDelivery<'_>) -> Result<Outcome> {
        let mut outcome = Outcome::default();
        let mut tx = self.pool.begin().await?;
        sign(&mut tx, delivery.reason).await?;
        if delivery.table == ShapeTable::Cell {
            // No component may be written by the old division while this one comes in.
            sqlx::query("select pg_advisory_xact_lock(7261001)")
                .execute(&mut *tx)
                .await?;
        }
        sqlx::raw_sql(
            "create temp table import_shape (no bigint, key text, kind text, name text, code text, population int,
                                             geom geometry(Geometry, 4326)) on commit drop",
        )
        .execute(&mut *tx)
        .await?;
        for part in rows.chunks(1000) {
            stage(&mut tx, part).await?;
        }
        outcome.rejects = invalid(&mut tx).await?;
        let staged = (rows.len() - outcome.rejects.len()) as u64;
        let merged = if delivery.merge { merge(&mut tx).await? } else { 0 };
        sqlx::raw_sql("analyze import_shape").execute(&mut *tx).await?;
        let (update, insert) = statements(delivery.table);
        if delivery.table == ShapeTable::Cell {
            sqlx::query(
                "insert into scheme (name, title) select distinct kind, kind from import_shape on conflict do nothing",
            )
            .execute(&mut *tx)
            .await?;
        }
        let by_source = matches!(delivery.table, ShapeTable::Road | ShapeTable::Land);
        let run = |sql: &'static str| {
            let query = sqlx::query(sql);
            if by_source { query.bind(delivery.source) } else { query }
        };
        let changed = run(update).execute(&mut *tx).await?.rows_affected();
        let added = run(insert).execute(&mut *tx).await?.rows_affected();
        outcome.tally = Tally {
            added,
            changed,
            unchanged: staged.saturating_sub(merged + added + changed),
            merged,
            ..Tally::default()
        };
        if matches!(delivery.table, ShapeTable::Area | ShapeTable::Cell) {
            areas::place_cells(&mut tx).await?;
            outcome.findings = areas::findings(&mut tx, delivery.table).await?;
        }
        if delivery.table == ShapeTable::Cell {
            outcome.cells_assigned = assign_cells(&mut tx).await?;
        }
        outcome.revision = close(&self.pool, tx, delivery.dry_run).await?;
        Ok(outcome)
    }
}

async fn stage(conn: &mut PgConnection, rows: &[ShapeRow]) -> Result<()> {
    let mut out = Rows::with_capacity(rows.len() * 1000);
    for row in rows {
        out.row(7);
        out.int8(row.row as i64);
        out.text(row.key.as_str());
        out.text(row.kind.as_str());
        out.text(row.name.as_deref());
        out.text(row.code.as_deref());
        out.int4(row.population);
        out.geometry(&row.geometry)?;
    }
    out.send(conn, COPY).await
}

/// Takes out what PostGIS finds invalid; the reader has already refused nearly all of it.
async fn invalid(conn: &mut PgConnection) -> Result<Vec<(u64, RowFault)>> {
    let bad: Vec<(i64, String)> =
        sqlx::query_as("delete from import_shape where not st_isvalid(geom) returning no, st_isvalidreason(geom)")
            .fetch_all(conn)
            .await?;
    let fault = |(no, why): (i64, String)| {
        let detail = text!("几何无效：{why}", "the geometry is not valid: {why}");
        (
            no as u64,
            RowFault::new(
                Reason::Geometry,
                "geometry",
                detail,
                Text::new("有效的几何", "a valid geometry"),
            ),
        )
    };
    Ok(bad.into_iter().map(fault).collect())
}

/// Joins rows of the same code; how many were joined to another.
async fn merge(conn: &mut PgConnection) -> Result<u64> {
    let (before, after): (i64, i64) = sqlx::query_as(
        "with parts as (
           delete from import_shape s
           using (select key, kind from import_shape group by key, kind having count(*) > 1) d
           where s.key = d.key and s.kind = d.kind
           returning s.*
         ), joined as (
           insert into import_shape
           select min(no), key, kind, (array_agg(name order by no))[1], min(code), sum(population)::int,
             st_union(geom order by no)
           from parts group by key, kind
           returning 1
         )
         select (select count(*) from parts), (select count(*) from joined)",
    )
    .fetch_one(conn)
    .await?;
    Ok((before - after) as u64)
}

/// The update of what differs and the insert of what is missing.
fn statements(table: ShapeTable) -> (&'static str, &'static str) {
    match table {
        ShapeTable::Area => (
            "update area a set level = s.kind, name = s.name, geom = st_multi(s.geom) from import_shape s
             where a.valid and a.code = s.key and (a.level, a.name, a.geom) is distinct from (s.kind, s.name, st_multi(s.geom))",
            "insert into area (code, level, name, geom) select key, kind, name, st_multi(geom) from import_shape s
             where not exists (select from area a where a.valid and a.code = s.key) order by no",
        ),
        ShapeTable::Cell => (
            "update cell c set name = s.name, geom = st_multi(s.geom) from import_shape s
             where c.valid and c.scheme = s.kind and c.code = s.key and (c.name, c.geom) is distinct from (s.name, st_multi(s.geom))",
            "insert into cell (scheme, code, name, geom) select kind, key, name, st_multi(geom) from import_shape s
             where not exists (select from cell c where c.valid and c.scheme = s.kind and c.code = s.key) order by no",
        ),
        ShapeTable::Road => (
            "update road r set name = s.name, class = s.kind, geom = st_multi(s.geom) from import_shape s
             where r.source = $1 and r.source_key = s.key and (r.name, r.class, r.geom) is distinct from (s.name, s.kind, st_multi(s.geom))",
            "insert into road (name, class, geom, source, source_key) select name, kind, st_multi(geom), $1, key from import_shape s
             where not exists (select from road r where r.source = $1 and r.source_key = s.key) order by no",
        ),
        ShapeTable::Land => (
            "update land l set kind = s.kind, code = s.code, name = s.name, population = s.population, geom = st_multi(s.geom)
             from import_shape s
             where l.source = $1 and l.source_key = s.key
               and (l.kind, l.code, l.name, l.population, l.geom) is distinct from (s.kind, s.code, s.name, s.population, st_multi(s.geom))",
            "insert into land (kind, code, name, population, geom, source, source_key)
             select kind, code, name, population, st_multi(geom), $1, key from import_shape s
             where not exists (select from land l where l.source = $1 and l.source_key = s.key) order by no",
        ),
    }
}

/// Gives every component the cell that covers it, by the rule of `cell_covering`, as one set.
pub(super) async fn assign_cells(conn: &mut PgConnection) -> Result<u64> {
    // Under a name of its own, so that a later delivery does not take these versions for its own.
    sqlx::query("select set_config('lamppost.actor', 'cells', true)")
        .execute(&mut *conn)
        .await?;
    let done = sqlx::query(
        "with placed as (
           select c.id, (select l.id from cell l where l.valid and st_covers(l.geom, p.point) order by l.code, l.scheme limit 1) as cell
           from component c
           cross join lateral (
             select case when geometrytype(c.geom) = 'POINT' then c.geom else st_pointonsurface(c.geom) end as point
           ) p
         )
         update component c set cell = p.cell from placed p where c.id = p.id and c.cell is distinct from p.cell",
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

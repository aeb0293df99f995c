//! What each table's COPY looks like.

use sqlx::PgConnection;

use super::rows::District;
use super::{Bases, SOURCE};
use crate::domain::word::{ManagementKind, PropertyKind};
use crate::error::Result;
use crate::store::copy::Rows;

/// Components per COPY: its trigger keeps the rows of one statement in memory.
pub(super) const CHUNK: usize = 20_000;

/// The id at a position.
pub(super) fn base(first: i64, position: usize) -> i64 {
    first + position as i64
}

/// The same for a table with ids of type int.
pub(super) fn base4(first: i64, position: usize) -> i32 {
    // Identity columns of type int: PostgreSQL itself refuses numbers beyond.
    i32::try_from(base(first, position)).unwrap_or(i32::MAX)
}

/// Areas and cells.
pub(super) async fn divisions(tx: &mut PgConnection, d: &District, bases: Bases) -> Result<()> {
    let mut rows = Rows::with_capacity(1 << 20);
    for (i, a) in d.areas.iter().enumerate() {
        rows.row(5);
        rows.int4(base4(bases.area, i));
        rows.text(a.code.as_str());
        rows.text(a.level.key());
        rows.text(a.name.as_str());
        rows.multi_polygon(&a.geom)?;
    }
    rows.send(tx, "copy area (id, code, level, name, geom) from stdin (format binary)")
        .await?;
    let mut rows = Rows::with_capacity(1 << 20);
    for (i, c) in d.cells.iter().enumerate() {
        rows.row(5);
        rows.int4(base4(bases.cell, i));
        rows.text(crate::domain::code::GBT30428_1);
        rows.text(c.code.as_str());
        rows.multi_polygon(&c.geom)?;
        rows.int4(base4(bases.area, c.area));
    }
    rows.send(
        tx,
        "copy cell (id, scheme, code, geom, area) from stdin (format binary)",
    )
    .await
}

/// Roads, land and parties.
pub(super) async fn surroundings(tx: &mut PgConnection, d: &District, bases: Bases) -> Result<()> {
    let mut rows = Rows::with_capacity(1 << 20);
    for (i, r) in d.roads.iter().enumerate() {
        rows.row(5);
        rows.int4(base4(bases.road, i));
        rows.text(r.name.as_str());
        rows.text(r.class.key());
        rows.multi_line(&r.geom)?;
        rows.text(SOURCE);
    }
    rows.send(
        tx,
        "copy road (id, name, class, geom, source) from stdin (format binary)",
    )
    .await?;
    let mut rows = Rows::with_capacity(1 << 20);
    for (i, l) in d.land.iter().enumerate() {
        rows.row(7);
        rows.int4(base4(bases.land, i));
        rows.text(l.kind);
        rows.text(l.code);
        rows.text(l.name.as_deref());
        rows.int4(l.population);
        rows.multi_polygon(&l.geom)?;
        rows.text(SOURCE);
    }
    rows.send(
        tx,
        "copy land (id, kind, code, name, population, geom, source) from stdin (format binary)",
    )
    .await?;
    let mut rows = Rows::with_capacity(1 << 20);
    for (i, p) in d.parties.iter().enumerate() {
        rows.row(4);
        rows.int4(base4(bases.party, i));
        rows.text(p.code.as_str());
        rows.text(p.name.as_str());
        rows.texts(&p.aliases);
    }
    rows.send(tx, "copy party (id, code, name, aliases) from stdin (format binary)")
        .await
}

/// Takes `n` ids of a table out of its sequence and gives the first.
pub(super) async fn reserve(tx: &mut PgConnection, table: &str, n: usize) -> Result<i64> {
    let first: i64 = sqlx::query_scalar(
        "select setval(s, nextval(s) + $2 - 1) - $2 + 1 from (select pg_get_serial_sequence($1, 'id')::regclass as s) t",
    )
    .bind(table)
    .bind(n.max(1) as i64)
    .fetch_one(tx)
    .await?;
    Ok(first)
}

/// Components by position, at most [`CHUNK`] at a time.
pub(super) async fn build(
    tx: &mut PgConnection,
    d: &District,
    classes: &[i32],
    bases: Bases,
    at: &[usize],
) -> Result<()> {
    let mut rows = Rows::with_capacity(1 << 20);
    for &i in at {
        let c = &d.components[i];
        let party = |p: Option<usize>| p.map(|p| base4(bases.party, p));
        rows.row(20);
        rows.int8(base(bases.component, i));
        rows.text(c.scheme);
        rows.text(c.code.as_str());
        rows.int4(classes.get(c.class).copied());
        rows.text(c.name.as_deref());
        rows.geometry(&c.geom)?;
        rows.text(c.state.key());
        rows.int4(party(c.authority));
        rows.int4(party(c.owner));
        rows.int4(party(c.maintainer));
        rows.text(c.ownership_status.key());
        rows.text(c.property_kind.map(PropertyKind::key));
        rows.text(c.management_kind.map(ManagementKind::key));
        rows.text(c.address.as_deref());
        rows.int4(c.road.map(|r| base4(bases.road, r)));
        rows.int8(c.part_of.map(|p| base(bases.component, p)));
        rows.date(c.surveyed_on);
        rows.text(SOURCE);
        rows.text(c.accuracy.key());
        rows.jsonb(&c.attributes);
    }
    rows.send(
        tx,
        "copy component (id, scheme, code, class, name, geom, state, authority, owner, maintainer, ownership_status,
           property_kind, management_kind, address, road, part_of, surveyed_on, source, accuracy, attributes)
         from stdin (format binary)",
    )
    .await
}

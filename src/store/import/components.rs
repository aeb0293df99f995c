//! Batches of delivered components.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;
use sqlx::pool::PoolConnection;
use sqlx::{Connection, PgConnection, PgPool, Postgres};

use super::component_sql::{
    COMPARE, COPY, GUARD, INSERT, KEEP_CODES, KNOWN, LOCK, LOCK_ALL, LOCK_SERIALS, MOVED, NEXT, SERIALS, STAGE, UPDATE,
};
use super::listed::Listed;
use super::refused::{edit_fault, fenced, retired, taken_codes};
use super::sync::KEYS;
use super::{Outcome, sign};
use crate::domain::code::CJT214;
use crate::domain::delivery::{ComponentRow, Finding, Tally};
use crate::domain::grant::Fence;
use crate::domain::text::Text;
use crate::error::{Error, Result};
use crate::store::Store;
use crate::store::copy::Rows;
use crate::store::edit::hold_cells;
use crate::text;

/// A delivery of components that is under way. Holds one connection.
#[derive(Debug)]
pub struct ComponentImport {
    pub(super) pool: PgPool,
    pub(super) conn: PoolConnection<Postgres>,
    pub(super) source: String,
    pub(super) reason: String,
    /// The delivery's number; none for one that keeps nothing.
    pub(super) delivery: Option<i64>,
    columns: Vec<String>,
    /// Fields that are compared, and attributes that are not.
    compared: Vec<String>,
    ignored: Vec<String>,
    overwrite: bool,
    pub(super) dry_run: bool,
    list: bool,
    pub(super) fence: Option<Fence>,
    /// Parties that this delivery has created.
    parties: HashMap<Arc<str>, i32>,
}

/// How components are delivered.
#[derive(Clone, Debug, Default)]
pub struct How {
    /// The source's name.
    pub source: String,
    /// Why, for the record.
    pub reason: String,
    /// The delivery's number; none for one that keeps nothing.
    pub delivery: Option<i64>,
    /// The fields that it sets.
    pub columns: Vec<String>,
    /// Fields and attributes that are set when a component is new, and never compared.
    pub ignored: Vec<String>,
    /// Whether it may replace edits made in the register.
    pub overwrite: bool,
    /// Whether nothing is to be kept.
    pub dry_run: bool,
    /// Whether what became of each row is to be listed, and its key noted.
    pub list: bool,
    /// What bounds the rows, where whoever delivers may not edit everything.
    pub fence: Option<Fence>,
}

const DROP: &str = "drop table if exists pg_temp.import_component, pg_temp.import_next, pg_temp.import_key";

impl Store {
    /// Starts a delivery.
    pub async fn import_components(&self, how: How) -> Result<ComponentImport> {
        let How {
            source,
            reason,
            delivery,
            columns,
            ignored,
            overwrite,
            dry_run,
            list,
            fence,
        } = how;
        let mut conn = self.pool.acquire().await?;
        for sql in [DROP, STAGE, NEXT, KEYS] {
            sqlx::raw_sql(sql).execute(&mut *conn).await?;
        }
        let compared = columns.iter().filter(|c| !ignored.contains(c)).cloned().collect();
        Ok(ComponentImport {
            pool: self.pool.clone(),
            conn,
            source,
            reason,
            delivery,
            columns,
            compared,
            ignored,
            overwrite,
            dry_run,
            list,
            fence,
            parties: HashMap::new(),
        })
    }
}

impl ComponentImport {
    /// Writes one batch in one transaction and numbers it. `refused` are keys of rows that were refused before. A clash with somebody
    /// who writes at the same moment is tried again.
    pub async fn batch(&mut self, rows: &[ComponentRow], refused: &[String]) -> Result<Outcome> {
        if self.list {
            self.note_keys(rows, refused).await?;
        }
        if rows.is_empty() {
            return Ok(Outcome::default());
        }
        let mut left = 5;
        loop {
            match self.try_batch(rows, left < 5).await {
                Ok(outcome) => return Ok(outcome),
                Err(Failure::Clash) if left > 0 => left -= 1,
                Err(Failure::Clash) => {
                    return Err(Error::Busy(text!(
                        "同一批部件正在被他人修改，请稍后以同一文件重试",
                        "others are editing the same components; try the same file again shortly"
                    )));
                }
                Err(Failure::Other(e)) => return Err(e),
            }
        }
    }

    /// Gives the connection back.
    pub async fn finish(mut self) -> Result<()> {
        sqlx::raw_sql(DROP).execute(&mut *self.conn).await?;
        Ok(())
    }

    /// `locked`: nobody may write between compare and update. Only after a clash, as locks on rows that stay unchanged cost.
    async fn try_batch(&mut self, rows: &[ComponentRow], locked: bool) -> Result<Outcome, Failure> {
        let mut outcome = Outcome::default();
        let mut tx = self.conn.begin().await?;
        sign(&mut tx, &self.reason).await?;
        hold_cells(&mut tx).await?;
        // The stage has no statistics and the register's may be old: every look-up below is meant to go by an index, and is written
        // as a subquery that cannot become a join of the whole source with the whole stage.
        sqlx::query("select set_config('enable_seqscan', 'off', true)")
            .execute(&mut *tx)
            .await?;
        let created = create_parties(&mut tx, rows, &self.parties).await?;
        let party = |name: &Arc<str>| created.get(name).or_else(|| self.parties.get(name)).copied();
        stage(&mut tx, rows, party).await?;
        if self.columns.iter().any(|c| c == "road") {
            outcome.findings = find_roads(&mut tx).await?;
        }
        if rows.iter().any(|r| r.serial_of.is_some()) {
            give_serials(&mut tx, &self.source).await?;
        }
        if let Some(fence) = &self.fence {
            outcome.rejects.extend(fenced(&mut tx, &self.source, fence).await?);
        }
        if self.columns.iter().any(|c| c == "code") {
            let taken = taken_codes(&mut tx, &self.source, self.fence.as_ref()).await?;
            outcome.rejects.extend(taken);
        }
        // A first delivery has nothing to be compared with.
        let known: bool = sqlx::query_scalar(KNOWN).bind(&self.source).fetch_one(&mut *tx).await?;
        let mut differ = 0;
        if known {
            let gone = retired(&mut tx, &self.source, &self.columns).await?;
            outcome.rejects.extend(gone);
            if locked {
                sqlx::query(LOCK_ALL).bind(&self.source).execute(&mut *tx).await?;
            }
            let compare = sqlx::query(COMPARE).bind(&self.source).bind(&self.compared);
            differ = compare.bind(&self.ignored).execute(&mut *tx).await?.rows_affected();
        }
        let staged = (rows.len() - outcome.rejects.len()) as u64;
        if differ > 0 && sqlx::query_scalar::<_, bool>(LOCK).fetch_one(&mut *tx).await? {
            return Err(Failure::Clash);
        }
        let mut listed = if self.list {
            Listed::begin(&mut tx, rows, &outcome.rejects, differ > 0).await?
        } else {
            Listed::default()
        };
        let (mut edited, mut kept) = (0, 0);
        if differ > 0 {
            let judged: Vec<(i64, bool, bool, String)> = sqlx::query_as(GUARD)
                .bind(&self.compared)
                .bind(super::ACTOR)
                .bind(&self.ignored)
                .bind(self.overwrite)
                .fetch_all(&mut *tx)
                .await?;
            for (no, same, settled, actor) in judged {
                if settled || !same {
                    edited += 1;
                    listed.drop(no);
                    outcome.rejects.push((no as u64, edit_fault(settled, &actor)));
                } else {
                    kept += 1;
                    listed.keep(no);
                }
            }
        }
        let (moved, altered): (i64, i64) = if differ > 0 {
            sqlx::query_as(MOVED).fetch_one(&mut *tx).await?
        } else {
            (0, 0)
        };
        let mut changed = 0;
        if differ > 0 {
            // The target of an update cannot stand in a subquery; without these it is found row by row, by its id.
            sqlx::query(
                "select set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true)",
            )
            .execute(&mut *tx)
            .await?;
            changed = sqlx::query(UPDATE).execute(&mut *tx).await?.rows_affected();
        }
        let new: Vec<(i64, String)> = sqlx::query_as(INSERT).bind(&self.source).fetch_all(&mut *tx).await?;
        let added = new.len() as u64;
        outcome.tally = Tally {
            added,
            changed,
            unchanged: staged.saturating_sub(edited + kept + added + changed),
            moved: moved as u64,
            altered: altered as u64,
            kept,
            ..Tally::default()
        };
        outcome.changes = listed.finish(new);
        own(&mut tx, self.delivery).await?;
        outcome.new_parties = created.keys().map(ToString::to_string).collect();
        outcome.new_parties.sort();
        if self.dry_run {
            tx.rollback().await?;
        } else {
            tx.commit().await?;
            self.parties.extend(created);
            outcome.revision = crate::store::revision::number(&self.pool).await?;
        }
        Ok(outcome)
    }
}

/// Why a batch did not go in.
pub(super) enum Failure {
    /// Somebody wrote the same rows at the same moment.
    Clash,
    Other(Error),
}

impl From<sqlx::Error> for Failure {
    fn from(e: sqlx::Error) -> Failure {
        // unique_violation, deadlock_detected
        let clash = e
            .as_database_error()
            .and_then(|d| d.code())
            .is_some_and(|c| c == "23505" || c == "40P01");
        if clash {
            Failure::Clash
        } else {
            Failure::Other(e.into())
        }
    }
}

impl From<Error> for Failure {
    fn from(e: Error) -> Failure {
        Failure::Other(e)
    }
}

/// Notes which transaction belongs to a delivery, where it wrote anything.
pub(super) async fn own(conn: &mut PgConnection, delivery: Option<i64>) -> Result<(), sqlx::Error> {
    let Some(delivery) = delivery else { return Ok(()) };
    sqlx::query(
        "insert into delivery_txn (delivery, txn) select $1, txn from pending where xid = pg_current_xact_id()",
    )
    .bind(delivery)
    .execute(conn)
    .await?;
    Ok(())
}

/// Creates the parties that rows name and nobody has created yet.
async fn create_parties(
    conn: &mut PgConnection,
    rows: &[ComponentRow],
    known: &HashMap<Arc<str>, i32>,
) -> Result<HashMap<Arc<str>, i32>, Failure> {
    let mut names: Vec<&Arc<str>> = rows
        .iter()
        .flat_map(|r| r.new_parties.iter().flatten())
        .filter(|n| !known.contains_key(*n))
        .collect();
    names.sort();
    names.dedup();
    if names.is_empty() {
        return Ok(HashMap::new());
    }
    let list: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    sqlx::query("insert into party (name) select n from unnest($1::text[]) n where not exists (select from party p where p.name = n)")
        .bind(&list)
        .execute(&mut *conn)
        .await?;
    let found: Vec<(String, i32)> = sqlx::query_as("select name, id from party where name = any ($1)")
        .bind(&list)
        .fetch_all(&mut *conn)
        .await?;
    Ok(found.into_iter().map(|(name, id)| (Arc::from(name), id)).collect())
}

async fn stage(conn: &mut PgConnection, rows: &[ComponentRow], party: impl Fn(&Arc<str>) -> Option<i32>) -> Result<()> {
    let mut out = Rows::with_capacity(rows.len() * 400);
    let mut json = String::new();
    for row in rows {
        let d = &row.draft;
        let role = |known: Option<i32>, i: usize| known.or_else(|| row.new_parties[i].as_ref().and_then(&party));
        out.row(20);
        out.int8(row.row as i64);
        out.text(d.source_key.as_deref());
        out.int4(Some(d.class));
        out.text(d.code.as_ref().map(|c| c.scheme().as_str()));
        out.text(d.code.as_ref().map(|c| c.as_str()));
        out.text(row.serial_of.as_deref());
        out.text(d.name.as_deref());
        out.geometry(&d.geometry)?;
        out.text(Some(d.state.key()));
        out.int4(role(d.authority, 0));
        out.int4(role(d.owner, 1));
        out.int4(role(d.maintainer, 2));
        out.text(d.property_kind.map(|k| k.key()));
        out.text(d.management_kind.map(|k| k.key()));
        out.text(d.address.as_deref());
        out.text(row.road.as_deref());
        out.date(d.surveyed_on);
        out.text(d.accuracy.map(|a| a.key()));
        out.text(d.note.as_deref());
        json.clear();
        attributes(row, &mut json);
        out.jsonb(&json);
    }
    out.send(conn, COPY).await
}

/// The attributes as a JSON object; those that the row leaves empty are null, which takes them away from the component.
fn attributes(row: &ComponentRow, json: &mut String) {
    use std::fmt::Write as _;
    json.push('{');
    let absent = row.absent.iter().map(|name| (name, &Value::Null));
    for (i, (name, value)) in row.draft.attributes.iter().chain(absent).enumerate() {
        let comma = if i == 0 { "" } else { "," };
        // Value's Display quotes and escapes; writing to a String does not fail.
        let _ = write!(json, "{comma}{}:{value}", Value::from(name.as_str()));
    }
    json.push('}');
}

/// Finds each row's road by name, the nearest of that name.
async fn find_roads(conn: &mut PgConnection) -> Result<Vec<Finding>, Failure> {
    sqlx::query(
        "update import_component s
         set road = (select r.id from road r where r.name = s.road_name order by r.geom <-> s.geom limit 1)
         where road_name is not null",
    )
    .execute(&mut *conn)
    .await?;
    let unknown: Vec<(String, i64)> = sqlx::query_as(
        "select road_name, count(*) from import_component where road_name is not null and road is null group by 1 order by 2 desc, 1",
    )
    .fetch_all(&mut *conn)
    .await?;
    let finding = |(name, n): (String, i64)| Finding {
        kind: "road_unknown",
        detail: text!(
            "登记册没有道路“{name}”，{n}行未关联",
            "the register has no road \"{name}\"; {n} rows stand without one"
        ),
        codes: vec![name],
        area_m2: None,
    };
    Ok(unknown.into_iter().map(finding).collect())
}

/// Gives codes to rows that shall get the next one of their district and class.
async fn give_serials(conn: &mut PgConnection, source: &str) -> Result<(), Failure> {
    sqlx::query(KEEP_CODES).bind(source).execute(&mut *conn).await?;
    sqlx::query(LOCK_SERIALS).execute(&mut *conn).await?;
    let last: Option<i64> = sqlx::query_scalar(SERIALS).bind(CJT214).fetch_one(&mut *conn).await?;
    if last.is_some_and(|n| n > 999_999) {
        return Err(Failure::Other(Error::Conflict(Text::new(
            "某区划某小类的六位顺序号已用完",
            "the serials of a district and class are used up: they have six digits",
        ))));
    }
    Ok(())
}

//! The books of roles: claims, transfers, designations, and what was decided.

use std::collections::{BTreeMap, HashMap};

use chrono::NaiveDate;
use sqlx::{FromRow, PgConnection};

use super::Store;
use super::dispute::Dispute;
use super::edit::Edit;
use crate::domain::claim::book::{Book, Motion, Wanted};
use crate::domain::claim::holding::Decision;
use crate::domain::word::{ClaimStage, MotionKind, OwnershipStatus, Role};
use crate::error::{Error, Result};

/// A book with what stands beside it in the register.
#[derive(Clone, Debug)]
pub struct Page {
    /// The book.
    pub book: Book,
    /// The class of its component.
    pub class: i32,
    /// Who holds the role by the component's own row.
    pub party: Option<i32>,
    /// The component's version.
    pub version: i64,
    /// What was last said of a dispute on it.
    pub dispute: Option<Dispute>,
}

/// A book that is to be written: what it was and what it is to be.
#[derive(Clone, Debug)]
pub struct Change {
    /// The component.
    pub component: i64,
    /// As it was.
    pub before: Page,
    /// As it shall be.
    pub after: Book,
    /// The documents and the note of motions that are new.
    pub evidence: Vec<i64>,
    /// The note of motions that are new.
    pub note: Option<String>,
    /// Who shall hold the role by the component's own row; where it is none, the book says.
    pub party: Option<Option<i32>>,
}

impl Change {
    /// Of a book in which no motion is new.
    pub fn of(component: i64, before: Page, after: Book) -> Change {
        Change {
            component,
            before,
            after,
            evidence: Vec::new(),
            note: None,
            party: None,
        }
    }

    fn old(&self, no: i64) -> Option<&Motion> {
        self.before.book.motions.iter().find(|m| m.no == no)
    }

    /// The motions that differ, each with what it was.
    pub fn motions(&self) -> impl Iterator<Item = (&Motion, Option<&Motion>)> {
        let both = self.after.motions.iter().map(|m| (m, self.old(m.no)));
        both.filter(|(now, old)| *old != Some(*now))
    }
}

/// What the register itself said of a component.
#[derive(Clone, Debug, FromRow)]
pub struct Registered {
    /// Its class.
    pub class: i32,
    /// Its ownership status.
    pub ownership_status: String,
    /// 主管部门.
    pub authority: Option<i32>,
    /// 权属单位.
    pub owner: Option<i32>,
    /// 养护单位.
    pub maintainer: Option<i32>,
}

impl Registered {
    /// Whom it named for a role.
    pub fn party(&self, role: Role) -> Option<i32> {
        match role {
            Role::Authority => self.authority,
            Role::Owner => self.owner,
            Role::Maintainer => self.maintainer,
        }
    }
}

#[derive(FromRow)]
struct Standing {
    id: i64,
    class: i32,
    version: i64,
    party: Option<i32>,
    settled: String,
    arisen: Option<NaiveDate>,
    interim: Option<i32>,
    deadline: Option<NaiveDate>,
}

#[derive(FromRow)]
struct MotionRow {
    id: i64,
    component: i64,
    kind: String,
    parties: Vec<i32>,
    first_day: NaiveDate,
    last_day: Option<NaiveDate>,
    documents: i32,
    stage: String,
    handed_in_by: String,
    reviewed_by: Option<String>,
    decided_by: Option<String>,
    own_party: bool,
    announced_until: Option<NaiveDate>,
}

const MOTIONS: &str = "
select m.id, m.component, m.kind, m.parties, m.first_day, m.last_day, cardinality(m.evidence) as documents, m.stage, m.handed_in_by,
  m.reviewed_by, m.decided_by, m.own_party, m.announced_until
from motion m
where m.component = any ($1) and m.role = $2
order by m.id";

/// A decision of a transaction that is not numbered yet is later than all that are.
const DECISIONS: &str = "
select m.component, d.motion, coalesce(k.number, 9223372036854775807),
  case when d.annulled is not null then coalesce(a.number, 9223372036854775807) end,
  m.parties, m.first_day, m.last_day
from motion m join decision d on d.motion = m.id left join revision k on k.txn = d.txn left join revision a on a.txn = d.annulled
where m.component = any ($1) and m.role = $2
  -- A finding that nobody claims it decides nothing that somebody could hold.
  and cardinality(m.parties) > 0
order by d.txn, d.motion";

const STANDING: &str = "
select c.id, c.class, c.version, case $2 when 'authority' then c.authority when 'owner' then c.owner else c.maintainer end as party,
  coalesce(s.settled, case when $2 = 'owner' then c.ownership_status else 'unsurveyed' end) as settled, d.arisen, d.interim, d.deadline
from component c left join standing s on s.component = c.id and s.role = $2
left join lateral (select arisen, interim, deadline from dispute d where d.component = c.id and d.role = $2 order by d.id desc limit 1) d on true
where c.id = any ($1)";

fn bad(e: crate::domain::text::Text) -> Error {
    Error::internal(e.en)
}

type DecisionRow = (i64, i64, i64, Option<i64>, Vec<i32>, NaiveDate, Option<NaiveDate>);

/// The books of one role of some components, by component.
async fn pages(conn: &mut PgConnection, components: &[i64], role: Role) -> Result<BTreeMap<i64, Page>> {
    let rows: Vec<MotionRow> = sqlx::query_as(MOTIONS)
        .bind(components)
        .bind(role.key())
        .fetch_all(&mut *conn)
        .await?;
    let mut motions: HashMap<i64, Vec<Motion>> = HashMap::new();
    for row in rows {
        let wanted = Wanted {
            kind: MotionKind::parse(&row.kind).map_err(bad)?,
            parties: row.parties,
            from: row.first_day,
            to: row.last_day,
            evidence: row.documents as usize,
        };
        motions.entry(row.component).or_default().push(Motion {
            no: row.id,
            wanted,
            stage: ClaimStage::parse(&row.stage).map_err(bad)?,
            handed_in_by: row.handed_in_by,
            reviewed_by: row.reviewed_by,
            decided_by: row.decided_by,
            own_party: row.own_party,
            announced_until: row.announced_until,
        });
    }
    let rows: Vec<DecisionRow> = sqlx::query_as(DECISIONS)
        .bind(components)
        .bind(role.key())
        .fetch_all(&mut *conn)
        .await?;
    let mut decisions: HashMap<i64, Vec<Decision>> = HashMap::new();
    for (component, no, known, annulled, parties, from, to) in rows {
        decisions.entry(component).or_default().push(Decision {
            no,
            known,
            annulled,
            parties,
            from,
            to,
        });
    }
    let standing: Vec<Standing> = sqlx::query_as(STANDING)
        .bind(components)
        .bind(role.key())
        .fetch_all(conn)
        .await?;
    let page = |row: Standing| {
        let settled = OwnershipStatus::parse(&row.settled).map_err(bad)?;
        let motions = motions.remove(&row.id).unwrap_or_default();
        let decisions = decisions.remove(&row.id).unwrap_or_default();
        let (interim, days) = (row.interim, row.arisen.zip(row.deadline));
        let page = Page {
            book: Book::restored(settled, motions, decisions).map_err(bad)?,
            class: row.class,
            party: row.party,
            version: row.version,
            dispute: days.map(|(arisen, deadline)| Dispute {
                arisen,
                interim,
                deadline,
            }),
        };
        Ok((row.id, page))
    };
    standing.into_iter().map(page).collect()
}

async fn page(conn: &mut PgConnection, component: i64, role: Role) -> Result<Option<Page>> {
    Ok(pages(conn, &[component], role).await?.remove(&component))
}

impl Store {
    /// The books of one role of some components as they are.
    pub async fn books(&self, components: &[i64], role: Role) -> Result<BTreeMap<i64, Page>> {
        pages(&mut *self.pool.acquire().await?, components, role).await
    }

    /// The book of a role as it is; none where there is no such component.
    pub async fn book(&self, component: i64, role: Role) -> Result<Option<Page>> {
        page(&mut *self.pool.acquire().await?, component, role).await
    }

    /// What the register said of a component at a revision; none where it was not in it then.
    pub async fn registered(&self, component: i64, known: i64) -> Result<Option<Registered>> {
        let sql = "select v.class, v.ownership_status, v.authority, v.owner, v.maintainer
            from component_version v left join revision r on r.txn = v.txn
            where v.id = $1 and coalesce(r.number, 9223372036854775807) <= $2
            order by v.version desc limit 1";
        Ok(sqlx::query_as(sql)
            .bind(component)
            .bind(known)
            .fetch_optional(&self.pool)
            .await?)
    }

    /// The component and role of a motion.
    pub async fn motion(&self, no: i64) -> Result<Option<(i64, Role)>> {
        let sql = "select component, role from motion where id = $1";
        let found: Option<(i64, String)> = sqlx::query_as(sql).bind(no).fetch_optional(&self.pool).await?;
        let read = |(component, role): (i64, String)| Ok((component, Role::parse(&role).map_err(bad)?));
        found.map(read).transpose()
    }
}

/// Roles whose holder changes by itself on days after the last turned one, up to `$1`.
const DUE: &str = "
select distinct m.component, m.role
from turned t, motion m left join decision d on d.motion = m.id
where m.stage = 'announced' and m.announced_until < $1
  or d.annulled is null and d.motion is not null
     and (m.first_day > t.day and m.first_day <= $1 or m.last_day >= t.day and m.last_day < $1)
order by m.component, m.role";

/// Whoever turns the calendar holds this, so that one node does.
const TURN_LOCK: i64 = 7_261_006;

/// The calendar in the hands of one node; dropped, another one may take it.
#[derive(Debug)]
pub struct Turn {
    hold: PgConnection,
    /// What is due, component by component.
    pub due: Vec<(i64, Role)>,
}

impl Store {
    /// Takes the calendar in hand where a day has begun that nobody has turned to yet; none where there is nothing to do or another node
    /// is at it.
    pub async fn begin_turn(&self, today: NaiveDate) -> Result<Option<Turn>> {
        let sql = "select exists (select from turned where day < $1)";
        let mut hold = self.pool.acquire().await?;
        if !sqlx::query_scalar::<_, bool>(sql)
            .bind(today)
            .fetch_one(&mut *hold)
            .await?
        {
            return Ok(None);
        }
        // Its lock goes with the connection.
        let mut hold = hold.detach();
        let ours: bool = sqlx::query_scalar("select pg_try_advisory_lock($1)")
            .bind(TURN_LOCK)
            .fetch_one(&mut hold)
            .await?;
        if !ours {
            return Ok(None);
        }
        let due: Vec<(i64, String)> = sqlx::query_as(DUE).bind(today).fetch_all(&mut hold).await?;
        let due: Result<Vec<(i64, Role)>> = due
            .into_iter()
            .map(|(id, role)| Ok((id, Role::parse(&role).map_err(bad)?)))
            .collect();
        Ok(Some(Turn { hold, due: due? }))
    }
}

impl Turn {
    /// Notes that all of it is done.
    pub async fn finish(mut self, today: NaiveDate) -> Result<()> {
        sqlx::query("update turned set day = $1 where day < $1")
            .bind(today)
            .execute(&mut self.hold)
            .await?;
        Ok(())
    }
}

impl Edit {
    /// The book of a role, with its component locked until the end of this edit.
    pub async fn book(&mut self, component: i64, role: Role) -> Result<Option<Page>> {
        Ok(self.books(&[component], role).await?.remove(&component))
    }

    /// The books of one role of some components, with these locked until the end of this edit.
    pub async fn books(&mut self, components: &[i64], role: Role) -> Result<BTreeMap<i64, Page>> {
        self.lock_all(components).await?;
        pages(self.connection(), components, role).await
    }

    /// Numbers for new motions.
    pub async fn next_motions(&mut self, n: usize) -> Result<Vec<i64>> {
        let sql = "select nextval(pg_get_serial_sequence('motion', 'id')) from generate_series(1, $1)";
        let n = i64::try_from(n).unwrap_or(i64::MAX);
        Ok(sqlx::query_scalar(sql).bind(n).fetch_all(self.connection()).await?)
    }
}

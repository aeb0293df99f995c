//! The books of roles: claims, transfers, designations, and what was decided.

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::{FromRow, PgConnection};

use super::Store;
use super::edit::Edit;
use crate::domain::claim::book::{Book, Moment, Motion, Wanted};
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
struct MotionRow {
    id: i64,
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
    known: Option<i64>,
    annulled: Option<i64>,
}

/// A decision of a transaction that is not numbered yet is later than all that are.
const MOTIONS: &str = "
select m.id, m.kind, m.parties, m.first_day, m.last_day, cardinality(m.evidence) as documents, m.stage, m.handed_in_by, m.reviewed_by,
  m.decided_by, m.own_party, m.announced_until,
  case when d.motion is not null then coalesce(k.number, 9223372036854775807) end as known,
  case when d.annulled is not null then coalesce(a.number, 9223372036854775807) end as annulled
from motion m left join decision d on d.motion = m.id left join revision k on k.txn = d.txn left join revision a on a.txn = d.annulled
where m.component = $1 and m.role = $2
order by m.id";

const STANDING: &str = "
select c.class, case $2 when 'authority' then c.authority when 'owner' then c.owner else c.maintainer end as party,
  coalesce(s.settled, case when $2 = 'owner' then c.ownership_status else 'unsurveyed' end) as settled
from component c left join standing s on s.component = c.id and s.role = $2
where c.id = $1";

fn bad(e: crate::domain::text::Text) -> Error {
    Error::internal(e.en)
}

async fn page(conn: &mut PgConnection, component: i64, role: Role) -> Result<Option<Page>> {
    let standing: Option<(i32, Option<i32>, String)> = sqlx::query_as(STANDING)
        .bind(component)
        .bind(role.key())
        .fetch_optional(&mut *conn)
        .await?;
    let Some((class, party, settled)) = standing else {
        return Ok(None);
    };
    let rows: Vec<MotionRow> = sqlx::query_as(MOTIONS)
        .bind(component)
        .bind(role.key())
        .fetch_all(&mut *conn)
        .await?;
    let (mut motions, mut decisions) = (Vec::new(), Vec::new());
    for row in rows {
        let wanted = Wanted {
            kind: MotionKind::parse(&row.kind).map_err(bad)?,
            parties: row.parties,
            from: row.first_day,
            to: row.last_day,
            evidence: row.documents as usize,
        };
        decisions.extend(row.known.map(|known| Decision {
            no: row.id,
            known,
            annulled: row.annulled,
            parties: wanted.parties.clone(),
            from: wanted.from,
            to: wanted.to,
        }));
        motions.push(Motion {
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
    // A finding that nobody claims it decides nothing that somebody could hold.
    decisions.retain(|d| !d.parties.is_empty());
    let settled = OwnershipStatus::parse(&settled).map_err(bad)?;
    let book = Book::restored(settled, motions, decisions).map_err(bad)?;
    Ok(Some(Page { book, class, party }))
}

impl Store {
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

    /// The last revision that was recorded at a moment or before it; 0 before the first.
    pub async fn revision_at(&self, moment: DateTime<Utc>) -> Result<i64> {
        let sql =
            "select coalesce((select number from revision where recorded <= $1 order by recorded desc limit 1), 0)";
        Ok(sqlx::query_scalar(sql).bind(moment).fetch_one(&self.pool).await?)
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
        let conn = self.connection();
        sqlx::query("select from component where id = $1 for update")
            .bind(component)
            .execute(&mut *conn)
            .await?;
        page(conn, component, role).await
    }

    /// A number for a new motion.
    pub async fn next_motion(&mut self) -> Result<i64> {
        let sql = "select nextval(pg_get_serial_sequence('motion', 'id'))";
        Ok(sqlx::query_scalar(sql).fetch_one(self.connection()).await?)
    }

    /// Writes what differs between a book as it was and as it is, and the component's own row with it. `evidence` and `note` are those
    /// of a motion that is new.
    pub async fn write_book(
        &mut self,
        (component, role): (i64, Role),
        before: &Book,
        after: &Book,
        (evidence, note): (&[i64], Option<&str>),
        at: Moment,
    ) -> Result<()> {
        let old = |no: i64| before.motions.iter().find(|m| m.no == no);
        for motion in after.motions.iter().filter(|m| old(m.no) != Some(m)) {
            if old(motion.no).is_none() {
                let sql = "insert into motion (id, component, role, kind, parties, first_day, last_day, evidence, note, stage, handed_in_by)
                    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
                sqlx::query(sql)
                    .bind(motion.no)
                    .bind(component)
                    .bind(role.key())
                    .bind(motion.wanted.kind.key())
                    .bind(&motion.wanted.parties)
                    .bind(motion.wanted.from)
                    .bind(motion.wanted.to)
                    .bind(evidence)
                    .bind(note)
                    .bind(motion.stage.key())
                    .bind(&motion.handed_in_by)
                    .execute(self.connection())
                    .await?;
                continue;
            }
            let sql = "update motion set stage = $2, reviewed_by = $3, decided_by = $4, own_party = $5, announced_until = $6 where id = $1";
            sqlx::query(sql)
                .bind(motion.no)
                .bind(motion.stage.key())
                .bind(&motion.reviewed_by)
                .bind(&motion.decided_by)
                .bind(motion.own_party)
                .bind(motion.announced_until)
                .execute(self.connection())
                .await?;
        }
        let confirmed = |m: &&Motion| m.stage == ClaimStage::Confirmed && old(m.no).is_none_or(|o| o.stage != m.stage);
        for motion in after.motions.iter().filter(confirmed) {
            let sql = "insert into decision (motion, txn) select $1, current_txn()";
            sqlx::query(sql).bind(motion.no).execute(self.connection()).await?;
        }
        let sql = "insert into standing (component, role, settled) values ($1, $2, $3)
            on conflict on constraint standing_pkey do update set settled = excluded.settled where standing.settled <> excluded.settled";
        sqlx::query(sql)
            .bind(component)
            .bind(role.key())
            .bind(after.state.settled().key())
            .execute(self.connection())
            .await?;
        self.show(component, role, after, at).await
    }

    /// What tiles and lists show of a book. What was brought along stays until something else is decided.
    async fn show(&mut self, component: i64, role: Role, book: &Book, at: Moment) -> Result<()> {
        let (decided, held) = (!book.decisions.is_empty(), book.state.is_held());
        let party = book.holder(at).and_then(|d| d.parties.first().copied());
        let sql = match role {
            Role::Authority => "update component set authority = case when $2 then $3 else authority end where id = $1",
            Role::Maintainer => {
                "update component set maintainer = case when $2 then $3 else maintainer end where id = $1"
            }
            Role::Owner => {
                "update component set owner = case when $2 then $3 else owner end, ownership_status = $4 where id = $1"
            }
        };
        let query = sqlx::query(sql)
            .bind(component)
            .bind(decided && (party.is_some() || !held))
            .bind(party);
        match role {
            Role::Owner => query.bind(book.state.status().key()),
            _ => query,
        }
        .execute(self.connection())
        .await?;
        Ok(())
    }
}

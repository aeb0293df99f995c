//! Disputes, and all that waits for somebody to act on it.

use chrono::NaiveDate;
use sqlx::FromRow;

use super::Store;
use super::claim::Change;
use super::edit::Edit;
use crate::domain::claim::DISPUTE_DAYS;
use crate::domain::word::{OwnershipStatus, Role};
use crate::error::Result;

/// What holds while a role is disputed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dispute {
    /// The day on which it arose.
    pub arisen: NaiveDate,
    /// Who answers for it meanwhile.
    pub interim: Option<i32>,
    /// The day by which it is to be ruled.
    pub deadline: NaiveDate,
}

/// What is waited for.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// The stages; the open ones where it names none.
    pub stages: Vec<&'static str>,
    /// The role.
    pub role: Option<Role>,
    /// One of the parties claimed.
    pub party: Option<i32>,
    /// What is disputed, or what is not.
    pub disputed: Option<bool>,
    /// Disputes whose deadline was before this day.
    pub overdue: Option<NaiveDate>,
    /// Classes that are not shown.
    pub hidden: Vec<i32>,
    /// Numbers greater than this.
    pub after: i64,
    /// How many at most.
    pub limit: i64,
}

/// One motion that waits for somebody.
#[derive(Clone, Debug, FromRow)]
pub struct Waiting {
    /// Its number.
    pub id: i64,
    /// The component.
    pub component: i64,
    /// Its class.
    pub class: i32,
    /// Its code.
    pub code: Option<String>,
    /// The role.
    pub role: String,
    /// Its kind.
    pub kind: String,
    /// The parties that it names.
    pub parties: Vec<i32>,
    /// The first day asked for.
    pub first_day: NaiveDate,
    /// How far it has come.
    pub stage: String,
    /// 经办.
    pub handed_in_by: String,
    /// 审核.
    pub reviewed_by: Option<String>,
    /// The last day of its announcement.
    pub announced_until: Option<NaiveDate>,
    /// Whether the role is disputed.
    pub disputed: bool,
    /// Who answers for it meanwhile.
    pub interim: Option<i32>,
    /// The day by which it is to be ruled.
    pub deadline: Option<NaiveDate>,
}

const WAITING: &str = "
select * from (
  select m.id, m.component, c.class, c.code, m.role, m.kind, m.parties, m.first_day, m.stage, m.handed_in_by, m.reviewed_by,
    m.announced_until, x.disputed, case when x.disputed then d.interim end as interim, case when x.disputed then d.deadline end as deadline
  from motion m join component c on c.id = m.component
  left join standing s on s.component = m.component and s.role = m.role
  left join lateral (select interim, deadline from dispute d where d.component = m.component and d.role = m.role order by d.id desc limit 1) d on true
  cross join lateral (select m.kind = 'claim' and (
      coalesce(s.settled, case when m.role = 'owner' then c.ownership_status else 'unsurveyed' end) in ('confirmed', 'disputed')
      or exists (select from motion o where o.component = m.component and o.role = m.role and o.id <> m.id and o.kind = 'claim'
        and o.stage in ('open', 'reviewed', 'announced'))) as disputed) x
  where m.stage in ('open', 'reviewed', 'announced') and m.id > $1 and c.class <> all ($2)
    and (cardinality($3::text[]) = 0 or m.stage = any ($3)) and ($4::text is null or m.role = $4) and ($5::int is null or $5 = any (m.parties))
) w
where ($6::boolean is null or w.disputed = $6) and ($7::date is null or w.deadline < $7)
order by id limit $8";

impl Store {
    /// What waits for somebody to act on it, in the order in which it came.
    pub async fn waiting(&self, wanted: &Wanted) -> Result<Vec<Waiting>> {
        let query = sqlx::query_as(WAITING)
            .bind(wanted.after)
            .bind(&wanted.hidden)
            .bind(&wanted.stages)
            .bind(wanted.role.map(Role::key))
            .bind(wanted.party)
            .bind(wanted.disputed)
            .bind(wanted.overdue)
            .bind(wanted.limit);
        Ok(query.fetch_all(&self.pool).await?)
    }
}

impl Edit {
    /// Notes the disputes that begin with some changes: whoever held the role answers for it, or else the authority.
    pub(super) async fn begin_disputes(&mut self, role: Role, changes: &[Change], today: NaiveDate) -> Result<()> {
        let disputed = |status| status == OwnershipStatus::Disputed;
        let begun = changes
            .iter()
            .filter(|c| disputed(c.after.state.status()) && !disputed(c.before.book.state.status()));
        let (ids, held): (Vec<i64>, Vec<Option<i32>>) = begun.map(|c| (c.component, c.before.party)).unzip();
        if ids.is_empty() {
            return Ok(());
        }
        let sql = "insert into dispute (component, role, arisen, interim, deadline, txn)
            select c.id, $2, $4, coalesce(g.held, c.authority), $4::date + $5::int, t
            from unnest($1::bigint[], $3::int[]) as g (id, held) join component c on c.id = g.id, (select current_txn() as t) t";
        sqlx::query(sql)
            .bind(ids)
            .bind(role.key())
            .bind(held)
            .bind(today)
            .bind(DISPUTE_DAYS)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Says anew what holds while a role is disputed.
    pub async fn say_of_dispute(&mut self, component: i64, role: Role, dispute: &Dispute) -> Result<()> {
        let sql = "insert into dispute (component, role, arisen, interim, deadline, txn) select $1, $2, $3, $4, $5, current_txn()";
        sqlx::query(sql)
            .bind(component)
            .bind(role.key())
            .bind(dispute.arisen)
            .bind(dispute.interim)
            .bind(dispute.deadline)
            .execute(self.connection())
            .await?;
        Ok(())
    }
}

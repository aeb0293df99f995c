//! Books of roles into the record: all that differs, of one or of many at once, each kind of row by one statement.

use super::claim::Change;
use super::edit::Edit;
use crate::domain::claim::book::{Moment, Motion};
use crate::domain::word::{ClaimStage, Role};
use crate::error::Result;

/// Numbers as PostgreSQL writes an array: a row of its own array cannot stand in an array of rows.
fn array<T: ToString>(numbers: &[T]) -> String {
    let numbers: Vec<String> = numbers.iter().map(ToString::to_string).collect();
    format!("{{{}}}", numbers.join(","))
}

/// One member of each of some motions.
fn each<T>(motions: &[&Motion], get: impl Fn(&Motion) -> T) -> Vec<T> {
    motions.iter().map(|m| get(m)).collect()
}

impl Edit {
    /// Writes what differs between books as they were and as they are to be, and the components' own rows with them: one version each.
    /// Cost: O(books), most of it the components' history.
    pub async fn write_books(&mut self, role: Role, changes: &[Change], at: Moment) -> Result<()> {
        self.add_motions(role, changes).await?;
        self.set_motions(changes).await?;
        self.write_decisions(changes).await?;
        let sql = "insert into standing (component, role, settled)
            select c, $2, s from unnest($1::bigint[], $3::text[]) as g (c, s)
            on conflict on constraint standing_pkey do update set settled = excluded.settled where standing.settled <> excluded.settled";
        sqlx::query(sql)
            .bind(changes.iter().map(|c| c.component).collect::<Vec<_>>())
            .bind(role.key())
            .bind(
                changes
                    .iter()
                    .map(|c| c.after.state.settled().key())
                    .collect::<Vec<_>>(),
            )
            .execute(self.connection())
            .await?;
        self.show(role, changes, at).await?;
        self.begin_disputes(role, changes, at.today).await
    }

    async fn add_motions(&mut self, role: Role, changes: &[Change]) -> Result<()> {
        let new = |c: &'_ Change| {
            c.motions()
                .filter(|(_, old)| old.is_none())
                .map(|(m, _)| m.clone())
                .collect::<Vec<_>>()
        };
        let new: Vec<(&Change, Motion)> = changes
            .iter()
            .flat_map(|c| new(c).into_iter().map(move |m| (c, m)))
            .collect();
        if new.is_empty() {
            return Ok(());
        }
        let motions: Vec<&Motion> = new.iter().map(|(_, m)| m).collect();
        let sql = "insert into motion (id, component, role, kind, parties, first_day, last_day, evidence, note, stage, handed_in_by)
            select id, component, $3, kind, parties::int[], first_day, last_day, evidence::bigint[], note, stage, handed_in_by
            from unnest($1::bigint[], $2::bigint[], $4::text[], $5::text[], $6::date[], $7::date[], $8::text[], $9::text[], $10::text[], $11::text[])
              as g (id, component, kind, parties, first_day, last_day, evidence, note, stage, handed_in_by)";
        sqlx::query(sql)
            .bind(each(&motions, |m| m.no))
            .bind(new.iter().map(|(c, _)| c.component).collect::<Vec<_>>())
            .bind(role.key())
            .bind(each(&motions, |m| m.wanted.kind.key()))
            .bind(each(&motions, |m| array(&m.wanted.parties)))
            .bind(each(&motions, |m| m.wanted.from))
            .bind(each(&motions, |m| m.wanted.to))
            .bind(new.iter().map(|(c, _)| array(&c.evidence)).collect::<Vec<_>>())
            .bind(new.iter().map(|(c, _)| c.note.clone()).collect::<Vec<_>>())
            .bind(each(&motions, |m| m.stage.key()))
            .bind(each(&motions, |m| m.handed_in_by.clone()))
            .execute(self.connection())
            .await?;
        Ok(())
    }

    async fn set_motions(&mut self, changes: &[Change]) -> Result<()> {
        let set = |c: &'_ Change| {
            c.motions()
                .filter(|(_, old)| old.is_some())
                .map(|(m, _)| m.clone())
                .collect::<Vec<_>>()
        };
        let set: Vec<Motion> = changes.iter().flat_map(set).collect();
        let motions: Vec<&Motion> = set.iter().collect();
        if motions.is_empty() {
            return Ok(());
        }
        let sql = "update motion m set stage = g.stage, reviewed_by = g.reviewed_by, decided_by = g.decided_by, own_party = g.own_party,
              announced_until = g.announced_until
            from unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::bool[], $6::date[])
              as g (id, stage, reviewed_by, decided_by, own_party, announced_until)
            where m.id = g.id";
        sqlx::query(sql)
            .bind(each(&motions, |m| m.no))
            .bind(each(&motions, |m| m.stage.key()))
            .bind(each(&motions, |m| m.reviewed_by.clone()))
            .bind(each(&motions, |m| m.decided_by.clone()))
            .bind(each(&motions, |m| m.own_party))
            .bind(each(&motions, |m| m.announced_until))
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Decisions of motions that are confirmed now, and the end of those that are no longer.
    async fn write_decisions(&mut self, changes: &[Change]) -> Result<()> {
        let confirmed = |m: &Motion| m.stage == ClaimStage::Confirmed;
        let (mut made, mut annulled) = (Vec::new(), Vec::new());
        for (now, old) in changes.iter().flat_map(Change::motions) {
            match (confirmed(now), old.is_some_and(confirmed)) {
                (true, false) => made.push(now.no),
                (false, true) => annulled.push(now.no),
                _ => {}
            }
        }
        if !annulled.is_empty() {
            let sql =
                "update decision set annulled = (select current_txn()) where motion = any ($1) and annulled is null";
            sqlx::query(sql).bind(annulled).execute(self.connection()).await?;
        }
        if !made.is_empty() {
            let sql = "insert into decision (motion, txn) select m, t from unnest($1::bigint[]) m, (select current_txn() as t) t";
            sqlx::query(sql).bind(made).execute(self.connection()).await?;
        }
        Ok(())
    }

    /// What tiles and lists show of books. What was brought along stays until something else is decided.
    async fn show(&mut self, role: Role, changes: &[Change], at: Moment) -> Result<()> {
        let shown = |c: &Change| {
            let party = c.after.holder(at).and_then(|d| d.parties.first().copied());
            let decided = !c.after.decisions.is_empty() && (party.is_some() || !c.after.state.is_held());
            match c.party {
                Some(party) => (true, party),
                None => (decided, party),
            }
        };
        let shown: Vec<(bool, Option<i32>)> = changes.iter().map(shown).collect();
        let sql = match role {
            Role::Authority => {
                "update component c set authority = g.party from unnest($1::bigint[], $2::bool[], $3::int[]) as g (id, decided, party)
                 where c.id = g.id and g.decided"
            }
            Role::Maintainer => {
                "update component c set maintainer = g.party from unnest($1::bigint[], $2::bool[], $3::int[]) as g (id, decided, party)
                 where c.id = g.id and g.decided"
            }
            Role::Owner => {
                "update component c set owner = case when g.decided then g.party else c.owner end, ownership_status = g.status
                 from unnest($1::bigint[], $2::bool[], $3::int[], $4::text[]) as g (id, decided, party, status) where c.id = g.id"
            }
        };
        let query = sqlx::query(sql)
            .bind(changes.iter().map(|c| c.component).collect::<Vec<_>>())
            .bind(shown.iter().map(|s| s.0).collect::<Vec<_>>())
            .bind(shown.iter().map(|s| s.1).collect::<Vec<_>>());
        match role {
            Role::Owner => query.bind(changes.iter().map(|c| c.after.state.status().key()).collect::<Vec<_>>()),
            _ => query,
        }
        .execute(self.connection())
        .await?;
        Ok(())
    }
}

//! The same act on one role of many components at once: all of it or nothing, one version of each component, and undone as one.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::domain::claim::book::{Act, Book, Moment, Motion, Person, Wanted};
use crate::domain::evidence::Paper;
use crate::domain::grant::{Grant, Rights};
use crate::domain::text::Text;
use crate::domain::word::{Access, ClaimStage, OwnershipStatus, Role};
use crate::door::within;
use crate::error::{Error, Result};
use crate::feed::{Feed, Settled};
use crate::index::Memory;
use crate::store::Store;
use crate::store::claim::{Change, Page};
use crate::store::claim_batch::{Before, BeforeMotion};
use crate::text;
use crate::thread::blocking;

/// The most components of one batch.
pub const MAX_ITEMS: usize = 100_000;

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    /// Each is handed in as its item says.
    HandIn,
    /// What waits for it is reviewed.
    Review,
    /// What was reviewed is decided.
    Confirm,
    /// What was reviewed is announced until the end of a day.
    Announce(chrono::NaiveDate),
    /// What is open is rejected.
    Reject,
    /// What is open is withdrawn.
    Withdraw,
}

impl Doing {
    /// The word for it.
    pub fn key(self) -> &'static str {
        match self {
            Doing::HandIn => "hand-in",
            Doing::Review => "review",
            Doing::Confirm => "confirm",
            Doing::Announce(_) => "announce",
            Doing::Reject => "reject",
            Doing::Withdraw => "withdraw",
        }
    }

    /// Whether somebody may, whoever handed it in.
    fn takes(self) -> Access {
        match self {
            Doing::HandIn | Doing::Review | Doing::Withdraw => Access::Clerk,
            Doing::Confirm | Doing::Announce(_) | Doing::Reject => Access::Adjudicator,
        }
    }

    /// Whether it is for a motion that has come so far.
    fn meets(self, stage: ClaimStage) -> bool {
        use ClaimStage::{Announced, Open, Reviewed};
        match self {
            Doing::HandIn => false,
            Doing::Review => stage == Open,
            Doing::Confirm | Doing::Announce(_) => stage == Reviewed,
            Doing::Reject | Doing::Withdraw => [Open, Reviewed, Announced].contains(&stage),
        }
    }
}

/// One component of a batch.
#[derive(Clone, Debug)]
pub struct Item {
    /// The component.
    pub component: i64,
    /// The row of the sheet that it stands in.
    pub row: Option<u64>,
    /// What is handed in.
    pub wanted: Option<Wanted>,
    /// The documents that back it, by their places among the order's papers.
    pub papers: Vec<usize>,
}

/// A batch as it is asked for.
#[derive(Clone, Debug)]
pub struct Order {
    /// The role.
    pub role: Role,
    /// What is done.
    pub doing: Doing,
    /// The components, each once.
    pub items: Vec<Item>,
    /// The documents that back them.
    pub papers: Vec<Paper>,
    /// Who does it.
    pub by: Arc<Grant>,
    /// When.
    pub at: Moment,
}

/// Why one component keeps all from being done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The component, where it is known.
    pub component: Option<i64>,
    /// The row of the sheet that it stands in.
    pub row: Option<u64>,
    /// What is wrong.
    pub detail: Text,
}

/// What became of it.
#[derive(Debug)]
pub struct Outcome {
    /// The batch's number; none where nothing was written.
    pub batch: Option<i64>,
    /// Components on which it was done, or would be.
    pub done: usize,
    /// What keeps it from being done.
    pub faults: Vec<Fault>,
    /// Where memory stands after it.
    pub settled: Option<Settled>,
}

impl Order {
    /// What would be written, and what stands against it. `numbers` are those of what is handed in. Cost: O(components).
    fn work_out(&self, memory: &Memory, mut pages: BTreeMap<i64, Page>, numbers: &[i64]) -> (Vec<Change>, Vec<Fault>) {
        let (mut changes, mut faults) = (Vec::with_capacity(pages.len()), Vec::new());
        let mut seen = BTreeSet::new();
        let mut numbers = numbers.iter().copied();
        for item in &self.items {
            let no = numbers.next().unwrap_or_default();
            let made = match (seen.insert(item.component), pages.remove(&item.component)) {
                (false, _) => Err(Text::new("重复列出", "it is listed twice")),
                (true, None) => Err(absent(item.component)),
                (true, Some(page)) => self.one(memory, item, page, no),
            };
            match made {
                Ok(change) => changes.push(change),
                Err(detail) => faults.push(Fault {
                    component: Some(item.component),
                    row: item.row,
                    detail,
                }),
            }
        }
        (changes, faults)
    }

    fn one(&self, memory: &Memory, item: &Item, page: Page, no: i64) -> Result<Change, Text> {
        let by = &self.by;
        let class = memory.classes.get(&page.class);
        if !class.is_some_and(|c| by.rights.sees(c)) {
            return Err(absent(item.component));
        }
        let mut book = page.book.clone();
        book.turn(self.at)?;
        let act = match (self.doing, &item.wanted) {
            (Doing::HandIn, Some(wanted)) => Act::HandIn(no, wanted.clone()),
            (doing, _) => {
                let motion = only(&book, doing)?;
                if doing == Doing::Withdraw && motion.handed_in_by != by.name && by.access < Access::Adjudicator {
                    return Err(Text::new("只有经办人可以撤回", "only who handed it in can withdraw it"));
                }
                let no = motion.no;
                match doing {
                    Doing::Review => Act::Review(no),
                    Doing::Announce(until) => Act::Announce(no, until),
                    Doing::Reject => Act::Reject(no),
                    Doing::Withdraw => Act::Withdraw(no),
                    Doing::Confirm | Doing::HandIn => Act::Confirm(no),
                }
            }
        };
        let claimed: Vec<Option<i32>> = match &act {
            Act::HandIn(_, wanted) => wanted.parties.iter().copied().map(Some).collect(),
            _ => only(&book, self.doing)?
                .wanted
                .parties
                .iter()
                .copied()
                .map(Some)
                .collect(),
        };
        let row = memory.components.get(item.component.unsigned_abs());
        let at = row.map_or((f64::NAN, f64::NAN), |r| (r.lon, r.lat));
        within(memory, by, at, &claimed)?;
        let person = Person {
            name: by.name.clone(),
            party: by.party,
        };
        book.act(act, &person, self.at)?;
        Ok(Change::of(item.component, page, book))
    }
}

fn absent(component: i64) -> Text {
    text!("没有部件 {component}", "there is no component {component}")
}

/// The one motion that an act is for.
fn only(book: &Book, doing: Doing) -> Result<&Motion, Text> {
    let mut meant = book.motions.iter().filter(|m| doing.meets(m.stage));
    match (meant.next(), meant.next()) {
        (Some(motion), None) => Ok(motion),
        (None, _) => Err(Text::new("没有待此办理的事项", "nothing waits for this")),
        (Some(_), Some(_)) => Err(Text::new(
            "有多项待办，须逐项办理",
            "several wait for this; they are decided one by one",
        )),
    }
}

/// Tries a batch, or does it: with a fault, nothing is written.
pub async fn run(
    store: &Store,
    feed: &Feed,
    memory: Arc<Memory>,
    order: Order,
    reason: Option<&str>,
    dry_run: bool,
) -> Result<Outcome> {
    if order.by.access < order.doing.takes() {
        return Err(Error::Forbidden(Text::new(
            "须有审批权限（adjudicator）",
            "this takes the access of an adjudicator",
        )));
    }
    let ids: Vec<i64> = order.items.iter().map(|i| i.component).collect();
    let backed: Vec<Vec<usize>> = order.items.iter().map(|i| i.papers.clone()).collect();
    let papers = order.papers.clone();
    let (role, doing, by) = (order.role, order.doing, order.by.clone());
    let at = order.at;
    if dry_run {
        let pages = store.books(&ids, role).await?;
        let numbers: Vec<i64> = (1..=ids.len() as i64).map(|n| -n).collect();
        let (changes, faults) = blocking(move || order.work_out(&memory, pages, &numbers)).await?;
        return Ok(Outcome {
            batch: None,
            done: changes.len(),
            faults,
            settled: None,
        });
    }
    let mut edit = store.edit(&by.name, reason).await?;
    let pages = edit.books(&ids, role).await?;
    let numbers = match doing {
        Doing::HandIn => edit.next_motions(ids.len()).await?,
        _ => Vec::new(),
    };
    let (mut changes, faults) = blocking(move || order.work_out(&memory, pages, &numbers)).await?;
    if !faults.is_empty() || changes.is_empty() {
        return Ok(Outcome {
            batch: None,
            done: changes.len(),
            faults,
            settled: None,
        });
    }
    let papers = edit.keep_papers(&papers, &by.name).await?;
    // Without a fault there is one change an item, in their order.
    for (change, backed) in changes.iter_mut().zip(&backed) {
        change.evidence = backed.iter().filter_map(|i| papers.get(*i).copied()).collect();
    }
    edit.write_books(role, &changes, at).await?;
    let batch = edit.note_batch(role, doing.key(), &by.name, &changes).await?;
    let settled = feed.commit(edit).await?;
    Ok(Outcome {
        batch: Some(batch),
        done: changes.len(),
        faults,
        settled: Some(settled),
    })
}

/// What an undoing did and what it left.
#[derive(Debug)]
pub struct Undone {
    /// Components that are as they were before the batch.
    pub undone: usize,
    /// Components that somebody has changed since, and why they were left.
    pub left: Vec<Fault>,
    /// Where memory stands after it.
    pub settled: Settled,
}

fn no_batch(id: i64) -> Error {
    Error::NotFound(text!("没有第 {id} 批", "there is no batch {id}"))
}

/// Whether a reader may know of a component.
pub fn shown(memory: &Memory, rights: &Rights, component: i64) -> bool {
    let row = memory.components.get(component.unsigned_abs());
    let class = row.and_then(|r| memory.classes.get(&i32::from(r.class)));
    class.is_some_and(|c| rights.sees(c))
}

/// Undoes a batch, as one; to who may not see all of it there is no such batch, and none but its maker undoes it within bounds. What somebody has taken another step with since is left, and so is what somebody has edited, unless
/// `also_edited`.
pub async fn undo(
    store: &Store,
    feed: &Feed,
    memory: Arc<Memory>,
    by: &Grant,
    at: Moment,
    id: i64,
    also_edited: bool,
) -> Result<Undone> {
    let reason = format!("撤销第 {id} 批 / batch {id} undone");
    let mut edit = store.edit(&by.name, Some(&reason)).await?;
    let batch = edit.batch(id).await?.ok_or_else(|| no_batch(id))?;
    let components = store.batch_components(id).await?;
    if !components.iter().all(|c| shown(&memory, &by.rights, *c)) {
        return Err(no_batch(id));
    }
    let others = by.access >= Access::Adjudicator && !by.is_bounded();
    if batch.made_by != by.name && !others {
        return Err(Error::Forbidden(Text::new(
            "只有办理人或不限范围的审批者可以撤销",
            "only who made it, or an adjudicator without bounds, can undo it",
        )));
    }
    if batch.undone {
        return Err(Error::Conflict(text!(
            "第 {id} 批已经撤销",
            "batch {id} is undone already"
        )));
    }
    let role = Role::parse(&batch.role).map_err(|e| Error::internal(e.en))?;
    let pages = edit.books(&components, role).await?;
    let (roles, motions) = edit.before_batch(&batch).await?;
    let (changes, left) = blocking(move || revert(pages, roles, motions, also_edited)).await?;
    edit.write_books(role, &changes, at).await?;
    edit.undo_batch(id).await?;
    let settled = feed.commit(edit).await?;
    Ok(Undone {
        undone: changes.len(),
        left,
        settled,
    })
}

fn revert(
    mut pages: BTreeMap<i64, Page>,
    roles: Vec<Before>,
    motions: Vec<BeforeMotion>,
    also_edited: bool,
) -> (Vec<Change>, Vec<Fault>) {
    let mut of: HashMap<i64, Vec<BeforeMotion>> = HashMap::new();
    for motion in motions {
        of.entry(motion.component).or_default().push(motion);
    }
    let (mut changes, mut left) = (Vec::new(), Vec::new());
    for role in roles {
        let own = of.remove(&role.component).unwrap_or_default();
        let reverted = match pages.remove(&role.component) {
            _ if role.stepped => Err(Text::new("此后另有办理", "somebody has taken another step since")),
            _ if role.edited && !also_edited => Err(Text::new("此后已被修改", "somebody has edited it since")),
            None => Err(absent(role.component)),
            Some(page) => revert_one(&role, &own, page),
        };
        match reverted {
            Ok(change) => changes.push(change),
            Err(detail) => left.push(Fault {
                component: Some(role.component),
                row: None,
                detail,
            }),
        }
    }
    (changes, left)
}

fn revert_one(before: &Before, own: &[BeforeMotion], page: Page) -> Result<Change, Text> {
    let mut book = page.book.clone();
    for motion in &mut book.motions {
        let Some(old) = own.iter().find(|o| o.motion == motion.no) else {
            continue;
        };
        let was = motion.stage;
        motion.stage = match &old.stage {
            Some(stage) => ClaimStage::parse(stage)?,
            None => ClaimStage::Withdrawn,
        };
        (motion.reviewed_by, motion.decided_by) = (old.reviewed_by.clone(), old.decided_by.clone());
        (motion.own_party, motion.announced_until) = (old.own_party, old.announced_until);
        if was == ClaimStage::Confirmed && motion.stage != was {
            let in_force = |d: &&mut crate::domain::claim::holding::Decision| d.no == motion.no && d.annulled.is_none();
            book.decisions
                .iter_mut()
                .filter(in_force)
                .for_each(|d| d.annulled = Some(i64::MAX));
        }
    }
    let settled = OwnershipStatus::parse(&before.settled)?;
    let after = Book::restored(settled, book.motions, book.decisions)?;
    Ok(Change {
        party: Some(before.party),
        ..Change::of(before.component, page, after)
    })
}

//! The book of one role of one component: what was moved, by whom, and what came of it.
//!
//! Everything that changes who holds a role is a [`Motion`] and goes the same way: one person hands it in (经办), another one reviews it
//! (审核), a third one decides (审批), where wanted after a time in which anybody may object (公示).

use chrono::NaiveDate;

use super::holding::{Decision, holder};
use super::state::{Event, Open, State};
use crate::domain::text::Text;
use crate::domain::word::{ClaimStage, MotionKind, OwnershipStatus};
use crate::text;

/// The most that one role of one component can have been through.
const MAX_MOTIONS: usize = 500;

/// Who acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The account's name: two names are two persons.
    pub name: String,
    /// The party that the person belongs to.
    pub party: Option<i32>,
}

/// What is asked for: that parties hold the role on some days.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// What kind of motion it is.
    pub kind: MotionKind,
    /// Who shall hold it, several together (共有, 合杆); nobody where it is to be found unclaimed.
    pub parties: Vec<i32>,
    /// The first day.
    pub from: NaiveDate,
    /// The last day; none where nothing ends it.
    pub to: Option<NaiveDate>,
    /// How many documents back it.
    pub evidence: usize,
}

/// A claim, a transfer, a designation or a finding that nobody claims it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Motion {
    /// The register's number of it.
    pub no: i64,
    /// What is asked for.
    pub wanted: Wanted,
    /// How far it has come.
    pub stage: ClaimStage,
    /// 经办.
    pub handed_in_by: String,
    /// 审核.
    pub reviewed_by: Option<String>,
    /// 审批.
    pub decided_by: Option<String>,
    /// Whether the decision was for the decider's own party (自认).
    pub own_party: bool,
    /// The last day on which anybody may object.
    pub announced_until: Option<NaiveDate>,
}

impl Motion {
    fn is_open(&self) -> bool {
        matches!(
            self.stage,
            ClaimStage::Open | ClaimStage::Reviewed | ClaimStage::Announced
        )
    }
}

/// One role of one component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Book {
    /// How it stands.
    pub state: State,
    /// Everything that was moved, in its order.
    pub motions: Vec<Motion>,
    /// Everything that was decided, in its order.
    pub decisions: Vec<Decision>,
}

/// What somebody does. Motions are named by their numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Hands a motion in under a number.
    HandIn(i64, Wanted),
    /// Reviews it; a transfer is inspected and accepted (接收验收).
    Review(i64),
    /// Decides for it.
    Confirm(i64),
    /// Decides for it unless somebody objects until the end of a day.
    Announce(i64, NaiveDate),
    /// Decides against it.
    Reject(i64),
    /// Takes it back.
    Withdraw(i64),
    /// Rules a dispute for one of the claims, or for whoever held the role before; the others are rejected.
    Rule(Option<i64>),
}

/// When something is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The city's calendar day.
    pub today: NaiveDate,
    /// The revision that it will be known by; greater than all before.
    pub revision: i64,
}

impl Book {
    /// An empty book of a role whose status was brought along.
    pub fn new(state: State) -> Book {
        Book {
            state,
            motions: Vec::new(),
            decisions: Vec::new(),
        }
    }

    /// A book as it was written down: what is settled, and all that was moved and decided.
    pub fn restored(settled: OwnershipStatus, motions: Vec<Motion>, decisions: Vec<Decision>) -> Result<Book, Text> {
        let mut state = State::brought(settled);
        for motion in motions.iter().filter(|m| m.is_open()) {
            match (motion.wanted.kind, motion.stage) {
                (MotionKind::Claim, _) => state = state.step(Event::Claim)?,
                (MotionKind::Transfer, ClaimStage::Open) => state = state.step(Event::Request)?,
                (MotionKind::Transfer, _) => state = state.step(Event::Request)?.step(Event::Accept)?,
                _ => {}
            }
        }
        Ok(Book {
            state,
            motions,
            decisions,
        })
    }

    /// Who holds the role today; none where no decision says so.
    pub fn holder(&self, at: Moment) -> Option<&Decision> {
        holder(&self.decisions, at.today, at.revision)
    }

    /// Does it, or says why it cannot be done and leaves the book as it is.
    pub fn act(&mut self, act: Act, by: &Person, at: Moment) -> Result<(), Text> {
        let mut next = self.clone();
        match act {
            Act::HandIn(no, wanted) => next.hand_in(no, wanted, by)?,
            Act::Review(no) => {
                let motion = next.open(no)?;
                if motion.stage != ClaimStage::Open {
                    return Err(Text::new("已经审核", "it has been reviewed already"));
                }
                apart(by, [Some(&motion.handed_in_by), None])?;
                motion.reviewed_by = Some(by.name.clone());
                motion.stage = ClaimStage::Reviewed;
                if motion.wanted.kind == MotionKind::Transfer {
                    next.state = next.state.step(Event::Accept)?;
                }
            }
            Act::Confirm(no) => {
                next.decide(no, by)?;
                next.take_effect(no, at)?;
            }
            Act::Announce(no, until) => {
                if until < at.today {
                    return Err(Text::new(
                        "公示期须至今日以后",
                        "the announcement must end today or later",
                    ));
                }
                // What could not be confirmed now is not announced either.
                let kind = next.decide(no, by)?.wanted.kind;
                next.state.step(deciding(kind))?;
                let motion = next.open(no)?;
                motion.announced_until = Some(until);
                motion.stage = ClaimStage::Announced;
            }
            Act::Reject(no) => {
                let motion = next.open(no)?;
                apart(by, [Some(&motion.handed_in_by), None])?;
                motion.decided_by = Some(by.name.clone());
                next.close(no, ClaimStage::Rejected)?;
            }
            Act::Withdraw(no) => {
                next.open(no)?;
                next.close(no, ClaimStage::Withdrawn)?;
            }
            Act::Rule(winner) => next.rule(winner, by, at)?,
        }
        *self = next;
        Ok(())
    }

    /// What the calendar brings: announcements that nobody objected to take effect, and a holding that has ended lapses.
    /// To be called on every day, or with the day on which somebody looks again.
    pub fn turn(&mut self, at: Moment) -> Result<(), Text> {
        let due: Vec<i64> = self
            .motions
            .iter()
            .filter(|m| m.stage == ClaimStage::Announced && m.announced_until.is_some_and(|until| until < at.today))
            .map(|m| m.no)
            .collect();
        let mut next = self.clone();
        for no in due {
            next.take_effect(no, at)?;
        }
        // Whoever was brought along is in no decision, and nothing ends what nothing began.
        let ended = next.decisions.iter().any(|d| d.to.is_some_and(|to| to < at.today));
        let held = next.holder(at).is_some();
        let later = next.decisions.iter().any(|d| d.from > at.today && d.annulled.is_none());
        if next.state.is_held() && ended && !held && !later {
            next.state = next.state.step(Event::Lapse)?;
            next.break_off();
        }
        *self = next;
        Ok(())
    }

    fn hand_in(&mut self, no: i64, wanted: Wanted, by: &Person) -> Result<(), Text> {
        if self.motions.iter().any(|m| m.no == no) {
            return Err(Text::new("编号已用", "the number is in use"));
        }
        if self.motions.len() >= MAX_MOTIONS {
            return Err(text!(
                "已有 {MAX_MOTIONS} 项，不再受理",
                "there are {MAX_MOTIONS} already; no more are taken"
            ));
        }
        if wanted.to.is_some_and(|to| to < wanted.from) {
            return Err(Text::new("止日早于起日", "it ends before it begins"));
        }
        if wanted.parties.is_empty() != (wanted.kind == MotionKind::Disclaimer) {
            return Err(match wanted.kind {
                MotionKind::Disclaimer => Text::new("认定无主不指名单位", "what nobody claims names no party"),
                _ => Text::new("须指名单位", "it names no party"),
            });
        }
        let mut parties = wanted.parties.clone();
        parties.sort_unstable();
        let known = self
            .motions
            .iter()
            .filter(|m| m.is_open() && m.wanted.kind == wanted.kind);
        for other in known {
            let mut own = other.wanted.parties.clone();
            own.sort_unstable();
            if own == parties {
                let no = other.no;
                return Err(text!(
                    "第 {no} 号与之相同，尚未决定",
                    "number {no} asks for the same and is not decided yet"
                ));
            }
        }
        match wanted.kind {
            MotionKind::Claim => {
                self.state = self.state.step(Event::Claim)?;
                self.break_off();
                // An objection ends the announcement, and with it the decision.
                for motion in self.motions.iter_mut().filter(|m| m.stage == ClaimStage::Announced) {
                    motion.stage = ClaimStage::Reviewed;
                    (motion.announced_until, motion.decided_by, motion.own_party) = (None, None, false);
                }
            }
            MotionKind::Transfer => self.state = self.state.step(Event::Request)?,
            MotionKind::Designation => drop(self.state.step(Event::Designate)?),
            MotionKind::Disclaimer => drop(self.state.step(Event::Disclaim)?),
        }
        self.motions.push(Motion {
            no,
            wanted,
            stage: ClaimStage::Open,
            handed_in_by: by.name.clone(),
            reviewed_by: None,
            decided_by: None,
            own_party: false,
            announced_until: None,
        });
        Ok(())
    }

    /// Closes transfers under way, as the state does: nobody hands over what is disputed, or what they no longer hold.
    fn break_off(&mut self) {
        let transfers = |m: &&mut Motion| m.is_open() && m.wanted.kind == MotionKind::Transfer;
        for motion in self.motions.iter_mut().filter(transfers) {
            motion.stage = ClaimStage::Rejected;
        }
    }

    fn open(&mut self, no: i64) -> Result<&mut Motion, Text> {
        let motion = self.motions.iter_mut().find(|m| m.no == no);
        let motion = motion.ok_or_else(|| text!("没有第 {no} 号", "there is no number {no}"))?;
        if motion.is_open() {
            return Ok(motion);
        }
        Err(text!("第 {no} 号已经办结", "number {no} is closed"))
    }

    /// Notes who decides for a motion that may be decided.
    fn decide(&mut self, no: i64, by: &Person) -> Result<&mut Motion, Text> {
        let motion = self.open(no)?;
        match motion.stage {
            ClaimStage::Open => return Err(Text::new("须先审核", "it must be reviewed first")),
            ClaimStage::Announced => return Err(Text::new("正在公示", "it is announced")),
            _ => {}
        }
        if motion.wanted.evidence == 0 {
            return Err(Text::new("没有依据文件", "no document backs it"));
        }
        apart(by, [Some(&motion.handed_in_by), motion.reviewed_by.as_ref()])?;
        motion.decided_by = Some(by.name.clone());
        motion.own_party = by.party.is_some_and(|p| motion.wanted.parties.contains(&p));
        Ok(motion)
    }

    fn take_effect(&mut self, no: i64, at: Moment) -> Result<(), Text> {
        let kind = self.open(no)?.wanted.kind;
        self.state = self.state.step(deciding(kind))?;
        self.settle(no, at)
    }

    fn settle(&mut self, no: i64, at: Moment) -> Result<(), Text> {
        let motion = self.open(no)?;
        motion.stage = ClaimStage::Confirmed;
        let wanted = motion.wanted.clone();
        if wanted.kind != MotionKind::Disclaimer {
            self.decisions.push(Decision {
                no,
                known: at.revision,
                annulled: None,
                parties: wanted.parties,
                from: wanted.from,
                to: wanted.to,
            });
        }
        Ok(())
    }

    fn close(&mut self, no: i64, stage: ClaimStage) -> Result<(), Text> {
        let kind = {
            let motion = self.open(no)?;
            motion.stage = stage;
            motion.wanted.kind
        };
        match kind {
            MotionKind::Claim => self.state = self.state.step(Event::Close(self.claims()))?,
            MotionKind::Transfer => self.state = self.state.step(Event::CallOff)?,
            MotionKind::Designation | MotionKind::Disclaimer => {}
        }
        Ok(())
    }

    /// How many claims are open.
    fn claims(&self) -> Open {
        let open = self
            .motions
            .iter()
            .filter(|m| m.is_open() && m.wanted.kind == MotionKind::Claim);
        match open.count() {
            0 => Open::None,
            1 => Open::One,
            _ => Open::Several,
        }
    }

    fn rule(&mut self, winner: Option<i64>, by: &Person, at: Moment) -> Result<(), Text> {
        let event = winner.map_or(Event::Uphold, |_| Event::Rule);
        self.state = self.state.step(event)?;
        if let Some(no) = winner {
            if self.decide(no, by)?.wanted.kind != MotionKind::Claim {
                return Err(text!("第 {no} 号不是主张", "number {no} is no claim"));
            }
            self.settle(no, at)?;
        }
        for motion in self
            .motions
            .iter_mut()
            .filter(|m| m.is_open() && m.wanted.kind == MotionKind::Claim)
        {
            apart(by, [Some(&motion.handed_in_by), None])?;
            motion.stage = ClaimStage::Rejected;
            motion.decided_by = Some(by.name.clone());
        }
        Ok(())
    }
}

/// What it is for a role that a motion of this kind is decided for.
fn deciding(kind: MotionKind) -> Event {
    match kind {
        MotionKind::Claim => Event::Confirm,
        MotionKind::Transfer => Event::Complete,
        MotionKind::Designation => Event::Designate,
        MotionKind::Disclaimer => Event::Disclaim,
    }
}

/// Nobody takes two of the three parts.
fn apart(by: &Person, others: [Option<&String>; 2]) -> Result<(), Text> {
    if others.into_iter().flatten().any(|o| *o == by.name) {
        return Err(Text::new(
            "经办、审核、审批须由不同的人",
            "handing in, reviewing and deciding are for three persons",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests;

//! How a role of a component stands, and what can happen to it: the whole table.

use crate::domain::text::Text;
use crate::domain::word::OwnershipStatus;
use crate::text;

/// What has been settled, whatever is claimed beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Settled {
    Unsurveyed,
    /// A delivery names somebody, and nobody has claimed it.
    Named,
    /// In dispute since before claims were kept.
    Contested,
    Unclaimed,
    Designated,
    Confirmed,
}

/// How many claims are open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Open {
    /// Nobody's.
    None,
    /// One party's, or one of several parties together.
    One,
    /// Several, each of which excludes the others.
    Several,
}

/// How far the holder has handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Transfer {
    None,
    Requested,
    Accepted,
}

/// How a role of a component stands. Only [`State::step`] makes one out of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct State {
    settled: Settled,
    open: Open,
    transfer: Transfer,
}

/// What happens to a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// A party, or several together, claim it.
    Claim,
    /// An open claim is withdrawn or rejected; so many stay open.
    Close(Open),
    /// The only open claim is confirmed.
    Confirm,
    /// A dispute is ruled for one of the claims; the others are rejected.
    Rule,
    /// A dispute is ruled for whoever held it before; all claims are rejected.
    Uphold,
    /// Surveyed, and nobody claims it (无主).
    Disclaim,
    /// A government decision names who answers for it (指定).
    Designate,
    /// The holder asks to hand over (移交申请).
    Request,
    /// Whoever takes over has inspected and accepts (接收验收).
    Accept,
    /// The hand-over is called off.
    CallOff,
    /// The hand-over is completed (移交完成): another one holds it from a day on.
    Complete,
    /// The last day of what was decided has passed, and nothing follows.
    Lapse,
}

impl Event {
    /// Every event.
    pub const ALL: [Event; 14] = [
        Event::Claim,
        Event::Close(Open::None),
        Event::Close(Open::One),
        Event::Close(Open::Several),
        Event::Confirm,
        Event::Rule,
        Event::Uphold,
        Event::Disclaim,
        Event::Designate,
        Event::Request,
        Event::Accept,
        Event::CallOff,
        Event::Complete,
        Event::Lapse,
    ];
}

impl State {
    /// As every role begins: nobody has looked.
    pub const START: State = State {
        settled: Settled::Unsurveyed,
        open: Open::None,
        transfer: Transfer::None,
    };

    /// The state that a stock brings with it from before claims were kept, by its status, and nothing open.
    pub fn brought(status: OwnershipStatus) -> State {
        let settled = match status {
            OwnershipStatus::Unsurveyed => Settled::Unsurveyed,
            OwnershipStatus::Proposed => Settled::Named,
            OwnershipStatus::Disputed => Settled::Contested,
            OwnershipStatus::Unclaimed => Settled::Unclaimed,
            OwnershipStatus::Designated => Settled::Designated,
            OwnershipStatus::Confirmed => Settled::Confirmed,
        };
        State {
            settled,
            ..State::START
        }
    }

    /// What is settled, as the status that it would be without open claims: what [`State::brought`] takes.
    pub fn settled(self) -> OwnershipStatus {
        State {
            open: Open::None,
            ..self
        }
        .status()
    }

    /// The word that people and tiles read. Two open claims are a dispute, and so is one beside a confirmed holder.
    pub fn status(self) -> OwnershipStatus {
        match (self.settled, self.open) {
            (Settled::Contested, _) | (_, Open::Several) | (Settled::Confirmed, Open::One) => OwnershipStatus::Disputed,
            (_, Open::One) | (Settled::Named, Open::None) => OwnershipStatus::Proposed,
            (Settled::Confirmed, Open::None) => OwnershipStatus::Confirmed,
            (Settled::Designated, Open::None) => OwnershipStatus::Designated,
            (Settled::Unclaimed, Open::None) => OwnershipStatus::Unclaimed,
            (Settled::Unsurveyed, Open::None) => OwnershipStatus::Unsurveyed,
        }
    }

    /// Whether somebody holds it until something else is decided: by a confirmed claim or by designation.
    pub fn is_held(self) -> bool {
        matches!(self.settled, Settled::Confirmed | Settled::Designated)
    }

    /// Whether the holder is handing over.
    pub fn hands_over(self) -> bool {
        self.transfer != Transfer::None
    }

    /// The state after an event, or why it cannot happen now. Pure, and the only way from one state to another.
    pub fn step(self, event: Event) -> Result<State, Text> {
        let State {
            settled,
            open,
            transfer,
        } = self;
        let becomes = |settled| State {
            settled,
            open: Open::None,
            transfer: Transfer::None,
        };
        let undisputed = || match open {
            Open::None => Ok(()),
            _ => Err(Text::new(
                "尚有未决的主张，须先裁定或撤回",
                "a claim is open; it must be ruled or withdrawn first",
            )),
        };
        match event {
            // What is disputed is not handed over.
            Event::Claim => Ok(State {
                open: if open == Open::None { Open::One } else { Open::Several },
                transfer: Transfer::None,
                ..self
            }),
            Event::Close(left) => match (open, left) {
                (Open::One, Open::None) | (Open::Several, Open::One | Open::Several) => {
                    Ok(State { open: left, ..self })
                }
                _ => Err(Text::new("没有这样的未决主张", "there is no such open claim")),
            },
            Event::Confirm | Event::Rule if open == Open::None => Err(Text::new("没有未决的主张", "no claim is open")),
            Event::Confirm if self.status() == OwnershipStatus::Proposed => Ok(becomes(Settled::Confirmed)),
            Event::Confirm => Err(Text::new("存在争议，须裁定", "it is disputed; a ruling decides")),
            Event::Rule if self.status() == OwnershipStatus::Disputed => Ok(becomes(Settled::Confirmed)),
            Event::Uphold if self.status() == OwnershipStatus::Disputed && self.is_held() => Ok(becomes(settled)),
            Event::Uphold if self.status() == OwnershipStatus::Disputed => {
                Err(Text::new("此前无人持有", "nobody held it before"))
            }
            Event::Rule | Event::Uphold => Err(Text::new("没有争议可裁定", "there is no dispute to rule on")),
            Event::Disclaim => {
                undisputed()?;
                match settled {
                    Settled::Unsurveyed | Settled::Named => Ok(becomes(Settled::Unclaimed)),
                    _ => Err(self.already()),
                }
            }
            Event::Designate => {
                undisputed()?;
                if transfer != Transfer::None {
                    return Err(Text::new("移交正在办理", "a transfer is under way"));
                }
                match settled {
                    Settled::Unclaimed | Settled::Designated => Ok(becomes(Settled::Designated)),
                    Settled::Unsurveyed | Settled::Named => {
                        Err(Text::new("须先认定无主", "it must be found unclaimed first"))
                    }
                    Settled::Confirmed | Settled::Contested => Err(self.already()),
                }
            }
            Event::Request => {
                undisputed()?;
                match (self.is_held(), transfer) {
                    (true, Transfer::None) => Ok(State {
                        transfer: Transfer::Requested,
                        ..self
                    }),
                    (true, _) => Err(Text::new("移交正在办理", "a transfer is under way")),
                    (false, _) => Err(Text::new(
                        "无人持有，无从移交",
                        "nobody holds it who could hand it over",
                    )),
                }
            }
            Event::Accept if transfer == Transfer::Requested => Ok(State {
                transfer: Transfer::Accepted,
                ..self
            }),
            Event::CallOff if transfer != Transfer::None => Ok(State {
                transfer: Transfer::None,
                ..self
            }),
            Event::Complete if transfer == Transfer::Accepted => Ok(becomes(Settled::Confirmed)),
            Event::Complete if transfer == Transfer::Requested => {
                Err(Text::new("须先接收验收", "it must be inspected and accepted first"))
            }
            Event::Accept | Event::CallOff | Event::Complete => {
                Err(Text::new("没有这样的移交", "there is no such transfer"))
            }
            Event::Lapse if self.is_held() => Ok(State {
                settled: Settled::Unsurveyed,
                open,
                transfer: Transfer::None,
            }),
            Event::Lapse => Err(Text::new("没有到期的持有", "nothing is held that could end")),
        }
    }

    fn already(self) -> Text {
        let status = self.status();
        let (zh, en) = (
            status.name(crate::domain::text::Lang::Zh),
            status.name(crate::domain::text::Lang::En),
        );
        let en = en.to_lowercase();
        text!("已是“{zh}”", "it is {en} already")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// All that can be reached, by trying everything everywhere.
    fn reachable() -> BTreeSet<State> {
        let mut all: BTreeSet<State> = OwnershipStatus::ALL.iter().map(|s| State::brought(*s)).collect();
        loop {
            let next: BTreeSet<State> = all
                .iter()
                .flat_map(|s| Event::ALL.iter().filter_map(|e| s.step(*e).ok()))
                .chain(all.iter().copied())
                .collect();
            if next.len() == all.len() {
                return all;
            }
            all = next;
        }
    }

    fn short(s: State) -> String {
        let open = match s.open {
            Open::None => "",
            Open::One => "+1",
            Open::Several => "+n",
        };
        let transfer = match s.transfer {
            Transfer::None => "",
            Transfer::Requested => " req",
            Transfer::Accepted => " acc",
        };
        format!("{:?}{open}{transfer}", s.settled)
    }

    /// A row a state, the event and where it leads; what is not named is refused.
    #[test]
    fn the_whole_table() {
        let mut table = String::new();
        for state in reachable() {
            table += &format!("{} = {}\n", short(state), state.status());
            for event in Event::ALL {
                if let Ok(next) = state.step(event) {
                    table += &format!("  {event:?} -> {}\n", short(next));
                }
            }
        }
        insta::assert_snapshot!(table, @r"
        Unsurveyed = unsurveyed
          Claim -> Unsurveyed+1
          Disclaim -> Unclaimed
        Unsurveyed+1 = proposed
          Claim -> Unsurveyed+n
          Close(None) -> Unsurveyed
          Confirm -> Confirmed
        Unsurveyed+n = disputed
          Claim -> Unsurveyed+n
          Close(One) -> Unsurveyed+1
          Close(Several) -> Unsurveyed+n
          Rule -> Confirmed
        Named = proposed
          Claim -> Named+1
          Disclaim -> Unclaimed
        Named+1 = proposed
          Claim -> Named+n
          Close(None) -> Named
          Confirm -> Confirmed
        Named+n = disputed
          Claim -> Named+n
          Close(One) -> Named+1
          Close(Several) -> Named+n
          Rule -> Confirmed
        Contested = disputed
          Claim -> Contested+1
        Contested+1 = disputed
          Claim -> Contested+n
          Close(None) -> Contested
          Rule -> Confirmed
        Contested+n = disputed
          Claim -> Contested+n
          Close(One) -> Contested+1
          Close(Several) -> Contested+n
          Rule -> Confirmed
        Unclaimed = unclaimed
          Claim -> Unclaimed+1
          Designate -> Designated
        Unclaimed+1 = proposed
          Claim -> Unclaimed+n
          Close(None) -> Unclaimed
          Confirm -> Confirmed
        Unclaimed+n = disputed
          Claim -> Unclaimed+n
          Close(One) -> Unclaimed+1
          Close(Several) -> Unclaimed+n
          Rule -> Confirmed
        Designated = designated
          Claim -> Designated+1
          Designate -> Designated
          Request -> Designated req
          Lapse -> Unsurveyed
        Designated req = designated
          Claim -> Designated+1
          Accept -> Designated acc
          CallOff -> Designated
          Lapse -> Unsurveyed
        Designated acc = designated
          Claim -> Designated+1
          CallOff -> Designated
          Complete -> Confirmed
          Lapse -> Unsurveyed
        Designated+1 = proposed
          Claim -> Designated+n
          Close(None) -> Designated
          Confirm -> Confirmed
          Lapse -> Unsurveyed+1
        Designated+n = disputed
          Claim -> Designated+n
          Close(One) -> Designated+1
          Close(Several) -> Designated+n
          Rule -> Confirmed
          Uphold -> Designated
          Lapse -> Unsurveyed+n
        Confirmed = confirmed
          Claim -> Confirmed+1
          Request -> Confirmed req
          Lapse -> Unsurveyed
        Confirmed req = confirmed
          Claim -> Confirmed+1
          Accept -> Confirmed acc
          CallOff -> Confirmed
          Lapse -> Unsurveyed
        Confirmed acc = confirmed
          Claim -> Confirmed+1
          CallOff -> Confirmed
          Complete -> Confirmed
          Lapse -> Unsurveyed
        Confirmed+1 = disputed
          Claim -> Confirmed+n
          Close(None) -> Confirmed
          Rule -> Confirmed
          Uphold -> Confirmed
          Lapse -> Unsurveyed+1
        Confirmed+n = disputed
          Claim -> Confirmed+n
          Close(One) -> Confirmed+1
          Close(Several) -> Confirmed+n
          Rule -> Confirmed
          Uphold -> Confirmed
          Lapse -> Unsurveyed+n
        ");
    }

    #[test]
    fn every_refusal_says_why_in_both_languages() {
        for state in reachable() {
            for event in Event::ALL {
                if let Err(why) = state.step(event) {
                    assert!(!why.zh.is_empty() && !why.en.is_empty(), "{state:?} {event:?}");
                }
            }
        }
    }
}

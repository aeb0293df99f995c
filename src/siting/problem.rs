//! What is to be covered, and which candidate would cover what.
use std::collections::HashMap;

use super::{Goal, ROUNDING, Unreachable, sum};

/// Demand and the candidates that would cover it. Demand that existing facilities cover already is not in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    weights: Vec<f64>,
    reach: Vec<Vec<u32>>,
    covered: f64,
    total: f64,
}

/// Why a [`Problem`] was refused.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ProblemError {
    /// A weight is negative, infinite or not a number.
    Weight {
        /// Its place in the list of weights.
        demand: usize,
        /// What it says.
        weight: f64,
    },
    /// A candidate covers a demand that is not in the list of weights.
    Demand {
        /// The candidate's place in the list of candidates.
        candidate: usize,
        /// The demand it names.
        demand: u32,
    },
    /// The covered weight, the total, or the sum of the weights is negative, infinite or not a number.
    Sum(f64),
}

impl std::fmt::Display for ProblemError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Weight { demand, weight } => write!(f, "demand {demand} has the weight {weight}"),
            Self::Demand { candidate, demand } => write!(f, "candidate {candidate} covers the unknown demand {demand}"),
            Self::Sum(sum) => write!(f, "weights cannot sum up to {sum}"),
        }
    }
}

impl std::error::Error for ProblemError {}

impl Problem {
    /// Checks and keeps a problem.
    ///
    /// - `weights`: for each demand not covered yet, people or m² (one unit throughout), zero or more.
    /// - `reach`: for each candidate, the demand it would cover, as places in `weights`. It is sorted here, and a demand
    ///   named twice counts once.
    /// - `covered`: weight that existing facilities cover already, for [`Problem::rate`] only.
    /// - `total`: weight of all demand, covered or not, reachable or not, for [`Problem::rate`] only.
    ///
    /// # Errors
    ///
    /// Numbers that are negative, infinite or not numbers, and candidates covering demand without a weight, are refused.
    pub fn new(weights: Vec<f64>, mut reach: Vec<Vec<u32>>, covered: f64, total: f64) -> Result<Self, ProblemError> {
        if let Some((demand, &weight)) = weights.iter().enumerate().find(|(_, weight)| !is_weight(**weight)) {
            return Err(ProblemError::Weight { demand, weight });
        }
        for figure in [covered, total, sum(weights.iter().copied())] {
            if !is_weight(figure) {
                return Err(ProblemError::Sum(figure));
            }
        }
        for (candidate, demands) in reach.iter_mut().enumerate() {
            demands.sort_unstable();
            demands.dedup();
            if let Some(&demand) = demands.last().filter(|last| **last as usize >= weights.len()) {
                return Err(ProblemError::Demand { candidate, demand });
            }
        }
        Ok(Self {
            weights,
            reach,
            covered,
            total,
        })
    }

    /// The weight of each demand (people or m²).
    pub fn weights(&self) -> &[f64] {
        &self.weights
    }

    /// For each candidate, the demand it would cover: places in [`Problem::weights`], sorted.
    pub fn reach(&self) -> &[Vec<u32>] {
        &self.reach
    }

    /// The weight (people or m²) that would be newly covered with every candidate built. Takes one look at each reach.
    pub fn reachable(&self) -> f64 {
        let mut reached = vec![false; self.weights.len()];
        for &demand in self.reach.iter().flatten() {
            reached[demand as usize] = true;
        }
        let weights = self.weights.iter().zip(reached);
        sum(weights.filter(|(_, reached)| *reached).map(|(weight, _)| *weight))
    }

    /// Refuses a goal that all the candidates together do not reach.
    pub(super) fn check(&self, goal: Goal) -> Result<(), Unreachable> {
        let reachable = self.reachable();
        match goal {
            Goal::Weight(weight) if weight.is_nan() || weight > reachable * (1.0 + ROUNDING) => {
                Err(Unreachable { reachable })
            }
            Goal::Sites(_) | Goal::Weight(_) => Ok(()),
        }
    }

    /// The share (0 to 1) of all demand that is covered once `added` weight is covered as well; `None` without demand.
    pub fn rate(&self, added: f64) -> Option<f64> {
        (self.total > 0.0).then(|| ((self.covered + added) / self.total).min(1.0))
    }

    /// The weight that is missing to a share (0 to 1) of all demand.
    pub fn missing(&self, rate: f64) -> f64 {
        (rate * self.total - self.covered).max(0.0)
    }

    /// The same problem in fewer words, with the same best answers:
    ///
    /// - demand that weighs nothing or that no candidate reaches is left out: no choice changes what it counts for;
    /// - demand reached by the same candidates is one demand, its weights summed: such demand is covered together or not
    ///   at all. (Whole numbers sum exactly, up to 2⁵³.)
    /// - a candidate that reaches nothing but what another one reaches (of two equals: the later one) keeps its place in
    ///   the list but reaches nothing, so it is never chosen.
    ///
    /// The last is safe for "at most p sites" with any p, and for "fewest sites". Let a reach no more than b, and take
    /// a best choice with a in it. If b is in it too, a adds nothing: take it out. If not, put b in its place. Either
    /// way no weight is lost and no site is added, so some best choice does without a. "Is dominated by" has no
    /// circles (equals go by place in the list), so every dominated candidate can be left out, one after another.
    ///
    /// Costs about the sum of all reaches, plus comparing each candidate with those that share its rarest demand.
    #[must_use]
    pub fn reduced(&self) -> Self {
        // Fewer candidates give more demand with the same candidates, hence the second merge. No third step is needed:
        // merging does not change which candidate reaches a part of what another one does.
        self.merged().without_dominated().merged()
    }

    /// For each demand, the candidates that reach it, sorted.
    fn reached_by(&self) -> Vec<Vec<u32>> {
        let mut reached_by = vec![Vec::new(); self.weights.len()];
        for (candidate, demands) in (0..).zip(&self.reach) {
            for &demand in demands {
                reached_by[demand as usize].push(candidate);
            }
        }
        reached_by
    }

    /// Demand that counts, with what the same candidates reach as one.
    fn merged(&self) -> Self {
        let reached_by = self.reached_by();
        let mut weights: Vec<f64> = Vec::new();
        let mut reach = vec![Vec::new(); self.reach.len()];
        let mut places: HashMap<&[u32], usize> = HashMap::new();
        for (candidates, &weight) in reached_by.iter().zip(&self.weights) {
            if candidates.is_empty() || weight <= 0.0 {
                continue;
            }
            let place = *places.entry(candidates).or_insert(weights.len());
            if place < weights.len() {
                weights[place] += weight;
                continue;
            }
            weights.push(weight);
            for &candidate in candidates {
                reach[candidate as usize].push(place as u32);
            }
        }
        Self {
            weights,
            reach,
            ..*self
        }
    }

    /// Candidates that are no better than another one reach nothing.
    fn without_dominated(mut self) -> Self {
        let reached_by = self.reached_by();
        let dominated: Vec<bool> = (0..self.reach.len())
            .map(|it| self.is_dominated(it, &reached_by))
            .collect();
        for (demands, dominated) in self.reach.iter_mut().zip(dominated) {
            if dominated {
                demands.clear();
            }
        }
        self
    }

    /// Whether another candidate reaches all that this one does, and more, or the same and comes earlier. Such a
    /// candidate reaches this one's rarest demand too, so only those are compared.
    fn is_dominated(&self, candidate: usize, reached_by: &[Vec<u32>]) -> bool {
        let mine = &self.reach[candidate];
        let Some(rivals) = mine
            .iter()
            .map(|&demand| &reached_by[demand as usize])
            .min_by_key(|rivals| rivals.len())
        else {
            return false;
        };
        rivals.iter().map(|&rival| rival as usize).any(|rival| {
            let theirs = &self.reach[rival];
            let better = theirs.len() > mine.len() || (theirs.len() == mine.len() && rival < candidate);
            better && is_part(mine, theirs)
        })
    }
}

/// Whether a number can be a weight, or a sum of weights.
fn is_weight(number: f64) -> bool {
    number.is_finite() && number >= 0.0
}

/// Whether all of one sorted list is in another sorted list.
fn is_part(part: &[u32], whole: &[u32]) -> bool {
    let mut whole = whole.iter();
    part.iter()
        .all(|wanted| whole.by_ref().find(|found| *found >= wanted) == Some(wanted))
}

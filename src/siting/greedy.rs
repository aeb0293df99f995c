//! The quick answer: again and again the candidate that adds most.
use std::cmp::Ordering;
use std::collections::BinaryHeap;

use super::{Chosen, Goal, Plan, Problem, ROUNDING, Unreachable, sum};

/// Chooses one candidate after another, always the one that adds most (of equals: the first in the list), and says how
/// far from the best choice that is at most.
///
/// Covers at least 1 − 1/e (63 %) of the best weight (Nemhauser, Wolsey & Fisher 1978), usually far more: see
/// [`Plan::gap`]. Costs about the sum of all reaches, plus a few looks at the best candidates for each site chosen.
///
/// # Errors
///
/// [`Unreachable`], with how much is reachable, if the goal is more weight than that.
pub fn greedy(problem: &Problem, goal: Goal) -> Result<Plan, Unreachable> {
    let problem = problem.reduced();
    problem.check(goal)?;
    choose(&problem, goal, 0..problem.reach().len())
}

/// The greedy choice among some candidates; the plan's bound holds for choices among these.
pub(super) fn choose(
    problem: &Problem,
    goal: Goal,
    candidates: impl Iterator<Item = usize>,
) -> Result<Plan, Unreachable> {
    let queue = Queue::new(problem, candidates);
    match goal {
        Goal::Sites(sites) => Ok(most_weight(queue, sites)),
        Goal::Weight(weight) => fewest_sites(queue, weight),
    }
}

/// At most `limit` sites. The bound: whatever is chosen already, the best choice adds to it no more than the `limit`
/// best candidates would, each on its own (what one adds only shrinks as others are chosen).
fn most_weight(mut queue: Queue<'_>, limit: usize) -> Plan {
    let mut sites = Vec::new();
    let mut weight = 0.0;
    let mut bound = f64::INFINITY;
    loop {
        let best = queue.best(|best, _| best < limit);
        bound = bound.min(best.iter().fold(weight, |sum, gain| sum + gain.adds));
        let next = if sites.len() < limit { queue.take(best) } else { None };
        let Some(site) = next else {
            return Plan::new(Goal::Sites(limit), sites, bound);
        };
        weight += site.adds;
        sites.push(site);
    }
}

/// Sites until `goal` weight is covered. The bound: whatever is chosen already, as many sites are needed as it takes of
/// the best candidates, each on its own, to make up what is missing.
fn fewest_sites(mut queue: Queue<'_>, goal: f64) -> Result<Plan, Unreachable> {
    let enough = goal * (1.0 - ROUNDING);
    let mut sites = Vec::new();
    let mut weight = 0.0;
    let mut bound = 0_usize;
    while weight < enough {
        let best = queue.best(|_, sum| weight + sum < enough);
        bound = bound.max(best.len());
        let site = queue.take(best).ok_or(Unreachable { reachable: weight })?;
        weight += site.adds;
        sites.push(site);
    }
    Ok(Plan::new(Goal::Weight(goal), sites, bound as f64))
}

/// What a candidate would add, as last worked out.
struct Gain {
    adds: f64,
    candidate: usize,
    /// How many sites were chosen when it was worked out. With more chosen by now, it can only have shrunk.
    turn: usize,
}

/// Candidates by what they add, and what is covered so far. A lazy queue (CELF, Leskovec et al. 2007): as gains only
/// shrink, one that was worked out this turn and is still first is the best, and the others need not be worked out.
struct Queue<'a> {
    problem: &'a Problem,
    covered: Vec<bool>,
    waiting: BinaryHeap<Gain>,
    turn: usize,
}

impl<'a> Queue<'a> {
    fn new(problem: &'a Problem, candidates: impl Iterator<Item = usize>) -> Self {
        let covered = vec![false; problem.weights().len()];
        let mut queue = Self {
            problem,
            covered,
            waiting: BinaryHeap::new(),
            turn: 0,
        };
        queue.waiting = candidates.filter_map(|candidate| queue.gain(candidate)).collect();
        queue
    }

    /// What a candidate adds by now, if anything.
    fn gain(&self, candidate: usize) -> Option<Gain> {
        let weights = self.problem.weights();
        let demands = self.problem.reach()[candidate].iter().map(|&demand| demand as usize);
        let new = demands.filter(|&demand| !self.covered[demand]);
        let adds = sum(new.map(|demand| weights[demand]));
        (adds > 0.0).then_some(Gain {
            adds,
            candidate,
            turn: self.turn,
        })
    }

    /// Takes the best candidates out of the queue, best first, as long as `more` (told how many there are and what they
    /// sum up to) asks for more.
    fn best(&mut self, more: impl Fn(usize, f64) -> bool) -> Vec<Gain> {
        let mut best = Vec::new();
        let mut sum = 0.0;
        while more(best.len(), sum)
            && let Some(gain) = self.waiting.pop()
        {
            if gain.turn == self.turn {
                sum += gain.adds;
                best.push(gain);
            } else {
                self.waiting.extend(self.gain(gain.candidate));
            }
        }
        best
    }

    /// Chooses the first of these and puts the others back. The next turn begins.
    fn take(&mut self, best: Vec<Gain>) -> Option<Chosen> {
        let mut best = best.into_iter();
        let Gain { candidate, adds, .. } = best.next()?;
        self.waiting.extend(best);
        for &demand in &self.problem.reach()[candidate] {
            self.covered[demand as usize] = true;
        }
        self.turn += 1;
        Some(Chosen { candidate, adds })
    }
}

impl Ord for Gain {
    fn cmp(&self, other: &Self) -> Ordering {
        self.adds
            .total_cmp(&other.adds)
            .then(other.candidate.cmp(&self.candidate))
    }
}

impl PartialOrd for Gain {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Gain {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Gain {}

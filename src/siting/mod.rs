//! Where to build next: choose the sites that reach the most people (or the most square metres), or the fewest sites
//! that reach a given number of them.
//!
//! [`place`] makes it of an outcome of coverage.
//!
//! 1. [`Problem::new`] takes what each possible site (a *candidate*) would newly reach.
//! 2. [`greedy`] answers in milliseconds and says how far from the best answer it can be at most.
//! 3. [`optimum`] looks for the best answer, and proves it where time allows.
//!
//! Sources: maximal covering, Church & ReVelle 1974; set covering, Toregas et al. 1971; the greedy answer reaches at
//! least 1 − 1/e (63 %) of the best one, Nemhauser, Wolsey & Fisher 1978; lazy evaluation (CELF), Leskovec et al. 2007.

mod greedy;
mod optimum;
pub mod parcels;
pub mod place;
mod problem;

pub use greedy::greedy;
pub use optimum::optimum;
pub use problem::{Problem, ProblemError};

/// Two weights closer than this share of their size count as the same: sums of many fractions differ in the last digits
/// with the order of summing, and the solver itself works with rounded numbers.
pub(super) const ROUNDING: f64 = 1e-9;

/// A gap up to this share (one person in a million) counts as a proof: the solver's own tolerances are of that size.
pub(super) const PROVEN: f64 = 1e-6;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Goal {
    /// At most this many sites, reaching the most weight: the maximal covering problem (Church & ReVelle 1974).
    Sites(usize),
    /// At least this much new weight (people or m², without what existing facilities cover) with the fewest sites.
    /// All the reachable weight is the set covering problem (Toregas et al. 1971); less is its partial form. It is met
    /// within a billionth of itself.
    Weight(f64),
}

/// A chosen candidate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Chosen {
    /// Its place in the problem's list of candidates.
    pub candidate: usize,
    /// Weight (people or m²) it adds at its turn: what it reaches and no earlier choice, nor existing facility, does.
    pub adds: f64,
}

/// An answer: which sites, in which order, and how good that is.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The sites in the order to build them, the most useful first. A site that would add nothing is never chosen, so
    /// there can be fewer than asked for.
    pub sites: Vec<Chosen>,
    /// Weight (people or m²) they newly cover together: the sum of what each adds.
    pub weight: f64,
    /// What no plan can beat. For [`Goal::Sites`]: a weight, the most any choice can cover. For [`Goal::Weight`]: a
    /// number of sites, the fewest any choice can do with.
    pub bound: f64,
    /// How far the plan can be from the best one at most, as a share between 0 and 1: of the bound for
    /// [`Goal::Sites`], of the plan's own sites for [`Goal::Weight`].
    pub gap: f64,
    /// Whether this is proven to be a best plan (the gap is zero, but for rounding).
    pub proven: bool,
}

impl Plan {
    /// A plan of these sites, with its gap worked out from the bound.
    pub(super) fn new(goal: Goal, sites: Vec<Chosen>, bound: f64) -> Self {
        let weight = sum(sites.iter().map(|site| site.adds));
        let (bound, more, less) = match goal {
            Goal::Sites(_) => (bound.max(weight), bound.max(weight), weight),
            Goal::Weight(_) => {
                let count = sites.len() as f64;
                (bound.min(count), count, bound.min(count))
            }
        };
        let gap = if more > 0.0 { (more - less) / more } else { 0.0 };
        Self {
            sites,
            weight,
            bound,
            gap,
            proven: gap <= PROVEN,
        }
    }
}

/// A sum of weights. (Rust's own sum of no fractions at all is −0.0, which would be shown as "-0".)
pub(super) fn sum(weights: impl Iterator<Item = f64>) -> f64 {
    weights.fold(0.0, |sum, weight| sum + weight)
}

/// The goal asks for more weight than all the candidates together reach (or for no number at all).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Unreachable {
    /// The most that can be newly covered, with every candidate built (people or m²).
    pub reachable: f64,
}

impl std::fmt::Display for Unreachable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "all the candidates together reach only {}", self.reachable)
    }
}

impl std::error::Error for Unreachable {}

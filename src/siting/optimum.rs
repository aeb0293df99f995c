//! The best answer, and the proof of it, by the solver HiGHS (<https://highs.dev>).
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use highs::{ColProblem, HighsSolutionStatus, Sense};

use super::greedy::choose;
use super::{Goal, PROVEN, Plan, Problem, ROUNDING, Unreachable, greedy, sum};

/// How often a waiting call looks whether it was cancelled.
const LOOK: Duration = Duration::from_millis(20);

/// How much longer than its time limit the solver may take before its answer is not waited for any more. Two seconds
/// are usual with several thousand demands left after reduction; it can be more than these five, too.
const GRACE: Duration = Duration::from_secs(5);

/// Stack of the solver's thread: what a C++ main thread has. Rust's usual 2 MiB is a quarter of that.
const STACK: usize = 8 << 20;

/// Looks for the best plan, starting from another one, which is usually [`greedy`]'s for the same problem and goal (its
/// bound is believed). Never worse than that one: the better of both is returned, proven or not, with the gap left.
///
/// - `time_limit`: the search ends after it with the best plan found so far; five seconds later at the latest, as HiGHS
///   looks at the clock only now and then.
/// - `cancelled`: once set, the start is returned within about 20 ms.
///
/// The search takes one thread of its own, and is always the same for the same input if time does not run out. There
/// is no safe way to interrupt HiGHS, so a cancelled search goes on unheard until its time limit, and seconds beyond. Four such searches at a time are
/// what there is room for; the next one waits, which counts as its time. Cost: for 100 candidates and 10,000 demands seconds, and any time up to the
/// limit.
///
/// # Errors
///
/// [`Unreachable`], with how much is reachable, if the goal is more weight than that.
pub fn optimum(
    problem: &Problem,
    goal: Goal,
    time_limit: Duration,
    cancelled: &AtomicBool,
    start: &Plan,
) -> Result<Plan, Unreachable> {
    problem.check(goal)?;
    let deadline = Instant::now().checked_add(time_limit);
    let known = start.sites.iter().map(|site| site.candidate);
    let known = known.filter(|candidate| *candidate < problem.reach().len());
    let start = match choose(problem, goal, known) {
        Ok(plan) => Plan::new(goal, plan.sites, start.bound),
        Err(_) => greedy(problem, goal)?,
    };
    if start.proven || time_limit.is_zero() || cancelled.load(Ordering::Relaxed) {
        return Ok(start);
    }
    let found = Searching::begin(deadline, cancelled).and_then(|place| {
        let left = deadline.map_or(time_limit, |deadline| {
            deadline.saturating_duration_since(Instant::now())
        });
        let answer = search(place, problem.reduced(), goal, start.clone(), left)?;
        wait(&answer, deadline, cancelled)
    });
    Ok(match found {
        Some(found) => better(problem, goal, start, found),
        None => start,
    })
}

/// What the solver says: nothing of it is believed but the bound.
struct Found {
    candidates: Vec<usize>,
    bound: f64,
}

/// Searches under way, those that nobody waits for any more among them.
static SEARCHES: AtomicUsize = AtomicUsize::new(0);
/// No more than these at a time.
const MAX_SEARCHES: usize = 4;

/// A place among the searches.
struct Searching;

impl Searching {
    /// Waits for one, as long as there is time and somebody wants it.
    fn begin(deadline: Option<Instant>, cancelled: &AtomicBool) -> Option<Searching> {
        let free = |n: usize| (n < MAX_SEARCHES).then_some(n + 1);
        while SEARCHES.fetch_update(Ordering::SeqCst, Ordering::SeqCst, free).is_err() {
            let late = deadline.is_some_and(|deadline| Instant::now() > deadline);
            if late || cancelled.load(Ordering::Relaxed) {
                return None;
            }
            thread::sleep(LOOK);
        }
        Some(Searching)
    }
}

impl Drop for Searching {
    fn drop(&mut self) {
        SEARCHES.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Solves in a thread of its own, so that the caller can stop waiting, and outlives a panic in the solver's bindings.
fn search(
    place: Searching,
    problem: Problem,
    goal: Goal,
    start: Plan,
    time_limit: Duration,
) -> Option<Receiver<Found>> {
    let (sender, receiver) = mpsc::channel();
    let solve = move || {
        let _place = place;
        if let Some(found) = solve(&problem, goal, &start, time_limit) {
            // Nobody listens any more when the search was cancelled.
            sender.send(found).ok();
        }
    };
    thread::Builder::new()
        .name("siting".into())
        .stack_size(STACK)
        .spawn(solve)
        .ok()?;
    Some(receiver)
}

/// Waits for the solver's answer, unless it has none, or is late, or was cancelled.
fn wait(answer: &Receiver<Found>, deadline: Option<Instant>, cancelled: &AtomicBool) -> Option<Found> {
    loop {
        match answer.recv_timeout(LOOK) {
            Ok(found) => return Some(found),
            Err(RecvTimeoutError::Disconnected) => return None,
            Err(RecvTimeoutError::Timeout) => {}
        }
        let late = deadline.is_some_and(|deadline| Instant::now() > deadline + GRACE);
        if late || cancelled.load(Ordering::Relaxed) {
            return None;
        }
    }
}

/// The better of the start and what was found, its weights worked out anew, with the tighter of their bounds.
fn better(problem: &Problem, goal: Goal, start: Plan, found: Found) -> Plan {
    // What was found can miss the goal by the solver's tolerance; then it is no plan.
    let plan = choose(problem, goal, found.candidates.into_iter()).ok();
    let is_better = |plan: &Plan| match goal {
        Goal::Sites(_) => plan.weight > start.weight,
        Goal::Weight(_) => plan.sites.len() < start.sites.len(),
    };
    let plan = plan.filter(is_better).unwrap_or_else(|| start.clone());
    // A bound that this very plan beats was lost in the rounding: it proves nothing.
    let bound = match goal {
        Goal::Sites(_) if found.bound >= plan.weight * (1.0 - PROVEN) => start.bound.min(found.bound),
        Goal::Weight(_) if found.bound <= plan.sites.len() as f64 => start.bound.max(found.bound),
        Goal::Sites(_) | Goal::Weight(_) => start.bound,
    };
    Plan::new(goal, plan.sites, bound)
}

/// Has HiGHS solve the problem. `None` if it finds nothing, which a bug or a lack of memory could cause.
fn solve(problem: &Problem, goal: Goal, start: &Plan, time_limit: Duration) -> Option<Found> {
    // The solver's tolerances are absolute: weights of about 1 suit them, whatever the unit.
    let unit = sum(problem.weights().iter().copied()) / problem.weights().len() as f64;
    let sense = match goal {
        Goal::Sites(_) => Sense::Maximise,
        Goal::Weight(_) => Sense::Minimise,
    };
    let mut model = formulate(problem, goal, unit).try_optimise(sense).ok()?;
    model.try_set_option("threads", 1).ok()?;
    model.try_set_option("time_limit", time_limit.as_secs_f64()).ok()?;
    // Interior points solve the first relaxation of a large problem ten times faster than the simplex method.
    model.try_set_option("mip_lp_solver", "ipm").ok()?;
    model.try_set_option("mip_rel_gap", PROVEN / 10.0).ok()?;
    model
        .try_set_solution(Some(&columns(problem, start)), None, None, None)
        .ok()?;

    let solved = model.try_solve().ok()?;
    let bound = solved.double_info_value(c"mip_dual_bound").ok()?;
    let bound = match goal {
        Goal::Sites(_) => bound * unit,
        Goal::Weight(_) => (bound - PROVEN).ceil(),
    };
    // It starts from a plan, so it has one, unless it went wrong.
    let has_plan = solved.primal_solution_status() == HighsSolutionStatus::Feasible;
    let candidates = chosen(solved.get_solution().columns(), problem.reach().len());
    (has_plan && bound.is_finite()).then_some(Found { candidates, bound })
}

/// The candidates the solver chose. Its whole numbers are whole within a tolerance only.
fn chosen(columns: &[f64], candidates: usize) -> Vec<usize> {
    let values = columns.iter().take(candidates).enumerate();
    values
        .filter(|(_, value)| **value > 0.5)
        .map(|(candidate, _)| candidate)
        .collect()
}

/// The problem as a mixed-integer programme:
///
/// - a column x for each candidate: 1 if it is built, else 0;
/// - a column y for each demand: how much of it counts as covered, 0 to 1;
/// - a row for each demand: y is at most the number of built candidates that reach it, so `Σ x − y ≥ 0`;
/// - a last row for the goal: `Σ x ≤ p` with `Σ weight · y` to be maximised, or `Σ weight · y ≥ goal` with `Σ x` to be
///   minimised.
fn formulate(problem: &Problem, goal: Goal, unit: f64) -> ColProblem {
    let mut programme = ColProblem::new();
    let rows: Vec<_> = problem.weights().iter().map(|_| programme.add_row(0.0..)).collect();
    let enough = match goal {
        Goal::Sites(_) => 0.0,
        Goal::Weight(weight) => weight * (1.0 - ROUNDING),
    };
    let last = match goal {
        Goal::Sites(limit) => programme.add_row(..=limit.min(problem.reach().len()) as f64),
        Goal::Weight(_) => programme.add_row(enough / unit..),
    };
    for demands in problem.reach() {
        let (cost, in_last) = match goal {
            Goal::Sites(_) => (0.0, 1.0),
            Goal::Weight(_) => (1.0, 0.0),
        };
        let covers = demands.iter().map(|&demand| (rows[demand as usize], 1.0));
        let counts = (in_last != 0.0).then_some((last, in_last));
        programme.add_integer_column(cost, 0.0..=1.0, covers.chain(counts));
    }
    let spare = sum(problem.weights().iter().copied()) - enough;
    for (&row, &weight) in rows.iter().zip(problem.weights()) {
        match goal {
            Goal::Sites(_) => programme.add_column(weight / unit, 0.0..=1.0, [(row, -1.0)]),
            Goal::Weight(_) => {
                // Demand the goal cannot be met without: saying so makes the search much shorter.
                let least = if weight > spare { 1.0 } else { 0.0 };
                programme.add_column(0.0, least..=1.0, [(row, -1.0), (last, weight / unit)]);
            }
        }
    }
    programme
}

/// A plan as the values of the programme's columns.
fn columns(problem: &Problem, plan: &Plan) -> Vec<f64> {
    let mut built = vec![0.0; problem.reach().len()];
    let mut covered = vec![0.0; problem.weights().len()];
    for site in &plan.sites {
        built[site.candidate] = 1.0;
        for &demand in &problem.reach()[site.candidate] {
            covered[demand as usize] = 1.0;
        }
    }
    built.extend(covered);
    built
}

//! Answers against brute force, on small random problems, and the cases at the edges.
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use lamppost::siting::{Goal, Plan, Problem, ProblemError, Unreachable, greedy, optimum};

const LIMIT: Duration = Duration::from_secs(20);

/// Random numbers (SplitMix64), the same on every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() * end as f64) as usize
    }

    /// Whole weights (with ties and zeros) or fractions, in different units; sparse or dense; with repeated candidates.
    fn problem(&mut self) -> Problem {
        let (candidates, demands) = (1 + self.below(12), 1 + self.below(40));
        let (whole, density, unit) = (
            self.next() < 0.5,
            0.05 + 0.5 * self.next(),
            10_f64.powi(self.below(9) as i32 - 2),
        );
        let weight = |number: f64| if whole { (number * 6.0).floor() } else { number * unit };
        let weights = (0..demands).map(|_| weight(self.next())).collect();
        let mut reach: Vec<Vec<u32>> = Vec::new();
        for candidate in 0..candidates {
            let copied = (candidate > 0 && self.next() < 0.2).then(|| reach[self.below(candidate)].clone());
            let scattered = (0..demands as u32).filter(|_| self.next() < density).collect();
            reach.push(copied.unwrap_or(scattered));
        }
        Problem::new(weights, reach, 0.0, 1.0).unwrap()
    }
}

fn weight_of(problem: &Problem, choice: usize) -> f64 {
    let chosen = |candidate: &usize| choice & (1 << candidate) != 0;
    let reaches = |demand: u32| {
        (0..problem.reach().len())
            .filter(chosen)
            .any(|candidate| problem.reach()[candidate].contains(&demand))
    };
    (0..)
        .zip(problem.weights())
        .filter(|(demand, _)| reaches(*demand))
        .map(|(_, weight)| weight)
        .sum()
}

/// For each number of sites, the most weight at most that many can cover.
fn brute_force(problem: &Problem) -> Vec<f64> {
    let mut best = vec![0.0_f64; problem.reach().len() + 1];
    for choice in 0_usize..1 << problem.reach().len() {
        let sites = choice.count_ones() as usize;
        best[sites] = best[sites].max(weight_of(problem, choice));
    }
    for sites in 1..best.len() {
        best[sites] = best[sites].max(best[sites - 1]);
    }
    best
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * a.abs().max(b.abs())
}

fn at_most(a: f64, b: f64) -> bool {
    a <= b || close(a, b)
}

fn go() -> AtomicBool {
    AtomicBool::new(false)
}

fn best(problem: &Problem, goal: Goal) -> Plan {
    // There is room for a few searches at a time, which tests side by side shall not take from each other.
    static ONE: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let start = greedy(problem, goal).unwrap();
    optimum(problem, goal, LIMIT, &go(), &start).unwrap()
}

/// What holds for any plan: its sites differ, each adds what it says, most first, and the sum is the weight.
fn check(problem: &Problem, plan: &Plan) {
    let mut choice = 0;
    let mut before = f64::INFINITY;
    let mut sum = 0.0;
    for site in &plan.sites {
        let without = weight_of(problem, choice);
        assert_eq!(choice & (1 << site.candidate), 0);
        choice |= 1 << site.candidate;
        assert!((weight_of(problem, choice) - without - site.adds).abs() <= 1e-9 * plan.weight);
        assert!(site.adds > 0.0 && at_most(site.adds, before));
        before = site.adds;
        sum += site.adds;
    }
    assert!(close(sum, plan.weight) && close(sum, weight_of(problem, choice)));
    assert!((0.0..=1.0).contains(&plan.gap));
}

#[test]
fn most_weight_is_what_brute_force_finds() {
    let random = &mut Random(1);
    for _ in 0..80 {
        let problem = random.problem();
        let truth = brute_force(&problem);
        for (sites, &truth) in truth.iter().enumerate() {
            let goal = Goal::Sites(sites);
            let quick = greedy(&problem, goal).unwrap();
            let best = best(&problem, goal);
            check(&problem, &quick);
            check(&problem, &best);
            assert!(quick.sites.len() <= sites && best.sites.len() <= sites);
            assert!(
                close(best.weight, truth) && best.proven && best.gap <= 1e-6,
                "{best:?}, not {truth}"
            );
            assert!(at_most(quick.weight, best.weight) && at_most(best.weight, best.bound));
            assert!(at_most(truth, quick.bound) && at_most(best.bound, quick.bound));
            assert!(at_most((1.0 - (-1.0_f64).exp()) * truth, quick.weight));
        }
    }
}

#[test]
fn fewest_sites_are_what_brute_force_finds() {
    let random = &mut Random(2);
    for _ in 0..80 {
        let problem = random.problem();
        let truth = brute_force(&problem);
        for share in [0.0, 0.3, 0.5, 0.8, 0.95, 1.0] {
            let wanted = problem.reachable() * share;
            let fewest = truth.iter().position(|weight| at_most(wanted, *weight)).unwrap();
            let quick = greedy(&problem, Goal::Weight(wanted)).unwrap();
            let best = best(&problem, Goal::Weight(wanted));
            check(&problem, &quick);
            check(&problem, &best);
            assert!(at_most(wanted, quick.weight) && at_most(wanted, best.weight));
            assert!(
                best.sites.len() == fewest && best.proven && best.bound == fewest as f64,
                "{best:?}, not {fewest}"
            );
            assert!(quick.sites.len() >= fewest && quick.bound <= fewest as f64);
        }
    }
}

#[test]
fn reduction_changes_no_answer() {
    let random = &mut Random(3);
    for _ in 0..200 {
        let problem = random.problem();
        let reduced = problem.reduced();
        assert_eq!(reduced.reach().len(), problem.reach().len());
        assert!(reduced.weights().len() <= problem.weights().len());
        assert!(close(reduced.reachable(), problem.reachable()));
        assert!(
            brute_force(&problem)
                .iter()
                .zip(brute_force(&reduced))
                .all(|(a, b)| close(*a, b))
        );
        assert_eq!(reduced.reduced(), reduced);
    }
}

#[test]
fn reduction_merges_and_drops() {
    // Demand 0 weighs nothing, 1 and 3 are reached by the same, 2 by nobody. Candidate 0 is part of 1, which 2 equals.
    let reach = vec![vec![1, 3], vec![4, 3, 1, 0, 1], vec![0, 1, 3, 4], vec![5], vec![]];
    let problem = Problem::new(vec![0.0, 1.0, 9.0, 2.0, 4.0, 8.0], reach, 1.0, 30.0).unwrap();
    let reduced = problem.reduced();
    assert_eq!(reduced.weights(), [7.0, 8.0]);
    assert_eq!(reduced.reach(), [vec![], vec![0], vec![], vec![1], vec![]]);
    assert_eq!(reduced.rate(5.0), Some(0.2));
}

#[test]
fn edges() {
    let problem = Problem::new(vec![1.0, 2.0], vec![vec![0], vec![0, 1], vec![]], 0.0, 3.0).unwrap();
    let none = best(&problem, Goal::Sites(0));
    assert!(none.sites.is_empty() && none.weight == 0.0 && none.bound == 0.0 && none.proven);
    let all = best(&problem, Goal::Sites(usize::MAX));
    assert!(all.sites.len() == 1 && all.weight == 3.0 && all.bound == 3.0 && all.proven);
    for problem in [
        Problem::new(vec![], vec![], 0.0, 0.0).unwrap(),
        Problem::new(vec![5.0], vec![], 0.0, 5.0).unwrap(),
        Problem::new(vec![], vec![vec![], vec![]], 0.0, 0.0).unwrap(),
        Problem::new(vec![0.0, 0.0], vec![vec![0], vec![0, 1]], 0.0, 0.0).unwrap(),
    ] {
        for goal in [Goal::Sites(3), Goal::Weight(0.0), Goal::Weight(-1.0)] {
            let plan = best(&problem, goal);
            assert!(plan.weight.is_sign_positive() && problem.reachable().is_sign_positive());
            assert!(plan.sites.is_empty() && plan.weight == 0.0 && plan.proven && plan.gap == 0.0);
        }
        assert_eq!(greedy(&problem, Goal::Weight(1.0)), Err(Unreachable { reachable: 0.0 }));
    }
    assert_eq!(Problem::new(vec![], vec![], 0.0, 0.0).unwrap().rate(0.0), None);
}

#[test]
fn too_much_is_unreachable() {
    let problem = Problem::new(vec![1.0, 2.0, 4.0], vec![vec![0], vec![0, 1]], 0.0, 7.0).unwrap();
    let start = greedy(&problem, Goal::Sites(1)).unwrap();
    for wanted in [3.1, f64::INFINITY, f64::NAN] {
        let goal = Goal::Weight(wanted);
        assert_eq!(greedy(&problem, goal), Err(Unreachable { reachable: 3.0 }));
        assert_eq!(
            optimum(&problem, goal, LIMIT, &go(), &start),
            Err(Unreachable { reachable: 3.0 })
        );
    }
    // Summed in another order, all of it can look like a little more than that.
    assert_eq!(greedy(&problem, Goal::Weight(3.000_000_000_1)).unwrap().weight, 3.0);
}

#[test]
fn nonsense_is_refused() {
    for weight in [f64::NAN, f64::INFINITY, -1.0] {
        let refused = Problem::new(vec![1.0, weight], vec![], 0.0, 1.0);
        assert!(matches!(refused, Err(ProblemError::Weight { demand: 1, .. })));
        assert!(matches!(
            Problem::new(vec![], vec![], weight, 1.0),
            Err(ProblemError::Sum(_))
        ));
        assert!(matches!(
            Problem::new(vec![], vec![], 0.0, weight),
            Err(ProblemError::Sum(_))
        ));
    }
    assert_eq!(
        Problem::new(vec![f64::MAX; 2], vec![], 0.0, 1.0),
        Err(ProblemError::Sum(f64::INFINITY))
    );
    let unknown = Problem::new(vec![1.0], vec![vec![], vec![0, 1]], 0.0, 1.0);
    assert_eq!(
        unknown,
        Err(ProblemError::Demand {
            candidate: 1,
            demand: 1
        })
    );
}

#[test]
fn equals_go_by_place() {
    let problem = Problem::new(vec![1.0; 4], vec![vec![0], vec![1], vec![2, 3], vec![2, 3]], 0.0, 4.0).unwrap();
    let plan = greedy(&problem, Goal::Sites(2)).unwrap();
    assert_eq!(plan.sites.iter().map(|site| site.candidate).collect::<Vec<_>>(), [2, 0]);
}

/// 60 sites at random, 2,000 demands at random: far too hard to finish in seconds.
fn hard() -> Problem {
    let random = &mut Random(4);
    let reach = (0..60)
        .map(|_| (0..2000).filter(|_| random.next() < 0.1).collect())
        .collect();
    Problem::new(vec![1.0; 2000], reach, 0.0, 2000.0).unwrap()
}

#[test]
fn stops_when_time_is_up_or_cancelled() {
    let problem = hard();
    let goal = Goal::Sites(10);
    let quick = greedy(&problem, goal).unwrap();
    let begin = Instant::now();
    let plan = optimum(&problem, goal, Duration::from_secs(2), &go(), &quick).unwrap();
    assert!(!plan.proven && plan.weight >= quick.weight && plan.bound <= quick.bound && plan.gap <= quick.gap);
    assert!(begin.elapsed() < Duration::from_secs(8));

    let cancelled = go();
    let begin = Instant::now();
    let plan = std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(200));
            cancelled.store(true, Ordering::Relaxed);
        });
        optimum(&problem, goal, Duration::from_secs(2), &cancelled, &quick).unwrap()
    });
    assert!(plan == quick && begin.elapsed() < Duration::from_secs(1));
    assert_eq!(optimum(&problem, goal, LIMIT, &cancelled, &quick).unwrap(), quick);
    assert_eq!(optimum(&problem, goal, Duration::ZERO, &go(), &quick).unwrap(), quick);
}

/// A square city: 100 sites that reach a tenth of its side, 10,000 houses, 20 sites wanted.
#[test]
fn a_city_is_solved_in_time() {
    let random = &mut Random(6);
    let mut points = |count: usize| (0..count).map(|_| (random.next(), random.next())).collect::<Vec<_>>();
    let (sites, houses) = (points(100), points(10_000));
    let near = |site: &(f64, f64), house: &(f64, f64)| (site.0 - house.0).hypot(site.1 - house.1) <= 0.1;
    let reached = |site| {
        (0..)
            .zip(&houses)
            .filter(|(_, house)| near(site, house))
            .map(|(place, _)| place)
            .collect()
    };
    let problem = Problem::new(
        vec![2.0; houses.len()],
        sites.iter().map(reached).collect(),
        0.0,
        20_000.0,
    )
    .unwrap();
    let begin = Instant::now();
    let quick = greedy(&problem, Goal::Sites(20)).unwrap();
    assert!(begin.elapsed() < Duration::from_millis(100));
    let best = optimum(&problem, Goal::Sites(20), Duration::from_secs(30), &go(), &quick).unwrap();
    assert!(best.gap < 0.01 && best.weight >= quick.weight, "{best:?}");
}

#[test]
fn any_start_will_do() {
    let problem = Random(5).problem();
    let goal = Goal::Weight(problem.reachable());
    let mut start = greedy(&problem, goal).unwrap();
    let fewest = best(&problem, goal).sites.len();
    start.sites.truncate(1);
    start.sites.push(lamppost::siting::Chosen {
        candidate: 999,
        adds: 1.0,
    });
    start.bound = 0.0;
    assert_eq!(
        optimum(&problem, goal, LIMIT, &go(), &start).unwrap().sites.len(),
        fewest
    );
}

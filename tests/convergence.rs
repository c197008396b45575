//! Whatever happens to devices and relays, in whatever order: in the end all devices hold what the model says.
//!
//! A seed gives a plan, a sequence of operations over real homes and relays. The model computes what each place must
//! hold, from what users did and which exchanges succeeded. A plan that fails is shortened and printed as a line for
//! `convergence/regressions.txt`, whose plans run first. `CARO_TEST_SEED` runs the plan of one seed,
//! `CARO_TEST_SEEDS` says how many the slow run takes, or which: `500..3000`.

mod device;
mod model;
mod plan;
mod shrink;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::common::home::is_slow_run;
use crate::common::random::asked_seed;
use device::Verdict;
use plan::Plan;
use world::World;

/// Seeds of the normal run.
const DOZENS: u64 = 24;
/// Of these so many at least, however slow the machine is.
const AT_LEAST: usize = 8;
/// After this time the normal run begins no new seed once that many ran.
const BUDGET: Duration = Duration::from_secs(30);
/// Seeds of the slow run.
const THOUSANDS: u64 = 2_000;

/// Carries a plan out; a panic of the harness is a failure as well.
fn judge(plan: &Plan) -> Verdict {
    catch_unwind(AssertUnwindSafe(|| World::run(plan))).unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<String>().cloned();
        Err(said.or(panic.downcast_ref::<&str>().map(|said| (*said).to_owned())).unwrap_or_default())
    })
}

/// Runs plans, two at a time, until one fails, or `at_least` have run and the time is over; how many ran.
fn run_all(plans: &[(String, Plan)], at_least: usize, budget: Duration) -> usize {
    let begun = Instant::now();
    let (next, ran) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let failed: Mutex<Option<(String, Plan, String)>> = Mutex::new(None);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let goes_on = || begun.elapsed() < budget || next.load(Ordering::SeqCst) < at_least;
                while goes_on() && failed.lock().unwrap().is_none() {
                    let Some((name, plan)) = plans.get(next.fetch_add(1, Ordering::SeqCst)) else { return };
                    if let Err(problem) = judge(plan) {
                        failed.lock().unwrap().get_or_insert((name.clone(), plan.clone(), problem));
                    }
                    ran.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
    });
    if let Some((name, plan, problem)) = failed.into_inner().unwrap() {
        report(&name, plan, problem);
    }
    let ran = ran.into_inner();
    println!("{ran} plans in {:?}", begun.elapsed());
    ran
}

/// Shortens a plan that failed, and fails the test.
fn report(name: &str, plan: Plan, mut problem: String) -> ! {
    println!("{name} failed, {problem}\nits plan was {}", plan.line());
    let short = shrink::shrink(plan, |plan| match judge(plan) {
        Ok(()) => false,
        Err(other) => {
            problem = other;
            true
        }
    });
    panic!("{name} does not converge: {problem}\nas a line of regressions.txt:\n{}", short.line());
}

fn of_seeds(seeds: impl Iterator<Item = u64>) -> Vec<(String, Plan)> {
    seeds.map(|seed| (format!("seed {seed}"), Plan::of_seed(seed))).collect()
}

/// The plans that failed once, each under the line that says why.
fn regressions() -> Vec<(String, Plan)> {
    let mut why = String::new();
    let mut plans = vec![];
    for line in include_str!("convergence/regressions.txt").lines() {
        match line.strip_prefix('#') {
            Some(words) => why = words.trim().to_owned(),
            None if line.trim().is_empty() => {}
            None => plans.push((why.clone(), serde_json::from_str(line).expect("a plan"))),
        }
    }
    plans
}

#[test]
fn what_failed_once_converges() {
    let plans = regressions();
    assert_eq!(run_all(&plans, plans.len(), Duration::ZERO), plans.len());
}

#[test]
fn dozens_of_random_lives_converge() {
    let seeds = of_seeds(asked_seed().map_or(0..DOZENS, |seed| seed..seed + 1));
    let at_least = AT_LEAST.min(seeds.len());
    assert!(run_all(&seeds, at_least, BUDGET) >= at_least);
}

#[test]
fn slow_thousands_of_random_lives_converge() {
    if !is_slow_run() {
        return;
    }
    let number = |text: &str| text.parse::<u64>().expect("a number");
    let asked = std::env::var("CARO_TEST_SEEDS").unwrap_or_else(|_| THOUSANDS.to_string());
    let seeds = of_seeds(match asked.split_once("..") {
        Some((first, end)) => number(first)..number(end),
        None => DOZENS..DOZENS + number(&asked),
    });
    assert_eq!(run_all(&seeds, seeds.len(), Duration::ZERO), seeds.len());
}

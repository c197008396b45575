//! From a plan that fails to a short one that still does.

use std::time::{Duration, Instant};

use super::plan::Plan;

/// How long the search may take.
const LONGEST: Duration = Duration::from_secs(120);

/// Leaves out operations, many at a time and then one by one, as long as the plan still fails.
pub fn shrink(mut plan: Plan, mut fails: impl FnMut(&Plan) -> bool) -> Plan {
    let end = Instant::now() + LONGEST;
    let mut size = plan.ops.len().div_ceil(2);
    while size > 0 {
        let mut from = 0;
        while from < plan.ops.len() {
            if Instant::now() > end {
                return plan;
            }
            let mut shorter = plan.clone();
            shorter.ops.drain(from..(from + size).min(plan.ops.len()));
            if fails(&shorter) {
                plan = shorter;
            } else {
                from += size;
            }
        }
        size /= 2;
    }
    plan
}

#[test]
fn what_does_not_matter_is_left_out() {
    use super::plan::Op;
    let ops = (0..40).map(|home| Op::Exchange { home }).collect();
    let needed = [Op::Exchange { home: 7 }, Op::Exchange { home: 23 }];
    let plan = shrink(Plan { homes: 2, relays: 1, ops }, |plan| needed.iter().all(|op| plan.ops.contains(op)));
    assert_eq!(plan.ops, needed);
}

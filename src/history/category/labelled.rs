//! How often categories are right, on 931 command lines that a person labelled.
//!
//! They were shuffled once and cut in two: rules were written looking at what was wrong in the tuning half only, and the
//! judging half says how good they are. Both are by the hand that wrote the tables of programs, so the truth is somewhat lower.
//! Every run of the test prints how many are; `cargo test --lib labelled -- --nocapture` prints also which category was taken for which.

#![allow(clippy::print_stdout)]

use std::io::Write;

use super::Category;

const TUNING: &str = include_str!("../../../tests/vectors/commands/tuning.tsv");
const JUDGING: &str = include_str!("../../../tests/vectors/commands/judging.tsv");

/// How many are right, and of how many, after printing what was taken for what.
fn judge(name: &str, lines: &str) -> (usize, usize) {
    let mut table = [[0; Category::ALL.len()]; Category::ALL.len()];
    for line in lines.lines() {
        let (label, command) = line.split_once('\t').unwrap();
        let label = Category::named(label).unwrap();
        table[label as usize][Category::of(command) as usize] += 1;
    }
    let all: usize = table.iter().flatten().sum();
    let right: usize = (0..table.len()).map(|at| table[at][at]).sum();
    println!("{name}: {right} of {all}; a row is what it is, a column what it was taken for");
    print!("{:20}", "");
    Category::ALL.iter().for_each(|category| print!("{:>8.7}", category.as_str()));
    for (category, row) in Category::ALL.iter().zip(table) {
        print!("\n{:20}", category.as_str());
        row.iter().for_each(|count| print!("{count:8}"));
    }
    println!();
    for (category, row) in Category::ALL.iter().zip(table) {
        let (of, right) = (row.iter().sum::<usize>(), row[*category as usize]);
        assert!(right * 100 >= of * 90, "{category:?}: {right} of {of} in {name}");
    }
    (right, all)
}

#[test]
fn nearly_all_labelled_lines_are_of_the_category_that_a_person_gave_them() {
    assert!(TUNING.lines().count() + JUDGING.lines().count() > 900);
    let (tuning, judging) = (judge("tuning half", TUNING), judge("judging half", JUDGING));
    let percent = |(right, all): (usize, usize)| right as f64 * 100.0 / all as f64;
    // What `println!` writes is shown of a test that fails only.
    let mut out = std::io::stdout();
    writeln!(
        out,
        "categories of commands: {} of {} labelled lines are right ({:.1}%), {:.1}% of those that rules were made with",
        judging.0,
        judging.1,
        percent(judging),
        percent(tuning)
    )
    .unwrap();
    for (right, all) in [tuning, judging] {
        assert!(right * 1000 >= all * 960, "{right} of {all}");
    }
}

#[test]
fn no_line_is_in_both_halves_or_twice() {
    let mut lines: Vec<&str> =
        TUNING.lines().chain(JUDGING.lines()).filter_map(|line| line.split_once('\t')).map(|(_, line)| line).collect();
    lines.sort_unstable();
    assert!(lines.windows(2).all(|two| two[0] != two[1]));
}

//! Figures in columns, one for each contender.

use crate::contender::Contender;

/// What is better: more, or less.
#[derive(Clone, Copy)]
pub enum Better {
    More,
    Less,
}

/// A figure of each contender, in the order of the columns; none where it has none.
pub type Row = Vec<Option<f64>>;

const NAME: usize = 40;
const CELL: usize = 18;

/// The line that says who is in which column.
pub fn head(title: &str, contenders: &[Contender]) {
    let names: String = contenders.iter().map(|contender| format!("{:>CELL$}", contender.name)).collect();
    println!("\n{title:<NAME$}{names}");
}

/// One line: figures, each with how many times the first contender is ahead of it.
pub fn row(name: &str, figures: &[Option<f64>], better: Better) {
    let ours = figures.first().copied().flatten();
    let cells = figures.iter().enumerate().map(|(number, figure)| {
        let Some(figure) = figure else { return format!("{:>CELL$}", "-") };
        let ahead = match (number, ours, better) {
            (0, ..) | (_, None, _) => String::new(),
            // Nothing is no number of times anything.
            (_, Some(ours), _) if ours == 0.0 || *figure == 0.0 => String::new(),
            (_, Some(ours), Better::More) => format!("({:.2})", ours / figure),
            (_, Some(ours), Better::Less) => format!("({:.2})", figure / ours),
        };
        format!("{:>CELL$}", format!("{figure:.1} {ahead:>7}"))
    });
    println!("{name:<NAME$}{}", cells.collect::<String>());
}

/// One line that says how many times each contender is off the last one, which is the limit.
pub fn off_the_limit(name: &str, figures: &[Option<f64>], better: Better) {
    let Some(limit) = figures.last().copied().flatten() else { return };
    let cells = figures.iter().map(|figure| match (figure, better) {
        (None, _) => format!("{:>CELL$}", "-"),
        (Some(figure), Better::More) => format!("{:>CELL$}", format!("{:.2} {:>7}", limit / figure, "")),
        (Some(figure), Better::Less) => format!("{:>CELL$}", format!("{:.2} {:>7}", figure / limit, "")),
    });
    println!("{name:<NAME$}{}", cells.collect::<String>());
}

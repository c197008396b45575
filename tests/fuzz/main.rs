//! The targets of `src/fuzz.rs` under libFuzzer (`make fuzz`). The variable says which of them; without it their names are
//! printed. Seeds are put into the folder of a second variable first.

#![no_main]
// It is no test, and reads the environment as a test does.
#![allow(unsafe_code, clippy::print_stdout, clippy::expect_used, reason = "the macro's function is called from C")]

use std::path::Path;
use std::sync::LazyLock;

use caro::fuzz::{Target, targets};
use libfuzzer_sys::fuzz_target;

const TARGET: &str = "CARO_FUZZ_TARGET";
const CORPUS: &str = "CARO_FUZZ_CORPUS";

static CHOSEN: LazyLock<Target> = LazyLock::new(|| {
    let name = std::env::var(TARGET).unwrap_or_default();
    let all = targets();
    let Some(target) = all.iter().find(|target| target.name == name) else {
        all.iter().for_each(|target| println!("{}", target.name));
        std::process::exit(0);
    };
    if let Some(folder) = std::env::var_os(CORPUS) {
        for (number, seed) in (target.seeds)().iter().enumerate() {
            std::fs::write(Path::new(&folder).join(format!("seed-{number}")), seed).expect("a seed is written");
        }
    }
    *target
});

fuzz_target!(init: { LazyLock::force(&CHOSEN); }, |input: &[u8]| (CHOSEN.run)(input));

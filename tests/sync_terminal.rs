//! The phrase at the terminal: shown there, read from there, drawn as a code, read from a picture.
//!
//! The terminal is a real one, from `script` of util-linux. What it shows is not on standard output, which is a file
//! of its own here.

use std::path::PathBuf;

use crate::common::home::{DEADLINE, Run};
use crate::common::pty;
use crate::common::sync::{Relay, SyncHome, assert_equal_histories, finish_within};

/// Runs the program at a terminal, where somebody types these lines; what the terminal showed, and standard output.
fn at_terminal(device: &SyncHome, args: &[&str], typed: &str) -> (Run, String) {
    let (command, stdout) = pty::at_terminal(device, args);
    let run = finish_within(command, typed.as_bytes(), DEADLINE);
    (run, std::fs::read_to_string(stdout).unwrap())
}

/// The numbered words in what a terminal showed.
pub fn words_shown(shown: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut tokens = shown.split_whitespace();
    while let Some(token) = tokens.next() {
        if token == format!("{}.", words.len() + 1) {
            words.push(tokens.next().expect("a word follows its number").to_owned());
        }
    }
    words
}

/// A picture of a code, as a camera or a screenshot gives it.
fn picture(device: &SyncHome, text: &str) -> PathBuf {
    let code = qrcode::QrCode::new(text).unwrap();
    let (modules, scale, border) = (code.width(), 8, 32);
    let size = u32::try_from(modules * scale + 2 * border).unwrap();
    let colors = code.to_colors();
    let image = image::GrayImage::from_fn(size, size, |x, y| {
        let module = |at: u32| (at as usize).checked_sub(border).map(|at| at / scale).filter(|at| *at < modules);
        let dark = match (module(x), module(y)) {
            (Some(x), Some(y)) => colors[y * modules + x] == qrcode::Color::Dark,
            _ => false,
        };
        image::Luma([if dark { 0 } else { 255 }])
    });
    let path = device.home.path().join("code.png");
    image.save(&path).unwrap();
    path
}

#[test]
fn a_picture_of_the_code_restores_a_device() {
    let relay = Relay::new();
    let (a, b) = (SyncHome::new("laptop"), SyncHome::new("desktop"));
    a.add_one("ls");
    let phrase = a.init(&relay.url());
    let code = picture(&b, std::fs::read_to_string(phrase).unwrap().trim());
    b.ok(["sync", "restore", "--qr-image", code.to_str().unwrap(), "--relay", &relay.url(), "--yes"]);
    assert_eq!(assert_equal_histories(&[&a, &b]), 1);
}

#[test]
fn a_picture_without_a_phrase_is_refused() {
    let device = SyncHome::new("laptop");
    let restore = |path: &PathBuf| {
        device.run(["sync", "restore", "--qr-image", path.to_str().unwrap(), "--relay", "ws://127.0.0.1:1", "--yes"])
    };
    let other = picture(&device, "https://example.org");
    assert_eq!(restore(&other).code, Some(4));
    let text = device.home.file("text.png", "this is no picture");
    let run = restore(&text);
    assert_eq!(run.code, Some(2), "{run:?}");
    assert!(run.stderr.contains("neither PNG nor JPEG"), "{run:?}");
    let blank = device.home.path().join("blank.png");
    image::GrayImage::from_pixel(64, 64, image::Luma([255])).save(&blank).unwrap();
    let run = restore(&blank);
    assert!(run.stderr.contains("shows no code"), "{run:?}");
    let run = restore(&device.home.path().join("missing.png"));
    assert_eq!(run.code, Some(2), "{run:?}");
}

#[test]
fn a_new_phrase_is_shown_on_the_terminal_and_opens_the_account() {
    let relay = Relay::new();
    let (a, b) = (SyncHome::new("laptop"), SyncHome::new("desktop"));
    a.add_one("ls");
    // No phrase yet, the relay, agreed, no passphrase.
    let (run, stdout) = at_terminal(&a, &["sync", "init", "--words", "12"], &format!("n\n{}\ny\n\n", relay.url()));
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.stdout.contains("Your commands stay on this machine until you agree"), "{run:?}");
    let words = words_shown(&run.stdout);
    assert_eq!(words.len(), 12, "{run:?}");
    assert_eq!(stdout, "", "nothing of it is on standard output");

    let file = b.home.file("typed", words.join(" "));
    b.restored(&relay.url(), &file);
    assert_eq!(assert_equal_histories(&[&a, &b]), 1);
}

#[test]
fn a_phrase_is_typed_at_the_terminal_until_it_is_right() {
    let relay = Relay::new();
    let (a, b) = (SyncHome::new("laptop"), SyncHome::new("desktop"));
    a.add_one("ls");
    let phrase = a.init(&relay.url());
    let words = std::fs::read_to_string(phrase).unwrap();
    let wrong = format!("zzzz {}", words.trim().split_once(' ').unwrap().1);
    let typed = format!("y\n{wrong}\n{}\n{}\ny\n\n", words.trim().to_uppercase(), relay.url());
    let (run, stdout) = at_terminal(&b, &["sync", "init"], &typed);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert_eq!(stdout, "");
    assert_eq!(assert_equal_histories(&[&a, &b]), 1);
}

#[test]
fn a_no_sets_up_nothing() {
    let relay = Relay::new();
    let device = SyncHome::new("laptop");
    let (run, stdout) = at_terminal(&device, &["sync", "init", "--new", "--relay", &relay.url()], "n\n");
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stdout.contains("Nothing was set up"), "{run:?}");
    assert_eq!(stdout, "");
    assert!(!device.data("sync.json").exists() && !device.data("keys").exists());
}

#[test]
fn the_phrase_is_shown_after_a_confirmation_and_on_the_terminal_only() {
    let device = SyncHome::new("laptop");
    let phrase = device.init("none");
    let phrase = std::fs::read_to_string(phrase).unwrap();
    let (run, stdout) = at_terminal(&device, &["sync", "phrase", "show"], "y\n");
    assert_eq!(run.code, Some(0), "{run:?}");
    assert_eq!(words_shown(&run.stdout).join(" "), phrase.trim());
    assert_eq!(stdout, "");
    let (run, _) = at_terminal(&device, &["sync", "phrase", "show"], "n\n");
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(words_shown(&run.stdout).is_empty());
    let (run, _) = at_terminal(&device, &["sync", "phrase", "verify"], &phrase);
    assert_eq!(run.code, Some(0), "{run:?}");
}

#[test]
fn the_code_on_the_terminal_restores_a_device() {
    let relay = Relay::new();
    let (a, b) = (SyncHome::new("laptop"), SyncHome::new("desktop"));
    a.add_one("ls");
    a.init(&relay.url());
    let (run, stdout) = at_terminal(&a, &["sync", "phrase", "show", "--qr"], "y\n");
    assert_eq!(run.code, Some(0), "{run:?}");
    assert_eq!(stdout, "");
    // A photograph of the terminal: each character is two modules, one over the other, dark on light.
    let drawn: Vec<String> = run
        .stdout
        .lines()
        .filter_map(|line| {
            Some(line.trim_end_matches('\r').strip_prefix("\x1b[30;107m")?.strip_suffix("\x1b[0m")?.to_owned())
        })
        .collect();
    assert!(drawn.len() > 15, "{run:?}");
    let modules: Vec<Vec<bool>> = drawn
        .iter()
        .flat_map(|line| {
            let upper = line.chars().map(|character| matches!(character, '█' | '▀')).collect();
            let lower = line.chars().map(|character| matches!(character, '█' | '▄')).collect();
            [upper, lower]
        })
        .collect();
    let scale = 6;
    let size = |count: usize| u32::try_from(count * scale).unwrap();
    for (light, dark) in [(255, 0), (0, 255)] {
        let photograph = image::GrayImage::from_fn(size(modules[0].len()), size(modules.len()), |x, y| {
            image::Luma([if modules[y as usize / scale][x as usize / scale] { dark } else { light }])
        });
        let path = b.home.path().join("photograph.png");
        photograph.save(&path).unwrap();
        let verified = SyncHome::new("server");
        verified.ok(["sync", "restore", "--qr-image", path.to_str().unwrap(), "--relay", &relay.url(), "--yes"]);
        assert_eq!(assert_equal_histories(&[&a, &verified]), 1);
    }
}

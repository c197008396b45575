//! Rules under test: what they match, what they mean together, how they are written.

use proptest::prelude::*;

use super::*;
use crate::history::testing::{plain, sample};

fn filter(rules: &[&str]) -> Filter {
    let rules: Vec<FilterRule> = rules.iter().map(|rule| rule.parse().unwrap()).collect();
    Filter::new(&rules).unwrap()
}

fn leaves(rules: &[&str], command: &str) -> bool {
    filter(rules).decide(&plain(command, 1), "laptop").may_leave()
}

fn covers(pattern: &str, directory: &str) -> bool {
    let mut record = plain("ls", 1);
    record.cwd = Some(directory.into());
    let rule = FilterRule::new(Action::Exclude, Field::Directory, pattern).unwrap();
    !Filter::new(&[rule]).unwrap().decide(&record, "laptop").may_leave()
}

#[test]
fn without_rules_everything_may_leave() {
    assert_eq!(filter(&[]).decide(&sample("ls"), ""), Decision::Sync(None));
}

#[test]
fn the_last_rule_that_matches_decides_and_is_named() {
    let rules = ["exclude command \"aws *\"", "include command \"aws s3 ls*\"", "exclude command \"*--profile prod*\""];
    assert!(!leaves(&rules, "aws ec2 start"));
    assert!(leaves(&rules, "aws s3 ls /bucket"));
    assert!(!leaves(&rules, "aws s3 ls --profile prod"));
    assert!(leaves(&rules, "awsome"));
    let Decision::Held { why: Why::Rule(rule) } = filter(&rules).decide(&plain("aws iam", 1), "") else {
        panic!("it is held");
    };
    assert_eq!(rule.to_string(), rules[0]);
    assert_eq!(filter(&rules).decide(&plain("aws s3 ls", 1), ""), Decision::Sync(Some(rules[1].parse().unwrap())));
}

#[test]
fn a_secret_stays_here_whatever_the_rules_say() {
    let rules = ["include command *"];
    let held = |record: &Record| matches!(filter(&rules).decide(record, ""), Decision::Held { why: Why::Secret(_) });
    assert!(held(&plain("export GITHUB_TOKEN=abcdef", 1)));
    let mut record = plain("curl https://api", 1);
    assert!(!held(&record));
    record.prompt = Some("call it with --password hunter2".into());
    assert!(held(&record));
    record.prompt = None;
    record.explanation = Some("signs in as postgres://u:p@h".into());
    assert!(held(&record));
}

#[test]
fn everything_but_something() {
    let rules = ["exclude command *", "include command \"git *\""];
    assert!(leaves(&rules, "git push"));
    assert!(!leaves(&rules, "make\ngit push"));
    assert!(!leaves(&rules, "vim /etc/hosts"));
}

#[test]
fn expressions_are_looked_for_anywhere() {
    assert!(!leaves(&["exclude command /--token[ =]/"], "tool --token x"));
    assert!(!leaves(&["exclude command /^vault\\s/"], "vault read"));
    assert!(leaves(&["exclude command /^vault\\s/"], "sudo vault read"));
}

#[test]
fn directories_cover_what_is_below_them() {
    for (pattern, inside, outside) in [
        ("/srv/secret", "/srv/secret/deep/down", "/srv/secrets"),
        ("/srv/secret/", "/srv/secret", "/srv"),
        ("/srv/*", "/srv/a/b", "/srv"),
        ("/srv/*/x", "/srv/a/x/y", "/srv/a/b/x"),
        ("/srv/**/x", "/srv/a/b/x", "/srv/a/b/y"),
        ("~/work", "/home/ada/work/project", "/home/ada/workshop"),
        ("~/work/*", "/Users/ada/work/project", "/Users/ada/work"),
        ("~", "/root/x", "/home"),
        ("~/work", "C:\\Users\\ada\\work\\x", "C:\\work"),
        ("/", "/anywhere", ""),
    ] {
        assert!(covers(pattern, inside), "{pattern} covers {inside}");
        assert!(!covers(pattern, outside), "{pattern} does not cover {outside}");
    }
}

#[test]
fn devices_match_by_name_or_id_and_tags_one_by_one() {
    let record = sample("ls");
    let held = |rule: &str, device: &str| !filter(&[rule]).decide(&record, device).may_leave();
    assert!(held("exclude device work-*", "work-laptop"));
    assert!(!held("exclude device work-*", "laptop"));
    assert!(held("exclude device 11111111-*", "laptop"));
    assert!(held("exclude tag second", "laptop"));
    assert!(!held("exclude tag sec", "laptop"));
}

#[test]
fn what_is_no_rule_says_what_a_rule_is() {
    for (text, said) in [
        ("", "include or exclude"),
        ("forbid command x", "include or exclude"),
        ("exclude", "command, directory, device or tag"),
        ("exclude host x", "command, directory, device or tag"),
        ("exclude command", "ends with a pattern"),
        ("exclude command \"\"", "ends with a pattern"),
        ("exclude command \"open", "ends with a pattern"),
        ("exclude command \"a\" b", "ends with a pattern"),
        ("exclude command [a", "not valid"),
        ("exclude command /(/", "regular expression"),
    ] {
        let error = text.parse::<FilterRule>().unwrap_err().to_string();
        assert!(error.contains(said), "{text}: {error}");
        assert_eq!(error.lines().count(), 1);
    }
}

#[test]
fn a_pattern_that_would_take_the_machine_down_is_refused() {
    assert!("exclude command /((a{1,100}){1,100}){1,100}/".parse::<FilterRule>().is_err());
}

fn rules(texts: &[&str]) -> Vec<FilterRule> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[test]
fn a_list_that_lets_something_go_is_known() {
    let (aws, vault, s3) = ("exclude command \"aws *\"", "exclude command \"vault *\"", "include command \"aws s3*\"");
    for (old, new, loose) in [
        (&[][..], &[aws][..], false),
        (&[aws], &[], true),
        (&[aws], &[vault], true),
        (&[aws], &[vault, aws], false),
        (&[aws], &[aws, s3], true),
        (&[aws, s3], &[aws], false),
        (&[aws, s3], &[aws, s3, vault], false),
        (&[s3, aws], &[aws, s3], true),
        (&[vault], &[s3, vault, aws], false),
    ] {
        assert_eq!(loosens(&rules(old), &rules(new)), loose, "{old:?} to {new:?}");
    }
}

fn some_rules() -> impl Strategy<Value = Vec<FilterRule>> {
    let all = rules(&[
        "exclude command \"a*\"",
        "exclude command \"*b\"",
        "include command \"ab\"",
        "include command \"*a\"",
    ]);
    proptest::collection::vec(proptest::sample::select(all), 0..5)
}

proptest! {
    #[test]
    fn a_list_that_does_not_loosen_keeps_all_that_was_kept(old in some_rules(), new in some_rules()) {
        if !loosens(&old, &new) {
            let (old, new) = (Filter::new(&old).unwrap(), Filter::new(&new).unwrap());
            for command in ["a", "b", "ab", "aa", "ba", "bb", "c"] {
                let leaves = |filter: &Filter| filter.decide(&plain(command, 1), "laptop").may_leave();
                prop_assert!(leaves(&old) || !leaves(&new), "{command}");
            }
        }
    }

    #[test]
    fn rules_survive_their_text(
        exclude in any::<bool>(), field in 0usize..4, pattern in "[a-z \"\\\\\n\t/*?~.é]{1,20}",
    ) {
        let action = if exclude { Action::Exclude } else { Action::Include };
        if let Ok(rule) = FilterRule::new(action, Field::ALL[field], pattern) {
            let text = rule.to_string();
            prop_assert!(!text.contains('\n'));
            prop_assert_eq!(text.parse::<FilterRule>(), Ok(rule));
        }
    }

    #[test]
    fn any_text_is_a_rule_or_a_sentence(text in ".{0,60}") {
        if let Err(error) = text.parse::<FilterRule>() {
            prop_assert!(!error.to_string().is_empty());
        }
    }
}

#[test]
fn single_quotes_around_a_pattern_are_no_part_of_it() {
    let plain: FilterRule = "exclude command \"x *\"".parse().unwrap();
    assert_eq!("exclude command 'x *'".parse::<FilterRule>().unwrap(), plain);
    let quotes = FilterRule::new(Action::Exclude, Field::Command, "'x *'").unwrap();
    assert_eq!(quotes.to_string().parse::<FilterRule>().unwrap(), quotes, "where they are meant they stay");
    assert!("exclude command 'x *".parse::<FilterRule>().is_err());
}

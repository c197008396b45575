use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use proptest::prelude::*;
use tempfile::TempDir;
use uuid::Uuid;

use super::*;
use crate::history::testing::{plain, sample};
use crate::history::{Cursor, Filter, Record};
use crate::salvage::{Row, on_page};

const NOW: UnixNanos = UnixNanos(1_800_000_000_000_000_000);

/// A history of some thousand commands, and what is known of it.
struct Whole {
    folder: TempDir,
    kept: BTreeMap<Uuid, Record>,
    deleted: BTreeSet<Uuid>,
    withdrawn: Uuid,
    device: Uuid,
}

impl Whole {
    fn make() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let history = History::open(folder.path().join("history.db")).unwrap();
        let device = history.device_id().unwrap();
        let mut records: Vec<Record> = (0..3000)
            .map(|number| {
                let command = match number % 50 {
                    // Goes on on other pages.
                    0 => format!("echo {number} {}", "long ".repeat(700 + number)),
                    n if n % 2 == 0 => format!("git commit -m 'change {number}' && make -j{n} test"),
                    _ => format!("cd /srv/project-{number}; ls"),
                };
                let mut record = sample(&command);
                record.id = plain("", i64::from(number as u32)).id;
                record.device_id = if number % 7 == 0 { Uuid::from_u128(77) } else { device };
                record
            })
            .collect();
        for batch in records.chunks(100) {
            history.add_batch(batch).unwrap();
        }
        history.write(crate::history::text_index::index_chunk).unwrap();
        let pending: Vec<_> = history.pending(1000).unwrap().into_iter().map(|(n, r)| (n, r.id)).collect();
        history.acknowledge_in("co_zOne", &pending, Some(Cursor { key: "segment/co_zOne", value: 7 })).unwrap();
        let deleted: BTreeSet<Uuid> = records.iter().step_by(9).map(|record| record.id).collect();
        history.delete(&deleted.iter().copied().collect::<Vec<_>>(), UnixNanos(5)).unwrap();
        records.retain(|record| !deleted.contains(&record.id));
        let withdrawn = records[1].id;
        history.withdraw(&[withdrawn], UnixNanos(6)).unwrap();
        history.fold_log(Duration::ZERO);
        // The last ones are in the log alone.
        let last: Vec<_> =
            (0..40).map(|n| Record { device_id: device, ..sample(&format!("in the log {n}")) }).collect();
        for record in &last {
            history.add(record).unwrap();
        }
        records.extend(last);
        let kept = records.into_iter().map(|record| (record.id, record)).collect();
        Self { folder, kept, deleted, withdrawn, device }
    }

    fn get() -> &'static Self {
        static WHOLE: OnceLock<Whole> = OnceLock::new();
        WHOLE.get_or_init(Self::make)
    }

    fn copy(&self) -> Copy {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.db");
        for suffix in ["", "-wal"] {
            fs::copy(beside(&self.folder.path().join("history.db"), suffix), beside(&path, suffix)).unwrap();
        }
        Copy { _folder: folder, path }
    }
}

/// A copy of it, to be damaged.
struct Copy {
    _folder: TempDir,
    path: PathBuf,
}

impl Copy {
    fn pages(&self) -> Pages {
        Pages::open(&self.path, &log_of(&self.path)).unwrap()
    }

    /// On which pages which ids lie, as rows of a table.
    fn places(&self, shape: impl Fn(&Row) -> Option<Uuid>) -> BTreeMap<Uuid, u32> {
        let pages = self.pages();
        let on_page = |number| on_page(&pages, number).into_iter().map(move |row| (row, number));
        (1..=pages.count()).flat_map(on_page).filter_map(|(row, page)| Some((shape(&row)?, page))).collect()
    }

    fn overwrite(&self, number: u32, from: usize, bytes: &[u8]) {
        let mut file = fs::read(&self.path).unwrap();
        // Where the file was cut, nothing is there to be overwritten.
        let at = ((number as usize - 1) * PAGE + from).min(file.len());
        let end = (at + bytes.len()).min(file.len());
        file[at..end].copy_from_slice(&bytes[..end - at]);
        fs::write(&self.path, file).unwrap();
    }

    fn rescue(&self) -> Option<Rescued> {
        rescue(&self.path, NOW).unwrap()
    }

    fn records(&self) -> BTreeMap<Uuid, Record> {
        let history = History::open(&self.path).unwrap();
        history.list(&Filter::default()).unwrap().into_iter().map(|record| (record.id, record)).collect()
    }
}

fn id_of(value: &rusqlite::types::Value) -> Option<Uuid> {
    match value {
        rusqlite::types::Value::Blob(id) => Uuid::from_slice(id).ok(),
        _ => None,
    }
}

fn record_on(row: &Row) -> Option<Uuid> {
    (row.is_numbered() && row.values.len() > 20).then(|| id_of(&row.values[1])).flatten()
}

fn deletion_on(row: &Row) -> Option<Uuid> {
    let is_mark = !row.is_numbered() && matches!(row.values[..], [_, _, rusqlite::types::Value::Integer(_), _]);
    is_mark.then(|| id_of(&row.values[0])).flatten()
}

#[test]
fn every_row_is_read_as_the_engine_reads_it() {
    let whole = Whole::get();
    let copy = whole.copy();
    assert_eq!(copy.places(record_on).into_keys().collect::<BTreeSet<_>>(), whole.kept.keys().copied().collect());
    assert_eq!(copy.places(deletion_on).len(), whole.deleted.len() + 1, "and the one that was withdrawn");
    assert_eq!(copy.rescue(), None, "what is whole is left alone");
    // Damage that loses nothing: to an index.
    let pages = copy.pages();
    let is_by_time = |row: &Row| !row.is_numbered() && row.values.len() == 3 && id_of(&row.values[1]).is_some();
    let index = (1..=pages.count())
        .find(|number| !pages.newer.contains_key(number) && on_page(&pages, *number).iter().any(is_by_time));
    copy.overwrite(index.unwrap(), 0, &[0x77; PAGE]);
    let rescued = copy.rescue().unwrap();
    assert_eq!((rescued.saved, rescued.lost), (whole.kept.len() as u64, 0));
    assert_eq!(copy.records(), whole.kept);
    assert_eq!(set_aside(&copy.path), std::slice::from_ref(&rescued.set_aside));
    let history = History::open(&copy.path).unwrap();
    assert_eq!(history.device_id().unwrap(), whole.device);
    examine(&copy.path).unwrap();
    // Nobody knows what was read, so all is read again; and all of this device goes up again but what was withdrawn.
    assert!(history.cursors().unwrap().is_empty() && history.placed_segments().unwrap().is_empty());
    assert_eq!(history.unsynced_count().unwrap(), rescued.saved);
    let own = whole.kept.values().filter(|record| record.device_id == whole.device && record.id != whole.withdrawn);
    let queued = history.queued().unwrap();
    assert!(own.clone().count() > 2000 && own.clone().all(|record| queued.contains_key(&record.id)));
    assert!(!queued.contains_key(&whole.withdrawn));
    assert_eq!(history.pending_deletions_count().unwrap(), whole.deleted.len() as u64 + 1);
    let first = history.pending(1).unwrap().remove(0).0;
    assert!(first > 1_000_000_000_000_000, "numbers of the old queue mean nothing in the new one");
    let usage = |history: &History| history.usage_total(None).unwrap();
    assert_eq!(usage(&history), usage(&History::open(whole.folder.path().join("history.db")).unwrap()));
    let search = crate::history::Search { text: "in the log".into(), ..Default::default() };
    assert_eq!(history.search(&search).unwrap().len(), 40);
}

#[test]
fn a_page_of_rows_that_nothing_here_ever_wrote_is_skipped() {
    let copy = Whole::get().copy();
    let pages = copy.pages();
    let page = (2..=pages.count()).find(|page| !pages.newer.contains_key(page)).unwrap();
    // A leaf of a table with one row, which has no column at all; then one whose row is longer than the page says.
    for row in [[1, 1, 1], [0xff, 0xff, 0xff]] {
        let mut bytes = [0; PAGE];
        bytes[..10].copy_from_slice(&[0x0d, 0, 0, 0, 1, 0x0f, 0xfd, 0, 0x0f, 0xfd]);
        bytes[0xffd..].copy_from_slice(&row);
        copy.overwrite(page, 0, &bytes);
        assert!(copy.rescue().unwrap().saved > 2000);
    }
}

#[test]
fn a_text_index_that_the_engine_does_not_understand_is_built_anew() {
    let copy = Whole::get().copy();
    Connection::open(&copy.path).unwrap().execute_batch("DELETE FROM records_text_config").unwrap();
    assert_eq!(copy.rescue().unwrap().saved, Whole::get().kept.len() as u64);
    examine(&copy.path).unwrap();
}

#[test]
fn what_others_have_open_goes_on_with_the_new_one() {
    let copy = Whole::get().copy();
    let open = History::open(&copy.path).unwrap();
    assert!(open.count().unwrap() > 2000);
    open.fold_log(Duration::ZERO);
    copy.overwrite(1, 0, b"nothing");
    let rescued = copy.rescue().unwrap();
    assert_eq!(open.count().unwrap(), rescued.saved);
    let added = plain("after", 1);
    open.add(&added).unwrap();
    drop(open);
    assert!(copy.records().contains_key(&added.id));
    // Also where the log is empty, so that nothing tells of it.
    let open = History::open(&copy.path).unwrap();
    assert!(open.fold_log(Duration::ZERO));
    copy.overwrite(1, 0, b"nothing");
    copy.rescue().unwrap();
    open.add(&plain("and after", 2)).unwrap();
    assert_eq!(open.count().unwrap(), rescued.saved + 2);
    assert_eq!(set_aside(&copy.path).len(), 2);
}

#[test]
fn who_keeps_the_state_apart_from_the_records_is_still_the_same_device() {
    let whole = Whole::get();
    let copy = whole.copy();
    let device = History::open(&copy.path).unwrap().device_id().unwrap();
    let noted = |row: &Row| {
        matches!(&row.values[..], [rusqlite::types::Value::Text(key), _] if key == "device_id").then(|| device)
    };
    let page = copy.places(noted)[&device];
    History::open(&copy.path).unwrap().fold_log(Duration::ZERO);
    copy.overwrite(page, 0, &[0; PAGE]);
    copy.rescue().unwrap();
    assert_eq!(History::open(&copy.path).unwrap().device_id().unwrap(), device);
}

#[test]
fn a_file_of_which_nothing_is_left_is_set_aside_and_one_of_others_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.db");
    let names = || fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(rescue(&path, NOW).unwrap(), None, "there is none");
    for (bytes, is_ours) in [(&[0; 9000][..], true), (b"a shopping list", false), (&[0x5a; 20_000], false)] {
        fs::write(&path, bytes).unwrap();
        let rescued = rescue(&path, NOW).unwrap();
        assert_eq!(rescued.is_some(), is_ours);
        if let Some(rescued) = rescued {
            assert_eq!((rescued.saved, fs::read(&rescued.set_aside).unwrap()), (0, bytes.to_vec()));
            assert_eq!(History::open(&path).unwrap().count().unwrap(), 0);
            discard(&rescued.set_aside);
        } else {
            assert_eq!((fs::read(&path).unwrap(), names()), (bytes.to_vec(), 1), "nothing was touched");
        }
        discard(&path);
    }
    // The engine would take this for a new database and remove the log.
    let copy = Whole::get().copy();
    fs::write(&copy.path, b"").unwrap();
    assert!(matches!(History::open(&copy.path), Err(HistoryError::Damaged(_))));
    assert!(copy.rescue().unwrap().saved > 0);
}

#[test]
fn a_history_of_a_newer_version_is_left_alone() {
    let copy = Whole::get().copy();
    Connection::open(&copy.path).unwrap().pragma_update(None, "user_version", 999).unwrap();
    copy.overwrite(9, 0, &[0; 4096]);
    assert!(matches!(rescue(&copy.path, NOW), Err(HistoryError::Newer { found: 999, .. })));
    assert!(set_aside(&copy.path).is_empty());
}

/// One thing that happens to the files.
#[derive(Debug, Clone)]
enum Harm {
    /// Part of a page, or all of it, is overwritten with these bytes again and again.
    Page { at: prop::sample::Index, from: usize, bytes: Vec<u8>, repeat: usize },
    /// A page lies where another one should.
    Swapped { from: prop::sample::Index, to: prop::sample::Index },
    /// The file ends here.
    Cut { at: prop::sample::Index },
    /// The log is overwritten from here on.
    Log { at: prop::sample::Index, bytes: Vec<u8> },
    /// The log ends here.
    LogCut { at: prop::sample::Index },
}

fn harm() -> impl Strategy<Value = Harm> {
    let bytes = || prop_oneof![Just(vec![0]), prop::collection::vec(any::<u8>(), 1..40)];
    let index = any::<prop::sample::Index>;
    prop_oneof![
        8 => (index(), prop_oneof![Just(0), 0..PAGE], bytes(), 1..4096usize)
            .prop_map(|(at, from, bytes, repeat)| Harm::Page { at, from, bytes, repeat }),
        2 => (index(), index()).prop_map(|(from, to)| Harm::Swapped { from, to }),
        1 => index().prop_map(|at| Harm::Cut { at }),
        1 => (index(), bytes()).prop_map(|(at, bytes)| Harm::Log { at, bytes }),
        1 => index().prop_map(|at| Harm::LogCut { at }),
    ]
}

/// Does it, and says which pages are no longer what they were; none where the log was harmed.
fn inflict(copy: &Copy, harm: &Harm, touched: &mut Option<BTreeSet<u32>>) {
    let (path, log) = (&copy.path, log_of(&copy.path));
    let count = (fs::metadata(path).unwrap().len() as usize).div_ceil(PAGE);
    let mut touch = |page: u32| {
        if let Some(touched) = touched.as_mut() {
            touched.insert(page);
        }
    };
    match harm {
        // Another one has left nothing of it.
        _ if count == 0 => {}
        Harm::Page { at, from, bytes, repeat } => {
            let page = at.index(count) as u32 + 1;
            let bytes: Vec<u8> = bytes.iter().copied().cycle().take((*repeat).min(PAGE - from)).collect();
            copy.overwrite(page, *from, &bytes);
            touch(page);
        }
        Harm::Swapped { from, to } => {
            let (from, to) = (from.index(count), to.index(count));
            let file = fs::read(path).unwrap();
            let page = &file[from * PAGE..(from * PAGE + PAGE).min(file.len())];
            copy.overwrite(to as u32 + 1, 0, page);
            touch(to as u32 + 1);
        }
        Harm::Cut { at } => {
            let length = at.index(count * PAGE);
            fs::OpenOptions::new().write(true).open(path).unwrap().set_len(length as u64).unwrap();
            (length / PAGE..count).for_each(|page| touch(page as u32 + 1));
        }
        Harm::Log { at, bytes } => {
            let mut file = fs::read(&log).unwrap();
            let at = at.index(file.len());
            let end = (at + bytes.len()).min(file.len());
            file[at..end].copy_from_slice(&bytes[..end - at]);
            fs::write(&log, file).unwrap();
            *touched = None;
        }
        Harm::LogCut { at } => {
            let length = fs::metadata(&log).unwrap().len() as usize;
            fs::OpenOptions::new().write(true).open(&log).unwrap().set_len(at.index(length.max(1)) as u64).unwrap();
            *touched = None;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever happens to the files: what lies on pages that are whole is there afterwards, nothing that was deleted is, and
    /// nothing fails.
    #[test]
    fn what_is_on_whole_pages_survives_and_what_was_deleted_stays_deleted(harms in prop::collection::vec(harm(), 1..8)) {
        let whole = Whole::get();
        let copy = whole.copy();
        let (records, deletions) = (copy.places(record_on), copy.places(deletion_on));
        let in_log: BTreeSet<u32> = copy.pages().newer.keys().copied().collect();
        let mut touched = Some(BTreeSet::new());
        for harm in &harms {
            inflict(&copy, harm, &mut touched);
        }
        let before = fs::read(&copy.path).unwrap();
        let rescued = copy.rescue();
        if rescued.is_none() && touched.is_none() && matches!(History::open(&copy.path), Err(HistoryError::NotAHistory { .. })) {
            // The log was harmed, and what is left of the file does not say any more what it was.
            prop_assert!(fs::read(&copy.path).unwrap() == before);
            return Ok(());
        }
        if let Some(rescued) = &rescued {
            prop_assert!(fs::read(&rescued.set_aside).unwrap() == before || before.is_empty());
        }
        let left = copy.records();
        examine(&copy.path).unwrap();
        History::open(&copy.path).unwrap().add(&plain("and it works", 1)).unwrap();
        // With a log that was cut, the history is what it was at some moment before.
        let Some(mut touched) = touched else { return Ok(()) };
        // What is newer in the log does not matter in the file.
        touched.retain(|page| !in_log.contains(page));
        for (id, page) in &records {
            // Of a long one the other pages are not known here.
            let is_short = whole.kept[id].command.len() < 1000;
            if is_short && !touched.contains(page) {
                prop_assert_eq!(left.get(id), Some(&whole.kept[id]));
            }
        }
        for id in left.keys().filter(|id| whole.deleted.contains(*id)) {
            prop_assert!(touched.contains(&deletions[id]), "{id} is back");
        }
    }
}

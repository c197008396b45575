//! The pages of a damaged database as they lie on disk: the file, and over it what its log has committed.
//!
//! The engine refuses a file whose first page is broken, and whatever hangs from a broken page of a tree. Read page by page,
//! a broken one costs what it holds and nothing else. Of the log that is taken which the engine takes: frames up to the
//! last commit before the first frame whose checksum is wrong (<https://www.sqlite.org/fileformat2.html#walformat>).

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::mem::ManuallyDrop;
use std::path::Path;

/// The size of a page: the engine's default, and no database of ours was ever made with another.
pub(crate) const PAGE: usize = 4096;
/// The length of the log's own head, and of a frame's before its page.
const LOG_HEAD: usize = 32;
const FRAME_HEAD: usize = 24;

/// The pages of one database.
#[derive(Debug)]
pub(crate) struct Pages {
    /// Never closed: closing it would let go of the locks that this process holds on it through the engine
    /// (<https://www.sqlite.org/howtocorrupt.html>, section 2.2).
    file: ManuallyDrop<File>,
    log: Option<File>,
    /// Where in the log the pages lie that are newer there.
    pub(crate) newer: HashMap<u32, u64>,
    count: u32,
}

impl Pages {
    /// The pages of the database at `path` with the log at `log`, which nobody may write to meanwhile.
    pub(crate) fn open(path: &Path, log: &Path) -> io::Result<Self> {
        let file = ManuallyDrop::new(File::open(path)?);
        let length = file.metadata()?.len();
        let mut count = u32::try_from(length.div_ceil(PAGE as u64)).unwrap_or(u32::MAX);
        let log = match File::open(log) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            log => Some(log?),
        };
        let mut newer = HashMap::new();
        if let Some(committed) = log.as_ref().and_then(committed) {
            (newer, count) = committed;
        }
        Ok(Self { file, log, newer, count })
    }

    /// The file itself, to be copied; it must not be closed.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// How many pages there are; they are counted from 1.
    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    /// A page, unless it cannot be read.
    pub(crate) fn read(&self, number: u32) -> Option<[u8; PAGE]> {
        let mut page = [0; PAGE];
        if let (Some(offset), Some(log)) = (self.newer.get(&number), &self.log) {
            return read_at(log, &mut page, *offset).is_ok().then_some(page);
        }
        let mut file = &*self.file;
        file.seek(SeekFrom::Start(u64::from(number.checked_sub(1)?) * PAGE as u64)).ok()?;
        let mut there = Vec::with_capacity(PAGE);
        file.take(PAGE as u64).read_to_end(&mut there).ok()?;
        // The last one may have been cut.
        page.get_mut(..there.len())?.copy_from_slice(&there);
        (!there.is_empty()).then_some(page)
    }

    /// Closes the file, which no engine has open.
    #[cfg(any(test, feature = "fuzz"))]
    pub(crate) fn close(self) {
        drop(ManuallyDrop::into_inner(self.file));
    }

    /// Whether not one bit is set anywhere: what some file systems leave of a file after a power cut.
    pub(crate) fn are_blank(&self) -> bool {
        (1..=self.count).filter_map(|number| self.read(number)).all(|page| page.iter().all(|byte| *byte == 0))
    }
}

/// Where the committed pages of a log lie, and how many the database has after its last commit.
fn committed(log: &File) -> Option<(HashMap<u32, u64>, u32)> {
    let mut head = [0; LOG_HEAD];
    read_at(log, &mut head, 0).ok()?;
    let big_endian = match word(&head, 0) {
        0x377f_0682 => false,
        0x377f_0683 => true,
        _ => return None,
    };
    let mut sums = checksum((0, 0), &head[..24], big_endian);
    if word(&head, 8) as usize != PAGE || sums != (word(&head, 24), word(&head, 28)) {
        return None;
    }
    let mut frame = [0; FRAME_HEAD + PAGE];
    let (mut committed, mut since, mut pages) = (HashMap::new(), Vec::new(), None);
    let mut at = LOG_HEAD as u64;
    while read_at(log, &mut frame, at).is_ok() {
        sums = checksum(checksum(sums, &frame[..8], big_endian), &frame[FRAME_HEAD..], big_endian);
        let salted = frame[8..16] == head[16..24];
        if !salted || sums != (word(&frame, 16), word(&frame, 20)) {
            break;
        }
        since.push((word(&frame, 0), at + FRAME_HEAD as u64));
        if word(&frame, 4) > 0 {
            committed.extend(since.drain(..));
            pages = Some(word(&frame, 4));
        }
        at += frame.len() as u64;
    }
    Some((committed, pages?))
}

fn read_at(mut file: &File, bytes: &mut [u8], at: u64) -> io::Result<()> {
    file.seek(SeekFrom::Start(at))?;
    file.read_exact(bytes)
}

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|four| four.try_into().ok()).map_or(0, u32::from_be_bytes)
}

/// The log's checksum, carried on over `bytes`.
fn checksum((mut one, mut two): (u32, u32), bytes: &[u8], big_endian: bool) -> (u32, u32) {
    let number = |four: &[u8]| {
        let four = four.try_into().unwrap_or_default();
        if big_endian { u32::from_be_bytes(four) } else { u32::from_le_bytes(four) }
    };
    for eight in bytes.chunks_exact(8) {
        one = one.wrapping_add(number(&eight[..4])).wrapping_add(two);
        two = two.wrapping_add(number(&eight[4..])).wrapping_add(one);
    }
    (one, two)
}

//! The rows on a page of a damaged database, whatever tree it belonged to.
//!
//! Rows lie in the leaves of tables, and in leaves and inner pages of trees without row numbers
//! (<https://www.sqlite.org/fileformat2.html#b_tree_pages>). Only what the page itself names is looked at, and what does
//! not add up to the last byte is no row.

use rusqlite::types::Value;

use super::pages::{PAGE, Pages};

/// The longest row that is believed: three texts of the greatest length, and more.
const LONGEST: usize = 16 << 20;
/// What a page of a long row begins with: the number of the next.
const NEXT: usize = 4;

/// A row as it lies on its page.
#[derive(Debug)]
pub(crate) struct Row {
    /// Its number, where it comes from a table with row numbers.
    pub(crate) number: Option<i64>,
    pub(crate) values: Vec<Value>,
}

impl Row {
    /// Whether it comes from a table with row numbers.
    pub(crate) const fn is_numbered(&self) -> bool {
        self.number.is_some()
    }
}

/// The rows on a page that can be read.
pub(crate) fn on_page(pages: &Pages, number: u32) -> Vec<Row> {
    pages.read(number).map(|page| rows(pages, number, &page)).unwrap_or_default()
}

fn rows(pages: &Pages, number: u32, page: &[u8; PAGE]) -> Vec<Row> {
    // The first page begins with the head of the file.
    let head = if number == 1 { 100 } else { 0 };
    let (numbered, inner) = match page[head] {
        0x0d => (true, false),
        0x0a => (false, false),
        0x02 => (false, true),
        _ => return Vec::new(),
    };
    let pointers = head + if inner { 12 } else { 8 };
    let cells = usize::from(u16::from_be_bytes([page[head + 3], page[head + 4]]));
    let Some(pointers) = page.get(pointers..pointers + 2 * cells) else { return Vec::new() };
    pointers
        .chunks_exact(2)
        .filter_map(|at| {
            let mut cell = page.get(usize::from(u16::from_be_bytes([at[0], at[1]]))..)?;
            if inner {
                // The page before it.
                cell = cell.get(4..)?;
            }
            let length = usize::try_from(number_in(&mut cell)?).ok().filter(|length| *length <= LONGEST)?;
            let number = if numbered { Some(number_in(&mut cell)?.cast_signed()) } else { None };
            let payload = payload(pages, cell, length, numbered)?;
            Some(Row { number, values: values(&payload)? })
        })
        .collect()
}

/// A row's bytes: those on its page, and those on the pages that it goes on on.
fn payload(pages: &Pages, cell: &[u8], length: usize, numbered: bool) -> Option<Vec<u8>> {
    let most = if numbered { PAGE - 35 } else { (PAGE - 12) * 64 / 255 - 23 };
    if length <= most {
        return Some(cell.get(..length)?.to_vec());
    }
    let least = (PAGE - 12) * 32 / 255 - 23;
    let fitting = least + (length - least) % (PAGE - NEXT);
    let here = if fitting <= most { fitting } else { least };
    let mut payload = cell.get(..here)?.to_vec();
    let mut next = cell.get(here..here + NEXT)?.try_into().ok().map(u32::from_be_bytes)?;
    while payload.len() < length {
        if next < 2 || next > pages.count() {
            return None;
        }
        let page = pages.read(next)?;
        next = u32::from_be_bytes([page[0], page[1], page[2], page[3]]);
        payload.extend_from_slice(&page[NEXT..PAGE.min(NEXT + length - payload.len())]);
    }
    (next == 0).then_some(payload)
}

/// The values of a row: first their kinds and lengths, then they themselves.
fn values(payload: &[u8]) -> Option<Vec<Value>> {
    let mut rest = payload;
    let head = usize::try_from(number_in(&mut rest)?).ok()?;
    let mut kinds = payload.get(payload.len() - rest.len()..head)?;
    let mut body = payload.get(head..)?;
    let mut values = Vec::new();
    while !kinds.is_empty() {
        values.push(value(number_in(&mut kinds)?, &mut body)?);
    }
    body.is_empty().then_some(values)
}

fn value(kind: u64, body: &mut &[u8]) -> Option<Value> {
    let mut take = |length: usize| {
        let (taken, rest) = body.split_at_checked(length)?;
        *body = rest;
        Some(taken)
    };
    let integer = |bytes: &[u8]| {
        let negative = bytes.first().is_some_and(|first| *first > 0x7f);
        bytes.iter().fold(if negative { -1 } else { 0 }, |number: i64, byte| number << 8 | i64::from(*byte))
    };
    Some(match kind {
        0 => Value::Null,
        1..=4 => Value::Integer(integer(take(usize::try_from(kind).ok()?)?)),
        5 => Value::Integer(integer(take(6)?)),
        6 => Value::Integer(integer(take(8)?)),
        7 => Value::Real(f64::from_be_bytes(take(8)?.try_into().ok()?)),
        8 => Value::Integer(0),
        9 => Value::Integer(1),
        10 | 11 => return None,
        kind => {
            let bytes = take(usize::try_from((kind - 12) / 2).ok().filter(|length| *length <= LONGEST)?)?.to_vec();
            if kind % 2 == 0 { Value::Blob(bytes) } else { Value::Text(String::from_utf8(bytes).ok()?) }
        }
    })
}

/// Takes a number of one to nine bytes from the front.
fn number_in(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for place in 0..9 {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        if place == 8 {
            return Some(number << 8 | u64::from(*byte));
        }
        number = number << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            break;
        }
    }
    Some(number)
}

//! Lines of a stream, as `caro history add` takes them. One can be given back, so that it is read as the beginning of something
//! larger; whoever reads that takes no byte of what comes behind it.

use std::io::{self, BufRead, BufReader, Cursor, Read};

/// What programs of some systems put before text in UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Reads lines, and counts them.
pub(super) struct Lines<R> {
    /// What was given back and is read again.
    back: Cursor<Vec<u8>>,
    reader: BufReader<R>,
    /// The ends of lines that were read.
    ends: u64,
}

impl<R: Read> Lines<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { back: Cursor::default(), reader: BufReader::with_capacity(256 * 1024, reader), ends: 0 }
    }

    /// The number of the line that is read next, counted from 1.
    pub(super) fn number(&self) -> u64 {
        self.ends + 1
    }

    /// Whether the rest of this line is here, so that nobody has to be waited for.
    pub(super) fn has_more(&self) -> bool {
        self.rest_of_back().contains(&b'\n') || self.reader.buffer().contains(&b'\n')
    }

    /// Reads the next line with its end, without a mark of the byte order before it, into `line`; no more of it than `limit`
    /// bytes. Says whether there was one.
    pub(super) fn next(&mut self, line: &mut Vec<u8>, limit: usize) -> io::Result<bool> {
        line.clear();
        let read = self.by_ref().take(limit as u64).read_until(b'\n', line)?;
        if line.starts_with(BYTE_ORDER_MARK) {
            line.drain(..BYTE_ORDER_MARK.len());
        }
        Ok(read > 0)
    }

    /// Gives back the line that was read last, all of it.
    pub(super) fn give_back(&mut self, line: Vec<u8>) {
        // Lines are read to their ends, so nothing else can be left there.
        self.ends -= u64::from(line.ends_with(b"\n"));
        self.back = Cursor::new(line);
    }

    fn rest_of_back(&self) -> &[u8] {
        let read = usize::try_from(self.back.position()).unwrap_or(usize::MAX);
        self.back.get_ref().get(read..).unwrap_or_default()
    }
}

impl<R: Read> Read for Lines<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(into)?;
        self.consume(read);
        Ok(read)
    }
}

impl<R: Read> BufRead for Lines<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.rest_of_back().is_empty() { self.reader.fill_buf() } else { self.back.fill_buf() }
    }

    fn consume(&mut self, count: usize) {
        let given_back = !self.rest_of_back().is_empty();
        let buffered = if given_back { self.rest_of_back() } else { self.reader.buffer() };
        let ends = buffered.iter().take(count).filter(|byte| **byte == b'\n').count();
        self.ends += ends as u64;
        if given_back { self.back.consume(count) } else { self.reader.consume(count) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_and_cut_where_they_are_too_long() {
        let mut lines = Lines::new(&b"one\n\xef\xbb\xbftwo\nthree"[..]);
        let mut line = Vec::new();
        let mut found = Vec::new();
        while lines.next(&mut line, 4).unwrap() {
            found.push((String::from_utf8(line.clone()).unwrap(), lines.number()));
        }
        // The mark counts.
        let wanted = [("one\n", 2), ("t", 2), ("wo\n", 3), ("thre", 3), ("e", 3)];
        assert_eq!(found, wanted.map(|(line, number)| (line.to_owned(), number)));
    }

    #[test]
    fn what_is_given_back_is_read_again_and_what_follows_is_left() {
        let mut lines = Lines::new(&b"{\n1}{2}\n3"[..]);
        let mut line = Vec::new();
        assert!(lines.next(&mut line, 100).unwrap());
        lines.give_back(line);
        assert_eq!(lines.number(), 1);
        let mut whole = [0; 4];
        lines.read_exact(&mut whole).unwrap();
        assert_eq!((&whole, lines.number()), (b"{\n1}", 2));
        let mut rest = Vec::new();
        assert!(lines.next(&mut rest, 100).unwrap());
        assert_eq!((rest.as_slice(), lines.number()), (&b"{2}\n"[..], 3));
        lines.give_back(rest);
        assert!(lines.has_more());
        assert_eq!(io::read_to_string(lines).unwrap(), "{2}\n3");
    }
}

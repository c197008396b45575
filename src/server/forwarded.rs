//! Whom proxies say that they stand for, from the nearest one outwards: in `X-Forwarded-For`, or in `Forwarded` (RFC 7239).
//!
//! Each proxy adds at the end of what it was told by whoever asked it, in the same line or in one of its own. So all of it is
//! read from the end, byte by byte: what somebody made up at the beginning, be it a quote that never closes or bytes that are no
//! text, changes nothing about what a proxy has added.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use axum::http::{HeaderMap, HeaderValue};

/// The header that most proxies write: a list of addresses.
const FORWARDED_FOR: &str = "x-forwarded-for";
/// The standard one: a list of elements, each with `for=` and other pairs.
const FORWARDED: &str = "forwarded";

/// The addresses for which proxies ask, from the nearest outwards; none where one does not say an address.
///
/// Where both headers are there, `X-Forwarded-For` counts. Most proxies write that one and pass on whatever a client says in
/// the other; nobody can take out what they have written.
pub(super) fn outwards(headers: &HeaderMap) -> Box<dyn Iterator<Item = Option<IpAddr>> + '_> {
    let lines = |name| headers.get_all(name).iter().rev().map(HeaderValue::as_bytes);
    if headers.contains_key(FORWARDED_FOR) {
        let places = lines(FORWARDED_FOR).flat_map(|line| line.rsplit(|byte| *byte == b','));
        Box::new(places.map(|place| address(std::str::from_utf8(place).ok()?.trim())))
    } else {
        Box::new(lines(FORWARDED).flat_map(Elements).map(|element| node(&asked_by(element)?)))
    }
}

/// An address as proxies write it in a list, with a port or without.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    bare.parse().ok().or_else(|| text.parse().map(|address: std::net::SocketAddr| address.ip()).ok())
}

/// The elements of a line of `Forwarded`, from the last to the first; empty ones say nothing and are left out.
struct Elements<'a>(&'a [u8]);

impl<'a> Iterator for Elements<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        while !self.0.is_empty() {
            let (rest, element) = match last_comma(self.0) {
                Some(comma) => (self.0.get(..comma)?, self.0.get(comma + 1..)?),
                None => (&[][..], self.0),
            };
            self.0 = rest;
            let element = element.trim_ascii();
            if !element.is_empty() {
                return Some(element);
            }
        }
        None
    }
}

/// Where the last comma is that is not within quotes.
fn last_comma(line: &[u8]) -> Option<usize> {
    let mut is_quoted = false;
    for (at, byte) in line.iter().enumerate().rev() {
        match byte {
            b'"' if !is_escaped(line, at) => is_quoted = !is_quoted,
            b',' if !is_quoted => return Some(at),
            _ => {}
        }
    }
    None
}

/// Whether an odd number of backslashes stands before a byte.
fn is_escaped(line: &[u8], at: usize) -> bool {
    let before = line.iter().take(at).rev();
    before.take_while(|byte| **byte == b'\\').count() % 2 == 1
}

/// Who asked, as the one pair `for=` of an element says it; none where there is no such pair, or the element is malformed.
fn asked_by(element: &[u8]) -> Option<String> {
    let (mut rest, mut asked_by) = (element, None);
    loop {
        rest = rest.trim_ascii_start();
        if let [b';', after @ ..] = rest {
            rest = after;
            continue;
        }
        if rest.is_empty() {
            return asked_by;
        }
        let (name, after) = rest.split_at_checked(rest.iter().position(|byte| *byte == b'=')?)?;
        let (value, after) = value(after.get(1..)?)?;
        let is_name = !name.is_empty()
            && name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte));
        let follows = after.trim_ascii_start();
        if !is_name || !matches!(follows.first(), None | Some(b';')) {
            return None;
        }
        if name.eq_ignore_ascii_case(b"for") && asked_by.replace(value).is_some() {
            return None;
        }
        rest = follows;
    }
}

/// The value at the beginning, in quotes or without, and what follows it. Some proxies forget the quotes that `:` and
/// brackets need.
fn value(text: &[u8]) -> Option<(String, &[u8])> {
    let [b'"', quoted @ ..] = text else {
        let length =
            text.iter().position(|byte| !byte.is_ascii_graphic() || b";,\"\\".contains(byte)).unwrap_or(text.len());
        let (value, rest) = text.split_at_checked(length)?;
        return Some((String::from_utf8(value.to_vec()).ok()?, rest));
    };
    let mut value = Vec::new();
    let mut bytes = quoted.iter().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => return Some((String::from_utf8(value).ok()?, quoted.get(at + 1..)?)),
            b'\\' => value.push(*bytes.next()?.1),
            byte => value.push(*byte),
        }
    }
    None
}

/// The address of a node: `192.0.2.1`, `192.0.2.1:4711`, `[2001:db8::1]`, `[2001:db8::1]:4711`. Ports may be made up, as `_x`;
/// of whom the proxy does not know (`unknown`) or does not tell (`_hidden`) there is none.
fn node(text: &str) -> Option<IpAddr> {
    if let Some(bracketed) = text.strip_prefix('[') {
        let (address, port) = bracketed.split_once(']')?;
        let is_port = port.is_empty() || is_port(port.strip_prefix(':')?);
        return is_port.then(|| address.parse::<Ipv6Addr>()).and_then(Result::ok).map(IpAddr::V6);
    }
    if let Some((address, port)) = text.split_once(':')
        && let Ok(address) = address.parse::<Ipv4Addr>()
    {
        return is_port(port).then_some(IpAddr::V4(address));
    }
    // Without brackets too, where nothing else could be meant.
    text.parse().ok()
}

/// Whether it is a port, or a name that stands for one.
fn is_port(text: &str) -> bool {
    match text.strip_prefix('_') {
        Some(name) => {
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
        }
        None => (1..=5).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(lines: &[(&'static str, &[u8])]) -> Vec<Option<IpAddr>> {
        let mut headers = HeaderMap::new();
        for (name, line) in lines {
            headers.append(*name, HeaderValue::from_bytes(line).unwrap());
        }
        outwards(&headers).collect()
    }

    fn forwarded(line: &str) -> Vec<Option<IpAddr>> {
        said(&[(FORWARDED, line.as_bytes())])
    }

    fn at(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn the_forms_of_the_standard_are_understood() {
        for (element, address) in [
            ("for=192.0.2.43", at("192.0.2.43")),
            ("For=192.0.2.43", at("192.0.2.43")),
            ("for=\"192.0.2.43:47011\"", at("192.0.2.43")),
            ("for=\"192.0.2.43:_made-up.port\"", at("192.0.2.43")),
            ("for=\"[2001:db8:cafe::17]\"", at("2001:db8:cafe::17")),
            ("FOR=\"[2001:db8:cafe::17]:4711\"", at("2001:db8:cafe::17")),
            ("for=\"\\1\\92.0.2.43\"", at("192.0.2.43")),
            ("for=192.0.2.60;proto=http;by=203.0.113.43", at("192.0.2.60")),
            ("by=203.0.113.43; host=\"a,b;for=\\\"1.1.1.1\\\"\" ; for=192.0.2.60;", at("192.0.2.60")),
            // Without the quotes that the standard asks for.
            ("for=192.0.2.43:47011", at("192.0.2.43")),
            ("for=[2001:db8:cafe::17]:4711;proto=https", at("2001:db8:cafe::17")),
            ("for=\"2001:db8:cafe::17\"", at("2001:db8:cafe::17")),
        ] {
            assert_eq!(forwarded(element), [address], "{element}");
        }
    }

    #[test]
    fn who_is_not_named_or_not_by_an_address_is_nobody() {
        for element in [
            "for=unknown",
            "for=_hidden",
            "for=\"_SEVKISEK:_x\"",
            "for=\"unknown:4711\"",
            "by=192.0.2.1",
            "proto=https",
            "for=",
            "for",
            "=192.0.2.1",
            "for =192.0.2.1",
            "for=192.0.2.1 proto=https",
            "for=192.0.2.1;for=192.0.2.2",
            "for=\"192.0.2.1",
            "for=\"192.0.2.1\"x",
            "for=192.0.2.1:",
            "for=192.0.2.1:port",
            "for=192.0.2.1:123456",
            "for=[192.0.2.1]",
            "for=\"[2001:db8::1]4711\"",
            "for=\"[2001:db8::1\"",
            "for=\"[fe80::1%eth0]\"",
            "nonsense",
        ] {
            assert_eq!(forwarded(element), [None], "{element}");
        }
    }

    #[test]
    fn several_elements_and_lines_are_read_from_the_end() {
        let all = [at("10.0.0.2"), at("2001:db8::1"), None, at("192.0.2.1")];
        assert_eq!(forwarded("for=192.0.2.1, for=_x;by=\"_a,b\",, for=\"[2001:db8::1]\" ,for=10.0.0.2,"), all);
        let lines: [(&str, &[u8]); 2] =
            [(FORWARDED, b"for=192.0.2.1, for=_x"), (FORWARDED, b"for=\"[2001:db8::1]\", for=10.0.0.2")];
        assert_eq!(said(&lines), all);
        let lines: [(&str, &[u8]); 2] =
            [(FORWARDED_FOR, b"192.0.2.1, x"), (FORWARDED_FOR, b"[2001:db8::1]:1, 10.0.0.2")];
        assert_eq!(said(&lines), all);
    }

    #[test]
    fn where_both_are_there_nobody_gets_past_the_one_that_most_proxies_write() {
        let lines: [(&str, &[u8]); 3] =
            [(FORWARDED, b"for=192.0.2.1"), (FORWARDED_FOR, b"198.51.100.7"), (FORWARDED, b"for=192.0.2.2")];
        assert_eq!(said(&lines), [at("198.51.100.7")]);
        let lines: [(&str, &[u8]); 2] = [(FORWARDED, b"for=192.0.2.1"), (FORWARDED_FOR, b"")];
        assert_eq!(said(&lines), [None]);
    }

    /// What a header may be made of.
    fn made_up() -> impl proptest::strategy::Strategy<Value = Vec<u8>> {
        let byte = proptest::prop_oneof![
            proptest::sample::select(b"\",;=\\ []:for_1.".to_vec()),
            (0x20..=0xff_u8).prop_filter("no control character", |byte| *byte != 0x7f),
        ];
        proptest::collection::vec(byte, 0..60)
    }

    use proptest::strategy::Strategy as _;

    proptest::proptest! {
        /// Whatever stands before it, the address that a proxy has added is the nearest.
        #[test]
        fn nobody_takes_out_what_a_proxy_has_added(before in made_up(), is_v6: bool, separate: bool) {
            let (plain, quoted, address) = if is_v6 {
                ("2001:db8::1", "for=\"[2001:db8::1]:80\";proto=https", at("2001:db8::1"))
            } else {
                ("203.0.113.9", "for=203.0.113.9", at("203.0.113.9"))
            };
            for (name, added) in [(FORWARDED_FOR, plain), (FORWARDED, quoted)] {
                let nearest = if separate {
                    said(&[(name, &before), (name, added.as_bytes())])
                } else {
                    said(&[(name, &[&before, &b", "[..], added.as_bytes()].concat())])
                };
                proptest::prop_assert_eq!(nearest.first(), Some(&address));
            }
        }
    }
}

//! Addresses of relays, and what the environment says about proxies.

use super::{Proxies, RelayAddress};
use crate::fuzz::{Target, texts, two_texts};

pub(crate) const FUZZED: &[Target] = &[Target { name: "net-address", seeds: addresses, run: address }];

fn addresses() -> Vec<Vec<u8>> {
    texts(&[
        "wss://relay.example/0123456789abcdef-XYZ?token=x\nhttp://me:pw@proxy:3128 .example,10.0.0.0/8",
        "ws://[::1]:4200/\nsocks5h://proxy 127.0.0.1",
        "ssh://me@host:2222/srv/caro\n",
        "ssh://-oProxyCommand=x/\n",
        "wss://xn--caf-dma.example\n*",
    ])
}

/// An address that is taken is written as one that is taken, and what is shown of it has no token.
fn address(bytes: &[u8]) {
    let Some((text, proxies)) = two_texts(bytes) else { return };
    let (proxy, none_for) = proxies.split_once(' ').unwrap_or((proxies, ""));
    let proxies = Proxies {
        https: Some(proxy.to_owned()),
        http: Some(proxy.to_owned()),
        none_for: (!none_for.is_empty()).then(|| none_for.to_owned()),
    };
    let Ok(address) = RelayAddress::parse(text, None, proxies.clone()) else { return };
    let again = RelayAddress::parse(address.url(), None, proxies);
    assert_eq!(again.map(|again| again.url().to_owned()).as_deref(), Ok(address.url()));
    let shown = address.shown();
    assert!(shown.starts_with("ssh://") || !shown.contains(['?', '#', '@']), "{shown}");
    let (host, _) = address.target();
    assert!(!host.is_empty(), "{text}");
    let _ = (address.is_dialled_directly(), address.fingerprint());
    // What goes to ssh is never taken for one of its options.
    let _ = address.by_ssh(Some("ssh"));
}

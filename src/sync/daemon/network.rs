//! Tells a daemon when the machine's addresses or routes have changed: then a relay that was out of reach may
//! not be any more. Elsewhere than on Linux the next attempt is waited for.

use std::sync::mpsc::Sender;

use super::wake::Wake;

/// Watches from a thread of its own, which waits in the kernel, until nobody listens any more.
#[cfg(target_os = "linux")]
pub(super) fn watch(wakes: Sender<Wake>) {
    use std::time::Duration;

    use rustix::io::Errno;
    use rustix::net::netlink::SocketAddrNetlink;
    use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, bind, recv, socket_with};

    /// Groups of the kernel's routing messages: links, IPv4 and IPv6 addresses.
    const LINKS_AND_ADDRESSES: u32 = 0x1 | 0x10 | 0x100;
    /// A change comes as a burst of messages; they are told as one.
    const BURST: Duration = Duration::from_millis(200);

    let opened = || -> rustix::io::Result<_> {
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
        bind(&socket, &SocketAddrNetlink::new(0, LINKS_AND_ADDRESSES))?;
        Ok(socket)
    };
    let listening = opened().map_err(std::io::Error::from).and_then(|socket| {
        std::thread::Builder::new().name("caro-links".into()).spawn(move || {
            let mut buffer = [0u8; 8192];
            // What is said does not matter. Too many messages at once are an error that says the same.
            let told = |result| matches!(result, Ok(1..) | Err(Errno::NOBUFS));
            while told(recv(&socket, &mut buffer[..], RecvFlags::empty()).map(|(read, _)| read)) {
                std::thread::sleep(BURST);
                while told(recv(&socket, &mut buffer[..], RecvFlags::DONTWAIT).map(|(read, _)| read)) {}
                if wakes.send(Wake::Network).is_err() {
                    return;
                }
            }
        })
    });
    if let Err(error) = listening {
        tracing::debug!(%error, "the system does not tell of changes of the network");
    }
}

/// The system does not tell.
#[cfg(not(target_os = "linux"))]
pub(super) fn watch(_wakes: Sender<Wake>) {}

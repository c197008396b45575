//! Tells a daemon when the machine's addresses or routes have changed: then a relay that was out of reach may
//! not be any more. Elsewhere than on Linux the next attempt is waited for.

use std::sync::mpsc::Sender;

use super::wake::Wake;

/// Watches until the runtime ends.
#[cfg(target_os = "linux")]
pub(super) fn watch(runtime: &tokio::runtime::Handle, wakes: Sender<Wake>) {
    use rustix::io::Errno;
    use rustix::net::netlink::{self, SocketAddrNetlink};
    use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType};
    use tokio::io::unix::AsyncFd;

    /// Groups of the kernel's routing messages: links, IPv4 and IPv6 addresses.
    const LINKS_AND_ADDRESSES: u32 = 0x1 | 0x10 | 0x100;
    /// A change comes as a burst of messages; they are told as one.
    const BURST: std::time::Duration = std::time::Duration::from_millis(200);

    let opened = || -> rustix::io::Result<_> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket =
            rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, Some(netlink::ROUTE))?;
        rustix::net::bind(&socket, &SocketAddrNetlink::new(0, LINKS_AND_ADDRESSES))?;
        Ok(socket)
    };
    let socket = match opened() {
        Ok(socket) => socket,
        Err(error) => {
            tracing::debug!(%error, "the system does not tell of changes of the network");
            return;
        }
    };
    runtime.spawn(async move {
        let Ok(readable) = AsyncFd::new(socket) else { return };
        loop {
            let Ok(mut ready) = readable.readable().await else { return };
            tokio::time::sleep(BURST).await;
            // What they say does not matter; too many of them at once is an error that says the same.
            let mut buffer = [0u8; 8192];
            loop {
                match rustix::net::recv(readable.get_ref(), &mut buffer[..], RecvFlags::empty()) {
                    Ok((1.., _)) | Err(Errno::NOBUFS) => {}
                    Ok(_) | Err(_) => break,
                }
            }
            ready.clear_ready();
            if wakes.send(Wake::Network).is_err() {
                return;
            }
        }
    });
}

/// The system does not tell.
#[cfg(not(target_os = "linux"))]
pub(super) fn watch(_runtime: &tokio::runtime::Handle, _wakes: Sender<Wake>) {}

//! A stream that is read in small bites by whoever has thousands of them, and from the system in large ones. What was not
//! bitten off yet is kept only until it is.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How much is read from the system at once, in bytes, and so the most that is kept.
const AT_ONCE: usize = 4 << 10;

/// Such a stream.
pub(crate) struct ReadAhead<S> {
    inner: S,
    kept: Vec<u8>,
    /// How much of it has been taken.
    taken: usize,
}

impl<S> ReadAhead<S> {
    pub(crate) fn new(inner: S) -> Self {
        Self { inner, kept: Vec::new(), taken: 0 }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ReadAhead<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.kept.is_empty() {
            if buffer.remaining() >= AT_ONCE {
                return Pin::new(&mut this.inner).poll_read(cx, buffer);
            }
            let mut bytes = [MaybeUninit::uninit(); AT_ONCE];
            let mut read = ReadBuf::uninit(&mut bytes);
            ready!(Pin::new(&mut this.inner).poll_read(cx, &mut read))?;
            let (now, later) = read.filled().split_at(read.filled().len().min(buffer.remaining()));
            buffer.put_slice(now);
            this.kept = later.to_vec();
            return Poll::Ready(Ok(()));
        }
        let rest = this.kept.get(this.taken..).unwrap_or_default();
        let (now, later) = rest.split_at(rest.len().min(buffer.remaining()));
        buffer.put_slice(now);
        this.taken += now.len();
        if later.is_empty() {
            (this.kept, this.taken) = (Vec::new(), 0);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for ReadAhead<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn in_bites_of_any_size_comes_what_was_sent_and_nothing_is_kept_then() {
        let (mut far, near) = tokio::io::duplex(1 << 20);
        let sent: Vec<u8> = (0..100_000_u32).map(|number| number.to_le_bytes()[0]).collect();
        far.write_all(&sent).await.unwrap();
        drop(far);
        let mut stream = ReadAhead::new(near);
        let (mut come, mut size) = (Vec::new(), 1);
        loop {
            let mut bite = vec![0; size];
            let count = stream.read(&mut bite).await.unwrap();
            if count == 0 {
                break;
            }
            come.extend_from_slice(&bite[..count]);
            assert!(stream.kept.len() < AT_ONCE);
            size = size % 6000 + 7;
        }
        assert!(come == sent && stream.kept.capacity() == 0);
    }
}

//! A deadline for what is written: a client that reads a byte now and then does not hold a connection.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep},
};

use super::places::Activity;

/// A stream whose writes fail when the client has not taken all that was written within a time.
pub(super) struct WriteDeadline<'a, T> {
    io: T,
    activity: &'a Activity,
    /// Set from the first write until all is written.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl<'a, T> WriteDeadline<'a, T> {
    pub(super) fn new(io: T, activity: &'a Activity) -> Self {
        Self { io, activity, deadline: None }
    }

    fn checked<V>(&mut self, poll: Poll<io::Result<V>>, context: &mut Context<'_>) -> Poll<io::Result<V>> {
        if poll.is_ready() {
            return poll;
        }
        let patience = self.activity.patience();
        let deadline = self.deadline.get_or_insert_with(|| Box::pin(sleep(patience)));
        match deadline.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }

    /// Fails a write after the deadline, even if the client has just taken a little.
    fn is_late(&self) -> bool {
        self.deadline.as_ref().is_some_and(|deadline| deadline.deadline() <= Instant::now())
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for WriteDeadline<'_, T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(context, buffer)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for WriteDeadline<'_, T> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.is_late() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let poll = Pin::new(&mut self.io).poll_write(context, bytes);
        self.checked(poll, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.is_late() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let poll = Pin::new(&mut self.io).poll_write_vectored(context, bytes);
        self.checked(poll, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.io).poll_flush(context);
        if matches!(poll, Poll::Ready(Ok(()))) {
            self.deadline = None;
            self.activity.sent();
        }
        self.checked(poll, context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.io).poll_shutdown(context);
        self.checked(poll, context)
    }
}

//! How a connection comes to its end: the peer's, that of the daemon, and what is on its way by then.

use std::os::fd::AsFd;
use std::time::Instant;

use rustix::net::Shutdown;

use super::{Connection, Host, LOOK_AGAIN};
use crate::conn::{Conn, Life};
use crate::engine::sockets;
use crate::limits;
use crate::observer::Closed;
use crate::protocol::Why;

impl<H: Host> Connection<H> {
    /// Whether nothing has come for a while, now that the daemon is stopping: then the session may be told.
    /// What was on its way by then is answered like all else, and closing does not make the kernel reset the
    /// connection. Looked at again and again: a socket whose input was ended wakes nobody any more.
    pub(super) fn has_said_all(&self) -> bool {
        let until = Instant::now() + limits::DRAIN_WATCH;
        loop {
            if sockets::has_unread(&*self.stream) {
                return false;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            std::thread::sleep(left.min(LOOK_AGAIN));
        }
    }

    /// The peer is done; or the main thread says so, to have this one come to its end.
    pub(super) fn end_of_input(&mut self) {
        if let Life::Lingering(why) = self.conn.life() {
            if sockets::may_still_send(self.stream.as_fd()) {
                return std::thread::sleep(LOOK_AGAIN);
            }
            return self.conn.fail(why);
        }
        let is_woken = self.host.is_draining() && !sockets::is_peer_done(self.stream.as_fd());
        if is_woken && self.told_to_drain && sockets::may_still_send(self.stream.as_fd()) {
            // No read waits any more, and the session wants what its peer has not sent yet. The grace bounds
            // this.
            return std::thread::sleep(LOOK_AGAIN);
        }
        if !is_woken || self.told_to_drain {
            return self.end(Conn::peer_done);
        }
        if self.has_said_all() {
            self.told_to_drain = true;
            self.end(Conn::drain);
        }
    }

    /// Everything is sent: lingers if input is unread or on its way, for closing then would reset the connection.
    pub(super) fn finish(&mut self, why: Why) {
        // A session that ends before anything was read cannot know what is on its way.
        let unheard = matches!(why, Why::Complete | Why::Refused) && self.moved.read == 0;
        let is_sending = why == Why::BadInput || (why == Why::Shutdown && self.sends_on);
        let may_be_unread = is_sending || unheard || sockets::has_unread(&*self.stream);
        if self.conn.is_peer_done() || !may_be_unread {
            // Before anything else is done for the end, as what was sent last waits for it.
            let _ = rustix::net::shutdown(&*self.stream, Shutdown::Write);
            return self.conn.fail(why);
        }
        // Where this thread was woken by the end of its input, the kernel would reset the connection when more
        // comes after the end of the output. So that waits until the peer is done, too.
        if !self.told_to_drain || !sockets::is_input_ended(self.stream.as_fd()) {
            let _ = rustix::net::shutdown(&*self.stream, Shutdown::Write);
        }
        self.conn.linger(why, self.host.now().after(limits::LINGER));
    }

    pub(super) fn close(&mut self, mut why: Why) {
        if let Some(writer) = &self.writer {
            writer.stop();
            if writer.has_expelled() {
                why = Why::TimedOut;
            }
        }
        if self.is_guest {
            self.call(|conn, env| conn.closed(why, env));
        }
        if let Some(writer) = self.writer.take() {
            // Its last write may be waiting for a peer that does not read.
            let _ = rustix::net::shutdown(&*self.stream, Shutdown::Both);
            self.moved.written += writer.join(self.host.shared());
        }
        if self.is_guest {
            self.note_end(why);
        }
    }

    fn note_end(&self, why: Why) {
        self.host.shared().observer.closed(&Closed {
            service: self.host.services().get(self.service).map_or("", |service| &service.name),
            peer: &self.peer,
            seconds: self.opened.elapsed().as_secs_f64(),
            read: self.moved.read,
            written: self.moved.written,
            why,
        });
    }
}

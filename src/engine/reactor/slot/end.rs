//! The steps to the end of a connection.

use rustix::io::Errno;

use super::super::super::net::Net;
use super::super::Context;
use super::{Marks, Slot};
use crate::conn::Life;
use crate::limits;
use crate::mutation::{Mutant, is_planted};
use crate::protocol::Why;

impl<S> Slot<S> {
    /// Takes the steps of the end that are due: all sent, then (where input may be unread, for closing on
    /// unread input makes the kernel reset the connection and destroy the reply) a short wait for the
    /// peer's end, then close. The kernel is asked: input may have come that no event has told of yet.
    pub(super) fn conclude<N: Net<Stream = S>>(&mut self, context: &mut Context<N>, buffer: &mut [u8]) {
        match self.conn.life() {
            Life::Finishing(why) if self.conn.is_flushed() => {
                if context.net.has_unread(&self.stream) {
                    self.marks.insert(Marks::READABLE);
                }
                // A session that ends before anything was read cannot know what is on its way.
                let unheard = why == Why::Complete && self.moved.read() == 0 && !context.draining;
                let sending = why == Why::BadInput || (why == Why::Shutdown && self.is(Marks::STIRRED));
                let sending = sending || why == Why::Refused;
                let may_be_unread = self.is(Marks::READABLE) || sending || unheard;
                if is_planted(Mutant::LingerSkipped) {
                    self.conn.fail(why);
                } else if self.conn.is_peer_done() || !may_be_unread {
                    // The socket closes at the end of the turn, and what was sent last waits for the end.
                    let _ = context.net.shutdown_write(&self.stream);
                    self.conn.fail(why);
                } else if context.net.shutdown_write(&self.stream).is_err() {
                    self.conn.fail(Why::PeerReset);
                } else {
                    self.conn.linger(why, context.now.after(limits::LINGER));
                    self.drop_input(why, context, buffer);
                }
            }
            Life::Lingering(why) => self.drop_input(why, context, buffer),
            _ => {}
        }
    }

    /// Reads what a peer still sends after the end, up to a bound.
    fn drop_input<N: Net<Stream = S>>(&mut self, why: Why, context: &mut Context<N>, buffer: &mut [u8]) {
        let mut share = limits::READ_PER_TURN;
        while self.is(Marks::READABLE) && share > 0 {
            match context.net.read(&self.stream, buffer) {
                Ok(n) if n > 0 => {
                    self.got(n, buffer.len());
                    share = share.saturating_sub(n);
                    if context.draining {
                        // A drain has an end of its own: until then, whoever sends is heard out.
                        self.conn.linger(why, context.now.after(limits::LINGER));
                    } else if self.conn.has_lingered(n) {
                        return self.conn.fail(why);
                    }
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => self.marks.remove(Marks::READABLE),
                Ok(_) | Err(_) => return self.conn.fail(why),
            }
        }
    }

    /// The network failed, or, where a service wants it to, went wrong on purpose.
    #[cold]
    pub(super) fn broke<N: Net<Stream = S>>(&mut self, error: Errno, context: &Context<N>) {
        match error {
            Errno::SHUTDOWN => self.conn.cut(Why::Fault, context.now.after(limits::LINGER)),
            Errno::CONNABORTED => self.conn.fail(Why::Fault),
            _ => self.conn.fail(Why::PeerReset),
        }
    }
}

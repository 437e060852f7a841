//! Quote of the day (RFC 865): a short text, over TCP and UDP.

use std::sync::Arc;

use serde::Deserialize;

use super::{Answer, Cx, Flow, Handler, Protocol, Why};

/// Longest quote in bytes: the RFC's limit, so that it fits any datagram.
const LONGEST: usize = 512;

/// What a `qotd` service may be told.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// The quote.
    pub quote: String,
}

impl Default for Options {
    fn default() -> Self {
        Self { quote: "Waiting is the only thing a reactor does.".to_owned() }
    }
}

/// Has nothing to remember but what to say.
#[derive(Debug)]
pub struct Qotd {
    options: Arc<Options>,
}

impl Protocol for Qotd {
    type Options = Options;

    fn prepare(options: &Options) -> Result<(), String> {
        if options.quote.len() > LONGEST {
            return Err(format!("a quote may have {LONGEST} bytes at the most"));
        }
        Ok(())
    }

    fn new(options: &Arc<Options>) -> Self {
        Self { options: Arc::clone(options) }
    }
}

impl Handler for Qotd {
    fn open(&mut self, cx: &mut Cx<'_>) -> Flow {
        self.say(cx);
        Flow::Finish(Why::Complete)
    }

    fn input(&mut self, cx: &mut Cx<'_>) -> Flow {
        cx.input.take_all();
        Flow::Continue
    }

    fn datagram(&mut self, _: &[u8], cx: &mut Cx<'_>) -> Answer {
        self.say(cx);
        Answer::Reply
    }
}

impl Qotd {
    fn say(&self, cx: &mut Cx<'_>) {
        cx.out.print(format_args!("{}\r\n", self.options.quote));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::Input;
    use crate::out::{Front, Out};
    use crate::peer::Peer;
    use crate::protocol::ConnId;
    use crate::shared::Shared;
    use crate::show::Show;
    use crate::time::Time;

    /// Calls the handler as an engine does; gives what the peer would get.
    fn said(call: impl FnOnce(&mut Qotd, &mut Cx<'_>)) -> Vec<u8> {
        let (shared, mut out, mut deadline) = (Shared::new(Show::stdout()), Out::default(), Time::NEVER);
        let mut cx = Cx {
            now: Time::START,
            input: Input::new(b""),
            out: &mut out,
            deadline: &mut deadline,
            shared: &shared,
            peer: &Peer::Unix,
            id: ConnId { key: 0, generation: 0 },
        };
        call(&mut Qotd::new(&Arc::new(Options { quote: "Less is more.".to_owned() })), &mut cx);
        match out.front(&[]) {
            Front::Bytes(only, &[]) => only.to_vec(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_connection_and_a_datagram_bring_the_quote() {
        assert_eq!(said(|qotd, cx| assert!(matches!(qotd.open(cx), Flow::Finish(_)))), b"Less is more.\r\n");
        assert_eq!(said(|qotd, cx| assert_eq!(qotd.datagram(b"", cx), Answer::Reply)), b"Less is more.\r\n");
    }

    #[test]
    fn a_quote_that_is_too_long_keeps_the_service_from_starting() {
        let long = Options { quote: "x".repeat(LONGEST + 1) };
        assert!(Qotd::prepare(&long).is_err_and(|reason| reason.contains("512")));
    }
}

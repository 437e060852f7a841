//! stub
use super::{Cx, Flow, Handler, NoOptions, Protocol};
use std::sync::Arc;
/// stub
#[derive(Debug)]
pub struct Http;
impl Protocol for Http {
    type Options = NoOptions;
    fn new(_: &Arc<NoOptions>) -> Self {
        Self
    }
}
impl Handler for Http {
    fn input(&mut self, cx: &mut Cx<'_>) -> Flow {
        cx.input.take_all();
        Flow::Continue
    }
}

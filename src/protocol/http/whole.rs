//! Replies with all of a short file, kept as they are sent: nothing is formatted or copied for them.

use std::sync::Arc;

use super::coding::Coding;
use super::resource::{Content, Form};
use super::today::Today;

/// The replies with each of the forms of a file, once they were asked for.
#[derive(Debug, Default)]
pub(super) struct Wholes([Option<Whole>; 1 + Coding::ALL.len()]);

#[derive(Debug)]
struct Whole {
    /// That its date says.
    second: u64,
    bytes: Arc<[u8]>,
}

impl Wholes {
    /// The reply with all of a form to a usual request, as it is today; none if the form is not in memory.
    #[inline]
    pub(super) fn get(&mut self, form: &Form, today: &Today) -> Option<&Arc<[u8]>> {
        let place = self.0.get_mut(form.coding.map_or(0, |coding| 1 + coding as usize))?;
        if place.as_ref().is_none_or(|whole| whole.second != today.second()) {
            renew(place, form, today)?;
        }
        place.as_ref().map(|whole| &whole.bytes)
    }
}

/// Once a second at the most: only the date is written, unless somebody still sends what is there.
#[cold]
fn renew(place: &mut Option<Whole>, form: &Form, today: &Today) -> Option<()> {
    let Content::Bytes(content) = &form.content else { return None };
    let (second, start) = (today.second(), today.start());
    if let Some(whole) = place
        && let Some(bytes) = Arc::get_mut(&mut whole.bytes)
    {
        whole.second = second;
        bytes.iter_mut().zip(start).for_each(|(to, from)| *to = *from);
    } else {
        let bytes = [start, form.fields.as_bytes(), b"\r\n", content].concat().into();
        *place = Some(Whole { second, bytes });
    }
    Some(())
}

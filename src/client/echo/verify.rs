//! Where a reply differs from what was sent.

use crate::escape::Escaped;

/// Bytes shown on each side of the difference.
const AROUND: usize = 20;

/// What to say of a reply that is not what was sent.
pub(super) fn difference(number: u32, sent: &[u8], came: &[u8]) -> String {
    let same = sent.iter().zip(came).take_while(|(a, b)| a == b).count();
    let (from, to) = (same.saturating_sub(AROUND), same.saturating_add(AROUND));
    let part = |bytes: &[u8]| {
        let before = if from > 0 { "..." } else { "" };
        let after = if to < bytes.len() { "..." } else { "" };
        let part = bytes.get(from..to.min(bytes.len())).unwrap_or_default();
        format!("{before}\"{}\"{after}", Escaped::new(part))
    };
    format!(
        "reply {number} differs at byte {}: sent {} ({} bytes), came {} ({} bytes)",
        same + 1,
        part(sent),
        sent.len(),
        part(came),
        came.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_of_the_difference_is_shown() {
        assert_eq!(
            difference(2, b"Hello there", b"Hello where"),
            "reply 2 differs at byte 7: sent \"Hello there\" (11 bytes), came \"Hello where\" (11 bytes)"
        );
        let (sent, came) = ([b'a'; 100], [b'a'; 50]);
        assert_eq!(
            difference(1, &sent, &came),
            format!(
                "reply 1 differs at byte 51: sent ...\"{0}{0}\"... (100 bytes), came ...\"{0}\" (50 bytes)",
                "a".repeat(20)
            )
        );
    }
}

//! stub
/// The login name
pub fn login_name() -> String {
    ["USER", "LOGNAME"]
        .iter()
        .find_map(|v| std::env::var(v).ok())
        .filter(|n| !n.is_empty())
        .unwrap_or_else(|| "friend".to_owned())
}
/// Durations in options: `"25ms"`, `"5 s"`.
pub mod duration {
    use serde::{Deserialize, Deserializer, de::Error};
    use std::time::Duration;
    /// Reads a friendly duration.
    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(d)?;
        let span: jiff::SignedDuration = text.parse().map_err(D::Error::custom)?;
        Duration::try_from(span).map_err(D::Error::custom)
    }
}

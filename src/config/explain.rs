//! serde's complaints about a setting, in the words of this program.

/// Whether serde says that a key is none of the known ones.
pub(super) fn is_unknown_key(message: &str) -> bool {
    message.starts_with("unknown field ")
}

/// The complaint in plain words; `shared` are keys that are known besides those serde knows.
pub(super) fn explain(message: &str, shared: &[&str]) -> String {
    let first = message.lines().next().unwrap_or_default();
    // What is quoted may have lines of its own.
    let mut quoted = message.split('`').skip(1).step_by(2);
    if is_unknown_key(first) {
        let bad = quoted.next().unwrap_or_default();
        let known: Vec<&str> = quoted.chain(shared.iter().copied()).collect();
        return format!("unknown key \"{bad}\"; it knows {}", known.join(", "));
    }
    if first.starts_with("unknown variant ") {
        let bad = quoted.next().unwrap_or_default();
        let known: Vec<&str> = quoted.collect();
        return format!("\"{bad}\" is none of {}", known.join(", "));
    }
    let plain = first.replace('`', "").replace("invalid type: ", "wrong type: ");
    let whole = ["usize", "u64", "u32", "u16", "u8"].map(|name| format!("expected {name}"));
    match whole.iter().find_map(|ending| plain.strip_suffix(ending.as_str())) {
        Some(start) => format!("{start}expected a whole number"),
        None => plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_are_plain() {
        let number = explain("invalid value: integer `-1`, expected usize", &[]);
        assert_eq!(number, "invalid value: integer -1, expected a whole number");
        let unknown = "unknown field `modee`, expected one of `mode`, `name`";
        assert_eq!(explain(unknown, &["port"]), "unknown key \"modee\"; it knows mode, name, port");
        assert_eq!(
            explain("unknown field `x`, there are no fields", &["port"]),
            "unknown key \"x\"; it knows port"
        );
        let variant = "unknown variant `loud`, expected `append` or `upper`";
        assert_eq!(explain(variant, &[]), "\"loud\" is none of append, upper");
        assert_eq!(
            explain("invalid type: integer `5`, expected a string\n", &[]),
            "wrong type: integer 5, expected a string"
        );
    }
}

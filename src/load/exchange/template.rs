//! What a `modify` server makes of a line: given with `--expect`, or learnt from two answers.

use serde::{Deserialize, Serialize};

/// A reply with holes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Part {
    Text(Vec<u8>),
    /// `{}`
    Message,
    /// `{length}`
    Length,
    /// `{reverse}`
    Reverse,
    /// `{upper}`
    Upper,
}

const HOLES: &[(&str, Part)] = &[
    ("{}", Part::Message),
    ("{length}", Part::Length),
    ("{reverse}", Part::Reverse),
    ("{upper}", Part::Upper),
];

impl Template {
    /// Reads `{} Ali`, `Here's the data: {}`, `{length}`, `{reverse}`, `{upper}`, and mixtures.
    ///
    /// # Errors
    /// A hole of no known name.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find('{') {
            let (before, from) = rest.split_at(at);
            push_text(&mut parts, before.as_bytes());
            let known = HOLES.iter().find(|(name, _)| from.starts_with(name));
            let (name, part) = known.ok_or_else(|| {
                format!("{text:?}: a hole is written {{}}, {{length}}, {{reverse}} or {{upper}}")
            })?;
            parts.push(part.clone());
            rest = from.get(name.len()..).unwrap_or_default();
        }
        push_text(&mut parts, rest.as_bytes());
        Ok(Self(parts))
    }

    /// Finds out what makes `replies` of `lines`, both with their line ends.
    pub fn learn(pairs: &[(Vec<u8>, Vec<u8>)]) -> Option<Self> {
        let (line, reply) = pairs.first()?;
        let body = reply.strip_suffix(b"\n")?;
        let mut known: Vec<Self> = HOLES
            .iter()
            .map(|(_, part)| part.clone())
            .filter_map(|part| {
                let message = part.fill(without_end(line));
                let at = memchr::memmem::find(body, &message)?;
                let mut parts = Vec::new();
                push_text(&mut parts, body.get(..at)?);
                parts.push(part);
                push_text(&mut parts, body.get(at + message.len()..)?);
                Some(Self(parts))
            })
            .collect();
        known.retain(|template| pairs.iter().all(|(line, reply)| template.reply(line) == *reply));
        // The first that fits: the message as it was before what was made of it.
        known.into_iter().next()
    }

    /// What comes back for a line; it ends as the line does.
    pub fn reply(&self, line: &[u8]) -> Vec<u8> {
        let message = without_end(line);
        let mut reply: Vec<u8> = self.0.iter().flat_map(|part| part.fill(message)).collect();
        reply.extend_from_slice(line.get(message.len()..).unwrap_or_default());
        reply
    }
}

impl std::fmt::Display for Template {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for part in &self.0 {
            match part {
                Part::Text(text) => write!(f, "{}", crate::escape::Escaped::new(text))?,
                hole => {
                    let known = HOLES.iter().find(|(_, part)| part == hole);
                    f.write_str(known.map_or("", |(name, _)| name))?;
                }
            }
        }
        Ok(())
    }
}

impl Part {
    /// As the labs' Python programs do it: in characters.
    fn fill(&self, message: &[u8]) -> Vec<u8> {
        let text = String::from_utf8_lossy(message);
        match self {
            Self::Text(text) => text.clone(),
            Self::Message => message.to_vec(),
            Self::Length => text.chars().count().to_string().into_bytes(),
            Self::Reverse => text.chars().rev().collect::<String>().into_bytes(),
            Self::Upper => text.to_uppercase().into_bytes(),
        }
    }
}

fn push_text(parts: &mut Vec<Part>, text: &[u8]) {
    if !text.is_empty() {
        parts.push(Part::Text(text.to_vec()));
    }
}

fn without_end(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\n").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_that_the_labs_modify_is_learnt() {
        for text in ["{} Ali", "Here's the data: {}", "{length}", "{reverse}", "{upper}", "<{upper}>"] {
            let template = Template::parse(text).unwrap();
            let pairs = ["000000 naïve\n", "000012 x\n"]
                .map(|line| (line.as_bytes().to_vec(), template.reply(line.as_bytes())));
            assert_eq!(Template::learn(&pairs).map(|learnt| learnt.to_string()), Some(text.to_owned()));
        }
    }

    #[test]
    fn what_does_not_depend_on_the_line_alone_is_not_learnt() {
        let pairs = |first: &str, second: &str| {
            [(b"a1\n".to_vec(), first.as_bytes().to_vec()), (b"b22\n".to_vec(), second.as_bytes().to_vec())]
        };
        assert_eq!(Template::learn(&pairs("1: a1\n", "2: b22\n")), None);
        assert_eq!(Template::learn(&pairs("ok\n", "ok\n")), None);
        assert_eq!(Template::learn(&[]), None);
    }

    #[test]
    fn holes_have_names() {
        assert!(Template::parse("{lenght}").unwrap_err().contains("{length}"));
        let all = Template::parse("{} {length} {reverse} {upper}").unwrap();
        assert_eq!(all.reply("aß\n".as_bytes()), "aß 2 ßa ASS\n".as_bytes());
    }
}

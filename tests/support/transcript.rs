//! Transcripts in a page: what is typed at which terminal, and what it shows.
//!
//! ```console
//! # terminal 1                       the terminal that what follows belongs to
//! $ python3 server.py 9090           a command; with & at its end the terminal does not wait for it
//! Connected by <address>             what it shows; <any>, <number>, <time>, .. stand for what differs
//!                                    an empty line before a terminal is for the eye
//! # terminal 2 on 192.0.2.2          a terminal of another machine
//! $ telnet 192.0.2.1 9090
//! > Hello                            what is typed; <Esc>, <Ctrl-C>, <Ctrl-D> and <Ctrl-]> are keys
//!                                    (after a command with --raw, which shows such lines, it is output)
//! >>> 6 * 7                          what is typed to Python, with its own prompt
//! ...                                any lines
//! ```

/// A block of the page.
#[derive(Debug)]
pub struct Block {
    /// The nearest heading above.
    pub heading: String,
    /// The line of the page where it begins, from 1.
    pub line: usize,
    /// What its fence names: `console`, mostly.
    pub language: String,
    pub text: Vec<String>,
}

/// A line of a transcript.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    Terminal { name: String, machine: usize },
    Run { command: String, is_background: bool },
    Type(String),
    Expect(String),
    Skip,
}

/// All the fenced blocks of a page.
pub fn blocks(page: &str) -> Vec<Block> {
    let (mut blocks, mut heading, mut open): (Vec<Block>, _, _) = (Vec::new(), String::new(), false);
    for (number, line) in page.lines().enumerate() {
        match line.strip_prefix("```") {
            Some(_) if open => open = false,
            Some(language) => {
                open = true;
                let (heading, language) = (heading.clone(), language.to_owned());
                blocks.push(Block { heading, line: number + 1, language, text: Vec::new() });
            }
            None if open => blocks.last_mut().unwrap().text.push(line.to_owned()),
            None if line.starts_with('#') => line.trim_start_matches(['#', ' ']).clone_into(&mut heading),
            None => {}
        }
    }
    assert!(!open, "a block has no end");
    blocks
}

impl Block {
    pub fn steps(&self) -> Vec<Step> {
        let next = self.text.iter().skip(1).map(String::as_str).chain([""]);
        // An empty line before a terminal is for the eye.
        let is_gap = |line: &str, next: &str| line.is_empty() && next.starts_with("# ");
        let lines = self.text.iter().zip(next).filter(|(line, next)| !is_gap(line, next));
        let mut is_raw = false;
        let steps = lines.map(|(line, _)| match step(line) {
            Step::Type(_) if is_raw => Step::Expect(line.clone()),
            step => {
                if let Step::Run { command, .. } = &step {
                    is_raw = command.contains(" --raw");
                }
                step
            }
        });
        steps.collect()
    }

    pub fn commands(&self) -> Vec<String> {
        let commands = self.steps().into_iter().filter_map(|step| match step {
            Step::Run { command, .. } => Some(command),
            _ => None,
        });
        commands.collect()
    }

    /// How many machines it needs.
    pub fn machines(&self) -> usize {
        let numbers = self.steps().into_iter().filter_map(|step| match step {
            Step::Terminal { machine, .. } => Some(machine + 1),
            _ => None,
        });
        numbers.max().unwrap_or(1)
    }
}

fn step(line: &str) -> Step {
    if let Some(name) = line.strip_prefix("# ") {
        let machine = usize::from(name.ends_with(" on 192.0.2.2"));
        return Step::Terminal { name: name.to_owned(), machine };
    }
    if let Some(command) = line.strip_prefix("$ ") {
        let shorter = command.strip_suffix(" &");
        return Step::Run {
            command: shorter.unwrap_or(command).to_owned(),
            is_background: shorter.is_some(),
        };
    }
    if let Some(typed) = line.strip_prefix(">>> ").or_else(|| line.strip_prefix("> ")) {
        return Step::Type(typed.to_owned());
    }
    if line == "..." { Step::Skip } else { Step::Expect(line.to_owned()) }
}

/// What stands for something that differs each time: its name, which characters, how many of them at least.
type Marker = (&'static str, fn(char) -> bool, usize);

const MARKERS: [Marker; 6] = [
    ("<any>", |_| true, 0),
    ("<number>", |c| c.is_ascii_digit() || matches!(c, '.' | ',' | '+' | '-'), 1),
    ("<port>", |c| c.is_ascii_digit(), 1),
    ("<time>", |c| c.is_alphanumeric() || ":+-. ".contains(c), 8),
    ("<address>", |c| c.is_ascii_hexdigit() || matches!(c, '.' | ':'), 3),
    ("<sha256>", |c| c.is_ascii_hexdigit(), 64),
];

/// Whether a line of output is what the page has there.
pub fn matches(pattern: &str, line: &str) -> bool {
    let first =
        MARKERS.iter().filter_map(|marker| Some((pattern.find(marker.0)?, marker))).min_by_key(|m| m.0);
    let Some((at, (name, allowed, least))) = first else { return pattern == line };
    let Some(rest) = line.strip_prefix(&pattern[..at]) else { return false };
    let pattern = &pattern[at + name.len()..];
    let run = rest.chars().take_while(|c| allowed(*c)).count();
    let mut ends = rest.char_indices().map(|(end, _)| end).chain([rest.len()]).take(run + 1).skip(*least);
    ends.any(|end| matches(pattern, &rest[end..]))
}

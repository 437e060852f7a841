//! What people see when the daemon starts: what listens where, and a line to try for each.

use std::fmt::Write as _;
use std::io::IsTerminal;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsFd;

use crate::bind::Bound;
use crate::engine::{self, Engine, Serving};
use crate::protocol::{Kind, Row, TABLE};
use crate::service::{Address, Service};

pub(crate) mod lan;
mod place;
mod table;
#[cfg(test)]
mod tests;

use place::Spot;
use table::{Cell, Rows, Style};

/// What is written on.
#[derive(Debug, Clone, Copy)]
pub struct Screen {
    /// Width in columns; unbounded where there is no terminal.
    pub columns: usize,
    /// Whether colours are wanted.
    pub colours: bool,
}

impl Screen {
    /// The terminal behind a stream, if there is one. `NO_COLOR` is heeded.
    pub fn of(stream: &(impl AsFd + IsTerminal)) -> Self {
        let size = rustix::termios::tcgetwinsize(stream).ok().filter(|size| size.ws_col > 0);
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        Self {
            columns: size.map_or(usize::MAX, |size| size.ws_col.into()),
            colours: stream.is_terminal() && !no_color && !dumb,
        }
    }
}

/// The list of services, a line each: name, default port, what it does, where it is specified.
/// With an engine, how it serves each, in place of the last two.
pub fn services(engine: Option<Engine>, screen: &Screen) -> String {
    match engine {
        None => all_services(screen),
        Some(engine) => {
            let title = format!("--engine {}: {}\n\n", engine.name(), engine.about());
            title + &table::render([served_rows(engine, true), served_rows(engine, false)], "  ", screen)
        }
    }
}

/// How an engine serves each service.
fn served_rows(engine: Engine, with_port: bool) -> Rows {
    let cells = |row: &Row| {
        let mut cells = vec![Cell::new(Style::Name, row.name)];
        if with_port {
            cells.push(Cell::new(Style::Plain, format!("{:>5}", row.port)));
            cells.push(Cell::new(Style::Dim, row.transport.name()));
        }
        cells.push(match engine.serving(row) {
            Serving::Served(how) => Cell::new(Style::Plain, how),
            Serving::Refused(reason) => Cell::new(Style::Loud, format!("not served: {reason}")),
        });
        cells
    };
    TABLE.iter().map(cells).collect()
}

fn all_services(screen: &Screen) -> String {
    let rows = |with_source: bool| {
        let cells = |row: &Row| {
            let mut cells = vec![
                Cell::new(Style::Name, row.name),
                Cell::new(Style::Plain, format!("{:>5}", row.port)),
                Cell::new(Style::Dim, row.transport.name()),
                Cell::new(Style::Plain, row.does),
            ];
            cells.extend(with_source.then(|| Cell::new(Style::Dim, row.source)));
            cells
        };
        TABLE.iter().map(cells).collect()
    };
    table::render([rows(true), rows(false)], "", screen)
}

/// What is there to be told about a start.
#[derive(Debug)]
pub struct Start<'a> {
    /// The services.
    pub services: &'a [Service],
    /// What listens, and what does not.
    pub bound: &'a Bound,
    /// The limit on open descriptors.
    pub descriptors: u64,
    /// Whether somebody may press Esc.
    pub keys: bool,
}

impl Start<'_> {
    /// The whole of it.
    pub fn text(&self, screen: &Screen) -> String {
        let mut text = String::new();
        let title = format!("switchboard {}", env!("CARGO_PKG_VERSION"));
        let _ = writeln!(text, "{}{}\n", Style::Name.paint(&title, screen), self.whereabouts());
        text.push_str(&table::render(Layout::ALL.map(|layout| self.rows(layout)), "  ", screen));
        text.push('\n');
        if let Some(note) = self.open_note() {
            let _ = writeln!(text, "{}", Style::Loud.paint(&note, screen));
        }
        let stop = if self.keys { "Ctrl-C (or Esc) stops it" } else { "Ctrl-C stops it" };
        let _ = writeln!(text, "{}\n{stop}", self.capacity());
        text
    }

    /// Where a browser finds the console, or else the first http service; an address that others can use
    /// if it is open.
    pub fn web_address(&self) -> Option<String> {
        self.address_of(Kind::Console).or_else(|| self.address_of(Kind::Http))
    }

    fn address_of(&self, kind: Kind) -> Option<String> {
        let is_wanted = |service: &Service| service.row.kind == kind;
        self.bound.listeners.iter().find_map(|listener| match listener.address {
            Address::Tcp(at) if self.services.get(listener.service).is_some_and(is_wanted) => {
                Some(SocketAddr::new(lan::usable(at.ip()), at.port()).to_string())
            }
            _ => None,
        })
    }

    /// ` on 127.0.0.1 and ::1`.
    fn whereabouts(&self) -> String {
        let mut ips: Vec<String> = Vec::new();
        for ip in self.ips() {
            let ip = ip.to_string();
            if !ips.contains(&ip) {
                ips.push(ip);
            }
        }
        match ips.split_last() {
            None => String::new(),
            Some((only, [])) => format!(" on {only}"),
            Some((last, rest)) => format!(" on {} and {last}", rest.join(", ")),
        }
    }

    fn ips(&self) -> impl Iterator<Item = IpAddr> {
        self.bound.listeners.iter().filter_map(|listener| match listener.address {
            // Nobody's own address.
            Address::Udp(at) if listener.outlet.is_some() && !at.ip().is_unspecified() => None,
            Address::Tcp(at) | Address::Udp(at) => Some(at.ip()),
            Address::Unix(_) => None,
        })
    }

    fn rows(&self, layout: Layout) -> Rows {
        let mut rows = Rows::new();
        for (index, service) in self.services.iter().enumerate() {
            let mut name = service.name.as_str();
            for spot in Spot::all(self.bound, index) {
                rows.push(row(name, service, &spot, layout));
                name = "";
            }
            for refused in self.bound.refused.iter().filter(|refused| refused.service == index) {
                let off = format!("off: {}", refused.reason);
                rows.push(vec![Cell::new(Style::Name, name), Cell::new(Style::Loud, off).spanning()]);
            }
        }
        rows
    }

    /// What an open address means, with the addresses that others can use.
    fn open_note(&self) -> Option<String> {
        let has = |ip: IpAddr| self.ips().any(|bound| bound == ip);
        let (v4, v6) = (has(Ipv4Addr::UNSPECIFIED.into()), has(Ipv6Addr::UNSPECIFIED.into()));
        if !v4 && !v6 {
            return None;
        }
        let addresses: Vec<String> = lan::addresses()
            .into_iter()
            .filter(|ip| if ip.is_ipv4() { v4 } else { v6 })
            .map(|ip| ip.to_string())
            .collect();
        let at = if addresses.is_empty() { String::new() } else { format!(", at {}", addresses.join(", ")) };
        Some(format!("OPEN: everyone who can reach this machine can connect{at}"))
    }

    /// `room for 19,905 connections (20,000 descriptors)`.
    fn capacity(&self) -> String {
        let room = engine::capacity(self.descriptors, self.bound.listeners.len()) as u64;
        format!("room for {} connections ({} descriptors)", grouped(room), grouped(self.descriptors))
    }
}

/// How much of the table is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    Full,
    /// Without what the services do.
    Narrow,
    /// Without the addresses too; the heading has them.
    Narrowest,
}

impl Layout {
    const ALL: [Self; 3] = [Self::Full, Self::Narrow, Self::Narrowest];
}

fn row(name: &str, service: &Service, spot: &Spot, layout: Layout) -> Vec<Cell> {
    let place = if layout == Layout::Narrowest { spot.short() } else { spot.to_string() };
    let mut cells = vec![
        Cell::new(Style::Name, name),
        Cell::new(Style::Plain, place),
        Cell::new(Style::Dim, spot.transport()),
    ];
    if layout == Layout::Full {
        cells.push(Cell::new(Style::Plain, service.does()));
    }
    cells.push(Cell::new(Style::Try, spot.try_it(service.row)));
    cells
}

/// `20,000`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

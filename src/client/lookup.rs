//! `lookup`: the labs' gethostname, gethostbyname and gethostbyaddr in one.
//!
//! It asks what programs ask, the system's resolver (`getaddrinfo`, `getnameinfo`), which looks into
//! `/etc/hosts` before it asks a name server. So it shows what a client would connect to.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::output::Output;
use super::{Common, Error, Target, wait};
use crate::escape::Escaped;
use crate::start::lan;

const EXAMPLES: &str = "\
Examples:
  switchboard lookup               this machine, and the addresses that others use
  switchboard lookup localhost     the addresses of a name
  switchboard lookup 192.168.1.5   the name of an address";

/// What to look up.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// A name or an address; this machine if there is none [e.g. localhost, or 192.168.1.5]
    #[arg(value_name = "NAME|ADDRESS")]
    pub what: Option<String>,

    /// -4, -6, --timeout.
    #[command(flatten)]
    pub common: Common,
}

/// Shows what is found.
///
/// # Errors
/// There is no such name, or the address has none.
pub fn run(args: &Args) -> Result<(), Error> {
    let rows = match &args.what {
        None => this_machine(&args.common)?,
        Some(text) => match address(text) {
            Some(ip) => vec![of_address(ip, args.common.timeout)?],
            None => of_name(text, &args.common)?,
        },
    };
    show(&rows)
}

/// A question and its answer.
type Row = (String, String);

fn this_machine(common: &Common) -> Result<Vec<Row>, Error> {
    let name = dns_lookup::get_hostname()
        .map_err(|error| Error::File { what: "the name of this machine".to_owned(), error })?;
    let mut rows = vec![("gethostname()".to_owned(), Escaped::new(name.as_bytes()).to_string())];
    // That a machine's own name means nothing is common, and no reason to keep the rest back.
    match of_name(&name, common) {
        Ok(found) => rows.extend(found),
        Err(error) => rows.push((by_name(&name), error.to_string())),
    }
    let family = common.family();
    let lan = lan::addresses().into_iter().filter(|ip| family.has(&SocketAddr::new(*ip, 0)));
    let mut lan: Vec<Row> = lan.map(|ip| (String::new(), ip.to_string())).collect();
    if lan.is_empty() {
        lan.push((String::new(), "nothing: this machine is on no network".to_owned()));
    }
    if let Some((question, _)) = lan.first_mut() {
        "others on the LAN use".clone_into(question);
    }
    rows.append(&mut lan);
    Ok(rows)
}

/// The addresses of a name, and what they are called.
fn of_name(name: &str, common: &Common) -> Result<Vec<Row>, Error> {
    let target = Target { host: name.to_owned(), port: 0 };
    let mut ips: Vec<IpAddr> = Vec::new();
    for address in target.addresses(common.family(), common.timeout)? {
        if !ips.contains(&address.ip()) {
            ips.push(address.ip());
        }
    }
    let mut rows: Vec<Row> = ips.iter().map(|ip| (String::new(), ip.to_string())).collect();
    if let Some((question, _)) = rows.first_mut() {
        *question = by_name(name);
    }
    for ip in ips {
        let row = of_address(ip, common.timeout);
        rows.push(row.unwrap_or_else(|_| (by_address(ip), "no name".to_owned())));
    }
    Ok(rows)
}

fn of_address(ip: IpAddr, timeout: Duration) -> Result<Row, Error> {
    match wait::in_time(timeout, move || dns_lookup::lookup_addr(&ip)) {
        Some(Ok(name)) => Ok((by_address(ip), Escaped::new(name.as_bytes()).to_string())),
        Some(Err(_)) => Err(Error::Network(format!(
            "{ip}: it has no name here; most machines on a LAN have none, use the address itself"
        ))),
        None => Err(Error::Network(format!("{ip}: timed out; does the name server answer?"))),
    }
}

fn by_name(name: &str) -> String {
    format!("gethostbyname(\"{}\")", Escaped::new(name.as_bytes()))
}

fn by_address(ip: IpAddr) -> String {
    format!("gethostbyaddr(\"{ip}\")")
}

/// An address, in brackets or not.
fn address(text: &str) -> Option<IpAddr> {
    let inner = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    inner.unwrap_or(text).parse().ok()
}

fn show(rows: &[Row]) -> Result<(), Error> {
    let width = rows.iter().map(|(question, _)| question.chars().count()).max().unwrap_or(0);
    let mut output = Output::new();
    for (question, answer) in rows {
        output.line(format_args!("{question:<width$}  {answer}"))?;
    }
    Ok(())
}

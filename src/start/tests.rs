//! What the start looks like, without a socket of a known port.

use super::*;
use crate::bind::Refused;
use crate::protocol::Options;
use crate::service::Listener;

fn service(name: &str, options: &str) -> Service {
    let row = Row::find(name).unwrap();
    Service {
        name: name.to_owned(),
        row,
        options: Options::parse(row.kind, options.parse().unwrap()).unwrap(),
        policy: crate::access::Policy::default(),
    }
}

fn services() -> Vec<Service> {
    ["http", "echo", "chat"].map(|name| service(name, "")).into()
}

fn bound() -> Bound {
    let listener = |service, address| {
        let socket = std::fs::File::open("/").unwrap().into();
        Listener { service, address, socket, outlet: None, given: false }
    };
    Bound {
        listeners: vec![
            listener(0, Address::Tcp("[::1]:8080".parse().unwrap())),
            listener(1, Address::Tcp("127.0.0.1:7007".parse().unwrap())),
            listener(1, Address::Udp("127.0.0.1:7007".parse().unwrap())),
            listener(1, Address::Unix("/tmp/e".into())),
        ],
        refused: vec![Refused { service: 2, reason: "port 8989 is in use".into() }],
    }
}

fn text(columns: usize) -> String {
    let (services, bound) = (services(), bound());
    let start = Start { services: &services, bound: &bound, descriptors: 1082, keys: true };
    start.text(&Screen { columns, colours: false })
}

#[test]
fn a_wide_screen_shows_everything() {
    let title = format!("switchboard {} on ::1 and 127.0.0.1", env!("CARGO_PKG_VERSION"));
    let expected = [
        title.as_str(),
        "",
        "  http  [::1]:8080      tcp      files of a directory, with listings  curl http://[::1]:8080/",
        "  echo  127.0.0.1:7007  tcp+udp  sends back what it gets              nc 127.0.0.1 7007",
        "        /tmp/e          unix     sends back what it gets              nc -U /tmp/e",
        "  chat  off: port 8989 is in use",
        "",
        "room for 1,000 connections (1,082 descriptors)",
        "Ctrl-C (or Esc) stops it",
    ];
    assert_eq!(text(usize::MAX).lines().collect::<Vec<_>>(), expected);
}

#[test]
fn what_a_service_does_follows_its_options() {
    let (bound, screen) = (bound(), Screen { columns: usize::MAX, colours: false });
    let mut services = services();
    let words = |services: &[Service]| {
        let start = Start { services, bound: &bound, descriptors: 1082, keys: true }.text(&screen);
        // The console's page has the same words.
        let spots: Vec<_> = bound.listeners.iter().map(Listener::spot).collect();
        let entries = crate::directory::entries(services, &spots);
        assert!(
            start.lines().any(|row| row.trim_start().starts_with("http ") && row.contains(entries[0].does))
        );
        entries[0].does
    };
    assert_eq!(words(&services), "files of a directory, with listings");
    services[0] = service("http", "listing = false");
    assert_eq!(words(&services), "files of a directory, without listings");
}

#[test]
fn a_narrow_screen_is_not_exceeded() {
    for columns in [60, 80, 100] {
        let text = text(columns);
        assert!(text.lines().all(|line| line.chars().count() <= columns), "{text}");
        assert!(text.contains("curl http://[::1]:8080/"), "{text}");
    }
}

#[test]
fn the_list_of_services_names_all_and_fits_a_terminal() {
    for columns in [80, usize::MAX] {
        let text = super::services(None, &Screen { columns, colours: false });
        assert_eq!(text.lines().count(), TABLE.len());
        assert!(text.lines().all(|line| line.chars().count() <= columns), "{text}");
    }
}

#[test]
fn numbers_are_grouped() {
    assert_eq!(["0", "999", "1,000", "1,048,576"], [0, 999, 1000, 1_048_576].map(grouped)[..]);
}

#[test]
fn a_browser_is_sent_to_an_address_it_can_use() {
    let (services, mut bound) = (services(), bound());
    bound.listeners[0].address = Address::Tcp("0.0.0.0:8080".parse().unwrap());
    let start = Start { services: &services, bound: &bound, descriptors: 100, keys: false };
    let address = start.web_address().unwrap();
    assert!(address.ends_with(":8080") && !address.starts_with("0.0.0.0"), "{address}");
}

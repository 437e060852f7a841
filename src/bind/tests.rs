//! Sockets that are really bound, on ports that the system chooses.

use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};
use std::os::unix::net::{UnixListener, UnixStream};

use super::*;
use crate::protocol::{Options, Row};

fn service(name: &str) -> Service {
    let row = Row::find(name).unwrap();
    Service {
        name: name.to_owned(),
        row,
        options: Options::parse(row.kind, toml::Table::new()).unwrap(),
        policy: crate::access::Policy::default(),
    }
}

fn loopback() -> Vec<Host> {
    vec![
        Host { ip: Ipv4Addr::LOCALHOST.into(), optional: false },
        Host { ip: Ipv6Addr::LOCALHOST.into(), optional: true },
    ]
}

fn place(service: usize, port: u16, udp: bool, origin: Origin) -> Place {
    Place { service, at: At::Port { hosts: loopback(), port, tcp: true, udp }, origin }
}

fn flag() -> Origin {
    Origin::Argument("--port".to_owned())
}

fn port(address: &Address) -> u16 {
    match address {
        Address::Tcp(at) | Address::Udp(at) => at.port(),
        Address::Unix(_) => panic!("a path has no port"),
    }
}

#[test]
fn port_0_is_one_number_everywhere() {
    let bound = bind(&[service("echo")], &[place(0, 0, true, flag())]).unwrap();
    let first = port(&bound.listeners[0].address);
    assert!(first > 0);
    assert!(bound.listeners.iter().all(|listener| port(&listener.address) == first));
    let transports: Vec<_> = bound.listeners.iter().map(|listener| listener.address.transport()).collect();
    // A machine without IPv6 has half of them.
    assert!(transports == ["tcp", "tcp", "udp", "udp"] || transports == ["tcp", "udp"], "{transports:?}");
}

#[test]
fn a_datagram_that_comes_at_once_says_where_it_was_sent_to() {
    use nix::sys::socket::{getsockopt, sockopt};
    let bound = bind(&[service("echo")], &[place(0, 0, true, flag())]).unwrap();
    for listener in &bound.listeners {
        match listener.address {
            Address::Udp(at) if at.is_ipv4() => {
                assert!(getsockopt(&listener.socket, sockopt::Ipv4PacketInfo).unwrap());
            }
            Address::Udp(_) => assert!(getsockopt(&listener.socket, sockopt::Ipv6RecvPacketInfo).unwrap()),
            _ => {}
        }
    }
}

#[test]
fn a_named_port_that_is_taken_is_fatal_and_says_who_has_it() {
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = other.local_addr().unwrap().port();
    let said = bind(&[service("echo")], &[place(0, taken, true, flag())]).unwrap_err().to_string();
    let start = format!("--port: service echo: port {taken} (127.0.0.1) is ");
    assert!(said.starts_with(&start), "{said}");
    if cfg!(target_os = "linux") {
        assert!(said.ends_with(&format!("(pid {})", std::process::id())), "{said}");
    }
}

#[test]
fn a_default_gives_way_and_the_others_start() {
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = other.local_addr().unwrap().port();
    let services = [service("http"), service("echo")];
    let places = [place(0, taken, false, Origin::Default), place(1, 0, true, Origin::Default)];
    let bound = bind(&services, &places).unwrap();
    assert!(bound.listeners.iter().all(|listener| listener.service == 1));
    assert_eq!(bound.refused.len(), 1);
    assert_eq!(bound.refused[0].service, 0);
    assert!(bound.refused[0].reason.starts_with(&format!("port {taken} (127.0.0.1) is taken by")));

    let said = bind(&services[..1], &places[..1]).unwrap_err().to_string();
    assert!(said.starts_with("service http: port"), "nothing could start: {said}");
}

#[test]
fn a_default_gives_way_to_a_named_port_of_our_own() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let number = free.local_addr().unwrap().port();
    drop(free);
    let services = [service("http"), service("modify")];
    let places = [place(0, number, false, Origin::Default), place(1, number, false, flag())];
    let bound = bind(&services, &places).unwrap();
    assert_eq!(bound.listeners[0].service, 1);
    assert!(bound.refused[0].reason.ends_with("is taken by the service modify"));
}

#[test]
fn an_address_that_is_missing_matters_only_if_it_was_named() {
    let missing = |optional| Place {
        service: 0,
        at: At::Port {
            hosts: vec![loopback()[0], Host { ip: Ipv4Addr::new(192, 0, 2, 77).into(), optional }],
            port: 0,
            tcp: true,
            udp: true,
        },
        origin: Origin::Default,
    };
    assert_eq!(bind(&[service("echo")], &[missing(true)]).unwrap().listeners.len(), 2);
    let said = bind(&[service("echo")], &[missing(false)]).unwrap_err().to_string();
    assert!(said.ends_with("(192.0.2.77): this machine has no such address"), "{said}");
}

#[test]
fn a_stale_socket_file_is_replaced_and_a_live_one_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists(), "left behind");
    let wanted = [Place { service: 0, at: At::Unix(path.clone()), origin: flag() }];
    let bound = bind(&[service("echo")], &wanted).unwrap();
    UnixStream::connect(&path).unwrap();

    let said = bind(&[service("echo")], &wanted).unwrap_err().to_string();
    assert!(said.ends_with("s is in use"), "{said}");
    UnixStream::connect(&path).unwrap();
    drop(SocketFiles::of(&bound.listeners));
    assert!(!path.exists());
}

#[test]
fn a_file_that_is_no_socket_is_never_removed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("precious");
    std::fs::write(&path, "data").unwrap();
    let wanted = [Place { service: 0, at: At::Unix(path.clone()), origin: flag() }];
    assert!(bind(&[service("echo")], &wanted).is_err());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "data");
}

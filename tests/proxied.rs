//! Behind a proxy: who is there is whom the proxy names, if it is one that is trusted.
// The helpers below belong to the tests as much as the tests do.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use rustix::process::Signal;

mod support;

use support::daemon::engines;
use support::{Daemon, PATIENCE, Program, Start, have, left_out, wait_for};

/// Version 2: 203.0.113.9:1234, to 192.0.2.1:80, and something behind the addresses.
const BINARY: &[u8] =
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x11\xcb\0\x71\x09\xc0\0\x02\x01\x04\xd2\0\x50\x04\0\x02hi";
const LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";

/// Sends these pieces one after the other, then ends its side; gives all that comes.
fn talk(daemon: &Daemon, service: &str, pieces: &[&[u8]]) -> String {
    let mut stream = TcpStream::connect(daemon.tcp(service)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    for (index, piece) in pieces.iter().enumerate() {
        if index > 0 {
            // That they arrive as pieces is likely, not needed: any split must give the same.
            std::thread::sleep(Duration::from_millis(2));
        }
        // It may be closed before it has said everything.
        if stream.write_all(piece).is_err() {
            break;
        }
    }
    let _ = stream.shutdown(Shutdown::Write);
    let mut got = Vec::new();
    // A reset is an end as well, when input is unread.
    let _ = stream.read_to_end(&mut got);
    String::from_utf8(got).unwrap()
}

/// Waits for a line of the log that has all of these words.
fn logged(daemon: &Daemon, words: &[&str]) {
    let all = |line: &&str| words.iter().all(|word| line.contains(word));
    let has = || String::from_utf8_lossy(&daemon.stderr()).lines().find(all).map(str::to_owned);
    assert!(wait_for(PATIENCE, has).is_some(), "{words:?}\n{}", daemon.output());
}

/// The counter of connections that were closed before it was known whose they are.
fn refused(daemon: &Daemon, service: &str, count: usize) {
    daemon.signal(Signal::USR1);
    logged(daemon, &["state:", &format!("service {service}:"), &format!(" proxy {count};")]);
}

#[test]
fn every_engine_knows_who_is_behind_the_proxy() {
    for engine in engines() {
        let dir = tempfile::tempdir().unwrap();
        let access = dir.path().join("access.log");
        let daemon = Start::engine(engine)
            .set("echo.proxy_protocol=true")
            .set("http.proxy_protocol=true")
            .argument(&format!("--access-log={}", access.display()))
            .run();
        let line: &[u8] = b"PROXY TCP4 203.0.113.7 192.0.2.1 4711 80\r\n";
        assert_eq!(talk(&daemon, "echo", &[line, b"hello"]), "hello", "{engine}");
        logged(&daemon, &["service=echo", "peer=203.0.113.7:4711", "in=5 out=5"]);
        assert_eq!(talk(&daemon, "echo", &[&[BINARY, b"hello"].concat()]), "hello");
        logged(&daemon, &["service=echo", "peer=203.0.113.9:1234"]);
        let line = b"PROXY TCP6 2001:db8::7 2001:db8::1 4712 80\r\n";
        assert_eq!(talk(&daemon, "echo", &[line]), "");
        logged(&daemon, &["service=echo", "peer=[2001:db8::7]:4712"]);
        assert_eq!(talk(&daemon, "echo", &[LOCAL, b"hello"]), "hello");
        logged(&daemon, &["service=echo", "peer=127.0.0.1:"]);
        let request: &[u8] = b"GET /hello.txt HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        assert!(talk(&daemon, "http", &[&[BINARY, request].concat()]).ends_with("Hello there\n"));
        let noted = || std::fs::read_to_string(&access).ok().filter(|it| !it.is_empty());
        let noted = wait_for(PATIENCE, noted).unwrap();
        assert!(noted.starts_with("203.0.113.9 "), "{noted}");
    }
}

/// A head in any two pieces, and byte by byte, is the same.
#[test]
fn a_head_may_come_in_pieces() {
    for engine in engines() {
        let daemon = Start::engine(engine).set("echo.proxy_protocol=true").run();
        let line: &[u8] = b"PROXY TCP4 203.0.113.7 192.0.2.1 4711 80\r\n";
        for head in [line, BINARY, LOCAL] {
            let whole = [head, b"hello"].concat();
            for cut in (1..whole.len()).step_by(7) {
                assert_eq!(talk(&daemon, "echo", &[&whole[..cut], &whole[cut..]]), "hello", "{engine} {cut}");
            }
            let bytes: Vec<&[u8]> = whole.chunks(1).collect();
            assert_eq!(talk(&daemon, "echo", &bytes), "hello", "{engine}");
        }
    }
}

#[test]
fn who_is_not_as_a_proxy_is_closed_and_counted() {
    for engine in engines() {
        let daemon = Start::engine(engine)
            .set("echo.proxy_protocol=true")
            .set("discard.proxy_protocol=true")
            .set("discard.proxy_from=192.0.2.0/24")
            .run();
        for wrong in
            [&b"hello\n"[..], b"PROXY TCP4 x\r\n", b"PROXY UDP4 1.1.1.1 1.1.1.1 1 1\r\nhello", &BINARY[..20]]
        {
            assert_eq!(talk(&daemon, "echo", &[wrong]), "", "{engine}");
        }
        refused(&daemon, "echo", 4);
        // From somewhere else than the proxies are, not even a right head counts.
        assert_eq!(talk(&daemon, "discard", &[BINARY]), "", "{engine}");
        refused(&daemon, "discard", 1);
        logged(&daemon, &["refused", "service=echo", "reason=proxy"]);
        assert_eq!(talk(&daemon, "echo", &[BINARY, b"hello"]), "hello", "{engine}");
    }
}

/// A proxy that says nothing does not hold anybody up, and is not waited for without end.
#[test]
fn a_head_that_does_not_come_is_not_waited_for() {
    for engine in ["reactor", "threads", "processes"] {
        let daemon = Start::engine(engine).set("echo.proxy_protocol=true").run();
        let mut silent = TcpStream::connect(daemon.tcp("echo")).unwrap();
        silent.set_read_timeout(Some(PATIENCE)).unwrap();
        silent.write_all(b"PROXY ").unwrap();
        assert_eq!(talk(&daemon, "echo", &[LOCAL, b"hello"]), "hello", "{engine}");
        let _ = silent.read(&mut [0; 1]);
        refused(&daemon, "echo", 1);
    }
}

/// Access lists and limits are about who is behind the proxy.
#[test]
fn limits_are_for_who_is_behind_the_proxy() {
    for engine in ["reactor", "threads", "processes"] {
        let daemon = Start::engine(engine)
            .set("reqtime.proxy_protocol=true")
            .set("reqtime.no_access=203.0.113.9")
            .set("echo.proxy_protocol=true")
            .set("echo.per_source=1")
            .run();
        let said = talk(&daemon, "reqtime", &[BINARY]);
        assert!(said.contains("your address may not use this service"), "{engine}: {said}");
        let mut first = TcpStream::connect(daemon.tcp("echo")).unwrap();
        first.set_read_timeout(Some(PATIENCE)).unwrap();
        first.write_all(&[BINARY, b"x"].concat()).unwrap();
        first.read_exact(&mut [0; 1]).unwrap();
        assert_eq!(talk(&daemon, "echo", &[BINARY, b"hello"]), "", "{engine}: one more of the same source");
        assert_eq!(talk(&daemon, "echo", &[LOCAL, b"hello"]), "hello", "{engine}: another source");
    }
}

/// A sender that is not ours, in the language of the labs.
#[test]
fn a_python_program_may_be_the_proxy() {
    if !have(&["python3"], "a proxy written in Python") {
        return;
    }
    let daemon = Start::reactor().set("echo.proxy_protocol=true").run();
    let program = "import socket, struct, sys\n\
        s = socket.create_connection(('127.0.0.1', int(sys.argv[1])))\n\
        pair = socket.inet_aton('198.51.100.3') + socket.inet_aton('192.0.2.1') + struct.pack('!HH', 99, 80)\n\
        s.sendall(b'\\r\\n\\r\\n\\0\\r\\nQUIT\\n' + struct.pack('!BBH', 0x21, 0x11, len(pair)) + pair + b'hello')\n\
        s.shutdown(socket.SHUT_WR)\n\
        print(s.makefile().read())\n";
    let port = daemon.tcp("echo").port().to_string();
    let mut python = Program::start("python3", vec!["-c".to_owned(), program.to_owned(), port]);
    assert_eq!(python.succeed(), "hello\n");
    logged(&daemon, &["service=echo", "peer=198.51.100.3:99"]);
}

/// `HAProxy` itself, with both versions.
#[test]
fn haproxy_names_its_clients() {
    if !have(&["haproxy"], "the PROXY protocol as HAProxy speaks it") {
        return;
    }
    for (word, source) in [("send-proxy", "127.0.0.2"), ("send-proxy-v2", "127.0.0.3")] {
        let daemon = Start::reactor().set("echo.proxy_protocol=true").run();
        let front = free_address();
        let text = format!(
            "defaults\n mode tcp\n timeout connect 5s\n timeout client 20s\n timeout server 20s\n\
             listen front\n bind {front}\n server back {} {word}\n",
            daemon.tcp("echo")
        );
        let file = daemon.path("haproxy.cfg");
        std::fs::write(&file, text).unwrap();
        let words = ["-db".to_owned(), "-f".to_owned(), file.display().to_string()];
        passes_on(&daemon, front, source, &Program::start("haproxy", words));
    }
}

/// nginx, with version 1, the only one it sends.
#[test]
fn nginx_names_its_clients() {
    const STREAMS: &str = "/usr/lib/nginx/modules/ngx_stream_module.so";
    let what = "the PROXY protocol as nginx speaks it";
    if !have(&["nginx"], what) {
        return;
    }
    if !std::path::Path::new(STREAMS).is_file() {
        return left_out(&format!("  {what} (not installed: {STREAMS})"));
    }
    let daemon = Start::reactor().set("echo.proxy_protocol=true").run();
    let front = free_address();
    let (file, pid) = (daemon.path("nginx.conf"), daemon.path("nginx.pid"));
    let text = format!(
        "load_module {STREAMS};\ndaemon off;\nmaster_process off;\npid {};\nevents {{}}\n\
         stream {{ server {{ listen {front}; proxy_pass {}; proxy_protocol on; }} }}\n",
        pid.display(),
        daemon.tcp("echo")
    );
    std::fs::write(&file, text).unwrap();
    let words = ["-e", "stderr", "-c"].map(str::to_owned).into_iter().chain([file.display().to_string()]);
    passes_on(&daemon, front, "127.0.0.4", &Program::start("nginx", words));
}

/// Where a proxy may listen, which cannot be told to take any port.
fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// A client from this address speaks through a proxy, and is known by it.
fn passes_on(daemon: &Daemon, front: SocketAddr, source: &str, proxy: &Program) {
    let connect = || {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        let own: SocketAddr = format!("{source}:0").parse().unwrap();
        socket.bind(&own.into()).unwrap();
        socket.connect(&front.into()).ok().map(|()| TcpStream::from(socket))
    };
    let mut stream = wait_for(PATIENCE, connect).unwrap_or_else(|| panic!("{}", proxy.text()));
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(b"hello").unwrap();
    let mut got = [0; 5];
    stream.read_exact(&mut got).unwrap_or_else(|error| panic!("{error}: {}", proxy.text()));
    assert_eq!(&got, b"hello", "{}", proxy.text());
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(stream.read(&mut got).unwrap(), 0, "{}", proxy.text());
    logged(daemon, &["service=echo", &format!("peer={source}:")]);
}

//! The layers, their order, and what is said about mistakes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use super::*;
use crate::access::Policy;
use crate::bind::{At, Host};
use crate::cli;
use crate::protocol::Options;

/// The plan for these arguments and this file, if any; the file is called `f.toml`.
fn plan(arguments: &[&str], file: &str) -> Result<Plan, String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f.toml");
    std::fs::write(&path, file).unwrap();
    let path = path.to_str().unwrap();
    let mut all = vec!["switchboard"];
    all.extend(arguments);
    if !file.is_empty() {
        all.extend(["--config", path]);
    }
    let cli = cli::parse(all).map_err(|error| error.to_string())?;
    Plan::new(&cli.serve).map_err(|error| error.to_string().replace(path, "f.toml"))
}

fn modify<'a>(plan: &'a Plan, name: &str) -> &'a crate::protocol::modify::Options {
    let service = plan.services.iter().find(|service| service.name == name).unwrap();
    let Options::Modify(options) = &service.options else { panic!("{name} is no modify") };
    options
}

fn place<'a>(plan: &'a Plan, name: &str) -> &'a Place {
    let index = plan.services.iter().position(|service| service.name == name).unwrap();
    plan.places.iter().find(|place| place.service == index).unwrap()
}

fn port(plan: &Plan, name: &str) -> u16 {
    let At::Port { port, .. } = place(plan, name).at else { panic!("{name} has no port") };
    port
}

fn hosts(plan: &Plan, name: &str) -> Vec<String> {
    let At::Port { hosts, .. } = &place(plan, name).at else { panic!("{name} has no port") };
    hosts.iter().map(|host| host.ip.to_string()).collect()
}

#[test]
fn without_a_word_every_protocol_is_served_on_its_port_of_the_loopback() {
    let plan = plan(&[], "").unwrap();
    let unasked = crate::protocol::TABLE.iter().filter(|row| !row.off);
    assert_eq!(plan.services.len(), unasked.count());
    assert_eq!((port(&plan, "echo"), plan.grace), (10007, Duration::from_secs(5)));
    assert_eq!(hosts(&plan, "echo"), ["127.0.0.1", "::1"]);
    assert_eq!(place(&plan, "echo").origin, Origin::Default);
}

#[test]
fn a_flag_wins_over_the_file_and_the_service_over_the_defaults() {
    let file = "grace = \"1s\"\n[defaults]\npause = \"7ms\"\nmax_line = 99\nbind = [\"127.0.0.2\"]\n\
                [service.modify]\nport = 1111\nname = \"file\"\nmax_line = 100\n\
                [service.chat]\nbind = \"127.0.0.3\"";
    let from_file = plan(&[], file).unwrap();
    let options = modify(&from_file, "modify");
    assert_eq!((options.name.as_str(), options.max_line), ("file", 100));
    assert_eq!(options.pause, Duration::from_millis(7));
    assert_eq!((port(&from_file, "modify"), from_file.grace), (1111, Duration::from_secs(1)));
    assert_eq!(hosts(&from_file, "modify"), ["127.0.0.2"]);

    let flags = ["--set", "modify.name=flag", "--port", "modify=2222", "--grace", "2s", "--bind", "::1"];
    let both = plan(&flags, file).unwrap();
    assert_eq!(modify(&both, "modify").name, "flag");
    assert_eq!((port(&both, "modify"), both.grace), (2222, Duration::from_secs(2)));
    assert_eq!(hosts(&both, "modify"), ["::1"]);
    assert_eq!(hosts(&both, "chat"), ["127.0.0.3"], "--bind opens nothing that the file keeps to itself");
}

#[test]
fn two_services_of_one_protocol_differ() {
    let file = "[service.shout]\nprotocol = \"modify\"\nmode = \"upper\"\nport = 8889\n[service.modify]\nname = \"Ali\"";
    let flags = ["--set", "shout.protocol=modify", "--set", "shout.mode=upper", "--port", "shout=8889"];
    for plan in [plan(&[], file).unwrap(), plan(&flags, "").unwrap()] {
        assert_eq!(modify(&plan, "shout").mode, crate::protocol::modify::Mode::Upper);
        assert_eq!(modify(&plan, "modify").mode, crate::protocol::modify::Mode::Append);
        assert_eq!((port(&plan, "shout"), port(&plan, "modify")), (8889, 8888));
    }
}

#[test]
fn set_takes_toml_or_plain_text() {
    let name = |value: &str| {
        let plan = plan(&["--set", &format!("modify.name={value}")], "").unwrap();
        modify(&plan, "modify").name.clone()
    };
    assert_eq!(name("Ali"), "Ali");
    assert_eq!(name("\"a\\tb\""), "a\tb");
    assert_eq!(name("42"), "42", "no quotes are needed to be called 42");
    assert_eq!(name("1.50 # or so"), "1.50 # or so");
    assert_eq!(name("Ali, Veli = 2"), "Ali, Veli = 2");
}

#[test]
fn what_runs_is_chosen() {
    let names = |arguments: &[&str], file: &str| {
        let plan = plan(arguments, file).unwrap();
        plan.services.into_iter().map(|service| service.name).collect::<Vec<_>>()
    };
    assert_eq!(names(&["--only", "time,echo"], ""), ["echo", "time"]);
    let off = "[service.echo]\nenabled = false";
    assert!(!names(&[], off).contains(&"echo".to_owned()));
    assert_eq!(names(&["--only", "echo"], off), ["echo"], "who is named runs");
    let runs = |arguments: &[&str], file: &str| names(arguments, file).contains(&"udp-chat".to_owned());
    assert!(!runs(&[], "") && !runs(&["--port", "udp-chat=40001"], ""), "it is off unless asked");
    assert!(runs(&["--with", "udp-chat"], "") && runs(&[], "with = [\"udp-chat\"]"));
    assert!(runs(&[], "[service.udp-chat]\nenabled = true"));
    assert_eq!(names(&["--only", "echo", "--with", "udp-chat"], ""), ["udp-chat", "echo"]);
    assert_eq!(names(&["--without", "echo"], "only = [\"echo\", \"chat\"]"), ["chat"]);
}

#[test]
fn listen_replaces_the_port_of_the_table() {
    let file = "[service.echo]\nlisten = [\"unix:/tmp/e\", \"tcp:127.0.0.1:99\", \"[::1]:98\"]";
    let plan = plan(&["--only", "echo"], file).unwrap();
    let at: Vec<&At> = plan.places.iter().map(|place| &place.at).collect();
    let host = Host { ip: Ipv4Addr::LOCALHOST.into(), optional: false };
    assert_eq!(at[0], &At::Unix("/tmp/e".into()));
    assert_eq!(at[1], &At::Port { hosts: vec![host], port: 99, tcp: true, udp: false });
    assert!(matches!(at[2], At::Port { port: 98, tcp: true, udp: true, .. }));
    assert_eq!(at.len(), 3);
}

#[test]
fn well_known_ports_count_unless_another_is_named() {
    let plan = plan(&["--well-known", "--port", "time=1"], "").unwrap();
    assert_eq!((port(&plan, "echo"), port(&plan, "http"), port(&plan, "time")), (7, 80, 1));
    assert_eq!((port(&plan, "chat"), &place(&plan, "chat").origin), (8989, &Origin::Default));
    assert_eq!(place(&plan, "echo").origin.to_string(), "--well-known");
}

#[test]
fn mistakes_are_said_in_one_line_with_their_place() {
    let cases = [
        (
            "\n[service.modify]\nmodee = 1",
            "f.toml:3: service.modify: unknown key \"modee\"; it knows mode, name, ",
        ),
        (
            "[service.modify]\nmode = \"loud\"",
            "f.toml:2: service.modify.mode: \"loud\" is none of append, prefix, ",
        ),
        (
            "[service.modify]\nmax_line = \"x\"",
            "f.toml:2: service.modify.max_line: wrong type: string \"x\", expected a ",
        ),
        (
            "[service.modify]\npause = \"5\"",
            "f.toml:2: service.modify.pause: \"5\" is no duration, which looks like",
        ),
        ("[service.echo]\nport = 70000", "f.toml:2: service.echo.port: a port is a number from 0 to 65535"),
        ("[service.echo]\nbind = \"me\"", "f.toml:2: service.echo.bind: \"me\" is no address"),
        (
            "[service.chat]\nlisten = \"udp:127.0.0.1:1\"",
            "f.toml:2: service.chat.listen: \"udp:127.0.0.1:1\": this ",
        ),
        (
            "[service.shout]\nport = 1",
            "f.toml:1: service.shout: no such service; a new one needs shout.protocol (one ",
        ),
        (
            "[service.a]\nprotocol = \"b\"",
            "f.toml:2: service.a.protocol: no protocol \"b\"; there are http, console",
        ),
        ("[service.a]\nprotocol = \"echo\"", "f.toml:1: service.a: it needs a port, or listen"),
        ("[service.\"a b\"]\nport = 1", "f.toml:1: \"a b\": a service's name has"),
        ("[defaults]\npauze = \"1s\"", "f.toml:2: defaults: unknown key \"pauze\"; no protocol has it"),
        ("[defaults]\npause = 1", "f.toml:2: defaults.pause: wrong type: integer 1, expected a string"),
        ("only = [\"ecko\"]", "f.toml:1: no service \"ecko\"; there are http, console"),
        ("\n\ngracee = \"1s\"", "f.toml:3: unknown key \"gracee\"; it knows backlog, engine, grace, "),
        ("engine = \"steam\"", "f.toml:1: \"steam\" is none of reactor, threads"),
        ("log_level = \"loud\"", "f.toml:1: \"loud\" is none of off, error, warn, info, debug, trace"),
        ("x = = 1", "f.toml:1: "),
        ("\"a\\n\\u001b[2J\" = 1", "f.toml:1: unknown key \"a\\n\\u{1b}[2J\"; it knows "),
    ];
    for (file, expected) in cases {
        let said = plan(&[], file).unwrap_err();
        assert!(said.starts_with(expected), "{file:?} says {said:?}");
        assert_eq!(said.lines().count(), 1, "{said:?}");
    }
}

#[test]
fn mistakes_of_flags_name_the_flag() {
    let cases: [(&[&str], &str); 5] = [
        (&["--set", "modify.modee=1"], "--set modify.modee: unknown key \"modee\"; it knows mode"),
        (&["--set", "shuot.mode=1"], "--set shuot: no such service; a new one needs shuot.protocol"),
        (&["--port", "shuot=1"], "--port shuot: no such service"),
        (&["--only", "ecko"], "--only: no service \"ecko\""),
        (&["--bind", "me"], "--bind: \"me\" is no address"),
    ];
    for (arguments, expected) in cases {
        let said = plan(arguments, "").unwrap_err();
        assert!(said.starts_with(expected), "{arguments:?} says {said:?}");
    }
}

#[test]
fn no_address_is_bound_twice() {
    let bind = |words: &[&str]| {
        let arguments: Vec<&str> = words.iter().flat_map(|word| ["--bind", word]).collect();
        hosts(&plan(&arguments, "").unwrap(), "echo")
    };
    assert_eq!(bind(&["localhost", "127.0.0.1"]), ["127.0.0.1", "::1"]);
    assert_eq!(bind(&["127.0.0.1", "0.0.0.0", "::1"]), ["0.0.0.0", "::1"]);
    assert_eq!(bind(&["*", "[::1]"]), ["0.0.0.0", "::"]);
}

#[test]
fn the_log_is_as_loud_as_flags_and_file_say() {
    let level = |arguments: &[&str], file: &str| plan(arguments, file).unwrap().log_level;
    assert_eq!(level(&[], ""), LevelFilter::Info);
    assert_eq!(level(&["-q"], ""), LevelFilter::Warn);
    assert_eq!(level(&["-vv"], "log_level = \"error\""), LevelFilter::Trace);
    assert_eq!(level(&[], "log_level = \"debug\""), LevelFilter::Debug);
}

#[test]
fn the_roots_are_in_order() {
    let order = |arguments: &[&str]| {
        let mut all = vec!["switchboard"];
        all.extend(arguments);
        let cli = cli::parse(all).unwrap();
        let text = "root = \"top\"\n[service.http]\nroot = \"section\"";
        let file = ConfigFile::parse("f.toml", text).unwrap();
        let root = compose::strongest(&cli.serve, &file, "http", "root").unwrap();
        root.and_then(|value| value.as_str().map(str::to_owned)).unwrap()
    };
    assert_eq!(order(&[]), "section");
    assert_eq!(order(&["--root", "flag"]), "flag");
    assert_eq!(order(&["--set", "http.root=set", "--root", "flag"]), "set");
}

#[test]
fn a_login_name_is_looked_for_and_must_be_fit_to_print() {
    let name =
        |user: Option<&str>, log: Option<&str>| name_among([user.map(str::to_owned), log.map(str::to_owned)]);
    assert_eq!(name(Some("ali"), Some("veli")), "ali");
    assert_eq!(name(Some(""), Some("veli")), "veli");
    assert_eq!(name(Some("a\x1b[2J"), None), "friend");
}

fn files(plan: &Plan) -> [String; 3] {
    let mut dirs = [const { String::new() }; 3];
    for service in &plan.services {
        match &service.options {
            Options::Http(options) => dirs[0] = options.root.display().to_string(),
            Options::Download(options) => dirs[1] = options.root.display().to_string(),
            Options::Upload(options) => dirs[2] = options.dir.display().to_string(),
            _ => {}
        }
    }
    dirs
}

#[test]
fn the_root_is_that_of_all_who_send_files_and_uploads_that_of_all_who_store_them() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| {
        let path = dir.path().join(name);
        std::fs::create_dir_all(&path).unwrap();
        path.display().to_string()
    };
    let [a, b, c, d] = ["a", "b", "c", "d"].map(path);
    let file = format!("root = \"{a}\"\nuploads = \"{b}\"\n[service.download]\nroot = \"{c}\"");
    let plan_of = |arguments: &[&str]| plan(arguments, &file).unwrap();
    assert_eq!(files(&plan(&[], "").unwrap()), [".", ".", "uploads"]);
    assert_eq!(files(&plan_of(&[])), [a.as_str(), &c, &b]);
    assert_eq!(files(&plan_of(&["--root", &d, "--uploads", &a])), [d.as_str(), &d, &a]);
    let set = format!("upload.dir={d}");
    assert_eq!(files(&plan_of(&["--uploads", &a, "--set", &set]))[2], d);
}

#[test]
fn sizes_are_numbers_or_have_units() {
    for (value, expected) in [("10", 10), ("\"10 kB\"", 10_000), ("\"1 GiB\"", 1 << 30), ("2MB", 2_000_000)] {
        let plan = plan(&["--only", "upload", "--set", &format!("upload.max_file={value}")], "").unwrap();
        let Options::Upload(options) = &plan.services[0].options else { panic!() };
        assert_eq!(options.max_file.as_u64(), expected, "{value}");
    }
    for bad in
        ["upload.max_file=much", "upload.max_file=-1", "upload.on_conflict=rename", "upload.max_concurrent=0"]
    {
        let error = plan(&["--only", "upload", "--set", bad], "").unwrap_err();
        assert!(error.contains("upload"), "{error}");
    }
}

#[test]
fn uploads_are_not_stored_where_files_are_sent_from_and_once_is_for_one_service() {
    let error = plan(&["--uploads", "."], "").unwrap_err();
    assert!(error.contains("service http: ") && error.contains("uploads are stored there"), "{error}");
    assert!(plan(&["--only", "upload", "--uploads", "."], "").is_ok());
    assert!(plan(&["--once"], "").unwrap_err().starts_with("service upload: --once "));
    assert!(plan(&["--once", "--only", "upload"], "").is_ok());
    assert!(plan(&["--once", "--only", "echo"], "").unwrap_err().contains("--once"));
}

#[test]
fn a_network_is_as_wide_as_what_the_service_is_bound_to() {
    let network = |arguments: &[&str]| {
        let mut all = vec!["--only", "udp-chat"];
        all.extend(arguments);
        let plan = plan(&all, "").unwrap();
        match &plan.places[0].at {
            At::Lan(place) => place.clone(),
            other => panic!("{other:?}"),
        }
    };
    let addresses = |arguments: &[&str]| network(arguments).addresses;
    assert_eq!(addresses(&[]), [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()]);
    assert_eq!(addresses(&["--bind", "192.0.2.7"]), [IpAddr::from([192, 0, 2, 7])]);
    assert!(addresses(&["--bind", "0.0.0.0"]).is_empty(), "every network");
    assert!(addresses(&["--set", "udp-chat.interface=eth0"]).is_empty(), "the one that is named");
    assert_eq!(network(&["--port", "udp-chat=5000"]).port, 5000);
    assert!(plan(&["--set", "udp-chat.listen=udp:127.0.0.1:1"], "").is_err());
}

fn policy<'a>(plan: &'a Plan, name: &str) -> &'a Policy {
    &plan.services.iter().find(|service| service.name == name).unwrap().policy
}

#[test]
fn limits_are_keys_of_every_service_and_of_the_defaults() {
    let file = "[defaults]\nper_source = 7\nbanner = \"hello\"\n[service.modify]\nper_source = 8\n";
    let plan = plan(&["--set", "echo.instances=10", "--set", "echo.cps=50 10s"], file).unwrap();
    let echo = policy(&plan, "echo");
    assert_eq!((echo.instances, echo.per_source), (Some(10), Some(7)));
    assert_eq!(echo.cps.map(|cps| cps.rate), Some(50));
    assert_eq!(policy(&plan, "modify").per_source, Some(8));
    assert_eq!(policy(&plan, "modify").banner.as_deref(), Some("hello"));
    assert_eq!(policy(&plan, "http").banner, None, "HTTP has no place for it");
}

#[test]
fn limits_are_on_where_others_can_connect_and_can_be_switched_off() {
    let open = ["--bind", "0.0.0.0", "--set", "echo.idle=unlimited"];
    let open = plan(&open, "[service.modify]\nbind = \"127.0.0.1\"\n").unwrap();
    assert_eq!(policy(&open, "chat"), &Policy::for_open_bind());
    assert_eq!(policy(&open, "modify"), &Policy::default());
    assert_eq!(policy(&open, "echo"), &Policy { idle: None, ..Policy::for_open_bind() });
    assert_eq!(policy(&plan(&[], "").unwrap(), "chat"), &Policy::default());
}

#[test]
fn what_is_wrong_with_a_limit_is_said_with_its_place() {
    let complaint = |file: &str| plan(&[], file).unwrap_err();
    assert_eq!(
        complaint("[service.echo]\n\ninstances = -1\n"),
        "f.toml:3: service.echo.instances: a whole number, or \"unlimited\", is wanted"
    );
    assert!(
        complaint("[defaults]\nonly_from = \"10.0.0.0/33\"\n").starts_with("f.toml:2: defaults.only_from: ")
    );
    assert!(complaint("[service.http]\nbanner = \"hi\"\n").contains("no place for a banner"));
    assert!(complaint("[service.echo]\ninstance = 1\n").contains("instances, per_source, cps"));
    assert!(plan(&["--set", "echo.idle=0s"], "").unwrap_err().starts_with("--set echo.idle: "));
}

use super::*;

fn policy(text: &str) -> Policy {
    try_policy(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn try_policy(text: &str) -> Result<Policy, String> {
    let mut policy = Policy::for_open_bind();
    for key in ["per_source", "cps", "idle", "first_byte", "progress"] {
        policy.set(key, Value::String("unlimited".to_owned()))?;
    }
    assert_eq!(policy, Policy::default());
    for (key, value) in text.parse::<toml::Table>().map_err(|error| error.message().to_owned())? {
        policy.set(&key, value)?;
    }
    Ok(policy)
}

fn ip(text: &str) -> Option<IpAddr> {
    text.parse().ok()
}

fn at(ms: u64) -> Time {
    Time::from_millis(ms)
}

#[test]
fn without_a_policy_everyone_is_let_in() {
    let mut gate = Gate::new(Policy::default());
    for n in 0..10_000 {
        assert_eq!(gate.enter(ip("10.0.0.1"), at(n / 1000)), Ok(()));
    }
    assert_eq!(gate.open(), 10_000);
}

#[test]
fn instances_are_all_connections_at_once() {
    let mut gate = Gate::new(policy("instances = 2"));
    assert_eq!(gate.enter(ip("10.0.0.1"), at(0)), Ok(()));
    assert_eq!(gate.enter(None, at(0)), Ok(()));
    assert_eq!(gate.enter(ip("10.0.0.3"), at(0)), Err(Refusal::Instances));
    gate.leave(ip("10.0.0.1"));
    assert_eq!(gate.enter(ip("10.0.0.3"), at(0)), Ok(()));
    assert_eq!(gate.refused().map(|(_, times)| times).collect::<Vec<_>>(), [0, 1, 0, 0, 0]);
}

#[test]
fn per_source_counts_each_address_and_each_site() {
    let mut gate = Gate::new(policy("per_source = 1"));
    assert_eq!(gate.enter(ip("10.0.0.1"), at(0)), Ok(()));
    assert_eq!(gate.enter(ip("::ffff:10.0.0.1"), at(0)), Err(Refusal::PerSource));
    assert_eq!(gate.enter(ip("10.0.0.2"), at(0)), Ok(()));
    assert_eq!(gate.enter(ip("2001:db8::1"), at(0)), Ok(()));
    assert_eq!(gate.enter(ip("2001:db8::2"), at(0)), Err(Refusal::PerSource));
    assert_eq!(gate.enter(ip("2001:db8:0:1::1"), at(0)), Ok(()));
    assert_eq!(gate.enter(None, at(0)), Ok(()));
    gate.leave(ip("2001:db8::1"));
    assert_eq!(gate.enter(ip("2001:db8::2"), at(0)), Ok(()));
}

#[test]
fn sources_that_left_take_no_memory() {
    let mut gate = Gate::new(policy("per_source = 3"));
    for n in 0..1000_u32 {
        let source = Some(std::net::Ipv4Addr::from_bits(n).into());
        assert_eq!(gate.enter(source, at(0)), Ok(()));
        gate.leave(source);
    }
    assert!(gate.sources.is_empty());
}

#[test]
fn a_second_with_too_many_closes_the_gate_for_the_pause() {
    let mut gate = Gate::new(policy("cps = \"3 2s\""));
    for _ in 0..3 {
        assert_eq!(gate.enter(ip("10.0.0.1"), at(100)), Ok(()));
    }
    assert_eq!(gate.enter(ip("10.0.0.1"), at(200)), Err(Refusal::Rate));
    assert_eq!(gate.enter(ip("10.0.0.2"), at(2199)), Err(Refusal::Rate), "the pause is for everybody");
    assert_eq!(gate.enter(ip("10.0.0.2"), at(2200)), Ok(()));
    for second in 3..10 {
        for _ in 0..3 {
            assert_eq!(gate.enter(ip("10.0.0.1"), at(second * 1000)), Ok(()));
        }
    }
}

#[test]
fn the_more_exact_list_decides() {
    let lets_in = |text: &str, who: &str| policy(text).lets_in(ip(who).unwrap());
    let lists = "only_from = ['10.0.0.0/8', '192.168.1.0/24']\nno_access = ['10.1.0.0/16']";
    assert!(lets_in(lists, "10.2.0.1"));
    assert!(!lets_in(lists, "10.1.0.1"));
    assert!(lets_in(lists, "192.168.1.7"));
    assert!(!lets_in(lists, "8.8.8.8"));
    assert!(!lets_in(lists, "::1"));
    let exception = "no_access = '10.0.0.0/8'\nonly_from = ['10.0.0.7', '0.0.0.0/0']";
    assert!(lets_in(exception, "10.0.0.7"));
    assert!(!lets_in(exception, "10.0.0.8"));
    assert!(lets_in(exception, "8.8.8.8"));
    assert!(!lets_in("only_from = '10.0.0.0/8'\nno_access = '10.0.0.0/8'", "10.0.0.1"), "a tie");
    assert!(lets_in("no_access = '10.0.0.0/8'", "::ffff:11.0.0.1"));
    assert!(!lets_in("no_access = '10.0.0.0/8'", "::ffff:10.0.0.1"));
}

#[test]
fn a_refused_connection_takes_nothing_from_the_limits() {
    let mut gate = Gate::new(policy("instances = 1\nno_access = '10.0.0.0/8'\nper_source = 1"));
    assert_eq!(gate.enter(ip("10.0.0.1"), at(0)), Err(Refusal::NoAccess));
    assert_eq!(gate.enter(ip("11.0.0.1"), at(0)), Ok(()));
    assert_eq!(gate.enter(ip("12.0.0.1"), at(0)), Err(Refusal::Instances));
    gate.leave(ip("11.0.0.1"));
    assert_eq!(gate.enter(ip("12.0.0.1"), at(0)), Ok(()));
}

#[test]
fn a_new_policy_holds_from_the_next_connection_on() {
    let mut gate = Gate::new(policy("cps = \"1 100s\"\nper_source = 1"));
    assert_eq!(gate.enter(ip("10.0.0.1"), at(0)), Ok(()));
    assert_eq!(gate.enter(ip("10.0.0.2"), at(0)), Err(Refusal::Rate));
    gate.set_policy(policy("instances = 2"));
    assert_eq!(gate.enter(ip("10.0.0.1"), at(0)), Ok(()));
    assert_eq!(gate.enter(ip("10.0.0.1"), at(0)), Err(Refusal::Instances));
    gate.leave(ip("10.0.0.1"));
    assert_eq!(gate.open(), 1);
}

#[test]
fn rates_are_written_as_xinetd_has_them_or_with_units() {
    let cps = |text: &str| try_policy(&format!("cps = {text:?}")).map(|policy| policy.cps);
    assert_eq!(cps("50 10").unwrap(), Some(Cps { rate: 50, pause: Duration::from_secs(10) }));
    assert_eq!(cps("50 500ms").unwrap(), Some(Cps { rate: 50, pause: Duration::from_millis(500) }));
    for bad in ["50", "0 1s", "x 1s", "50 soon", ""] {
        assert!(cps(bad).is_err_and(|error| error.contains("\"50 10s\"")), "{bad}");
    }
}

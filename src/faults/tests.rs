use super::*;

fn faults(text: &str) -> Faults {
    try_faults(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn try_faults(text: &str) -> Result<Faults, String> {
    let mut faults = Faults::default();
    for (key, value) in text.parse::<toml::Table>().map_err(|error| error.message().to_owned())? {
        faults.set(&key, &value)?;
    }
    Ok(faults)
}

/// Pieces with the waits before them, and how it ended if it did.
type Played = (Vec<(Duration, usize)>, Option<Step>);

/// What a connection comes to that always has more to send: the waits, the pieces, and the end.
fn played(faults: &Faults, number: u64) -> Option<Played> {
    let mut script = Script::new(faults, number)?;
    let mut pieces = Vec::new();
    for _ in 0..100 {
        // Asked twice: that must change nothing.
        script.next(1);
        match script.next(1000) {
            Step::Write(wait, n) => {
                script.wrote(n);
                pieces.push((wait, n));
            }
            end => return Some((pieces, Some(end))),
        }
    }
    Some((pieces, None))
}

#[test]
fn a_script_follows_from_the_seed_and_the_number_alone() {
    let text =
        "latency = \"20ms 10ms\"\nchunk = \"1..500\"\nreset_after = \"1000..9000\"\nrefuse = 0.3\nseed = ";
    let [one, again, other] = [7, 7, 8].map(|seed| faults(&format!("{text}{seed}")));
    let all = |faults: &Faults| (0..50).map(|number| played(faults, number)).collect::<Vec<_>>();
    assert_eq!(all(&one), all(&again));
    assert_ne!(all(&one), all(&other));
    assert_ne!(played(&one, 1), played(&one, 2));
    let refused = all(&one).iter().filter(|played| played.is_none()).count();
    assert!((5..=25).contains(&refused), "{refused} of 50");
}

#[test]
fn what_is_drawn_keeps_to_its_bounds() {
    let faults = faults("latency = \"20ms 10ms\"\nchunk = \"3..500\"\ntruncate = \"1000..9000\"");
    for number in 0..50 {
        let (pieces, end) = played(&faults, number).unwrap();
        assert_eq!(end, Some(Step::Truncate));
        let sum: usize = pieces.iter().map(|(_, n)| n).sum();
        assert!((1000..=9000).contains(&sum), "{sum}");
        let (last, others) = pieces.split_last().unwrap();
        assert!(others.iter().all(|(_, n)| (3..=500).contains(n)) && last.1 <= 500, "{pieces:?}");
        let bounds = Duration::from_millis(10)..=Duration::from_millis(30);
        assert!(pieces.iter().all(|(wait, _)| bounds.contains(wait)), "{pieces:?}");
    }
}

#[test]
fn the_nearest_end_counts() {
    let ends = |text| played(&faults(text), 0).unwrap();
    let whole = |n, end| (vec![(Duration::ZERO, 1000); n], Some(end));
    assert_eq!(ends("stall_after = 3000\nreset_after = 2000"), whole(2, Step::Reset));
    assert_eq!(ends("stall_after = 1000\ntruncate = 2000"), whole(1, Step::Stall));
    assert_eq!(ends("truncate = 0"), whole(0, Step::Truncate));
    assert_eq!(ends(""), (vec![(Duration::ZERO, 1000); 100], None));
}

#[test]
fn all_are_refused_or_none() {
    for text in ["refuse = \"all\"", "refuse = 1", "refuse = 1.0"] {
        assert!((0..100).all(|number| Script::new(&faults(text), number).is_none()), "{text}");
    }
    assert!((0..100).all(|number| Script::new(&faults("refuse = 0"), number).is_some()));
}

#[test]
fn a_seed_alone_does_nothing_and_off_takes_back() {
    assert!(!faults("seed = 5").are_any());
    let mut some = faults("chunk = \"64 KiB\"\nlatency = \"1ms\"\nrefuse = 0.5");
    assert!(some.are_any());
    for key in ["chunk", "latency", "refuse"] {
        some.set(key, &Value::String("off".to_owned())).unwrap();
    }
    assert!(!some.are_any());
}

#[test]
fn what_is_wrong_is_said() {
    for (text, said) in [
        ("latency = 5", "\"200ms 50ms\""),
        ("latency = \"1ms 2ms\"", "vary by more"),
        ("chunk = 0", "1 at least"),
        ("chunk = -1", "\"64 KiB\""),
        ("truncate = \"9..1\"", "\"100..5000\""),
        ("refuse = 1.5", "from 0 to 1"),
        ("refuse = \"some\"", "\"all\""),
        ("seed = -1", "whole number"),
        ("stall = 1", "unknown key"),
    ] {
        let error = try_faults(text).err().unwrap_or_default();
        assert!(error.contains(said), "{text}: {error:?}");
    }
}

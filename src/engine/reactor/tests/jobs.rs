//! Jobs of the helper, seen from the reactor; the disk is as slow as the test wants.

use tempfile::TempDir;

use super::*;

/// A reactor that serves uploads into a directory of their own.
fn uploads(more: &str) -> (Reactor<Sim>, Sim, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let mut options: toml::Table = more.parse().unwrap();
    options.insert("dir".to_owned(), dir.path().display().to_string().into());
    let (reactor, sim) = reactor_of("upload", options, 1000);
    (reactor, sim, dir)
}

/// Lets the disk do one job, and the reactor all that follows from it.
fn work(reactor: &mut Reactor<Sim>, sim: &Sim) -> bool {
    let worked = sim.work();
    reactor.settle_down();
    worked
}

#[test]
fn a_slow_disk_keeps_waiting_whoever_writes_to_it_and_nobody_else() {
    let (mut reactor, sim, dir) = uploads("");
    let (writer, other) = (sim.connect(WIDE), sim.connect(WIDE));
    reactor.settle_down();
    let content = vec![b'x'; 4 * limits::UPLOAD_CHUNK];
    sim.send(writer, b"big\n");
    sim.send(writer, &content);
    sim.finish(writer);
    reactor.settle_down();
    assert_ne!(reactor.may_sleep(), Some(Duration::ZERO), "the end of the job is an event like others");
    let taken = |sim: &Sim| sim.world().wires[writer].reads;
    let before = taken(&sim);
    sim.send(other, b"/put 3 ../x\nabc");
    reactor.settle_down();
    assert!(sim.text(other).starts_with("error: ../x"), "{}", sim.text(other));
    assert_eq!(taken(&sim), before, "nothing more is read for the disk");
    assert!(before <= limits::UPLOAD_CHUNK / limits::READ_BUFFER + 2, "{before} reads");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    while work(&mut reactor, &sim) {}
    assert!(sim.text(writer).starts_with("stored 1048576 "), "{}", sim.text(writer));
    assert!(sim.world().wires[writer].closed);
    assert_eq!(std::fs::read(dir.path().join("big")).unwrap(), content);
}

#[test]
fn who_is_gone_when_its_job_is_done_is_missed_by_it() {
    let (mut reactor, sim, dir) = uploads("max_concurrent = 1");
    let gone = sim.connect(WIDE);
    reactor.settle_down();
    sim.send(gone, b"/put 9 a\n123456789/put 3 ../x\nabc");
    reactor.settle_down();
    assert!(work(&mut reactor, &sim), "the first file");
    sim.send(gone, &[&b"b\n"[..], &vec![b'x'; limits::UPLOAD_CHUNK]].concat());
    sim.reset(gone);
    reactor.settle_down();
    while work(&mut reactor, &sim) {}
    assert!(sim.world().wires[gone].closed);
    // The slot has another user by now, and there is room for another file.
    let next = sim.connect(WIDE);
    reactor.settle_down();
    sim.send(next, b"/put 1 c\nc");
    reactor.settle_down();
    while work(&mut reactor, &sim) {}
    assert!(sim.text(next).starts_with("stored 1 "), "{}", sim.text(next));
    let mut names: Vec<_> = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|it| it.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["a", "c"]);
}

#[test]
fn a_drain_that_ends_before_a_job_does_loses_nothing_but_the_answer() {
    let (mut reactor, sim, _dir) = uploads("");
    let writer = sim.connect(WIDE);
    reactor.settle_down();
    sim.send(writer, b"/put 3 a\nabc");
    reactor.settle_down();
    sim.drain();
    reactor.settle_down();
    reactor.wait(&sim, 10_000);
    assert!(reactor.is_drained());
    reactor.close_all();
    while sim.work() {}
    assert_eq!(reactor.context.net.job_done().map(|id| id.key), Some(0));
}

#[test]
fn a_service_that_has_done_its_one_job_has_the_daemon_drain() {
    let (mut reactor, sim, _dir) = uploads("once = true");
    let (writer, idle) = (sim.connect(WIDE), sim.connect(WIDE));
    reactor.settle_down();
    sim.send(writer, b"/put 3 ..\nabc/put 3 a\nabc");
    reactor.settle_down();
    assert!(!reactor.context.draining, "a file that was refused does not count");
    while work(&mut reactor, &sim) {}
    reactor.wait(&sim, 1000);
    assert!(reactor.is_drained());
    assert!(sim.text(writer).contains("stored 3 ") && sim.world().wires[idle].closed);
}

//! Somebody who changes the directory while it is served.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::{Site, statuses};

#[test]
fn a_link_swapped_in_the_middle_leads_nowhere() {
    let site = Site::new();
    let (root, outside) = (site.root().to_owned(), site.dir.path().join("outside"));
    fs::create_dir(root.join("real")).unwrap();
    fs::write(root.join("real/passwd"), b"public").unwrap();
    symlink(&outside, root.join("link")).unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let swap = || {
            // `place` is in turn a directory inside and a link to one outside.
            while !done.load(Ordering::Relaxed) {
                let _ = fs::rename(root.join("real"), root.join("place"));
                let _ = fs::rename(root.join("place"), root.join("real"));
                let _ = fs::rename(root.join("link"), root.join("place"));
                let _ = fs::rename(root.join("place"), root.join("link"));
            }
        };
        scope.spawn(swap);
        let mut seen = [0; 2];
        for _ in 0..3000 {
            // A new connection each time, a second later than the last: the cache does not help.
            let mut client = site.connect();
            client.now = crate::time::Time::from_millis(1000 * seen.iter().sum::<u64>());
            client.send(
                b"GET /place/passwd HTTP/1.1\r\nHost: h\r\n\r\nGET /place/ HTTP/1.1\r\nHost: h\r\n\r\n",
            );
            assert!(!client.text().contains("SECRET"), "{}", client.text());
            for status in statuses(&client.got) {
                assert!(matches!(status, 200 | 404 | 503), "{}", client.text());
                seen[usize::from(status == 200)] += 1;
            }
        }
        done.store(true, Ordering::Relaxed);
        assert!(seen[0] > 0, "the link was met");
    });
}

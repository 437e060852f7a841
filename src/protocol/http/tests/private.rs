//! Directories of uploads: not there for anybody, whatever leads to them.

use std::os::unix::fs::symlink;

use super::*;

#[test]
fn a_private_directory_is_neither_served_nor_listed() {
    let site = Site::new();
    let uploads = site.root().join("uploads");
    Http::keep_out(&site.options, std::slice::from_ref(&uploads));
    assert_eq!(Http::prepare(&site.options), Ok(()), "it need not be there yet");
    fs::create_dir(&uploads).unwrap();
    fs::write(uploads.join("virus.html"), "V").unwrap();
    symlink("uploads", site.root().join("way")).unwrap();
    symlink("uploads/virus.html", site.root().join("straight")).unwrap();
    for path in ["/uploads", "/uploads/", "/uploads/virus.html", "/way/virus.html", "/straight"] {
        assert!(site.get(path).starts_with("HTTP/1.1 404 "), "{path}: {}", site.get(path));
    }
    let listing = site.get("/");
    for name in ["uploads", "way", "straight"] {
        assert!(!listing.contains(&format!("\"{name}")), "{name} in {listing}");
    }
    assert!(listing.contains("a.txt") && listing.contains("sub/"), "{listing}");
}

#[test]
fn a_root_that_is_private_is_refused() {
    let site = Site::new();
    Http::keep_out(&site.options, &[site.root().join("sub/..")]);
    assert!(Http::prepare(&site.options).is_err_and(|error| error.contains("never served")));
}

//! No byte of a good bundle can be another: `verify release` never says that all holds.

use verify::load::bundle::LoadedBundle;
use verify::report::assay;
use verify::verdict::Verdict;

use crate::fixture::Release;

/// How many places are flipped, over all files.
const PLACES: usize = 260;

#[test]
fn no_flipped_byte_anywhere_passes() {
    let release = Release::good();
    assert_eq!(release.assay().verdict, Verdict::Pass);
    let loaded = LoadedBundle::read(&release.root()).unwrap();
    let paths: Vec<String> = loaded.files().keys().map(ToString::to_string).collect();
    let each = PLACES / paths.len();
    let mut flipped = 0;
    for path in &paths {
        let good = release.read(path);
        let places = each.min(good.len());
        for place in 0..places {
            // First, last, and evenly between; another bit each time.
            let at = place * (good.len() - 1) / (places - 1).max(1);
            let mut bad = good.clone();
            bad[at] ^= 1 << (place % 8);
            release.write(path, &bad);
            let verdict = assay(release.request()).verdict;
            assert_ne!(
                verdict,
                Verdict::Pass,
                "byte {at} of {path} was flipped and all still holds"
            );
            flipped += 1;
        }
        release.write(path, &good);
    }
    assert!(flipped >= 200, "only {flipped} places were flipped");
    assert_eq!(
        release.assay().verdict,
        Verdict::Pass,
        "the bundle is whole again"
    );
}

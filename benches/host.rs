//! What one host costs once its answers are there: frames, parsing, judging. `cargo bench --bench host`.

use std::hint::black_box;
use std::path::Path;

use criterion::{Criterion, criterion_group, criterion_main};
use fleetscan::command::{Become, Script, Stream};
use fleetscan::probe::{FrameReader, OutputLimits, facts, plan, read_record, replayed};
use fleetscan::{check, cli, scan};

fn host(criterion: &mut Criterion) {
    let hosts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hosts");
    let mut directories: Vec<_> =
        std::fs::read_dir(hosts).expect("recorded hosts").map(|entry| entry.expect("an entry").path()).collect();
    directories.sort();
    let (_, answers) = read_record(directories.first().expect("a recorded host")).expect("readable");
    let load = || check::CheckSet::load(&check::Source::Embedded, &cli::vocabulary()).expect("packs");
    let checks = load();
    let plan = plan(&checks.facts()).expect("a plan");
    let script = Script::new(&scan::nonce(), plan.steps(), Become::No);
    let (stdout, stderr) = replayed(script.text(), &answers).expect("a script");
    let known = facts(&plan, &answers);

    criterion.bench_function("load and compile all packs", |bench| bench.iter(load));
    criterion.bench_function("read the frames of a host", |bench| {
        bench.iter(|| {
            let mut reader = FrameReader::new(&script, OutputLimits::default());
            reader.feed(Stream::Stdout, black_box(&stdout));
            reader.feed(Stream::Stderr, black_box(&stderr));
            reader.finish()
        });
    });
    criterion.bench_function("parse the answers of a host", |bench| bench.iter(|| facts(&plan, black_box(&answers))));
    criterion.bench_function("judge a host", |bench| bench.iter(|| checks.judge(black_box(&known))));
}

criterion_group!(benches, host);
criterion_main!(benches);

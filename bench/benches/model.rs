//! Times the steps of a score: fold, encode, score, and a score from a prepared score. Run `cargo bench` in this folder.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use tally_model::{
    artifact::{Artifact, SplitKind},
    features::profile::DataProfile,
    history::History,
    scoring::{Score, Scorer},
    simulate::Business,
    spec::{Spec, Target},
    time::Time,
    training::{
        snapshot::{Sampling, Snapshots},
        train::{TrainingInput, TrainingOptions, train},
    },
};

/// 2026-01-01T00:00:00Z.
const END: Time = Time(1_767_225_600_000_000);

/// A churn model of a simulated business of 1,000 customers, trained as the service trains.
fn model(histories: &[History]) -> Artifact {
    let spec = Spec::default();
    let mut profile = DataProfile::default();
    histories.iter().for_each(|history| profile.add(history, END));
    let mut plan = profile.plan(&spec.features);
    let sampling = Sampling::new(Target::Churn, &spec, &profile, END);
    sampling.outcome.add_features(&profile, &mut plan);
    let mut rows = Snapshots::default();
    for (n, history) in histories.iter().enumerate() {
        rows.add(&format!("C{n:05}"), history, &plan, &sampling);
    }
    let options = TrainingOptions { split: SplitKind::Temporal, seed: 1 };
    let input = TrainingInput { spec: &spec, outcome: &sampling.outcome, as_of: END, lead_ages: profile.lead_ages(), options };
    train(&mut rows, plan, &input, &|_| ()).expect("data enough").artifact
}

fn steps(criterion: &mut Criterion) {
    let business = Business { customers: 1_000, ..Business::new(1, END) };
    let histories: Vec<History> = business.iter().map(|customer| customer.history()).collect();
    let artifact = model(&histories);
    // The buyer whose history is the median in length.
    let mut buyers: Vec<&History> =
        histories.iter().filter(|h| artifact.outcome.eligible(h, END, END).is_ok()).collect();
    buyers.sort_by_cached_key(|history| history.events().count());
    let history = buyers[buyers.len() / 2];
    let mut raw = Vec::with_capacity(artifact.plan.width());
    let scale = format!("{} events, {} features", history.events().count(), artifact.plan.width());
    criterion.bench_function(&format!("fold ({scale})"), |bencher| {
        bencher.iter(|| {
            raw.clear();
            artifact.plan.fold(black_box(history), END, END, &mut raw);
        });
    });
    let mut design_row = vec![0.0; artifact.encoder.width()];
    criterion.bench_function(&format!("encode ({} columns)", design_row.len()), |bencher| {
        bencher.iter(|| artifact.encoder.encode(black_box(&raw), &mut design_row));
    });
    let scorer = Scorer::new(artifact).expect("this program wrote it");
    criterion.bench_function("score (fold, encode, interval, 3 reasons)", |bencher| {
        bencher.iter(|| scorer.score(black_box(history), END, END, 3, Score::of));
    });
    let prepared = scorer.prepared(history, END, END, 3).expect("a buyer");
    criterion.bench_function("score from a prepared score (interval, 3 reasons)", |bencher| {
        bencher.iter(|| scorer.with_view(black_box(&prepared), END, 3, Score::of));
    });
}

criterion_group!(benches, steps);
criterion_main!(benches);

//! Stored models.

use std::sync::LazyLock;

use tally_model::{
    artifact::{Artifact, digest},
    history::History,
    scoring::{Score, Scorer},
    simulate::Business,
    time::Time,
};

/// Customers that every model scores.
static CUSTOMERS: LazyLock<Vec<History>> = LazyLock::new(|| {
    let business = Business { customers: 12, ..Business::new(3, now()) };
    let empty = History::default();
    business.iter().map(|customer| customer.history()).chain([empty]).collect()
});

/// The end of the simulated time.
const fn now() -> Time {
    Time(1_750_000_000_000_000)
}

/// Reads a model as it is, and with the checksum that belongs to its content, so that changes of the content are found by
/// validation. One that is read is written as the same bytes again, and scores finite numbers or is refused.
pub fn artifact(data: &[u8]) {
    if let Ok(artifact) = Artifact::from_bytes(data) {
        check(artifact);
    }
    if let Ok(artifact) = Artifact::from_bytes(&signed(data)) {
        check(artifact);
    }
}

/// The content with a header of its own.
fn signed(data: &[u8]) -> Vec<u8> {
    let body = data.iter().position(|byte| *byte == b'\n').map_or(data, |end| &data[end + 1..]);
    [format!("tally-model 1 {}\n", digest(body)).as_bytes(), body].concat()
}

fn check(artifact: Artifact) {
    let bytes = artifact.to_bytes().expect("what is read can be written");
    let again = Artifact::from_bytes(&bytes).expect("what is written can be read");
    assert_eq!(again, artifact, "reading what is written gives the same");
    assert_eq!(again.to_bytes().as_ref(), Ok(&bytes), "writing again gives the same bytes");
    if let Ok(scorer) = Scorer::new(artifact) {
        CUSTOMERS.iter().for_each(|history| check_score(&scorer, history));
    }
}

/// Scores any customer; the result is a probability.
pub(crate) fn check_score(scorer: &Scorer, history: &History) {
    for as_of in [Time::MIN, now(), Time::MAX] {
        let Ok(score) = scorer.score(history, as_of, as_of, 5, Score::of) else { continue };
        let Score { lower, probability, upper, .. } = score;
        assert!(0.0 < probability && probability < 1.0, "a probability: {score:?}");
        assert!(lower <= probability && probability <= upper, "within its interval: {score:?}");
        assert!((0.0..=1.0).contains(&lower) && (0.0..=1.0).contains(&upper), "an interval: {score:?}");
        assert!(score.reasons.len() <= 5, "as many reasons as asked for: {score:?}");
        assert!(score.reasons.iter().all(|reason| reason.contribution.is_finite()), "finite: {score:?}");
    }
}

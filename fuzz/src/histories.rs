//! Packed histories.

use std::sync::LazyLock;

use tally_model::{
    artifact::Artifact,
    history::{History, Packed},
    insight::{Facts, InsightSpec},
    scoring::Scorer,
    time::Time,
};

use crate::{CHURN, LEAD, artifact::check_score};

/// One model of each target.
static SCORERS: LazyLock<Vec<Scorer>> = LazyLock::new(|| {
    let scorer = |bytes| Artifact::from_bytes(bytes).and_then(Scorer::new).expect("the corpus has models");
    [LEAD, CHURN].map(scorer).into()
});

/// Reads a packed history. One that is read is packed to the same history again, whatever the thread has read before,
/// and can be computed with.
pub fn histories(data: &[u8]) {
    let packed = Packed::from_bytes(data);
    let Ok(history) = packed.unpack() else {
        assert!(packed.with(|_| ()).is_err(), "damage is found in a used buffer, too");
        return;
    };
    // Compared as bytes, since a number may be NaN, which equals nothing.
    let again = history.pack();
    let unpacked = again.unpack().expect("what is packed can be read");
    assert_eq!(unpacked.pack(), again, "packing again gives the same bytes");
    assert_eq!(packed.with(History::pack).as_ref(), Ok(&again), "a used buffer gives the same history");
    assert_eq!(unpacked.events().count(), history.events().count(), "no event is lost");
    SCORERS.iter().for_each(|scorer| check_score(scorer, &history));
    let _ = Facts::of(&history, Time::MAX, Time::MAX, &InsightSpec::default());
}

//! The stages of one customer at several moments, in one walk through its history.

use crate::{
    history::{History, kind},
    insight::{LifeCycle, Population, Relation},
    time::Time,
};

/// The stage at each of `moments`, which are in order, by what is known at `known_at` and with the typical interval of
/// `population`; None before the customer exists.
pub(super) fn stages(
    history: &History,
    moments: &[Time],
    known_at: Time,
    population: &Population,
) -> Vec<Option<LifeCycle>> {
    let spec = &population.spec.life_cycle;
    let Some(until) = moments.last() else { return Vec::new() };
    let known = history.versions().iter().filter(|version| version.record_time <= known_at);
    let first = history.visible(*until, known_at).next().map(|event| event.occur_time);
    let exists_from = known.map(|version| version.create_time).chain(first).min();
    let [purchase, cancel] = [kind::PURCHASE, kind::CANCEL].map(|kind| history.kind_slot(kind));
    let mut relation = Relation::new(population.typical_interval, spec);
    let mut stages = Vec::with_capacity(moments.len());
    let stage = |relation: &Relation, moment: Time| {
        exists_from.is_some_and(|from| from <= moment).then(|| LifeCycle::of(relation, moment, spec))
    };
    for event in history.visible(*until, known_at) {
        while let Some(moment) = moments.get(stages.len()).filter(|moment| **moment < event.occur_time) {
            stages.push(stage(&relation, *moment));
        }
        match Some(event.kind) {
            kind if kind == purchase => relation.purchase(event.occur_time, |_, _| {}),
            kind if kind == cancel => relation.cancel(event.occur_time),
            _ => {}
        }
    }
    while let Some(moment) = moments.get(stages.len()) {
        stages.push(stage(&relation, *moment));
    }
    stages
}

//! United histories are those of one customer who has all rows.

use std::collections::BTreeMap;

use proptest::{array::uniform3, collection::btree_map, collection::vec, option, prelude::*};
use tally_model::{
    history::{History, Version},
    time::Time,
};

/// An event of one of three ids.
#[derive(Clone, Debug)]
struct OwnedEvent {
    owner: usize,
    occur_time: i64,
    late: i64,
    kind: u8,
    channel: &'static str,
    amount: Option<i64>,
    properties: BTreeMap<String, String>,
    retract_time: Option<i64>,
}

impl OwnedEvent {
    /// Adds the event, known from a time at the earliest.
    fn push_to(&self, history: &mut History, known_from: i64) {
        let kind = if self.kind < 8 { "survey".to_owned() } else { format!("kind-{}", self.kind) };
        let survey = (self.kind < 4).then_some((f64::from(self.kind), 2.5));
        let record_time = Time((self.occur_time + self.late).max(known_from));
        history.push(&kind, Time(self.occur_time), record_time, self.amount, survey);
        history.push_channel(self.channel);
        self.properties.iter().for_each(|(name, text)| history.push_property(name, text));
        if let Some(time) = self.retract_time {
            history.push_retraction(Time(time));
        }
    }
}

/// Events with many equal times, and more kinds and properties than a linear search is used for.
fn events() -> impl Strategy<Value = Vec<OwnedEvent>> {
    let text = prop_oneof![
        Just("text".to_owned()),
        "[a-c]",
        "[a-c]{65}",
        (-9..9_i32).prop_map(|number| number.to_string())
    ];
    let properties = btree_map("[a-f]{1,2}", text, 0..5);
    let retraction = option::of(0..90_i64);
    let event = (
        0..3_usize,
        0..40_i64,
        0..30_i64,
        (0..30_u8, 0..3_usize),
        option::of(any::<i64>()),
        properties,
        retraction,
    );
    let event = event.prop_map(|(owner, occur_time, late, kind, amount, properties, retract_time)| {
        let (kind, channel) = kind;
        let channel = ["", "web", "shop"][channel];
        OwnedEvent { owner, occur_time, late, kind, channel, amount, properties, retract_time }
    });
    vec(event, 0..80)
}

fn version() -> Version {
    let time = Time(7);
    Version { effective_time: time, record_time: time, create_time: time, attributes: BTreeMap::new() }
}

proptest! {
    #[test]
    fn united_histories_are_those_of_one_customer_with_all_rows(
        mut events in events(),
        [_, second, third] in uniform3(0..60_i64),
    ) {
        // The documented order: by time, and of equal times this history first, then the others as given.
        events.sort_by_key(|event| (event.occur_time, event.owner));
        let known_from = [i64::MIN, second, third];
        let [mut own, mut others, mut whole] = [(); 3].map(|()| History::default());
        let mut last = History::default();
        for event in &events {
            let history = [&mut own, &mut others, &mut last];
            event.push_to(history.into_iter().nth(event.owner).unwrap(), i64::MIN);
            event.push_to(&mut whole, known_from[event.owner]);
        }
        for history in [&mut own, &mut others, &mut whole] {
            history.push_version(version());
        }
        let united = own.unite(&[(others, Time(second)), (last, Time(third))]);
        prop_assert_eq!(&united, &whole);
        prop_assert_eq!(united.pack().unpack().unwrap(), whole);
    }
}

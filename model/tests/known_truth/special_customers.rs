//! Extreme, unknown and ineligible customers.

use tally_model::{
    artifact::Artifact,
    history::{AttributeValue, Attributes, History, Version},
    label::{Basis, Ineligible, LabelDefinition},
    scoring::{Score, Scorer, probability},
    spec::ChurnEvent,
    time::Time,
};

use crate::{
    scores::assert_valid,
    studies::{CHURN, LEAD},
};

/// A history of these interactions, each known when it happened.
fn history_of(
    attributes: Attributes,
    interactions: impl IntoIterator<Item = (&'static str, Time, Option<i64>)>,
) -> History {
    let mut history = History::default();
    let start = LEAD.business.end.plus_days(-400);
    history.push_version(Version {
        effective_time: start,
        record_time: start,
        create_time: start,
        attributes,
    });
    for (kind, time, amount) in interactions {
        history.push(kind, time, time, amount, None);
    }
    history
}

#[test]
fn extreme_customers_have_valid_scores() {
    const GREATEST: i64 = 1_000_000_000_000_000;
    let now = LEAD.business.end;
    let every_minute = |n: i64| Time(now.0 - (1_000_000 - n) * 30_000_000);
    let busy = |kinds: [&'static str; 4], amount: Option<i64>| {
        let events = (0..1_000_000).map(move |n| (kinds[n as usize % 4], every_minute(n), amount));
        history_of(Attributes::new(), events)
    };
    let numbers = |number: f64| {
        let names = ["company_size", "region", "unknown"];
        names.map(|name| (name.to_owned(), AttributeValue::Number(number))).into()
    };
    let once = |kind, amount| history_of(numbers(0.0), [(kind, now, Some(amount))]);
    let leads = [
        busy(["visit", "email_open", "call", "meeting"], Some(GREATEST)),
        busy(["visit", "complaint", "return", "survey"], Some(-GREATEST)),
        history_of(numbers(f64::MAX), []),
        history_of(numbers(f64::MIN), []),
        once("visit", 0),
    ];
    let buyers = [
        busy(["purchase"; 4], Some(GREATEST)),
        busy(["purchase", "return", "complaint", "visit"], Some(-GREATEST)),
        busy(["purchase", "visit", "email", "call"], None),
        once("purchase", 0),
        history_of(Attributes::new(), [("purchase", Time::MIN, Some(1)), ("return", now, Some(GREATEST))]),
    ];
    for (study, histories) in [(&*LEAD, leads), (&*CHURN, buyers)] {
        for history in histories {
            for as_of in [now, Time::MAX] {
                let score = study.scorer.score(&history, as_of, as_of, usize::MAX, Score::of).unwrap();
                assert_eq!(score.basis, Basis::Model);
                assert_valid(&score, study);
            }
        }
    }
}

#[test]
fn an_unknown_customer_has_the_score_of_an_average_one() {
    let now = LEAD.business.end;
    let recorded_later = {
        let mut history = history_of(Attributes::new(), []);
        history.push("visit", now, Time(now.0 + 1), None, None);
        history
    };
    let not_yet = history_of(Attributes::new(), [("visit", Time(now.0 + 1), None)]);
    for history in [history_of(Attributes::new(), []), recorded_later, not_yet] {
        let score = LEAD.scorer.score(&history, now, now, usize::MAX, Score::of).unwrap();
        assert_eq!((score.basis, score.reasons.len()), (Basis::Cold, 0));
        assert_eq!(score.probability, probability(LEAD.trained.artifact.intercept));
        assert_valid(&score, &LEAD);
    }
    let located = history_of([("region".to_owned(), AttributeValue::Text("north".to_owned()))].into(), []);
    let score = LEAD.scorer.score(&located, now, now, usize::MAX, Score::of).unwrap();
    assert_eq!(score.basis, Basis::Model, "an attribute is known");
    assert_valid(&score, &LEAD);
    let visited = history_of(Attributes::new(), [("visit", now, None)]);
    assert_eq!(
        LEAD.scorer.score(&visited, now, now, 0, Score::of).unwrap().basis,
        Basis::Model,
        "so is a visit"
    );
}

#[test]
fn ineligible_customers_are_refused() {
    let now = LEAD.business.end;
    let silent = history_of(Attributes::new(), []);
    let buyer = history_of(Attributes::new(), [("purchase", now, Some(1))]);
    let left = history_of(Attributes::new(), [("cancel", now, None)]);
    let ask = |scorer: &Scorer, history: &History, as_of: Time| {
        scorer.score(history, as_of, as_of, 0, Score::of).map(|score| score.basis)
    };
    let created = now.plus_days(-400);
    assert_eq!(ask(&LEAD.scorer, &silent, created), Ok(Basis::Cold));
    assert_eq!(ask(&LEAD.scorer, &silent, Time(created.0 - 1)), Err(Ineligible::NotYetCreated));
    let just_before = Time(now.0 - 1);
    assert_eq!(ask(&LEAD.scorer, &buyer, now), Err(Ineligible::NotALead));
    assert_eq!(ask(&LEAD.scorer, &buyer, just_before), Ok(Basis::Cold), "a lead until it buys");
    assert_eq!(ask(&CHURN.scorer, &buyer, just_before), Err(Ineligible::NotABuyer));
    assert_eq!(ask(&CHURN.scorer, &silent, now), Err(Ineligible::NotABuyer));
    assert_eq!(ask(&CHURN.scorer, &buyer, now), Ok(Basis::Model));

    let artifact = CHURN.trained.artifact.clone();
    let outcome = LabelDefinition { event: ChurnEvent::Cancel, ..artifact.outcome.clone() };
    let cancel = Scorer::new(Artifact { outcome, ..artifact }).unwrap();
    assert_eq!(ask(&cancel, &left, now), Err(Ineligible::AlreadyCancelled));
    assert_eq!(
        ask(&cancel, &left, just_before),
        Ok(Basis::Cold),
        "without starts, subscribed until it cancels"
    );
    assert_eq!(ask(&cancel, &silent, now), Ok(Basis::Cold));
}

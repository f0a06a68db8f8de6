//! The whole way from histories to scores on simulated businesses whose truth is known: the models come
//! close to the true probabilities, know nothing of the future, are the same bytes when trained again,
//! survive storage and detect damage to it, and their scores are explained to the last log-odds.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::{collections::BTreeMap, sync::LazyLock};

use rand::{RngCore, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use tally_model::{
    artifact::{Artifact, ArtifactError, SplitKind, digest},
    evaluation::metrics::{Metrics, auc},
    features::{Plan, fold::Row, profile::DataProfile},
    history::{AttributeValue, Attributes, Event, History, Version},
    label::{Basis, Ineligible, LabelDefinition},
    scoring::{Grade, Score, Scorer, probability},
    simulate::Business,
    spec::{ChurnEvent, Spec, Target},
    time::{DAY, Time},
    training::{
        snapshot::{Sampling, Snapshots},
        split::Part,
        train::{TrainError, Trained, TrainingInput, TrainingOptions, train},
    },
};

// ---------------------------------------------------------------------------------------------------
// From a business to a model
// ---------------------------------------------------------------------------------------------------

/// A business whose end is the now of all training.
fn business(customers: usize) -> Business {
    Business { customers, ..Business::new(7, "2026-01-01".parse().unwrap()) }
}

fn histories(business: Business) -> Vec<(String, History)> {
    business.iter().map(|customer| (customer.customer_id.clone(), customer.history())).collect()
}

fn snapshots(histories: &[(String, History)], target: Target, now: Time) -> (Plan, Snapshots) {
    let spec = Spec::default();
    let (mut profile, mut rows) = (DataProfile::default(), Snapshots::default());
    histories.iter().for_each(|(_, history)| profile.add(history, now));
    let mut plan = profile.plan(&spec.features);
    let sampling = Sampling::new(target, &spec, now);
    plan.forecast = sampling.outcome.forecast();
    histories.iter().for_each(|(id, history)| rows.add(id, history, &plan, &sampling));
    (plan, rows)
}

fn fit(
    plan: Plan,
    rows: &mut Snapshots,
    target: Target,
    now: Time,
    split: SplitKind,
) -> Result<Trained, TrainError> {
    let (spec, options) = (Spec::default(), TrainingOptions { split, seed: 1 });
    let input =
        TrainingInput { spec: &spec, outcome: LabelDefinition::new(target, &spec), as_of: now, options };
    train(rows, plan, &input, &|_| {})
}

/// A model and all that it was made from.
struct Study {
    business: Business,
    target: Target,
    histories: Vec<(String, History)>,
    rows: Snapshots,
    trained: Trained,
    scorer: Scorer,
}

impl Study {
    fn new(business: Business, target: Target) -> Self {
        let histories = histories(business);
        let (plan, mut rows) = snapshots(&histories, target, business.end);
        let trained = fit(plan, &mut rows, target, business.end, SplitKind::Temporal).unwrap();
        let scorer = Scorer::new(trained.artifact.clone()).unwrap();
        Self { business, target, histories, rows, trained, scorer }
    }

    fn history_of_row(&self, row: usize) -> &History {
        let id = &self.rows.customers[self.rows.customer[row] as usize];
        &self.histories.iter().find(|(known, _)| known == id).unwrap().1
    }

    /// The outcomes of the holdout, what the model said of them, and what the truth says.
    fn judged(&self, draws: u32) -> (Vec<bool>, Vec<f64>, Vec<f64>) {
        let horizon = self.trained.artifact.outcome.horizon_days;
        let of_row = |(row, said): &(usize, f64)| {
            let id = &self.rows.customers[self.rows.customer[*row] as usize];
            let (n, as_of) = (id[1..].parse().unwrap(), self.rows.as_of[*row]);
            let truth = match self.target {
                Target::Lead => self.business.true_lead_probability(n, as_of, horizon, draws),
                Target::Churn => self.business.true_churn_probability(n, as_of, horizon, draws),
            };
            (self.rows.label[*row], (*said, truth.unwrap()))
        };
        let (outcomes, (said, truth)) = self.trained.holdout.iter().map(of_row).unzip();
        (outcomes, said, truth)
    }

    /// The scores of everybody whom the model is about, half a year ago and at the end.
    fn scores(&self, max_reasons: usize) -> Vec<Score> {
        let moments = [self.business.end.plus_days(-182), self.business.end];
        let pairs = moments.into_iter().flat_map(|as_of| self.histories.iter().map(move |(_, h)| (as_of, h)));
        let scores = pairs.filter_map(|(as_of, history)| {
            self.scorer.score(history, as_of, as_of, max_reasons, Score::of).ok()
        });
        scores.collect()
    }

    /// The raw rows of everybody whom the model is about and something is known of, at the end.
    fn rows(&self) -> Vec<Row> {
        let end = self.business.end;
        let row = |(_, history): &(String, History)| {
            let mut row = Row::default();
            self.scorer.row(history, end, end, &mut row).ok()?;
            (!row.raw.is_empty()).then_some(row)
        };
        self.histories.iter().filter_map(row).collect()
    }
}

static LEAD: LazyLock<Study> = LazyLock::new(|| Study::new(business(2_500), Target::Lead));
static CHURN: LazyLock<Study> = LazyLock::new(|| Study::new(business(1_500), Target::Churn));

fn studies() -> [&'static Study; 2] {
    [&LEAD, &CHURN]
}

// ---------------------------------------------------------------------------------------------------
// How good the models are
// ---------------------------------------------------------------------------------------------------

/// Asserts that the holdout is judged rightly and that the model is within `tolerance` of the truth and
/// better than its rivals, in order by `margin` and in probabilities.
fn is_close_to_the_truth(study: &Study, tolerance: f64, margin: f64) {
    let (outcomes, said, truth) = study.judged(100);
    let card = &study.trained.artifact.card;
    assert_eq!(card.split, SplitKind::Temporal);
    assert_eq!(card.holdout, Metrics::new(&said, &outcomes), "the card tells of this holdout");
    assert!(outcomes.len() > 500);
    let (model, best) = (card.holdout.auc, auc(&truth, &outcomes));
    assert!((model - best).abs() < tolerance, "{model}, but the truth has {best}");
    assert_eq!(card.baselines.len(), 2);
    assert_eq!(card.baselines[0].1.auc, 0.5);
    for (name, rival) in &card.baselines {
        assert!(model > rival.auc + margin, "{model}, but {name} has {}", rival.auc);
        let (loss, rival) = (card.holdout.log_loss, rival.log_loss);
        assert!(loss < 0.97 * rival, "a loss of {loss}, but {name} has {rival}");
    }
}

#[test]
fn a_lead_model_is_nearly_as_good_as_the_truth() {
    is_close_to_the_truth(&LEAD, 0.04, 0.1);
    assert_eq!(LEAD.trained.artifact.card.baselines[1].0, "tenure_days");
}

#[test]
fn a_churn_model_is_nearly_as_good_as_the_truth() {
    // The truth knows what no history tells: each customer's own rhythm, from which follows what a
    // silence means. And how long ago a customer bought says much by itself.
    is_close_to_the_truth(&CHURN, 0.05, 0.02);
    assert_eq!(CHURN.trained.artifact.card.baselines[1].0, "purchase.days_since_last");
}

#[test]
fn nothing_that_is_learned_from_looks_into_the_holdout() {
    for study in studies() {
        let rows = || study.trained.parts.iter().zip(&study.rows.as_of);
        let of = |wanted: Part| rows().filter(move |(part, _)| **part == wanted).map(|(_, as_of)| *as_of);
        let start = of(Part::Holdout).min().unwrap();
        let outcome = study.trained.artifact.outcome;
        assert!(of(Part::Train).all(|as_of| outcome.horizon_end(as_of) <= start));
        assert!(of(Part::Gap).all(|as_of| as_of < start && outcome.horizon_end(as_of) > start));
        assert!(of(Part::Holdout).all(|as_of| outcome.horizon_end(as_of) <= study.business.end));
        let holdout = study.trained.holdout.iter().map(|(row, _)| study.rows.as_of[*row]);
        assert!(holdout.eq(of(Part::Holdout)));
    }
}

#[test]
fn a_quarter_of_what_was_learned_from_falls_into_each_grade() {
    for study in studies() {
        let mut grades = BTreeMap::<Grade, Vec<f64>>::new();
        for row in 0..study.rows.len() {
            let as_of = study.rows.as_of[row];
            let score = study.scorer.score(study.history_of_row(row), as_of, as_of, 0, Score::of).unwrap();
            grades.entry(score.grade).or_default().push(score.probability);
        }
        let mut edges = Vec::new();
        for (grade, probabilities) in &grades {
            let share = probabilities.len() as f64 / study.rows.len() as f64;
            assert!((share - 0.25).abs() < 0.01, "{share} of all are {grade:?}");
            edges.push(probabilities.iter().copied().fold(f64::NAN, f64::max));
        }
        let best_first = study.target == Target::Lead;
        assert!(edges.is_sorted_by(|a, b| if best_first { a > b } else { a < b }), "{edges:?}");
    }
}

// ---------------------------------------------------------------------------------------------------
// The future
// ---------------------------------------------------------------------------------------------------

/// Something that tells the outcome of a snapshot: when it happened, and when that was recorded.
type Hint = (Time, Time);

/// The history, with the hints as interactions of a kind of their own and, since records can be revised
/// as well, as versions of the record that are in force from the hint on. Surveys lose their answers.
fn with_hints(history: &History, hints: &[Hint]) -> History {
    let mut events: Vec<(&str, Event)> =
        history.events().map(|event| (&*history.kinds()[event.kind as usize], event)).collect();
    let hint = |(occur_time, record_time): &Hint| {
        let (amount_minor, kind) = (None, 0);
        ("hint", Event { occur_time: *occur_time, record_time: *record_time, amount_minor, kind })
    };
    events.extend(hints.iter().map(hint));
    events.sort_by_key(|(_, event)| event.occur_time);
    let mut view = History::default();
    for (kind, event) in events {
        view.push(kind, event.occur_time, event.record_time, event.amount_minor, None);
    }
    let record = &history.versions()[0];
    view.push_version(record.clone());
    for (effective_time, record_time) in hints.iter().copied() {
        let mut version = Version { effective_time, record_time, ..record.clone() };
        version.attributes.insert("hinted".to_owned(), AttributeValue::Boolean(true));
        view.push_version(version);
    }
    view
}

/// Trains where every snapshot whose outcome came about has a hint at its very `as_of`, recorded
/// `late` microseconds after it; None leaves the hints out.
fn trained_with_hints(customers: usize, target: Target, late: Option<i64>) -> (Plan, Snapshots, Trained) {
    let now = business(customers).end;
    let plain = histories(business(customers));
    let (_, rows) = snapshots(&plain, target, now);
    let mut hints = BTreeMap::<&str, Vec<Hint>>::new();
    for row in (0..rows.len()).filter(|row| late.is_some() && rows.label[*row]) {
        let as_of = rows.as_of[row];
        let hint = (as_of, Time(as_of.0 + late.unwrap_or_default()));
        hints.entry(&rows.customers[rows.customer[row] as usize]).or_default().push(hint);
    }
    let with_view = |(id, history): &(String, History)| {
        (id.clone(), with_hints(history, hints.get(id.as_str()).map_or(&[], Vec::as_slice)))
    };
    let (plan, mut view) = snapshots(&plain.iter().map(with_view).collect::<Vec<_>>(), target, now);
    assert_eq!((&view.as_of, &view.label), (&rows.as_of, &rows.label), "the same snapshots");
    let trained = fit(plan.clone(), &mut view, target, now, SplitKind::Temporal).unwrap();
    (plan, view, trained)
}

fn knows_of_hints(plan: &Plan) -> bool {
    plan.kinds.iter().any(|kind| kind == "hint") && plan.attributes.iter().any(|(name, _)| name == "hinted")
}

#[test]
fn what_becomes_known_after_a_lead_was_asked_about_changes_no_probability() {
    // As late as the end of the horizon, no other snapshot of the lead sees the hint either.
    let late = 30 * DAY + 1;
    let (plan, _, plain) = trained_with_hints(600, Target::Lead, None);
    assert!(!knows_of_hints(&plan));
    let (plan, _, planted) = trained_with_hints(600, Target::Lead, Some(late));
    assert!(knows_of_hints(&plan), "the features are there");
    assert_eq!(planted.holdout, plain.holdout, "and tell nothing");
    assert_eq!(planted.artifact.card.holdout, plain.artifact.card.holdout);
}

#[test]
fn what_becomes_known_a_microsecond_late_is_not_in_the_row_and_in_time_it_is() {
    for (late, seen) in [(1, false), (0, true)] {
        let (plan, rows, trained) = trained_with_hints(600, Target::Lead, Some(late));
        let count =
            plan.measures().iter().position(|measure| measure.to_string() == "hint.count_ever").unwrap();
        let first_of_lead =
            (0..rows.len()).filter(|row| *row == 0 || rows.customer[*row] != rows.customer[row - 1]);
        for row in first_of_lead {
            assert_eq!(
                rows.features[row * plan.width() + count],
                f64::from(u8::from(seen && rows.label[row]))
            );
        }
        assert!(!seen || trained.artifact.card.holdout.auc > 0.99, "a hint that is seen is believed");
    }
}

#[test]
fn what_becomes_known_after_the_horizon_does_not_help_to_foretell_churn() {
    let auc = |late| trained_with_hints(400, Target::Churn, late).2.artifact.card.holdout.auc;
    let (plain, planted) = (auc(None), auc(Some(90 * DAY + 1)));
    assert!(planted < plain + 0.01, "{planted}, without the future {plain}");
    let seen = auc(Some(0));
    assert!(seen > 0.99, "{seen}: a hint in time would have been believed");
}

// ---------------------------------------------------------------------------------------------------
// The same again
// ---------------------------------------------------------------------------------------------------

#[test]
fn the_same_customers_in_any_order_give_the_same_bytes() {
    for target in Target::ALL {
        for split in [SplitKind::Temporal, SplitKind::Random] {
            let business = business(500);
            let mut histories = histories(business);
            let mut in_another_order = || {
                let middle = histories.len() / 3;
                histories.rotate_left(middle);
                histories.reverse();
                let (plan, mut rows) = snapshots(&histories, target, business.end);
                fit(plan, &mut rows, target, business.end, split).unwrap().artifact.to_bytes().unwrap()
            };
            assert!(in_another_order() == in_another_order(), "{target}, {split:?}");
        }
    }
}

#[test]
fn serving_sees_what_training_saw() {
    for study in studies() {
        let artifact = &study.trained.artifact;
        let (raw_width, mut design) = (artifact.plan.width(), vec![0.0; artifact.weights.len()]);
        for row in (0..study.rows.len()).step_by(7) {
            artifact
                .encoder
                .encode(&study.rows.features[row * raw_width..(row + 1) * raw_width], &mut design);
            let dot: f64 = design.iter().zip(&artifact.weights).map(|(x, w)| x * w).sum();
            let as_of = study.rows.as_of[row];
            let score = study.scorer.score(study.history_of_row(row), as_of, as_of, 0, Score::of).unwrap();
            let log_odds = artifact.intercept + dot;
            let log_odds = artifact.calibration.as_ref().map_or(log_odds, |curve| curve.apply(log_odds));
            assert!((score.probability - probability(log_odds)).abs() < 1e-12);
        }
    }
}

// ---------------------------------------------------------------------------------------------------
// Storage
// ---------------------------------------------------------------------------------------------------

#[test]
fn a_model_survives_storage_to_the_last_bit() {
    for study in studies() {
        let bytes = study.trained.artifact.to_bytes().unwrap();
        let stored = Artifact::from_bytes(&bytes).unwrap();
        assert!(stored == study.trained.artifact);
        assert!(stored.to_bytes().unwrap() == bytes);
        let scorer = Scorer::new(stored).unwrap();
        for (_, history) in study.histories.iter().take(300) {
            let score =
                |scorer: &Scorer| scorer.score(history, study.business.end, study.business.end, 5, Score::of);
            assert_eq!(format!("{:?}", score(&scorer)), format!("{:?}", score(&study.scorer)));
        }
    }
}

#[test]
fn damaged_bytes_are_refused() {
    let bytes = LEAD.trained.artifact.to_bytes().unwrap();
    let header = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    let mut sampler = Xoshiro256PlusPlus::seed_from_u64(3);
    let anywhere: Vec<usize> = (0..400).map(|_| sampler.next_u64() as usize % bytes.len()).collect();
    for place in anywhere.iter().copied().chain(0..header) {
        let mut damaged = bytes.clone();
        damaged[place] ^= 1 << (sampler.next_u64() % 8);
        let error = Artifact::from_bytes(&damaged).unwrap_err();
        assert!(matches!(error, ArtifactError::Format | ArtifactError::Checksum), "{error} at {place}");
        assert!(place < header || error == ArtifactError::Checksum, "{error} at {place}");
    }
    for length in anywhere.into_iter().chain(0..=header).chain([bytes.len() - 1]) {
        assert!(Artifact::from_bytes(&bytes[..length]).is_err(), "cut to {length} bytes");
    }
    assert_eq!(Artifact::from_bytes(&[&bytes[..], b" "].concat()), Err(ArtifactError::Checksum));
    assert_eq!(Artifact::from_bytes(&[&bytes[..], &bytes[..]].concat()), Err(ArtifactError::Checksum));
}

#[test]
fn a_model_of_another_format_is_refused() {
    let bytes = LEAD.trained.artifact.to_bytes().unwrap();
    let text = String::from_utf8(bytes).unwrap();
    for other in
        ["tally-model 2 ", "tally-model 10 ", "tally-model  1 ", "tally_model 1 ", " tally-model 1 ", ""]
    {
        let renamed = text.replacen("tally-model 1 ", other, 1);
        assert_eq!(Artifact::from_bytes(renamed.as_bytes()), Err(ArtifactError::Format), "{other:?}");
    }
}

/// Something done to the content of a model.
type Edit = fn(&mut serde_json::Value);

/// The bytes of a model whose content somebody has edited and signed anew.
fn resigned(edit: Edit) -> Vec<u8> {
    let bytes = LEAD.trained.artifact.to_bytes().unwrap();
    let start = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    let mut content = serde_json::from_slice(&bytes[start..]).unwrap();
    edit(&mut content);
    let body = serde_json::to_vec(&content).unwrap();
    [format!("tally-model 1 {}\n", digest(&body)).as_bytes(), &body].concat()
}

#[test]
fn content_that_cannot_be_scored_with_is_refused_whatever_its_checksum() {
    use serde_json::json;
    assert!(Artifact::from_bytes(&resigned(|_| {})).is_ok(), "unedited it is accepted");
    let edits: [(&str, Edit); 18] = [
        ("a weight too few", |v| drop(v["weights"].as_array_mut().unwrap().pop())),
        ("a weight too many", |v| v["weights"].as_array_mut().unwrap().push(json!(0.5))),
        ("a weight that is none", |v| v["weights"][0] = json!(null)),
        ("a covariance too short", |v| v["covariance_factor"] = json!("AACAPw==")),
        ("a covariance that is none", |v| v["covariance_factor"] = json!("!")),
        ("no golden row", |v| v["golden"] = json!([])),
        ("a golden row too short", |v| drop(v["golden"][0]["raw"].as_array_mut().unwrap().pop())),
        ("a calibration that falls", |v| {
            v["calibration"] = json!({"calibration": "platt", "slope": -1.0, "offset": 0.0});
        }),
        ("no intercept", |v| drop(v.as_object_mut().unwrap().remove("intercept"))),
        ("an unknown key", |v| v["surprise"] = json!(1)),
        ("falling quartiles", |v| v["quartiles"] = json!([0.5, 0.4, 0.6])),
        ("a quartile of 1", |v| v["quartiles"] = json!([0.5, 0.6, 1.0])),
        ("a feature out of place", |v| v["encoder"]["features"][0]["place"] = json!(1_000_000)),
        ("a feature in the place of another", |v| {
            v["encoder"]["features"][0]["place"] = v["encoder"]["features"][1]["place"].clone();
        }),
        ("a feature fewer", |v| drop(v["encoder"]["features"].as_array_mut().unwrap().pop())),
        ("a window fewer", |v| drop(v["plan"]["windows_days"].as_array_mut().unwrap().pop())),
        ("a range upside down", |v| {
            let number = v["encoder"]["features"].as_array_mut().unwrap().iter_mut();
            let line = number.map(|f| &mut f["line"]).find(|line| line.is_object()).unwrap();
            (line["low"], line["high"]) = (json!(2.0), json!(1.0));
        }),
        ("an absurd spec", |v| v["spec"]["lead"]["horizon_days"] = json!(0)),
    ];
    for (name, edit) in edits {
        match Artifact::from_bytes(&resigned(edit)) {
            Err(ArtifactError::Invalid(_)) => {}
            other => panic!("{name}: {:?}", other.map(|_| "accepted")),
        }
    }
}

#[test]
fn a_model_that_scores_otherwise_than_it_did_must_not_serve() {
    let mut artifact = LEAD.trained.artifact.clone();
    artifact.weights[0] += 1e-9;
    assert_eq!(Scorer::new(artifact).unwrap_err(), ArtifactError::Golden);
}

#[test]
fn what_is_not_finite_is_not_stored() {
    let artifact = &LEAD.trained.artifact;
    for broken in [
        Artifact { intercept: f64::NAN, ..artifact.clone() },
        Artifact { penalty: f64::INFINITY, ..artifact.clone() },
        Artifact { weights: vec![f64::NAN; artifact.weights.len()], ..artifact.clone() },
        Artifact { quartiles: [f64::NAN; 3], ..artifact.clone() },
    ] {
        assert!(matches!(broken.to_bytes(), Err(ArtifactError::Invalid(_))));
    }
}

// ---------------------------------------------------------------------------------------------------
// Scores
// ---------------------------------------------------------------------------------------------------

fn log_odds(probability: f64) -> f64 {
    (probability / (1.0 - probability)).ln()
}

/// Asserts what holds for every score, given with all its reasons.
fn is_sound(score: &Score, study: &Study) {
    let Score { probability, lower, upper, base_log_odds, reasons, .. } = score;
    assert!(*probability > 0.0 && *probability < 1.0, "{score:?}");
    assert!(*lower > 0.0 && lower <= probability && probability <= upper && *upper < 1.0, "{score:?}");
    let explained = base_log_odds + reasons.iter().map(|reason| reason.contribution).sum::<f64>();
    assert!((explained - log_odds(*probability)).abs() < 1e-9, "{explained} explains {score:?}");
    assert!(reasons.is_sorted_by(|a, b| a.contribution.abs() >= b.contribution.abs()));
    assert!(reasons.iter().all(|reason| !reason.text.is_empty() && !reason.text.contains("NaN")));
    let artifact = &study.trained.artifact;
    assert_eq!(*base_log_odds, artifact.intercept);
    if score.basis == Basis::Model {
        let features = artifact.encoder.features.iter().map(|feature| feature.measure.to_string());
        let mut named: Vec<&str> = reasons.iter().map(|reason| reason.feature.as_str()).collect();
        let mut known: Vec<String> = features.collect();
        named.sort_unstable();
        known.sort_unstable();
        assert_eq!(named, known, "every feature is a reason, once");
    }
}

#[test]
fn reasons_add_up_to_the_log_odds_of_the_score() {
    for study in studies() {
        let scores = study.scores(usize::MAX);
        assert!(scores.len() > 1_000);
        scores.iter().for_each(|score| is_sound(score, study));
        let distinct = scores.iter().map(|score| score.probability.to_bits());
        assert!(distinct.collect::<std::collections::BTreeSet<_>>().len() > scores.len() / 2);
    }
}

/// The tables against the row of the design multiplied out.
#[test]
fn looked_up_log_odds_and_errors_are_those_of_the_design_row() {
    for study in studies() {
        let artifact = study.scorer.artifact();
        let mut row = vec![0.0; artifact.encoder.width()];
        for Row { raw, .. } in study.rows() {
            artifact.encoder.encode(&raw, &mut row);
            let log_odds =
                artifact.intercept + row.iter().zip(&artifact.weights).map(|(x, w)| x * w).sum::<f64>();
            let with_intercept: Vec<f64> = std::iter::once(1.0).chain(row.iter().copied()).collect();
            let mut along = vec![0.0; with_intercept.len()];
            let mut rest = &artifact.covariance_factor[..];
            for (n, x) in with_intercept.iter().enumerate() {
                let (own, below) = rest.split_at(n + 1);
                rest = below;
                along.iter_mut().zip(own).for_each(|(sum, c)| *sum += x * f64::from(*c));
            }
            let standard_error = along.iter().map(|sum| sum * sum).sum::<f64>().sqrt();
            let (found, error) = study.scorer.assess(&raw);
            let expected = artifact.calibration.as_ref().map_or(log_odds, |curve| curve.apply(log_odds));
            assert!((found - expected).abs() < 1e-9, "{found} {expected}");
            assert!((error / standard_error - 1.0).abs() < 1e-4, "{error} {standard_error}");
        }
    }
}

#[test]
fn fewer_reasons_are_the_first_ones_and_change_nothing_else() {
    for study in studies() {
        let all = study.scores(usize::MAX);
        for most in [0, 1, 3] {
            for (few, all) in study.scores(most).into_iter().zip(&all) {
                assert_eq!(few.reasons[..], all.reasons[..most.min(all.reasons.len())]);
                assert_eq!(Score { reasons: all.reasons.clone(), ..few }, *all);
            }
        }
    }
}

/// Whoever keeps what stands gets the score that is made anew, to the bit: an hour later, close to the end of it,
/// and at any moment in between.
#[test]
fn what_stands_tells_the_score_that_is_made_anew() {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(5);
    for Study { scorer, histories, business, .. } in studies() {
        let mut row = Row::default();
        let (mut view, mut moved) = (0, 0);
        for (n, (_, history)) in histories.iter().enumerate() {
            let as_of = business.end.plus_days(-(n as i64 % 400));
            if scorer.row(history, as_of, as_of, &mut row).is_err() {
                continue;
            }
            let prepared = scorer.prepared(history, as_of, as_of, 4).unwrap();
            assert!(!prepared.is_valid_at(Time(as_of.0 - 1), as_of, 4), "it is not known what was before");
            assert!(!prepared.is_valid_at(as_of, as_of, 5), "it was made for fewer reasons");
            let first = scorer.with_view(&prepared, as_of, 4, Score::of);
            assert_eq!(scorer.probability_of(&row.raw).to_bits(), first.probability.to_bits());
            assert_eq!(scorer.grade_of(&row.raw), first.grade);
            assert_eq!(Ok(&first), scorer.score(history, as_of, as_of, 4, Score::of).as_ref());
            // Where the row ends, and where a value comes into its next cell.
            let (mut is_valid_at, mut falls) = (as_of.0, as_of.0 + 400 * DAY);
            while falls - is_valid_at > 1 {
                let between = Time(is_valid_at.midpoint(falls));
                let still = prepared.is_valid_at(between, between, 4);
                *(if still { &mut is_valid_at } else { &mut falls }) = between.0;
            }
            let length = (is_valid_at - as_of.0) as u64 + 1;
            let some = (0..4).map(|_| as_of.0 + (random.next_u64() % length) as i64);
            for later in
                some.chain([is_valid_at]).map(Time).filter(|later| prepared.is_valid_at(*later, *later, 4))
            {
                for most in [4, 1] {
                    let score = scorer.with_view(&prepared, later, most, Score::of);
                    assert_eq!(Ok(&score), scorer.score(history, later, later, most, Score::of).as_ref());
                    moved += usize::from(score.probability.to_bits() != first.probability.to_bits());
                    view += 1;
                }
            }
        }
        assert!(view > 2_000 && moved > view / 3, "{view} {moved}");
    }
}

#[test]
fn missing_features_are_those_without_a_value() {
    use tally_model::features::explain::FeatureValue;
    let mut some = 0;
    for score in LEAD.scores(usize::MAX) {
        let without = score.reasons.iter().filter(|reason| reason.value == FeatureValue::Missing);
        let mut without: Vec<String> = without.map(|reason| reason.feature.clone()).collect();
        let mut missing = score.missing_features;
        without.sort();
        missing.sort();
        assert_eq!(missing, without);
        some += usize::from(!missing.is_empty());
    }
    assert!(some > 0);
}

/// A history of these interactions, each known at once.
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
fn the_most_extreme_customers_have_sound_scores() {
    const GREATEST: i64 = 1_000_000_000_000_000;
    let now = LEAD.business.end;
    let every_minute = |n: i64| Time(now.0 - (1_000_000 - n) * 30_000_000);
    let busy = |kinds: [&'static str; 4], amount: Option<i64>| {
        let events = (0..1_000_000).map(move |n| (kinds[n as usize % 4], every_minute(n), amount));
        history_of(Attributes::new(), events)
    };
    let numbers = |number: f64| {
        let names = ["company_size", "region", "unheard_of"];
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
                is_sound(&score, study);
            }
        }
    }
}

#[test]
fn a_customer_of_whom_nothing_is_known_is_an_average_one() {
    let now = LEAD.business.end;
    let recorded_later = {
        let mut history = history_of(Attributes::new(), []);
        history.push("visit", now, Time(now.0 + 1), None, None);
        history
    };
    let not_yet = history_of(Attributes::new(), [("visit", Time(now.0 + 1), None)]);
    for history in [History::default(), history_of(Attributes::new(), []), recorded_later, not_yet] {
        let score = LEAD.scorer.score(&history, now, now, usize::MAX, Score::of).unwrap();
        assert_eq!((score.basis, score.reasons.len()), (Basis::Cold, 0));
        assert_eq!(score.probability, probability(LEAD.trained.artifact.intercept));
        is_sound(&score, &LEAD);
    }
    let view = history_of([("region".to_owned(), AttributeValue::Text("north".to_owned()))].into(), []);
    let score = LEAD.scorer.score(&view, now, now, usize::MAX, Score::of).unwrap();
    assert_eq!(score.basis, Basis::Model, "an attribute is something");
    is_sound(&score, &LEAD);
    let visited = history_of(Attributes::new(), [("visit", now, None)]);
    assert_eq!(
        LEAD.scorer.score(&visited, now, now, 0, Score::of).unwrap().basis,
        Basis::Model,
        "so is a visit"
    );
}

#[test]
fn nobody_is_scored_whom_a_model_is_not_about() {
    let now = LEAD.business.end;
    let silent = history_of(Attributes::new(), []);
    let buyer = history_of(Attributes::new(), [("purchase", now, Some(1))]);
    let left = history_of(Attributes::new(), [("cancel", now, None)]);
    let ask = |scorer: &Scorer, history: &History, as_of: Time| {
        scorer.score(history, as_of, as_of, 0, Score::of).map(|score| score.basis)
    };
    let just_before = Time(now.0 - 1);
    assert_eq!(ask(&LEAD.scorer, &buyer, now), Err(Ineligible::NotALead));
    assert_eq!(ask(&LEAD.scorer, &buyer, just_before), Ok(Basis::Cold), "a lead until it buys");
    assert_eq!(ask(&CHURN.scorer, &buyer, just_before), Err(Ineligible::NotABuyer));
    assert_eq!(ask(&CHURN.scorer, &silent, now), Err(Ineligible::NotABuyer));
    assert_eq!(ask(&CHURN.scorer, &buyer, now), Ok(Basis::Model));

    let artifact = CHURN.trained.artifact.clone();
    let outcome = LabelDefinition { event: ChurnEvent::Cancel, ..artifact.outcome };
    let view = Scorer::new(Artifact { outcome, ..artifact }).unwrap();
    assert_eq!(ask(&view, &left, now), Err(Ineligible::AlreadyCancelled));
    assert_eq!(ask(&view, &left, just_before), Ok(Basis::Cold), "subscribed until it cancels");
    assert_eq!(ask(&view, &silent, now), Ok(Basis::Cold));
}

// ---------------------------------------------------------------------------------------------------
// Too little
// ---------------------------------------------------------------------------------------------------

/// As many snapshots of as many customers, so many with the outcome; the first feature is all they have.
fn plain_rows(rows: usize, positives: usize, first: fn(usize) -> f64) -> (Plan, Snapshots) {
    let kinds = vec!["visit".to_owned()];
    let plan = Plan {
        windows_days: Vec::new(),
        kinds,
        properties: Vec::new(),
        attributes: Vec::new(),
        forecast: None,
    };
    let mut snapshots = Snapshots::default();
    for row in 0..rows {
        snapshots.customers.push(row.to_string());
        snapshots.customer.push(row as u32);
        snapshots.as_of.push(Time(row as i64 * DAY));
        snapshots.label.push(row * positives / rows != (row + 1) * positives / rows);
        snapshots.features.push(first(row));
        snapshots.features.extend(vec![0.0; plan.width() - 1]);
    }
    assert_eq!(snapshots.positives(), positives);
    (plan, snapshots)
}

#[test]
fn too_little_data_is_refused_with_what_there_is_and_what_is_needed() {
    let fit = |rows, positives| {
        let (plan, mut snapshots) = plain_rows(rows, positives, |row| (row % 7) as f64);
        fit(plan, &mut snapshots, Target::Lead, Time(10_000 * DAY), SplitKind::Temporal)
    };
    for (rows, positives) in
        [(0, 0), (1, 1), (199, 60), (199, 139), (200, 49), (200, 151), (5_000, 0), (5_000, 5_000)]
    {
        let error = fit(rows, positives).unwrap_err();
        let negatives = rows - positives;
        assert_eq!(
            error.to_string(),
            format!(
                "too little data: have {rows} snapshots, {positives} with the outcome and {negatives} without; \
                 need 200 snapshots, 50 of each"
            )
        );
        assert!(
            matches!(error, TrainError::TooLittle { rows: r, positives: p } if (r, p) == (rows, positives))
        );
    }
    for positives in [50, 150] {
        let trained = fit(200, positives).unwrap();
        assert_eq!(trained.artifact.card.split, SplitKind::Random, "too few for the latest as a holdout");
        Artifact::from_bytes(&trained.artifact.to_bytes().unwrap()).unwrap();
    }
}

#[test]
fn where_nothing_varies_there_is_nothing_to_learn() {
    let (plan, mut snapshots) = plain_rows(400, 150, |_| 3.0);
    let error = fit(plan, &mut snapshots, Target::Lead, Time(10_000 * DAY), SplitKind::Temporal).unwrap_err();
    assert!(matches!(error, TrainError::NothingVaries(_)), "{error}");
}

/// One customer's absurd number must not keep everybody from a model.
#[test]
fn absurd_numbers_do_not_stop_a_training() {
    let business = business(400);
    for huge in [1e155, 1e300, f64::MAX] {
        let mut histories = histories(business);
        for (n, (_, history)) in histories.iter_mut().enumerate() {
            let mut version = history.versions()[0].clone();
            let value = if n == 0 { huge } else { n as f64 };
            version.attributes.insert("absurd".to_owned(), AttributeValue::Number(value));
            let mut again = History::default();
            for event in history.events() {
                let kind = &history.kinds()[event.kind as usize];
                let survey = Some((huge, 1.0 / huge));
                again.push(kind, event.occur_time, event.record_time, event.amount_minor, survey);
            }
            again.push_version(version);
            *history = again;
        }
        let (plan, mut rows) = snapshots(&histories, Target::Churn, business.end);
        let trained = fit(plan, &mut rows, Target::Churn, business.end, SplitKind::Random).unwrap();
        Artifact::from_bytes(&trained.artifact.to_bytes().unwrap()).unwrap();
        assert!(trained.artifact.card.holdout.auc > 0.7, "{huge}");
    }
}

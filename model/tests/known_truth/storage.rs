//! Models survive storage, and damage to them is detected.

use rand::{RngCore, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use serde_json::json;
use tally_model::{
    artifact::{Artifact, ArtifactError, digest},
    evaluation::drift::Counts,
    scoring::{Score, Scorer},
};

use crate::studies::{LEAD, studies};

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

/// A change of the content of a model.
type Edit = fn(&mut serde_json::Value);

/// The bytes of a model whose content was edited, with a new checksum.
fn edited(edit: Edit) -> Vec<u8> {
    let bytes = LEAD.trained.artifact.to_bytes().unwrap();
    let start = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    let mut content = serde_json::from_slice(&bytes[start..]).unwrap();
    edit(&mut content);
    let body = serde_json::to_vec(&content).unwrap();
    [format!("tally-model 1 {}\n", digest(&body)).as_bytes(), &body].concat()
}

const EDITS: [(&str, Edit); 18] = [
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

#[test]
fn invalid_content_is_refused_even_with_a_valid_checksum() {
    assert!(Artifact::from_bytes(&edited(|_| {})).is_ok(), "unedited it is accepted");
    for (name, edit) in EDITS {
        match Artifact::from_bytes(&edited(edit)) {
            Err(ArtifactError::Invalid(_)) => {}
            other => panic!("{name}: {:?}", other.map(|_| "accepted")),
        }
    }
}

#[test]
fn a_model_that_scores_differently_is_refused() {
    let mut artifact = LEAD.trained.artifact.clone();
    artifact.weights[0] += 1e-9;
    assert_eq!(Scorer::new(artifact).unwrap_err(), ArtifactError::Golden);
}

#[test]
fn numbers_that_are_not_finite_are_not_stored() {
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

/// The reference of a model of an older version has a row for each snapshot. Chance is by customers all the same.
#[test]
fn a_model_of_an_older_version_is_compared_by_its_customers() {
    let new = &LEAD.trained.artifact;
    let mut value = serde_json::to_value(new).unwrap();
    assert_eq!(value["reference"].as_object_mut().unwrap().remove("per_customer"), Some(json!(true)));
    value["card"]["customers"] = json!(100);
    let old: Artifact = serde_json::from_value(value).unwrap();
    let mut counts = Counts::new(&old.reference);
    let raw = vec![0.0; old.plan.width()];
    (0..50).for_each(|_| counts.add(&old.reference, &raw, 0.5));
    let chance = |artifact: &Artifact| {
        let score = artifact.drift(&counts).score;
        score.chance / (score.bins.len() as f64 - 1.0)
    };
    assert!((chance(&old) - (1.0 / 100.0 + 1.0 / 50.0)).abs() < 1e-12);
    assert!((chance(new) - (1.0 / new.reference.rows() as f64 + 1.0 / 50.0)).abs() < 1e-12);
    let stored = Artifact::from_bytes(&old.to_bytes().unwrap()).unwrap();
    assert!(stored == old, "it is read as it was");
}

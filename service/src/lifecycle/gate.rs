//! The gate: a candidate must pass the checks of its training, and be better than the champion on holdout rows that
//! neither of the two has learned from: by the point estimate of the log loss, and without being worse by more than a
//! margin at the upper end of its interval. Those are the rows of both holdouts, and those of the candidate's
//! holdout that its training had the champion score.

use std::fmt;

use tally_model::{
    apart,
    artifact::Artifact,
    counted,
    label::LabelDefinition,
    spec::{ChurnEvent, Target},
    training::{
        checks::{BARELY_BETTER, FailedCheck},
        compare::{Comparison, NON_INFERIORITY_MARGIN},
    },
};
use tally_store::Store;

use crate::{
    catalog::{Model, ModelName, read_artifact},
    platform::{
        blocking::run_blocking,
        error::{Error, Result},
    },
};

/// The reason why a candidate that is no better is refused.
pub(super) const NO_BETTER_THAN_CHAMPION: &str = "NO_BETTER_THAN_CHAMPION";

/// What the gate finds about a candidate.
#[derive(Clone, Debug, PartialEq)]
pub struct Gate {
    /// The failed checks that stand against the promotion of the candidate.
    pub failed_checks: Vec<FailedCheck>,
    /// How it compares with the champion.
    pub against: ChampionComparison,
}

/// How a candidate compares with the champion.
#[derive(Clone, Debug, PartialEq)]
pub enum ChampionComparison {
    /// No model serves yet.
    NoChampion,
    /// The candidate is the champion itself.
    IsChampion,
    /// The champion predicts the same from the same columns, with the same coefficients.
    SameModel(ModelName),
    /// Both models were judged on the same rows.
    Compared(ModelName, Comparison),
    /// There is no fair comparison with the champion, for this reason.
    NotComparable(ModelName, String),
}

/// What the gate looks at.
pub(super) struct PromotionCandidate<'a> {
    pub(super) name: ModelName,
    pub(super) artifact: &'a Artifact,
    pub(super) failed_checks: &'a [FailedCheck],
}

impl<'a> From<&'a Model> for PromotionCandidate<'a> {
    fn from(model: &'a Model) -> Self {
        Self { name: model.name, artifact: model.scorer.artifact(), failed_checks: &model.failed_checks }
    }
}

impl Gate {
    /// Whether the candidate passes the checks, and is [better](Comparison::is_better) than the champion or has none
    /// to compare with. A training promotes such a candidate by itself.
    #[must_use]
    pub fn is_better(&self) -> bool {
        self.failed_checks.is_empty() && self.against.is_better()
    }

    /// Whether failed checks stand against the promotion of the candidate, besides what the comparison says.
    #[must_use]
    pub const fn is_stopped_by_checks(&self) -> bool {
        !self.failed_checks.is_empty()
    }

    /// Why the candidate is not promoted without force; None when it is.
    #[must_use]
    pub fn refusal(&self, candidate: ModelName) -> Option<Error> {
        let against = &self.against;
        let (reason, what) = match against {
            ChampionComparison::IsChampion => return Some(already_champion(candidate)),
            ChampionComparison::Compared(_, comparison) if comparison.difference > 0.0 => {
                let [have, need] = apart([comparison.candidate_log_loss, comparison.champion_log_loss], 4);
                ("WORSE_THAN_CHAMPION", format!("; have log loss {have}, need {need}"))
            }
            ChampionComparison::Compared(_, comparison) if !comparison.is_better() => {
                (NO_BETTER_THAN_CHAMPION, needed(comparison))
            }
            ChampionComparison::SameModel(_) => (NO_BETTER_THAN_CHAMPION, String::new()),
            ChampionComparison::NotComparable(..) => ("NOT_COMPARABLE", String::new()),
            _ => return self.failed_checks.first().map(|check| refused_by(candidate, check)),
        };
        let message = format!(
            "{candidate} is {against}{what}; promote it with `force` if it should serve all the same"
        );
        Some(Error::Precondition { reason, message })
    }

    /// Whether the candidate is worse than the champion, but no more than chance may cause.
    pub(super) fn is_worse_by_chance(&self) -> bool {
        let of = |comparison: &Comparison| comparison.difference > 0.0 && comparison.lower <= 0.0;
        matches!(&self.against, ChampionComparison::Compared(_, comparison) if of(comparison))
    }

    /// What it finds, and what follows from a comparison that the candidate loses.
    #[must_use]
    pub fn verdict(&self) -> String {
        match &self.against {
            ChampionComparison::Compared(_, comparison) if !comparison.is_better() => {
                format!("{self}; the champion stays")
            }
            _ => self.to_string(),
        }
    }

    /// The comparison with the champion, if there is one.
    #[must_use]
    pub const fn comparison(&self) -> Option<(ModelName, Comparison)> {
        match &self.against {
            ChampionComparison::Compared(champion, comparison) => Some((*champion, *comparison)),
            _ => None,
        }
    }

    /// Compares a stored candidate with the champion of this version.
    ///
    /// # Errors
    /// When the store fails.
    pub(super) async fn examine(
        store: &dyn Store,
        candidate: &PromotionCandidate<'_>,
        champion: Option<i64>,
    ) -> Result<Self> {
        let against = ChampionComparison::examine(store, candidate, champion).await?;
        let blocks = |check: &&FailedCheck| {
            check.blocking || against == ChampionComparison::NoChampion && check.code == BARELY_BETTER
        };
        let failed_checks = candidate.failed_checks.iter().filter(blocks).cloned().collect();
        Ok(Self { failed_checks, against })
    }
}

/// What the comparison of a candidate that is no better lacks.
fn needed(comparison: &Comparison) -> String {
    let Comparison { difference, upper, .. } = comparison;
    match *difference < 0.0 {
        true => format!(
            "; have an upper end of the interval of {upper:+.4}, need less than {NON_INFERIORITY_MARGIN:+.4}"
        ),
        false => "; have no difference, need less than 0".to_owned(),
    }
}

/// The refusal to promote what serves already.
pub(super) fn already_champion(name: ModelName) -> Error {
    Error::Precondition { reason: "ALREADY_CHAMPION", message: format!("{name} is the champion already") }
}

fn refused_by(candidate: ModelName, check: &FailedCheck) -> Error {
    let FailedCheck { code, message, remedy, .. } = check;
    let message = format!(
        "{candidate} fails the check {code}: {message}; {remedy}. Promote it with `force` if it should serve all the \
         same"
    );
    Error::Precondition { reason: "FAILED_CHECK", message }
}

impl ChampionComparison {
    fn is_better(&self) -> bool {
        match self {
            Self::NoChampion => true,
            Self::Compared(_, comparison) => comparison.is_better(),
            _ => false,
        }
    }

    async fn examine(
        store: &dyn Store,
        candidate: &PromotionCandidate<'_>,
        champion: Option<i64>,
    ) -> Result<Self> {
        let PromotionCandidate { name: ModelName { target, version: own }, artifact, .. } = *candidate;
        let Some(version) = champion else { return Ok(Self::NoChampion) };
        if version == own {
            return Ok(Self::IsChampion);
        }
        let name = ModelName { target, version };
        let not_comparable = |why: String| Ok(Self::NotComparable(name, why));
        let stored = store.model(target, version).await?;
        let stored = stored.ok_or_else(|| Error::Internal(format!("the champion {name} is not stored")))?;
        let champion = match run_blocking(move || read_artifact(&stored)).await? {
            Ok(champion) => champion,
            Err(error) => return not_comparable(error.to_string()),
        };
        let (of_champion, of_candidate) = (predicts(&champion.outcome), predicts(&artifact.outcome));
        if of_champion != of_candidate {
            return not_comparable(format!("that predicts {of_champion}, this {of_candidate}"));
        }
        if artifact.is_same_model(&champion) {
            return Ok(Self::SameModel(name));
        }
        let pairs = store.pairs(target, own, version).await?;
        match run_blocking(move || Comparison::new(&pairs)).await? {
            Ok(comparison) => Ok(Self::Compared(name, comparison)),
            Err(too_few) => not_comparable(too_few.to_string()),
        }
    }
}

impl fmt::Display for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.against.fmt(f)?;
        for FailedCheck { code, message, .. } in &self.failed_checks {
            write!(f, "; it fails the check {code}: {message}")?;
        }
        Ok(())
    }
}

impl fmt::Display for ChampionComparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoChampion => write!(f, "there was no champion"),
            Self::IsChampion => write!(f, "it is the champion already"),
            Self::SameModel(champion) => {
                write!(f, "the same model as {champion}: the same columns and coefficients")
            }
            Self::NotComparable(champion, why) => write!(f, "not comparable with {champion}: {why}"),
            Self::Compared(champion, c) => {
                let words = match c.difference {
                    _ if c.is_better() => "better than",
                    ..=0.0 => "no better than",
                    _ => "worse than",
                };
                let [own, of_champion] = apart([c.candidate_log_loss, c.champion_log_loss], 4);
                write!(
                    f,
                    "{words} {champion} on the same {}: log loss {own} against {of_champion}, {}",
                    counted(c.rows, "row", "rows"),
                    difference(c)
                )
            }
        }
    }
}

/// The difference of two log losses in words, with its interval if it has one.
fn difference(comparison: &Comparison) -> String {
    let Comparison { difference, lower, upper, .. } = *comparison;
    if [difference, lower, upper] == [0.0; 3] {
        return "no difference".to_owned();
    }
    // What rounds to 0 would look as if it were 0.
    let shown = match difference.abs() {
        0.0 => "no difference".to_owned(),
        ..0.00005 => "a difference of less than 0.0001".to_owned(),
        _ => format!("a difference of {difference:+.4}"),
    };
    let may = difference != 0.0 && lower <= 0.0 && 0.0 <= upper;
    let chance = if may { ", which may be chance" } else { "" };
    format!("{shown} (95 % {} to {}){chance}", signed(lower), signed(upper))
}

/// A number with its sign, which 0 has not.
fn signed(number: f64) -> String {
    let text = format!("{number:+.4}");
    if number.abs() < 0.00005 { text.trim_start_matches(['+', '-']).to_owned() } else { text }
}

/// What a model predicts, in words. Two models can be compared when they predict the same.
#[must_use]
pub fn predicts(outcome: &LabelDefinition) -> String {
    let days = counted(outcome.horizon_days, "day", "days");
    match (outcome.target, outcome.event) {
        (Target::Lead, _) => format!("a purchase within {days}"),
        (Target::Churn, ChurnEvent::Inactivity) => format!("inactivity for {days}"),
        (Target::Churn, ChurnEvent::Cancel) => format!("a cancel within {days}"),
    }
}

/// Which customers a model scores, in words.
#[must_use]
pub fn eligible(outcome: &LabelDefinition) -> String {
    match (outcome.target, outcome.event) {
        (Target::Lead, _) => "customers without a purchase".to_owned(),
        (Target::Churn, ChurnEvent::Inactivity) => "customers with a purchase".to_owned(),
        (Target::Churn, ChurnEvent::Cancel) if outcome.start_kinds.is_empty() => {
            "customers without a cancel, since create_time: no interaction begins a relation".to_owned()
        }
        (Target::Churn, ChurnEvent::Cancel) => {
            format!(
                "customers whose latest {} is later than their latest cancel",
                outcome.start_kinds.join(" or ")
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comparison(difference: f64, upper: f64) -> Comparison {
        Comparison {
            rows: 400,
            positives: 90,
            customers: 300,
            candidate_log_loss: 0.5 + difference,
            champion_log_loss: 0.5,
            difference,
            lower: difference - 0.03,
            upper,
        }
    }

    fn compared(difference: f64, upper: f64) -> Gate {
        let comparison = comparison(difference, upper);
        let champion = ModelName { target: Target::Churn, version: 1 };
        Gate { failed_checks: Vec::new(), against: ChampionComparison::Compared(champion, comparison) }
    }

    #[test]
    fn worse_by_chance_is_an_interval_that_reaches_down_to_0() {
        for (difference, lower, is_chance) in
            [(0.001, -0.002, true), (0.001, 0.0, true), (0.001, 0.0005, false), (-0.001, -0.003, false)]
        {
            let champion = ModelName { target: Target::Churn, version: 1 };
            let against = Comparison { lower, ..comparison(difference, 0.01) };
            let against = ChampionComparison::Compared(champion, against);
            let gate = Gate { failed_checks: Vec::new(), against };
            assert_eq!(gate.is_worse_by_chance(), is_chance, "{difference} {lower}");
        }
    }

    #[test]
    fn a_difference_that_is_0_has_words() {
        let of =
            |value: f64, lower, upper| difference(&Comparison { lower, upper, ..comparison(value, upper) });
        assert_eq!(of(0.0, 0.0, 0.0), "no difference");
        assert_eq!(of(0.0, -0.002, 0.00001), "no difference (95 % -0.0020 to 0.0000)");
        let tiny = "a difference of less than 0.0001 (95 % 0.0000 to +0.0012), which may be chance";
        assert_eq!(of(0.00004, -0.00001, 0.0012), tiny);
        assert_eq!(of(-0.01, -0.03, -0.001), "a difference of -0.0100 (95 % -0.0300 to -0.0010)");
    }

    #[test]
    fn a_candidate_needs_the_lower_log_loss_and_an_upper_end_below_the_margin() {
        for (difference, upper, words, reason) in [
            (-0.01, -0.001, "better than churn/1", None),
            (-0.01, 0.0019, "better than churn/1", None),
            (-0.01, 0.002, "no better than churn/1", Some("NO_BETTER_THAN_CHAMPION")),
            (-0.0001, 0.03, "no better than churn/1", Some("NO_BETTER_THAN_CHAMPION")),
            (0.0, 0.0, "no better than churn/1", Some("NO_BETTER_THAN_CHAMPION")),
            (0.0001, 0.001, "worse than churn/1", Some("WORSE_THAN_CHAMPION")),
            (0.01, 0.02, "worse than churn/1", Some("WORSE_THAN_CHAMPION")),
        ] {
            let gate = compared(difference, upper);
            let candidate = ModelName { target: Target::Churn, version: 2 };
            let refusal = gate.refusal(candidate).map(|error| match error {
                Error::Precondition { reason, .. } => reason,
                other => panic!("{other}"),
            });
            assert_eq!(refusal, reason, "{difference} {upper}");
            assert_eq!(gate.is_better(), reason.is_none(), "{difference} {upper}");
            let verdict = gate.verdict();
            assert!(verdict.starts_with(words), "{verdict}");
            assert_eq!(verdict.ends_with("; the champion stays"), reason.is_some(), "{verdict}");
        }
    }
}

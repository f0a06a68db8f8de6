//! How a model was chosen: the split, the recipe and what else was tried.

use serde::{Deserialize, Serialize};

use crate::encode::{Form, is_one, one};

/// How the rows of a holdout are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SplitKind {
    /// The latest snapshots.
    Temporal,
    /// A share of the customers, drawn by a seed.
    Random,
}

impl SplitKind {
    /// `temporal` or `random`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Temporal => "temporal",
            Self::Random => "random",
        }
    }
}

/// How to fit. Artifacts keep the field names that they were first written with.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// How rich the effect curves of numbers are.
    pub form: Form,
    /// λ of the penalty ½·λ·‖w‖² on the summed loss.
    pub penalty: f64,
    /// The number of crossed pairs of features.
    pub pairs: usize,
    /// The penalty of the columns of crossed pairs, in multiples of the penalty of the others.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub pair_ratio: f64,
    /// The share of the features that are kept, the most important ones.
    #[serde(rename = "share")]
    pub feature_fraction: f64,
    /// Only snapshots of this many days before the latest one are fitted to; None for all.
    #[serde(rename = "reach_days")]
    pub lookback_days: Option<i64>,
    /// Whether the features of habits are used.
    #[serde(default, skip_serializing_if = "is_false")]
    pub habits: bool,
    /// Whether the features of the calendar are used.
    #[serde(default, skip_serializing_if = "is_false")]
    pub calendar: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

impl Recipe {
    /// One to start from: straight lines, all snapshots and features but those of habits and of the calendar.
    #[must_use]
    pub const fn first(form: Form, penalty: f64) -> Self {
        Self {
            form,
            penalty,
            pairs: 0,
            pair_ratio: 1.0,
            feature_fraction: 1.0,
            lookback_days: None,
            habits: false,
            calendar: false,
        }
    }

    /// The same without crosses.
    #[must_use]
    pub const fn uncrossed(&self) -> Self {
        Self { pairs: 0, pair_ratio: 1.0, ..*self }
    }
}

/// A recipe that was tried.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Candidate {
    /// The recipe.
    pub recipe: Recipe,
    /// Mean log loss on the validation rows.
    pub log_loss: f64,
    /// The same with an offset for each month, fitted to the labels of the month: how well the recipe ranks, whatever
    /// the level. None when the validation rows are of the same times as those fitted to, and in models that were
    /// stored before this was computed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profiled_log_loss: Option<f64>,
    /// That loss, the profiled one if there is one, minus the loss of the best recipe so far.
    pub excess: f64,
    /// The standard error of `excess`, customers being independent.
    pub standard_error: f64,
}

/// A recipe in a stack.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StackMember {
    /// The recipe.
    pub recipe: Recipe,
    /// What its log-odds are multiplied by, above 0.
    pub weight: f64,
}

/// A stack of recipes: its log-odds are a weighted sum of theirs. The losses are those of customers that neither the
/// fits nor the weights had seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stack {
    /// The recipes, which have the lookback and the features of the best single one.
    pub members: Vec<StackMember>,
    /// What is added to the weighted sum.
    pub intercept: f64,
    /// Mean log loss.
    pub log_loss: f64,
    /// That loss minus the loss of the best single recipe.
    pub excess: f64,
    /// The standard error of `excess`, customers being independent.
    pub standard_error: f64,
    /// Whether the model is this stack rather than the best single recipe.
    pub kept: bool,
}

/// How a recipe was chosen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Study {
    /// The best single recipe.
    pub recipe: Recipe,
    /// The stack that was tried; None when there was none to try.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stack: Option<Stack>,
    /// `platt`, `isotonic`, or None when the scores needed no calibration.
    pub calibration: Option<String>,
    /// How the validation rows were chosen: later than those fitted to, or at random.
    pub validation: SplitKind,
    /// The recipes that were tried, in this order.
    pub candidates: Vec<Candidate>,
}

impl Study {
    /// What the model is fitted as: the members of the stack if it is kept, else the best single recipe; and what is
    /// added to their weighted sum.
    #[must_use]
    pub fn members(&self) -> (Vec<StackMember>, f64) {
        match &self.stack {
            Some(stack) if stack.kept => (stack.members.clone(), stack.intercept),
            _ => (vec![StackMember { recipe: self.recipe, weight: 1.0 }], 0.0),
        }
    }

    pub(super) fn is_finite(&self) -> bool {
        let candidates = self.candidates.iter();
        let losses = candidates.clone().filter_map(|c| c.profiled_log_loss);
        let of_stack = self.stack.iter().flat_map(|stack| {
            let weights = stack.members.iter().map(|member| member.weight);
            weights.chain([stack.intercept, stack.log_loss, stack.excess, stack.standard_error])
        });
        candidates
            .flat_map(|c| [c.log_loss, c.excess, c.standard_error])
            .chain(losses)
            .chain(of_stack)
            .all(f64::is_finite)
    }
}

//! The forms that were fitted outside of the folds of the customers, and the stack of the finalists among them.

use std::collections::HashSet;

use super::{
    SelectionInput,
    choose::{CustomerFolds, FormFits, OutOfFold},
    offsets::Groups,
    significance::mean_by_customer,
    stack::{StackRows, StackWeights},
};
use crate::{
    artifact::{Recipe, Stack, StackMember},
    encode::Form,
    training::{dataset::Dataset, fit::FitError},
};

/// The forms whose recipes are weighed, each without and with crosses.
const FINALISTS: [Form; 2] = [Form::Spline, Form::Steps];

/// The fits outside of the folds of the customers, all on the rows within one lookback.
#[derive(Default)]
pub(super) struct Forms {
    lookback_days: Option<i64>,
    /// None when there are too few customers, and before the first form.
    customers: Option<CustomerFolds>,
    fits: Vec<FormFits>,
    pairs: Vec<OutOfFold>,
}

impl Forms {
    /// The penalty for the form of a recipe; None when there are too few customers to choose by, or when no feature
    /// varies.
    pub(super) fn penalty(
        &mut self,
        dataset: &Dataset<'_>,
        input: &SelectionInput<'_>,
        recipe: Recipe,
    ) -> Result<Option<f64>, FitError> {
        if let Some(known) = self.fits_of(&recipe) {
            return Ok(Some(known.recipe.penalty));
        }
        if self.customers.is_none() || self.lookback_days != recipe.lookback_days {
            let customers = CustomerFolds::new(dataset, input.chosen, recipe.lookback_days, input.seed);
            *self = Self { lookback_days: recipe.lookback_days, customers, ..Self::default() };
        }
        let Some(customers) = &self.customers else { return Ok(None) };
        self.fits.extend(customers.fit_form(dataset, &recipe)?);
        Ok(self.fits_of(&recipe).map(|fits| fits.recipe.penalty))
    }

    /// The recipe with crosses; None when its form was not fitted.
    pub(super) fn with_pairs(&mut self, dataset: &Dataset<'_>, recipe: &Recipe) -> Option<Recipe> {
        self.pairs_of(dataset, recipe).map(|crossed| crossed.recipe)
    }

    /// The stack of the finalists with the lookback and the features of `best`; None when `best` leaves features out,
    /// since the fits here have all of them.
    pub(super) fn stack(&mut self, dataset: &Dataset<'_>, best: &Recipe) -> Option<Stack> {
        let mut finalists = Vec::new();
        for form in FINALISTS {
            let recipe = Recipe { form, feature_fraction: 1.0, ..*best };
            finalists.extend(self.fits_of(&recipe).map(FormFits::out_of_fold));
            finalists.extend(self.pairs_of(dataset, &recipe).cloned());
        }
        let single = match best.pairs {
            0 => self.fits_of(best).map(FormFits::out_of_fold),
            _ => self.pairs_of(dataset, best).cloned(),
        };
        let best = single.filter(|fits| fits.recipe == *best)?;
        stack(dataset, self.customers.as_ref()?, &finalists, &best)
    }

    /// The fits of the form of a recipe.
    fn fits_of(&self, recipe: &Recipe) -> Option<&FormFits> {
        let wanted = Recipe { feature_fraction: 1.0, ..recipe.uncrossed() };
        self.fits.iter().find(|fits| fits.recipe == Recipe { penalty: fits.recipe.penalty, ..wanted })
    }

    /// The same with crosses, which are fitted at the first call.
    fn pairs_of(&mut self, dataset: &Dataset<'_>, recipe: &Recipe) -> Option<&OutOfFold> {
        let fits = self.fits_of(recipe)?;
        if let Some(known) = self.pairs.iter().position(|crossed| crossed.recipe.uncrossed() == fits.recipe) {
            return self.pairs.get(known);
        }
        let crossed = self.customers.as_ref()?.fit_pairs(dataset, fits)?;
        self.pairs.push(crossed);
        self.pairs.last()
    }
}

/// The stack of `finalists`, compared with `best`: with weights that have not seen the customer either, and with an
/// offset for each fold.
fn stack(
    dataset: &Dataset<'_>,
    customers: &CustomerFolds,
    finalists: &[OutOfFold],
    best: &OutOfFold,
) -> Option<Stack> {
    let members: Vec<_> = finalists.iter().map(|finalist| &finalist.log_odds).collect();
    let of_customers: HashSet<u32> = customers.rows.iter().map(|row| dataset.rows.customer[*row]).collect();
    let rows_per_customer = customers.rows.len() as f64 / of_customers.len() as f64;
    let labels = &customers.labels;
    let weights = |rows: &[usize]| StackRows { members: &members, labels, rows_per_customer, rows }.fit();
    let of_fold = &customers.folds.of_row;
    let rows: Vec<usize> = (0..of_fold.len()).collect();
    let mut stacked = vec![0.0; rows.len()];
    for fold in 0..customers.folds.count {
        let (inside, outside): (Vec<usize>, Vec<usize>) = rows.iter().partition(|row| of_fold[**row] == fold);
        let weights = weights(&outside)?;
        inside.iter().for_each(|row| stacked[*row] = weights.log_odds(&members, *row));
    }
    let offsets = Groups::of_folds(&customers.folds);
    let losses = |log_odds: &[f64]| customers.losses(&offsets.profiled(log_odds, labels));
    let (stacked, single) = (losses(&stacked), losses(&best.log_odds.to_vec()));
    let differences: Vec<f64> =
        stacked.iter().zip(single).map(|(stacked, single)| stacked - single).collect();
    let (excess, standard_error) = mean_by_customer(dataset, customers.rows.iter().copied(), &differences);
    let StackWeights { intercept, weights } = weights(&rows)?;
    let weighted = finalists.iter().zip(weights).filter(|(_, weight)| *weight > 0.0);
    Some(Stack {
        members: weighted.map(|(finalist, weight)| StackMember { recipe: finalist.recipe, weight }).collect(),
        intercept,
        log_loss: stacked.iter().sum::<f64>() / rows.len() as f64,
        excess,
        standard_error,
        kept: false,
    })
}

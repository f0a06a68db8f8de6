//! A regression that is fitted as a study says: to a single recipe, or to those of a stack, joined into one.

use ndarray::{Array1, Array2};

use crate::{
    artifact::{StackMember, Study},
    encode::{Encoder, Merged},
    parallel::par_map,
    training::{
        dataset::{Dataset, EncodedFit},
        fit::{self, Fit, FitError, stack_uncertainty},
    },
};

/// A regression of a single recipe or of a stack.
///
/// The log-odds of a stack are linear in the columns of its members, so that a stack is a regression, too: one encoder
/// with the columns of all members, and the sums of weight · coefficient.
pub struct StackedFit {
    /// Raw row -> design row.
    pub encoder: Encoder,
    /// The regression.
    pub fit: Fit,
    /// The rows fitted to.
    pub rows: Vec<usize>,
    /// The fits that it is made of, which have the same rows.
    pub members: Vec<Member>,
}

/// A fit in a stack.
pub struct Member {
    /// The fit and its encoder.
    pub encoded: EncodedFit,
    /// What its log-odds are multiplied by.
    pub weight: f64,
    /// For each of its columns: the column of the stack that it is a multiple of, and the factor.
    columns: Vec<(usize, f64)>,
}

impl Dataset<'_> {
    /// Fits to those of some rows that are within the lookback. None when no feature varies.
    ///
    /// # Errors
    /// [`FitError`] when an optimum is not reached.
    pub fn fit_study(&self, study: &Study, chosen: &[usize]) -> Result<Option<StackedFit>, FitError> {
        let (members, intercept) = study.members();
        let rows = self.within(chosen, study.recipe.lookback_days);
        // A recipe follows that without its crosses, and its fit starts at the fit of that.
        let of_forms = members.chunk_by(|a, b| a.recipe == b.recipe.uncrossed());
        let fitted = par_map(of_forms, |members| self.fit_members(members, &rows));
        let mut fits = Vec::new();
        for of_form in fitted {
            let Some(of_form) = of_form? else { return Ok(None) };
            fits.extend(of_form);
        }
        Ok(Some(StackedFit::new(fits, intercept, study.recipe.penalty)))
    }

    /// Fits members to the same rows, each after that without its crosses. None when no feature varies.
    fn fit_members(
        &self,
        members: &[StackMember],
        rows: &[usize],
    ) -> Result<Option<Vec<(EncodedFit, f64)>>, FitError> {
        let mut fits: Vec<(EncodedFit, f64)> = Vec::new();
        for StackMember { recipe, weight } in members {
            let simple = fits.last().map(|(encoded, _)| encoded.as_uncrossed());
            let Some(encoded) = self.fit_by(Fit::new, recipe, rows.to_vec(), simple)? else {
                return Ok(None);
            };
            fits.push((encoded, *weight));
        }
        Ok(Some(fits))
    }
}

impl StackedFit {
    /// Joins fits to the same rows, each with its weight. `penalty` is that of the best single recipe.
    #[must_use]
    pub fn new(fits: Vec<(EncodedFit, f64)>, intercept: f64, penalty: f64) -> Self {
        let encoders: Vec<&Encoder> = fits.iter().map(|(encoded, _)| &encoded.encoder).collect();
        let Merged { encoder, columns } = Merged::new(&encoders);
        let mut fit = Fit { intercept, weights: Array1::zeros(encoder.width()), penalty };
        let mut members = Vec::new();
        for ((encoded, weight), columns) in fits.into_iter().zip(columns) {
            fit.intercept += weight * encoded.fit.intercept;
            for (own, (at, factor)) in encoded.fit.weights.iter().zip(&columns) {
                fit.weights[*at] += weight * factor * own;
            }
            members.push(Member { encoded, weight, columns });
        }
        let rows = members.first().map_or_else(Vec::new, |member| member.encoded.rows.clone());
        Self { encoder, fit, rows, members }
    }

    /// See [`Fit::uncertainty`] and [`stack_uncertainty`].
    #[must_use]
    pub fn uncertainty(&self, labels: &[bool], customer: &[u32]) -> Option<Array2<f64>> {
        if let [only] = self.members.as_slice() {
            return only.encoded.fit.uncertainty(&only.encoded.design, labels, customer);
        }
        let members = self.members.iter().map(|Member { encoded, weight, columns }| fit::StackMember {
            fit: &encoded.fit,
            x: &encoded.design,
            weight: *weight,
            columns,
        });
        let members: Vec<_> = members.collect();
        stack_uncertainty(&members, labels, customer, self.encoder.width())
    }
}

//! The stored names of the model's enums.

use tally_model::{label::Basis, scoring::Grade, spec::Target};

use crate::error::{Result, StoreError};

pub(crate) fn target(name: &str) -> Result<Target> {
    Target::ALL
        .into_iter()
        .find(|target| target.name() == name)
        .ok_or_else(|| StoreError::Internal(format!("unknown stored target `{name}`")))
}

pub(crate) const fn grade_name(grade: Grade) -> &'static str {
    match grade {
        Grade::A => "A",
        Grade::B => "B",
        Grade::C => "C",
        Grade::D => "D",
    }
}

pub(crate) fn grade(name: &str) -> Result<Grade> {
    [Grade::A, Grade::B, Grade::C, Grade::D]
        .into_iter()
        .find(|grade| grade_name(*grade) == name)
        .ok_or_else(|| StoreError::Internal(format!("unknown stored grade `{name}`")))
}

pub(crate) const fn basis_name(basis: Basis) -> &'static str {
    match basis {
        Basis::Model => "model",
        Basis::Cold => "cold",
    }
}

pub(crate) fn basis(name: &str) -> Basis {
    if name == basis_name(Basis::Cold) { Basis::Cold } else { Basis::Model }
}

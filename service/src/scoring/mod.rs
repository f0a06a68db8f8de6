//! Scoring: scores on request, of a whole population, replayed, and compared.

pub mod population;
pub mod replay;
pub mod score;

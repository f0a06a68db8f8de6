//! `tally score` and `tally score-all`: scores of some customers, or of all.

mod population;
mod scores;
mod table;

pub(crate) use population::score_all;
pub(crate) use scores::score;
pub(crate) use table::{figures, grades, heading, narrow_scores_table, reason, scores_table};

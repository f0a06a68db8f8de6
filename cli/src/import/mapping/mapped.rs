//! A table with the columns that `tally import` reads, made from another.

use std::sync::Arc;

use csv::StringRecord;

use super::{left_out::LeftOut, plan::Plan};
use crate::{error::CsvError, import::rows::Rows};

/// A table made by one or several rules: a row becomes one for each rule that takes it.
pub(super) struct Mapped {
    rows: Box<dyn Rows>,
    header: StringRecord,
    plans: Vec<Plan>,
    left_out: Arc<LeftOut>,
    /// The row that the rules are applied to, its line, and the first rule that is still to be applied.
    row: StringRecord,
    line: u64,
    rule: usize,
    /// Why the first rule left the row out, unless another took it.
    reason: Option<String>,
}

impl Mapped {
    pub(super) fn new(
        rows: Box<dyn Rows>,
        header: StringRecord,
        plans: Vec<Plan>,
        left_out: Arc<LeftOut>,
    ) -> Self {
        let rule = plans.len();
        Self { rows, header, plans, left_out, row: StringRecord::new(), line: 0, rule, reason: None }
    }

    /// Applies the rules that remain to the row. Whether one took it.
    fn apply(&mut self, record: &mut StringRecord) -> bool {
        while let Some(plan) = self.plans.get(self.rule) {
            let first = self.rule == 0;
            self.rule += 1;
            match plan.row(&self.row, record) {
                Ok(()) => {
                    self.reason = None;
                    return true;
                }
                Err(reason) if first => self.reason = Some(reason.to_owned()),
                Err(_) => {}
            }
        }
        if let Some(reason) = self.reason.take() {
            self.left_out.add(&reason);
        }
        false
    }
}

impl Rows for Mapped {
    fn header(&self) -> &StringRecord {
        &self.header
    }

    fn next(&mut self, record: &mut StringRecord) -> Result<Option<u64>, CsvError> {
        while !self.apply(record) {
            // The row before must not be taken for the one that an error is about.
            record.clear();
            let Some(line) = self.rows.next(&mut self.row)? else { return Ok(None) };
            (self.line, self.rule) = (line, 0);
        }
        Ok(Some(self.line))
    }
}

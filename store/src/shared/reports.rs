//! Reports.

use async_trait::async_trait;
use tally_model::time::Time;

use super::{Backend, Stamp, Statement};
use crate::{error::Result, reports::ReportStore};

#[async_trait]
impl<B: Backend> ReportStore for B {
    async fn first_purchase_time(&self) -> Result<Option<Time>> {
        let select = Statement::new("SELECT min(occur_time) FROM interactions WHERE kind = 'purchase'");
        let first: Option<(Option<Stamp>,)> = self.read_one(select).await?;
        Ok(first.and_then(|(time,)| time).map(|time| time.0))
    }
}

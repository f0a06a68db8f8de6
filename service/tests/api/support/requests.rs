//! Calls that many tests make.

use tally_model::time::Time;
use tally_proto::v1;
use tonic::Status;

use super::{Tally, timestamp};

impl Tally {
    /// Stores customers.
    pub async fn upsert(&self, customers: Vec<v1::Customer>) -> Result<i64, Status> {
        let response = self
            .customers()
            .upsert_customers(v1::UpsertCustomersRequest { customers, ..Default::default() })
            .await?;
        Ok(response.into_inner().upserted)
    }

    /// Stores customers, of whom some were erased.
    pub async fn recreate(&self, customers: Vec<v1::Customer>) -> Result<i64, Status> {
        let request = v1::UpsertCustomersRequest { customers, recreate_erased: true, ..Default::default() };
        Ok(self.customers().upsert_customers(request).await?.into_inner().upserted)
    }

    /// Erases a customer.
    pub async fn delete(&self, customer_id: &str) -> Result<(), Status> {
        let request = v1::DeleteCustomerRequest { customer_id: customer_id.to_owned() };
        self.customers().delete_customer(request).await.map(drop)
    }

    /// Stores customers, and brings these attributes into the past.
    pub async fn upsert_backfilled(
        &self,
        customers: Vec<v1::Customer>,
        attributes: &[&str],
    ) -> Result<v1::UpsertCustomersResponse, Status> {
        let backfill_attributes = attributes.iter().map(|name| (*name).to_owned()).collect();
        let request = v1::UpsertCustomersRequest { customers, backfill_attributes, ..Default::default() };
        Ok(self.customers().upsert_customers(request).await?.into_inner())
    }

    /// Reads a customer.
    pub async fn customer(&self, customer_id: &str) -> Result<v1::Customer, Status> {
        let request = v1::GetCustomerRequest { customer_id: customer_id.to_owned() };
        Ok(self.customers().get_customer(request).await?.into_inner().customer.unwrap())
    }

    /// Merges two ids and returns the united customer.
    pub async fn merge(&self, from: &str, into: &str) -> Result<v1::Customer, Status> {
        let request = v1::MergeCustomersRequest {
            from_customer_id: from.to_owned(),
            into_customer_id: into.to_owned(),
        };
        Ok(self.customers().merge_customers(request).await?.into_inner().customer.unwrap())
    }

    /// Records interactions as history: `(recorded, duplicates)`.
    pub async fn backfill(&self, interactions: Vec<v1::Interaction>) -> Result<(i64, i64), Status> {
        let request = v1::RecordInteractionsRequest { interactions, backfill: true, ..Default::default() };
        let response = self.interactions().record_interactions(request).await?.into_inner();
        Ok((response.recorded, response.duplicates))
    }

    /// Records interactions that become known now.
    pub async fn record(&self, interactions: Vec<v1::Interaction>) {
        let request = v1::RecordInteractionsRequest { interactions, backfill: false, ..Default::default() };
        self.interactions().record_interactions(request).await.unwrap();
    }

    /// Retracts interactions, keys as `(customer_id, interaction_id)`: `(retracted, already_retracted)`.
    pub async fn retract<S: AsRef<str>>(&self, keys: &[(S, S)]) -> Result<(i64, i64), Status> {
        let key = |(customer_id, interaction_id): &(S, S)| v1::InteractionKey {
            customer_id: customer_id.as_ref().to_owned(),
            interaction_id: interaction_id.as_ref().to_owned(),
        };
        let keys = keys.iter().map(key).collect();
        let request = v1::RetractInteractionsRequest { keys, reason: "a test order".to_owned() };
        let response = self.interactions().retract_interactions(request).await?.into_inner();
        Ok((response.retracted, response.already_retracted))
    }

    pub async fn predict_churn(&self, request: v1::PredictChurnRequest) -> Result<v1::Score, Status> {
        Ok(self.scoring().predict_churn(request).await?.into_inner())
    }

    pub async fn score_lead(&self, request: v1::ScoreLeadRequest) -> Result<v1::Score, Status> {
        Ok(self.scoring().score_lead(request).await?.into_inner())
    }

    /// Scores everybody. Returns the last message.
    pub async fn score_population(
        &self,
        target: v1::Target,
        as_of: Time,
    ) -> Result<v1::ScorePopulationResponse, Status> {
        let as_of_time = Some(timestamp(as_of));
        let request = v1::ScorePopulationRequest { target: target.into(), as_of_time, ..Default::default() };
        let mut stream = self.predictions().score_population(request).await?.into_inner();
        let mut last = None;
        while let Some(message) = stream.message().await? {
            last = Some(message);
        }
        Ok(last.expect("a run ends with done = total"))
    }

    /// All predictions that pass a filter, over all pages.
    pub async fn all_predictions(&self, mut request: v1::ListPredictionsRequest) -> Vec<v1::Score> {
        let mut all = Vec::new();
        loop {
            let page = self.predictions().list_predictions(request.clone()).await.unwrap().into_inner();
            all.extend(page.predictions);
            if page.next_page_token.is_empty() {
                assert_eq!(all.len() as i64, page.total_size);
                return all;
            }
            request.page_token = page.next_page_token;
        }
    }

    /// The latest predictions of a target, one a customer.
    pub async fn latest_predictions(&self, target: v1::Target) -> Vec<v1::Score> {
        let request = v1::ListPredictionsRequest { target: target.into(), ..Default::default() };
        self.all_predictions(request).await
    }

    /// All stored predictions of a target.
    pub async fn every_prediction(&self, target: v1::Target) -> Vec<v1::Score> {
        let request = v1::ListPredictionsRequest {
            target: target.into(),
            latest_only: Some(false),
            ..Default::default()
        };
        self.all_predictions(request).await
    }

    /// The card of a model, by its name or by that of a target for its champion.
    pub async fn card(&self, model: &str) -> v1::Model {
        let request = v1::GetModelRequest { model: model.to_owned() };
        self.models().get_model(request).await.unwrap().into_inner().model.unwrap()
    }

    /// The first page of all models, newest first.
    pub async fn all_models(&self) -> Vec<v1::Model> {
        self.models().list_models(v1::ListModelsRequest::default()).await.unwrap().into_inner().models
    }
}

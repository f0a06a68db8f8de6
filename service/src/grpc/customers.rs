//! CustomerService.

use std::{collections::HashMap, fmt::Display};

use tally_proto::{
    limits,
    v1::{
        DeleteCustomerRequest, DeleteCustomerResponse, ExportCustomerRequest, ExportCustomerResponse,
        GetCustomerRequest, GetCustomerResponse, ListAttributesRequest, ListAttributesResponse,
        ListCustomersRequest, ListCustomersResponse, MergeCustomersRequest, MergeCustomersResponse,
        UpsertCustomersRequest, UpsertCustomersResponse, customer_service_server::CustomerService,
    },
};
use tally_store::NewCustomer;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, async_trait};

use super::{
    caller::actor,
    convert::{page, response, validator::Validator},
    export,
    page_token::PageTokens,
    predictions::stream,
    status::about,
};
use crate::{
    catalog::ModelCatalog,
    ingest::Ingest,
    platform::{clock::Clock, error::Result},
    security::AuditLog,
};

/// The service.
pub(crate) struct CustomerRpc {
    pub(crate) ingest: Ingest,
    pub(crate) catalog: ModelCatalog,
    pub(crate) page_tokens: PageTokens,
    pub(crate) audit: AuditLog,
    pub(crate) clock: std::sync::Arc<Clock>,
}

/// The scope of the page tokens.
const LIST: &str = "ListCustomers";

#[async_trait]
impl CustomerService for CustomerRpc {
    type ExportCustomerStream = ReceiverStream<Result<ExportCustomerResponse, Status>>;

    async fn export_customer(
        &self,
        request: Request<ExportCustomerRequest>,
    ) -> Result<Response<Self::ExportCustomerStream>, Status> {
        let by = actor(&request, "");
        let id = self.id(request.into_inner().customer_id)?;
        let export = self.ingest.export_customer(&id).await.map_err(about(&[("customer_id", &id)]))?;
        self.audit.note(self.audit.done(&by, "ExportCustomer").about_customer(&id)).await?;
        Ok(Response::new(stream(move |messages| async move { export::send(export, &messages).await })))
    }

    async fn merge_customers(
        &self,
        request: Request<MergeCustomersRequest>,
    ) -> Result<Response<MergeCustomersResponse>, Status> {
        let pending = self.ingest.begin();
        let by = actor(&request, "");
        let MergeCustomersRequest { from_customer_id: from, into_customer_id: into } = request.into_inner();
        let mut validator = Validator::new(pending.record_time);
        let from = validator.id("from_customer_id", from);
        let into = validator.id("into_customer_id", into);
        if from == into {
            let same = "is the same as from_customer_id; allowed is another customer";
            validator.refuse("into_customer_id", same);
        }
        let (from, into) = validator.finish((from, into))?;
        let merged = self.ingest.merge_customers(pending, (from.clone(), into.clone()), by).await;
        let subject: [(&str, &dyn Display); 2] = [("from_customer_id", &from), ("into_customer_id", &into)];
        let customer = response::customer(merged.map_err(about(&subject))?);
        Ok(Response::new(MergeCustomersResponse { customer: Some(customer) }))
    }

    async fn list_attributes(
        &self,
        _: Request<ListAttributesRequest>,
    ) -> Result<Response<ListAttributesResponse>, Status> {
        let attributes = self.ingest.attributes().await?;
        let attributes = attributes.into_iter().map(response::stored_attribute).collect();
        Ok(Response::new(ListAttributesResponse { attributes }))
    }

    async fn upsert_customers(
        &self,
        request: Request<UpsertCustomersRequest>,
    ) -> Result<Response<UpsertCustomersResponse>, Status> {
        let pending = self.ingest.begin();
        let by = request.get_ref().recreate_erased.then(|| actor(&request, ""));
        let mut request = request.into_inner();
        let mut validator = Validator::new(pending.record_time);
        let backfill = std::mem::take(&mut request.backfill_attributes);
        let backfill = validator.attribute_names("backfill_attributes", backfill);
        let mut customers = new_customers(request, validator)?;
        self.catalog.read_attributes(&mut customers);
        if let Some(by) = by {
            let ids = customers.iter().map(|customer| customer.customer_id.clone()).collect();
            self.ingest.lift_erasures(ids, &by, pending.record_time).await?;
        }
        let sent = customers.len();
        let upserted = self.ingest.upsert_customers(pending, customers, backfill).await?;
        Ok(Response::new(UpsertCustomersResponse {
            upserted: (sent - upserted.erased) as i64,
            backfilled: upserted.backfilled as i64,
            outdated_predictions: upserted.outdated_predictions as i64,
            erased: upserted.erased as i64,
        }))
    }

    async fn get_customer(
        &self,
        request: Request<GetCustomerRequest>,
    ) -> Result<Response<GetCustomerResponse>, Status> {
        let id = self.id(request.into_inner().customer_id)?;
        let found = self.ingest.customer(&id).await.map_err(about(&[("customer_id", &id)]))?;
        let customer = response::customer(found);
        Ok(Response::new(GetCustomerResponse { customer: Some(customer) }))
    }

    async fn list_customers(
        &self,
        request: Request<ListCustomersRequest>,
    ) -> Result<Response<ListCustomersResponse>, Status> {
        let request = request.into_inner();
        let mut validator = Validator::new(self.clock.now());
        let size = validator.page_size(request.page_size);
        let size = validator.finish(size)?;
        let after: Option<String> = self.page_tokens.open(&LIST, &request.page_token)?;
        let found = self.ingest.customers(&after.unwrap_or_default(), size + 1).await?;
        let (customers, last) = page::cut(found, size, |row| row.customer_id.clone(), response::customer);
        let next_page_token = self.page_tokens.next(&LIST, last)?;
        Ok(Response::new(ListCustomersResponse { customers, next_page_token }))
    }

    async fn delete_customer(
        &self,
        request: Request<DeleteCustomerRequest>,
    ) -> Result<Response<DeleteCustomerResponse>, Status> {
        let by = actor(&request, "");
        let id = self.id(request.into_inner().customer_id)?;
        let deleted = self.ingest.delete_customer(id.clone(), by).await;
        deleted.map_err(about(&[("customer_id", &id)]))?;
        Ok(Response::new(DeleteCustomerResponse {}))
    }
}

impl CustomerRpc {
    fn id(&self, id: String) -> Result<String> {
        let mut validator = Validator::new(self.clock.now());
        let id = validator.id("customer_id", id);
        validator.finish(id)
    }
}

fn new_customers(request: UpsertCustomersRequest, mut validator: Validator) -> Result<Vec<NewCustomer>> {
    let customers = request.customers;
    let mut places = HashMap::new();
    let mut new = Vec::with_capacity(customers.len());
    if validator.batch("customers", customers.len(), limits::CUSTOMERS) {
        for (n, customer) in customers.into_iter().enumerate() {
            let customer = validator.customer(format_args!("customers[{n}]"), customer);
            if let Some(before) = places.insert(customer.customer_id.clone(), n) {
                validator.refuse(
                    format_args!("customers[{n}].customer_id"),
                    format!("is the same as that of customers[{before}]; allowed is once"),
                );
            }
            new.push(customer);
        }
    }
    validator.finish(new)
}

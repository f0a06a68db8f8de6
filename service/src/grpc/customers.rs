//! CustomerService.

use std::sync::Arc;

use tally_proto::v1::{
    DeleteCustomerRequest, DeleteCustomerResponse, GetCustomerRequest, GetCustomerResponse,
    ListCustomersRequest, ListCustomersResponse, UpsertCustomersRequest, UpsertCustomersResponse,
    customer_service_server::CustomerService,
};
use tonic::{Request, Response, Status, async_trait};

use super::{page, parse::Validator, reply};
use crate::{app::App, platform::error::Error};
use tally_proto::limits;

/// The service.
pub struct Customers(pub Arc<App>);

/// The scope of the page tokens.
const LIST: &str = "ListCustomers";

#[async_trait]
impl CustomerService for Customers {
    async fn upsert_customers(
        &self,
        request: Request<UpsertCustomersRequest>,
    ) -> Result<Response<UpsertCustomersResponse>, Status> {
        let (writer, now) = self.0.begin_write();
        let customers = request.into_inner().customers;
        let mut check = Validator::new(now);
        let mut seen = std::collections::HashMap::new();
        let mut parsed = Vec::with_capacity(customers.len());
        if check.batch("customers", customers.len(), limits::CUSTOMERS) {
            for (n, customer) in customers.into_iter().enumerate() {
                let customer = check.customer(format_args!("customers[{n}]"), customer);
                if let Some(before) = seen.insert(customer.customer_id.clone(), n) {
                    let field = format!("customers[{n}].customer_id");
                    check.refuse(
                        &field,
                        format!("is the same as that of customers[{before}]; allowed is once"),
                    );
                }
                parsed.push(customer);
            }
        }
        let parsed = check.finish(parsed)?;
        let upserted = parsed.len() as i64;
        let (store, histories) = (Arc::clone(&self.0.store), self.0.histories.clone());
        let ids = parsed.iter().map(|customer| customer.customer_id.clone()).collect();
        let write = async move { histories.around(ids, store.upsert_customers(parsed, now)).await };
        writer.finish(write).await?;
        Ok(Response::new(UpsertCustomersResponse { upserted }))
    }

    async fn get_customer(
        &self,
        request: Request<GetCustomerRequest>,
    ) -> Result<Response<GetCustomerResponse>, Status> {
        let id = customer_id(&self.0, request.into_inner().customer_id)?;
        let customer = self
            .0
            .store
            .customer(&id)
            .await
            .map_err(Error::from)?
            .ok_or_else(|| Error::unknown_customer(&id))?;
        Ok(Response::new(GetCustomerResponse { customer: Some(reply::customer(customer)) }))
    }

    async fn list_customers(
        &self,
        request: Request<ListCustomersRequest>,
    ) -> Result<Response<ListCustomersResponse>, Status> {
        let request = request.into_inner();
        let mut check = Validator::new(self.0.now());
        let size = check.page_size(request.page_size);
        let size = check.finish(size)?;
        let after: Option<String> = self.0.tokens.open(&LIST, &request.page_token)?;
        let found =
            self.0.store.customers(&after.unwrap_or_default(), size + 1).await.map_err(Error::from)?;
        let (customers, last) = page::cut(found, size, |row| row.customer_id.clone(), reply::customer);
        let next_page_token = self.0.tokens.next(&LIST, last)?;
        Ok(Response::new(ListCustomersResponse { customers, next_page_token }))
    }

    async fn delete_customer(
        &self,
        request: Request<DeleteCustomerRequest>,
    ) -> Result<Response<DeleteCustomerResponse>, Status> {
        let id = customer_id(&self.0, request.into_inner().customer_id)?;
        let (store, histories, gone) = (Arc::clone(&self.0.store), self.0.histories.clone(), id.clone());
        let delete = async move { histories.around(vec![gone.clone()], store.delete_customer(&gone)).await };
        if !self.0.writers.enter().finish(delete).await? {
            return Err(Error::unknown_customer(&id).into());
        }
        Ok(Response::new(DeleteCustomerResponse {}))
    }
}

fn customer_id(app: &App, id: String) -> Result<String, Error> {
    let mut check = Validator::new(app.now());
    check.id("customer_id", &id);
    check.finish(id)
}

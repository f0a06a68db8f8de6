//! Chooses what to do with a customer.

use tally_proto::v1::{
    Customer, DeleteCustomerRequest, ExportCustomerRequest, GetCustomerRequest, MergeCustomersRequest,
};
use tonic::{Code, Status};

use super::{confirm::confirm, record::record};
use crate::{
    args::{CustomersCommand, DeleteCustomerArgs},
    connection::Connection,
    error::ClientError,
    output::{self, printable},
};

/// Runs a command on a customer.
pub(crate) async fn run(
    server: &Connection,
    command: &CustomersCommand,
    json: bool,
) -> Result<(), ClientError> {
    match command {
        CustomersCommand::Get { customer_id } => get(server, customer_id, json).await,
        CustomersCommand::Export { customer_id } => export(server, customer_id).await,
        CustomersCommand::Delete(args) => delete(server, args, json).await,
        CustomersCommand::Merge { from, into } => merge(server, from, into, json).await,
    }
}

async fn get(server: &Connection, customer_id: &str, json: bool) -> Result<(), ClientError> {
    let request = GetCustomerRequest { customer_id: customer_id.to_owned() };
    let reply = server.customers().get_customer(request).await.map_err(|status| server.error(&status))?;
    let customer = in_reply(server, reply.into_inner().customer)?;
    Ok(output::show(&customer, json, record)?)
}

/// Prints an export. It has no form for people: what they need is in the file.
async fn export(server: &Connection, customer_id: &str) -> Result<(), ClientError> {
    let request = ExportCustomerRequest { customer_id: customer_id.to_owned() };
    let stream = server.customers().export_customer(request).await.map_err(|status| server.error(&status))?;
    let mut parts = stream.into_inner();
    while let Some(part) = parts.message().await.map_err(|status| server.error(&status))? {
        output::print_json(&part)?;
    }
    Ok(())
}

async fn delete(server: &Connection, args: &DeleteCustomerArgs, json: bool) -> Result<(), ClientError> {
    let customer = whole_name(server, &args.customer_id).await?;
    let question = format!("erase customer {customer}, with all that is stored about it, for good?");
    if !args.yes && !confirm(&question)? {
        return Err(ClientError::NotConfirmed("nothing was erased"));
    }
    let request = DeleteCustomerRequest { customer_id: args.customer_id.clone() };
    let reply = server.customers().delete_customer(request).await.map_err(|status| server.error(&status))?;
    Ok(output::show(reply.get_ref(), json, |_| format!("{customer} is erased"))?)
}

async fn merge(server: &Connection, from: &str, into: &str, json: bool) -> Result<(), ClientError> {
    let request =
        MergeCustomersRequest { from_customer_id: from.to_owned(), into_customer_id: into.to_owned() };
    let reply = server.customers().merge_customers(request).await.map_err(|status| server.error(&status))?;
    let customer = in_reply(server, reply.into_inner().customer)?;
    let text = |customer: &Customer| {
        format!(
            "{} is merged into {}\n\n{}",
            printable(from),
            printable(&customer.customer_id),
            record(customer)
        )
    };
    Ok(output::show(&customer, json, text)?)
}

/// The customer that an id is, with the other ids that are the same one.
async fn whole_name(server: &Connection, customer_id: &str) -> Result<String, ClientError> {
    let request = GetCustomerRequest { customer_id: customer_id.to_owned() };
    let reply = server.customers().get_customer(request).await.map_err(|status| server.error(&status))?;
    let Customer { customer_id, merged_customer_ids, .. } = in_reply(server, reply.into_inner().customer)?;
    let merged: Vec<_> = merged_customer_ids.iter().map(|id| printable(id)).collect();
    let name = printable(&customer_id);
    Ok(match merged.as_slice() {
        [] => name,
        merged => format!("{name} (and {}, merged into it)", merged.join(", ")),
    })
}

fn in_reply(server: &Connection, customer: Option<Customer>) -> Result<Customer, ClientError> {
    customer.ok_or_else(|| {
        server.error(&Status::new(Code::Internal, "the server's reply does not contain a customer"))
    })
}

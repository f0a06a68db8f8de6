//! Chooses what to do with a customer.

use tally_proto::v1::{
    Customer, DeleteCustomerRequest, ExportCustomerRequest, GetCustomerRequest, MergeCustomersRequest,
};
use tonic::{Code, Status};

use super::{confirm::confirm, record::record};
use crate::{
    args::{CustomersCommand, DeleteCustomerArgs, MergeCustomersArgs},
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
        CustomersCommand::Merge(args) => merge(server, args, json).await,
    }
}

async fn get(server: &Connection, customer_id: &str, json: bool) -> Result<(), ClientError> {
    let customer = stored(server, customer_id).await?;
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

async fn merge(server: &Connection, args: &MergeCustomersArgs, json: bool) -> Result<(), ClientError> {
    let MergeCustomersArgs { from, into, yes } = args;
    if !yes {
        let (merged, survivor) = (stored(server, from).await?, stored(server, into).await?);
        let question =
            format!("merge customer {} into {}, for good?", named(from, &merged), named(into, &survivor));
        if !confirm(&question)? {
            return Err(ClientError::NotConfirmed("nothing was merged"));
        }
    }
    let request = MergeCustomersRequest { from_customer_id: from.clone(), into_customer_id: into.clone() };
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
    let Customer { customer_id, merged_customer_ids, .. } = stored(server, customer_id).await?;
    let merged: Vec<_> = merged_customer_ids.iter().map(|id| printable(id)).collect();
    let name = printable(&customer_id);
    Ok(match merged.as_slice() {
        [] => name,
        merged => format!("{name} (and {}, merged into it)", merged.join(", ")),
    })
}

/// An id, with the other id that it is merged into, if it is, and the name of the customer.
fn named(id: &str, customer: &Customer) -> String {
    let survivor =
        (customer.customer_id != id).then(|| format!("merged into {}", printable(&customer.customer_id)));
    let name = (!customer.name.is_empty()).then(|| printable(&customer.name));
    let details: Vec<String> = [survivor, name].into_iter().flatten().collect();
    let id = printable(id);
    if details.is_empty() { id } else { format!("{id} ({})", details.join(", ")) }
}

/// The customer that an id is.
async fn stored(server: &Connection, customer_id: &str) -> Result<Customer, ClientError> {
    let request = GetCustomerRequest { customer_id: customer_id.to_owned() };
    let reply = server.customers().get_customer(request).await.map_err(|status| server.error(&status))?;
    in_reply(server, reply.into_inner().customer)
}

fn in_reply(server: &Connection, customer: Option<Customer>) -> Result<Customer, ClientError> {
    customer.ok_or_else(|| {
        server.error(&Status::new(Code::Internal, "the server's reply does not contain a customer"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_customer_is_named_by_its_id_and_name() {
        let customer = |name: &str| Customer {
            customer_id: "C1".to_owned(),
            name: name.to_owned(),
            ..Customer::default()
        };
        for (id, name, expected) in [
            ("C1", "", "C1"),
            ("C1", "Ana Reyes", "C1 (Ana Reyes)"),
            ("C2", "", "C2 (merged into C1)"),
            ("C2", "Ana Reyes", "C2 (merged into C1, Ana Reyes)"),
        ] {
            assert_eq!(named(id, &customer(name)), expected);
        }
    }
}

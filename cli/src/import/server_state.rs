//! What the server already knows, which decides what a file means.

use std::collections::BTreeMap;

use tally_proto::v1::{
    GetDeploymentRequest, ListAttributesRequest, ListPredictionsRequest, StoredAttribute, Target,
};
use tonic::{Code, Status};

use super::findings::ValueType;
use crate::{connection::Connection, error::ClientError};

/// What the server already knows. An older server that cannot say so knows nothing.
#[derive(Default)]
pub(super) struct ServerState {
    /// The currency of all amounts; empty if none is set.
    pub(super) currency: String,
    /// How many decimals amounts have.
    pub(super) amount_decimals: Option<u8>,
    /// The attributes by name. None if the server cannot say.
    attributes: Option<BTreeMap<String, StoredAttribute>>,
}

impl ServerState {
    pub(super) async fn fetch(server: &Connection) -> Result<Self, ClientError> {
        let deployment = server.deployment().get_deployment(GetDeploymentRequest {}).await;
        let deployment = known(server, deployment)?.unwrap_or_default();
        let attributes = server.customers().list_attributes(ListAttributesRequest {}).await;
        let attributes = known(server, attributes)?.map(|reply| {
            reply.attributes.into_iter().map(|attribute| (attribute.name.clone(), attribute)).collect()
        });
        let decimals = deployment.amount_decimals;
        let amount_decimals = decimals.and_then(|decimals| u8::try_from(decimals).ok());
        Ok(Self { currency: deployment.currency, amount_decimals, attributes })
    }

    /// Whether predictions are stored; true if the server cannot say.
    pub(super) async fn has_predictions(server: &Connection) -> Result<bool, ClientError> {
        for target in [Target::Lead, Target::Churn] {
            let request =
                ListPredictionsRequest { target: target.into(), page_size: 1, ..Default::default() };
            let reply = known(server, server.predictions().list_predictions(request).await)?;
            if reply.is_none_or(|reply| !reply.predictions.is_empty()) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The type that most customers have in an attribute. None if none has it.
    pub(super) fn attribute_type(&self, name: &str) -> Option<ValueType> {
        let stored = self.attributes.as_ref()?.get(name)?;
        let types = [
            (stored.texts, ValueType::Text),
            (stored.booleans, ValueType::Boolean),
            (stored.numbers, ValueType::Number),
        ];
        types
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .max_by_key(|(count, _)| *count)
            .map(|(_, found)| found)
    }

    /// How many customers have an attribute.
    pub(super) fn customers_with(&self, name: &str) -> u64 {
        let stored = self.attributes.as_ref().and_then(|attributes| attributes.get(name));
        stored.map_or(0, |stored| (stored.numbers + stored.booleans + stored.texts).unsigned_abs())
    }

    /// Whether any attribute is stored.
    pub(super) fn has_attributes(&self) -> bool {
        self.attributes.as_ref().is_some_and(|attributes| !attributes.is_empty())
    }

    /// Those of the attributes that no customer has; none if the server cannot say.
    pub(super) fn unknown_attributes(&self, names: Vec<String>) -> Vec<String> {
        let Some(attributes) = &self.attributes else { return Vec::new() };
        names.into_iter().filter(|name| !attributes.contains_key(name)).collect()
    }
}

/// The reply, or None if the server does not know the call.
fn known<T>(
    server: &Connection,
    reply: Result<tonic::Response<T>, Status>,
) -> Result<Option<T>, ClientError> {
    match reply {
        Ok(reply) => Ok(Some(reply.into_inner())),
        Err(status) if status.code() == Code::Unimplemented => Ok(None),
        Err(status) => Err(server.error(&status)),
    }
}

//! ModelService: model cards, promotions, and monitoring.

mod card;
mod monitoring;
mod promotions;
mod service;

pub(crate) use card::bg_nbd;
pub(crate) use service::ModelRpc;

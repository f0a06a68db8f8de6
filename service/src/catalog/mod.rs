//! The catalog: model versions by name, loaded and ready to score, and which of them serve.

mod attribute_types;
mod model;
mod model_catalog;
mod model_name;

pub use model::{Model, read_artifact};
pub use model_catalog::ModelCatalog;
pub use model_name::ModelName;

//! The model versions that this server has loaded: the champions, refreshed from the store, and a few
//! others that were asked for by name.

use std::{
    collections::HashMap,
    sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use prometheus_client::metrics::{counter::Counter, family::Family, gauge::Gauge};
use tally_model::spec::Target;
use tally_store::{NewCustomer, Store, StoredModel};

use super::{Model, ModelName, attribute_types::AttributeTypes};
use crate::platform::{
    error::{Error, Result},
    metrics::{MetricsRegistry, TargetLabel},
};

/// How many versions other than champions stay loaded.
const OTHERS: usize = 16;

/// The loaded models. Clones share them.
#[derive(Clone)]
pub struct ModelCatalog(Arc<CatalogState>);

struct CatalogState {
    store: Arc<dyn Store>,
    champions: RwLock<HashMap<Target, Arc<Model>>>,
    others: RwLock<HashMap<ModelName, Arc<Model>>>,
    /// Champions that cannot be loaded and were logged and counted as such.
    unreadable: RwLock<HashMap<Target, ModelName>>,
    /// Held during a refresh, so that an older answer of the store never replaces a newer one.
    refreshing: tokio::sync::Mutex<()>,
    champion_version: Family<TargetLabel, Gauge>,
    refused: Family<TargetLabel, Counter>,
    attribute_types: AttributeTypes,
}

impl ModelCatalog {
    /// A catalog that knows no champion before its first [`refresh`](Self::refresh).
    #[must_use]
    pub fn new(store: Arc<dyn Store>, metrics: &MetricsRegistry) -> Self {
        let refused: Family<TargetLabel, Counter> = metrics.register(
            "tally_model_refused",
            "Promoted models that could not be read, so that the one before serves on; once a version",
        );
        // A counter that exists from the start can be alarmed on when it rises.
        for target in Target::ALL {
            drop(refused.get_or_create(&target.into()));
        }
        Self(Arc::new(CatalogState {
            store,
            champions: RwLock::default(),
            others: RwLock::default(),
            unreadable: RwLock::default(),
            refreshing: tokio::sync::Mutex::default(),
            champion_version: metrics.register("tally_champion_version", "The version that serves here"),
            refused,
            attribute_types: AttributeTypes::new(metrics),
        }))
    }

    /// Loads the champions that were promoted since the last refresh. A champion that cannot be loaded
    /// is logged once, and the one before continues to serve.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn refresh(&self) -> Result<()> {
        let _only_one = self.0.refreshing.lock().await;
        for target in Target::ALL {
            let Some(version) = self.0.store.champion(target).await? else { continue };
            let name = ModelName { target, version };
            if self.loaded_champion(target).is_some_and(|loaded| loaded.name == name) {
                write(&self.0.unreadable).remove(&target);
                continue;
            }
            match Model::load(&*self.0.store, name).await {
                Ok(model) => self.install(model),
                Err(error @ Error::Unavailable(_)) => return Err(error),
                // The next refresh tries again, so that a repair needs no restart.
                Err(error) => self.refuse(name, &error),
            }
        }
        Ok(())
    }

    fn install(&self, model: Model) {
        let name = model.name;
        tracing::info!(model = %name, "new champion");
        self.0.champion_version.get_or_create(&name.target.into()).set(name.version);
        self.0.attribute_types.expect(&model);
        write(&self.0.champions).insert(name.target, Arc::new(model));
        write(&self.0.unreadable).remove(&name.target);
    }

    fn refuse(&self, name: ModelName, error: &Error) {
        if write(&self.0.unreadable).insert(name.target, name) != Some(name) {
            tracing::error!(model = %name, %error, "the champion cannot be read; the one before serves on");
            self.0.refused.get_or_create(&name.target.into()).inc();
        }
    }

    /// A stored version, which may be damaged.
    ///
    /// # Errors
    /// NOT_FOUND (MODEL_NOT_FOUND) when it is not stored.
    pub async fn stored(&self, name: ModelName) -> Result<StoredModel> {
        let stored = self.0.store.model(name.target, name.version).await?;
        stored.ok_or_else(|| Error::unknown_model(&name.to_string()))
    }

    /// At most `limit` stored versions of these targets, newest first, behind `after` (target and version).
    ///
    /// # Errors
    /// When the store fails.
    pub async fn list(
        &self,
        target: Option<Target>,
        after: Option<(Target, i64)>,
        limit: usize,
    ) -> Result<Vec<StoredModel>> {
        Ok(self.0.store.models(target, after, limit).await?)
    }

    /// Whether any target has a champion.
    #[must_use]
    pub fn has_champion(&self) -> bool {
        !read(&self.0.champions).is_empty()
    }

    /// The champions that serve, at most one a target.
    #[must_use]
    pub fn champions(&self) -> Vec<Arc<Model>> {
        Target::ALL.into_iter().filter_map(|target| self.loaded_champion(target)).collect()
    }

    /// Reads the attributes of customers as the champions do: texts that are numbers become numbers where an
    /// attribute is used as a number. Values of other types than the champions use are counted.
    pub fn read_attributes(&self, customers: &mut [NewCustomer]) {
        self.0.attribute_types.apply(&self.champions(), customers);
    }

    fn loaded_champion(&self, target: Target) -> Option<Arc<Model>> {
        read(&self.0.champions).get(&target).cloned()
    }

    /// The champion of `target`.
    ///
    /// # Errors
    /// FAILED_PRECONDITION (NO_CHAMPION) when none was promoted, or none that can be loaded.
    pub async fn champion(&self, target: Target) -> Result<Arc<Model>> {
        if let Some(loaded) = self.loaded_champion(target) {
            return Ok(loaded);
        }
        // A champion that cannot be loaded is not loaded again for every request.
        if !read(&self.0.unreadable).contains_key(&target) {
            self.refresh().await?;
        }
        self.loaded_champion(target).ok_or_else(|| Error::Precondition {
            reason: "NO_CHAMPION",
            message: match read(&self.0.unreadable).get(&target) {
                Some(name) => format!("the champion {name} cannot be read; roll back or promote another"),
                None => format!("no {target} model serves yet; train one with `tally-train {target}`"),
            },
        })
    }

    /// The version of this name.
    ///
    /// # Errors
    /// NOT_FOUND (MODEL_NOT_FOUND) when it is not stored; FAILED_PRECONDITION (UNREADABLE_MODEL) when it is damaged.
    pub async fn version(&self, name: ModelName) -> Result<Arc<Model>> {
        let champion = self.loaded_champion(name.target).filter(|champion| champion.name == name);
        if let Some(loaded) = champion.or_else(|| read(&self.0.others).get(&name).cloned()) {
            return Ok(loaded);
        }
        let model = Arc::new(Model::load(&*self.0.store, name).await?);
        let mut others = write(&self.0.others);
        if others.len() >= OTHERS {
            others.clear();
        }
        others.insert(name, Arc::clone(&model));
        Ok(model)
    }

    /// The version of this name, or the champion of `target` without one.
    ///
    /// # Errors
    /// As [`version`](Self::version) and [`champion`](Self::champion).
    pub async fn version_or_champion(&self, target: Target, name: Option<ModelName>) -> Result<Arc<Model>> {
        match name {
            Some(name) => self.version(name).await,
            None => self.champion(target).await,
        }
    }
}

/// Locks a map of immutable models, which is whole also after a panic elsewhere.
fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(std::sync::PoisonError::into_inner)
}

//! The deployment: what holds for all data in the database, the currency of amounts and its decimals.
//!
//! Amounts are stored in minor units. How many decimals those have is decided once, by `--currency` or by the first
//! request that says it, since stored amounts would mean other money afterwards.

use std::{
    str::FromStr,
    sync::{Arc, OnceLock},
};

use tally_model::{counted, time::Time};
use tally_proto::values::{currency_decimals, trimmed};
use tally_store::{NewAuditEvent, Store};

use crate::platform::{
    actor::{self, Actor},
    error::{Error, Result},
};

/// The settings in the database.
const CURRENCY: &str = "currency";
const AMOUNT_DECIMALS: &str = "amount_decimals";
/// The actions in the audit log.
const SET_CURRENCY: &str = "SetCurrency";
const SET_AMOUNT_DECIMALS: &str = "SetAmountDecimals";

/// A currency of ISO 4217.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Currency {
    code: String,
    decimals: u8,
}

impl FromStr for Currency {
    type Err = String;

    fn from_str(code: &str) -> Result<Self, String> {
        let code = trimmed(code).to_ascii_uppercase();
        match currency_decimals(&code) {
            Some(decimals) => Ok(Self { code, decimals }),
            None => Err("not a currency of ISO 4217; allowed are codes such as EUR, USD or CNY".to_owned()),
        }
    }
}

/// What holds for all data in the database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeploymentSettings {
    /// The code of the currency of all amounts, if one is set.
    pub currency: Option<String>,
    /// How many decimals amounts have, if it is known.
    pub amount_decimals: Option<u8>,
}

/// Reads and changes the settings of the deployment. Clones share them.
#[derive(Clone)]
pub struct Deployment(Arc<DeploymentState>);

struct DeploymentState {
    store: Arc<dyn Store>,
    /// Once they are stored they never change.
    amount_decimals: OnceLock<u8>,
}

impl Deployment {
    /// The settings in this store.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self(Arc::new(DeploymentState { store, amount_decimals: OnceLock::new() }))
    }

    /// The settings.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn settings(&self) -> Result<DeploymentSettings> {
        let currency = self.0.store.stored_setting(CURRENCY).await?;
        let currency = currency.map(String::from_utf8).transpose();
        Ok(DeploymentSettings {
            currency: currency.map_err(|error| Error::Internal(format!("the currency: {error}")))?,
            amount_decimals: self.amount_decimals().await?,
        })
    }

    async fn amount_decimals(&self) -> Result<Option<u8>> {
        if let Some(decimals) = self.0.amount_decimals.get() {
            return Ok(Some(*decimals));
        }
        let stored = self.0.store.stored_setting(AMOUNT_DECIMALS).await?;
        stored.map(|value| self.known_decimals(&value)).transpose()
    }

    /// Reads the stored number of decimals and remembers it.
    fn known_decimals(&self, stored: &[u8]) -> Result<u8> {
        let decimals = std::str::from_utf8(stored).ok().and_then(|text| text.parse().ok());
        let decimals =
            decimals.ok_or_else(|| Error::Internal("the setting amount_decimals is damaged".into()))?;
        Ok(*self.0.amount_decimals.get_or_init(|| decimals))
    }

    /// Stores the number of decimals, unless one is stored; returns the stored one.
    async fn settle_decimals(&self, decimals: u8, by: &Actor, now: Time) -> Result<u8> {
        let value = decimals.to_string();
        let event = NewAuditEvent::done(now, by, SET_AMOUNT_DECIMALS).about(value.as_str());
        let stored = self.0.store.setting(AMOUNT_DECIMALS, value.as_bytes(), Some(event)).await?;
        self.known_decimals(&stored)
    }

    /// Makes this the currency of all amounts.
    ///
    /// # Errors
    /// FAILED_PRECONDITION (OTHER_DECIMALS) when amounts of another number of decimals are stored, (OTHER_CURRENCY) when
    /// there are customers and another currency is set, whose amounts would get another name; when the store fails.
    pub async fn set_currency(&self, currency: &Currency, now: Time) -> Result<()> {
        let Currency { code, decimals } = currency;
        let by = actor::of_this_process();
        let stored = self.settle_decimals(*decimals, &by, now).await?;
        if stored == *decimals {
            let known = self.settings().await?.currency;
            if known.as_ref() == Some(code) {
                return Ok(());
            }
            if let Some(known) = known
                && self.0.store.count_customers().await? > 0
            {
                return Err(other_currency(&known, code));
            }
            let event = NewAuditEvent::done(now, &by, SET_CURRENCY).about(code);
            return Ok(self.0.store.replace_setting(CURRENCY, code.as_bytes(), event).await?);
        }
        Err(Error::Precondition {
            reason: "OTHER_DECIMALS",
            message: format!(
                "amounts of {code} have {}, but those in this database have {stored}; name a currency of {}, or \
                 use another database",
                counted(*decimals, "decimal", "decimals"),
                counted(stored, "decimal", "decimals")
            ),
        })
    }

    /// Accepts amounts that `by` has turned into minor units with so many decimals. The first number above 0 is stored
    /// for good where there is none.
    ///
    /// # Errors
    /// FAILED_PRECONDITION (OTHER_DECIMALS) when the deployment has another number; when the store fails.
    pub async fn accept_decimals(&self, decimals: u8, by: impl FnOnce() -> Actor, now: Time) -> Result<()> {
        let stored = match self.amount_decimals().await? {
            Some(stored) => stored,
            // Amounts without decimals may be whole euros as well as yen.
            None if decimals == 0 => return Ok(()),
            None => self.settle_decimals(decimals, &by(), now).await?,
        };
        if stored == decimals {
            return Ok(());
        }
        Err(Error::Precondition {
            reason: "OTHER_DECIMALS",
            message: format!(
                "the amounts were sent with {}, but those of this deployment have {stored}; send minor units of {} and \
                 amount_decimals = {stored}",
                counted(decimals, "decimal", "decimals"),
                counted(stored, "decimal", "decimals")
            ),
        })
    }
}

fn other_currency(stored: &str, code: &str) -> Error {
    Error::Precondition {
        reason: "OTHER_CURRENCY",
        message: format!(
            "the amounts in this database are in {stored}, and --currency {code} would only rename them; start with \
             --currency {stored} or without it, or use another database"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_currency_is_a_code_of_iso_4217() {
        let decimals = |code: &str| code.parse::<Currency>().map(|currency| currency.decimals);
        assert_eq!([decimals("EUR"), decimals("jpy"), decimals(" KWD ")], [Ok(2), Ok(0), Ok(3)]);
        for code in ["", "euro", "€", "XXX", "EUR USD"] {
            assert!(decimals(code).is_err(), "{code}");
        }
    }
}

//! Deliveries. A server leases what it delivers by a row's columns: no transaction is open while it waits for a receiver.

use async_trait::async_trait;
use tally_model::time::Time;

use super::{read_alerts, rows::SELECT_ALERTS};
use crate::{
    alerts::{Alert, AlertDeliveryStore, DeliveryResult, DeliveryState, Lease},
    error::Result,
    shared::{Backend, Statement, detached, transaction::repeatable},
};

/// Selects what is due, of each customer the first one that is pending only. An alert that is not pending is never
/// pending again, and no earlier one appears later, so that what is found remains next in its order.
fn select_due<B: Backend>(lease: &Lease, limit: usize) -> Statement {
    let mut select = Statement::new(
        "SELECT d.alert_id FROM alert_deliveries AS d WHERE d.state = 'pending' AND d.next_attempt_time <= ",
    );
    select.push_bind(lease.now).push(" AND (d.lease_owner = '' OR d.lease_until <= ").push(B::NOW);
    select.push(
        ") AND (d.customer_id = '' OR NOT EXISTS (SELECT 1 FROM alert_deliveries AS e \
           WHERE e.customer_id = d.customer_id AND e.state = 'pending' AND e.sequence < d.sequence)) \
         ORDER BY d.next_attempt_time, d.sequence LIMIT ",
    );
    select.push_bind(limit as i64);
    select
}

/// Leases those of these alerts that no other server has leased meanwhile.
fn claim<B: Backend>(lease: &Lease, due: &[(String,)]) -> Statement {
    let length = i64::try_from(lease.length.as_micros()).unwrap_or(i64::MAX);
    let mut update = Statement::new(
        "UPDATE alert_deliveries SET attempts = attempts + 1, first_attempt_time = coalesce(first_attempt_time, ",
    );
    update.push_bind(lease.now).push("), lease_owner = ").push_bind(lease.owner.as_str());
    update
        .push(", lease_until = ")
        .push(B::NOW)
        .push(" + ")
        .push_bind(length)
        .push(" * ")
        .push(B::MICROSECOND);
    update.push(" WHERE state = 'pending' AND (lease_owner = '' OR lease_until <= ").push(B::NOW);
    update.push(") AND alert_id IN (").push_list(due.iter().map(|(id,)| id.as_str().into()));
    update.push(") RETURNING alert_id");
    update
}

#[async_trait]
impl<B: Backend> AlertDeliveryStore for B {
    async fn claim_deliveries(&self, lease: Lease, limit: usize) -> Result<Vec<Alert>> {
        // Most of the time nothing is due, which is found out without waiting for other writers.
        let due: Vec<(String,)> = self.read(select_due::<B>(&lease, limit)).await?;
        if due.is_empty() {
            return Ok(Vec::new());
        }
        let claimed: Vec<(String,)> =
            repeatable(self, (self.clone(), lease, due), move |shared| async move {
                let (store, lease, due) = &*shared;
                let mut tx = store.begin().await?;
                let claimed = B::run(&mut tx, claim::<B>(lease, due)).await?;
                tx.commit().await?;
                Ok(claimed)
            })
            .await?;
        if claimed.is_empty() {
            return Ok(Vec::new());
        }
        let mut select = Statement::new(SELECT_ALERTS);
        select.push(" WHERE a.alert_id IN (").push_list(claimed.iter().map(|(id,)| id.as_str().into()));
        select.push(") ORDER BY a.sequence");
        read_alerts(self, select).await
    }

    async fn finish_delivery(
        &self,
        alert_id: &str,
        owner: &str,
        result: DeliveryResult,
        now: Time,
    ) -> Result<()> {
        let (state, error, next) = match &result {
            DeliveryResult::Delivered => (DeliveryState::Delivered, "", now),
            DeliveryResult::Retry { at, error } => (DeliveryState::Pending, error.as_str(), *at),
            DeliveryResult::Parked { error } => (DeliveryState::Parked, error.as_str(), now),
        };
        let mut update = Statement::new("UPDATE alert_deliveries SET state = ");
        update.push_bind(state.name()).push(", last_error = ").push_bind(error);
        update.push(", next_attempt_time = ").push_bind(next).push(", lease_owner = ''");
        if state == DeliveryState::Delivered {
            update.push(", deliver_time = ").push_bind(now);
        }
        update.push(" WHERE alert_id = ").push_bind(alert_id);
        update.push(" AND lease_owner = ").push_bind(owner);
        let store = self.clone();
        detached(self, async move {
            let mut tx = store.begin().await?;
            B::run::<()>(&mut tx, update).await?;
            Ok(tx.commit().await?)
        })
        .await
    }

    async fn count_deliveries(&self) -> Result<(u64, u64)> {
        let pending = Statement::new("SELECT count(*) FROM alert_deliveries WHERE state = 'pending'");
        let parked = Statement::new("SELECT count(*) FROM alert_deliveries WHERE state = 'parked'");
        Ok((self.count(pending).await?, self.count(parked).await?))
    }
}

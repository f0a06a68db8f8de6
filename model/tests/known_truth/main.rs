//! The whole way from histories to scores on simulated businesses whose truth is known: the models come
//! close to the true probabilities, know nothing of the future, are the same bytes when trained again,
//! survive storage and detect damage to it, and their scores are explained to the last log-odds.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod beyond;
mod future;
mod limits;
mod quality;
mod reproducibility;
mod scores;
mod special_customers;
mod storage;
mod studies;

//! Monitoring: how far a population has moved since training, and how past predictions turned out.

pub mod watch;

//! The worklist: whom to turn to by the facts of a pass, what was handed out, and whether it helped.

mod counts;
mod effect;
mod episodes;
mod facts;
mod list;
mod remarks;
mod warnings;

pub(super) use counts::CountCache;
pub use effect::EffectLine;
pub use episodes::HandedOut;
pub(super) use facts::work;
pub use list::{ListedWork, Worklist, WorklistCursor, WorklistRequest};

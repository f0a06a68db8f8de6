//! Names and their slots: a history refers to kinds and properties by number.

use std::collections::HashMap;

/// Distinct names; the slot of a name is its index.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct NameTable {
    list: Vec<String>,
    /// The slots by name, once there are more than [`NameTable::FEW`].
    slots: HashMap<String, u32>,
}

impl NameTable {
    /// Up to this many names, a linear search is faster than a hash map.
    const FEW: usize = 16;

    pub(super) fn list(&self) -> &[String] {
        &self.list
    }

    pub(super) fn slot(&self, name: &str) -> Option<u32> {
        if self.list.len() > Self::FEW {
            return self.slots.get(name).copied();
        }
        let is_name = |known: &String| are_equal(known.as_bytes(), name.as_bytes());
        self.list.iter().position(is_name).map(|slot| slot as u32)
    }

    pub(super) fn slot_or_new(&mut self, name: &str) -> u32 {
        self.slot(name).unwrap_or_else(|| {
            self.list.push(name.to_owned());
            self.index_slots();
            self.list.len() as u32 - 1
        })
    }

    /// Replaces the names, reusing the allocations. `text` checks the bytes of a name that was not there before.
    pub(super) fn refill<'a, E>(
        &mut self,
        names: impl Iterator<Item = Result<&'a [u8], E>>,
        text: impl Fn(&'a [u8]) -> Result<&'a str, E>,
    ) -> Result<(), E> {
        let (mut length, mut same) = (0, true);
        for name in names {
            let name = name?;
            match self.list.get_mut(length) {
                Some(known) if are_equal(known.as_bytes(), name) => {}
                Some(old) => {
                    text(name)?.clone_into(old);
                    same = false;
                }
                None => {
                    self.list.push(text(name)?.to_owned());
                    same = false;
                }
            }
            length += 1;
        }
        if !same || length < self.list.len() {
            self.list.truncate(length);
            self.slots.clear();
            self.index_slots();
        }
        Ok(())
    }

    /// Adds the slots that the map does not have yet, when there are enough names for a map.
    fn index_slots(&mut self) {
        if self.list.len() > Self::FEW {
            let new = (self.slots.len()..).zip(&self.list[self.slots.len()..]);
            self.slots.extend(new.map(|(slot, name)| (name.clone(), slot as u32)));
        }
    }
}

/// Whether two names are equal. The channel's name is empty, and an empty slice may point anywhere: glibc 2.36 on a processor
/// with AVX-512 then takes 120 ns to compare nothing, since it suppresses a fault, instead of 2 ns.
fn are_equal(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && (one.is_empty() || one == other)
}

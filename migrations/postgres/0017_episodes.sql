-- The latest lists first: pages of episodes, and what the lists of a day have handed out.
CREATE INDEX worklist_episodes_by_list ON worklist_episodes (as_of_time DESC);

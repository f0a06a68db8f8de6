-- What a reader should know about a score besides: a JSON array of sentences.
ALTER TABLE predictions ADD COLUMN notes TEXT NOT NULL DEFAULT '[]';

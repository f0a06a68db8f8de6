-- What a reader should know about a score besides: a JSON array of sentences.
DO $$
BEGIN
    EXECUTE 'ALTER TABLE predictions ADD COLUMN notes JSON NOT NULL DEFAULT ''[]''';
END
$$;

-- What the training found out about a model beyond its artifact: the checks that it fails, and its holdout by groups,
-- as JSON. NULL for models of older versions.
ALTER TABLE models ADD COLUMN assessment TEXT;

INSERT INTO log_insert VALUES (now(), :document::jsonb, 0);

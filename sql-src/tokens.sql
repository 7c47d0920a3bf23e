-- Tokens: who may send, and read.

-- Digests only: the text of a token is kept nowhere.
CREATE TABLE windtrap.token (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL,
    digest bytea NOT NULL UNIQUE CHECK (octet_length(digest) = 32),
    scope text NOT NULL CHECK (scope IN ('ingest', 'read', 'all', 'forward')),
    source text CHECK (octet_length(source) BETWEEN 1 AND 128),
    origins text[],
    rate integer CHECK (rate > 0),
    created timestamptz NOT NULL DEFAULT now(),
    expires timestamptz,
    last_used timestamptz,
    revoked timestamptz);

CREATE UNIQUE INDEX token_name_key ON windtrap.token (name) WHERE revoked IS NULL;

COMMENT ON TABLE windtrap.token IS
'who may send and read; made by windtrap.create_token(), seen in windtrap.tokens';
COMMENT ON COLUMN windtrap.token.id IS 'its number, by which workers know it';
COMMENT ON COLUMN windtrap.token.name IS 'see windtrap.tokens';
COMMENT ON COLUMN windtrap.token.digest IS 'SHA-256 of the token''s text';
COMMENT ON COLUMN windtrap.token.scope IS 'see windtrap.tokens';
COMMENT ON COLUMN windtrap.token.source IS 'see windtrap.tokens';
COMMENT ON COLUMN windtrap.token.origins IS 'see windtrap.tokens';
COMMENT ON COLUMN windtrap.token.rate IS 'see windtrap.tokens';
COMMENT ON COLUMN windtrap.token.created IS 'see windtrap.tokens';
COMMENT ON COLUMN windtrap.token.expires IS 'see windtrap.tokens';
COMMENT ON COLUMN windtrap.token.last_used IS 'see windtrap.tokens; written by the workers';
COMMENT ON COLUMN windtrap.token.revoked IS 'see windtrap.tokens';
COMMENT ON SEQUENCE windtrap.token_id_seq IS 'numbers of tokens';

SELECT pg_extension_config_dump('windtrap.token', '');
SELECT pg_extension_config_dump('windtrap.token_id_seq', '');

CREATE FUNCTION windtrap.tokens_changed() RETURNS trigger
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'windtrap_tokens_changed'
SET search_path = pg_catalog, pg_temp;

COMMENT ON FUNCTION windtrap.tokens_changed() IS
'trigger: has the workers read the tokens again when the transaction commits';

-- Not when only last_used is written, which the workers do.
CREATE TRIGGER token_changed AFTER INSERT OR DELETE OR TRUNCATE ON windtrap.token
    EXECUTE FUNCTION windtrap.tokens_changed();
CREATE TRIGGER token_updated
    AFTER UPDATE OF name, digest, scope, source, origins, rate, expires, revoked
    ON windtrap.token EXECUTE FUNCTION windtrap.tokens_changed();
-- Also under session_replication_role = replica: else a token would be good for ever that is
-- revoked there.
ALTER TABLE windtrap.token ENABLE ALWAYS TRIGGER token_changed;
ALTER TABLE windtrap.token ENABLE ALWAYS TRIGGER token_updated;

-- With its owner's rights, so that whoever is granted it need not be able to read digests.
CREATE FUNCTION windtrap.create_token(
    name text,
    scope text DEFAULT 'ingest',
    source text DEFAULT NULL,
    origins text[] DEFAULT NULL,
    rate integer DEFAULT NULL,
    expires timestamptz DEFAULT NULL)
RETURNS text
LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE SECURITY DEFINER
AS 'MODULE_PATHNAME', 'windtrap_create_token'
SET search_path = pg_catalog, pg_temp;

COMMENT ON FUNCTION windtrap.create_token(text, text, text, text[], integer, timestamptz) IS
'makes a token and returns its text, which is shown this once; scope is ingest, read, all or forward, source is stored with its events, origins are the pages that may use it, rate is in requests a second';

CREATE FUNCTION windtrap.revoke_token(name text) RETURNS void
LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE windtrap.token AS t SET revoked = now()
     WHERE t.name = revoke_token.name AND t.revoked IS NULL;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_object',
            MESSAGE = format('there is no token "%s"', revoke_token.name),
            HINT = 'See windtrap.tokens for those that there are.';
    END IF;
END
$$;

COMMENT ON FUNCTION windtrap.revoke_token(text) IS
'has a token let nobody in any more; its name is free again';

CREATE VIEW windtrap.tokens AS
SELECT name,
       CASE WHEN revoked IS NOT NULL THEN 'revoked'
            WHEN expires <= now() THEN 'expired'
            ELSE 'active' END AS state,
       scope, source, origins, rate, created, expires, last_used, revoked
  FROM windtrap.token;

COMMENT ON VIEW windtrap.tokens IS 'the tokens, without anything that would let one in';
COMMENT ON COLUMN windtrap.tokens.name IS 'what it is called; of those in force there is one of a name';
COMMENT ON COLUMN windtrap.tokens.state IS 'active, expired or revoked';
COMMENT ON COLUMN windtrap.tokens.scope IS 'ingest: may send; read: may see how the collector does; all: both; forward: may send, as another collector whole rows, too';
COMMENT ON COLUMN windtrap.tokens.source IS 'what is stored as "source" with its events';
COMMENT ON COLUMN windtrap.tokens.origins IS 'the web pages that may use it; null: everybody may';
COMMENT ON COLUMN windtrap.tokens.rate IS 'requests a second that it may send; null: no limit';
COMMENT ON COLUMN windtrap.tokens.created IS 'when it was made';
COMMENT ON COLUMN windtrap.tokens.expires IS 'when it ends by itself; null: never';
COMMENT ON COLUMN windtrap.tokens.last_used IS 'when it was last used, within a minute';
COMMENT ON COLUMN windtrap.tokens.revoked IS 'when it was revoked';

REVOKE ALL ON FUNCTION windtrap.tokens_changed() FROM PUBLIC;
REVOKE ALL ON FUNCTION windtrap.create_token(text, text, text, text[], integer, timestamptz)
    FROM PUBLIC;
REVOKE ALL ON FUNCTION windtrap.revoke_token(text) FROM PUBLIC;
GRANT SELECT ON windtrap.tokens TO pg_monitor;

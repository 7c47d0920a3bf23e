-- Shows how tokens are made and revoked, what is said of a token that makes no sense, and
-- who may do what.  What they let in is shown by t/015_perimeter.pl.

CREATE EXTENSION windtrap;
CREATE ROLE regress_windtrap_gatekeeper;
CREATE ROLE regress_windtrap_watcher IN ROLE pg_monitor;

-- The text is shown once; of it the table has the digest.
SELECT windtrap.create_token('shop') AS token \gset
SELECT :'token' ~ '^wt_[0-9A-Za-z]{43}$' AS form;
SELECT digest = sha256(:'token') AS digest FROM windtrap.token;
SELECT windtrap.create_token('page', source => 'shop page', rate => 10,
                             origins => ARRAY['https://shop.example', 'https://*.shop.example:8443'],
                             expires => '2999-06-01') ~ '^wt_' AS made;
SELECT windtrap.create_token('prometheus', 'read') <> windtrap.create_token('another', 'all') AS differ;
SELECT name, state, scope, source, origins, rate, created <= now() AS created,
       extract(year FROM expires) AS expires, last_used, revoked
FROM windtrap.tokens ORDER BY name;

-- One of a name at a time.
SELECT windtrap.create_token('shop');
SELECT windtrap.revoke_token('shop');
SELECT windtrap.revoke_token('shop');
SELECT windtrap.create_token('shop') ~ '^wt_' AS made;
SELECT state, count(*) FROM windtrap.tokens WHERE name = 'shop' GROUP BY state ORDER BY state;

-- What makes no sense.
SELECT windtrap.create_token(NULL);
SELECT windtrap.create_token('');
SELECT windtrap.create_token(repeat('x', 129));
SELECT windtrap.create_token('x', 'write');
SELECT windtrap.create_token('x', NULL);
SELECT windtrap.create_token('x', source => '');
SELECT windtrap.create_token('x', source => repeat('x', 129));
SELECT windtrap.create_token('x', origins => '{}');
SELECT windtrap.create_token('x', origins => '{shop.example}');
SELECT windtrap.create_token('x', origins => '{https://shop.example,NULL}');
SELECT windtrap.create_token('x', origins => ARRAY['https://a.example,https://b.example']);
SELECT windtrap.create_token('x', origins => '{self}');
SELECT windtrap.create_token('x', rate => 0);
SELECT windtrap.create_token('x', expires => now() - interval '1 day');
SELECT windtrap.revoke_token('nobody');
SELECT windtrap.tokens_changed();

-- Who may: nobody, until it is granted; and then no more than that.
SET ROLE regress_windtrap_gatekeeper;
SELECT windtrap.create_token('mine');
SELECT windtrap.revoke_token('shop');
SELECT count(*) FROM windtrap.tokens;
SELECT count(*) FROM windtrap.token;
RESET ROLE;
GRANT EXECUTE ON FUNCTION windtrap.create_token, windtrap.revoke_token TO regress_windtrap_gatekeeper;
SET ROLE regress_windtrap_gatekeeper;
SELECT windtrap.create_token('mine') ~ '^wt_' AS made;
SELECT windtrap.revoke_token('mine');
SELECT digest FROM windtrap.token;
DELETE FROM windtrap.token;
RESET ROLE;
SET ROLE regress_windtrap_watcher;
SELECT name, state FROM windtrap.tokens WHERE name = 'mine';
SELECT digest FROM windtrap.token;
UPDATE windtrap.tokens SET name = name;
RESET ROLE;
SELECT count(*) FROM information_schema.columns
WHERE table_schema = 'windtrap' AND column_name = 'digest' AND table_name <> 'token';

DROP EXTENSION windtrap;
DROP ROLE regress_windtrap_gatekeeper, regress_windtrap_watcher;

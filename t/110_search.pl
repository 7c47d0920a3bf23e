# Searches: pages that lose and double nothing, hostile queries that are text and no more, the
# caller's rights and row security, and that the newest events are found without reading old ones.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Test::More;
use Time::HiRes qw(time);

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use WindTrap;

my $node = wt_node('search', preload => 0);

sub query { return $node->safe_psql('postgres', $_[0]); }
sub quoted { return "'" . ($_[0] =~ s/'/''/gr) . "'"; }

# What a role is told.
sub as_role
{
	my ($role, $sql) = @_;
	my ($rc, $out, $error) = $node->psql('postgres', "SET ROLE $role; $sql");
	return $rc == 0 ? $out : $error;
}

query(q{CREATE EXTENSION windtrap; SELECT windtrap.create_log_table()});

#
# Pages
#
# 10,000 events of one instant, some before and after it, and among them some without an id.
query(q{INSERT INTO log SELECT '2026-11-01 12:00+00', jsonb_build_object('id', 'i' || md5(n::text), 'json', jsonb_build_object('n', n)), 0
	FROM generate_series(1, 10000) n;
INSERT INTO log SELECT '2026-11-01 12:00+00'::timestamptz + (n - 500) * interval '1 microsecond',
	jsonb_build_object('id', 'i' || md5((n + 20000)::text), 'json', jsonb_build_object('n', n + 20000)), 0 FROM generate_series(1, 1000) n;
INSERT INTO log SELECT '2026-11-01 12:00+00'::timestamptz + (n / 10 - 5) * interval '1 microsecond',
	jsonb_build_object('json', jsonb_build_object('n', n + 30000)), 0 FROM generate_series(0, 99) n;
-- So that pages are asked for by a session, each as the page before ends.
CREATE FUNCTION pages(query text, size int, OUT pages int, OUT n text[], OUT largest int) LANGUAGE plpgsql AS $$
DECLARE t timestamptz; i text; page text[]; BEGIN
	pages := 0; n := '{}'; largest := 0;
	LOOP
		SELECT array_agg(data->'json'->>'n' ORDER BY o), (array_agg(event_timestamp ORDER BY o DESC))[1], (array_agg(id ORDER BY o DESC))[1]
		INTO page, t, i
		FROM windtrap.search(query, '2026-11-01', '2026-11-02', size, t, i) WITH ORDINALITY AS s (event_timestamp, id, severity, app, host, message, source, data, status, o);
		EXIT WHEN page IS NULL;
		n := n || page; pages := pages + 1; largest := greatest(largest, cardinality(page));
	END LOOP;
END $$});
foreach my $size (97, 1000, 10_000)
{
	is( query(qq{SELECT cardinality(n), (SELECT count(DISTINCT x) FROM unnest(n) x) FROM pages('', $size)}),
		'11100|11100', "in pages of $size nothing is lost or doubled");
}
is(query(q{SELECT cardinality(n), (SELECT count(DISTINCT x) FROM unnest(n) x) FROM pages('n:>20000', 7)}), '1100|1100', 'of those that a query finds neither');
is( query(q{SELECT n = ARRAY(SELECT data->'json'->>'n' FROM log ORDER BY event_timestamp DESC, coalesce(data->>'id', '') COLLATE "C" DESC, data->'json'->'n' LIMIT 1100)
	FROM (SELECT array_agg(data->'json'->>'n' ORDER BY event_timestamp DESC, coalesce(id, '') COLLATE "C" DESC, data->'json'->'n') AS n
	FROM windtrap.search('', '2026-11-01', '2026-11-02', 1100)) x}), 't', 'the newest come first');
is(query(q{SELECT largest FROM pages('n:>=30000', 3)}), 10, 'those of one instant without an id come together');

is( query(q{WITH found AS (SELECT * FROM windtrap.search('', NULL, NULL, 10000)) SELECT count(*),
	(SELECT count(*) FROM (TABLE found EXCEPT TABLE windtrap.events) x) FROM found}), '10000|0', 'they are the rows of windtrap.events');

#
# Hostile queries
#
query('CREATE TABLE canary (n int)');
my @parts = (
	"'", "''", "\\'", "\\", "\\\\", '"', '\\"', "';DROP TABLE canary;--", "\\';DROP TABLE canary;--", "') OR true OR ('", '$$', '$x$', '/*', '*/', '--', ';',
	"E'", "U&'\\0027'", "\\x27", "\\047", "'||(SELECT version())||'", "%", "_", "'::int", '?', ':x', '{"', '"}', '"}}\' OR 1=1', "\x01", "\x1b", "\xc2\xa0", "\xe2\x80\xae",
	"\xef\xbc\x87", "\xca\xbc", "\n'", "\r\n--", '(((', ')))', '[', '{1,2}', '\\u0027', '\\u0000', '@', '@.', '$', '$.*', '#>', '1e308', '-1', 'NULL', 'true', 'NaN');
my @shapes = ('%s', '"%s"', 'a:%s', 'a:"%s"', 'a:%s*', 'app:"%s"', 'a:~%s', 'a:~"%s"', '"%s":x', 'a."%s":x*', 'a:>%s', 'a:>"%s"', '"%s":>5', '"%s":*', '-"%s"', 'a%s:b', '@%s:b',
	'message:"%s"', 'status:%s', 'severity:%s', 'ip:"%s"', 'id:"%s*"', '(%s OR "%s")', '%s" OR "%s');
my @hostile = map { my $part = $_; map { s/%s/$part/gr } @shapes } @parts;
cmp_ok(scalar @hostile, '>=', 200, scalar(@hostile) . ' hostile queries');
query('CREATE TABLE hostile (n serial, query text); CREATE TABLE told (conforming bool, n int, sql text, state text, found bigint)');
query('INSERT INTO hostile (query) VALUES ' . join ', ', map { '(E' . quoted(s/\\/\\\\/gr) . ')' } @hostile);
# The SQL is run as anybody would paste it, for both meanings of a backslash.
query(q{CREATE FUNCTION try(on_ bool) RETURNS void LANGUAGE plpgsql AS $$
DECLARE h hostile; s text; c bigint; BEGIN
	PERFORM set_config('standard_conforming_strings', on_::text, false), set_config('escape_string_warning', 'on', false);
	FOR h IN SELECT * FROM hostile LOOP
		BEGIN
			s := NULL; s := windtrap.search_sql(h.query);
			EXECUTE 'SELECT count(*) FROM (SELECT * FROM windtrap.events LIMIT 50) e WHERE ' || s || ' AND false' INTO c;
			IF c <> 0 THEN RAISE 'it gets out of its condition'; END IF;
			EXECUTE 'SELECT count(*) FROM (SELECT * FROM windtrap.events LIMIT 50) e WHERE ' || s INTO c;
			INSERT INTO told VALUES (on_, h.n, s, NULL, c);
		EXCEPTION WHEN OTHERS THEN
			INSERT INTO told VALUES (on_, h.n, s, sqlstate || ' ' || sqlerrm, NULL);
		END;
	END LOOP;
END $$});
{
	my ($rc, $out, $warnings) = $node->psql('postgres', 'SELECT try(true); SELECT try(false)');
	is($rc, 0, 'all of them are tried');
	unlike($warnings, qr/nonstandard use/, 'no constant means something else by another setting');
}
is(query('SELECT count(*), count(DISTINCT n) FROM told'), 2 * @hostile . '|' . @hostile, 'each twice');
is(query(q{SELECT h.query, t.sql, t.state FROM told t JOIN hostile h USING (n) WHERE sql IS NOT NULL AND state IS NOT NULL}), '', 'what becomes SQL is SQL');
is(query(q{SELECT h.query, t.state FROM told t JOIN hostile h USING (n) WHERE sql IS NULL AND state !~ '^(42601|22023) search, character \d+: '}), '', 'what does not is told where it is wrong');
cmp_ok(query('SELECT count(*) FROM told WHERE state IS NULL'), '>', 1000, 'most of them are queries');
is(query(q{SELECT count(*) FROM told a JOIN told b USING (n) WHERE a.conforming AND NOT b.conforming AND (a.sql, a.found, a.state) IS DISTINCT FROM (b.sql, b.found, b.state)}), 0, 'both settings find the same');
is(query('SELECT count(*) FROM canary'), 0, 'nothing else has been run');
# And they find what they say: each text, sent as an event, by itself as a phrase and as a value.
query(q{CREATE TABLE sent AS SELECT n, query AS part FROM hostile;
	INSERT INTO log SELECT '2026-11-03', jsonb_build_object('id', n, 'json', jsonb_build_object('text', part)), 0 FROM sent;
	CREATE FUNCTION as_phrase(part text) RETURNS text LANGUAGE sql AS $$SELECT '"' || replace(replace(part, chr(92), repeat(chr(92), 2)), '"', chr(92) || '"') || '"'$$});
foreach my $setting (qw(on off))
{
	is( query(qq{SET standard_conforming_strings = $setting; SELECT count(*), count(found.n) FROM sent LEFT JOIN LATERAL
		(SELECT min(s.n) AS n FROM windtrap.search('text:' || as_phrase(part), '2026-11-03', '2026-11-04') e JOIN sent s ON s.n::text = e.id WHERE s.part = sent.part) found ON true
		WHERE sent.n % 5 = 0}), join('|', (int(@hostile / 5)) x 2), "as a value it finds itself, standard_conforming_strings = $setting");
}
is( query(q{SELECT count(*) FROM sent WHERE n % 5 = 1 AND NOT EXISTS (SELECT FROM windtrap.search(as_phrase(part), '2026-11-03', '2026-11-04', 10000) e WHERE e.id = n::text)}),
	0, 'as a phrase too');

#
# Whose rights
#
query(q{CREATE ROLE nobody; CREATE ROLE reader; CREATE ROLE tenant; GRANT SELECT ON log TO reader, tenant;
	INSERT INTO log VALUES ('2026-11-05', '{"json":{"app":"shop","msg":"mine"}}', 0), ('2026-11-05', '{"json":{"app":"bank","msg":"theirs"}}', 0)});
my @calls = ("count(*) FROM windtrap.search('', '2026-11-05', '2026-11-06')", "sum(count) FROM windtrap.histogram('', '2026-11-05', '2026-11-06')",
	"sum(count) FROM windtrap.top_values('', 'message', '2026-11-05', '2026-11-06')");
foreach my $call (@calls, "count(*) FROM windtrap.fields('', '2026-11-05', '2026-11-06')")
{
	like(as_role('nobody', "SELECT $call"), qr/permission denied for table log\b/, "who may not read the table is told so: $call");
}
is(as_role('reader', "SELECT $_"), 2, "who may does: $_") foreach @calls;
is(as_role('nobody', q{SELECT windtrap.search_sql('a')}), q{windtrap.event_text(data) ILIKE '%a%'}, 'what a query becomes is no secret');
query(q{ALTER TABLE log ENABLE ROW LEVEL SECURITY; CREATE POLICY shop ON log TO tenant USING (data->'json'->>'app' = 'shop')});
is(as_role('tenant', "SELECT $_"), 1, "row security is that of the caller: $_") foreach @calls;
is(as_role('tenant', q{SELECT string_agg(example, ' ' ORDER BY name) FROM windtrap.fields('', '2026-11-05', '2026-11-06') WHERE name IN ('msg', '@json.app')}), 'shop mine', 'of the fields too');
is(as_role('tenant', q{SELECT count(*) FROM windtrap.search('theirs OR app:bank OR -x', '2026-11-05', '2026-11-06')}), 1, 'whatever is asked for');
is(as_role('reader', "SELECT $calls[0]"), 0, 'and of each');
query('ALTER TABLE log DISABLE ROW LEVEL SECURITY');
# Operators and functions of the caller's own, that would come first by his search_path, are not asked.
query(q{CREATE SCHEMA trap; CREATE FUNCTION trap.no(text, text) RETURNS bool LANGUAGE plpgsql AS 'BEGIN RAISE ''trapped''; END';
	CREATE OPERATOR trap.~~* (FUNCTION = trap.no, LEFTARG = text, RIGHTARG = text); CREATE OPERATOR trap.= (FUNCTION = trap.no, LEFTARG = text, RIGHTARG = text);
	GRANT USAGE ON SCHEMA trap TO PUBLIC});
is(as_role('reader', q{SET search_path = trap, pg_catalog; SELECT count(*) FROM windtrap.search('mine app:shop', '2026-11-05', '2026-11-06')}), 1, 'no search_path leads it astray');
like(($node->psql('postgres', q{SET statement_timeout = 100; SELECT count(*) FROM generate_series(1, 1000000) n, LATERAL windtrap.search('n:' || n, NULL, NULL)}))[2],
	qr/canceling statement due to statement timeout/, 'it can be cancelled');

#
# Slices: the newest events are found without reading the old ones
#
query(q{TRUNCATE log; INSERT INTO log SELECT now() - n * interval '1 second', jsonb_build_object('id', 'x' || n, 'json', jsonb_build_object('n', n)), 0 FROM generate_series(1, 700000, 7) n});
query(q{SELECT * FROM windtrap.upkeep()});
query(q{VACUUM ANALYZE log; SELECT pg_stat_reset()});
{
	# Blocks of each partition that a search touches, from the counters of its own transaction.
	my $reads = sub {
		my ($call) = @_;
		my @lines = split /\n/, query(qq{BEGIN; SELECT count(*) FROM $call;
			SELECT relname FROM pg_class c WHERE relispartition AND relkind = 'r' AND pg_stat_get_xact_tuples_returned(c.oid) + pg_stat_get_xact_tuples_fetched(c.oid) > 0 ORDER BY 1; COMMIT});
		return @lines;
	};
	my $days = query(q{SELECT count(*) FROM pg_class c WHERE relispartition AND relkind = 'r' AND reltuples > 0});
	cmp_ok($days, '>=', 8, "there are $days days");
	my ($n, @read) = $reads->(q{windtrap.search('', since => NULL)});
	is($n, 100, 'the last 100 events');
	cmp_ok(scalar @read, '<=', 2, "are found in @read");
	my $rows = query(q{BEGIN; SELECT FROM windtrap.search('', since => NULL); SELECT sum(pg_stat_get_xact_tuples_returned(oid) + pg_stat_get_xact_tuples_fetched(oid)) FROM pg_class c WHERE relispartition AND relkind = 'r'; COMMIT});
	$rows =~ s/^\s+//;
	cmp_ok($rows, '<', 30_000, "by $rows rows of 100,000");
	($n, @read) = $reads->(q{windtrap.search('n:<=699000', since => now() - interval '30 days', before_time => now() - interval '5 days')});
	is($n, 100, 'those before some time');
	cmp_ok(scalar @read, '<=', 2, "are found in @read");
	($n, @read) = $reads->(q{windtrap.search('n:>=699994', since => NULL)});
	is($n, 1, 'the oldest event of all');
	cmp_ok(scalar @read, '>=', 8, 'is looked for everywhere');
}
is(query(q{SELECT count(*), min(event_timestamp) > now() FROM windtrap.search('', now() + interval '1 day', NULL)}), '0|', 'what has not come is not there');
query(q{INSERT INTO log VALUES (now() + interval '1 hour', '{"id":"f"}', 0), ('infinity', '{"id":"g"}', 0), ('-infinity', '{"id":"h"}', 0)});
is(query(q{SELECT string_agg(id, ' ') FROM windtrap.search('', until => NULL, max_rows => 3)}), 'f x1 x8', 'what is of the future comes first, the end of time is never');
is(query(q{SELECT id FROM windtrap.search('id:h', NULL, NULL)}), 'h', 'the beginning of time is');

#
# Words by an index
#
SKIP:
{
	skip 'there is no pg_trgm', 2
	  if query(q{SELECT count(*) FROM pg_available_extensions WHERE name = 'pg_trgm'}) eq 0;
	query(q{CREATE EXTENSION pg_trgm; CREATE TABLE plain AS SELECT now() AS event_timestamp, jsonb_build_object('json', jsonb_build_object('msg', 'order ' || n)) AS data
		FROM generate_series(1, 20000) n; CREATE INDEX by_text ON plain USING gin (windtrap.event_text(data) gin_trgm_ops); ANALYZE plain});
	my $sql = query(q{SELECT windtrap.search_sql('"Order 1234" 12345')});
	like(query("EXPLAIN (COSTS OFF) SELECT FROM plain WHERE $sql"), qr/Bitmap Index Scan on by_text/, 'an index of trigrams finds words');
	is(query("SELECT count(*) FROM plain WHERE $sql"), 1, 'in any case');
}

$node->stop;
unlike(log_since($node), qr/terminated by signal|PANIC|TRAP/, 'nothing has crashed');
done_testing();

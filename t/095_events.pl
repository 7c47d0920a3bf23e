# windtrap.events shows the log table that windtrap.table names, as if it were the table: with its
# indexes and partitions, the caller's rights and row security; nothing depends on the table, and
# what follows the setting writes nothing while it is the same.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Test::More;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use WindTrap;
use Protocol;

my $node = wt_node('events', preload => 0);
my $port = wt_port($node);

sub query { return $node->safe_psql('postgres', $_[0]); }
sub rounds { return query(q{SELECT value FROM windtrap.metrics WHERE name = 'upkeep_last_success_timestamp_seconds'}); }
sub body { return query(q{SELECT prosrc FROM pg_proc WHERE oid = 'windtrap.log_rows'::regproc}); }
# Changes with whatever is written to the function's row.
sub version { return query(q{SELECT xmin || ' ' || ctid FROM pg_proc WHERE oid = 'windtrap.log_rows'::regproc}); }
sub reads { return 'SELECT event_timestamp, data, status FROM ' . $_[0]; }

# What a role is told.
sub as_role
{
	my ($role, $sql) = @_;
	my ($rc, $out, $error) = $node->psql('postgres', "SET ROLE $role; $sql");
	return $rc == 0 ? $out : $error;
}

# A round of upkeep that did all it had to do.
sub next_round
{
	my $before = rounds();
	reload($node);
	return wait_for(sub { rounds() ne $before });
}

query('CREATE EXTENSION windtrap');
query('SELECT windtrap.start()');

#
# Events of several programs
#
is(post_json($port, $_)->{status}, 200, 'an event')
  foreach { level => 'WARN', msg => 'slow', app => 'shop' },
  { levelname => 'ERROR', name => 'till', message => 'no funds', host => 'vm' },
  { event => 'paid', level => 'info', logger => 'shop' };
post($port, '{"bad', type => 'application/x-ndjson');
is( query(q{SELECT severity, app, host, message, source FROM windtrap.events ORDER BY id}),
	"warning|shop|127.0.0.1|slow|\nerror|till|vm|no funds|\ninfo|shop|127.0.0.1|paid|\n||127.0.0.1|{\"bad|",
	'are told alike');
is(query(q{SELECT bool_and(id = data->>'id' AND event_timestamp IS NOT NULL AND status IS NOT NULL) FROM windtrap.events}),
	't', 'with what the row has');

#
# What real clients send: all of them sent the same three events, an info, a warning and an error
#
replay($port, $_, with => { 'X-Capture' => $_ }) foreach captures('');
my $captured = q{FROM (SELECT *, data->'headers'->>'x-capture' AS name, coalesce(data->>'protocol', 'log') AS protocol,
	CASE WHEN message ~ 'user alice' THEN 'info' WHEN message ~ 'Grüße' THEN 'warning' WHEN message ~ 'cannot charge' THEN 'error' END AS sent
	FROM windtrap.events) e WHERE name IS NOT NULL};
# These send none: Docker, what has been made a line of text, handlers that leave it out, and bare
# clients of Elasticsearch, whose documents had none.
my $without = q{name ~ '^(docker-splunk|sng338-d_http_default|sng48-d_splunk|py-splunk_handler|(E-)?go-es|java-es|logback-es|(E-)?node-(es|opensearch))'};
# Not one of the three.
my $others = q{name ~ '^(self-|node-misc-001)'};
cmp_ok(query("SELECT count(DISTINCT name) $captured AND NOT ($without) AND NOT ($others) AND sent IS NOT NULL"), '>=', 70,
	'many clients have said how bad an event is');
is(query("SELECT name, severity, sent, message $captured AND NOT ($without) AND NOT ($others) AND severity IS DISTINCT FROM sent"),
	'', 'and all of them are understood');
is(query("SELECT name, severity, sent $captured AND severity <> sent AND NOT ($others)"), '', 'nothing is made up');
is(query("SELECT DISTINCT severity $captured AND name ~ '^docker' AND severity IS NOT NULL"), 'warning', 'of Docker only what its program says');
is(query("SELECT string_agg(DISTINCT protocol, ' ' ORDER BY protocol) $captured AND sent IS NOT NULL"),
	'cloudevents datadog elastic gelf hec journald log loki otlp', 'by whatever protocol they come');
is(query("SELECT count(*) $captured AND (host IS NULL OR message IS NULL)"), 0, 'each has a host and a message');
query('DELETE FROM log');

#
# Indexes and partitions
#
query(q{INSERT INTO log SELECT now() - n * interval '1 minute',
	jsonb_build_object('json', jsonb_build_object('level', CASE n % 500 WHEN 0 THEN 'fatal' ELSE 'debug' END, 'msg', 'event ' || n)), 0
	FROM generate_series(1, 20000) n});
ok(wait_for(sub { next_round() && query('SELECT count(*) FROM log_default') eq 0 }), 'events of two weeks have their partitions');
query('CREATE INDEX by_severity ON log (windtrap.severity(data), event_timestamp); ANALYZE log');
{
	my $plan = query(q{EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) SELECT message FROM windtrap.events
		WHERE severity = 'fatal' AND event_timestamp > now() - interval '1 day' AND event_timestamp <= now()});
	like($plan, qr/Index Scan.*on log_\d{8}|Bitmap Index Scan on log_\d{8}\w*severity/, 'an index of the table is used');
	like($plan, qr/Subplans Removed: \d+|Append/, 'partition by partition');
	unlike($plan, qr/Function Scan|Subquery Scan/, 'as if the table were asked');
	my @scans = $plan =~ /on (log_\d{8})\b/g;
	cmp_ok(scalar @scans, '<=', 3, 'only partitions of that time are looked at');
	$plan = query(q{EXPLAIN (COSTS OFF) SELECT message FROM windtrap.events
		WHERE event_timestamp >= date_trunc('day', now(), 'UTC')::timestamptz AND event_timestamp < '2000-01-01'});
	unlike($plan, qr/ on log_\d{8}/, 'and none where there is none');
}
SKIP:
{
	skip 'there is no pg_trgm', 2
	  if query(q{SELECT count(*) FROM pg_available_extensions WHERE name = 'pg_trgm'}) eq 0;
	query('CREATE EXTENSION pg_trgm; CREATE INDEX by_message ON log USING gin (windtrap.message(data) gin_trgm_ops); ANALYZE log');
	like(query(q{EXPLAIN (COSTS OFF) SELECT * FROM windtrap.events WHERE message LIKE '%ent 1234%'}),
		qr/Bitmap Index Scan on log_\d{8}_message_idx/, 'an index of trigrams finds messages');
	is(query(q{SELECT count(*) FROM windtrap.events WHERE message LIKE '%ent 1234%'}), 11, 'all of them');
}
is(post_json($port, { level => 'WARN', msg => 'slow', app => 'shop' })->{status}, 200, 'events go on to be stored');
is(post_json($port, { level => 'x' x 10_000, app => join('', map { chr(33 + $_ * 7 % 90) } 1 .. 20_000), msg => 'long' })->{status}, 200, 'long ones too');
query('CREATE INDEX by_app ON log (windtrap.app(data), windtrap.sender_host(data))');
is(post_json($port, { app => join('', map { chr(33 + $_ * 7 % 90 + $_ / 1000) } 1 .. 20_000) })->{status}, 200, 'which no index refuses');

#
# Whose rights
#
query(q{CREATE ROLE nobody; CREATE ROLE reader; CREATE ROLE tenant; GRANT SELECT ON log TO reader, tenant});
like(as_role('nobody', 'SELECT count(*) FROM windtrap.events'), qr/permission denied for table log\b/, 'who may not read the table is told so');
like(as_role('nobody', 'SELECT count(*) FROM windtrap.log_rows()'), qr/permission denied for table log\b/, 'by the function, too');
like(as_role('reader', 'SELECT count(*) > 20000 FROM windtrap.events'), qr/^t$/, 'who may does');
like(as_role('reader', q{UPDATE windtrap.events SET status = 1}), qr/permission denied|cannot update view/, 'and changes nothing');
query(q{ALTER TABLE log ENABLE ROW LEVEL SECURITY;
	CREATE POLICY all_of_it ON log TO reader USING (true);
	CREATE POLICY shop ON log TO tenant USING (data->'json'->>'app' = 'shop')});
is(as_role('tenant', 'SELECT message FROM windtrap.events'), 'slow', 'row security is that of the caller');
like(as_role('reader', 'SELECT count(*) > 20000 FROM windtrap.events'), qr/^t$/, 'of each');
# Whose view it is does not matter either.
is(as_role('tenant', q{SELECT count(*) FROM windtrap.events WHERE severity = 'fatal'}), 0, 'whatever is asked for');
query('ALTER TABLE log DISABLE ROW LEVEL SECURITY');

#
# The setting
#
{
	my $before = version();
	is(body(), reads('public.log'), 'the function reads the table');
	ok(next_round(), 'a round');
	ok(next_round(), 'another');
	is(version(), $before, 'write nothing while it is the same');
}
my $session = $node->background_psql('postgres');
$session->query_safe('PREPARE events AS SELECT count(*) FROM windtrap.events');
cmp_ok($session->query_safe('EXECUTE events'), '>', 20_000, 'a statement that is prepared');
my $odd = q{"Odd 'schema"."the ""log"""};
alter_system($node, 'windtrap."table"' => $odd =~ s/'/''/gr);
query(q{CREATE SCHEMA "Odd 'schema"});
reload($node);
ok(wait_for(sub { body() eq reads($odd) }), 'it follows to a table that is not there yet');
like(($node->psql('postgres', 'SELECT count(*) FROM windtrap.events'))[2], qr/relation "Odd 'schema\.the "log"" does not exist/, 'as is said then');
ok(wait_for(sub { event($port) == 200 }), 'an event makes it');
cmp_ok(query('SELECT count(*) FROM windtrap.events'), '>', 0, 'events are shown');
is(query('SELECT count(*) FROM windtrap.events'), query("SELECT count(*) FROM $odd"), 'and is shown');
is($session->query_safe('EXECUTE events'), query("SELECT count(*) FROM $odd"), 'by statements that had been prepared, too');
$session->quit;
is(query(q{SELECT count(*) FROM pg_depend WHERE classid = 'pg_proc'::regclass AND objid = 'windtrap.log_rows'::regproc AND deptype <> 'e'
	AND refclassid = 'pg_class'::regclass}), 0, 'nothing depends on the table');
is(query(q{SELECT count(*) FROM pg_depend WHERE objid = 'windtrap.log_rows'::regproc AND deptype = 'e'}), 1, 'the function is still the extension\'s');
is(query(q{SELECT obj_description('windtrap.log_rows'::regproc, 'pg_proc') ~ 'windtrap.table' AND proconfig IS NULL AND NOT prosecdef
	AND has_function_privilege('nobody', oid, 'EXECUTE') FROM pg_proc WHERE oid = 'windtrap.log_rows'::regproc}), 't', 'and as it was otherwise');
is(query('DROP TABLE log'), '', 'the table of before can be dropped');
alter_system($node, 'windtrap."table"' => 'log');
reload($node);
ok(wait_for(sub { body() eq reads('public.log') }), 'and back');
ok(wait_for(sub { event($port) == 200 }), 'it is made again');
is(query('SELECT count(*) FROM windtrap.events'), 1, 'and shown');

#
# What it cannot write stops nothing else
#
my $tomorrow = query(q{SELECT 'log_' || to_char(now() AT TIME ZONE 'UTC' + interval '1 day', 'YYYYMMDD')});
sub is_there { return query("SELECT count(*) FROM pg_class WHERE relname = '$_[0]'"); }
ok(wait_for(sub { next_round() && is_there($tomorrow) }), 'there is a partition for tomorrow');
query(<<"SQL");
CREATE FUNCTION no() RETURNS event_trigger LANGUAGE plpgsql AS \$\$BEGIN
	IF tg_tag = 'CREATE FUNCTION' THEN RAISE EXCEPTION 'no functions today'; END IF; END\$\$;
BEGIN;
CREATE OR REPLACE FUNCTION windtrap.log_rows() RETURNS TABLE (event_timestamp timestamptz, data jsonb, status integer)
	LANGUAGE sql STABLE PARALLEL SAFE AS 'SELECT now(), NULL::jsonb, 0';
CREATE EVENT TRIGGER no ON ddl_command_start EXECUTE FUNCTION no();
DROP TABLE $tomorrow;
COMMIT;
SQL
reload($node);
ok( wait_for(sub { query(q{SELECT action || ' ' || partition || ' ' || error FROM windtrap.upkeep_failures}) eq 'look windtrap.log_rows() no functions today' }),
	'it is told that the function could not be written');
is(body(), 'SELECT now(), NULL::jsonb, 0', 'which is as it was');
ok(wait_for(sub { is_there($tomorrow) }), 'the partitions are kept up all the same');
query('DROP EVENT TRIGGER no');
ok(wait_for(sub { body() eq reads('public.log') }, 30), 'it is tried again');
ok(wait_for(sub { query(q{SELECT count(*) FROM windtrap.upkeep_failures}) eq 0 }), 'and told no more');

#
# A dump, and the end
#
{
	my $file = PostgreSQL::Test::Utils::tempdir() . '/events.sql';
	query('CREATE INDEX log_severity ON log (windtrap.severity(data), event_timestamp)');
	query(q{UPDATE log SET data = '{"json":{"level":"I"}}'});
	query('CREATE VIEW mine AS SELECT severity, count(*) FROM windtrap.events GROUP BY 1');
	$node->command_ok([ 'pg_dump', '-f', $file, '-d', $node->connstr('postgres') ], 'pg_dump');
	unlike(slurp_file($file), qr/FUNCTION windtrap\.log_rows|VIEW windtrap\.events/, 'of the extension it has the name');
	query('SELECT windtrap.stop()');
	query('CREATE DATABASE copy TEMPLATE template0');
	$node->command_ok([ 'psql', '-qX', '-v', 'ON_ERROR_STOP=1', '-o', '/dev/null', '-f', $file, '-d', $node->connstr('copy') ], 'restored');
	is($node->safe_psql('copy', q{SELECT count(*) FROM pg_indexes WHERE indexdef ~ 'windtrap.severity' AND tablename = 'log'}), 1, 'with the index');
	$node->safe_psql('copy', 'SELECT windtrap.start()');
	ok( wait_for(sub { ($node->psql('copy', 'SELECT severity FROM mine'))[1] eq 'info' }, 30),
		'the view shows the table as soon as the collector runs');
	$node->safe_psql('copy', 'SELECT windtrap.stop()');
	like(($node->psql('postgres', 'DROP EXTENSION windtrap'))[2], qr/index log_severity depends on function windtrap\.severity/, 'what one has made of it is in the way of its end');
	query('DROP VIEW mine; DROP INDEX log_severity');
	is(query('DROP EXTENSION windtrap'), '', 'nothing else is');
	is(query('SELECT count(*) FROM log'), 1, 'the events stay');
}
$node->stop;
unlike(log_since($node), qr/terminated by signal|PANIC|TRAP/, 'nothing has crashed');
done_testing();

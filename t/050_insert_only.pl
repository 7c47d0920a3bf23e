# Whatever the log table's owner puts into his table, the worker's statement gives him no
# right that he has not, leaves the worker's session as it was, and the next event is
# stored.
#
# An attack is an entry of the list below, so that adding one is adding an entry:
#
#	name
#	sql		what the attacker, an ordinary role, does beforehand
#	super	what a superuser has done beforehand, unsuspecting
#	send	the events, one by one; default: one
#	status	a pattern of the answers; default 200
#	acts	how many attempts there must have been at least; default 1
#	role	a pattern of whose rights these have; default hostile
#	check	queries, and what they must give

use strict;
use warnings;

use FindBin;
use IPC::Run ();
use lib $FindBin::RealBin;

use JSON::PP ();
use Test::More;
use Time::HiRes qw(sleep time);

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use WindTrap;
use Attack;

my $node = wt_node('insert_only', conf => <<'CONF');
windtrap.request_timeout = 3s
temp_file_limit = 10MB
log_min_messages = warning
CONF
my $port = wt_port($node);

sub query { return $node->safe_psql('postgres', $_[0]); }

attack_begin($node);

my $log = 'CREATE TABLE public.log (event_timestamp timestamptz, data jsonb, status int);';

my @attacks = (
	#
	# Triggers
	#
	(   map {
			{   name => "$_ trigger",
				sql  => "$log CREATE TRIGGER act $_ EXECUTE FUNCTION act()" }
		} 'BEFORE INSERT ON log FOR EACH ROW',
		'AFTER INSERT ON log FOR EACH ROW',
		'BEFORE INSERT ON log FOR EACH STATEMENT',
		'AFTER INSERT ON log FOR EACH STATEMENT',
		'AFTER INSERT ON log REFERENCING NEW TABLE AS windtrap_batch FOR EACH STATEMENT'),
	(   map {
			{   name => "constraint trigger, $_",
				sql  => "$log CREATE CONSTRAINT TRIGGER act AFTER INSERT ON log $_ FOR EACH ROW EXECUTE FUNCTION act()" }
		} 'NOT DEFERRABLE',
		'DEFERRABLE INITIALLY IMMEDIATE',
		'DEFERRABLE INITIALLY DEFERRED'),
	{   name => 'a trigger that is deferred while the statement runs',
		sql  => qq{$log CREATE FUNCTION defer() RETURNS trigger LANGUAGE plpgsql AS \$\$
				BEGIN SET CONSTRAINTS ALL DEFERRED; RETURN new; END \$\$;
			CREATE TRIGGER a BEFORE INSERT ON log FOR EACH ROW EXECUTE FUNCTION defer();
			CREATE CONSTRAINT TRIGGER act AFTER INSERT ON log DEFERRABLE INITIALLY DEFERRED
				FOR EACH ROW EXECUTE FUNCTION act()},
		status => 503, acts => 0 },
	{   name => 'a trigger of another table that is deferred by a deferred one',
		sql  => qq{$log CREATE TABLE other (i int);
			CREATE CONSTRAINT TRIGGER act AFTER INSERT ON other DEFERRABLE INITIALLY DEFERRED
				FOR EACH ROW EXECUTE FUNCTION act();
			CREATE FUNCTION pass_on() RETURNS trigger LANGUAGE plpgsql AS \$\$
				BEGIN SET CONSTRAINTS ALL DEFERRED; INSERT INTO public.other VALUES (1); RETURN NULL; END \$\$;
			CREATE CONSTRAINT TRIGGER a AFTER INSERT ON log DEFERRABLE INITIALLY DEFERRED
				FOR EACH ROW EXECUTE FUNCTION pass_on()},
		status => 503, acts => 0 },
	{   name => 'a trigger that raises after its attempts',
		sql  => qq{$log CREATE FUNCTION raise() RETURNS trigger LANGUAGE plpgsql AS \$\$
				BEGIN PERFORM public.try_everything('raise'); RAISE EXCEPTION 'no'; END \$\$;
			CREATE TRIGGER act AFTER INSERT ON log FOR EACH ROW EXECUTE FUNCTION raise()},
		status => 422, acts => 0 },
	{   name => 'a trigger with SECURITY DEFINER',
		sql  => qq{$log ALTER FUNCTION act() SECURITY DEFINER;
			CREATE TRIGGER act AFTER INSERT ON log FOR EACH ROW EXECUTE FUNCTION act()} },
	{   name => 'a trigger that sets the role by its definition',
		sql  => qq{$log CREATE FUNCTION sets_role() RETURNS trigger LANGUAGE plpgsql SET role = hostile AS \$\$
				BEGIN RETURN new; END \$\$;
			CREATE TRIGGER act BEFORE INSERT ON log FOR EACH ROW EXECUTE FUNCTION sets_role()},
		status => 503, acts => 0 },
	{   name => 'a trigger that goes parallel',
		sql  => qq{$log CREATE TABLE many AS SELECT i FROM generate_series(1, 1000) i;
			CREATE FUNCTION read_loot(i int) RETURNS text LANGUAGE plpgsql PARALLEL SAFE AS \$\$
				BEGIN PERFORM FROM public.loot; RETURN 'done ' || current_user;
				EXCEPTION WHEN insufficient_privilege THEN RETURN current_user; END \$\$;
			CREATE FUNCTION fork() RETURNS trigger LANGUAGE plpgsql AS \$\$
				BEGIN
					PERFORM set_config(CASE WHEN current_setting('server_version_num')::int >= 160000
						THEN 'debug_parallel_query' ELSE 'force_parallel_mode' END, 'on', true);
					SET LOCAL parallel_setup_cost = 0; SET LOCAL parallel_tuple_cost = 0;
					SET LOCAL min_parallel_table_scan_size = 0;
					INSERT INTO public.acts SELECT 'parallel', x, x FROM (SELECT DISTINCT public.read_loot(i) AS x FROM public.many) AS s;
					RETURN new;
				END \$\$;
			CREATE TRIGGER act BEFORE INSERT ON log FOR EACH ROW EXECUTE FUNCTION fork()} },
	{   name => 'a trigger that commits',
		sql  => qq{$log CREATE FUNCTION finish() RETURNS trigger LANGUAGE plpgsql AS \$\$ BEGIN COMMIT; RETURN new; END \$\$;
			CREATE TRIGGER act BEFORE INSERT ON log FOR EACH ROW EXECUTE FUNCTION finish()},
		status => 422, acts => 0 },
	{   name => 'a trigger that calls a procedure which commits',
		sql  => qq{$log CREATE PROCEDURE finish() LANGUAGE plpgsql AS \$\$ BEGIN ROLLBACK; END \$\$;
			CREATE FUNCTION call_it() RETURNS trigger LANGUAGE plpgsql AS \$\$ BEGIN CALL public.finish(); RETURN new; END \$\$;
			CREATE TRIGGER act BEFORE INSERT ON log FOR EACH ROW EXECUTE FUNCTION call_it()},
		status => 422, acts => 0 },

	#
	# Other places for code
	#
	{   name => 'a default',
		sql  => q{CREATE TABLE log (event_timestamp timestamptz, data jsonb, status int, more int DEFAULT try_everything('default'))} },
	{   name => 'a default that the planner computes',
		sql  => q{CREATE TABLE log (event_timestamp timestamptz, data jsonb, status int, more int DEFAULT harmless('default'))} },
	{   name => 'a generated column',
		sql  => q{CREATE TABLE log (event_timestamp timestamptz, data jsonb, status int, more int GENERATED ALWAYS AS (status + harmless('generated')) STORED)} },
	{   name => 'a CHECK constraint',
		sql  => q{CREATE TABLE log (event_timestamp timestamptz, data jsonb, status int, CHECK (try_everything('check ' || status) = 1))} },
	{   name => 'an index expression',
		sql  => qq{$log CREATE INDEX ON log ((status + harmless('index')))} },
	{   name => 'an index predicate',
		sql  => qq{$log CREATE INDEX ON log (status) WHERE status + harmless('predicate') > 0} },
	{   name => 'statistics over an expression',
		sql  => qq{$log CREATE STATISTICS s ON (status + harmless('statistics')), status FROM log; INSERT INTO log VALUES (now(), '{}', 0); ANALYZE log;},
		acts => 0 },
	{   name => 'a partition key',
		sql  => q{CREATE TABLE log (event_timestamp timestamptz, data jsonb, status int) PARTITION BY RANGE ((status + harmless('key')));
			CREATE TABLE log_1 PARTITION OF log DEFAULT} },
	{   name => 'a partition key that only seems to be a time',
		sql  => q{CREATE TABLE log (event_timestamp timestamptz, data jsonb, status int)
				PARTITION BY RANGE ((CASE harmless('key') WHEN 1 THEN event_timestamp ELSE event_timestamp END));
			CREATE TABLE log_1 PARTITION OF log DEFAULT} },
	{   name => 'a partition that checks',
		sql  => q{CREATE TABLE log (event_timestamp timestamptz, data jsonb, status int) PARTITION BY LIST (status);
			CREATE TABLE log_1 PARTITION OF log (CHECK (try_everything('partition ' || status) = 1)) DEFAULT} },
	{   name => 'an exclusion constraint',
		sql  => qq{CREATE EXTENSION IF NOT EXISTS btree_gist; $log ALTER TABLE log ADD EXCLUDE USING gist ((status + harmless('exclusion')) WITH =)} },
	{   name => 'a column of a domain that checks',
		sql  => q{CREATE DOMAIN checked AS int CHECK (try_everything('domain') = VALUE);
			CREATE TABLE log (event_timestamp timestamptz, data jsonb, status int, more checked DEFAULT 1)} },
	{   name => 'a column of a row type with a domain in it',
		sql  => q{CREATE DOMAIN checked AS int CHECK (try_everything('row type') = VALUE);
			CREATE TYPE pair AS (a checked, b int);
			CREATE TABLE log (event_timestamp timestamptz, data jsonb, status int, more pair DEFAULT row(1, 1)::pair)} },
	(   map {
			my ($column, $type) = @$_;
			my %columns = (event_timestamp => 'timestamptz', data => 'jsonb', status => 'int', $column => 'trap');
			{   name => "$column of a domain over $type",
				sql  => "CREATE DOMAIN trap AS $type CHECK (try_everything('domain') = 1);
					CREATE TABLE log (" . join(', ', map { "$_ $columns{$_}" } sort keys %columns) . ')',
				status => 503, acts => 0,
				check => [ [ 'SELECT count(*) FROM acts', 0 ] ] }
		} [ event_timestamp => 'timestamptz' ], [ data => 'jsonb' ], [ status => 'int' ]),
	{   name => 'data of a type with an assignment cast from jsonb',
		sql  => q{CREATE TYPE trap AS (a int);
			CREATE FUNCTION to_trap(j jsonb) RETURNS trap LANGUAGE sql AS $$ SELECT row(try_everything('cast'))::trap $$;
			CREATE CAST (jsonb AS trap) WITH FUNCTION to_trap AS IMPLICIT;
			CREATE TABLE log (event_timestamp timestamptz, data trap, status int)},
		super => 'CREATE TABLE IF NOT EXISTS may_cast ()',
		status => 503, acts => 0 },
	{   name => 'row-level security',
		sql  => qq{$log ALTER TABLE log ENABLE ROW LEVEL SECURITY; ALTER TABLE log FORCE ROW LEVEL SECURITY;
			CREATE POLICY p ON log WITH CHECK (try_everything('policy') = 1)} },
	{   name => 'a rule that does something else',
		sql  => qq{$log CREATE TABLE also (i int); CREATE RULE r AS ON INSERT TO log DO ALSO INSERT INTO also VALUES (try_everything('rule also'))} },
	{   name => 'a rule that does something instead',
		sql  => qq{$log CREATE TABLE also (i int); CREATE RULE r AS ON INSERT TO log DO INSTEAD INSERT INTO also SELECT try_everything('rule instead') WHERE new.status = 0} },
	{   name => 'a rule that notifies',
		sql  => qq{$log CREATE RULE r AS ON INSERT TO log DO ALSO NOTIFY windtrap}, acts => 0 },

	#
	# Views and strange tables
	#
	(   map {
			{   name => "a view $_ over a table with a trigger",
				sql  => "CREATE TABLE base (event_timestamp timestamptz, data jsonb, status int);
					CREATE TRIGGER act BEFORE INSERT ON base FOR EACH ROW EXECUTE FUNCTION act();
					CREATE VIEW log $_ AS SELECT * FROM base" }
		} '', 'WITH (security_invoker)', 'WITH (security_barrier)'),
	{   name => 'a view with INSTEAD OF',
		sql  => q{CREATE VIEW log AS SELECT now() AS event_timestamp, '{}'::jsonb AS data, try_everything('view') AS status;
			CREATE TRIGGER act INSTEAD OF INSERT ON log FOR EACH ROW EXECUTE FUNCTION act()} },
	{   name => 'a view over a table that its owner may not write',
		sql  => q{CREATE VIEW log AS SELECT NULL::timestamptz AS event_timestamp, NULL::jsonb AS data, 0 AS status, what FROM public.loot;
			CREATE RULE r AS ON INSERT TO log DO INSTEAD INSERT INTO loot VALUES ('mine')},
		status => 503, acts => 0 },
	{   name => 'a view over a table that its owner may not write, security_invoker',
		sql  => q{CREATE VIEW log WITH (security_invoker) AS SELECT NULL::timestamptz AS event_timestamp, NULL::jsonb AS data, 0 AS status, what FROM public.loot;
			CREATE RULE r AS ON INSERT TO log DO INSTEAD INSERT INTO loot VALUES ('mine')},
		status => 503, acts => 0 },
	{   name => 'a partition of somebody else, who has a trigger on it',
		super => q{CREATE TABLE log (event_timestamp timestamptz, data jsonb, status int) PARTITION BY LIST (status);
			CREATE TABLE log_1 PARTITION OF log DEFAULT; ALTER TABLE log OWNER TO victim; ALTER TABLE log_1 OWNER TO hostile;
			GRANT USAGE ON SCHEMA public TO hostile, victim},
		sql => q{CREATE TRIGGER act BEFORE INSERT ON log_1 FOR EACH ROW EXECUTE FUNCTION act(); ALTER FUNCTION try SECURITY DEFINER},
		role => 'hostile|victim' },
	{   name => 'a child by inheritance, which nothing goes to',
		sql  => qq{$log CREATE TABLE child (CHECK (try_everything('child') = 1)) INHERITS (log)},
		acts => 0, check => [ [ 'SELECT count(*) FROM acts', 0 ], [ 'SELECT count(*) FROM ONLY log', 1 ] ] },
	{   name => 'a foreign partition that reads itself back',
		super => q{CREATE EXTENSION IF NOT EXISTS postgres_fdw; GRANT USAGE ON FOREIGN DATA WRAPPER postgres_fdw TO hostile},
		sql => q{CREATE SERVER here FOREIGN DATA WRAPPER postgres_fdw OPTIONS (dbname 'postgres');
			CREATE USER MAPPING FOR PUBLIC SERVER here OPTIONS (user 'SUPERUSER');
			CREATE TABLE log (event_timestamp timestamptz, data jsonb, status int) PARTITION BY LIST (status);
			CREATE FOREIGN TABLE log_1 PARTITION OF log DEFAULT SERVER here OPTIONS (table_name 'loot')},
		status => '422|503', acts => 0 },
	{   name => 'a table named as the batch is',
		sql  => qq{$log CREATE TABLE windtrap_batch (event_timestamp timestamptz, data jsonb, status int);
			INSERT INTO windtrap_batch VALUES (now(), '{"planted":1}', 7)},
		acts => 0, check => [ [ 'SELECT count(*), max(status) FROM log', '1|0' ] ] },

	#
	# What would outlive the transaction
	#
	(   map {
			my ($name, $command, %more) = @$_;
			$command =~ s/'/''/g;
			{   name => "a trigger that leaves behind $name",
				sql  => qq{$log CREATE FUNCTION leave() RETURNS trigger LANGUAGE plpgsql AS \$f\$
						BEGIN EXECUTE '$command'; RETURN new; END \$f\$;
					CREATE TRIGGER leave BEFORE INSERT ON log FOR EACH ROW EXECUTE FUNCTION leave()},
				acts => 0, %more }
		} [ 'a search_path', 'SET search_path = nowhere' ],
		[ 'other settings', q{SET TimeZone = 'Asia/Tokyo'; SET DateStyle = 'German'; SET statement_timeout = 1; SET lock_timeout = 1;
			SET synchronous_commit = off; SET default_transaction_read_only = on; SET default_transaction_isolation = serializable;
			SET row_security = off; SET standard_conforming_strings = off; SET exit_on_error = on; SET client_encoding = latin1} ],
		[ 'a setting of its own', q{SELECT set_config('mine.own', 'value', false)} ],
		[ 'settings that are reset', 'RESET ALL' ],
		[ 'a read-only transaction', 'SET TRANSACTION READ ONLY', status => '503|200' ],
		[ 'an advisory lock', 'SELECT pg_advisory_lock(4711)' ],
		[ 'an advisory lock that the collector uses', q{SELECT pg_advisory_lock(x'77696e6474726170'::bigint)} ],
		[ 'many advisory locks', 'SELECT pg_advisory_lock(i) FROM generate_series(1, 500) i' ],
		[ 'a function in pg_temp', 'CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS $$ SELECT 1 $$', status => 503 ],
		[ 'a type in pg_temp that stands in for one of the system', 'CREATE DOMAIN pg_temp.jsonb AS text', status => 503 ],
		[ 'a temporary view', 'CREATE TEMP VIEW windtrap_batch AS SELECT 1', status => 503 ],
		[ 'a temporary sequence', 'CREATE TEMP SEQUENCE s', status => 503 ],
		[ 'a cursor', q{SELECT 1} ],
		[ 'a notification', 'NOTIFY windtrap' ],
		[ 'a seed', 'SELECT setseed(0)' ],
		[ 'a large object', 'SELECT lo_creat(-1)' ],
		[ 'an exported snapshot', 'SELECT pg_export_snapshot()', status => '503|200' ]),
	{   name => 'a cursor that stays open',
		sql  => qq{$log CREATE FUNCTION open_it() RETURNS trigger LANGUAGE plpgsql AS \$\$
				DECLARE c refcursor := 'trap'; BEGIN OPEN c FOR SELECT public.try_everything('cursor'); RETURN new; END \$\$;
			CREATE TRIGGER a BEFORE INSERT ON log FOR EACH ROW EXECUTE FUNCTION open_it()},
		acts => 0, check => [ [ 'SELECT count(*) FROM acts', 0 ] ] },
	{   name => 'a trigger that ends the worker',
		sql  => qq{$log CREATE FUNCTION finish() RETURNS trigger LANGUAGE plpgsql AS \$\$
				BEGIN PERFORM public.try('end', 'SELECT pg_terminate_backend(pg_backend_pid())'); RETURN new; END \$\$;
			CREATE TRIGGER a BEFORE INSERT ON log FOR EACH ROW EXECUTE FUNCTION finish()} },

	#
	# Using up what there is
	#
	{   name => 'a trigger that runs for ever',
		sql  => qq{$log CREATE FUNCTION hang() RETURNS trigger LANGUAGE plpgsql AS \$\$ BEGIN LOOP END LOOP; END \$\$;
			CREATE TRIGGER a BEFORE INSERT ON log FOR EACH ROW EXECUTE FUNCTION hang()},
		status => 503, acts => 0 },
	{   name => 'a trigger that runs for ever and lets nobody cancel it',
		sql  => qq{$log CREATE FUNCTION hang() RETURNS trigger LANGUAGE plpgsql AS \$\$
			BEGIN LOOP BEGIN SET statement_timeout = 0; PERFORM pg_sleep(60); EXCEPTION WHEN query_canceled THEN NULL; END; END LOOP; END \$\$;
			CREATE TRIGGER a BEFORE INSERT ON log FOR EACH ROW EXECUTE FUNCTION hang()},
		status => '503|599', acts => 0, new_session => 1 },
	{   name => 'a trigger without end',
		sql  => qq{$log CREATE FUNCTION again() RETURNS trigger LANGUAGE plpgsql AS \$\$ BEGIN INSERT INTO public.log VALUES (now(), '{}', 1); RETURN new; END \$\$;
			CREATE TRIGGER a BEFORE INSERT ON log FOR EACH ROW EXECUTE FUNCTION again()},
		status => '422|503', acts => 0 },
	{   name => 'a trigger that fills the disk with temporary files',
		sql  => qq{$log CREATE FUNCTION fill() RETURNS trigger LANGUAGE plpgsql AS \$\$
				BEGIN SET work_mem = '64kB'; PERFORM count(*) FROM (SELECT i, repeat('x', 100) FROM generate_series(1, 300000) i ORDER BY 2, 1 OFFSET 0) s; RETURN new; END \$\$;
			CREATE TRIGGER a BEFORE INSERT ON log FOR EACH ROW EXECUTE FUNCTION fill()},
		status => 503, acts => 0, check => [ [ 'SELECT count(*) FROM pg_ls_tmpdir()', 0 ] ] },
	{   name => 'a trigger that wants more memory than there may be',
		sql  => qq{$log CREATE FUNCTION eat() RETURNS trigger LANGUAGE plpgsql AS \$\$
				BEGIN PERFORM length(repeat(repeat('x', 1024 * 1024), 1100)); RETURN new; END \$\$;
			CREATE TRIGGER a BEFORE INSERT ON log FOR EACH ROW EXECUTE FUNCTION eat()},
		status => '422|503', acts => 0 },

	#
	# Names and values
	#
	{   name => 'events full of SQL',
		super => q{CREATE TABLE log (event_timestamp timestamptz, data jsonb, status int); ALTER TABLE log OWNER TO hostile},
		acts => 0,
		send => [
			map { my $s = $_; $s =~ s/(["\\])/\\$1/g; qq({"sql":"$s","$s":1}) }
			  q{'); DROP TABLE log; --}, q{"; DROP TABLE log; --}, q{$1}, q{$$; DROP TABLE log; $$}, q{%s%n%I}, q{E'\\''},
			q{' || (SELECT public.try_everything('event')) || '}, q{:name :'name' :"name"}, q{\\'; DROP TABLE log; --} ],
		check => [
			[ 'SELECT count(*) FROM log', 9 ],
			[ q{SELECT count(*) FROM log WHERE data->'json' ? (data->'json'->>'sql')}, 9 ],
			[ q{SELECT count(*) FROM acts}, 0 ] ] },
	{   name => 'columns with names full of SQL',
		sql  => q{CREATE TABLE log (event_timestamp timestamptz, data jsonb, status int,
			"x) VALUES (public.try_everything('column')); --" int DEFAULT 0, "a"" b" int DEFAULT 1)},
		acts => 0, check => [ [ 'SELECT count(*) FROM acts', 0 ], [ 'SELECT count(*) FROM log', 1 ] ] },);

# The witness looks into a session in which nothing has happened yet.
my $untouched = session_state($port);
like($untouched, qr/"current_user": "witness"/, 'the witness sees the session of the worker');

sub changes
{
	my ($then, $now) = @_;
	my %then = map { $_ => 1 } split /\n/, $then;
	my %now = map { $_ => 1 } split /\n/, $now;
	return join "\n", (map { "- $_" } grep { !$now{$_} } sort keys %then),
	  (map { "+ $_" } grep { !$then{$_} } sort keys %now);
}

my $only = $ENV{WT_ATTACK};
my $superuser = query('SELECT current_user');
for my $attack (@attacks)
{
	my $name = $attack->{name};
	my $status = $attack->{status} // 200;
	next if $only && $name !~ /$only/;

	prepare_attack();
	query($attack->{super}) if $attack->{super};
	if ($attack->{sql})
	{
		my $sql = $attack->{sql};
		$sql =~ s/SUPERUSER/$superuser/;
		is(as_role('hostile', $sql), '', "$name: prepared");
	}
	as_role('hostile', 'TRUNCATE acts');
	for my $event (@{ $attack->{send} // ['{"n":1}'] })
	{
		my $answer = post($port, $event);
		like($answer->{status}, qr/^($status)$/, "$name: the answer") or diag $answer->{content};
	}
	check_gains($name, acts => $attack->{acts}, role => $attack->{role});
	is(query($_->[0]), $_->[1], "$name: $_->[0]") for @{ $attack->{check} // [] };

	ok(ready($port), "$name: the collector is there") if $attack->{new_session};
	is(changes($untouched, session_state($port)), '', "$name: the session is as before, and the next event is stored");
}

#
# What the owner's code says is passed on as text, whatever it is, and not for ever
#
for my $case (
	[ 'terminal escapes', q{E'\x1b[2J\x1b]0;owned\x07\r\n\tlines\x7f'}, qr/\x1b\[2J/ ],
	[ 'quotes and braces', q~'"}],\"error":"{%s%n'~, qr/"\}\],\\"error":"\{%s%n/ ],
	[ 'markup', q{'<script>alert(1)</script>'}, qr/<script>/ ],
	# Longer than anybody reads; a try must take less than half a second, see store.c's SLOW_FAILURE.
	[ 'a long message of long characters', q{'a' || repeat('€', 1000000)}, qr/^.*a€€€/ ],)
{
	my ($name, $message, $pattern) = @$case;
	# The event's own fault, one that is nobody's, and one that goes into quarantine.
	for my $code ('P0001', '55000')
	{
		next if $only && $name !~ /$only/;
		prepare_attack();
		as_role('hostile', qq{$log CREATE FUNCTION say() RETURNS trigger LANGUAGE plpgsql AS \$\$
			BEGIN IF new.data->'json' ? 'bad' THEN RAISE EXCEPTION '%', $message USING ERRCODE = '$code'; END IF; RETURN new; END \$\$;
			CREATE TRIGGER say BEFORE INSERT ON log FOR EACH ROW EXECUTE FUNCTION say()});
		my $mark = log_mark($node);
		my $answer = post($port, '{"bad":1}');
		my $json = JSON::PP->new->utf8->decode($answer->{content});
		is($answer->{status}, $code eq 'P0001' ? 422 : 503, "$name, $code: the answer");
		like($json->{error}, $pattern, "$name, $code: says why") if $name !~ /long/;
		unlike($answer->{content}, qr/[\x00-\x09\x0b-\x1f]/, "$name, $code: without control characters");
		cmp_ok(length $answer->{content}, '<', 4096, "$name, $code: briefly");
		cmp_ok(-s $node->logfile, '<', $mark + 10000, "$name, $code: the log has not grown by much");
		my $health = http($port, 'GET', '/health');
		ok(JSON::PP->new->utf8->decode($health->{content}), "$name, $code: /health is JSON") if $health->{content} =~ /^\{/;
		# A character that is cut in half would be none.
		is(query(q{SELECT bool_and(octet_length(convert_to(coalesce(last_error, ''), 'UTF8')) < 1000
			AND coalesce(last_error, '') = convert_from(convert_to(coalesce(last_error, ''), 'UTF8'), 'UTF8')) FROM windtrap.status WHERE kind = 'worker'}),
			't', "$name, $code: the status is text");
		$answer = post($port, qq({"n":1}\n{"bad":1}\n), type => 'application/x-ndjson');
		# Whose fault a code of the server's is, is found by trying both.
		is($answer->{status}, 200, "$name, $code: in a batch");
		is(query(q{SELECT count(*) FILTER (WHERE status = 0), count(*) FILTER (WHERE status = 422), coalesce(max(length(data->>'error')) < 1000, true) FROM log}),
			'1|1|t', "$name, $code: one is stored, one is in quarantine, and says briefly why");
		is(changes($untouched, session_state($port)), '', "$name, $code: and the session is as before");
	}
}

#
# A schema whose owner puts another one in its place, again and again: whatever table an
# event finds, it is stored there as that table's owner
#
if (!$only)
{
	prepare_attack();
	query(q{CREATE SCHEMA app; CREATE TABLE app.log (event_timestamp timestamptz, data jsonb, status int);
		ALTER TABLE app.log OWNER TO victim; GRANT USAGE ON SCHEMA app TO victim; ALTER SCHEMA app OWNER TO hostile});
	is(as_role('hostile', q{CREATE SCHEMA trap; CREATE TABLE trap.log (event_timestamp timestamptz, data jsonb, status int);
		GRANT USAGE ON SCHEMA trap TO PUBLIC; GRANT ALL ON acts TO PUBLIC;
		CREATE TRIGGER act BEFORE INSERT ON trap.log FOR EACH ROW EXECUTE FUNCTION act()}), '', 'two schemas are prepared');
	alter_system($node, 'windtrap."table"' => 'app.log');
	ok(wait_for(sub { event($port); query('SELECT count(*) > 0 FROM app.log') eq 't' }), 'events go to the one');
	my $load = start_load($port, connections => 8);
	is(as_role('hostile', q{DO $$ BEGIN FOR i IN 1 .. 3000 LOOP
			ALTER SCHEMA app RENAME TO aside; ALTER SCHEMA trap RENAME TO app; ALTER SCHEMA aside RENAME TO trap; COMMIT;
		END LOOP; END $$}), '', 'their names are exchanged all the time');
	my $codes = $load->stop;
	is(join(' ', grep { !/^(200|503)$/ } keys %$codes), '', 'events are stored, or are to be sent again');
	check_gains('exchanged schemas');
	is(query(q{SELECT (SELECT count(*) FROM app.log) > 0 AND (SELECT count(*) FROM trap.log) > 0}), 't', 'both have got some');

	# The same at the worst moment: when the worker has found its table and waits for a lock.
	# That of a view's is one which others can take.
	prepare_attack();
	query(q{CREATE SCHEMA app; CREATE TABLE base (event_timestamp timestamptz, data jsonb, status int);
		CREATE VIEW app.log AS SELECT * FROM base; ALTER TABLE base OWNER TO victim; ALTER VIEW app.log OWNER TO victim;
		GRANT DELETE ON base TO hostile; GRANT USAGE ON SCHEMA app TO victim; ALTER SCHEMA app OWNER TO hostile});
	is(as_role('hostile', q{CREATE SCHEMA trap; CREATE TABLE trap.log (event_timestamp timestamptz, data jsonb, status int);
		GRANT USAGE ON SCHEMA trap TO PUBLIC; GRANT ALL ON acts, trap.log TO PUBLIC;
		CREATE TRIGGER act BEFORE INSERT ON trap.log FOR EACH ROW EXECUTE FUNCTION act()}), '', 'two schemas are prepared again');
	ok(wait_for(sub { event($port); query('SELECT count(*) > 0 FROM base') eq 't' }), 'events go to the view');
	my $waiting = q{SELECT count(*) FROM pg_locks WHERE relation = 'public.base'::regclass AND};
	my $exchange = IPC::Run::start([ 'psql', '-XAtq', '-U', 'hostile', '-d', $node->connstr('postgres'), '-c',
			qq{BEGIN; LOCK base; DO \$\$ BEGIN WHILE ($waiting NOT granted) = 0 LOOP PERFORM pg_sleep(0.01); END LOOP; END \$\$;
			ALTER SCHEMA app RENAME TO aside; ALTER SCHEMA trap RENAME TO app; COMMIT} ], '<', '/dev/null');
	ok(wait_for(sub { query("$waiting granted AND mode = 'AccessExclusiveLock'") eq 1 }), 'the lock is taken');
	like(event($port), qr/^(200|503)$/, 'an event waits for it');
	$exchange->finish;
	is(query(q{SELECT to_regclass('aside.log') IS NOT NULL}), 't', 'meanwhile names were exchanged');
	check_gains('a schema exchanged while the worker waits', acts => 0);
	alter_system($node, 'windtrap."table"' => undef);
	query('DROP SCHEMA app, aside CASCADE');
	ok(wait_for(sub { event($port) == 200 && query(q{SELECT to_regclass('public.log') IS NOT NULL}) eq 't' }), 'and back');
}

$node->stop;
unlike(log_since($node), qr/terminated by signal|PANIC|TRAP/, 'nothing has crashed');
done_testing();

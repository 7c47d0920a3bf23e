# The table is the user's: what its constraints, triggers and policies say counts, for the
# event alone that they refuse; a trigger gains nothing from the worker's rights; and a
# 2xx means that the event has been flushed, whatever anybody has set.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Test::More;
use Time::HiRes qw(sleep time);

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use WindTrap;

my $node = wt_node('table', init => { allows_streaming => 1 });
my $port = wt_port($node);

sub query { return $node->safe_psql('postgres', $_[0]); }

sub count { return query("SELECT count(*) FROM log WHERE $_[0]"); }

# Sends many events at once, so that they share transactions: keep-alive connections that
# all have sent before any is read.  Gives the answers, by the order of the bodies.
my @crowd;

sub post_at_once
{
	my (@events) = @_;

	push @crowd, connect_to($port) while @crowd < @events;
	$crowd[$_]->request($events[$_], headers => ['Content-Type: application/json']) for 0 .. $#events;
	my @answers = map { $crowd[$_]->response(seconds => 30) // { status => 'none', content => '' } } 0 .. $#events;
	@crowd = ();
	return @answers;
}

sub recreate
{
	query('DROP TABLE IF EXISTS log CASCADE; SELECT windtrap.create_log_table(); ALTER TABLE log OWNER TO owner');
	return;
}

query('CREATE ROLE owner; GRANT CREATE, USAGE ON SCHEMA public TO owner');

#
# One bad event among many
#
my @ways = (
	[ 'CHECK', q{ALTER TABLE log ADD CONSTRAINT severity_is_known CHECK (data->'json'->>'severity' <> 'bad')},
		qr/violates check constraint "severity_is_known"/ ],
	[ 'a unique index', q{CREATE TABLE seen (id text PRIMARY KEY); ALTER TABLE seen OWNER TO owner;
		INSERT INTO seen VALUES ('bad');
		CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			INSERT INTO public.seen VALUES (CASE new.data->'json'->>'severity' WHEN 'bad' THEN 'bad' ELSE new.data->>'id' END);
			RETURN new; END $$;
		CREATE TRIGGER see BEFORE INSERT ON log FOR EACH ROW EXECUTE FUNCTION see()},
		qr/duplicate key value violates unique constraint "seen_pkey"/ ],
	[ 'a trigger that raises', q{CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			IF new.data->'json'->>'severity' = 'bad' THEN RAISE EXCEPTION 'not that "%"', 'severity'; END IF;
			RETURN new; END $$;
		CREATE TRIGGER no BEFORE INSERT ON log FOR EACH ROW EXECUTE FUNCTION no()},
		qr/not that \\?"severity\\?"/ ],
	[ 'a trigger that divides by zero', q{CREATE FUNCTION zero() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			PERFORM 1 / (CASE new.data->'json'->>'severity' WHEN 'bad' THEN 0 ELSE 1 END); RETURN new; END $$;
		CREATE TRIGGER zero AFTER INSERT ON log FOR EACH ROW EXECUTE FUNCTION zero()},
		qr/division by zero/ ],
	[ 'a deferred trigger', q{CREATE FUNCTION later() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			IF new.data->'json'->>'severity' = 'bad' THEN RAISE EXCEPTION 'not even later'; END IF;
			RETURN NULL; END $$;
		CREATE CONSTRAINT TRIGGER later AFTER INSERT ON log DEFERRABLE INITIALLY DEFERRED
			FOR EACH ROW EXECUTE FUNCTION later()},
		qr/not even later/ ],
	[ 'row-level security', q{ALTER TABLE log ENABLE ROW LEVEL SECURITY; ALTER TABLE log FORCE ROW LEVEL SECURITY;
		CREATE POLICY good ON log FOR INSERT TO owner WITH CHECK (data->'json'->>'severity' <> 'bad')},
		qr/violates row-level security policy/ ],);
for my $way (@ways)
{
	my ($name, $sql, $message) = @$way;
	recreate();
	query($sql);
	my @events = map { qq({"n":$_,"severity":"good"}) } 1 .. 100;
	$events[41] = '{"n":42,"severity":"bad"}';
	my @answers = post_at_once(@events);
	is($answers[41]{status}, 422, "$name: the guilty event is refused");
	like(json_of($answers[41])->{error}, $message, "$name: with the reason");
	is(scalar(grep { $_->{status} == 200 } @answers), 99, "$name: the others are accepted");
	is(count(q{data->'json'->>'severity' = 'good'}), 99, "$name: and stored");
	is(count(q{data->'json'->>'severity' = 'bad'}), 0, "$name: it alone is not");
	is(http($port, 'GET', '/health')->{status}, 200, "$name: /health is well");
	@answers = post_at_once(map { '{"severity":"bad"}' } 1 .. 20);
	is(scalar(grep { $_->{status} =~ /^(422|503)$/ } @answers), 20, "$name: many guilty ones are refused");
	is(event($port), 200, "$name: and the next good one is accepted") if $name ne 'row-level security';
	query('DROP FUNCTION IF EXISTS see, no, zero, later CASCADE; DROP TABLE IF EXISTS seen');
}

# A trigger that drops the event is obeyed.
recreate();
query(q{CREATE FUNCTION skip() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
		RETURN CASE WHEN new.data->'json' ? 'skip' THEN NULL ELSE new END; END $$;
	CREATE TRIGGER skip BEFORE INSERT ON log FOR EACH ROW EXECUTE FUNCTION skip()});
is(post($port, '{"skip":1}')->{status}, 200, 'a trigger that drops an event: the sender need not try again');
is(count(q{data->'json' ? 'skip'}), 0, 'a trigger that drops an event: it is not stored');
query('DROP FUNCTION skip CASCADE');

#
# Whose rights a trigger has
#
recreate();
query(<<'SQL');
CREATE TABLE acts (what text, role name, outer_role name, path text);
ALTER TABLE acts OWNER TO owner;
CREATE TABLE secret (s text);
INSERT INTO secret VALUES ('for superusers');
CREATE FUNCTION attempt(what text, command text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE command;
	INSERT INTO public.acts VALUES (what || ': done', current_user, session_user, current_setting('search_path'));
EXCEPTION WHEN OTHERS THEN
	INSERT INTO public.acts VALUES (what || ': ' || SQLERRM, current_user, session_user, current_setting('search_path'));
END $$;
CREATE FUNCTION act() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	PERFORM public.attempt(tg_name || ' superuser', 'ALTER ROLE owner SUPERUSER');
	PERFORM public.attempt(tg_name || ' set role', 'SET ROLE postgres');
	PERFORM public.attempt(tg_name || ' set local role', 'SET LOCAL ROLE NONE');
	PERFORM public.attempt(tg_name || ' reset role', 'RESET ROLE');
	PERFORM public.attempt(tg_name || ' session', 'SET SESSION AUTHORIZATION postgres');
	PERFORM public.attempt(tg_name || ' reset session', 'RESET SESSION AUTHORIZATION');
	PERFORM public.attempt(tg_name || ' read', 'SELECT * FROM public.secret');
	PERFORM public.attempt(tg_name || ' file', 'SELECT pg_read_file(''PG_VERSION'')');
	PERFORM public.attempt(tg_name || ' temp', 'CREATE TEMP TABLE trap (x int)');
	RETURN NULL;
END $$;
CREATE TRIGGER a_row AFTER INSERT ON log FOR EACH ROW EXECUTE FUNCTION act();
CREATE TRIGGER a_statement AFTER INSERT ON log EXECUTE FUNCTION act();
CREATE CONSTRAINT TRIGGER a_deferred AFTER INSERT ON log DEFERRABLE INITIALLY DEFERRED
	FOR EACH ROW EXECUTE FUNCTION act();
SQL
my $superuser = query('SELECT current_user');
query(q{ALTER FUNCTION act OWNER TO owner; ALTER FUNCTION attempt OWNER TO owner});
is(event($port, 'rights'), 200, 'triggers that try to gain rights: the event is accepted');
for my $trigger ('a_row', 'a_statement', 'a_deferred')
{
	is(query("SELECT count(*) FROM acts WHERE what LIKE '$trigger %'"), 9, "$trigger: fired once");
	is(query("SELECT string_agg(DISTINCT role, ' ') FROM acts WHERE what LIKE '$trigger %'"),
		'owner', "$trigger: as the table's owner");
	is(query("SELECT coalesce(string_agg(what, '; '), '') FROM acts WHERE what LIKE '$trigger %: done'"),
		'', "$trigger: gained nothing");
}
is(query(q{SELECT rolsuper FROM pg_roles WHERE rolname = 'owner'}), 'f', 'the owner is no superuser');
is(event($port, 'after rights'), 200, 'the next event is accepted');
is( query(q{SELECT string_agg(DISTINCT role, ' ') FROM acts}), 'owner', 'by the same role');
query('DROP FUNCTION act CASCADE; DROP FUNCTION attempt; DROP TABLE acts, secret');

# A trigger that changes settings changes its own transaction at most.
recreate();
query(q{CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
		IF new.data->'json' ? 'meddle' THEN
			SET search_path = nowhere; SET timezone = 'Asia/Tokyo'; SET lock_timeout = '1h'; SET statement_timeout = 0;
			PERFORM set_config('synchronous_commit', 'off', false);
		END IF;
		RETURN new; END $$;
	CREATE TRIGGER meddle BEFORE INSERT ON log FOR EACH ROW EXECUTE FUNCTION meddle()});
is(post($port, '{"meddle":1}')->{status}, 200, 'a trigger that meddles with settings');
is(event($port, 'after meddling'), 200, 'the next event');
is(query(q{SELECT data->>'timezone' FROM log WHERE data->'json'->>'id' = 'after meddling'}),
	'Europe/Berlin', 'is stored in the right time zone');
query('DROP FUNCTION meddle CASCADE');

#
# Durability
#
# How often, of 30 times, something is not yet flushed after the code has run.  PostgreSQL
# itself writes a little now and then, so a few times say nothing.
sub unflushed
{
	my ($code) = @_;
	my $behind = 0;

	for my $i (1 .. 30)
	{
		$code->();
		$behind++
		  if $node->safe_psql('template1',
			q{SELECT pg_current_wal_flush_lsn() < pg_current_wal_insert_lsn()}) eq 't';
	}
	return $behind;
}

sub is_flushed
{
	my ($name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $failed = 0;

	cmp_ok(unflushed(sub { event($port, $name) == 200 or $failed++ }), '<=', 3, $name);
	is($failed, 0, "$name: all are accepted");
	return;
}
recreate();
query(q{SELECT pg_switch_wal(); CHECKPOINT});
# The walwriter would flush what an asynchronous commit has left, and hide it; and nobody
# else shall write.
alter_system($node, wal_writer_delay => '10s', wal_writer_flush_after => '1GB', autovacuum => 'off',
	bgwriter_lru_maxpages => 0);
query('CREATE TABLE asynchronous (i int)');
cmp_ok(unflushed(sub { query('SET synchronous_commit = off; INSERT INTO asynchronous VALUES (1)') }),
	'>', 10, 'an asynchronous commit would be seen');
is_flushed('synchronous_commit on: flushed at the answer');
alter_system($node, synchronous_commit => 'off');
query(q{ALTER DATABASE postgres SET synchronous_commit = off; ALTER ROLE owner SET synchronous_commit = off});
query("ALTER ROLE $superuser SET synchronous_commit = off");
query("SELECT pg_terminate_backend(pid) FROM windtrap.status WHERE kind = 'worker'");
ok(wait_for(sub { event($port) == 200 }), 'the worker has a new session');
sleep 0.3;
is_flushed('synchronous_commit off everywhere: flushed at the answer');
query(q{CREATE FUNCTION async() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN SET LOCAL synchronous_commit = off; RETURN new; END $$;
	CREATE TRIGGER async BEFORE INSERT ON log FOR EACH ROW EXECUTE FUNCTION async()});
is_flushed('SET LOCAL synchronous_commit by a trigger: flushed at the answer');
query('DROP FUNCTION async CASCADE');
alter_system($node, synchronous_commit => undef, autovacuum => undef);
query(qq{ALTER DATABASE postgres RESET ALL; ALTER ROLE owner RESET ALL; ALTER ROLE $superuser RESET ALL});
query("SELECT pg_terminate_backend(pid) FROM windtrap.status WHERE kind = 'worker'");
ok(wait_for(sub { event($port) == 200 }), 'as before');

# A synchronous standby that is not there: no promise.
alter_system($node, synchronous_standby_names => 'nobody', 'windtrap.request_timeout' => '3s');
ok(wait_for(sub { query('SHOW synchronous_standby_names') eq 'nobody' }), 'a synchronous standby is asked for');
sleep 0.5;
{
	my $answer;
	my $took = elapsed(sub { $answer = post($port, '{"standby":"missing"}', timeout => 15) });
	is($answer->{status}, 503, 'no standby: no promise');
	cmp_ok($took, '<', 8, 'no standby: an answer within the limit');
	like(json_of($answer)->{error} // '', qr/standby/, 'no standby: says why');
}
alter_system($node, synchronous_standby_names => undef, 'windtrap.request_timeout' => undef);
ok(wait_for(sub { event($port) == 200 }), 'without one it serves again');

#
# A table that cannot keep promises, or is slow
#
query('DROP TABLE log; CREATE UNLOGGED TABLE log (event_timestamp timestamptz, data jsonb, status int)');
{
	my $answer = post($port, '{}');
	is($answer->{status}, 503, 'an unlogged table: 503');
	like(json_of($answer)->{error}, qr/not durable/, 'an unlogged table: says why');
	is(query('SELECT count(*) FROM log'), 0, 'an unlogged table: nothing is stored');
	query('ALTER TABLE log SET LOGGED');
	ok(wait_for(sub { event($port) == 200 }), 'a logged table: accepted');
}
recreate();
alter_system($node, 'windtrap.request_timeout' => '2s');
sleep 0.3;
query(q{CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
		IF new.data->'json' ? 'slow' THEN PERFORM pg_sleep(60); END IF; RETURN new; END $$;
	CREATE TRIGGER slow BEFORE INSERT ON log FOR EACH ROW EXECUTE FUNCTION slow()});
{
	my $answer;
	my $took = elapsed(sub { $answer = post($port, '{"slow":1}') });
	is($answer->{status}, 503, 'a slow trigger: 503');
	cmp_ok($took, '<', 4, 'a slow trigger: within the limit');
	is(event($port), 200, 'a slow trigger: others are served');
	is(count(q{data->'json' ? 'slow'}), 0, 'a slow trigger: nothing is stored');
}
query('DROP FUNCTION slow CASCADE');
alter_system($node, 'windtrap.request_timeout' => undef);

#
# Statistics
#
recreate();
ok( wait_for(
		sub { event($port); query(q{SELECT sum(n_tup_ins) FROM pg_stat_user_tables WHERE relname LIKE 'log\_%'}) >= 5 }, 15),
	'inserts are counted, so that autovacuum comes');

#
# Other tables
#
query(q{CREATE SCHEMA "My Schema"; CREATE TABLE "My Schema"."My Log" (id bigserial PRIMARY KEY, status int,
		note text DEFAULT 'none', data jsonb, event_timestamp timestamptz, day date GENERATED ALWAYS AS ((event_timestamp AT TIME ZONE 'UTC')::date) STORED);
	CREATE TABLE plain (event_timestamp timestamptz, data jsonb, status int)});
for my $case (
	[ '"My Schema"."My Log"', '"My Schema"."My Log"' ], [ 'plain', 'public.plain' ],
	[ 'public.plain', 'public.plain' ], [ '"My Log"', 'public."My Log"' ],
	[ 'Made_Here', 'public.made_here' ], [ '"My Schema".made', '"My Schema".made' ],)
{
	my ($setting, $table) = @$case;
	alter_system($node, 'windtrap."table"' => $setting);
	ok( wait_for(
			sub {
				event($port, $setting) == 200
				  && query("SELECT to_regclass('$table') IS NOT NULL") eq 't'
				  && query(qq{SELECT count(*) FROM $table WHERE data->'json'->>'id' = '$setting' AND status = 0}) > 0;
			}),
		"windtrap.table = '$setting'");
}
is(query(q{SELECT bool_and(note = 'none' AND id > 0 AND day = (event_timestamp AT TIME ZONE 'UTC')::date) FROM "My Schema"."My Log"}),
	't', 'further columns have their defaults');
alter_system($node, 'windtrap."table"' => 'pg_catalog.pg_class');
ok(wait_for(sub { event($port) == 503 }), 'a table that is none of ours: 503');
alter_system($node, 'windtrap."table"' => undef);
ok(wait_for(sub { event($port) == 200 }), 'and back');

$node->stop;
unlike(log_since($node), qr/terminated by signal|PANIC|TRAP/, 'nothing has crashed');
done_testing();

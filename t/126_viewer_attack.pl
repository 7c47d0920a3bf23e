# The viewer under attack: by whoever's token has been taken away, by the log table's owner, by what
# kills processes, by crowds; meanwhile events are taken, and nothing that was acknowledged is lost.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use JSON::PP ();
use Test::More;
use Time::HiRes qw(sleep time);

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use WindTrap;
use Viewer;

my $node = viewer_node('attack', conf => "windtrap.viewer_timeout = '2s'\nwindtrap.viewers = 2\nmax_connections = 50\n");
my $collector = wt_port($node);
my $port = viewer_port($node);

sub query { return $node->safe_psql('postgres', $_[0]); }

# A stream by a token, whose head and first line have come.
sub stream_by
{
	my ($token, $path, %parameters) = @_;
	return open_stream($port, $path, %parameters, token => $token);
}

# The last line that comes before the answer is over; undef: it is not, in so many seconds.
sub last_line
{
	my ($stream, $seconds) = @_;
	my $until = time + $seconds;
	my $last;

	while (time < $until)
	{
		my $text = $stream->text($until - time);
		return $last if !defined $text && ($stream->over || $stream->{connection}{closed});
		$last = $text if defined $text;
	}
	return;
}

# Waits for an event.
sub shows
{
	my ($stream, $message, $seconds) = @_;
	my $until = time + ($seconds // 10);

	while (time < $until)
	{
		my $line = $stream->line($until - time) // return 0;
		diag(JSON::PP->new->encode($line)) if $line->{error};
		return 1 if $line->{event} && $line->{event}{message} eq $message;
	}
	return 0;
}

sub say_event { return post_json($collector, { app => 'attack', message => $_[0] }, headers => { 'X-API-Key' => $_[1] // '' })->{status}; }

# Whose token is taken away while he follows.
{
	my $open = open_stream($port, 'tail');
	ok($open->line->{cursor}, 'who needs no token follows');
	my $ingest = query("SELECT windtrap.create_token('sender', 'ingest')");
	like(last_line($open, 8) // '', qr/"error".*needed now/, '… until one is needed');
	is(api($port, 'tail')->{status}, 401, '… and then not again');

	my $read = query("SELECT windtrap.create_token('reader', 'read')");
	my $brief = query("SELECT windtrap.create_token('brief', 'read', expires => now() + interval '4 seconds')");
	my $tail = stream_by($read, 'tail');
	my $expiring = stream_by($brief, 'tail');
	ok($tail->line->{cursor} && $expiring->line->{cursor}, 'two follow with tokens');
	is(say_event('for both', $ingest), 200, 'an event is sent');
	ok(shows($tail, 'for both') && shows($expiring, 'for both'), '… which both see');
	like(last_line($expiring, 10) // '', qr/"error".*expired/, 'when its token expires the answer ends');
	query("SELECT windtrap.create_token('other', 'read'), windtrap.revoke_token('brief')");
	is(say_event('for one', $ingest), 200, 'an event is sent');
	ok(shows($tail, 'for one'), 'a change of another token disturbs nobody');
	query("SELECT windtrap.revoke_token('reader')");
	is(say_event('for none', $ingest), 200, 'an event is sent after the token has been revoked');
	my $said = last_line($tail, 8) // '';
	like($said, qr/"error".*revoked/, 'when its token is revoked the answer ends');
	unlike($tail->{body}, qr/for none/, '… without what came after it');

	query("INSERT INTO log SELECT now() - i * interval '1 ms', jsonb_build_object('json', jsonb_build_object('filling', repeat('x', 500)))"
		. ' FROM generate_series(1, 60000) i');
	my $other = query("SELECT windtrap.create_token('exporter', 'read')");
	my $export;
	# A machine that is too slow refuses it at first.
	ok(wait_for(sub { $export = stream_by($other, 'export'); ($export->text // '{"error"') !~ /^\{"error"/ }), 'an export begins');
	query("SELECT windtrap.revoke_token('exporter')");
	my $until = time + 20;
	my $rows = 0;
	while (time < $until && !$export->over && !$export->{connection}{closed}) { $rows++ if defined $export->text(1); }
	ok(!$export->over && $rows < 60_000, "and is cut off when its token is revoked ($rows rows)");

	# What cannot be read has not been revoked.
	my $follower = query("SELECT windtrap.create_token('follower', 'read')");
	$tail = stream_by($follower, 'tail');
	ok($tail->line->{cursor}, 'somebody follows with a token');
	query('ALTER TABLE windtrap.token RENAME digest TO hidden');
	like(last_line($tail, 8) // '', qr/"error".*tokens cannot be checked at the moment/, 'where the tokens cannot be read that is what is said');
	my $unknown = http($port, 'GET', '/api/session', headers => { Authorization => "Bearer $follower" });
	is($unknown->{status}, 503, '… 503 to who comes then');
	query('ALTER TABLE windtrap.token RENAME hidden TO digest');
	ok(wait_for(sub { http($port, 'GET', '/api/session', headers => { Authorization => "Bearer $follower" })->{status} == 200 }), '… and he is let in when they can');
	query('DROP EXTENSION windtrap CASCADE; CREATE EXTENSION windtrap');
	ok(wait_for(sub { api($port, 'session')->{status} == 200 }), 'a new extension has no tokens');
	is(say_event('after it'), 200, '… and takes events');
}

# What the log's owner writes runs as he, and does not keep the viewer.
{
	# Each row costs what the owner's function does: few are enough.
	query('TRUNCATE log');
	query('CREATE ROLE owner NOSUPERUSER; GRANT CREATE ON SCHEMA public TO owner; ALTER TABLE log OWNER TO owner');
	query(q{DO $$ DECLARE r record; BEGIN FOR r IN SELECT inhrelid::regclass AS name FROM pg_inherits WHERE inhparent = 'log'::regclass
		LOOP EXECUTE format('ALTER TABLE %s OWNER TO owner', r.name); END LOOP; END $$});
	query(q{CREATE TABLE others (x int); INSERT INTO others VALUES (1)});
	my $before = query(q{SELECT pg_relation_size('others')});
	query(<<'SQL');
SET ROLE owner;
ALTER TABLE log ENABLE ROW LEVEL SECURITY;
ALTER TABLE log FORCE ROW LEVEL SECURITY;
CREATE FUNCTION public.probe() RETURNS bool LANGUAGE sql AS $$ SELECT true $$;
CREATE POLICY reading ON log FOR SELECT USING (public.probe());
CREATE POLICY sending ON log FOR INSERT WITH CHECK (true);
SQL
	my $tail = open_stream($port, 'tail');
	ok($tail->line->{cursor}, 'somebody follows a table with a policy');
	# What is new to a look is what it asks the row's header for.
	query(q{CREATE OR REPLACE FUNCTION public.probe() RETURNS bool LANGUAGE plpgsql AS $$
BEGIN
	PERFORM windtrap.tail_row(xmin, 'public.others'::regclass, '(4294967295,1)', '-infinity') FROM pg_proc WHERE proname = 'probe';
	PERFORM windtrap.tail_row(xmin, 'windtrap.events'::regclass, '(0,1)', '-infinity') FROM pg_proc WHERE proname = 'probe';
	RETURN true;
END $$});
	is(say_event('looked at'), 200, 'an event is sent');
	ok(shows($tail, 'looked at'), '… and shown');
	is(query(q{SELECT pg_relation_size('others')}), $before, 'a table that is not his does not grow by it');
	$tail->close;

	query(<<'SQL');
CREATE OR REPLACE FUNCTION public.probe() RETURNS bool LANGUAGE plpgsql AS $$
BEGIN
	LOOP
		BEGIN
			PERFORM pg_sleep(3600);
		EXCEPTION WHEN query_canceled THEN NULL;
		END;
	END LOOP;
END $$;
SQL
	my $mark = log_mark($node);
	my @pids = viewer_pids($node);
	my $took = elapsed(sub { api($port, 'search') });
	# Who asks is cut off, and asks once more by himself, of another process.
	cmp_ok($took, '<', 25, 'a policy that catches what cancels it does not keep a client for ever');
	ok(wait_for(sub { join(' ', viewer_pids($node)) ne join(' ', @pids) }), '… the process ends');
	my $answered = elapsed(sub { is(say_event('meanwhile'), 200, 'events are taken meanwhile') });
	cmp_ok($answered, '<', 1, '… at once');
	query('CREATE OR REPLACE FUNCTION public.probe() RETURNS bool LANGUAGE sql AS $$ SELECT true $$');
	ok(wait_for(sub { api($port, 'search', n => 1)->{status} == 200 }), '… and another one is started');
	unlike(log_since($node, $mark), qr/terminated by signal|PANIC|TRAP/, '… without the others being ended');
}

# Tables of other kinds, and what they cannot do.
{
	query(<<"SQL");
RESET ROLE;
CREATE EXTENSION postgres_fdw;
CREATE SERVER self FOREIGN DATA WRAPPER postgres_fdw OPTIONS (dbname 'postgres', host '@{[ $node->host ]}', port '@{[ $node->port ]}');
CREATE USER MAPPING FOR PUBLIC SERVER self OPTIONS (user '@{[ scalar getpwuid $< ]}');
CREATE TABLE plain (event_timestamp timestamptz, data jsonb, status int);
INSERT INTO plain SELECT now() - n * interval '1 s', jsonb_build_object('id', 'p' || n, 'json', jsonb_build_object('app', 'plain', 'n', n)), 0 FROM generate_series(1, 300) n;
CREATE VIEW viewed AS SELECT event_timestamp, data, status FROM plain;
CREATE VIEW grouped AS SELECT event_timestamp, data, max(status) AS status FROM plain GROUP BY 1, 2;
CREATE FOREIGN TABLE far (event_timestamp timestamptz, data jsonb, status int) SERVER self OPTIONS (table_name 'plain');
SQL
	foreach my $case ([ 'plain', 1, 1 ], [ 'viewed', 0, 1 ], [ 'grouped', 0, 0 ], [ 'far', 0, 1 ])
	{
		my ($table, $can_be_followed, $can_be_changed) = @$case;
		alter_system($node, '"windtrap.table"' => $table);
		ok($node->poll_query_until('postgres', "SELECT prosrc LIKE '%$table%' FROM pg_proc WHERE oid = 'windtrap.log_rows'::regproc"), "$table: it is the table");
		ok(wait_for(sub { api($port, 'search', n => 1)->{status} == 200 }), '… and searched');
		my ($n, @events) = follow($port, 'search', n => 70);
		is(scalar(grep { $_->{event} } @events), 300, '… by pages');
		is((lines_of(api($port, 'histogram', buckets => 2)))[-1]{end}{total}, 300, '… counted');
		is(() = api($port, 'export')->{content} =~ /^\{/mg, 300, '… exported');
		my $overview = json_of(api($port, 'overview'));
		is(scalar @{ $overview->{partitions} }, $table eq 'plain' ? 1 : 0, '… what it takes is told where it takes any');
		cmp_ok($overview->{size} // 0, $table eq 'plain' ? '>' : '==', 0, '… as is its size');
		my $said = open_stream($port, 'tail')->line;
		ok($can_be_followed ? $said->{cursor} : ($said->{error} // '') =~ /^what is new in "$table" cannot be told/, '… followed, or it is said why not');
		my ($one) = map { $_->{event} } lines_of(api($port, 'search', q => 'n:7'));
		my $changed = http($port, 'POST', '/api/status', body => JSON::PP->new->encode({ status => 3, events => [ { time => $one->{time}, id => $one->{id} } ] }),
			headers => { 'Content-Type' => 'application/json' });
		like($changed->{content}, $can_be_changed ? qr/\{"updated":1\}/ : qr/the events cannot be changed at the moment: cannot update view/, '… changed, or it is said why not');
	}
	alter_system($node, '"windtrap.table"' => undef);
	ok($node->poll_query_until('postgres', "SELECT prosrc LIKE '%public.log%' FROM pg_proc WHERE oid = 'windtrap.log_rows'::regproc"), 'the table is the first one');
}

# A partition that goes while it is exported and followed.
{
	query(q{CREATE TABLE log_old PARTITION OF log FOR VALUES FROM ('2020-01-01') TO ('2020-01-02');
INSERT INTO log SELECT '2020-01-01 00:00+00'::timestamptz + n * interval '0.4 s', jsonb_build_object('id', 'o' || n, 'json', jsonb_build_object('pad', repeat('x', 600))), 0 FROM generate_series(1, 60000) n;
ANALYZE log_old});
	my $export = open_stream($port, 'export', since => '2020-01-01', until => '2020-01-02');
	my $tail = open_stream($port, 'tail');
	ok($export->text && $tail->line->{cursor}, 'an old partition is exported, and what is new followed');
	query(q{SET lock_timeout = '5s'; DROP TABLE log_old});
	is(say_event('after the old ones'), 200, 'it can be dropped meanwhile');
	ok(shows($tail, 'after the old ones'), '… who follows sees what comes');
	my $rows = 1;
	$rows++ while defined $export->text(10);
	ok($export->over && $rows < 60_000, "… and the export ends with what there was ($rows rows)");
	$tail->close;
}

# What a database, and who owns the table, have set for their sessions, and operators in their schema.
{
	my @operators = ([ '=', 'text', 'text', 'bool' ], [ '>=', 'timestamptz', 'timestamptz', 'bool' ], [ '<', 'timestamptz', 'timestamptz', 'bool' ],
		[ '@?', 'jsonb', 'jsonpath', 'bool' ], [ '@>', 'jsonb', 'jsonb', 'bool' ], [ '->>', 'jsonb', 'text', 'text' ], [ '~~*', 'text', 'text', 'bool' ]);
	my $i = 0;
	query('CREATE SCHEMA trap AUTHORIZATION owner; ALTER ROLE owner NOLOGIN CONNECTION LIMIT 0; SET ROLE owner;' . join '', map {
		my ($name, $left, $right, $result) = @$_;
		$i++;
		"CREATE FUNCTION trap.f$i($left, $right) RETURNS $result LANGUAGE plpgsql AS \$\$BEGIN RAISE LOG 'trapped by %', current_user; RETURN 'true'; END\$\$;"
		  . "CREATE OPERATOR trap.$name (leftarg = $left, rightarg = $right, function = trap.f$i);" } @operators);
	my @set = ("search_path = trap, public, pg_catalog", 'statement_timeout = 1', 'lock_timeout = 1', 'default_transaction_read_only = on', 'default_transaction_isolation = serializable',
		'default_transaction_deferrable = on', 'standard_conforming_strings = off', "DateStyle = 'SQL, DMY'", "client_encoding = 'LATIN1'", 'quote_all_identifiers = on', 'array_nulls = off',
		'extra_float_digits = -10', 'transform_null_equals = on', 'cursor_tuple_fraction = 0', 'track_activities = off');
	query("CREATE POLICY changing ON log FOR UPDATE USING (true); INSERT INTO log SELECT now(), jsonb_build_object('id', 'set' || n, 'json', jsonb_build_object('app', 'set', 'n', n, 'x', 'it''s \\ a')), 0 FROM generate_series(1, 20) n;"
		. join ';', map { ("ALTER DATABASE postgres SET $_", "ALTER ROLE owner SET $_") } @set);
	# The sessions of this test have them, too.
	local $ENV{PGOPTIONS} = '-c statement_timeout=0 -c lock_timeout=0 -c default_transaction_read_only=off';
	my @before = viewer_pids($node);
	kill 'TERM', @before;
	ok(wait_for(sub { my %now = map { $_ => 1 } viewer_pids($node); !grep { $now{$_} } @before }), 'viewers that are ended are gone');
	my $mark = log_mark($node);
	ok(wait_for(sub { api($port, 'session')->{status} == 200 && event($collector) == 200 }, 30), 'with strange settings everything starts');
	is(scalar(grep { $_->{event} } lines_of(api($port, 'search', q => 'app:set x:"it\'s \\\\ a" n:<=20', columns => 'n,nothing'))), 20, '… what is searched is found');
	is((lines_of(api($port, 'search', q => 'app:set n:7', columns => 'n,nothing')))[0]{event}{columns}{nothing}, undef, '… and what is not there is null');
	is((lines_of(api($port, 'histogram', q => 'app:set', buckets => 2)))[-1]{end}{total}, 20, '… counted');
	is(() = api($port, 'export', q => 'app:set')->{content} =~ /^\{/mg, 20, '… exported');
	my $tail = open_stream($port, 'tail', q => 'app:attack');
	ok($tail->line->{cursor}, '… followed');
	is(say_event('strange'), 200, 'an event is sent');
	ok(shows($tail, 'strange'), '… and shown');
	$tail->close;
	my ($one) = map { $_->{event} } lines_of(api($port, 'search', q => 'app:set n:7'));
	is(json_of(http($port, 'POST', '/api/status', body => JSON::PP->new->encode({ status => 3, events => [ { time => $one->{time}, id => $one->{id} } ] }),
		headers => { 'Content-Type' => 'application/json' }))->{updated}, 1, '… and what may be changed is');
	unlike(log_since($node, $mark), qr/trapped|viewer failed/, 'operators of the schema that is first are not asked');
	query('ALTER DATABASE postgres RESET ALL; ALTER ROLE owner RESET ALL');
}

# Stopped while a hundred follow.
{
	my @tails = map { open_stream($port, 'tail') } 1 .. 100;
	is(scalar(grep { my $head = $_->head; $head && $head->{status} == 200 } @tails), 100, 'a hundred follow');
	my $took = elapsed(sub { $node->stop('fast') });
	cmp_ok($took, '<', 6, 'the server is stopped meanwhile');
	$_->close foreach @tails;
	$node->start;
	ok(ready($port), 'and is there again');
}

unlike(log_since($node), qr/terminated by signal|PANIC|TRAP|libmicrohttpd failed/, 'nothing has crashed');
$node->stop;
done_testing();

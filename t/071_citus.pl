# A log table that Citus has distributed: a coordinator and two workers, each with a collector.
# Events come in at each of them; what the table refuses is refused; a node that is down, or is
# killed, costs no event that was acknowledged; the coordinator keeps up the partitions.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Test::More;
use Time::HiRes qw(sleep time);

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Clock;
use Ledger;
use Viewer;
use WindTrap;

{
	my $config = $ENV{PG_CONFIG} // 'pg_config';
	chomp(my $sharedir = `$config --sharedir`);
	plan skip_all => 'the server has no extension citus' if !-e "$sharedir/extension/citus.control";
}

# Nodes of Citus connect to each other by TCP, as users whose certificates there are none of.
$ENV{HOME} = PostgreSQL::Test::Utils::tempdir();
$PostgreSQL::Test::Cluster::use_tcp = 1;
$PostgreSQL::Test::Cluster::test_pghost = '127.0.0.1';
movable_clock();

my %node;
my %page = map { $_ => free_port() } qw(c w1 w2);
for my $name (qw(c w1 w2))
{
	$node{$name} = wt_node(
		$name,
		create => 0,
		conf => <<"CONF");
shared_preload_libraries = 'citus,windtrap'
cluster_name = '$name'
max_connections = 100
max_prepared_transactions = 50
windtrap.retention_grace = 0
windtrap.viewer_port = $page{$name}
citus.enable_statistics_collection = off
citus.recover_2pc_interval = -1
CONF
}
my ($c, $w1, $w2) = @node{qw(c w1 w2)};
my %port = map { $_ => wt_port($node{$_}) } keys %node;

sub query { return $c->safe_psql('postgres', $_[0]); }

# Of these events, by the names that they were sent with.
sub count_of
{
	my ($name) = @_;
	return query("SELECT count(*) FROM log WHERE data->'json'->>'name' = '$name'");
}

# What is new on a server since the last look, for one who looks: those events' names, or ids of a
# load.  What a look that fails has not given the next one does.
my %cursor;

sub try_look
{
	my ($who, $server) = @_;
	my $after = $cursor{$who} ? "'$cursor{$who}'" : 'NULL';
	my ($rc, $out, $error) = $server->psql('postgres', <<"SQL");
SELECT coalesce(cursor, data->'json'->>'name', data->'json'->>'id')
FROM windtrap.tail('', $after, 10000) ORDER BY cursor NULLS FIRST, 1
SQL
	return if $rc;
	my @lines = split /\n/, $out;
	$cursor{$who} = pop @lines;
	return @lines;
}

sub look
{
	my ($who, $server) = @_;
	my $before = $cursor{$who} // '';
	my @new = try_look($who, $server);
	return ($cursor{$who} // '') eq $before ? 'no cursor' : join ' ', @new;
}

sub send_one
{
	my ($at, $name, %more) = @_;
	return post_json($port{$at}, { name => $name, %more })->{status};
}

sub send_body
{
	my ($at, @events) = @_;
	return post($port{$at}, join("\n", map { JSON::PP::encode_json($_) } @events),
		type => 'application/x-ndjson');
}

$_->safe_psql('postgres', 'CREATE EXTENSION citus') for values %node;
query("SELECT citus_set_coordinator_host('127.0.0.1', " . $c->port . ')');
query("SELECT citus_add_node('127.0.0.1', " . $_->port . ')') for $w1, $w2;
query('CREATE EXTENSION windtrap');

#
# Before the table is distributed
#
ok(ready($port{c}), 'the coordinator collects');
ok( wait_for(sub { (http($port{w1}, 'GET', '/health')->{content} // '') =~ /not distributed yet/ }),
	'a worker says what it waits for');
is(send_one('w1', 'early'), 503, 'and takes no events');
is($w1->safe_psql('postgres', q{SELECT to_regclass('public.log') IS NULL}), 't', 'nor makes it a table of its own');
is(send_one('c', 'before'), 200, 'the coordinator stores in a local table');
query('ALTER TABLE log ADD shop int NOT NULL DEFAULT (pg_current_xact_id()::text::bigint % 32)');
query(q{ALTER TABLE log ADD CONSTRAINT not_bad CHECK (data->'json'->>'bad' IS NULL)});
is(query(q{SELECT create_distributed_table('log', 'shop')}), '', 'which can be distributed');
is(count_of('before'), 1, 'with what is in it');

#
# Events
#
ok(ready($port{$_}), "$_ collects now") for qw(w1 w2);
for my $at (qw(c w1 w2))
{
	is(send_one($at, "at $at"), 200, "$at: an event");
	is(send_body($at, map { { name => "body at $at", n => $_ } } 1 .. 2000)->{status}, 200, "$at: a body");
	is(count_of("at $at"), 1, "$at: it is there");
	is(count_of("body at $at"), 2000, "$at: and each of the body");
	is(query("SELECT count(DISTINCT shop) FROM log WHERE data->'json'->>'name' = 'body at $at'"),
		1, "$at: on one shard");
}
is($w1->safe_psql('postgres', 'SELECT DISTINCT node FROM windtrap.status'), 'w1', 'windtrap.status names the node');

for my $at (qw(c w1))
{
	is(send_one($at, "refused at $at", bad => 1), 422, "$at: what a constraint forbids is refused, also alone");
	is(count_of("refused at $at"), 0, "$at: and not there");
	my $answer = send_body($at, map { { name => "mixed at $at", ($_ == 3 ? (bad => 1) : ()) } } 1 .. 5);
	is($answer->{status}, 200, "$at: one among others");
	is(json_of($answer)->{accepted}, 4, "$at: costs itself");
	is(count_of("mixed at $at"), 4, "$at: and the others are there");
}

# What rows are distributed by is the table's own matter, and so is that it has a value.
query('CREATE TABLE keyless (LIKE log INCLUDING CONSTRAINTS)');
query(q{SELECT create_distributed_table('keyless', 'shop')});
alter_system($c, 'windtrap."table"' => 'keyless');
ok(wait_for(sub { send_one('c', 'keyless') == 503 }), 'an event without a value for the key is to be sent again');
is(send_body('c', { name => 'keyless', bad => 1 }, { name => 'keyless' })->{status}, 503, 'and so is a body');
alter_system($c, 'windtrap."table"' => undef);
ok(wait_for(sub { send_one('c', 'keyed') == 200 }), 'and passes where it has one');

# Keys are each collector's own.
{
	my $send = sub { my ($at, $key) = @_; return post_json($port{$at}, { name => "key $key" }, headers => { 'Idempotency-Key' => $key })->{status} };
	is($send->('w1', 'same'), 200, "an event with a key") for 1 .. 2;
	is(count_of('key same'), 1, 'sent again to the same collector it is stored once');
	is($send->($_, 'other'), 200, "$_: one with a key") for qw(c w1);
	is(count_of('key other'), 2, 'sent again to another one it is stored once more');
}

#
# A node that is down
#
{
	my %codes;
	$w2->stop('fast');
	for my $i (1 .. 40)
	{
		my $at = $i % 2 ? 'c' : 'w1';
		my $status = send_body($at, map { { name => "down $i", n => $_ } } 1 .. 50)->{status};
		push @{ $codes{$status} }, $i;
	}
	$w2->start;
	ok($codes{200} && $codes{503}, 'bodies for it are to be sent again, others are stored')
	  or diag explain { map { $_ => scalar @{ $codes{$_} } } keys %codes };
	is(join(' ', sort keys %codes), '200 503', 'and nothing else is answered');
	query('SELECT recover_prepared_transactions()');
	is( query(q{SELECT string_agg(n || ' ' || count, ',' ORDER BY n) FROM (
			SELECT split_part(data->'json'->>'name', ' ', 2)::int AS n, count(*) FROM log
			WHERE data->'json'->>'name' LIKE 'down %' GROUP BY 1) AS stored}),
		join(',', map { "$_ 50" } @{ $codes{200} }),
		'those are there, each with all of its events, and no others');
	ok(ready($port{w2}), 'it collects again');
}

#
# What is new
#
{
	is(look($_, $node{$_}), '', "$_: a look begins") for qw(c w1);
	my $stream = open_stream($page{w1}, 'tail', q => 'tailed');
	is($stream->head->{status}, 200, 'the page of a node begins to');
	# Its first look is that from which on something is new.
	ok(defined $stream->line, 'and is told from where on');
	is(send_one($_, "tailed-$_"), 200, "$_: an event") for qw(c w1 w2);
	is(look($_, $node{$_}), 'tailed-c tailed-w1 tailed-w2', "$_: what came anywhere is new") for qw(c w1);
	is(look($_, $node{$_}), '', "$_: once") for qw(c w1);
	my @shown;
	wait_for(sub { my $line = $stream->line(1); push @shown, $line->{event}{data}{json}{name} if $line && $line->{event}; @shown == 3 });
	is(join(' ', sort @shown), 'tailed-c tailed-w1 tailed-w2', 'the page shows them, live');
	$stream->close;

	# Committed later than what began later, on all shards.
	my $late = $w1->background_psql('postgres');
	$late->query_safe(q{BEGIN; INSERT INTO log SELECT now(), jsonb_build_object('id', n::text, 'json', jsonb_build_object('name', 'late' || n)), 0, n FROM generate_series(1, 9) n});
	is(send_one('c', 'early'), 200, 'an event while a transaction is open');
	is(look($_, $node{$_}), 'early', "$_: is new, and not that transaction's") for qw(c w1);
	$late->query_safe('COMMIT');
	$late->quit;
	is(look($_, $node{$_}), join(' ', map { "late$_" } 1 .. 9), "$_: which are when it is committed") for qw(c w1);
	query(q{UPDATE log SET status = 1 WHERE data->'json'->>'name' IN ('at c', 'at w1', 'at w2')});
	is(look($_, $node{$_}), '', "$_: an event that is changed is not new") for qw(c w1);

	my $after = query('SELECT cursor FROM windtrap.tail()');
	my $error = sub { my ($server, $sql) = @_; return ($server->psql('postgres', $sql))[2] };
	like($error->($c, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT * FROM windtrap.tail('', '$after')"), qr/Use the isolation level READ COMMITTED/, 'not in a transaction that sees nothing new');
	like($error->($c, "SELECT * FROM windtrap.tail('', 't1.1.1.1.1')"), qr/before Citus distributed "log"/, 'nor from a cursor of one server');
	like($error->($c, "SELECT * FROM windtrap.tail('', '$_')"), qr/is no cursor of windtrap\.tail\(\)/, "no cursor: $_") for 'n', 'n2', 'n1_', 'n1_0', 'n1_x_t1.1.1.1.1', 'n1_0_t1';
	query('CREATE ROLE reader LOGIN; CREATE ROLE nobody LOGIN; GRANT SELECT ON log TO reader');
	is(send_one('c', 'for readers'), 200, 'an event');
	is(query("SET ROLE reader; SELECT string_agg(message, ' ') FROM (SELECT data->'json'->>'name' AS message FROM windtrap.tail('', '$after')) AS t"), 'for readers', 'with the rights of who asks');
	like($error->($c, "SET ROLE nobody; SELECT * FROM windtrap.tail('', '$after')"), qr/permission denied/, 'and no others');
	delete @cursor{qw(c w1)};

	query(q{CREATE TABLE everywhere (LIKE log); SELECT create_reference_table('everywhere')});
	alter_system($c, 'windtrap."table"' => 'everywhere');
	ok(wait_for(sub { $error->($c, 'SELECT * FROM windtrap.tail()') =~ /are kept by several nodes/ }), 'nor of rows that all nodes have');
	alter_system($c, 'windtrap."table"' => undef);
	ok(wait_for(sub { send_one('c', 'as before') == 200 }), 'the table is as before');
	query('DROP TABLE everywhere');
}

#
# A ledger, and nodes that are killed
#
{
	my %seen;
	ok(wait_for(sub { try_look('ledger', $c); $cursor{ledger} }), 'somebody looks at what is new');
	# Waits for so many more events, and looks all the while.
	my $more = sub {
		my ($load, $n, $seconds) = @_;
		my $enough = ($load->codes->{200} // 0) + $n;
		return wait_for(sub { $seen{$_}++ for try_look('ledger', $c); ($load->codes->{200} // 0) >= $enough }, $seconds // 20);
	};
	my %load = map { $_ => start_load($port{$_}, connections => 4, pause => 0.002) } qw(c w1);

	for my $at (qw(c w1))
	{
		ok($more->($load{$at}, 100), "$at: under load");
	}
	for my $round (1 .. 2)
	{
		kill_server($w2, $port{w2}, "round $round", 60);
		for my $at (qw(c w1))
		{
			ok($more->($load{$at}, 100, 60), "round $round, $at: the load goes on");
		}
	}
	my %codes;
	for my $at (qw(c w1))
	{
		$codes{$at} = $load{$at}->stop;
	}
	$_->safe_psql('postgres', 'SELECT recover_prepared_transactions()') for $c, $w1;
	is($_->safe_psql('postgres', 'SELECT count(*) FROM pg_prepared_xacts'), 0, 'nothing is undecided') for $w1, $w2;
	for my $at (qw(c w1))
	{
		note "$at: " . join ', ', map { "$codes{$at}{$_} x $_" } sort keys %{ $codes{$at} };
		is($load{$at}->audit($c), $load{$at}->nothing_wrong,
			"$at: what was acknowledged is there once, and nothing else");
	}
	# What was decided last is committed on its nodes by now.
	ok(wait_for(sub { my $before = keys %seen; $seen{$_}++ for try_look('ledger', $c); keys %seen == $before }), 'who looked has seen all');
	my @stored = split /\n/, query(q{SELECT data->'json'->>'id' FROM log WHERE data->'json'->>'id' LIKE 'load%'});
	is(scalar(grep { $seen{$_} > 1 } keys %seen), 0, 'of ' . @stored . ', none twice');
	is(scalar(grep { !$seen{$_} } @stored), 0, 'each once');
	is(scalar(keys %seen), scalar @stored, 'and nothing else');
}

#
# Reading
#
for my $server ($c, $w1)
{
	my $name = $server->name;
	is($server->safe_psql('postgres', q{SELECT count(*) FROM windtrap.events WHERE data->'json'->>'name' = 'at w2'}),
		1, "$name: windtrap.events shows what is on any node");
	like($server->safe_psql('postgres', q{EXPLAIN SELECT app, count(*) FROM windtrap.events WHERE severity = 'error' GROUP BY app}),
		qr/Filter: \(windtrap\.severity\(data\) = 'error'/, "$name: whose shards do the work");
	is($server->safe_psql('postgres', q{SELECT count(*) FROM windtrap.search('keyed')}), 1, "$name: searches find it");
	is($server->safe_psql('postgres', q{SELECT sum(count) FROM windtrap.histogram('keyed')}), 1, "$name: and count it");
}

#
# Partitions
#
sub partition
{
	my ($days) = @_;
	return query(<<"SQL");
SELECT coalesce(max(partition::text), '') FROM windtrap.partitions
WHERE from_time = date_trunc('day', now(), 'UTC') + $days * interval '24 hours'
SQL
}

{
	my $tomorrow = partition(1);
	is(query(q{SELECT count(*) FROM windtrap.partitions WHERE not_sealable LIKE 'it is distributed by Citus%'}),
		query('SELECT count(*) FROM windtrap.partitions'), 'none can be sealed, and the view says why');
	my ($rc, $out, $err) = $c->psql('postgres', "SELECT windtrap.seal('$tomorrow')");
	like($err, qr/cannot be sealed: it is distributed by Citus/, 'nor by hand');
	($rc, $out, $err) = $w1->psql('postgres', 'SELECT * FROM windtrap.upkeep()');
	is($out, '', 'a worker does nothing to them');
	like($err, qr/the coordinator of Citus looks after it/, 'and says so');

	# What comes while a day has no partition.
	query("DROP TABLE $tomorrow");
	query(q{INSERT INTO log SELECT now() + interval '24 hours', '{"json":{"name":"tomorrow"}}' FROM generate_series(1, 100)});
	query(q{INSERT INTO log SELECT now() - interval '72 hours', '{"json":{"name":"old"}}' FROM generate_series(1, 100)});
	is(query('SELECT count(*) FROM log_default'), 200, 'rows without a partition');
	reload($c);
	ok(wait_for(sub { query('SELECT count(*) FROM log_default') == 0 }, 60), 'get one');
	is(count_of('tomorrow') + count_of('old'), 200, 'and all of them are there');
	is($w1->safe_psql('postgres', "SELECT to_regclass('" . partition(1) . "') IS NOT NULL"), 't', 'on all nodes');
}

# Days go by.
{
	my $gone = partition(0);
	my $old = partition(-3);
	alter_system($c, 'windtrap.retention' => '2 days', 'windtrap.retention_size' => '10GB');
	ok(wait_for(sub { query("SELECT to_regclass('$old') IS NULL") eq 't' }, 60), 'what is old is dropped');
	is(count_of('old'), 0, 'with its rows');
	ok(count_of('at c') == 1, 'and nothing else');
	shift_clock(86400);
	reload($c);
	ok(wait_for(sub { partition(7) ne '' }, 60), 'a day later there is a partition for another one');
	is(send_one($_, "next day at $_"), 200, "$_: events come in") for qw(c w1);
	is(query(q{SELECT count(*) FROM log_default}), 0, 'into partitions');

	# A clock that nothing confirms lets nothing go that has rows, however empty its shell is.
	shift_clock(30 * 86400);
	reload($c);
	ok(wait_for(sub { query(q{SELECT last_error FROM windtrap.status WHERE kind = 'upkeep'}) =~ /jumped ahead/ }, 60),
		'a clock that jumps ahead is not believed');
	is(query("SELECT to_regclass('$gone') IS NOT NULL"), 't', 'and nothing is dropped');
	is(count_of('at c'), 1, 'that has rows');
}

$_->stop('fast') for values %node;
done_testing();

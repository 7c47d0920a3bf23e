# The outbox: what happens when it is full, what it is when there is no log table, that there
# has to be some destination, and that a dump carries it.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Test::More;
use Time::HiRes qw(sleep time);

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Forward;
use WindTrap;

my $node = wt_node('outbox');
my $port = wt_port($node);

sub query { return $node->safe_psql('postgres', $_[0]); }

# About 100 kB that cannot be compressed by much.
sub put_large
{
	my ($name) = @_;
	return post($port, join('', map { my $n = $_; my $noise = join '', map { chr(33 + int rand 58) } 1 .. 1000; $noise =~ s/["\\]/x/g; qq({"id":"$name-$n","noise":"$noise"}\n) } 1 .. 100),
		type => 'application/x-ndjson');
}

#
# Full: refuse
#
ok(forward_to($node, 'late'), 'a target that is not there yet');
alter_system($node, 'windtrap.outbox_max_size' => '1MB');
my @taken;
{
	my $refused;
	for my $i (1 .. 40)
	{
		my $answer = put_large("full$i");
		if ($answer->{status} == 200)
		{
			push @taken, "full$i";
			next;
		}
		$refused = $answer;
		last;
	}
	cmp_ok(scalar @taken, '>=', 9, 'about a megabyte is taken');
	cmp_ok(scalar @taken, '<=', 25, 'and not much more');
	is($refused->{status}, 503, 'then new events are refused');
	ok($refused->{headers}{'retry-after'}, 'for now');
	like($refused->{content}, qr/the outbox is full.*windtrap\.outbox_max_size, 1 MB/, 'the answer says why');
	is(http($port, 'GET', '/health')->{status}, 503, '/health says so too');
	like(query(q{SELECT last_error FROM windtrap.status WHERE kind = 'worker'}), qr/the outbox is full/, 'and windtrap.status');
	is(query('SELECT count(*) FROM log'), 100 * @taken, 'what was refused is not in the log table');
	local_target($node, 'late');
	reload($node);
	ok(drained($node), 'when the target takes them, the outbox is emptied');
	ok(wait_for(sub { event($port, 'fresh') == 200 }), 'and new events are taken');
	ok(wait_for(sub { http($port, 'GET', '/health')->{status} == 200 }), 'all is well');
	ok(drained($node), 'all is forwarded');
	is(query('SELECT count(*) FROM late'), 100 * @taken + 1, 'to the last');
}

#
# Full: drop
#
{
	my $mark = log_mark($node);
	query('DROP TABLE late');
	alter_system($node, 'windtrap.outbox_full' => 'drop_oldest');
	my @codes = map { put_large("drop$_")->{status} } 1 .. 40;
	is(join(' ', grep { $_ != 200 } @codes), '', 'drop_oldest: everything is taken');
	cmp_ok(query('SELECT sum(bytes) FROM windtrap.outbox'), '<', 1.3 * 1024 * 1024, 'drop_oldest: the outbox does not grow');
	like(log_since($node, $mark), qr/the outbox is full: dropped its oldest \d+ events/, 'drop_oldest: the log says so');
	cmp_ok(count_in_log($node, qr/the outbox is full: dropped/, $mark), '<=', 2, 'drop_oldest: but not all the time');
	my ($dropped) = http($port, 'GET', '/metrics')->{content} =~ /^windtrap_outbox_dropped_events_total (\d+)$/m;
	cmp_ok($dropped, '>=', 1000, 'drop_oldest: they are counted');
	local_target($node, 'late');
	reload($node);
	ok(drained($node), 'drop_oldest: the rest is forwarded');
	is(query('SELECT count(*) FROM late'), 4000 - $dropped, 'drop_oldest: which is what was not dropped');
	is(query(q{SELECT count(*) FROM late WHERE data->'json'->>'id' LIKE 'drop40-%'}), 100, 'drop_oldest: the newest');
	is(query(q{SELECT count(*) FROM late WHERE data->'json'->>'id' LIKE 'drop1-%'}), 0, 'drop_oldest: not the oldest');
	is(query(q{SELECT count(*) FROM log WHERE data->'json'->>'id' LIKE 'drop%'}), 4000, 'drop_oldest: the log table has them all');
	alter_system($node, 'windtrap.outbox_full' => undef, 'windtrap.outbox_max_size' => undef);
}

#
# Without the log table
#
{
	my $before = query('SELECT count(*) FROM log');
	alter_system($node, 'windtrap.postgres' => 'off');
	ok(wait_for(sub { event($port, 'off'); query('SELECT count(*) FROM log') eq $before || do { $before = query('SELECT count(*) FROM log'); 0 } }),
		'postgres = off');
	$before = query('SELECT count(*) FROM log');
	my $load = start_load($port);
	ok($load->wait_for_more(500), 'postgres = off: under load');
	kill_group($node);
	$node->start;
	ok(ready($port, 10), 'postgres = off: the server was killed, and serves again');
	ok($load->wait_for_more(500), 'postgres = off: the load goes on');
	$load->stop;
	ok(drained($node), 'postgres = off: all is forwarded');
	is(audit_target($load, $node, 'late'), $load->nothing_wrong, 'postgres = off: what was acknowledged is in the target, once');
	is(query('SELECT count(*) FROM log'), $before, 'postgres = off: and no row in the log table');

	# Nor is it needed, or made.
	query('DROP TABLE log');
	is(event($port, 'no table'), 200, 'postgres = off: without a log table');
	is(query(q{SELECT to_regclass('log') IS NULL}), 't', 'postgres = off: which is not made');
	is(put_batch($port, 10, 'off'), 200, 'postgres = off: a batch');
	is(post($port, qq({"k":1}\n{"bad\n), type => 'application/x-ndjson')->{status}, 200, 'postgres = off: one with a bad event');
	ok(drained($node), 'postgres = off: all is forwarded');
	is(query('SELECT count(*) FROM late WHERE status = 422'), 1, 'postgres = off: also what is in quarantine');
}

#
# No destination at all
#
{
	my $mark = log_mark($node);
	alter_system($node, 'windtrap.forward_to' => '');
	ok(wait_for(sub { event($port) == 503 }), 'no destination: events are refused');
	my $answer = post($port, '{"to":"nobody"}');
	is($answer->{status}, 503, 'no destination: 503');
	like(json_of($answer)->{error} // '', qr/nowhere to send events to: set windtrap\.postgres = on, name a target in windtrap\.forward_to/, 'no destination: with what to do');
	is(http($port, 'GET', '/health')->{status}, 503, 'no destination: /health says so');
	is(query(q{SELECT state || '|' || (last_error LIKE 'there is nowhere%') FROM windtrap.status WHERE kind = 'worker'}), 'failed|true', 'no destination: windtrap.status too');
	is(count_in_log($node, qr/no events are taken: there is nowhere/, $mark), 1, 'no destination: and the log, once');
	alter_system($node, 'windtrap.postgres' => undef);
	ok(wait_for(sub { event($port, 'again') == 200 }), 'the log table again: events are taken');
	ok(wait_for(sub { query(q{SELECT state FROM windtrap.status WHERE kind = 'worker'}) eq 'listening' }), 'the log table again: state listening');
	is(http($port, 'GET', '/health')->{status}, 200, 'the log table again: /health says so');
	is(query(q{SELECT count(*) FROM log WHERE data->'json'->>'id' = 'again'}), 1, 'the log table again: which was made');
	is(query('SELECT count(*) FROM windtrap.outbox'), 0, 'and the outbox is not used');
}

#
# A dump carries what is not delivered yet
#
{
	ok(forward_to($node, 'public.late', 'absent'), 'one target of two is absent');
	is(put_batch($port, 30, 'dump'), 200, 'a batch');
	is(put_batch($port, 12, 'dump'), 200, 'and another');
	ok(drained($node, 'public.late'), 'the other one has them');
	query(q{INSERT INTO windtrap.dead_letter VALUES ('public.absent', 'an id', now(), '{"id": "an id"}', 0, 'refused', 3)});
	my $dump = $node->basedir . '/dump.sql';
	command('pg_dump', '-d', $node->connstr('postgres'), '-f', $dump);
	query('CREATE DATABASE restored TEMPLATE template0');
	command('psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('restored'), '-f', $dump);
	is($node->safe_psql('restored', 'SELECT count(*), sum(n_events), min(id) FROM windtrap.outbox'), '2|42|1',
		'restored: the batches are there, numbered anew');
	is($node->safe_psql('restored', 'SELECT count(*) FROM windtrap.dead_letter'), 1, 'restored: the dead letters too');
	$node->safe_psql('restored', 'CREATE TABLE absent (id text PRIMARY KEY, data jsonb)');
	alter_system($node, 'windtrap.database' => 'restored');
	ok(wait_for(sub { $node->safe_psql('restored', 'SELECT count(*) FROM absent') eq '42' }), 'restored: what was missing is delivered');
	ok(wait_for(sub { $node->safe_psql('restored', 'SELECT count(*) FROM windtrap.outbox') eq '0' }), 'restored: the outbox is empty then');
	is($node->safe_psql('restored', 'SELECT count(*), count(DISTINCT id) FROM late'),
		$node->safe_psql('postgres', 'SELECT count(*), count(DISTINCT id) FROM late'),
		'restored: what a target had, it has not twice');
	alter_system($node, 'windtrap.database' => undef);
	ok(wait_for(sub { event($port, 'home') == 200 && query(q{SELECT count(*) FROM log WHERE data->'json'->>'id' = 'home'}) ne '0' }), 'back in its own database');
}

# DROP EXTENSION takes the outbox along; CREATE EXTENSION begins with an empty one.
{
	query('DROP EXTENSION windtrap');
	ok(wait_for(sub { event($port) == 503 }), 'the extension is dropped');
	query('CREATE EXTENSION windtrap');
	ok(ready($port), 'and is there again');
	is(event($port, 'anew'), 200, 'an event');
	ok(drained($node, 'public.late'), 'is forwarded');
	is(query(q{SELECT count(*) FROM late WHERE data->'json'->>'id' = 'anew'}), 1, 'to the target that is there');
}

unlike(log_since($node), qr/terminated by signal (?!9)|PANIC|TRAP/, 'nothing has crashed');
$node->stop;
done_testing();

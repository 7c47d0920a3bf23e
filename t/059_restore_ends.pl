# When a restore is over, where nobody says so: a session that has been idle for a minute has
# other things to do, and a table that took the log's place is kept up after two minutes.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Test::More;
use Time::HiRes qw(sleep);

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use WindTrap;
use Clock;

movable_clock();
my $node = wt_node('ends', create => 0);
my $port = wt_port($node);

sub query { return $node->safe_psql('postgres', $_[0]); }

# A session that lasts, with what it is called.
sub session
{
	my ($name, $sql) = @_;
	my %s = (in => '', out => '', err => '');

	$s{run} = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres') . " application_name=$name" ],
		'<', \$s{in}, '>', \$s{out}, '2>', \$s{err});
	$s{in} = "$sql\n\\echo done\n";
	ok(wait_for(sub { $s{run}->pump_nb; $s{out} =~ /done/ }), "a session: $sql") or diag $s{err};
	return \%s;
}

sub ask
{
	my ($s, $sql) = @_;

	$s->{out} = '';
	$s->{in} .= "$sql\n\\echo done\n";
	return wait_for(sub { $s->{run}->pump_nb; $s->{out} =~ /done/ });
}

sub end
{
	my ($s) = @_;

	$s->{in} .= "\\q\n";
	$s->{run}->finish;
	return;
}

sub is_restored
{
	my ($name) = @_;
	my $answer = post_json($port, { id => $name });
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	is($answer->{status}, 503, "$name: an event is to be sent again");
	like($answer->{content}, qr/is being restored/, "$name: with the reason");
	return;
}

#
# A session that has made the extension as a script of pg_dump's does
#
my $restore = session('psql', 'SET row_security = off; CREATE EXTENSION windtrap;');
ok(wait_for(sub { http($port, 'GET', '/health')->{content} =~ /is being restored/ }), '/health says that the database is being restored');
is_restored('at once');
shift_clock(50);
is_restored('idle for 50 s');
ok(ask($restore, 'SELECT 1'), 'it goes on');
shift_clock(100);
is_restored('50 s after that');
shift_clock(-10 * 365 * 86400);
is_restored('the clock is set back');
shift_clock(100);
is_restored('and is right again');
shift_clock(170);
ok(wait_for(sub { event($port, 'idle') == 200 }), 'idle for over a minute: events are taken');
is(query(q{SELECT count(*) FROM pg_stat_activity WHERE application_name = 'psql' AND state = 'idle'}), 1, 'the session is still there');
ok(wait_for(sub { http($port, 'GET', '/health')->{status} == 200 }), '/health is well');
ok(ask($restore, 'CREATE TABLE anything (i int);'), 'it does something else');
is(event($port, 'else'), 200, 'and keeps nobody out');
end($restore);

# One in the middle of a transaction is not idle, however long it takes.
query('DROP EXTENSION windtrap CASCADE; DROP TABLE log');
$restore = session('psql', 'SET row_security = off; CREATE EXTENSION windtrap; BEGIN; SELECT 1;');
shift_clock(1000);
is_restored('idle in a transaction for minutes');
ask($restore, 'COMMIT;');
end($restore);
ok(wait_for(sub { event($port, 'ended') == 200 }), 'it ends: events are taken');

#
# One that is called as pg_restore's are
#
query('SELECT windtrap.stop(); DROP TABLE log');
$restore = session('pg_restore', 'SELECT 1;');
query('SELECT windtrap.start()');
is_restored('pg_restore');
shift_clock(1050);
is_restored('pg_restore, idle for 50 s');
shift_clock(1070);
ok(wait_for(sub { event($port, 'named') == 200 }), 'pg_restore, idle for over a minute: events are taken');
# The next restore begins at once, by psql, and what it makes has nothing to do with the first.
another_table();
ok(next_round(), 'a round');
is(n_partitions(), 1, 'a table that has come after a restore is left alone');
query('DROP TABLE log');
ok(wait_for(sub { event($port, 'made') == 200 }), 'the collector makes one');
end($restore);

#
# A table that takes the place of the log: its partitions may be on their way
#
sub another_table
{
	query(<<'SQL');
BEGIN;
DROP TABLE log;
CREATE TABLE log (event_timestamp timestamptz NOT NULL, data jsonb NOT NULL, status int NOT NULL DEFAULT 0) PARTITION BY RANGE (event_timestamp);
CREATE TABLE log_default PARTITION OF log DEFAULT;
COMMIT;
SQL
	return;
}

sub n_partitions { return query(q{SELECT count(*) FROM pg_partition_tree('log') WHERE level > 0}); }

sub next_round
{
	my $since = q{SELECT since FROM windtrap.status WHERE kind = 'upkeep'};
	my $before = query($since);

	reload($node);
	return wait_for(sub { query($since) ne $before });
}

ok(next_round(), 'a round');
cmp_ok(n_partitions(), '>=', 9, 'what the collector has made is kept up');
another_table();
is(event($port, 'new'), 200, 'another table: events are taken');
ok(next_round(), 'a round');
is(n_partitions(), 1, 'it is left alone');
shift_clock(1070, 90);
ok(next_round(), 'a round a minute and a half later');
is(n_partitions(), 1, 'it is left alone');
is(event($port, 'newer'), 200, 'events are taken');
shift_clock(1070, 121);
ok(next_round(), 'a round after two minutes');
ok(wait_for(sub { n_partitions() >= 9 }), 'it is kept up');
is(query(q{SELECT string_agg(data->'json'->>'id', ' ' ORDER BY event_timestamp) FROM log}), 'new newer', 'all events are there');
is(query(q{SELECT count(*) FROM log_default}), 0, 'and have been moved');

# Without a default partition too: there is no place until then, and somebody who sees to it.
query(<<'SQL');
BEGIN;
DROP TABLE log;
CREATE TABLE log (event_timestamp timestamptz NOT NULL, data jsonb NOT NULL, status int NOT NULL DEFAULT 0) PARTITION BY RANGE (event_timestamp);
COMMIT;
SQL
is(event($port, 'homeless'), 503, 'a table without partitions: an event is to be sent again');
ok(next_round(), 'a round');
is(n_partitions(), 0, 'it is left alone');
query('SELECT windtrap.upkeep()');
is(event($port, 'at home'), 200, 'by hand it is kept up at once');

unlike(log_since($node), qr/terminated by signal|PANIC/, 'nothing has crashed');
$node->stop;
done_testing();

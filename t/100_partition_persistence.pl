# A partition that is made unlogged while events come in: nothing is acknowledged that a crash
# would take away.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use IPC::Run;
use Test::More;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use WindTrap;

my $node = wt_node('partitions');
my $port = wt_port($node);

sub query { return $node->safe_psql('postgres', $_[0]); }

sub refused
{
	my ($name) = @_;
	my $answer = post_json($port, { id => $name });

	is($answer->{status}, 503, "$name: 503");
	like(json_of($answer)->{error}, qr/the partition "log_\w+" is not durable/, "$name: says why");
	is(query("SELECT count(*) FROM log WHERE data->'json'->>'id' = '$name'"), 0, "$name: nothing is stored");
	return;
}

is(event($port), 200, 'an event');
my $partition = query('SELECT DISTINCT tableoid::regclass FROM log');
like($partition, qr/^log_\d+$/, 'it is in a partition of a day');

query("ALTER TABLE $partition SET UNLOGGED");
refused('unlogged');
query("ALTER TABLE $partition SET LOGGED");
is(event($port), 200, 'logged: events are taken');

# One that is not written to counts too: the next event may go there.
query('ALTER TABLE log_default SET UNLOGGED');
refused('another one');
query('ALTER TABLE log_default SET LOGGED');
is(event($port), 200, 'logged again');

# What has waited for the partition's lock meets another partition than it has looked at.
my ($out, $err) = ('', '');
my $psql = IPC::Run::start(
	[ 'psql', '-qXAt', '-d', $node->connstr('postgres'), '-c', 'BEGIN', '-c', "ALTER TABLE $partition SET UNLOGGED", '-c', 'SELECT pg_sleep(0.7)', '-c', 'COMMIT' ],
	'<', '/dev/null', '>', \$out, '2>', \$err);
ok( wait_for(
		sub {
			query("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") == 1;
		}),
	'a session is making it unlogged');
refused('meanwhile');
ok($psql->finish, 'it has been made unlogged') or diag $err;
query("ALTER TABLE $partition SET LOGGED");
is(event($port), 200, 'and logged');

# A vacuum is no change.
query("VACUUM ANALYZE");
is(event($port), 200, 'after a vacuum');

done_testing();

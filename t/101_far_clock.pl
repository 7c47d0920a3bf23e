# A clock that shows a time that nobody means: events are taken, and say the time it shows.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Test::More;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use WindTrap;
use Clock;

movable_clock();
my $node = wt_node('clock');
my $port = wt_port($node);

sub query { return $node->safe_psql('postgres', $_[0]); }

for my $second (-100_000, 0, 946_684_700, 32_503_680_000, 253_402_300_000)
{
	set_clock($second);
	# What waits may do so by the time that was, so a try or two are allowed.
	ok(wait_for(sub { event($port, "at $second") == 200 }), "$second s after 1970 an event is taken");
	is( query(qq{SELECT DISTINCT (data->>'time')::timestamptz = event_timestamp, abs(extract(epoch FROM event_timestamp) - $second) < 60
			FROM log WHERE data->'json'->>'id' = 'at $second'}),
		't|t', 'with the time that the clock shows');
}
shift_clock(0);
ok(wait_for(sub { event($port, 'now') == 200 }), 'and when it is right again');
is(query(q{SELECT count(*), count(DISTINCT data->>'id') FROM log}), '6|6', 'all are there, each with an id of its own');
is(count_in_log($node, 'terminated by signal|PANIC'), 0, 'nothing crashes');

done_testing();

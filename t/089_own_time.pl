# The event's own time on the native endpoint, and batches that senders wrap.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Test::More;
use Time::HiRes qw(time);

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Protocol;
use WindTrap;

my $node = wt_node('own_time');
my $port = wt_port($node);

sub clear { return $node->safe_psql('postgres', 'TRUNCATE log'); }
sub own_times { return [ map { $_->{time} } rows($node) ]; }

my $day = 86400 * 1_000_000;
my $base = 1795687200123456;    # 2026-11-26 10:00:00.123456 UTC
$base -= $day while $base > time * 1e6;

# Forms of a time, each with what is expected, in µs after the base.
my $seconds = int($base / 1_000_000);
for ([ sprintf('"%d.%06d"', $seconds, $base % 1_000_000), 'seconds as text' ], [ $base, 'microseconds' ], [ "${base}789", 'nanoseconds' ], [ qq("${base}789"), 'nanoseconds as text' ],
	[ "$seconds.123456789", 'seconds with a long fraction' ])
{
	my ($sent, $name) = @$_;
	clear();
	is(post($port, qq({"ts":$sent,"m":1}), path => '/log?time_field=ts')->{content}, qq({"accepted":1}\n), $name);
	is_deeply(own_times(), [$base], 'to the microsecond');
}

# Where it stands.
for ([ 'log.time', qq({"log":{"time":$base}}) ], [ 'log.time', qq({"log.time":$base,"log":{"time":1}}) ], [ 'a.b.c', qq({"a.b":{"c":$base}}) ], [ '%40timestamp', qq({"\@timestamp":$base}) ])
{
	my ($field, $event) = @$_;
	clear();
	post($port, $event, path => "/log?x=1&time_field=$field");
	is_deeply(own_times(), [$base], "$field of $event");
}
clear();
post($port, qq({"m":1}\n{"ts":"yesterday"}\n{"ts":$base}\n), type => 'application/x-ndjson', path => '/log?time_field=ts');
my @rows = rows($node);
is($rows[0]{data}{note}, 'the event has no ts to be its time', 'where it is missing, that is noted');
is($rows[1]{data}{note}, "the event's own time cannot be read: yesterday", 'where it is none, too');
is($rows[2]{time} . ($rows[2]{data}{note} // ''), $base, 'and costs its neighbours nothing');
ok(abs($rows[0]{time} / 1e6 - time) < 60, 'the time at which it came is taken');

# Old files: days that have no partition.
clear();
my @old = map { $base - $_ * $day } 40, 400, 4000;
post($port, join("\n", map {qq({"ts":$_})} @old), type => 'application/x-ndjson', path => '/log?time_field=ts');
is_deeply([ sort @{ own_times() } ], [ sort @old ], 'days of long ago are stored');
is(count_of($node, 'true'), 3, 'all of them');

# {"logs":[…]}
clear();
is(post($port, '{"logs":[{"a":1},{"a":2}]}')->{content}, qq({"accepted":2}\n), 'logs in an object are a batch');
is(post($port, qq( {\n"logs" : [ {"a":"]}"} ] }\n))->{content}, qq({"accepted":1}\n), 'with blanks');
is_deeply([ map { $_->{data}{json}{a} } rows($node) ], [ 1, 2, ']}' ], 'their events are stored');
for ('{"logs":[]}', '{"logs":[1]}', '{"logs":[{"a":1}],"x":1}', '{"logs":[{"a":1}],"x":[1]}', '{"logs":{"a":1}}', '{"x":1,"logs":[{"a":1}]}')
{
	clear();
	is(post($port, $_)->{content}, qq({"accepted":1}\n), "$_ is one event");
}
is(post($port, '{"logs":[{"a":1},{"a":]}')->{status}, 400, 'one that is cut is bad JSON');
clear();
my $long = 'x' x 600_000;
is(post($port, qq({"logs":[{"a":"$long"},{"a":"$long"}]}))->{content}, qq({"accepted":2}\n), 'together they may be longer than an event');

done_testing();

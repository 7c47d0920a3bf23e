# GELF over HTTP, and what all protocols have in common: tokens, probes, the event's own time.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Encode qw(encode_utf8);
use JSON::PP ();
use Test::More;
use Time::HiRes qw(time);

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Protocol;
use WindTrap;

my $node = wt_node('gelf');
my $port = wt_port($node);

# Real clients.
for my $name (grep { capture($_) =~ /^POST \/gelf/ } captures(''))
{
	$node->safe_psql('postgres', 'TRUNCATE log');
	is(replay($port, $name)->{status}, 202, "$name is taken");
	my $row = row_of($node);
	is($row->{data}{protocol}, 'gelf', 'it says what it is');
	like($row->{data}{json}{short_message} // '', qr/\S/, 'the event is as it was sent');
	my $own = $row->{data}{json}{timestamp};
	ok(abs($row->{time} - $own * 1e6) <= 1, 'its time is its own') if defined $own;
}

# The event's own time, within reason.
my $now = time;
for ([ 0, 'of now' ], [ -86400 * 400, 'of last year' ])
{
	my ($offset, $name) = @$_;
	$node->safe_psql('postgres', 'TRUNCATE log');
	my $sent = sprintf '%.3f', $now + $offset;
	is(post($port, qq({"short_message":"x","timestamp":$sent}), path => '/gelf')->{status}, 202, "an event $name");
	my $row = row_of($node);
	is($row->{time}, $sent * 1000 . '000', 'it is stored with its own time');
	ok(!exists $row->{data}{note}, 'there is nothing to note');
}
for ([ $now + 86400, qr/lies in the future/, 'of tomorrow' ], [ 1, qr/before the year 2000/, 'of 1970' ],
	[ '"soon"', qr/cannot be read: soon/, 'with a time that is none' ], [ '{}', qr/cannot be read/, 'with an object as its time' ])
{
	my ($sent, $note, $name) = @$_;
	$node->safe_psql('postgres', 'TRUNCATE log');
	is(post($port, qq({"short_message":"x","timestamp":$sent}), path => '/gelf')->{status}, 202, "an event $name");
	my $row = row_of($node);
	ok(abs($row->{time} / 1e6 - time) < 60, 'it is stored with the time at which it came');
	like($row->{data}{note}, $note, 'and says why');
}

# A bad one is kept, beside good ones.
$node->safe_psql('postgres', 'TRUNCATE log');
is(post($port, '{"short_message":', path => '/gelf')->{status}, 202, 'what is no JSON is taken');
is(count_of($node, q(status = 422 AND data->>'raw' = '{"short_message":' AND data->>'protocol' = 'gelf')), 1, 'and in quarantine');
is(post($port, '', path => '/gelf')->{status}, 400, 'an empty body is refused');
is(http($port, 'PUT', '/gelf', body => '{}')->{status}, 405, 'PUT is refused');
is(http($port, 'HEAD', '/gelf')->{status}, 200, 'HEAD says that it is well');

done_testing();

# From the last byte of a request to its answer are 4 s at most: who has given up after 5 s and
# sends again would be stored twice.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Test::More;
use Time::HiRes qw(sleep time);

use Batch;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use WindTrap;

# With room for a machine that does something else.
my $longest = 4.5;

my $node = wt_node('longest_wait', conf => "windtrap.max_inflight = '1MB'\n");
my $port = wt_port($node);

sub query { return $node->safe_psql('postgres', $_[0]); }

# Sends events, so many at once and so long after each other, s; gives the answers, each with
# how long it took.
sub wave
{
	my ($tag, $n, $pause, $body) = @_;
	my @waiting;

	for my $i (1 .. $n)
	{
		push @waiting, in_background(sub {
			my $c = connect_to($port);
			$c->request($body // qq({"t":"$tag","n":$i}));
			my $sent = time;
			my $answer = $c->response(seconds => 20) // { status => 0, headers => {} };
			return { answer => $answer, took => time - $sent };
		});
		sleep $pause if $pause;
	}
	return map { $_->() } @waiting;
}

sub check
{
	my ($name, @sent) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($slowest) = sort { $b <=> $a } map { $_->{took} } @sent;
	my %codes;
	$codes{ $_->{answer}{status} }++ for @sent;

	note sprintf '%s: %.2f s, %s', $name, $slowest, join ', ', map { "$codes{$_} x $_" } sort keys %codes;
	cmp_ok($slowest, '<', $longest, "$name: nobody waits longer");
	is(join(' ', grep { !/^(200|503)$/ } keys %codes), '', "$name: 200 or 503");
	is(scalar(grep { $_->{answer}{status} == 503 && !$_->{answer}{headers}{'retry-after'} } @sent), 0, "$name: 503 says when to try again");
	return \%codes;
}

sub stored { return query(qq{SELECT count(*) FROM log WHERE data->'json'->>'t' = '$_[0]'}); }

is(event($port), 200, 'an event');

# A transaction that does not end, and those that come while it runs.
query(q{CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(60); RETURN NULL; END';
	CREATE TRIGGER slow AFTER INSERT ON log EXECUTE FUNCTION slow()});
my $codes = check('nothing ends', wave('endless', 60, 0.1));
is($codes->{503}, 60, 'nothing ends: all are told so');
is(stored('endless'), 0, 'nothing ends: nothing is stored');

# One that is slow, and more than its share waits behind it.
query(q{CREATE OR REPLACE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(1.5); RETURN NULL; END'});
$codes = check('slow', wave('slow', 60, 0.1));
cmp_ok($codes->{200} // 0, '>', 20, 'slow: many are stored');
is(stored('slow'), $codes->{200}, 'slow: and no others');

# Bodies that wait for each other, and for memory; what is larger may wait in its sender, where
# nobody knows of it.
my $body = lines(600, '"t":"large","s":"' . 'x' x 80 . '"');
$codes = check('large', wave('large', 60, 0.05, $body));
is(stored('large'), 600 * ($codes->{200} // 0), 'large: what is acknowledged is stored, and nothing else');

# A lock on the table.
query('DROP FUNCTION slow CASCADE');
my $session = $node->background_psql('postgres');
$session->query_safe('BEGIN');
$session->query_safe('LOCK TABLE log IN ACCESS EXCLUSIVE MODE');
check('locked', wave('locked', 30, 0.05));
$session->query_safe('ROLLBACK');
$session->quit;
is(stored('locked'), 0, 'locked: nothing is stored');
is(event($port), 200, 'and all is well');

$node->stop;
done_testing();

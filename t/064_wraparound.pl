# A server that has run out of transaction ids takes no event, and refuses none for good: all
# are told to try again until it has been vacuumed.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Test::More;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use WindTrap;

# So many before the ids come round the server stops giving out new ones, and so many are
# left when it is started.
use constant { ROUND => 2**31, STOP => 3_000_000, LEFT => 400 };

my $node = wt_node('wraparound', conf => "autovacuum_naptime = '1s'\n");
my $port = wt_port($node);
my %acknowledged;

sub query { return $node->safe_psql('postgres', $_[0]); }

sub send_event
{
	my ($id) = @_;
	my $answer = post_json($port, { id => $id });

	$acknowledged{$id} = 1 if $answer->{status} == 200;
	return $answer;
}

# A table in a database of its own, frozen last, which nobody gets to vacuum: somebody holds a
# lock on it.  It needs no transaction id to be held.
query('CREATE DATABASE holder');
$node->safe_psql('holder', 'CREATE TABLE held (i int)');
is(send_event("before $_")->{status}, 200) for 1 .. 20;
$node->safe_psql('holder', 'VACUUM FREEZE');
my $frozen = query(q{SELECT datfrozenxid FROM pg_database WHERE datname = 'holder'});
$node->stop;

# The clock of transactions is put forward; what has been committed before stays as it is.
my $next = $frozen + ROUND - STOP - LEFT;
my $segment = sprintf '%s/pg_xact/%04X', $node->data_dir, int($next / (32 * 8192 * 4));
open my $out, '>', $segment or die "$segment: $!";
print $out "\0" x (32 * 8192);
close $out;
command('pg_resetwal', '-x', $next, '-D', $node->data_dir);
$node->start;

my $holder = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('holder') ],
	'<', \my $in, '>', \my $held, '2>', \my $err);
$in = "BEGIN; LOCK TABLE held IN SHARE UPDATE EXCLUSIVE MODE; SELECT 'held';\n";
ok(wait_for(sub { $holder->pump_nb; $held =~ /held/ }), 'somebody holds what is to be vacuumed') or diag $err;

# The others are vacuumed by the server itself; then the ids that are left are used up.
my ($answer, $n) = (undef, 0);
wait_for(sub { query(q{SELECT bool_and(age(datfrozenxid) < 1000000) FROM pg_database WHERE datname <> 'holder'}) eq 't' }, 30);
ok(wait_for(sub { send_event('last ' . $n++)->{status} == 200 }), 'events come in while there are ids');
while ($n < 3 * LEFT)
{
	$answer = send_event('last ' . $n++);
	last if $answer->{status} != 200;
}
is($answer->{status}, 503, 'then it is to be sent again') or diag $answer->{content};
like($answer->{content}, qr/avoid wraparound data loss/, 'with the reason');
is(join(' ', grep { $_ != 503 } map { send_event("refused $_")->{status} } 1 .. 30), '', 'as are those that follow');
$answer = post($port, join("\n", map { qq({"id":"line $_"}) } 1 .. 10), type => 'application/x-ndjson');
is($answer->{status}, 503, 'and batches');
$answer = http($port, 'GET', '/health');
is($answer->{status}, 503, 'so says /health');
like($answer->{content}, qr/avoid wraparound data loss/, 'with the reason');
like(query(q{SELECT string_agg(last_error, ' ') FROM windtrap.status WHERE kind = 'worker'}), qr/wraparound/, 'and windtrap.status');

# What is in the way is removed, and the server helps itself.
$in .= "ROLLBACK;\n\\q\n";
$holder->finish;
ok(wait_for(sub { send_event('after ' . $n++)->{status} == 200 }, 30), 'once it can be vacuumed events are taken again, without a restart');
ok(wait_for(sub { http($port, 'GET', '/health')->{status} == 200 }), 'which /health says');
my %stored;
$stored{$_}++ for split /\n/, query(q{SELECT data->'json'->>'id' FROM log});
is(join(' ', grep { ($stored{$_} // 0) != 1 } sort keys %acknowledged), '', 'all that was acknowledged is there, once');
is(join(' ', grep { !$acknowledged{$_} } sort keys %stored), '', 'nothing else is');
is(query(q{SELECT count(*) FROM windtrap.quarantine}), 0, 'nothing is in quarantine');
unlike(log_since($node), qr/terminated by signal|PANIC/, 'nothing has crashed');

$node->stop;
done_testing();

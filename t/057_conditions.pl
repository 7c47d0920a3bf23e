# Why a worker takes no events: each reason comes and goes by itself, whatever else is
# wrong, and /health says 503 as long as events are answered so, for want of memory too.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Test::More;
use Time::HiRes qw(sleep time);

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use WindTrap;
use Batch;

my $node = wt_node('conditions', conf => <<'CONF');
windtrap.max_body_size = '16MB'
windtrap.max_inflight = '1MB'
windtrap.request_timeout = '20s'
CONF
my $port = wt_port($node);

sub query { return $node->safe_psql('postgres', $_[0]); }

sub health
{
	my $answer = http($port, 'GET', '/health');
	return "$answer->{status} " . (json_of($answer)->{error} // 'well');
}

# What the view says must be the same.
sub status { return query(q{SELECT coalesce(last_error, 'well') FROM windtrap.status WHERE kind = 'worker'}); }

sub shows
{
	my ($code, $pattern, $what, $seconds) = @_;
	ok(wait_for(sub { health() =~ /^$code .*$pattern/ }, $seconds), "$what: /health: $code") or diag health();
	ok(wait_for(sub { status() =~ /$pattern/ }, $seconds), "$what: the status") or diag status();
	return;
}

#
# Two reasons at once
#
my $tokens = 'tokens cannot be read';
my $table = 'has no column "status"';
my @break = ('ALTER TABLE log RENAME COLUMN status TO state', 'ALTER TABLE windtrap.token RENAME COLUMN digest TO digested');
my @mend = ('ALTER TABLE log RENAME COLUMN state TO status', 'ALTER TABLE windtrap.token RENAME COLUMN digested TO digest');

is(event($port), 200, 'all is well');
shows(200, 'well', 'all is well');
# The table's reason is the first in order; the tokens' is behind it, and comes out when that is gone.
query($break[0]);
is(event($port), 503, 'the table refuses');
shows(503, $table, 'the table refuses');
query($break[1]);
ok(wait_for(sub { count_in_log($node, qr/the tokens could not be read/) }), 'the tokens cannot be read either');
shows(503, $table, 'both');
query($mend[0]);
# No event can come: that the table takes some again is found all the same.
shows(503, $tokens, 'the table is mended, the tokens are not');
query($mend[1]);
shows(200, 'well', 'both are mended');
is(event($port), 200, 'events are taken');

query($break[1]);
shows(503, $tokens, 'the tokens cannot be read');
query($mend[1]);
shows(200, 'well', 'they can again');
query($break[0]);
is(event($port), 503, 'the table refuses again');
query($break[1]);
ok(wait_for(sub { count_in_log($node, qr/the tokens could not be read/) == 3 }), 'and so do the tokens');
query($mend[1]);
ok(wait_for(sub { event($port) == 503 && json_of(post_json($port, {}))->{error} =~ /$table/ }), 'these are mended first');
shows(503, $table, 'the table still refuses');
query($mend[0]);
is(event($port), 200, 'an event is stored');
shows(200, 'well', 'it is mended too');

# A place that cannot be listened on, as a third, shuts out nobody who is there.
{
	my $taken = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => 0, Listen => 1);
	my $other = $taken->sockport;
	query($break[0]);
	is(event($port), 503, 'the table refuses once more');
	alter_system($node, 'windtrap.port' => $other);
	ok(wait_for(sub { count_in_log($node, qr/Is another server running on port $other/) }), 'the port cannot be had');
	shows(503, $table, 'the table comes first');
	query($mend[0]);
	is(event($port), 200, 'an event is stored');
	is(health(), '200 well', 'events are taken, where they were');
	like(status(), qr/$other/, 'but not as the settings say, which the status has kept');
	alter_system($node, 'windtrap.port' => $port);
	ok(wait_for(sub { status() eq 'well' }), 'until they say otherwise');
	$taken->close;
}

#
# A reason that is over, and nobody sends, since /health has said so
#
{
	my $session = $node->background_psql('postgres');
	$session->query_safe('BEGIN; LOCK log');
	is(event($port), 503, 'a locked table');
	$session->quit;
	my $first = health();
	like($first, qr/^503 /, 'the last that is known is that events could not be stored');
	ok(wait_for(sub { health() eq '200 well' }), 'it is looked at again without an event');
}

#
# No memory for events
#
my $head = "POST /log HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";

# One large body takes all that there may be, and goes on slowly.
sub fill
{
	my $c = connect_to($port);
	$c->send("${head}Content-Length: 4000000\r\n\r\n" . ' ' x 3_000_000);
	ok(wait_for(sub { query('SELECT bytes_in_flight FROM windtrap.stats') == 3_000_000 }), 'a large body fills the memory');
	is(health(), '200 well', 'nobody has been refused for it');
	return $c;
}

sub refused_beside
{
	my ($c) = @_;
	my $other = connect_to($port);
	my ($answer, $sent) = (undef, 0);
	$other->request('{"n":1}');
	# Only who goes on sending has the memory for himself.
	my $go_on = sub { $c->send(' ' x 10); $sent += 10; };
	wait_for(sub { $go_on->(); $answer = $other->response(seconds => 0.1) });
	is(($answer // { status => 'none' })->{status}, 503, 'an event is refused');
	ok(wait_for(sub { $go_on->(); health() =~ /^503 too many events are waiting/ }), 'so does /health') or diag health();
	ok(wait_for(sub { $go_on->(); status() =~ /^too many events are waiting/ }), 'and the status') or diag status();
	return 3_000_000 + $sent;
}
{
	my $c = fill();
	my $sent = refused_beside($c);
	$c->send(' ' x (4_000_000 - $sent - 2) . '{}');
	is(($c->response // { status => 'none' })->{status}, 200, 'the large one is accepted');
	is(health(), '200 well', 'and all is well');
	ok(wait_for(sub { status() eq 'well' }), 'for the status too');

	$c = fill();
	refused_beside($c);
	$c->close;
	ok(wait_for(sub { health() eq '200 well' }), 'so it is when there is room, without an event');
}

# What the system has no memory for.
SKIP: {
	my ($pid) = worker_pids($node);
	my $has_prlimit = -x '/usr/bin/prlimit';
	skip 'a sanitizer ends a process that has no memory', 1 if $ENV{WT_SANITIZE};
	skip 'there is no prlimit', 1 if !$has_prlimit || $^O ne 'linux';
	my $limit = sub { command('/usr/bin/prlimit', '--pid', $pid, "--as=$_[0]:unlimited") };
	my ($size) = slurp_file("/proc/$pid/status") =~ /^VmSize:\s+(\d+) kB/m;
	my $large = sub { (exchange($port, ' ' x 12_000_000 . '{}') // { status => 'none' })->{status} };

	is($large->(), 200, 'a large body');
	alter_system($node, 'windtrap.max_inflight' => '64MB');
	# What is kept is given back after a while of idleness.
	$limit->($size * 1024 + 3_000_000);
	my @bodies = map { connect_to($port) } 1 .. 4;
	$_->send("${head}Content-Length: 14000000\r\n\r\n" . ' ' x 12_000_000) for @bodies;
	my @refused = grep { (($_->response(seconds => 3)) // { status => 0 })->{status} == 503 } @bodies;
	cmp_ok(scalar @refused, '>', 0, scalar(@refused) . ' large bodies are refused for want of memory');
	like(health(), qr/^503 out of memory/, 'so does /health');
	$limit->('unlimited');
	ok(wait_for(sub { health() eq '200 well' }), 'it is forgotten after a while');
	$_->close for @bodies;
	is(event($port), 200, 'an event is stored');
	is((worker_pids($node))[0], $pid, 'by the same worker');
}

$node->stop;
unlike(log_since($node), qr/terminated by signal|PANIC|TRAP/, 'nothing has crashed');
done_testing();

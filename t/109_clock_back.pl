# The clock is set back by hours while something is to be tried again after a second: it is tried again
# after a second.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use IO::Socket::INET;
use Test::More;
use Time::HiRes qw(sleep time);

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Clock;
use WindTrap;

use constant HOUR => 3600;

movable_clock();
my $node = wt_node('clock', conf => "windtrap.workers = 2\n");
my $port = wt_port($node);
my $back = 0;

sub query { return $node->safe_psql('postgres', $_[0]); }

# Sets it back, each time farther than before.
sub set_back { return shift_clock($back -= 5 * HOUR); }

# Whether events are taken again, soon.
sub soon
{
	my ($name, $condition) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	ok(wait_for($condition, 20), "$name: soon again") or diag query('SELECT * FROM windtrap.status');
	return;
}

#
# A port that somebody else has
#
{
	my $name = 'a port';
	my $other = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 5) or die $!;
	my $wanted = $other->sockport;

	alter_system($node, 'windtrap.port' => $wanted);
	ok(wait_for(sub { query(q{SELECT count(*) FROM windtrap.status WHERE kind = 'worker' AND last_error IS NOT NULL}) > 0 }), "$name: is taken");
	set_back();
	# With the next reload it would be tried at once.
	close $other;
	soon($name, sub { event($wanted) == 200 && query(q{SELECT count(*) FROM windtrap.status WHERE kind = 'worker' AND last_error IS NOT NULL}) eq '0' });
	alter_system($node, 'windtrap.port' => $port);
	ok(wait_for(sub { event($port) == 200 }), "$name: and back");
}
{
	my $name = 'a port of syslog';
	my $other = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 5) or die $!;

	alter_system($node, 'windtrap.syslog_listen' => 'tcp://127.0.0.1:' . $other->sockport);
	ok(wait_for(sub { query(q{SELECT count(*) FROM windtrap.intakes WHERE state = 'failed'}) > 0 }), "$name: is taken");
	set_back();
	close $other;
	soon($name, sub { query(q{SELECT count(*) || ' ' || count(*) FILTER (WHERE state = 'listening') FROM windtrap.intakes}) =~ /^([1-9]) \1$/ });
	alter_system($node, 'windtrap.syslog_listen' => undef);
}

#
# Tokens that cannot be read for a while
#
{
	my $name = 'tokens';
	my $token = query(q{SELECT windtrap.create_token('sender')});
	my $send = sub { return post($port, '{}', headers => { Authorization => "Bearer $token" })->{status} };

	alter_system($node, 'windtrap.auth' => 'token');
	ok(wait_for(sub { event($port) == 401 && $send->() == 200 }), "$name: are needed");
	query('ALTER TABLE windtrap.token RENAME COLUMN scope TO elsewhere');
	ok(wait_for(sub { $send->() == 503 }), "$name: cannot be read");
	set_back();
	query('ALTER TABLE windtrap.token RENAME COLUMN elsewhere TO scope');
	soon($name, sub { $send->() == 200 });
	alter_system($node, 'windtrap.auth' => 'none');
	ok(wait_for(sub { event($port) == 200 }), "$name: are needed no more");
}

#
# Processes that have ended.  The launcher is PostgreSQL's to start again, which goes by the calendar.
#
for my $kind ('worker', 'upkeep')
{
	# Those that end again and again are started after pauses.
	for my $round (1 .. 3)
	{
		my $pids = query("SELECT string_agg(pid::text, ' ' ORDER BY pid) FROM windtrap.status WHERE kind = '$kind'");

		query("SELECT pg_terminate_backend(pid) FROM windtrap.status WHERE kind = '$kind'");
		ok(wait_for(sub { query("SELECT count(*) FROM windtrap.status WHERE kind = '$kind' AND pid = ANY ('{" . $pids =~ tr/ /,/r . "}')") eq '0' }), "$kind, round $round: ends");
		set_back();
		soon("$kind, round $round", sub { query("SELECT count(pid) = count(*) AND count(*) > 0 FROM windtrap.status WHERE kind = '$kind'") eq 't' && event($port) == 200 });
	}
}

#
# A stop that waits for somebody
#
{
	my $name = 'a stop';
	my $half = connect_to($port);
	my $session = $node->background_psql('postgres');

	$half->send("POST /log HTTP/1.1\r\nHost: localhost\r\nContent-Length: 13\r\n\r\n{\"half\"");
	ok(wait_for(sub { query(q{SELECT value FROM windtrap.metrics WHERE name = 'connections'}) > 0 }), "$name: a request in halves");
	my $begun = time;
	$session->query_until(qr/begun/, "\\echo begun\nSELECT windtrap.stop();\n");
	wait_for(sub { query(q{SELECT count(*) FROM windtrap.status WHERE kind = 'worker' AND state = 'stopping'}) > 0 }, 1);
	set_back();
	ok(wait_for(sub { query(q{SELECT count(*) FROM windtrap.status WHERE kind = 'worker' AND pid IS NOT NULL}) eq '0' }, 20), "$name: ends");
	cmp_ok(time - $begun, '<', 15, "$name: soon");
	$session->quit;
	query('SELECT windtrap.start()');
	ok(wait_for(sub { event($port) == 200 }), "$name: and begins again");
}

unlike(log_since($node), qr/PANIC|TRAP/, 'nothing has crashed');
$node->stop;
done_testing();

# The server's clock goes forth and back by up to an hour, again and again, under load, and its time zone changes: events are
# taken all the while, and what is to happen after some seconds does, since timers go by the clock that only goes on.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Fault;

use Test::More;
use Time::HiRes qw(sleep time);

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Clock;
use Forward;
use WindTrap;

my $fault = Fault->new(number => 18, name => 'clock steps of up to an hour, time zones, under load');
my $steps = $fault->length(4, 60);
movable_clock();
my $node = wt_node('steps', conf => "windtrap.workers = 2\nwindtrap.request_timeout = 4s\nwindtrap.upkeep_interval = '2 s'\n");
my $port = wt_port($node);
ok(forward_to($node, local_target($node, 'copy')), 'a target');

sub query { return $node->safe_psql('postgres', $_[0]) }

my $load = start_load($port, connections => 16, pause => 0.02);
ok($load->wait_for_more(200), 'under load');

my ($slowest_408, $fastest_408, $wrong) = (0, 99, '');
for my $n (1 .. $steps)
{
	my $shift = $n <= 2 ? (3600, -3600)[ $n - 1 ] : int between(-3600, 3600);
	my $half = connect_to($port);
	my $never = connect_to($port);
	my $begun = time;

	for my $connection ($half, $never)
	{
		$connection->send("POST /log HTTP/1.1\r\nHost: localhost\r\nContent-Length: 13\r\n\r\n{\"half\"");
	}
	my $first = post_json($port, { keyed => $n }, headers => { 'Idempotency-Key' => "step-$n" })->{status};
	sleep 0.2;
	shift_clock($shift);
	alter_system($node, timezone => pick(qw(UTC Asia/Kathmandu America/St_Johns Pacific/Kiritimati Europe/Berlin Pacific/Pago_Pago)));
	$half->send(':1234}') or $wrong .= "step $n: a request in two halves is cut off\n";
	my $answer = ($half->response // { status => 'none' })->{status};
	$wrong .= "step $n: a request in two halves is answered $answer\n" if $answer ne '200';
	my $again = post_json($port, { keyed => $n }, headers => { 'Idempotency-Key' => "step-$n" })->{status};
	$wrong .= "step $n: with a key $first, then $again\n" if "$first $again" ne '200 200';
	my $health = http($port, 'GET', '/health')->{status};
	$wrong .= "step $n: /health says $health\n" if $health ne '200';
	my $late = ($never->response(seconds => 20) // { status => 'none' })->{status};
	my $took = time - $begun;
	$wrong .= "step $n: one that does not end is answered $late after $took s\n" if $late ne '408';
	$slowest_408 = $took if $took > $slowest_408;
	$fastest_408 = $took if $took < $fastest_408;
	$wrong .= "step $n: the load stands still\n" if !$load->wait_for_more(50);
}
is($wrong, '', "$steps steps: all as without");
cmp_ok($fastest_408, '>=', 3, 'the timer of a request is not early');
my $slowest = $load->slowest;
my $codes = $load->stop;
is(join(' ', sort keys %$codes), '200', 'every event is taken');
my ($missing, $double, $refused) = none_wrong($load, $node);
is(query(q{SELECT count(*) FROM log WHERE data->'json' ? 'keyed'}), $steps, 'what was sent twice with a key is there once');
ok(drained($node), 'all is forwarded');
is(audit_target($load, $node, 'copy'), $load->nothing_wrong, 'the copy has the same');
is(query(q{SELECT count(*) - count(DISTINCT data->>'id') FROM log}), 0, 'no identifier is there twice');
is(query(q{SELECT count(*) FROM log WHERE (data->>'time')::timestamptz <> event_timestamp}), 0, 'times are the same instant in all zones');
unlike(log_since($node), qr/terminated by signal|PANIC|TRAP/, 'nothing has crashed');
$node->stop;
$fault->result(sprintf '%d steps and zones: of %d events that were acknowledged (no other answer) %d missing, %d doubled, here and in a copy; the slowest took %d ms; a request that did not end, of 4 s, was ended after %.1f to %.1f s',
	$steps, $codes->{200}, $missing, $double, $slowest, $fastest_408, $slowest_408);

# A target that hangs or is slow delays nobody: neither ingest, nor other targets, nor a stop.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Test::More;
use Time::HiRes qw(sleep time);

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Forward;
use Ledger;
use WindTrap;

my $node = wt_node('slow');
my $port = wt_port($node);
my $other = PostgreSQL::Test::Cluster->new('central');
$other->init;
$other->start;

sub query { return $node->safe_psql('postgres', $_[0]); }

my $copy = local_target($node, 'copy');
my $remote = remote_target($node, 'central_log', $other);
my $slow = local_target($node, 'slow');
query(q{CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.006); RETURN NEW; END';
	CREATE TRIGGER dawdle BEFORE INSERT ON slow FOR EACH ROW EXECUTE FUNCTION dawdle()});
ok(forward_to($node, $copy, $remote), 'targets');
is(event($port, 'first'), 200, 'an event');
ok(drained($node), 'is forwarded');

{
	freeze_servers($other);
	is(event($port, 'frozen'), 200, 'frozen: events are taken');
	ok(wait_for(sub { query(q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'windtrap forwarder' AND state = 'active' AND wait_event_type = 'Extension'}) ne '0' }),
		'frozen: the forwarder hangs');
	my $load = start_load($port, connections => 16, pause => 0.005);
	ok($load->wait_for_more(1500, 30), 'frozen: under load');
	my $codes = $load->stop;
	is(join(' ', keys %$codes), 200, 'frozen: every event is taken');
	cmp_ok($load->slowest, '<', 2000, 'frozen: none waits for the target');
	ok(drained($node, $copy), 'frozen: another target gets them');
	is(audit_target($load, $node, 'copy'), $load->nothing_wrong, 'frozen: all, once');
	cmp_ok(state_of($node, $remote, 'lag_events'), '>=', 1500, 'frozen: the view tells what is missing, while it hangs');
	like(http($port, 'GET', '/metrics')->{content}, qr/^windtrap_forward_lag_events\{target="public\.central_log"\} \d{4,}$/m, 'frozen: metrics too');
	# Meanwhile one that is slow gets what waits for that one, and then what comes in smaller loads.
	my $largest = sub { return query(qq{SELECT max(n) FROM (SELECT count(*) AS n FROM slow WHERE data->'json'->>'id' $_[0] GROUP BY xmin::text) AS loads}) };
	ok(forward_to($node, $copy, $remote, $slow), 'frozen: a slow target');
	ok(drained($node, $slow), 'slow: it gets what there is');
	cmp_ok($largest->(q{LIKE 'load%'}), '>=', 1000, 'slow: at once');
	is(put_batch($port, 2000, 'slow'), 200, 'slow: a batch');
	ok(drained($node, $slow), 'slow: it gets it');
	is(query(q{SELECT count(*) FROM slow WHERE data->'json'->>'id' LIKE 'slow-%'}), 2000, 'slow: all of it');
	cmp_ok($largest->(q{LIKE 'slow-%'}), '<=', 0.6 * $largest->(q{LIKE 'load%'}), 'slow: in parts');
	ok(forward_to($node, $copy, $remote), 'slow: no more');

	ok(wait_state($node, $remote, 'failing', 60), 'frozen: after a while it says that it fails');
	like(state_of($node, $remote, 'last_error'), qr/timeout|connection|server closed/, 'frozen: and why');
	thaw_servers();
	ok(drained($node), 'thawed: it catches up');
	is(audit_target($load, $node, 'central_log'), $load->nothing_wrong, 'thawed: all arrives, once');
}

# Stopping while it hangs: the client library waits for the frozen server's word on the
# cancellation, which nothing interrupts.
$other->safe_psql('postgres', q{CREATE FUNCTION doze() RETURNS trigger LANGUAGE plpgsql AS
	'BEGIN IF NEW.data->''json''->>''id'' LIKE ''doze%'' THEN PERFORM pg_sleep(1.5); END IF; RETURN NEW; END';
	CREATE TRIGGER doze BEFORE INSERT ON central_log FOR EACH ROW EXECUTE FUNCTION doze()});
for my $how (qw(stop server remove))
{
	ok(wait_state($node, $remote, 'working'), "$how: works");
	is(event($port, "doze $how"), 200, "$how: an event");
	ok(wait_for(sub { $other->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'}) ne '0' }),
		"$how: it is on its way");
	freeze_servers($other);
	if ($how eq 'stop')
	{
		cmp_ok(elapsed(sub { query('SELECT windtrap.stop()') }), '<', 5, "$how: stop() ends it");
		thaw_servers();
		query('SELECT windtrap.start()');
	}
	elsif ($how eq 'server')
	{
		cmp_ok(elapsed(sub { $node->stop('fast') }), '<', 5, "$how: so does a fast shutdown");
		thaw_servers();
		$node->start;
		ok(ready($port), "$how: back");
	}
	else
	{
		alter_system($node, 'windtrap.forward_to' => $copy);
		ok(wait_for(sub { query('SELECT count(*) FROM windtrap.forwarding') eq '1' }), "$how: to take it from the list ends it");
		ok(drained($node), "$how: and its batches are not kept");
		thaw_servers();
	}
	ok(drained($node), "$how: all is forwarded") if $how ne 'remove';
}
is(query(q{SELECT count(*) FROM central_log WHERE data->'json'->>'id' IN ('doze stop', 'doze server')}), 2, 'once each');

unlike(log_since($node), qr/terminated by signal|PANIC|TRAP/, 'nothing has crashed');
$node->stop;
$other->stop;
done_testing();

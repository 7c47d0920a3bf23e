# Without preload: windtrap.start() and windtrap.stop(), who may call them, what stands
# in their way, and settings that change while events come in.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use IO::Socket::INET;
use Test::More;
use Time::HiRes qw(sleep time);

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use WindTrap;

my $node = wt_node('start', preload => 0);
my $port = wt_port($node);

sub query
{
	my ($sql, $database) = @_;
	return $node->safe_psql($database // 'postgres', $sql);
}

# The statement must fail, with a message like this.
sub fails
{
	my ($sql, $message, $name, $database) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($code, $out, $err) = $node->psql($database // 'postgres', $sql);

	isnt($code, 0, "$name: fails");
	like($err, $message, "$name: says why");
	return;
}

sub processes
{
	return query(q{SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'windtrap%'});
}

sub nothing_runs
{
	my ($name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	is(processes(), 0, "$name: no process");
	is(query(q{SELECT count(*) FROM windtrap.status WHERE kind = 'worker'}), 0, "$name: nothing in the view");
	return;
}

#
# Start and stop
#
fails('BEGIN; CREATE EXTENSION windtrap; SELECT windtrap.start()',
	qr/do not see the extension.*HINT:.*Commit/s, 'in the transaction that creates the extension');
is(query(q{SELECT count(*) FROM pg_extension WHERE extname = 'windtrap'}), 0, 'and it is undone');
is(processes(), 0, 'nothing is left running');

query('CREATE EXTENSION windtrap');
nothing_runs('before start()');
is(query('SELECT windtrap.stop()'), 'f', 'stop() where nothing runs');
my $address;
my $took = elapsed(sub { $address = query('SELECT windtrap.start()') });
cmp_ok($took, '<', 3, 'start() is quick');
# Where /etc/hosts has ::1 for localhost too, there are two.
like($address, qr/^(\[::1\]:$port, )?127\.0\.0\.1:$port$/, 'start() gives the address');
is(event($port), 200, 'when it returns, events are accepted');
is(query('SELECT count(*) FROM log'), 1, 'and stored');
is( query(q{SELECT concat_ws(' ', worker, pid = (SELECT pid FROM pg_stat_activity WHERE backend_type = 'windtrap worker'),
		database, port, state, last_error IS NULL, since > now() - interval '1 minute') FROM windtrap.status WHERE kind = 'worker'}),
	"1 t postgres $port listening t t", 'the view has all of it');
is(query(q{SELECT addresses FROM windtrap.status WHERE kind = 'worker'}), $address, 'and the addresses');
my ($pid) = worker_pids($node);
is(query('SELECT windtrap.start()'), $address, 'start() once more gives the same');
is(join(' ', worker_pids($node)), $pid, 'and starts nothing');

$took = elapsed(sub { is(query('SELECT windtrap.stop()'), 't', 'stop()') });
cmp_ok($took, '<', 5, 'stop() is quick');
nothing_runs('after stop()');
is(http($port, 'GET', '/health')->{status}, 599, 'nobody listens after stop()');
is(query('SELECT windtrap.start()'), $address, 'it can be started again');
is(event($port), 200, 'and serves');
is(query('SELECT windtrap.stop()'), 't', 'and stopped');

# A connection that is open does not delay the stop.
query('SELECT windtrap.start()');
{
	my @open = map { connect_to($port) } 1 .. 5;
	$open[0]->request('{}');
	is($open[0]->response->{status}, 200, 'a keep-alive connection');
	$open[1]->send("POST /log HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n{");
	$took = elapsed(sub { query('SELECT windtrap.stop()') });
	cmp_ok($took, '<', 5, 'stop() with open connections');
	nothing_runs('after stop() with open connections');
	ok($open[0]->is_closed, 'they are closed');
}

#
# Many at once
#
{
	my @sessions = map {
		my ($out, $err) = ('', '');
		my $h = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', 'SELECT windtrap.start()' ],
			'<', '/dev/null', '>', \$out, '2>', \$err);
		[ $h, \$out, \$err ]
	} 1 .. 6;
	$_->[0]->finish for @sessions;
	is(join(' ', map { ${ $_->[1] } =~ /^\Q$address\E$/ ? 'ok' : ${ $_->[2] } } @sessions),
		'ok ok ok ok ok ok', 'six sessions start() at once');
	is(scalar(my @pids = worker_pids($node)), 1, 'and there is one worker');
}

#
# Another database
#
query('CREATE DATABASE other');
query('CREATE EXTENSION windtrap', 'other');
fails('SELECT windtrap.start()', qr/serves database "postgres" already.*HINT:.*windtrap\.stop\(\)/s,
	'a second database', 'other');
is(event($port), 200, 'the first one is still served');
query('SELECT windtrap.stop()');
query('SELECT windtrap.start()', 'other');
is(event($port), 200, 'after a stop() the other one is served');
is(query('SELECT count(*) FROM log', 'other'), 1, 'its events are its own');
is(query(q{SELECT database FROM windtrap.status WHERE kind = 'worker'}), 'other', 'the view says so everywhere');
is(query('SELECT windtrap.stop()', 'other'), 't', 'stopped');

#
# What stands in the way
#
{
	my $squatter = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $port, Listen => 5, ReuseAddr => 1)
	  or die "cannot listen: $!";
	fails('SELECT windtrap.start()', qr/could not listen on 127\.0\.0\.1:$port: Address already in use/,
		'a port that is taken');
	nothing_runs('a port that is taken');
	$squatter->close;
	is(query('SELECT windtrap.start()'), $address, 'once it is free, it starts');
	query('SELECT windtrap.stop()');
}
alter_system($node, 'windtrap.listen_addresses' => 'no-such-host.invalid');
fails('SELECT windtrap.start()', qr/could not resolve the address "no-such-host\.invalid"/, 'a host that is unknown');
nothing_runs('a host that is unknown');
alter_system($node, 'windtrap.listen_addresses' => '203.0.113.77');
fails('SELECT windtrap.start()', qr/203\.0\.113\.77.*Cannot assign requested address/, "an address that is not ours");
nothing_runs('an address that is not ours');
alter_system($node, 'windtrap.listen_addresses' => '/no/such/directory/wt.sock');
fails('SELECT windtrap.start()', qr{/no/such/directory/wt\.sock: No such file or directory}, 'a path that is not there');
alter_system($node, 'windtrap.listen_addresses' => undef);

#
# Who may
#
query('CREATE ROLE bob; GRANT USAGE ON SCHEMA windtrap TO bob');
for my $call ('start()', 'stop()', 'create_log_table()', 'worker_status()')
{
	fails("SET ROLE bob; SELECT windtrap.$call", qr/permission denied for function/, "bob, windtrap.$call");
}
fails(q{SET ROLE bob; SELECT * FROM windtrap.status WHERE kind = 'worker'}, qr/permission denied for view status/, 'bob, windtrap.status');
query('GRANT EXECUTE ON FUNCTION windtrap.start(), windtrap.stop() TO bob; GRANT pg_monitor TO bob');
is(query('SET ROLE bob; SELECT windtrap.start()'), $address, 'bob, to whom it is granted, starts it');
is(query(q{SET ROLE bob; SELECT state FROM windtrap.status WHERE kind = 'worker'}), 'listening', 'bob, who may monitor, sees it');
is(event($port), 200, 'it serves');
is(query('SET ROLE bob; SELECT windtrap.stop()'), 't', 'bob stops it');

#
# Settings
#
query('SELECT windtrap.start()');
for my $bad (
	[ 'port', '0', qr/outside the valid range/ ],
	[ 'port', '65536', qr/outside the valid range/ ],
	[ 'workers', '0', qr/outside the valid range/ ],
	[ 'listen_addresses', 'two words', qr/"two words" is not a host name/ ],
	[ 'listen_addresses', 'a,,b', qr/An address is missing/ ],
	[ 'listen_addresses', 'http://x', qr/is not a host name/ ],
	[ '"table"', 'a.b.c', qr/It names a table/ ],
	[ '"table"', '', qr/It names a table/ ],
	[ 'database', '', qr/the name of a database/ ],
	[ 'max_body_size', '10', qr/outside the valid range/ ],
	[ 'max_event_size', '1TB', qr/invalid value/ ],
	[ 'request_timeout', '10ms', qr/outside the valid range/ ],
	[ 'request_timeout', 'soon', qr/invalid value/ ],
	[ 'store_headers', 'user agent', qr/"user agent" is not the name of a header/ ],
	[ 'redact_headers', 'a:b', qr/"a:b" is not the name of a header/ ],
	[ 'nonsense', '1', qr/unrecognized configuration parameter|invalid configuration parameter/ ],)
{
	my ($name, $value, $message) = @$bad;
	fails("LOAD 'windtrap'; ALTER SYSTEM SET windtrap.$name = '$value'", $message, "windtrap.$name = '$value'");
}
append_to_file($node->data_dir . '/postgresql.conf', "windtrap.listen_addresses = 'not, , good'\n");
reload($node);
sleep 0.3;    # there is nothing to wait for
is(event($port), 200, 'a bad value in the file is not used');
is(query(q{SELECT addresses FROM windtrap.status WHERE kind = 'worker'}), $address, 'and the old one stays');
append_to_file($node->data_dir . '/postgresql.conf', "windtrap.listen_addresses = 'localhost'\n");
reload($node);

# The port and the addresses change under load, and no connection is the worse for it.
{
	my @ports = ($port, map { free_port() } 1 .. 2);
	my $load = start_load($port, connections => 16);
	my $kept = connect_to($port);

	ok($load->wait_for_more(100), 'events come in');
	for my $i (1 .. 6)
	{
		my $new = $ports[ $i % @ports ];
		my $old = $ports[ ($i - 1) % @ports ];
		alter_system($node, 'windtrap.port' => $new);
		ok(ready($new, 5), "change $i: the new port answers");
		ok(wait_for(sub { http($old, 'HEAD', '/log', timeout => 2)->{status} == 599 }),
			"change $i: the old one does not");
		is(query(q{SELECT port FROM windtrap.status WHERE kind = 'worker'}), $new, "change $i: the view has it");
		ok($load->wait_for_more(50), "change $i: events still come in");
		$kept->request('{"kept":1}');
		is(($kept->response // { status => 'none' })->{status}, 200, "change $i: an old connection is served");
	}
	alter_system($node, 'windtrap.listen_addresses' => '127.0.0.3');
	ok(wait_for(sub { http($port, 'HEAD', '/log', host => '127.0.0.3')->{status} == 200 }), 'another address');
	is(http($port, 'HEAD', '/log', timeout => 2)->{status}, 599, 'the old address does not answer');
	ok($load->wait_for_more(50), 'events still come in');

	my $codes = $load->stop;
	is(join(' ', sort keys %$codes), '200', 'not one request failed');
	is($load->audit($node), $load->nothing_wrong, 'every acknowledged event is there once');
	alter_system($node, 'windtrap.port' => undef, 'windtrap.listen_addresses' => undef);
	ok(ready($port), 'back at the first port');
}

# A port that is taken: the old one is kept.
{
	my $taken = free_port();
	my $squatter = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $taken, Listen => 5, ReuseAddr => 1)
	  or die "cannot listen: $!";
	alter_system($node, 'windtrap.port' => $taken);
	ok(wait_for(sub { query(q{SELECT last_error FROM windtrap.status WHERE kind = 'worker'}) =~ /could not listen on 127\.0\.0\.1:$taken/ }),
		'a change to a port that is taken is reported in the view');
	like(log_since($node), qr/could not listen on 127\.0\.0\.1:$taken.*\n.*HINT:.*windtrap\.port/, 'and in the log');
	is(event($port), 200, 'the old port is still served');
	is(query(q{SELECT port FROM windtrap.status WHERE kind = 'worker'}), $port, 'and still in the view');
	alter_system($node, 'windtrap.port' => undef);
	ok(wait_for(sub { query(q{SELECT last_error IS NULL FROM windtrap.status WHERE kind = 'worker'}) eq 't' }), 'taken back, all is well');
	$squatter->close;
}

# Three workers share the port.
alter_system($node, 'windtrap.workers' => 3);
ok(wait_for(sub { query(q{SELECT count(*) FROM windtrap.status WHERE kind = 'worker' AND state = 'listening'}) == 3 }), 'three workers');
{
	my @pids = worker_pids($node);
	my $sockets = sub { scalar grep { (readlink($_) // '') =~ /^socket:/ } glob "/proc/$_[0]/fd/*" };
	my @before = map { $sockets->($_) } @pids;
	my @connections = map { connect_to($port) } 1 .. 120;
	$connections[$_]->request(qq({"id":"shared $_"})) for 0 .. $#connections;
	my @codes = map { ($_->response // { status => 'none' })->{status} } @connections;
	is(scalar(grep { $_ eq '200' } @codes), 120, 'all events are accepted');
	my @share = map { $sockets->($pids[$_]) - $before[$_] } 0 .. 2;
	is(scalar(grep { $_ >= 10 } @share), 3, 'each worker has its share of the connections')
	  or diag "@share";
	is(query(q{SELECT count(DISTINCT data->'json'->>'id') FROM log WHERE data->'json'->>'id' LIKE 'shared %'}),
		120, 'and stored');
}
{
	my $load = start_load($port, connections => 16);
	$load->wait_for_more(100);
	alter_system($node, 'windtrap.workers' => 1);
	ok(wait_for(sub { query(q{SELECT count(*) FROM windtrap.status WHERE kind = 'worker'}) == 1 }), 'and one again');
	ok($load->wait_for_more(100), 'which serves');
	$load->stop;
	is($load->audit($node), $load->nothing_wrong, 'every acknowledged event is there once');
}
alter_system($node, 'windtrap.workers' => undef);
is(query('SELECT windtrap.stop()'), 't', 'stopped');

#
# No free slot for a background worker: logical replication's launcher has one.
#
# By the program, as it was started first: pg_ctl's restart takes another path to it, which
# the sanitizers' runtime does not survive.
sub restart
{
	$node->stop;
	$node->start;
}
for my $slots (1, 2)
{
	alter_system($node, max_worker_processes => $slots);
	restart();
	fails('SELECT windtrap.start()', qr/no free slot for a background worker.*max_worker_processes/s, "$slots slots");
	nothing_runs("$slots slots");
}
alter_system($node, max_worker_processes => 3);
restart();
is(query('SELECT windtrap.start()'), $address, 'with three slots it starts');
is(event($port), 200, 'and serves');

$took = elapsed(sub { $node->stop });
cmp_ok($took, '<', 5, 'the server stops in time');
unlike(log_since($node), qr/terminated by signal|PANIC|TRAP/, 'nothing has crashed');
done_testing();

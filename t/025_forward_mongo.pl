# Events go on to a real MongoDB: what arrives there, and that nothing is lost or doubled while
# it is killed, stopped, frozen or made to fail.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Test::More;
use Time::HiRes qw(sleep time);

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Forward;
use Mongo;
use WindTrap;

plan skip_all => 'there is no MongoDB server here' if !-x ($ENV{WT_MONGOD} // '');

# A replica set, because there what is acknowledged is in the journal.
my $mongo = Mongo->new(replica_set => 'rs0', auth => 1);
my $node = wt_node('mongo');
my $port = wt_port($node);

sub query { return $node->safe_psql('postgres', $_[0]); }

(my $password = Mongo::PASSWORD) =~ s/'/''/g;
my $mongo_port = $mongo->port;
query(<<"SQL");
CREATE EXTENSION windtrap_mongo;
CREATE SERVER mongo FOREIGN DATA WRAPPER windtrap_mongo
	OPTIONS (address '127.0.0.1', port '$mongo_port', replica_set 'rs0', authentication_database 'admin');
CREATE USER MAPPING FOR CURRENT_USER SERVER mongo OPTIONS (username 'admin', password '$password');
CREATE FOREIGN TABLE documents (_id text, __doc jsonb) SERVER mongo OPTIONS (database 'logs', collection 'documents');
CREATE FOREIGN TABLE columns (_id text, event_timestamp timestamptz, data jsonb, status int)
	SERVER mongo OPTIONS (database 'logs', collection 'columns');
SQL
my ($documents, $columns) = ('public.documents', 'public.columns');
ok(forward_to($node, $documents, $columns), 'two collections');

sub missing
{
	my ($collection) = @_;
	return query("SELECT count(*) FROM (SELECT data->>'id' FROM log EXCEPT SELECT _id FROM $collection) AS missing");
}

# Acknowledged events that a collection lacks; there is no doubling of an _id.
sub promises_are_kept
{
	my ($load, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $codes = $load->stop;

	note "$name: " . join ', ', map { "$codes->{$_} x $_" } sort keys %$codes;
	is(join(' ', grep { !/^(0|200|503)$/ } keys %$codes), '', "$name: ingest answers as always");
	ok(drained($node, undef, 120), "$name: all is forwarded");
	is($load->audit($node), $load->nothing_wrong, "$name: the log table has what was acknowledged");
	for my $collection (qw(documents columns))
	{
		is(missing($collection), 0, "$name: $collection has it too");
		is($mongo->count('logs', $collection), query('SELECT count(*) FROM log'), "$name: $collection has nothing twice");
	}
	return;
}

#
# What arrives
#
is(post($port, '{"app":"shop","n":1700000000000,"x":0.1,"list":[1,{"a":null}],"text":"Grüße"}')->{status}, 200, 'an event');
ok(drained($node), 'is forwarded');
{
	my ($d) = $mongo->find('logs', 'documents');
	is($d->{_id}, query(q{SELECT data->>'id' FROM log}), 'its id is the _id');
	is($d->{status}, 0, 'its status is there');
	like(JSON::PP->new->canonical->encode($d->{event_timestamp}), qr/^\{"\$date":/, 'event_timestamp is a date');
	is($d->{json}{app}, 'shop', 'the event is under json');
	is("$d->{json}{n} $d->{json}{x} $d->{json}{text}", "1700000000000 0.1 Gr\x{fc}\x{df}e", 'its numbers and text are what they were');
	is($mongo->count('logs', 'documents', '{"event_timestamp":{"$type":"date"},"json.n":{"$type":"long"},"path":"/log"}'),
		1, 'a query of MongoDB finds it by type and value');
	my ($c) = $mongo->find('logs', 'columns');
	is($c->{_id}, $d->{_id}, 'the other collection has it too');
	is($c->{data}{json}{app}, 'shop', 'with data as the log table has it');
	is(query(q{SELECT c.data = l.data AND date_trunc('milliseconds', l.event_timestamp) = c.event_timestamp AND c.status = l.status FROM columns c, log l}),
		't', 'and from PostgreSQL it looks the same');
}

#
# Faults while receiving
#
for my $round (1 .. 2)
{
	my $name = "mongod killed, round $round";
	my $load = start_load($port);
	ok($load->wait_for_more(500), "$name: under load");
	sleep rand 0.3;
	$mongo->kill9;
	ok($load->wait_for_more(500), "$name: the load goes on");
	ok(wait_state($node, $documents, 'failing'), "$name: the forwarder says so");
	$mongo->start;
	ok($load->wait_for_more(200), "$name: and on");
	promises_are_kept($load, $name);
}

{
	my $load = start_load($port);
	ok($load->wait_for_more(300), 'forwarder killed: under load');
	my $pid = forwarder_pid($node, $documents);
	kill 'KILL', $pid;
	ok(wait_for(sub { !kill 0, $pid }), 'forwarder killed: it is gone');
	ok($load->wait_for_more(300), 'forwarder killed: the load goes on');
	promises_are_kept($load, 'forwarder killed');
}

for my $round (1 .. 2)
{
	my $name = "server killed, round $round";
	my $load = start_load($port);
	ok($load->wait_for_more(500), "$name: under load");
	sleep rand 0.3;
	kill_group($node);
	$node->start;
	ok(ready($port, 10), "$name: serves again");
	ok($load->wait_for_more(300), "$name: the load goes on");
	promises_are_kept($load, $name);
}

{
	my $load = start_load($port, connections => 16, pause => 0.002);
	ok($load->wait_for_more(300), 'frozen: under load');
	$mongo->freeze;
	ok($load->wait_for_more(2000, 30), 'frozen: the load goes on');
	cmp_ok($load->slowest, '<', 2000, 'frozen: nobody waits for it');
	cmp_ok(elapsed(sub { $node->stop('fast') }), '<', 5, 'frozen: nor does a shutdown');
	$node->start;
	ok(ready($port, 10), 'frozen: serves again');
	$mongo->thaw;
	ok($load->wait_for_more(200), 'thawed: the load goes on');
	promises_are_kept($load, 'frozen');
}

my @faults = (
	[ 'connections closed', { times => 3 }, commands => ['insert'], closeConnection => 1 ],
	[ 'not primary any more', { times => 2 }, commands => ['insert'], errorCode => 10107 ],
	[ 'interrupted', { times => 2 }, commands => ['insert'], errorCode => 11601 ],
	[ 'shutting down', { times => 2 }, commands => ['insert'], errorCode => 91 ],
	[ 'write concern', { times => 2 }, commands => ['insert'], writeConcernError => { code => 64, errmsg => 'waiting for replication timed out' } ],
);
for my $fault (@faults)
{
	my ($name, @fault) = @$fault;
	$mongo->fail(@fault);
	my $load = start_load($port);
	ok($load->wait_for_more(500), "$name: under load");
	promises_are_kept($load, $name);
	$mongo->heal;
	is(query('SELECT count(*) FROM windtrap.dead_letter'), 0, "$name: no event is blamed for it");
}

# Stopped for a while.
{
	my $mark = log_mark($node);
	$mongo->stop;
	my $load = start_load($port);
	ok($load->wait_for_more(3000), 'stopped: ingest goes on');
	ok(wait_state($node, $columns, 'failing'), 'stopped: the forwarder says so');
	sleep 5;
	$mongo->start;
	promises_are_kept($load, 'stopped');
	is(count_in_log($node, qr/cannot forward events to public\.documents/, $mark), 1, 'stopped: one line says so');
	is(count_in_log($node, qr/forwarding events to public\.documents again/, $mark), 1, 'stopped: and one that it works again');
}

#
# Poison: what a validator refuses, and what is too large for a document
#
{
	$mongo->command('logs', '{"collMod":"documents","validator":{"json.poison":{"$exists":false}}}');
	alter_system($node, 'windtrap.max_event_size' => '32MB', 'windtrap.max_body_size' => '64MB');
	my $large = 'x' x (17 * 1024 * 1024);
	is(post($port, qq({"id":"before"}\n{"poison":1}\n{"id":"between"}\n), type => 'application/x-ndjson')->{status}, 200, 'a poisoned batch');
	ok(wait_for(sub { post($port, qq({"large":"$large"}))->{status} == 200 }), 'an event of 17 MB');
	is(event($port, 'behind'), 200, 'and one behind it');
	ok(drained($node), 'the outbox does not wait for them');
	is($mongo->count('logs', 'documents', '{"json.id":{"$in":["before","between","behind"]}}'), 3, 'the others are there');
	is(query(q{SELECT string_agg(DISTINCT target || ' ' || (data->'json' ? 'poison')::text, ', ') FROM windtrap.dead_letter}),
		'public.columns false, public.documents false, public.documents true', 'each refused event is set aside for who refused it');
	ok(wait_for(sub { query('SELECT count(*) FROM windtrap.dead_letter WHERE next_try IS NULL') eq '3' }, 60), 'and dead after its tries');
	$mongo->command('logs', '{"collMod":"documents","validator":{}}');
	query(q{SELECT windtrap.redeliver('public.documents')});
	ok(wait_for(sub { $mongo->count('logs', 'documents', '{"json.poison":1}') == 1 }), 'without the validator it is delivered');
	ok(wait_for(sub { query(q{SELECT count(*) FROM windtrap.dead_letter WHERE target = 'public.documents'}) eq '1' }, 60), 'the other one is not');
}

unlike(log_since($node), qr/terminated by signal (?!9)|PANIC|TRAP/, 'nothing has crashed');
$node->stop;
done_testing();

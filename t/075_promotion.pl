# A primary that is killed under load, its standby promoted by examples/high-availability/witness.sh,
# and back again: clients with keys that try both addresses lose nothing and double nothing, and
# nobody is promoted beside a primary that can acknowledge.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use IPC::Run ();
use Test::More;
use Time::HiRes qw(sleep time);

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Ledger;
use WindTrap;

plan skip_all => 'there is no curl' if system('curl --version >/dev/null 2>&1') != 0;

my $n_clients = 16;
my $script = "$FindBin::RealBin/../examples/high-availability/witness.sh";
my $directory = PostgreSQL::Test::Utils::tempdir();

my $first = wt_node('db1',
	init => { allows_streaming => 1 },
	conf => "wal_log_hints = on\nwal_receiver_timeout = 3s\nhot_standby = on\nwal_keep_size = 256MB\n");
$first->safe_psql('postgres', 'CREATE ROLE witness LOGIN IN ROLE pg_monitor; GRANT EXECUTE ON FUNCTION pg_promote TO witness');
$first->backup('base');
my $second = PostgreSQL::Test::Cluster->new('db2');
$second->init_from_backup($first, 'base', has_streaming => 1);
set_port($second, free_port());
$second->append_conf('postgresql.conf', 'windtrap.port = ' . wt_port($second) . "\n");
$second->start;

# Whoever is primary waits for the other one, and for nobody else.
sub needs
{
	my ($primary, $standby) = @_;
	alter_system($primary, synchronous_standby_names => $standby);
	return wait_for(
		sub {
			$primary->safe_psql('postgres', q{SELECT string_agg(application_name || ' ' || sync_state, ', ') FROM pg_stat_replication}) eq "$standby sync";
		});
}

# Starts the script, with a primary and a standby, and what else it is to be told.
sub witness
{
	my ($primary, $standby, %settings) = @_;
	my $log = "$directory/witness" . rand;
	my %all = (
		PRIMARY => $primary->connstr('postgres') . ' user=witness',
		STANDBY => $standby->connstr('postgres') . ' user=witness',
		HEALTH => 'http://127.0.0.1:' . wt_port($primary) . '/health',
		INTERVAL => '0.2', FAILURES => 3, %settings);
	my $run = IPC::Run::start([ 'env', (map { "$_=$all{$_}" } sort keys %all), 'sh', $script ], '<', '/dev/null', '>&', $log);
	return { run => $run, log => $log };
}

sub says
{
	my ($witness, $pattern) = @_;
	return wait_for(sub { slurp_file($witness->{log}) =~ $pattern }, 30) || diag(slurp_file($witness->{log})) && 0;
}

sub is_standby { return $_[0]->safe_psql('postgres', 'SELECT pg_is_in_recovery()') eq 't'; }

sub end_witness
{
	my ($witness) = @_;
	$witness->{run}->signal('TERM');
	$witness->{run}->finish;
	return;
}

# Waits for one that has promoted, and its code.
sub result
{
	my ($witness) = @_;
	ok(wait_for(sub { !$witness->{run}->pumpable }, 40), 'the witness has ended') or diag slurp_file($witness->{log});
	$witness->{run}->finish;
	return $witness->{run}->result(0);
}

# Clients that send each request, with its key, to one address and the other until it is
# acknowledged; the ledger of each has what was.
sub run_client
{
	my ($client, $stop, @ports) = @_;
	my ($serial, $requests, $tries) = (0, 0, 0);
	my $end = time + 150;

	srand $client;
	open my $ledger, '>>', "$directory/ledger.$client" or die $!;
	while (!-e $stop)
	{
		my @ids = map { "$client-" . ++$serial } 1 .. (rand() < 0.3 ? 1 + int rand 50 : 1);
		my $body = join '', map { qq({"id":"$_"}\n) } @ids;

		$requests++;
		for (my $code = 0; $code != 200;)
		{
			my $c = connect_to($ports[0]);
			$tries++;
			if ($c)
			{
				$c->request($body, headers => [ "Idempotency-Key: $client of $ids[0]", 'Content-Type: application/x-ndjson', 'Connection: close' ]);
				my $answer = $c->response(seconds => 6);
				$code = $answer ? $answer->{status} : 0;
				$c->close;
			}
			next if $code == 200;
			die "client $client: $code" if $code !~ /^(0|503)$/;
			die "client $client: no end" if time > $end;
			push @ports, shift @ports;
			sleep 0.05;
		}
		syswrite $ledger, join '', map { "$_\n" } @ids;
	}
	append_to_file("$directory/done.$client", "$requests $tries\n");
	return;
}

my $stop = "$directory/stop";
my @pids;

sub end_clients
{
	append_to_file($stop, '');
	waitpid $_, 0 for @pids;
	my ($requests, $tries, $done) = count_done($directory, $n_clients);
	is($done, $n_clients, 'each client has got all of its requests acknowledged');
	cmp_ok($tries, '>', $requests, 'and retries');
	return;
}

sub count { return $_[0]->safe_psql('postgres', 'SELECT count(*) FROM log'); }

# A node against the ledger of all clients: missing, twice, and what nobody was told of.
sub is_whole
{
	my ($node, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	command('sh', '-c', "cat '$directory'/ledger.* > '$directory/ledger'");
	my $found = $node->safe_psql('postgres', <<"SQL");
CREATE TEMP TABLE ledger (id text);
\\copy ledger FROM '$directory/ledger'
CREATE TEMP TABLE stored AS SELECT data->'json'->>'id' AS id, count(*) AS n FROM log WHERE data->'json'->>'id' ~ '^\\d+-\\d+\$' GROUP BY 1;
SELECT count(*) > 1000, count(*) FILTER (WHERE n IS NULL), count(*) FILTER (WHERE n > 1),
	count(*) FILTER (WHERE l.id IS NULL) FROM ledger l FULL JOIN stored s USING (id);
SQL
	is($found, 't|0|0|0', "$name: every event is there, once, and no other");
	return;
}

#
# A witness that sees nothing, while the standby does
#
ok(needs($first, 'db2'), 'a synchronous standby');
is(event(wt_port($first), 'both'), 200, 'an event');
$first->wait_for_catchup($second, 'replay', $first->lsn('flush'));
is($second->safe_psql('postgres', q{SELECT count(*) FROM log WHERE data->'json'->>'id' = 'both'}), 1, 'is there too');
is(http(wt_port($second), 'GET', '/health')->{status}, 599, 'where nobody listens');
{
	my $blind = witness($first, $second, NAME => 'db2', PRIMARY => 'host=127.0.0.1 port=' . free_port(), HEALTH => 'http://127.0.0.1:' . free_port() . '/health');
	ok(says($blind, qr/the standby hears from it/), 'a witness that has lost sight of the primary asks the standby');
	ok(is_standby($second), 'and promotes nobody');
	end_witness($blind);
}

#
# The primary is killed under load
#
my $witness = witness($first, $second, NAME => 'db2', AFTER => '/bin/true');
ok(says($witness, qr/acknowledges nothing without the standby/), 'the witness sees that the primary needs the standby');
# Acknowledged, and sent again after the promotion, since its sender does not know.
sub keyed
{
	my ($port, $key) = @_;
	my $answer = post_json($port, { id => $key }, headers => { 'Idempotency-Key' => $key });
	return "$answer->{status} $answer->{content}";
}
is(keyed(wt_port($first), 'before'), qq(200 {"accepted":1}\n), 'an event with a key');
@pids = start_clients($n_clients, sub { run_client($_[0], $stop, wt_port($first), wt_port($second)) });
ok(wait_for(sub { count($first) > 1500 }, 60), 'events come in');
sleep rand 0.5;
my $killed = time;
kill_group($first);
is(result($witness), 0, 'it has promoted the standby');
ok(ready(wt_port($second)), 'which listens');
note sprintf 'after %.1f s', time - $killed;
my $n = count($second);
ok(wait_for(sub { count($second) > $n + 500 }, 30), 'and the clients go on there');
end_clients();
is_whole($second, 'the promoted one');

is(keyed(wt_port($second), 'before'), qq(200 {"accepted":1,"duplicate":1}\n), 'a key of before is known');

#
# The old primary, which knows nothing of it
#
$first->start;
ok(wait_for(sub { event(wt_port($first), 'alone') == 503 }), 'the old primary comes back, and acknowledges nothing');
is(event(wt_port($first), 'alone'), 503, 'nor afterwards') for 1 .. 3;
like(keyed(wt_port($first), 'there'), qr/^503 /, 'with a key');
is(keyed(wt_port($second), 'there'), qq(200 {"accepted":1}\n), 'which the other one has not seen');
is(http(wt_port($first), 'GET', '/health')->{status}, 503, 'its /health says so');
$first->stop;

# It becomes a standby.
my $conf = slurp_file($first->data_dir . '/postgresql.conf');
# Before PostgreSQL 16 pg_rewind sees a promotion by the checkpoint that follows it.
$second->safe_psql('postgres', 'CHECKPOINT');
command('pg_rewind', '--target-pgdata', $first->data_dir, '--source-server', $second->connstr('postgres'));
PostgreSQL::Test::Utils::command_ok([ 'sh', '-c', ': > "$1"/postgresql.auto.conf', 'sh', $first->data_dir ], 'without settings of its time as a primary');
unlink $first->data_dir . '/postgresql.conf';
append_to_file($first->data_dir . '/postgresql.conf', $conf);
$first->enable_streaming($second);
$first->set_standby_mode;
$first->start;
ok(needs($second, 'db1'), 'rewound, it is the standby of the other one');
is(event(wt_port($second), 'again'), 200, 'which takes events');
$second->wait_for_catchup($first, 'replay', $second->lsn('flush'));
is($first->safe_psql('postgres', q{SELECT string_agg(data->'json'->>'id', ' ') FROM log WHERE data->'json'->>'id' IN ('alone', 'again')}), 'again', 'what it had alone is gone, and what comes is there');
is(count($first), count($second), 'all of it');
is(http(wt_port($first), 'GET', '/health')->{status}, 599, 'nobody listens there');

#
# A standby that the primary can do without
#
alter_system($second, synchronous_standby_names => undef);
my $fence = "$directory/fence";
append_to_file($fence, "#!/bin/sh\ntest -e $directory/may_fence\n");
append_to_file("$directory/after", "#!/bin/sh\n: > $directory/address_moved\n");
chmod 0755, $fence, "$directory/after";
my $unfenced = witness($second, $first, NAME => 'db1');
my $fenced = witness($second, $first, NAME => 'db1', FENCE => $fence, AFTER => "$directory/after");
ok(says($unfenced, qr/can acknowledge without the standby/), 'a witness sees that a primary needs no standby');
ok(says($fenced, qr/has to be fenced/), 'so does one that could fence it');
kill_group($second);
ok(says($unfenced, qr/no FENCE: no promotion/), 'without a fence nobody is promoted');
ok(says($fenced, qr/could not be fenced/), 'nor when that fails');
ok(is_standby($first), 'the standby is one still');
end_witness($unfenced);
append_to_file("$directory/may_fence", '');
is(result($fenced), 0, 'fenced: it is promoted');
ok(-e "$directory/address_moved", 'and what is to be done then is done');
ok(ready(wt_port($first)), 'it listens');
is(event(wt_port($first), 'back'), 200, 'and takes events');
is_whole($first, 'and back');

$first->stop;
unlike(log_since($_), qr/terminated by signal|PANIC|TRAP/, $_->name . ': nothing has crashed') for $first, $second;
done_testing();

# Clients with keys send again whatever has got no answer, or 503, until they are told 200, while
# workers and the whole server are killed under them: at the end every event is there, once.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use IO::Socket::INET;
use Test::More;
use Time::HiRes qw(sleep time);

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Ledger;
use WindTrap;

my $n_clients = 24;

my $node = wt_node('idempotency_ledger', conf => "windtrap.workers = 2\n");
my $port = wt_port($node);
my $directory = PostgreSQL::Test::Utils::tempdir();

sub query { return $node->safe_psql('postgres', $_[0]); }

# Sends a body; gives the code, 0 where there is none.  Some break off before the answer, as a
# client whose patience is over does.
sub try_to_send
{
	my ($key, $body, $type) = @_;
	my $c = connect_to($port) or return 0;
	$c->request($body, headers => [ "Idempotency-Key: $key", "Content-Type: $type", 'Connection: close' ]);
	my $answer = $c->response(seconds => rand() < 0.1 ? rand 0.01 : 6);
	$c->close;
	return $answer ? $answer->{status} : 0;
}

# One client: singles, batches, now and then a body that is committed in pieces.  Its ledger has
# a line for each request when it is begun, and one when it is acknowledged.
sub run_client
{
	my ($client, $stop) = @_;
	my $serial = 0;
	my ($tries, $requests) = (0, 0);
	my $end = time + 120;

	srand $client;
	open my $ledger, '>>', "$directory/ledger.$client" or die $!;
	while (!-e $stop)
	{
		my $n = rand() < 0.002 ? 7000 : rand() < 0.3 ? 1 + int rand 50 : 1;
		my @ids = map { "$client-" . ++$serial } 1 .. $n;
		my $body = join '', map { qq({"id":"$_"}\n) } @ids;
		my $key = "$client of $ids[0]";

		$requests++;
		for (my $code = -1; $code != 200;)
		{
			$tries++;
			$code = try_to_send($key, $body, 'application/x-ndjson');
			die "client $client: $code" if $code !~ /^(0|200|503)$/;
			sleep 0.05 if $code != 200;
			die "client $client: no end" if $code != 200 && time > $end;
		}
		syswrite $ledger, join '', map {"$_\n"} @ids;
	}
	open my $out, '>', "$directory/done.$client" or die $!;
	print $out "$requests $tries\n";
	close $out;
	return;
}

my $stop = "$directory/stop";
my @pids = start_clients($n_clients, sub { run_client($_[0], $stop) });

for my $fault (qw(worker server worker server worker))
{
	my $n = query('SELECT count(*) FROM log');
	ok(wait_for(sub { query('SELECT count(*) FROM log') > $n + 300 }), 'there are events');
	sleep rand 0.5;
	if ($fault eq 'worker')
	{
		my @workers = worker_pids($node);
		kill 'KILL', $workers[ rand @workers ];
	}
	else
	{
		kill_group($node);
		$node->start;
	}
	ok(wait_for(sub { accepts($node) }) && ready($port), "$fault killed: it serves again");
}
append_to_file($stop, '');
waitpid $_, 0 for @pids;

my ($requests, $tries, $done) = count_done($directory, $n_clients);
is($done, $n_clients, 'each client has got all of its requests acknowledged');
cmp_ok($tries, '>', $requests + 50, 'and retries');

command('sh', '-c', "cat '$directory'/ledger.* > '$directory/ledger'");
query(qq{CREATE TABLE ledger (id text); COPY ledger FROM '$directory/ledger'});
my $found = query(q{SELECT count(*), count(*) FILTER (WHERE n IS NULL), count(*) FILTER (WHERE n > 1)
	FROM ledger LEFT JOIN (SELECT data->'json'->>'id' AS id, count(*) AS n FROM log GROUP BY 1) l USING (id)});
my ($events, $missing, $twice) = split /\|/, $found;
cmp_ok($events, '>', 1000, "there were many events: $events");
is($missing, 0, 'every event is there');
is($twice, 0, 'once');
is(query(q{SELECT count(*) FROM log LEFT JOIN ledger ON id = data->'json'->>'id' WHERE id IS NULL}), 0, 'and no other');

$node->stop;
done_testing();

# kill -9 of random processes of the server, under clients that send again, with the same Idempotency-Key, whatever has got no
# answer or 503, until they are told 200: at the end every event is there, once, and no other.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Fault;

use Test::More;
use Time::HiRes qw(sleep time);

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Ledger;
use WindTrap;

my $fault = Fault->new(number => 1, name => 'kill -9 of random processes under clients that send again');
my $kills = $fault->length(4, $ENV{WT_KILLS} // 1000);
my $n_clients = $fault->length(16, 64);
my $node = wt_node('keys', conf => "windtrap.workers = 2\nfsync = on\nmax_connections = 40\n");
my $port = wt_port($node);
my $directory = PostgreSQL::Test::Utils::tempdir();
my $stop = "$directory/stop";

sub query { return $node->safe_psql('postgres', $_[0]) }

# One client: its ledger has each id once it is acknowledged.  Some of its requests it breaks off before there is an answer.
sub run_client
{
	my ($client) = @_;
	my ($serial, $requests, $tries) = (0, 0, 0);

	srand($fault->{seed} + $client);
	open my $ledger, '>>', "$directory/ledger.$client" or die $!;
	while (!-e $stop)
	{
		my @ids = map { "$client-" . ++$serial } 1 .. (rand() < 0.1 ? 1 + int rand 50 : 1);
		my $body = join '', map {qq({"id":"$_"}\n)} @ids;
		my $begun = time;

		$requests++;
		for (my $code = -1; $code != 200;)
		{
			my $c = connect_to($port);

			$tries++;
			$code = 0;
			if ($c)
			{
				$c->request($body, headers => [ "Idempotency-Key: $client of $ids[0]", 'Content-Type: application/x-ndjson', 'Connection: close' ]);
				my $answer = $c->response(seconds => rand() < 0.02 ? rand 0.01 : 6);
				$code = $answer->{status} if $answer;
				$c->close;
			}
			die "client $client: $code" if $code !~ /^(0|200|503)$/;
			die "client $client: no end" if $code != 200 && time - $begun > 180;
			sleep between(0.05, 0.15) if $code != 200;
		}
		syswrite $ledger, join '', map {"$_\n"} @ids;
		# So many clients, each a process, are to leave the server the processors.
		sleep between(0, 0.1);
	}
	append_to_file("$directory/done.$client", "$requests $tries\n");
	return;
}

my @clients = start_clients($n_clients, \&run_client);
my ($n, $slowest, %killed) = (0, 0);

while ($n < $kills)
{
	sleep between(0.2, $fault->length(0.6, 3));
	my ($postmaster) = slurp_file($node->data_dir . '/postmaster.pid') =~ /^(\d+)/;
	my %name = %{ server_processes($node) };
	next if !%name;
	my $victim = rand() < 0.15 ? $postmaster : pick(sort { $a <=> $b } keys %name);

	$n++;
	$killed{ $victim == $postmaster ? 'postmaster' : $name{$victim} =~ /^(windtrap \w+|checkpointer|walwriter|background writer|autovacuum launcher)/ ? $1 : 'others' }++;
	kill 'KILL', $victim;
	if ($victim == $postmaster)
	{
		if (!wait_for(sub { !%{ server_processes($node) } }, 60))
		{
			my $left = server_processes($node);
			BAIL_OUT('these outlive their postmaster: ' . join ', ', values %$left);
		}
		# Until somebody has asked for its end, a server that is started takes it for alive.
		wait_for(sub { !kill 0, $victim }, 60);
		$node->kill9;    # it is dead; this makes the node know
		$node->start;
	}
	else
	{
		wait_for(sub { !server_processes($node)->{$victim} }, 30);
	}
	my $begun = time;
	if (!wait_for(sub { event($port, 'probe') == 200 }, 60))
	{
		fail("after kill $n it does not serve again");
		last;
	}
	my $took = time - $begun;
	$slowest = $took if $took > $slowest;
}
append_to_file($stop, '');
waitpid $_, 0 for @clients;

my ($requests, $tries, $done) = count_done($directory, $n_clients);
is($done, $n_clients, 'each client has got all of its requests acknowledged');
cmp_ok($tries, '>', $requests, 'some of them by sending again');
unlike(log_since($node), qr/terminated by signal (?!9:)|PANIC|TRAP/, 'nothing else has crashed');
command('sh', '-c', "cat '$directory'/ledger.* > '$directory/ledger'");
query(qq{CREATE TABLE ledger (id text); COPY ledger FROM '$directory/ledger'});
my ($events, $missing, $double) = split /\|/, query(q{SELECT count(*), count(*) FILTER (WHERE n IS NULL), count(*) FILTER (WHERE n > 1)
	FROM ledger LEFT JOIN (SELECT data->'json'->>'id' AS id, count(*) AS n FROM log GROUP BY 1) l USING (id)});
cmp_ok($events, '>', 100, 'there were many events');
is($missing, 0, 'none of them is missing');
is($double, 0, 'none is there twice');
is(query(q{SELECT count(*) FROM log LEFT JOIN ledger ON id = data->'json'->>'id' WHERE id IS NULL AND data->'json'->>'id' <> 'probe'}),
	0, 'and there is no other');
$node->stop;
$fault->result(sprintf '%d kills (%s): of %d events in %d requests, sent in %d tries, %d missing, %d doubled; an event was taken again within %.1f s',
	$n, join(', ', map {"$_ $killed{$_}"} sort keys %killed), $events, $requests, $tries, $missing, $double, $slowest);

# No answer leaves before the write-ahead log of its commit is on the disk: seen in the system calls, with synchronous_commit
# off wherever it can be set.  What is seen is known to see: a session's COMMIT, which that setting does apply to, is told before.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Fault;

use Test::More;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use WindTrap;

plan skip_all => 'there is no strace' if system('strace -o /dev/null true 2>/dev/null') != 0;
plan skip_all => 'a sanitizer cannot be traced' if $ENV{WT_SANITIZE};

my $fault = Fault->new(number => 5, name => 'an answer before its flush, with synchronous_commit = off');
my $n = $fault->length(50, 2000);
# So that nobody else writes the log in between.
my $node = wt_node('order', conf => "fsync = on\nsynchronous_commit = off\nwal_writer_delay = 10s\nautovacuum = off\nbgwriter_delay = 10s\n");
my $port = wt_port($node);
my $directory = PostgreSQL::Test::Utils::tempdir();

sub query { return $node->safe_psql('postgres', $_[0]) }

# Calls $run while a process is traced; gives how many of its messages with $answer began before a flush that had
# begun after the message of the client's before; and how many there were.
sub too_early
{
	my ($pid, $name, $answer, $run) = @_;
	my $file = "$directory/$name";
	my $tracer = fork() // die "fork: $!";
	my ($early, $n, $flushed) = (0, 0, 0);

	exec 'strace', '-f', '-y', '-s', '64', '-e', 'trace=fdatasync,fsync,recvfrom,recvmsg,read,sendto,sendmsg,write,writev',
	  '-o', $file, '-p', $pid or die "strace: $!"
	  if $tracer == 0;
	wait_for(sub { -e "/proc/$pid/status" && slurp_file("/proc/$pid/status") =~ /^TracerPid:\s+[1-9]/m }) or die 'strace does not attach';
	$run->();
	kill 'INT', $tracer;
	waitpid $tracer, 0;
	for my $call (split /\n/, slurp_file($file))
	{
		if ($call =~ /(?:recvfrom|recvmsg|read)\(\d+<(?:socket|TCP|UNIX).*= [1-9]/)
		{
			$flushed = 0;
		}
		elsif ($call =~ /(?:fdatasync|fsync)\(\d+<[^>]*pg_wal.*\) *= 0/)
		{
			$flushed = 1;
		}
		elsif ($call =~ /(?:sendto|sendmsg|writev?)\(\d+<(?:socket|TCP|UNIX).*$answer/)
		{
			$n++;
			$early++ if !$flushed;
		}
	}
	return ($early, $n);
}

query('ALTER DATABASE postgres SET synchronous_commit = off');
query("ALTER ROLE $ENV{USER} SET synchronous_commit = off") if ($ENV{USER} //= getpwuid $<);
$node->restart;
ready($port);

{
	my $session = $node->background_psql('postgres');
	my $pid = $session->query_safe('SELECT pg_backend_pid()');
	my ($early, $told) = too_early($pid, 'session', 'INSERT 0 1', sub {
			$session->query_safe("INSERT INTO log VALUES (now(), '{}')") for 1 .. 5;
		});
	is($told, 5, 'of a session each INSERT is seen');
	cmp_ok($early, '>', 0, 'and that it is told before it is on the disk');
	$session->quit;
}

my $taken = 0;
my ($pid) = worker_pids($node);
my ($early, $answers) = too_early($pid, 'worker', 'HTTP/1\.1 200', sub {
		my $client = connect_to($port);
		for (1 .. $n)
		{
			$client->request(qq({"n":$_}));
			$taken++ if $client->response->{status} == 200;
		}
	});
is($taken, $n, 'all events are taken');
is($answers, $n, 'each answer is seen');
is($early, 0, 'none leaves before its flush');
$node->stop;
$fault->result("of $answers answers $early before the flush of their commit; off for the system, the database and the role");

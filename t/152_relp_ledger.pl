# RELP under load, with the worker and the server killed: what was answered is stored, and what was
# not is sent again by its sender, as the protocol has it. Stored twice is only what was sent again.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;

use IO::Socket::INET;
use POSIX ();
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);
use WindTrap;

my ($relp, $input) = (free_port(), free_port());
my $node = wt_node('relp_ledger', conf => "windtrap.syslog_listen = 'relp://127.0.0.1:$relp'\n");
my $dir = PostgreSQL::Test::Utils::tempdir();

sub sql { return $node->safe_psql('postgres', $_[0]); }

# A client in a process of its own: so many frames on their way, which it keeps until they are
# answered, and sends again on the next connection. The ledger has a line for each that was sent
# ("s id") and for each that was answered ("a id"), written before the next step.
sub client
{
	my ($name, $window) = @_;
	my $pid = fork() // die "fork: $!";
	return $pid if $pid > 0;

	my ($stop, $serial, @kept) = (0, 0);
	local $SIG{TERM} = sub { $stop = 1 };
	local $SIG{PIPE} = 'IGNORE';
	open my $ledger, '>>', "$dir/$name" or POSIX::_exit(1);
	my $note = sub { syswrite $ledger, "$_[0] $_[1]\n"; };
	while (!$stop || @kept)
	{
		my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $relp, Timeout => 5);
		if (!$socket) { sleep 0.05; next; }
		my ($number, $buffer, %ids) = (1, '');
		my @again = @kept;
		my $offer = "relp_version=0\nrelp_software=ledger\ncommands=syslog";
		syswrite $socket, "$number open " . length($offer) . " $offer\n";
		my $open = 0;
		while (1)
		{
			if ($open)
			{
				while (keys %ids < $window && (@again || !$stop))
				{
					my $id = shift @again;
					if (!defined $id) { $id = "$name-" . ++$serial; push @kept, $id; }
					my $text = "<13>Nov 26 10:00:00 vm ledger: $id";
					$ids{ ++$number } = $id;
					$note->('s', $id);
					syswrite $socket, "$number syslog " . length($text) . " $text\n" or last;
				}
				last if !keys %ids && $stop;
			}
			my $ready = '';
			vec($ready, fileno $socket, 1) = 1;
			next if select($ready, undef, undef, 0.5) <= 0;
			last if !sysread $socket, $buffer, 65536, length $buffer;
			while ($buffer =~ s/\A(\d+) rsp (\d+) ?//)
			{
				my ($n, $length, $whole) = ($1, $2, $&);
				if (length $buffer <= $length) { $buffer = "$whole$buffer"; last; }
				my $says = substr $buffer, 0, $length + 1, '';
				if ($n == 1) { $open = 1; next; }
				my $id = delete $ids{$n} // POSIX::_exit(2);
				next if $says !~ /^200/;
				$note->('a', $id);
				@kept = grep { $_ ne $id } @kept;
			}
		}
		close $socket;
	}
	POSIX::_exit(0);
}

sub acknowledged { my $n = 0; for my $f (glob "$dir/client*") { open my $in, '<', $f or next; /^a/ && $n++ while <$in>; } return $n; }
sub more { my ($n) = @_; my $enough = acknowledged() + $n; return wait_for(sub { acknowledged() >= $enough }, 60); }

my @clients = map { client("client$_", $_ == 1 ? 1 : 100) } 1 .. 4;
ok(more(500), 'frames are answered');

# rsyslog beside it, with what it cannot send in a queue.
my $root = "$ENV{WT_WORK}/syslog-clients/rsyslog";
my ($libraries) = glob "$root/usr/lib/*/rsyslog";
my ($daemon, $said, $feed);
my $fed = 0;
if ($libraries)
{
	append_to_file("$dir/rsyslog.conf", <<"CONF");
global(workDirectory="$dir")
module(load="imtcp")
module(load="omrelp")
input(type="imtcp" address="127.0.0.1" port="$input")
action(type="omrelp" target="127.0.0.1" port="$relp" action.resumeRetryCount="-1" action.resumeInterval="1" queue.type="LinkedList" queue.size="100000" queue.timeoutEnqueue="60000")
CONF
	local $ENV{LD_LIBRARY_PATH} = join ':', glob("$root/usr/lib/*-linux-gnu"), glob("$root/lib/*-linux-gnu");
	$daemon = IPC::Run::start([ "$root/usr/sbin/rsyslogd", '-n', '-C', '-f', "$dir/rsyslog.conf", '-i', "$dir/pid", '-M', $libraries ], '<', \undef, '>', \$said, '2>&1');
	ok(wait_for(sub { $feed = connect_to($input) }), 'rsyslog runs') or diag $said;
}
sub feed { return if !$feed; $feed->send(join '', map { "<13>Nov 26 10:00:00 vm feed: feed-" . ++$fed . "\n" } 1 .. 500); return; }

for my $round (1 .. 2)
{
	feed();
	more(300);
	kill 'KILL', (worker_pids($node))[0];
	ok(more(300), "round $round: after the worker was killed, with all of the server's processes");
	feed();
	more(100);
	kill_group($node);
	$node->start;
	ok(more(300), "round $round: after the server was killed");
}
# Stopped as it should be: what is taken by then is stored and answered, or neither.
feed();
$node->restart;
ok(more(300), 'after a restart');
kill 'TERM', @clients;
for my $pid (@clients)
{
	waitpid $pid, 0;
	is($?, 0, 'a client has all of its frames answered');
}

sql('CREATE TABLE ledger (what text, id text)');
sql(qq{COPY ledger FROM '$_' WITH (DELIMITER ' ')}) for glob "$dir/client*";
sql(q{CREATE TABLE stored AS SELECT data->'json'->>'message' AS id, count(*) AS n FROM log WHERE data->'json'->>'app' = 'ledger' GROUP BY 1});
is(sql(q{SELECT count(*) FROM (SELECT DISTINCT id FROM ledger WHERE what = 'a') AS a LEFT JOIN stored USING (id) WHERE n IS NULL}), 0, 'every frame that was answered is stored');
is(sql(q{SELECT count(*) FROM stored FULL JOIN (SELECT id, count(*) AS times FROM ledger WHERE what = 's' GROUP BY id) AS s USING (id) WHERE n > times OR times IS NULL OR n IS NULL}), 0, 'none is there more often than it was sent, and all are there');
is(sql(q{SELECT count(*) FROM stored JOIN (SELECT id FROM ledger WHERE what = 's' GROUP BY id HAVING count(*) = 1) AS s USING (id) WHERE n > 1}), 0, 'what was sent once is there once');
note sql(q{SELECT 'answered ' || count(*) FILTER (WHERE what = 'a') || ', sent ' || count(*) FILTER (WHERE what = 's') FROM ledger} ) . ', stored more than once: ' . sql('SELECT count(*) FROM stored WHERE n > 1');
SKIP:
{
	skip 'there is no rsyslog', 1 if !$feed;
	my $count = q{SELECT count(DISTINCT data->'json'->>'message') FROM log WHERE data->'json'->>'app' = 'feed'};
	ok(wait_for(sub { sql($count) == $fed }, 60), "rsyslog: all of $fed are there") or diag sql($count), $said;
	$daemon->signal('TERM');
	$daemon->finish;
}
$node->stop;
done_testing();

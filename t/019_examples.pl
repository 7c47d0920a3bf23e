# The senders in examples/, as people use them: what they send is what was meant, and what
# cannot be stored is sent again, or its loss is said.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use IO::Socket::INET;
use POSIX ();
use Test::More;
use Time::HiRes qw(time);

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Tls;
use WindTrap;

my $examples = "$FindBin::RealBin/../examples";
my $node = wt_node('examples');
my $port = wt_port($node);

sub query { return $node->safe_psql('postgres', $_[0]); }

# Runs a program of Python's with the handler at hand; gives standard output and error.
sub program
{
	my ($text, %options) = @_;
	my ($out, $err);
	local $ENV{PYTHONPATH} = $examples;
	local $ENV{PYTHONDONTWRITEBYTECODE} = 1;
	local $ENV{URL} = $options{url} // "http://127.0.0.1:$port/log";

	IPC::Run::run([ '/usr/bin/python3', '-c', "import logging, os, sys, threading, time\nfrom logging_handler import WindTrapHandler\n$text" ],
		'>', \$out, '2>', \$err, IPC::Run::timeout(60));
	return ($out, $err);
}

my $setup = <<'PYTHON';
handler = WindTrapHandler(os.environ["URL"], app="shop", shutdown_timeout=float(os.environ.get("SHUTDOWN", 5)))
log = logging.getLogger("billing")
log.setLevel(logging.INFO)
log.addHandler(handler)
PYTHON

# What is logged is what is stored.
my (undef, $said) = program($setup . <<'PYTHON');
log.info("order %s paid", 4711, extra={"order": 4711, "when": time.gmtime, "ratio": float("nan")})
try:
    1 / 0
except ZeroDivisionError:
    log.exception("no luck with %d%%", 100)
for i in range(2000):
    log.warning("many", extra={"n": i})
PYTHON
is($said, '', 'nothing is said where nothing is wrong');
is(query(q{SELECT data->'json'->>'message', data->'json'->>'level', data->'json'->>'logger', data->'json'->'order', data->'json'->>'app', data->'json'->>'ratio' FROM log WHERE data->'json' ? 'order'}),
	'order 4711 paid|info|billing|4711|shop|nan', 'a message is formatted, numbers are numbers, and extra fields are fields');
is(query(q{SELECT data->'json'->>'message', data->'json'->>'exception', data->'json'->>'error', data->'json'->>'traceback' LIKE 'Traceback (most recent call last):%ZeroDivisionError: division by zero%', data->'json'->'line' > '0' FROM log WHERE data->'json' ? 'traceback'}),
	'no luck with 100%|ZeroDivisionError|division by zero|t|t', 'an exception has its traceback as text');
is(query(q{SELECT count(*), count(DISTINCT data->'json'->'n'), count(DISTINCT data->>'time') < 500 FROM log WHERE data->'json'->>'message' = 'many'}),
	'2000|2000|t', 'all of many records are stored when the program has ended, many in one request');

# The standard library's own.
IPC::Run::run([ '/usr/bin/python3', '-c', <<"PYTHON" ]);
import logging, logging.handlers
log = logging.getLogger("plain")
log.addHandler(logging.handlers.HTTPHandler("127.0.0.1:$port", "/log", method="POST"))
log.warning("order %s paid", 4711)
PYTHON
is(query(q{SELECT data->'json'->>'msg', data->'json'->>'args', data->'json'->>'levelname' FROM log WHERE data->'json'->>'name' = 'plain'}),
	'order %s paid|(4711,)|WARNING', q{the standard library's HTTPHandler stores message and arguments apart, as texts});

# A collector that is away for a moment costs nothing, and does not keep the program waiting.
query(q{SELECT windtrap.stop()});
my $running = IPC::Run::start([ '/usr/bin/python3', '-c', <<"PYTHON" ], '<', \undef, '>', \my $out, '2>', \my $err, IPC::Run::timeout(60));
import logging, sys, time
sys.path.insert(0, "$examples")
sys.dont_write_bytecode = True
from logging_handler import WindTrapHandler
log = logging.getLogger("patient")
log.addHandler(WindTrapHandler("http://127.0.0.1:$port/log", shutdown_timeout=30))
begun = time.monotonic()
for i in range(100):
    log.error("patient", extra={"n": i})
print(time.monotonic() - begun < 5, flush=True)
PYTHON
ok(wait_for(sub { $running->pump_nb; $err =~ /cannot be reached/ }), 'that nothing gets through is said on standard error');
query(q{SELECT windtrap.start()});
$running->finish;
like($out, qr/True/, 'who logs does not wait');
is(query(q{SELECT count(DISTINCT data->'json'->'n') FROM log WHERE data->'json'->>'message' = 'patient'}), '100', 'and all is stored when the collector is back');

# What cannot be stored at all is said.
{
	local $ENV{SHUTDOWN} = '0.5';
	my $nobody = free_port();
	(undef, $said) = program("$setup\nlog.error('lost')", url => "http://127.0.0.1:$nobody/log");
	like($said, qr/cannot be reached/, 'why');
	like($said, qr/1 records could not be stored/, 'and how many');
	query(q{SELECT windtrap.create_token('t')});
	(undef, $said) = program("$setup\nlog.error('lost')");
	like($said, qr/answers 401: .*token.*\(will try again\)/, 'a token that is missing is not passed over in silence');
	(undef, $said) = program(<<'PYTHON');
handler = WindTrapHandler(os.environ["URL"], capacity=10, shutdown_timeout=0.5)
log = logging.getLogger("billing")
log.addHandler(handler)
for i in range(100):
    log.error("many")
PYTHON
	like($said, qr/more than 10 records wait: \d+ dropped/, 'the queue is bounded, and what it drops is said');
	query(q{DELETE FROM windtrap.token});
}

# The others say why they try again, and do not where that is in vain.
my @senders = ([ 'send.py', '/usr/bin/python3' ]);
push @senders, [ 'send.mjs', 'node' ] if grep { -x "$_/node" } split /:/, $ENV{PATH};
foreach my $sender (@senders)
{
	my ($name, $with) = @$sender;

	{
		local $ENV{WINDTRAP_URL} = "http://127.0.0.1:$port/log";

		query(q{SELECT windtrap.stop()});
		($out, $err) = ('', '');
		$running = IPC::Run::start([ $with, "$examples/$name", qq({"sender":"$name"}) ], '<', \undef, '>', \$out, '2>', \$err, IPC::Run::timeout(60));
		ok(wait_for(sub { $running->pump_nb; $err =~ /not stored yet \(.*refused.*\), again in 1 s/i }), "$name says why it tries again") or diag $err;
		query(q{SELECT windtrap.start()});
		$running->finish;
		is(query(qq{SELECT count(*) FROM log WHERE data->'json'->>'sender' = '$name'}), '1', 'and it succeeds');
	}
}

# An answer that gets lost is no second row.  A proxy lets what it is sent through, and the first
# answers not.
sub forgetful_proxy
{
	my ($n_lost) = @_;
	my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 5, ReuseAddr => 1) or die $!;
	my $pid = fork() // die "fork: $!";

	return ($listener->sockport, $pid) if $pid != 0;
	while (my $client = $listener->accept)
	{
		my $request = '';

		while (sysread $client, $request, 65536, length $request)
		{
			my ($head, $body) = $request =~ /^(.*?\r\n)\r\n(.*)$/s or next;
			last if length $body >= ($head =~ /\r\nContent-Length: *(\d+)/i ? $1 : 0);
		}
		my $collector = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port) or next;
		$request =~ s/\r\nConnection: [^\r]*//i;
		$request =~ s/\r\n/\r\nConnection: close\r\n/;
		syswrite $collector, $request;
		my $answer = do { local $/; <$collector> };
		syswrite $client, $answer if $n_lost-- <= 0;
		close $client;
	}
	POSIX::_exit(0);
}
{
	my ($proxy, $pid) = forgetful_proxy(2);
	foreach my $sender (@senders)
	{
		my ($name, $with) = @$sender;
		my ($proxy_of_this, $pid_of_this) = forgetful_proxy(2);
		local $ENV{WINDTRAP_URL} = "http://127.0.0.1:$proxy_of_this/log";

		IPC::Run::run([ $with, "$examples/$name", qq({"lost":"$name"}) ], '<', \undef, '>', \$out, '2>', \$err, IPC::Run::timeout(60));
		like($out, qr/duplicate/, "$name sends again when an answer is lost") or diag $err;
		is(query(qq{SELECT count(*) FROM log WHERE data->'json'->>'lost' = '$name'}), '1', 'and it is one row');
		kill 'TERM', $pid_of_this;
		waitpid $pid_of_this, 0;
	}
	(undef, $said) = program($setup . <<'PYTHON', url => "http://127.0.0.1:$proxy/log");
handler.shutdown_timeout = 30
log.warning("lost", extra={"n": 1})
log.warning("lost", extra={"n": 2})
PYTHON
	like($said, qr/cannot be reached/, 'the handler sends again when an answer is lost');
	is(query(q{SELECT count(*), count(DISTINCT data->'json'->'n') FROM log WHERE data->'json'->>'message' = 'lost'}), '2|2', 'and each record is one row');
	kill 'TERM', $pid;
	waitpid $pid, 0;
}
install($node, issue(authority('authority'), 'server'));
alter_system($node, 'windtrap.tls_cert_file' => 'server.crt', 'windtrap.tls_key_file' => 'server.key');
ok(wait_for(sub { tls_curl('-k', '-d', '{}', "https://localhost:$port/log") =~ /^200/ }), 'it speaks TLS now');
foreach my $sender (@senders)
{
	my ($name, $with) = @$sender;
	local $ENV{WINDTRAP_URL} = "https://localhost:$port/log";

	IPC::Run::run([ $with, "$examples/$name", '{}' ], '<', \undef, '>', \$out, '2>', \$err, IPC::Run::timeout(20));
	like($err, qr/not stored: .*(certificate|issuer)/i, "$name says at once that it does not trust a certificate");
	unlike($err, qr/again in/, 'and does not try again');
}

$node->stop;
done_testing();

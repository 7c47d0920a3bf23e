# WindTrap.pm
#	What the tests in this directory share: nodes that collect events, HTTP in its
#	raw and its comfortable form, waiting for conditions, and a load client that keeps
#	a ledger of what it was promised.
#
# Core Perl and PostgreSQL::Test only.

package WindTrap;

use strict;
use warnings;

use Exporter 'import';
use HTTP::Tiny;
use IO::Socket::INET;
use JSON::PP ();
use POSIX ();
use Test::More;
use Time::HiRes qw(sleep time);
use version;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;

our @EXPORT = qw(
  wt_node wt_port free_port set_port ready event http post post_json json_of
  command connect_to wait_for accepts elapsed within log_since log_mark count_in_log
  worker_pids alter_system reload start_load kill_group python known_of_mhd_1 mhd_before
);

# The tests speak to this machine only.
delete @ENV{qw(http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY)};

my %ports;    # of each node, by name

# Beneath memcheck a server takes many times as long, and its clients wait so much longer.
our $patience = $ENV{WT_VALGRIND} ? 10 : 1;

# Makes a node and starts it.  Options: preload (default 1), create (CREATE EXTENSION,
# default: as preload), conf (text for postgresql.conf), init (options for init).
sub wt_node
{
	my ($name, %o) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);
	my $preload = $o{preload} // 1;

	$node->init(extra => [ '--encoding', 'UTF8', '--locale', 'C' ], %{ $o{init} // {} });
	$ports{$name} = free_port();
	$node->append_conf('postgresql.conf', <<"CONF");
max_connections = 30
restart_after_crash = on
timezone = 'Europe/Berlin'
max_worker_processes = 12
CONF
	$node->append_conf('postgresql.conf', <<"CONF") if $preload;
shared_preload_libraries = 'windtrap'
CONF
	$node->append_conf('postgresql.conf', "windtrap.port = $ports{$name}\n");
	# Old partitions stay what tests make them, but where sealing is what they are about.
	$node->append_conf('postgresql.conf', "windtrap.seal_after = ''\n");
	$node->append_conf('postgresql.conf', $o{conf}) if $o{conf};
	$node->start;
	if ($o{create} // $preload)
	{
		$node->safe_psql('postgres', 'CREATE EXTENSION windtrap');
		ready($ports{$name}) or die "the collector does not answer";
	}
	return $node;
}

sub wt_port { return $ports{ $_[0]->name }; }

sub set_port
{
	my ($node, $port) = @_;
	$ports{ $node->name } = $port;
	return $port;
}

sub free_port { return PostgreSQL::Test::Cluster::get_free_port(); }

# Waits until the condition holds; false when it still does not after so many seconds.
sub wait_for
{
	my ($condition, $seconds) = @_;
	my $until = time + ($seconds // 60) * $patience;
	my $pause = 0.02;

	# Conditions are asked of psql for the most part, which costs more than what it waits for.
	while (1)
	{
		return 1 if $condition->();
		return 0 if time >= $until;
		sleep $pause;
		$pause = 0.05 if ($pause *= 1.2) > 0.05;
	}
}

# Whether the server accepts connections.  One that refuses them while it recovers may be
# gone before psql has been told what to ask.
sub accepts
{
	my ($node) = @_;
	my ($rc) = eval { $node->psql('postgres', 'SELECT 1') };

	return defined $rc && $rc == 0;
}

# Seconds that the code takes, to be compared with a limit.
sub elapsed
{
	my ($code) = @_;
	my $begun = time;

	$code->();
	return time - $begun;
}

# That something took less than so many seconds; beneath memcheck that is not asked.
sub within
{
	my ($took, $limit, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return pass("$name (not measured beneath memcheck)") if $ENV{WT_VALGRIND};
	return cmp_ok($took, '<', $limit, $name);
}

sub ready
{
	my ($port, $seconds) = @_;
	return wait_for(sub { http($port, 'GET', '/health', timeout => 5)->{status} == 200 },
		$seconds // 60);
}

# HTTP, each request on a connection of its own.  The answer is HTTP::Tiny's: status
# (599: there was none), headers, content.
sub http
{
	my ($port, $method, $path, %o) = @_;
	my $client = HTTP::Tiny->new(
		timeout    => ($o{timeout} // 20) * $patience,
		keep_alive => 0,
		agent      => $o{agent} // 'windtrap-test',
		proxy      => undef);
	my %request = (headers => $o{headers} // {});

	$request{content} = $o{body} if defined $o{body};
	return $client->request($method, "http://" . ($o{host} // '127.0.0.1') . ":$port$path",
		\%request);
}

sub post
{
	my ($port, $body, %o) = @_;
	$o{headers} = {
		'Content-Type' => $o{type} // 'application/json',
		%{ $o{headers} // {} } };
	return http($port, 'POST', $o{path} // '/log', %o, body => $body);
}

sub post_json
{
	my ($port, $value, %o) = @_;
	return post($port, JSON::PP->new->utf8->canonical->encode($value), %o);
}

sub json_of
{
	my ($answer) = @_;
	return eval { JSON::PP->new->utf8->decode($answer->{content}) } // {};
}

# An event's code, as a health check of the whole way.
sub event
{
	my ($port, $id) = @_;
	return post_json($port, { id => $id // 'probe' })->{status};
}

# Runs a program; gives its standard output, and die()s where it fails.
sub command
{
	my (@command) = @_;
	my ($out, $err) = ('', '');

	IPC::Run::run(\@command, '<', '/dev/null', '>', \$out, '2>', \$err)
	  or die "@command failed: $err";
	chomp $out;
	return $out;
}

# The python3 that has the module requests.
sub python
{
	my (@arguments) = @_;
	my $python = -x '/usr/bin/python3' ? '/usr/bin/python3' : 'python3';
	return command($python, @arguments);
}

# Whether libmicrohttpd is older than a version.
my $mhd_version;

sub mhd_before
{
	my ($version) = @_;
	$mhd_version //= command('pkg-config', '--modversion', 'libmicrohttpd');
	return version->parse($mhd_version) < version->parse($version);
}

# Requests that early versions of libmicrohttpd 1.0 treat otherwise than they should
# (docs/testing.md says how), by name: for $TODO, undefined for others.
my %known_of_mhd_1 = ('a chunk extension of 40 KB' => 'libmicrohttpd 1.0.1 waits for more of it');

sub known_of_mhd_1
{
	my ($name) = @_;
	return undef if !exists $known_of_mhd_1{$name} || mhd_before('1.0.0') || !mhd_before('1.0.10');
	return $known_of_mhd_1{$name};
}

sub connect_to
{
	my ($port, $host) = @_;
	return WindTrap::Connection->new($host // '127.0.0.1', $port);
}

# The server's log from a place in it on.
sub log_mark { return -s $_[0]->logfile; }

sub log_since
{
	my ($node, $mark) = @_;
	return slurp_file($node->logfile, $mark // 0);
}

sub count_in_log
{
	my ($node, $pattern, $mark) = @_;
	my $log = log_since($node, $mark);
	return scalar(() = $log =~ /$pattern/g);
}

sub worker_pids
{
	my ($node) = @_;
	return split /\n/,
	  $node->safe_psql('postgres',
		"SELECT pid FROM pg_stat_activity WHERE backend_type = 'windtrap worker' ORDER BY 1");
}

sub alter_system
{
	my ($node, %settings) = @_;
	# A session knows our settings when it has loaded the library.
	$node->safe_psql('postgres', join '', "LOAD 'windtrap';\n", map {
		defined $settings{$_}
		? "ALTER SYSTEM SET $_ = '$settings{$_}';\n"
		: "ALTER SYSTEM RESET $_;\n"
	} sort keys %settings);
	return reload($node);
}

sub reload
{
	my ($node) = @_;
	return $node->safe_psql('postgres', 'SELECT pg_reload_conf()');
}

# Kills the postmaster and then its children, all by their own pids.
sub kill_group
{
	my ($node) = @_;
	my $postmaster = (split /\n/, slurp_file($node->data_dir . '/postmaster.pid'))[0];
	my @children = split ' ', slurp_file("/proc/$postmaster/task/$postmaster/children");

	kill 'KILL', $postmaster, @children;
	wait_for(sub { !grep { kill 0, $_ } $postmaster, @children });
	$node->kill9;    # it is dead; this makes the node know
	return;
}

sub start_load { return WindTrap::Load->start(@_); }

# A connection on which anything can be sent, one byte at a time if need be.
package WindTrap::Connection;

use strict;
use warnings;
use Time::HiRes qw(time);

sub new
{
	my ($class, $host, $port) = @_;
	my $socket = IO::Socket::INET->new(
		PeerAddr => $host,
		PeerPort => $port,
		Timeout  => 10 * $WindTrap::patience) or return;

	$socket->autoflush(1);
	return bless { socket => $socket, buffer => '', closed => 0 }, $class;
}

sub send
{
	my ($self, $bytes) = @_;
	local $SIG{PIPE} = 'IGNORE';
	my $sent = 0;

	while ($sent < length $bytes)
	{
		my $n = syswrite $self->{socket}, $bytes, length($bytes) - $sent, $sent;
		return 0 if !defined $n;
		$sent += $n;
	}
	return 1;
}

# A whole request, Content-Length and all.
sub request
{
	my ($self, $body, %o) = @_;
	my $method = $o{method} // 'POST';
	my $path = $o{path} // '/log';
	my $headers = join '', map { "$_\r\n" } @{ $o{headers} // [] };
	return $self->send("$method $path HTTP/1.1\r\nHost: localhost\r\n$headers"
		  . (defined $body ? 'Content-Length: ' . length($body) . "\r\n\r\n$body" : "\r\n"));
}

# Waits for bytes; false: there are none, because the time is over or the other side
# has closed (then {closed} is set).
sub fill
{
	my ($self, $seconds) = @_;
	my $ready = '';

	return 0 if $self->{closed};
	vec($ready, fileno $self->{socket}, 1) = 1;
	return 0 if select($ready, undef, undef, $seconds) <= 0;
	my $n = sysread $self->{socket}, $self->{buffer}, 65536, length $self->{buffer};
	return 1 if $n;
	$self->{closed} = 1;
	return 0;
}

# The next response: status, headers (names in lower case), content; undef: there is
# none.  Option head: it has no body, whatever its Content-Length.
sub response
{
	my ($self, %o) = @_;
	my $until = time + ($o{seconds} // 30) * $WindTrap::patience;

	while (1)
	{
		if ($self->{buffer} =~ /\A(HTTP\/1\.[01] (\d+).*?)\r\n\r\n/s)
		{
			my ($head, $status) = ($1, $2);
			my %headers = map { /^([^:]+): *(.*)$/ ? (lc $1 => $2) : () }
			  split /\r\n/, $head;
			my $begin = length($head) + 4;
			my $length = $o{head} || $status == 100 ? 0 : $headers{'content-length'} // 0;

			if (length($self->{buffer}) >= $begin + $length)
			{
				my $content = substr $self->{buffer}, $begin, $length;
				substr($self->{buffer}, 0, $begin + $length) = '';
				return {
					status  => $status,
					headers => \%headers,
					content => $content };
			}
		}
		my $left = $until - time;
		return if $left <= 0;
		return if !$self->fill($left);
	}
}

# Waits until the other side has closed; false: it has not, or has sent something.
sub is_closed
{
	my ($self, $seconds) = @_;
	my $until = time + ($seconds // 20) * $WindTrap::patience;

	while (!$self->{closed} && time < $until)
	{
		$self->fill($until - time);
	}
	return $self->{closed} && $self->{buffer} eq '';
}

sub close
{
	my ($self) = @_;
	$self->{socket}->close;
	return;
}

# Many keep-alive connections that send events as fast as they are answered, in a
# process of their own.  Every event has its own id, and the ledger, a file outside of
# the data directory, has a line for each: the id, the answer's code (0: there was
# none), and how long it took, in ms.
package WindTrap::Load;

use strict;
use warnings;
use POSIX ();
use Time::HiRes qw(sleep time);

my $n_loads = 0;

# Options: connections (64), pause (s, between an answer and the next event), fresh (each event
# by a connection of its own).
sub start
{
	my ($class, $port, %o) = @_;
	my $name = 'load' . ++$n_loads;
	my $ledger = PostgreSQL::Test::Utils::tempdir() . "/$name";
	my $pid = fork() // die "fork: $!";

	if ($pid == 0)
	{
		eval { run($port, $name, $ledger, %o); 1 } or print STDERR "load: $@";
		POSIX::_exit(0);
	}
	return bless { pid => $pid, ledger => $ledger, name => $name }, $class;
}

sub run
{
	my ($port, $name, $ledger, %o) = @_;
	my $pause = $o{pause} // 0;
	my $close = $o{fresh} ? "Connection: close\r\n" : '';
	my $stop = 0;
	my $serial = 0;
	my %by_fd;
	my @clients = map { { number => $_, next => 0 } } 1 .. ($o{connections} // 64);

	local $SIG{TERM} = sub { $stop ||= time + 6 };
	local $SIG{PIPE} = 'IGNORE';
	open my $out, '>>', $ledger or die "$ledger: $!";
	my $note = sub {
		my ($c, $code) = @_;
		my $ms = int((time - $c->{sent}) * 1000);
		syswrite $out, "$c->{id} $code $ms\n";
		delete $c->{id};
		$c->{next} = time + $pause;
	};
	my $drop = sub {
		my ($c) = @_;
		delete $by_fd{ fileno $c->{socket} };
		close delete $c->{socket};
		$note->($c, 0) if defined $c->{id};
		$c->{next} = time + 0.05;
	};

	while (1)
	{
		my $now = time;
		my $waiting = 0;
		my $set = '';

		for my $c (@clients)
		{
			if (!defined $c->{id} && $c->{next} <= $now && !$stop)
			{
				if (!$c->{socket})
				{
					$c->{socket} = IO::Socket::INET->new(
						PeerAddr => '127.0.0.1',
						PeerPort => $port,
						Timeout  => 5);
					if (!$c->{socket})
					{
						$c->{next} = $now + 0.05;
						next;
					}
					$c->{buffer} = '';
					$by_fd{ fileno $c->{socket} } = $c;
				}
				$c->{id} = "$name-$c->{number}-" . ++$serial;
				$c->{sent} = time;
				my $body = qq({"id":"$c->{id}","app":"ledger","severity":"info"});
				syswrite $c->{socket}, "POST /log HTTP/1.1\r\nHost: localhost\r\n$close"
				  . "Content-Type: application/json\r\nContent-Length: "
				  . length($body) . "\r\n\r\n$body" or $drop->($c);
			}
			$waiting++ if defined $c->{id};
			vec($set, fileno $c->{socket}, 1) = 1 if $c->{socket};
		}
		last if $stop && ($waiting == 0 || $now > $stop);

		my $n = select $set, undef, undef, $waiting == scalar @clients ? 1 : 0.01;
		next if $n <= 0;
		for my $fd (keys %by_fd)
		{
			next if !vec($set, $fd, 1);
			my $c = $by_fd{$fd};
			my $got = sysread $c->{socket}, $c->{buffer}, 8192, length $c->{buffer};
			if (!$got)
			{
				$drop->($c);
				next;
			}
			next if $c->{buffer} !~ /\AHTTP\/1\.1 (\d+)(.*?)\r\n\r\n/s;
			my ($code, $headers, $begin) = ($1, $2, $+[0]);
			my ($length) = $headers =~ /\r\nContent-Length: *(\d+)/i;
			next if length $c->{buffer} < $begin + ($length // 0);
			$c->{buffer} = '';
			$note->($c, $code);
			$drop->($c) if $headers =~ /\r\nConnection: *close/i;
		}
	}
	for my $c (@clients)
	{
		$note->($c, 0) if defined $c->{id};
	}
	close $out;
	return;
}

# How often each code was answered until now.
sub codes
{
	my ($self) = @_;
	my %codes;

	open my $in, '<', $self->{ledger} or return {};
	while (<$in>)
	{
		$codes{$1}++ if /^\S+ (\d+) /;
	}
	close $in;
	return \%codes;
}

sub slowest
{
	my ($self) = @_;
	my $slowest = 0;

	open my $in, '<', $self->{ledger} or return 0;
	while (<$in>)
	{
		$slowest = $1 if / (\d+)$/ && $1 > $slowest;
	}
	close $in;
	return $slowest;
}

# Waits until so many more events have been acknowledged.
sub wait_for_more
{
	my ($self, $more, $seconds) = @_;
	my $enough = ($self->codes->{200} // 0) + $more;
	return WindTrap::wait_for(sub { ($self->codes->{200} // 0) >= $enough },
		$seconds // 60);
}

# Ends it; gives the codes.
sub stop
{
	my ($self) = @_;
	return $self->codes if !$self->{pid};
	kill 'TERM', $self->{pid};
	waitpid delete $self->{pid}, 0;
	return $self->codes;
}

# Compares the ledger with the table: acknowledged events that are missing, events that
# are there twice, and events that were refused and are there nevertheless.
sub audit
{
	my ($self, $node, %o) = @_;
	my $table = $o{table} // 'log';
	my $out = $node->safe_psql($o{database} // 'postgres', <<"SQL");
CREATE TEMP TABLE ledger (id text, code int, ms int);
\\copy ledger FROM '$self->{ledger}' WITH (DELIMITER ' ')
CREATE TEMP TABLE stored AS
	SELECT data->'json'->>'id' AS id, count(*) AS n FROM $table
	WHERE data->'json'->>'id' LIKE '$self->{name}-%' GROUP BY 1;
SELECT count(*) FILTER (WHERE code = 200 AND n IS NULL),
	count(*) FILTER (WHERE n > 1),
	count(*) FILTER (WHERE code >= 400 AND n IS NOT NULL)
	FROM ledger LEFT JOIN stored USING (id);
SQL
	return $out;
}

# What audit gives when all is well.
sub nothing_wrong { return '0|0|0'; }

sub DESTROY
{
	my ($self) = @_;
	local $?;
	$self->stop;
	return;
}

1;

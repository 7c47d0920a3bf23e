# Batch.pm
#	What the tests of batches share beside WindTrap.pm: bodies of many events, compressed
#	or not, a sender that reads while it sends, and what a worker uses and counts.
#
# Core Perl only.

package Batch;

use strict;
use warnings;
use Test::More;

use Compress::Raw::Zlib;
use Errno qw(EAGAIN EINTR);
use Exporter 'import';
use IO::Compress::Deflate ();
use IO::Compress::Gzip ();
use IO::Compress::RawDeflate ();
use IO::Socket::INET;
use IPC::Run ();
use JSON::PP ();
use POSIX ();
use Time::HiRes qw(time);

use PostgreSQL::Test::Utils;
use WindTrap ();

our @EXPORT = qw(
  lines gzip zlib raw_deflate zstd gzip_bomb zstd_bomb memory watch_memory peak_memory shared_change memory_ok exchange
  metrics changes percentile in_background
);

# NDJSON: so many events, numbered from 1; more: further members.
sub lines
{
	my ($n, $more) = @_;
	$more = defined $more ? ",$more" : '';
	return join '', map { qq({"n":$_$more}\n) } 1 .. $n;
}

#
# Compressed bodies
#
sub gzip
{
	my ($bytes) = @_;
	IO::Compress::Gzip::gzip(\$bytes => \my $out, Minimal => 1) or die 'gzip';
	return $out;
}

sub zlib
{
	my ($bytes) = @_;
	IO::Compress::Deflate::deflate(\$bytes => \my $out) or die 'deflate';
	return $out;
}

sub raw_deflate
{
	my ($bytes) = @_;
	IO::Compress::RawDeflate::rawdeflate(\$bytes => \my $out) or die 'rawdeflate';
	return $out;
}

# By the program; undef where there is none.
sub zstd
{
	my ($bytes, @options) = @_;
	my ($out, $err) = ('', '');
	my $ok = eval { IPC::Run::run([ 'zstd', '-q', '-c', @options ], '<', \$bytes, '>', \$out, '2>', \$err) };
	return $ok ? $out : undef;
}

# 1 GiB of zeros in one member: 64 times the same piece, which refers to nothing before it.
sub gzip_bomb
{
	my ($z) = Compress::Raw::Zlib::Deflate->new(-Level => 9, -WindowBits => -15, -AppendOutput => 1);
	my $piece = '';
	$z->deflate("\0" x (16 * 1024 * 1024), $piece) == Z_OK or die;
	$z->flush($piece, Z_FULL_FLUSH) == Z_OK or die;
	return "\x1F\x8B\x08\0\0\0\0\0\0\x03" . $piece x 64 . "\x03\0" . "\0" x 4 . pack 'V', 1 << 30;
}

sub zstd_bomb
{
	my ($out, $err) = ('', '');
	my $ok = eval {
		IPC::Run::run([ 'head', '-c', 1 << 30, '/dev/zero' ], '|', [ 'zstd', '-q', '-c', @_ ],
			'>', \$out, '2>', \$err);
	};
	return $ok ? $out : undef;
}

#
# Memory of a process, kB
#
sub status_of
{
	my ($pid, $field) = @_;
	my ($value) = slurp_file("/proc/$pid/status") =~ /^$field:\s+(\d+) kB/m;
	return $value;
}

# Its own, without what it shares with others.
sub memory { return status_of($_[0], 'RssAnon'); }

# Begins to watch how far it grows.
sub watch_memory
{
	my ($pid) = @_;
	open my $out, '>', "/proc/$pid/clear_refs" or die "clear_refs: $!";
	print $out "5\n";
	close $out or die "clear_refs: $!";
	return { pid => $pid, before => status_of($pid, 'VmRSS'), shared => shared($pid) };
}

# Whether memory (in any unit) is within its limit.  Under the sanitizers and memcheck, which keep
# what is freed and shadow what is not, nothing can be said of it.
sub memory_ok
{
	my ($got, $limit, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return pass("$name (not measured under the sanitizers)") if $ENV{WT_SANITIZE} || $ENV{WT_VALGRIND};
	return cmp_ok($got, '<=', $limit, $name);
}

# How far it has grown since, at its peak, without what it shares with others.  When that peak
# was the kernel does not say: it is as exact as shared_change is small.
sub peak_memory
{
	my ($watch) = @_;
	my $pid = $watch->{pid};
	return status_of($pid, 'VmHWM') - $watch->{before} - shared_change($watch);
}

# What it shares with others has changed by since: the kernel takes pages of files away, and
# brings them again, as it sees fit.
sub shared_change
{
	my ($watch) = @_;
	return shared($watch->{pid}) - $watch->{shared};
}

sub shared { return status_of($_[0], 'RssShmem') + status_of($_[0], 'RssFile'); }

#
# A sender that reads while it sends, as curl and other good ones do: who is refused in the
# middle of a body sees why.  Gives the status (0: there was no answer), the header
# Retry-After and the body of the answer.
#
sub exchange
{
	my ($port, $body, %o) = @_;
	my $until = time + ($o{seconds} // 30) * $WindTrap::patience;
	my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port, Timeout => 10 * $WindTrap::patience)
	  or return { status => 0, error => "connect: $!" };
	my $out = 'POST ' . ($o{path} // '/log') . " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
	  . 'Content-Type: ' . ($o{type} // 'application/x-ndjson') . "\r\n"
	  . join('', map { "$_\r\n" } @{ $o{headers} // [] })
	  . 'Content-Length: ' . length($body) . "\r\n\r\n$body";
	my $sent = 0;
	my $in = '';
	my $error = 'timeout';
	local $SIG{PIPE} = 'IGNORE';

	$socket->blocking(0);
	while ((my $left = $until - time) > 0)
	{
		my ($r, $w) = ('', '');
		vec($r, fileno $socket, 1) = 1;
		vec($w, fileno $socket, 1) = 1 if $sent < length $out;
		next if select($r, $w, undef, $left) <= 0;
		if (vec($r, fileno $socket, 1))
		{
			my $n = sysread $socket, $in, 65536, length $in;
			$error = defined $n ? 'closed' : "read: $!";
			if ($in =~ /\AHTTP\/1\.1 (\d+)(.*?)\r\n\r\n/s)
			{
				my ($status, $head, $begin) = ($1, $2, $+[0]);
				my ($length) = $head =~ /\r\nContent-Length: *(\d+)/i;
				if (defined $length && length $in >= $begin + $length)
				{
					my ($retry) = $head =~ /\r\nRetry-After: *(\d+)/i;
					return {
						status  => $status,
						retry   => $retry,
						content => substr($in, $begin, $length),
						whole   => $sent == length $out };
				}
			}
			last if !$n && !($! == EAGAIN || $! == EINTR);
			last if defined $n && $n == 0;
		}
		if (vec($w, fileno $socket, 1))
		{
			my $n = syswrite $socket, $out, 262144, $sent;
			if (defined $n) { $sent += $n; }
			elsif ($! != EAGAIN && $! != EINTR) { $sent = length $out; }    # an answer may be there
		}
	}
	return { status => 0, error => $error };
}

# Runs code in a process of its own; gives a sub that waits for it and gives its result.
sub in_background
{
	my ($code) = @_;
	pipe my $read, my $write or die "pipe: $!";
	my $pid = fork() // die "fork: $!";

	if ($pid == 0)
	{
		close $read;
		my $result = eval { $code->() } // { error => $@ };
		print $write JSON::PP->new->utf8->encode($result);
		close $write;
		POSIX::_exit(0);
	}
	close $write;
	return sub {
		local $/;
		my $text = <$read>;
		close $read;
		waitpid $pid, 0;
		return JSON::PP->new->utf8->decode($text);
	};
}

sub percentile
{
	my ($p, @values) = @_;
	return if !@values;
	@values = sort { $a <=> $b } @values;
	return $values[ int($p / 100 * $#values + 0.5) ];
}

#
# Counters
#
# windtrap.metrics as a hash: name, or name{label value}.
sub metrics
{
	my ($node) = @_;
	my %m = map { /^(.*)=(\S+)$/ ? ($1 => $2) : () } split /\n/, $node->safe_psql('postgres',
		q{SELECT name || coalesce('{' || label_value || '}', '') || '=' || value FROM windtrap.metrics});
	return \%m;
}

# What has changed between two of those, where the pattern matches: "name +1, other +2".
sub changes
{
	my ($before, $after, $pattern) = @_;
	return join ', ', map { "$_ +" . ($after->{$_} - ($before->{$_} // 0)) }
	  grep { /$pattern/ && $after->{$_} != ($before->{$_} // 0) } sort keys %$after;
}

1;

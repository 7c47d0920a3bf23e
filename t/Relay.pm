# Relay.pm
#	The line between two servers: a process that passes bytes on from one port to another, as slowly,
#	as far, and to whom, the test wants it to.
#
# Core Perl and PostgreSQL::Test only.

package Relay;

use strict;
use warnings;

use Errno qw(EAGAIN EINTR EWOULDBLOCK);
use IO::Handle;
use IO::Select;
use IO::Socket::INET;
use JSON::PP ();
use POSIX ();
use Socket qw(SOL_SOCKET SO_RCVBUF SO_SNDBUF);
use Time::HiRes qw(sleep time);

use PostgreSQL::Test::Utils;
use WindTrap;

# What a line holds in its middle: little, or what was sent would be far from having been received.
use constant BUFFER => 16 * 1024;

# A request with a body of more than that brings events, and does not only ask whether they are taken.
use constant ASKS => 50;

# Starts it, to a port of another server's.
sub start
{
	my ($class, $to) = @_;
	my $self = bless { port => free_port(), dir => PostgreSQL::Test::Utils::tempdir(), serial => 0 }, $class;
	my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $self->{port}, Listen => 50, ReuseAddr => 1)
	  or die "cannot listen: $!";

	setsockopt $listener, SOL_SOCKET, SO_RCVBUF, BUFFER;
	$self->how(to => $to);
	$self->{pid} = fork() // die "fork: $!";
	if ($self->{pid} == 0)
	{
		local $SIG{PIPE} = 'IGNORE';
		eval { run($self->{dir}, $listener); 1 } or print STDERR "relay: $@";
		POSIX::_exit(0);
	}
	return $self;
}

sub port { return $_[0]{port}; }

# What it does from now on; what is not said is as at the start:
#	to             the port that it connects to; stays as it was
#	rate           bytes a second that come through to there
#	stop           nothing comes through, either way
#	cut_after      bytes of a connection, after which it is cut
#	lose_answers   so many answers to requests with events are taken, and their connections cut
#	refuse         who connects is cut off, and who is connected
#	then_refuse    likewise, from the last answer lost on
sub how
{
	my ($self, %how) = @_;

	$self->{to} = $how{to} //= $self->{to};
	$how{serial} = ++$self->{serial};
	open my $out, '>', "$self->{dir}/how.new" or die $!;
	print $out JSON::PP->new->encode(\%how);
	close $out;
	rename "$self->{dir}/how.new", "$self->{dir}/how" or die $!;
	# It has been seen.
	return !$self->{pid} || wait_for(sub { $self->noted('serial') == $how{serial} }, 10);
}

# What it has done: connections, passed (bytes to the other server), lost (answers), cut.
sub noted
{
	my ($self, $what) = @_;
	my $file = "$self->{dir}/noted";
	return (-e $file ? JSON::PP::decode_json(slurp_file($file)) : {})->{$what} // 0;
}

sub stop
{
	my ($self) = @_;
	return if !$self->{pid};
	kill 'KILL', $self->{pid};
	waitpid delete $self->{pid}, 0;
	return;
}

sub DESTROY { local ($?, $@); $_[0]->stop; return; }

# What comes of a socket now: bytes, '' where there are none yet, undef at the end.
sub take
{
	my ($socket, $length) = @_;
	my $bytes;
	my $n = sysread $socket, $bytes, $length;

	return $bytes if $n;
	return defined $n || ($! != EAGAIN && $! != EWOULDBLOCK && $! != EINTR) ? undef : '';
}

# Sends what there is, as far as there is room; false where nobody is there any more.
sub give
{
	my ($socket, $bytes) = @_;

	return 1 if $$bytes eq '';
	my $n = syswrite $socket, $$bytes;
	return $! == EAGAIN || $! == EWOULDBLOCK || $! == EINTR if !defined $n;
	substr($$bytes, 0, $n) = '';
	return 1;
}

# Looks at what is sent for how long the request is that is under way.
sub read_head
{
	my ($c, $bytes) = @_;

	return if defined $c->{length};
	$c->{head} .= $bytes;
	$c->{length} = $1 if $c->{head} =~ /^(.*?)\r\n\r\n/s && $1 =~ /^Content-Length: *(\d+)/im;
	return;
}

sub run
{
	my ($dir, $listener) = @_;
	my %noted = (serial => 0, map { $_ => 0 } qw(connections passed lost cut));
	my (%how, @connections);
	my $written = '';
	my $room = 0;
	my $last = time;
	my $end = sub {
		my ($c, $why) = @_;
		close $_ for $c->{near}, $c->{far};
		$c->{gone} = 1;
		$noted{$why}++ if $why;
	};

	$listener->blocking(0);
	while (getppid() != 1)
	{
		my $said = JSON::PP::decode_json(slurp_file("$dir/how"));
		if ($said->{serial} != $noted{serial})
		{
			%how = %$said;
			$noted{serial} = $how{serial};
		}
		my $text = JSON::PP->new->canonical->encode(\%noted);
		if ($text ne $written)
		{
			open my $out, '>', "$dir/noted.new" or die $!;
			print $out $written = $text;
			close $out;
			rename "$dir/noted.new", "$dir/noted";
		}

		my @wanted = ($listener, map { ($how{stop} ? () : ($_->{near}, $_->{over} ? () : $_->{far})) } @connections);
		my @ready = IO::Select->new(@wanted)->can_read(0.02);
		my %is_ready = map { fileno($_) => 1 } grep { defined fileno $_ } @ready;
		my $now = time;
		if ($how{rate})
		{
			# No more at once than a tenth of a second's.
			$room += ($now - $last) * $how{rate};
			$room = $how{rate} / 10 if $room > $how{rate} / 10;
		}
		$last = $now;
		while (my $near = $listener->accept)
		{
			$noted{connections}++;
			my $far = $how{refuse} ? undef : IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $how{to}, Timeout => 5);
			if (!$far)
			{
				close $near;
				next;
			}
			setsockopt $far, SOL_SOCKET, SO_SNDBUF, BUFFER;
			$_->blocking(0) for $near, $far;
			push @connections, { near => $near, far => $far, up => '', down => '', passed => 0, head => '' };
		}
		for my $c (@connections)
		{
			if ($how{refuse})
			{
				$end->($c, 'cut');
				next;
			}
			next if $how{stop};
			# What the other server has said goes first: it may be why it listens no more.
			if (!$c->{over} && $is_ready{ fileno $c->{far} } && $c->{down} eq '')
			{
				my $bytes = take($c->{far}, 65536);
				if (($bytes // '') ne '' && $how{lose_answers} && ($c->{length} // 0) > ASKS)
				{
					$how{refuse} = $how{then_refuse} if --$how{lose_answers} == 0;
					$end->($c, 'lost');
					next;
				}
				if (defined $bytes) { $c->{down} = $bytes; }
				else
				{
					$c->{over} = $now;
					shutdown $c->{near}, 1;
				}
				# The next request has a head of its own.
				if (($bytes // '') ne '')
				{
					$c->{head} = '';
					delete $c->{length};
				}
			}
			my $length = $how{rate} ? int $room : 65536;
			if ($is_ready{ fileno $c->{near} } && $c->{up} eq '' && $length > 0)
			{
				my $bytes = take($c->{near}, $length);
				if (!defined $bytes) { $end->($c); next; }
				read_head($c, $bytes);
				$c->{up} = $bytes if !$c->{over};
				$c->{passed} += length $bytes;
				$noted{passed} += length $bytes;
				$room -= length $bytes if $how{rate};
				if ($how{cut_after} && $c->{passed} >= $how{cut_after}) { $end->($c, 'cut'); next; }
			}
			# One that sends on after the end is cut off in the end.
			$end->($c) if !give($c->{near}, \$c->{down}) || ($c->{over} && $now > $c->{over} + 2);
			$c->{up} = '' if !$c->{gone} && !$c->{over} && !give($c->{far}, \$c->{up});
		}
		@connections = grep { !$_->{gone} } @connections;
		# What is at hand and may not pass yet would have it spin.
		sleep 0.02 if @ready && ($how{rate} && $room < 1);
	}
	return;
}

1;

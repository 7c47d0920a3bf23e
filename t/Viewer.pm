# Viewer.pm
#	What tests of the viewer share: a node that has one, its API in a comfortable form, and answers
#	that are read line by line while they come.

package Viewer;

use strict;
use warnings;

use Encode ();
use Exporter 'import';
use JSON::PP ();

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use WindTrap;

our @EXPORT = qw(viewer_node viewer_port target api lines_of end_of follow open_stream viewer_pids own_memory cpu_of);

my %ports;    # of the viewers, by the node's name

# As wt_node, with a viewer that answers.
sub viewer_node
{
	my ($name, %o) = @_;
	my $port = $ports{$name} = free_port();
	my $node = wt_node($name, %o, conf => "windtrap.viewer_port = $port\n" . ($o{conf} // ''));

	ready($port) or die 'the viewer does not answer';
	return $node;
}

sub viewer_port { return $ports{ $_[0]->name }; }

# A path with parameters: texts, not bytes; those that are undefined are left out.
sub target
{
	my ($path, %parameters) = @_;
	my $encode = sub { Encode::encode('UTF-8', $_[0]) =~ s/([^A-Za-z0-9_.~-])/sprintf '%%%02X', ord $1/ger };
	my $query = join '&', map { $encode->($_) . '=' . $encode->($parameters{$_}) } grep { defined $parameters{$_} } sort keys %parameters;
	return $query eq '' ? $path : "$path?$query";
}

# Asks; gives the answer as http() does.
sub api
{
	my ($port, $path, %parameters) = @_;
	return http($port, 'GET', target("/api/$path", %parameters), timeout => 60);
}

# The lines of an answer, decoded.
sub lines_of
{
	my ($answer) = @_;
	return map { JSON::PP->new->utf8->decode($_) } split /\n/, $answer->{content};
}

# What the last line says of the whole.
sub end_of
{
	my ($last) = (lines_of($_[0]))[-1];
	return $last->{end};
}

# All lines, of this answer and those that `next` leads to; how many answers it took.
sub follow
{
	my ($port, $path, %parameters) = @_;
	my ($n, @lines) = (0);

	while (1)
	{
		my $answer = api($port, $path, %parameters);
		die "$path: $answer->{status} $answer->{content}" if $answer->{status} != 200;
		my @these = lines_of($answer);
		my $end = (pop @these)->{end} // die "$path: no end: $answer->{content}";
		push @lines, @these;
		$n++;
		die "$path does not end" if $n > 5000;
		last if !$end->{next};
		%parameters = (%parameters, %{ $end->{next} });
	}
	return ($n, @lines);
}

sub viewer_pids
{
	my ($node) = @_;
	return split /\n/, $node->safe_psql('postgres', q{SELECT pid FROM windtrap.status WHERE kind = 'viewer' ORDER BY pid});
}

# Memory that is no other's, bytes.
sub own_memory
{
	my ($pid) = @_;
	my ($kb) = slurp_file("/proc/$pid/status") =~ /^RssAnon:\s+(\d+)/m;
	return $kb * 1024;
}

# CPU time that processes have taken, seconds.
sub cpu_of
{
	my $ticks = 0;
	foreach my $pid (@_)
	{
		my @fields = split ' ', slurp_file("/proc/$pid/stat") =~ s/.*\)//sr;
		$ticks += $fields[11] + $fields[12];
	}
	return $ticks / POSIX::sysconf(POSIX::_SC_CLK_TCK());
}

# Asks, and reads the answer bit by bit; `token` goes into a header.
sub open_stream
{
	my ($port, $path, %parameters) = @_;
	my $token = delete $parameters{token};
	return Viewer::Stream->new($port, target("/api/$path", %parameters), defined $token ? "Authorization: Bearer $token" : ());
}

package Viewer::Stream;

use strict;
use warnings;
use JSON::PP ();
use Time::HiRes qw(time);

sub new
{
	my ($class, $port, $target, @headers) = @_;
	my $connection = WindTrap::connect_to($port) or return;

	$connection->request(undef, method => 'GET', path => $target, headers => \@headers);
	return bless { connection => $connection, body => '', over => 0 }, $class;
}

# Status and headers; undef: they have not come.
sub head
{
	my ($self, $seconds) = @_;
	my $until = time + ($seconds // 40);
	my $c = $self->{connection};

	until ($self->{head})
	{
		if ($c->{buffer} =~ s/\A(HTTP\/1\.[01] (\d+).*?)\r\n\r\n//s)
		{
			my ($head, $status) = ($1, $2);
			$self->{head} = { status => $status, headers => { map { /^([^:]+): *(.*)$/ ? (lc $1 => $2) : () } split /\r\n/, $head } };
			$self->{chunked} = ($self->{head}{headers}{'transfer-encoding'} // '') eq 'chunked';
			$self->{left} = $self->{head}{headers}{'content-length'};
			last;
		}
		return if time >= $until || (!$c->fill($until - time) && $c->{closed});
	}
	return $self->{head};
}

# Takes what has come out of its chunks.
sub unwrap
{
	my ($self) = @_;
	my $buffer = \$self->{connection}{buffer};

	if ($self->{chunked})
	{
		while ($$buffer =~ /\A([0-9a-fA-F]+)[^\r\n]*\r\n/)
		{
			my ($head, $size) = ($+[0], hex $1);
			last if length($$buffer) < $head + $size + 2;
			$self->{body} .= substr $$buffer, $head, $size;
			substr($$buffer, 0, $head + $size + 2) = '';
			$self->{over} = 1, last if $size == 0;
		}
	}
	else
	{
		my $n = length $$buffer;
		$n = $self->{left} if defined $self->{left} && $self->{left} < $n;
		$self->{body} .= substr $$buffer, 0, $n, '';
		$self->{left} -= $n if defined $self->{left};
		$self->{over} = 1 if defined $self->{left} ? $self->{left} == 0 : $self->{connection}{closed};
	}
	return;
}

# The next line, as it is; undef: there is none, since the time or the answer is over.
sub text
{
	my ($self, $seconds) = @_;
	my $until = time + ($seconds // 40);

	$self->head($seconds) or return;
	while (1)
	{
		$self->unwrap;
		return $1 if $self->{body} =~ s/\A(.*)\n//;
		return if $self->{over} || time >= $until;
		$self->{connection}->fill($until - time);
		return if $self->{connection}{closed} && $self->{connection}{buffer} eq '' && $self->{body} !~ /\n/;
	}
}

# The next line, decoded.
sub line
{
	my ($self, $seconds) = @_;
	my $text = $self->text($seconds) // return;
	return JSON::PP->new->utf8->decode($text);
}

# Whether the answer has come to its end.
sub over { return $_[0]{over}; }

sub close { return $_[0]{connection}->close; }

1;

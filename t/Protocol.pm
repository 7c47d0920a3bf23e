# Protocol.pm
#	What the tests of other senders' protocols share.
#
# t/captures has requests of real clients (.http), datagrams and streams of syslog and GELF (.bytes),
# byte for byte as they were on the wire; names say language and client, numbers the order on one
# connection.

package Protocol;

use strict;
use warnings;

use Exporter 'import';
use FindBin;
use JSON::PP ();
use Test::More;

use WindTrap;

our @EXPORT = qw(captures capture replay rows row_of count_of);

sub directory { return "$FindBin::RealBin/captures"; }

# The names of the captures that begin with this, in their order; kind: http, or bytes, of what is no
# request.
sub captures
{
	my ($prefix, $kind) = @_;
	$kind //= 'http';
	opendir my $dir, directory() or die $!;
	return sort map { s/\.$kind$//r } grep { /^\Q$prefix\E.*\.$kind$/ } readdir $dir;
}

# A capture as it was sent.
sub capture
{
	my ($name, $kind) = @_;
	open my $file, '<:raw', directory() . "/$name." . ($kind // 'http') or die "$name: $!";
	local $/;
	return <$file>;
}

# Sends a capture as it was, on a connection of its own; gives the answer: status, headers,
# content.  Options: path (instead of its own), without (a header to leave out), with (headers
# to add).
sub replay
{
	my ($port, $name, %options) = @_;
	my ($head, $body) = capture($name) =~ /^(.*?\r\n)\r\n(.*)$/s or die "$name is no request";
	my $method = $head =~ /^(\S+)/ ? $1 : die;

	$head =~ s/^(\S+) \S+/$1 $options{path}/ if $options{path};
	$head =~ s/^\Q$options{without}\E:.*?\r\n//mi if $options{without};
	$head .= join '', map {"$_: $options{with}{$_}\r\n"} sort keys %{ $options{with} // {} };
	my $connection = WindTrap::Connection->new("127.0.0.1", $port);
	$connection->send("$head\r\n$body");
	my $answer = $connection->response(head => $method eq 'HEAD');
	$connection->close;
	return $answer;
}

# The rows of the log, oldest first, as {time, data, status}: time is µs since 1970.
sub rows
{
	my ($node, $where) = @_;
	$where //= 'true';
	my $json = $node->safe_psql('postgres',
		qq{SELECT coalesce(jsonb_agg(jsonb_build_object('time', (extract(epoch FROM event_timestamp) * 1000000)::bigint, 'data', data, 'status', status) ORDER BY data->>'id'), '[]') FROM log WHERE $where});
	return @{ JSON::PP->new->utf8->allow_nonref->decode($json) };
}

# The only row; fails the test where there is another number of them.
sub row_of
{
	my ($node, $where) = @_;
	my @rows = rows($node, $where);
	is(scalar @rows, 1, 'one row') or return {};
	return $rows[0];
}

sub count_of
{
	my ($node, $where) = @_;
	$where //= 'true';
	return $node->safe_psql('postgres', "SELECT count(*) FROM log WHERE $where");
}

1;

# What real senders of syslog and GELF put on the wire, byte for byte, by UDP or TCP: the rows that
# it becomes are those of t/captures/messages, a line for each: the capture's name, and severity,
# its own time, host, app, procid, msgid, structured data and message.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;

use IO::Socket::INET;
use PostgreSQL::Test::Utils;
use Protocol;
use Test::More;
use WindTrap;

my ($syslog, $gelf) = (free_port(), free_port());
my $node = wt_node('intake_captures', conf => <<"CONF");
windtrap.syslog_listen = '127.0.0.1:$syslog'
windtrap.gelf_listen = '127.0.0.1:$gelf'
CONF

sub sql { return $node->safe_psql('postgres', $_[0]); }

my (%expected, @names);
for my $line (split /\n/, slurp_file(Protocol::directory() . '/messages'))
{
	my ($name, $row) = split /\t/, $line, 2;
	push @names, $name if !$expected{$name};
	push @{ $expected{$name} }, $row;
}
is_deeply([ sort @names ], [ captures('', 'bytes') ], 'every capture is expected to be something');

# Streams are cut anywhere, and datagrams nowhere.
for my $name (@names)
{
	my $bytes = capture($name, 'bytes');
	my $port = $name =~ /gelf|graypy/ ? $gelf : $syslog;
	my $n = @{ $expected{$name} };

	sql('TRUNCATE log');
	if ($name =~ /tcp|log4j2-syslog-0|d_syslog-|d_gelf|logger1.-[345]/)
	{
		my $connection = connect_to($port);
		my $cut = int(length($bytes) / 2);
		$connection->send(substr $bytes, 0, $cut);
		$connection->send(substr $bytes, $cut);
		$connection->close;
	}
	else
	{
		IO::Socket::INET->new(Proto => 'udp', PeerAddr => '127.0.0.1', PeerPort => $port)->send($bytes);
	}
	wait_for(sub { sql('SELECT count(*) FROM log') >= $n });
	my $rows = sql(q{SELECT string_agg(replace(replace(concat_ws('|', windtrap.severity(data), CASE WHEN j ? 'timestamp' THEN to_char(event_timestamp, 'MM-DD HH24:MI:SS.US') END, windtrap.sender_host(data),
		windtrap.app(data), j->>'procid', j->>'msgid', j->>'structured_data', windtrap.message(data), data->>'note'), E'\n', '\n'), E'\t', '\t'), E'\n' ORDER BY data->>'id')
		FROM (SELECT *, data->'json' AS j FROM log WHERE status = 0) AS l});
	is_deeply([ split /\n/, $rows ], $expected{$name}, $name) or diag join '', map {"$name\t$_\n"} split /\n/, $rows;
}
$node->stop;
done_testing();

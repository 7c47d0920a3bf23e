# The examples for OpenTelemetry's own clients, as people use them: what they log is stored, also
# when it could not be at first.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Encode qw(decode_utf8);
use Test::More;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Protocol;
use WindTrap;

# What script/bootstrap has fetched.
my $clients = ($ENV{WT_WORK} // "$FindBin::RealBin/../var") . '/clients';
my $examples = "$FindBin::RealBin/../examples/clients/otlp";

# Name, what must be there, the command, and what goes into its environment.
my @senders = (
	[ 'Python', "$clients/python/opentelemetry", [ '/usr/bin/python3', "$examples/send.py" ], { PYTHONPATH => "$clients/python" } ],
	[ 'Node with protobuf', "$clients/node/node_modules/\@opentelemetry", [ 'node', "$examples/send.js" ], { NODE_PATH => "$clients/node/node_modules" } ],
	[ 'Node with JSON', "$clients/node/node_modules/\@opentelemetry", [ 'node', "$examples/send.js" ], { NODE_PATH => "$clients/node/node_modules", EXPORTER => '@opentelemetry/exporter-logs-otlp-http' } ],
	[ 'Go', "$clients/go/otlp", ["$clients/go/otlp"], {} ],
	[ 'Java', "$clients/java/Send.class", [ 'java', '-cp', "$clients/java:$clients/java/*", 'Send' ],
		{ OTEL_EXPORTER_OTLP_PROTOCOL => 'http/protobuf', OTEL_TRACES_EXPORTER => 'none', OTEL_METRICS_EXPORTER => 'none', OTEL_SERVICE_NAME => 'shop' } ]);
plan skip_all => "there are no clients, see script/bootstrap" if !grep { -e $_->[1] } @senders;

my $node = wt_node('otlp_clients');
my $port = wt_port($node);
my $token = $node->safe_psql('postgres', q{SELECT windtrap.create_token('otel')});
alter_system($node, 'windtrap.auth' => 'token');

# Starts a sender; to be finished.
sub start_sender
{
	my ($sender, $output) = @_;
	my (undef, undef, $command, $environment) = @$sender;
	local %ENV = (
		%ENV,
		PYTHONDONTWRITEBYTECODE => 1,
		OTEL_EXPORTER_OTLP_LOGS_ENDPOINT => "http://127.0.0.1:$port/v1/logs",
		OTEL_EXPORTER_OTLP_HEADERS => "authorization=Bearer $token",
		%$environment);
	return IPC::Run::start($command, '>', $output, '2>', $output, IPC::Run::timeout(60));
}

# Its three events are there, each once.
sub check_rows
{
	my ($name) = @_;
	my @rows = rows($node);
	is(scalar @rows, 3, 'three events, each once');
	@rows = sort { $a->{data}{json}{severity_number} <=> $b->{data}{json}{severity_number} } @rows;
	my @json = map { $_->{data}{json} } @rows;
	is_deeply([ map { $_->{severity_number} } @json ], [ 9, 13, 17 ], 'their severities');
	is_deeply([ map { $_->{body} } @json ], [ 'user alice logged in', decode_utf8('Grüße, 世界 🚀'), 'cannot divide' ], 'their texts');
	is_deeply([ $json[1]{attributes}{order}, $json[1]{attributes}{items} ], [ 42, [ 'a', 'b' ] ], 'what came with one of them');
	is($_->{data}{otlp}{resource}{attributes}{'service.name'}, 'shop', 'the service') for @rows;
	like($json[2]{attributes}{'exception.stacktrace'}, qr/ZeroDivisionError/, 'a traceback') if $name eq 'Python';
	is(count_of($node, q(event_timestamp BETWEEN clock_timestamp() - interval '60 s' AND clock_timestamp())), 3, 'their times');
	return;
}

for my $sender (@senders)
{
	my ($name, $needed) = @$sender;
	SKIP:
	{
		skip "there is no client in $name, see script/bootstrap", 1 if !-e $needed;
		my $output = '';

		$node->safe_psql('postgres', 'TRUNCATE log');
		ok(start_sender($sender, \$output)->finish, "$name sends") or diag $output;
		check_rows($name);

		# Where there is no table it is told to try again, and does.
		$node->safe_psql('postgres', 'TRUNCATE log; SELECT windtrap.reset_stats(); ALTER TABLE log RENAME TO elsewhere');
		my $run = start_sender($sender, \$output);
		ok($node->poll_query_until('postgres', q{SELECT sum((requests_by_code->>'503')::int) > 0 FROM windtrap.stats}), "$name is told to try again");
		$node->safe_psql('postgres', 'ALTER TABLE elsewhere RENAME TO log');
		ok($run->finish, 'and ends') or diag $output;
		check_rows($name);
	}
}

done_testing();

# Real clients of Elasticsearch and OpenSearch, by the programs in examples/clients/elastic:
# what they send is stored as they meant it, and they believe that it is.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use IO::Socket::UNIX;
use Test::More;
use Time::HiRes qw(time);

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Protocol;
use WindTrap;

my $clients = ($ENV{WT_WORK} // "$FindBin::RealBin/../var") . '/elastic-clients';
plan skip_all => 'there are no clients of Elasticsearch, see script/bootstrap' if !-d $clients;

my $examples = "$FindBin::RealBin/../examples/clients/elastic";
my $node = wt_node('elastic_clients');
my $port = wt_port($node);
# All clients bring a token, as the password.
my $token = $node->safe_psql('postgres', q{SELECT windtrap.create_token('elastic')});
ok(wait_for(sub { post($port, '{}')->{status} == 401 }), 'a token is needed');
# Modules are looked for beside the program.
my $dir = PostgreSQL::Test::Utils::tempdir();
command('sh', '-c', 'cp "$1"/* "$2" && ln -s "$3/node_modules" "$2"', 'sh', $examples, $dir, $clients);

# Runs a program; gives whether it ended well, and what it said.
sub run_client
{
	my ($command, %env) = @_;
	my ($out, $err) = ('', '');
	local $ENV{WINDTRAP_URL} = "http://windtrap:$token\@127.0.0.1:$port";
	local @ENV{ keys %env } = values %env;
	local $ENV{PYTHONDONTWRITEBYTECODE} = 1;

	my $ok = IPC::Run::run($command, '<', '/dev/null', '>', \$out, '2>', \$err, IPC::Run::timeout(60));
	return ($ok, $out, $err);
}

# That the two events of an example are there, and nothing is wrong with them; message is what
# the client calls a message.
sub is_there
{
	my ($name, $message, $nested) = @_;
	my @rows = grep { $_->{data}{json}{$message} } rows($node, q{data->>'protocol' = 'elastic'});
	my ($first, $second) = sort { length $b->{data}{json}{$message} <=> length $a->{data}{json}{$message} } @rows;

	is(scalar @rows, 2, "$name: two events") or return;
	is($first->{data}{json}{$message}, 'user alice logged in', "$name: the first");
	is($second->{data}{json}{$message}, "Gr\xFC\xDFe, \x{4E16}\x{754C} \x{1F680}", "$name: the second, with all of its characters");
	is_deeply($nested->($second->{data}{json}), { id => 42 }, "$name: what it carries beside");
	is(count_of($node, 'status <> 0 OR data ? \'note\''), 0, "$name: nothing is wrong with them");
	ok(abs($_->{time} / 1e6 - time) < 120, "$name: with their own time") for @rows;
	is(count_of($node, q{NOT data->'elastic' ?& array['id', 'index', 'op']}), 0, "$name: each has an index, an id, and an op");
	return;
}

my $python = -x '/usr/bin/python3' ? '/usr/bin/python3' : 'python3';
for my $version (qw(py7 py8 py9 py-opensearch))
{
	SKIP:
	{
		skip "$version is not there", 1 if !-d "$clients/$version";
		$node->safe_psql('postgres', 'TRUNCATE log, windtrap.idempotency_key');
		my ($ok, $out, $err) = run_client([ $python, "$dir/bulk.py" ], PYTHONPATH => "$clients/$version");
		ok($ok, "$version: ends well") or diag $err;
		is($out, "(2, [])\n", "$version: believes that both are stored");
		is_there($version, 'message', sub { $_[0]{order} });

		# One document, and what else applications call at their start.
		my $shape = $version =~ /^py[89]$/ ? 'document' : 'body';
		($ok, $out, $err) = run_client([ $python, '-c', <<"PYTHON" ], PYTHONPATH => "$clients/$version");
import os, sys
try:
    from elasticsearch import Elasticsearch
except ImportError:
    from opensearchpy import OpenSearch as Elasticsearch
client = Elasticsearch(os.environ["WINDTRAP_URL"])
print(client.info()["version"]["number"].split(".")[0], client.ping(), client.cluster.health()["status"], client.indices.exists(index="shop"))
print(client.index(index="shop", $shape={"n": 1})["result"], client.index(index="shop", id="own/id", $shape={"n": 2})["_id"], client.create(index="shop", id="third", $shape={"n": 3})["result"])
try:
    client.search(index="shop")
except Exception as error:
    print(error.status_code if hasattr(error, "status_code") else error.meta.status)
PYTHON
		is($out, "8 True green True\ncreated own/id created\n404\n", "$version: single documents, and questions") or diag $err;
		is($node->safe_psql('postgres', q{SELECT string_agg((data->'json'->>'n') || ':' || (data->'elastic'->>'op') || ':' || (data->'elastic'->>'index'), ' ' ORDER BY data->>'id') FROM log WHERE data->'json' ? 'n'}),
			'1:index:shop 2:index:shop 3:create:shop', "$version: are stored");
	}
}

SKIP:
{
	skip 'there is no Node.js, or no client for it', 1 if !-d "$clients/node_modules" || !eval { command('node', '--version') };
	my @programs = (
		[ 'bulk.mjs', '@elastic/elasticsearch', 'message', sub { $_[0]{order} } ],
		[ 'bulk.mjs', '@opensearch-project/opensearch', 'message', sub { $_[0]{order} } ],
		[ 'pino.mjs', 'pino-elasticsearch', 'msg', sub { $_[0]{order} } ],
		[ 'winston.mjs', 'winston-elasticsearch', 'message', sub { $_[0]{fields}{order} } ]);
	for (@programs)
	{
		my ($program, $client, $message, $nested) = @$_;
		$node->safe_psql('postgres', 'TRUNCATE log, windtrap.idempotency_key');
		my ($ok, $out, $err) = run_client([ 'node', "$dir/$program" ], WINDTRAP_CLIENT => $client);
		ok($ok, "$client: ends well") or diag $err;
		is($err, '', "$client: nothing is wrong");
		is($out, "2 stored, 0 failed\n", "$client: believes that both are stored") if $program eq 'bulk.mjs';
		is_there($client, $message, $nested);
	}
}

# rsyslog: what cannot be stored at once is kept, and sent when it can.
SKIP:
{
	my $rsyslog = "$clients/rsyslog";
	my ($libraries) = glob "$rsyslog/usr/lib/*/rsyslog";
	skip 'there is no rsyslog', 1 if !$libraries;
	my $input = "$dir/input.sock";
	my $text = slurp_file("$dir/rsyslog.conf");
	$text =~ s/serverport="8000"/serverport="$port" uid="any" pwd="$token"/;
	append_to_file("$dir/main.conf", qq(global(workDirectory="$dir")\nmodule(load="imptcp")\ninput(type="imptcp" path="$input" unlink="on")\n$text));
	local $ENV{LD_LIBRARY_PATH} = join ':', glob("$rsyslog/usr/lib/*-linux-gnu"), glob("$rsyslog/lib/*-linux-gnu");
	my $daemon = IPC::Run::start([ "$rsyslog/usr/sbin/rsyslogd", '-n', '-C', '-f', "$dir/main.conf", '-i', "$dir/pid", '-M', $libraries ], '<', \undef, '>', \my $said, '2>&1');
	ok(wait_for(sub { -S $input }), 'rsyslog runs') or diag $said;

	my $log = sub {
		my $socket = IO::Socket::UNIX->new(Peer => $input) or die "$input: $!";
		print $socket "<134>Nov 26 10:12:47 vm shop[77]: $_\n" for @_;
		close $socket;
	};
	my $stored = sub { return $node->safe_psql('postgres', q{SELECT coalesce(string_agg(btrim(data->'json'->>'message'), ',' ORDER BY data->'json'->>'message'), '') FROM log}) };
	$node->safe_psql('postgres', 'TRUNCATE log, windtrap.idempotency_key');
	$log->('one', "Gr\xC3\xBC\xC3\x9Fe \"2\"");
	ok(wait_for(sub { count_of($node) == 2 }), 'rsyslog: two events') or diag $said;
	is($stored->(), "Gr\xC3\xBC\xC3\x9Fe \"2\",one", 'rsyslog: as they were logged');
	is($node->safe_psql('postgres', q{SELECT DISTINCT status, data->'elastic'->>'op', length(data->'elastic'->>'id') > 20, data->'json'->>'severity', data->'json'->>'tag' FROM log}), '0|create|t|info|shop[77]:', 'rsyslog: with their ids');

	my $mark = log_mark($node);
	$node->safe_psql('postgres', 'TRUNCATE log; ALTER TABLE log RENAME COLUMN status TO other');
	$log->(map {"kept $_"} 1 .. 5);
	ok(wait_for(sub { log_since($node, $mark) =~ /could not store events/ }), 'rsyslog: nothing can be stored');
	$node->safe_psql('postgres', 'ALTER TABLE log RENAME COLUMN other TO status');
	ok(wait_for(sub { count_of($node, q{data->'json'->>'message' LIKE '%kept%'}) >= 5 }, 90), 'rsyslog: what it kept is stored when it can be') or diag $said;
	is($node->safe_psql('postgres', q{SELECT count(*), count(DISTINCT data->'elastic'->>'id') FROM log}), '5|5', 'rsyslog: each once');
	$daemon->signal('TERM');
	$daemon->finish;
}

done_testing();

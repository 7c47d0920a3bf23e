# Real clients of other protocols, by the programs in examples/clients: what they send is stored
# as they meant it, with their own time; a token is brought in their own way, and a wrong one is
# told by those that tell anything.

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

my $work = $ENV{WT_WORK} // "$FindBin::RealBin/../var";
my $clients = "$work/other-clients";
my $examples = "$FindBin::RealBin/../examples/clients";
my $python = -x '/usr/bin/python3' ? '/usr/bin/python3' : 'python3';
my $has_node = -d "$clients/node_modules" && eval { command('node', '--version') };

my $node = wt_node('clients');
my $port = wt_port($node);
my $url = "http://127.0.0.1:$port";

# Modules are looked for beside the programs.
my $dir = PostgreSQL::Test::Utils::tempdir();
command('sh', '-c', 'cp -r "$1"/* "$2"; ln -s "$3/node_modules" "$2"', 'sh', $examples, $dir, $clients);

# A client: what it needs, how it is run; where the message is in its rows, and something else of
# what was sent, which is `context` (of all) or `order` (of the second); how it tells that it was
# refused (undef: it does not).
sub python_client
{
	my ($program, $package, %more) = @_;
	return { name => $package, command => [ $python, "$dir/$program" ], env => { PYTHONPATH => "$clients/$package" },
		missing => $package ne 'HTTPHandler' && !-d "$clients/$package", %more };
}

sub node_client
{
	my ($program, $package, %more) = @_;
	return { name => "$program", command => $program =~ /\.sh$/ ? [ "$dir/$program" ] : [ 'node', "$dir/$program" ],
		missing => !$has_node || !-d "$clients/node_modules/$package", %more };
}

my $label = q{data->'loki'->'labels'->>'app'};
my @clients = (
	node_client('loki/winston.mjs', 'winston-loki', message => q{data->'json'->>'message'}, order => q{data->'json'->'order'->>'id'}, context => $label, told => qr/not stored yet: .*401/),
	node_client('loki/pino.mjs', 'pino-loki', message => q{data->'json'->>'msg'}, order => q{data->'json'->'order'->>'id'}, context => $label, told => qr/the token is not known here/),
	python_client('loki/handler.py', 'python-logging-loki', message => q{data->>'json'}, order => q{data->'loki'->'labels'->>'order'}, context => $label, told => qr/\b401\b/),
	node_client('splunk/logging.mjs', 'splunk-logging', message => q{coalesce(data->'json'->'message'->>'text', data->'json'->>'message')}, order => q{data->'json'->'message'->'order'->>'id'}, context => q{data->'hec'->>'source'}, told => qr/not stored: Invalid token/),
	python_client('splunk/handler.py', 'splunk-handler', message => q{data->>'json'}, context => q{data->'hec'->>'source'}, told => qr/403 Client Error/),
	python_client('splunk/hec_handler.py', 'splunk-hec-handler', message => q{data->'json'->>'message'}, order => q{data->'json'->'order'->>'id'}, context => q{data->'hec'->>'source'}, told => qr/403/),
	python_client('datadog/submit.py', 'datadog-api-client', message => q{data->'json'->>'message'}, order => q{data->'json'->>'order'}, context => q{data->'json'->>'service'}, told => qr/\(403\).*Forbidden/s),
	node_client('datadog/submit.mjs', '@datadog/datadog-api-client', message => q{data->'json'->>'message'}, order => q{data->'json'->>'order'}, context => q{data->'json'->>'service'}, told => qr/403/),
	python_client('gelf/graypy_handler.py', 'graypy', message => q{data->'json'->>'short_message'}, order => q{data->'json'->>'_order'}, context => q{data->'json'->>'facility'}),
	python_client('gelf/pygelf_handler.py', 'pygelf', message => q{data->'json'->>'short_message'}, order => q{data->'json'->>'_order'}, context => q{data->'json'->>'_app'}),
	python_client('cloudevents/send.py', 'cloudevents', message => q{data->'json'->>'message'}, order => q{data->'json'->'order'->>'id'}, context => q{substr(data->'cloudevents'->>'source', 2)}, told => qr/401 Client Error/),
	node_client('cloudevents/send.mjs', 'cloudevents', message => q{data->'json'->>'message'}, order => q{data->'json'->'order'->>'id'}, context => q{substr(data->'cloudevents'->>'source', 2)}, told => qr/not stored: 401/),
	node_client('http/winston.mjs', 'winston', message => q{data->'json'->>'message'}, order => q{data->'json'->'order'->>'id'}, context => q{data->'json'->>'app'}, told => qr/not stored: .*401/),
	node_client('http/pino.sh', 'pino-http-send', message => q{data->'json'->>'msg'}, order => q{data->'json'->'order'->>'id'}, context => q{data->'json'->>'app'}, told => qr/401|Unauthorized/),
	python_client('http/http_handler.py', 'HTTPHandler', message => q{data->'json'->>'message'}, order => q{data->'json'->>'order'}, context => q{data->'json'->>'name'}),
	{ name => 'http/slog.go', command => ["$dir/slog"], missing => !eval { command('go', 'version') },
		message => q{data->'json'->>'msg'}, order => q{data->'json'->'order'->>'id'}, context => q{data->'json'->>'app'}, told => qr/not stored: 401/ },
);

# The token of a client says whose its rows are, so that many may run at once.
my %token = map { $_ => $node->safe_psql('postgres', "SELECT windtrap.create_token('$_', source => '$_')") } map { $_->{name} } @clients, { name => 'journald' }, { name => 'syslog-ng' };
ok(wait_for(sub { post($port, '{}')->{status} == 401 }), 'a token is needed');

sub begin_client
{
	my ($client, $token, $output) = @_;
	my %env = (%{ $client->{env} // {} }, WINDTRAP_URL => $url, WINDTRAP_TOKEN => $token,
		PYTHONDONTWRITEBYTECODE => 1, npm_config_offline => 'true', npm_config_update_notifier => 'false');
	local @ENV{ keys %env } = values %env;
	return IPC::Run::start($client->{command}, '<', \undef, '>', $output, '2>&1', init => sub { chdir $dir }, IPC::Run::timeout(60));
}

sub is_there
{
	my ($name, $client) = @_;
	my $order = $client->{order} // q{'42'};
	my $where = qq{data->>'source' = '$name'};
	my $rows = sub { return $node->safe_psql('postgres', "SELECT $_[0] FROM log WHERE $where") };

	# Who closes without a look at the answer has perhaps ended before it.
	ok(wait_for(sub { $rows->('count(*)') >= 3 }), "$name: events are stored");
	is($rows->(qq{string_agg(split_part($client->{message}, E'\\n', 1), '|' ORDER BY data->>'id')}),
		"user alice logged in|Gr\xC3\xBC\xC3\x9Fe, \xE4\xB8\x96\xE7\x95\x8C \xF0\x9F\x9A\x80|cannot charge card", "$name: three, with all of their characters");
	is($rows->("string_agg(DISTINCT $client->{context}, '|')"), 'shop', "$name: with what surrounds them");
	is($rows->("max($order)"), '42', "$name: with what they carry beside");
	is($rows->(q{count(*) FILTER (WHERE status <> 0 OR data ? 'note' OR data ? 'error')}), 0, "$name: nothing is wrong with them");
	# The times of the client and of the collector have not been read at once.
	is($rows->(q{count(*) FILTER (WHERE (data->>'time')::timestamptz - event_timestamp BETWEEN '1 us' AND '1 min')}), 3, "$name: with their own time");
	return;
}

command('env', 'GOTOOLCHAIN=local', 'go', 'build', '-o', "$dir/slog", "$dir/http/slog.go") if !$clients[-1]{missing};

my @left = grep { !$_->{missing} } @clients;
while (my @some = splice @left, 0, 4)
{
	for (@some)
	{
		my $output = "$dir/" . $_->{name} =~ s/\W/_/gr;
		$_->{right} = begin_client($_, $token{ $_->{name} }, $_->{said} = "$output.right");
		$_->{wrong} = begin_client($_, 'wrong', $_->{refused} = "$output.wrong");
	}
	for (@some)
	{
		my $name = $_->{name};
		my $begun = time;
		ok(eval { $_->{right}->finish }, "$name: ends well") or diag $@;
		note sprintf '%s: %.1f s', $name, time - $begun;
		is(slurp_file($_->{said}), '', "$name: has nothing to say");
		is_there($name, $_);
		my ($output, $told) = @$_{qw(refused told)};
		ok(wait_for(sub { slurp_file($output) =~ $told }), "$name: tells of a wrong token") or diag slurp_file($output) if $told;
		# One that does not tell ends by itself; one that tells may try for ever.
		$told ? $_->{wrong}->kill_kill : $_->{wrong}->finish;
	}
}
for (grep { $_->{missing} } @clients)
{
	SKIP: { skip "$_->{name}: it is not there", 1; }
}
is(count_of($node, q{data->>'source' IS NULL}), 0, 'what came with a wrong token is not stored');

# journald: entries in the export format become a journal, which is uploaded.
SKIP:
{
	my ($remote, $upload) = map {"$clients/journal-upload/lib/systemd/systemd-journal-$_"} qw(remote upload);
	skip 'there is no systemd-journal-upload', 1 if !-x $upload;
	local $ENV{LD_LIBRARY_PATH} = join ':', glob "$clients/journal-upload/usr/lib/*/systemd";
	my $text = slurp_file("$dir/journald/journal-upload.conf");
	my ($to) = $text =~ /^URL=(\S+)$/m or die 'the example has no URL';
	$to =~ s{//127.0.0.1:8000}{//any:TOKEN\@127.0.0.1:$port};
	my $now = int(time * 1e6) - 5_000_000;
	my $n = 0;
	my $entries = join '', map { $n++; "__REALTIME_TIMESTAMP=" . ($now + $n) . "\n__MONOTONIC_TIMESTAMP=$n\n_BOOT_ID=" . '0123456789abcdef' x 2 . "\nMESSAGE=$_\nPRIORITY=6\nSYSLOG_IDENTIFIER=shop\n\n" } 'user alice logged in', "Gr\xC3\xBC\xC3\x9Fe, \xE4\xB8\x96\xE7\x95\x8C \xF0\x9F\x9A\x80", 'cannot charge card';
	my $said;
	IPC::Run::run([ $remote, '-o', "$dir/shop.journal", '-' ], '<', \$entries, '>', \$said, '2>&1', IPC::Run::timeout(30)) or die "no journal: $said";

	my $send = sub {
		my ($token) = @_;
		return IPC::Run::run([ $upload, '--file', "$dir/shop.journal", '--follow=no', "--save-state=$dir/state", '--url', $to =~ s/TOKEN/$token/r ], '<', \undef, '>', \$said, '2>&1', IPC::Run::timeout(30));
	};
	ok(!$send->('wrong'), 'journald: a wrong token is an error');
	like($said, qr/401/, 'journald: which is told');
	ok($send->($token{journald}), 'journald: the right one is none') or diag $said;
	is_there('journald', { message => q{data->'json'->>'MESSAGE'}, context => q{data->'json'->>'SYSLOG_IDENTIFIER'} });
	is($node->safe_psql('postgres', q{SELECT max(extract(epoch FROM event_timestamp) * 1000000)::bigint FROM log WHERE data->>'source' = 'journald'}), $now + 3, 'journald: to the microsecond');
	# It sends the last one again, by whose key that is known.
	ok($send->($token{journald}), 'journald: again');
	is($node->safe_psql('postgres', q{SELECT count(DISTINCT data->'json'->>'__CURSOR') FROM log WHERE data->>'source' = 'journald'}), 3, 'journald: it goes on where it stopped');
	is(count_of($node, q{data->>'source' = 'journald'}), 3, 'journald: each is stored once');
}

# syslog-ng: what cannot be stored at once is kept, and sent when it can.
SKIP:
{
	my $root = "$clients/syslog-ng";
	skip 'there is no syslog-ng', 1 if !-x "$root/usr/sbin/syslog-ng";
	my $input = "$dir/input.sock";
	my $text = slurp_file("$dir/http/syslog-ng.conf");
	$text =~ s/127\.0\.0\.1:8000/127.0.0.1:$port/ or die;
	$text =~ s/password\("none"\)/password("$token{'syslog-ng'}")/ or die;
	append_to_file("$dir/main.conf", qq(\@version: 3.38\nsource s_src { unix-stream("$input"); };\n$text));
	local $ENV{LD_LIBRARY_PATH} = join ':', "$root/usr/lib/syslog-ng", glob("$root/usr/lib/*-linux-gnu"), glob("$root/lib/*-linux-gnu");
	my $daemon = IPC::Run::start([ "$root/usr/sbin/syslog-ng", '-F', '--no-caps', '-f', "$dir/main.conf", '-R', "$dir/persist", '-p', "$dir/pid", '-c', "$dir/control", '--module-path', glob("$root/usr/lib/syslog-ng/3*"), '--stderr' ],
		'<', \undef, '>', \my $said, '2>&1', IPC::Run::timeout(60));
	ok(wait_for(sub { $daemon->pump_nb if $daemon->pumpable; -S $input }), 'syslog-ng runs') or diag $said;
	my $log = sub {
		my $socket = IO::Socket::UNIX->new(Peer => $input) or die "$input: $!";
		print $socket "<134>Nov 26 10:12:47 shop[77]: $_\n" for @_;
		close $socket;
	};
	$log->('user alice logged in', "Gr\xC3\xBC\xC3\x9Fe, \xE4\xB8\x96\xE7\x95\x8C \xF0\x9F\x9A\x80", 'cannot charge card');
	ok(wait_for(sub { count_of($node, q{data->>'source' = 'syslog-ng'}) == 3 }), 'syslog-ng: three events') or diag $said;
	is($node->safe_psql('postgres', q{SELECT string_agg(data->'json'->>'message', '|' ORDER BY data->>'id'), max(data->'json'->>'program'), max(data->'json'->>'severity'), max(to_char(event_timestamp, 'MM-DD MI:SS')), bool_or(data ? 'note') FROM log WHERE data->>'source' = 'syslog-ng'}),
		"user alice logged in|Gr\xC3\xBC\xC3\x9Fe, \xE4\xB8\x96\xE7\x95\x8C \xF0\x9F\x9A\x80|cannot charge card|shop|info|11-26 12:47|f", 'syslog-ng: as they were logged');

	$node->safe_psql('postgres', 'ALTER TABLE log RENAME COLUMN status TO other');
	my $mark = log_mark($node);
	$log->(map {"kept $_"} 1 .. 5);
	ok(wait_for(sub { log_since($node, $mark) =~ /could not store events/ }), 'syslog-ng: nothing can be stored');
	$node->safe_psql('postgres', 'ALTER TABLE log RENAME COLUMN other TO status');
	ok(wait_for(sub { count_of($node, q{data->'json'->>'message' LIKE 'kept%'}) == 5 }, 30), 'syslog-ng: what it kept is stored when it can be') or diag $said;
	$daemon->signal('TERM');
	$daemon->finish;
}

done_testing();

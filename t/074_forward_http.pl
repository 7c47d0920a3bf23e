# Events go on to another WindTrap over HTTP: what is sent, what is said where they are not
# taken, and that nothing is lost or doubled while processes and servers die.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Cwd qw(abs_path);
use Test::More;
use Time::HiRes qw(sleep time);

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Forward;
use OtherCentral;
use Tls;
use WindTrap;

my $node = wt_node('sender', conf => "windtrap.workers = 2\n");
my $port = wt_port($node);
# What the environment says of proxies is not for a server's own connections.
$node->stop;
{
	local @ENV{qw(http_proxy https_proxy all_proxy)} = ('http://127.0.0.1:1') x 3;
	$node->start;
}
ready($port) or die 'the collector does not answer';

sub query { return $node->safe_psql('postgres', $_[0]); }
sub reason { return state_of($node, $_[0], 'last_error'); }

# A server of the test's own.
my $other = OtherCentral->new;
my $other_port = $other->port;
my $url = "http://127.0.0.1:$other_port/in/log";

#
# What is sent
#
ok($other->start(), 'a server');
ok(forward_to($node, $url), 'a URL has its forwarder');
is(post($port, '{"hello":"wörld\\n","n":1.50,"b":1,"a":2}')->{status}, 200, 'an event');
ok(drained($node), 'is forwarded');
my ($row) = $other->noted('rows');
is_deeply([ sort keys %$row ], [qw(data event_timestamp status)], 'a row has three members');
is(query("SELECT count(*) FROM log WHERE event_timestamp = '$row->{event_timestamp}' AND data->>'id' = '$row->{data}{id}' AND status = $row->{status}"),
	1, 'its time, to the microsecond, id and status');
like($row->{event_timestamp}, qr/\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z\z/, 'in UTC');
is($row->{data}{json}{hello}, "w\x{f6}rld\n", 'and its data');
my $system = query('SELECT system_identifier FROM pg_control_system()');
my $database = query(q{SELECT oid FROM pg_database WHERE datname = 'postgres'});
my ($request) = grep { $_->{length} > 50 } $other->noted('requests');
is($request->{path}, '/in/log', 'to the path that is named');
my %wanted = (
	'content-type'       => 'application/vnd.windtrap.rows+ndjson',
	'content-encoding'   => 'zstd',
	'windtrap-collector' => "sender; system=$system; database=$database",
	'authorization'      => undef,
	'expect'             => undef);
is_deeply({ map { $_ => $request->{headers}{$_} } keys %wanted }, \%wanted, 'with the headers that say what it is and of whom');
is(state_of($node, $url, "state || '|' || lag_events || '|' || delivered"), 'working|0|1', 'the view has it by its URL');
like(http($port, 'GET', '/metrics')->{content}, qr/^windtrap_forward_delivered_total\{target="\Q$url\E"\} 1$/m, 'and so have the metrics');
is(query('SELECT target FROM windtrap.outbox_position'), $url, 'and the position');


# Waits until the reason is given for which a target fails.
sub gives
{
	my ($target, $pattern) = @_;
	# A reload ends a pause.
	return 1 if wait_for(sub { return 1 if reason($target) =~ $pattern; reload($node); sleep 0.1; 0 });
	diag reason($target);
	return 0;
}

# Sends an event while the server does something else; the reason that is given for its failing.
my $n_events = 0;

sub failing_of
{
	my ($name, $pattern, %how) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	$other->how(%how);
	is(event($port, 'event ' . ++$n_events), 200, "$name: an event is taken");
	ok(gives($url, $pattern), "$name: the reason is given");
	return;
}

sub works_again
{
	my ($name, %how) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	$other->how(%how);
	reload($node);
	ok(drained($node), "$name: then all is forwarded");
	return;
}

sub rows_of { return scalar grep { ($_->{data}{json}{id} // '') =~ $_[0] } $other->noted('rows'); }

#
# What is no answer to these events is none
#
failing_of('403', qr/scope forward \(403\): ask the boss/, status => 403, body => { error => 'ask the boss' });
failing_of('404', qr/no WindTrap takes forwarded events at this URL \(404\)/, status => 404, body => '<html>');
failing_of('501', qr/cannot take forwarded events as it is set up \(501\)/, status => 501);
failing_of('508', qr/leads back/, status => 508);
failing_of('500', qr/it fails \(500\)/, status => 500, body => { error => "a\nb\x{1b}[31m" . 'x' x 100000 });
unlike(reason($url), qr/[\n\x1b]/, '500: without characters that do something');
failing_of('a redirect', qr/it redirects, which is not followed/, status => 302, headers => { Location => '/elsewhere' });
is(scalar(grep { $_->{path} ne '/in/log' } $other->noted('requests')), 0, 'a redirect: nor is it');
for my $body ('<html>Welcome</html>', '', '{}', '[]', '{"accepted":1}', '{"accepted":1000,"quarantined":0,"refused":0}',
	'{"accepted":"1","quarantined":0,"refused":0}', '{"accepted":-1,"quarantined":2,"refused":0}', 'x' x 5_000_000)
{
	$other->how(status => 500);
	ok(gives($url, qr/500/), 'a server that fails');
	failing_of('200 with ' . substr($body, 0, 40), qr/not that of a WindTrap|no HTTP/, status => 200, body => $body);
}
failing_of('204', qr/its answer \(204\) is not that of a WindTrap/, status => 204, body => '');
works_again('a WindTrap again');
# It has taken them, and its answer is lost.
for my $raw ('', "HTTP/1.1 200 OK\r\nContent-Le", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"acc", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"acc",
	"hello\r\n\r\n")
{
	failing_of('an answer that ends as ' . substr($raw, -5), $raw =~ /hello/ ? qr/no HTTP/ : qr/connection broke|not that of a WindTrap/, raw => $raw);
	works_again('whole again');
}
is(rows_of(qr/^event/), $n_events, 'each event is there once');
is(query(q{SELECT count(*) FROM windtrap.dead_letter}), 0, 'and none is a dead letter');

# Nor does it work where there is nothing to be sent.
$other->how(status => 400, body => { error => 'this port speaks TLS' });
ok(gives($url, qr/does it speak https\? \(400\): this port speaks TLS/), '400: the reason is given before there is an event');
works_again('400');

# A server that names a time.
{
	failing_of('429', qr/it asks to wait \(429\)/, status => 429, headers => { 'Retry-After' => 3 });
	my $asked = ($other->noted('requests'))[-1]{time};
	$other->how();
	ok(drained($node), '429: then it is forwarded, without a reload');
	cmp_ok(($other->noted('requests'))[-1]{time} - $asked, '>=', 3, '429: not before that time');
	# One that is longer than it is waited for is no shorter than others.
	failing_of('429 for long', qr/it asks to wait \(429\)/, status => 429, headers => { 'Retry-After' => 10_000_000 });
	$other->how();
	my $n = $other->noted('requests');
	sleep 1;
	is(scalar(() = $other->noted('requests')), $n, '429 for long: it is waited for');
	works_again('429 for long');
	for my $none ('-5', 'soon', '99999999999999999999')
	{
		failing_of("429 with Retry-After: $none", qr/it asks to wait \(429\)/, status => 429, headers => { 'Retry-After' => $none });
		$other->how();
		ok(drained($node, $url, 10), "429 with Retry-After: $none: soon again");
	}
}

#
# A load that is too large; events that are refused
#
$other->how(status => 500);
is(put_batch($port, 1000, 'large'), 200, 'too large: a batch');
works_again('too large', max_rows => 100);
is(rows_of(qr/^large/), 1000, 'too large: all of it');
# So much does not come through in time, or is not stored in time: loads become smaller.
for my $code (408, 503)
{
	$other->how(status => 500);
	is(put_batch($port, 1000, "slow$code"), 200, "$code: a batch");
	$other->how(max_rows => 100, too_many => $code);
	ok(wait_for(sub { reload($node); sleep 0.2; rows_of(qr/^slow$code/) == 1000 }, 30), "$code: all of it");
}
$other->how(status => 500);
is(put_batch($port, 500, 'some'), 200, 'refused: a batch');
works_again('refused', refuse => [ 'some-17', 'some-444' ]);
is(rows_of(qr/^some/), 498, 'refused: the others');
ok(wait_for(sub { query('SELECT count(*) FROM windtrap.dead_letter WHERE next_try IS NULL') eq '2' }, 40), 'refused: they are dead letters');
is(query(q{SELECT DISTINCT target || ' ' || error || ' ' || tries FROM windtrap.dead_letter}), "$url not this one 3", 'refused: whose, and why');
is(state_of($node, $url, 'dead'), 2, 'refused: the view counts them');
$other->how();
is(query("SELECT count(*) FROM windtrap.redeliver(' $url ')"), 2, 'redeliver() knows the URL');
ok(wait_for(sub { query('SELECT count(*) FROM windtrap.dead_letter') eq '0' }), 'and they are taken');
is(rows_of(qr/^some/), 500, 'so that all are there');
like(($node->psql('postgres', "SELECT windtrap.redeliver('https://elsewhere')"))[2], qr/no events are, or were, forwarded to "https:\/\/elsewhere"/,
	'another URL is none of its targets');
$other->how(max_rows => 0);
is(event($port, 'lonely'), 200, 'one event that is too large');
ok(wait_for(sub { query('SELECT error FROM windtrap.dead_letter') =~ /too large for it \(413\): too many/ }), 'becomes a dead letter');
$other->how();
query("SELECT windtrap.redeliver('$url')");
ok(wait_for(sub { rows_of(qr/^lonely/) == 1 }), 'and is taken when it is not any more');
{
	$other->how(status => 500);
	is(put_batch($port, 40, 'all'), 200, 'all are refused: a batch');
	$other->how(refuse => [ map { "all-$_" } 1 .. 40 ]);
	ok(wait_for(sub { reload($node); sleep 0.1; reason($url) =~ /it refuses every event, the last one because: not this one/ }), 'all are refused: that is its failure at first');
	works_again('all are refused');
	# So often that it was believed, it may have made dead letters.
	query('SELECT windtrap.redeliver()');
	ok(wait_for(sub { rows_of(qr/^all/) == 40 }), 'all are refused: none is lost');
}

#
# Tokens
#
{
	my $data = $node->data_dir;
	my $secret = 'wt_secret0123456789';
	my $mark = log_mark($node);
	my $write = sub {
		my ($text, $mode) = @_;
		open my $out, '>', "$data/token.new" or die $!;
		print $out $text;
		close $out;
		chmod $mode // 0600, "$data/token.new";
		return rename "$data/token.new", "$data/token";
	};

	failing_of('no token', qr/wants a token of scope forward, and windtrap\.forward_token_file has none for this URL \(401\)/, token => $secret);
	alter_system($node, 'windtrap.forward_token_file' => 'token');
	ok(gives($url, qr/could not open the token file "token": No such file/), 'no file: the reason is given');
	$write->("$secret\n", 0644);
	reload($node);
	ok(gives($url, qr/others have access to the token file "token": its mode is 0644/), 'others can read it: the reason is given');
	$write->("two words too many\n");
	reload($node);
	ok(gives($url, qr/a line that is neither a token nor a URL and its token/), 'not a token: the reason is given');
	$write->("wt_wrong\n");
	reload($node);
	ok(gives($url, qr/does not know the token of windtrap\.forward_token_file \(401\)/), 'a wrong token: the reason is given');
	unlike(reason($url), qr/wt_wrong/, 'a wrong token: without it, though the server repeats it');
	$write->("$secret\n");
	ok(drained($node), 'a file that is right is read without a reload when the token was refused');
	$write->("wt_others\nhttp://elsewhere/log wt_elsewhere\n$url $secret\r\n");
	reload($node);
	is(event($port, 'own token'), 200, 'a line for each URL: an event');
	ok(drained($node), 'a line for each URL: its own is shown');
	$write->("http://elsewhere/log wt_elsewhere\n");
	reload($node);
	is(event($port, 'no own token'), 200, 'lines for others: an event');
	ok(gives($url, qr/has none for this URL/), 'lines for others: the reason is given');
	# One that has been replaced at both ends.
	$other->how(token => 'wt_new');
	$write->("wt_new\n");
	is(event($port, 'new token'), 200, 'a new token: an event');
	ok(drained($node), 'a new token: it is forwarded');
	unlike(log_since($node, $mark) . query('SELECT * FROM windtrap.forwarding') . query('SHOW windtrap.forward_token_file'),
		qr/wt_/, 'no token is to be seen anywhere');
	alter_system($node, 'windtrap.forward_token_file' => undef);
	$other->how();
}

#
# Servers that are not what they should be
#
{
	my $dark = free_port();
	my @wrong = (
		["http://127.0.0.1:$dark/log", qr/it cannot be connected to/],
		['http://nobody.invalid/log', qr/its host is not known|cannot be connected/],
		["https://127.0.0.1:$other_port/log", qr/TLS cannot be agreed upon; does it speak http\?/]);
	ok(forward_to($node, map { $_->[0] } @wrong), 'wrong targets');
	is(event($port, 'wrong'), 200, 'wrong targets: an event');
	for (@wrong)
	{
		my ($target, $pattern) = @$_;
		ok(gives($target, $pattern), "$target: the reason is given");
	}
	ok(forward_to($node, $url), 'the right one again');
	ok(drained($node), 'gets its events');
}

# Certificates: whose they are is looked at.
$other->kill;
{
	my $ca = abs_path(authority('ca'));
	my $stranger = abs_path(authority('stranger'));
	my $secure = "https://localhost:$other_port";
	ok($other->start(issue($ca, 'server')), 'a server with TLS');
	ok(forward_to($node, $secure), 'is a target');
	is(event($port, 'secure'), 200, 'TLS: an event');
	ok(gives($secure, qr/its certificate is not trusted \(it has expired, is another host's, or by none of windtrap\.forward_ca_file/),
		'TLS: not trusted by the system');
	alter_system($node, 'windtrap.forward_ca_file' => 'missing.crt');
	ok(gives($secure, qr/forward_ca_file, or the system's authorities, cannot be read/), 'TLS: no such file');
	alter_system($node, 'windtrap.forward_ca_file' => $stranger);
	ok(gives($secure, qr/not trusted/), 'TLS: nor by another authority');
	alter_system($node, 'windtrap.forward_ca_file' => $ca);
	ok(drained($node), 'TLS: its own');
	is(($other->noted('requests'))[-1]{path}, '/log', 'TLS: the path is /log where none is named');
	my $plain = "http://localhost:$other_port";
	my $stranger_name = "https://127.0.0.2:$other_port";    # which the certificate does not have
	ok(forward_to($node, $secure, $plain, $stranger_name), 'TLS: its port without TLS, and by another name');
	is(event($port, 'plain'), 200, 'TLS: an event');
	ok(gives($plain, qr/no HTTP|connection broke/), 'TLS: not without it');
	ok(gives($stranger_name, qr/not trusted/), 'TLS: nor by that name');
	ok(forward_to($node, $secure), 'TLS: the right one');
	ok(drained($node), 'TLS: has it');
	$other->kill;
	ok($other->start(issue($ca, 'expired', from => -2, to => -1)), 'TLS: a certificate that has expired');
	is(event($port, 'expired'), 200, 'TLS: an event');
	ok(gives($secure, qr/it has expired/), 'TLS: it has expired');
	$other->kill;
	ok($other->start(issue($ca, 'renewed')), 'TLS: it is renewed');
	ok(drained($node), 'TLS: all is forwarded');
	$other->kill;
}

#
# Nobody waits for a server that hangs
#
ok($other->start(), 'a server');
ok(forward_to($node, $url), 'a target');
ok(wait_state($node, $url, 'working'), 'it works');
{
	my $server = $other->pid;
	kill 'STOP', $server;
	is(put_batch($port, 100, 'hang'), 200, 'hangs: a batch');
	my $waiting = sub {
		query(q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'windtrap forwarder'
			AND query = 'waiting for the target' AND state = 'active' AND xact_start IS NULL AND backend_xmin IS NULL}) eq '1';
	};
	ok(wait_for($waiting), 'hangs: it is waited for, and no transaction is open');
	my $begun = time;
	alter_system($node, 'windtrap.forward_to' => '');
	ok(wait_for(sub { query(q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'windtrap forwarder'}) eq '0' }), 'hangs: it is taken away');
	within(time - $begun, 5, 'hangs: at once');
	alter_system($node, 'windtrap.forward_to' => $url);
	ok(wait_for($waiting), 'hangs: it is waited for again');
	within(elapsed(sub { query('SELECT windtrap.stop()') }), 5, 'hangs: stop() does not wait for it');
	query('SELECT windtrap.start()');
	ok(wait_for($waiting), 'hangs: once more');
	within(elapsed(sub { $node->stop('fast') }), 5, 'hangs: nor does the server');
	$node->start;
	ok(ready($port), 'hangs: the server is back');
	kill 'CONT', $server;
	ok(drained($node), 'goes on: all is forwarded');
	is(rows_of(qr/^hang/), 100, 'goes on: once');
}
$other->kill;

unlike(log_since($node), qr/terminated by signal|PANIC|TRAP/, 'nothing has crashed');
$node->stop;
done_testing();

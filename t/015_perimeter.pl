# Who may send, and who is believed: tokens, the defaults without one, hosts against DNS
# rebinding, reverse proxies, and what a browser is told.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use MIME::Base64 ();
use Test::More;
use Time::HiRes qw(sleep time);

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use WindTrap;

my $node = wt_node('perimeter', conf => "log_statement = 'all'\n");
my $port = wt_port($node);
my $serial = 0;

sub query { return $node->safe_psql('postgres', $_[0]); }

sub setting
{
	my (%settings) = @_;
	my $mark = log_mark($node);

	alter_system($node, %settings);
	# The worker says what it has read when its turn comes: a request is a turn.
	wait_for(sub { http($port, 'GET', '/health'); log_since($node, $mark) =~ /received SIGHUP/ });
	sleep 0.2;
	return;
}

# Sends an event of its own; gives the code, and 'stored' when it is in the table.
sub outcome
{
	my ($headers, %o) = @_;
	my $id = 'perimeter-' . ++$serial;
	my $answer = post_json($o{port} // $port, { id => $id }, headers => $headers, %o);
	my $rows = query("SELECT count(*) FROM log WHERE data->'json'->>'id' = '$id'");

	return $answer->{status} . ($rows ? ' stored' : '');
}

sub last_row { return query("SELECT $_[0] FROM log WHERE data->'json'->>'id' = 'perimeter-$serial'"); }
sub bearer { return { Authorization => "Bearer $_[0]" }; }

# A request from an address that is not loopback, if this machine has one.
my ($address) = map { split } (-x '/bin/hostname' ? `hostname -I` : '');
$address = undef if defined $address && $address !~ /^[0-9.]+$/;

#
# Until there is a token
#
like(log_since($node, 0), qr/clients on this machine may send events without a token/, 'the log says that the door is open');
is(outcome({}), '200 stored', 'a client on this machine needs no token');
is(outcome(bearer('wt_whatever')), '200 stored', 'nor is one asked for that it happens to bring');
for my $name ('Via', 'Forwarded', 'X-Forwarded-For', 'X-Real-IP', 'X-Forwarded-Proto')
{
	is(outcome({ $name => '127.0.0.1' }), '401', "what came by a proxy ($name) is not of this machine");
}
setting('windtrap.listen_addresses' => '*');
SKIP:
{
	skip 'this machine has no other address', 3 if !$address;
	is(outcome({}, host => $address), '401', 'on another address a token is needed from the start');
	is(http($port, 'GET', '/metrics', host => $address)->{status}, 401, 'and for /metrics');
	is(http($port, 'GET', '/health', host => $address)->{status}, 200, '/health is open');
}
setting('windtrap.auth' => 'none');
SKIP:
{
	skip 'this machine has no other address', 2 if !$address;
	is(outcome({}, host => $address), '200 stored', 'auth = none: open to all');
	is(http($port, 'GET', '/metrics', host => $address)->{status}, 401, 'but not for reading');
}
is(outcome({ Via => '1.1 x' }), '200 stored', 'auth = none: by a proxy, too');
is(outcome({ Origin => 'https://evil.example' }), '403', 'auth = none: not for pages');
is(outcome({ Authorization => 'Basic c3RhZ2luZzpzZWNyZXQ=' }), '200 stored', 'auth = none: whoever else somebody is');
setting('windtrap.auth' => 'token');
is(outcome({}), '401', 'auth = token: this machine, too');
setting('windtrap.auth' => undef);
is(outcome({}), '200 stored', 'auth = auto again');

#
# DNS rebinding
#
for my $host ('evil.example', "evil.example:$port", 'localhost.evil.example', 'localhost:80.evil.example', '127.0.0.1.evil.example', 'x', '')
{
	my $connection = connect_to($port);
	$connection->send("POST /log HTTP/1.1\r\nHost: $host\r\nContent-Length: 2\r\n\r\n{}");
	is($connection->response->{status}, 421, "Host \"$host\": misdirected");
	my $reader = connect_to($port);
	$reader->send("GET /metrics HTTP/1.1\r\nHost: $host\r\n\r\n");
	is($reader->response->{status}, 421, "Host \"$host\": nor is /metrics for it");
}
for my $host ('localhost', 'LOCALHOST', "localhost:$port", 'a.localhost', 'localhost.', '127.0.0.1', "127.0.0.1:$port", '[::1]', "[::1]:$port", '192.0.2.1')
{
	my $connection = connect_to($port);
	$connection->send("POST /log HTTP/1.1\r\nHost: $host\r\nContent-Length: 2\r\n\r\n{}");
	is($connection->response->{status}, 200, "Host \"$host\": let in");
}
setting('windtrap.allowed_hosts' => 'logs.example.com, *.internal.example');
for my $case (['logs.example.com', 200], ["LOGS.example.com:$port", 200], ['a.b.internal.example', 200],
	['internal.example', 421], ['xinternal.example', 421], ['example.com', 421])
{
	my ($host, $code) = @$case;
	my $connection = connect_to($port);
	$connection->send("POST /log HTTP/1.1\r\nHost: $host\r\nContent-Length: 2\r\n\r\n{}");
	is($connection->response->{status}, $code, "allowed_hosts: $host: $code");
}
# Of an absolute target the host is the target's (RFC 9112, 3.2.2).
for my $case ([ 'http://logs.example.com/log', 'x', 200 ], [ 'http://evil.example/log', 'logs.example.com', 421 ],
	[ 'HTTPS://me:secret@a.internal.example:1?a=b', 'x', 200, 'a.internal.example:1|/|b' ],
	[ 'http:///log', 'logs.example.com', 400 ], [ 'http://logs.example.com@/log', 'logs.example.com', 400 ],
	[ 'http://a,logs.example.com/log', 'logs.example.com', 400 ], [ 'http://:80/log', 'logs.example.com', 400 ])
{
	my ($target, $host, $code, $stored) = @$case;
	my $connection = connect_to($port);
	$connection->send("POST $target HTTP/1.1\r\nHost: $host\r\nContent-Length: 2\r\n\r\n{}");
	is($connection->response->{status}, $code, "$target with Host: $host: $code");
	is(query(q{SELECT data->>'host', data->>'path', data->'args'->>'a' FROM log ORDER BY data->>'id' DESC LIMIT 1}), $stored, "$target: what is stored")
	  if $stored;
}
setting('windtrap.allowed_hosts' => undef);
for my $path ('/log/', '/', '/log/?a=b', '/?a=b')
{
	is(outcome({}, path => $path), '200 stored', "POST $path is POST /log");
}

#
# Tokens
#
my $mark = log_mark($node);
my $token = query(q{SELECT windtrap.create_token('shop')});
like($token, qr/^wt_[0-9A-Za-z]{43}$/, 'a token: wt_ and 32 bytes in base62');
is(outcome({}), '401', 'from the first token on one is needed, at once');
ok(wait_for(sub { log_since($node, $mark) =~ /whoever sends events needs a token/ }), 'and the log says so');
my $basic = MIME::Base64::encode_base64("anybody:$token", '');
# Of a site or a proxy in front: browsers add it to beacons too.
my $foreign = MIME::Base64::encode_base64('staging:secret', '');
my $lapsed = query(q{SELECT windtrap.create_token('lapsed', expires => clock_timestamp() + interval '0.2 s')});
my $other = $token;
substr($other, -1) = $other =~ /0$/ ? '1' : '0';
for my $case (
	[ 'Authorization: Bearer', bearer($token) ],
	[ 'Authorization: bearer', { Authorization => "bearer  $token" } ],
	[ 'X-API-Key', { 'X-API-Key' => $token } ],
	[ 'the password of basic authentication', { Authorization => "Basic $basic" } ],
	[ '?token=', {}, "/log?token=$token" ],
	[ '?a=b&token=', {}, "/log?a=b&token=$token&c=d" ],
	[ '?token= beside credentials of somebody else', { Authorization => "Basic $foreign" }, "/log?token=$token" ],
	[ 'X-API-Key beside credentials of somebody else', { Authorization => "Basic $foreign", 'X-API-Key' => $token } ],
	[ 'a right one beside a wrong one', { Authorization => "Bearer $other", 'X-API-Key' => $token } ],
	[ 'a wrong one beside a right one', { Authorization => "Bearer $token", 'X-API-Key' => $other }, "/log?token=$other" ],
	[ 'one that has expired beside a right one', { Authorization => "Bearer $lapsed", 'X-API-Key' => $token } ],
	[ 'a scheme that is not known, beside X-API-Key', { Authorization => 'Digest x', 'X-API-Key' => $token } ],)
{
	my ($name, $headers, $path) = @$case;
	is(outcome($headers, path => $path // '/log'), '200 stored', "$name: let in");
	# Not by a query that has it: the log is looked through at the end.
	unlike(query('SELECT string_agg(data::text, chr(10)) FROM log'), qr/\Q$token\E|\Q$basic\E/, "$name: not stored");
}
is(last_row(q{data ? 'source'}), 'f', 'a token without a source: none is stored');
ok(wait_for(sub { json_of(post_json($port, {}, headers => { Authorization => "Basic $foreign", 'X-API-Key' => $lapsed }))->{error} =~ /has expired/ }),
	'one that has expired beside one that is not known: it is said');
query(q{DELETE FROM windtrap.token WHERE name = 'lapsed'});
for my $case (
	[ 'another token', bearer($other) ],
	[ 'a token that is cut', bearer(substr $token, 0, -1) ],
	[ 'a token and more', bearer("${token}0") ],
	[ 'in capitals', bearer(uc $token) ],
	[ 'its digest', bearer(query(q{SELECT encode(digest, 'hex') FROM windtrap.token})) ],
	[ 'an empty one', bearer('') ],
	[ 'a long one', bearer('x' x 4000) ],
	[ 'one in quotes', bearer("\"$token\"") ],
	[ 'no base64', { Authorization => 'Basic ???' } ],
	[ 'base64 without a colon', { Authorization => 'Basic ' . MIME::Base64::encode_base64($token, '') } ],
	[ 'as the name of basic authentication', { Authorization => 'Basic ' . MIME::Base64::encode_base64("$token:", '') } ],
	[ 'of another scheme', { Authorization => "Token $token" } ],
	[ 'two wrong ones', { Authorization => "Basic $foreign", 'X-API-Key' => $other } ],
	[ 'in the body\'s place', {}, '/log?Token=' . $token ],
	[ 'in a cookie', { Cookie => "token=$token" } ],)
{
	my ($name, $headers, $path) = @$case;
	is(outcome($headers, path => $path // '/log'), '401', "$name: not let in");
}
{
	my $answer = post_json($port, {}, headers => bearer($other));
	is($answer->{headers}{'www-authenticate'}, 'Bearer realm="windtrap"', '401 comes with WWW-Authenticate');
	like(json_of($answer)->{error}, qr/mistyped, or it was revoked/, 'and says what may be wrong');
	unlike($answer->{content}, qr/\Q$other/, 'without repeating it');
	like(json_of(post_json($port, {}))->{error}, qr/a token is needed: send it as/, 'without a token it says how to send one');
}

# Before the body is read: a sender of much hears of it at once, and may stop.
{
	my $connection = connect_to($port);
	my $begun = time;
	$connection->send("POST /log HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10000000\r\n\r\n[");
	is($connection->response(seconds => 5)->{status}, 401, 'refused while the body is still to come');
	cmp_ok(time - $begun, '<', 3, 'at once');
	$connection->send('1,' x 10_000);
	ok($connection->is_closed(5), 'and the connection ends');
}

# Scope, source, expiry, revocation.
my $reader = query(q{SELECT windtrap.create_token('prometheus', 'read')});
my $both = query(q{SELECT windtrap.create_token('both', 'all', source => 'shop "1" ü')});
is(outcome(bearer($reader)), '403', 'a token for reading does not send');
is(outcome(bearer($both)), '200 stored', 'one for all does');
is(last_row(q{data->>'source'}), 'shop "1" ü', 'its source is stored');
is(http($port, 'GET', '/metrics')->{status}, 200, '/metrics is open to this machine');
is(http($port, 'GET', '/metrics', headers => { Via => 'x' })->{status}, 401, 'and to nobody else');
is(http($port, 'GET', '/metrics', headers => { Via => 'x', %{ bearer($token) } })->{status}, 403, 'not with a token for sending');
is(http($port, 'GET', '/metrics', headers => { Via => 'x', %{ bearer($reader) } })->{status}, 200, 'but with one for reading');
is(outcome({ 'X-Source' => 'other', %{ bearer($both) } }, path => '/log?source=other'), '200 stored', 'a sender who says that it is another');
is(last_row(q{data->>'source'}), 'shop "1" ü', 'remains who it is');
my $brief = query(q{SELECT windtrap.create_token('brief', expires => clock_timestamp() + interval '1.5 s')});
is(outcome(bearer($brief)), '200 stored', 'a token that will expire');
ok(wait_for(sub { outcome(bearer($brief)) eq '401' }), 'expires');
like(json_of(post_json($port, {}, headers => bearer($brief)))->{error}, qr/has expired/, 'and the answer says so');
{
	my $connection = connect_to($port);
	my $headers = [ "X-API-Key: $token" ];
	$connection->request('{}', headers => $headers);
	is($connection->response->{status}, 200, 'a connection with a token');
	query(q{SELECT windtrap.revoke_token('shop')});
	$connection->request('{}', headers => $headers);
	is($connection->response->{status}, 401, 'a token that was revoked lets in no request more, on no connection');
}
is(query(q{SELECT name, state FROM windtrap.tokens ORDER BY created}), "shop|revoked\nprometheus|active\nboth|active\nbrief|expired", 'windtrap.tokens');
query(q{SELECT windtrap.revoke_token(name) FROM windtrap.tokens WHERE state <> 'revoked'});
is(outcome({}), '401', 'when all tokens are revoked the door does not open again');
my $again = query(q{SELECT windtrap.create_token('shop')});
is(outcome(bearer($again)), '200 stored', 'a name can be given again');
query(q{BEGIN; SELECT windtrap.revoke_token('shop'); ROLLBACK});
is(outcome(bearer($again)), '200 stored', 'what was not committed does not count');

# Last use, noted soon but seldom.
ok(wait_for(sub { http($port, 'GET', '/health'); query(q{SELECT last_used > now() - interval '1 minute' FROM windtrap.tokens WHERE name = 'shop' AND state = 'active'}) eq 't' }), 'its last use is noted');
my $version = query(q{SELECT xmin FROM windtrap.token WHERE name = 'shop' AND revoked IS NULL});
outcome(bearer($again)) for 1 .. 5;
is(query(q{SELECT xmin FROM windtrap.token WHERE name = 'shop' AND revoked IS NULL}), $version, 'and not with each request');

# The senders among the examples, as they are.
{
	my $examples = "$FindBin::RealBin/../examples";
	local $ENV{WINDTRAP_URL} = "http://127.0.0.1:$port/log";
	local $ENV{WINDTRAP_TOKEN} = $again;
	like(python("$examples/send.py", '{"example":"send.py"}'), qr/'accepted': 1/, 'examples/send.py sends a token');
	python("$examples/logging_handler.py");
	is(query(q{SELECT count(*) FROM log WHERE data->'json'->>'logger' = 'shop'}), 1, 'examples/logging_handler.py, too');
	SKIP:
	{
		skip 'there is no node', 1 if !grep { -x "$_/node" } split /:/, $ENV{PATH};
		like(command('node', "$examples/send.mjs", '{"example":"send.mjs"}'), qr/accepted: 1/, 'examples/send.mjs, too');
	}
}

# A rate.
{
	my $slow = query(q{SELECT windtrap.create_token('slow', rate => 5)});
	my @codes = map { post_json($port, {}, headers => bearer($slow))->{status} } 1 .. 20;
	my $passed = grep { $_ == 200 } @codes;
	my $refused = post_json($port, {}, headers => bearer($slow));
	cmp_ok($passed, '>=', 5, 'a second\'s worth passes');
	cmp_ok($passed, '<', 15, 'and little more');
	is($refused->{status}, 429, 'beyond the rate: 429');
	cmp_ok($refused->{headers}{'retry-after'}, '>=', 1, 'with Retry-After');
	ok(wait_for(sub { post_json($port, {}, headers => bearer($slow))->{status} == 200 }), 'a while later it goes on');
	is(outcome(bearer($again)), '200 stored', 'another token has its own');
}

# The table cannot be read: who needs a token is told to come back, nobody slips in.
{
	my $psql = $node->background_psql('postgres');
	$psql->query_safe('BEGIN; LOCK windtrap.token IN ACCESS EXCLUSIVE MODE');
	query(q{DO $$ BEGIN PERFORM 1; END $$});
	is(outcome(bearer($again)), '200 stored', 'a lock on the tokens does not matter while they are known');
	$psql->query_safe('ALTER TABLE windtrap.token RENAME COLUMN scope TO reach');
	$psql->query_safe('COMMIT');
	my $code = post_json($port, {}, headers => bearer($again))->{status};
	is($code, 503, 'tokens that cannot be read: try again later');
	is(post_json($port, {})->{status}, 503, 'and nobody is let in without');
	$psql->query_safe('ALTER TABLE windtrap.token RENAME COLUMN reach TO scope');
	$psql->quit;
	ok(wait_for(sub { outcome(bearer($again)) eq '200 stored' }), 'it heals by itself');
	like(log_since($node, $mark), qr/the tokens could not be read: /, 'and the log has said why');
}

# After a restart, and a dump.
# Not restart: under the sanitizers the server has to be started by its wrapper.
$node->stop;
$node->start;
ready($port);
is(outcome({}), '401', 'after a restart: still closed');
is(outcome(bearer($again)), '200 stored', 'and the token lets in');
{
	my $dump = $node->backup_dir . '/tokens.sql';
	command('pg_dump', '-h', $node->host, '-p', $node->port, '-f', $dump, 'postgres');
	$node->safe_psql('postgres', 'CREATE DATABASE restored TEMPLATE template0');
	command('psql', '-qX', '-v', 'ON_ERROR_STOP=1', '-h', $node->host, '-p', $node->port, '-f', $dump, 'restored');
	is($node->safe_psql('restored', q{SELECT string_agg(digest::text, ',' ORDER BY id) FROM windtrap.token}),
		query(q{SELECT string_agg(digest::text, ',' ORDER BY id) FROM windtrap.token}), 'pg_dump carries the tokens');
	like($node->safe_psql('restored', q{SELECT windtrap.create_token('after the restore')}), qr/^wt_/, 'and a new one can be made there');
	$node->safe_psql('postgres', 'DROP DATABASE restored');
}
query('DELETE FROM windtrap.token');
is(outcome({}), '200 stored', 'when their rows are deleted, it is open again');

#
# Proxies
#
for my $case (
	[ 'X-Forwarded-For', '203.0.113.9' ],
	[ 'Forwarded', 'for=203.0.113.9' ],
	[ 'X-Real-IP', '203.0.113.9' ],)
{
	setting('windtrap.auth' => 'none');
	is(outcome({ $case->[0] => $case->[1] }), '200 stored', "$case->[0] of who is not trusted");
	is(last_row(q{data->>'ip'}), '127.0.0.1', "$case->[0] of who is not trusted: not believed");
}
setting('windtrap.trusted_proxies' => '127.0.0.1, 10.0.0.0/8, 2001:db8::/32, unix');
for my $case (
	# the client, headers
	[ '203.0.113.9', { 'X-Forwarded-For' => '203.0.113.9' } ],
	[ '203.0.113.9', { 'X-Forwarded-For' => '1.2.3.4, 203.0.113.9' } ],
	[ '203.0.113.9', { 'X-Forwarded-For' => '1.2.3.4,203.0.113.9,10.1.2.3,  2001:db8::5 ' } ],
	[ '203.0.113.9', { 'X-Forwarded-For' => [ '203.0.113.9', '10.1.2.3' ] } ],
	[ '203.0.113.9', { 'X-Forwarded-For' => '203.0.113.9,' } ],
	[ '203.0.113.9', { 'X-Forwarded-For' => ',203.0.113.9, ,10.0.0.1,,' } ],
	[ '203.0.113.9', { 'X-Forwarded-For' => [ '203.0.113.9', ', ,' ] } ],
	[ '203.0.113.9', { Forwarded => 'for=203.0.113.9, ,for=10.0.0.1,' } ],
	[ '203.0.113.9', { 'X-Forwarded-For' => '203.0.113.9:4711' } ],
	[ '2a00::9', { 'X-Forwarded-For' => '[2a00::9]:4711' } ],
	[ '2a00::9', { 'X-Forwarded-For' => '2a00:0::9' } ],
	[ '203.0.113.9', { 'X-Forwarded-For' => '::ffff:203.0.113.9' } ],
	[ '10.0.0.1', { 'X-Forwarded-For' => '10.0.0.1, 10.0.0.2' } ],
	[ '10.0.0.2', { 'X-Forwarded-For' => '203.0.113.9, unknown, 10.0.0.2' } ],
	[ '127.0.0.1', { 'X-Forwarded-For' => 'nonsense' } ],
	[ '127.0.0.1', { 'X-Forwarded-For' => '' } ],
	[ '203.0.113.9', { Forwarded => 'for=203.0.113.9' } ],
	[ '203.0.113.9', { Forwarded => 'for=1.2.3.4, For="203.0.113.9:80";proto=https;by=x' } ],
	[ '2a00::9', { Forwarded => 'proto=http;for="[2a00::9]:4711", for=10.0.0.7' } ],
	[ '127.0.0.1', { Forwarded => 'for=_hidden' } ],
	[ '127.0.0.1', { Forwarded => 'by=1.2.3.4' } ],
	[ '203.0.113.9', { 'X-Real-IP' => '203.0.113.9' } ],
	[ '203.0.113.9', { 'X-Forwarded-For' => '203.0.113.9', Forwarded => 'for=1.2.3.4', 'X-Real-IP' => '1.2.3.4' } ],)
{
	my ($client, $headers) = @$case;
	my $name = join ' ', map { my $v = $headers->{$_}; "$_: " . (ref $v ? "@$v" : $v) } sort keys %$headers;
	is(outcome($headers), '200 stored', "$name: stored");
	is(last_row(q{data->>'ip'}), $client, "$name: the client is $client");
}
setting('windtrap.auth' => undef);
is(outcome({ 'X-Forwarded-For' => '127.0.0.1' }), '401', 'who is said to be 127.0.0.1 by a proxy is not of this machine');
{
	my $connection = connect_to($port);
	$connection->send("POST /log HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: " . '127.0.0.1,' x 1300 . "\r\nContent-Length: 2\r\n\r\n{}");
	is($connection->response->{status}, 401, 'a long row of proxies costs little');
}

#
# Browsers
#
my $page = query(q{SELECT windtrap.create_token('page', origins => ARRAY['https://shop.example'])});
my $any = query(q{SELECT windtrap.create_token('any')});
setting('windtrap.cors_origins' => 'https://app.example, https://*.wild.example, http://port.example:8080, self', 'windtrap.trusted_proxies' => '127.0.0.1');
sub cors
{
	my ($origin, %o) = @_;
	my $answer = post_json($port, {}, headers => { Origin => $origin, %{ bearer($o{token} // $any) }, %{ $o{headers} // {} } });
	return join ' ', $answer->{status}, $answer->{headers}{'access-control-allow-origin'} // '-', $answer->{headers}{vary} // '-', $answer->{headers}{'access-control-allow-credentials'} // '-';
}
for my $origin ('https://app.example', 'https://a.wild.example', 'https://a.b.wild.example', 'http://port.example:8080', "http://127.0.0.1:$port")
{
	is(cors($origin), "200 $origin Origin true", "$origin: may send");
}
for my $origin ('http://app.example', 'https://app.example:8443', 'https://xapp.example', 'https://app.example.evil.example', 'https://wild.example', 'https://xwild.example', 'null', 'http://port.example', "https://127.0.0.1:$port", 'https://shop.example')
{
	is(cors($origin), '403 - - -', "$origin: may not, and cannot read the answer");
}
is(cors("https://127.0.0.1:$port", headers => { 'X-Forwarded-Proto' => 'https' }), "200 https://127.0.0.1:$port Origin true", 'self is what the browser sees, by a proxy that ends TLS');
is(cors('https://shop.example', token => $page), '200 https://shop.example Origin true', 'a token lets in the pages that it is for');
is(cors('https://app.example', token => $page), '403 https://app.example Origin true', 'and no others');
is(outcome(bearer($page)), '403', 'nor who is no page');
is(cors('https://app.example', token => 'wt_nonsense'), '401 https://app.example Origin true', 'a page can read why it was refused');
for my $case (
	[ 'https://app.example', 204 ],
	[ 'https://shop.example', 204 ],
	[ 'https://evil.example', 403 ],)
{
	my ($origin, $code) = @$case;
	my $answer = http($port, 'OPTIONS', '/log', headers => {
			Origin => $origin,
			'Access-Control-Request-Method' => 'POST',
			'Access-Control-Request-Headers' => 'authorization,content-type' });
	is($answer->{status}, $code, "preflight of $origin: $code");
	is($answer->{headers}{'access-control-allow-origin'}, $code == 204 ? $origin : undef, "preflight of $origin: the origin");
	next if $code != 204;
	like($answer->{headers}{'access-control-allow-methods'}, qr/\bPOST\b/, "preflight of $origin: POST");
	is($answer->{headers}{'access-control-allow-headers'}, 'authorization,content-type', "preflight of $origin: the headers");
	is($answer->{headers}{'access-control-max-age'}, 600, "preflight of $origin: for a while");
}
is(http($port, 'GET', '/metrics', headers => { Origin => 'https://evil.example' })->{status}, 403, 'a page may not look at /metrics');
is(post($port, 'beacon', type => 'text/plain;charset=UTF-8', path => "/log?token=$any", headers => { Origin => 'https://app.example' })->{status}, 200, 'a beacon');
is(query(q{SELECT count(*) FROM log WHERE data->'json' = '"beacon"' AND data->'args'->>'token' = '[redacted]'}), 1, 'is stored, without its token');

#
# A database's error is not for everybody.
#
query(q{ALTER TABLE log RENAME COLUMN status TO state});
post_json($port, {}, headers => bearer($any));
like(json_of(http($port, 'GET', '/health'))->{error}, qr/column "status"/, '/health says why it is not well to this machine');
is(json_of(http($port, 'GET', '/health', headers => { Via => 'x' }))->{error}, 'events cannot be stored now', 'and to others only that it is not');
query(q{ALTER TABLE log RENAME COLUMN state TO status});

$node->stop;
is(count_in_log($node, qr/terminated by signal|TRAP/), 0, 'nothing has crashed');
my $log = slurp_file($node->logfile);
is(scalar(grep { index($log, $_) >= 0 } $token, $reader, $both, $again, $page, $any), 0, 'no token is in the log, even with log_statement = all');
done_testing();

# Web pages send events from a real browser, as fetch and as beacon, from origins that are
# allowed; pages of others store nothing, whatever way of a browser's to send they try, and
# see no answer.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use JSON::PP ();
use Test::More;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use WindTrap;
use Batch;
use Browser;

plan skip_all => 'there is no chromium or no chromedriver' if !Browser::programs();

my $n = 0;       # of events that were sent
my $stored = 0;
my $empty = '<!doctype html><title>page</title><body>';
my $listed = Browser::Pages->serve('/' => $empty);
my $other = Browser::Pages->serve('/' => $empty);
my $third = Browser::Pages->serve('/' => $empty);
my $node = wt_node('browser', conf => 'windtrap.cors_origins = \'' . $listed->origin . "'\n");
my $port = wt_port($node);
my $log = "http://127.0.0.1:$port/log";
my $browser = Browser->start('--host-resolver-rules=MAP evil.example 127.0.0.1, MAP good.example 127.0.0.1');

sub query { return $node->safe_psql('postgres', $_[0]); }

# The event with the number n, as column, waited for.
sub stored_event
{
	my ($column) = @_;
	my $sql = "SELECT $column FROM log WHERE data->'json'->>'n' = '$n'";
	wait_for(sub { query($sql) ne '' });
	return query($sql);
}

# What is counted while the code runs: "requests_total{200} +1, …", once it is as expected.
sub counts
{
	my ($name, $expected, $code, $pattern) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $before = metrics($node);
	my $got = '';

	$code->();
	wait_for(
		sub {
			$got = changes($before, metrics($node), $pattern // qr/^requests_(total|refused_total)/);
			return $got eq $expected;
		},
		10);
	is($got, $expected, "$name: what came of it");
	return;
}

# Nothing more was stored than was accepted.
sub nothing_stored
{
	my ($name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is(query('SELECT count(*) FROM log'), $stored, "$name: nothing was stored");
	return;
}

# Sends an event as page's fetch does; gives what the page sees: {status, body, …} or {error}.
sub fetch
{
	my ($url, %o) = @_;
	return $browser->run(<<'JS', $url, { method => 'POST', %o }, ++$n);
const [url, options, n] = arguments;
if (options.method === "POST") options.body ??= JSON.stringify({ n });
try {
	const answer = await fetch(url, options);
	return {
		type: answer.type, status: answer.status, body: await answer.text(),
		authenticate: answer.headers.get("WWW-Authenticate"),
		retry: answer.headers.get("Retry-After"),
	};
} catch (error) {
	return { error: error.name };
}
JS
}

sub accepted
{
	my ($name, $seen) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is(($seen->{status} // $seen->{error}) . ' ' . ($seen->{body} // ''), qq(200 {"accepted":1}\n), "$name: the page sees that it is accepted");
	$stored++;
	is(stored_event('count(*)'), 1, "$name: it is stored");
	return;
}

my %json = (headers => { 'Content-Type' => 'application/json' });

#
# A page that is allowed, while there is no token
#
$browser->open_page($listed->origin . '/');
counts('the first fetch', 'requests_total{200} +1, requests_total{204} +1', sub { accepted('fetch of JSON', fetch($log, %json)) });
is(stored_event(q(data->'headers'->>'origin')), $listed->origin, 'the origin is stored');
is(stored_event(q(data->'headers'->>'content-type')), 'application/json', 'it was sent as JSON');
counts('the second fetch', 'requests_total{200} +1', sub { accepted('fetch of JSON, its preflight remembered', fetch($log, %json)) });
counts('text', 'requests_total{200} +1', sub { accepted('fetch of text, which needs no preflight', fetch($log)) });
accepted('fetch with credentials', fetch($log, %json, credentials => 'include'));
is(fetch($log, %json, body => '{"n":')->{status}, 400, 'the page sees that an event is refused');
like(fetch($log, %json, body => '{"n":')->{body}, qr/bad JSON/, 'and why');
is(fetch("http://127.0.0.1:$port/health", method => 'GET')->{status}, 200, 'the page may ask for the health');
nothing_stored('what was refused');

# What a browser is told before it sends, and is not told of other pages.
for my $case ([ $listed, 204, $listed->origin ], [ $other, 403, undef ])
{
	my ($page, $code, $allowed) = @$case;
	my $answer = http($port, 'OPTIONS', '/log',
		headers => {
			Origin => $page->origin,
			'Access-Control-Request-Method' => 'POST',
			'Access-Control-Request-Headers' => 'authorization,content-type' });
	my $headers = $answer->{headers};
	is($answer->{status}, $code, "preflight: $code");
	is($headers->{'access-control-allow-origin'}, $allowed, "preflight, $code: the origin");
	next if !$allowed;
	is($headers->{'access-control-allow-credentials'}, 'true', 'preflight: with credentials');
	is($headers->{'access-control-allow-headers'}, 'authorization,content-type', 'preflight: with these headers');
	like($headers->{'access-control-allow-methods'}, qr/POST/, 'preflight: to send');
	like($headers->{'access-control-max-age'}, qr/^[1-9]\d*$/, 'preflight: for a while');
	like($headers->{vary}, qr/\bOrigin\b/, 'preflight: a cache keeps it for this origin alone');
}

#
# A page that is not
#
$browser->open_page($other->origin . '/');
counts('another page', 'requests_refused_total{origin} +1, requests_total{403} +1',
	sub { is(fetch($log, %json)->{error}, 'TypeError', 'another page: its fetch fails in the preflight') });
counts('another page, text', 'requests_refused_total{origin} +1, requests_total{403} +1',
	sub { is(fetch($log)->{error}, 'TypeError', 'another page: its fetch of text fails') });
counts('another page, not asking', 'requests_refused_total{origin} +1, requests_total{403} +1',
	sub { is(fetch($log, mode => 'no-cors')->{type}, 'opaque', 'another page: it cannot look at an answer') });
counts('another page, beacon', 'requests_refused_total{origin} +1, requests_total{403} +1',
	sub { ok($browser->run('return navigator.sendBeacon(arguments[0], \'{"n":0}\')', $log), 'another page: its beacon is sent') });
counts('another page, beacon of JSON', 'requests_refused_total{origin} +1, requests_total{403} +1',
	sub { $browser->run('return navigator.sendBeacon(arguments[0], new Blob([\'{"n":0}\'], { type: "application/json" }))', $log) });
for my $type ('text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data')
{
	$browser->open_page($other->origin . '/');
	counts("another page, form of $type", 'requests_refused_total{origin} +1, requests_total{403} +1',
		sub { $browser->run(<<'JS', $log, $type) }, qr/\{(origin|200|403)\}/);    # it asks for an icon too
const form = document.createElement("form");
form.method = "POST";
[form.action, form.enctype] = arguments;
form.innerHTML = `<input name='{"n":0,"x":"' value='"}'>`;
document.body.append(form);
form.submit();
JS
}
$browser->open_page($other->origin . '/');
counts('a page without an origin', 'requests_refused_total{origin} +1, requests_total{403} +1',
	sub { $browser->run(<<'JS', $log) });
const frame = document.createElement("iframe");
frame.sandbox = "allow-scripts";
frame.srcdoc = `<script>fetch("${arguments[0]}", { method: "POST", mode: "no-cors", body: "{}" })</` + `script>`;
document.body.append(frame);
JS
is(fetch("http://127.0.0.1:$port/metrics", method => 'GET')->{error}, 'TypeError', 'another page: it cannot read the metrics');
nothing_stored('other pages');

#
# A page that has made its own name point here, and is of one origin with the collector
#
for my $case ([ 'nothing is allowed', '', 421 ], [ 'the collector\'s own pages are allowed', 'self', 421 ],
	[ 'all pages are allowed', '*', 421 ])
{
	my ($name, $origins, $code) = @$case;
	alter_system($node, 'windtrap.cors_origins' => $origins);
	$browser->open_page("http://evil.example:$port/health");
	ok(wait_for(sub { fetch("http://evil.example:$port/log", %json)->{status} == $code }), "DNS rebinding, $name: $code");
	is(fetch("http://evil.example:$port/log")->{status}, $code, "DNS rebinding of text, $name: $code");
	is(fetch("http://evil.example:$port/metrics", method => 'GET')->{status}, 421, "DNS rebinding, $name: no metrics");
	nothing_stored("DNS rebinding, $name");
}
alter_system($node, 'windtrap.cors_origins' => 'self', 'windtrap.allowed_hosts' => 'good.example');
$browser->open_page("http://good.example:$port/health");
ok(wait_for(sub { fetch("http://good.example:$port/log")->{status} == 200 && ++$stored }), 'a page at an allowed host may send');
alter_system($node, 'windtrap.cors_origins' => $listed->origin, 'windtrap.allowed_hosts' => undef);
$browser->open_page($listed->origin . '/');
ok(wait_for(sub { (fetch($log)->{status} // 0) == 200 && ++$stored }), 'the settings are as they were');

#
# With tokens
#
my $token = query(q{SELECT windtrap.create_token('pages', source => 'shop')});
my $bound = query(q{SELECT windtrap.create_token('bound', origins => ARRAY['} . $other->origin . q{'])});
my $seen = fetch($log, %json);
is($seen->{status}, 401, 'without a token: the page sees that it needs one');
like($seen->{body}, qr/\?token=/, 'without a token: it is told how');
accepted('fetch with Authorization', fetch($log, headers => { %{ $json{headers} }, Authorization => "Bearer $token" }));
is(stored_event(q(data->>'source')), 'shop', 'fetch with Authorization: the token\'s source is stored');
accepted('fetch with X-API-Key', fetch($log, headers => { %{ $json{headers} }, 'X-API-Key' => $token }));
accepted('fetch with ?token=', fetch("$log?token=$token", %json));
is(stored_event(q(data->'args'->>'token')), '[redacted]', 'fetch with ?token=: it is not stored');
is(fetch("$log?token=wt_wrong", %json)->{status}, 401, 'a wrong token: the page sees it');
for my $case ([ 'text', '$body' ], [ 'JSON', 'new Blob([$body], { type: "application/json" })' ],
	[ 'a form', 'new URLSearchParams(JSON.parse($body))' ])
{
	my ($name, $body) = @$case;
	$n++;
	ok($browser->run('const $body = JSON.stringify({ n: ' . $n . ' }); return navigator.sendBeacon(arguments[0], ' . $body . ')',
			"$log?token=$token"), "beacon of $name: it is on its way");
	is(stored_event('count(*)'), 1, "beacon of $name: it is stored");
	is(stored_event(q(data->>'source')), 'shop', "beacon of $name: with its source");
	$stored++;
}
$n++;
$browser->run('addEventListener("pagehide", () => navigator.sendBeacon(arguments[0], \'{"n":' . $n . "}'))", "$log?token=$token");
$browser->open_page('about:blank');
is(stored_event('count(*)'), 1, 'a beacon of a page that is being left: it is stored');
$stored++;

$browser->open_page($listed->origin . '/');
$seen = fetch("$log?token=$bound", %json);
is($seen->{status}, 403, "a token that is for another page's origin: refused");
like($seen->{body}, qr/other origins/, "a token that is for another page's origin: the page sees why");
$browser->open_page($other->origin . '/');
is(fetch("$log?token=$token", %json)->{error}, 'TypeError', 'a good token, from a page that is not listed: refused');
nothing_stored('a token at the wrong page');
accepted('a token with the page\'s own origin', fetch("$log?token=$bound", %json));
accepted('a token with the page\'s own origin, in a header', fetch($log, headers => { 'X-API-Key' => $bound }));
$browser->open_page($third->origin . '/');
is(fetch("$log?token=$bound", %json)->{error}, 'TypeError', 'a token with origins, from a third page: refused');
is(post_json($port, {}, headers => { 'X-API-Key' => $bound })->{status}, 403, 'a token with origins, without an origin: refused');
nothing_stored('a token elsewhere');

#
# The example
#
{
	my $html = slurp_file("$FindBin::RealBin/../examples/browser.html");
	ok($html =~ s/"http:\/\/localhost:8000\/log\?token=[^"]*"/"$log?token=$bound"/, 'the example names the collector once');
	my ($script) = $html =~ /<script>\n(.*?)<\/script>/s;
	cmp_ok(scalar(() = $script =~ /\n/g), '<=', 20, 'its script has 20 lines at most');
	my $pages = Browser::Pages->serve('/example.html' => $html);
	query(q{SELECT windtrap.revoke_token('bound')});
	my $fresh = query(q{SELECT windtrap.create_token('bound', origins => ARRAY['} . $pages->origin . q{'])});
	undef $pages;
	$html =~ s/\Q$bound\E/$fresh/;
	my $example = Browser::Pages->serve('/example.html' => $html);
	query(q{UPDATE windtrap.token SET origins = ARRAY['} . $example->origin . q{'] WHERE name = 'bound' AND revoked IS NULL});
	$browser->open_page($example->origin . '/example.html?secret=1');
	$browser->click('button:nth-of-type(1)');
	$browser->click('button:nth-of-type(2)');
	my $sql = q{SELECT data->'json'->>'event', data->'json'->>'message', data->'json'->>'page', data->'json'->>'line' ~ '^[0-9]+$',
		data->'json'->>'stack' ~ 'example.html', data->>'args' FROM log WHERE data->'json' ? 'app' ORDER BY data->>'id'};
	ok(wait_for(sub { 2 == (() = query($sql) =~ /.+/g) }), 'the example reports both errors');
	is( query($sql),
		'window.onerror|thereIsNoSuchFunction is not defined|' . $example->origin
		  . '/example.html|t|t|{"token": "[redacted]"}' . "\n"
		  . 'unhandledrejection|nobody has caught this|' . $example->origin . '/example.html||t|{"token": "[redacted]"}',
		'what the example reports');
	$stored += 2;
	$browser->run(<<'JS');
const script = document.createElement("script");
script.textContent = 'for (let i = 0; i < 50; i++) setTimeout(() => { throw new Error("again") });';
document.body.append(script);
JS
	ok(wait_for(sub { 20 <= (() = query($sql) =~ /.+/g) }), 'the example reports more errors');
	$browser->run('return new Promise((done) => setTimeout(done, 300))');
	is(query(q{SELECT count(*) FROM log WHERE data->'json' ? 'app'}), 20, 'the example does not flood the collector');
}

$browser->stop;
$node->stop;
unlike(log_since($node), qr/terminated by signal|PANIC|TRAP|libmicrohttpd failed/, 'nothing has crashed');
done_testing();

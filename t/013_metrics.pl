# What can be seen from outside: /metrics in Prometheus's format, and the same in SQL;
# the numbers are true, each reason to refuse a request has a counter that moves by one,
# nothing that was sent can be read there, and who may see it is a member of pg_monitor.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use IPC::Run ();
use Test::More;
use Time::HiRes qw(sleep time);

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use WindTrap;
use Batch;

my $node = wt_node('metrics', conf => <<'CONF');
windtrap.repair = off
windtrap.max_body_size = '2MB'
windtrap.max_event_size = '4kB'
windtrap.max_inflight = '1MB'
windtrap.request_timeout = '3s'
CONF
my $port = wt_port($node);

sub query { return $node->safe_psql('postgres', $_[0]); }

#
# The format
#
# What is wrong with a text in Prometheus's format, by its specification; nothing: ''.
sub wrong_with
{
	my ($text) = @_;
	my (%help, %type, %seen, %last_bucket, %inf, %count);
	my $current = '';

	return 'does not end with a newline' if $text !~ /\n\z/;
	for (split /\n/, $text)
	{
		if (/^# HELP ([a-z_:][a-z0-9_:]*) \S/) { return "two HELPs of $1" if $help{$1}++; next; }
		if (/^# TYPE ([a-z_:][a-z0-9_:]*) (counter|gauge|histogram)$/)
		{
			return "two TYPEs of $1" if $type{$1};
			return "TYPE of $1 without HELP" if !$help{$1};
			$type{ $current = $1 } = $2;
			next;
		}
		/^([a-z_:][a-z0-9_:]*)(?:\{([a-z_]+)="([^"\\\n]*)"\})? (\d[\d.e+-]*|NaN|\+Inf)$/ or return "a strange line: $_";
		my ($name, $label, $label_value, $value) = ($1, $2, $3, $4);
		my $key = $name . (defined $label ? "{$label=$label_value}" : '');
		return "twice: $key" if $seen{$key}++;
		my $family = $type{$name} ? $name : $name =~ s/_(bucket|sum|count)$//r;
		return "$name is not beside its TYPE" if $family ne $current;
		return "a counter without _total: $name" if $type{$family} eq 'counter' && $name !~ /_total$/;
		if ($type{$family} eq 'histogram')
		{
			return "buckets of $family are not cumulative" if $name =~ /_bucket$/ && $value < ($last_bucket{$family} // 0);
			$last_bucket{$family} = $value if $name =~ /_bucket$/;
			$inf{$family} = $value if ($label_value // '') eq '+Inf';
			$count{$family} = $value if $name =~ /_count$/;
		}
	}
	for (grep { $type{$_} eq 'histogram' } keys %type)
	{
		return "$_: the last bucket is not the count" if !defined $inf{$_} || $inf{$_} != ($count{$_} // -1);
	}
	return '';
}

sub text { return http($port, 'GET', '/metrics')->{content}; }

# The numbers of such a text, as metrics() gives them.
sub numbers
{
	return { map { /^windtrap_(\w+)(?:\{\w+="([^"]*)"\})? (\S+)$/ ? ($1 . (defined $2 ? "{$2}" : '') => 0 + $3) : () } split /\n/, $_[0] };
}

event($port) for 1 .. 3;
post($port, "{}\nbad\n" x 5, type => 'application/x-ndjson');
{
	my $answer = http($port, 'GET', '/metrics');
	is($answer->{status}, 200, '/metrics: 200');
	like($answer->{headers}{'content-type'}, qr{^text/plain; version=0\.0\.4(; charset=utf-8)?$}, '/metrics: its type');
	is(wrong_with($answer->{content}), '', '/metrics: its format');
  SKIP: {
		my ($out, $err) = ('', '');
		my $known = eval { IPC::Run::run([ 'promtool', 'check', 'metrics' ], '<', \$answer->{content}, '>', \$out, '2>', \$err); 1 };
		skip 'there is no promtool', 1 if !$known;
		is("$?$out$err", '0', '/metrics: promtool has nothing to say');
	}
	my $head = connect_to($port);
	$head->request(undef, method => 'HEAD', path => '/metrics');
	my $h = $head->response(head => 1);
	is($h->{status}, 200, 'HEAD /metrics: 200');
	like($h->{headers}{'content-type'}, qr{^text/plain}, 'HEAD /metrics: its type');
	$head->request('{}');
	is(($head->response // { status => 'none' })->{status}, 200, 'HEAD /metrics: and nothing else');

	my $there = numbers($answer->{content});
	is(join(' ', sort keys %$there), join(' ', sort keys %{ metrics($node) }), 'windtrap.metrics has the same names');
	for my $name ('requests_total{200}', 'requests_refused_total{bad_json}', 'events_refused_total{bad_json}', 'events_accepted_total',
		'events_quarantined_total', 'received_bytes_total', 'decoded_bytes_total', 'request_duration_seconds_count',
		'commit_duration_seconds_sum', 'batch_events_bucket{+Inf}', 'connections', 'inflight_bytes', 'workers')
	{
		ok(defined $there->{$name}, "/metrics has $name");
	}
}

#
# The numbers
#
# Everything that is sent is counted with its answer, or a moment later.
query('SELECT windtrap.reset_stats()');
{
	my $now = metrics($node);
	is(join(' ', grep { $now->{$_} != 0 && !/^(workers|connections|inflight_bytes|upkeep_last_success_timestamp_seconds|process_up\{.*)$/ } sort keys %$now), '', 'reset_stats(): all counters are 0');
	is(query('SELECT requests, requests_by_code, events_accepted, transactions, batch_events_max, bytes_received FROM windtrap.stats'),
		'0|{}|0|0|0|0', 'reset_stats(): the statistics too') if wait_for(sub { query('SELECT batch_events_max FROM windtrap.stats') == 0 });
	ok(query('SELECT since > now() - interval \'10 s\' FROM windtrap.stats') eq 't', 'reset_stats(): since when');
}
{
	my @bodies = (
		# body, headers, inflated length
		([ '{"n":1}', {} ]) x 3,
		[ lines(10), { 'Content-Type' => 'application/x-ndjson' } ],
		[ '[{"n":1},1e99999,"\\u0000",{"n":4},{"n":5}]', { 'Content-Type' => 'application/json' } ],
		[ gzip(lines(100)), { 'Content-Encoding' => 'gzip' }, length lines(100) ],
		[ '{"n":', { 'Content-Type' => 'application/json' } ],
		[ "bad\n", { 'Content-Type' => 'application/x-ndjson' } ],);
	my ($received, $decoded) = (0, 0);
	for my $case (@bodies)
	{
		my ($body, $headers, $length) = @$case;
		http($port, 'POST', '/log', body => $body, headers => $headers);
		$received += length $body;
		$decoded += $length // length $body;
	}
	http($port, 'GET', '/health') for 1 .. 2;
	http($port, 'GET', '/nowhere');
	wait_for(sub { metrics($node)->{'requests_total{404}'} == 1 });
	is(changes({}, metrics($node), qr/_total|_count$|^batch_events_sum/), join(', ',
			'batch_events_count +7', 'batch_events_sum +119', 'commit_duration_seconds_count +7', "decoded_bytes_total +$decoded",
			'events_accepted_total +116', 'events_quarantined_total +3', 'events_refused_total{bad_json} +1', 'events_refused_total{unfit_json} +2',
			"received_bytes_total +$received", 'request_duration_seconds_count +11', 'requests_refused_total{bad_json} +2',
			'requests_refused_total{not_found} +1', 'requests_total{200} +8', 'requests_total{400} +1', 'requests_total{404} +1',
			'requests_total{422} +1'),
		'windtrap.metrics has what was sent');
	is( query(q{SELECT requests, requests_by_code, requests_refused, events_accepted, events_quarantined, events_refused, bytes_received,
			bytes_decoded, transactions, batch_events_avg, batch_events_max, commit_ms_avg > 0 AND commit_ms_max >= commit_ms_avg,
			request_ms_avg > 0, connections, connections_max > 0, bytes_in_flight FROM windtrap.stats}),
		join('|', 11, '{"200": 8, "400": 1, "404": 1, "422": 1}', '{"bad_json": 2, "not_found": 1}', 116, 3, '{"bad_json": 1, "unfit_json": 2}',
			$received, $decoded, 7, 17, 100, 't', 't', 0, 't', 0),
		'windtrap.stats has what was sent');
	# The request for it is counted when it is answered.
	my $before = metrics($node);
	my $there = numbers(text());
	is(changes($before, $there, qr/./), 'connections +1', '/metrics has the same numbers');
}
{
	my @open = map { connect_to($port) } 1 .. 7;
	$open[0]->send("POST /log HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n" . 'x' x 60_000);
	ok(wait_for(sub { query('SELECT connections, bytes_in_flight FROM windtrap.stats') eq '7|60000' }), 'connections and bytes in flight, as they are now');
	$_->close for @open;
	ok(wait_for(sub { query('SELECT connections, bytes_in_flight, connections_max FROM windtrap.stats') eq '0|0|7' }), 'and as they were at most');
}

#
# Each reason that a request can be refused for
#
query(q{ALTER TABLE log ADD CONSTRAINT not_refused CHECK ((data->'json' ? 'refuse') IS NOT TRUE)});
my $raw = sub {
	my ($bytes, $seconds) = @_;
	my $connection = connect_to($port);
	$connection->send($bytes);
	return ($connection->response(seconds => $seconds // 10) // { status => 'none' })->{status};
};
my $head = "POST /log HTTP/1.1\r\nHost: localhost\r\n";
my $bomb = gzip("\0" x (8 * 1024 * 1024));
my @reasons = (
	# reason, code, what, how it is provoked; gives the code
	[ 'malformed_request', 400, 'two lengths', sub { $raw->("${head}Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}") } ],
	[ 'malformed_request', 400, 'a length and chunks', sub { $raw->("${head}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n") } ],
	[ 'malformed_request', 400, 'two hosts', sub { $raw->("${head}Host: b\r\n\r\n") } ],
	[ 'malformed_request', 400, 'no host', sub { $raw->("POST /log HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}") } ],
	[ 'malformed_request', 400, 'a length that is none', sub { $raw->("${head}Content-Length: x\r\n\r\n") } ],
	[ 'malformed_request', 400, 'a chunk that is none', sub { $raw->("${head}Transfer-Encoding: chunked\r\n\r\nxyz\r\n") } ],
	[ 'head_too_large', 431, 'large headers', sub { $raw->("${head}X-Large: " . 'x' x 40_000 . "\r\n\r\n") } ],
	[ 'not_found', 404, 'another path', sub { http($port, 'GET', '/nowhere')->{status} } ],
	[ 'not_found', 404, 'another path, with a body', sub { post($port, '{}', path => '/other')->{status} } ],
	[ 'method', 405, 'another method', sub { http($port, 'GET', '/log')->{status} } ],
	[ 'method', 405, 'another method of /metrics', sub { post($port, '{}', path => '/metrics')->{status} } ],
	[ 'timeout', 408, 'half a body', sub { $raw->("${head}Content-Length: 9\r\n\r\n{") } ],
	[ 'body_too_large', 413, 'a large body', sub { post($port, ' ' x 3_000_000)->{status} } ],
	[ 'body_too_large', 413, 'large chunks', sub {
			my $pieces = 30;
			return post($port, sub { return $pieces-- > 0 ? ' ' x 100_000 : undef; })->{status};
		} ],
	[ 'body_too_large', 413, 'a bomb', sub { post($port, $bomb)->{status} } ],
	[ 'overload', 503, 'two large bodies', sub {
			my $other = connect_to($port);
			$other->send("${head}Content-Length: 1200000\r\n\r\n" . ' ' x 1_100_000);
			wait_for(sub { query('SELECT bytes_in_flight FROM windtrap.stats') == 1_100_000 });
			my $code = exchange($port, ' ' x 1_200_000)->{status};
			$other->send(' ' x 99_998 . '{}');
			return $code if $other->response->{status} == 200;
		} ],
	[ 'content_encoding', 415, 'br', sub { post($port, '{}', headers => { 'Content-Encoding' => 'br' })->{status} } ],
	[ 'idempotency_key', 400, 'a long key', sub { post($port, '{}', headers => { 'Idempotency-Key' => 'k' x 256 })->{status} } ],
	[ 'corrupt_compression', 400, 'gzip cut short', sub { post($port, substr gzip(lines(100)), 0, -4)->{status} } ],
	[ 'empty', 400, 'no body', sub { post($port, '')->{status} } ],
	[ 'empty', 400, 'an empty batch', sub { post($port, "\n\n", type => 'application/x-ndjson')->{status} } ],
	[ 'bad_json', 400, 'bad JSON', sub { post($port, '{"a":')->{status} } ],
	[ 'bad_json', 400, 'an array that does not end', sub { post($port, '[{"a":1},')->{status} } ],
	[ 'bad_json', 422, 'nothing but bad lines', sub { post($port, "bad\nbad\n", type => 'application/x-ndjson')->{status} }, { bad_json => 2 } ],
	[ 'unfit_json', 400, '\u0000', sub { post($port, '"\\u0000"')->{status} } ],
	[ 'unfit_json', 422, 'an array of \u0000', sub { post($port, '["\\u0000"]')->{status} }, { unfit_json => 1 } ],
	[ 'not_text', 400, 'text that is none', sub { post($port, "caf\xE9", type => 'text/plain')->{status} } ],
	[ 'not_text', 400, 'a form that is no text', sub { post($port, 'a=%ff', type => 'application/x-www-form-urlencoded')->{status} } ],
	[ 'event_too_large', 413, 'a large event', sub { post($port, '"' . 'x' x 5000 . '"')->{status} } ],
	[ 'event_too_large', 413, 'a large text', sub { post($port, 'x' x 5000, type => 'text/plain')->{status} } ],
	[ 'event_too_large', 422, 'a batch of a large event', sub { post($port, '["' . 'x' x 5000 . '"]')->{status} }, { event_too_large => 1 } ],
	[ 'table', 422, 'an event that the table refuses', sub { post($port, '{"refuse":1}')->{status} } ],
	[ 'table', 422, 'a batch that the table refuses', sub { post($port, '[{"refuse":1},{"refuse":2}]')->{status} }, { table => 2 } ],
	[ undef, 200, 'a batch of which the table refuses one', sub { post($port, '[{"refuse":1},{}]')->{status} }, { table => 1 } ],
	[ undef, 200, 'a batch with all sorts of bad events', sub { post($port, "{}\nbad\n\"\\u0000\"\n\"" . 'x' x 5000 . "\"\n{\"refuse\":1}\n",
			type => 'application/x-ndjson')->{status} }, { bad_json => 1, unfit_json => 1, event_too_large => 1, table => 1 } ],
	[ undef, 200, 'an event', sub { event($port) } ],
	[ undef, 200, '/health', sub { http($port, 'GET', '/health')->{status} } ],
	[ undef, 200, '/metrics', sub { http($port, 'GET', '/metrics')->{status} } ],
	[ 'unavailable', 503, 'a locked table', sub {
			my $psql = $node->background_psql('postgres');
			$psql->query_safe('BEGIN; LOCK log');
			my $code = event($port);
			$psql->quit;
			return $code;
		} ],
	[ 'host', 421, 'a host that is not this machine', sub { $raw->("POST /log HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 2\r\n\r\n{}") } ],
	[ 'origin', 403, 'a page that may not', sub { post($port, '{}', headers => { Origin => 'https://evil.example' })->{status} } ],
	[ 'token', 401, 'a client that came by a proxy', sub { post($port, '{}', headers => { Via => '1.1 proxy' })->{status} } ],
	[ 'forwarding', 508, 'rows that are its own', sub {
			my $place = query(q{SELECT format('%s; system=%s; database=%s', current_setting('cluster_name'), system_identifier, oid) FROM pg_control_system(), pg_database WHERE datname = 'postgres'});
			return post($port, '', type => 'application/vnd.windtrap.rows+ndjson', headers => { 'WindTrap-Collector' => $place })->{status};
		} ],
	[ 'scope', 403, 'a token for reading', sub {
			my $token = query(q{SELECT windtrap.create_token('reader', 'read')});
			return post($port, '{}', headers => { 'X-API-Key' => $token })->{status};
		} ],
	[ 'rate', 429, 'more than the rate', sub {
			my $token = query(q{SELECT windtrap.create_token('slow', rate => 1)});
			post($port, '{}', headers => { 'X-API-Key' => $token });
			my $code = post($port, '{}', headers => { 'X-API-Key' => $token })->{status};
			query('DELETE FROM windtrap.token');
			return $code;
		}, {}, 1, 'requests_total{200} +1' ],
	# The lock has left its trace in /health.
	[ 'unavailable', 503, '/health', sub {
			query('ALTER TABLE log RENAME COLUMN status TO state');
			# Whose counter this moves is known already.
			event($port);
			return http($port, 'GET', '/health')->{status};
		}, {}, 2 ],);
my %seen;
for my $case (@reasons)
{
	my ($reason, $code, $what, $provoke, $events, $times, $beside) = @$case;
	my $before = metrics($node);
	my $got = $provoke->();
	is($got, $code, ($reason // 'no reason') . ", $what: $code");
	my %total;
	# Few codes are counted for themselves.
	my $name = $code == 508 ? 'other' : $code;
	$times //= 1;
	my $expected = join ', ', (map { "events_refused_total{$_} +$events->{$_}" } sort keys %{ $events // {} }),
	  ($reason ? "requests_refused_total{$reason} +$times" : ()),
	  ($reason && $reason eq 'overload' ? 'requests_total{200} +1' : ()), $beside // (), "requests_total{$name} +$times";
	my $changes;
	wait_for(sub { ($changes = changes($before, metrics($node), qr/^(events_refused|requests)_/)) eq $expected });
	is($changes, $expected, ($reason // 'no reason') . ", $what: one counter moves by one");
	$seen{$reason}++ if $reason;
}
query('ALTER TABLE log RENAME COLUMN state TO status');
is(join(' ', grep { !$seen{$_} } map { /^requests_refused_total\{(.*)\}/ } sort keys %{ metrics($node) }), 'address certificate connections memory', 'that are all reasons but want of memory, what comes before a request, and what is none');

# A reset from which all begin anew, by hand and after a crash of nobody.
{
	query('SELECT windtrap.reset_stats()');
	my $now = metrics($node);
	is(join(' ', grep { $now->{$_} != 0 && !/^(workers|connections|inflight_bytes|upkeep_last_success_timestamp_seconds|process_up\{.*)$/ } sort keys %$now), '', 'reset_stats() once more: all counters are 0');
	ok(wait_for(sub { event($port) == 200 }), 'and it serves');
	cmp_ok(metrics($node)->{'events_accepted_total'}, '>=', 1, 'and counts');
	my ($pid) = worker_pids($node);
	query("SELECT pg_terminate_backend($pid)");
	ok(wait_for(sub { my ($new) = worker_pids($node); $new && $new != $pid && event($port) == 200 }), 'a worker that comes after another');
	cmp_ok(metrics($node)->{'events_accepted_total'}, '>=', 2, 'goes on counting where that ended');
	is(query('SELECT connections, bytes_in_flight FROM windtrap.stats'), '0|0', 'and has none of its connections')
	  if wait_for(sub { query('SELECT connections FROM windtrap.stats') == 0 });
}

#
# What must not be seen
#
{
	my $canary = 'cAnArY7531';
	my %headers = map { $_ => $canary } 'Authorization', 'Cookie', 'X-Api-Key', "X-$canary", 'User-Agent', 'Content-Encoding', 'Content-Type';
	post($port, qq({"$canary":"$canary"}), path => "/log?token=$canary");
	post($port, qq({"$canary":$canary), path => "/log?token=$canary");
	post($port, qq({"n":1}\n$canary\n), path => "/log?token=$canary", type => 'application/x-ndjson');
	post($port, '{}', path => "/$canary");
	http($port, $canary, '/log');
	post($port, qq({"$canary":1}), headers => { $_ => $headers{$_} }) for sort keys %headers;
	$raw->("POST /log HTTP/1.1\r\nHost: $canary\r\nContent-Length: 2\r\n\r\n{}");
	query(qq{ALTER TABLE log ADD CONSTRAINT "$canary" CHECK ((data->'json' ? '$canary') IS NOT TRUE) NOT VALID});
	is(post($port, qq({"$canary":"$canary"}))->{status}, 422, 'a canary that the table refuses');
	my $text = text() . query('SELECT string_agg(m::text, $$ $$) FROM windtrap.metrics AS m') . query('SELECT string_agg(s::text, $$ $$) FROM windtrap.stats AS s');
	unlike($text, qr/$canary/i, 'nothing that was sent can be read in /metrics, windtrap.metrics or windtrap.stats');
	is(wrong_with(text()), '', '/metrics is well-formed after all that');
}

#
# Who may see it
#
query('CREATE ROLE nobody; CREATE ROLE monitor; GRANT pg_monitor TO monitor');
for my $what ('windtrap.stats', 'windtrap.metrics', 'windtrap.worker_stats()', 'windtrap.all_metrics()')
{
	my ($rc) = $node->psql('postgres', "SET ROLE monitor; SELECT * FROM $what");
	is($rc, 0, "a member of pg_monitor may read $what");
	my ($rc2, undef, $error) = $node->psql('postgres', "SET ROLE nobody; SELECT * FROM $what");
	isnt($rc2, 0, "somebody else may not read $what");
	like($error, qr/permission denied/, "somebody else may not read $what: says why");
}
for my $role ('nobody', 'monitor')
{
	my ($rc, undef, $error) = $node->psql('postgres', "SET ROLE $role; SELECT windtrap.reset_stats()");
	like($error, qr/permission denied for function reset_stats/, "$role may not reset");
}

# Without a worker there are numbers still, and no reason to fail.
query('SELECT windtrap.stop()');
is(query(q{SELECT value FROM windtrap.metrics WHERE name = 'workers'}), 0, 'without workers: they are 0');
is(query('SELECT count(*) FROM windtrap.stats'), 1, 'without workers: what was counted is there');

$node->stop;
unlike(log_since($node), qr/terminated by signal|PANIC|TRAP/, 'nothing has crashed');
done_testing();

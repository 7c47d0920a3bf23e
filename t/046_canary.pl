# What lets somebody in is kept nowhere: canaries, sent in every place where secrets travel,
# accepted and refused, are searched for in all tables and views, in every file of the data
# directory, in a log that tells as much as it can, in the metrics, in the answers, and in
# what others see of the worker while it works.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Digest::SHA qw(sha256_hex);
use File::Find;
use MIME::Base64 qw(encode_base64);
use Test::More;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use WindTrap;

# All that a server can be made to tell, by what there is of its own extensions.
my $libraries = command('pg_config', '--pkglibdir');
my @tellers = grep { -e "$libraries/$_.so" } qw(auto_explain pg_stat_statements);
my $node = wt_node('canary', conf => <<"CONF");
shared_preload_libraries = '@{[ join ', ', 'windtrap', @tellers ]}'
log_min_messages = debug1
log_min_error_statement = debug5
log_error_verbosity = verbose
log_statement = all
log_connections = on
log_disconnections = on
log_duration = on
log_min_duration_statement = 0
log_parameter_max_length = -1
log_parameter_max_length_on_error = -1
log_lock_waits = on
debug_print_parse = on
debug_print_plan = on
track_activity_query_size = 1MB
auto_explain.log_min_duration = 0
auto_explain.log_nested_statements = on
auto_explain.log_analyze = on
auto_explain.log_verbose = on
pg_stat_statements.track = all
windtrap.quarantine_single = on
CONF
my $port = wt_port($node);
my %canaries;    # what they are => text
my $told = '';   # all that was answered

sub query { return $node->safe_psql('postgres', $_[0]); }

# Makes one; it is as long as a token, and like one.
sub canary
{
	my ($name) = @_;
	return $canaries{$name} //= 'wt_' . substr sha256_hex("canary $name"), 0, 43;
}

# The forms in which a text can be found: as it is, in hexadecimal, in base64 at each of the
# three places that it can begin at; without the ends, which depend on what is beside it.
sub forms
{
	my ($text) = @_;
	return map { substr $_, 4, length($_) - 8 } $text, unpack('H*', $text),
	  map { encode_base64($_ . $text, '') } '', 'x', 'xx';
}

query('CREATE EXTENSION pg_stat_statements') if grep { $_ eq 'pg_stat_statements' } @tellers;
query(q{ALTER TABLE log ADD CHECK (data->'json'->>'bad' IS NULL)});
alter_system($node, 'windtrap.stdout' => 'on') if query(q{LOAD 'windtrap'; SELECT count(*) FROM pg_settings WHERE name = 'windtrap.stdout'});

# Sends a request with canaries in all places where secrets travel; valid: but for one, the
# place of it, where there is that token.
sub send_canaries
{
	my ($name, $body, %o) = @_;
	my %at = map { $_ => canary("$name, $_") }
	  qw(bearer basic key cookie query proxy scheme user splunk);

	$at{ $o{place} } = $o{token} if $o{place};
	for my $headers (
		[ 'bearer', "Authorization: Bearer $at{bearer}", "Cookie: session=$at{cookie}; wt=$at{key}" ],
		[ 'basic', 'Authorization: Basic ' . encode_base64("$at{user}:$at{basic}", '') ],
		[ 'key', "X-API-Key: $at{key}", "Proxy-Authorization: Bearer $at{proxy}" ],
		[ 'query', "cookie: a=$at{cookie}", "COOKIE: b=$at{cookie}" ],
		[ 'scheme', "AUTHORIZATION:   Digest username=\"$at{user}\", response=\"$at{scheme}\"" ],
		[ 'splunk', "Authorization: Splunk $at{splunk}" ])
	{
		my ($place, @headers) = @$headers;
		my $path = ($o{path} // '/log') . ($place eq 'query' ? "?a=1&token=$at{query}&b=2" : '');
		my $c = connect_to($port);

		$c->request($body, path => $path, headers => [ 'Content-Type: application/json', @headers, @{ $o{headers} // [] } ],
			method => $o{method} // 'POST');
		my $answer = $c->response // { status => 'none', headers => {}, content => '' };
		my $code = $o{place} && $o{place} ne $place ? $o{others} // $o{code} : $o{code};
		is($answer->{status}, $code, "$name, $place: $code");
		$told .= join "\n", %{ $answer->{headers} }, $answer->{content};
		$c->close;
	}
	return;
}

# Without tokens all are let in, and what they send is stored.
send_canaries('open', '{"n":1}', code => 200);
send_canaries('open, batch', qq({"n":1}\n{"n":\n{"bad":1}\n), code => 200);
send_canaries('open, bad', '{"n":', code => 400);
send_canaries('open, refused by the table', '{"bad":1}', code => 422);
send_canaries('open, encoded', '{"n":1}', code => 200, path => '/log?%74oken=' . canary('encoded name'));
send_canaries('open, twice', '{"n":1}', code => 200, path => '/log?token=' . canary('first') . '&token=' . canary('second'));
send_canaries('open, another path', '{"n":1}', code => 404, path => '/nowhere');
send_canaries('open, another method', '{"n":1}', code => 405, method => 'DELETE');
send_canaries('open, framing', '{"n":1}', code => 400, headers => ['X : y']);
send_canaries('open, another page', '{"n":1}', code => 403, headers => ['Origin: http://evil.example']);
send_canaries('open, metrics', '', code => 200, method => 'GET', path => '/metrics');

# With tokens the good ones are let in.
for my $place (qw(bearer basic key query))
{
	$canaries{"token, $place"} = query("SELECT windtrap.create_token('token, $place', scope => 'all', source => 'the source')");
	my %o = (place => $place, token => $canaries{"token, $place"});
	send_canaries("token in $place", '{"n":1}', %o, code => 200, others => 401);
	send_canaries("token in $place, bad", '{"n":', %o, code => 400, others => 401);
	send_canaries("token in $place, refused by the table", '{"bad":1}', %o, code => 422, others => 401);
	send_canaries("token in $place, metrics", '', %o, code => 200, method => 'GET', path => '/metrics');
}
my $expired = $canaries{expired} =
  query(q{SELECT windtrap.create_token('expired', expires => clock_timestamp() + interval '1 second')});
my $scoped = $canaries{scoped} = query(q{SELECT windtrap.create_token('scoped', scope => 'read')});
my $revoked = $canaries{revoked} = query(q{SELECT windtrap.create_token('revoked')});
query(q{SELECT windtrap.revoke_token('revoked')});
ok(wait_for(sub { query(q{SELECT state FROM windtrap.tokens WHERE name = 'expired'}) eq 'expired' }), 'a token has expired');
send_canaries('expired', '{"n":1}', code => 401, place => 'bearer', token => $expired);
send_canaries('scoped', '{"n":1}', code => 403, others => 401, place => 'key', token => $scoped);
send_canaries('revoked', '{"n":1}', code => 401, place => 'query', token => $revoked);
{
	my ($rc, $out, $err) = $node->psql('postgres', q{SELECT windtrap.create_token('scoped')});
	isnt($rc, 0, 'a token of the same name is not made');
	unlike("$out$err", qr/wt_\w/, 'and its text is not told');
}
like(query(q{SELECT string_agg(query, ' ') FROM pg_stat_statements}), qr/create_token/, 'statements are recorded')
  if grep { $_ eq 'pg_stat_statements' } @tellers;
my @all = map { forms($_) } values %canaries;

my $pattern = join '|', map { quotemeta } @all, 'planted canary';

# All rows of all tables and views that there are, each with the name of what it is in.
sub search_tables
{
	my ($name, $expected) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($rc, $out, $err) = $node->psql('postgres', <<'SQL', on_error_stop => 0);
SET log_statement = none;
SET log_min_duration_statement = -1;
SET auto_explain.log_min_duration = -1;
SET debug_print_parse = off;
SET debug_print_plan = off;
SELECT format('SELECT E''\n\x01%s\x02'', x::text FROM %1$s AS x', c.oid::regclass)
	FROM pg_class c WHERE relkind IN ('r', 'p', 'm', 'v')
\gexec
SQL
	my %rows;
	my %found;

	for my $row (split /\n\x01/, $out)
	{
		my ($table, $text) = $row =~ /\A(.+?)\x02(.*)\z/s or next;
		$rows{$table}++;
		$found{$table}++ if $text =~ /$pattern/;
	}
	cmp_ok(scalar keys %rows, '>', 100, "$name: tables and views are searched");
	cmp_ok($rows{log}, '>', 60, "$name: the log table too");
	is(join(' ', keys %found), $expected, "$name: where canaries are found");
	note "$name: $_" for $err =~ /(ERROR: .*)/g;
	return;
}
# While an event waits for the table, others can look at the worker.  It waits a second; where
# looking takes longer it is told 503, and is sent again.
for my $try (1 .. 5)
{
	my $lock = $node->background_psql('postgres');
	$lock->query_safe('BEGIN; LOCK TABLE log IN ROW EXCLUSIVE MODE; LOCK TABLE log IN SHARE ROW EXCLUSIVE MODE');
	my $c = connect_to($port);
	$c->request('{"n":1}', path => "/log?token=$canaries{'token, query'}", headers => ["Cookie: $canaries{'token, key'}"]);
	ok( wait_for(
			sub {
				query(q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'windtrap worker' AND wait_event_type = 'Lock'}) == 1;
			},
			5),
		'the worker waits for the table');
	my $seen = query(q{SELECT string_agg(x::text, ' ') FROM pg_stat_activity AS x});
	my ($worker) = worker_pids($node);
	my $ps = join "\0", map { slurp_file("/proc/$worker/$_") } qw(cmdline environ);
	$lock->query_safe('COMMIT');
	$lock->quit;
	is(scalar(grep { index("$seen$ps", $_) >= 0 } @all), 0, 'others saw no canary in what the worker did');
	my $status = ($c->response // { status => 'none' })->{status};
	next if $status eq '503' && $try < 5;
	is($status, 200, 'it is stored when the table is free');
	last;
}
is(query(q{SELECT count(*) > 0 FROM log WHERE data->'headers'->>'cookie' = '[redacted]' AND data->'args'->>'token' = '[redacted]'}),
	't', 'it is stored that there was a secret');
search_tables('at work', '');
query(q{CREATE TABLE planted AS SELECT 'a planted ' || 'canary' AS text});
search_tables('planted', 'planted');

is(scalar(grep { index($told, $_) >= 0 } @all), 0, 'no answer has a canary');
my $dump = command('pg_dumpall', '--no-sync', '-h', $node->host, '-p', $node->port);
is(scalar(grep { index($dump, $_) >= 0 } @all), 0, 'a dump has no canary');
like($dump, qr/\Q@{[ sha256_hex($scoped) ]}\E/, 'but the digest of a token');

# The files, when all has been written; that it would be found, the digest shows.
query('VACUUM FREEZE; ANALYZE; CHECKPOINT');
$node->stop;
my $log = slurp_file($node->logfile);
cmp_ok(length $log, '>', 100_000, 'the log tells much');
like($log, qr/windtrap\.create_token/, 'statements are logged');
like($log, qr/INSERT INTO windtrap\.token.*VALUES/s, 'nested ones too') if grep { $_ eq 'auto_explain' } @tellers;
is(scalar(grep { index($log, $_) >= 0 } @all), 0, 'the log has no canary');
my ($n_files, @found) = (0);
my $digest = pack 'H*', sha256_hex($scoped);
my $n_digests = 0;
find(
	{
		no_chdir => 1,
		wanted   => sub {
			return if !-f;
			my $bytes = slurp_file($_);
			$n_files++;
			push @found, $_ if $bytes =~ /$pattern/ && $& ne 'planted canary';
			$n_digests++ if index($bytes, $digest) >= 0;
		}
	},
	$node->data_dir);
cmp_ok($n_files, '>', 500, 'the data directory was searched');
cmp_ok($n_digests, '>', 0, 'a digest was found in it');
is("@found", '', 'no file in it has a canary');
done_testing();

# examples/ship: every line of its input is stored once, whatever happens to the collector.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use IPC::Run;
use Test::More;
use Time::HiRes qw(sleep time);

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Protocol;
use WindTrap;

my $ship = "$FindBin::RealBin/../examples/ship";
my $node = wt_node('ship');
my $port = wt_port($node);
my $url = "http://127.0.0.1:$port/log";

sub query { return $node->safe_psql('postgres', $_[0]); }

# Gives what it was ended with, and what it said.
sub ship
{
	my ($input, %env) = @_;
	local @ENV{ keys %env } = values %env;
	IPC::Run::run([ 'python3', $ship, $url ], '<', \$input, '>', \my $out, '2>', \my $err, IPC::Run::timeout(60));
	return ($? >> 8, $err);
}

# What lines become.
my $gruesse = "Gr\xC3\xBC\xC3\x9Fe, \xE4\xB8\x96\xE7\x95\x8C \xF0\x9F\x9A\x80";
my ($code, $said) = ship(qq({"a": 1,\t"m": "$gruesse"}\r\n\n   \n$gruesse\n[1]\n{"n": NaN}\n{"cut\n) . "\xE9t\xE9\n\ttabs \"and\" \\\n42\nthe last, without an end");
is($code . $said, '0', 'nothing is wrong');
is(query(q{SELECT string_agg((data->'json')::text, E'\n' ORDER BY data->>'id') FROM log}),
	join("\n", qq({"a": 1, "m": "$gruesse"}), qq("$gruesse"), '"[1]"', '"{\"n\": NaN}"', '"{\"cut"', qq("\xEF\xBF\xBDt\xEF\xBF\xBD"), '"\ttabs \"and\" \\\\"', '"42"', '"the last, without an end"'),
	'a line that is an object is that, any other is text, an empty one is none');
is(count_of($node, 'status <> 0'), 0, 'nothing is in quarantine');

# Many in one request, and no more than a second's wait for the rest.
query('TRUNCATE log');
($code, $said) = ship(join '', map {qq({"n":$_}\n)} 1 .. 2500);
is(query(q{SELECT count(*) || ' ' || count(DISTINCT data->'json'->'n') || ' ' || count(DISTINCT data->'headers'->>'content-length') FROM log}), '2500 2500 3', '1,000 lines are one request');
query('TRUNCATE log');
($code, $said) = ship('x' x 2_500_000);
is(query(q{SELECT sum(length(data->>'json')) FROM log WHERE status = 0}), 2_500_000, 'a line that has no end is cut, and lost is nothing of it');
query('TRUNCATE log');
my ($in, $out, $err) = ('') x 3;
my $running = IPC::Run::start([ 'python3', $ship, $url ], '<', \$in, '>', \$out, '2>', \$err, IPC::Run::timeout(60));
$in .= "one\ntwo";
$running->pump while length $in;
ok(wait_for(sub { count_of($node) == 1 }), 'a line alone goes after a second');
$in .= " and three\n";
$running->pump while length $in;
ok(wait_for(sub { query(q{SELECT string_agg(data->>'json', ',' ORDER BY data->>'id') FROM log}) eq 'one,two and three' }), 'half a line waits for its end');
ok($running->finish, 'it ends with its input');
is($err, '', 'and has nothing to say');

# The collector is killed and starts again, while lines come.
query('TRUNCATE log');
my $dir = PostgreSQL::Test::Utils::tempdir();
append_to_file("$dir/app.log", '');
$running = IPC::Run::start([ 'sh', '-c', '(tail -n +1 -F "$1/app.log" & echo $! >"$1/tail"; wait) | "$2" "$3"', 'sh', $dir, $ship, $url ],
	'<', \undef, '>', '/dev/null', '2>', "$dir/said", IPC::Run::timeout(170));
my $n = 0;
for my $round (1 .. 3)
{
	append_to_file("$dir/app.log", join '', map { $n++; "line $n\n" } 1 .. 20_000);
	my $stored = ($round - 1) * 20_000;
	ok(wait_for(sub { count_of($node) > $stored }), "round $round: some are stored");
	kill_group($node);
	$node->start;
}
append_to_file("$dir/app.log", join '', map { $n++; "line $n\n" } 1 .. 10);
ok(wait_for(sub { query(q{SELECT count(DISTINCT data->>'json') FROM log}) == $n }, 90), 'each line is there') or diag count_of($node) . slurp_file("$dir/said");
kill 'TERM', slurp_file("$dir/tail");
ok($running->finish, 'it ends well');
like(slurp_file("$dir/said"), qr/^ship: not stored yet \(.*\), again in 1 s$/m, 'it said that it had to wait');
is(count_of($node, 'status = 0'), $n, 'once');

# What cannot be stored now waits; what never will be ends it.
query('TRUNCATE log; ALTER TABLE log RENAME COLUMN status TO other');
($in, $out, $err) = ("kept\n", '', '');
$running = IPC::Run::start([ 'python3', $ship, $url ], '<', \$in, '>', \$out, '2>', \$err, IPC::Run::timeout(60));
ok(wait_for(sub { $running->pump_nb; $err =~ /not stored yet \(503: .*\), again in 2 s/ }), 'on 503 it waits, and longer') or diag $err;
query('ALTER TABLE log RENAME COLUMN other TO status');
ok($running->finish, 'and then it is stored');
is(row_of($node)->{data}{json}, 'kept', 'as it was');

my $token = query(q{SELECT windtrap.create_token('ship')});
my $reader = query(q{SELECT windtrap.create_token('reader', scope => 'read')});
ok(wait_for(sub { post($port, '{}')->{status} == 401 }), 'a token is needed');
for ([ '', 401 ], [ 'wrong', 401 ], [ $reader, 403 ])
{
	($code, $said) = ship("a\nb\n", WINDTRAP_TOKEN => $_->[0]);
	like("$code $said", qr/^1 ship: 2 lines not stored, $_->[1]: .*token/, "answered $_->[1] it ends");
}
($code, $said) = ship("with a token\n", WINDTRAP_TOKEN => $token);
is($code . $said, '0', 'the right one');
is(count_of($node, q{data->>'json' = 'with a token'}), 1, 'is taken');

# A line that the table refuses costs its neighbours nothing.
query(q{ALTER TABLE log ADD CHECK (data->>'json' IS DISTINCT FROM 'bad')});
($code, $said) = ship("good\nbad\n", WINDTRAP_TOKEN => $token);
is($code, 0, 'a line that is refused is no error');
like($said, qr/^ship: some of 2 lines are in quarantine, 200: .*check constraint/, 'but told');
is(count_of($node, q{data->>'json' = 'good' AND status = 0 OR data->>'raw' LIKE '%bad%' AND status = 422}), 2, 'both are there');
($code, $said) = ship("bad\nbad\n", WINDTRAP_TOKEN => $token);
is($code, 0, 'nor are lines that all are');
like($said, qr/^ship: some of 2 lines are in quarantine, 422: /, 'they are told too');
is(count_of($node, 'status = 422'), 3, 'and there');

done_testing();

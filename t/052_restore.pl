# A dump that is restored into a server where the collector runs gives all back, however it
# is restored and while events come in: nothing stands in its way, and every event that was
# acknowledged meanwhile is there afterwards.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Test::More;
use Time::HiRes qw(time);
use Time::Local qw(timegm);

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use WindTrap;

my $source = wt_node('source');
my $target = wt_node('target', create => 0, conf => "windtrap.database = 'shop'\nlog_timezone = 'UTC'\n");
my $port = wt_port($target);
my $dir = PostgreSQL::Test::Utils::tempdir();

sub from { return $source->safe_psql('postgres', $_[0]); }
sub to { return $target->safe_psql('shop', $_[0]); }

#
# What is dumped: a log as its users have made it their own, beside their business
#
is(event(wt_port($source), "old $_"), 200) for 1 .. 20;
from(<<'SQL');
ALTER TABLE log ADD COLUMN app text GENERATED ALWAYS AS (data->'json'->>'app') STORED;
CREATE INDEX log_app ON log (app);
CREATE TABLE log_20200101 PARTITION OF log FOR VALUES FROM ('2020-01-01 00:00+00') TO ('2020-01-02 00:00+00');
INSERT INTO log (event_timestamp, data) SELECT '2020-01-01 10:00+00', jsonb_build_object('json', jsonb_build_object('id', 'old ' || i, 'app', 'a')) FROM generate_series(21, 60) i;
ALTER TABLE log ADD CHECK (status < 1000);
SELECT windtrap.create_token('shop');
DO $$ BEGIN FOR i IN 1 .. 150 LOOP EXECUTE format('CREATE TABLE app_%s (id int PRIMARY KEY); CREATE TABLE zapp_%s (id int PRIMARY KEY)', i, i); END LOOP; END $$;
SQL

# All that must be there again; rows that came since are not counted.
my $facts = <<'SQL';
SELECT count(*), count(app) FROM log WHERE data->'json'->>'id' LIKE 'old %';
SELECT array_agg(relid::text ORDER BY relid::text) FROM pg_partition_tree('log') WHERE relid::text !~ '_20(2[1-9]|[3-9])';
SELECT count(*) FROM pg_class WHERE relname IN ('log_app', 'log_event_timestamp_idx');
SELECT name, md5(digest::text) FROM windtrap.token JOIN windtrap.tokens USING (name);
SELECT count(*) FROM pg_class WHERE relname ~ '^z?app_[0-9]+$';
SELECT count(*) FROM windtrap.stray_partitions;
SQL

my $before = from($facts);
my $token = from(q{SELECT windtrap.create_token('load')});
$source->command_ok([ 'pg_dump', '-Fc', '-f', "$dir/dump", $source->connstr('postgres') ], 'pg_dump');
$before = from($facts);
$source->command_ok([ 'pg_dump', '-f', "$dir/plain.sql", $source->connstr('postgres') ], 'pg_dump, plain');
$source->command_ok([ 'pg_dump', '--clean', '--if-exists', '-f', "$dir/clean.sql", $source->connstr('postgres') ], 'pg_dump --clean');
$source->command_ok([ 'pg_dump', '-t', 'log*', '--clean', '--if-exists', '-f', "$dir/log.sql", $source->connstr('postgres') ], 'pg_dump -t log*');

# Posts an event after the other until it is told to stop; a line each in a ledger: the answer's
# code, when it was sent, and what it is called.
sub start_sender
{
	my ($name) = @_;
	my $ledger = "$dir/$name";
	my $pid = fork() // die "fork: $!";

	return { pid => $pid, ledger => $ledger, name => $name } if $pid;
	my $stop = 0;
	local $SIG{TERM} = sub { $stop = 1 };
	open my $out, '>', $ledger or die "$ledger: $!";
	for (my $i = 1; !$stop; $i++)
	{
		my $sent = time;
		my $code = post_json($port, { id => "$name $i" }, headers => { Authorization => "Bearer $token" }, timeout => 10)->{status};
		syswrite $out, "$code $sent $name $i\n";
		Time::HiRes::sleep(0.01);
	}
	POSIX::_exit(0);
}

sub stop_sender
{
	my ($sender) = @_;

	kill 'TERM', $sender->{pid};
	waitpid $sender->{pid}, 0;
	return map { /^(\d+) (\S+) (.*)$/ ? [ $1, $3, $2 ] : () } split /\n/, slurp_file($sender->{ledger});
}

sub new_database
{
	$target->safe_psql('postgres', 'DROP DATABASE IF EXISTS shop WITH (FORCE)');
	$target->safe_psql('postgres', 'CREATE DATABASE shop TEMPLATE template0');
	return;
}

# When, by the server's log, a command that matches had been done: before the session's next one.
sub done_at
{
	my ($log, $command) = @_;
	my $session;

	for my $line (split /\n/, $log)
	{
		my ($y, $mon, $d, $h, $min, $s, $pid, $statement) =
		  $line =~ /^(\d+)-(\d+)-(\d+) (\d+):(\d+):([\d.]+) UTC \[(\d+)\].* statement: (.*)/ or next;
		return timegm(int $s, $min, $h, $d, $mon - 1, $y) + $s - int $s if defined $session && $pid == $session;
		$session = $pid if $statement =~ $command;
	}
	return;
}

my $n_ways = 0;

# Restores in one way, with a sender at work; and what is there then.
sub restores
{
	my ($way, $command, %o) = @_;
	my $name = 'way' . ++$n_ways;
	my $mark = log_mark($target);
	my $sender = start_sender($name);
	my ($out, $err) = ('', '');

	# pg_restore is known by its name, unless somebody has given it another one.
	local %ENV = %ENV;
	delete $ENV{PGAPPNAME} if !$o{nameless};
	IPC::Run::run($command, '<', '/dev/null', '>', \$out, '2>', \$err);
	is(join("\n", grep { /ERROR|error:/ } split /\n/, $err), '', "$way: no error");
	ok(wait_for(sub { post_json($port, { id => "after $name" }, headers => { Authorization => "Bearer $token" })->{status} == 200 }),
		"$way: events are taken again");
	ok(wait_for(sub { slurp_file($sender->{ledger}) =~ /(?:^200 .*\n){5}\z/m }), "$way: one after the other");
	my @sent = stop_sender($sender);
	is(to($facts), $before, "$way: all is there");
	my %stored = map { $_ => 1 } split /\n/, to(qq{SELECT data->'json'->>'id' FROM log WHERE data->'json'->>'id' LIKE '$name %'});
	my @acknowledged = map { $_->[1] } grep { $_->[0] == 200 } @sent;
	my @lost = grep { !$stored{$_} } @acknowledged;
	if ($o{dropped})
	{
		# What was in the table that it drops is meant to go; what was sent afterwards is not.
		my $dropped = done_at(log_since($target, $mark), $o{dropped});
		ok($dropped, "$way: the log is dropped") or return;
		my %lost = map { $_ => 1 } @lost;
		my @sent_later = grep { $_->[2] > $dropped } @sent;

		note scalar(@lost), ' were dropped with it, ', scalar(grep { $_->[0] == 200 } @sent_later), ' acknowledged after that';
		is(join(', ', grep { $lost{$_} } map { $_->[1] } @sent_later), '', "$way: no event that is acknowledged after that is lost");
		cmp_ok(scalar(grep { $_->[0] == 200 } @sent_later), '>', 0, "$way: there were some");
	}
	else
	{
		is(join(', ', @lost), '', "$way: no acknowledged event is lost");
	}
	is(join(' ', grep { !/^(200|401|503|599)$/ } map { $_->[0] } @sent), '', "$way: others were told to try again");
	ok(scalar(grep { $_->[0] == 503 } @sent), "$way: while it was restored they were");
	is(to(q{SELECT count(*) FROM pg_class WHERE relname ~ '^log_.*_1$'}), 0, "$way: nothing was made beside it");
	unlike(log_since($target, $mark), qr/terminated by signal|PANIC/, "$way: nothing crashes");
	return;
}

my $to = $target->connstr('shop');

new_database();
restores('pg_restore', [ 'pg_restore', '-d', $to, "$dir/dump" ]);
restores('pg_restore --clean', [ 'pg_restore', '--clean', '--if-exists', '-d', $to, "$dir/dump" ],
	# It is known by its name, so nothing is taken from its first command to the log on.
	dropped => qr/DROP INDEX IF EXISTS public\.log|DETACH PARTITION public\.log|DROP TABLE IF EXISTS public\.log/);
restores('pg_restore --clean, by another name', [ 'pg_restore', '--clean', '--if-exists', '-d', $to, "$dir/dump" ],
	dropped => qr/DROP TABLE IF EXISTS public\.log;/, nameless => 1);
restores('psql of pg_dump --clean', [ 'psql', '-qX', '-d', $to, '-f', "$dir/clean.sql" ], dropped => qr/DROP TABLE IF EXISTS public\.log;/);
new_database();
restores('pg_restore -j', [ 'pg_restore', '-j', '2', '-d', $to, "$dir/dump" ]);
restores('psql of pg_dump -t', [ 'psql', '-qX', '-d', $to, '-f', "$dir/log.sql" ], dropped => qr/DROP TABLE IF EXISTS public\.log;/);
new_database();
restores('psql', [ 'psql', '-qX', '-d', $to, '-f', "$dir/plain.sql" ]);

#
# What is said meanwhile
#
{
	new_database();
	my $session = $target->background_psql('shop') if $target->can('background_psql');

	SKIP:
	{
		skip 'this PostgreSQL::Test has no background_psql', 1 if !ref $session || !$session->can('query_safe');
		$session->query_safe('SET row_security = off');
		$session->query_safe('CREATE EXTENSION windtrap');
		ok(wait_for(sub { http($port, 'GET', '/health')->{content} =~ /is being restored/ }), '/health says so');
		my $answer = post_json($port, { id => 1 });
		is($answer->{status}, 503, 'an event is answered 503');
		like($answer->{content}, qr/is being restored: try again/, 'with the reason');
		like(to(q{SELECT last_error FROM windtrap.status WHERE kind = 'worker'}), qr/is being restored/, 'so does windtrap.status');
		is(to(q{SELECT to_regclass('log') IS NULL}), 't', 'no table is made');
		$session->quit;
		ok(wait_for(sub { to(q{SELECT to_regclass('log') IS NOT NULL}) eq 't' }), 'when the session has ended one is');
		is(event($port), 200, 'and events are taken');
		is(to(q{SELECT last_error IS NULL FROM windtrap.status WHERE kind = 'worker'}), 't', 'without an error');
	}
}

done_testing();

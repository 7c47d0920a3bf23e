# A table that refers to the log, written while events come in and retention drops partitions:
# nobody waits for long, nothing locks the other out, no event is lost, and what is referred
# to stays.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Test::More;
use Time::HiRes qw(sleep time);

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use WindTrap;

my $node = wt_node('references',
	conf => "windtrap.retention = '2 days'\nwindtrap.retention_grace = 0\ndeadlock_timeout = '200ms'\n");
my $port = wt_port($node);
my $mark = log_mark($node);

sub query { return $node->safe_psql('postgres', $_[0]); }

is(event($port), 200, 'an event');
query('SELECT windtrap.stop()');
query(<<'SQL');
ALTER TABLE log ADD COLUMN n bigserial, ADD PRIMARY KEY (event_timestamp, n);
CREATE TABLE cites (t timestamptz NOT NULL, n bigint NOT NULL, FOREIGN KEY (t, n) REFERENCES log);
CREATE INDEX ON cites (t, n);
DO $$
DECLARE day timestamptz;
BEGIN
	FOR i IN 3 .. 42 LOOP
		day := (date_trunc('day', now() AT TIME ZONE 'UTC') - i * interval '1 day') AT TIME ZONE 'UTC';
		EXECUTE format('CREATE TABLE old_%s PARTITION OF log FOR VALUES FROM (%L) TO (%L)', i, day, day + interval '24 hours');
		INSERT INTO log (event_timestamp, data) SELECT day + k * interval '1 second', '{}' FROM generate_series(1, 20) k;
	END LOOP;
END $$;
-- Three of the old days are referred to from the beginning.
INSERT INTO cites SELECT event_timestamp, n FROM old_5 LIMIT 3;
INSERT INTO cites SELECT event_timestamp, n FROM old_20 LIMIT 3;
INSERT INTO cites SELECT event_timestamp, n FROM old_41 LIMIT 3;
SQL
query('SELECT windtrap.start()');
ok(ready($port), 'the collector is ready');

sub old { return query(q{SELECT count(*) FROM pg_partition_tree('log') WHERE relid::text LIKE 'old_%'}); }

my @workers = worker_pids($node);
my $upkeep = query(q{SELECT pid FROM windtrap.status WHERE kind = 'upkeep'});
my $load = start_load($port, connections => 16, pause => 0.005);

# Write references to events of now, and one to old ones, in transactions that last a moment.
my $directory = PostgreSQL::Test::Utils::tempdir();
my @writers;
for my $which (q{event_timestamp > now() - interval '1 minute'},
	q{event_timestamp > now() - interval '1 minute'},
	q{event_timestamp BETWEEN now() - interval '14 days' AND now() - interval '10 days' ORDER BY random()})
{
	my $file = "$directory/writer" . @writers;
	append_to_file($file, <<"SQL" x 2000);
BEGIN;
INSERT INTO cites SELECT event_timestamp, n FROM log WHERE $which LIMIT 1;
SELECT pg_sleep(0.01);
COMMIT;
SELECT pg_sleep(0.04);
SQL
	push @writers, { file => $file,
		run => IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-f', $file ],
			'<', '/dev/null', '>', "$file.out", '2>', "$file.err") };
}
ok($load->wait_for_more(200), 'events come in');

# The process in its rounds, and somebody by hand.
my $until = time + 20;
my ($n, $failed) = (0, '');
while (time < $until && old() > 8)
{
	if ($n++ % 2)
	{
		reload($node);
		sleep 0.1;
	}
	else
	{
		$failed .= query(q{SET client_min_messages = error; SELECT error FROM windtrap.upkeep() WHERE action = 'failed'}) . "\n";
	}
}
note "$n rounds, ", sprintf('%.1f s', 20 - ($until - time)), ', left: ', old();
cmp_ok(old(), '<=', 8, 'old days are dropped meanwhile');
is(scalar(grep { !$_->{run}->pumpable } @writers), 0, 'references are still written');
$_->{run}->kill_kill for @writers;
query('SET client_min_messages = error; SELECT windtrap.upkeep(force => true)');
my $kept = q{SELECT string_agg(DISTINCT log.tableoid::regclass::text, ' ') FROM log JOIN cites ON t = event_timestamp AND log.n = cites.n WHERE event_timestamp < now() - interval '3 days'};
like(query($kept), qr/old_20/, 'there are old days that are referred to');
is(query(q{SELECT string_agg(relid::text, ' ' ORDER BY relid::text) FROM pg_partition_tree('log') WHERE relid::text LIKE 'old_%'}),
	query($kept), 'they are there, and no others');
like($failed, qr/referenced|violates foreign key/, 'which was told');
like(log_since($node, $mark), qr/HINT:  Delete the rows that refer to its events, or detach the partition to keep it/, 'with what helps');
is( query('SELECT count(*) FROM cites WHERE NOT EXISTS (SELECT FROM log WHERE event_timestamp = t AND log.n = cites.n)'),
	0, 'every reference has its event');

ok($load->wait_for_more(100), 'events still come in');
my $codes = $load->stop;
note join ', ', map { "$codes->{$_} x $_" } sort keys %$codes;
note 'slowest: ', $load->slowest, ' ms';
is(join(' ', grep { !/^(200|503)$/ } keys %$codes), '', 'each event has its answer');
cmp_ok($load->slowest, '<', 2500, 'nobody waits for much longer than the lock timeout');
is($load->audit($node), $load->nothing_wrong, 'acknowledged ones are there, none is twice, refused ones are not there');
my %errors;
for my $writer (@writers)
{
	$errors{$_}++ for grep { /ERROR/ } split /\n/, slurp_file("$writer->{file}.err");
}
note "$_: $errors{$_}" for sort keys %errors;
is(join('; ', grep { /deadlock|could not open|cache lookup/ } keys %errors), '', 'no writer of references comes to harm');
is(join(' ', worker_pids($node)), join(' ', @workers), 'the workers are the same');
is(query(q{SELECT pid FROM windtrap.status WHERE kind = 'upkeep'}), $upkeep, 'so is the upkeep');
unlike(log_since($node, $mark), qr/terminated by signal|PANIC|ERROR: +deadlock|: deadlock detected/, 'nothing has crashed, and nothing was deadlocked');
$node->stop;
done_testing();

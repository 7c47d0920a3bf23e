# pg_upgrade takes the collector along, with all that it has stored: no process of it runs in
# either server meanwhile, so nothing is answered that would then be lost.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Test::More;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use WindTrap;

my $bin = command('pg_config', '--bindir');
plan skip_all => 'there is no pg_upgrade' if !-x "$bin/pg_upgrade";

my $old = wt_node('old');
my $port = wt_port($old);

# A target that refuses leaves its events in the outbox.
$old->safe_psql('postgres', 'CREATE TABLE target (event_timestamp timestamptz, data jsonb, status int)');
alter_system($old, 'windtrap.forward_to' => 'public.target');
$old->safe_psql('postgres', 'ALTER TABLE target RENAME TO away');
is(post($port, qq({"id":$_}\n{"bad\n), type => 'application/x-ndjson')->{status}, 200, "batch $_") for 1 .. 5;
my $token = $old->safe_psql('postgres', q{SELECT windtrap.create_token('shop')});

my $facts = <<'SQL';
SELECT count(*), count(*) FILTER (WHERE status = 422), md5(string_agg(data::text, ' ' ORDER BY data->>'id')) FROM log;
SELECT count(*) FROM windtrap.quarantine;
SELECT sum(n_events), max(id) FROM windtrap.outbox;
SELECT last_value FROM windtrap.outbox_id;
SELECT name, digest FROM windtrap.token;
SELECT array_agg(relid::text ORDER BY relid::text) FROM pg_partition_tree('log');
SQL
my $before = $old->safe_psql('postgres', $facts);
like($before, qr/^10\|5\|/, 'there are events, and bad ones');
unlike($before, qr/^\|$/m, 'some wait in the outbox');
$old->stop;

my $new = PostgreSQL::Test::Cluster->new('new');
$new->init(extra => [ '--encoding', 'UTF8', '--locale', 'C' ]);
$new->append_conf('postgresql.conf',
	"shared_preload_libraries = 'windtrap'\nwindtrap.port = $port\nwindtrap.forward_to = 'public.target'\n");

my $dir = PostgreSQL::Test::Utils::tempdir();
my $sender = fork() // die "fork: $!";
if ($sender == 0)
{
	my $answers = 0;
	my $stop = 0;
	local $SIG{TERM} = sub { $stop = 1 };
	while (!$stop)
	{
		$answers++ if event($port) != 599;
		Time::HiRes::sleep(0.02);
	}
	POSIX::_exit($answers > 0);
}
chdir $dir or die;
command_ok(
	[   'pg_upgrade', '--no-sync',
		'-d', $old->data_dir, '-D', $new->data_dir,
		'-b', $bin, '-B', $bin, '-s', $new->host,
		'-p', $old->port, '-P', $new->port ],
	'pg_upgrade');
kill 'TERM', $sender;
waitpid $sender, 0;
is($?, 0, 'no event is answered meanwhile');

$new->start;
ok(wait_for(sub { post_json($port, { id => 'new' }, headers => { Authorization => "Bearer $token" })->{status} == 200 }),
	'the new server collects');
$new->safe_psql('postgres', q{DELETE FROM log WHERE data->'json'->>'id' = 'new'});
my @after = split /\n/, $new->safe_psql('postgres', $facts);
my @before = split /\n/, $before;
is($after[$_], $before[$_], "fact $_ is what it was") for 0, 1, 4, 5;
ok((split /\|/, $after[2])[0] >= (split /\|/, $before[2])[0], 'what waited in the outbox waits there');
ok($after[3] > $before[3], 'batches are numbered on');

done_testing();

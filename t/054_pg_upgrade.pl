# pg_upgrade takes the collector along, with all that it has stored: no process of it runs in
# either server meanwhile, so nothing is answered that would then be lost.
#
# Into a cluster of the same version, and into those of later ones that are here and that
# extensions can be built for: beside this one as Debian's packages are, or whose pg_config is
# named in UPGRADE_TO.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use File::Basename qw(dirname);
use Test::More;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use WindTrap;

my $bin = command('pg_config', '--bindir');
plan skip_all => 'there is no pg_upgrade' if !-x "$bin/pg_upgrade";

my $dir = PostgreSQL::Test::Utils::tempdir();
my $sources = dirname($FindBin::RealBin);

sub version_of { return command($_[0], '--version') =~ /(\d+)/ ? $1 : 0; }

# pg_configs of later versions, the last one of each.
sub later_versions
{
	my %found;

	for my $config ((split ' ', $ENV{UPGRADE_TO} // ''), glob '/usr/lib/postgresql/*/bin/pg_config')
	{
		next if !-x $config || version_of($config) <= version_of('pg_config');
		next if !-e command($config, '--includedir-server') . '/postgres.h';
		$found{ version_of($config) } //= $config;
	}
	return map { $found{$_} } sort { $a <=> $b } keys %found;
}

# A private copy of a PostgreSQL with the extension built for it; gives its pg_config.
sub build_for
{
	my ($config, $work) = @_;

	return command('bash', '-c', <<'SH', $sources, $config, $work);
set -euo pipefail
mkdir -p "$2/src"
export WT_WORK=$2 PG_CONFIG=$1
. "$0/script/private-postgres.sh"
cd "$0"
cp -r Makefile windtrap.* windtrap--*.sql src "$2/src"
cd "$2/src"
find . -name '*.o' -delete -o -name '*.so' -delete -o -name '*.bc' -delete
{
	stage_postgres
	make -s "PG_CONFIG=$STAGED_CONFIG" with_llvm=no -j2
	make -s "PG_CONFIG=$STAGED_CONFIG" with_llvm=no install
} >&2
echo "$STAGED_CONFIG"
SH
}

my $old = wt_node('old');
my $port = wt_port($old);

sub content { return "md5(string_agg(concat_ws('~', extract(epoch FROM event_timestamp), data::text, $_[0]), ' ' ORDER BY data->>'id'))"; }

# A target has got some events, and refuses one of them; then it is away, and events wait for it.
$old->safe_psql('postgres', <<'SQL');
ALTER TABLE log ADD shop_no int;
CREATE TABLE target (id uuid PRIMARY KEY, event_timestamp timestamptz, data jsonb, status int,
	CHECK (data->'json'->>'poison' IS NULL));
SQL
alter_system($old, 'windtrap.forward_to' => 'public.target');
is(post($port, qq({"first":1}\n{"first":2,"poison":true}\n), type => 'application/x-ndjson')->{status}, 200, 'events for a target');
ok(wait_for(sub { $old->safe_psql('postgres', 'SELECT count(*) FROM target, windtrap.dead_letter') eq '1' }), 'one is refused');
$old->safe_psql('postgres', 'ALTER TABLE target RENAME TO away');
is(post($port, qq({"id":$_}\n{"bad\n), type => 'application/x-ndjson')->{status}, 200, "batch $_") for 1 .. 5;
my $token = $old->safe_psql('postgres', q{SELECT windtrap.create_token('shop')});

# Everything that is sent from now on has to have it, also what comes with a key.
sub keyed
{
	return post_json($port, { keyed => 1 }, headers => { Authorization => "Bearer $token", 'Idempotency-Key' => 'k' });
}
is(keyed()->{status}, 200, 'an event with a key');

my $cursor = $old->safe_psql('postgres', 'SELECT cursor FROM windtrap.tail()');
is(post_json($port, { new => 'before' }, headers => { Authorization => "Bearer $token" })->{status}, 200, 'one comes behind a cursor');

# Or the upkeep would take into chunks what is to come along beside them.
$old->safe_psql('postgres', 'SELECT windtrap.stop()');

# A sealed partition, with rows that were changed, deleted, and came later, and columns that are
# others since it was sealed; and one that is to be sealed.
$old->safe_psql('postgres', <<'SQL');
SET client_min_messages = warning;
DO $$ DECLARE day timestamptz := date_trunc('day', now(), 'UTC') - interval '3 days'; BEGIN
	EXECUTE format('CREATE TABLE sealed PARTITION OF log FOR VALUES FROM (%L) TO (%L)', day, day + interval '1 day');
	EXECUTE format('CREATE TABLE plain PARTITION OF log FOR VALUES FROM (%L) TO (%L)', day - interval '1 day', day);
	INSERT INTO log (event_timestamp, data, status, shop_no)
		SELECT day + n * interval '3 s', jsonb_build_object('id', 's' || n, 'json',
			jsonb_build_object('app', (ARRAY['shop', 'mail'])[1 + n % 2], 'n', n / 7.0)), 0, n % 5
		FROM generate_series(-100, 20000) n WHERE n <> 0;
END $$;
SELECT windtrap.seal('sealed');
ALTER TABLE log RENAME shop_no TO shop;
ALTER TABLE log ADD note text DEFAULT 'none';
UPDATE sealed SET status = 7 WHERE data->>'id' LIKE 's1_';
UPDATE sealed SET data = data || '{"changed": true}', note = 'some' WHERE data->>'id' LIKE 's2_';
DELETE FROM sealed WHERE data->>'id' LIKE 's3_';
INSERT INTO log SELECT min(event_timestamp), '{"id": "late", "json": {"app": "shop"}}', 0, 9, 'late' FROM sealed;
SQL

my $row = "concat_ws('~', status, shop, note)";
my $rest = q{data->'json'->>'new' IS NULL};
my @facts = (
	[ 'the log', "SELECT count(*), count(*) FILTER (WHERE status = 422), " . content($row) . " FROM log WHERE $rest" ],
	[ 'what is quarantined', 'SELECT count(*) FROM windtrap.quarantine' ],
	[ 'tokens', 'SELECT name, digest FROM windtrap.token' ],
	[ 'partitions', q{SELECT array_agg(relid::text ORDER BY relid::text) FROM pg_partition_tree('log')} ],
	[ 'the sealed partition', 'SELECT count(*), count(*) FILTER (WHERE status = 7), ' . content($row) . ' FROM sealed' ],
	[ 'a group of it', q{SELECT data->'json'->>'app', count(*), sum(shop) FROM sealed GROUP BY 1 HAVING data->'json'->>'app' = 'shop'} ],
	[ 'sealed partitions', q{SELECT partition, kind FROM windtrap.partitions WHERE kind = 'sealed'} ],
	[ 'how far the target has got', 'SELECT target, id, part, delivered, extract(epoch FROM changed) FROM windtrap.outbox_position' ],
	[ 'dead letters', 'SELECT target, id, ' . content('status') . ' FROM windtrap.dead_letter GROUP BY 1, 2' ],
	[ 'what the target has', 'SELECT count(*), ' . content('status') . ' FROM away' ],
	[ 'keys', 'SELECT count(*), md5(string_agg(key::text, chr(32) ORDER BY key)) FROM windtrap.idempotency_key' ]);

sub facts { return map { $_[0]->safe_psql('postgres', $_->[1]) } @facts; }

my @before = facts($old);
like($before[0], qr/^20104\|5\|/, 'there are events, and bad ones');
like($before[4], qr/^19991\|10\|/, '... sealed ones');
like($before[7], qr/^public\.target\|\d+\|\|1\|/, 'a target has got some of them');
my ($waiting, $last_id) = split /\|/, $old->safe_psql('postgres', 'SELECT (SELECT sum(n_events) FROM windtrap.outbox), last_value FROM windtrap.outbox_id');
is($waiting, 12, 'the others wait in the outbox');
is($old->safe_psql('postgres', 'SELECT count(*) FROM sealed_late'), 11, '... and late rows');

# Upgrades the old server, which is left as it is, into a new one of that pg_config.
sub upgrade
{
	my ($config) = @_;
	my $new_bin = command($config, '--bindir');
	my $version = version_of($config);
	my $to = "to $version";
	my @options;

	push @options, '--no-data-checksums' if $version >= 18;
	if (command($config, '--configure') !~ /--with-lz4/)
	{
		# What is compressed by lz4 cannot be read there.
		$old->start;
		$old->safe_psql('postgres', q{DO $$ DECLARE t regclass; c text; BEGIN
			FOR t, c IN SELECT attrelid, attname FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
					WHERE attcompression = 'l' AND relkind IN ('r', 'p') LOOP
				EXECUTE format('ALTER TABLE %s ALTER %I SET COMPRESSION pglz', t, c); END LOOP; END $$});
		$old->stop;
	}
	my $new = PostgreSQL::Test::Cluster->new("new$version",
		$version == version_of('pg_config') ? () : (install_path => dirname($new_bin)));
	$new->init(extra => [ '--encoding', 'UTF8', '--locale', 'C', @options ]);
	$new->append_conf('postgresql.conf',
		"shared_preload_libraries = 'windtrap'\nwindtrap.port = $port\nwindtrap.forward_to = 'public.target'\nwindtrap.seal_after = ''\n");

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
		[   "$new_bin/pg_upgrade", '--no-sync',
			'-d', $old->data_dir, '-D', $new->data_dir,
			'-b', $bin, '-B', $new_bin, '-s', $new->host,
			'-p', $old->port, '-P', $new->port ],
		"$to: pg_upgrade");
	kill 'TERM', $sender;
	waitpid $sender, 0;
	is($?, 0, "$to: no event is answered meanwhile");

	$new->start;
	is($new->safe_psql('postgres', 'SHOW server_version_num') =~ s/....$//r, $version, "$to: it is that version");
	ok(wait_for(sub { event($port, { new => 'without a token' }) == 401 }), "$to: who has no token is refused");
	is(post_json($port, { new => 'after' }, headers => { Authorization => "Bearer $token" })->{status}, 200, "$to: the new server collects");
	is(keyed()->{status}, 200, "$to: what comes again with its key is answered");
	my @after = facts($new);
	is($after[$_], $before[$_], "$to: $facts[$_][0]: what it was") for 0 .. $#facts;
	is($new->safe_psql('postgres', "SELECT string_agg(data->'json'->>'new', ', ' ORDER BY event_timestamp) FROM windtrap.tail('', '$cursor') WHERE id IS NOT NULL"),
		'before, after', "$to: a cursor goes on where it was");

	my $query = sub { return $new->safe_psql('postgres', $_[0]); };
	is($query->('SELECT sum(n_events), max(id) > ' . $last_id . ' FROM windtrap.outbox'), ($waiting + 1) . '|t',
		"$to: what waited in the outbox waits there, and batches are numbered on");
	$query->('ALTER TABLE away RENAME TO target');
	ok(wait_for(sub { $query->('SELECT (SELECT count(*) FROM target) || $$ $$ || (SELECT count(*) FROM windtrap.outbox)') eq '14 0' }),
		"$to: the target gets it, and nothing twice");
	is($query->('SELECT delivered FROM windtrap.forwarding'), 14, "$to: which is counted on");

	is( $query->(<<'SQL'), '19992|11|10', "$to: a sealed partition takes events and changes");
INSERT INTO log SELECT min(event_timestamp), '{"id": "later"}', 0 FROM sealed;
UPDATE sealed SET status = 7 WHERE data->>'id' = 's500';
UPDATE sealed SET note = 'again' WHERE data->>'id' LIKE 's4_';
SELECT count(*), count(*) FILTER (WHERE status = 7), count(*) FILTER (WHERE note = 'again') FROM sealed
SQL
	$query->('SELECT windtrap.upkeep()');
	ok(wait_for(sub { reload($new); $query->('SELECT (SELECT count(*) FROM sealed_sealed WHERE part = -1) + (SELECT count(*) FROM sealed_late)') eq '0' }),
		"$to: the upkeep rewrites chunks, and takes in what came later");
	is($query->(q{SELECT windtrap.seal('plain'); SELECT count(*) FROM plain}), "100\n100", "$to: another is sealed");
	my $sealed = 'SELECT count(*), ' . content($row) . ' FROM sealed';
	my $now = $query->($sealed);
	is($query->(q{SELECT windtrap.unseal('sealed')}) . '|' . $query->($sealed), '19992|' . $now, "$to: ... and it can be unsealed");
	is($query->('SELECT count(*) FROM windtrap.upkeep_failures'), 0, "$to: the upkeep has not failed");
	is($query->("SELECT count(*) FROM windtrap.tail('', '$cursor') WHERE id IS NOT NULL"), 2, "$to: nothing of it is news");
	unlike(log_since($new), qr/terminated by signal|PANIC/, "$to: nothing has crashed");
	$new->stop;
	return;
}

$old->stop;
upgrade('pg_config');

my @later = later_versions();
SKIP:
{
	my $alone = 'no PostgreSQL after ' . version_of('pg_config') . ' has been found that extensions can be built for';
	diag("left out: to a later version; $alone (UPGRADE_TO names a pg_config)") if !@later;
	skip $alone, 1 if !@later;
	skip 'there is no script/private-postgres.sh to build it with', 1 if !-e "$sources/script/private-postgres.sh";
	upgrade(build_for($_, "$dir/" . version_of($_))) for @later;
}

done_testing();

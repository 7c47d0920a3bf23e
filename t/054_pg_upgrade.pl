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
		$old->safe_psql('postgres', q{DO $$ DECLARE t regclass; BEGIN
			FOR t IN SELECT relid FROM pg_partition_tree('log') LOOP
				EXECUTE format('ALTER TABLE %s ALTER data SET COMPRESSION pglz', t); END LOOP; END $$});
		$old->stop;
	}
	my $new = PostgreSQL::Test::Cluster->new("new$version",
		$version == version_of('pg_config') ? () : (install_path => dirname($new_bin)));
	$new->init(extra => [ '--encoding', 'UTF8', '--locale', 'C', @options ]);
	$new->append_conf('postgresql.conf',
		"shared_preload_libraries = 'windtrap'\nwindtrap.port = $port\nwindtrap.forward_to = 'public.target'\n");

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
	ok(wait_for(sub { post_json($port, { id => 'new' }, headers => { Authorization => "Bearer $token" })->{status} == 200 }),
		"$to: the new server collects");
	$new->safe_psql('postgres', q{DELETE FROM log WHERE data->'json'->>'id' = 'new'});
	my @after = split /\n/, $new->safe_psql('postgres', $facts);
	my @before = split /\n/, $before;
	is($after[$_], $before[$_], "$to: fact $_ is what it was") for 0, 1, 4, 5;
	ok((split /\|/, $after[2])[0] >= (split /\|/, $before[2])[0], "$to: what waited in the outbox waits there");
	ok($after[3] > $before[3], "$to: batches are numbered on");
	$new->safe_psql('postgres', 'SELECT windtrap.upkeep()');
	unlike(log_since($new), qr/terminated by signal|PANIC/, "$to: nothing has crashed");
	$new->stop;
	return;
}

$old->stop;
upgrade('pg_config');

my @later = later_versions();
SKIP:
{
	skip 'there is no later PostgreSQL that extensions can be built for', 1 if !@later;
	skip 'there is no script/private-postgres.sh to build it with', 1 if !-e "$sources/script/private-postgres.sh";
	upgrade(build_for($_, "$dir/" . version_of($_))) for @later;
}

done_testing();

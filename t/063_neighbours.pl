# What goes on in the same server, and beside it: copies of the cluster on the same port,
# roles and settings that change, storage that is away.  Nothing that was acknowledged is
# lost, and what cannot be stored is not refused for good.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Test::More;
use Time::HiRes qw(sleep time);

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use WindTrap;

my $node = wt_node('neighbours');
my $port = wt_port($node);
my %acknowledged;
my $next = 0;

sub query { return $node->safe_psql('postgres', $_[0]); }

# Sends an event; gives the code of its answer, and remembers it where it is acknowledged.
sub send_event
{
	my $id = 'e' . $next++;
	my $status = post_json($port, { id => $id })->{status} // 0;

	$acknowledged{$id} = 1 if $status == 200;
	return $status;
}

sub comes_back { return wait_for(sub { send_event() == 200 }); }

# Of what was acknowledged, what is not there exactly once.
sub unaccounted
{
	my %seen;

	$seen{$_}++ foreach split /\n/, query(q{SELECT data->'json'->>'id' FROM log});
	return join ' ', grep { ($seen{$_} // 0) != 1 } sort keys %acknowledged;
}

ok(comes_back(), 'it takes events');

# A copy of the cluster, started beside it with the same settings, must not share its port:
# half of the events would go to the copy.
{
	$node->append_conf('postgresql.conf', "max_wal_senders = 4\nwal_level = logical\nhot_standby = on");
	$node->restart;
	ok(comes_back(), 'it is back after a restart');
	$node->backup('copy');
	my $copy = PostgreSQL::Test::Cluster->new('copy');
	$copy->init_from_backup($node, 'copy');
	# As somebody would who recovers a backup on the same machine.
	$copy->start;
	my $status = sub { $copy->safe_psql('postgres', 'SELECT last_error FROM windtrap.status WHERE last_error IS NOT NULL LIMIT 1') };
	ok(wait_for(sub { $status->() =~ /in use/ }), 'a copy of the cluster finds the port taken, and says so') or diag $status->();
	send_event() foreach 1 .. 20;
	is($copy->safe_psql('postgres', q{SELECT count(*) FROM log WHERE data->'json'->>'id' ~ 'e[0-9]+'}) + 0 < $next - 19, 1, 'no event goes to it');
	is(unaccounted(), '', 'all of them are where they belong');
	$copy->stop('immediate');

	# A standby that is promoted while the old primary still answers.
	my $standby = PostgreSQL::Test::Cluster->new('standby');
	$standby->init_from_backup($node, 'copy', has_streaming => 1);
	$standby->start;
	send_event() foreach 1 .. 5;
	$node->wait_for_catchup($standby, 'replay', $node->lsn('flush'));
	is($standby->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type ~ '^windtrap (worker|upkeep)'}), 0, 'a standby has no listener');
	$standby->promote;
	ok(wait_for(sub { $standby->safe_psql('postgres', q{SELECT last_error FROM windtrap.status WHERE last_error IS NOT NULL LIMIT 1}) =~ /in use/ }),
		'promoted beside the old primary it waits for the port');
	send_event() foreach 1 .. 20;
	is(unaccounted(), '', 'the old primary has all of its events');
	$node->stop;
	ok(wait_for(sub { send_event() == 200 }, 40), 'when the old one is gone the new one takes over');
	$standby->stop;
	# From here on the first one again; what the other has got is its own.
	$node->start;
	%acknowledged = ();
	ok(comes_back(), 'and back');
}

# Settings that are reset at once.
alter_system($node, 'windtrap.max_body_size' => '2MB', 'windtrap.store_headers' => 'none');
query('ALTER SYSTEM RESET ALL');
query('SELECT pg_reload_conf()');
ok(comes_back(), 'ALTER SYSTEM RESET ALL');

# The owner of the log goes.
query(<<'SQL');
CREATE ROLE first; CREATE ROLE second;
GRANT CREATE, USAGE ON SCHEMA public TO first, second;
DO $$DECLARE t regclass; BEGIN
	FOR t IN SELECT relid FROM pg_partition_tree('log') LOOP EXECUTE format('ALTER TABLE %s OWNER TO first', t); END LOOP;
END$$
SQL
is(send_event(), 200, 'a log that belongs to another role');
query('REASSIGN OWNED BY first TO second');
is(send_event(), 200, 'REASSIGN OWNED');
is(query(q{SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = 'log'::regclass}), 'second', 'its new owner has it');
query('ALTER ROLE second NOINHERIT NOLOGIN CONNECTION LIMIT 0; REVOKE CONNECT ON DATABASE postgres FROM PUBLIC');
is(send_event(), 200, 'an owner who may not log in, nor connect');
query('GRANT CONNECT ON DATABASE postgres TO PUBLIC');
is(unaccounted(), '', 'nothing is lost');
query('DROP OWNED BY second');
ok(comes_back(), 'DROP OWNED takes the log along, and it is made again');
%acknowledged = map { $_ => 1 } grep { $_ } split /\n/, query(q{SELECT data->'json'->>'id' FROM log});

# Triggers that fire as the origin only do not fire under replica: those that carry news of
# tokens must.
{
	query(q{ALTER DATABASE postgres SET session_replication_role = replica});
	query(q{SELECT windtrap.stop()});
	query(q{SELECT windtrap.start()});
	my $token = query(q{SELECT windtrap.create_token('t')});
	is(send_event(), 401, 'under session_replication_role = replica a token that is made closes the door');
	is(post_json($port, { id => 'with' }, headers => { Authorization => "Bearer $token" })->{status}, 200, 'and lets in');
	query(q{SELECT windtrap.revoke_token('t')});
	is(post_json($port, { id => 'with' }, headers => { Authorization => "Bearer $token" })->{status}, 401, 'until it is revoked');
	query(q{DELETE FROM windtrap.token});
	query(q{CREATE TABLE target (id text PRIMARY KEY, data jsonb)});
	alter_system($node, 'windtrap.forward_to' => 'target');
	ok(comes_back(), 'events are stored');
	ok(wait_for(sub { send_event(); query('SELECT count(*) > 0 FROM target') eq 't' }), 'and forwarded');
	alter_system($node, 'windtrap.forward_to' => '');
	query(q{ALTER DATABASE postgres RESET session_replication_role});
	query(q{SELECT windtrap.stop()});
	query(q{SELECT windtrap.start()});
}

# Freezing.
{
	my $ok = 1;
	my $vacuum = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', 'VACUUM (FREEZE, ANALYZE)', '-c', 'VACUUM FULL pg_class' ]);

	foreach (1 .. 50) { $ok = 0 if send_event() != 200; }
	$vacuum->finish;
	ok($ok, 'VACUUM FREEZE and VACUUM FULL of catalogs beside it cost no event');
}

# Another server's log replicated into this one.
{
	my $subscriber = wt_node('subscriber');
	my $other = wt_port($subscriber);

	ok(wait_for(sub { (post_json($other, { id => 'own' })->{status} // 0) == 200 }), 'a second collector');
	query('CREATE PUBLICATION logs FOR TABLE log WITH (publish = insert, publish_via_partition_root = true)');
	$subscriber->safe_psql('postgres', sprintf q{CREATE SUBSCRIPTION logs CONNECTION $$%s$$ PUBLICATION logs}, $node->connstr('postgres'));
	send_event() foreach 1 .. 10;
	my $count = query(q{SELECT count(*) FROM log});
	ok(wait_for(sub { $subscriber->safe_psql('postgres', q{SELECT count(*) FROM log WHERE data->'json'->>'id' <> 'own'}) == $count }), 'has the events of the first in its own log');
	is(post_json($other, { id => 'own' })->{status}, 200, 'and takes its own beside them');
	$subscriber->safe_psql('postgres', 'DROP SUBSCRIPTION logs');
	query('DROP PUBLICATION logs');
	$subscriber->stop;
}

# Storage that is away for a while.
{
	my $space = PostgreSQL::Test::Utils::tempdir();

	query("CREATE TABLESPACE away LOCATION '$space'");
	my $today = query(q{SELECT tableoid::regclass FROM log ORDER BY event_timestamp DESC LIMIT 1});
	query("ALTER TABLE $today SET TABLESPACE away");
	ok(comes_back(), 'a partition in a tablespace');
	query('CHECKPOINT');
	rename $space, "$space.gone" or die $!;
	query('SELECT windtrap.stop()');
	query('SELECT windtrap.start()');
	is(send_event(), 503, 'a tablespace that is gone: try again');
	is(http($port, 'GET', '/health')->{status}, 503, 'and /health says so');
	rename "$space.gone", $space or die $!;
	ok(comes_back(), 'when it is there again all is well');
	is(unaccounted(), '', 'nothing is lost');
}

$node->stop;
done_testing();

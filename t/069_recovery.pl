# A server that is recovered from a backup to a point in time, on the same machine and with the
# same settings, beside the one that goes on: it has what was acknowledged until then, and
# nothing that comes later; no event goes to it until the other one is gone.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Test::More;
use Time::HiRes qw(sleep);

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use WindTrap;

my $node = wt_node('recovery', init => { has_archiving => 1, allows_streaming => 1 });
my $port = wt_port($node);
my %acknowledged;

sub query { return $node->safe_psql('postgres', $_[0]); }

sub ids
{
	my ($server, $prefix) = @_;
	return split /\n/, $server->safe_psql('postgres', qq{SELECT data->'json'->>'id' FROM log WHERE data->'json'->>'id' LIKE '$prefix %' ORDER BY 1});
}

sub send_events
{
	my ($prefix, $n) = @_;
	my @sent = map { "$prefix $_" } 1 .. $n;
	return grep { event($port, $_) == 200 } @sent;
}

sub last_error
{
	my ($server) = @_;
	return $server->safe_psql('postgres', 'SELECT last_error FROM windtrap.status WHERE last_error IS NOT NULL LIMIT 1');
}

# What comes before the backup, while it is taken, until the point and after it.
my $n_before = send_events('before', 20);
my $load = start_load($port, connections => 8, pause => 0.01);
ok($load->wait_for_more(50), 'events come in');
$node->backup('base');
ok($load->wait_for_more(50), 'and still, when the backup has been taken');
$load->stop;
my $n_until = send_events('until', 20);
my $token = query(q{SELECT windtrap.create_token('shop')});
my $lsn = query(q{SELECT pg_create_restore_point('here')});
query(q{SELECT windtrap.revoke_token('shop'); DELETE FROM windtrap.token});
my $n_later = send_events('later', 20);
is("$n_before $n_until $n_later", '20 20 20', 'all events are acknowledged');
query('SELECT pg_switch_wal()');
ok(wait_for(sub { query(qq{SELECT last_archived_wal >= pg_walfile_name('$lsn') FROM pg_stat_archiver}) eq 't' }), 'the log is archived');

my $copy = PostgreSQL::Test::Cluster->new('copy');
$copy->init_from_backup($node, 'base', has_restoring => 1, standby => 0);
$copy->append_conf('postgresql.conf', "archive_mode = off\nhot_standby = on\nrecovery_target_name = 'here'\nrecovery_target_action = 'pause'\n");
$copy->start;
ok(wait_for(sub { $copy->safe_psql('postgres', q{SELECT pg_is_in_recovery() AND pg_get_wal_replay_pause_state() = 'paused'}) eq 't' }), 'it is recovered to the point');

# It waits there to be looked at.
is($copy->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type ~ '^windtrap (worker|upkeep|forwarder)'}), 0, 'paused, it has no listener');
is(join(' ', map { scalar ids($copy, $_) } qw(before until later)), '20 20 0', 'it has what was acknowledged until then, and nothing later');
is(scalar(send_events('paused', 10)), 10, 'the other one takes events');
is(scalar(ids($copy, 'paused')), 0, 'none goes to it');
my ($rc, $out, $err) = $copy->psql('postgres', 'SELECT windtrap.start()');
isnt($rc, 0, 'windtrap.start() is refused there');
like($err, qr/cannot start on a standby/, 'with the reason') or diag $err;

# It is let go, beside the other one.
$copy->safe_psql('postgres', 'SELECT pg_wal_replay_resume()');
ok(wait_for(sub { $copy->safe_psql('postgres', 'SELECT pg_is_in_recovery()') eq 'f' }), 'it is let go');
ok(wait_for(sub { last_error($copy) =~ /in use/ }), 'it waits for the port, and says so') or diag last_error($copy);
is(scalar(send_events('beside', 20)), 20, 'the other one takes events');
is(scalar(ids($node, 'beside')), 20, 'and has them all');
is(scalar(ids($copy, 'beside')), 0, 'none goes to it');
is($copy->safe_psql('postgres', q{SELECT string_agg(kind, ' ' ORDER BY kind) FROM windtrap.status WHERE pid IS NOT NULL AND kind = 'upkeep'}), 'upkeep', 'its own partitions are kept up');

is($load->audit($copy), $load->nothing_wrong, 'it has all that came while the backup was taken');

# The other one goes, and it takes over: with the tokens of its time.
my @of_first = ids($node, '%');
$node->stop;
ok(wait_for(sub { event($port, 'over') == 401 }, 40), 'when the other one is gone it takes over, and asks for the token of that time');
is(post_json($port, { id => 'over 1' }, headers => { Authorization => "Bearer $token" })->{status}, 200, 'which is good');
is(scalar(ids($copy, 'over')), 1, 'the event is there');
is(join(' ', map { scalar ids($copy, $_) } qw(before until later beside)), '20 20 0 0', 'beside what it had');

# Another one from the same backup, to its end: all is there.
$copy->stop;
my $end = PostgreSQL::Test::Cluster->new('end');
$end->init_from_backup($node, 'base', has_restoring => 1, standby => 0);
$end->append_conf('postgresql.conf', "archive_mode = off\n");
$end->start;
ok(wait_for(sub { $end->safe_psql('postgres', 'SELECT pg_is_in_recovery()') eq 'f' }), 'one that is recovered to the end');
is($load->audit($end), $load->nothing_wrong, 'has all');
is(join(' ', ids($end, '%')), join(' ', @of_first), 'that was archived, to the last event');
ok(wait_for(sub { event($port, 'end') == 200 }), 'and collects');

unlike(log_since($_), qr/terminated by signal|PANIC/, $_->name . ': nothing has crashed') for $node, $copy, $end;
$end->stop;
done_testing();

# The power is cut under load: what was not flushed is gone, or in every other round some pages of it and others not, as a
# disk writes them in an order of its own.  lossy_disk.c says what disk that is.  A server that does not flush loses events
# by it, so it would be seen.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Fault;

use File::Find;
use Test::More;
use Time::HiRes qw(sleep);

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use WindTrap;

my $library = PostgreSQL::Test::Utils::tempdir() . '/lossy_disk.so';

plan skip_all => 'a sanitizer wants to be loaded first' if $ENV{WT_SANITIZE};
plan skip_all => 'there is no gcc to build the disk with'
  if system("gcc -shared -fPIC -O2 -o $library $FindBin::RealBin/lossy_disk.c 2>/dev/null") != 0;

my $fault = Fault->new(number => 4, name => 'power loss: a disk that loses what was not flushed');
my $rounds = $fault->length(2, 50);
my $node = wt_node('power', conf => "fsync = on\nwindtrap.workers = 2\ncheckpoint_timeout = 30s\n");
my $port = wt_port($node);
my $data = $node->data_dir;
my ($image, $maps) = ("$data.image", "$data.maps");

sub slurp_raw
{
	my ($path) = @_;
	open my $in, '<:raw', $path or die "$path: $!";
	local $/;
	return scalar(<$in>) // '';
}

# Of the pages that were not flushed, gives the image each with a chance of a half; of 4 kB, as file systems have them, so
# that PostgreSQL's are torn.  Gives how many there were, and how many the image has now.  Files that are not of
# pages are flushed as a whole.
sub keep_some_pages
{
	my ($differ, $n) = (0, 0);
	my $wanted = sub {
		my $path = $File::Find::name;
		my $name = substr $path, length $data;

		return if !-f $path || $name !~ m{^/(?:base|global|pg_wal|pg_xact)/} || $name =~ /pg_control|pg_internal|pg_filenode/;
		return if !-e "$image$name";
		my ($new, $old) = (slurp_raw($path), slurp_raw("$image$name"));
		return if $new eq $old;
		open my $out, '+<:raw', "$image$name" or die "$image$name: $!";
		for (my $at = 0; $at < length $new; $at += 4096)
		{
			my $page = substr $new, $at, 4096;
			next if $at < length $old && $page eq substr $old, $at, 4096;
			$differ++;
			next if rand() < 0.5;
			seek $out, $at, 0;
			print $out $page;
			$n++;
		}
		close $out or die "$image$name: $!";
	};

	find({ no_chdir => 1, wanted => $wanted }, $data);
	return ($differ, $n);
}

# Runs it on such a disk, under load, and cuts the power; starts it with what the disk holds; gives the load, or nothing where
# it does not start.  Torn: some of what was not flushed is there.
my ($unflushed, $n_kept) = (0, 0);

sub cut
{
	my ($checkpoint, $torn) = @_;

	$node->stop;
	system("rm -rf $image $maps && cp -a $data $image && mkdir $maps") == 0 or die 'cp';
	{
		local $ENV{LD_PRELOAD} = $library;
		local ($ENV{WT_DISK}, $ENV{WT_DISK_IMAGE}, $ENV{WT_DISK_MAPS}) = ($data, $image, $maps);
		$node->start;
	}
	ready($port);
	my $load = start_load($port);
	$load->wait_for_more(300) or die 'no load';
	$node->safe_psql('postgres', 'CHECKPOINT') if $checkpoint;
	sleep between(0.1, 2);
	kill_group($node);
	$load->stop;
	if ($torn)
	{
		my ($differ, $n) = keep_some_pages();
		$unflushed += $differ;
		$n_kept += $n;
	}
	system("rm -rf $data && mv $image $data && rm -f $data/postmaster.pid") == 0 or die 'mv';
	return $node->start(fail_ok => 1) && ready($port) ? $load : undef;
}

my ($acknowledged, $lost) = (0, 0);

for my $round (1 .. $rounds)
{
	my $load = cut(rand() < 0.5, $round % 2 == 0);

	ok($load, "round $round: it comes up") or last;
	my ($missing) = none_wrong($load, $node, "round $round");
	is(event($port, 'afterwards'), 200, "round $round: it serves");
	is($node->safe_psql('postgres', 'SET enable_seqscan = off; SELECT count(*) FROM log WHERE event_timestamp IS NULL'), 0, "round $round: its indexes can be read");
	$acknowledged += $load->codes->{200};
	$lost += $missing;
}

cmp_ok($n_kept, '>', 0, 'some pages were kept that were not flushed');
is($n_kept == $unflushed, '', 'and some were not');
if ($node->psql('postgres', 'CREATE EXTENSION amcheck') == 0)
{
	is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_class c, LATERAL (SELECT FROM verify_heapam(c.oid)) v WHERE relkind = 'r' AND relpersistence = 'p'}),
		0, 'no table is damaged');
	is($node->psql('postgres', q{SELECT bt_index_check(c.oid, true) FROM pg_class c JOIN pg_am a ON a.oid = c.relam WHERE relkind = 'i' AND amname = 'btree' AND relpersistence = 'p'}),
		0, 'no index is');
}

$node->append_conf('postgresql.conf', 'fsync = off');
my $load = cut(0, 0);
my $missing = $load ? ($load->audit($node) =~ /^(\d+)/)[0] : 'all';
cmp_ok($missing eq 'all' ? 1 : $missing, '>', 0, 'a server that does not flush loses events');
$node->stop if $load;
$fault->result("$rounds times: of $acknowledged events that were acknowledged $lost missing, in half of the times with $n_kept of $unflushed pages that were not flushed (with fsync = off: $missing of " . ($load ? $load->codes->{200} : 'them') . ')');

# SmallDisk.pm
#	File systems in memory that are soon full, for an ordinary user too: who uses this is run again in a namespace
#	where he may mount them.
#
# Core Perl and PostgreSQL::Test only.  To be used after Fault, which knows where t/ is.

package SmallDisk;

use strict;
use warnings;

use Exporter 'import';
use POSIX ();
use Test::More;

use PostgreSQL::Test::Utils;
use WindTrap;

our @EXPORT = qw(small_disk fill_disk move_table move_log panics_of_full_log);

my @mounted;

BEGIN
{
	if (!$ENV{WT_FAULT_MOUNTS})
	{
		my @namespace = ('unshare', '--user', '--mount', '--map-current-user', '--keep-caps');
		if (system(@namespace, 'true') == 0)
		{
			$ENV{WT_FAULT_MOUNTS} = 1;
			exec @namespace, $^X, (map { "-I$_" } @INC), $0 or die "unshare: $!";
		}
	}
}

# Makes one of 96 MB; gives where it is.  Skips the whole file where that cannot be.
sub small_disk
{
	plan skip_all => 'an ordinary user can mount nothing here' if !$ENV{WT_FAULT_MOUNTS};
	my $directory = PostgreSQL::Test::Utils::tempdir();
	system('mount', '-t', 'tmpfs', '-o', 'size=96m', 'none', $directory) == 0 or die 'mount';
	push @mounted, $directory;
	return $directory;
}

# Fills it to the last page, by a file that can be removed again: ballast.
sub fill_disk
{
	my ($where) = @_;
	system("dd if=/dev/zero of=$where/ballast bs=64k 2>/dev/null; dd if=/dev/zero bs=1k 2>/dev/null >>$where/ballast");
	return;
}

# Moves the log table of a node into a directory there.
sub move_table
{
	my ($node, $where) = @_;
	$node->safe_psql('postgres', "CREATE TABLESPACE small LOCATION '$where'");
	$node->safe_psql('postgres', q{DO $$ DECLARE p regclass;
		BEGIN FOR p IN SELECT relid FROM pg_partition_tree('log') LOOP EXECUTE format('ALTER TABLE %s SET TABLESPACE small', p); END LOOP; END $$});
	return;
}

# Moves its write-ahead log there, and starts it again.
sub move_log
{
	my ($node, $where) = @_;
	my $log = $node->data_dir . '/pg_wal';

	$node->stop;
	system("cp -a $log/. $where && rm -rf $log") == 0 or die 'cp';
	symlink $where, $log or die "$log: $!";
	$node->start;
	return ready(wt_port($node));
}

# Whether a server whose write-ahead log is on a disk that has been filled panics: when it wants a new segment, which a session
# soon has it want.
sub panics_of_full_log
{
	my ($node, $mark) = @_;
	my $writer = fork() // die "fork: $!";

	if ($writer == 0)
	{
		eval { $node->psql('postgres', 'SELECT pg_logical_emit_message(false, $$fill$$, repeat(md5(random()::text), 30000)) FROM generate_series(1, 200)') };
		POSIX::_exit(0);
	}
	my $panics = wait_for(sub { log_since($node, $mark) =~ /PANIC: .*No space left on device/ }, 120);
	waitpid $writer, 0;
	return $panics;
}

# Else the directory could not be removed.
END
{
	local $?;
	system('umount', '-l', $_) for @mounted;
}

1;

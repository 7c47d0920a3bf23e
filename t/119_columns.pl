# Chunks of columns (src/column/), by a program that writes and reads them without PostgreSQL
# (column_chunks.c), under the sanitizers.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Cwd qw(realpath);
use IPC::Run ();
use Test::More;

use PostgreSQL::Test::Utils;

my $top = realpath("$FindBin::RealBin/..");
my $dir = PostgreSQL::Test::Utils::tempdir();
my $seed = $ENV{WT_SEED} // int(rand(1_000_000));

# Builds it; whether that succeeds.
sub build
{
	my ($name, @flags) = @_;
	my $ok = IPC::Run::run([ 'gcc', '-std=gnu11', '-g', @flags, "-I$top/src", '-o', "$dir/$name",
			"$FindBin::RealBin/column_chunks.c", glob("$top/src/column/*.c"), '-lzstd' ],
		'>', \my $out, '2>', \my $err);
	diag($err) if !$ok;
	return $ok;
}

# Each round has its own rows; a seed that fails is to be seen again.
sub rounds
{
	my ($name, $from, $count) = @_;
	my $ok = IPC::Run::run([ "$dir/$name", $from, $count ], '>', \my $out, '2>', \my $err);
	is($err, '', 'nothing is complained about');
	ok($ok && $out eq "$count rounds\n", "$name: $count rounds from the seed $from");
}

ok(build('checked', '-O1', '-fsanitize=address,undefined', '-fno-sanitize-recover=all'), 'it is built with sanitizers');
rounds('checked', 1, 10);
rounds('checked', $seed, 10);

# As it is built to be used, but for checksums as other processors make them.
ok(build('fast', '-O3', '-DWT_CRC_BY_TABLES'), 'it is built without them');
rounds('fast', $seed + 1, 40);

done_testing();

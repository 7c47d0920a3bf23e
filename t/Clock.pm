# Clock.pm
#	Servers whose clocks a test moves: clock_shift.c, built and preloaded.

package Clock;

use strict;
use warnings;

use Exporter 'import';
use File::Basename qw(dirname);
use Test::More;

use PostgreSQL::Test::Utils;

our @EXPORT = qw(movable_clock at_clock shift_clock set_clock);

my $file;

# Has the servers that are started from here on show a clock that can be moved; skips the
# whole file where that cannot be.  Called again, those that are started from then on have a clock of
# their own; gives the name of the clock, for at_clock().
sub movable_clock
{
	my $directory = PostgreSQL::Test::Utils::tempdir();
	my $library = "$directory/clock_shift.so";
	my $source = dirname(__FILE__) . '/clock_shift.c';

	plan skip_all => 'a sanitizer wants to be loaded first' if $ENV{WT_SANITIZE};
	plan skip_all => 'there is no gcc to build the movable clock with'
	  if system("gcc -shared -fPIC -O2 -o $library $source 2>/dev/null") != 0;
	$file = "$directory/shift";
	shift_clock(0);
	$ENV{CLOCK_SHIFT_FILE} = $file;
	$ENV{LD_PRELOAD} = $library;
	return $file;
}

# From here on it is this clock that is moved, and that servers are started with.
sub at_clock
{
	($file) = @_;
	$ENV{CLOCK_SHIFT_FILE} = $file;
	return;
}

# Has the wall clock show so many seconds more than it does, and the steady one; nothing that
# was moved before adds to it.
sub shift_clock
{
	my ($wall, $steady) = @_;

	open my $out, -e $file ? '+<' : '>', $file or die "$file: $!";
	binmode $out;
	print $out pack('q<q<', $wall, $steady // 0);
	close $out;
	return;
}

# Sets the wall clock to seconds since 1970.
sub set_clock { return shift_clock($_[0] - time); }

1;

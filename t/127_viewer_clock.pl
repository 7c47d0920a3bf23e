# A clock that is set back, or ahead, keeps nothing from who follows.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Test::More;
use Time::HiRes qw(time);

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use WindTrap;
use Viewer;
use Clock;

movable_clock();
my $node = viewer_node('viewer_clock', conf => "windtrap.viewers = 1\n");
my $port = wt_port($node);
my $tail = open_stream(viewer_port($node), 'tail');
my $cursor;

# The next line; by a clock that goes ahead an answer ends early, and who follows goes on.
sub next_line
{
	my ($seconds) = @_;
	my $line = $tail->line($seconds);

	$cursor = $line->{cursor} if $line && $line->{cursor};
	return $line if $line || !$tail->over;
	$tail = open_stream(viewer_port($node), 'tail', after => $cursor);
	return $tail->line($seconds);
}

# Whether an event that is sent now is shown.
sub is_shown
{
	my ($message) = @_;
	my $until = time + 8;

	is(post_json($port, { message => $message })->{status}, 200, "$message: an event is sent");
	while (time < $until)
	{
		my $line = next_line($until - time) // return 0;
		return 1 if $line->{event} && $line->{event}{message} eq $message;
	}
	return 0;
}

ok(next_line(5)->{cursor}, 'somebody follows');
ok(is_shown('as it was'), '… and it is shown');
foreach my $shift (300, -300, 0, 1500, -3600, 0)
{
	shift_clock($shift);
	ok(is_shown("the clock is moved to $shift s"), '… and it is shown');
	ok(is_shown("once more at $shift s"), '… and it is shown');
}
$node->stop;
done_testing();

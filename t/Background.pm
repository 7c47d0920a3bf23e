# Background.pm
#	Statements in sessions of their own, which go on by themselves.
#
# Core Perl and IPC::Run only.

package Background;

use strict;
use warnings;

use Exporter 'import';
use IPC::Run ();

our @EXPORT = qw(background finish);

# Begins a statement; its {out} and {err} are there once it is finished.
sub background
{
	my ($node, $sql) = @_;
	my %job = (out => '', err => '');
	$job{run} = IPC::Run::start([ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres'), '-c', $sql ],
		'<', \undef, '>', \$job{out}, '2>', \$job{err});
	return \%job;
}

# Waits for its end; gives whether it succeeded.
sub finish
{
	my ($job) = @_;
	$job->{run}->finish;
	return $job->{run}->full_result(0) == 0;
}

1;

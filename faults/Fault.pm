# Fault.pm
#	What the files of this directory share: which fault they bring about, from which seed, how long, and
#	what has come of it.
#
# Each file is for one of the faults that docs/reliability.md has a table of.  script/test runs it as it does those of t/,
# in a short form, of seconds; script/faults at full length too, with what it gives in the environment
# (WT_FAULTS=full, WT_SEED, WT_KILLS, WT_MINUTES, WT_FAULT_RESULTS: where results are appended), and writes the table
# of the results.
#
# What is random comes from rand(), whose seed new() sets.
#
# Core Perl and PostgreSQL::Test only.

package Fault;

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../t";

use Exporter 'import';
use POSIX ();
use Test::More;

our @EXPORT = qw(between pick server_processes only_answers none_wrong);

# number: of the fault; name: as the table has it.
sub new
{
	my ($class, %o) = @_;
	my $seed = $ENV{WT_SEED} // int(rand(1_000_000));

	srand $seed;
	note "seed $seed";
	return bless { %o, seed => $seed, full => ($ENV{WT_FAULTS} // '') eq 'full', file => ($0 =~ s{.*/|\.pl$}{}gr) }, $class;
}

# Of two values the one for this run's length.
sub length
{
	my ($self, $short, $full) = @_;
	return $self->{full} ? $full : $short;
}

# A figure between two.
sub between { return $_[0] + rand($_[1] - $_[0]) }

sub pick { return $_[ int rand @_ ] }

# Tests that a load was answered nothing but that, or nothing at all.
sub only_answers
{
	my ($codes, $expected, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return is(join(' ', grep { !/^(?:$expected)$/ } sort keys %$codes), '', $name);
}

# Tests that a node has what a load's ledger says, and gives how many are missing, double, and refused and there.
sub none_wrong
{
	my ($load, $node, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my @wrong = split /\|/, $load->audit($node);

	is("@wrong", '0 0 0', join ': ', $name // (), 'none is missing, double, or refused and there');
	return @wrong;
}

# The processes of a node's server, but for the postmaster: what each shows of itself, by pid.  By their titles, for a
# number may be another process's by now.
sub server_processes
{
	my ($node) = @_;
	my $title = 'postgres: ' . $node->name . ': ';
	my %processes;

	for my $file (glob '/proc/[0-9]*/cmdline')
	{
		open my $in, '<', $file or next;
		my $shown = do { local $/; <$in> } // '';
		close $in;
		$processes{ $file =~ s/\D//gr } = substr($shown, CORE::length $title) =~ s/[ \0]+$//r if index($shown, $title) == 0;
	}
	return \%processes;
}

# Ends the test: the result, a sentence with the figures, becomes a line of the table.
sub result
{
	my ($self, $figures) = @_;
	my $passed = Test::More->builder->is_passing;

	note $figures;
	done_testing();
	return if !$ENV{WT_FAULT_RESULTS};
	my ($version) = `pg_config --version` =~ /([0-9.]+)/;
	open my $out, '>>', $ENV{WT_FAULT_RESULTS} or die "$ENV{WT_FAULT_RESULTS}: $!";
	print $out join("\t", $self->{number}, $self->{name}, $figures, $passed ? 'kept' : '**not kept**',
		POSIX::strftime('%Y-%m-%d', gmtime), $version, $self->{seed}, $self->{file}) . "\n";
	close $out;
	return;
}

1;

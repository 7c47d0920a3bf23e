# OtherCentral.pm
#	A server of the tests' own that events are forwarded to over HTTP: other_central.py, which
#	takes them as WindTrap does, or does what it is told to.
#
# Core Perl, PostgreSQL::Test and python3 with its standard library only.

package OtherCentral;

use strict;
use warnings;

use FindBin;
use IPC::Run ();
use JSON::PP ();

use PostgreSQL::Test::Utils;
use WindTrap;

# It does not run yet.
sub new
{
	my ($class) = @_;
	return bless { port => free_port(), dir => PostgreSQL::Test::Utils::tempdir() }, $class;
}

sub port { return $_[0]{port}; }

# Files of certificate and key make it speak TLS.
sub start
{
	my ($self, @tls) = @_;
	my $python = -x '/usr/bin/python3' ? '/usr/bin/python3' : 'python3';
	$self->{run} = IPC::Run::start([ $python, "$FindBin::RealBin/other_central.py", $self->{port}, $self->{dir}, @tls ],
		'<', '/dev/null', '>', "$self->{dir}/out", '2>&1');
	return wait_for(sub { my $c = connect_to($self->{port}) or return 0; $c->close; 1 });
}

sub pid { return $_[0]{run}{KIDS}[0]{PID}; }

sub kill
{
	my ($self) = @_;
	$self->{run}->kill_kill if $self->{run};
	delete $self->{run};
	return;
}

# What it does from now on, see other_central.py; nothing: what WindTrap does.
sub how
{
	my ($self, %how) = @_;
	open my $out, '>', "$self->{dir}/how.json.new" or die $!;
	print $out JSON::PP->new->encode(\%how);
	close $out;
	return rename "$self->{dir}/how.json.new", "$self->{dir}/how.json";
}

sub file { return "$_[0]{dir}/$_[1]"; }

# The lines of its requests, or of its rows.
sub noted
{
	my ($self, $what) = @_;
	my $file = $self->file($what);
	return map { JSON::PP->new->utf8->decode($_) } split /\n/, -e $file ? slurp_file($file) : '';
}

sub DESTROY { local ($?, $@); $_[0]->kill; return; }

1;

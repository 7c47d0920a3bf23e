# Alerts.pm
#	What windtrap.alerts shows of an alert, and waiting for it.
#
# Core Perl only.

package Alerts;

use strict;
use warnings;

use Exporter 'import';
use Test::More;

use WindTrap;

our @EXPORT = qw(alert_shows alert_becomes);

# A column of an alert's row.
sub alert_shows
{
	my ($node, $name, $column) = @_;
	return $node->safe_psql('postgres', "SELECT $column FROM windtrap.alerts WHERE name = '$name'");
}

# Waits until it is a value, or matches a pattern.
sub alert_becomes
{
	my ($node, $name, $column, $value, $test) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 2;

	ok(wait_for(sub { my $is = alert_shows($node, $name, $column); ref $value ? $is =~ $value : $is eq $value }), $test)
	  or diag($node->safe_psql('postgres', "SELECT jsonb_pretty(to_jsonb(a)) FROM windtrap.alerts a WHERE name = '$name'"));
	return;
}

1;

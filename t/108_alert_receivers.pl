# Whoever receives what alerts tell: over TLS, by the authorities that are configured and nobody else's;
# one that redirects, refuses, fails, asks to wait or hangs; what the view, the server's log and /metrics say of each.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Cwd qw(abs_path);
use Test::More;
use Time::HiRes qw(sleep time);

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Alerts;
use OtherCentral;
use Tls;
use WindTrap;

my $node = wt_node('alerts', conf => "windtrap.alert_interval = '200ms'\nmax_worker_processes = 16\n");
my $port = wt_port($node);

sub query { return $node->safe_psql('postgres', $_[0]); }

sub shown   { return alert_shows($node, @_); }
sub becomes { return alert_becomes($node, @_); }

# An alert that fires at once, with a webhook.
sub alert
{
	my ($name, $webhook) = @_;

	query("SELECT windtrap.alert('$name', 'app:nobody', '1 minute', 1, comparison => '<', webhook => '$webhook')");
	return;
}

# Has what waits to be posted tried at once.
sub hurry { query('UPDATE windtrap.alert_delivery SET next_try = now() WHERE next_try IS NOT NULL'); return }

# A line of /metrics.
sub metric
{
	my ($name) = @_;
	return http($port, 'GET', '/metrics')->{content} =~ /^windtrap_\Q$name\E (\S+)$/m ? $1 : 'none';
}

# How many requests have come for a path.
sub requests
{
	my ($receiver, $path) = @_;
	return scalar grep { $_->{path} eq $path } $receiver->noted('requests');
}

is(metric('process_up{kind="webhooks"}'), 'none', 'nobody posts without an alert, and none should');
is(join(' ', map { metric("alerts{state=\"$_\"}") } qw(new ok firing silenced error)), '0 0 0 0 0', 'no alerts');

#
# One that hangs: it is looked at in the end, since nobody waits for it
#
my $hanging = OtherCentral->new;
ok($hanging->start(), 'a receiver that hangs');
$hanging->how(status => 200, hang => 60);
my $hung = time;
alert('hangs', 'http://127.0.0.1:' . $hanging->port . '/hangs');

#
# TLS
#
my $other = OtherCentral->new;
my $ca = abs_path(authority('ca'));
my $stranger = abs_path(authority('stranger'));
my $mark = log_mark($node);
ok($other->start(issue($ca, 'receiver')), 'a receiver with TLS');
$other->how(status => 200);
my $secure = 'https://localhost:' . $other->port;
alert('secure', "$secure/secure?key=s3cret");
becomes('secure', 'last_error', qr/^its certificate is not trusted \(it has expired, is another host's, or by none of windtrap\.webhook_ca_file, or of the system's\): /,
	'TLS: what the system does not trust is told nothing, and the view says why');
is(shown('secure', "pending || ' ' || given_up"), '1 0', 'TLS: it is tried again');
like(log_since($node, $mark), qr{the webhook of alert "secure" at \Q$secure\E has not taken a notification: its certificate is not trusted}, 'TLS: the log says so');
unlike(join('', grep { !/ statement: / } split /^/, log_since($node, $mark)), qr/s3cret/, 'TLS: without what may be secret');
alter_system($node, 'windtrap.webhook_ca_file' => 'missing.crt');
hurry();
becomes('secure', 'last_error', qr/^windtrap\.webhook_ca_file, or the system's authorities, cannot be read: /, 'TLS: no such file');
alter_system($node, 'windtrap.webhook_ca_file' => $stranger);
hurry();
becomes('secure', 'last_error', qr/^its certificate is not trusted/, 'TLS: nor by another authority');
is(requests($other, '/secure?key=s3cret'), 0, 'TLS: it has been told nothing yet');
alter_system($node, 'windtrap.webhook_ca_file' => $ca);
hurry();
becomes('secure', "pending || ' ' || coalesce(last_error, '')", '0 ', 'TLS: by its own it is told');
is(requests($other, '/secure?key=s3cret'), 1, 'TLS: once');
alert('name', 'https://127.0.0.2:' . $other->port . '/name');
becomes('name', 'last_error', qr/^its certificate is not trusted/, 'TLS: not by a name that the certificate has not');
alert('plain', 'http://localhost:' . $other->port . '/plain');
becomes('plain', 'last_error', qr/no HTTP|connection broke/, 'TLS: nor without it');
$other->kill;
ok($other->start(issue($ca, 'expired', from => -2, to => -1)), 'TLS: its certificate expires');
alert('expired', "$secure/expired");
becomes('expired', 'last_error', qr/^its certificate is not trusted \(it has expired/, 'TLS: it is told nothing any more');
$other->kill;
ok($other->start(issue($ca, 'renewed')), 'TLS: it is renewed');
hurry();
becomes('expired', 'pending', 0, 'TLS: and told');
is(requests($other, '/name') + requests($other, '/plain'), 0, 'TLS: nothing has come otherwise');
$other->kill;
query("SELECT windtrap.drop_alert(name) FROM windtrap.alerts WHERE name <> 'hangs'");

#
# What receivers answer
#
ok($other->start(), 'a receiver');
my $url = 'http://127.0.0.1:' . $other->port;
# What is given up at once.
for my $case (
	[ 302, qr/^it redirects, which is not followed: name the URL that it leads to \(302\)$/, { Location => '/elsewhere' } ],
	[ 307, qr/^it redirects/, { Location => "$url/elsewhere" } ],
	[ 400, qr/^it has answered 400$/ ],
	[ 401, qr/^it does not let us in: does windtrap\.webhook_token_file have its token\? \(401\)$/ ],
	[ 403, qr/^it does not let us in/ ],
	[ 404, qr/^it has answered 404$/ ],
	[ 410, qr/^it has answered 410$/, { 'Retry-After' => 1 } ])
{
	my ($code, $pattern, $headers) = @$case;

	$other->how(status => $code, headers => $headers // {});
	alert("code$code", "$url/code$code");
	becomes("code$code", 'last_error', $pattern, "$code: the view says what it is");
	is(shown("code$code", "pending || ' ' || given_up"), '0 1', "$code: it is given up");
}
is(requests($other, '/elsewhere'), 0, 'redirects: are not followed');
my $given_up = metric('alert_posts_total{result="given_up"}');
is($given_up, 7, '/metrics: what was given up');
# One that is looked into can be told again.
$other->how(status => 204, body => '');
is(query(q{UPDATE windtrap.alert_delivery SET next_try = now() WHERE alert = 'code404'; SELECT count(*) FROM windtrap.alert_delivery WHERE alert = 'code404' AND next_try IS NOT NULL}), 1,
	'404: what was given up is wanted again');
becomes('code404', "given_up || ' ' || (last_delivered IS NOT NULL)", '0 true', '404: and taken');
# What is tried again.
for my $code (408, 429, 500, 503)
{
	my ($failed, $delivered) = map { metric("alert_posts_total{result=\"$_\"}") } qw(failed delivered);

	$other->how(status => $code);
	alert("code$code", "$url/code$code");
	becomes("code$code", 'last_error', "it has answered $code", "$code: the view says what it is");
	is(shown("code$code", "pending || ' ' || given_up"), '1 0', "$code: it waits");
	ok(wait_for(sub { metric('alert_posts_waiting') >= 1 }), "$code: /metrics say that it does");
	$other->how(status => 200);
	becomes("code$code", "pending || ' ' || given_up || ' ' || coalesce(last_error, '')", '0 0 ', "$code: it is tried again by itself, and taken");
	cmp_ok(metric('alert_posts_total{result="failed"}'), '>', $failed, "$code: /metrics count the tries that failed");
	cmp_ok(metric('alert_posts_total{result="delivered"}'), '>', $delivered, "$code: and what was taken");
}
is(metric('alert_posts_total{result="given_up"}'), $given_up, '/metrics: none of them was given up');
# It names a time, and is not asked before that.
$other->how(status => 503, headers => { 'Retry-After' => 3600 });
alert('later', "$url/later");
becomes('later', 'last_error', 'it has answered 503', 'Retry-After: a receiver that wants an hour');
is(query(q{SELECT next_try - last_try BETWEEN interval '3590 s' AND interval '3610 s' FROM windtrap.alert_delivery WHERE alert = 'later'}), 't', 'Retry-After: has it');
# An hour after the first try.
query(q{UPDATE windtrap.alert_delivery SET first_try = now() - interval '61 minutes', next_try = now() WHERE alert = 'later'});
becomes('later', "pending || ' ' || given_up", '0 1', 'for an hour: it is given up');
like(log_since($node, $mark), qr/the webhook of alert "later" at \Q$url\E has not taken a notification: it has answered 503\n.*It is not tried again/, 'for an hour: the log says so');

#
# How they stand
#
query(q{SELECT windtrap.drop_alert(name) FROM windtrap.alerts WHERE name <> 'hangs'});
query(q{SELECT windtrap.alert('calm', 'app:nobody', '1 minute', 1); SELECT windtrap.alert('quiet', 'app:nobody', '1 minute', 1); SELECT windtrap.silence_alert('quiet', '1 hour')});
ok(wait_for(sub { join(' ', map { metric("alerts{state=\"$_\"}") } qw(new ok firing silenced error)) eq '0 1 1 1 0' }), '/metrics: alerts by how they stand')
  or diag join ' ', map { metric("alerts{state=\"$_\"}") } qw(new ok firing silenced error);
is(join(' ', map { metric("process_up{kind=\"$_\"}") } qw(alerts webhooks)), '1 1', '/metrics: who counts and who posts are there');
is(query(q{SELECT value FROM windtrap.metrics WHERE name = 'alerts' AND label_value = 'firing'}), 1, 'windtrap.metrics has the same');

# Its ten seconds are over soon, or long ago.
becomes('hangs', 'last_error', qr/^there is no answer in time: /, 'hangs: for so long, then the view says so');
cmp_ok(time - $hung, '>=', 9, 'hangs: and not sooner');
is(shown('hangs', "pending || ' ' || given_up"), '1 0', 'hangs: it is tried again');
$hanging->kill;
ok($hanging->start(), 'hangs: no more');
$hanging->how(status => 200);
hurry();
becomes('hangs', 'pending', 0, 'hangs: and told');

query('SELECT windtrap.reset_stats()');
is(join(' ', map { metric("alert_posts_total{result=\"$_\"}") } qw(delivered failed given_up)), '0 0 0', 'reset_stats(): begins again');
ok(wait_for(sub { metric('alerts{state="firing"}') == 1 && metric('alert_posts_waiting') == 0 }), 'reset_stats(): but for what is now');
query('SELECT windtrap.drop_alert(name) FROM windtrap.alerts');
ok(wait_for(sub { join(' ', map { metric("alerts{state=\"$_\"}") } qw(new ok firing silenced error)) eq '0 0 0 0 0' && metric('process_up{kind="alerts"}') eq 'none' }),
	'without alerts there are none to be counted');

unlike(log_since($node), qr/terminated by signal|PANIC|TRAP/, 'nothing has crashed');
$_->kill for $other, $hanging;
$node->stop;
done_testing();

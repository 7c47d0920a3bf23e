# Two collectors whose clocks differ, by hours ahead and by days behind, or are set while one waits for the
# other: what is forwarded over HTTP is there once, as it was, though answers get lost and what was sent comes
# again.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Test::More;
use Time::HiRes qw(sleep time);

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Clock;
use Forward;
use Relay;
use WindTrap;

use constant { HOUR => 3600, DAY => 86400 };

my $central_clock = movable_clock();
my $central = wt_node('central', conf => "windtrap.retention = '90 days'\n");
my $first_clock = movable_clock();
my $node = wt_node('first');
my $port = wt_port($node);
my $line = Relay->start(wt_port($central));
my $url = 'http://127.0.0.1:' . $line->port . '/log';

sub query { return $node->safe_psql('postgres', $_[0]); }
sub there { return $central->safe_psql('postgres', $_[0]); }

# Sends events while one clock shows another time: by the time they came, by a time of their own, and by one
# that is farther ahead than is believed.  None is there yet.
sub send_some
{
	my ($name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $now = query('SELECT floor(extract(epoch FROM now()))');

	is(put_batch($port, 50, $name), 200, "$name: a batch");
	is(post($port, sprintf(qq({"id":"$name own","ts":%d}\n{"id":"$name far","ts":%d}\n), $now + HOUR / 2, $now + 2 * HOUR),
			type => 'application/x-ndjson', path => '/log?time_field=ts')->{status}, 200, "$name: and two with times of their own");
	is(query(qq{SELECT string_agg((extract(epoch FROM event_timestamp) - $now >= 1800) || ' ' || (data ? 'note'), ' ' ORDER BY data->'json'->>'id' DESC)
			FROM log WHERE data->'json'->>'id' IN ('$name own', '$name far')}),
		'true false false true', "$name: of which the clock there is the judge");
	return;
}

# That it has all, once, and as it is.
sub is_the_same
{
	my ($name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	# Without a reload, which would end a pause: that ends by itself, whatever the calendar says.
	ok(drained($node, undef, 120), "$name: all is forwarded");
	ok(rows_as_sent($central) eq rows_as_sent($node), "$name: each is there once, its time, its id and its envelope as they were");
	return;
}

ok(forward_to($node, $url), 'a target');
send_some('as it is');
is_the_same('as it is');

#
# The clock of the first one
#
my $expected = there('SELECT count(*) FROM log');
for my $case ([ 'five hours ahead', 5 * HOUR ], [ 'three days behind', -3 * DAY ], [ 'sixty days behind', -60 * DAY ], [ 'two hundred days ahead', 200 * DAY ])
{
	my ($name, $shift) = @$case;
	my $known = known_again($central);
	my $lost = $line->noted('lost');

	at_clock($first_clock);
	# The clock is set in a pause that a failure has made, or just before one.
	$line->how(refuse => 1);
	shift_clock(0);
	is(put_batch($port, 50, "before $name"), 200, "$name: a batch before");
	ok(wait_state($node, $url, 'failing'), "$name: the line is broken");
	shift_clock($shift);
	send_some($name);
	$line->how(lose_answers => 2);
	is_the_same($name);
	is($line->noted('lost') - $lost, 2, "$name: answers were lost");
	cmp_ok(known_again($central) - $known, '>=', 2, "$name: and what was sent again was known");
	is(there(qq{SELECT count(*) FROM log WHERE data->'json'->>'id' LIKE '$name%' AND abs(extract(epoch FROM (data->'via'->0->>'time')::timestamptz - now())) > 300}),
		0, "$name: its hop bears the time of the central one");
	is(there(qq{SELECT DISTINCT abs(extract(epoch FROM (data->>'time')::timestamptz - now()) - $shift) < 300 FROM log WHERE data->'json'->>'id' LIKE '$name%'}),
		't', "$name: the envelope that of the first");
	$expected += 50 + 52;
}
{
	at_clock($central_clock);
	there('SELECT windtrap.upkeep()');
	is(there(q{SELECT string_agg(DISTINCT CASE WHEN event_timestamp < date_bin('1 day', now(), '1970-01-01 00:00:00+00') + interval '2 days' THEN 'its day' ELSE 'to come' END
			|| ' ' || CASE tableoid::regclass::text WHEN to_char(event_timestamp AT TIME ZONE 'UTC', '"log_"YYYYMMDD') THEN 'has it' WHEN 'log_default' THEN 'waits' END, ', ')
			FROM log}), 'its day has it, to come waits', 'days gone by have their partitions, and what is to come waits for its own');
	is(there('SELECT count(*) FROM log'), $expected, 'all are there');
}

#
# What is older than the central one keeps is not kept there
#
{
	my $name = 'two hundred days behind';
	at_clock($first_clock);
	shift_clock(-200 * DAY);
	$line->how(lose_answers => 1);
	send_some($name);
	is_the_same($name);
	there('SELECT windtrap.upkeep(force => true)');
	is(there(qq{SELECT count(*) FROM log WHERE data->'json'->>'id' LIKE '$name%'}), 0, "$name: its retention holds");
	is(there('SELECT count(*) FROM log'), $expected, "$name: for those alone");
	query(qq{DELETE FROM log WHERE data->'json'->>'id' LIKE '$name%'});
	shift_clock(0);
}

#
# The clock of the central one, between a request and the same again
#
for my $case ([ 'twenty hours ahead there', 20 * HOUR ], [ 'two days behind there', -2 * DAY ])
{
	my ($name, $shift) = @$case;
	my $known = known_again($central);
	my $lost = $line->noted('lost');

	at_clock($central_clock);
	$line->how(lose_answers => 1, then_refuse => 1);
	send_some($name);
	ok(wait_for(sub { $line->noted('lost') > $lost }), "$name: an answer is lost");
	shift_clock($shift);
	$line->how;
	is_the_same($name);
	cmp_ok(known_again($central) - $known, '>=', 1, "$name: what was sent again was known");
	shift_clock(0);
}

#
# Dead letters, too, are tried again after so many seconds, and not after so many hours
#
{
	there('ALTER TABLE log ADD CONSTRAINT no_letters CHECK (false) NOT VALID');
	at_clock($first_clock);
	is(put_batch($port, 1, 'letter'), 200, 'a letter: an event that is refused there');
	ok(wait_for(sub { query('SELECT count(*) FROM windtrap.dead_letter') eq '1' }), 'a letter: is set aside');
	shift_clock(-5 * HOUR);
	there('ALTER TABLE log DROP CONSTRAINT no_letters');
	ok(wait_for(sub { query('SELECT count(*) FROM windtrap.dead_letter') eq '0' }, 60), 'a letter: is taken, though the clock was set back');
	shift_clock(0);
	is_the_same('a letter');
}

unlike(log_since($_), qr/terminated by signal|PANIC|TRAP/, 'nothing has crashed') for $node, $central;
$node->stop;
$central->stop;
done_testing();

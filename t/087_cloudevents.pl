# CloudEvents over HTTP.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Test::More;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Protocol;
use WindTrap;

my $node = wt_node('cloudevents');
my $port = wt_port($node);
my $text = "Gr\x{fc}\x{df}e, \x{4e16}\x{754c} \x{1f680}";

sub clear { return $node->safe_psql('postgres', 'TRUNCATE log, windtrap.idempotency_key'); }

# Real clients, structured and binary.
for my $name (grep { capture($_) =~ /cloudevents\+json|^ce-id/im } captures(''))
{
	clear();
	my $answer = replay($port, $name);
	is("$answer->{status} $answer->{content}", "200 {\"accepted\":1}\n", "$name is stored");
	my $row = row_of($node);
	my $event = $row->{data};
	is($event->{protocol}, 'cloudevents', 'as what it is');
	is($event->{cloudevents}{type}, 'com.example.log', 'with its attributes');
	is($event->{cloudevents}{source}, '/shop', 'all of them');
	ok(!exists $event->{cloudevents}{data}, 'and nothing twice');
	like($event->{json}{message}, qr/^(user alice logged in|\Q$text\E)$/, 'the data is the event');
	my ($date, $fraction) = $event->{cloudevents}{time} =~ /^(.*)(\.\d+)/;
	is($row->{time} % 1_000_000, int(substr("$fraction" . '0' x 6, 1, 6)), 'its time is its own, to the microsecond');
}

# Batches.
clear();
my $answer = post($port, '[{"id":"1","source":"/a","type":"t","specversion":"1.0","data":{"n":1}},{"id":"2","source":"/a","type":"t","specversion":"1.0","datacontenttype":"image/png","data_base64":"iVBO"},{"id":"3","source":"/a","type":"t","specversion":"1.0"},7]',
	type => 'application/cloudevents-batch+json');
is($answer->{status}, 200, 'a batch');
is_deeply(json_of($answer), { accepted => 3, rejected => 1, error => 'a CloudEvent is an object with id, source, specversion and type' }, 'of which one is none');
is_deeply([ map { $_->{data}{json} } rows($node, 'status = 0') ], [ { n => 1 }, { type => 'image/png', base64 => 'iVBO' }, undef ], 'data, bytes, and none');
is_deeply((rows($node))[1]{data}{cloudevents}, { id => '2', source => '/a', type => 't', specversion => '1.0', datacontenttype => 'image/png' }, 'attributes');

# Binary with other data, and attributes that are escaped.
clear();
is(post($port, 'plain text', type => 'text/plain', path => '/', headers => { 'ce-specversion' => '1.0', 'ce-id' => '1', 'ce-source' => '/a%20%E2%82%AC', 'ce-type' => 't', 'ce-MyExtension' => 'x' })->{status}, 200, 'text as data');
is(row_of($node)->{data}{json}, 'plain text', 'is the event');
is_deeply((rows($node))[0]{data}{cloudevents}, { specversion => '1.0', id => '1', source => "/a \x{20ac}", type => 't', myextension => 'x' }, 'attributes are unescaped, names in lower case');
clear();
is(post($port, '{"cut', headers => { 'ce-specversion' => '1.0', 'ce-id' => '1', 'ce-source' => '/a', 'ce-type' => 't' })->{status}, 200, 'bad JSON as data');
is(row_of($node)->{data}{raw}, '{"cut', 'is in quarantine');
is((rows($node))[0]{data}{cloudevents}{id}, '1', 'with its attributes');
is(post($port, '', type => 'application/cloudevents+json')->{status}, 400, 'an empty body is refused');

# What the log table refuses keeps the attributes that are its own.
clear();
$node->safe_psql('postgres', q{ALTER TABLE log ADD CONSTRAINT no_two CHECK (data->'json'->>'n' IS DISTINCT FROM '2')});
is(post($port, '[' . join(',', map {qq({"id":"$_","source":"/a","type":"t","specversion":"1.0","data":{"n":"$_"}})} 1 .. 3) . ']', type => 'application/cloudevents-batch+json')->{status}, 200, 'a batch of which the table refuses one');
is(join(' ', sort map { "$_->{data}{cloudevents}{id}:$_->{status}" } rows($node)), '1:0 2:422 3:0', 'it is in quarantine as the one that it is');
$node->safe_psql('postgres', 'ALTER TABLE log DROP CONSTRAINT no_two');
is($node->safe_psql('postgres', 'SELECT count(*) FROM windtrap.retry_quarantined() WHERE error IS NULL'), 1, 'it is taken back');
is(join(' ', sort map { "$_->{data}{json}{n} $_->{data}{cloudevents}{id}" } rows($node, 'status = 0')), '1 1 2 2 3 3', 'as it was sent');

done_testing();

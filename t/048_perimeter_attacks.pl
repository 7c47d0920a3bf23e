# What came of attacks on the perimeter: requests whose answers have hardly any room, values
# with blanks behind them, origins that are none.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Test::More;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use WindTrap;

my $node = wt_node('perimeter');
my $port = wt_port($node);

sub query { return $node->safe_psql('postgres', $_[0]); }

my $token = query(q{SELECT windtrap.create_token('sender')});
my $page_token = query(
	q{SELECT windtrap.create_token('page', origins => '{https://*.shop.example}')});
my $origin = 'Origin: https://www.shop.example';

# The answer to one request on a connection of its own.
sub answer
{
	my ($method, $body, @headers) = @_;
	my $c = connect_to($port);

	$c->request($body, method => $method, headers => \@headers);
	my $answer = $c->response // { status => 'none', content => '', headers => {} };
	$c->close;
	return $answer;
}

#
# A head may take nearly all the memory that a connection has.  What is stored is answered,
# and what cannot be answered is not stored.
#
{
	my %kinds = (
		'an event' => [ 'POST', "X-API-Key: $token", 'X: %' ],
		'an event of a page' => [ 'POST', "X-API-Key: $page_token", $origin, 'X: %' ],
		'an event with cookies' => [ 'POST', "X-API-Key: $token", 'Cookie: a=%; b=c' ],
		'a page of a long name' =>
		  [ 'POST', "X-API-Key: $page_token", 'Origin: https://%.shop.example' ],
		'an event without a token' => [ 'POST', 'X: %' ],
		'a preflight' => [
			'OPTIONS', $origin,
			'Access-Control-Request-Method: POST',
			'Access-Control-Request-Headers: %' ],);

	for my $kind (sort keys %kinds)
	{
		my ($method, @headers) = @{ $kinds{$kind} };
		my $before = query('SELECT count(*) FROM log');
		my %seen;

		for my $size (map { $_ * 100 } 65 .. 82, 140 .. 165)
		{
			my $status = answer($method, $method eq 'POST' ? '{"a":1}' : undef,
				map { s/%/'a' x $size/er } @headers)->{status};
			$seen{$status}++;
		}
		# MHD takes the cookies apart before it asks us, and ends the connection where it
		# has no memory for that.
		delete $seen{none} if $kind =~ /cookies/;
		my $fits = $method eq 'OPTIONS' ? 204 : $kind =~ /without/ ? 401 : 200;
		is_deeply([ sort keys %seen ], [ $fits, 431 ], "$kind: each size is answered");
		is(query('SELECT count(*) FROM log') - $before,
			$fits == 200 ? $seen{200} : 0,
			"$kind: stored is what was answered 200");
	}
	like(answer('POST', '{}', "X-API-Key: $token", 'X: ' . 'a' x 15_500)->{content},
		qr/head of the request is too large/, 'the answer says why');
	is(answer('POST', '{}', "X-API-Key: $token", 'X: ' . 'a' x 14_000)->{status},
		200, 'about 14 kB are taken');
}

#
# Blanks behind a value do not belong to it.
#
{
	is(answer('POST', '{"blank":1}', "X-API-Key: $token \t ")->{status}, 200, 'a token');
	is(answer('POST', '{"blank":2}', "Authorization: Bearer $token  ",
			'Content-Type: text/plain ', 'X-Note: a b ')->{status}, 200, 'a bearer');
	is(query(q{SELECT data->'headers'->>'x-note' || '|' || (data->'headers'->>'content-type') || '|'
			FROM log WHERE data->'json'->>'blank' = '2'}), 'a b|text/plain|', 'they are not stored');
	is(answer('POST', '{}', "X-API-Key: $page_token", "$origin ")
		  ->{headers}{'access-control-allow-origin'}, 'https://www.shop.example', 'an origin');
}

#
# What no browser takes for a host does not match "*.shop.example".
#
for my $host ('evil.example/', 'evil.example#', 'evil.example?', 'a@evil.example\\', 'a b', "\xE9", '[::1]')
{
	is(answer('POST', '{}', "X-API-Key: $page_token", "Origin: https://$host.shop.example")->{status},
		403, "https://$host.shop.example is refused");
}

#
# A token that is revoked, or made, while a batch is being stored: what comes then is
# decided on by what there is then.
#
$node->safe_psql('postgres', <<'SQL');
CREATE FUNCTION be_slow() RETURNS trigger LANGUAGE plpgsql AS
	$$ BEGIN IF NEW.data->'json' ? 'slow' THEN PERFORM pg_sleep(1); END IF; RETURN NEW; END $$;
CREATE TRIGGER be_slow BEFORE INSERT ON log FOR EACH ROW EXECUTE FUNCTION be_slow();
SQL
for my $case ([ 'an event', '{"slow":1}' ],
	[ 'statements', join "\n", '{"slow":1}', ('{"fast":1}') x 4000 ])
{
	my ($name, $body) = @$case;
	my $old = query(q{SELECT windtrap.create_token('old')});
	my @connections = map { connect_to($port) } 1 .. 3;

	$_->request('{}', headers => ["X-API-Key: $old"]) && $_->response for @connections;
	$connections[0]->request($body, headers => ["X-API-Key: $token"]);
	ok(wait_for(sub {
		query(q{SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'}) == 1
	}), "$name: a batch is being stored");
	query(q{SELECT windtrap.revoke_token('old')});
	my $new = query(q{SELECT windtrap.create_token('new')});
	$connections[1]->request('{}', headers => ["X-API-Key: $old"]);
	$connections[2]->request('{}', headers => ["X-API-Key: $new"]);
	is($connections[1]->response->{status}, 401, "$name: a token that was revoked meanwhile");
	is($connections[2]->response->{status}, 200, "$name: one that was made meanwhile");
	is($connections[0]->response->{status}, 200, "$name: and the batch is stored");
	query(q{SELECT windtrap.revoke_token('new')});
}

is(answer('POST', '{}', "X-API-Key: $token")->{status}, 200, 'the next good event is accepted');
$node->stop;
unlike(log_since($node), qr/terminated by signal|PANIC|TRAP|libmicrohttpd failed/,
	'nothing has crashed');
done_testing();

# An event whose trigger hangs takes those along that share its transaction, as docs/faults.md
# says: they are told to send again, within the limit, and are stored once when they do.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Test::More;
use Time::HiRes qw(sleep time);

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use WindTrap;

my $node = wt_node('hanging', conf => "windtrap.request_timeout = '2s'\n");
my $port = wt_port($node);

sub query { return $node->safe_psql('postgres', $_[0]); }

# Sends events at once, each on a connection of its own; gives [code, answer] of each.
sub send_all
{
	my (@events) = @_;
	my @crowd = map { connect_to($port) } @events;
	my @answers;

	# While a worker is started again there is no connection.
	for my $i (grep { $crowd[$_] } 0 .. $#events)
	{
		$crowd[$i]->request($events[$i]->[1],
			headers => ["Content-Type: $events[$i]->[0]"]);
	}
	for my $connection (@crowd)
	{
		my $answer = $connection ? $connection->response(seconds => 15) : undef;

		push @answers, $answer ? [ $answer->{status}, $answer->{content} ] : [ 0, '' ];
	}
	return @answers;
}

sub single { return [ 'application/json', qq({"id":"$_[0]"}) ]; }

# Ids that are not in the log exactly once.
sub unaccounted
{
	my (@ids) = @_;
	my %stored;

	$stored{$_}++ for split /\n/, query(q{SELECT data->'json'->>'id' FROM log});
	return join ' ', map { "$_: " . ($stored{$_} // 0) } grep { ($stored{$_} // 0) != 1 } @ids;
}

is(event($port, 'first'), 200, 'an event');
query(<<'SQL');
CREATE FUNCTION hang() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF new.data->'json' ? 'hang' THEN PERFORM pg_sleep(60); END IF;
	IF new.data->'json' ? 'hang for ever' THEN
		LOOP
			BEGIN
				PERFORM pg_sleep(60);
			EXCEPTION WHEN query_canceled THEN
				NULL;
			END;
		END LOOP;
	END IF;
	RETURN new;
END $$;
CREATE TRIGGER hang BEFORE INSERT ON log FOR EACH ROW EXECUTE FUNCTION hang();
SQL

# Two that hang, among their neighbours.  Where the trigger cannot even be cancelled the
# worker ends, and nobody has an answer.
for my $way ([ 'hang', 503, qr/statement timeout|canceling/ ], [ 'hang for ever', '503|0', qr/^\z/ ])
{
	my ($key, $codes, $reason) = @$way;
	my $name = $key eq 'hang' ? 'a trigger that hangs' : 'a trigger that cannot be cancelled';
	my $prefix = $key eq 'hang' ? 'h' : 'f';
	my @hanging = ([ 'application/json', qq({"id":"$prefix hangs","$key":1}) ]) x 2;
	my @ids = map { "$prefix $_" } 1 .. 20;
	my @batches = map { my $b = $_; [ map { "$prefix batch $b $_" } 1 .. 30 ] } 1 .. 3;
	my @events = (
		$hanging[0],
		(map { single($_) } @ids[ 0 .. 9 ]),
		$hanging[1],
		(map { single($_) } @ids[ 10 .. 19 ]),
		(map { [ 'application/x-ndjson', join '', map { qq({"id":"$_"}\n) } @$_ ] } @batches));
	my @answers;
	my $mark = log_mark($node);
	my $took = elapsed(sub { @answers = send_all(@events) });

	note "$name: ", sprintf('%.1f s, ', $took), join ' ', map { $_->[0] } @answers;
	is(scalar(grep { $_->[0] !~ /^($codes|200)$/ } @answers), 0, "$name: no other answers than $codes and 200");
	cmp_ok($answers[0]->[0], '!=', 200, "$name: not for the one that hangs");
	cmp_ok($answers[11]->[0], '!=', 200, "$name: nor the other");
	cmp_ok(scalar(grep { $_->[0] != 200 } @answers), '>', 2, "$name: neighbours are taken along") if $key eq 'hang';
	like($answers[0]->[1], $reason, "$name: the reason is told");
	cmp_ok($took, '<', 15, "$name: all are answered soon");

	# Who was told so sends again, until it is taken; those that hang give up.
	my @all = (@ids, map { @$_ } @batches);
	my @left = grep { $answers[$_]->[0] != 200 && $events[$_]->[1] !~ /hang/ } 0 .. $#events;
	my $until = time + 20;

	is(unaccounted(grep { my $i = $_; !grep { $events[$_]->[1] =~ /"\Q$i\E"/ } @left } @all), '', "$name: what was acknowledged is there, once");
	is(query(qq{SELECT count(*) FROM log WHERE data->'json'->>'id' LIKE '$prefix %'}),
		scalar(grep { my $i = $_; !grep { $events[$_]->[1] =~ /"\Q$i\E"/ } @left } @all),
		"$name: and nothing that was not");
	while (@left && time < $until)
	{
		sleep 0.05;
		my @again = send_all(@events[@left]);
		@left = @left[ grep { $again[$_]->[0] != 200 } 0 .. $#left ];
	}
	is(scalar @left, 0, "$name: neighbours are taken when they are sent again");
	is(unaccounted(@all), '', "$name: and are there, each once");
	is(query(q{SELECT count(*) FROM log WHERE data->'json'->>'id' LIKE '% hangs'}), 0, "$name: what hangs is not");
	unlike(log_since($node, $mark), qr/terminated by signal|PANIC/, "$name: nothing has crashed");
}

# One that is sent again and again does not keep the others out: they come through between.
{
	my $stubborn = fork() // die "fork: $!";

	if ($stubborn == 0)
	{
		post_json($port, { hang => 1 }, timeout => 10) while 1;
	}
	my $until = time + 20;
	my ($rounds, @all) = (0);
	for my $wave (1 .. 3)
	{
		my @left = map { "beside $wave $_" } 1 .. 20;

		push @all, @left;
		while (@left && time < $until)
		{
			my @answers = send_all(map { single($_) } @left);
			@left = @left[ grep { $answers[$_]->[0] != 200 } 0 .. $#left ];
			$rounds++;
		}
		is(scalar @left, 0, "events come through beside one that hangs and is sent again and again, wave $wave");
	}
	note "$rounds rounds";
	is(unaccounted(@all), '', 'each once');
	kill 'KILL', $stubborn;
	waitpid $stubborn, 0;
}

query('DROP FUNCTION hang CASCADE');
ok(wait_for(sub { event($port, 'last') == 200 }), 'without the trigger all is well');
$node->stop;
done_testing();

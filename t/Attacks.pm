# Attacks.pm
#	Reads the corpus of requests that are refused, t/attacks/*.txt: an attack a line, so that
#	adding one is adding a line.
#
# A line has fields, separated by two spaces or more, of which the last is what is sent:
#
#	\r \n \t \0 \e \\ \xFF	a byte
#	<text*1000>				the text, so many times; # in it is the number of the time
#	$gzip(text)				the text compressed, a member of its own
#	$cut4(text)				the text without its last 4 bytes
#	%NAME%					what the caller says that this stands for
#
# They can stand in each other.  Empty lines and those that begin with # are skipped.
#
# Core Perl only.

package Attacks;

use strict;
use warnings;

use Exporter 'import';
use FindBin;
use IO::Compress::Gzip ();

our @EXPORT = qw(attacks);

my %escapes = (r => "\r", n => "\n", t => "\t", 0 => "\0", e => "\e", '\\' => '\\');

# The attacks of a file: of each a reference to its fields, n of them, the last one as bytes.
# names: what %NAME% stands for.
sub attacks
{
	my ($file, $n, %names) = @_;
	my @attacks;

	open my $in, '<', "$FindBin::RealBin/attacks/$file" or die "$file: $!";
	while (my $line = <$in>)
	{
		chomp $line;
		next if $line =~ /^(#|$)/;
		my @fields = split / {2,}/, $line, $n;
		push @fields, '' if @fields == $n - 1;
		die "$file, line $.: there are not $n fields" if @fields != $n;
		$fields[-1] = eval { bytes($fields[-1], \%names) } // die "$file, line $.: $@";
		push @attacks, \@fields;
	}
	close $in;
	die "$file is empty" if !@attacks;
	return @attacks;
}

sub bytes
{
	my ($text, $names) = @_;
	my $bytes = '';

	for ($text)
	{
		pos = 0;
		$bytes = parse($names, qr/\z/);
	}
	return $bytes;
}

# Parses $_ from pos on up to what matches the end.
sub parse
{
	my ($names, $end) = @_;
	my $bytes = '';

	until (/\G(?=$end)/gc)
	{
		if (/\G\\x([0-9A-F]{2})/gc) { $bytes .= chr hex $1; }
		elsif (/\G\\(.)/gc) { $bytes .= $escapes{$1} // die "what is \\$1?\n"; }
		elsif (/\G%([A-Z]+)%/gc) { $bytes .= $names->{$1} // die "what is %$1%?\n"; }
		elsif (/\G</gc)
		{
			my $piece = parse($names, qr/\*\d+>/);
			/\G\*(\d+)>/gc;
			my $times = $1;
			$bytes .=
			  $piece =~ /#/
			  ? join '', map { $piece =~ s/#/$_/gr } 1 .. $times
			  : $piece x $times;
		}
		elsif (/\G\$gzip\(/gc)
		{
			my $plain = parse($names, qr/\)/);
			/\G\)/gc;
			IO::Compress::Gzip::gzip(\$plain => \my $gzip, Minimal => 1) or die "gzip\n";
			$bytes .= $gzip;
		}
		elsif (/\G\$cut(\d+)\(/gc)
		{
			my $cut = $1;
			$bytes .= substr parse($names, qr/\)/), 0, -$cut;
			/\G\)/gc;
		}
		elsif (/\G([^\\%<\$*)]+|.)/gcs) { $bytes .= $1; }
		else { die "it does not end\n"; }
	}
	return $bytes;
}

1;

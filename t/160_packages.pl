# What packages are made of says the same in all its places: versions, descriptions, commands.

use strict;
use warnings;

use FindBin;

use JSON::PP;
use Test::More;

use PostgreSQL::Test::Utils;

my $root = "$FindBin::RealBin/..";
sub text { return slurp_file("$root/$_[0]") }

# META.json, by the PGXN Meta Spec 1.0.0.
my $meta = decode_json(text('META.json'));
my $version = qr/\A(?:0|[1-9][0-9]*)(?:\.(?:0|[1-9][0-9]*)){2}(?:[-+]?[A-Za-z][-0-9A-Za-z]*)?\z/;
ok(defined $meta->{$_}, "META.json has $_") foreach qw(name version abstract maintainer license provides meta-spec);
is($meta->{'meta-spec'}{version}, '1.0.0', 'it is of that version of the specification');
is_deeply([ grep { !/\A(?:name|version|abstract|description|maintainer|license|release_status|provides|prereqs|tags|generated_by|resources|no_index|meta-spec|x_\w+)\z/i } keys %$meta ],
	[], 'and says nothing that this does not know');
like($_, qr/\A[^\s\/\\[:cntrl:]]{2,}\z/, "$_ is a name") foreach $meta->{name}, keys %{ $meta->{provides} };
like($_, $version, "$_ is a semantic version") foreach $meta->{version}, map { $_->{version} } values %{ $meta->{provides} };
like($_, qr/\A[^\/\\[:cntrl:]]{1,256}\z/, "$_ is a tag") foreach @{ $meta->{tags} };
is($meta->{license}, 'postgresql', 'the license is one that it knows');
like($meta->{release_status}, qr/\A(?:stable|testing|unstable)\z/, 'so is the status');
foreach my $phase (values %{ $meta->{prereqs} })
{
	like($_, $version, "$_ is a version that is needed") foreach map { values %$_ } values %$phase;
}

my %directory = (windtrap => '.', windtrap_mongo => 'mongo');
is_deeply([ sort keys %{ $meta->{provides} } ], [ sort keys %directory ], 'both extensions are in it');
foreach my $name (sort keys %directory)
{
	my $extension = $meta->{provides}{$name};
	my ($default) = text("$directory{$name}/$name.control") =~ /^default_version = '(.*)'/m;
	ok(-e "$root/$extension->{$_}", "$name: its $_ is there") foreach qw(file docfile);
	like($extension->{version}, qr/\A\Q$default\E\.[0-9]+\z/, "$name: the version is its control file's");
}

my ($default) = text('windtrap.control') =~ /^default_version = '(.*)'/m;
my ($debian) = text('debian/changelog') =~ /\Awindtrap \((.*)-[0-9]+\) /;
like("$meta->{version}\n", qr/\A\Q$debian\E(?:\.0)?\n/, "debian/changelog's newest version is META.json's");
like($debian, qr/\A\Q$default\E(?:\.|\z)/, 'and that of the extension');
like(text('CHANGELOG.md'), qr/^## \Q$default\E /m, 'which CHANGELOG.md has');

# On releases with another PostgreSQL script/package makes another one.
my ($major) = text('debian/control') =~ /^Package: postgresql-([0-9]+)-windtrap$/m;
is(text('debian/control'), text('debian/control.in') =~ s/PGVERSION/$major/gr,
	"debian/control is what pg_buildext makes of debian/control.in for PostgreSQL $major");

# What is pasted into a shell, and what is given to cloud-init.
my ($paste) = text('docs/droplet.md') =~ /^## In one paste\n.*?^```sh\n(.*?)^```/ms;
my ($script) = text('examples/cloud-init.yaml') =~ /^    content: \|\n((?: {6}.*\n|\n)*)/m;
$script =~ s/^ {6}//mg;
is($script =~ s/\n+\z/\n/r, "#!/bin/bash\n$paste", 'examples/cloud-init.yaml does what docs/droplet.md says');

done_testing();

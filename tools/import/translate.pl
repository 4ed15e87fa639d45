#!/usr/bin/perl
# translate.pl MAILWEIR OUTPUT
#
# Reads what evaluate.pl found from standard input and writes mailweir.lua to OUTPUT ("-": standard output). MAILWEIR
# is the program mailweir: it says which settings there are, and checks what was made of the configuration.
use strict;
use warnings;
BEGIN { my ($dir) = $0 =~ m{^(.*)/}; unshift @INC, $dir // '.'; }
use File::Temp ();
use MailweirImport::Json qw(json_decode);
use MailweirImport::Lua qw(lua_key shown);
use MailweirImport::Map;
use MailweirImport::Names qw(is_secret);

use constant ROUNDS_MAX => 200;

my ($mailweir, $output) = @ARGV;

sub fail {
	my ($text, $code) = @_;
	print STDERR "mailweir: $text\n";
	exit($code // 1);
}

sub write_file {
	my ($path, $text) = @_;
	open(my $out, '>', $path) or fail("$path: $!");
	print {$out} $text and close $out or fail("$path: $!");
	return;
}

# Output and exit code of a command of mailweir's; both streams in one text.
sub ask {
	my (@words) = @_;
	my $pid = open(my $in, '-|') // fail("cannot start a process: $!");
	if ($pid == 0) {
		open STDERR, '>&', \*STDOUT;
		exec $mailweir, @words;
		exit 127;
	}
	local $/;
	my $text = readline $in;
	close $in;
	return ($text // '', $? >> 8);
}

sub settings {
	my ($text, $code) = ask('config', 'table');
	my (%rows, @order);
	fail("$mailweir config table: " . shown($text)) if $code != 0;
	for my $line (split /\n/, $text) {
		my %row;
		@row{qw(name type scope unit least most default)} = split /\t/, $line, -1;
		$rows{ $row{name} } = \%row;
		push @order, $row{name};
	}
	return (\%rows, \@order);
}

my $folder;

sub check {
	my ($text) = @_;
	my $path = "$folder/mailweir.lua";
	write_file($path, $text);
	# The keys and certificates of a service are perhaps not on the host that imports.
	my ($said, $code) = ask('check-config', '--elsewhere', $path);
	return ($code, map { s/^\Q$path\E:?//r } split /\n/, $said);
}

# Constructors of lookup tables that this version takes, and how a file shows it.
my %probes = (
	new_RE => 'new_RE { "(?i)^a", { "b$", false } }', read_hash => 'read_hash("@/table")',
	read_array => 'read_array("@/table")', opaque => 'opaque({ "a" })', undef => '{ a = undef }',
);

sub forms {
	my %forms;
	write_file("$folder/table", '');
	for my $form (keys %probes) {
		my $source = $probes{$form} =~ s/\@/$folder/r;
		my ($code) = check("bypass_virus_checks_maps = { $source }\n");
		$forms{$form} = 1 if $code == 0;
	}
	return \%forms;
}

# ---------------------------------------------------------------- the file

sub comment_of {
	my ($unit) = @_;
	my @parts = @{ $unit->{told} };
	unshift @parts, $unit->{where} if $unit->{where} ne '' && !(defined $unit->{bank} && defined $unit->{name});
	return @parts ? ' -- ' . shown(join('; ', @parts), 300) : '';
}

# Lines of one unit, its comment on the first.
sub lines_of {
	my ($unit, $indent, $end) = @_;
	my $text = $unit->{call} // lua_key($unit->{name}) . " = $unit->{lua}$end";
	my @lines = split /\n/, $text;
	$lines[0] .= comment_of($unit) if @lines == 1;
	unshift @lines, substr comment_of($unit), 1 if @lines > 1 && comment_of($unit) ne '';
	return map { "$indent$_" } @lines;
}

# The text, and for each of its lines the unit that it belongs to.
sub render {
	my ($units, $head) = @_;
	my (@lines, @owner);
	my $add = sub { my ($unit, @more) = @_; push @lines, @more; push @owner, ($unit) x @more };
	$add->(undef, @$head);
	for my $unit (grep { !defined $_->{bank} } @$units) {
		my $own = $unit->{name} =~ /^(\w+)\.(\w+)$/ ? "$1.$2 = $unit->{lua}" : undef;
		$add->($unit, $own ? "$own" . comment_of($unit) : lines_of($unit, '', ''));
	}
	for my $bank (grep { defined $_->{bank} && !defined $_->{name} } @$units) {
		my $key = lua_key($bank->{bank});
		$add->(undef, '', 'policy_bank' . ($key =~ /^\[/ ? $key : ".$key") . ' = {' . comment_of($bank));
		my @fields = grep { defined $_->{name} && ($_->{bank} // '') eq $bank->{bank} } @$units;
		$add->($_, lines_of($_, "\t", ',')) for @fields;
		$add->(undef, '}');
	}
	return (join("\n", @lines) . "\n", \@owner);
}

# The unit that an error is about, and the error: "LINE: ...", "NAME, line LINE: ..." or "NAME ...".
sub blamed {
	my ($error, $owner, $units) = @_;
	my ($name, $line, $why) = $error =~ /^(?:([\w.]+), line )?(\d+): (.*)/;
	return ($owner->[$line - 1], $why) if defined $line && $owner->[$line - 1];
	($name) = $error =~ /^([\w.]+)\b/;
	return map { ($_, $error) } grep { defined $name && !defined $_->{bank} && $_->{name} eq $name } @$units;
}

# What check-config refuses goes to the list of what could not be carried.
sub settle {
	my ($map, $head) = @_;
	for (1 .. ROUNDS_MAX) {
		my ($text, $owner) = render($map->{units}, $head);
		my ($code, @errors) = check($text);
		return $text if $code == 0;
		my %refused;
		for my $error (@errors) {
			my ($unit, $why) = blamed($error, $owner, $map->{units}) or next;
			# The error shows the value.
			$why = 'its value is not one that Mailweir takes' if is_secret($unit->{name} // '');
			$refused{$unit} //= [$unit, $why];
		}
		fail('the settings made of it do not load; check-config says: ' . shown(join '; ', @errors)) unless %refused;
		$map->missed(MailweirImport::Map::label($_->[0]{name}, $_->[0]{bank}), $_->[0]{where}, "refused: $_->[1]")
			for values %refused;
		$map->{units} = [grep { !$refused{$_} } @{ $map->{units} }];
	}
	fail('the settings made of it do not load');
}

# ---------------------------------------------------------------- the report

sub entry {
	my ($e) = @_;
	my $where = ($e->{where} // '') ne '' ? ' (' . shown($e->{where}, 200) . ')' : '';
	return shown($e->{what}, 100) . "$where: " . shown($e->{why}, 300);
}

sub report {
	my ($map, $left) = @_;
	my (%unneeded, @missing, @lines);
	for my $e (@{ $map->{missed} }) {
		if ($e->{why} =~ /^not needed: (.*)/) { $unneeded{$1}{ $e->{what} } = 1 }
		else { push @missing, $e }
	}
	push @lines, map { 'not carried: ' . entry($_) } sort { $a->{what} cmp $b->{what} } @missing;
	push @lines, map { 'differs: ' . shown(MailweirImport::Map::label($_->{name} // '', $_->{bank}), 100) . ': '
		. shown(join('; ', @{ $_->{told} }), 300) } grep { @{ $_->{told} } } @{ $map->{units} };
	push @lines, map { 'unset: ' . entry($_) } @{ $map->{unset} // [] };
	push @lines, map { 'note: ' . shown(join(': ', grep { $_ ne '' } $_->{where}, $_->{text}), 300) } @{ $left->{notes} };
	push @lines, map { 'not needed: ' . shown(join(', ', sort keys %{ $unneeded{$_} }), 400) . ": $_" } sort keys %unneeded;
	return @lines;
}

sub main {
	my ($rows, $order, $left, $map, $text, @report, %rank);
	{
		local $/;
		$left = eval { json_decode(readline STDIN) } // fail("the configuration was not understood: $@");
	}
	if (defined $left->{fatal}) {
		(my $why = $left->{fatal}) =~ s/\s+$//;
		fail(join "\nmailweir: ", map { shown($_, 400) } split /\n/, $why);
	}
	($rows, $order) = settings();
	$folder = File::Temp::tempdir('mailweir-import-XXXXXX', TMPDIR => 1, CLEANUP => 1);
	$map = MailweirImport::Map->new(left => $left, rows => $rows, forms => forms())->run;
	%rank = map { $order->[$_] => $_ } 0 .. $#$order;
	# Perl's sort keeps the order of equals.
	@{ $map->{units} } = sort { ($rank{ $a->{name} // '' } // -1) <=> ($rank{ $b->{name} // '' } // -1) } @{ $map->{units} };
	$text = settle($map, ['-- Settings of Mailweir, made from amavisd\'s by `mailweir import-amavisd`:',
		(map { '--   ' . shown($_, 200) } @{ $left->{files} }),
		'-- What equals Mailweir\'s own default is left out; what could not be carried stands at the end.', '']);
	@report = report($map, $left);
	$text .= join '', "\n", map { "-- $_\n" } @report if @report;
	if ($output eq '-') {
		print $text or fail("standard output: $!");
		close STDOUT or fail("standard output: $!");
	} else {
		umask 027; # it may hold passwords
		my $whole = -e $output && !-f _ ? $output : "$output.new.$$";
		write_file($whole, $text);
		$whole eq $output || rename($whole, $output) || fail("$output: $!");
	}
	print STDERR "mailweir: $_\n" for @report;
	exit 0;
}

main();

#!/usr/bin/perl
# evaluate.pl [--run-commands] FILE|FOLDER...
#
# Evaluates amavisd configuration files in their order, as amavisd does but without it, and writes to descriptor 3,
# as JSON, what they set. The files are code: whoever runs this has taken its rights away before (import_amavisd.c);
# what is overridden here only makes a refusal visible in the report instead of an error.
package Mailweir::Import;
use strict;
use warnings;
BEGIN { my ($dir) = $0 =~ m{^(.*)/}; unshift @INC, $dir // '.'; }
use Cwd ();
use POSIX ();
use Scalar::Util qw(blessed refaddr reftype);
use Symbol ();
use MailweirImport::Json qw(json_encode);
use MailweirImport::Names qw(%CONSTANTS %DEFAULTS %MAPS %CCAT @VARIABLES);

our ($ASKED, %ASSIGNED, @NOTES, @DKIM_KEYS, %MADE, @KEEP, %REF_NAMES, %CODE_NAMES, @FILES, $RUN_COMMANDS, $STOPPED);
my $MARK = "\x01mailweir:";
my ($SELF, $CWD) = ($0, Cwd::getcwd());

# `do` wants a folder before a file's name; people do not.
sub shorter { return $_[0] =~ s{^\./}{}r }

sub place {
	my $level = 0;
	while (my ($package, $file, $line) = caller $level++) {
		return shorter($file) . ":$line" if $package !~ /^Mailweir/ && $file ne $SELF && $file !~ /^\(eval /;
	}
	return '';
}

sub note {
	my ($text) = @_;
	push @NOTES, { where => place(), text => $text } if @NOTES < 1000;
	return;
}

# ---------------------------------------------------------------- what a file may not do

sub refused {
	my ($what) = @_;
	return sub { note("$what was not done: the import changes nothing"); $! = 1; return };
}

# A few commands say what a file of settings is likely to ask, and they only read.
sub harmless {
	my ($command) = @_;
	$command =~ s{\s*2>\s*(?:/dev/null|&1)\s*$}{};
	return [split ' ', $1] if $command =~ m{^\s*((?:/bin/|/usr/bin/)?(?:hostname|uname|dnsdomainname)(?:\s+-[-\w]+)*)\s*$};
	return ["\x00read", $2, $1 // 0]
		if $command =~ m{^\s*(?:/bin/|/usr/bin/)?(?:cat|head\s+-(?:n\s*)?(\d+))\s+([\w./-]+)\s*$};
	return;
}

sub lines_of {
	my ($words) = @_;
	my ($in, @lines);
	if ($words->[0] eq "\x00read") {
		CORE::open($in, '<', $words->[1]) or return;
		while (defined(my $line = readline $in)) {
			push @lines, $line;
			last if $words->[2] && @lines >= $words->[2];
		}
		return @lines;
	}
	CORE::open($in, '-|', @$words) or return;
	@lines = readline $in;
	close $in;
	return @lines;
}

sub run_command {
	my ($command, $list) = @_;
	my $words = harmless($command);
	my @lines;
	if ($words) {
		@lines = lines_of($words);
		note("`$command` said nothing here") unless @lines;
	} elsif ($RUN_COMMANDS) {
		my $in;
		@lines = readline $in if CORE::open($in, '-|', '/bin/sh', '-c', $command);
	} else {
		note("`$command` was not run (--run-commands would): what it gives is missing");
	}
	return $list ? @lines : join '', @lines;
}

# Only to read; pipes only when commands may run.
sub may_open {
	my ($mode, $rest) = @_;
	return 1 unless defined $mode;
	return $mode =~ /^\s*<(?![&+])/ || ($RUN_COMMANDS && $mode =~ /^\s*-\|/) if $rest;
	return $mode !~ /^\s*(?:\+|>|\|)/ && ($RUN_COMMANDS || $mode !~ /\|\s*\z/);
}

sub open_to_read(*;$@) {
	if (!may_open($_[1], @_ > 2)) {
		note("open of " . ($_[2] // $_[1]) . " was not done: the import only reads");
		$! = 1;
		return;
	}
	my $package = caller;
	# A bare word is the name of a handle of the caller's.
	my $handle = defined $_[0] && !ref $_[0] && ref \$_[0] ne 'GLOB' ? Symbol::qualify_to_ref($_[0], $package) : undef;
	return @_ > 2 ? CORE::open($handle, $_[1], @_[2 .. $#_]) : CORE::open($handle, $_[1]) if $handle;
	return @_ > 2 ? CORE::open($_[0], $_[1], @_[2 .. $#_]) : CORE::open($_[0], $_[1]);
}

BEGIN {
	no warnings 'once';
	*CORE::GLOBAL::open = \&open_to_read;
	*CORE::GLOBAL::exit = sub {
		$STOPPED = 'exit was called' . (place() ne '' ? ' at ' . place() : '');
		die "$STOPPED\n";
	};
	*CORE::GLOBAL::readpipe = sub { run_command($_[0] // $_, wantarray) };
	for my $name (qw(system exec fork kill unlink rename mkdir rmdir chmod chown utime link symlink
		truncate sysopen)) {
		no strict 'refs';
		*{"CORE::GLOBAL::$name"} = refused($name);
	}
}

# ---------------------------------------------------------------- what stands for things that are not here

package Mailweir::Unknown {
	use overload '""' => sub { "$MARK$_[0]{call}\x01" }, '0+' => sub { 0 }, 'bool' => sub { 1 },
		'&{}' => sub { my $self = shift; sub { $self } }, fallback => 1;
	our $AUTOLOAD;
	sub AUTOLOAD { return $_[0] }
	sub DESTROY { }
}

sub unknown {
	my ($call) = @_;
	note("$call: not known to the import, what it gives is missing");
	return bless { call => $call }, 'Mailweir::Unknown';
}

# A module that is not installed, or is amavisd's (ours): it can be used, and calls of its functions are unknown.
sub stub_of {
	my ($file, $ours) = @_;
	(my $module = $file) =~ s{/}{::}g;
	$module =~ s/\.pm$//;
	return if $file !~ /^[\w\/]+\.pm$/ || $module =~ /^(?:unicore|utf8_heavy)/;
	return if $ours xor $module =~ /^Amavis::/;
	my $body = $module eq 'Sys::Hostname'
		? 'sub hostname { (POSIX::uname())[1] } sub import { no strict "refs"; *{caller() . "::hostname"} = \&hostname }'
		: 'our $AUTOLOAD; sub import { } sub DESTROY { } sub AUTOLOAD { Mailweir::Import::unknown("$AUTOLOAD(...)") }';
	note("module $module is not installed here") unless $ours || $module eq 'Sys::Hostname';
	my $text = "package $module; our \$VERSION = '99999'; $body 1;\n";
	return (\$text, sub { return 0 if $text eq ''; $_ = $text; $text = ''; return 1 });
}

sub make {
	my ($form, @args) = @_;
	return bless { form => $form, args => \@args }, 'Mailweir::Made';
}

# ---------------------------------------------------------------- functions of amavisd that files call

sub file_lines {
	my ($path) = @_;
	CORE::open(my $in, '<', $path) or die "cannot read $path: $!\n";
	my @lines = readline $in;
	for (@lines) {
		s/\r?\n\z//;
		s/^((?:[^"#]|"(?:[^"\\]|\\.)*"|")*?)#.*/$1/; # a comment, but for # within quotes
		s/^\s+|\s+$//g;
	}
	return grep { $_ ne '' } @lines;
}

sub read_hash_into {
	my ($hash, $path) = @_;
	my $fresh = !%$hash;
	for my $line (file_lines($path)) {
		my ($key, $value) = $line =~ /^("(?:[^"\\]|\\.)*"\@?\S*|\S+)(?:\s+(.*))?$/ or next;
		$hash->{$key} = defined $value && $value ne '' ? $value : 1;
	}
	$MADE{ refaddr $hash } = { form => 'read_hash', file => $path, count => scalar keys %$hash } if $fresh;
	push @KEEP, $hash;
	return $hash;
}

sub read_array_into {
	my ($form, $array, $path) = @_;
	my $fresh = !@$array;
	push @$array, file_lines($path);
	$MADE{ refaddr $array } = { form => $form, file => $path, count => scalar @$array } if $fresh;
	push @KEEP, $array;
	return $array;
}

sub include {
	my ($optional, @files) = @_;
	for my $file (@files) {
		next if $optional && !-e $file;
		evaluate($file);
	}
	return 1;
}

sub value_of {
	my ($name) = @_;
	$ASKED = $name;
	no strict 'refs';
	return ${"Mailweir::Conf::$name"} if defined ${"Mailweir::Conf::$name"};
	return \@{"Mailweir::Conf::$name"} if @{"Mailweir::Conf::$name"};
	return %{"Mailweir::Conf::$name"} ? \%{"Mailweir::Conf::$name"} : undef;
}

my %functions = (
	(map { my $value = $CONSTANTS{$_}; ($_ => sub () { $value }) } keys %CONSTANTS),
	new_RE => sub { make('new_RE', @_) },
	read_hash => sub { my ($first, @rest) = @_; ref $first ? read_hash_into($first, @rest) : read_hash_into({}, $first) },
	read_array => sub { my ($first, @rest) = @_;
		ref $first ? read_array_into('read_array', $first, @rest) : read_array_into('read_array', [], $first) },
	read_cidr => sub { my ($first, @rest) = @_;
		ref $first ? read_array_into('read_cidr', $first, @rest) : read_array_into('read_cidr', [], $first) },
	read_text => sub { join "\n", file_lines($_[0]) },
	Opaque => sub { make('opaque', $_[0]) }, OpaqueRef => sub { make('opaque', $_[0]) },
	(map { my $name = $_; ($name => sub { make($name, @_) }) } qw(q_sql_s q_sql_n q_sql_b q_ldap_s q_ldap_n q_ldap_b
		q_dns_a)),
	read_l10n_templates => sub { note('read_l10n_templates: texts of notices are not carried'); 1 },
	(map { ($_ => sub { 1 }) } qw(do_log ll add_entropy)),
	include_config_files => sub { include(0, @_) }, include_optional_config_files => sub { include(1, @_) },
	c => sub { value_of($_[0]) }, cr => sub { my $value = value_of($_[0]); \$value },
	ca => sub { value_of($_[0]) // [] },
	dkim_key => sub {
		my ($domain, $selector, $file, @options) = @_;
		push @DKIM_KEYS, { where => place(), domain => $domain, selector => $selector,
			file => ref $file ? undef : $file, options => {@options % 2 ? () : @options} };
		return 1;
	},
	iso8601_timestamp => sub { POSIX::strftime('%Y%m%dT%H%M%S', localtime($_[0] // time)) },
	iso8601_utc_timestamp => sub { POSIX::strftime('%Y%m%dT%H%M%SZ', gmtime($_[0] // time)) },
	iso8601_week => sub { POSIX::strftime('%V', localtime($_[0] // time)) },
	iso8601_year_and_week => sub { POSIX::strftime('%G-W%V', localtime($_[0] // time)) },
);

# ---------------------------------------------------------------- the namespace

my %declared;

sub lend {
	my ($name, $package) = @_;
	no strict 'refs';
	*{"${package}::$name"} = \${"Mailweir::Conf::$name"};
	*{"${package}::$name"} = \@{"Mailweir::Conf::$name"};
	*{"${package}::$name"} = \%{"Mailweir::Conf::$name"};
	return;
}

# Let files write $name, @name and %name without a package, strict or not.
sub declare {
	my ($name) = @_;
	return if $declared{$name}++;
	no strict 'refs';
	lend($name, $_) for qw(main Amavis::Conf);
	$REF_NAMES{ refaddr \${"Mailweir::Conf::$name"} } = "\$$name";
	$REF_NAMES{ refaddr \@{"Mailweir::Conf::$name"} } = "\@$name";
	$REF_NAMES{ refaddr \%{"Mailweir::Conf::$name"} } = "%$name";
	return;
}

sub ref_to {
	my ($sigil, $name) = $_[0] =~ /^(.)(.*)/;
	no strict 'refs';
	return \${"Mailweir::Conf::$name"} if $sigil eq '$';
	return $sigil eq '@' ? \@{"Mailweir::Conf::$name"} : \%{"Mailweir::Conf::$name"};
}

sub begin_with_defaults {
	no strict 'refs';
	for my $name (keys %DEFAULTS) {
		my $ref = ref_to($name);
		if (ref $ref eq 'ARRAY') { @$ref = @{ $DEFAULTS{$name} } }
		else { $$ref = $DEFAULTS{$name} }
	}
	${"Mailweir::Conf::myhostname"} = (POSIX::uname())[1];
	@{"Mailweir::Conf::$_"} = map { ref_to($_) } @{ $MAPS{$_} } for keys %MAPS;
	%{"Mailweir::Conf::sql_clause"} = (sel_policy => \${"Mailweir::Conf::sql_select_policy"},
		sel_wblist => \${"Mailweir::Conf::sql_select_white_black_list"});
	for my $table (keys %CCAT) {
		for my $category (keys %{ $CCAT{$table} }) {
			my $code = sub { value_of($CCAT{$table}{$category}) };
			$CODE_NAMES{ refaddr $code } = "default:$CCAT{$table}{$category}";
			${"Mailweir::Conf::$table"}{$category} = $code;
		}
	}
	return;
}

sub begin {
	declare($_) for @VARIABLES;
	no strict 'refs';
	no warnings 'redefine';
	for my $package (qw(main Amavis::Conf)) {
		*{"${package}::$_"} = $functions{$_} for keys %functions;
		*{"${package}::AUTOLOAD"} = eval "package $package; our \$AUTOLOAD; sub {
			my \$name = \$AUTOLOAD; \$name =~ s/.*:://;
			return if \$name eq 'DESTROY';
			return Mailweir::Import::unknown(\"\$name(...)\") }" or die $@;
	}
	begin_with_defaults();
	# Files of hooks have a package of their own and say `import Amavis::Conf ...`.
	*{'Amavis::Conf::import'} = sub {
		my $package = caller;
		lend($_, $package) for keys %declared;
		*{"${package}::$_"} = $functions{$_} for keys %functions;
	};
	$INC{'Amavis/Conf.pm'} = $0;
	# amavisd may be installed, but its modules would meet our names.
	unshift @INC, sub { stub_of($_[1], 1) };
	push @INC, sub { stub_of($_[1], 0) };
	return;
}

# ---------------------------------------------------------------- running

# amavisd declares what this tool may not know: such a name is declared and the file compiled again (nothing of it
# has run by then).
sub declare_missing {
	my ($error) = @_;
	my $found = 0;
	while ($error =~ /Global symbol "[\$\@%]([A-Za-z_]\w*)" requires explicit package name/g) {
		next if $declared{$1};
		declare($1);
		$found = 1;
	}
	while ($error =~ /Bareword "([A-Za-z_]\w*)" not allowed while "strict subs"/g) {
		my $name = $1;
		no strict 'refs';
		next if defined &{"main::$name"};
		my $sub = sub { unknown($name) };
		*{"main::$name"} = $sub;
		*{"Amavis::Conf::$name"} = $sub;
		$found = 1;
	}
	return $found;
}

# amavisd's files are compiled in its package of settings.
package Amavis::Conf { sub Mailweir::Import::do_file { no strict; no warnings; return do $_[0] } }

sub evaluate {
	my ($path) = @_;
	$path = "./$path" unless $path =~ m{^/};
	die "$path: cannot be read: $!\n" unless -f $path && -r _;
	push @FILES, $path;
	for my $round (1 .. 30) {
		local ($@, $!);
		do_file($path);
		my $error = $@;
		return 1 if !$error;
		die $error if $round == 30 || !declare_missing($error);
	}
	return;
}

# Files of folders that stand together are taken by their names, whichever folder they are in.
sub expand {
	my (@files, @folders);
	my $flush = sub {
		push @files, map { $_->[1] } sort { $a->[0] cmp $b->[0] } map {
			my $folder = $_;
			opendir my $dir, $folder or die "$folder: cannot be read: $!\n";
			map { [$_, "$folder/$_"] } grep { /^[\w-]+(?:\.conf)?$/ && -f "$folder/$_" } readdir $dir;
		} @folders;
		@folders = ();
	};
	for my $path (@_) {
		if (-d $path) { push @folders, $path }
		else { $flush->(); push @files, $path }
	}
	$flush->();
	return @files;
}

# ---------------------------------------------------------------- what they left

my ($values, $may_ask) = (0, 0);

# True for `sub { c('name') }` and the like, by which tables refer to variables.
sub asks {
	my ($code) = @_;
	my $notes = @NOTES;
	$ASKED = undef;
	eval { my $value = $code->(); 1 } or $ASKED = undef;
	$#NOTES = $notes - 1;
	return defined $ASKED;
}

sub code_name {
	my ($code) = @_;
	my $address = refaddr $code;
	return $CODE_NAMES{$address} if $CODE_NAMES{$address};
	return $CODE_NAMES{$address} = "default:$ASKED" if $may_ask && asks($code);
	no strict 'refs';
	for my $package (qw(main Amavis::Conf)) {
		for my $name (keys %{"${package}::"}) {
			my $entry = \$ {"${package}::"}{$name};
			next unless ref $entry eq 'GLOB' && defined *{$entry}{CODE};
			return $CODE_NAMES{$address} = $name if refaddr(*{$entry}{CODE}) == $address;
		}
	}
	return $CODE_NAMES{$address} = 'sub { ... }';
}

sub dump_text {
	my ($text) = @_;
	return { '!' => 'unknown', name => $1 } if $text =~ /\Q$MARK\E([^\x01]*)\x01/;
	return "$text";
}

sub dump_list {
	my ($list, $depth) = @_;
	my $made = $MADE{ refaddr $list };
	my @items = map { dump_value($_, $depth + 1) } @$list;
	return { '!' => $made->{form}, file => $made->{file}, items => \@items } if $made && $made->{count} == @$list;
	return \@items;
}

sub dump_hash {
	my ($hash, $depth) = @_;
	my $made = $MADE{ refaddr $hash };
	my @pairs = map { ($_, dump_value($hash->{$_}, $depth + 1)) } sort keys %$hash;
	return { '!' => 'read_hash', file => $made->{file}, pairs => \@pairs }
		if $made && $made->{count} == keys %$hash;
	return { '!' => 'hash', pairs => \@pairs };
}

sub dump_value {
	my ($v, $depth) = @_;
	die "the configuration holds more than 500000 values\n" if ++$values > 500_000;
	return undef if !defined $v;
	return dump_text($v) if !ref $v;
	return { '!' => 'unknown', name => 'tables in tables' } if $depth > 20;
	my $class = blessed $v // '';
	return { '!' => 'unknown', name => $v->{call} } if $class eq 'Mailweir::Unknown';
	return { '!' => $v->{form}, items => [map { dump_value($_, $depth + 1) } @{ $v->{args} }] } if $class eq 'Mailweir::Made';
	if (re::is_regexp($v)) {
		my ($pattern, $flags) = re::regexp_pattern($v);
		return { '!' => 're', pattern => $pattern, flags => $flags };
	}
	return { '!' => 'unknown', name => "object of $class" } if $class ne '';
	return { '!' => 'ref', to => $REF_NAMES{ refaddr $v } } if $depth > 0 && $REF_NAMES{ refaddr $v };
	my $type = reftype $v;
	return dump_list($v, $depth) if $type eq 'ARRAY';
	return dump_hash($v, $depth) if $type eq 'HASH';
	return { '!' => 'code', name => code_name($v) } if $type eq 'CODE';
	return { '!' => 'scalar', value => dump_value($$v, $depth + 1) } if $type eq 'SCALAR' || $type eq 'REF';
	return { '!' => 'unknown', name => lc $type };
}

# The three variables of a name that hold something.
sub dump_name {
	my ($name) = @_;
	no strict 'refs';
	my %r;
	$may_ask = $name =~ /_by_ccat$|_maps$/;
	$r{'$'} = dump_value(${"Mailweir::Conf::$name"}, 1) if defined ${"Mailweir::Conf::$name"};
	$r{'@'} = dump_list(\@{"Mailweir::Conf::$name"}, 1) if @{"Mailweir::Conf::$name"};
	$r{'%'} = dump_hash(\%{"Mailweir::Conf::$name"}, 1) if %{"Mailweir::Conf::$name"};
	return \%r;
}

# $name, perhaps {key}, perhaps an assignment.
my $mention = qr/[\$\@%]\{?(?:(?:main|Amavis::Conf)::)?([A-Za-z_]\w*)(\s*\{\s*['"]?([^'"}]+))?([^=\n]*=(?![=>~]))?/;

# Line of the last assignment to each name, as a person would look for it.
sub places {
	my %place;
	for my $file (@FILES) {
		CORE::open(my $in, '<', $file) or next;
		while (defined(my $line = readline $in)) {
			last if $line =~ /^__(?:END|DATA)__/;
			next if $line =~ /^\s*#/;
			while ($line =~ /$mention/g) {
				my ($name, $key, $assigns) = ($1, $3, $4);
				my $here = shorter($file) . ":$.";
				$ASSIGNED{$name} = 1 if defined $assigns && !defined $key;
				$place{$name} = $here
					if defined $assigns || !$place{$name} || $line =~ /push|read_(?:hash|array)/;
				$place{"$name\{$key}"} = $here if defined $key;
				pos($line) = $-[4] if defined $assigns;
			}
		}
	}
	return \%place;
}

sub result {
	my ($before, $fatal) = @_;
	my (%vars, $places);
	$places = places();
	for my $name (sort keys %declared) {
		my $now = dump_name($name);
		for my $sigil (sort keys %$now, grep { !exists $now->{$_} } sort keys %{ $before->{$name} // {} }) {
			my ($had, $has) = map { json_encode($_->{$sigil}) } $before->{$name} // {}, $now;
			$vars{"$sigil$name"} = { value => $now->{$sigil}, 
				set => $had ne $has || ($ASSIGNED{$name} && exists $DEFAULTS{"$sigil$name"}) ? 1 : undef };
		}
	}
	return { vars => \%vars, places => $places, notes => \@NOTES,
		files => [map { shorter($_) } @FILES], fatal => $fatal,
		known => [@VARIABLES],
		dkim_keys => [map { my $k = $_; +{ %$k, options => dump_hash($k->{options}, 1) } } @DKIM_KEYS] };
}

# Hooks run in amavisd; nothing runs them here.
sub hooks {
	push @NOTES, { where => '', text => 'hooks (package Amavis::Custom) are code, which is not carried' }
		if grep { defined &{"Amavis::Custom::$_"} } qw(new checks before_send after_send mail_done);
	return;
}

# Variables without strict that amavisd does not have; a name declared by hand is one, too.
sub strays {
	my ($had) = @_;
	no strict 'refs';
	for my $name (sort keys %Amavis::Conf::) {
		next if $had->{$name} || $declared{$name} || $name !~ /^[A-Za-z]\w+$/ || $name eq 'ENV' || $name eq 'INC';
		my $entry = \$Amavis::Conf::{$name};
		next unless ref $entry eq 'GLOB';
		next unless defined ${ *{$entry}{SCALAR} } || (*{$entry}{ARRAY} && @{ *{$entry}{ARRAY} })
			|| (*{$entry}{HASH} && $name !~ /::$/ && %{ *{$entry}{HASH} });
		push @NOTES, { where => '', text => "$name: amavisd has no such variable, it meant nothing there either" };
	}
	return;
}

sub run {
	my @files = @_;
	my ($before, $fatal, %had);
	CORE::open(my $out, '>&=', 3) or die "descriptor 3: $!\n";
	$| = 1; # what the files print is out before _exit
	begin();
	$before = { map { $_ => dump_name($_) } keys %declared };
	%had = map { $_ => 1 } keys %Amavis::Conf::;
	$fatal = $@ || 'it ended without a word' unless eval { evaluate($_) for expand(@files); 1 };
	$fatal = $STOPPED if $STOPPED;
	# Files may have changed what every program has.
	($/, $,, $\, $") = ("\n", undef, undef, ' ');
	chdir $CWD;
	hooks(), strays(\%had) unless $fatal;
	$values = 0;
	my $text = eval { json_encode(result($before, $fatal)) } // json_encode({ fatal => "$@" });
	print {$out} "$text\n";
	close $out or POSIX::_exit(1);
	# Nothing of the files runs any more: no END block, no destructor.
	POSIX::_exit(0);
}

if (@ARGV && $ARGV[0] eq '--run-commands') {
	$RUN_COMMANDS = 1;
	shift @ARGV;
}
run(splice @ARGV);

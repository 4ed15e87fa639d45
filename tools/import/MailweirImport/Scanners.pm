# av_scanners and av_scanners_backup: entries for clamd become clamd's, command lines become programs, each where that
# is exact; whatever else stands there is named with the reason.
package MailweirImport::Scanners;
use strict;
use warnings;
use MailweirImport::Convert;
use MailweirImport::Lua qw(lua_text lua_number lua_list lua_hash shown);

use constant CODES_MAX => 16;

sub is_kind { return MailweirImport::Convert::is_kind(@_) }

# A socket that Mailweir's client of clamd may use: it looks up no names.
sub socket_of {
	my ($socket) = @_;
	return $socket if $socket =~ m{^/} || $socket =~ /^(?:\d+(?:\.\d+){3}|\[[0-9A-Fa-f:.]+\]):\d+$/;
	return "[$1]:$2" if $socket =~ /^([0-9A-Fa-f:]+:[0-9A-Fa-f:]*):(\d+)$/;
	return "127.0.0.1:$1" if $socket =~ /^localhost:(\d+)$/;
	return undef;
}

# ask_daemon: [query, socket or sockets]. clamd's commands and its session are known here.
sub daemon {
	my ($convert, $name, $args) = @_;
	my ($query, $sockets) = map { $convert->follow($_) } ref $args eq 'ARRAY' ? @$args : ();
	my @sockets = $convert->flat($sockets);
	return (undef, 'its query or socket is no text') if ref $query || !defined $query || !@sockets || grep { ref } @sockets;
	my $socket = $sockets[0];
	my $session = $socket =~ s/^clamd://;
	$socket =~ s/^simple://;
	return (undef, 'of daemons Mailweir speaks with clamd, and with others by ICAP')
		unless $session || ($query =~ /^[nz]?(?:CONT|MULTI|ALLMATCH)?SCAN\s/ && $name =~ /clam/i);
	my $where = socket_of($socket);
	return (undef, 'its socket, ' . shown($socket, 60) . ', is neither a path nor a numeric address with a port')
		unless defined $where;
	$convert->tell('of its sockets the first was taken') if @sockets > 1;
	return lua_hash(name => lua_text($name), type => '"clamd"', socket => lua_text($where));
}

# Exit codes, or a pattern on the output; ('', undef) for none.
sub judge {
	my ($convert, $v) = @_;
	$v = $convert->follow($v);
	return '' unless defined $v;
	return lua_text($convert->regexp($v)) if is_kind($v, 're');
	return (undef, MailweirImport::Convert::why_not($v)) unless ref $v eq 'ARRAY';
	my @codes = map { lua_number($_) } @$v;
	return (undef, 'its exit codes are no list of numbers from 0 to 255')
		if !@codes || @codes > CODES_MAX || grep { !defined || /\D/ || $_ > 255 } @codes;
	return lua_list(@codes);
}

sub program_path {
	my ($convert, $command) = @_;
	my ($path) = grep { defined && !ref && $_ ne '' } $convert->flat($command);
	return undef unless defined $path;
	return $path if $path =~ m{^/};
	return undef if $path =~ m{[/\s]};
	$convert->tell("/usr/bin/$path was taken: amavisd looks for $path along its path");
	return "/usr/bin/$path";
}

# Words of a command line. {} is the folder of files, {}/* and * are the files.
sub arguments {
	my ($convert, $args) = @_;
	$args = $convert->follow($args);
	return (undef, 'its arguments are no text') if !defined $args || ref $args;
	return (undef, 'its arguments have quotes or a shell\'s signs') if $args =~ /["'\\`\$|<>;&]/;
	my @words = map { $_ eq '*' ? '{}/*' : $_ } split ' ', $args;
	my @gone = grep { /^--?te?mp(?:dir)?=/ } @words;
	$convert->tell(shown("@gone", 80) . ': left out, a program has a folder of its own') if @gone;
	@words = grep { !/^--?te?mp(?:dir)?=/ } @words;
	return (undef, 'its arguments name no files') unless grep { /\{\}/ } @words;
	return lua_list(map { lua_text($_) } @words);
}

sub program {
	my ($convert, $name, $command, $args, $clean, $infected, $names) = @_;
	my $path = program_path($convert, $command);
	return (undef, 'its command is no name of a program') unless defined $path;
	my ($words, $why) = arguments($convert, $args);
	return (undef, $why) unless defined $words;
	my ($clean_lua, $why_clean) = judge($convert, $clean);
	my ($infected_lua, $why_infected) = judge($convert, $infected);
	$names = $convert->follow($names);
	return (undef, $why_clean // $why_infected) unless defined $clean_lua && defined $infected_lua;
	return (undef, 'nothing says what infected looks like') if $infected_lua eq '';
	return (undef, 'names are found by ' . MailweirImport::Convert::why_not($names)) if defined $names && !is_kind($names, 're');
	my @fields = (name => lua_text($name), type => '"program"', program => lua_text($path), arguments => $words);
	push @fields, reads => '{ "/var/lib/clamav" }' if $path =~ /clamscan$/;
	push @fields, clean => $clean_lua if $clean_lua ne '';
	push @fields, infected => $infected_lua;
	push @fields, names => lua_text($convert->regexp($names)) if defined $names;
	return lua_hash(@fields);
}

# Lua of one entry, or undef and why there is none.
sub entry {
	my ($convert, $v) = @_;
	my ($name, $command, @rest) = ref $v eq 'ARRAY' ? @$v : ();
	$name = $convert->follow($name);
	return (undef, 'no scanner\'s entry') if !defined $name || ref $name || $name eq '';
	return (undef, 'its name is longer than 47 octets, or not in ASCII') if length $name > 47 || $name =~ /[^\x20-\x7e]/;
	return (undef, 'code runs before or after it') if grep { ref $convert->follow($_) } @rest[4 .. $#rest];
	$command = $convert->follow($command);
	if (is_kind($command, 'code')) {
		return '"libclamav"' if $command->{name} =~ /^ask_clamav/;
		return daemon($convert, $name, $convert->follow($rest[0])) if $command->{name} eq 'ask_daemon';
		return (undef, MailweirImport::Convert::why_not($command));
	}
	return program($convert, $name, $command, @rest[0 .. 3]);
}

# { lua => [...], missed => [[name, why], ...] }
sub entries {
	my ($convert, $list) = @_;
	my %out = (lua => [], missed => []);
	my $number = 0;
	for my $v (map { $convert->follow($_) } @{ ref $list eq 'ARRAY' ? $list : [] }) {
		$number++;
		next unless defined $v;
		my ($lua, $why) = entry($convert, $v);
		my $name = ref $v eq 'ARRAY' && defined $v->[0] && !ref $v->[0] ? shown($v->[0], 40) : "entry $number";
		if (defined $lua) { push @{ $out{lua} }, $lua }
		else { push @{ $out{missed} }, [$name, $why] }
	}
	return \%out;
}

1;

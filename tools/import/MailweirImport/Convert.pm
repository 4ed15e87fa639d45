# From a value of amavisd's to the Lua of a setting's type. A converter returns Lua source, or undef and a reason; what
# is carried with a difference is told through $self->{tell}.
package MailweirImport::Convert;
use strict;
use warnings;
use MailweirImport::Lua qw(lua_text lua_number lua_list lua_hash shown);

use constant DEPTH_MAX => 12;

# vars: what the configuration left; forms: which constructors of tables this Mailweir has (read by a probe).
sub new {
	my ($class, %with) = @_;
	return bless {%with}, $class;
}

sub tell { my ($self, $text) = @_; $self->{tell}->($text); return }

sub is_kind {
	my ($v, $kind) = @_;
	return ref $v eq 'HASH' && $v->{'!'} eq $kind;
}

# Follow references to variables and to nameless scalars.
sub follow {
	my ($self, $v) = @_;
	for (1 .. 20) {
		if (is_kind($v, 'ref')) {
			my $var = $self->{vars}{ $v->{to} };
			return $var->{value} if $var && defined $var->{value};
			return $v->{to} =~ /^\@/ ? [] : $v->{to} =~ /^%/ ? { '!' => 'hash', pairs => [] } : undef;
		}
		if (is_kind($v, 'code') && $v->{name} =~ /^default:(\w+)$/) {
			my ($var) = grep { $_ && defined $_->{value} } map { $self->{vars}{"$_$1"} } '$', '@';
			return $var ? $var->{value} : undef;
		}
		return $v unless is_kind($v, 'scalar');
		$v = $v->{value};
	}
	return $v;
}

sub why_not {
	my ($v) = @_;
	return 'undefined' unless defined $v;
	return 'a list' if ref $v eq 'ARRAY';
	return 'a text or number' unless ref $v;
	my %words = (hash => 'a hash', re => 'a regular expression', new_RE => 'a list of regular expressions');
	return $words{ $v->{'!'} } if $words{ $v->{'!'} };
	return "code ($v->{name}): Mailweir's settings are values" if $v->{'!'} eq 'code' && $v->{name} !~ /^default:/;
	return "the value of $v->{name}, which this import does not know" if $v->{'!'} eq 'unknown';
	return "a look-up in SQL or LDAP ($v->{'!'})" if $v->{'!'} =~ /^q_(?:sql|ldap)/;
	return "$v->{'!'}(...)";
}

sub scalar_of {
	my ($self, $v) = @_;
	$v = $self->follow($v);
	$v = $self->follow($v->{items}[0]) if is_kind($v, 'opaque');
	return (undef, why_not($v)) if ref $v;
	return ($v, undef);
}

# ---------------------------------------------------------------- by type

sub to_bool {
	my ($self, $v) = @_;
	my ($text, $why) = $self->scalar_of($v);
	return (undef, $why) if $why;
	return $text ? 'true' : 'false';
}

sub to_int {
	my ($self, $v, $row) = @_;
	my ($text, $why) = $self->scalar_of($v);
	return (undef, $why) if $why;
	return (undef, "undefined: there is always a limit here, $row->{default} unless set") unless defined $text;
	my $number = lua_number($text) // return (undef, 'no number: ' . shown($text, 40));
	return (undef, "$number is no whole number") if $number =~ /[.e]/;
	return (undef, "$number is not within $row->{least} to $row->{most}")
		if $number < $row->{least} || $number > $row->{most};
	return $number;
}

# Levels far out mean "always" and "never".
sub to_milli {
	my ($self, $v, $row) = @_;
	my ($text, $why) = $self->scalar_of($v);
	my ($least, $most) = ($row->{least} / 1000, $row->{most} / 1000);
	return (undef, $why) if $why;
	if (!defined $text || $text eq '') {
		return 'nil' if $row->{default} eq 'nil';
		my $level = $row->{name} =~ /tag_level/ ? $least : $most;
		$self->tell("undefined there, which means " . ($row->{name} =~ /tag_level/ ? 'always' : 'never') . ": $level");
		return $level;
	}
	my $number = lua_number($text) // return (undef, 'no number: ' . shown($text, 40));
	my $near = $number < $least ? $least : $number > $most ? $most : lua_number(sprintf '%.3f', $number);
	$self->tell("$number became $near") if $near != $number;
	return $near;
}

sub to_text {
	my ($self, $v, $row) = @_;
	my ($text, $why) = $self->scalar_of($v);
	return (undef, $why) if $why;
	return $row->{default} eq 'nil' ? 'nil' : $row->{least} > 0 ? (undef, 'undefined') : '""' unless defined $text;
	return (undef, 'longer than ' . $row->{most} . ' octets') if length $text > $row->{most};
	return lua_text($text);
}

sub flat {
	my ($self, $v, $depth) = @_;
	$v = $self->follow($v);
	$v = $v->{items} if is_kind($v, 'read_array') || is_kind($v, 'read_cidr');
	return () if !defined $v;
	return $v if ref $v ne 'ARRAY' || ($depth // 0) > DEPTH_MAX;
	return map { $self->flat($_, ($depth // 0) + 1) } @$v;
}

sub to_list {
	my ($self, $v) = @_;
	my @items = $self->flat($v);
	for (@items) {
		return (undef, 'an item of the list is ' . why_not($_)) if ref $_;
	}
	return lua_list(map { lua_text($_) } @items);
}

my %destinies = (1 => 'D_PASS', 0 => 'D_DISCARD', -2 => 'D_BOUNCE', -3 => 'D_REJECT', -4 => 'D_TEMPFAIL');

sub to_destiny {
	my ($self, $v) = @_;
	$v = $self->follow($v);
	$v = $v->[0] if ref $v eq 'ARRAY' && @$v == 1;
	my ($text, $why) = $self->scalar_of($v);
	return (undef, $why) if $why;
	return 'D_PASS' unless defined $text;
	return $destinies{ lua_number($text) // '' } // (undef, 'no destiny: ' . shown($text, 40));
}

# ---------------------------------------------------------------- lookup tables

my $is_bool = qr/^(?:bypass_|local_domains|whitelist|blacklist|warn|remove_)|_lovers_maps$/;

# Next hops of a recipient: several are tried in order.
sub hops_of {
	my ($v) = @_;
	my @hops = ref $v ? @$v : ($v);
	for (@hops) {
		return (undef, shown($_, 60) . ': the next hop is reached by smtp: or lmtp:')
			if !defined $_ || ref $_ || !/^(?:smtp|lmtp):[^\s,]+$/;
	}
	return lua_text(join ', ', @hops);
}

# A value in a table, by what the setting is asked for.
sub cell {
	my ($self, $v, $row, $depth) = @_;
	$v = $self->follow($v);
	return $self->{forms}{undef} ? 'undef' : (undef, 'undefined as a value of a table') unless defined $v;
	return hops_of($v) if $row->{name} eq 'forward_method_maps' && (!ref $v || ref $v eq 'ARRAY');
	return (undef, shown($v, 60) . ': Mailweir keeps copies in files and mails none')
		if $row->{name} =~ /_quarantine_to_maps$/ && !ref $v && $v =~ /\@/;
	return $self->any($v, $row, $depth + 1) if ref $v;
	return $v ? 'true' : 'false' if $row->{name} =~ $is_bool;
	return lua_text($v) if $row->{unit} eq 'texts';
	return lua_number($v) // lua_text($v);
}

sub regexp {
	my ($self, $v) = @_;
	return $v unless ref $v;
	return undef unless is_kind($v, 're');
	(my $flags = $v->{flags}) =~ s/[^imsxn]//g;
	return ($flags ne '' ? "(?$flags)" : '') . $v->{pattern} . ($flags =~ /x/ && $v->{pattern} =~ /#.*\z/ ? "\n" : '');
}

sub regexps {
	my ($self, $v, $row, $depth) = @_;
	return (undef, 'regular expressions, which Mailweir\'s tables do not have yet') unless $self->{forms}{new_RE};
	my @parts;
	for my $item (@{ $v->{items} }) {
		my ($what, $value) = ref $item eq 'ARRAY' ? @$item : ($item);
		my $pattern = $self->regexp($what) // return (undef, 'in new_RE: ' . why_not($what));
		if (ref $item ne 'ARRAY' || @$item < 2) {
			push @parts, lua_text($pattern);
			next;
		}
		my ($lua, $why) = $self->cell($value, $row, $depth);
		return (undef, $why) unless defined $lua;
		push @parts, '{ ' . lua_text($pattern) . ", $lua }";
	}
	return 'new_RE ' . lua_list(@parts);
}

sub pairs_of {
	my ($self, $v, $row, $depth) = @_;
	my @pairs = @{ $v->{pairs} };
	my @out;
	while (@pairs) {
		my ($key, $value) = splice @pairs, 0, 2;
		my ($lua, $why) = $self->cell($value, $row, $depth);
		return (undef, 'of ' . shown($key, 60) . ": $why") unless defined $lua;
		push @out, $key, $lua;
	}
	return (\@out, undef);
}

sub from_file {
	my ($self, $v, $row, $depth) = @_;
	return "$v->{'!'}(" . lua_text($v->{file}) . ')' if $self->{forms}{ $v->{'!'} } && $v->{file} =~ m{^/};
	$self->tell("what stands in $v->{file} now was taken in: a change of the file has no effect here");
	return lua_list(map { lua_text($_) } @{ $v->{items} }) if $v->{items};
	my ($pairs, $why) = $self->pairs_of($v, $row, $depth);
	return $pairs ? lua_hash(@$pairs) : (undef, $why);
}

# Any table or value of a list of tables.
sub any {
	my ($self, $v, $row, $depth) = @_;
	$v = $self->follow($v);
	return (undef, 'tables within tables, too deep') if $depth > DEPTH_MAX;
	return $self->cell($v, $row, $depth) unless ref $v;
	if (ref $v eq 'ARRAY') {
		my @parts;
		for my $item (@$v) {
			my ($lua, $why) = $self->list_item($item, $row, $depth + 1);
			return (undef, $why) unless defined $lua;
			push @parts, $lua;
		}
		return lua_list(@parts);
	}
	if ($v->{'!'} eq 'hash') {
		my ($pairs, $why) = $self->pairs_of($v, $row, $depth);
		return $pairs ? lua_hash(@$pairs) : (undef, $why);
	}
	return $self->regexps($v, $row, $depth) if $v->{'!'} eq 'new_RE';
	return $self->from_file($v, $row, $depth) if $v->{'!'} =~ /^read_(?:hash|array|cidr)$/;
	if ($v->{'!'} eq 'opaque') {
		my ($lua, $why) = $self->any($v->{items}[0], $row, $depth + 1);
		return (undef, $why) unless defined $lua;
		return $self->{forms}{opaque} && $lua =~ /^\{/ ? "opaque($lua)" : $lua;
	}
	return (undef, why_not($v));
}

# Within a list of addresses, domains or networks: texts; in a list of lists: tables.
sub list_item {
	my ($self, $v, $row, $depth) = @_;
	my $is = $self->follow($v);
	return (undef, 'undefined as an item of a list') unless defined $is;
	return $self->any($is, $row, $depth) if ref $is;
	return lua_text($is) if $row->{unit} =~ /^(?:texts|networks)$/;
	return lua_number($is) // lua_text($is);
}

# True when a table never says anything: unset variables that the default lists refer to.
sub is_empty {
	my ($self, $v) = @_;
	my $is = $self->follow($v);
	return 1 unless defined $is;
	return ref $is eq 'ARRAY' ? !@$is : is_kind($is, 'hash') ? !@{ $is->{pairs} } : 0;
}

# The first table that cannot be carried ends the list: those behind it must not answer in its place.
sub to_maps {
	my ($self, $v, $row) = @_;
	$v = $self->follow($v);
	# inet_acl: networks that stand directly in it are one list.
	return $self->any($v, $row, 1)
		if $row->{unit} =~ /^networks/ && ref $v eq 'ARRAY' && !grep { ref $self->follow($_) } @$v;
	my @tables = grep { !$self->is_empty($_) } ref $v eq 'ARRAY' ? @$v : ($v);
	my @parts;
	for my $i (0 .. $#tables) {
		my ($lua, $why) = $self->any($tables[$i], $row, 1);
		# Strings that stand directly in the list would become one list of keys.
		($lua, $why) = (undef, 'a text for all') if defined $lua && $lua =~ /^"/ && $row->{unit} !~ /^(?:texts|banks)/;
		if (!defined $lua) {
			return (undef, $why) unless @parts;
			$self->tell("incomplete: table " . ($i + 1) . ' and those behind it are missing: ' . $why);
			last;
		}
		push @parts, $lua;
	}
	return lua_list(@parts);
}

# ---------------------------------------------------------------- settings that are tables

sub to_table {
	my ($self, $v, $row) = @_;
	$v = $self->follow($v);
	$v = [$v] if defined $v && !ref $v;
	return '{}' unless defined $v;
	return $self->plain($v, 1);
}

sub plain {
	my ($self, $v, $depth) = @_;
	$v = $self->follow($v);
	return (undef, 'tables within tables, too deep') if $depth > DEPTH_MAX;
	return (undef, 'undefined within a table') unless defined $v;
	return lua_number($v) // lua_text($v) unless ref $v;
	if (ref $v eq 'ARRAY') {
		my @parts;
		for my $item (@$v) {
			my ($lua, $why) = $self->plain($item, $depth + 1);
			return (undef, $why) unless defined $lua;
			push @parts, $lua;
		}
		return lua_list(@parts);
	}
	if ($v->{'!'} ne 'hash') {
		return $self->any($v, { name => '', unit => '' }, $depth) if $v->{'!'} =~ /^(?:new_RE|read_)/;
		return (undef, why_not($v));
	}
	my (@out, @pairs);
	@pairs = @{ $v->{pairs} };
	while (@pairs) {
		my ($key, $value) = splice @pairs, 0, 2;
		next unless defined $self->follow($value);
		my ($lua, $why) = $self->plain($value, $depth + 1);
		return (undef, 'of ' . shown($key, 60) . ": $why") unless defined $lua;
		push @out, $key, $lua;
	}
	return lua_hash(@out);
}

my %converters = (bool => \&to_bool, int => \&to_int, milli => \&to_milli, text => \&to_text, list => \&to_list,
	destiny => \&to_destiny, maps => \&to_maps, table => \&to_table);

sub convert {
	my ($self, $v, $row) = @_;
	return $converters{ $row->{type} }->($self, $v, $row);
}

1;

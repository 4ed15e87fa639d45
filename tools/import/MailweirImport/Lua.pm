# Lua source: texts, numbers and tables as a settings file has them.
package MailweirImport::Lua;
use strict;
use warnings;
use Exporter 'import';
our @EXPORT_OK = qw(lua_text lua_number lua_key lua_list lua_hash lua_name shown);

my %escapes = ("\n" => '\\n', "\r" => '\\r', "\t" => '\\t', '"' => '\\"', '\\' => '\\\\');
my $utf8 = qr/[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]{2}|\xed[\x80-\x9f][\x80-\xbf]
	|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2}/x;

sub lua_text {
	my ($text) = @_;
	my $out = '';
	pos($text) = 0;
	while ($text =~ /\G(?:([\x20\x21\x23-\x5b\x5d-\x7e]+)|($utf8)|(.))/gcs) {
		$out .= defined $1 ? $1 : defined $2 ? $2 : $escapes{$3} // sprintf '\\x%02x', ord $3;
	}
	return "\"$out\"";
}

# The shortest that reads the same; undef when it is no number.
sub lua_number {
	my ($text) = @_;
	return undef unless defined $text && !ref $text && $text =~ /^\s*[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?\s*$/;
	my $number = $text + 0;
	return undef if $number != $number || abs $number > 9e15;
	return $number == int $number ? sprintf '%d', $number : "$number";
}

my %words = map { $_ => 1 } qw(and break do else elseif end false for function goto if in local nil not or repeat return
	then true until while);

sub lua_name {
	my ($name) = @_;
	return $name =~ /^[A-Za-z_]\w*$/ && !$words{$name};
}

sub lua_key {
	my ($key) = @_;
	return lua_name($key) ? $key : '[' . lua_text($key) . ']';
}

# A table on one line, or on lines of their own when it is long.
sub table {
	my (@parts) = @_;
	return '{}' unless @parts;
	my $line = '{ ' . join(', ', @parts) . ' }';
	return $line if length $line <= 90 && $line !~ /\n/;
	s/\n/\n\t/g for @parts;
	return "{\n" . join('', map { "\t$_,\n" } @parts) . '}';
}

sub lua_list { return table(@_) }

sub lua_hash {
	my @pairs = @_;
	my @parts;
	push @parts, lua_key(shift @pairs) . ' = ' . shift @pairs while @pairs;
	return table(@parts);
}

# For messages: printable, on one line, not long.
sub shown {
	my ($text, $most) = @_;
	$text =~ s/[^\x20-\x7e]+/?/g;
	return length $text > ($most //= 200) ? substr($text, 0, $most - 3) . '...' : $text;
}

1;

# What the two halves of the import say to each other: JSON, by hand, because perl-base has no module for it.
# Texts are octets: one above 0x7e is written as the \u00XX of its value.
package MailweirImport::Json;
use strict;
use warnings;
use Exporter 'import';
our @EXPORT_OK = qw(json_encode json_decode);

use constant DEPTH_MAX => 100;

sub encode_text {
	my ($text) = @_;
	utf8::encode($text) if utf8::is_utf8($text);
	$text =~ s/([^\x20\x21\x23-\x5b\x5d-\x7e])/sprintf '\\u%04x', ord $1/ge;
	return "\"$text\"";
}

# undef, texts, arrays and hashes of these.
sub json_encode {
	my ($value) = @_;
	return 'null' unless defined $value;
	return encode_text($value) unless ref $value;
	return '[' . join(',', map { json_encode($_) } @$value) . ']' if ref $value eq 'ARRAY';
	return '{' . join(',', map { encode_text($_) . ':' . json_encode($value->{$_}) } sort keys %$value) . '}';
}

sub decode_text {
	my ($in) = @_;
	$$in =~ /\G"((?:[^"\\]|\\u[0-9a-f]{4})*)"\s*/gc or die "JSON: a text is not whole\n";
	my $text = $1;
	$text =~ s/\\u([0-9a-f]{4})/chr hex $1/ge;
	return $text;
}

sub decode_value {
	my ($in, $depth) = @_;
	die "JSON: too deep\n" if $depth > DEPTH_MAX;
	return undef if $$in =~ /\Gnull\s*/gc;
	if ($$in =~ /\G\[\s*/gc) {
		my @list;
		until ($$in =~ /\G\]\s*/gc) {
			push @list, decode_value($in, $depth + 1);
			$$in =~ /\G,\s*/gc or $$in =~ /\G(?=\])/gc or die "JSON: a list is not whole\n";
		}
		return \@list;
	}
	return decode_text($in) unless $$in =~ /\G\{\s*/gc;
	my %hash;
	until ($$in =~ /\G\}\s*/gc) {
		my $key = decode_text($in);
		$$in =~ /\G:\s*/gc or die "JSON: a key has no value\n";
		$hash{$key} = decode_value($in, $depth + 1);
		$$in =~ /\G,\s*/gc or $$in =~ /\G(?=\})/gc or die "JSON: a hash is not whole\n";
	}
	return \%hash;
}

sub json_decode {
	my ($text) = @_;
	pos($text) = 0;
	$text =~ /\G\s*/gc;
	my $value = decode_value(\$text, 0);
	$text =~ /\G\z/gc or die "JSON: something stands behind the value\n";
	return $value;
}

1;

# From what a configuration left to settings of Mailweir: amavisd's three layers of a setting (short variable, list of
# tables, table by contents category) become one, and whatever has no place is named with the reason.
package MailweirImport::Map;
use strict;
use warnings;
use MailweirImport::Convert;
use MailweirImport::Scanners;
use MailweirImport::Lua qw(lua_text lua_number lua_list lua_hash shown);
use MailweirImport::Names qw(%DEFAULTS %MAPS %CCAT %CCAT_FIXED %OLD_NAMES %UNNEEDED %DIFFERENT @LEVELS);

use constant NOT_YET => 'Mailweir has no such setting yet';

# left: of evaluate.pl; rows: Mailweir's settings by name; forms: constructors that it has.
sub new {
	my ($class, %with) = @_;
	my $self = bless { %with, units => [], missed => [], told => [] }, $class;
	$self->{convert} = MailweirImport::Convert->new(vars => $self->{left}{vars}, forms => $self->{forms},
		tell => sub { push @{ $self->{told} }, $_[0] });
	return $self;
}

sub is_set { my ($self, $name) = @_; my $var = $self->{left}{vars}{$name}; return $var && $var->{set} }
sub value { my ($self, $name) = @_; return $self->{left}{vars}{$name}{value} }
sub follow { my ($self, $v) = @_; return $self->{convert}->follow($v) }
sub is_kind { return MailweirImport::Convert::is_kind(@_) }

sub where {
	my ($self, @names) = @_;
	for my $name (@names) {
		(my $bare = $name) =~ s/^[\$\@%]//;
		return $self->{left}{places}{$bare} if $self->{left}{places}{$bare};
	}
	return '';
}

# Sigils of a name that the files set.
sub set_as {
	my ($self, $name) = @_;
	return grep { $self->is_set("$_$name") } '$', '@', '%';
}

# ---------------------------------------------------------------- what came of it

sub missed {
	my ($self, $what, $where, $why) = @_;
	$why =~ s/^\s+|\s+$//g;
	push @{ $self->{missed} }, { what => $what, where => $where, why => $why };
	return;
}

sub same_as_default {
	my ($row, $lua) = @_;
	return 1 if $lua eq $row->{default};
	return $row->{type} =~ /^(?:int|milli)$/ && $lua ne 'nil' && $row->{default} ne 'nil' && $lua == $row->{default};
}

# One setting, of the base (bank undefined) or a bank.
sub unit {
	my ($self, $row, $bank, $lua, $where) = @_;
	my @told = splice @{ $self->{told} };
	$self->{placed}{ $row->{name} } = 1 unless defined $bank;
	return if !defined $bank && same_as_default($row, $lua) && !@told;
	push @{ $self->{units} }, { name => $row->{name}, bank => $bank, lua => $lua, where => $where, told => \@told };
	return;
}

# What the report calls it.
sub label {
	my ($what, $bank) = @_;
	return defined $bank ? "policy_bank{'$bank'}{$what}" : $what;
}

sub refused {
	my ($self, $what, $bank, $where, $why) = @_;
	@{ $self->{told} } = ();
	return $self->missed(label($what, $bank), $where, $why);
}

# ---------------------------------------------------------------- single settings with ways of their own

sub to_quarantine {
	my ($self, $v, $row) = @_;
	my ($text, $why) = $self->{convert}->scalar_of($v);
	return (undef, $why) if $why;
	return '""' if !defined $text || $text eq '';
	return lua_text('sql:') if lc $text eq 'sql:';
	return lua_text($text) if $text =~ /^(?:smtp|lmtp):./i;
	my ($kind, $name) = $text =~ /^(local|bsmtp):(.+)$/i or return (undef, shown($text, 60)
		. ': mail is kept by local:NAME, bsmtp:NAME, smtp:, lmtp: or sql:');
	my $letters = lc $kind eq 'bsmtp' ? 'mnbPis%' : 'mnbPi%';
	return (undef, shown($text, 60) . ': a name needs %m, and knows no placeholders but %' . join ' %', split //, $letters)
		if $name !~ /%m/ || $name =~ /%(?![$letters])/ || length $name > 120;
	return (undef, shown($text, 60) . ': folders are named by *_quarantine_to_maps') if lc $kind eq 'local' && $name =~ m{/};
	return lua_text($text);
}

sub to_hops {
	my ($self, $v, $row) = @_;
	my @items = grep { defined $_ } $self->{convert}->flat($v);
	return $row->{name} eq 'forward_method' ? (undef, 'mail without a next hop: over AM.PDP Mailweir forwards none either')
		: '{}' if !grep { ref $_ || $_ ne '' } @items;
	for (@items) {
		return (undef, MailweirImport::Convert::why_not($_)) if ref $_;
		return (undef, shown($_, 60) . ': the next hop is reached by smtp: or lmtp:') if !/^(?:smtp|lmtp):/;
	}
	return lua_list(map { lua_text($_) } @items);
}

sub to_word {
	my ($self, $v, $row, @words) = @_;
	my ($text, $why) = $self->{convert}->scalar_of($v);
	return (undef, $why) if $why;
	return $row->{default} if !defined $text || $text eq '';
	my ($word) = grep { lc $_ eq lc $text } @words;
	return defined $word ? lua_text($word) : (undef, shown($text, 40) . ': Mailweir knows ' . join ', ', @words);
}

sub to_mode {
	my ($self, $v) = @_;
	my ($text, $why) = $self->{convert}->scalar_of($v);
	return (undef, $why) if $why;
	my $number = lua_number($text) // return (undef, 'no mode');
	return lua_text(sprintf '%04o', $number);
}

sub to_bind {
	my ($self, $v) = @_;
	my @items = grep { defined $_ && (ref $_ || $_ ne '') } $self->{convert}->flat($v);
	return '{ "*" }' unless @items;
	return $self->{convert}->to_list(\@items);
}

my %offers = map { $_ => 1 } qw(PIPELINING SIZE ENHANCEDSTATUSCODES 8BITMIME SMTPUTF8 DSN CHUNKING XFORWARD STARTTLS);

sub to_keywords {
	my ($self, $v) = @_;
	my @words = $self->{convert}->flat($v);
	my @not = grep { ref $_ || !$offers{ uc $_ } } @words;
	$self->{convert}->tell('never offered: ' . shown(join ', ', @not)) if @not;
	return lua_list(map { lua_text($_) } grep { !ref $_ && $offers{ uc $_ } } @words);
}

sub to_folder {
	my ($self, $v, $row) = @_;
	my ($lua, $why) = $self->{convert}->to_text($v, $row);
	$self->{convert}->tell('must be a folder that the user mailweir may write to') if defined $lua && $lua =~ m{^"/};
	return ($lua, $why);
}

# { table, "NAMES" } for each pair of a table of networks and names of banks.
sub to_client_policy {
	my ($self, $v) = @_;
	my @items = @{ $self->follow($v) };
	my @pairs;
	while (@items) {
		my ($table, $names) = splice @items, 0, 2;
		my ($networks, $why) = $self->{convert}->to_list($table);
		my ($banks, $why_banks) = $self->{convert}->scalar_of($names);
		return (undef, $why // $why_banks) unless defined $networks && !$why_banks;
		next unless defined $banks; # the search goes on
		my @names = grep { $_ ne '' } map { s/^\s+|\s+$//gr } split /,/, $banks;
		my @not = grep { !$self->{banks}{$_} } @names;
		$self->{convert}->tell('no such bank, there too: ' . shown(join ', ', @not)) if @not;
		push @pairs, "{ $networks, " . lua_text(join ', ', grep { $self->{banks}{$_} } @names) . ' }';
	}
	return lua_list(@pairs);
}

# A hash by recipient, whose values are a table each, or a list of them.
sub to_sender_lists {
	my ($self, $v) = @_;
	$v = $self->follow($v);
	return '{}' unless defined $v;
	return (undef, MailweirImport::Convert::why_not($v)) unless is_kind($v, 'hash');
	my @pairs = @{ $v->{pairs} };
	my @out;
	while (@pairs) {
		my ($key, $value) = splice @pairs, 0, 2;
		$value = $self->follow($value) // next;
		my @tables = ref $value eq 'ARRAY' && (grep { ref $self->follow($_) } @$value) ? @$value : ($value);
		my @lists;
		for my $table (@tables) {
			my ($lua, $why) = $self->{convert}->any($table, { name => '', unit => '' }, 2);
			return (undef, 'of ' . shown($key, 60) . ": $why") unless defined $lua;
			push @lists, $lua;
		}
		push @out, $key, lua_list(@lists);
	}
	return @out ? lua_list(lua_hash(@out)) : '{}';
}

# Points by sender, by recipient: amavisd adds whatever stands there, even a reference.
sub to_points {
	my ($self, $v, $row) = @_;
	for my $rcpts (map { $self->follow($_) } @{ $self->follow($v) // [] }) {
		next unless is_kind($rcpts, 'hash');
		my %tables = @{ $rcpts->{pairs} };
		for my $table (map { my $t = $self->follow($_); map { $self->follow($_) } ref $t eq 'ARRAY' ? @$t : $t } values %tables) {
			next unless is_kind($table, 'hash');
			my %points = @{ $table->{pairs} };
			for my $sender (sort keys %points) {
				return (undef, 'of ' . shown($sender, 60) . ': points are expected, and it is a reference')
					if ref $self->follow($points{$sender});
			}
		}
	}
	return $self->{convert}->convert($v, $row);
}

# Entries that cannot be carried are named one by one; when none can, Mailweir's own engine stays.
sub to_scanners {
	my ($self, $v, $row) = @_;
	my $got = MailweirImport::Scanners::entries($self->{convert}, $self->follow($v));
	my @told = splice @{ $self->{told} };
	$self->missed("$row->{name} ($_->[0])", $self->where($row->{name}), $_->[1]) for @{ $got->{missed} };
	push @{ $self->{told} }, @told;
	return $row->{default} unless @{ $got->{lua} };
	return lua_list(@{ $got->{lua} });
}

my @levels = qw(none may encrypt);
my %special = (
	(map { ("${_}_quarantine_method" => \&to_quarantine) } qw(virus spam unchecked banned_files bad_header clean archive)),
	(map { ("${_}_method" => \&to_hops) } qw(forward notify resend release requeue)),
	protocol => sub { to_word(@_, qw(SMTP LMTP AM.PDP)) },
	tls_security_level_in => sub { to_word(@_, @levels) }, tls_security_level_out => sub { to_word(@_, @levels, 'verify') },
	unix_socket_mode => \&to_mode, inet_socket_bind => \&to_bind, QUARANTINEDIR => \&to_folder,
	(map { ("per_recip_${_}list_sender_lookup_tables" => \&to_sender_lists) } qw(white black)),
	av_scanners => \&to_scanners, av_scanners_backup => \&to_scanners,
	score_sender_maps => \&to_points, client_ipaddr_policy => \&to_client_policy, smtpd_discard_ehlo_keywords => \&to_keywords,
);

# ---------------------------------------------------------------- one name

# Give a name of amavisd's its place, or say why it has none.
sub single {
	my ($self, $name, $v, $bank, $where) = @_;
	$name = 'do_syslog' if $name eq 'DO_SYSLOG'; # as it was once called
	my $row = $self->{rows}{$name};
	return $self->refused($name, $bank, $where, $UNNEEDED{$name}) if $UNNEEDED{$name};
	return $self->refused($name, $bank, $where, $self->why_none($name, $bank, $v)) unless $row;
	return $self->refused($name, $bank, $where, 'cannot stand in a policy bank of Mailweir')
		if defined $bank && $row->{scope} ne 'bank';
	my $convert = $special{$name};
	my ($lua, $why) = $convert ? $convert->($self, $v, $row) : $self->{convert}->convert($v, $row);
	return $self->refused($name, $bank, $where, $why) unless defined $lua;
	return $self->unit($row, $bank, $lua, $where);
}

my %hints = (
	ACTION => 'code: Mailweir\'s banks are values',
	spam_scanners => 'spam is scored by SpamAssassin\'s spamd: set scanner.spamd',
);

# Off, and off unless somebody says otherwise.
sub is_off {
	my ($self, $name, $v) = @_;
	my $is = $self->follow($v);
	$is = $self->follow($is->[0]) if ref $is eq 'ARRAY' && @$is == 1;
	$is = undef if ref $is eq 'ARRAY' && !@$is;
	return !ref $is && !$is && !exists $DEFAULTS{"\$$name"} && $name !~ /destiny/;
}

sub why_none {
	my ($self, $name, $bank, $v) = @_;
	return 'not needed: what is off there is not done here' if $self->is_off($name, $v);
	return $hints{$name} if $hints{$name};
	my %known = map { $_ => 1 } @{ $self->{left}{known} };
	return NOT_YET if $known{$name};
	return defined $bank ? 'amavisd has no such setting, it logs an error and ignores it'
		: 'not known to this import; amavisd 2.13 may have no such variable';
}

# Next hops by recipient: what stands at the end for everybody is forward_method.
sub hop_maps {
	my ($self, $v, $bank, $where) = @_;
	my @tables = grep { !$self->{convert}->is_empty($_) } map { ref $_ eq 'ARRAY' ? @$_ : $_ } $self->follow($v);
	my $last = @tables ? $self->follow($tables[-1]) : undef;
	$last = $self->follow($last->{items}[0]) if is_kind($last, 'opaque');
	if (defined $last && (!ref $last || ref $last eq 'ARRAY')) {
		pop @tables;
		$self->single('forward_method', $last, $bank, $where);
	}
	return $self->single('forward_method_maps', \@tables, $bank, $where) if @tables;
	return;
}

# A list of lookup tables, under its own name or that of the one value behind it.
sub maps {
	my ($self, $name, $v, $bank, $where, $what) = @_;
	return $self->hop_maps($v, $bank, $where) if $name eq 'forward_method_maps' && $self->{rows}{$name};
	my @short = map { /^[\$\@](\w+)$/ && $self->{rows}{$1} ? $1 : () } @{ $MAPS{$name} // [] };
	my @tables = grep { !$self->{convert}->is_empty($_) } map { ref $_ eq 'ARRAY' ? @$_ : $_ } $self->follow($v);
	my $last = @tables ? $self->follow($tables[-1]) : undef;
	# In a bank the list replaces that of the base, which would go before a short value.
	return $self->single($name, $v, $bank, $where)
		if $self->{rows}{$name} && (defined $bank || !@short || @tables != 1 || ref $last);
	return $self->refused($what, $bank, $where, $UNNEEDED{$name} // $UNNEEDED{$what}
		// $self->why_none($what, $bank, \@tables)) unless @short;
	my $row = $self->{rows}{ $short[0] };
	my $is_list = $row->{type} eq 'list' || $row->{unit} =~ /^networks/;
	return $self->single($short[0], \@tables, $bank, $where)
		if $is_list && !grep { my $t = $self->follow($_); ref $t && ref $t ne 'ARRAY' } @tables;
	$self->refused($what, $bank, $where, "Mailweir has one value for all recipients ($short[0]): those by recipient are "
		. 'missing') if @tables > 1 || ref $last;
	return if ref $last && !($is_list && ref $last eq 'ARRAY');
	return $self->single($short[0], $last, $bank, $where);
}

# Destinies that no short variable has: by recipient, of minors, of categories without one.
my %ccat_keys = (0 => 'CC_CATCHALL', 1 => 'CC_CLEAN', '1,1' => 'CC_CLEAN,1', 2 => 'CC_MTA', '2,1' => 'CC_MTA,1',
	'2,2' => 'CC_MTA,2', 3 => 'CC_OVERSIZED', 4 => 'CC_BADH', (map { ("4,$_" => "CC_BADH,$_") } 1 .. 8),
	5 => 'CC_SPAMMY', '5,1' => 'CC_SPAMMY,1', 6 => 'CC_SPAM', 7 => 'CC_UNCHECKED',
	(map { ("7,$_" => "CC_UNCHECKED,$_") } 1 .. 3), 8 => 'CC_BANNED', 9 => 'CC_VIRUS');

# More than one constant, perhaps in a list.
sub is_by_recipient {
	my ($self, $v) = @_;
	my $is = $self->follow($v);
	return ref $is eq 'ARRAY' ? @$is > 1 || grep({ ref $self->follow($_) } @$is) : is_kind($is, 'hash');
}

sub destiny_by_ccat {
	my ($self, $table, $category, $value, $by, $bank, $where) = @_;
	my $is = $self->is_by_recipient($value);
	my $name = $is ? 'final_destiny_maps_by_ccat' : 'final_destiny_by_ccat';
	my ($row, $key) = ($self->{rows}{$name}, $ccat_keys{$category});
	my ($lua, $why);
	return $self->missed(label("$table\{$category}", $bank), $where, NOT_YET) unless $row && defined $key;
	($lua, $why) = $is ? $self->{convert}->to_maps($value, $row) : $self->{convert}->to_destiny($value, $row);
	return $self->missed(label("$table\{$category}", $bank), $where, $why) unless defined $lua;
	push @{ $by->{$name} }, $key, $lua;
	return;
}

# Entries of a table by contents category that are not what they refer to by default; target name => value. A category
# without an entry has that of CC_CATCHALL, where the table is all there is: not in a bank, whose entries lie on others.
sub categories {
	my ($self, $table, $v, $bank, $where) = @_;
	my (%override, @pairs, %has, %by);
	$v = $self->follow($v);
	@pairs = is_kind($v, 'hash') ? @{ $v->{pairs} } : ();
	%has = @pairs;
	if (!defined $bank || $self->follow($has{REPLACE})) {
		my %of = %{ $CCAT{$table} // {} };
		my %there = map { $of{$_} => 1 } grep { exists $has{$_} } keys %of;
		push @pairs, $_, $has{0} for grep { !$there{ $of{$_} } } sort keys %of;
	}
	while (@pairs) {
		my ($category, $value) = splice @pairs, 0, 2;
		my $target = $CCAT{$table} ? $CCAT{$table}{$category} : undef;
		next if $category eq 'REPLACE' || (is_kind($value, 'code') && $value->{name} eq 'default:' . ($target // ''));
		my $fixed = $CCAT_FIXED{$table} ? $CCAT_FIXED{$table}{$category} : undef;
		my ($plain) = $self->{convert}->scalar_of($value);
		next if defined $fixed && defined $plain && $plain eq $fixed;
		if ($table =~ /^final_destiny/ && (!defined $target || $self->is_by_recipient($value))) {
			$self->destiny_by_ccat($table, $category, $value, \%by, $bank, $where);
			$self->{by_recipient}{ $bank // '' }{$target} = 1 if defined $target;
		} elsif (defined $target) { $override{$target} = $value }
		else { $self->missed(label("$table\{$category}", $bank), $where, NOT_YET) }
	}
	# A bank's own table is all there is: nothing of the base's may be asked before its values.
	if (defined $bank && $self->follow($has{REPLACE})) {
		for my $name (grep { $self->{by_ccat}{$table}{$_} } qw(final_destiny_by_ccat final_destiny_maps_by_ccat)) {
			unshift @{ $by{$name} }, 'REPLACE', 'true';
		}
	}
	$self->{by_ccat}{$table}{$_} = 1 for defined $bank ? () : keys %by;
	$self->unit($self->{rows}{$_}, $bank, lua_hash(@{ $by{$_} }), $where) for sort keys %by;
	return %override;
}

# Names that files may set and banks may not: amavisd logs an error and goes on without.
my %not_in_banks = map { s/^.//r => $_ } grep { /^\$sa_/ } map { @{ $MAPS{$_} } } keys %MAPS;

# A name of a bank or of a table by category: which of the ways is its.
sub place {
	my ($self, $name, $v, $bank, $where) = @_;
	return $self->refused($name, $bank, $where, 'amavisd ignores this name in a bank; Mailweir would not')
		if defined $bank && $not_in_banks{$name};
	return $self->maps($name, $v, $bank, $where, $name) if $MAPS{$name} || $name =~ /_maps$/;
	return $self->single($name, $v, $bank, $where);
}

# ---------------------------------------------------------------- banks, sockets, keys

sub bank {
	my ($self, $bank, $v) = @_;
	my $where = $self->where("policy_bank{$bank}", 'policy_bank');
	$v = $self->follow($v);
	return $self->missed("policy_bank{'$bank'}", $where, MailweirImport::Convert::why_not($v)) unless is_kind($v, 'hash');
	return $self->missed("policy_bank{''}", $where, 'the base is no bank here: set the variables themselves') if $bank eq '';
	push @{ $self->{units} }, { bank => $bank, where => $where, told => [] };
	my %has = @{ $v->{pairs} };
	my @pairs = @{ $v->{pairs} };
	# No PROXY header stands before AM.PDP, and the front says so.
	push @pairs, 'haproxy_target_enabled', 0 if ($self->follow($has{protocol}) // '') eq 'AM.PDP'
		&& $self->value('$haproxy_target_enabled') && !exists $has{haproxy_target_enabled};
	my (%single, %override);
	while (@pairs) {
		my ($name, $value) = splice @pairs, 0, 2;
		if ($OLD_NAMES{$name}) {
			$self->refused($name, $bank, $where, "amavisd ignores this name in a bank: there it is $OLD_NAMES{$name}");
		} elsif ($CCAT{$name} || $name =~ /_by_ccat$/) {
			%override = (%override, $self->categories($name, $value, $bank, $where));
		} else {
			$single{$name} = $value;
		}
	}
	for my $name (sort keys %single) {
		my $own = exists $override{$name} || $self->{by_recipient}{$bank}{$name};
		my $table = $own ? 'the bank\'s own table' : $self->{fixed}{$name};
		if (defined $table) { $self->refused($name, $bank, $where, "not needed: without effect there, $table goes before it") }
		else { $self->place($name, $single{$name}, $bank, $where) }
	}
	$self->place($_, $override{$_}, $bank, $where) for sort keys %override;
	$self->{tabled}{$_}{$bank} = 1 for keys %override;
	return;
}

# Of two banks on one another, one's table by category goes before the other's variable; here the upper one decides.
sub crossed {
	my ($self) = @_;
	for my $unit (grep { defined $_->{bank} && defined $_->{name} } @{ $self->{units} }) {
		my %tabled = %{ $self->{tabled}{ $unit->{name} } // {} };
		next if $tabled{ $unit->{bank} } || !%tabled;
		push @{ $unit->{told} }, 'on bank ' . shown(join ' or ', sort keys %tabled)
			. ' it would be without effect there, whose table by category goes before it';
	}
	return;
}

sub banks {
	my ($self) = @_;
	return unless $self->is_set('%policy_bank');
	my %banks = @{ $self->value('%policy_bank')->{pairs} };
	$self->{banks} = { map { $_ => 1 } grep { $_ ne '' && is_kind($self->follow($banks{$_}), 'hash') } keys %banks };
	$self->bank($_, $banks{$_}) for sort keys %banks;
	$self->crossed;
	return;
}

# amavisd asks for ADDRESS:PORT, with brackets around IPv6 only; here they stand around both.
sub socket_key {
	my ($key) = @_;
	return undef if $key =~ /^\[\d+(?:\.\d+){3}\]:\d+$/;
	return $key =~ /^(\d+(?:\.\d+){3}):(\d+)$/ ? "[$1]:$2" : $key;
}

sub interfaces {
	my ($self) = @_;
	return unless $self->is_set('%interface_policy');
	my @pairs = @{ $self->value('%interface_policy')->{pairs} };
	my @out;
	while (@pairs) {
		my ($key, $v) = splice @pairs, 0, 2;
		my ($bank, $why) = $self->{convert}->scalar_of($v);
		my $where = $self->where("interface_policy{$key}", 'interface_policy');
		next if !$why && (!defined $bank || $bank eq '');
		$why //= "there is no bank $bank; amavisd ignores that silently" unless defined $bank && $self->{banks}{$bank};
		my $socket = socket_key($key);
		$why //= "amavisd never finds this key: it asks for an IPv4 address without brackets" unless defined $socket;
		if (defined $why) { $self->missed("interface_policy{'$key'}", $where, $why) }
		else { push @out, $socket, lua_text($bank) }
	}
	$self->unit($self->{rows}{interface_policy}, undef, lua_hash(@out), $self->where('interface_policy')) if @out;
	return;
}

sub listeners {
	my ($self) = @_;
	my %add = (inet_socket_port => [], unix_socketname => []);
	if ($self->is_set('@listen_sockets')) {
		for my $socket ($self->{convert}->flat($self->value('@listen_sockets'))) {
			$socket = '' if ref $socket;
			if ($socket =~ m{^(?:unix:)?(/[^|]+)$}) { push @{ $add{unix_socketname} }, $1 }
			elsif ($socket =~ /^(?:inet:)?(?:(\[[\w:.]+\]|[\w.]+):)?(\d+)$/) {
				push @{ $add{inet_socket_port} }, defined $1 ? "$1:$2" : $2;
			} else {
				$self->missed('listen_sockets', $self->where('listen_sockets'),
					shown($socket, 60) . ': no socket that Mailweir knows');
			}
		}
	}
	for my $name (sort keys %add) {
		my @set = map { $self->{convert}->flat($self->value("$_$name")) } $self->set_as($name);
		my @all = (@set, @{ $add{$name} });
		$self->single($name, \@all, undef, $self->where($name, 'listen_sockets')) if @all;
		$self->{done}{$name} = 1;
	}
	return if grep { ($_->{name} // '') eq 'inet_socket_port' } @{ $self->{units} };
	return if $self->set_as('inet_socket_port') || @{ $add{inet_socket_port} };
	if (!grep { ($_->{name} // '') eq 'unix_socketname' } @{ $self->{units} }) {
		push @{ $self->{unset} },
			{ what => 'inet_socket_port', why => 'amavisd then listens nowhere; Mailweir at port 10024' };
		return;
	}
	$self->{convert}->tell('no port, as there');
	$self->unit($self->{rows}{inet_socket_port}, undef, '{}', '');
	return;
}

# Options for all senders ('.'), or for the domain of a key, belong to the keys.
sub key_options {
	my ($self, $domain) = @_;
	my %options;
	for my $table (map { $self->follow($_) } @{ $self->value('@dkim_signature_options_bysender_maps') // [] }) {
		next unless is_kind($table, 'hash');
		my %entry = @{ $table->{pairs} };
		for my $key ('.', lc ".$domain", lc $domain) {
			my $of = $self->follow($entry{$key});
			%options = (%options, @{ $of->{pairs} }) if is_kind($of, 'hash');
		}
	}
	return map { $_ => $options{$_} } grep { /^(?:c|ttl)$/ } keys %options;
}

# What of them does not fit there.
sub key_options_left {
	my ($self) = @_;
	my $name = 'dkim_signature_options_bysender_maps';
	my (@left, %domains);
	$self->{done}{$name} = 1;
	return if $self->{rows}{$name} || !$self->is_set("\@$name");
	%domains = map { my $d = lc($_->{domain} // ''); ($d => 1, ".$d" => 1) } @{ $self->{left}{dkim_keys} };
	for my $table (map { $self->follow($_) } @{ $self->value("\@$name") }) {
		my @pairs = is_kind($table, 'hash') ? @{ $table->{pairs} } : ('a table', undef);
		while (@pairs) {
			my ($key, $of) = splice @pairs, 0, 2;
			$of = $self->follow($of);
			push @left, $key and next unless is_kind($of, 'hash') && ($key eq '.' || $domains{ lc $key });
			my %options = @{ $of->{pairs} };
			delete @options{qw(c ttl)};
			delete $options{a} if ($options{a} // '') eq 'rsa-sha256';
			delete $options{d} if lc($options{d} // '') eq $key =~ s/^\.//r;
			push @left, map { "$_ of $key" } sort keys %options;
		}
	}
	return $self->missed($name, $self->where($name), @left ? 'options stand in dkim_key(...) here, by the key\'s domain: '
		. 'without ' . join ', ', @left : 'not needed: options of signatures stand in dkim_key(...), and were put there');
}

sub dkim_keys {
	my ($self) = @_;
	my $row = $self->{rows}{dkim_key} or return;
	for my $key (@{ $self->{left}{dkim_keys} }) {
		my $what = 'dkim_key of ' . shown($key->{domain} // '?', 60);
		my (%options, @out, $why);
		if (!defined $key->{domain} || !defined $key->{selector} || !defined $key->{file}) {
			$self->missed($what, $key->{where}, 'expected a domain, a selector and the name of a file');
			next;
		}
		%options = ($self->key_options($key->{domain}), @{ $key->{options}{pairs} });
		for my $name (sort keys %options) {
			my ($text, $not) = $self->{convert}->scalar_of($options{$name});
			if ($not || !defined $text) { $self->missed("$what: option $name", $key->{where}, $not // 'undefined') }
			else { push @out, $name, $name eq 'ttl' ? lua_number($text) // lua_text($text) : lua_text($text) }
		}
		push @{ $self->{units} }, { name => 'dkim_key', where => $key->{where}, told => [],
			call => 'dkim_key(' . join(', ', map({ lua_text($_) } @$key{qw(domain selector file)}),
				@out ? lua_hash(@out) : ()) . ')' };
	}
	return;
}

# ---------------------------------------------------------------- all of it

sub lists {
	my ($self, $override) = @_;
	for my $name (sort keys %MAPS) {
		my @parts = map { s/^.//r } @{ $MAPS{$name} };
		my @set = grep { $self->set_as($_) } @parts;
		my $v = exists $override->{$name} ? $override->{$name} : $self->value("\@$name") // [];
		my ($what) = $self->is_set("\@$name") || exists $override->{$name} || !@set ? $name : $set[0];
		$self->{done}{$_} = 1 for $name, grep { !$self->{rows}{$_} } @parts;
		next unless $self->is_set("\@$name") || exists $override->{$name} || @set;
		delete $override->{$name};
		# A short variable under two lists is told once.
		next if $what ne $name && $self->{told_of}{$what}++;
		$self->{done}{$_} = 1 for @parts;
		$self->maps($name, $v, undef, $self->where($what, $name), $what);
	}
	return;
}

sub tls_files {
	my ($self) = @_;
	return unless $self->is_set('%smtpd_tls_server_options');
	my %options = @{ $self->value('%smtpd_tls_server_options')->{pairs} };
	my %names = (SSL_key_file => 'smtpd_tls_key_file', SSL_cert_file => 'smtpd_tls_cert_file');
	my $where = $self->where('smtpd_tls_server_options');
	for my $option (sort keys %options) {
		if ($names{$option}) { $self->single($names{$option}, $options{$option}, undef, $where) }
		else { $self->missed("smtpd_tls_server_options{$option}", $where, NOT_YET) }
	}
	$self->{done}{smtpd_tls_server_options} = 1;
	return;
}

# The older variables of two of the clauses, to which the table of clauses refers.
sub sql_clauses {
	my ($self) = @_;
	my @short = qw(sql_select_policy sql_select_white_black_list);
	return unless $self->{rows}{sql_clause};
	$self->{done}{$_} = 1 for 'sql_clause', @short;
	return unless grep { $self->set_as($_) } 'sql_clause', @short;
	return $self->single('sql_clause', $self->value('%sql_clause'), undef, $self->where('sql_clause', @short));
}

# What the configuration leaves unset and is not the same here.
sub left_alone {
	my ($self) = @_;
	for my $name (@LEVELS) {
		$self->single($name, undef, undef, $self->where($name)) if $self->{rows}{$name} && !$self->{placed}{$name};
	}
	for my $name (sort keys %DIFFERENT) {
		next if $self->{placed}{$name};
		push @{ $self->{unset} }, { what => $name, why => $DIFFERENT{$name} } if $self->{rows}{$name};
	}
	return;
}

sub run {
	my ($self) = @_;
	my %override;
	$self->{done}{$_} = 1 for qw(policy_bank interface_policy listen_sockets);
	for my $table (sort keys %CCAT) {
		$self->{done}{$table} = 1;
		next unless $self->is_set("%$table");
		my %of = $self->categories($table, $self->value("%$table"), undef, $self->where($table));
		%override = (%override, %of);
		$self->{left}{places}{$_} = $self->where($table) for keys %of;
		$self->{fixed}{$_} = "%$table" for keys %of, keys %{ $self->{by_recipient}{''} // {} };
	}
	$self->banks;
	$self->interfaces;
	$self->listeners;
	$self->tls_files;
	$self->sql_clauses;
	$self->dkim_keys;
	$self->key_options_left;
	$self->lists(\%override);
	for my $name (sort keys %{ $self->{by_recipient}{''} // {} }) {
		$self->{done}{$name} = 1;
		$self->refused($name, undef, $self->where($name), "not needed: without effect, $self->{fixed}{$name} goes before it")
			if $self->is_set("\$$name");
	}
	for my $name (sort keys %override) {
		$self->{done}{$name} = 1;
		$self->place($name, $override{$name}, undef, $self->where($name));
	}
	my %names = map { (substr $_, 1) => 1 } grep { $self->is_set($_) } keys %{ $self->{left}{vars} };
	for my $name (sort grep { !$self->{done}{$_} } keys %names) {
		my @sigils = $self->set_as($name);
		$self->place($name, $self->value("$sigils[0]$name"), undef, $self->where($name));
	}
	$self->left_alone;
	return $self;
}

1;

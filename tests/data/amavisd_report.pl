# The last configuration file of an amavisd under test. It takes away what the test's host does not have, and hooks
# a report into amavisd: for each mail one line of JSON says what its own functions resolved. No setting that is
# compared is touched.
use strict;

# Databases, scanners, TLS and processes of others: none. With no scanner a mail's category is CLEAN, and is passed.
@lookup_sql_dsn = @storage_sql_dsn = @storage_redis_dsn = ();
$enable_ldap = 0;
@av_scanners = @av_scanners_backup = @spam_scanners = ();
$enable_dkim_verification = $enable_dkim_signing = 0;
$enable_db = $enable_zmq = 0;
$tls_security_level_in = $tls_security_level_out = undef;
$os_fingerprint_method = undef;
$haproxy_target_enabled = 0;
$bypass_decode_parts = 1; # file(1) takes longer than all else
$myhostname = 'mx.test.example' if $myhostname !~ /\./;
$_->{enable_dkim_signing} = $_->{enable_dkim_verification} = 0 for grep { ref eq 'HASH' } values %policy_bank;

# Where and as whom it runs.
$daemon_user = getpwuid($>);
$daemon_group = undef;
@daemon_groups = ();
$daemon_chroot_dir = '';
$max_servers = 1;
$max_requests = 0;
$min_servers = $min_spare_servers = $max_spare_servers = undef;
$path = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/sbin:/usr/bin:/bin';
$do_syslog = 0;
$logfile = '';
$log_level = 2;
$log_recip_templ = undef;
$pid_file = '';
$unix_socket_mode = 0666;

package Amavis::Custom;
no warnings 'redefine';
use JSON::PP ();
BEGIN {
	import Amavis::Conf qw(:platform c cr ca $MYHOME);
	import Amavis::Util qw(setting_by_given_contents_category);
	import Amavis::Lookup qw(lookup2);
}

my %destinies = (D_PASS, 'D_PASS', D_DISCARD, 'D_DISCARD', D_BOUNCE, 'D_BOUNCE', D_REJECT, 'D_REJECT',
	D_TEMPFAIL, 'D_TEMPFAIL');
my %categories = (virus => CC_VIRUS, banned => CC_BANNED, unchecked => CC_UNCHECKED, spam => CC_SPAM,
	bad_header => CC_BADH, oversized => CC_OVERSIZED, clean => CC_CLEAN);
# Lists of tables whose key is the recipient, and which no table by category holds.
my @lists = qw(bypass_virus_checks bypass_spam_checks bypass_banned_checks bypass_header_checks spam_tag_level
	spam_tag2_level spam_tag3_level spam_kill_level spam_dsn_cutoff_level spam_quarantine_cutoff_level
	spam_subject_tag spam_subject_tag2 spam_subject_tag3 message_size_limit);
# Those by category: name of the value, table, categories that have it.
my @tables = (
	[lover => 'lovers_maps_by_ccat', qw(virus banned unchecked spam bad_header)],
	[quarantine_to => 'quarantine_to_maps_by_ccat', qw(virus banned unchecked spam bad_header clean)],
	[addr_extension => 'addr_extension_maps_by_ccat', qw(virus banned spam bad_header)],
	[admin => 'admin_maps_by_ccat', qw(virus banned spam bad_header)],
);

sub by_category {
	my ($table, $category, $recipient) = @_;
	my $v = setting_by_given_contents_category($categories{$category}, cr($table));
	return ref $v ? lookup2(0, $recipient, $v) : $v;
}

sub plain { my ($v) = @_; return ref $v ? JSON::PP->new->allow_nonref->allow_unknown->encode($v) : defined $v ? "$v" : undef }

sub resolved {
	my ($r) = @_;
	my $to = $r->recip_addr;
	my %of = (local => $r->recip_is_local ? 1 : 0);
	$of{$_} = plain(scalar lookup2(0, $to, ca("${_}_maps"))) for @lists;
	for my $table (@tables) {
		my ($name, $hash, @of) = @$table;
		$of{"${_}_$name"} = plain(scalar by_category($hash, $_, $to)) for @of;
	}
	for my $category (keys %categories) {
		my $destiny = by_category('final_destiny_maps_by_ccat', $category, $to) // D_PASS;
		$of{"${category}_destiny"} = $destinies{$destiny} // $destiny;
	}
	return { address => $to, settings => \%of };
}

sub new { my ($class) = @_; return bless {}, $class }

sub before_send {
	my ($self, $conn, $mail) = @_;
	my %report = (id => $mail->get_header_field_body('message-id'), banks => [split m{/}, c('policy_bank_path')],
		originating => $mail->originating ? 1 : 0, recipients => [map { resolved($_) } @{ $mail->per_recip_data }]);
	open(my $out, '>>', "$MYHOME/report.json") or die "report.json: $!";
	print {$out} JSON::PP->new->canonical->encode(\%report), "\n" or die "report.json: $!";
	close $out or die "report.json: $!";
	# Nobody gets it: what was resolved is all that is wanted. Over AM.PDP delivery is the client's in any case.
	for my $r (grep { ($_->delivery_method // '') ne '' } @{ $mail->per_recip_data }) {
		$r->recip_smtp_response('250 2.0.0 Ok: reported');
		$r->recip_done(2);
	}
	return;
}

1;

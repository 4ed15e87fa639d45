# What the import knows of amavisd: which variables there are, how the three layers of one setting hang together,
# and why some have no place in Mailweir. Which settings Mailweir has it is told by `mailweir config table`.
package MailweirImport::Names;
use strict;
use warnings;
use Exporter 'import';
our @EXPORT_OK = qw(%CONSTANTS %DEFAULTS %MAPS %CCAT %CCAT_FIXED %OLD_NAMES %UNNEEDED %DIFFERENT @LEVELS @VARIABLES is_secret);

# Constants that a configuration may use.
our %CONSTANTS = (
	D_TEMPFAIL => -4, D_REJECT => -3, D_BOUNCE => -2, D_DISCARD => 0, D_PASS => 1,
	CC_CATCHALL => 0, CC_CLEAN => 1, CC_MTA => 2, CC_OVERSIZED => 3, CC_BADH => 4, CC_SPAMMY => 5, CC_SPAM => 6,
	CC_UNCHECKED => 7, CC_BANNED => 8, CC_VIRUS => 9,
);

# Values that configurations build upon; every other variable begins undefined or empty.
our %DEFAULTS = (
	'$MYHOME' => '/var/amavis', '$mydomain' => 'example.com', '$myproduct_name' => 'amavis',
	'$myversion_id' => '2.13.0', '$myversion_id_numeric' => '2.013000', '$myversion' => 'amavis-2.13.0',
	'$log_level' => 0, '$max_servers' => 2, '$max_requests' => 20, '$child_timeout' => 480, '$smtpd_timeout' => 480,
	'$smtpd_recipient_limit' => 1100, '$localhost_name' => 'localhost', '$X_HEADER_TAG' => 'X-Virus-Scanned',
	'$sa_spam_level_char' => '*', '$dkim_minimum_key_bits' => 1024, '$auth_required_release' => 1,
	'$MIN_EXPANSION_FACTOR' => 5, '$MAX_EXPANSION_FACTOR' => 500,
	'$forward_method' => 'smtp:[127.0.0.1]:10025', '$notify_method' => 'smtp:[127.0.0.1]:10025',
	'$requeue_method' => 'smtp:[127.0.0.1]:25', '$virus_quarantine_method' => 'local:virus-%m',
	'$spam_quarantine_method' => 'local:spam-%m.gz', '$banned_files_quarantine_method' => 'local:banned-%m',
	'$bad_header_quarantine_method' => 'local:badh-%m', '$undecipherable_subject_tag' => '***UNCHECKED*** ',
	'$final_virus_destiny' => 0, '$final_banned_destiny' => 0, '$final_spam_destiny' => 1,
	'$final_bad_header_destiny' => 1, '$final_unchecked_destiny' => 1, '$enable_ip_repu' => 1,
	'$penpals_halflife' => 604800, '$penpals_threshold_low' => '1.0', '$storage_redis_ttl' => 1382400,
	'$syslog_ident' => 'amavis', '$syslog_facility' => 'mail', '$reputation_factor' => 0.2,
	'$virus_quarantine_to' => 'virus-quarantine', '$spam_quarantine_to' => 'spam-quarantine',
	'$banned_quarantine_to' => 'banned-quarantine', '$bad_header_quarantine_to' => 'bad-header-quarantine',
	'$clean_quarantine_to' => 'clean-quarantine', '$archive_quarantine_to' => 'archive-quarantine',
	'$remove_existing_spam_headers' => 1, '$replace_existing_extension' => 1, '$sa_num_instances' => 1,
	'$mail_id_size_bits' => 72, '$mail_digest_algorithm' => 'MD5', '$mail_part_digest_algorithm' => 'SHA1',
	'$inet_socket_bind' => ['127.0.0.1', '[::1]'], '@inet_acl' => ['127.0.0.1', '[::1]'],
	'@mynetworks' => [qw(127.0.0.0/8 [::1] 169.254.0.0/16 [fe80::]/10 10.0.0.0/8 172.16.0.0/12 192.168.0.0/16
		[fc00::]/7)],
	'@banned_filename_maps' => ['DEFAULT'], '@altermime_args_defang' => [qw(--verbose --removeall)],
	'$altermime' => 'altermime', '$file' => 'file',
);

# Lists of lookup tables, with what their tables refer to unless the list itself is set.
our %MAPS = (
	(map { ("${_}_maps" => ["%$_", "\@${_}_acl", "\$${_}_re"]) } qw(local_domains bypass_virus_checks
		bypass_spam_checks bypass_banned_checks bypass_header_checks virus_lovers spam_lovers banned_files_lovers
		bad_header_lovers blacklist_sender whitelist_sender)),
	(map { ("${_}_maps" => ["\$$_"]) } qw(warnvirusrecip warnbannedrecip warnbadhrecip newvirus_admin banned_admin
		bad_header_admin addr_extension_virus addr_extension_banned addr_extension_spam addr_extension_bad_header
		virus_quarantine_to banned_quarantine_to spam_quarantine_to bad_header_quarantine_to unchecked_quarantine_to
		clean_quarantine_to archive_quarantine_to spam_quarantine_bysender_to remove_existing_spam_headers)),
	(map { ("${_}_maps" => ["%$_", "\$$_"]) } qw(virus_admin spam_admin)),
	spam_tag_level_maps => ['$sa_tag_level_deflt'], spam_tag2_level_maps => ['$sa_tag2_level_deflt'],
	spam_tag3_level_maps => ['$sa_tag3_level_deflt'], spam_kill_level_maps => ['$sa_kill_level_deflt'],
	spam_quarantine_cutoff_level_maps => ['$sa_quarantine_cutoff_level'],
	spam_dsn_cutoff_level_maps => ['$sa_dsn_cutoff_level'],
	spam_dsn_cutoff_level_bysender_maps => ['$sa_dsn_cutoff_level'],
	spam_crediblefrom_dsn_cutoff_level_maps => ['$sa_crediblefrom_dsn_cutoff_level'],
	spam_crediblefrom_dsn_cutoff_level_bysender_maps => ['$sa_crediblefrom_dsn_cutoff_level'],
	spam_subject_tag_maps => ['$sa_spam_subject_tag1'], spam_subject_tag2_maps => ['$sa_spam_subject_tag'],
	mynetworks_maps => ['@mynetworks'], ip_repu_ignore_maps => ['@ip_repu_ignore_networks'],
	debug_sender_maps => ['@debug_sender_acl'], keep_decoded_original_maps => ['$keep_decoded_original_re'],
	map_full_type_to_short_type_maps => ['$map_full_type_to_short_type_re'], forward_method_maps => ['$forward_method'],
	viruses_that_fake_sender_maps => ['$viruses_that_fake_sender_re'],
);

# Tables by contents category: what each category refers to unless the entry itself is set.
our %CCAT = (
	final_destiny_maps_by_ccat => { 9 => 'final_virus_destiny', 8 => 'final_banned_destiny',
		7 => 'final_unchecked_destiny', 6 => 'final_spam_destiny', 4 => 'final_bad_header_destiny' },
	lovers_maps_by_ccat => { 9 => 'virus_lovers_maps', 8 => 'banned_files_lovers_maps', 7 => 'unchecked_lovers_maps',
		6 => 'spam_lovers_maps', 5 => 'spam_lovers_maps', 4 => 'bad_header_lovers_maps' },
	defang_maps_by_ccat => { 9 => 'defang_virus', 8 => 'defang_banned', 7 => 'defang_undecipherable',
		6 => 'defang_spam', 5 => 'defang_spam', 4 => 'defang_bad_header' },
	subject_tag_maps_by_ccat => { 7 => 'undecipherable_subject_tag', '5,1' => 'spam_subject_tag3_maps',
		5 => 'spam_subject_tag2_maps', '1,1' => 'spam_subject_tag_maps' },
	quarantine_method_by_ccat => { 9 => 'virus_quarantine_method', 8 => 'banned_files_quarantine_method',
		7 => 'unchecked_quarantine_method', 6 => 'spam_quarantine_method', 4 => 'bad_header_quarantine_method',
		1 => 'clean_quarantine_method' },
	quarantine_to_maps_by_ccat => { 9 => 'virus_quarantine_to_maps', 8 => 'banned_quarantine_to_maps',
		7 => 'unchecked_quarantine_to_maps', 6 => 'spam_quarantine_to_maps', 4 => 'bad_header_quarantine_to_maps',
		1 => 'clean_quarantine_to_maps' },
	admin_maps_by_ccat => { 9 => 'virus_admin_maps', 8 => 'banned_admin_maps', 7 => 'virus_admin_maps',
		6 => 'spam_admin_maps', 4 => 'bad_header_admin_maps' },
	warnrecip_maps_by_ccat => { 9 => 'warnvirusrecip_maps', 8 => 'warnbannedrecip_maps', 4 => 'warnbadhrecip_maps' },
	warnsender_by_ccat => { 8 => 'warnbannedsender', 4 => 'warnbadhsender' },
	addr_extension_maps_by_ccat => { 9 => 'addr_extension_virus_maps', 8 => 'addr_extension_banned_maps',
		6 => 'addr_extension_spam_maps', 5 => 'addr_extension_spam_maps', 4 => 'addr_extension_bad_header_maps' },
	forward_method_maps_by_ccat => { 0 => 'forward_method_maps' },
	always_bcc_by_ccat => { 0 => 'always_bcc' }, dsn_bcc_by_ccat => { 0 => 'dsn_bcc' },
);
# Entries that refer to no variable.
our %CCAT_FIXED = (final_destiny_maps_by_ccat => { 0 => 1, 2 => -4, '2,1' => -4, '2,2' => -3, 3 => -2 });
$CCAT_FIXED{final_destiny_by_ccat} = $CCAT_FIXED{final_destiny_maps_by_ccat};
# Older names of the same, which banks do not know.
our %OLD_NAMES = (final_destiny_by_ccat => 'final_destiny_maps_by_ccat', defang_by_ccat => 'defang_maps_by_ccat');
$CCAT{$_} = $CCAT{ $OLD_NAMES{$_} } for keys %OLD_NAMES;

# Names without a place in Mailweir: the reason is the program's, whose unknown names are told the same.
our %UNNEEDED = (daemon_user => 'not needed: systemd starts the processes as the user mailweir');
{
	(my $list = __FILE__) =~ s{[^/]*$}{amavisd.def};
	open(my $in, '<', $list) or die "$list: $!\n";
	while (my $line = readline $in) {
		my ($names, $why) = $line =~ /^MW_WITHOUT\("([^"]*)", "([^"]*)"\)$/ or next;
		$UNNEEDED{$_} = "not needed: $why" for split ' ', $names;
	}
}

# Unset there means something else than unset here: told when a configuration leaves it so.
our %DIFFERENT = (
	do_syslog => 'amavisd then logs to syslog; Mailweir to stderr',
	smtpd_message_size_limit => 'amavisd then has no limit; Mailweir takes 100 MiB',
	virus_scanners_failure_is_fatal => 'amavisd then passes mail that no scanner could check; Mailweir answers 451',
);

# Levels that are unset mean "always" (tag) and "never" there.
our @LEVELS = qw(sa_tag_level_deflt sa_tag2_level_deflt sa_kill_level_deflt);

our @VARIABLES = (keys %UNNEEDED, keys %DIFFERENT, keys %MAPS, keys %CCAT, (map { values %$_ } values %CCAT),
	(map { substr $_, 1 } keys %DEFAULTS), (map { map { substr $_, 1 } @$_ } values %MAPS), qw(
	myhostname snmp_contact snmp_location localpart_is_case_sensitive log_level
	inet_socket_port unix_socketname unix_socket_mode listen_sockets protocol interface_policy policy_bank mynetworks
	client_ipaddr_policy originating message_size_limit_maps enforce_smtpd_message_size_limit_64kb_min
	smtpd_greeting_banner smtpd_quit_banner smtpd_discard_ehlo_keywords tls_security_level_in smtpd_tls_server_options
	smtpd_tls_cert_file smtpd_tls_key_file haproxy_target_enabled resend_method release_method 	attachment_password attachment_email_name attachment_outer_name local_client_bind_address
	tls_security_level_out smtp_tls_client_options smtp_tls_client_verifycn_name_maps propagate_dsn_if_possible
	terminate_dsn_on_notify_success soft_bounce do_syslog DO_SYSLOG syslog_ident syslog_facility listen_queue_size
	smtp_connection_cache_enable recipient_delimiter per_recip_whitelist_sender_lookup_tables
	per_recip_blacklist_sender_lookup_tables score_sender_maps author_to_policy_bank_maps signer_reputation_maps
	debug_recipient_maps myauthservid bypass_decode_parts MAXLEVELS MAXFILES MIN_EXPANSION_QUOTA MAX_EXPANSION_QUOTA
	banned_rules banned_filename_re banned_namepath_re allowed_header_tests av_scanners av_scanners_backup
	first_infected_stops_scan virus_name_to_spam_score_maps virus_name_to_policy_bank_maps spam_scanners
	sa_mail_body_size_limit sa_userconf_maps sa_username_maps os_fingerprint_method os_fingerprint_dst_ip_and_port
	enable_dkim_verification enable_dkim_signing dkim_signing_service dkim_signing_keys
	dkim_signature_options_bysender_maps signed_header_fields penpals_bonus_score penpals_threshold_high
	bounce_killer_score ip_repu_score_limit ip_repu_ignore_networks smtp_reason_by_ccat defang_all allow_disclaimers
	outbound_disclaimers_only disclaimer_options_bysender_maps enable_anomy_sanitizer anomy_sanitizer_args
	altermime_args_disclaimer addr_rewrite_maps_by_ccat spam_subject_tag3_maps unchecked_lovers_maps
	allowed_added_header_fields prefer_our_added_header_fields remove_existing_x_scanned_headers X_HEADER_LINE
	prepend_header_fields_hdridx allow_fixing_improper_header allow_fixing_improper_header_folding
	allow_fixing_long_header_lines QUARANTINEDIR unchecked_quarantine_method clean_quarantine_method
	archive_quarantine_method local_delivery_aliases mailfrom_to_quarantine partition_tag sql_partition_tag warn_offsite
	warnvirussender warnspamsender mailfrom_notify_admin mailfrom_notify_spamadmin mailfrom_notify_recip
	mailfrom_notify_sender hdrfrom_notify_admin hdrfrom_notify_spamadmin hdrfrom_notify_recip hdrfrom_notify_sender
	notify_sender_templ notify_virus_sender_templ
	notify_spam_sender_templ notify_virus_admin_templ notify_spam_admin_templ notify_virus_recips_templ
	notify_spam_recips_templ notify_release_templ notify_report_templ notify_autoresp_templ hdr_encoding bdy_encoding
	hdr_encoding_qb lookup_sql_dsn storage_sql_dsn sql_clause sql_select_policy sql_select_white_black_list
	sql_schema_version sql_allow_8bit_address sql_lookups_no_at_means_domain timestamp_fmt_mysql
	sql_store_info_for_all_msgs database_sessions_persistent lookup_maps_imply_sql_and_ldap
	trim_trailing_space_in_lookup_result_fields enable_ldap ldap_lookups_no_at_means_domain default_ldap
	storage_redis_dsn redis_logging_key redis_logging_queue_size_limit spam_notifyadmin_cutoff_level_maps
	virus_lovers_re av_scanners_timeout notify_admin_templ_by_ccat notify_recips_templ_by_ccat
	notify_sender_templ_by_ccat mailfrom_notify_admin_by_ccat hdrfrom_notify_admin_by_ccat
	));
my %seen;
@VARIABLES = grep { !$seen{$_}++ } @VARIABLES;

# Values that no message repeats.
sub is_secret {
	my ($name) = @_;
	return $name =~ /_dsn$|ldap|password|_pass$|secret|auth_user/i;
}

1;

# The last configuration file of an amavisd under test whose outcomes are compared: it takes away what the test's host
# does not have, and gives a mail the score that its field X-Test-Score names, for there is no SpamAssassin here.
use strict;

@lookup_sql_dsn = @storage_sql_dsn = @storage_redis_dsn = ();
$enable_ldap = 0;
@spam_scanners = ();
$enable_dkim_verification = $enable_dkim_signing = 0;
$enable_db = $enable_zmq = 0;
$os_fingerprint_method = undef;
$daemon_user = getpwuid($>);
$daemon_group = undef;
@daemon_groups = ();
$daemon_chroot_dir = '';
$max_servers = 2;
$max_requests = 0;
$min_servers = $min_spare_servers = $max_spare_servers = undef;
$path = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/sbin:/usr/bin:/bin';
$do_syslog = 0;
$logfile = '';
$log_level = 2;
$log_recip_templ = undef;
$pid_file = '';

package Amavis::Custom;
no warnings 'redefine';

# While the header is edited amavisd has to believe that a spam scanner is there, and while it looks for one that none is.
sub new { my ($class) = @_; $Amavis::extra_code_antispam = 0; return bless {}, $class }

sub checks {
	my ($self, $conn, $msginfo) = @_;
	$Amavis::extra_code_antispam = 1;
	my $score = $msginfo->get_header_field_body('x-test-score');
	return if !defined $score || $score !~ /(-?[\d.]+)/;
	my $points = 0 + $1;
	for my $r (@{ $msginfo->per_recip_data }) {
		$r->spam_level($points);
		$r->spam_tests([ \"TESTED=$points" ]);
	}
}

1;

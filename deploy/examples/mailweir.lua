-- Settings of a usual site: Mailweir beside Postfix on one host (deploy/postfix/), or from deploy/compose.yml.
--
-- Names are amavisd's where amavisd has the setting. What is commented out shows the default. Check a change with
-- `mailweir check-config` (or any service with --check), then `mailweir reload` or SIGHUP: all is read and taken whole, or
-- not at all. MAILWEIR_* variables override single settings, for containers.

-- ---------------------------------------------------------------- who we are

-- Our name in replies, Received fields and records; unset: the system's.
-- myhostname = "mail.example.com"

-- Domains whose recipients are local: a leading dot includes sub-domains.
local_domains_maps = { ".example.com" }

-- ---------------------------------------------------------------- mail comes in

-- 10024 takes mail from outside, 10026 mail of our own users (submission).
inet_socket_port = { 10024, 10026 }
-- inet_socket_bind = { "127.0.0.1", "[::1]" }   -- "*": every address
-- inet_acl = { "127.0.0.1", "[::1]" }           -- others get 554 before the greeting
-- smtpd_message_size_limit = 104857600          -- octets; 552
-- child_timeout = 480                           -- s from the final dot to our reply; 451. Below the MTA's own wait

-- STARTTLS (docs/tls.md): "may" offers it, "encrypt" takes no mail without.
-- smtpd_tls_cert_file = "/etc/mailweir/tls/cert.pem"  -- and those between it and the root
-- smtpd_tls_key_file = "/etc/mailweir/tls/key.pem"    -- readable for the user mailweir; read again at SIGHUP
-- tls_security_level_in = "may"
-- tls_min_version = "TLSv1.2"

interface_policy = { ["10026"] = "ORIGINATING" }

policy_bank = {
	ORIGINATING = {
		originating = true, -- signed, and remembered for pen pals
		-- forward_method = "smtp:[127.0.0.1]:10027",
	},
}

-- ---------------------------------------------------------------- mail goes out

-- The next hop: Postfix's way back in.
-- forward_method = "smtp:[127.0.0.1]:10025"
-- forward_method = { "lmtp:/var/run/dovecot/lmtp", "lmtp:backup.example.org:24" } -- the first that can be talked to
-- tls_security_level_out = "none"     -- "may", "encrypt", or "verify": the certificate has to name forward_method's host
-- smtp_tls_CAfile = "/etc/ssl/certs/ca-certificates.crt"

-- ---------------------------------------------------------------- what becomes of what

final_virus_destiny = D_DISCARD     -- D_PASS D_DISCARD D_REJECT D_TEMPFAIL; kept in the quarantine
final_spam_destiny = D_PASS         -- marked; D_REJECT or D_DISCARD from the kill level on
-- final_unchecked_destiny = D_PASS -- encrypted, or over a limit: marked
-- A virus check that could not run: 451, the sender tries again. Unknown is never clean.
-- virus_scanners_failure_is_fatal = true
-- spam_scanners_failure_is_fatal = false

-- sa_tag_level_deflt = 2.0            -- X-Spam-Score and -Level from here
-- sa_tag2_level_deflt = 6.31          -- X-Spam-Flag: YES from here
-- sa_kill_level_deflt = 6.31          -- final_spam_destiny from here

-- QUARANTINEDIR = "/var/lib/mailweir/quarantine"
-- virus_quarantine_method = "local:virus-%m.gz"   -- "": not kept
-- spam_quarantine_method = "local:spam-%m.gz"

-- ---------------------------------------------------------------- mail authentication

enable_dkim_verification = true
-- enable_dkim_signing = true
-- dkim_key("example.com", "s2026", "/etc/mailweir/dkim/example.com.s2026.pem")
-- dkim = { nameservers = { "127.0.0.1" } }        -- empty: those of /etc/resolv.conf

-- ---------------------------------------------------------------- spam

-- SpamAssassin's spamd; empty: no spam check.
-- scanner = { spamd = "127.0.0.1:783" }

-- ---------------------------------------------------------------- reputation and pen pals

-- Redis or Valkey. The compose file names its own by MAILWEIR_REDIS.
redis = { server = "127.0.0.1:6379" }
checks = { reputation = true }
enable_ip_repu = true
-- ip_repu_ignore_networks = { "192.0.2.0/24" }
-- A reply to somebody our users wrote to: so many points off the spam score.
penpals_bonus_score = 8
-- penpals_halflife = 604800                       -- s

-- ---------------------------------------------------------------- the record of each mail

-- One JSON object a mail, to stdout (the journal, the container's log) and wherever else you say.
-- logger = { file = "/var/log/mailweir/mail.json" }  -- opened again at SIGHUP, for logrotate
-- redis_logging_key = "mailweir-log"                 -- a Redis list, for shippers
-- redis_logging_queue_size_limit = 300000            -- its longest length

"""
Part (f) of the benchmark: pass-through with TLS, at 10 connections.

  f0   plaintext in and out, for comparison
  fi   TLS in; 100 mails over a connection
  fh   TLS in; a handshake a mail
  fo   TLS out
  fb   both
"""
import mwtls

CONNECTIONS = 10


def certificate(folder):
    """PEM of certificate and key, for the sink and the front."""
    return mwtls.Authority(folder).cert("bench")


def part_f(b, settings, pem, address_of_front, stop_services):
    tls_in = {"tls_security_level_in": "may", "smtpd_tls_cert_file": str(pem)}
    tls_out = {"tls_security_level_out": "encrypt"}
    for part, more, client in (("f0", {}, []), ("fi", tls_in, ["--tls"]), ("fh", tls_in, ["--tls", "--reuse", "1"]),
            ("fo", tls_out, []), ("fb", {**tls_in, **tls_out}, ["--tls"])):
        b.settings({**settings, **more})
        b.client = client
        b.suite.start("smtp-front")
        b.cell(part, address_of_front(b.suite), CONNECTIONS)
        stop_services(b.suite)
    b.client = []

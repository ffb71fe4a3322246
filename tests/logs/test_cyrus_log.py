"""The rigs' reader of the log of Cyrus 3.13, which Debian does not have: lines as its source writes them."""

from fixtures.cyrus_version import LogfmtLog

TEXT = """\
cyrus/lmtptcp[1]: event=login.good r.sessionid=a r.clienthost="localhost [127.0.0.1]" u.username=mx1 \
login.mech=SCRAM-SHA-256 login.tls=1
cyrus/lmtptcp[1]: event=login.good r.sessionid=b r.clienthost="localhost [127.0.0.1]" u.username=mx1 \
login.mech=PLAIN login.tls=0
cyrus/imap[2]: event=login.good r.sessionid=c r.clienthost="localhost [127.0.0.1]" u.username=cyrus \
login.mech=PLAIN login.tls=0
cyrus/lmtptcp[1]: event=login.bad r.clienthost="localhost [127.0.0.1]" u.username=~null~ \
login.mech=PLAIN error="authentication failure"
cyrus/lmtpunix[3]: event=auditlog.append r.sessionid=d r.tid=t1 mbox.name=user.alice mbox.uniqueid=u
cyrus/lmtpunix[3]: event=auditlog.append r.sessionid=e r.tid=t2 mbox.name=user.bob mbox.uniqueid=u
cyrus/lmtpproxy[4]: event=auditlog.proxy r.sessionid=f remote.sessionid=g
"""


def test_logins_are_those_of_lmtpd():
  assert LogfmtLog().logins(TEXT) == [('mx1', 'SCRAM-SHA-256+TLS'), ('mx1', 'PLAIN')]
  [refused] = LogfmtLog().bad_logins(TEXT)
  assert 'error="authentication failure"' in refused


def test_sessions_lead_to_mailboxes_and_backends():
  assert LogfmtLog().appended(TEXT, 'alice') == ['d']
  assert LogfmtLog().proxied(TEXT, 'f') == ['g']

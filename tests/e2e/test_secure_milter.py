"""Who logs in at Sendmail, or shows it a certificate, and what the milter makes of it."""

import re
import smtplib
import ssl
import subprocess

from fixtures.authority import Authority, Leaf
from fixtures.messages import message
from fixtures.sendmail import Sendmail
from fixtures.tag_case import TagCase, rule

PASSWORD = 'of the notifier'
LOGIN_OPTIONS = r"""define(`confAUTH_MECHANISMS', `PLAIN')
TRUST_AUTH_MECH(`PLAIN')
define(`confAUTH_OPTIONS', `A p')
"""
SASL_CONF = """pwcheck_method: auxprop
auxprop_plugin: sasldb
sasldb_path: @DIR@/sasldb
mech_list: PLAIN
"""


class MilterKnowsClients(TagCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.authority = Authority(cls.scratch.folder('authority'))
    cls.sasl = cls.scratch.folder('sasl')
    (cls.sasl / 'Sendmail.conf').write_text(SASL_CONF.replace('@DIR@', str(cls.sasl)))
    for user in ('notifier', 'somebody'):
      subprocess.run(['saslpasswd2', '-f', cls.sasl / 'sasldb', '-p', '-c', '-u', 'mail.test',
                      user], input=PASSWORD.encode(), check=True, timeout=30)

  def with_doors(self, rules: str) -> Sendmail:
    """A Sendmail with STARTTLS and AUTH PLAIN within it, and a milter with these rules."""
    mine = self.authority.leaf('server')
    tls = {'confCACERT': self.authority.ca, 'confCACERT_PATH': self.authority.hashed_folder(),
           'confSERVER_CERT': mine.certificate, 'confSERVER_KEY': mine.key}
    sendmail = self.with_milter(rules, options=LOGIN_OPTIONS + ''.join(
        f"define(`{name}', `{value}')\n" for name, value in tls.items()))
    sendmail.edit_cf('\nEASAN_OPTIONS', f'\nESASL_CONF_PATH={self.sasl}\nEASAN_OPTIONS')
    sendmail.start()
    return sendmail

  def bring(self, *recipients: str, user: str = '', leaf: Leaf | None = None) -> str:
    """In TLS, as this user, with this certificate; the queue id."""
    context = ssl.create_default_context(cafile=str(self.authority.ca))
    if leaf:
      context.load_cert_chain(leaf.certificate, leaf.key)
    with smtplib.SMTP('localhost', self.sendmail.port, 'client.test', timeout=30) as client:
      client.starttls(context=context)
      if user:
        client.login(f'{user}@mail.test', PASSWORD)
      client.ehlo_or_helo_if_needed()
      Sendmail.expect(client.mail(self.notice))
      for recipient in recipients:
        Sendmail.expect(client.rcpt(recipient))
      reply = Sendmail.expect(client.data(message(sender=self.notice)))
    return re.search(r'2\.0\.0 (\w+) Message accepted', reply).group(1)

  def ends_of(self, allowed: dict, others: list[dict]):
    """Mail of the client that the rule names goes past the quota, that of others does not."""
    first = self.full_mailbox()
    qid = self.bring(f'{first}@store.test', **allowed)
    rest = [(self.full_mailbox(f'other{number}x'), other) for number, other in enumerate(others)]
    refused = [(self.bring(f'{user}@store.test', **other), user) for user, other in rest]
    self.sendmail.run_queue()
    self.assert_ends(qid, **{first: 'Sent'})
    self.assertEqual(len(self.store.messages(first)), 1)
    for other, user in refused:
      self.assert_ends(other, **{user: 'Deferred'})
      self.assertEqual(self.store.messages(user), [])

  def test_a_login_opens_the_quota_for_whom_the_rule_names(self):
    self.with_doors(rule('notifier', auth='notifier@mail.test'))
    self.ends_of({'user': 'notifier'}, [{'user': 'somebody'}, {}])

  def test_a_certificate_opens_the_quota_for_whom_the_rule_names(self):
    self.with_doors(rule('notifier', tls_subject='/CN=lmtpuser'))
    stranger = Authority(self.scratch.folder('stranger'), 'nobody we know')
    others = [stranger.leaf('client'), self.authority.leaf('other-client'), None]
    self.ends_of({'leaf': self.authority.leaf('client')}, [{'leaf': leaf} for leaf in others])

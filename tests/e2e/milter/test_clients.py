"""Clients that log in to Sendmail, or show it a certificate, and what the milter decides."""

import re
import smtplib
import ssl
import subprocess

import pytest

from fixtures.authority import Authority, Leaf
from fixtures.messages import message
from fixtures.sendmail import Sendmail
from fixtures.tagged_mail import rule

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


class TestMilterKnowsClients:
  @pytest.fixture(scope='class')
  def authority(self, scratch):
    return Authority(scratch.folder('authority'))

  @pytest.fixture(scope='class')
  def sasl(self, scratch):
    """The folder with the logins that Sendmail knows."""
    folder = scratch.folder('sasl')
    (folder / 'Sendmail.conf').write_text(SASL_CONF.replace('@DIR@', str(folder)))
    for user in ('notifier', 'somebody'):
      subprocess.run(['saslpasswd2', '-f', folder / 'sasldb', '-p', '-c', '-u', 'mail.test',
                      user], input=PASSWORD.encode(), check=True, timeout=30)
    return folder

  @pytest.fixture(autouse=True)
  def prepare(self, authority, sasl):
    self.authority, self.sasl = authority, sasl

  def with_logins(self, mail, rules: str) -> Sendmail:
    """A Sendmail with STARTTLS and AUTH PLAIN within it, and a milter with these rules."""
    mine = self.authority.leaf('server')
    tls = {'confCACERT': self.authority.ca, 'confCACERT_PATH': self.authority.hashed_folder(),
           'confSERVER_CERT': mine.certificate, 'confSERVER_KEY': mine.key}
    sendmail = mail.with_milter(rules, options=LOGIN_OPTIONS + ''.join(
        f"define(`{name}', `{value}')\n" for name, value in tls.items()))
    sendmail.edit_cf('\nEASAN_OPTIONS', f'\nESASL_CONF_PATH={self.sasl}\nEASAN_OPTIONS')
    sendmail.start()
    return sendmail

  def bring(self, mail, *recipients: str, user: str = '', leaf: Leaf | None = None) -> str:
    """In TLS, as this user, with this certificate; the queue id."""
    context = ssl.create_default_context(cafile=str(self.authority.ca))
    if leaf:
      context.load_cert_chain(leaf.certificate, leaf.key)
    with smtplib.SMTP('localhost', mail.sendmail.port, 'client.test', timeout=30) as client:
      client.starttls(context=context)
      if user:
        client.login(f'{user}@mail.test', PASSWORD)
      client.ehlo_or_helo_if_needed()
      Sendmail.expect(client.mail(mail.notice))
      for recipient in recipients:
        Sendmail.expect(client.rcpt(recipient))
      reply = Sendmail.expect(client.data(message(sender=mail.notice)))
    return re.search(r'2\.0\.0 (\w+) Message accepted', reply).group(1)

  def ends_of(self, mail, allowed: dict, others: list[dict]):
    """Mail of the client that the rule names goes past the quota, that of others does not."""
    first = mail.full_mailbox()
    qid = self.bring(mail, f'{first}@store.test', **allowed)
    others = [(mail.full_mailbox(f'other{number}x'), other) for number, other in enumerate(others)]
    refused = [(self.bring(mail, f'{user}@store.test', **other), user) for user, other in others]
    mail.sendmail.run_queue()
    mail.assert_ends(qid, **{first: 'Sent'})
    assert len(mail.store.messages(first)) == 1
    for waiting, user in refused:
      mail.assert_ends(waiting, **{user: 'Deferred'})
      assert mail.store.messages(user) == []

  def test_a_login_that_the_rule_names_ignores_the_quota(self, mail):
    self.with_logins(mail, rule('notifier', auth='notifier@mail.test'))
    self.ends_of(mail, {'user': 'notifier'}, [{'user': 'somebody'}, {}])

  def test_a_certificate_that_the_rule_names_ignores_the_quota(self, mail):
    self.with_logins(mail, rule('notifier', tls_subject='/CN=lmtpuser'))
    stranger = Authority(mail.scratch.folder('stranger'), 'an unknown authority')
    others = [stranger.leaf('client'), self.authority.leaf('other-client'), None]
    self.ends_of(mail, {'leaf': self.authority.leaf('client')}, [{'leaf': leaf} for leaf in others])

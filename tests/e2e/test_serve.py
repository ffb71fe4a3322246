"""Sendmail dials the daemon itself, over a unix socket: a listener for each of its two mailers."""

import signal
from collections import Counter

from fixtures import mailers
from fixtures.case import MailCase
from fixtures.cyrus import Cyrus
from fixtures.dovecot import Dovecot
from fixtures.messages import message, message_id
from fixtures.process import send_signal, wait_until
from fixtures.serve import Serve

# As Sendmail's own cyrusv2, with another socket.
QUOTA_MAILER = r"""MAILER_DEFINITIONS
Mcyrusv2q,	P=[IPC], F=lsDFMnqXzA@/:|m, S=EnvFromSMTP/HdrFromL, R=EnvToL/HdrToL, E=\r\n,
		T=DNS/RFC822/SMTP, A=FILE @SOCKET@
"""
LISTENERS = """[listener.cyrusv2]
address = unix:@DIR@/plain
[listener.cyrusv2q]
address = unix:@DIR@/quota
ignore-quota = always
"""


class ServeCases:
  def setUp(self):
    super().setUp()
    folder = self.scratch.path / f'serve{self.number}'
    self.serve = Serve(folder)
    self.serve.write(f'destination = {self.store.address}\ndial-backoff = 50ms\n'
                     f'log-level = debug\n' + LISTENERS.replace('@DIR@', str(folder)))
    self.log = self.serve.log
    self.serve.start()
    self.with_mailers(mailers.stock(f'unix:{folder}/plain')
                      + QUOTA_MAILER.replace('@SOCKET@', f'{folder}/quota'))

  def tearDown(self):
    self.serve.stop()
    super().tearDown()
    self.assertEqual(self.serve.sanitizers(), '')

  def send_many(self, count: int, user: str) -> dict[str, str]:
    """Queue id -> Message-ID."""
    sent = {}
    for number in range(count):
      raw = message(b'x' * 70 + b'\r\n' + b'number %d\r\n' % number)
      sent[self.send(raw, user)] = message_id(raw)
    return sent

  def test_a_queue_run_is_filed_over_few_connections(self):
    user = self.mailbox('alice')
    sent = self.send_many(20, user)
    self.sendmail.run_queue()
    self.assert_queue_empty()
    self.assertEqual(sorted(self.store.message_ids(user)), sorted(sent.values()))
    lines = self.lmtpq_lines(' to=')
    self.assertEqual([line['qid'] for line in lines if line['qid'] not in sent], [])
    self.assertEqual(max(int(line['conn_use']) for line in lines), 20, 'one connection for all')

  def test_each_mailer_has_its_own_listener(self):
    full = self.full_mailbox()
    plain = self.send(message(), full)
    quota = self.send(message(), full, domain='quota.test')
    self.sendmail.run_queue()
    self.assert_deferred(plain, full, '4.2.2')
    if self.store.ignores_quota:
      self.assert_sent(quota, full)
    else:
      self.assert_deferred(quota, full, '4.2.2')

  def test_each_recipient_has_its_own_end(self):
    alice, bob, full = self.mailbox('alice'), self.mailbox('bob'), self.full_mailbox()
    qid = self.send(message(), alice, 'nobody.here', full, bob)
    self.sendmail.run_queue()
    self.assert_sent(qid, alice)
    self.assert_sent(qid, bob)
    self.assert_deferred(qid, full, '4.2.2')
    self.assertIn(self.store.unknown_user, self.sendmail.delivery(qid, 'nobody.here').line
                  + self.log.read_text(errors='replace'))

  def test_a_daemon_that_is_down_defers_mail_and_the_next_run_brings_it(self):
    user = self.mailbox('alice')
    sent = self.send_many(3, user)
    self.serve.stop()
    self.sendmail.run_queue()
    for qid in sent:
      self.assert_deferred(qid, user, '4.')
    self.serve.start()
    self.sendmail.run_queue()
    self.assert_queue_empty()
    self.assertEqual(sorted(self.store.message_ids(user)), sorted(sent.values()))

  def interrupted(self, interrupt):
    """interrupt() comes in the middle of a queue run; the next run finds all as it was."""
    user = self.mailbox('alice')
    sent = self.send_many(60, user)
    run = self.sendmail.start_queue_run()
    self.wait_for_log('stat=Sent', 20)
    interrupt()
    wait_until(lambda: run.child.poll() is not None, 'the queue run ends', 60)
    self.sendmail.run_queue()
    self.assert_queue_empty()
    filed = Counter(self.store.message_ids(user))
    self.assertEqual(set(filed), set(sent.values()), 'nothing is lost, nothing is foreign')
    owned_up = {line.get('qid') for line in self.lmtpq_lines('possible duplicate')}
    doubled = {qid for qid, identity in sent.items() if filed[identity] > 1}
    self.assertLessEqual(doubled, owned_up)

  def test_a_restart_in_the_middle_of_a_queue_run_loses_and_doubles_nothing(self):
    def restart():
      self.serve.terminate()
      self.assertEqual(self.serve.wait(), 0)
      self.serve.start()
    self.interrupted(restart)
    self.assertEqual(self.lmtpq_lines('possible duplicate'), [])

  def test_a_reload_in_the_middle_of_a_queue_run_is_not_noticed(self):
    self.interrupted(lambda: send_signal(self.serve.pid, signal.SIGHUP))
    self.assertEqual(self.sendmail.log_lines('stat=Deferred'), [])

  def test_a_store_that_is_killed_in_the_middle_of_a_queue_run_loses_nothing(self):
    def kill():
      self.store.kill()
      self.store.start()
    self.interrupted(kill)


class ServeBeforeCyrus(ServeCases, MailCase):
  make_store = Cyrus
  weight = 2


class ServeBeforeDovecot(ServeCases, MailCase):
  make_store = Dovecot
  weight = 2


class ServeBeforeStore(ServeCases, MailCase):
  weight = 2

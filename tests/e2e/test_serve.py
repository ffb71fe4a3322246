"""Sendmail connects to the daemon over a unix socket: a listener for each of its two mailers."""

import signal
from collections import Counter

import pytest

from fixtures import mailers
from fixtures.cyrus import Cyrus
from fixtures.dovecot import Dovecot
from fixtures.messages import message
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
  @pytest.fixture(autouse=True)
  def daemon(self, mail):
    folder = mail.scratch.path / f'serve{mail.number}'
    self.serve = Serve(folder)
    self.serve.write(f'destination = {mail.store.address}\ndial-backoff = 50ms\n'
                     f'log-level = debug\n' + LISTENERS.replace('@DIR@', str(folder)))
    mail.log = self.serve.log
    self.serve.start()
    mail.with_mailers(mailers.stock(f'unix:{folder}/plain')
                      + QUOTA_MAILER.replace('@SOCKET@', f'{folder}/quota'))
    yield
    self.serve.stop()
    assert self.serve.sanitizers() == ''

  def test_a_queue_run_is_filed_over_few_connections(self, mail):
    user = mail.mailbox('alice')
    sent = mail.send_many(20, user)
    mail.sendmail.run_queue()
    mail.assert_queue_empty()
    assert sorted(mail.store.message_ids(user)) == sorted(sent.values())
    lines = mail.lmtpq_lines(' to=')
    assert [line['qid'] for line in lines if line['qid'] not in sent] == []
    assert max(int(line['conn-use']) for line in lines) == 20, 'one connection for all'

  def test_each_mailer_has_its_own_listener(self, mail):
    full = mail.full_mailbox()
    plain = mail.send(message(), full)
    quota = mail.send(message(), full, domain='quota.test')
    mail.sendmail.run_queue()
    mail.assert_deferred(plain, full, '4.2.2')
    if mail.store.ignores_quota:
      mail.assert_sent(quota, full)
    else:
      mail.assert_deferred(quota, full, '4.2.2')

  def test_each_recipient_has_its_own_outcome(self, mail):
    alice, bob, full = mail.mailbox('alice'), mail.mailbox('bob'), mail.full_mailbox()
    qid = mail.send(message(), alice, 'nobody.here', full, bob)
    mail.sendmail.run_queue()
    mail.assert_sent(qid, alice)
    mail.assert_sent(qid, bob)
    mail.assert_deferred(qid, full, '4.2.2')
    logged = mail.sendmail.delivery(qid, 'nobody.here').line + mail.log_text()
    assert mail.store.unknown_user in logged

  def test_a_daemon_that_is_down_defers_mail_and_the_next_run_brings_it(self, mail):
    user = mail.mailbox('alice')
    sent = mail.send_many(3, user)
    self.serve.stop()
    mail.sendmail.run_queue()
    for qid in sent:
      mail.assert_deferred(qid, user, '4.')
    self.serve.start()
    mail.sendmail.run_queue()
    mail.assert_queue_empty()
    assert sorted(mail.store.message_ids(user)) == sorted(sent.values())

  def interrupted(self, mail, interrupt):
    """interrupt() comes in the middle of a queue run; the next run finds all in order."""
    user = mail.mailbox('alice')
    sent = mail.send_many(60, user)
    run = mail.sendmail.start_queue_run()
    mail.wait_for_log('stat=Sent', 20)
    interrupt()
    wait_until(lambda: run.child.poll() is not None, 'the queue run ends')
    self.serve.wait_until_stores_are_up()
    mail.sendmail.run_queue()
    mail.assert_queue_empty()
    filed = Counter(mail.store.message_ids(user))
    assert set(filed) == set(sent.values()), 'nothing is lost, nothing is foreign'
    reported = {line.get('qid') for line in mail.lmtpq_lines('possible duplicate')}
    doubled = {qid for qid, identity in sent.items() if filed[identity] > 1}
    assert doubled <= reported

  def test_a_restart_in_the_middle_of_a_queue_run_loses_and_doubles_nothing(self, mail):
    def restart():
      self.serve.terminate()
      assert self.serve.wait() == 0
      self.serve.start()
    self.interrupted(mail, restart)
    assert mail.lmtpq_lines('possible duplicate') == []

  def test_a_reload_in_the_middle_of_a_queue_run_is_not_noticed(self, mail):
    self.interrupted(mail, lambda: send_signal(self.serve.pid, signal.SIGHUP))
    assert mail.sendmail.log_lines('stat=Deferred') == []

  def test_a_store_that_is_killed_in_the_middle_of_a_queue_run_loses_nothing(self, mail):
    def kill():
      mail.store.kill()
      mail.store.start()
    self.interrupted(mail, kill)


@pytest.mark.store(kind=Cyrus)
@pytest.mark.weight(2)
class TestServeToCyrus(ServeCases):
  pass


@pytest.mark.store(kind=Dovecot)
@pytest.mark.weight(2)
class TestServeToDovecot(ServeCases):
  pass


@pytest.mark.weight(2)
class TestServeToStore(ServeCases):
  pass

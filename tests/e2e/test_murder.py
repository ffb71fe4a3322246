"""A Cyrus Murder: its frontend takes each recipient to a backend, and IGNOREQUOTA with it; what a
session id leads to; what dies in the middle of a queue run loses nothing."""

import json
import subprocess
from collections import Counter

import pytest

from fixtures.messages import message, message_id
from fixtures.murder import Murder
from fixtures.process import wait_until


@pytest.mark.store(kind=Murder)
@pytest.mark.weight(3)
class TestMurder:
  def test_mail_for_users_of_both_backends_arrives_once(self, mail):
    mail.with_lmtpq()
    one, two = self.users_of_both(mail)
    raw = message()
    qid = mail.send(raw, one, two)
    mail.sendmail.run_queue()
    for user in (one, two):
      mail.assert_sent(qid, user)
      assert mail.store.message_ids(user) == [message_id(raw)]
    mail.assert_queue_empty()

  @staticmethod
  def users_of_both(mail) -> list[str]:
    users = [mail.mailbox('one'), mail.mailbox('two')]
    assert mail.store.homes[users[0]] is not mail.store.homes[users[1]]
    return users

  def test_a_full_mailbox_takes_mail_that_ignores_the_quota(self, mail):
    mail.with_lmtpq()
    for full in (mail.full_mailbox('one'), mail.full_mailbox('two')):  # one on each backend
      notice = message()
      ordinary = mail.send(message(), full)
      ignoring = mail.send(notice, full, domain='quota.test')
      mail.sendmail.run_queue()
      mail.assert_deferred(ordinary, full, '4.2.2', mail.store.over_quota)
      mail.assert_sent(ignoring, full)
      assert mail.store.message_ids(full) == [message_id(notice)]

  def probed(self, mail, server: str, user: str) -> dict:
    ran = subprocess.run([mail.lmtpq, 'probe', '--config=/dev/null', '--log=stderr', '--json',
                          f'--rcpt={user}', server], capture_output=True, timeout=60)
    return json.loads(ran.stdout)

  def test_probe_learns_from_a_frontend_who_is_known_and_not_who_is_full(self, mail):
    full = mail.full_mailbox('one')
    told = self.probed(mail, mail.store.address, full)
    assert (told['state'], told['IGNOREQUOTA']) == ('accepted', True), told
    assert self.probed(mail, mail.store.address, 'nobody.here')['state'] == 'refused'
    assert self.probed(mail, mail.store.homes[full].address, full)['state'] == 'over quota'

  def test_an_unknown_user_bounces(self, mail):
    mail.with_lmtpq()
    qid = mail.send(message(), 'nobody.here')
    mail.sendmail.run_queue()
    mail.assert_bounced(qid, 'nobody.here', '5.1.1', mail.store.unknown_user)

  def test_session_ids_lead_from_our_log_to_the_mailbox(self, mail):
    """Our line has the frontend's id, the frontend's audit log the backend's beside it."""
    mail.with_lmtpq()
    users = self.users_of_both(mail)
    qid = mail.send(message(), *users)
    mail.sendmail.run_queue()
    [session] = {line['sessionid'] for line in mail.recipient_lines(qid)}
    remotes = mail.store.frontend.proxied(session)
    assert len(remotes) == 2, 'a session with each backend'
    for user in users:
      [appended] = mail.store.homes[user].appended(user)
      assert appended in remotes

  def test_a_backend_that_is_down_holds_up_its_own_users_alone(self, mail):
    mail.with_lmtpq()
    one, two = self.users_of_both(mail)
    mail.store.homes[one].stop()
    mail.at_end(mail.store.restart)
    raw = message()
    qid = mail.send(raw, one, two)
    mail.sendmail.run_queue()
    mail.assert_deferred(qid, one, '4.')
    mail.assert_sent(qid, two)
    mail.store.homes[one].start()
    self.run_until_empty(mail)
    for user in (one, two):
      assert mail.store.message_ids(user) == [message_id(raw)]

  @staticmethod
  def run_until_empty(mail):
    """A frontend may find that a connection to its backend is dead when it uses it."""
    def run() -> bool:
      mail.sendmail.run_queue()
      return not mail.sendmail.queued()
    wait_until(run, 'the queue is empty')

  def interrupted(self, mail, server) -> set[str]:
    """The server is killed in the middle of a queue run, and started again; the queue ids of those
    that were filed twice."""
    mail.with_lmtpq()
    users = self.users_of_both(mail)
    sent = {}
    for _ in range(20):
      for user in users:
        sent |= mail.send_many(1, user)
    run = mail.sendmail.start_queue_run()
    mail.wait_for_log('stat=Sent', 10)
    server.kill()
    server.start()
    wait_until(lambda: run.child.poll() is not None, 'the queue run ends')
    self.run_until_empty(mail)
    filed = Counter(mail.store.message_ids(users[0]) + mail.store.message_ids(users[1]))
    assert set(filed) == set(sent.values()), 'nothing is lost, nothing is foreign'
    return {qid for qid, identity in sent.items() if filed[identity] > 1}

  def test_a_backend_that_is_killed_in_the_middle_of_a_queue_run_loses_nothing(self, mail):
    doubled = self.interrupted(mail, mail.store.backends[0])
    # The frontend does not tell whether its backend had the whole message: it says 451 to all.
    retried = {line['qid'] for line in mail.lmtpq_lines('status=deferred')}
    assert doubled <= retried
    assert len(doubled) <= 1, 'one message is under way'

  def test_a_frontend_that_is_killed_in_the_middle_of_a_queue_run_loses_nothing(self, mail):
    doubled = self.interrupted(mail, mail.store.frontend)
    assert doubled <= {line['qid'] for line in mail.lmtpq_lines('possible duplicate')}

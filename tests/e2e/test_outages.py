"""Whatever dies, nothing is lost, and nothing is doubled without a line in the log."""

import os
import signal
import time
from collections import Counter

import pytest

from fixtures.cyrus import Cyrus
from fixtures.dovecot import Dovecot
from fixtures.messages import message
from fixtures.process import Server, states, wait_until


class OutageCases:
  def test_mail_for_a_store_that_is_down_is_deferred_and_filed_by_the_next_run(self, mail):
    mail.with_lmtpq()
    user = mail.mailbox('alice')
    sent = mail.send_many(3, user)
    mail.store.stop()
    try:
      mail.sendmail.run_queue()
    finally:
      mail.store.start()
    for qid in sent:
      mail.assert_deferred(qid, user, '4.4.')
    mail.sendmail.run_queue()
    mail.assert_queue_empty()
    for qid in sent:
      mail.assert_sent(qid, user)
    assert sorted(mail.store.message_ids(user)) == sorted(sent.values())

  def interrupted(self, mail, interrupt):
    """interrupt() ends the store in the middle of a queue run; the next run finds it again."""
    mail.with_lmtpq()
    user = mail.mailbox('alice')
    sent = mail.send_many(150, user)
    run = mail.sendmail.start_queue_run()
    try:
      mail.wait_for_log('stat=Sent', 20)
    finally:
      interrupt()
    wait_until(lambda: run.child.poll() is not None, 'the queue run ends')
    deferred = mail.sendmail.queued()
    if not mail.store.server:
      assert 0 < len(deferred) < len(sent), 'the store was killed in the middle'
      mail.store.start()
    mail.sendmail.run_queue()
    mail.assert_queue_empty()
    filed = Counter(mail.store.message_ids(user))
    assert set(filed) == set(sent.values()), 'nothing is lost, nothing is foreign'
    reported = {line.get('qid') for line in mail.lmtpq_lines('possible duplicate')}
    doubled = {qid for qid, identity in sent.items() if filed[identity] > 1}
    assert doubled <= reported
    assert len(reported) <= 1, 'only the message that was on its way can be double'

  def test_a_store_that_is_killed_in_the_middle_loses_and_doubles_nothing(self, mail):
    self.interrupted(mail, mail.store.kill)

  def test_a_store_that_is_restarted_in_the_middle_loses_and_doubles_nothing(self, mail):
    self.interrupted(mail, mail.store.restart)

  def test_two_queue_runs_at_once_file_every_message_once(self, mail):
    mail.with_lmtpq()
    user = mail.mailbox('alice')
    sent = mail.send_many(40, user)
    runs = [mail.sendmail.start_queue_run() for _ in range(2)]
    wait_until(lambda: all(run.child.poll() is not None for run in runs), 'the runs end')
    mail.assert_queue_empty()
    assert sorted(mail.store.message_ids(user)) == sorted(sent.values())

  def test_a_slow_store_defers_nothing(self, mail):
    mail.with_lmtpq()
    user = mail.mailbox('alice')
    sent = mail.send_many(30, user)
    run = mail.sendmail.start_queue_run()
    try:
      for _ in range(3):
        mail.store.pause()
        time.sleep(0.4)
        mail.store.resume()
        time.sleep(0.02)
    finally:
      mail.store.resume()
    wait_until(lambda: run.child.poll() is not None, 'the queue run ends')
    mail.assert_queue_empty()
    assert sorted(mail.store.message_ids(user)) == sorted(sent.values())
    assert mail.sendmail.log_lines('Deferred') == []

  def signal_to_lmtpq(self, mail, number: int) -> Server:
    """While it has a message and waits for a store that stands still; the queue run goes on."""
    mail.store.pause()
    mail.at_end(mail.store.resume)
    run = mail.sendmail.start_queue_run()
    os.kill(mail.wait_for_dialled_lmtpq(), number)
    return run

  def test_mail_of_an_lmtpq_that_is_killed_is_deferred_and_then_filed_once(self, mail):
    mail.with_lmtpq()
    user = mail.mailbox('alice')
    sent = mail.send_many(1, user)
    run = self.signal_to_lmtpq(mail, signal.SIGKILL)
    wait_until(lambda: run.child.poll() is not None, 'the queue run ends')
    mail.store.resume()
    mail.assert_deferred(list(sent)[0], user, '4.')
    mail.sendmail.run_queue()
    mail.assert_queue_empty()
    assert mail.store.message_ids(user) == list(sent.values()), 'filed once'

  def test_an_lmtpq_that_is_told_to_end_finishes_the_message_and_another_takes_the_next(self, mail):
    mail.with_lmtpq()
    user = mail.mailbox('alice')
    sent = mail.send_many(3, user)
    run = self.signal_to_lmtpq(mail, signal.SIGTERM)
    time.sleep(0.2)
    mail.store.resume()
    wait_until(lambda: run.child.poll() is not None, 'the queue run ends')
    mail.assert_queue_empty()
    assert sorted(mail.store.message_ids(user)) == sorted(sent.values()), 'filed once'
    assert len({line['pid'] for line in mail.lmtpq_lines('to=')}) == 2


@pytest.mark.store(kind=Cyrus)
@pytest.mark.weight(2)
class TestOutagesOfCyrus(OutageCases):
  pass


@pytest.mark.store(kind=Dovecot)
@pytest.mark.weight(2)
class TestOutagesOfDovecot(OutageCases):
  pass


@pytest.mark.weight(2)
class TestOutagesOfStore(OutageCases):
  def test_a_store_that_dies_after_the_dot_defers_with_a_report_of_a_possible_duplicate(self, mail):
    mail.store.options = ['--delay-final', '60000', '--log-commands']
    mail.store.restart()
    mail.at_end(mail.store.restart)
    mail.at_end(setattr, mail.store, 'options', [])
    mail.with_lmtpq()
    user = mail.mailbox('alice')
    qid, identity = mail.send_many(1, user).popitem()
    run = mail.sendmail.start_queue_run()
    wait_until(lambda: 'line=<DATA>' in mail.store.log_text(), 'the store has received DATA')
    time.sleep(1)  # the dot has been sent, and the store delays its reply
    mail.store.kill()
    wait_until(lambda: run.child.poll() is not None, 'the queue run ends')
    mail.assert_deferred(qid, user, '4.4.2')
    assert mail.lmtpq_lines('possible duplicate'), mail.lmtpq_lines()
    mail.store.options = []
    mail.store.start()
    mail.sendmail.run_queue()
    mail.assert_sent(qid, user)
    assert identity in mail.store.message_ids(user)
    assert len(mail.store.messages(user)) <= 2

  def test_an_lmtpq_that_is_killed_between_two_answers_keeps_the_first(self, mail):
    mail.store.options = ['--delay-final', '5000']
    mail.store.restart()
    mail.at_end(mail.store.restart)
    mail.at_end(setattr, mail.store, 'options', [])
    mail.with_lmtpq()
    users = {mail.mailbox(name) for name in ('alice', 'bob', 'carol')}
    qid = mail.send(message(), *users)
    run = mail.sendmail.start_queue_run()
    pid = mail.wait_for_dialled_lmtpq()
    wait_until(lambda: mail.lmtpq_lines('status=sent'), 'the first has its outcome')
    # It waits for the store again, which waits before it files for the second: the answer is out.
    wait_until(lambda: states()[pid][0] == 'S', 'lmtpq waits')
    os.kill(pid, signal.SIGKILL)
    assert len(mail.lmtpq_lines('status=sent')) == 1, mail.lmtpq_lines()
    wait_until(lambda: run.child.poll() is not None, 'the queue run ends')
    sent = {one.to.partition('@')[0].strip('<') for one in mail.sendmail.deliveries(qid)
            if one.stat.startswith('Sent')}
    assert len(sent) == 1, mail.sendmail.log_lines(qid)
    for user in users - sent:
      mail.assert_deferred(qid, user, '4.')
    mail.store.options = []
    mail.store.restart()
    mail.sendmail.run_queue()
    mail.assert_queue_empty()
    assert len(mail.store.messages(sent.pop())) == 1, 'not delivered again'
    for user in users:
      assert mail.store.messages(user), f'{user} has it'

  def test_a_store_that_never_answers_the_dot_is_given_up_at_the_deadline(self, mail):
    mail.store.options = ['--delay-final', '60000']
    mail.store.restart()
    mail.at_end(mail.store.restart)
    mail.at_end(setattr, mail.store, 'options', [])
    mail.with_lmtpq('--data-done-timeout=1s')
    user = mail.mailbox('alice')
    qid = list(mail.send_many(1, user))[0]
    began = time.monotonic()
    mail.sendmail.run_queue()
    assert time.monotonic() - began < 40
    mail.assert_deferred(qid, user, '4.4.2')
    assert mail.lmtpq_lines('possible duplicate'), mail.lmtpq_lines()

  def test_a_store_that_never_greets_is_given_up_at_the_deadline(self, mail):
    mail.with_lmtpq('--connect-timeout=1s --lhlo-timeout=1s')
    user = mail.mailbox('alice')
    qid = list(mail.send_many(1, user))[0]
    mail.store.pause()
    try:
      began = time.monotonic()
      mail.sendmail.run_queue()
      assert time.monotonic() - began < 40
    finally:
      mail.store.resume()
    mail.assert_deferred(qid, user, '4.4.')
    mail.sendmail.run_queue()
    assert len(mail.store.messages(user)) == 1

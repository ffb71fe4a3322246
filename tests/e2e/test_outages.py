"""Whatever dies, nothing is lost, and nothing is doubled but what the log owns up to."""

import os
import signal
import time
from collections import Counter

from fixtures.case import MailCase
from fixtures.cyrus import Cyrus
from fixtures.dovecot import Dovecot
from fixtures.messages import message, message_id
from fixtures.process import Server, open_files, wait_until


class OutageCases:
  def send_many(self, count: int, user: str) -> dict[str, str]:
    """Queue id -> Message-ID."""
    sent = {}
    for number in range(count):
      raw = message(b'x' * 70 + b'\r\n' + b'number %d\r\n' % number)
      sent[self.send(raw, user)] = message_id(raw)
    return sent

  def test_mail_for_a_store_that_is_down_is_deferred_and_filed_by_the_next_run(self):
    self.with_lmtpq()
    user = self.mailbox('alice')
    sent = self.send_many(3, user)
    self.store.stop()
    try:
      self.sendmail.run_queue()
    finally:
      self.store.start()
    for qid in sent:
      self.assert_deferred(qid, user, '4.4.')
    self.sendmail.run_queue()
    self.assert_queue_empty()
    for qid in sent:
      self.assert_sent(qid, user)
    self.assertEqual(sorted(self.store.message_ids(user)), sorted(sent.values()))

  def interrupted(self, interrupt):
    """interrupt() ends the store in the middle of a queue run; the next run finds it again."""
    self.with_lmtpq()
    user = self.mailbox('alice')
    sent = self.send_many(150, user)
    run = self.sendmail.start_queue_run()
    try:
      self.wait_for_log('stat=Sent', 20)
    finally:
      interrupt()
    wait_until(lambda: run.child.poll() is not None, 'the queue run ends', 60)
    deferred = self.sendmail.queued()
    if not self.store.server:
      self.assertTrue(0 < len(deferred) < len(sent), 'the store was killed in the middle')
      self.store.start()
    self.sendmail.run_queue()
    self.assert_queue_empty()
    filed = Counter(self.store.message_ids(user))
    self.assertEqual(set(filed), set(sent.values()), 'nothing is lost, nothing is foreign')
    owned_up = {line.get('qid') for line in self.lmtpq_lines('possible duplicate')}
    doubled = {qid for qid, identity in sent.items() if filed[identity] > 1}
    self.assertLessEqual(doubled, owned_up)
    self.assertLessEqual(len(owned_up), 1, 'only the message that was on its way can be double')

  def test_a_store_that_is_killed_in_the_middle_loses_and_doubles_nothing(self):
    self.interrupted(self.store.kill)

  def test_a_store_that_is_restarted_in_the_middle_loses_and_doubles_nothing(self):
    self.interrupted(self.store.restart)

  def test_two_queue_runs_at_once_file_every_message_once(self):
    self.with_lmtpq()
    user = self.mailbox('alice')
    sent = self.send_many(40, user)
    runs = [self.sendmail.start_queue_run() for _ in range(2)]
    wait_until(lambda: all(run.child.poll() is not None for run in runs), 'the runs end', 60)
    self.assert_queue_empty()
    self.assertEqual(sorted(self.store.message_ids(user)), sorted(sent.values()))

  def test_a_slow_store_defers_nothing(self):
    self.with_lmtpq()
    user = self.mailbox('alice')
    sent = self.send_many(30, user)
    run = self.sendmail.start_queue_run()
    try:
      for _ in range(3):
        self.store.pause()
        time.sleep(0.4)
        self.store.resume()
        time.sleep(0.02)
    finally:
      self.store.resume()
    wait_until(lambda: run.child.poll() is not None, 'the queue run ends', 60)
    self.assert_queue_empty()
    self.assertEqual(sorted(self.store.message_ids(user)), sorted(sent.values()))
    self.assertEqual(self.sendmail.log_lines('Deferred'), [])

  def signal_to_lmtpq(self, number: int) -> Server:
    """While it waits, message in hand, for a store that stands still; the queue run goes on."""
    self.store.pause()
    self.addCleanup(self.store.resume)
    run = self.sendmail.start_queue_run()
    pid = self.wait_for_lmtpq()
    self.wait_until_dialled(pid)
    os.kill(pid, number)
    return run

  def wait_until_dialled(self, pid: int):
    """lmtpq dials the store when it has the message."""
    wait_until(lambda: any(name.startswith('socket:') for name in open_files(pid)),
               'lmtpq has dialled the store')

  def test_mail_of_an_lmtpq_that_is_killed_is_deferred_and_then_filed_once(self):
    self.with_lmtpq()
    user = self.mailbox('alice')
    sent = self.send_many(1, user)
    run = self.signal_to_lmtpq(signal.SIGKILL)
    wait_until(lambda: run.child.poll() is not None, 'the queue run ends')
    self.store.resume()
    self.assert_deferred(list(sent)[0], user, '4.')
    self.sendmail.run_queue()
    self.assert_queue_empty()
    self.assertEqual(self.store.message_ids(user), list(sent.values()), 'filed once')

  def test_an_lmtpq_that_is_told_to_end_finishes_the_message_and_another_takes_the_next(self):
    self.with_lmtpq()
    user = self.mailbox('alice')
    sent = self.send_many(3, user)
    run = self.signal_to_lmtpq(signal.SIGTERM)
    time.sleep(0.2)
    self.store.resume()
    wait_until(lambda: run.child.poll() is not None, 'the queue run ends')
    self.assert_queue_empty()
    self.assertEqual(sorted(self.store.message_ids(user)), sorted(sent.values()), 'filed once')
    self.assertEqual(len({line['pid'] for line in self.lmtpq_lines('to=')}), 2)


class OutagesOfCyrus(OutageCases, MailCase):
  make_store = Cyrus
  weight = 2


class OutagesOfDovecot(OutageCases, MailCase):
  make_store = Dovecot
  weight = 2


class OutagesOfStore(OutageCases, MailCase):
  weight = 2

  def test_a_store_that_dies_after_the_dot_makes_a_deferral_that_owns_up_to_a_duplicate(self):
    self.store.options = ['--delay-final', '5000']
    self.store.restart()
    self.addCleanup(self.store.restart)
    self.addCleanup(setattr, self.store, 'options', [])
    self.with_lmtpq()
    user = self.mailbox('alice')
    qid, identity = self.send_many(1, user).popitem()
    run = self.sendmail.start_queue_run()
    self.wait_until_dialled(self.wait_for_lmtpq())
    time.sleep(1)  # long since the dot is out, and the answer is being delayed
    self.store.kill()
    wait_until(lambda: run.child.poll() is not None, 'the queue run ends')
    self.assert_deferred(qid, user, '4.4.2')
    self.assertTrue(self.lmtpq_lines('possible duplicate'), self.lmtpq_lines())
    self.store.options = []
    self.store.start()
    self.sendmail.run_queue()
    self.assert_sent(qid, user)
    self.assertIn(identity, self.store.message_ids(user))
    self.assertLessEqual(len(self.store.messages(user)), 2)

  def test_a_store_that_never_answers_the_dot_is_given_up_at_the_deadline(self):
    self.store.options = ['--delay-final', '20000']
    self.store.restart()
    self.addCleanup(self.store.restart)
    self.addCleanup(setattr, self.store, 'options', [])
    self.with_lmtpq('--data-done-timeout=1s')
    user = self.mailbox('alice')
    qid = list(self.send_many(1, user))[0]
    began = time.monotonic()
    self.sendmail.run_queue()
    self.assertLess(time.monotonic() - began, 8)
    self.assert_deferred(qid, user, '4.4.2')
    self.assertTrue(self.lmtpq_lines('possible duplicate'), self.lmtpq_lines())

  def test_a_store_that_never_greets_is_given_up_at_the_deadline(self):
    self.with_lmtpq('--connect-timeout=1s --lhlo-timeout=1s')
    user = self.mailbox('alice')
    qid = list(self.send_many(1, user))[0]
    self.store.pause()
    try:
      began = time.monotonic()
      self.sendmail.run_queue()
      self.assertLess(time.monotonic() - began, 8)
    finally:
      self.store.resume()
    self.assert_deferred(qid, user, '4.4.')
    self.sendmail.run_queue()
    self.assertEqual(len(self.store.messages(user)), 1)

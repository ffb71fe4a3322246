"""A milter that is down, killed or told to reload in the middle loses no mail."""

import smtplib
import time

from fixtures import tags
from fixtures.load import Load
from fixtures.messages import message, message_id
from fixtures.milter import write_keys
from fixtures.tag_case import NOTICES, TagCase


class MilterOutages(TagCase):
  weight = 2

  def test_while_the_milter_is_down_mail_goes_untagged_and_its_quota_is_honoured(self):
    self.with_milter()
    self.milter.stop()
    full, alice = self.full_mailbox(), self.mailbox('alice')
    qid = self.notify(f'{full}@store.test', f'{alice}@store.test')
    self.assertEqual(tags.tags_in_queue(self.sendmail, qid), [])
    self.milter.start()
    again = self.notify(f'{full}@store.test')
    self.sendmail.run_queue()
    self.assert_ends(qid, **{full: 'Deferred', alice: 'Sent'})
    self.assertEqual({line['trace'] for line in self.recipient_lines(qid)}, {qid})
    self.assert_sent(again, full)

  def test_with_t_the_client_is_asked_to_come_again_while_the_milter_is_down(self):
    self.with_milter(failure='T')
    self.milter.stop()
    full = self.full_mailbox()
    raw = message(sender=self.notice)
    self.sendmail.start()
    with self.assertRaises(smtplib.SMTPResponseException) as caught:
      with smtplib.SMTP('127.0.0.1', self.sendmail.port, 'client.test', timeout=30) as client:
        client.sendmail(self.notice, [f'{full}@store.test'], raw)
    self.assertEqual(caught.exception.smtp_code // 100, 4)
    self.assertEqual(self.sendmail.queued(), set())
    self.milter.start()
    self.notify(f'{full}@store.test', raw=raw)
    self.sendmail.run_queue()
    self.assertEqual(self.store.message_ids(full), [message_id(raw)])

  def test_a_milter_that_stands_still_is_given_up_and_mail_goes_untagged(self):
    self.with_milter()
    self.sendmail.edit_cf(*self.timeouts())
    alice = self.mailbox('alice')
    self.sendmail.start()
    self.milter.pause()
    try:
      began = time.monotonic()
      qid = self.notify(f'{alice}@store.test')
      self.assertLess(time.monotonic() - began, 30)
    finally:
      self.milter.resume()
    self.assertEqual(tags.tags_in_queue(self.sendmail, qid), [])
    self.sendmail.run_queue()
    self.assert_sent(qid, alice)

  def timeouts(self) -> tuple[str, str]:
    """The T= of the X line, and one that a test can wait for."""
    line = next(line for line in self.sendmail.cf.read_text().splitlines()
                if line.startswith('Xlmtpq'))
    old = line[line.index('T='):]
    return old, 'T=C:1s;S:1s;R:1s;E:2s'

  def load(self, *users: str) -> Load:
    self.sendmail.start()
    return Load(self.sendmail.port, self.notice, [f'{user}@store.test' for user in users],
                lambda: message(sender=self.notice), connections=10, messages=64)

  def test_sighup_every_tenth_of_a_second_under_load_changes_nothing(self):
    self.with_milter()
    full = self.full_mailbox()
    load = self.load(full)
    load.start()
    hangups = 0
    while load.running():
      # Many at a time, so that some come while the milter reads its configuration.
      for number in range(200):
        self.milter.hang_up()
        hangups += 1
        time.sleep(0.00005 * (number % 7))
      time.sleep(0.1)
    load.finish()
    self.assertEqual(len(load.taken), 640)
    self.assertEqual(load.refusals, [])
    self.assertGreater(hangups, 200, 'more than one time')
    lines = self.milter.log_lines('tagged=')
    self.assertEqual((len(lines), {line['quota'] for line in lines}), (640, {'ignore'}))
    self.assertEqual(len({line['trace'] for line in lines}), 640)
    self.assertEqual(self.sendmail.log_lines('Milter (lmtpq): error'), [])
    # libmilter looks at each new connection whether it has been told to stop.
    for _ in range(3):
      self.assertEqual(self.tag_in_queue(self.notify(f'{full}@store.test'))['q'], '*')
    self.assertIsNone(self.milter.server.child.poll(), 'the milter still runs')
    self.sendmail.run_queue()
    self.assert_queue_empty()
    self.assertLess(set(load.taken), set(self.store.message_ids(full)))
    self.assertEqual(len(self.store.messages(full)), 643)
    traces = self.traces_of_store()
    self.assertEqual({traces[identity] for identity in load.taken},
                     {line['trace'] for line in lines})

  def load_while_the_milter_is_killed(self, mailbox):
    load = self.load(mailbox)
    load.start()
    for _ in range(3):
      time.sleep(0.15)
      self.milter.kill()
      time.sleep(0.15)
      self.milter.start()
    load.finish()
    return load

  def test_a_milter_that_is_killed_under_load_loses_nothing(self):
    self.with_milter()
    alice = self.mailbox('alice')
    load = self.load_while_the_milter_is_killed(alice)
    tagged = len(self.milter.log_lines('tagged=yes'))
    self.assertEqual((len(load.taken), load.refusals), (640, []))
    self.assertTrue(0 < tagged < 640, f'{tagged} of 640 were tagged')
    self.sendmail.run_queue()
    self.assert_queue_empty()
    self.assertEqual(sorted(self.store.message_ids(alice)), sorted(load.taken))
    self.assert_no_tag_filed(alice)
    self.assertEqual(self.lmtpq_lines('tag=disbelieved'), [])

  def test_with_t_a_milter_that_is_killed_under_load_lets_nothing_pass_untagged(self):
    self.with_milter(failure='T')
    full = self.full_mailbox()
    load = self.load_while_the_milter_is_killed(full)
    self.assertEqual(len(load.taken), 640)
    self.assertTrue(load.refusals, 'the milter was down for a while')
    self.sendmail.run_queue()
    self.assert_queue_empty()
    self.assertEqual(sorted(self.store.message_ids(full)), sorted(load.taken))

  def test_a_reload_brings_new_rules_and_a_mistake_brings_none(self):
    self.with_milter()
    full = self.full_mailbox()
    good = self.milter.rules
    self.milter.rules = NOTICES.replace('quota = ignore', 'quota = perhaps')
    self.milter.reload()
    first = self.notify(f'{full}@store.test')
    self.assertEqual(self.tag_in_queue(first)['q'], '*')
    self.assertIn('perhaps', self.milter.log_text())
    self.assertIn(f'{self.milter.conf}:', self.milter.log_text())

    self.milter.rules = good.replace('ignore', 'honour')
    self.milter.reload()
    second = self.notify(f'{full}@store.test')
    self.assertEqual(self.tag_in_queue(second)['q'], '-')

    keys = self.milter.milter_keys.read_text()
    self.milter.milter_keys.chmod(0o644)
    self.milter.rules = good
    self.milter.reload()
    third = self.notify(f'{full}@store.test')
    self.assertEqual(self.tag_in_queue(third)['q'], '-', 'all or nothing')
    write_keys(self.milter.milter_keys, keys)
    self.milter.reload()
    fourth = self.notify(f'{full}@store.test')
    self.assertEqual(self.tag_in_queue(fourth)['q'], '*')
    self.sendmail.run_queue()
    self.assert_sent(first, full)
    self.assert_deferred(second, full, '4.2.2')
    self.assert_deferred(third, full, '4.2.2')
    self.assert_sent(fourth, full)

"""Keys that change, go and cannot be read while mail waits in the queue."""

from fixtures import tags
from fixtures.cyrus import Cyrus
from fixtures.messages import message, message_id
from fixtures.milter import new_key, write_keys
from fixtures.tag_case import TagCase


class KeyCases:
  def notice_in_queue(self, name: str = 'full') -> tuple[str, str, bytes]:
    """For a full mailbox: queue id, mailbox, message."""
    full = self.full_mailbox(name)
    raw = message(sender=self.notice)
    return self.notify(f'{full}@store.test', raw=raw), full, raw

  def test_mail_that_waits_for_the_store_is_filed_by_a_later_run_with_the_same_id(self):
    self.with_milter()
    qid, full, raw = self.notice_in_queue()
    self.store.stop()
    try:
      for _ in range(2):
        self.sendmail.run_queue()
        self.assert_deferred(qid, full, '4.4.')
    finally:
      self.store.start()
    self.milter.stop()  # what it decided is in the message
    self.sendmail.run_queue()
    self.assert_sent(qid, full)
    self.assertEqual(self.store.message_ids(full), [message_id(raw)])
    self.assertEqual({line['trace'] for line in self.recipient_lines(qid)},
                     {self.milter.word_on(qid)['trace']})

  def test_a_tag_of_the_old_key_is_good_as_long_as_lmtpq_has_that_key(self):
    self.with_milter()
    old, full, _ = self.notice_in_queue()
    second = new_key('second')
    write_keys(self.milter.mailer_keys, self.milter.key, second)
    write_keys(self.milter.milter_keys, second, self.milter.key)
    self.milter.reload()
    fresh, other, _ = self.notice_in_queue('other')
    self.assertEqual([self.tag_in_queue(qid)['k'] for qid in (old, fresh)], ['first', 'second'])
    self.sendmail.run_queue()
    self.assert_sent(old, full)
    self.assert_sent(fresh, other)
    self.assert_queue_empty()

  def test_a_key_that_lmtpq_has_no_more_is_disbelieved_and_no_mail_is_lost(self):
    self.with_milter()
    qid, full, raw = self.notice_in_queue()
    alice = self.mailbox('alice')
    other = self.notify(f'{alice}@store.test')
    write_keys(self.milter.mailer_keys, new_key('second'))
    self.sendmail.run_queue()
    self.assert_deferred(qid, full, '4.2.2')
    self.assert_sent(other, alice)
    for one in (qid, other):
      self.assertEqual(self.disbelieved(one), ['unknown key'])
    self.assertEqual(self.recipient_lines(qid)[-1]['trace'], qid)
    self.assert_no_tag_filed(alice)
    # The key comes back, and with it the decision.
    write_keys(self.milter.mailer_keys, new_key('second'), self.milter.key)
    self.sendmail.run_queue()
    self.assert_sent(qid, full)
    self.assertEqual(self.store.message_ids(full), [message_id(raw)])

  def test_keys_that_lmtpq_cannot_use_defer_all_mail_and_the_log_says_what_to_do(self):
    self.with_milter()
    alice = self.mailbox('alice')
    keys = self.milter.mailer_keys
    good = keys.read_text()
    secret = good.split()[1]
    mistakes = {'No such file': keys.unlink,
                'chmod 600': lambda: keys.chmod(0o644),
                'lmtpq keygen': lambda: write_keys(keys, ''),
                'base64': lambda: write_keys(keys, f'first {secret[:9]}*\n')}
    for words, spoil in mistakes.items():
      spoil()
      tagged = self.notify(f'{alice}@store.test')
      untagged = self.sendmail.submit_by_program(message(), f'{alice}@store.test',
                                                 sender=self.sender)
      self.sendmail.run_queue()
      for qid in (tagged, untagged):
        self.assert_deferred(qid, alice, '4.', '--tag-keys')
      errors = [line['error'] for line in self.lmtpq_lines() if 'error' in line]
      self.assertIn(str(keys), errors[-1])
      self.assertIn(words, errors[-1])
      self.assertNotIn(secret[:9], self.log.read_text())
      write_keys(keys, good)
      self.sendmail.run_queue()
      self.assert_queue_empty()
    self.assertEqual(len(self.store.messages(alice)), 2 * len(mistakes))
    for sender in (self.notice, self.sender):
      self.assertEqual(self.store.messages(sender.partition('@')[0]), [], 'nothing bounced')

  def test_an_lmtpq_without_keys_removes_the_tag_and_honours_the_quota(self):
    self.with_milter()
    qid, full, _ = self.notice_in_queue()
    alice = self.mailbox('alice')
    self.notify(f'{alice}@store.test')
    self.sendmail.edit_cf(f' --tag-keys={self.milter.mailer_keys}', '')
    self.sendmail.run_queue()
    self.assert_deferred(qid, full, '4.2.2')
    self.assertEqual(len(self.store.messages(alice)), 1)
    self.assert_no_tag_filed(alice)

  def test_never_is_stronger_than_a_tag_and_always_needs_none(self):
    self.with_milter(arguments='--ignore-quota=never')
    qid, full, _ = self.notice_in_queue()
    self.sendmail.run_queue()
    self.assert_deferred(qid, full, '4.2.2')
    other = self.full_mailbox('other')
    self.sendmail.edit_cf('--ignore-quota=never', '--ignore-quota=always')
    plain = self.send(message(), other)
    self.sendmail.run_queue()
    self.assert_sent(plain, other)
    self.assert_sent(qid, full)
    self.assert_no_tag_filed(other)

  def test_cyrusv2q_ignores_the_quota_whatever_the_tag_says(self):
    self.with_milter()
    full = self.full_mailbox()
    qid = self.send(message(), full, domain='quota.test')
    self.assertEqual(self.tag_in_queue(qid)['q'], '-')
    self.sendmail.run_queue()
    self.assert_sent(qid, full)
    self.assert_no_tag_filed(full)


class KeysWithCyrus(KeyCases, TagCase):
  make_store = Cyrus


class KeysWithStore(KeyCases, TagCase):
  def test_a_milter_without_keys_removes_forged_tags_and_writes_none(self):
    self.with_milter(milter_options='')
    self.milter.conf.write_text(
        '\n'.join(line for line in self.milter.conf.read_text().splitlines()
                  if not line.startswith('tag-keys')) + '\n')
    self.milter.stop()
    self.milter.start()
    full = self.full_mailbox()
    qid = self.notify(f'{full}@store.test',
                      raw=message(headers=tags.field(tags.signed(self.milter.key, queue_id='x'))))
    self.assertEqual(tags.tags_in_queue(self.sendmail, qid), [])
    self.sendmail.run_queue()
    self.assert_deferred(qid, full, '4.2.2')

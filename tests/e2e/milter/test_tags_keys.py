"""Keys that change, go and cannot be read while mail waits in the queue."""

import pytest

from fixtures import tags
from fixtures.cyrus import Cyrus
from fixtures.messages import message, message_id
from fixtures.milter import new_key, rotate_keys, write_keys


class KeyCases:
  def notice_in_queue(self, mail, name: str = 'full') -> tuple[str, str, bytes]:
    """For a full mailbox: queue id, mailbox, message."""
    full = mail.full_mailbox(name)
    raw = message(sender=mail.notice)
    return mail.notify(f'{full}@store.test', raw=raw), full, raw

  def test_mail_that_waits_for_the_store_is_filed_by_a_later_run_with_the_same_id(self, mail):
    mail.with_milter()
    qid, full, raw = self.notice_in_queue(mail)
    mail.store.stop()
    try:
      for _ in range(2):
        mail.sendmail.run_queue()
        mail.assert_deferred(qid, full, '4.4.')
    finally:
      mail.store.start()
    mail.milter.stop()  # what it decided is in the message
    mail.sendmail.run_queue()
    mail.assert_sent(qid, full)
    assert mail.store.message_ids(full) == [message_id(raw)]
    assert ({line['trace'] for line in mail.recipient_lines(qid)}
            == {mail.milter.decision_on(qid)['trace']})

  def test_a_tag_of_the_old_key_is_good_as_long_as_lmtpq_has_that_key(self, mail):
    mail.with_milter()
    old, full, _ = self.notice_in_queue(mail)
    second = new_key('second')
    write_keys(mail.milter.mailer_keys, mail.milter.key, second)
    write_keys(mail.milter.milter_keys, second, mail.milter.key)
    mail.milter.reload()
    fresh, other, _ = self.notice_in_queue(mail, 'other')
    assert [mail.tag_in_queue(qid)['k'] for qid in (old, fresh)] == ['first', 'second']
    mail.sendmail.run_queue()
    mail.assert_sent(old, full)
    mail.assert_sent(fresh, other)
    mail.assert_queue_empty()

  def test_a_tag_of_a_key_that_was_removed_is_invalid_and_no_mail_is_lost(self, mail):
    mail.with_milter()
    qid, full, raw = self.notice_in_queue(mail)
    alice = mail.mailbox('alice')
    other = mail.notify(f'{alice}@store.test')
    write_keys(mail.milter.mailer_keys, new_key('second'))
    mail.sendmail.run_queue()
    mail.assert_deferred(qid, full, '4.2.2')
    mail.assert_sent(other, alice)
    for one in (qid, other):
      assert mail.rejected(one) == ['unknown key']
    assert mail.recipient_lines(qid)[-1]['trace'] == qid
    mail.assert_no_tag_filed(alice)
    # The key comes back, and with it the decision.
    write_keys(mail.milter.mailer_keys, new_key('second'), mail.milter.key)
    mail.sendmail.run_queue()
    mail.assert_sent(qid, full)
    assert mail.store.message_ids(full) == [message_id(raw)]

  def test_keys_of_one_file_change_and_every_tag_is_good(self, mail):
    mail.with_milter()
    keys = mail.milter.milter_keys
    mail.milter.mailer_keys.unlink()
    mail.milter.mailer_keys.symlink_to(keys)
    rotate_keys(mail.lmtpq, keys)
    waits = [self.notice_in_queue(mail, 'before')]
    mail.milter.reload()
    for time in ('first', 'second', 'third'):
      rotate_keys(mail.lmtpq, keys)
      waits.append(self.notice_in_queue(mail, f'{time}-changed'))
      mail.milter.reload()
      waits.append(self.notice_in_queue(mail, f'{time}-reloaded'))
    signers = [mail.tag_in_queue(qid)['k'] for qid, _, _ in waits]
    assert signers[:2] == ['first'] * 2
    assert signers[2] == signers[3] and signers[4] == signers[5]
    assert len(set(signers)) == 4
    mail.sendmail.run_queue()
    for qid, full, raw in waits:
      mail.assert_sent(qid, full)
      assert mail.rejected(qid) == []
      assert message_id(raw) in mail.store.message_ids(full)
    mail.assert_queue_empty()

  def test_keys_that_lmtpq_cannot_use_defer_all_mail_and_the_log_says_what_to_do(self, mail):
    mail.with_milter()
    alice = mail.mailbox('alice')
    keys = mail.milter.mailer_keys
    good = keys.read_text()
    secret = good.split()[1]
    mistakes = {'No such file': keys.unlink,
                'chmod 600': lambda: keys.chmod(0o644),
                'lmtpq keygen': lambda: write_keys(keys, ''),
                'base64': lambda: write_keys(keys, f'first {secret[:9]}*\n')}
    for words, spoil in mistakes.items():
      spoil()
      tagged = mail.notify(f'{alice}@store.test')
      untagged = mail.sendmail.submit_by_program(message(), f'{alice}@store.test',
                                                 sender=mail.sender)
      mail.sendmail.run_queue()
      for qid in (tagged, untagged):
        mail.assert_deferred(qid, alice, '4.', '--tag-keys')
      errors = [line['error'] for line in mail.lmtpq_lines() if 'error' in line]
      assert str(keys) in errors[-1]
      assert words in errors[-1]
      assert secret[:9] not in mail.log_text()
      write_keys(keys, good)
      mail.sendmail.run_queue()
      mail.assert_queue_empty()
    assert len(mail.store.messages(alice)) == 2 * len(mistakes)
    for sender in (mail.notice, mail.sender):
      assert mail.store.messages(sender.partition('@')[0]) == [], 'nothing bounced'

  def test_an_lmtpq_without_keys_removes_the_tag_and_honours_the_quota(self, mail):
    mail.with_milter()
    qid, full, _ = self.notice_in_queue(mail)
    alice = mail.mailbox('alice')
    mail.notify(f'{alice}@store.test')
    mail.sendmail.edit_cf(f' --tag-keys={mail.milter.mailer_keys}', '')
    mail.sendmail.run_queue()
    mail.assert_deferred(qid, full, '4.2.2')
    assert len(mail.store.messages(alice)) == 1
    mail.assert_no_tag_filed(alice)

  def test_never_is_stronger_than_a_tag_and_always_needs_none(self, mail):
    mail.with_milter(arguments='--ignore-quota=never')
    qid, full, _ = self.notice_in_queue(mail)
    mail.sendmail.run_queue()
    mail.assert_deferred(qid, full, '4.2.2')
    other = mail.full_mailbox('other')
    mail.sendmail.edit_cf('--ignore-quota=never', '--ignore-quota=always')
    plain = mail.send(message(), other)
    mail.sendmail.run_queue()
    mail.assert_sent(plain, other)
    mail.assert_sent(qid, full)
    mail.assert_no_tag_filed(other)

  def test_cyrusv2q_ignores_the_quota_whatever_the_tag_says(self, mail):
    mail.with_milter()
    full = mail.full_mailbox()
    qid = mail.send(message(), full, domain='quota.test')
    assert mail.tag_in_queue(qid)['q'] == '-'
    mail.sendmail.run_queue()
    mail.assert_sent(qid, full)
    mail.assert_no_tag_filed(full)


@pytest.mark.store(kind=Cyrus)
class TestKeysWithCyrus(KeyCases):
  pass


class TestKeysWithStore(KeyCases):
  def test_a_milter_without_keys_removes_forged_tags_and_writes_none(self, mail):
    mail.with_milter(milter_options='')
    mail.milter.conf.write_text(
        '\n'.join(line for line in mail.milter.conf.read_text().splitlines()
                  if not line.startswith('tag-keys')) + '\n')
    mail.milter.stop()
    mail.milter.start()
    full = mail.full_mailbox()
    qid = mail.notify(f'{full}@store.test',
                      raw=message(headers=tags.field(tags.signed(mail.milter.key, queue_id='x'))))
    assert tags.tags_in_queue(mail.sendmail, qid) == []
    mail.sendmail.run_queue()
    mail.assert_deferred(qid, full, '4.2.2')

"""A milter that is down, killed or told to reload in the middle loses no mail."""

import smtplib
import time

import pytest

from fixtures import tags
from fixtures.load import Load
from fixtures.messages import message, message_id
from fixtures.milter import write_keys
from fixtures.tagged_mail import NOTICES


@pytest.mark.weight(2)
class TestMilterOutages:
  def test_while_the_milter_is_down_mail_goes_untagged_and_its_quota_is_honoured(self, mail):
    mail.with_milter()
    mail.milter.stop()
    full, alice = mail.full_mailbox(), mail.mailbox('alice')
    qid = mail.notify(f'{full}@store.test', f'{alice}@store.test')
    assert tags.tags_in_queue(mail.sendmail, qid) == []
    mail.milter.start()
    again = mail.notify(f'{full}@store.test')
    mail.sendmail.run_queue()
    mail.assert_ends(qid, **{full: 'Deferred', alice: 'Sent'})
    assert {line['trace'] for line in mail.recipient_lines(qid)} == {qid}
    mail.assert_sent(again, full)

  def test_with_t_the_client_must_try_again_while_the_milter_is_down(self, mail):
    mail.with_milter(failure='T')
    mail.milter.stop()
    full = mail.full_mailbox()
    raw = message(sender=mail.notice)
    mail.sendmail.start()
    with pytest.raises(smtplib.SMTPResponseException) as caught:
      with smtplib.SMTP('127.0.0.1', mail.sendmail.port, 'client.test', timeout=30) as client:
        client.sendmail(mail.notice, [f'{full}@store.test'], raw)
    assert caught.value.smtp_code // 100 == 4
    assert mail.sendmail.queued() == set()
    mail.milter.start()
    mail.notify(f'{full}@store.test', raw=raw)
    mail.sendmail.run_queue()
    assert mail.store.message_ids(full) == [message_id(raw)]

  def test_a_milter_that_hangs_is_given_up_and_mail_goes_untagged(self, mail):
    mail.with_milter()
    mail.sendmail.edit_cf(*self.timeouts(mail))
    alice = mail.mailbox('alice')
    mail.sendmail.start()
    mail.milter.pause()
    try:
      began = time.monotonic()
      qid = mail.notify(f'{alice}@store.test')
      assert time.monotonic() - began < 30
    finally:
      mail.milter.resume()
    assert tags.tags_in_queue(mail.sendmail, qid) == []
    mail.sendmail.run_queue()
    mail.assert_sent(qid, alice)

  def timeouts(self, mail) -> tuple[str, str]:
    """The T= of the X line, and one that a test can wait for."""
    line = next(line for line in mail.sendmail.cf.read_text().splitlines()
                if line.startswith('Xlmtpq'))
    old = line[line.index('T='):]
    return old, 'T=C:1s;S:1s;R:1s;E:2s'

  def load(self, mail, *users: str) -> Load:
    mail.sendmail.start()
    return Load(mail.sendmail.port, mail.notice, [f'{user}@store.test' for user in users],
                lambda: message(sender=mail.notice), connections=10, messages=64)

  def test_sighup_every_tenth_of_a_second_under_load_changes_nothing(self, mail):
    mail.with_milter()
    full = mail.full_mailbox()
    load = self.load(mail, full)
    load.start()
    hangups = 0
    while load.running():
      # Many at a time, so that some come while the milter reads its configuration.
      for number in range(200):
        mail.milter.hang_up()
        hangups += 1
        time.sleep(0.00005 * (number % 7))
      time.sleep(0.1)
    load.finish()
    assert len(load.taken) == 640
    assert load.refusals == []
    assert hangups > 200, 'more than one time'
    lines = mail.milter.log_lines('tagged=')
    assert (len(lines), {line['quota'] for line in lines}) == (640, {'ignore'})
    assert len({line['trace'] for line in lines}) == 640
    assert mail.sendmail.log_lines('Milter (lmtpq): error') == []
    # libmilter looks at each new connection whether it has been told to stop.
    for _ in range(3):
      assert mail.tag_in_queue(mail.notify(f'{full}@store.test'))['q'] == '*'
    assert mail.milter.server.child.poll() is None, 'the milter still runs'
    mail.sendmail.run_queue()
    mail.assert_queue_empty()
    assert set(load.taken) < set(mail.store.message_ids(full))
    assert len(mail.store.messages(full)) == 643
    traces = mail.traces_of_store()
    assert {traces[identity] for identity in load.taken} == {line['trace'] for line in lines}

  def load_while_the_milter_is_killed(self, mail, mailbox):
    load = self.load(mail, mailbox)
    load.start()
    for _ in range(3):
      time.sleep(0.15)
      mail.milter.kill()
      time.sleep(0.15)
      mail.milter.start()
    load.finish()
    return load

  def test_a_milter_that_is_killed_under_load_loses_nothing(self, mail):
    mail.with_milter()
    alice = mail.mailbox('alice')
    load = self.load_while_the_milter_is_killed(mail, alice)
    tagged = len(mail.milter.log_lines('tagged=yes'))
    assert (len(load.taken), load.refusals) == (640, [])
    assert 0 < tagged < 640, f'{tagged} of 640 were tagged'
    mail.sendmail.run_queue()
    mail.assert_queue_empty()
    assert sorted(mail.store.message_ids(alice)) == sorted(load.taken)
    mail.assert_no_tag_filed(alice)
    assert mail.lmtpq_lines('event=tag-rejected') == []

  def test_with_t_a_milter_that_is_killed_under_load_lets_nothing_pass_untagged(self, mail):
    mail.with_milter(failure='T')
    full = mail.full_mailbox()
    load = self.load_while_the_milter_is_killed(mail, full)
    assert len(load.taken) == 640
    assert load.refusals, 'the milter was down for a while'
    mail.sendmail.run_queue()
    mail.assert_queue_empty()
    assert sorted(mail.store.message_ids(full)) == sorted(load.taken)

  def test_a_reload_takes_new_rules_and_none_when_there_is_an_error(self, mail):
    mail.with_milter()
    full = mail.full_mailbox()
    good = mail.milter.rules
    mail.milter.rules = NOTICES.replace('quota = ignore', 'quota = perhaps')
    mail.milter.reload()
    first = mail.notify(f'{full}@store.test')
    assert mail.tag_in_queue(first)['q'] == '*'
    assert 'perhaps' in mail.milter.log_text()
    assert f'{mail.milter.conf}:' in mail.milter.log_text()

    mail.milter.rules = good.replace('ignore', 'honour')
    mail.milter.reload()
    second = mail.notify(f'{full}@store.test')
    assert mail.tag_in_queue(second)['q'] == '-'

    keys = mail.milter.milter_keys.read_text()
    mail.milter.milter_keys.chmod(0o644)
    mail.milter.rules = good
    mail.milter.reload()
    third = mail.notify(f'{full}@store.test')
    assert mail.tag_in_queue(third)['q'] == '-', 'all or nothing'
    write_keys(mail.milter.milter_keys, keys)
    mail.milter.reload()
    fourth = mail.notify(f'{full}@store.test')
    assert mail.tag_in_queue(fourth)['q'] == '*'
    mail.sendmail.run_queue()
    mail.assert_sent(first, full)
    mail.assert_deferred(second, full, '4.2.2')
    mail.assert_deferred(third, full, '4.2.2')
    mail.assert_sent(fourth, full)

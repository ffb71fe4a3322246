"""What a rule asks for is what it gets from a real Sendmail."""

import pytest

from fixtures.messages import message, message_id
from fixtures.tagged_mail import rule


class TestMilterRules:
  def assert_quota(self, mail, expected: str, raw: bytes = b'', **more) -> str:
    """ignore: the tag says *; honour: -."""
    qid = mail.notify(f'{self.alice}@store.test', raw=raw, **more)
    assert mail.tag_in_queue(qid)['q'] == {'ignore': '*', 'honour': '-'}[expected]
    word = mail.milter.decision_on(qid)
    assert (word['quota'], word['tagged']) == (expected, 'yes'), word
    return qid

  @pytest.fixture(autouse=True)
  def prepare(self, mail):
    self.alice = mail.mailbox('alice')

  def test_over_its_limit_the_quota_of_a_sender_is_honoured_like_that_of_others(self, mail):
    full = mail.full_mailbox()
    mail.with_milter('[rule.notices]\nfrom = notice*\nlimit = 2/hour\nquota = ignore\n')
    sent = []
    for _ in range(3):
      raw = message(sender=mail.notice)
      sent.append((mail.notify(f'{full}@store.test', raw=raw), message_id(raw)))
    other = message()
    mail.sendmail.submit(other, f'{full}@store.test', sender=f'notice-other{mail.notice}')
    mail.sendmail.run_queue()
    assert (sorted(mail.store.message_ids(full))
            == sorted([sent[0][1], sent[1][1], message_id(other)]))
    mail.assert_deferred(sent[2][0], full, '4.2.2')
    assert mail.milter.decision_on(sent[2][0])['reason'] == 'over limit'

  def test_a_reload_does_not_reset_the_limit_of_a_sender(self, mail):
    mail.with_milter(rule('notices', client='127.0.0.1', limit='1/hour'))
    self.assert_quota(mail, 'ignore')
    mail.milter.reload()
    self.assert_quota(mail, 'honour')

  def test_the_address_of_the_client_is_what_sendmail_reports_and_not_what_helo_says(self, mail):
    mail.with_milter(rule('near', client='127.0.0.2 ::1'))
    self.assert_quota(mail, 'honour', message(headers=b'Received: from [127.0.0.2] by x; x\r\n'))
    self.assert_quota(mail, 'ignore', client_address='127.0.0.2')

  def test_a_rule_may_ask_for_a_header(self, mail):
    mail.with_milter('[rule.x]\nheader X-Notice = yes*\nquota = ignore\n')
    self.assert_quota(mail, 'honour')
    self.assert_quota(mail, 'honour', message(headers=b'X-Notice: no\r\n'))
    self.assert_quota(mail, 'ignore', message(headers=b'x-notice:\r\n\tYES, please\r\n'))
    self.assert_quota(mail, 'ignore', message(headers=b'X-Notice: no\r\nX-Notice: yes\r\n'))

  def test_the_size_is_what_sendmail_counted(self, mail):
    mail.with_milter(rule('small', max_size='10k'))
    self.assert_quota(mail, 'ignore')
    large = message(b'x' * 70 + b'\r\n', sender=mail.notice) + b'y' * 70 + b'\r\n'
    self.assert_quota(mail, 'ignore', large)
    self.assert_quota(mail, 'honour', large + (b'z' * 70 + b'\r\n') * 200)
    # A client may lie about it.
    self.assert_quota(mail, 'honour', large + (b'z' * 70 + b'\r\n') * 200,
                      options=('BODY=8BITMIME', 'SIZE=100'))

  def test_the_first_rule_that_matches_decides(self, mail):
    mail.with_milter(rule('not-this', quota='honour', client='127.0.0.1', max_size='1k')
                     + rule('rest', client='127.0.0.0/8'))
    assert mail.milter.decision_on(self.assert_quota(mail, 'honour'))['rule'] == 'not-this'
    large = message(b'x' * 70 + b'\r\n' + b'y' * 2000)
    assert mail.milter.decision_on(self.assert_quota(mail, 'ignore', large))['rule'] == 'rest'

  def test_the_null_sender_is_written_with_brackets(self, mail):
    mail.with_milter('[rule.null]\nfrom = <>\nquota = ignore\n')
    self.assert_quota(mail, 'ignore', sender='')
    self.assert_quota(mail, 'honour')

  def test_a_message_to_a_hundred_recipients_is_filed_for_those_that_the_rule_names(self, mail):
    names = [f'r{mail.number}x{number}' for number in range(100)]
    mail.store.add_mailboxes(names)
    for name in names:
      mail.store.fill(name)
    mail.with_milter(rule('even', rcpt=' '.join(f'{name}@store.test' for name in names[::2])))
    qid = mail.notify(*(f'{name}@store.test' for name in names))
    assert len(mail.tag_in_queue(qid)['q'].split(',')) == 100, 'each under two names'
    mail.sendmail.run_queue()
    mail.assert_ends(qid, **{name: 'Sent' for name in names[::2]},
                     **{name: 'Deferred' for name in names[1::2]})

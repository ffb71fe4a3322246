"""What a rule asks for is what it gets from a real Sendmail."""

from fixtures.messages import message, message_id
from fixtures.tag_case import TagCase, rule


class MilterRules(TagCase):
  def assert_quota(self, expected: str, raw: bytes = b'', **more) -> str:
    """ignore: the tag says *; honour: -."""
    qid = self.notify(f'{self.alice}@store.test', raw=raw, **more)
    self.assertEqual(self.tag_in_queue(qid)['q'], {'ignore': '*', 'honour': '-'}[expected])
    word = self.milter.word_on(qid)
    self.assertEqual((word['quota'], word['tagged']), (expected, 'yes'), word)
    return qid

  def setUp(self):
    super().setUp()
    self.alice = self.mailbox('alice')

  def test_over_its_limit_a_sender_is_honoured_like_all_others(self):
    full = self.full_mailbox()
    self.with_milter('[rule.notices]\nfrom = notice*\nlimit = 2/hour\nquota = ignore\n')
    sent = []
    for _ in range(3):
      raw = message(sender=self.notice)
      sent.append((self.notify(f'{full}@store.test', raw=raw), message_id(raw)))
    other = message()
    self.sendmail.submit(other, f'{full}@store.test', sender=f'notice-other{self.notice}')
    self.sendmail.run_queue()
    self.assertEqual(sorted(self.store.message_ids(full)),
                     sorted([sent[0][1], sent[1][1], message_id(other)]))
    self.assert_deferred(sent[2][0], full, '4.2.2')
    self.assertEqual(self.milter.word_on(sent[2][0])['why'], 'over limit')

  def test_a_reload_does_not_give_a_sender_his_limit_anew(self):
    self.with_milter(rule('notices', client='127.0.0.1', limit='1/hour'))
    self.assert_quota('ignore')
    self.milter.reload()
    self.assert_quota('honour')

  def test_the_address_of_the_client_is_sendmails_word_and_not_the_heloes(self):
    self.with_milter(rule('near', client='127.0.0.2 ::1'))
    self.assert_quota('honour', message(headers=b'Received: from [127.0.0.2] by x; x\r\n'))
    self.assert_quota('ignore', client_address='127.0.0.2')

  def test_a_header_may_be_asked_for(self):
    self.with_milter('[rule.x]\nheader X-Notice = yes*\nquota = ignore\n')
    self.assert_quota('honour')
    self.assert_quota('honour', message(headers=b'X-Notice: no\r\n'))
    self.assert_quota('ignore', message(headers=b'x-notice:\r\n\tYES, please\r\n'))
    self.assert_quota('ignore', message(headers=b'X-Notice: no\r\nX-Notice: yes\r\n'))

  def test_the_size_is_what_sendmail_counted(self):
    self.with_milter(rule('small', max_size='10k'))
    self.assert_quota('ignore')
    large = message(b'x' * 70 + b'\r\n', sender=self.notice) + b'y' * 70 + b'\r\n'
    self.assert_quota('ignore', large)
    self.assert_quota('honour', large + (b'z' * 70 + b'\r\n') * 200)
    # A client may lie about it.
    self.assert_quota('honour', large + (b'z' * 70 + b'\r\n') * 200,
                      options=('BODY=8BITMIME', 'SIZE=100'))

  def test_the_first_rule_that_matches_decides(self):
    self.with_milter(rule('not-this', quota='honour', client='127.0.0.1', max_size='1k')
                     + rule('rest', client='127.0.0.0/8'))
    self.assertEqual(self.milter.word_on(self.assert_quota('honour'))['rule'], 'not-this')
    self.assertEqual(self.milter.word_on(self.assert_quota(
        'ignore', message(b'x' * 70 + b'\r\n' + b'y' * 2000)))['rule'], 'rest')

  def test_the_null_sender_is_written_with_brackets(self):
    self.with_milter('[rule.null]\nfrom = <>\nquota = ignore\n')
    self.assert_quota('ignore', sender='')
    self.assert_quota('honour')

  def test_a_message_to_a_hundred_recipients_is_filed_for_those_that_the_rule_names(self):
    names = [f'r{self.number}x{number}' for number in range(100)]
    self.store.add_mailboxes(names)
    for name in names:
      self.store.fill(name)
    self.with_milter(rule('even', rcpt=' '.join(f'{name}@store.test' for name in names[::2])))
    qid = self.notify(*(f'{name}@store.test' for name in names))
    self.assertEqual(len(self.tag_in_queue(qid)['q'].split(',')), 100, 'each under two names')
    self.sendmail.run_queue()
    self.assert_ends(qid, **{name: 'Sent' for name in names[::2]},
                     **{name: 'Deferred' for name in names[1::2]})

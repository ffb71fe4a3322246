"""More of everything than mail has is bounded, and what is beyond a bound opens no quota."""

import pytest

from peers.mta import tags
from peers.mta.session import Message, Recipient

from .asking import Asking, to_us
from ..private_milter import KEYS, SECRET

MOST_LISTED = 1000
VIP = 'vip@example.org'


def listed(*names: str) -> frozenset[str]:
  return frozenset(tags.recipient_digest(SECRET, name) for name in names)


class TestBounds(Asking):
  lines = (f'[rule.sender]\nfrom = {VIP}\nquota = ignore\n'
           '[rule.some]\nrcpt = vip*\nquota = ignore\n'
           '[rule.field]\nheader X-Notice = yes*\nquota = ignore\n')

  def test_two_thousand_recipients_for_everybody(self):
    names = [f'r{number}@store.test' for number in range(2000)]
    answer = self.connect().ask(Message('m1', VIP, to_us(*names)))
    self.assert_tagged(answer, 'm1', quota='*')

  def test_two_thousand_recipients_with_some_listed(self):
    names = [f'{"vip" if number % 4 == 0 else "r"}{number}@store.test' for number in range(2000)]
    resolved = [Recipient(name, f'{name.split("@")[0]}@cyrus.test', 'cyrusv2') for name in names]
    answer = self.connect().ask(Message('m2', 'a@b', resolved))
    wanted = [name for one in resolved if one.given.startswith('vip')
              for name in (one.given, one.resolved)]
    self.assert_tagged(answer, 'm2', quota=listed(*wanted))
    assert len(answer.edits[0].value) < 32 * 1024

  def test_more_to_list_than_a_tag_holds(self):
    names = [f'vip{number}@store.test' for number in range(1500)]
    answer = self.connect().ask(Message('m3', 'a@b', to_us(*names, 'bob@store.test')))
    claims = tags.verify(self.tag_of(answer), KEYS, '', 'm3')
    assert len(claims.quota) == MOST_LISTED
    assert claims.quota <= listed(*names)
    assert len(answer.edits[0].value) <= 32 * 1024

  def test_more_recipients_than_are_kept(self):
    names = [f'r{number}@store.test' for number in range(20_001)]
    answer = self.connect().ask(Message('m4', VIP, to_us(*names)))
    claims = tags.verify(self.tag_of(answer), KEYS, '', 'm4')
    assert len(claims.quota) == MOST_LISTED

  def test_a_hundred_forged_tags(self):
    fields = [('X-LMTPQ-Tag' if number % 3 else 'x-lmtpq-tag', f'v=1; k={number};\n\tq=*')
              for number in range(100)]
    fields.insert(50, ('Message-ID', '<1@a>'))
    answer = self.connect().ask(Message('m5', 'a@b', to_us('c@store.test'), fields))
    self.assert_tagged(answer, 'm5', '<1@a>', deleted=100)

  def test_five_thousand_forged_tags(self):
    fields = [('X-LMTPQ-Tag', '')] * 5000
    answer = self.connect().ask(Message('m6', 'a@b', to_us('c@store.test'), fields))
    self.assert_tagged(answer, 'm6', deleted=5000)

  def test_a_forged_tag_of_sixty_kilobytes(self):
    fields = [('X-LMTPQ-Tag', 'v=1;' + 'x' * 60_000), ('X-LMTPQ-Tag', 'q=*;\n\t' * 10_000)]
    answer = self.connect().ask(Message('m7', 'a@b', to_us('c@store.test'), fields))
    self.assert_tagged(answer, 'm7', deleted=2)

  def test_a_huge_field_that_a_rule_asks_for(self):
    answer = self.connect().ask(Message('m8', VIP, to_us('c@store.test'),
                                        [('X-Notice', 'yes' + 'x' * 60_000)]))
    self.assert_tagged(answer, 'm8', quota='-')

  def test_many_fields_that_a_rule_asks_for(self):
    fields = [('X-Notice', f'no {number} ' + 'x' * 4000) for number in range(100)]
    answer = self.connect().ask(Message('m9', VIP, to_us('c@store.test'), fields))
    self.assert_tagged(answer, 'm9', quota='-')

  @pytest.mark.parametrize('size', [254, 1024, 4096, 60_000])
  def test_huge_senders_and_recipients(self, size):
    session = self.connect()
    long = 'a' * size
    answer = session.ask(Message('s', f'{long}@example.org', to_us('c@store.test')))
    self.assert_tagged(answer, 's')
    answer = session.ask(Message('r', 'a@b', to_us(f'{long}@store.test', 'vip@store.test')))
    self.assert_tagged(answer, 'r', quota=listed('vip@store.test'))

  def test_a_huge_recipient_that_a_pattern_takes(self):
    answer = self.connect().ask(Message('m10', 'a@b', to_us('vip' + 'x' * 60_000, 'c@store.test')))
    self.assert_tagged(answer, 'm10', quota='-')

  @pytest.mark.parametrize('size', [998, 8000, 60_000])
  def test_a_huge_message_id(self, size):
    message_id = f'<{"x" * size}@a>'
    message = Message('i', 'a@b', to_us('c@store.test'), [('Message-ID', message_id)])
    self.assert_tagged(self.connect().ask(message), 'i', message_id)

  @pytest.mark.parametrize('queue_id', ['x' * 300, 'a b', 'a;q=*', 'a/b', '\xe4'],
                           ids=['300 bytes', 'a blank', 'a semicolon', 'a slash', '8 bits'])
  def test_odd_queue_ids(self, queue_id):
    answer = self.connect().ask(Message(queue_id, 'a@b', to_us('c@store.test')))
    claims = self.assert_tagged(answer, queue_id)
    assert len(claims.trace) <= 255

  def test_a_pattern_is_matched_in_bounded_time(self):
    """Otherwise no answer would ever come."""
    session = self.connect()
    for number in range(20):
      fields = [('X-Notice', 'n' + 'yes' * 2600)]
      session.ask(Message(f't{number}', 'a' * 8000, to_us('vi' * 4000), fields))

  def test_its_milter_stops_cleanly(self):
    self.stops_cleanly()

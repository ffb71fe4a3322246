"""Without Q and T the patched binary and the unpatched one say the same, byte for byte.

The control: with the flags they do not, so that the comparison can fail.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from dialogue import queue_ids, without_varying
from patch_case import Tested, mailer
from peer import CLOSE, by_user, in_turn
from peer_case import PeerCase
from fixtures.messages import message


@dataclass
class Transcript:
  """What one binary sent, and what it logged."""
  dialogue: list[bytes]
  log: list[str]


class SameAsStock(PeerCase):
  weight = 3

  def compare(self, script, flags: str = '', **knobs) -> tuple[Transcript, Transcript]:
    stock = self.play(Tested.stock, script, flags, **knobs)
    patched = self.play(Tested.patched, script, flags, **knobs)
    return stock, patched

  def assert_same(self, script, **knobs) -> Transcript:
    stock, patched = self.compare(script, **knobs)
    self.assertEqual(patched.dialogue, stock.dialogue)
    self.assertEqual(patched.log, stock.log)
    self.assertTrue(stock.dialogue)
    return stock

  def play(self, binary: Path, script, flags: str, offered: tuple[str, ...] = (),
           options: str = '') -> Transcript:
    self.peer.forget()
    self.peer.offered += offered
    lines = mailer(self.peer.address, flags) + mailer(self.peer.address, flags, name='remote',
                                                      base='sDFMnqXzA@/:|m')
    self.with_mailers(lines, options, binary=binary, quota_mailer='remote')
    self.messages = iter(self.raws)
    script()
    sessions = self.peer.take()
    ids = queue_ids(self.sendmail.log_lines())
    log = [self.plain(line, ids) for line in self.sendmail.log_lines()
           if any(qid in line for qid in ids)]
    return Transcript([without_varying(bytes(one.received), ids) for one in sessions], log)

  @staticmethod
  def plain(line: str, ids: list[str]) -> str:
    text = without_varying(line.partition(']: ')[2].encode(), ids).decode()
    return re.sub(r'\b(x?delay|pri|msgid)=[^,]*', r'\1', text)

  def setUp(self):
    super().setUp()
    self.raws = [message(b'x' * 70 + b'\r\n' + b'y' * 70 * number + b'\r\n.\r\n..\r\n',
                         f'number {number}') for number in range(20)]

  def put(self, *users: str, **more) -> str:
    return self.send(next(self.messages), *users, **more)

  # The scripts.

  def many(self):
    """Cached connection, several recipients, refusals of each kind, bounces."""
    self.peer.answers = {
        'RCPT': by_user({'nobody': '550 5.1.1 unknown', 'full': '452 4.2.2 over quota',
                         'bare': '550 no', 'four': '450 busy'}),
        'DOT': by_user({'later': '451 4.3.0 later', 'never': '554 5.6.0 never SESSIONID=<a>'}),
        'MAIL': by_user({'badsender': '550 5.7.1 not you', 'slowsender': '451 4.7.1 not now'})}
    self.put('alice')
    self.put('alice', 'bob', 'nobody')
    self.put('nobody', 'bare')
    self.put('full', 'alice', 'four')
    self.put('alice', sender='badsender@mail.test')
    self.put('alice', sender='slowsender@mail.test')
    self.put('later', 'never', 'bob')
    self.put('alice', 'never', domain='quota.test', options=('RET=HDRS', 'ENVID=abc'),
             rcpt_options=('NOTIFY=SUCCESS,FAILURE', 'ORCPT=rfc822;a@b.test'))
    self.put('never')
    self.put('alice')
    self.sendmail.run_queue()
    self.sendmail.run_queue()

  def losses(self):
    """Connections that end, and RSET refused."""
    self.peer.answers = {'RSET': in_turn(None, '500 5.5.2 what', None, '421 4.3.2 down', None,
                                         CLOSE),
                         'DATA': in_turn(None, None, CLOSE, '451 4.3.0 no', '554 5.5.0 no'),
                         'RCPT': by_user({'down': in_turn('421 4.3.2 down')})}
    for _ in range(8):
      self.put('alice')
    self.put('alice', 'down', 'bob')
    self.sendmail.run_queue()
    self.sendmail.run_queue()

  def two_hundred(self):
    self.peer.answers['RCPT'] = by_user({f'u{number}': '550 5.1.1 unknown'
                                         for number in range(0, 200, 9)})
    self.put(*(f'u{number}' for number in range(200)))
    self.sendmail.run_queue()

  def test_cached_connections_refusals_and_bounces(self):
    transcript = self.assert_same(self.many)
    text = b''.join(transcript.dialogue)
    self.assertIn(b'Reporting-MTA', text)
    self.assertIn(b'RSET\r\n', text)

  def test_the_same_with_pipelining(self):
    self.assert_same(self.many, offered=('PIPELINING',))

  def test_the_same_with_dsn(self):
    transcript = self.assert_same(self.many, offered=('DSN', 'PIPELINING'))
    self.assertIn(b' NOTIFY=', b''.join(transcript.dialogue))

  def test_the_same_at_a_high_log_level(self):
    self.assert_same(self.many, options="define(`confLOG_LEVEL', `14')")

  def test_lost_connections_and_refused_resets(self):
    self.assert_same(self.losses)

  def test_lost_connections_with_pipelining(self):
    self.assert_same(self.losses, offered=('PIPELINING',))

  def test_two_hundred_recipients(self):
    self.assert_same(self.two_hundred)
    self.assert_same(self.two_hundred, offered=('PIPELINING',))

  def test_with_the_flags_and_nothing_offered_the_dialogue_is_the_same(self):
    stock, patched = self.compare(self.many_unoffered, flags='QT')
    self.assertEqual(patched.dialogue, stock.dialogue)
    self.assertNotEqual(patched.log, stock.log)
    without = [re.sub(r', (?:ignorequota|sessionid)=[^,]*', '', line) for line in patched.log]
    self.assertEqual(without, stock.log)

  def many_unoffered(self):
    self.peer.offered = ('8BITMIME', 'ENHANCEDSTATUSCODES', 'PIPELINING')
    self.many()

  def test_with_the_flags_pipelined_replies_are_credited_as_they_are_stock(self):
    stock, patched = self.compare(self.many, flags='QT', offered=('PIPELINING',))
    self.assertNotEqual(patched.dialogue, stock.dialogue)
    plain = [re.sub(rb'TRACE \w+\r\n', b'', one).replace(b' IGNOREQUOTA\r\n', b'\r\n')
             for one in patched.dialogue]
    self.assertEqual(plain, stock.dialogue)
    without = [re.sub(r', (?:ignorequota|sessionid)=[^,]*', '', line) for line in patched.log]
    self.assertEqual(without, stock.log)

"""Without Q and T the patched binary and the unpatched one say the same, byte for byte.

The control: with the flags they do not, so that the comparison can fail.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from fixtures.messages import message

from .dialogue import queue_ids, without_varying
from .patch_mail import mailer
from .peer import CLOSE, by_user, in_turn
from .peer_mail import PeerCases


@dataclass
class Transcript:
  """What one binary sent, and what it logged."""
  dialogue: list[bytes]
  log: list[str]


@pytest.mark.weight(3)
class TestSameAsStock(PeerCases):
  def compare(self, mail, script, flags: str = '', **knobs) -> tuple[Transcript, Transcript]:
    stock = self.play(mail, mail.tested.stock, script, flags, **knobs)
    patched = self.play(mail, mail.tested.patched, script, flags, **knobs)
    return stock, patched

  def assert_same(self, mail, script, **knobs) -> Transcript:
    stock, patched = self.compare(mail, script, **knobs)
    assert patched.dialogue == stock.dialogue
    assert patched.log == stock.log
    assert stock.dialogue
    return stock

  def play(self, mail, binary: Path, script, flags: str, offered: tuple[str, ...] = (),
           options: str = '') -> Transcript:
    mail.peer.forget()
    mail.peer.offered += offered
    lines = mailer(mail.peer.address, flags) + mailer(mail.peer.address, flags, name='remote',
                                                      base='sDFMnqXzA@/:|m')
    mail.with_mailers(lines, options, binary=binary, quota_mailer='remote')
    self.messages = iter(self.raws)
    script(mail)
    sessions = mail.peer.take()
    ids = queue_ids(mail.sendmail.log_lines())
    log = [self.plain(line, ids) for line in mail.sendmail.log_lines()
           if any(qid in line for qid in ids)]
    return Transcript([without_varying(bytes(one.received), ids) for one in sessions], log)

  @staticmethod
  def plain(line: str, ids: list[str]) -> str:
    text = without_varying(line.partition(']: ')[2].encode(), ids).decode()
    return re.sub(r'\b(x?delay|pri|msgid)=[^,]*', r'\1', text)

  @pytest.fixture(autouse=True)
  def prepare(self):
    self.raws = [message(b'x' * 70 + b'\r\n' + b'y' * 70 * number + b'\r\n.\r\n..\r\n',
                         f'number {number}') for number in range(20)]

  def put(self, mail, *users: str, **more) -> str:
    return mail.send(next(self.messages), *users, **more)

  # The scripts.

  def many(self, mail):
    """Cached connection, several recipients, refusals of each kind, bounces."""
    mail.peer.answers = {
        'RCPT': by_user({'nobody': '550 5.1.1 unknown', 'full': '452 4.2.2 over quota',
                         'bare': '550 no', 'four': '450 busy'}),
        'DOT': by_user({'later': '451 4.3.0 later', 'never': '554 5.6.0 never SESSIONID=<a>'}),
        'MAIL': by_user({'badsender': '550 5.7.1 not you', 'slowsender': '451 4.7.1 not now'})}
    self.put(mail, 'alice')
    self.put(mail, 'alice', 'bob', 'nobody')
    self.put(mail, 'nobody', 'bare')
    self.put(mail, 'full', 'alice', 'four')
    self.put(mail, 'alice', sender='badsender@mail.test')
    self.put(mail, 'alice', sender='slowsender@mail.test')
    self.put(mail, 'later', 'never', 'bob')
    self.put(mail, 'alice', 'never', domain='quota.test', options=('RET=HDRS', 'ENVID=abc'),
             rcpt_options=('NOTIFY=SUCCESS,FAILURE', 'ORCPT=rfc822;a@b.test'))
    self.put(mail, 'never')
    self.put(mail, 'alice')
    mail.sendmail.run_queue()
    mail.sendmail.run_queue()

  def losses(self, mail):
    """Connections that end, and RSET refused."""
    mail.peer.answers = {'RSET': in_turn(None, '500 5.5.2 what', None, '421 4.3.2 down', None,
                                         CLOSE),
                         'DATA': in_turn(None, None, CLOSE, '451 4.3.0 no', '554 5.5.0 no'),
                         'RCPT': by_user({'down': in_turn('421 4.3.2 down')})}
    for _ in range(8):
      self.put(mail, 'alice')
    self.put(mail, 'alice', 'down', 'bob')
    mail.sendmail.run_queue()
    mail.sendmail.run_queue()

  def two_hundred(self, mail):
    mail.peer.answers['RCPT'] = by_user({f'u{number}': '550 5.1.1 unknown'
                                         for number in range(0, 200, 9)})
    self.put(mail, *(f'u{number}' for number in range(200)))
    mail.sendmail.run_queue()

  def test_cached_connections_refusals_and_bounces(self, mail):
    transcript = self.assert_same(mail, self.many)
    text = b''.join(transcript.dialogue)
    assert b'Reporting-MTA' in text
    assert b'RSET\r\n' in text

  def test_the_same_with_pipelining(self, mail):
    self.assert_same(mail, self.many, offered=('PIPELINING',))

  def test_the_same_with_dsn(self, mail):
    transcript = self.assert_same(mail, self.many, offered=('DSN', 'PIPELINING'))
    assert b' NOTIFY=' in b''.join(transcript.dialogue)

  def test_the_same_at_a_high_log_level(self, mail):
    self.assert_same(mail, self.many, options="define(`confLOG_LEVEL', `14')")

  def test_lost_connections_and_refused_resets(self, mail):
    self.assert_same(mail, self.losses)

  def test_lost_connections_with_pipelining(self, mail):
    self.assert_same(mail, self.losses, offered=('PIPELINING',))

  def test_two_hundred_recipients(self, mail):
    self.assert_same(mail, self.two_hundred)
    self.assert_same(mail, self.two_hundred, offered=('PIPELINING',))

  def test_with_the_flags_and_nothing_offered_the_dialogue_is_the_same(self, mail):
    stock, patched = self.compare(mail, self.many_unoffered, flags='QT')
    assert patched.dialogue == stock.dialogue
    assert patched.log != stock.log
    without = [re.sub(r', (?:ignorequota|sessionid)=[^,]*', '', line) for line in patched.log]
    assert without == stock.log

  def many_unoffered(self, mail):
    mail.peer.offered = ('8BITMIME', 'ENHANCEDSTATUSCODES', 'PIPELINING')
    self.many(mail)

  def test_with_the_flags_pipelined_replies_are_credited_as_they_are_stock(self, mail):
    stock, patched = self.compare(mail, self.many, flags='QT', offered=('PIPELINING',))
    assert patched.dialogue != stock.dialogue
    plain = [re.sub(rb'TRACE \w+\r\n', b'', one).replace(b' IGNOREQUOTA\r\n', b'\r\n')
             for one in patched.dialogue]
    assert plain == stock.dialogue
    without = [re.sub(r', (?:ignorequota|sessionid)=[^,]*', '', line) for line in patched.log]
    assert without == stock.log

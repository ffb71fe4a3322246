"""Each rule of the ledger notices what it is for."""

import pytest

from .ledger import Filed, Ledger, Sent, controls_in

TO = 'u1@store.test'
TEXT = b'Message-ID: <m1@mail.test>\r\n\r\nhello\r\n'


def ledger(reply: str = f'250 2.1.5 {TO} filed', times: int = 1, raw: bytes = TEXT, trace: str = 'qm1-x',
           ignores_quota: bool = False, to: str = TO, number: str = 'm1') -> Ledger:
  made = Ledger()
  made.send(Sent('m1', [TO], {'qm1'}, set(), TEXT, {TO: reply}))
  for _ in range(times):
    made.file(Filed('a', number, to, raw, trace, ignores_quota))
  return made


def test_a_good_delivery_breaks_no_rule():
  assert ledger().violations() == []
  assert ledger('452 4.2.2 not now', 0).violations() == []
  quoted = 'invalid reply to DATA: 250 2.1.5 u2@store.test ok'
  assert ledger(f'451 4.4.2 Connection to the store lost: {quoted}', 0).violations() == []
  lost = '451 4.4.2 Connection lost after the end of data, possible duplicate'
  assert ledger(f'{lost}: 421 4.3.2 u2@store.test not now', 0).violations() == []


def test_a_refusal_by_a_store_is_no_violation():
  for recipient in (TO, ''):
    made = ledger(f'550 5.1.1 {TO} no', 0)
    made.refuse('m1', recipient)
    assert made.violations() == []


@pytest.mark.parametrize('broken, words', [
    ({'times': 0}, 'no store filed it'),
    ({'times': 2}, 'filed 2 times'),
    ({'reply': '550 5.1.1 no', 'times': 0}, 'no store refused it'),
    ({'reply': '250 2.1.5 u2@store.test filed'}, 'which is the reply for'),
    ({'reply': '451 4.4.2 Connection lost after the end of data, possible duplicate: 452 4.2.2 u2@store.test',
      'times': 0}, 'which is the reply for'),
    ({'number': 'm2'}, 'nobody sent this message'),
    ({'to': 'u2@store.test'}, 'it was not for this recipient'),
    ({'trace': 'qm2-x'}, 'the trace id qm2-x'),
    ({'trace': 'qm10'}, 'the trace id qm10'),
    ({'ignores_quota': True}, 'IGNOREQUOTA without authority'),
    ({'raw': b'X-LMTPQ-Tag: v=1\r\n' + TEXT}, 'a tag was filed'),
    ({'raw': TEXT + b'a\rb\r\n'}, 'a line end other than CRLF'),
    ({'raw': TEXT + b'a\nb\r\n'}, 'a line end other than CRLF'),
    ({'raw': TEXT + b'x' * 8001 + b'\r\n'}, 'a line over 8000 bytes'),
    ({'raw': TEXT + b'more\r\n'}, 'it was changed')])
def test_a_broken_rule_is_noticed(broken, words):
  assert any(words in one for one in ledger(**broken).violations())


def test_what_a_store_saw_is_noticed():
  made = ledger()
  made.breach('a: MAIL without a login')
  assert made.violations() == ['a: MAIL without a login']


def test_control_characters_in_a_log_are_noticed():
  assert controls_in('event=a\nevent=b x=\u00e4\n') == []
  for bad in ('\x1b', '\0', '\r', '\x7f', '\x9b', '\u202e'):
    assert len(controls_in(f'event=a\nevent=b x={bad}\n')) == 1

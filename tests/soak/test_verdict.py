"""The verdict on a soak notices what must not be, and takes what has a reason."""

import re

import pytest

from . import mail
from .verdict import Verdict

SEED, MESSAGES, ODD = 7, 40, 21  # ODD: the message to which something happens
KILL = '100.000 100.200\n'


class Records:
  """Those of a run in which all went well, in lines that a test changes."""

  def __init__(self, folder):
    self.folder = folder
    self.lines = {name: [] for name in
                  ('client0', 'client1', 'store0', 'store1', 'store2', 'announced', 'kills')}
    for number in range(MESSAGES):
      self.lines['client0'].append(f'S {number} {digest(number)}\n')
      for to in mail.recipients_of(SEED, number):
        self.lines[f'client{number % 2}'].append(f'A {number} {to}\n')
        self.file(number, to)

  def file(self, number: int, to: str, text: str = ''):
    self.lines[f'store{store_of(to)}'].append(f'{number} {to} {text or digest(number)}\n')

  def verdict(self) -> Verdict:
    for name, lines in self.lines.items():
      (self.folder / name).write_text(''.join(lines))
    return Verdict(self.folder, SEED, MESSAGES)


def digest(number: int) -> str:
  return mail.digest(mail.message(SEED, number).text())


def recipient(number: int = ODD) -> str:
  return mail.recipients_of(SEED, number)[0]


def store_of(to: str) -> int:
  return mail.DOMAINS[to.partition('@')[2]][0]


@pytest.fixture
def records(tmp_path) -> Records:
  return Records(tmp_path)


@pytest.fixture
def doubled(records) -> Records:
  records.file(ODD, recipient())
  return records


def test_a_run_in_which_all_went_well_is_good(records):
  verdict = records.verdict()
  assert verdict.good, verdict.report()
  assert verdict.sent == MESSAGES
  assert verdict.filed == sum(len(mail.recipients_of(SEED, number)) for number in range(MESSAGES))
  assert verdict.filed > MESSAGES, 'a message for several is one of them'


def test_all_mail_is_as_the_daemon_files_it():
  texts = [mail.message(seed, number).text() for seed in range(5) for number in range(1000)]
  assert not [text for text in texts if re.search(rb'\r(?!\n)|(?<!\r)\n', text)], 'bare line ends'
  assert sum(len(text) > 256 * 1024 for text in texts) == len(texts) // mail.LARGE
  assert max(map(len, texts)) < 600 * 1024


def test_a_message_that_is_nowhere_is_lost(records):
  lines = records.lines[f'store{store_of(recipient())}']
  lines.remove(f'{ODD} {recipient()} {digest(ODD)}\n')
  verdict = records.verdict()
  assert verdict.lost == 1 and not verdict.good


def test_one_of_several_recipients_is_lost(records):
  number = next(number for number in range(MESSAGES) if len(mail.recipients_of(SEED, number)) > 1)
  to = mail.recipients_of(SEED, number)[1]
  records.lines[f'store{store_of(to)}'].remove(f'{number} {to} {digest(number)}\n')
  verdict = records.verdict()
  assert verdict.lost == 1 and not verdict.good


def test_what_was_not_answered_is_not_lost(records):
  records.lines['client1'].remove(f'A {ODD} {recipient()}\n')
  records.lines[f'store{store_of(recipient())}'].remove(f'{ODD} {recipient()} {digest(ODD)}\n')
  assert records.verdict().good


def test_a_message_that_is_filed_with_another_text_is_changed(records):
  lines = records.lines[f'store{store_of(recipient())}']
  lines.remove(f'{ODD} {recipient()} {digest(ODD)}\n')
  records.file(ODD, recipient(), digest(ODD + 1))
  verdict = records.verdict()
  assert verdict.changed == 1 and not verdict.good


@pytest.mark.parametrize('line', [
    f'{ODD} {recipient(ODD + 1)} {digest(ODD)}\n', f'{MESSAGES} {recipient()} {digest(ODD)}\n',
    f'? {recipient()} {digest(ODD)}\n'], ids=['another recipient', 'not sent', 'without a number'])
def test_what_was_sent_to_nobody_there_is_a_wrong_recipient(records, line):
  records.lines[f'store{store_of(line.split()[1])}'].append(line)
  verdict = records.verdict()
  assert verdict.foreign == 1 and not verdict.good


def test_a_store_without_the_domain_is_wrong(records):
  records.lines[f'store{(store_of(recipient()) + 1) % 3}'].append(
      f'{ODD} {recipient()} {digest(ODD)}\n')
  verdict = records.verdict()
  if recipient().endswith('pair.test'):
    pytest.fail('the test needs a recipient with one store')
  assert verdict.foreign == 1 and not verdict.good


def test_a_message_that_is_refused_for_good_is_counted(records):
  records.lines['client1'].append(f'R {ODD} {recipient()} 554 5.3.0 no\n')
  verdict = records.verdict()
  assert verdict.refused == 1 and not verdict.good


def test_a_double_without_a_reason_is_noticed(doubled):
  verdict = doubled.verdict()
  assert verdict.unexplained == 1 and not verdict.good
  assert f'{ODD}: filed 2 times' in verdict.report()


@pytest.mark.parametrize('name, line', [
    ('client1', f'P {ODD} {recipient()}\n'), ('announced', f'D {ODD} {recipient()}\n'),
    ('announced', f'T {ODD}\n')], ids=['by a reply', 'by the log', 'by a reply that was lost'])
def test_a_double_that_was_announced_is_taken(doubled, name, line):
  doubled.lines[name].append(line)
  verdict = doubled.verdict()
  assert (verdict.announced, verdict.by_kill, verdict.unexplained) == (1, 0, 0)
  assert verdict.good


def test_a_reply_and_its_log_line_are_one_reason(doubled):
  doubled.file(ODD, recipient())
  doubled.lines['client1'].append(f'P {ODD} {recipient()}\n')
  doubled.lines['announced'].append(f'D {ODD} {recipient()}\n')
  verdict = doubled.verdict()
  assert (verdict.announced, verdict.unexplained) == (1, 1) and not verdict.good


def test_a_reason_of_another_message_is_none(doubled):
  doubled.lines['client1'].append(f'P {ODD + 1} {recipient(ODD + 1)}\n')
  doubled.lines['announced'].append(f'T {ODD + 1}\n')
  assert doubled.verdict().unexplained == 1


@pytest.mark.parametrize('attempt, explained', [
    ('99.900 100.100', True), ('100.150 100.300', True), ('98.000 99.900', False),
    ('100.300 100.400', False)], ids=['before it', 'while it ends', 'over before', 'after it'])
def test_a_double_of_a_message_in_flight_when_the_daemon_was_killed(doubled, attempt, explained):
  doubled.lines['kills'].append(KILL)
  doubled.lines['client1'].append(f'L {ODD} {attempt}\n')
  verdict = doubled.verdict()
  assert (verdict.by_kill, verdict.unexplained) == ((1, 0) if explained else (0, 1))
  assert verdict.good == explained


def test_one_attempt_explains_one_double(doubled):
  doubled.file(ODD, recipient())
  doubled.lines['kills'].append(KILL)
  doubled.lines['client1'].append(f'L {ODD} 99.900 100.100\n')
  verdict = doubled.verdict()
  assert (verdict.by_kill, verdict.unexplained) == (1, 1) and not verdict.good

"""What the real Sendmail does when the milter is down, slow or says no: as cf/README.md tells."""

import itertools
import re
import socket
import unittest
from pathlib import Path

from configuration import HOST, ROOT, SCRATCH, feature
from delivery import Site
from fake_milter import END, NEGOTIATE, QUIT, FakeMilter
from fixtures.process import wait_until

MESSAGE = ('EHLO client.test', f'MAIL FROM:<a@{HOST}>', 'RCPT TO:<u@one.store.test>', 'DATA',
           'Message-ID: <1@client.test>\r\n\r\nhello\r\n.', 'QUIT')
GREETING, MAIL, DOT = 0, 2, 5  # whose answer
NUMBERS = itertools.count(1)
README = (ROOT / 'cf' / 'README.md').read_text()


class Exchange:
  """One message to a Sendmail with a milter in trouble: down, or as in fake_milter.py."""

  def __init__(self, trouble: str, flag: str = '', stage: bytes = b''):
    name = f'milter-{next(NUMBERS)}'
    path = SCRATCH.path / f'{name}.sock'
    self.site = Site(name, feature(f'unix:{path}', flag))
    text, count = re.subn(r', T=C:.*', ', T=C:1s;S:1s;R:1s;E:1s', self.site.cf.path.read_text())
    if count != 1:
      raise AssertionError(f'{count} filters with timeouts')
    self.site.cf.path.write_text(text)
    self.milter = None if trouble == 'down' else FakeMilter(path, stage, trouble)
    self.answers = self.site.converse(*MESSAGE)

  def answer(self, step: int) -> str:
    return self.answers[step][:9] if step < len(self.answers) else 'none'

  def outcome(self) -> tuple[str, str, str, int]:
    return (self.answer(GREETING)[:3], self.answer(MAIL), self.answer(DOT), self.site.queued())


TAKEN = ('220', '250 2.1.0', '250 2.0.0', 1)
# Whoever goes on after an error hears nothing else that is of interest.
AT_CONNECT = {'': TAKEN, 'T': ('220', '451 4.3.2', None, 0), '4': ('421', 'none', None, 0),
              'R': ('554', '550 5.0.0', None, 0)}
AT_DOT = {'': TAKEN, 'T': ('220', '250 2.1.0', '451 4.3.2', 0),
          '4': ('220', '250 2.1.0', '421 4.7.0', 0), 'R': ('220', '250 2.1.0', '554 5.7.1', 0)}


class MilterTrouble(unittest.TestCase):

  def assert_outcome(self, expected: tuple, trouble: str, flag: str,
                     stage: bytes = b'') -> Exchange:
    made = Exchange(trouble, flag, stage)
    seen = tuple(None if wanted is None else found
                 for wanted, found in zip(expected, made.outcome()))
    self.assertEqual(seen, expected, f'{trouble} {flag} {stage!r} {made.answers}')
    return made

  def test_without_any_the_message_is_taken_with_every_flag(self):
    for flag in AT_DOT:
      made = self.assert_outcome(TAKEN, '', flag)
      self.assertIn(END, made.milter.commands)
      self.assertEqual(made.site.log_lines('Milter'), [])

  def test_that_it_is_down_has_the_outcome_of_the_flag(self):
    for flag, expected in AT_CONNECT.items():
      made = self.assert_outcome(expected, 'down', flag)
      self.assertTrue(made.site.log_lines('Milter (lmtpq): local socket name '), flag)
      self.assertTrue(made.site.log_lines('Milter (lmtpq): to error state'), flag)

  def test_that_it_hangs_up_before_a_message_has_the_outcome_of_the_flag(self):
    for flag, expected in AT_CONNECT.items():
      self.assert_outcome(expected, 'hang up', flag, NEGOTIATE)

  def test_that_it_hangs_up_at_the_end_of_a_message_has_the_outcome_of_the_flag(self):
    for flag, expected in AT_DOT.items():
      self.assert_outcome(expected, 'hang up', flag, END)

  def test_that_it_is_slow_has_the_outcome_of_the_flag_when_the_time_is_over(self):
    for flag in ('', 'T'):
      for stage, table, word in ((NEGOTIATE, AT_CONNECT, 'negotiate'), (END, AT_DOT, 'eom')):
        made = self.assert_outcome(table[flag], 'hang', flag, stage)
        said = f'Milter (lmtpq): timeout before data read, where={word}'
        self.assertEqual(len(made.site.log_lines(said)), 1)

  def test_of_which_it_tells_itself_defers_with_every_flag(self):
    for flag in AT_DOT:
      self.assert_outcome(('220', '250 2.1.0', '451 4.3.2', 0), 't', flag, END)

  def test_is_in_the_readme_with_the_words_of_the_log(self):
    for words in ('to error state', 'timeout before data read, where=eom', 'local socket name',
                  'Milter: data, reject=451 4.3.2'):
      self.assertIn(words, README)


class WhatTheMilterIsTold(unittest.TestCase):

  def test_is_what_it_needs_though_it_asked_for_nothing(self):
    made = Exchange('')
    [envelope] = [path.name[2:] for path in (made.site.dir / 'queue').glob('qf*')]
    macros = made.milter.macros
    self.assertIn('{client_addr}', macros[b'C'])
    self.assertIn('{client_addr}', macros[b'M'])
    self.assertEqual(macros[b'M']['i'], envelope)
    self.assertEqual((macros[b'R']['{rcpt_mailer}'], macros[b'R']['{rcpt_addr}']), ('cyrusv2', 'u'))
    self.assertEqual(macros[b'E']['i'], envelope)
    self.assertRegex(macros[b'E']['{msg_size}'], r'^[1-9]\d*$')


  def test_is_nothing_any_more_on_a_connection_where_it_failed_once(self):
    made = Exchange('hang up', '', END)
    path = SCRATCH.path / f'milter-{next(NUMBERS)}.sock'
    text = made.site.cf.path.read_text()
    made.site.cf.path.write_text(text.replace(str(made.milter.path), str(path)))
    milter = FakeMilter(path, END, 'hang up')
    answers = made.site.converse(*MESSAGE[:-1], *MESSAGE[1:])
    self.assertEqual([answer[:9] for answer in (answers[5], answers[9])], ['250 2.0.0'] * 2)
    self.assertEqual(milter.commands.count(END), 1)
    self.assertEqual(milter.commands.count(NEGOTIATE), 1)

  def test_is_nothing_of_mail_that_did_not_come_by_smtp(self):
    made = Exchange('')
    # The end of the first connection may be heard late; another one would begin with NEGOTIATE.
    wait_until(lambda: made.milter.commands[-1:] == [QUIT], 'Sendmail takes leave of the milter')
    before = list(made.milter.commands)
    made.site.send('u@one.store.test')
    self.assertEqual(made.site.queued(), 2)
    self.assertEqual(made.milter.commands, before)


class AddressOfTheMilter(unittest.TestCase):

  def connects(self, text: str, family: int, address: str,
               edit: tuple[str, str] = ('', '')) -> bool:
    with socket.socket(family) as listener:
      listener.bind((address, 0))
      listener.listen()
      port = listener.getsockname()[1]
      site = Site(f'address-{next(NUMBERS)}', feature(text.replace('PORT', str(port))))
      made = site.cf.path.read_text().replace(f'{port}@{edit[0]}', f'{port}@{edit[1]}')
      self.assertIn(f'{port}@{edit[1]}', made)
      # Nobody answers there, and nothing is lost if that is seen soon.
      site.cf.path.write_text(made.replace('R:10s', 'R:1s'))
      site.converse('QUIT')
      listener.setblocking(False)
      try:
        listener.accept()[0].close()
        return True
      except BlockingIOError:
        return False

  def test_in_brackets_is_one_to_which_sendmail_connects(self):
    self.assertTrue(self.connects('inet:PORT@[127.0.0.1]', socket.AF_INET, '127.0.0.1'))
    if Path('/proc/net/if_inet6').exists():  # a machine may have no IPv6
      self.assertTrue(self.connects('inet6:PORT@[::1]', socket.AF_INET6, '::1'))

  def test_in_brackets_would_not_be_if_we_left_them_there(self):
    self.assertFalse(self.connects('inet:PORT@[127.0.0.1]', socket.AF_INET, '127.0.0.1',
                                   ('127.0.0.1', '[127.0.0.1]')))

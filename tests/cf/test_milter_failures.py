"""What the real Sendmail does when the milter is down, slow or refuses: as cf/README.md says."""

import re
import socket
from pathlib import Path

import pytest

from fixtures.paths import ROOT
from fixtures.process import wait_until

from .configuration import HOST, Cf, feature
from .delivery import Site
from .fake_milter import END, NEGOTIATE, QUIT, FakeMilter

MESSAGE = ('EHLO client.test', f'MAIL FROM:<a@{HOST}>', 'RCPT TO:<u@one.store.test>', 'DATA',
           'Message-ID: <1@client.test>\r\n\r\nhello\r\n.', 'QUIT')
GREETING, MAIL, DOT = 0, 2, 5  # places of their replies
README = (ROOT / 'cf' / 'README.md').read_text()


class Exchange:
  """One message to a Sendmail with a milter in trouble: down, or as in fake_milter.py."""

  def __init__(self, cf: Cf, trouble: str, flag: str = '', stage: bytes = b''):
    name = f'milter-{next(cf.scratch.numbers)}'
    path = cf.path / f'{name}.sock'
    self.site = Site(cf, name, feature(f'unix:{path}', flag))
    # Short where the test waits for it.
    times = 'C:30s;S:30s;R:3s;E:3s' if trouble == 'hang' else 'C:30s;S:30s;R:30s;E:30s'
    text, count = re.subn(r', T=C:.*', f', T={times}', self.site.cf.path.read_text())
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
# None: a client that goes on after an error gets nothing more that is of interest.
AT_CONNECT = {'': TAKEN, 'T': ('220', '451 4.3.2', None, 0), '4': ('421', 'none', None, 0),
              'R': ('554', '550 5.0.0', None, 0)}
AT_DOT = {'': TAKEN, 'T': ('220', '250 2.1.0', '451 4.3.2', 0),
          '4': ('220', '250 2.1.0', '421 4.7.0', 0), 'R': ('220', '250 2.1.0', '554 5.7.1', 0)}


class TestMilterTrouble:
  def assert_outcome(self, cf, expected: tuple, trouble: str, flag: str,
                     stage: bytes = b'') -> Exchange:
    made = Exchange(cf, trouble, flag, stage)
    seen = tuple(None if wanted is None else found
                 for wanted, found in zip(expected, made.outcome()))
    assert seen == expected, f'{trouble} {flag} {stage!r} {made.answers}'
    return made

  @pytest.mark.parametrize('flag', AT_DOT)
  def test_without_any_the_message_is_taken_with_every_flag(self, cf, flag):
    made = self.assert_outcome(cf, TAKEN, '', flag)
    assert END in made.milter.commands
    assert made.site.log_lines('Milter') == []

  @pytest.mark.parametrize('flag, expected', AT_CONNECT.items())
  def test_that_it_is_down_has_the_outcome_of_the_flag(self, cf, flag, expected):
    made = self.assert_outcome(cf, expected, 'down', flag)
    assert made.site.log_lines('Milter (lmtpq): local socket name ')
    assert made.site.log_lines('Milter (lmtpq): to error state')

  @pytest.mark.parametrize('flag, expected', AT_CONNECT.items())
  def test_that_it_hangs_up_before_a_message_has_the_outcome_of_the_flag(self, cf, flag, expected):
    self.assert_outcome(cf, expected, 'hang up', flag, NEGOTIATE)

  @pytest.mark.parametrize('flag, expected', AT_DOT.items())
  def test_that_it_hangs_up_at_the_end_of_a_message_has_the_outcome_of_the_flag(
      self, cf, flag, expected):
    self.assert_outcome(cf, expected, 'hang up', flag, END)

  @pytest.mark.parametrize('flag', ['', 'T'])
  @pytest.mark.parametrize('stage, table, word', [
      (NEGOTIATE, AT_CONNECT, 'negotiate'), (END, AT_DOT, 'eom')], ids=['negotiate', 'eom'])
  def test_that_it_is_slow_has_the_outcome_of_the_flag_when_the_time_is_over(
      self, cf, flag, stage, table, word):
    made = self.assert_outcome(cf, table[flag], 'hang', flag, stage)
    logged = f'Milter (lmtpq): timeout before data read, where={word}'
    assert len(made.site.log_lines(logged)) == 1

  @pytest.mark.parametrize('flag', AT_DOT)
  def test_that_it_reports_itself_defers_with_every_flag(self, cf, flag):
    self.assert_outcome(cf, ('220', '250 2.1.0', '451 4.3.2', 0), 't', flag, END)

  def test_is_in_the_readme_with_the_words_of_the_log(self):
    for words in ('to error state', 'timeout before data read, where=eom', 'local socket name',
                  'Milter: data, reject=451 4.3.2'):
      assert words in README


class TestWhatTheMilterReceives:
  def test_is_what_it_needs_though_it_asked_for_nothing(self, cf):
    made = Exchange(cf, '')
    [envelope] = [path.name[2:] for path in (made.site.dir / 'queue').glob('qf*')]
    macros = made.milter.macros
    assert '{client_addr}' in macros[b'C']
    assert '{client_addr}' in macros[b'M']
    assert macros[b'M']['i'] == envelope
    assert (macros[b'R']['{rcpt_mailer}'], macros[b'R']['{rcpt_addr}']) == ('cyrusv2', 'u')
    assert macros[b'E']['i'] == envelope
    assert re.search(r'^[1-9]\d*$', macros[b'E']['{msg_size}'])

  def test_is_nothing_any_more_on_a_connection_where_it_failed_once(self, cf):
    made = Exchange(cf, 'hang up', '', END)
    path = cf.path / f'milter-{next(cf.scratch.numbers)}.sock'
    text = made.site.cf.path.read_text()
    made.site.cf.path.write_text(text.replace(str(made.milter.path), str(path)))
    milter = FakeMilter(path, END, 'hang up')
    answers = made.site.converse(*MESSAGE[:-1], *MESSAGE[1:])
    assert [answer[:9] for answer in (answers[5], answers[9])] == ['250 2.0.0'] * 2
    assert milter.commands.count(END) == 1
    assert milter.commands.count(NEGOTIATE) == 1

  def test_is_nothing_of_mail_that_did_not_come_by_smtp(self, cf):
    made = Exchange(cf, '')
    # The first connection may end late; another one would begin with NEGOTIATE.
    wait_until(lambda: made.milter.commands[-1:] == [QUIT], 'Sendmail sends QUIT to the milter')
    before = list(made.milter.commands)
    made.site.send('u@one.store.test')
    assert made.site.queued() == 2
    assert made.milter.commands == before


class TestAddressOfTheMilter:
  def connects(self, cf, text: str, family: int, address: str,
               edit: tuple[str, str] = ('', '')) -> bool:
    with socket.socket(family) as listener:
      listener.bind((address, 0))
      listener.listen()
      port = listener.getsockname()[1]
      name = f'address-{next(cf.scratch.numbers)}'
      site = Site(cf, name, feature(text.replace('PORT', str(port))))
      made = site.cf.path.read_text().replace(f'{port}@{edit[0]}', f'{port}@{edit[1]}')
      assert f'{port}@{edit[1]}' in made
      # No milter answers there; Sendmail may give up soon.
      site.cf.path.write_text(made.replace('R:10s', 'R:1s'))
      site.converse('QUIT')
      listener.setblocking(False)
      try:
        listener.accept()[0].close()
        return True
      except BlockingIOError:
        return False

  def test_in_brackets_is_one_to_which_sendmail_connects(self, cf):
    assert self.connects(cf, 'inet:PORT@[127.0.0.1]', socket.AF_INET, '127.0.0.1')
    if Path('/proc/net/if_inet6').exists():  # a machine may have no IPv6
      assert self.connects(cf, 'inet6:PORT@[::1]', socket.AF_INET6, '::1')

  def test_in_brackets_would_not_be_if_we_left_them_there(self, cf):
    assert not self.connects(cf, 'inet:PORT@[127.0.0.1]', socket.AF_INET, '127.0.0.1',
                             ('127.0.0.1', '[127.0.0.1]'))

"""The .mc blocks of docs/INSTALL.md: m4 takes them, by name, and the way back ends where it began."""

import re
import textwrap

import pytest

from fixtures.paths import ROOT

from .configuration import BANNER, HOST, TREE

PAGE = (ROOT / 'docs' / 'INSTALL.md').read_text()
DAEMON = "define(`LMTPQ_DAEMON', `/run/lmtpq/lmtp')dnl\n"


def blocks(kind: str) -> list[str]:
  """The fenced blocks of this kind, without their indentation."""
  return [textwrap.dedent(block)
          for block in re.findall(rf'^ *```{kind}\n(.*?)^ *```$', PAGE, re.MULTILINE | re.DOTALL)]


def side(diff: str, sign: str) -> str:
  """What a diff has before it (-), or after it (+)."""
  return ''.join(line[1:] for line in diff.splitlines(True) if line[0] in (' ', sign))


def apply(diff: str, text: str) -> str:
  assert text.count(side(diff, '-')) == 1, f'not found once: {side(diff, "-")}'
  return text.replace(side(diff, '-'), side(diff, '+'))


THERE, NO_MILTER, BACK = blocks('diff')
[NOTIFICATIONS] = blocks('m4')


def debian(end: str) -> str:
  """Debian's sendmail.mc with this end. The test names cf.m4 itself, and has no /etc/mail."""
  text = (TREE / 'debian' / 'sendmail.mc').read_text()
  kept = re.sub(r'^include\(.*\n', '', text, flags=re.MULTILINE)
  return kept.partition('MAILER_DEFINITIONS\n')[0] + end


@pytest.fixture(scope='module')
def maps(cf):
  cf.make_map('access', '')


@pytest.mark.usefixtures('maps')
class TestInstallPage:
  def made(self, cf, end: str):
    made = cf.make(debian(end), tree=cf.installed)
    assert made.ask() == BANNER
    return made

  def test_begins_with_the_stock_mailer(self, cf):
    made = self.made(cf, side(THERE, '-'))
    assert made.mailer()['A'] == 'FILE /run/cyrus/socket/lmtp'
    assert 'cyrusv2q' not in made.mailers() and made.option('InputMailFilters') == ''

  def test_changes_two_lines_and_the_define_of_the_daemon(self, cf):
    assert [line[0] for line in THERE.splitlines() if line[0] != ' '] == ['+', '+', '-', '+']
    made = self.made(cf, side(THERE, '+'))
    assert made.mailer('cyrusv2')['A'] == 'FILE /run/lmtpq/lmtp'
    assert made.mailer('cyrusv2q')['A'] == 'FILE /run/lmtpq/lmtpq'
    assert made.option('InputMailFilters') == 'lmtpq'
    assert made.route(f'user@{HOST}') == '$# cyrusv2 $: user'

  def test_runs_relay_without_the_define(self, cf):
    there = side(THERE, '+')
    made = self.made(cf, there.replace(DAEMON, ''))
    assert made.mailer()['A'] == 'lmtpq relay unix:/run/cyrus/socket/lmtp'
    assert made.mailer('cyrusv2q')['A'] == 'lmtpq relay -Q unix:/run/cyrus/socket/lmtp'

  def test_ignores_every_quota_on_a_notification_host(self, cf):
    made = self.made(cf, NOTIFICATIONS)
    assert made.mailer()['A'] == 'lmtpq relay -Q inet:store.example.org:lmtp'
    assert made.option('InputMailFilters') == ''

  def test_goes_back_without_the_milter_first(self, cf):
    made = self.made(cf, apply(NO_MILTER, side(THERE, '+')))
    assert made.option('InputMailFilters') == ''
    assert made.mailer('cyrusv2')['A'] == 'FILE /run/lmtpq/lmtp'

  def test_ends_where_it_began(self):
    assert apply(BACK, apply(NO_MILTER, side(THERE, '+'))) == side(THERE, '-')

  def test_shows_the_listeners_that_sendmail_dials(self, cf):
    [conf] = blocks('ini')
    made = self.made(cf, side(THERE, '+'))
    assert (re.findall(r'^address = unix:(.*)$', conf, re.MULTILINE)
            == [made.line(name).rpartition('A=FILE ')[2] for name in ('cyrusv2', 'cyrusv2q')])

  def test_quotes_lines_of_the_cf(self, cf):
    made = self.made(cf, side(THERE, '+'))
    shown = re.findall(r'^ +(Xlmtpq, .*|A=FILE .*)$', PAGE, re.MULTILINE)
    assert len(shown) == 3
    for line in shown:
      assert re.search(rf'^\s*{re.escape(line)}$', made.text, re.MULTILINE)

  @pytest.mark.parametrize('right, typo', [('lmtpq', 'lmtqp'), ('lmtpq_milter', 'lmtpq_miter')])
  def test_shows_typos_that_m4_reports(self, cf, right, typo):
    """Those of its table; the status is what its step 3 looks at."""
    assert f"(`{typo}')``" in PAGE
    text = side(THERE, '+').replace(f"(`{right}')", f"(`{typo}')")
    made = cf.m4(debian(text), tree=cf.installed)
    assert made.returncode == 1
    assert re.search(rf"cannot open `.*/{typo}\.m4'", made.stderr)

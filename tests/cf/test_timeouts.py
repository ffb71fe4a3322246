"""confTO_DATAFINAL becomes --mta-timeout of both mailers, or an error of m4."""

import re

import pytest

from fixtures.paths import ROOT

from .configuration import define, mc

SECONDS = {'1h': 3600, '20m': 1200, '30': 1800, '1h30m': 5400, '1h30': 5400, '90m': 5400,
           '3600s': 3600, '631s': 631, '1d2h3m4s': 93784, '2w': 1209600, '4w': 2419200,
           '0h20m': 1200, '007h': 25200, '08h': 28800, '2419200s': 2419200}
FORM = 'expected a time such as 90s, 20m or 1h30m, at most 4w'
NO_TIMES = ('', '0', '0s', '0h0m', 'm', 'h1', '1hm', 'now', '-1h', '1H', '1 h', '1h ', ' 1h', '1y',
            '500ms', '5w', '2419201s', '99999999999999999999s', '1.5h')
TOO_SHORT = ('10m', '630s', '5m', '1s', '08m')


def datafinal(text: str) -> str:
  return define('confTO_DATAFINAL', text)


def arguments(cf, knobs: str) -> list[str]:
  """A= of cyrusv2; that of cyrusv2q has the same and -Q."""
  made = cf.make(mc(knobs)).mailers()
  words = made['cyrusv2']['A'].split()
  assert made['cyrusv2q']['A'].split() == [*words[:2], '-Q', *words[2:]], 'the mailers agree'
  return words[2:-1]


class TestDataFinal:
  @pytest.mark.parametrize('text, seconds', SECONDS.items())
  def test_is_passed_on_in_seconds_as_sendmail_reads_it(self, cf, text, seconds):
    assert arguments(cf, datafinal(text)) == [f'--mta-timeout={seconds}s']

  @pytest.mark.parametrize('text, seconds', SECONDS.items())
  def test_is_as_long_as_sendmail_itself_reads_it(self, cf, text, seconds):
    # It shows what it reads only of a filter's timeouts, where a number without a unit is seconds.
    with_unit = text if text[-1].isalpha() else f'{text}m'
    made = cf.make(mc(f"INPUT_MAIL_FILTER(`x', `S=unix:/x, T=E:{with_unit}')\n"))
    assert f'Xx: E={seconds}\n' in made.run('-d64.5', '-bt')

  def test_that_is_not_set_passes_nothing(self, cf):
    assert arguments(cf, '') == []
    assert arguments(cf, define('confTO_QUIT', '1m')) == []

  def test_stands_before_the_further_arguments(self, cf):
    assert (arguments(cf, datafinal('20m') + define('LMTPQ_MAILER_ARGS', '--trace=off'))
            == ['--mta-timeout=1200s', '--trace=off'])

  @pytest.mark.parametrize('own', ['--mta-timeout=15m', '--trace=off --mta-timeout 15m'])
  @pytest.mark.parametrize('text', ['20m', '5m', 'invalid'])
  def test_gives_way_to_an_mta_timeout_of_the_admin(self, cf, own, text):
    knobs = datafinal(text) + define('LMTPQ_MAILER_ARGS', own)
    assert arguments(cf, knobs) == own.split()

  def test_below_the_mailer_is_too_late(self, cf):
    made = cf.make(mc() + datafinal('20m'))
    assert made.option('Timeout.datafinal') == '20m'
    assert made.mailer()['A'].split()[2:-1] == []

  def test_may_be_short_when_the_wait_for_the_store_is_set_too(self, cf):
    own = '--data-done-timeout=4m'
    assert (arguments(cf, datafinal('5m') + define('LMTPQ_MAILER_ARGS', own))
            == ['--mta-timeout=300s', own])

  def refused(self, cf, text: str) -> str:
    made = cf.m4(mc(datafinal(text)))
    assert made.returncode == 1, text
    assert '*** ERROR: no mailers cyrusv2 and cyrusv2q' in made.stdout
    [line] = made.stderr.splitlines()
    return line

  @pytest.mark.parametrize('text', NO_TIMES)
  def test_that_is_no_time_is_refused(self, cf, text):
    assert self.refused(cf, text) == ('*** ERROR: MAILER(lmtpq): confTO_DATAFINAL is '
                                      f'"{text}": {FORM}')

  def test_with_a_comma_is_refused(self, cf):
    assert 'confTO_DATAFINAL must not have a comma' in self.refused(cf, '20m,1h')

  @pytest.mark.parametrize('text', TOO_SHORT)
  def test_that_leaves_lmtpq_no_time_for_the_store_is_refused_with_the_way_out(self, cf, text):
    assert self.refused(cf, text) == (
        f'*** ERROR: MAILER(lmtpq): confTO_DATAFINAL is "{text}": '
        'lmtpq waits 10m, set --data-done-timeout in LMTPQ_MAILER_ARGS')

  def test_has_the_limit_that_lmtpq_has(self):
    options = (ROOT / 'mailer' / 'settings' / 'store_settings.cpp').read_text()
    assert '"data-done-timeout", "TIME", "10m"' in options
    margin = re.search(r'return mta - (.*);', (ROOT / 'mailer' / 'settings' / 'settings.h').read_text())
    assert margin.group(1) == 'std::min<Time>(std::chrono::seconds(30), mta / 10)'

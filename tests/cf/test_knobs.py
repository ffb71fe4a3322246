"""The knobs of the stock mailer, and ours: what is in the M lines, compared with the stock one."""

import re

import pytest

from fixtures.paths import ROOT

from .configuration import INCLUDE, OURS, STOCK, Configuration, define, mc


def both(cf, knobs: str) -> tuple[Configuration, Configuration]:
  """The same .mc with our mailer and with Sendmail's."""
  return cf.make(mc(knobs)), cf.make(mc(knobs, STOCK))


def flags(name: str, value: str) -> str:
  return f"MODIFY_MAILER_FLAGS(`{name}', `{value}')\n"


class TestLikeTheStockMailer:
  def assert_like_stock(self, cf, knobs: str) -> Configuration:
    ours, stock = both(cf, knobs)
    expected = stock.mailer()
    made = ours.mailers()
    for name in ('cyrusv2', 'cyrusv2q'):
      for equate in 'SRMLETr':
        assert made[name][equate] == expected[equate], f'{name} {equate}= {knobs}'
      for equate in 'mCQSRET':
        assert ours.written(name, equate) == stock.written('cyrusv2', equate), (
            f'{name} {equate}= {knobs}')
    assert set(made['cyrusv2']['F']) == set(expected['F']) | set('SXz'), knobs
    assert set(made['cyrusv2q']['F']) == set(expected['F']) | set('QSXz'), knobs
    return ours

  def test_without_knobs(self, cf):
    made = self.assert_like_stock(cf, '').mailer()
    assert ((made['S'], made['R'], made['E'], made['r'])
            == ('EnvFromSMTP/HdrFromL', 'EnvToL/HdrToL', '\\r\\n', '100'))

  def test_maxmsgs_is_m(self, cf):
    made = self.assert_like_stock(cf, define('CYRUSV2_MAILER_MAXMSGS', '7'))
    assert made.written('cyrusv2', 'm') == '7'

  def test_maxrcpts_is_r(self, cf):
    made = self.assert_like_stock(cf, define('CYRUSV2_MAILER_MAXRCPTS', '9'))
    assert made.mailer('cyrusv2q')['r'] == '9'

  def test_charset_is_c(self, cf):
    made = self.assert_like_stock(cf, define('CYRUSV2_MAILER_CHARSET', 'iso-8859-15'))
    assert made.written('cyrusv2q', 'C') == 'iso-8859-15'

  def test_qgrp_is_q(self, cf):
    knobs = "QUEUE_GROUP(`slow', `P=/var/spool/mqueue')\n" + define('CYRUSV2_MAILER_QGRP', 'slow')
    made = self.assert_like_stock(cf, knobs)
    assert made.written('cyrusv2', 'Q') == 'slow'

  def test_all_of_them_at_once(self, cf):
    self.assert_like_stock(cf, ''.join(define(f'CYRUSV2_MAILER_{name}', value) for name, value in {
        'MAXMSGS': '3', 'MAXRCPTS': '4', 'CHARSET': 'utf-8', 'FLAGS': 'A@/:|m5w',
        'ARGS': 'TCP store.example.org 24'}.items()))

  @pytest.mark.parametrize('knobs', [
      define('CYRUSV2_MAILER_FLAGS', ''), define('CYRUSV2_MAILER_FLAGS', 'A5'),
      define('CYRUSV2_MAILER_FLAGS', 'A@/:|mQ'), define('_DEF_CYRUSV2_MAILER_FLAGS', 'lsD'),
      flags('CYRUSV2', '+w5'), flags('CYRUSV2', '-m|'), flags('CYRUSV2', '+Q'),
      flags('CYRUSV2', '-zX'), flags('CYRUSV2', '-lz') + flags('CYRUSV2', '+SQ'),
      flags('CYRUSV2', 'lsDF')])
  def test_flags_of_every_origin(self, cf, knobs):
    self.assert_like_stock(cf, knobs)


class TestQuota:
  def assert_quota(self, cf, knobs: str, ignored: bool):
    made = cf.make(mc(knobs)).mailers()
    assert ('Q' in made['cyrusv2']['F']) == ignored, knobs
    assert (made['cyrusv2']['A'].split()[2] == '-Q') == ignored, knobs
    assert 'Q' in made['cyrusv2q']['F'], knobs
    assert made['cyrusv2q']['A'].split()[:3] == ['lmtpq', 'relay', '-Q'], knobs

  def test_is_honoured_by_cyrusv2_and_ignored_by_cyrusv2q(self, cf):
    self.assert_quota(cf, '', False)

  @pytest.mark.parametrize('knobs', [
      flags('CYRUSV2', '+Q'), flags('CYRUSV2', '+w') + flags('CYRUSV2', '+Q'),
      flags('CYRUSV2', 'lsDFMnqXzQ'), define('CYRUSV2_MAILER_FLAGS', 'QA@/:|m'),
      define('_DEF_CYRUSV2_MAILER_FLAGS', 'lsDFMnqXzQ')])
  def test_is_ignored_with_q_in_the_final_flags_wherever_it_came_from(self, cf, knobs):
    self.assert_quota(cf, knobs, True)

  def test_is_honoured_when_the_q_was_taken_away_again(self, cf):
    self.assert_quota(cf, define('CYRUSV2_MAILER_FLAGS', 'A@/:|mQ') + flags('CYRUSV2', '-Q'), False)

  def test_is_honoured_when_another_mailer_got_the_q(self, cf):
    self.assert_quota(cf, flags('LOCAL', '+Q'), False)


class TestOwnKnobs:
  def test_path_and_user_have_the_documented_defaults(self, cf):
    made = cf.make(mc())
    for name in ('cyrusv2', 'cyrusv2q'):
      assert made.written(name, 'P') == '/usr/local/libexec/lmtpq/lmtpq'
      assert made.written(name, 'U') == 'cyrus:mail'
      assert '-1' not in made.mailer(name)['U'], 'Sendmail knows the user and the group'

  def test_path_and_user_can_be_set(self, cf):
    made = cf.make(mc(define('LMTPQ_MAILER_PATH', '/opt/lmtpq') +
                     define('LMTPQ_MAILER_USER', '12:34'))).mailers()
    for name in ('cyrusv2', 'cyrusv2q'):
      assert (made[name]['P'], made[name]['U']) == ('/opt/lmtpq', '12:34')

  def test_further_arguments_come_before_the_destination_and_fallbacks_after_it(self, cf):
    made = cf.make(mc(define('LMTPQ_MAILER_ARGS', '--trace=off --config /etc/lmtpq/b.conf') +
                     define('LMTPQ_MAILER_FALLBACK', 'inet:b:24 unix:/c'))).mailers()
    assert made['cyrusv2']['A'] == ('lmtpq relay --trace=off --config /etc/lmtpq/b.conf '
                                    'unix:/var/run/cyrus/socket/lmtp inet:b:24 unix:/c')
    assert made['cyrusv2q']['A'] == ('lmtpq relay -Q --trace=off --config /etc/lmtpq/b.conf '
                                     'unix:/var/run/cyrus/socket/lmtp inet:b:24 unix:/c')

  def test_the_config_file_is_an_option_that_later_arguments_may_overrule(self, cf):
    made = cf.make(mc(define('LMTPQ_MAILER_CONFIG', '/etc/lmtpq/b.conf') +
                     define('CYRUSV2_MAILER_ARGS', 'TCP store.example.org lmtp') +
                     define('confTO_DATAFINAL', '30m') +
                     define('LMTPQ_MAILER_ARGS', '--trace=off'))).mailers()
    options = '--mta-timeout=1800s --config=/etc/lmtpq/b.conf --trace=off'
    assert made['cyrusv2']['A'] == f'lmtpq relay {options} inet:store.example.org:lmtp'
    assert made['cyrusv2q']['A'] == f'lmtpq relay -Q {options} inet:store.example.org:lmtp'

  def test_no_config_file_is_named_by_default(self, cf):
    assert 'config' not in cf.make(mc()).line('cyrusv2')
    assert 'config' not in cf.make(mc(define('LMTPQ_MAILER_CONFIG', ''))).line('cyrusv2')

  def test_a_config_file_by_host_makes_one_process_for_each_recipient(self, cf):
    made = cf.make(mc(define('LMTPQ_MAILER_CONFIG', '/etc/lmtpq/$h.conf')))
    assert (made.written('cyrusv2', 'm'), made.written('cyrusv2', 'r')) == ('1', '1')

  @pytest.mark.parametrize('path', ['lmtpq.conf', 'etc/lmtpq.conf', '/etc/lmtpq/a b.conf',
                                    '/etc/lmtpq.conf ', ' ', '/a --log=/b', '-Q'])
  def test_a_config_file_is_one_absolute_path(self, cf, path):
    made = cf.m4(mc(define('LMTPQ_MAILER_CONFIG', path)))
    assert made.returncode == 1
    assert made.stderr == ('*** ERROR: MAILER(lmtpq): LMTPQ_MAILER_CONFIG takes the '
                           'absolute path of a file, without blanks\n')

  def test_every_knob_is_in_the_readme(self):
    table = (ROOT / 'cf' / 'README.md').read_text()
    name = r'(?<!_)\b(?:(?:LMTPQ|CYRUSV2)_MAILER_[A-Z]+|LMTPQ_(?:QUOTA_)?DAEMON)\b'
    knobs = set(re.findall(name, OURS.read_text()))
    assert {knob for knob in knobs if f'| `{knob}` |' in table} == knobs
    assert len(knobs) == 13

  def test_the_wait_for_the_exit_has_an_end(self, cf):
    assert cf.make(mc()).written('cyrusv2q', 'W') == '1m'

  @pytest.mark.parametrize('knobs', [
      define('CYRUSV2_MAILER_ARGS', 'TCP $h 24'), define('LMTPQ_MAILER_ARGS', '--trace-id $i'),
      define('LMTPQ_MAILER_FALLBACK', 'inet:$h:25')])
  @pytest.mark.parametrize('limits', [
      '', define('CYRUSV2_MAILER_MAXMSGS', '50') + define('CYRUSV2_MAILER_MAXRCPTS', '60')])
  def test_a_macro_of_sendmail_anywhere_makes_one_process_for_each_recipient(
      self, cf, knobs, limits):
    made = cf.make(mc(knobs + limits))
    for name in ('cyrusv2', 'cyrusv2q'):
      assert (made.written(name, 'm'), made.written(name, 'r')) == ('1', '1')

  @pytest.mark.parametrize('name, value', [
      ('LMTPQ_MAILER_ARGS', '--auth-security=noplaintext,noactive'),
      ('LMTPQ_MAILER_ARGS', '--log="/a"'), ('LMTPQ_MAILER_ARGS', '-t $u'),
      ('LMTPQ_MAILER_CONFIG', '/a,b'), ('LMTPQ_MAILER_CONFIG', '/$u/a'),
      ('LMTPQ_MAILER_PATH', '/a,b'), ('LMTPQ_MAILER_USER', 'cyrus,mail'),
      ('LMTPQ_MAILER_FALLBACK', 'inet:a,inet:b')])
  def test_a_value_that_would_break_the_m_line_is_refused(self, cf, name, value):
    made = cf.m4(mc(define(name, value)))
    assert made.returncode == 1
    assert re.search(rf'^\*\*\* ERROR: MAILER\(lmtpq\): {name} .*\n$', made.stderr)


class TestErrors:
  def test_a_second_definition_of_cyrusv2_is_refused(self, cf):
    made = cf.m4(mc('', STOCK + INCLUDE))
    assert made.returncode == 1
    assert 'ERROR: MAILER(lmtpq): MAILER(cyrusv2) already defines' in made.stderr
    made = cf.m4(mc('', INCLUDE + STOCK))
    assert 'ERROR: MAILER(cyrusv2) already included' in made.stderr

  def test_sendmail_refuses_to_start_on_a_cf_made_in_spite_of_an_error(self, cf):
    made = cf.make(mc())
    made.path.write_text(cf.m4(mc(define('CYRUSV2_MAILER_ARGS', 'invalid'))).stdout)
    said = made.run('-bv', 'postmaster')
    assert 'unknown configuration line' in said
    assert 'deliverable' not in said

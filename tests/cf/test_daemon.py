"""LMTPQ_DAEMON: the mailers dial lmtpq serve, and what only a program has is refused or unused."""

import re

import pytest

from fixtures.paths import ROOT

from .configuration import HOST, INCLUDE, STOCK, define, mc
from .examples import example

DAEMON = define('LMTPQ_DAEMON', '/run/lmtpq/lmtp')
UNITS = ROOT / 'dist' / 'systemd'

GOLDEN = {
    'cyrusv2': 'P=[IPC], F=lsDFMnqXzA@/:|m, S=EnvFromSMTP/HdrFromL, R=EnvToL/HdrToL, E=\\r\\n, '
               'T=DNS/RFC822/SMTP, A=FILE /run/lmtpq/lmtp',
    'cyrusv2q': 'P=[IPC], F=lsDFMnqXzA@/:|mQ, S=EnvFromSMTP/HdrFromL, R=EnvToL/HdrToL, E=\\r\\n, '
                'T=DNS/RFC822/SMTP, A=FILE /run/lmtpq/lmtpq',
}


class TestDaemon:
  def assert_refused(self, cf, knobs: str, words: str):
    made = cf.m4(mc(knobs))
    assert made.returncode == 1, knobs
    assert re.search(r'^(\*\*\* ERROR: MAILER\(lmtpq\): .*\n)+$', made.stderr), knobs
    assert f'MAILER(lmtpq): {words}' in made.stderr, knobs
    assert 'Mcyrusv2' not in made.stdout, knobs

  def test_is_one_line_of_the_mc_and_these_are_the_mailers(self, cf):
    made = cf.make(mc(DAEMON))
    for name, line in GOLDEN.items():
      assert made.line(name) == line

  def test_is_as_the_stock_mailer_but_for_the_socket(self, cf):
    knobs = ''.join(define(f'CYRUSV2_MAILER_{name}', value) for name, value in {
        'MAXMSGS': '3', 'MAXRCPTS': '4', 'CHARSET': 'utf-8', 'FLAGS': 'A@/:|m5w'}.items())
    ours = cf.make(mc(DAEMON + knobs))
    stock = cf.make(mc(knobs + define('CYRUSV2_MAILER_ARGS', 'FILE /run/lmtpq/lmtp'), STOCK))
    assert ours.line('cyrusv2') == stock.line('cyrusv2')
    assert ours.mailer('cyrusv2') == stock.mailer('cyrusv2')

  def test_speaks_lmtp_with_dot_stuffing_though_the_flags_were_replaced(self, cf):
    made = cf.make(mc(DAEMON + "MODIFY_MAILER_FLAGS(`CYRUSV2', `lsDF')\n"))
    assert made.written('cyrusv2', 'F') == 'lsDFXz'

  def test_that_ignores_quotas_may_have_a_socket_of_any_name(self, cf):
    made = cf.make(mc(DAEMON + define('LMTPQ_QUOTA_DAEMON', '/run/lmtpq/past-quota')))
    assert made.line('cyrusv2').endswith('A=FILE /run/lmtpq/lmtp')
    assert made.line('cyrusv2q').endswith('A=FILE /run/lmtpq/past-quota')

  def test_that_ignores_quotas_is_dialled_by_a_mailer_with_the_letter_q(self, cf):
    made = cf.make(mc(DAEMON + "MODIFY_MAILER_FLAGS(`CYRUSV2', `+Q')\n"))
    for name in ('cyrusv2', 'cyrusv2q'):
      assert made.line(name).endswith('A=FILE /run/lmtpq/lmtpq')

  def test_leaves_unused_how_a_program_is_run_and_where_its_store_is(self, cf):
    made = cf.make(mc(DAEMON + define('LMTPQ_MAILER_PATH', '/opt/lmtpq') +
                     define('LMTPQ_MAILER_USER', 'nobody') +
                     define('CYRUSV2_MAILER_ARGS', 'TCP store.example.org 24')))
    for name, line in GOLDEN.items():
      assert made.line(name) == line

  @pytest.mark.parametrize('name, value', [
      ('LMTPQ_MAILER_ARGS', '--trace=off'), ('LMTPQ_MAILER_CONFIG', '/etc/a'),
      ('LMTPQ_MAILER_FALLBACK', 'inet:b:24')])
  def test_takes_no_options_or_stores_that_would_be_lost(self, cf, name, value):
    self.assert_refused(cf, DAEMON + define(name, value), f'with LMTPQ_DAEMON there is no {name}')

  def test_takes_no_macro_in_the_place_of_the_store(self, cf):
    self.assert_refused(cf, DAEMON + define('CYRUSV2_MAILER_ARGS', 'TCP $h 24'),
                        'with LMTPQ_DAEMON there is no macro in CYRUSV2_MAILER_ARGS')

  @pytest.mark.parametrize('path', ['lmtp', 'run/lmtpq/lmtp', '/run/a b', '/run/$h', '/run/a,b',
                                    'FILE /run/a', ' ', 'TCP host 24', '/run/"a"'])
  def test_is_the_path_of_a_socket(self, cf, path):
    self.assert_refused(cf, define('LMTPQ_DAEMON', path), 'LMTPQ_DAEMON takes the absolute path')
    self.assert_refused(cf, DAEMON + define('LMTPQ_QUOTA_DAEMON', path),
                        'LMTPQ_QUOTA_DAEMON takes the absolute path')

  def test_is_no_longer_than_the_path_of_a_socket_can_be(self, cf):
    self.assert_refused(cf, define('LMTPQ_DAEMON', '/' + 'a' * 107), 'LMTPQ_DAEMON is longer than')

  def test_has_two_sockets(self, cf):
    self.assert_refused(cf, DAEMON + define('LMTPQ_QUOTA_DAEMON', '/run/lmtpq/lmtp'),
                        'LMTPQ_DAEMON and LMTPQ_QUOTA_DAEMON are the same')
    self.assert_refused(cf, define('LMTPQ_QUOTA_DAEMON', '/run/lmtpq/lmtp'),
                        'LMTPQ_QUOTA_DAEMON is set, and LMTPQ_DAEMON is not')

  def test_of_no_name_is_the_program(self, cf):
    made = cf.make(mc(define('LMTPQ_DAEMON', '')))
    assert made.line('cyrusv2') == cf.make(mc()).line('cyrusv2')

  @pytest.mark.parametrize('time, seconds', [('20m', 1200), ('59', 3540), ('5m', 300)])
  def test_cannot_be_told_a_shorter_timeout_so_m4_tells_the_admin(self, cf, time, seconds):
    made = cf.m4(mc(DAEMON + define('confTO_DATAFINAL', time)))
    assert made.returncode == 0
    assert made.stderr == (f'*** WARNING: MAILER(lmtpq): for confTO_DATAFINAL "{time}" '
                           f'the daemon needs mta-timeout = {seconds}s\n')
    assert 'A=FILE /run/lmtpq/lmtpq' in made.stdout

  @pytest.mark.parametrize('time', ['1h', '60', '2d'])
  def test_needs_nothing_for_a_timeout_that_is_long_enough(self, cf, time):
    assert cf.m4(mc(DAEMON + define('confTO_DATAFINAL', time))).stderr == ''

  def test_refuses_a_timeout_that_is_none(self, cf):
    self.assert_refused(cf, DAEMON + define('confTO_DATAFINAL', 'now'), 'confTO_DATAFINAL is "now"')

  def test_by_an_m4_that_is_not_gnu(self, cf):
    made = cf.make(mc(DAEMON), '-G', '-D_NO_MAKEINFO_', '-D_CF_DIR_=/usr/share/sendmail/cf/')
    for name, line in GOLDEN.items():
      assert made.line(name) == line

  def test_shares_no_mailer_with_a_second_definition(self, cf):
    assert 'already defines' in cf.m4(mc(DAEMON, STOCK + INCLUDE)).stderr


class TestDaemonExample:
  def test_dials_the_listeners_of_its_configuration_file_and_of_the_unit(self, cf):
    made = example(cf, 'daemon')
    assert made.route(f'user@{HOST}') == '$# cyrusv2 $: user'
    dialled = [made.line(name).rpartition('A=FILE ')[2] for name in ('cyrusv2', 'cyrusv2q')]
    conf = (ROOT / 'cf' / 'examples' / 'daemon.conf').read_text()
    assert re.findall(r'^address = unix:(.*)$', conf, re.MULTILINE) == dialled
    assert (re.findall(r'^ListenStream=(.*)$', (UNITS / 'lmtpq.socket').read_text(), re.MULTILINE)
            == dialled)
    assert re.search(rf'address = unix:{dialled[1]}\nignore-quota = always\n', conf)
    assert conf.count('ignore-quota') == 1

  def test_turns_to_the_program_without_its_one_line(self, cf):
    text = (ROOT / 'cf' / 'examples' / 'daemon.mc').read_text()
    lines = [line for line in text.splitlines(True) if not line.startswith("define(`LMTPQ_DAEMON'")]
    assert len(text.splitlines()) - len(lines) == 1
    made = cf.make(''.join(lines), tree=cf.installed)
    assert made.mailer('cyrusv2q')['A'] == 'lmtpq relay -Q unix:/var/run/cyrus/socket/lmtp'

"""LMTPQ_DAEMON: the mailers dial lmtpq serve, and what only a program has is refused or unused."""

import re
import unittest

from configuration import HOST, INCLUDE, OURS, ROOT, STOCK, Configuration, define, mc, run_m4
from test_examples import example

DAEMON = define('LMTPQ_DAEMON', '/run/lmtpq/lmtp')
UNITS = ROOT / 'dist' / 'systemd'

GOLDEN = {
    'cyrusv2': 'P=[IPC], F=lsDFMnqXzA@/:|m, S=EnvFromSMTP/HdrFromL, R=EnvToL/HdrToL, E=\\r\\n, '
               'T=DNS/RFC822/SMTP, A=FILE /run/lmtpq/lmtp',
    'cyrusv2q': 'P=[IPC], F=lsDFMnqXzA@/:|mQ, S=EnvFromSMTP/HdrFromL, R=EnvToL/HdrToL, E=\\r\\n, '
                'T=DNS/RFC822/SMTP, A=FILE /run/lmtpq/lmtpq',
}


class Daemon(unittest.TestCase):

  def assert_refused(self, knobs: str, words: str):
    made = run_m4(mc(knobs))
    self.assertEqual(made.returncode, 1, knobs)
    self.assertRegex(made.stderr, rf'^(\*\*\* ERROR: MAILER\(lmtpq\): .*\n)+$', knobs)
    self.assertIn(f'MAILER(lmtpq): {words}', made.stderr, knobs)
    self.assertNotIn('Mcyrusv2', made.stdout, knobs)

  def test_is_one_line_of_the_mc_and_these_are_the_mailers(self):
    made = Configuration(mc(DAEMON))
    for name, line in GOLDEN.items():
      self.assertEqual(made.line(name), line)

  def test_is_as_the_stock_mailer_but_for_the_socket(self):
    knobs = ''.join(define(f'CYRUSV2_MAILER_{name}', value) for name, value in {
        'MAXMSGS': '3', 'MAXRCPTS': '4', 'CHARSET': 'utf-8', 'FLAGS': 'A@/:|m5w'}.items())
    ours = Configuration(mc(DAEMON + knobs))
    stock = Configuration(mc(knobs + define('CYRUSV2_MAILER_ARGS', 'FILE /run/lmtpq/lmtp'), STOCK))
    self.assertEqual(ours.line('cyrusv2'), stock.line('cyrusv2'))
    self.assertEqual(ours.mailer('cyrusv2'), stock.mailer('cyrusv2'))

  def test_speaks_lmtp_with_dot_stuffing_though_the_flags_were_replaced(self):
    made = Configuration(mc(DAEMON + "MODIFY_MAILER_FLAGS(`CYRUSV2', `lsDF')\n"))
    self.assertEqual(made.written('cyrusv2', 'F'), 'lsDFXz')

  def test_that_ignores_quotas_may_have_a_socket_of_any_name(self):
    made = Configuration(mc(DAEMON + define('LMTPQ_QUOTA_DAEMON', '/run/lmtpq/past-quota')))
    self.assertTrue(made.line('cyrusv2').endswith('A=FILE /run/lmtpq/lmtp'))
    self.assertTrue(made.line('cyrusv2q').endswith('A=FILE /run/lmtpq/past-quota'))

  def test_that_ignores_quotas_is_dialled_by_a_mailer_with_the_letter_q(self):
    made = Configuration(mc(DAEMON + "MODIFY_MAILER_FLAGS(`CYRUSV2', `+Q')\n"))
    for name in ('cyrusv2', 'cyrusv2q'):
      self.assertTrue(made.line(name).endswith('A=FILE /run/lmtpq/lmtpq'))

  def test_leaves_unused_how_a_program_is_run_and_where_its_store_is(self):
    made = Configuration(mc(DAEMON + define('LMTPQ_MAILER_PATH', '/opt/lmtpq') +
                            define('LMTPQ_MAILER_USER', 'nobody') +
                            define('CYRUSV2_MAILER_ARGS', 'TCP store.example.org 24')))
    for name, line in GOLDEN.items():
      self.assertEqual(made.line(name), line)

  def test_takes_no_options_or_stores_that_would_be_lost(self):
    for name, value in (('LMTPQ_MAILER_ARGS', '--trace=off'), ('LMTPQ_MAILER_CONFIG', '/etc/a'),
                        ('LMTPQ_MAILER_FALLBACK', 'inet:b:24')):
      self.assert_refused(DAEMON + define(name, value), f'with LMTPQ_DAEMON there is no {name}')
    self.assert_refused(DAEMON + define('CYRUSV2_MAILER_ARGS', 'TCP $h 24'),
                        'with LMTPQ_DAEMON there is no macro in CYRUSV2_MAILER_ARGS')

  def test_is_the_path_of_a_socket(self):
    for path in ('lmtp', 'run/lmtpq/lmtp', '/run/a b', '/run/$h', '/run/a,b', 'FILE /run/a', ' ',
                 'TCP host 24', '/run/"a"'):
      self.assert_refused(define('LMTPQ_DAEMON', path), 'LMTPQ_DAEMON takes the absolute path')
      self.assert_refused(DAEMON + define('LMTPQ_QUOTA_DAEMON', path),
                          'LMTPQ_QUOTA_DAEMON takes the absolute path')
    self.assert_refused(define('LMTPQ_DAEMON', '/' + 'a' * 107), 'LMTPQ_DAEMON is longer than')

  def test_has_two_sockets(self):
    self.assert_refused(DAEMON + define('LMTPQ_QUOTA_DAEMON', '/run/lmtpq/lmtp'),
                        'LMTPQ_DAEMON and LMTPQ_QUOTA_DAEMON are the same')
    self.assert_refused(define('LMTPQ_QUOTA_DAEMON', '/run/lmtpq/lmtp'),
                        'LMTPQ_QUOTA_DAEMON is set, and LMTPQ_DAEMON is not')

  def test_of_no_name_is_the_program(self):
    made = Configuration(mc(define('LMTPQ_DAEMON', '')))
    self.assertEqual(made.line('cyrusv2'), Configuration(mc()).line('cyrusv2'))

  def test_cannot_be_told_of_a_shorter_patience_so_m4_tells_the_admin(self):
    for time, seconds in (('20m', 1200), ('59', 3540), ('5m', 300)):
      made = run_m4(mc(DAEMON + define('confTO_DATAFINAL', time)))
      self.assertEqual(made.returncode, 0, time)
      self.assertEqual(made.stderr, f'*** WARNING: MAILER(lmtpq): for confTO_DATAFINAL "{time}" '
                                    f'the daemon needs mta-timeout = {seconds}s\n')
      self.assertIn('A=FILE /run/lmtpq/lmtpq', made.stdout)
    for time in ('1h', '60', '2d'):
      self.assertEqual(run_m4(mc(DAEMON + define('confTO_DATAFINAL', time))).stderr, '')
    self.assert_refused(DAEMON + define('confTO_DATAFINAL', 'now'), 'confTO_DATAFINAL is "now"')

  def test_by_an_m4_that_is_not_gnu(self):
    made = Configuration(mc(DAEMON), '-G', '-D_NO_MAKEINFO_', '-D_CF_DIR_=/usr/share/sendmail/cf/')
    for name, line in GOLDEN.items():
      self.assertEqual(made.line(name), line)

  def test_shares_no_mailer_with_a_second_definition(self):
    self.assertIn('already defines', run_m4(mc(DAEMON, STOCK + INCLUDE)).stderr)


class DaemonExample(unittest.TestCase):

  def test_dials_the_listeners_of_its_configuration_file_and_of_the_unit(self):
    made = example('daemon')
    self.assertEqual(made.route(f'user@{HOST}'), '$# cyrusv2 $: user')
    dialled = [made.line(name).rpartition('A=FILE ')[2] for name in ('cyrusv2', 'cyrusv2q')]
    conf = (ROOT / 'cf' / 'examples' / 'daemon.conf').read_text()
    self.assertEqual(re.findall(r'^address = unix:(.*)$', conf, re.MULTILINE), dialled)
    self.assertEqual(re.findall(r'^ListenStream=(.*)$', (UNITS / 'lmtpq.socket').read_text(),
                                re.MULTILINE), dialled)
    self.assertRegex(conf, rf'address = unix:{dialled[1]}\nignore-quota = always\n')
    self.assertEqual(conf.count('ignore-quota'), 1)

  def test_turns_to_the_program_without_its_one_line(self):
    text = (ROOT / 'cf' / 'examples' / 'daemon.mc').read_text()
    lines = [line for line in text.splitlines(True) if not line.startswith("define(`LMTPQ_DAEMON'")]
    self.assertEqual(len(text.splitlines()) - len(lines), 1)
    made = Configuration(''.join(lines), f'-DLMTPQ_CF={OURS.parents[1]}')
    self.assertEqual(made.mailer('cyrusv2q')['A'],
                     'lmtpq relay -Q unix:/var/run/cyrus/socket/lmtp')

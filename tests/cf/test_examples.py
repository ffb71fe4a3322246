"""The examples make a .cf as they are, and mail goes where their comments say."""

import re
import subprocess
import unittest

from configuration import (BANNER, HOST, OURS, ROOT, SCRATCH, TREE, Configuration, linked_tree, mc)

EXAMPLES = ROOT / 'cf' / 'examples'
NAMES = {path.stem for path in EXAMPLES.glob('*.mc')}


def example(name: str) -> Configuration:
  return Configuration((EXAMPLES / f'{name}.mc').read_text(), f'-DLMTPQ_CF={ROOT}/cf')


def make_map(name: str, source: str):
  subprocess.run(['/usr/sbin/makemap', '-C', SCRATCH.path / 'makemap.cf', 'hash',
                  SCRATCH.path / name], input=source, text=True, check=True, timeout=20,
                 stderr=subprocess.DEVNULL)


class Examples(unittest.TestCase):

  def test_each_is_complete_and_warns_of_nothing(self):
    self.assertEqual(NAMES, {'cyrusv2-replacement', 'notification-host', 'both-mailers',
                             'tagged-notifications', 'remote-cyrus', 'daemon'})
    make_map('access', '')
    make_map('mailertable', '')
    for name in NAMES:
      made = example(name)
      self.assertEqual(made.ask(), BANNER, name)
      self.assertEqual(set(made.mailers()) & {'cyrusv2', 'cyrusv2q'}, {'cyrusv2', 'cyrusv2q'})

  def test_each_reads_the_installed_m4_unless_told_otherwise(self):
    for name in NAMES:
      text = (EXAMPLES / f'{name}.mc').read_text()
      self.assertEqual(re.findall(r'.*/usr/local.*', text),
                       ["ifdef(`LMTPQ_CF', `', `define(`LMTPQ_CF', "
                        "`/usr/local/share/lmtpq/cf')')dnl"], name)
      self.assertEqual(text.count("\ninclude(LMTPQ_CF`/mailer/lmtpq.m4')\n"), 1)

  def test_the_replacement_gives_local_mail_to_cyrusv2(self):
    made = example('cyrusv2-replacement')
    self.assertEqual(made.mailer()['A'], 'lmtpq relay unix:/run/cyrus/socket/lmtp')
    for address in ('user', f'user@{HOST}'):
      self.assertEqual(made.route(address), '$# cyrusv2 $: user')
    self.assertRegex(made.route('user@example.com'), r'^\$# esmtp \$@ example \. com')
    self.assertIn('Rcode = 0, addr = user\n', made.ask('/try cyrusv2 user'))

  def test_the_notification_host_ignores_the_quota_of_every_local_user(self):
    made = example('notification-host')
    self.assertEqual(made.mailer()['A'], 'lmtpq relay -Q inet:store.example.org:lmtp')
    self.assertEqual(made.route(f'user@{HOST}'), '$# cyrusv2 $: user')
    self.assertRegex(made.route('user@example.com'), r'^\$# esmtp')

  def both_mailers(self) -> Configuration:
    make_map('mailertable', (EXAMPLES / 'both-mailers.mailertable').read_text())
    make_map('access', 'Connect:192.0.2\tRELAY\n')
    return example('both-mailers')

  def test_with_both_mailers_the_mailertable_chooses_cyrusv2q(self):
    made = self.both_mailers()
    self.assertEqual(made.mailer('cyrusv2')['A'], 'lmtpq relay unix:/run/cyrus/socket/lmtp')
    self.assertEqual(made.mailer('cyrusv2q')['A'], 'lmtpq relay -Q unix:/run/cyrus/socket/lmtp')
    self.assertEqual(made.route('user@notice.example.org'),
                     '$# cyrusv2q $@ localhost $: user < @ notice . example . org >')
    self.assertEqual(made.route(f'user@{HOST}'), '$# cyrusv2 $: user')
    self.assertRegex(made.route('user@www.example.org'), r'^\$# esmtp')

  def test_with_both_mailers_the_store_gets_the_bare_user(self):
    self.assertIn('Rcode = 0, addr = user\n',
                  self.both_mailers().ask('/try cyrusv2q user@notice.example.org'))

  def test_with_both_mailers_only_relay_clients_may_send_notifications(self):
    made = self.both_mailers()
    for address, verdict in (('192.0.2.7', 'OK'), ('203.0.113.7', 'Relaying denied')):
      said = made.ask(f'.D{{client_addr}}{address}', f'.D{{client_name}}[{address}]', '.Dr esmtp',
                      'check_rcpt user@notice.example.org')
      returned = re.findall(r'^check_rcpt +returns: (.*)$', said, re.MULTILINE)[-1]
      if verdict == 'OK':
        self.assertNotIn('error', returned, said)
      else:
        self.assertIn('Relaying denied', returned.replace('"', ''), said)


class TaggedNotifications(unittest.TestCase):
  CODE = (EXAMPLES / 'tagged-notifications.mc').read_text().partition('divert(0)dnl\n')[2]

  def diff(self) -> list[str]:
    return re.search(r'```diff\n(.*?)```', (ROOT / 'cf' / 'README.md').read_text(),
                     re.DOTALL).group(1).splitlines()

  def stock(self) -> str:
    return ''.join(f'{line[1:]}\n' for line in self.diff() if line[0] in ' -')

  def test_are_what_the_diff_of_the_readme_makes_of_the_stock_mc(self):
    made = ''.join(f'{line[1:]}\n' for line in self.diff() if line[0] in ' +')
    self.assertEqual(made, self.CODE)
    changed = [line for line in self.diff() if line[0] != ' ']
    self.assertLessEqual(len(changed), 5, changed)
    self.assertTrue({line[0] for line in changed} <= {'+', '-'}, changed)

  def test_start_from_an_mc_that_is_whole_without_us(self):
    self.assertNotIn('lmtpq', self.stock().lower())
    plain = Configuration(self.stock())
    self.assertEqual(plain.mailer()['A'], 'FILE /run/cyrus/socket/lmtp')
    self.assertEqual(plain.option('InputMailFilters'), '')
    self.assertEqual(plain.route(f'user@{HOST}'), '$# cyrusv2 $: user')

  def test_pass_the_milter_and_go_to_a_mailer_that_reads_tags(self):
    made = example('tagged-notifications')
    self.assertEqual(made.option('InputMailFilters'), 'lmtpq')
    [line] = made.lines('X')
    self.assertNotIn('F=', line)
    self.assertEqual(made.mailer()['A'], 'lmtpq relay unix:/run/cyrus/socket/lmtp')
    self.assertEqual(made.route(f'user@{HOST}'), '$# cyrusv2 $: user')
    settings = (ROOT / 'milter' / 'settings.cpp').read_text()
    self.assertRegex(settings, r'"tag-mailers", "[A-Z]+", "cyrusv2 cyrusv2q"')

  def test_find_the_milter_where_its_configuration_says(self):
    [line] = example('tagged-notifications').lines('X')
    sockets = re.findall(r'^#? ?socket = (\S+)$', (EXAMPLES / 'milter.conf').read_text(),
                         re.MULTILINE)
    self.assertEqual(sockets, [re.search(r'S=([^,]*)', line).group(1)])


class RemoteCyrus(unittest.TestCase):

  def lines(self, name: str) -> list[str]:
    """The file of that name, without comments."""
    text = (EXAMPLES / name).read_text()
    return [line for line in text.splitlines() if line and line[0] != '#']

  def test_goes_over_tcp_with_a_config_file_and_without_secrets_in_the_cf(self):
    made = example('remote-cyrus')
    self.assertEqual(made.mailer()['A'], 'lmtpq relay --config=/etc/lmtpq/lmtpq.conf '
                                         'inet:imap1.example.org:24 inet:imap2.example.org:24')
    self.assertEqual(made.route(f'user@{HOST}'), '$# cyrusv2 $: user')
    for line in self.lines('passwords'):
      self.assertNotIn(line.rpartition(':')[2], made.text)

  def test_finds_a_section_and_a_password_for_each_store(self):
    stores = re.findall(r'inet:(\S+):24', example('remote-cyrus').mailer()['A'])
    sections = re.findall(r'^\[destination\.(.*)\]$', '\n'.join(self.lines('lmtpq.conf')),
                          re.MULTILINE)
    self.assertEqual(sections, stores)
    self.assertEqual([line.split()[0] for line in self.lines('passwords')],
                     [f'inet:{store}:24' for store in stores])

  def test_is_never_content_with_a_store_that_proves_nothing(self):
    levels = [line for line in self.lines('lmtpq.conf') if re.match(r'tls *=', line)]
    self.assertEqual(levels, ['tls = verify', 'tls = fingerprint'])
    self.assertNotIn('auth-plaintext = always', self.lines('lmtpq.conf'))

  def test_says_where_its_files_belong_and_with_which_modes(self):
    comment = (EXAMPLES / 'remote-cyrus.mc').read_text().partition('divert(0)')[0]
    self.assertIn('install -m 644 lmtpq.conf /etc/lmtpq/lmtpq.conf', comment)
    self.assertIn('install -m 600 passwords /etc/lmtpq/passwords', comment)
    self.assertIn('auth-password-file = /etc/lmtpq/passwords', self.lines('lmtpq.conf'))


class WaysToIncludeIt(unittest.TestCase):
  """Each way that cf/README.md names."""

  def assert_same(self, mailer: str, **place):
    made = Configuration(mc('', mailer), **place)
    expected = Configuration(mc())
    for name in ('cyrusv2', 'cyrusv2q'):
      self.assertEqual(made.line(name), expected.line(name))
      self.assertEqual(made.mailer(name), expected.mailer(name))

  def test_pushdivert_and_include(self):
    self.assert_same(f"PUSHDIVERT(7)include(`{OURS}')POPDIVERT\n")

  def test_mailer_with_a_way_out_of_the_tree(self):
    up = '../' * 8
    mailer = f"MAILER(`{up}{str(OURS)[1:-3]}', `lmtpq')\n"
    self.assert_same(mailer)
    self.assert_same(mailer, tree='..', folder=TREE / 'cf')  # Sendmail's own Makefile stands there

  def test_mailer_with_a_link_in_the_tree(self):
    tree = linked_tree('tree-mailer', 'mailer', OURS)
    self.assert_same("MAILER(`lmtpq')\n", tree=str(tree))

  def test_an_m4_that_is_not_gnu(self):
    made = Configuration(mc(), '-G', '-D_NO_MAKEINFO_', f'-D_CF_DIR_={TREE}/')
    self.assertEqual(made.line('cyrusv2'), Configuration(mc()).line('cyrusv2'))

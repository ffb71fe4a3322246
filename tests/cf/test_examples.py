"""The examples make a .cf as they are, and mail goes where their comments say."""

import re

import pytest

from fixtures.paths import ROOT

from .configuration import BANNER, HOST, OURS, TREE, Configuration, mc
from .examples import EXAMPLES, NAMES, example


class TestExamples:
  def test_there_are_these(self):
    assert set(NAMES) == {'cyrusv2-replacement', 'notification-host', 'both-mailers',
                          'tagged-notifications', 'remote-cyrus', 'daemon'}

  @pytest.mark.parametrize('name', NAMES)
  def test_each_is_complete_and_warns_of_nothing(self, cf, name):
    cf.make_map('access', '')
    cf.make_map('mailertable', '')
    made = example(cf, name)
    assert made.ask() == BANNER
    assert set(made.mailers()) & {'cyrusv2', 'cyrusv2q'} == {'cyrusv2', 'cyrusv2q'}

  @pytest.mark.parametrize('name', NAMES)
  def test_each_names_our_files_and_no_path(self, name):
    text = (EXAMPLES / f'{name}.mc').read_text()
    assert text.endswith("\nMAILER(`lmtpq')dnl\n")
    assert not re.search(r'include\(|/usr/local|\.\./\.\.', text)

  def test_the_replacement_gives_local_mail_to_cyrusv2(self, cf):
    made = example(cf, 'cyrusv2-replacement')
    assert made.mailer()['A'] == 'lmtpq relay unix:/run/cyrus/socket/lmtp'
    for address in ('user', f'user@{HOST}'):
      assert made.route(address) == '$# cyrusv2 $: user'
    assert re.search(r'^\$# esmtp \$@ example \. com', made.route('user@example.com'))
    assert 'Rcode = 0, addr = user\n' in made.ask('/try cyrusv2 user')

  def test_the_notification_host_ignores_the_quota_of_every_local_user(self, cf):
    made = example(cf, 'notification-host')
    assert made.mailer()['A'] == 'lmtpq relay -Q inet:store.example.org:lmtp'
    assert made.route(f'user@{HOST}') == '$# cyrusv2 $: user'
    assert re.search(r'^\$# esmtp', made.route('user@example.com'))

  def both_mailers(self, cf) -> Configuration:
    cf.make_map('mailertable', (EXAMPLES / 'both-mailers.mailertable').read_text())
    cf.make_map('access', 'Connect:192.0.2\tRELAY\n')
    return example(cf, 'both-mailers')

  def test_with_both_mailers_the_mailertable_chooses_cyrusv2q(self, cf):
    made = self.both_mailers(cf)
    assert made.mailer('cyrusv2')['A'] == 'lmtpq relay unix:/run/cyrus/socket/lmtp'
    assert made.mailer('cyrusv2q')['A'] == 'lmtpq relay -Q unix:/run/cyrus/socket/lmtp'
    assert (made.route('user@notice.example.org')
            == '$# cyrusv2q $@ localhost $: user < @ notice . example . org >')
    assert made.route(f'user@{HOST}') == '$# cyrusv2 $: user'
    assert re.search(r'^\$# esmtp', made.route('user@www.example.org'))

  def test_with_both_mailers_the_store_gets_the_bare_user(self, cf):
    assert ('Rcode = 0, addr = user\n'
            in self.both_mailers(cf).ask('/try cyrusv2q user@notice.example.org'))

  def test_with_both_mailers_only_relay_clients_may_send_notifications(self, cf):
    made = self.both_mailers(cf)
    for address, verdict in (('192.0.2.7', 'OK'), ('203.0.113.7', 'Relaying denied')):
      said = made.ask(f'.D{{client_addr}}{address}', f'.D{{client_name}}[{address}]', '.Dr esmtp',
                      'check_rcpt user@notice.example.org')
      returned = re.findall(r'^check_rcpt +returns: (.*)$', said, re.MULTILINE)[-1]
      if verdict == 'OK':
        assert 'error' not in returned, said
      else:
        assert 'Relaying denied' in returned.replace('"', ''), said


class TestTaggedNotifications:
  CODE = (EXAMPLES / 'tagged-notifications.mc').read_text().partition('divert(0)dnl\n')[2]

  def diff(self) -> list[str]:
    return re.search(r'```diff\n(.*?)```', (ROOT / 'cf' / 'README.md').read_text(),
                     re.DOTALL).group(1).splitlines()

  def stock(self) -> str:
    return ''.join(f'{line[1:]}\n' for line in self.diff() if line[0] in ' -')

  def test_are_what_the_diff_of_the_readme_makes_of_the_stock_mc(self):
    made = ''.join(f'{line[1:]}\n' for line in self.diff() if line[0] in ' +')
    assert made == self.CODE
    changed = [line for line in self.diff() if line[0] != ' ']
    assert [line[0] for line in changed] == ['+', '-', '+'], changed

  def test_start_from_an_mc_that_is_whole_without_us(self, cf):
    assert 'lmtpq' not in self.stock().lower()
    plain = cf.make(self.stock())
    assert plain.mailer()['A'] == 'FILE /run/cyrus/socket/lmtp'
    assert plain.option('InputMailFilters') == ''
    assert plain.route(f'user@{HOST}') == '$# cyrusv2 $: user'

  def test_pass_the_milter_and_go_to_a_mailer_that_reads_tags(self, cf):
    made = example(cf, 'tagged-notifications')
    assert made.option('InputMailFilters') == 'lmtpq'
    [line] = made.lines('X')
    assert 'F=' not in line
    assert made.mailer()['A'] == 'lmtpq relay unix:/run/cyrus/socket/lmtp'
    assert made.route(f'user@{HOST}') == '$# cyrusv2 $: user'
    defaults = (ROOT / 'common' / 'tag' / 'milter_defaults.h').read_text()
    assert 'kTagMailers = "cyrusv2 cyrusv2q"' in defaults

  def test_find_the_milter_where_its_configuration_says(self, cf):
    [line] = example(cf, 'tagged-notifications').lines('X')
    sockets = re.findall(r'^#? ?socket = (\S+)$', (EXAMPLES / 'milter.conf').read_text(),
                         re.MULTILINE)
    assert sockets == [re.search(r'S=([^,]*)', line).group(1)]


class TestRemoteCyrus:
  def lines(self, name: str) -> list[str]:
    """The file of that name, without comments."""
    text = (EXAMPLES / name).read_text()
    return [line for line in text.splitlines() if line and line[0] != '#']

  def test_goes_over_tcp_with_a_config_file_and_without_secrets_in_the_cf(self, cf):
    made = example(cf, 'remote-cyrus')
    assert made.mailer()['A'] == ('lmtpq relay --config=/etc/lmtpq/lmtpq.conf '
                                  'inet:imap1.example.org:24 inet:imap2.example.org:24')
    assert made.route(f'user@{HOST}') == '$# cyrusv2 $: user'
    for line in self.lines('passwords'):
      assert line.rpartition(':')[2] not in made.text

  def test_finds_a_section_and_a_password_for_each_store(self, cf):
    stores = re.findall(r'inet:(\S+):24', example(cf, 'remote-cyrus').mailer()['A'])
    sections = re.findall(r'^\[destination\.(.*)\]$', '\n'.join(self.lines('lmtpq.conf')),
                          re.MULTILINE)
    assert sections == stores
    assert ([line.split()[0] for line in self.lines('passwords')]
            == [f'inet:{store}:24' for store in stores])

  def test_is_never_content_with_a_store_that_proves_nothing(self):
    levels = [line for line in self.lines('lmtpq.conf') if re.match(r'tls *=', line)]
    assert levels == ['tls = verify', 'tls = fingerprint']
    assert 'auth-plaintext = always' not in self.lines('lmtpq.conf')

  def test_says_where_its_files_belong_and_with_which_modes(self):
    comment = (EXAMPLES / 'remote-cyrus.mc').read_text().partition('divert(0)')[0]
    assert 'install -m 644 lmtpq.conf /etc/lmtpq/lmtpq.conf' in comment
    assert 'install -m 600 passwords /etc/lmtpq/passwords' in comment
    assert 'auth-password-file = /etc/lmtpq/passwords' in self.lines('lmtpq.conf')


class TestWaysToIncludeIt:
  """Each way that cf/README.md names."""

  def assert_same(self, cf, mailer: str, **place):
    made = cf.make(mc('', mailer), **place)
    expected = cf.make(mc())
    for name in ('cyrusv2', 'cyrusv2q'):
      assert made.line(name) == expected.line(name)
      assert made.mailer(name) == expected.mailer(name)

  def test_pushdivert_and_include(self, cf):
    self.assert_same(cf, f"PUSHDIVERT(7)include(`{OURS}')POPDIVERT\n")

  def test_mailer_with_a_way_out_of_the_tree(self, cf):
    up = '../' * 8
    mailer = f"MAILER(`{up}{str(OURS)[1:-3]}', `lmtpq')\n"
    self.assert_same(cf, mailer)
    # As Sendmail's own Makefile does, which is there.
    self.assert_same(cf, mailer, tree='..', folder=TREE / 'cf')

  def test_mailer_with_a_link_in_the_tree(self, cf):
    tree = cf.linked_tree('tree-mailer', OURS)
    self.assert_same(cf, "MAILER(`lmtpq')\n", tree=str(tree))

  def test_an_m4_that_is_not_gnu(self, cf):
    made = cf.make(mc(), '-G', '-D_NO_MAKEINFO_', f'-D_CF_DIR_={TREE}/')
    assert made.line('cyrusv2') == cf.make(mc()).line('cyrusv2')

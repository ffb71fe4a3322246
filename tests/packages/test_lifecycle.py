"""Installed, upgraded, removed, installed again and purged in a clean system, with mail in the
queue at each step: what becomes of the mail, the files and the user, and whether Sendmail starts.

Needs root, debootstrap, and a mirror for the first run. Steps of a class build on each other.
"""

import re

import pytest

STOCK = "MAILER(`cyrusv2')dnl"
LMTPQ = "MAILER(`lmtpq')dnl"
MILTER = "FEATURE(`lmtpq_milter')dnl\n"
RULE = '[rule.notices]\nclient = 127.0.0.1\nfrom = notice@localhost\nquota = ignore\n'
ALL = ('lmtpq', 'lmtpq-serve', 'lmtpq-milter')
KEYS = '/etc/lmtpq/tag.keys'
# What is dpkg's, apt's and the tests' own.
OTHERS = re.compile('/(proc|sys|root)/|/var/(cache|log|lib/(apt|dpkg))/')

pytestmark = pytest.mark.limit(1800)


def keep_waiting(system, recipient: str, subject: str):
  """A message that waits in the queue, since Cyrus is down."""
  system.stop_cyrus()
  system.hand_over(recipient, subject)
  assert system.waits() == 1, system.queue()


def deliver(system, mailbox: str, subject: str):
  """What waits arrives, now that Cyrus is up."""
  said = system.run_queue()
  assert system.waits() == 0, said + system.queue()
  assert subject in system.subjects(mailbox), said
  assert not system.bounced()


def starts(system):
  system.start_sendmail()
  system.wait_for(lambda: system.try_run('sh', '-c', 'sendmail -Am -bp | head -1').returncode == 0)
  system.submit('root@localhost', 'alice@localhost', 'started')
  system.stop_sendmail()
  assert not system.bounced()


def installed(system, package: str) -> str:
  return system.try_run('dpkg-query', '-W', '-f', '${db:Status-Abbrev}', package).stdout.strip()


def accounts(system) -> set[str]:
  return set(system.run('cut', '-d:', '-f1', '/etc/passwd', '/etc/group').split())


class TestLife:
  def test_an_installation_changes_nothing_for_mail(self, system, old):
    system.prepare_cyrus()
    system.configure_sendmail(mailer=STOCK)
    keep_waiting(system, 'alice@localhost', 'before')
    type(self).accounts = accounts(system)
    system.install(old)
    assert system.waits() == 1
    system.start_cyrus()
    deliver(system, 'alice', 'before')
    starts(system)

  def test_what_is_installed_has_its_owner_and_mode(self, system):
    expected = {'/etc/lmtpq': 'root:lmtpq 751', '/etc/lmtpq/lmtpq.conf': 'root:root 644',
                '/etc/lmtpq/milter.conf': 'root:root 644', KEYS: 'root:lmtpq 640',
                '/var/lib/lmtpq': 'lmtpq:lmtpq 700', '/run/lmtpq': 'lmtpq:lmtpq 755',
                '/usr/libexec/lmtpq/lmtpq': 'root:root 755'}
    assert {name: system.facts(name) for name in expected} == expected
    assert sorted(system.run('id', '-Gn', 'lmtpq').split()) == ['lmtpq', 'mail']
    assert system.run('getent', 'passwd', 'lmtpq').endswith(':/nonexistent:/usr/sbin/nologin\n')

  def test_no_service_is_enabled(self, system):
    for unit in 'lmtpq.service', 'lmtpq.socket', 'lmtpq-milter.service':
      assert system.try_run('systemctl', 'is-enabled', unit).stdout.strip() == 'disabled'

  def test_the_programs_find_their_files_correct(self, system):
    checked = system.run('lmtpq', 'check', '--user', 'lmtpq')
    assert 'milter.conf: user lmtpq, 0 rules, 2 keys, ok' in checked
    assert 'lmtpq.conf: user lmtpq, 0 listeners, 0 stores, ok' in checked

  def test_the_key_file_is_for_all_three(self, system):
    assert system.run('lmtpq', 'keygen', '--install') == (
        f'{KEYS}: exists, not changed, 2 keys, root and the user lmtpq can read it, ok\n')

  @pytest.mark.parametrize('user', ['lmtpq', 'cyrus', 'nobody'])
  def test_a_user_can_probe_and_deliver(self, system, user):
    """The key is not for all of them; lmtpq.conf is."""
    ready = 'chmod 755 /run/cyrus/socket; chmod 666 /run/cyrus/socket/lmtp;'
    system.shell(f'{ready} setpriv --reuid {user} --regid nogroup --clear-groups '
                 'lmtpq probe unix:/run/cyrus/socket/lmtp')
    system.shell(f'setpriv --reuid {user} --regid nogroup --clear-groups '
                 "lmtpq deliver -d unix:/run/cyrus/socket/lmtp -f '' alice",
                 input=f'Subject: by {user}\n\nhi\n')
    assert f'by {user}' in system.subjects('alice')

  def test_m4_finds_mailer_and_feature_by_name(self, system):
    said = system.configure_sendmail(above=MILTER, mailer=LMTPQ)
    assert 'ERROR' not in said and 'm4:' not in said
    text = system.path('/etc/mail/sendmail.cf').read_text()
    assert '\nMcyrusv2,\tP=/usr/libexec/lmtpq/lmtpq,' in text and '\nXlmtpq,' in text

  def test_mail_is_delivered_with_untouched_files(self, system):
    starts(system)
    system.wait_for(lambda: system.subjects('alice').count('started') == 2)
    system.hand_over('alice@localhost', 'by relay')
    assert 'by relay' in system.subjects('alice')
    assert [line for line in system.log('lmtpq') if 'to=<alice>' in line]

  def test_a_tagged_notification_is_filed_in_a_full_mailbox(self, system):
    """One key: the milter reads it as lmtpq, relay by Sendmail's rights."""
    with system.path('/etc/lmtpq/milter.conf').open('a') as rules:
      rules.write(RULE)
    system.start_milter()
    system.start_sendmail()
    system.submit('other@localhost', 'bob@localhost', 'honoured')
    system.submit('notice@localhost', 'bob@localhost', 'notification')
    system.wait_for(lambda: 'notification' in system.subjects('bob'))
    assert 'X-LMTPQ-Tag' not in system.last_headers
    system.wait_for(lambda: system.waits() == 1)
    assert 'honoured' not in system.subjects('bob')
    system.stop_sendmail()
    system.shell('rm -f /var/spool/mqueue/*')

  def test_an_upgrade_keeps_changed_files_the_key_and_the_queue(self, system, new):
    conf = system.path('/etc/lmtpq/lmtpq.conf')
    conf.write_text(conf.read_text() + 'connect-timeout = 29s\n')
    system.run('chmod', '750', '/etc/lmtpq')
    changed, key = conf.read_text(), system.path(KEYS).read_bytes()
    rules = system.path('/etc/lmtpq/milter.conf').read_text()
    keep_waiting(system, 'alice@localhost', 'upgraded')
    system.install(new, '-o', 'Dpkg::Options::=--force-confold')
    assert conf.read_text() == changed
    assert system.path('/etc/lmtpq/milter.conf').read_text() == rules
    assert system.path('/etc/lmtpq/lmtpq.conf.dpkg-dist').exists()
    assert system.path(KEYS).read_bytes() == key
    assert system.facts('/etc/lmtpq') == 'root:lmtpq 750'  # the administrator's
    system.run('chmod', '751', '/etc/lmtpq')
    assert system.waits() == 1
    system.start_cyrus()
    deliver(system, 'alice', 'upgraded')

  def test_a_removal_is_refused_while_sendmail_uses_it(self, system):
    keep_waiting(system, 'alice@localhost', 'kept')
    refused = system.try_run('apt-get', 'remove', '-y', 'lmtpq')
    assert refused.returncode != 0
    assert 'not removed, because Sendmail still uses it' in refused.stdout
    assert '/etc/mail/sendmail.mc' in refused.stdout and '/etc/mail/sendmail.cf' in refused.stdout
    assert installed(system, 'lmtpq') == 'ii'
    system.start_cyrus()
    deliver(system, 'alice', 'kept')
    starts(system)

  @pytest.mark.parametrize('line, used', [
      ("MAILER(`lmtpq')dnl", True),
      ("FEATURE(`lmtpq_milter', `unix:/run/lmtpq/milter.sock', `T')", True),
      ("FEATURE(`../../../../../../../..'LMTPQ_CF`/feature/lmtpq_milter')dnl", True),
      ("include(`/usr/share/lmtpq/cf/mailer/lmtpq.m4')", True),
      ("PUSHDIVERT(7)include(`/usr/share/lmtpq/cf/mailer/lmtpq.m4')POPDIVERT", True),
      ("dnl MAILER(`lmtpq')", False),
      ("MAILER(`cyrusv2')dnl in place of MAILER(`lmtpq')", False),
      ("# MAILER(`lmtpq')", False),
      ("define(`LMTPQ_DAEMON', `/run/lmtpq/lmtp')dnl", False)])
  def test_what_of_an_mc_file_stops_a_removal(self, system, line, used):
    kept = {name: system.path(f'/etc/mail/{name}').read_text()
            for name in ('sendmail.mc', 'sendmail.cf')}
    try:
      system.path('/etc/mail/sendmail.mc').write_text(f'OSTYPE(`debian\')\n{line}\n')
      system.path('/etc/mail/sendmail.cf').write_text('# P=/usr/libexec/lmtpq/lmtpq\n')
      done = system.try_run('/var/lib/dpkg/info/lmtpq.prerm', 'remove')
      assert (done.returncode != 0) == used, done.stdout
    finally:
      for name, text in kept.items():
        system.path(f'/etc/mail/{name}').write_text(text)

  def test_after_the_removal_the_stock_mailer_delivers_what_waits(self, system):
    keep_waiting(system, 'alice@localhost', 'removed')
    system.configure_sendmail(mailer=STOCK)
    system.run('apt-get', 'remove', '-y', *ALL)
    assert [installed(system, package) for package in ALL] == ['rc', 'rc', 'rc']
    assert not system.path('/usr/libexec/lmtpq').exists()
    assert system.path(KEYS).exists() and system.path('/etc/lmtpq/lmtpq.conf').exists()
    system.start_cyrus()
    deliver(system, 'alice', 'removed')
    starts(system)

  def test_installed_again_it_has_the_same_key_and_files(self, system, new):
    key, conf = (system.path(name).read_bytes() for name in (KEYS, '/etc/lmtpq/lmtpq.conf'))
    keep_waiting(system, 'alice@localhost', 'again')
    system.install(new)
    system.configure_sendmail(above=MILTER, mailer=LMTPQ)
    assert system.path(KEYS).read_bytes() == key
    assert system.path('/etc/lmtpq/lmtpq.conf').read_bytes() == conf
    assert system.facts('/etc/lmtpq') == 'root:lmtpq 751'
    system.start_cyrus()
    deliver(system, 'alice', 'again')

  def test_a_forced_removal_makes_mail_wait(self, system, new):
    """Also what comes in without the program; nothing bounces while sendmail.cf is the same."""
    system.run('apt-get', 'remove', '-y', *ALL, env={'LMTPQ_REMOVE': 'anyway'})
    system.hand_over('alice@localhost', 'forced')
    system.run_queue()
    assert system.waits() == 1
    assert not system.bounced()
    system.install(new)
    deliver(system, 'alice', 'forced')

  def test_a_purge_leaves_nothing(self, system):
    keep_waiting(system, 'alice@localhost', 'purged')
    system.configure_sendmail(mailer=STOCK)
    system.run('systemctl', 'enable', 'lmtpq.service', 'lmtpq-milter.service')
    system.run('apt-get', 'purge', '-y', '--autoremove', *ALL)
    assert [name for name in accounts(system) - self.accounts
            if not name.startswith('systemd-')] == []
    left = system.run('find', '/', '-xdev', '(', '-name', '*lmtpq*', '-o', '-nouser', '-o',
                      '-nogroup', ')')
    assert [path for path in left.splitlines() if not OTHERS.match(path)] == []
    system.start_cyrus()
    deliver(system, 'alice', 'purged')
    starts(system)

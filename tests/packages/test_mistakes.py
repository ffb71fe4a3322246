"""Mistakes of an administrator, under systemd: mail waits and does not bounce, the error says what to do,
and what waited arrives when the mistake is corrected.

Needs what test_systemd.py needs. Each test leaves the system as it found it.
"""

import pytest

from .events import MILTER, SERVE, start_again
from .test_lifecycle import KEYS, LMTPQ
from .test_systemd import STRICT, deferred, file_in_full_mailbox, set_up
from .test_upgrade import DAEMON

KEPT = '/root/tag.keys'
CF = '/etc/mail/sendmail.cf'
UNREADABLE = f'{KEYS}: Permission denied as user lmtpq; let a group of this user read it: chgrp, chmod 640'
EX_CONFIG = '78'

pytestmark = pytest.mark.limit(3000)


@pytest.fixture(scope='class')
def system(booted, new):
  set_up(booted, new)
  booted.configure_sendmail(above=STRICT + DAEMON, mailer=LMTPQ)
  booted.start_sendmail()
  return booted


@pytest.fixture
def keys(system):
  """They are kept, and put back."""
  system.from_now_on()
  system.run('cp', '-p', KEYS, KEPT)
  yield
  system.run('mv', KEPT, KEYS)


def make_again(system):
  """docs/INSTALL.md, "What Debian does with an .mc that has an error"."""
  system.try_run('systemctl', 'stop', 'sendmail')
  system.write_mc(above=STRICT + DAEMON, mailer=LMTPQ)
  system.shell('/usr/share/sendmail/parse_mc && /usr/share/sendmail/update_mk && make -C /etc/mail')
  system.run('lmtpq', 'check', '--cf', CF)
  system.start_sendmail()


def write_mail(system, subject: str):
  """A user of this host does. The submission program keeps it while port 25 is closed."""
  system.run('sendmail', '-f', 'root@localhost', 'alice@localhost',
             input=f'Subject: {subject}\n\nhi\n')


def waits(system, subject: str) -> bool:
  kept = bool(list(system.path('/var/spool/mqueue-client').glob('qf*'))) or system.waits() > 0
  return kept and subject not in system.subjects('alice') and not system.bounced()


def arrives(system, subject: str, mailbox: str = 'alice'):
  def is_filed() -> bool:
    system.try_run('sendmail', '-Ac', '-q')
    system.run_queue()
    return subject in system.subjects(mailbox)
  system.wait_for(is_filed)
  assert system.bounced() == []


def no_tag_is_trusted(system, subject: str):
  """A notification for the full mailbox waits; alice's mail is delivered."""
  system.submit('notice@localhost', 'bob@localhost', subject)
  system.submit('root@localhost', 'alice@localhost', subject)
  system.wait_for(lambda: subject in system.subjects('alice'))
  system.wait_for(lambda: [line for line in deferred(system) if '4.2.2 Over quota' in line])
  assert system.waits() == 1 and system.bounced() == []
  assert subject not in system.subjects('bob')


class TestMistakes:
  @pytest.mark.parametrize('mailer, said, remedy', [
      ("MAILER(`lmtqp')dnl", 'cannot open `/usr/share/sendmail/cf/mailer/lmtqp.m4', 'add MAILER(lmtpq) to the .mc'),
      ("include(`/etc/mail/lmtqp.m4')dnl", "No rule to make target '/etc/mail/lmtqp.m4'", 'name the sendmail.cf')],
      ids=['name', 'include'])
  def test_a_mistyped_mailer(self, system, keys, mailer, said, remedy):
    """It is seen before a restart, and one who does not look closes port 25."""
    try:
      made = system.configure_sendmail(above=STRICT + DAEMON, mailer=mailer)
    except AssertionError as failure:
      made = str(failure)
    assert said in made
    checked = system.try_run('lmtpq', 'check', '--cf', CF)
    assert checked.returncode != 0 and remedy in checked.stdout
    write_mail(system, f'before a restart with {mailer}')
    system.wait_for(lambda: f'before a restart with {mailer}' in system.subjects('alice'))
    system.try_run('systemctl', 'restart', 'sendmail')
    write_mail(system, mailer)
    assert waits(system, mailer), system.queue()
    make_again(system)
    arrives(system, mailer)

  def test_a_mistyped_feature(self, system, keys):
    """No tag is written: the notification for a full mailbox waits, other mail goes on."""
    made = system.configure_sendmail(above=STRICT.replace('lmtpq_milter', 'lmtpq_miter') + DAEMON,
                                     mailer=LMTPQ)
    assert 'cannot open `/usr/share/sendmail/cf/feature/lmtpq_miter.m4' in made
    assert 'no milter writes tags' in system.run('lmtpq', 'check', '--cf', CF)
    system.start_sendmail()
    no_tag_is_trusted(system, 'a mistyped feature')
    make_again(system)
    system.shell('rm -f /var/spool/mqueue/*')

  @pytest.mark.parametrize('unit', [SERVE, MILTER])
  def test_a_key_file_that_the_unit_cannot_read(self, system, keys, unit):
    system.shell(f'chown root:root {KEYS}; chmod 600 {KEYS}')
    system.try_run('systemctl', 'restart', unit)
    system.wait_for(lambda: system.property(unit, 'ActiveState') == 'failed')
    assert system.property(unit, 'ExecMainStatus') == EX_CONFIG
    assert system.log(f'tag-keys: {UNREADABLE}')
    assert UNREADABLE in system.try_run('lmtpq', 'check', '--user', 'lmtpq').stdout
    write_mail(system, f'{unit} without rights')
    assert waits(system, f'{unit} without rights'), system.queue()
    system.run('cp', '-p', KEPT, KEYS)
    system.run('systemctl', 'restart', unit)
    arrives(system, f'{unit} without rights')

  @pytest.mark.parametrize('unit, effect', [
      (SERVE, 'every tag is rejected, every quota is honoured'),
      (MILTER, 'no tag is written, every quota is honoured')], ids=[SERVE, MILTER])
  def test_a_missing_key_file(self, system, keys, unit, effect):
    """The notification for a full mailbox waits; with the file it is filed, if it has a tag."""
    system.run('rm', KEYS)
    assert f'no keys: {effect}' in system.run('lmtpq', 'check', '--user', 'lmtpq')
    system.run('systemctl', 'restart', unit)
    system.wait_for(lambda: [line for line in system.log('event=no-keys')
                             if effect in line and 'lmtpq keygen --install' in line])
    no_tag_is_trusted(system, f'{unit} without keys')
    system.run('cp', '-p', KEPT, KEYS)
    system.run('systemctl', 'restart', unit)
    if unit == SERVE:
      arrives(system, f'{unit} without keys', 'bob')
    else:
      system.shell('rm -f /var/spool/mqueue/*')

  @pytest.mark.parametrize('user', ['root', 'lmtpq'])
  def test_a_second_start(self, system, user):
    start_again(system, user)
    file_in_full_mailbox(system, f'beside that of {user}')

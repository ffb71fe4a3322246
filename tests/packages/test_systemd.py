"""The packages under systemd, in a system that it has booted: Sendmail and Cyrus are system
services, and the administrator does what README.Debian says.

Needs root, debootstrap, systemd-nspawn, and a mirror for the first run. Steps of a class build on
each other.
"""

import re

import pytest

from fixtures.scratch import unix_listens

from . import test_lifecycle
from .events import (CONF, CONFOLD, MILTER, SERVE, SOCKET, events, kill, refuse_to_reload, reload,
                     restart, start_again)
from .load import Load
from .test_lifecycle import LMTPQ, RULE, STOCK
from .test_upgrade import DAEMON, Senders

FEATURE = "FEATURE(`lmtpq_milter')dnl\n"
STRICT = "FEATURE(`lmtpq_milter', `unix:/run/lmtpq/milter.sock', `T')dnl\n"  # without it mail waits
MESSAGES = 2000

pytestmark = pytest.mark.limit(3000)


@pytest.fixture(scope='class')
def system(booted):
  return booted


def uncomment_daemon(system):
  """The block at the end of lmtpq.conf."""
  conf = system.path(CONF)
  text, mark, block = conf.read_text().partition('#[destination.here]')
  conf.write_text(text + re.sub('^#(?! )', '', mark + block, flags=re.M))


def file_in_full_mailbox(system, subject: str):
  """A notification is filed, another message waits because of the quota."""
  system.from_now_on()
  system.submit('other@localhost', 'bob@localhost', f'other than {subject}')
  system.submit('notice@localhost', 'bob@localhost', subject)
  system.wait_for(lambda: subject in system.subjects('bob'))
  assert 'X-LMTPQ-Tag' not in system.last_headers
  system.wait_for(lambda: [line for line in deferred(system) if '4.2.2 Over quota' in line])
  assert system.waits() == 1
  assert f'other than {subject}' not in system.subjects('bob')
  system.shell('rm -f /var/spool/mqueue/*')


def delivers(system, subject: str):
  system.hand_over('alice@localhost', subject)
  assert subject in system.subjects('alice'), system.queue()


def deferred(system) -> list[str]:
  return system.log('stat=Deferred')


def set_up(system, debs):
  """As README.Debian says."""
  system.prepare_cyrus()
  system.configure_sendmail(mailer=STOCK)
  system.start_sendmail()
  system.install(debs)
  with system.path('/etc/lmtpq/milter.conf').open('a') as rules:
    rules.write(RULE)
  uncomment_daemon(system)
  system.run('lmtpq', 'check', '--user', 'lmtpq')
  system.run('systemctl', 'enable', '-q', '--now', MILTER, SOCKET, SERVE)
  system.configure_sendmail(above=FEATURE + DAEMON, mailer=LMTPQ)
  system.start_sendmail()


class TestServices:
  def test_the_first_notification_is_filed_in_a_full_mailbox(self, system, old):
    set_up(system, old)
    file_in_full_mailbox(system, 'first')
    assert system.is_active(SERVE) and system.is_active(SOCKET) and system.is_active(MILTER)

  @pytest.mark.parametrize('unit', [SERVE, MILTER])
  def test_a_service_has_no_rights_of_root(self, system, unit):
    status = system.run('cat', f'/proc/{system.pid(unit)}/status')
    facts = dict(line.split(':', 1) for line in status.splitlines())
    user = int(system.run('id', '-u', 'lmtpq'))
    assert facts['Uid'].split() == [str(user)] * 4
    assert [int(facts[name], 16) for name in ('CapEff', 'CapPrm', 'CapBnd', 'CapAmb')] == [0] * 4
    assert (facts['NoNewPrivs'].strip(), facts['Seccomp'].strip()) == ('1', '2')

  def test_after_a_boot_everything_runs_before_the_first_mail(self, system):
    system.power_off()
    system.boot()
    assert [unit for unit in (SERVE, SOCKET, MILTER, 'cyrus-imapd.service', 'sendmail.service')
            if not system.is_active(unit)] == []
    assert 'lmtpq' not in system.run('systemctl', '--failed')
    system.wait_for_cyrus()
    file_in_full_mailbox(system, 'after the boot')
    started = [int(system.property(unit, 'ActiveEnterTimestampMonotonic'))
               for unit in (SOCKET, SERVE, 'sendmail.service')]
    assert started == sorted(started)

  def test_a_client_at_the_socket_starts_the_daemon(self, system):
    system.run('systemctl', 'stop', SERVE)
    assert not system.is_active(SERVE) and system.is_active(SOCKET)
    delivers(system, 'starts it')
    system.wait_for(lambda: system.is_active(SERVE))

  @pytest.mark.parametrize('event', [reload, restart, refuse_to_reload])
  def test_nobody_is_refused_during_a(self, system, event):
    begin = system.from_now_on()
    with Senders(system) as senders:
      system.wait_for(lambda: senders.sent > 1)
      event(system)
      now = senders.sent
      system.wait_for(lambda: senders.sent > now + 1)
    system.begin = begin
    assert deferred(system) == []
    assert system.waits() == 0

  @pytest.mark.parametrize('unit', [SERVE, MILTER])
  def test_systemd_starts_again_what_was_killed(self, system, unit):
    kill(system, unit)
    delivers(system, f'after the kill of {unit}')
    file_in_full_mailbox(system, f'a tag after the kill of {unit}')

  @pytest.mark.parametrize('user', ['root', 'lmtpq'])
  def test_a_second_start_changes_nothing(self, system, user):
    start_again(system, user)
    file_in_full_mailbox(system, f'beside that of {user}')

  def test_an_upgrade_refuses_nobody(self, system, new):
    pids = system.pid(SERVE), system.pid(MILTER)
    begin = system.from_now_on()
    with Senders(system) as senders:
      system.wait_for(lambda: senders.sent > 1)
      system.install(new, *CONFOLD)
      system.wait_for(lambda: system.log('event=upgraded'))
      now = senders.sent
      system.wait_for(lambda: senders.sent > now + 1)
    system.begin = begin
    assert deferred(system) == []
    system.wait_for(lambda: system.pid(SERVE) != pids[0] and system.pid(MILTER) != pids[1])
    assert f'"pid":{system.pid(SERVE)},' in system.run('lmtpq', 'serve', '--status', '--json')
    assert system.is_active(SERVE) and system.is_active(MILTER)
    file_in_full_mailbox(system, 'by the new ones')

  def test_a_stop_after_an_upgrade_lets_the_daemon_end(self, system):
    """systemd does not wait for a main process that is not its own child."""
    daemon = system.pid(SERVE)
    begin = system.from_now_on()
    system.run('systemctl', 'stop', SOCKET, SERVE)
    assert system.log(f'lmtpq[{daemon}]: event=stopped clients=0')
    assert system.property(SERVE, 'Result') == 'success'
    system.run('systemctl', 'start', SOCKET, SERVE)
    system.begin = begin
    assert system.log('SIGKILL') == []

  def test_no_message_is_lost_whatever_happens_to_the_services(self, system, new, old):
    system.configure_sendmail(above=STRICT + DAEMON, mailer=LMTPQ)
    system.start_sendmail()
    begin = system.from_now_on()
    happens = events(new, old)
    load = Load(system)
    try:
      for number, event in enumerate(happens):
        print(load.accepted(), event, flush=True)
        load.wait_for(MESSAGES * (number + 1) // (len(happens) + 1))
        event(system)
      load.wait_for(MESSAGES)
    finally:
      load.stop()
    system.begin = begin
    load.judge()
    assert system.bounced() == []

  def test_without_the_daemon_mail_waits_until_it_is_back(self, system, new):
    """The units stay enabled; the administrator starts them."""
    system.run('apt-get', 'remove', '-y', 'lmtpq-serve')
    assert not system.is_active(SERVE) and not system.is_active(SOCKET)
    system.hand_over('alice@localhost', 'without the daemon')
    assert system.waits() == 1 and system.bounced() == []
    system.install(new, *CONFOLD)
    assert not system.is_active(SERVE)
    system.run('systemctl', 'start', SOCKET, SERVE)
    assert unix_listens(system.path('/run/lmtpq/lmtp'))
    system.run_queue()
    assert 'without the daemon' in system.subjects('alice'), system.queue()
    assert system.run('systemctl', 'is-enabled', SOCKET, SERVE, MILTER).split() == ['enabled'] * 3


class TestLife(test_lifecycle.TestLife):
  """The same life, with scripts of packages that find systemd, and services that it has started."""

"""An upgrade while the services run: what the packages' scripts ask systemd for, and that the
daemon refuses nobody during this time. systemd itself does not run here: a script takes its place,
notes what it is asked, and sends a reload's signal.

Needs what test_lifecycle.py needs. Steps of a class build on each other.
"""

import subprocess
import threading

import pytest

from fixtures.scratch import unix_listens

from .test_lifecycle import LMTPQ, MILTER

DAEMON = "define(`LMTPQ_DAEMON', `/run/lmtpq/lmtp')dnl\n"
CONF = '''[listener.lmtp]
address = unix:/run/lmtpq/lmtp
destination = unix:/run/cyrus/socket/lmtp
[listener.lmtpq]
address = unix:/run/lmtpq/lmtpq
destination = unix:/run/cyrus/socket/lmtp
ignore-quota = always
'''
PID = "lmtpq serve --status --json | sed 's/.*\"pid\":\\([0-9]*\\).*/\\1/'"
ASKED = '/root/asked'
SYSTEMCTL = f"""#!/bin/sh
echo "$*" >>{ASKED}
case "$*" in
*reload\\ lmtpq.service) kill -HUP $({PID}) ;;
esac
"""

pytestmark = pytest.mark.limit(1800)


def asked(system) -> list[str]:
  """Since the last call; not the questions, nor daemon-reload."""
  text = system.path(ASKED).read_text()
  system.path(ASKED).write_text('')
  return [line for line in text.splitlines() if 'daemon-reload' not in line and 'is-' not in line]


def pid(system) -> str:
  return system.shell(PID).strip()


class Senders:
  """Mail through the daemon, one message after the other, until the end of the block."""

  def __init__(self, system):
    self.system = system
    self.sent = 0
    self.done = threading.Event()
    self.thread = threading.Thread(target=self.send)

  def send(self):
    while not self.done.is_set():
      self.sent += 1
      self.system.hand_over('alice@localhost', f'message {self.sent}')

  def __enter__(self):
    self.thread.start()
    return self

  def __exit__(self, *_):
    self.done.set()
    self.thread.join()


class TestServices:
  def test_they_deliver(self, system, old):
    system.prepare_cyrus()
    system.install(old)
    system.path('/usr/sbin/policy-rc.d').unlink()
    system.path('/run/systemd/system').mkdir(parents=True)
    systemctl = system.path('/usr/bin/systemctl')
    systemctl.unlink()
    systemctl.write_text(SYSTEMCTL)
    systemctl.chmod(0o755)
    system.path(ASKED).write_text('')
    with system.path('/etc/lmtpq/lmtpq.conf').open('a') as conf:
      conf.write(CONF)
    subprocess.Popen(  # its namespaces end it, at the latest
        [*system.enter, 'setpriv', '--reuid', 'lmtpq', '--regid', 'lmtpq', '--init-groups',
         '/usr/libexec/lmtpq/lmtpq', 'serve'], stdin=subprocess.DEVNULL)
    system.configure_sendmail(above=DAEMON, mailer=LMTPQ)
    system.wait_for(lambda: system.log('event=serving'))
    system.hand_over('alice@localhost', 'by the daemon')
    assert 'by the daemon' in system.subjects('alice')

  def test_an_upgrade_refuses_nobody(self, system, new):
    before = pid(system)
    with Senders(system) as senders:
      system.wait_for(lambda: senders.sent > 1)
      said = system.install(new, '-o', 'Dpkg::Options::=--force-confold')
      system.wait_for(lambda: system.log('event=upgraded'))
      now = senders.sent
      system.wait_for(lambda: senders.sent > now + 1)
    assert pid(system) != before, said
    assert not [line for line in system.lines if 'stat=Deferred' in line]
    assert system.waits() == 0
    found = [subject for subject in system.subjects('alice') if subject.startswith('message')]
    assert sorted(found) == sorted(f'message {number + 1}' for number in range(senders.sent))

  def test_it_reloads_the_daemon_and_restarts_a_milter_that_runs(self, system):
    """Nothing is started or enabled, and nothing is stopped."""
    assert sorted(asked(system)) == ['reload lmtpq.service', 'try-restart lmtpq-milter.service']

  def test_without_the_daemon_mail_waits(self, system):
    daemon = pid(system)
    said = system.run('apt-get', 'remove', '-y', 'lmtpq-serve')
    assert 'sendmail.cf delivers to the daemon' in said
    assert asked(system) == ['stop lmtpq.socket lmtpq.service']
    system.run('kill', daemon)
    system.wait_for(lambda: not unix_listens(system.path('/run/lmtpq/lmtp')))
    system.hand_over('alice@localhost', 'without')
    assert system.waits() == 1
    assert not system.bounced()

  def test_without_the_milter_mail_passes(self, system):
    system.configure_sendmail(above=MILTER, mailer=LMTPQ)
    said = system.run('apt-get', 'remove', '-y', 'lmtpq-milter')
    assert 'sendmail.cf still has the filter' in said
    assert asked(system) == ['stop lmtpq-milter.service']
    system.path('/run/systemd/system').rmdir()  # Sendmail's script starts it itself
    system.run_queue()
    assert 'without' in system.subjects('alice')
    system.start_sendmail()
    system.submit('root@localhost', 'alice@localhost', 'without the milter')
    system.wait_for(lambda: 'without the milter' in system.subjects('alice'))
    system.stop_sendmail()

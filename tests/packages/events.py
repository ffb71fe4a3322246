"""What happens to the services while mail comes in. Each event returns when its effect is seen."""

from functools import partial

SERVE, MILTER, SOCKET = 'lmtpq.service', 'lmtpq-milter.service', 'lmtpq.socket'
CYRUS = 'cyrus-imapd.service'
CONFOLD = ('-o', 'Dpkg::Options::=--force-confold')
CONF = '/etc/lmtpq/lmtpq.conf'


def has_new_pid(system, unit: str, old: int) -> bool:
  return system.is_active(unit) and system.pid(unit) not in (0, old)


def reload(system, unit: str = SERVE):
  system.from_now_on()
  system.run('systemctl', 'reload', unit)
  system.wait_for(lambda: system.log('event=reloaded'))


def restart(system, unit: str = SERVE):
  old = system.pid(unit)
  system.run('systemctl', 'restart', unit)
  system.wait_for(lambda: has_new_pid(system, unit, old))


def kill(system, unit: str = SERVE):
  """systemd starts it again."""
  old = system.pid(unit)
  system.run('systemctl', 'kill', '-s', 'KILL', unit)
  system.wait_for(lambda: has_new_pid(system, unit, old))


def kill_cyrus(system):
  system.run('systemctl', 'kill', '-s', 'KILL', CYRUS)
  system.wait_for(lambda: not system.is_active(CYRUS))
  system.start_cyrus()


def restart_cyrus(system):
  restart(system, CYRUS)
  system.wait_for_cyrus()


def replace(system, begin):
  """The daemon by another process of the same program, or another program."""
  old = system.pid(SERVE)
  system.from_now_on()
  begin()
  system.wait_for(lambda: system.log('event=upgraded'))
  system.wait_for(lambda: has_new_pid(system, SERVE, old))


def upgrade(system, debs):
  replace(system, lambda: system.install(debs, *CONFOLD))


def take_over(system):
  replace(system, lambda: system.run('systemctl', 'kill', '-s', 'USR2', SERVE))


def open_sockets_again(system):
  """Both are stopped first: systemd opens no socket of a service that runs."""
  system.run('systemctl', 'stop', SOCKET, SERVE)
  system.run('systemctl', 'start', SOCKET, SERVE)
  system.wait_for(lambda: system.is_active(SERVE))


def refuse_to_reload(system):
  pid, text = system.pid(SERVE), system.path(CONF).read_text()
  system.from_now_on()
  system.path(CONF).write_text(text.replace('[listener.lmtp]', '[listner.lmtp]'))
  system.run('systemctl', 'reload', SERVE)
  system.wait_for(lambda: system.log('event=reload-failed'))
  system.path(CONF).write_text(text)
  assert system.pid(SERVE) == pid


def start_again(system, user: str):
  """Beside the daemon and the milter that run; both are refused, and say why."""
  pids = system.pid(SERVE), system.pid(MILTER)
  for program in (['lmtpq', 'serve', '--log', 'stderr'], ['lmtpq-milter', '--foreground']):
    done = system.try_run('setpriv', '--reuid', user, '--regid', user, '--init-groups',
                          'timeout', '60', *program)
    assert done.returncode not in (0, 124), f'{program}: {done.returncode}\n{done.stdout}'
    assert 'another program' in done.stdout, done.stdout
  assert (system.pid(SERVE), system.pid(MILTER)) == pids


def events(new, old) -> list:
  """24, each of them a function of the system, which has the packages `new`."""
  milter = [partial(action, unit=MILTER) for action in (reload, restart, kill)]
  again = [partial(start_again, user=user) for user in ('root', 'lmtpq')]
  return [reload, kill, restart, *milter, partial(upgrade, debs=old), take_over,
          restart_cyrus, kill, refuse_to_reload, *again,
          lambda system: system.start_sendmail(), partial(upgrade, debs=new), open_sockets_again,
          kill_cyrus, milter[2], restart, reload, kill, milter[1], take_over, kill]

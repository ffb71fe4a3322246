"""The units of dist/: what systemd reports about them, whether they fit the programs and `make
install`, and whether both programs work under what the units forbid.

Needs the packages systemd (it need not run) and libseccomp2; no root, no network.
"""

import grp
import os
import pwd
import re
import shutil
import signal
import smtplib
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from fixtures.paths import ROOT, is_sanitized
from fixtures.process import send_signal, wait_until
from fixtures.scratch import Scratch, free_port

UNITS = ROOT / 'dist' / 'systemd'
SERVICES = ('lmtpq.service', 'lmtpq-milter.service')
MOST_EXPOSURE = 1.5
PREFIX = '/opt/lmtpq'
LIMIT = 60

sanitizers_need_more = pytest.mark.may_skip('a sanitizer')


def run(*words, **more) -> subprocess.CompletedProcess:
  return subprocess.run([str(word) for word in words], text=True, timeout=LIMIT,
                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, **more)


def settings(unit: str) -> dict[str, list[str]]:
  found: dict[str, list[str]] = {}
  for name, value in re.findall(r'^(\w+)=(.*)$', (UNITS / unit).read_text(), re.MULTILINE):
    found.setdefault(name, []).append(value)
  return found


def seconds(text: str) -> int:
  number, unit = re.fullmatch(r'(\d+)(s|m|min|h)', text).groups()
  return int(number) * {'s': 1, 'm': 60, 'min': 60, 'h': 3600}[unit]


@dataclass
class Installed:
  """What `make install` put below root."""
  root: Path
  made: subprocess.CompletedProcess

  @property
  def lib(self) -> Path:
    return self.root / PREFIX[1:] / 'lib'

  @property
  def units(self) -> Path:
    return self.lib / 'systemd/system'


@pytest.fixture(scope='module')
def installed(build):
  scratch = Scratch('dist')
  root = scratch.path / 'root'
  # -o: what is installed is the build under test, whatever flags it was built with.
  made = run('make', '-s', '-C', ROOT, '-o', 'all', 'install', f'BUILD={build}',
             f'PREFIX={PREFIX}', f'DESTDIR={root}')
  yield Installed(root, made)
  scratch.remove()


@pytest.fixture(scope='module')
def helps(build) -> dict[str, str]:
  """Program -> its --help=all."""
  return {name: run(build / name, *words, '--help=all').stdout for name, words in
          (('lmtpq', ['serve']), ('lmtpq-milter', []))}


@pytest.fixture(scope='module')
def defaults(helps):
  """defaults(option): of an option of serve, by its --help."""
  text = ' '.join(helps['lmtpq'].split())

  def default(option: str) -> str:
    return re.search(rf'--{option} [^(]*\(default: ([^)]*)\)', text).group(1)
  return default


def test_make_install_puts_them_where_systemd_looks(installed):
  assert installed.made.returncode == 0, installed.made.stdout
  paths = [f'systemd/system/{path.name}' for path in UNITS.iterdir()]
  paths += ['sysusers.d/lmtpq.conf', 'tmpfiles.d/lmtpq.conf']
  assert not [path for path in paths if not (installed.lib / path).is_file()]


def test_make_install_puts_its_prefix_into_them(installed):
  texts = [path.read_text() for path in installed.units.iterdir()]
  assert all(PREFIX in text for text in texts if 'ExecStart' in text)
  assert not [line for text in texts for line in text.splitlines() if '/usr/local' in line]


def test_systemd_analyze_verify_accepts_them(installed):
  # systemd's own units, the command that they start, and no others.
  system = installed.root / 'usr/lib/systemd/system'
  system.mkdir(parents=True, exist_ok=True)
  for name in ('sysinit.target', 'basic.target', 'sockets.target', 'shutdown.target',
               'multi-user.target', 'network.target', 'network-online.target', 'tmp.mount',
               'nss-lookup.target', 'system.slice', '-.slice', 'slices.target'):
    if (source := Path('/usr/lib/systemd/system') / name).exists():
      shutil.copy(source, system)
  for path in installed.units.iterdir():
    shutil.copy(path, system)
  (installed.root / 'bin').mkdir(exist_ok=True)
  shutil.copy('/bin/kill', installed.root / 'bin')
  verified = run('systemd-analyze', 'verify', f'--root={installed.root}', '--man=no',
                 *(path.name for path in UNITS.iterdir()))
  assert (verified.returncode, verified.stdout) == (0, '')


def test_they_are_little_exposed():
  for name in SERVICES:
    report = run('systemd-analyze', 'security', '--offline=yes', UNITS / name).stdout
    level = float(re.search(r'exposure level for \S+: ([\d.]+)', report).group(1))
    assert level < MOST_EXPOSURE, name


def test_their_programs_are_installed_and_have_the_options_they_use(installed, helps):
  for name in SERVICES:
    [line] = re.findall(r'^ExecStart=(.*)$', (installed.units / name).read_text(), re.M)
    program, *words = line.split()
    assert (installed.root / program[1:]).is_file(), f'{program} is not installed'
    for option in [word.partition('=')[0] for word in words if word.startswith('--')]:
      assert re.search(rf'^ +(-., )?{option}\b', helps[Path(program).name], re.M), option


def test_the_daemon_has_time_to_drain_and_to_report(defaults):
  unit = settings('lmtpq.service')
  assert seconds(unit['TimeoutStopSec'][0]) >= seconds(defaults('drain-timeout')) + 10
  assert seconds(unit['WatchdogSec'][0]) >= 30


def test_the_daemon_has_descriptors_for_its_clients_and_threads_to_dial(defaults):
  unit = settings('lmtpq.service')
  assert int(unit['TasksMax'][0]) >= int(defaults('connections')) * 50
  assert int(unit['LimitNOFILE'][0]) > int(defaults('max-clients')) * 3


def test_the_daemon_has_twice_the_memory_that_clients_can_take_by_default(helps):
  assert settings('lmtpq.service')['MemoryMax'] == ['1G']
  default = 'default: half of the memory limit of the daemon\'s cgroup, or 512M without one'
  assert default in ' '.join(helps['lmtpq'].split())


def test_after_a_mistake_in_the_configuration_it_is_not_started_again(build, scratch):
  broken = scratch.path / 'broken.conf'
  broken.write_text('unknown = 1\n')
  ended = {'lmtpq.service': run(build / 'lmtpq', 'serve', f'--config={broken}'),
           'lmtpq-milter.service': run(build / 'lmtpq-milter', f'--config={broken}',
                                       '--foreground')}
  for name, child in ended.items():
    statuses = settings(name)['RestartPreventExitStatus'][0].split()
    assert str(child.returncode) in statuses, name


def test_there_is_a_user_for_them_with_separate_folders(installed):
  if os.geteuid() != 0:
    as_they_are_written()
    return
  etc = installed.root / 'etc'
  etc.mkdir(exist_ok=True)
  (etc / 'group').write_text('root:x:0:\nmail:x:8:\n')
  (etc / 'passwd').write_text('root:x:0:0::/root:/bin/sh\n')
  output = run('systemd-sysusers', f'--root={installed.root}',
               installed.lib / 'sysusers.d/lmtpq.conf').stdout
  output += run('systemd-tmpfiles', f'--root={installed.root}', '--create',
                installed.lib / 'tmpfiles.d/lmtpq.conf').stdout
  accounts = dict(re.findall(r'^(\w+):x:(\d+):', (etc / 'passwd').read_text(), re.M))
  assert 'lmtpq' in accounts, output
  assert 'mail:x:8:lmtpq' in (etc / 'group').read_text(), output
  modes = {name: (oct(facts.st_mode & 0o777), facts.st_uid) for name in
           ('run/lmtpq', 'etc/lmtpq', 'var/lib/lmtpq') if (facts := (installed.root / name).stat())}
  own = int(accounts['lmtpq'])
  assert modes == {'run/lmtpq': ('0o755', own), 'etc/lmtpq': ('0o751', 0),
                   'var/lib/lmtpq': ('0o700', own)}, output


def as_they_are_written():
  """Without root no other user can be given a folder."""
  users = (ROOT / 'dist/sysusers.d/lmtpq.conf').read_text()
  folders = (ROOT / 'dist/tmpfiles.d/lmtpq.conf').read_text()
  assert re.search(r'^u lmtpq - ', users, re.M) and 'm lmtpq mail\n' in users
  assert re.search(r'^d /run/lmtpq +0755 lmtpq lmtpq', folders, re.M)


def test_the_example_has_the_folders_and_sockets_of_the_units():
  conf = (ROOT / 'cf/examples/daemon.conf').read_text()
  state = settings('lmtpq.service')['StateDirectory'][0]
  addresses = re.findall(r'^address = unix:(.*)$', conf, re.M)
  assert addresses == settings('lmtpq.socket')['ListenStream']
  assert f'\nspool-dir = /var/lib/{state}\n' in conf


# The programs, under the filters.

def under(unit: str, *command) -> list[str]:
  account = pwd.getpwuid(os.geteuid()).pw_name if os.geteuid() else 'nobody'
  return [str(word) for word in (ROOT / 'tests/dist/under_unit', UNITS / unit, account, '--',
                                 *command)]


@pytest.fixture
def unsanitized(build):
  """A sanitizer asks the kernel for more than the units allow."""
  if is_sanitized(build / 'lmtpq'):
    pytest.skip('a sanitizer asks the kernel for more')


@pytest.fixture
def place(scratch) -> Path:
  """A folder for a user other than root."""
  return scratch.folder('place', 0o777)


def program_within(build: Path, place: Path, name: str = 'lmtpq') -> Path:
  """The build may be in a folder that is closed to this user."""
  for part in build.glob('lmtpq*'):
    if part.is_file():
      shutil.copy(part, place)
  return place / name


def wait_for_log(path: Path, words: str):
  wait_until(lambda: path.exists() and words in path.read_text(), f'{words} in the log')


@pytest.mark.parametrize('what, status', [
    ('os.setuid(0)', -signal.SIGSYS), ('os.chown("/none", -1, -1)', 1),
    ('os.nice(1)', -signal.SIGSYS), ('None', 0)])
def test_a_program_that_does_what_the_filter_forbids_is_detected(what, status):
  ended = run(*under('lmtpq.service', '/usr/bin/python3', '-c', f'import os; {what}'))
  assert ended.returncode == status


@sanitizers_need_more
def test_the_daemon_delivers_reloads_and_drains_under_its_filter(build, place, unsanitized):
  mailboxes = place / 'mail'
  (mailboxes / 'bob').mkdir(parents=True)
  # One that the unit, or the user that runs this, may give a socket to.
  group = 'mail' if os.geteuid() == 0 else grp.getgrgid(os.getegid()).gr_name
  store = subprocess.Popen([build / 'tests/store', '--listen', f'unix:{place}/store',
                            '--dir', mailboxes, '--log', place / 'store.log'],
                           stdout=subprocess.DEVNULL)
  daemon = subprocess.Popen(under(
      'lmtpq.service', program_within(build, place), 'serve', '--config=/dev/null', '--listen',
      f'unix:{place}/lmtp', f'--listen-owner=:{group}', '--log', place / 'log',
      '--tag-keys=none', '--spool-dir', place, '--control', place / 'control', '--metrics',
      f'127.0.0.1:{free_port()}', f'unix:{place}/store'))
  try:
    wait_for_log(place / 'log', 'event=serving')
    (place / 'store').chmod(0o666)
    (place / 'lmtp').unlink()
    wait_for_log(place / 'log', f'socket=unix:{place}/lmtp change=removed effect="opened again"')
    with smtplib.LMTP(f'{place}/lmtp') as client:
      refused = client.sendmail('a@example.org', ['bob'], b'Subject: x\r\n\r\n' + b'y' * 600_000)
    shown = run(build / 'lmtpq', 'serve', '--status', '--control', place / 'control').stdout
    daemon.send_signal(signal.SIGHUP)
    wait_for_log(place / 'log', 'event=reloaded')
  finally:
    daemon.terminate()
    status = daemon.wait(LIMIT)
    store.terminate()
    store.wait(LIMIT)
  assert not refused
  assert status == 0
  assert 'status=sent' in (place / 'log').read_text()
  assert 'messages 1 ' in shown


@sanitizers_need_more
def test_the_daemon_is_upgraded_under_its_filter(build, place, unsanitized):
  control = place / 'control'
  program = program_within(build, place)
  daemon = subprocess.Popen(under(
      'lmtpq.service', program, 'serve', '--config=/dev/null', '--listen', f'unix:{place}/lmtp',
      '--log', place / 'log', '--tag-keys=none', '--control', control, '--metrics',
      f'127.0.0.1:{free_port()}', f'unix:{place}/store'))
  new = 0
  try:
    wait_for_log(place / 'log', 'event=serving')
    shutil.copy(program.with_name('lmtpq-serve'), place / 'new')
    (place / 'new').rename(program.with_name('lmtpq-serve'))
    daemon.send_signal(signal.SIGHUP)
    wait_for_log(place / 'log', 'event=upgraded')
    assert daemon.wait(LIMIT) == 0
    new = int(re.search(r'new-pid=(\d+)', (place / 'log').read_text())[1])
    wait_for_log(place / 'log', f'pid={new} config')
    shown = run(build / 'lmtpq', 'serve', '--status', '--control', control).stdout
    assert f' pid {new} ' in shown, shown
    with smtplib.LMTP(f'{place}/lmtp') as client:
      assert client.noop()[0] == 250
  finally:
    daemon.terminate()
    if new:
      send_signal(new, signal.SIGTERM)
    daemon.wait(LIMIT)
  wait_for_log(place / 'log', f'lmtpq[{new}]: event=stopped')


@sanitizers_need_more
def test_the_milter_answers_and_reloads_under_its_filter(build, place, unsanitized):
  conf, keys = place / 'milter.conf', place / 'keys'
  keys.touch(mode=0o600)
  keys.write_text(run(build / 'lmtpq', 'keygen').stdout)
  if os.geteuid() == 0:
    shutil.chown(keys, 'nobody')
  conf.write_text(f'socket = unix:{place}/socket\npid-file = {place}/pid\nlog = {place}/log\n'
                  f'tag-keys = {keys}\n')
  milter = subprocess.Popen(under('lmtpq-milter.service',
                                  program_within(build, place, 'lmtpq-milter'),
                                  f'--config={conf}', '--foreground'))
  try:
    wait_for_log(place / 'log', 'event=serving')
    (place / 'socket').unlink()
    wait_for_log(place / 'log', f'socket=unix:{place}/socket change=removed effect="opened again"')
    milter.send_signal(signal.SIGHUP)
    wait_for_log(place / 'log', 'event=reload')
  finally:
    milter.terminate()
    status = milter.wait(LIMIT)
  assert status == 0, (place / 'log').read_text()

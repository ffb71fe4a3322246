"""Checks of a configuration: `serve --check`, `lmtpq check` and `probe` read all files as the user who
will run, report everything that is wrong, and dial nothing."""

import os
import pwd
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from fixtures import paths

OTHER = 'nobody'
KEY = 'k1 AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n'
EX_USAGE, EX_CONFIG = 64, 78
DEFAULT_KEYS = Path('/etc/lmtpq/tag.keys')
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason='only root can do this')


class Folder:
  """A configuration, what it names, and the programs, all within reach of any user."""

  def __init__(self, path: Path, lmtpq: Path):
    self.path = path
    self.programs = path / 'bin'
    self.programs.mkdir()
    for program in [*lmtpq.parent.glob('lmtpq*'), paths.program('LMTPQ_MILTER')]:
      if program.is_file():
        shutil.copy(program, self.programs)
    self.config = path / 'lmtpq.conf'
    (path / 'spool').mkdir(mode=0o777)
    (path / 'spool').chmod(0o777)
    self.listening = socket.socket(socket.AF_UNIX)
    self.listening.bind(str(path / 'store'))
    (path / 'store').chmod(0o777)
    self.listening.listen()
    self.listening.setblocking(False)

  def filled(self, text: str) -> str:
    return text.replace('{folder}', str(self.path))

  def write(self, text: str = '', common: str = 'tag-keys = none\n') -> Path:
    self.config.write_text(self.filled(
        f'destination = unix:{{folder}}/store\nlog = {{folder}}/spool/log\ncontrol =\n'
        f'spool-dir = {{folder}}/spool\n{common}{text}'))
    return self.config

  def secret(self, name: str, text: str = KEY, mode: int = 0o600) -> Path:
    path = self.path / name
    path.touch(mode=mode)
    path.chmod(mode)
    path.write_text(self.filled(text))
    return path

  def run(self, *words: str, **how) -> subprocess.CompletedProcess:
    return subprocess.run([self.programs / 'lmtpq', *words], capture_output=True, text=True,
                          timeout=60, **how)

  def check(self, *words: str, **how) -> subprocess.CompletedProcess:
    return self.run('check', f'--config={self.config}', *words, **how)

  def line_of(self, start: str) -> str:
    """FILE:LINE of the last line that begins with this."""
    lines = self.config.read_text().splitlines()
    return f'{self.config}:{max(n for n, line in enumerate(lines, 1) if line.startswith(start))}'

  def nobody_was_dialled(self) -> bool:
    try:
      self.listening.accept()
    except BlockingIOError:
      return True
    return False


@pytest.fixture
def folder(scratch, lmtpq, request):
  made = Folder(scratch.folder(f'c{abs(hash(request.node.name)) % 10**8}'), lmtpq)
  yield made
  made.listening.close()


def as_other_user() -> dict:
  entry = pwd.getpwnam(OTHER)
  return {'user': entry.pw_uid, 'group': entry.pw_gid, 'extra_groups': []}


def errors(ran: subprocess.CompletedProcess) -> list[str]:
  return [line for line in ran.stderr.splitlines() if ': warning: ' not in line]


def warnings(ran: subprocess.CompletedProcess) -> list[str]:
  return [line for line in ran.stderr.splitlines() if ': warning: ' in line]


FRONT = '[listener.front]\naddress = unix:{folder}/front\n'
LOGIN = '[destination.imap7]\nauth-password-file = {folder}/file\n'
# name: what the file has after the common lines, and the text of the file that root alone may read
UNREADABLE = {
    'tag-keys': ('tag-keys = {folder}/file\n' + FRONT, KEY),
    'auth-password-file': ('auth-password-file = {folder}/file\n' + FRONT, 'imap1 lmtp:secret\n'),
    'a section of no destination': (FRONT + LOGIN, 'imap7 lmtp:secret\n'),
    'tls-key': ('tls = encrypt\ntls-cert = {folder}/store\ntls-key = {folder}/file\n' + FRONT,
                'no key\n'),
    'route-file': ('route-file = {folder}/file\n' + FRONT, 'bob@ unix:{folder}/store\n'),
    'tls-ca-file': ('tls = verify\ntls-name = a\ntls-ca-file = {folder}/file\n' + FRONT, 'no CA\n'),
    'route-ldap-password-file': (
        'route-ldap = ldap://127.0.0.1:1\nroute-ldap-base = o=x\nroute-ldap-bind-dn = o=x\n'
        'route-ldap-password-file = {folder}/file\n' + FRONT, 'secret\n'),
    'route-ldap-ca-file': (
        'route-ldap = ldap://127.0.0.1:1\nroute-ldap-base = o=x\nroute-ldap-ca-file = {folder}/file\n' + FRONT,
        'no CA\n'),
}


@pytest.mark.may_skip('only root')
@needs_root
@pytest.mark.parametrize('name', UNREADABLE)
@pytest.mark.parametrize('command', ['check', 'serve --check'])
def test_what_only_root_can_read_is_an_error(folder, name, command):
  settings, text = UNREADABLE[name]
  folder.write(settings, common='' if name == 'tag-keys' else 'tag-keys = none\n')
  secret = folder.secret('file', text)
  words = [*command.split(), f'--config={folder.config}', f'--user={OTHER}']
  ran = folder.run(*words)
  assert ran.returncode == EX_CONFIG, ran
  said = [line for line in errors(ran) if str(secret) in line and 'ermission denied' in line]
  assert len(said) == 1 and said[0].startswith(f'lmtpq: {folder.config}:'), ran
  shutil.chown(secret, OTHER)
  assert 'no line for' not in ran.stderr, ran
  assert 'ermission denied' not in folder.run(*words).stderr


@pytest.mark.may_skip('only root')
@needs_root
@pytest.mark.parametrize('command', ['check', 'serve --check', 'probe'])
def test_a_file_that_only_root_can_read_is_an_error(folder, command):
  folder.write(FRONT).chmod(0o600)
  ran = folder.run(*command.split(), f'--config={folder.config}', f'--user={OTHER}')
  assert ran.returncode == (EX_USAGE if command == 'probe' else EX_CONFIG), ran
  assert f'lmtpq: {folder.config}: Permission denied as user {OTHER}; chmod 644 it' in ran.stderr, ran
  assert folder.nobody_was_dialled()


@pytest.mark.may_skip('only root')
@needs_root
def test_a_probe_reads_the_passwords_as_the_user(folder):
  folder.write('auth-password-file = {folder}/file\n')
  secret = folder.secret('file', 'unix:{folder}/store lmtp:secret\n')
  ran = folder.run('probe', f'--config={folder.config}', f'--user={OTHER}')
  assert ran.returncode == EX_USAGE, ran
  assert f'{secret}: Permission denied as user {OTHER}; let a group of this user' in ran.stderr, ran
  assert folder.nobody_was_dialled()


@pytest.mark.may_skip('only root')
@needs_root
def test_secrets_of_root_are_read_where_only_the_effective_user_changed(folder):
  # As Sendmail starts a mailer with the flag S.
  entry = pwd.getpwnam(OTHER)

  def become():
    os.setgroups([])
    os.setegid(entry.pw_gid)
    os.seteuid(entry.pw_uid)
  folder.write('auth-password-file = {folder}/file\nauth-mechanisms = EXTERNAL\n')
  folder.secret('file', 'unix:{folder}/store lmtp:secret\n')
  ran = folder.check(preexec_fn=become)
  assert (ran.returncode, ran.stderr) == (0, ''), ran
  assert ran.stdout == f'{folder.config}: user {OTHER}, 0 listeners, 1 stores, ok\n'
  folder.config.chmod(0o600)
  assert f'Permission denied as user {OTHER}' in folder.check(preexec_fn=become).stderr


@pytest.mark.parametrize('command', ['check', 'serve --check'])
def test_the_secrets_of_routed_stores_are_read(folder, command):
  folder.write('route-file = {folder}/routes\n' + FRONT
               + '[destination.imap7]\nauth-password-file = {folder}/passwords\n'
               + '[destination.imap8]\ntls-cert = {folder}/cert\n')
  folder.secret('routes', 'bob@ imap7\nalice@ imap8:24\n', 0o644)
  ran = folder.run(*command.split(), f'--config={folder.config}')
  assert ran.returncode == EX_CONFIG, ran
  for option, name in (('auth-password-file', 'passwords'), ('tls-cert', 'cert')):
    place = f'lmtpq: {folder.line_of(option)}: {option}'
    assert [line for line in errors(ran) if line.startswith(place)
            and f'{folder.path}/{name}: No such file or directory' in line], (place, ran)
  assert len(errors(ran)) == 2, ran
  assert folder.nobody_was_dialled()


def test_all_errors_are_reported_with_their_places(folder):
  folder.secret('keys', 'k1 not-base64!\n')
  folder.secret('routes', 'bob@\n', 0o644)
  folder.write('tls = sometimes\nno-such-option = 1\nauth-mechanisms = PLAIN NO-SUCH-MECHANISM\n'
               'tag-keys = {folder}/keys\nroute-file = {folder}/routes\n'
               'spool-dir = {folder}/no-spool\nlog = {folder}/no-log/file\n'
               'transcript-dir = {folder}/no-transcripts\ncontrol = {folder}/no-control/socket\n'
               'metrics = unix:{folder}/no-metrics/socket\n'
               '[listener.one]\naddress = unix:{folder}/no-front/socket\nlisten-owner = no-such-user\n'
               '[listener.two]\naddress = inet:127.0.0.1:1\nclients = 1.2.3.4.5\n'
               '[destination.three]\nconnect-timeout = soon\n'
               '[destination.four]\ndestination = unix:{folder}/no-store/socket\n'
               '[no-such-section]\nx = y\n', common='')
  ran = folder.check()
  assert ran.returncode == EX_CONFIG, ran
  expected = {
      'tls = sometimes': 'tls: "sometimes": expected one of none, may',
      'no-such-option': 'unknown option no-such-option',
      'auth-mechanisms': 'auth-mechanisms: "NO-SUCH-MECHANISM": no plugin installed',
      'tag-keys': f'tag-keys: {folder.path}/keys:1: expected base64',
      'route-file': f'route-file: {folder.path}/routes:1: no DEST after "bob@"',
      'spool-dir': f'spool-dir: "{folder.path}/no-spool": No such file or directory',
      'log =': f'log: "{folder.path}/no-log/file": No such file or directory',
      'transcript-dir': f'transcript-dir: "{folder.path}/no-transcripts": No such file',
      'control': f'control: "{folder.path}/no-control/socket": bind: No such file or directory; mkdir',
      'metrics': f'metrics: "{folder.path}/no-metrics/socket": bind: No such file or directory; mkdir',
      'address = unix': f'"{folder.path}/no-front/socket": bind: No such file or directory; mkdir',
      'listen-owner': 'listen-owner: no user no-such-user on this system',
      'clients': 'clients: "1.2.3.4.5"',
      'connect-timeout': 'connect-timeout: "soon": expected a time',
      '[destination.four]': f'"{folder.path}/no-store/socket": No such file or directory',
      '[no-such-section]': 'unknown section [no-such-section]',
  }
  for start, text in expected.items():
    number = folder.line_of(start).rpartition(':')[2]
    assert [line for line in errors(ran) if f'{folder.config}:{number}' in line and text in line], \
        (start, text, ran.stderr)
  assert len(errors(ran)) == len(expected), ran.stderr
  assert ran.stdout.splitlines()[-1].startswith(f'{folder.config}: user '), ran
  assert f', {len(expected)} errors' in ran.stdout.splitlines()[-1], ran


TLS_STORE = '[destination.store.test]\ntls = verify\n'
LDAP = 'route-ldap = ldap://127.0.0.1:1\nroute-ldap-base = dc=x\n'


# trap: a-pipe-for-a-file
@pytest.mark.parametrize('option, settings', [
    ('tls-ca-file', TLS_STORE), ('tls-crl-file', TLS_STORE), ('tls-cert', TLS_STORE),
    ('tls-cert', TLS_STORE + 'tls-key = {folder}/key\n'), ('tls-key', TLS_STORE + 'tls-cert = {folder}/key\n'),
    ('route-ldap-ca-file', LDAP), ('route-ldap-password-file', LDAP + 'route-ldap-bind-dn = cn=x\n'),
    ('tag-keys', ''), ('route-file', ''), ('auth-password-file', TLS_STORE)])
def test_a_pipe_or_a_device_in_place_of_a_file_is_an_error(folder, option, settings):
  """One who opens the pipe waits without end, and a device has no end."""
  folder.secret('key')
  os.mkfifo(folder.path / 'pipe', 0o600)
  for what in (folder.path / 'pipe', '/dev/zero'):
    folder.write(f'{settings}{option} = {what}\n' if '[' in settings or option == 'route-ldap-ca-file'
                 else f'{option} = {what}\n{settings}', common='' if option == 'tag-keys' else 'tag-keys = none\n')
    ran = folder.check()
    assert ran.returncode == EX_CONFIG, ran
    place = folder.line_of(f'{option} =')
    assert any(place in line and 'not a regular file' in line for line in errors(ran)), ran.stderr


def test_a_good_file_is_ok_and_nobody_is_dialled(folder):
  folder.secret('keys')
  folder.secret('routes', 'bob@ unix:{folder}/store\n', 0o644)
  folder.write('tag-keys = {folder}/keys\nroute-file = {folder}/routes\n' + FRONT, common='')
  user = pwd.getpwuid(os.geteuid()).pw_name
  for command in ('check', 'serve --check'):
    ran = folder.run(*command.split(), f'--config={folder.config}')
    assert ran.returncode == 0 and errors(ran) == [], ran
    assert ran.stdout.startswith(f'{folder.config}: user {user}, 1 listeners, 1 stores, ok'), ran
    assert folder.nobody_was_dialled()
    assert not (folder.path / 'front').exists() and not (folder.path / 'spool/log').exists()


def test_a_file_without_listeners_is_for_relay_and_deliver(folder):
  folder.write()
  assert folder.check().returncode == 0
  ran = folder.run('serve', '--check', f'--config={folder.config}')
  assert ran.returncode == EX_CONFIG and 'no listener' in ran.stderr, ran


def test_without_listeners_the_daemons_own_sockets_do_not_matter(folder):
  own = 'control = {folder}/own\nmetrics = unix:{folder}/own\n'
  folder.write(own)
  assert folder.check().returncode == 0
  folder.write(own + FRONT)
  assert folder.check().returncode == EX_CONFIG


def test_the_default_socket_of_the_status_may_fail(folder):
  """As that of the daemon, which starts without it."""
  folder.config.write_text(folder.write(FRONT).read_text().replace('control =\n', ''))
  ran = folder.check()
  assert ran.returncode == 0 and errors(ran) == [], ran
  if not Path('/run/lmtpq').exists():
    assert [line for line in warnings(ran) if '"/run/lmtpq/control": bind: No such file or directory' in line], ran


TLS, NO_TLS = '[destination.imap7]\ntls = encrypt\n', '[destination.imap8]\ntls = none\n'


@pytest.mark.parametrize('used, destinations, sections', [
    (True, 'imap7, imap8', TLS + NO_TLS), (True, 'imap8, imap7', TLS + NO_TLS),
    (True, 'imap8', TLS + NO_TLS), (True, 'imap8', NO_TLS + TLS), (False, 'imap8', NO_TLS)])
def test_options_for_tls_have_an_effect_if_one_store_has_tls(folder, used, destinations, sections):
  folder.secret('ca')
  folder.config.write_text(folder.write('tls = none\ntls-ca-path = {folder}\n' + sections).read_text().replace(
      folder.filled('unix:{folder}/store'), destinations))
  ran = folder.check()
  assert ran.returncode == 0, ran
  assert [' tls-ca-path: has no effect, as no store of this file is reached with TLS' in line
          for line in warnings(ran) if 'checked as root' not in line] == [True] * (not used), ran


def test_a_section_for_another_port_of_a_store_is_a_warning(folder):
  folder.config.write_text(folder.write('tls = none\n[destination.imap7]\ndestination = inet:imap7:24\n')
                           .read_text().replace(folder.filled('unix:{folder}/store'), 'inet:imap7:2003'))
  ran = folder.check()
  assert ran.returncode == 0, ran
  assert [line for line in warnings(ran) if line.startswith('lmtpq: warning: inet:imap7:2003: no section is for it, '
                                                            'but ') and line.endswith('correct one of the two')], ran


def test_warnings_leave_the_status_0(folder):
  folder.write('tls-cert = {folder}/none\n[listener.tcp]\naddress = inet:127.0.0.1:1\n'
               'listen-mode = 0600\n')
  ran = folder.check()
  assert ran.returncode == 0 and errors(ran) == [], ran
  for start in ('tls-cert', 'listen-mode'):
    assert [line for line in warnings(ran)
            if line.startswith(f'lmtpq: warning: {folder.line_of(start)}: {start}: has no effect')], ran
  assert ran.stdout.rstrip().endswith(f', ok, {len(warnings(ran))} warnings'), ran


def test_a_listener_without_keys_is_a_warning(folder):
  """Where the default file does not exist, and nobody has said that there are none."""
  folder.write('[listener.mail]\naddress = unix:{folder}/spool/socket\n'
               '[listener.always]\naddress = unix:{folder}/spool/other\nignore-quota = always\n', common='')
  checked = folder.check('--user', OTHER)
  assert checked.returncode == 0, checked
  assert [line for line in checked.stderr.splitlines() if 'no keys' in line] == [
      f'lmtpq: warning: listener unix:{folder.path}/spool/socket: no keys: every tag is rejected, every quota is '
      'honoured; make them with lmtpq keygen --install and reload, or set tag-keys = none'][DEFAULT_KEYS.exists():]


def test_a_password_file_without_a_line_for_the_store_is_a_warning(folder):
  folder.write('auth-password-file = {folder}/passwords\n')
  folder.secret('passwords', 'imap7 lmtp:secret\n')
  ran = folder.check()
  assert ran.returncode == 0, ran
  assert f'no line for unix:{folder.path}/store' in ' '.join(warnings(ran)), ran
  assert 'secret' not in ran.stderr + ran.stdout


@pytest.mark.may_skip('only root')
@needs_root
def test_root_is_warned_unless_it_names_a_user(folder):
  folder.write()
  assert len(warnings(folder.check())) == 1
  assert 'checked as root' in folder.check().stderr
  ran = folder.check(f'--user={OTHER}')
  assert (ran.returncode, ran.stderr) == (0, ''), ran
  assert ran.stdout == f'{folder.config}: user {OTHER}, 0 listeners, 1 stores, ok\n'
  folder.write(f'user = {OTHER}\n')
  assert folder.check().stderr == ''


@pytest.mark.may_skip('only root')
@needs_root
def test_only_root_can_check_as_another_user(folder):
  folder.write('user = root\n')
  ran = folder.check(**as_other_user())
  assert ran.returncode == EX_CONFIG, ran
  assert ran.stderr == (f'lmtpq: {folder.line_of("user")}: user: "root": only root can become another '
                        'user; start as root, or as this user\n')
  assert ran.stdout == f'{folder.config}: 1 error\n'


@pytest.mark.may_skip('only root')
@needs_root
def test_the_folder_of_a_listener_is_for_the_user_that_starts(folder):
  folder.write(FRONT)
  folder.path.chmod(0o755)
  assert folder.check(f'--user={OTHER}').returncode == 0
  ran = folder.check(**as_other_user())
  assert ran.returncode == EX_CONFIG, ran
  assert (f'lmtpq: {folder.line_of("address")}: [listener.front]: "{folder.path}/front": bind: '
          f"Permission denied; let the program's user write in {folder.path}") in ran.stderr, ran


@pytest.mark.may_skip('only root')
@needs_root
def test_a_store_out_of_reach_is_an_error(folder):
  closed = folder.path / 'closed'
  closed.mkdir(mode=0o700)
  folder.config.write_text(folder.filled(
      'destination = unix:{folder}/closed/store\ntag-keys = none\nlog = syslog\n'))
  assert folder.check().returncode == 0
  ran = folder.check(f'--user={OTHER}')
  assert ran.returncode == EX_CONFIG, ran
  assert (f'lmtpq: {folder.config}:1: destination: "{closed}/store": Permission denied as user '
          f"{OTHER}; add this user to the group") in ran.stderr, ran


MILTER_CONF = 'socket = unix:{folder}/milter\nlog = {folder}/spool/milter.log\n'


def test_the_milter_beside_it_is_checked_too(folder):
  folder.write()
  folder.secret('keys')
  milter = folder.path / 'milter.conf'
  milter.write_text(folder.filled(MILTER_CONF + 'tag-keys = {folder}/keys\n[rule.ours]\n'
                                  'client = 192.0.2.1\nquota = ignore\n'))
  ran = folder.check()
  assert ran.returncode == 0 and errors(ran) == [], ran
  assert ran.stdout.splitlines()[0].startswith(f'{milter}: user '), ran
  assert ran.stdout.splitlines()[-1].startswith(f'{folder.config}: user '), ran
  other = folder.path / 'other.conf'
  other.write_text(folder.filled(MILTER_CONF + '[rule.ours]\nquota = perhaps\n'))
  ran = folder.check(f'--milter-config={other}')
  assert ran.returncode == EX_CONFIG and f'lmtpq-milter: {other}:4: ' in ran.stderr, ran
  ran = folder.check(f'--milter-config={folder.path}/none')
  assert ran.returncode == EX_CONFIG and f'lmtpq-milter: {folder.path}/none: No such' in ran.stderr, ran


@pytest.mark.may_skip('only root')
@needs_root
def test_the_milter_is_checked_as_its_own_user_where_it_names_one(folder):
  folder.write()
  secret = folder.secret('keys')
  milter = folder.path / 'milter.conf'
  for line, good in ((f'user = {OTHER}\n', False), ('user = root\n', True), ('', False)):
    milter.write_text(folder.filled(f'{MILTER_CONF}{line}tag-keys = {{folder}}/keys\n'))
    ran = folder.check(f'--user={OTHER}')
    assert (ran.returncode == 0) == good, (line, ran)
    assert (f'{secret}: Permission denied as user {OTHER}' in ran.stderr) != good, (line, ran)


def test_a_milter_that_is_not_installed_is_a_warning(folder):
  folder.write()
  (folder.path / 'milter.conf').write_text('')
  (folder.programs / 'lmtpq-milter').unlink()
  ran = folder.check()
  assert ran.returncode == 0, ran
  assert (f'lmtpq: warning: {folder.path}/milter.conf: not checked, as lmtpq-milter is not installed'
          in ran.stderr), ran


@pytest.mark.parametrize('program, complaint', [
    ('#!/bin/sh\nkill -9 $$\n', 'milter.conf: has errors, see the lines of lmtpq-milter'),
    ('no program', 'lmtpq-milter: Exec format error')])
def test_a_milter_that_does_not_check_its_file_is_an_error(folder, program, complaint):
  folder.write()
  (folder.path / 'milter.conf').write_text('')
  (folder.programs / 'lmtpq-milter').write_text(program)
  ran = folder.check()
  assert ran.returncode == EX_CONFIG and len(errors(ran)) == 1 and complaint in errors(ran)[0], ran


@pytest.mark.may_skip('is installed')
@pytest.mark.skipif(Path('/etc/lmtpq/lmtpq.conf').exists(), reason='lmtpq is installed')
def test_without_a_file_the_defaults_are_checked(folder):
  assert ('lmtpq: warning: /etc/lmtpq/lmtpq.conf: does not exist; the defaults are checked'
          in warnings(folder.run('check')))


def test_arguments(folder):
  ran = folder.run('check', '--help')
  assert ran.returncode == 0 and ran.stdout.startswith('usage: lmtpq check '), ran
  assert folder.run('check', '--version').stdout == folder.run('--version').stdout
  for word in ('unix:/a', '--no-such-option'):
    assert folder.check(word).returncode == EX_CONFIG
  assert 'unix:/a' in folder.check('unix:/a').stderr


def free_port(host: str = '127.0.0.1') -> int:
  with socket.socket() as probe:
    probe.bind((host, 0))
    return probe.getsockname()[1]


def listener(name: str, address: str, more: str = '') -> str:
  return f'[listener.{name}]\naddress = {address}\n{more}'


LOCALHOST = socket.getaddrinfo('localhost', 1, type=socket.SOCK_STREAM)[0][4][0]
LOCALHOST = f'[{LOCALHOST}]' if ':' in LOCALHOST else LOCALHOST
# name: what the file has after the common lines, with {port} for a free one, and the line at fault
OVERLAPS = {
    'by name': (listener('b', f'inet:{LOCALHOST}:{{port}}') + listener('c', 'inet:localhost:{port}'),
                'address = inet:localhost'),
    'a wildcard': (listener('b', 'inet:127.0.0.1:{port}') + listener('c', 'inet:0.0.0.0:{port}'),
                   'address = inet:0.0.0.0'),
    'a wildcard before it': (listener('b', 'inet:0.0.0.0:{port}') + listener('c', 'inet:127.0.0.1:{port}'),
                             'address = inet:127.0.0.1'),
    'both wildcards': (listener('b', 'inet:0.0.0.0:{port}') + listener('c', 'inet:[::]:{port}'),
                       'address = inet:[::]'),
    'slashes': (FRONT + listener('c', 'unix:{folder}//front'), 'address = unix:{folder}//'),
    'a dot': (FRONT + listener('c', 'unix:{folder}/./front'), 'address = unix:{folder}/.'),
    'a lock': (FRONT + listener('c', 'unix:{folder}/front.lock'), 'address = unix:{folder}/front.'),
    'a lock before it': (listener('c', 'unix:{folder}/front.lock') + FRONT, 'address = unix:{folder}/front'),
    'control': ('control = {folder}/front\n' + FRONT, 'control = {folder}/front'),
    'metrics and control': ('control = {folder}/own\nmetrics = unix:{folder}/own\n' + FRONT,
                            'metrics'),
    'metrics': ('metrics = unix:{folder}/front\n' + FRONT, 'metrics'),
    'the port of metrics': ('metrics = 127.0.0.1:{port}\n' + listener('b', 'inet:127.0.0.1:{port}'),
                            'metrics'),
}


@pytest.mark.parametrize('name', OVERLAPS)
@pytest.mark.parametrize('command', ['check', 'serve --check'])
def test_two_addresses_that_are_one_are_an_error(folder, name, command):
  text, at_fault = OVERLAPS[name]
  folder.write(text.replace('{port}', str(free_port())))
  words = [*command.split(), f'--config={folder.config}']
  ran = folder.run(*words)
  assert ran.returncode == EX_CONFIG, ran
  place = folder.line_of(folder.filled(at_fault))
  assert [(line.startswith(f'lmtpq: {place}: '), ' overlaps with ' in line)
          for line in errors(ran)] == [(True, True)], (place, ran)
  started = folder.run('serve', f'--config={folder.config}')
  assert started.returncode == EX_CONFIG, started


def test_addresses_beside_each_other_are_no_error(folder):
  port = free_port()
  folder.write(f'control = {{folder}}/control\nmetrics = 127.0.0.3:{port}\n' + FRONT
               + listener('b', f'inet:127.0.0.1:{port}') + listener('c', f'inet:127.0.0.2:{port}')
               + listener('d', f'inet:[::1]:{port}') + listener('e', 'unix:{folder}/other'))
  ran = folder.check()
  assert ran.returncode == 0 and errors(ran) == [], ran


def test_what_is_in_use_may_be_the_running_daemon(folder):
  with socket.create_server(('127.0.0.1', 0)) as server, socket.create_server(
      ('::', 0), family=socket.AF_INET6) as both:
    with socket.create_server(('0.0.0.0', both.getsockname()[1])) as other:
      # As systemd opens them.
      port = other.getsockname()[1]
      folder.write(listener('a', f'inet:127.0.0.1:{server.getsockname()[1]}')
                   + listener('b', f'inet:0.0.0.0:{port}') + listener('c', f'inet:[::]:{port}'))
      ran = folder.check()
  assert ran.returncode == 0 and errors(ran) == [], ran


def test_an_address_of_another_host_is_an_error(folder):
  folder.write('metrics = 192.0.2.1:9024\n' + listener('b', 'inet:192.0.2.1:2525')
               + listener('c', 'inet:[2001:db8::1]:2525') + listener('d', 'inet:no.such.invalid:24'))
  ran = folder.check()
  for start in ('metrics', 'address = inet:192', 'address = inet:[2001'):
    assert [line for line in errors(ran) if line.startswith(f'lmtpq: {folder.line_of(start)}: ')
            and line.endswith(': bind: Cannot assign requested address; name an address of this host')
            ], (start, ran)
  place = folder.line_of('address = inet:no')
  assert [line for line in errors(ran) if line.startswith(f'lmtpq: {place}: [listener.d]: ')], ran
  assert ran.returncode == EX_CONFIG and len(errors(ran)) == 4, ran


def test_a_link_to_a_listener_that_is_not_there_yet_is_no_store(folder):
  (folder.path / 'link').symlink_to('front')
  folder.write(FRONT + 'destination = unix:{folder}/link\n')
  ran = folder.check()
  assert ran.returncode == EX_CONFIG, ran
  assert f'link": is this daemon\'s own listener, [listener.front] ({folder.config}:' in ran.stderr, ran


@pytest.mark.may_skip('only root')
@pytest.mark.may_skip('every user')
@needs_root
def test_a_port_below_1024_is_for_those_who_may_open_it(folder):
  if int(Path('/proc/sys/net/ipv4/ip_unprivileged_port_start').read_text()) <= 77:
    pytest.skip('every user may open port 77 here')
  folder.write(listener('b', 'inet:127.0.0.1:77'))
  assert folder.check(f'--user={OTHER}').returncode == 0
  ran = folder.check(**as_other_user())
  assert ran.returncode == EX_CONFIG and len(errors(ran)) == 1, ran
  assert (f'lmtpq: {folder.line_of("address")}: [listener.b]: inet:127.0.0.1:77: bind: Permission denied; '
          'ports below 1024 need root or CAP_NET_BIND_SERVICE') in ran.stderr, ran
  # The daemon opens this one after it has changed to its user.
  folder.write('metrics = 127.0.0.1:77\n' + FRONT)
  assert folder.check().returncode == 0
  ran = folder.check(f'--user={OTHER}')
  assert ran.returncode == EX_CONFIG and len(errors(ran)) == 1, ran
  assert f'lmtpq: {folder.line_of("metrics")}: metrics: inet:127.0.0.1:77: bind: Perm' in ran.stderr, ran


@pytest.mark.may_skip('only root')
@needs_root
@pytest.mark.parametrize('owner', ['daemon', ':mail', 'daemon:mail'])
def test_an_owner_whom_the_user_cannot_set_is_an_error(folder, owner):
  (folder.path / 'run').mkdir()
  (folder.path / 'run').chmod(0o777)
  folder.write(listener('b', 'unix:{folder}/run/front', f'listen-owner = {owner}\n'))
  assert folder.check(f'--user={OTHER}').returncode == 0
  ran = folder.check(**as_other_user())
  assert ran.returncode == EX_CONFIG and len(errors(ran)) == 1, ran
  assert (f'lmtpq: {folder.line_of("listen-owner")}: listen-owner: "{owner}": chown: Operation not '
          'permitted; start as root, or set a group') in ran.stderr, ran
  folder.write(listener('b', 'unix:{folder}/run/front', f'listen-owner = {OTHER}\n'))
  assert folder.check(**as_other_user()).returncode == 0


LOCKS = {'a folder': lambda path: path.mkdir(), 'a link': lambda path: path.symlink_to('/nowhere'),
         'a pipe': os.mkfifo}


@pytest.mark.parametrize('kind', LOCKS)
@pytest.mark.parametrize('option', ['address', 'control', 'metrics'])
def test_a_lock_that_cannot_be_taken_is_an_error(folder, kind, option):
  LOCKS[kind](folder.path / 'own.lock')
  folder.write({'address': listener('b', 'unix:{folder}/own'),
                'control': 'control = {folder}/own\n' + FRONT,
                'metrics': 'metrics = unix:{folder}/own\n' + FRONT}[option])
  ran = folder.check()
  assert ran.returncode == EX_CONFIG and len(errors(ran)) == 1, ran
  assert errors(ran)[0].startswith(f'lmtpq: {folder.line_of(option)}: '), ran
  assert f'"{folder.path}/own.lock": ' in errors(ran)[0], ran


@pytest.mark.may_skip('only root')
@needs_root
def test_a_lock_of_another_user_is_an_error(folder):
  (folder.path / 'run').mkdir()
  (folder.path / 'run').chmod(0o777)
  folder.secret('run/control.lock', '')
  folder.write('control = {folder}/run/control\n' + FRONT)
  assert folder.check().returncode == 0
  ran = folder.check(f'--user={OTHER}')
  assert ran.returncode == EX_CONFIG and len(errors(ran)) == 1, ran
  assert f'lmtpq: {folder.line_of("control =")}: control: ' in ran.stderr, ran
  assert f'control.lock": Permission denied as user {OTHER}; stop the program' in ran.stderr, ran


def bound(path: Path):
  with socket.socket(socket.AF_UNIX) as made:
    made.bind(str(path))


def with_two_names(path: Path):
  path.touch()
  path.with_name('second').hardlink_to(path)


LOGS = {'a folder': lambda path: path.mkdir(), 'a socket': bound, 'two names': with_two_names,
        'a loop': lambda path: path.symlink_to('log'),
        'a link to nowhere': lambda path: path.symlink_to('/no/where')}


@pytest.mark.parametrize('kind', LOGS)
def test_a_log_that_cannot_be_opened_is_an_error(folder, kind):
  LOGS[kind](folder.path / 'spool/log')
  before = sorted(os.listdir(folder.path / 'spool'))
  folder.write(FRONT)
  ran = folder.check()
  expected = f'lmtpq: {folder.line_of("log")}: log: "{folder.path}/spool/log": '
  assert ran.returncode == EX_CONFIG and len(errors(ran)) == 1, ran
  assert errors(ran)[0].startswith(expected), ran
  assert sorted(os.listdir(folder.path / 'spool')) == before
  started = folder.run('serve', f'--config={folder.config}')
  assert started.returncode == EX_CONFIG and started.stderr.startswith(expected), started


@pytest.mark.may_skip('only root')
@needs_root
def test_a_log_through_the_link_of_another_user_is_an_error(folder):
  log = folder.path / 'spool/log'
  (folder.path / 'spool/target').touch()
  (folder.path / 'spool/target').chmod(0o666)
  log.symlink_to('target')
  folder.write(FRONT)
  assert folder.check(f'--user={OTHER}').returncode == 0
  os.lchown(log, pwd.getpwnam('daemon').pw_uid, -1)
  ran = folder.check(f'--user={OTHER}')
  assert ran.returncode == EX_CONFIG, ran
  assert f'log: "{log}": Too many levels of symbolic links as user {OTHER}; ' in ran.stderr, ran


def test_a_pipe_for_the_log_is_neither_opened_nor_an_error(folder):
  os.mkfifo(folder.path / 'spool/log')
  folder.write(FRONT)
  assert folder.check().returncode == 0
  reader = os.open(folder.path / 'spool/log', os.O_RDONLY | os.O_NONBLOCK)
  writer = os.open(folder.path / 'spool/log', os.O_WRONLY)
  os.write(writer, b'x')
  os.close(writer)
  assert folder.check().returncode == 0
  assert os.read(reader, 10) == b'x'
  os.close(reader)


@pytest.mark.parametrize('option', ['spool-dir', 'transcript-dir'])
def test_a_file_in_place_of_a_folder_is_an_error(folder, option):
  folder.secret('file', mode=0o777)
  folder.write(f'{option} = {{folder}}/file\n' + FRONT)
  ran = folder.check()
  assert ran.returncode == EX_CONFIG and len(errors(ran)) == 1, ran
  assert f'lmtpq: {folder.line_of(option)}: {option}: "{folder.path}/file": Not a directory' in ran.stderr


def test_a_port_that_is_no_service_is_an_error(folder):
  folder.secret('routes', 'bob@ imap7:lmpt\n', 0o644)
  folder.write('route-file = {folder}/routes\n' + listener('b', 'inet:127.0.0.1:lmtq')
               + listener('c', 'unix:{folder}/c', 'destination = inet:127.0.0.1:lmpt\n'))
  ran = folder.check()
  for start, name in (('route-file', 'lmpt'), ('address = inet', 'lmtq'), ('destination = inet', 'lmpt')):
    place = folder.line_of(start)
    assert [line for line in errors(ran) if f' {place}: ' in line and f'no service {name} in' in line], \
        (place, ran)
  assert ran.returncode == EX_CONFIG, ran


def test_an_option_that_is_given_twice_is_a_warning(folder):
  folder.write('max-clients = five\nmax-clients = 6\n' + FRONT + 'clients = uid:1\nclients = uid:0\n'
               '[destination.a]\ndestination = imap1\ndestination = imap2\n')
  ran = folder.check()
  assert ran.returncode == 0 and errors(ran) == [], ran
  for start in ('max-clients', 'clients'):
    at, number = folder.line_of(start).rsplit(':', 1)
    assert (f'lmtpq: warning: {at}:{number}: {start}: given twice, and this line counts; remove that at '
            f'{at}:{int(number) - 1}') in ran.stderr, ran
  assert len([line for line in warnings(ran) if 'given twice' in line]) == 2, ran

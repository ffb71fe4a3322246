"""`lmtpq keygen --install`: a key file for relay, serve and lmtpq-milter, as the users that they are."""

import os
import pwd
import resource
import subprocess

import pytest

from fixtures.accounts import NUMBER, USER, Accounts, facts

from .conftest import EX_CANTCREAT, EX_CONFIG, LIMIT

OTHER = 'nobody'

pytestmark = [pytest.mark.may_skip('only root'),
              pytest.mark.skipif(os.geteuid() != 0, reason='only root can change users')]


@pytest.fixture
def accounts(keys) -> Accounts:
  return Accounts(keys.place, USER)


@pytest.fixture
def install(keys, accounts):
  """install(): the command, where the user lmtpq exists."""
  def run(*words, **how) -> subprocess.CompletedProcess:
    return keys.keygen('--install', *(words or [keys.file]), before=accounts.before, **how)
  return run


def test_the_file_is_for_all_three(keys, install, accounts):
  ran = install()
  assert (ran.returncode, ran.stderr) == (0, ''), ran
  assert ran.stdout == f'{keys.file}: made, 2 keys, root and the user lmtpq can read it, ok\n'
  assert facts(keys.file) == (0, NUMBER, '640')
  assert facts(keys.file.parent) == (0, NUMBER, '751')
  assert os.listdir(keys.file.parent) == ['tag.keys']
  conf, run = keys.place / 'conf', keys.place / 'run'
  run.mkdir()
  os.chown(run, NUMBER, NUMBER)
  conf.write_text(f'tag-keys = {keys.file}\nlog = stderr\n')
  for user, program, *words in (
      (accounts.as_user, keys.milter, '--check', f'--socket=unix:{run}/milter'),
      (accounts.as_user, keys.program, 'serve', '--check', '--listen', f'unix:{run}/lmtp',
       'unix:/nowhere'),
      # As Sendmail starts it, by U=cyrus:mail.
      (['setpriv', '--euid', 'cyrus', '--egid', 'mail', '--clear-groups'], keys.program, 'relay',
       'unix:/nowhere')):
    started = subprocess.run([*user, program, *words, f'--config={conf}'], capture_output=True,
                             text=True, timeout=LIMIT, input='')
    assert started.returncode == 0, started
    assert 'tag-keys' not in started.stderr, started
    assert ' 451 ' not in started.stdout, started


def test_a_file_that_exists_is_checked_and_stays(keys, install):
  assert install().returncode == 0
  text = keys.file.read_bytes()
  ran = install()
  assert ran.returncode == 0, ran
  assert f'{keys.file}: exists, not changed, 2 keys, root and the user lmtpq' in ran.stdout, ran
  assert keys.file.read_bytes() == text


def test_no_secret_is_printed(keys, install):
  said = ''
  for mode in (0o640, 0o600):
    ran = install()
    said += ran.stdout + ran.stderr
    keys.file.chmod(mode)
  assert len(keys.secrets()) == 2
  assert not [secret for secret in keys.secrets() if secret in said]


MISTAKES = {  # owner, group, mode: what is wrong
    (0, 0, 0o600): 'Permission denied as user lmtpq (owner root:root, mode 0600)',
    (0, NUMBER, 0o644): 'others may read or write the keys (owner root:lmtpq, mode 0644)',
    (NUMBER, NUMBER, 0o640): 'owned by neither root nor the user that reads it (owner lmtpq:lmtpq, '
                             'mode 0640)',
    (0, NUMBER, 0o660): 'its group may write the keys (owner root:lmtpq, mode 0660)'}


@pytest.mark.parametrize('owner, group, mode', MISTAKES)
def test_one_that_is_not_for_all_three_is_an_error_with_the_command_that_corrects_it(
    keys, install, owner, group, mode):
  keys.make('a MDEyMzQ1Njc4OWFiY2RlZg==\n', mode)
  os.chown(keys.file, owner, group)
  ran = install()
  command = f'chown root:lmtpq {keys.file} && chmod 640 {keys.file}'
  assert (ran.returncode, ran.stdout) == (EX_CONFIG, ''), ran
  assert ran.stderr == f'lmtpq: {keys.file}: {MISTAKES[owner, group, mode]}; run: {command}\n'
  os.chown(keys.file, 0, NUMBER)
  keys.file.chmod(0o640)
  assert '1 keys, root and the user lmtpq can read it, ok' in install().stdout


def test_a_folder_that_is_closed_to_the_units_is_named(keys, install):
  keys.file.parent.mkdir(mode=0o700)
  ran = install()
  assert ran.returncode == EX_CONFIG, ran
  assert (f'{keys.file}: {keys.file.parent} is closed to the user lmtpq (owner root:lmtpq, mode '
          f'0640); run: chmod a+x {keys.file.parent}\n') in ran.stderr, ran
  keys.file.parent.chmod(0o711)
  assert install().returncode == 0


@pytest.mark.parametrize('text, words', [('', 'contains no key; append one: lmtpq keygen >> '),
                                         ('a b*\n', ':1: expected base64')])
def test_a_file_that_is_not_one_of_keys_is_an_error(keys, install, text, words):
  keys.make(text, 0o640)
  os.chown(keys.file, 0, NUMBER)
  ran = install()
  assert ran.returncode == EX_CONFIG and words in ran.stderr, ran
  assert keys.file.read_text() == text


def test_without_the_user_the_remedy_is_named(keys):
  nobody = Accounts(keys.place)
  ran = keys.keygen('--install', keys.file, before=nobody.before)
  assert (ran.returncode, ran.stdout) == (EX_CONFIG, ''), ran
  assert 'no user and group lmtpq on this system' in ran.stderr, ran
  assert 'systemd-sysusers' in ran.stderr and 'the Debian package lmtpq' in ran.stderr, ran
  assert not keys.file.parent.exists()


def test_another_user_cannot(keys, accounts):
  ran = keys.keygen('--install', keys.file, before=accounts.as_user)
  assert ran.returncode == EX_CONFIG and 'only root can make it' in ran.stderr, ran


def test_a_full_disk_leaves_no_part_of_a_file(keys, install):
  ran = install(preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)))
  assert (ran.returncode, ran.stdout) == (EX_CANTCREAT, ''), ran
  assert ran.stderr == f'lmtpq: {keys.file}: nothing was changed: File too large\n'
  assert os.listdir(keys.file.parent) == []
  assert install().returncode == 0


# trap: link-on-the-way
@pytest.mark.parametrize('target', ['{place}/made', '{place}/theirs'])
def test_a_link_of_another_user_is_not_followed(keys, install, target):
  keys.file.parent.mkdir()
  theirs = keys.place / 'theirs'
  theirs.write_text('a MDEyMzQ1Njc4OWFiY2RlZg==\n')
  theirs.chmod(0o640)
  os.chown(theirs, 0, NUMBER)
  keys.file.symlink_to(target.format(place=keys.place))
  for path in (keys.file.parent, keys.file):
    os.lchown(path, pwd.getpwnam(OTHER).pw_uid, -1)
  ran = install()
  assert ran.returncode == EX_CONFIG, ran
  assert f'{keys.file}: is a symbolic link of the user {OTHER}; remove it' in ran.stderr, ran
  assert not (keys.place / 'made').exists()
  # On the way to it.
  link = keys.place / 'way'
  link.symlink_to(keys.place)
  os.lchown(link, pwd.getpwnam(OTHER).pw_uid, -1)
  ran = install(link / 'etc2/tag.keys')
  assert ran.returncode == EX_CONFIG and 'a symbolic link of another user' in ran.stderr, ran
  assert not (keys.place / 'etc2').exists()


def test_of_several_at_once_one_makes_it(keys, accounts):
  keys.file.parent.mkdir()
  words = [*accounts.before, keys.program, 'keygen', '--install', keys.file]
  running = [subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
             for _ in range(8)]
  said = [child.communicate(timeout=LIMIT) for child in running]
  made = [out for out, _ in said if ': made, ' in out]
  assert len(made) == 1, said
  for child, (out, error) in zip(running, said):
    assert (child.returncode == 0 and 'can read it, ok' in out) or (
        child.returncode == EX_CONFIG and 'another process changes a key file' in error), said
  assert len(keys.ids()) == 2 and os.listdir(keys.file.parent) == ['tag.keys']


class TestAKeyThatCannotBeRead:
  """Mail waits, and the error says what to do."""

  @pytest.fixture
  def conf(self, keys):
    made = keys.place / 'conf'
    made.write_text(f'tag-keys = {keys.file}\nlog = stderr\n')
    return made

  def relay(self, keys, conf, *user) -> subprocess.CompletedProcess:
    return subprocess.run([*user, keys.program, 'relay', f'--config={conf}', 'unix:/nowhere'],
                          capture_output=True, text=True, timeout=LIMIT, input='LHLO a\r\nQUIT\r\n')

  def test_by_relay_as_another_user(self, keys, install, conf):
    assert install().returncode == 0
    ran = self.relay(keys, conf, 'setpriv', '--reuid', 'cyrus', '--regid', 'mail', '--clear-groups')
    assert ran.returncode == 75, ran
    assert ran.stdout.startswith('4') and len(ran.stdout.splitlines()) == 1, ran
    for text in (ran.stdout, ran.stderr):
      assert f'{keys.file}: Permission denied as user cyrus; let a group of this user' in text, ran

  def test_by_deliver(self, keys, install, conf):
    assert install().returncode == 0
    ran = subprocess.run(
        ['setpriv', '--reuid', 'cyrus', '--regid', 'mail', '--clear-groups', keys.program, 'deliver',
         f'--config={conf}', '-d', 'unix:/nowhere', '-f', 'a@b', 'bob'], capture_output=True,
        text=True, timeout=LIMIT, input='Subject: x\n\nbody\n')
    assert ran.returncode == 75 and 'Permission denied as user cyrus' in ran.stderr, ran

  def test_because_there_is_none(self, keys, conf):
    ran = self.relay(keys, conf)
    assert ran.returncode == 75 and ran.stdout.startswith('4'), ran
    assert f'{keys.file}: No such file or directory; create it' in ran.stdout, ran

  def test_by_the_units(self, keys, accounts, conf):
    keys.make('a MDEyMzQ1Njc4OWFiY2RlZg==\n')
    for program, *words in ((keys.milter, '--foreground', f'--socket=unix:{keys.place}/s'),
                            (keys.program, 'serve', '--listen', f'unix:{keys.place}/s',
                             'unix:/nowhere')):
      ran = subprocess.run([*accounts.as_user, program, *words, f'--config={conf}'],
                           capture_output=True, text=True, timeout=LIMIT)
      assert ran.returncode == EX_CONFIG, ran
      assert f'{keys.file}: Permission denied as user lmtpq; let a group' in ran.stderr, ran
      assert not (keys.place / 's').exists()

"""`lmtpq check --queue`: counts the messages in a queue of Sendmail, and those with a tag."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

EX_IOERR = 74
PLAIN = ('V8\nT1795262400\nK0\nN0\nP30283\nFbs8\n$_localhost [127.0.0.1]\nS<a@mail.test>\n'
         'RPFD:<bob@mail.test>\nH?P?Return-Path: <a>\nH??Received: from h\n\tby m; date\n')
TAGGED = PLAIN + 'H??X-LMTPQ-Tag: v=1;k=k1;t=1-a;q=*;\n\tx=1;b=x\n'


@pytest.fixture
def queue(scratch, request) -> Path:
  return scratch.folder(f'q{abs(hash(request.node.name)) % 10**8}')


def put(folder: Path, *names: str, text: str = PLAIN) -> None:
  folder.mkdir(exist_ok=True)
  for name in names:
    (folder / name).write_text(text + '.\n')


def check(lmtpq, queue, **how) -> subprocess.CompletedProcess:
  return subprocess.run([lmtpq, 'check', '--queue', queue], capture_output=True, text=True, timeout=60,
                        **how)


def counted(lmtpq, queue) -> tuple[int, str]:
  ran = check(lmtpq, queue)
  assert ran.stderr == '', ran
  return ran.returncode, ran.stdout.removeprefix(f'{queue}: ').strip()


def test_messages_are_counted_and_those_with_a_tag(lmtpq, queue):
  assert counted(lmtpq, queue) == (0, '0 messages wait, 0 of them with a tag')
  put(queue, 'qfA')
  assert counted(lmtpq, queue) == (0, '1 message waits, 0 of them with a tag')
  put(queue, 'qfB', 'hfC', text=TAGGED)
  assert counted(lmtpq, queue) == (1, '3 messages wait, 2 of them with a tag')


def test_only_files_with_an_envelope_are_read(lmtpq, queue):
  put(queue, 'qfA')
  put(queue, 'dfA', 'xfA', 'tfB', 'QfC', 'qf', '.qfD', 'other', text=TAGGED)
  assert counted(lmtpq, queue) == (0, '1 message waits, 0 of them with a tag')


def test_queue_groups_and_their_folders_are_part_of_the_queue(lmtpq, queue):
  put(queue / 'q1', 'qfA', text=TAGGED)
  put(queue / 'q2', 'qfA')
  put(queue / 'q2' / 'qf', 'qfB', text=TAGGED)
  put(queue / 'q2' / 'df', 'qfB', text=TAGGED)
  put(queue / 'q2' / 'xf', 'qfB', text=TAGGED)
  put(queue / 'q2' / 'qf' / 'deeper', 'qfB', text=TAGGED)
  put(queue / '.hidden', 'qfB', text=TAGGED)
  assert counted(lmtpq, queue) == (1, '3 messages wait, 2 of them with a tag')


def test_no_link_is_followed(lmtpq, queue, scratch):
  put(queue.with_name(f'{queue.name}-other'), 'qfA', text=TAGGED)
  other = queue.with_name(f'{queue.name}-other')
  (queue / 'qfA').symlink_to(other / 'qfA')
  (queue / 'q1').symlink_to(other)
  os.mkfifo(queue / 'qfF')
  (queue / 'qfD').mkdir()
  assert counted(lmtpq, queue) == (0, '0 messages wait, 0 of them with a tag')


def test_a_folder_that_is_missing_or_not_readable_is_an_error(lmtpq, queue):
  ran = check(lmtpq, queue / 'none')
  assert ran.returncode == EX_IOERR and 'none: No such file or directory' in ran.stderr, ran


@pytest.mark.may_skip('only root')
@pytest.mark.skipif(os.geteuid() != 0, reason='only root can do this')
def test_a_count_that_is_not_complete_says_so(everyones, queue):
  put(queue, 'qfA', text=TAGGED)
  put(queue, 'qfB')
  (queue / 'qfA').chmod(0o600)
  other = {'user': 65534, 'group': 65534, 'extra_groups': []}
  ran = check(everyones, queue, **other)
  assert ran.returncode == EX_IOERR, ran
  assert ran.stderr == f'lmtpq: {queue}/qfA: Permission denied as user nobody; run as root\n', ran
  assert ran.stdout.startswith(f'{queue}: 1 message waits, 0 of them with a tag, and more may be'), ran
  (queue / 'qfA').chmod(0o644)
  put(queue / 'q1', 'qfC')
  (queue / 'q1').chmod(0o700)
  ran = check(everyones, queue, **other)
  assert ran.returncode == EX_IOERR, ran
  assert ran.stderr == f'lmtpq: {queue}/q1: Permission denied as user nobody; run as root\n', ran
  assert ran.stdout.startswith(f'{queue}: 2 messages wait, 1 of them with a tag, and more may be'), ran
  queue.chmod(0o700)
  ran = check(everyones, queue, **other)
  assert ran.returncode == EX_IOERR and f'{queue}: Permission denied' in ran.stderr, ran


def test_a_queue_that_drains_meets_no_error(lmtpq, queue):
  """Files vanish between the look at the folder and the look at them."""
  put(queue, *(f'qf{number:05}' for number in range(3000)), text=TAGGED)
  child = os.fork()
  if child == 0:
    for number in range(3000):
      (queue / f'qf{number:05}').unlink()
    os._exit(0)
  try:
    for _ in range(5):
      ran = check(lmtpq, queue)
      assert ran.stderr == '' and ran.returncode in (0, 1), ran
  finally:
    os.waitpid(child, 0)
  assert counted(lmtpq, queue) == (0, '0 messages wait, 0 of them with a tag')


# The kernel counts the memory of the process that starts another one too, so that one is small.
PEAK = """import resource, subprocess, sys
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def test_memory_does_not_grow_with_the_queue(lmtpq, queue):
  def peak() -> int:
    ran = subprocess.run([sys.executable, '-c', PEAK, lmtpq, 'check', '--queue', queue],
                         capture_output=True, text=True, timeout=60)
    return int(ran.stdout)

  put(queue, 'qf1', text=TAGGED)
  before = peak()
  put(queue, *(f'qf{number:05}' for number in range(5000)), text=PLAIN)
  put(queue, 'qfLONG', text='H??A: ' + 20_000_000 * 'x' + '\n')
  assert peak() < before + 4096, before

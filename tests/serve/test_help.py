"""Help, and the version, of every program: nothing else is done, whatever the command line has."""

import subprocess
from pathlib import Path

import pytest

from fixtures import paths

EX_USAGE, EX_TEMPFAIL = 64, 75
COMMANDS = ('relay', 'deliver', 'serve', 'probe', 'check', 'keygen')


@pytest.fixture
def run(lmtpq, scratch):
  """run(*words): what lmtpq does, in an empty folder, with a configuration that is an error."""
  folder = scratch.folder('help')
  (folder / 'bad.conf').write_text('no-such-option = 1\n')

  def runner(*words: str, program: Path = lmtpq, **how) -> subprocess.CompletedProcess:
    if 'input' not in how:
      how['stdin'] = subprocess.DEVNULL
    return subprocess.run([program, *words], capture_output=True, text=True, timeout=60, cwd=folder,
                          check=False, **how)
  return runner


def is_help_of(ran: subprocess.CompletedProcess, start: str) -> bool:
  return ran.returncode == 0 and ran.stdout.startswith(f'usage: {start}') and ran.stderr == ''


def options_in(text: str) -> int:
  return sum(line.lstrip()[:1] == '-' for line in text.splitlines() if line.startswith('  '))


@pytest.mark.parametrize('words', [['-h'], ['--help'], ['help'], ['help', '-h'], ['--help=all']])
def test_help_lists_the_commands(run, words):
  ran = run(*words)
  assert is_help_of(ran, 'lmtpq relay '), ran
  assert not [command for command in COMMANDS if f'lmtpq {command} ' not in ran.stdout], ran


@pytest.mark.parametrize('command', COMMANDS)
def test_help_of_a_command(run, command):
  usual = run('help', command)
  assert is_help_of(usual, f'lmtpq {command}'), usual
  for words in ([command, '-h'], [command, '--help'], ['help', command, '--help']):
    assert run(*words).stdout == usual.stdout, words
  everything = run('help', command, '--help=all')
  assert is_help_of(everything, f'lmtpq {command}'), everything
  assert everything.stdout == run(command, '--help=all').stdout
  if command in ('relay', 'deliver', 'serve', 'probe'):
    assert options_in(usual.stdout) == 10, usual.stdout
    assert options_in(everything.stdout) > 25, everything.stdout
    assert f'lmtpq {command} --help=all' in usual.stdout


@pytest.mark.parametrize('words', [
    ['relay', 'unix:/x', '--help'],
    ['relay', '--config=bad.conf', '--log', 'stderr', 'unix:/x', '-h'],
    ['deliver', '-d', 'unix:/x', '--help'],
    ['deliver', '-d', 'unix:/x', '-f', 'a@b', 'c', '--help'],
    ['serve', '--config=bad.conf', '--listen', 'unix:./x', 'unix:/y', '-h'],
    ['serve', '--status', '--help'],
    ['serve', '--check', '--help'],
    ['probe', '--rcpt', 'bob', 'unix:/x', '--help'],
    ['probe', '--monitor', '--no-such-option', '-h'],
    ['check', '--config=bad.conf', '-h'],
    ['keygen', 'x', '-h']])
def test_help_may_be_anywhere(run, words):
  assert is_help_of(run(*words), f'lmtpq {words[0]}')


def test_help_answers_before_a_client_that_waits(run):
  ran = run('relay', 'unix:/x', '--help', input='LHLO a\r\n')
  assert is_help_of(ran, 'lmtpq relay'), ran


def test_a_recipient_that_looks_like_help_does_not_discard_the_message(run):
  for words in (['-f', 'a@b', '-h'], ['--sender=a@b', '--help'], ['--help=all', '-fa@b']):
    ran = run('deliver', '-d', 'unix:/nowhere', *words, input='Subject: x\n\nbody\n')
    assert ran.returncode == EX_TEMPFAIL, (words, ran)
    assert '--help must be the first argument' in ran.stderr, (words, ran)


def test_where_there_is_no_message_help_may_come_after_the_sender(run):
  assert is_help_of(run('deliver', '-d', 'unix:/nowhere', '--help', input='no sender\n'), 'lmtpq deliver')
  assert is_help_of(run('deliver', '-f', 'a@b', '--help'), 'lmtpq deliver')  # of /dev/null


def test_a_value_that_looks_like_help_is_a_value(run):
  ran = run('probe', '--rcpt', '--help', 'unix:/nowhere')
  assert ran.returncode == 69 and 'usage' not in ran.stdout, ran
  ran = run('deliver', '-d', 'unix:/nowhere', '-f', 'a@b', '--', '--help', input='x\n')
  assert ran.returncode == EX_TEMPFAIL and '--help: ' in ran.stdout, ran


def test_help_about_what_there_is_not_is_one_error(run):
  for words in (['help', 'bogus'], ['help', 'relay', 'serve']):
    ran = run(*words)
    assert (ran.returncode, ran.stdout) == (EX_USAGE, ''), ran
    assert len(ran.stderr.splitlines()) == 1, ran
  assert 'unknown command bogus; expected relay, ' in run('help', 'bogus').stderr


def test_without_a_command_it_is_a_mistake_that_may_have_been_for_a_message(run):
  ran = run()
  assert (ran.returncode, ran.stdout) == (EX_TEMPFAIL, ''), ran
  assert ran.stderr.startswith('usage: lmtpq relay '), ran
  assert run('bogus').returncode == EX_TEMPFAIL


@pytest.mark.parametrize('words', [['-h'], ['--help'], ['--config', 'bad.conf', '--check', '-h'],
                                   ['--explain', '--rcpt', 'bob', '--help']])
def test_help_of_the_milter(run, words):
  ran = run(*words, program=paths.program('LMTPQ_MILTER'))
  assert is_help_of(ran, 'lmtpq-milter '), ran
  assert options_in(ran.stdout) == 10, ran.stdout
  everything = run(*words[:-1], '--help=all', program=paths.program('LMTPQ_MILTER'))
  assert is_help_of(everything, 'lmtpq-milter '), everything
  assert options_in(everything.stdout) > 20, everything.stdout


def test_every_program_has_the_version_of_the_source(run, lmtpq):
  for program, words in ((lmtpq, []), *((lmtpq, [name]) for name in COMMANDS if name != 'keygen'),
                         (lmtpq.parent / 'lmtpq-serve', []), (paths.program('LMTPQ_MILTER'), [])):
    name = 'lmtpq-milter' if program == paths.program('LMTPQ_MILTER') else 'lmtpq'
    shown = run(*words, '--version', program=program).stdout
    assert shown.startswith(f'{name} {paths.VERSION}\n'), (program, words, shown)


# trap: output-is-lost
@pytest.mark.parametrize('words', ['keygen', '--help', '--version', 'help probe', 'probe --version',
                                   'deliver --help', 'serve --help', 'serve --version', 'check --help',
                                   'check --version'])
def test_a_command_whose_output_is_lost_fails(lmtpq, words):
  for lost in ('>/dev/full', '>&-'):
    ran = subprocess.run(['sh', '-c', f'exec "$0" {words} {lost}', lmtpq], stderr=subprocess.PIPE,
                         text=True, timeout=60)
    assert ran.returncode == 74 and 'cannot write to standard output' in ran.stderr, (lost, ran)


def test_a_relay_whose_replies_are_lost_defers(lmtpq, scratch):
  log = scratch.folder('relay') / 'log'
  for lost, why in (('>/dev/full', 'takes no replies'), ('>&-', 'is closed')):
    ran = subprocess.run(['sh', '-c', f'exec "$0" relay --config /dev/null --tag-keys none --log {log} '
                          f'unix:/nowhere {lost}', lmtpq], stdin=subprocess.DEVNULL, timeout=60)
    assert ran.returncode == 75, (lost, ran)
    assert f'error="standard output {why}' in log.read_text(), lost

"""lmtpq probe: its time limit, and its line for a monitoring system."""

import os
import re
import socket
import subprocess
import time

import pytest

EX_USAGE, EX_UNAVAILABLE, EX_PROTOCOL = 64, 69, 76
OK, WARNING, CRITICAL, UNKNOWN = range(4)
FULL = '452 4.2.2 Over quota|time=9s \x1b[2J'


@pytest.fixture
def probe(lmtpq, scratch):
  """probe(*words): what lmtpq probe says, without the settings of this machine."""
  config = scratch.folder('probe') / 'lmtpq.conf'
  config.touch()

  def run(*words: str) -> subprocess.CompletedProcess:
    return subprocess.run([lmtpq, 'probe', f'--config={config}', '--log=stderr', *words],
                          capture_output=True, text=True, timeout=60, check=False,
                          stdin=subprocess.DEVNULL)
  return run


@pytest.fixture
def silent(scratch):
  """The address of a store that takes connections and says nothing."""
  path = scratch.folder('silent') / 'store'
  with socket.socket(socket.AF_UNIX) as listening:
    listening.bind(str(path))
    listening.listen()
    yield f'unix:{path}'


@pytest.fixture
def store(new_relay):
  return new_relay()[1]


def monitored(ran: subprocess.CompletedProcess) -> tuple[int, str]:
  """The status and the line, of which there is one."""
  assert ran.stdout.endswith('\n') and ran.stdout.count('\n') == 1, ran
  return ran.returncode, ran.stdout.rstrip('\n')


def test_a_store_that_never_answers_ends_the_probe(probe, silent):
  ran = probe('--timeout=300ms', silent)
  assert (ran.returncode, ran.stdout) == (EX_UNAVAILABLE, ''), ran
  assert 'not done within 0.3 s (--timeout)' in ran.stderr, ran


def test_the_limit_is_ten_seconds(probe, silent):
  began = time.monotonic()
  ran = probe(silent)
  assert ran.returncode == EX_UNAVAILABLE and 'not done within 10 s' in ran.stderr, ran
  assert time.monotonic() - began < 50  # the limits of the stages are minutes


def test_a_store_that_stops_answering_ends_the_probe(probe, store):
  def stall(_, line):
    if line.startswith('RCPT'):
      store.over.wait(30)
    return ''
  store.at_command = stall
  ran = probe('--timeout=2s', '--rcpt=bob', store.address)
  assert ran.returncode == EX_UNAVAILABLE, ran
  assert 'not done within 2 s (--timeout)' in ran.stderr, ran


def test_what_knows_no_deadline_is_ended_too(probe, store, scratch, monkeypatch):
  """A file of OpenSSL that nobody can finish reading, as on a file server that hangs."""
  pipe = scratch.folder('pipe') / 'openssl.cnf'
  os.mkfifo(pipe)
  monkeypatch.setenv('OPENSSL_CONF', str(pipe))
  store.offers = ('PIPELINING', 'STARTTLS')
  store.at_command = lambda _, line: '220 go ahead' if line == 'STARTTLS' else ''
  for form, status, where in (([], EX_UNAVAILABLE, 'stderr'), (['--monitor'], CRITICAL, 'stdout'),
                              (['--json'], EX_UNAVAILABLE, 'stdout')):
    ran = probe('--timeout=100ms', '--tls=verify', '--tls-name=store.test', *form, store.address)
    assert ran.returncode == status, ran
    assert 'not done within 0.1 s (--timeout)' in getattr(ran, where), ran


def test_monitor_of_a_store_that_works_is_ok(probe, store):
  status, line = monitored(probe('--monitor', '--rcpt=bob', store.address))
  assert status == OK, line
  start, _, figures = line.partition(' | ')
  assert start.startswith(f'LMTPQ OK - {store.address} answers in '), line
  assert start.endswith(' ms, no TLS, bob is below quota'), line
  assert re.fullmatch(r'time=\d+\.\d{3}s;;;0', figures), line


def test_monitor_needs_no_extensions_unless_they_are_asked_for(probe, store):
  store.offers = ('8BITMIME', 'PIPELINING')
  assert monitored(probe('--monitor', store.address))[0] == OK
  status, line = monitored(probe('--monitor', '--require=ignorequota', store.address))
  assert status == CRITICAL, line
  assert line.startswith('LMTPQ CRITICAL - the store does not offer IGNOREQUOTA'), line
  ran = probe('--require=IGNOREQUOTA', store.address)
  assert ran.returncode == EX_PROTOCOL and 'does not offer IGNOREQUOTA' in ran.stderr, ran


def test_monitor_of_a_mailbox_over_quota_is_a_warning_in_plain_text(probe, store):
  store.at_rcpt = lambda _: FULL
  status, line = monitored(probe('--monitor', '--rcpt=bob', store.address))
  assert status == WARNING, line
  assert line.startswith('LMTPQ WARNING - bob is over quota: 452 4.2.2 Over quota'), line
  assert line.count('|') == 1 and line.isprintable() and line.isascii(), line


def test_monitor_of_a_store_that_fails_is_critical(probe, store, silent):
  store.greeting = '554 5.3.2 no|service\x07' + 'x' * 5000
  for words, said in (([store.address], 'greeting refused'),
                      (['unix:/nowhere/store'], 'No such file'),
                      (['--timeout=200ms', silent], 'not done within 0.2 s')):
    status, line = monitored(probe('--monitor', *words))
    assert status == CRITICAL and line.startswith('LMTPQ CRITICAL - '), line
    assert said in line and '|' not in line, line
    assert line.isprintable() and line.isascii() and len(line) < 2000, line


def test_monitor_of_an_error_of_ours_is_unknown(probe, store, scratch):
  nothing = scratch.folder('none') / 'none.pem'
  store.offers = ('PIPELINING', 'STARTTLS')
  for words in (['--no-such-option', store.address], [], ['--rcpt=<>>', store.address],
                ['--json', store.address], ['--tls=verify', store.address],
                ['--tls=encrypt', f'--tls-ca-file={nothing}', store.address]):
    status, line = monitored(probe('--monitor', *words))
    assert status == UNKNOWN and line.startswith('LMTPQ UNKNOWN - '), (words, line)
  assert probe('--no-such-option', store.address).returncode == EX_USAGE

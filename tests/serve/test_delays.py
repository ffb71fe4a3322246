"""delays= in event=delivery: the time from the client's MAIL to the outcome, by stage."""

import re
import ssl
import time

import pytest

from .daemon import FRONT, Daemon, all_start

STAGES = ('read', 'queue', 'connect', 'lhlo', 'tls', 'auth', 'envelope', 'data', 'reply')
SLOW = 1.0


def delays(daemon: Daemon, user: str) -> dict[str, float]:
  lines = re.findall(rf'event=delivery .* to=<{user}@\S* .* delays=(\S+)', daemon.process.log_text())
  figures = lines[-1].split('/')
  assert all(re.fullmatch(r'\d+\.\d{3}', figure) for figure in figures), figures
  return dict(zip(STAGES, map(float, figures), strict=True))


def slow_at(verb: str):
  def at_command(_, line):
    if line.startswith(verb):
      time.sleep(SLOW)
    return ''
  return at_command


def assert_slow(spent: dict[str, float], stage: str, took: float):
  """One stage has the time; the others together only what the machine needed besides."""
  assert spent[stage] >= SLOW - 0.01, spent
  assert sum(spent.values()) <= took + 0.01, (spent, took)


@pytest.mark.parametrize('verb, stage', [
    ('LHLO', 'lhlo'), ('MAIL', 'envelope'), ('RCPT', 'envelope'), ('DATA', 'envelope')])
def test_a_slow_reply_is_in_its_stage(daemon, verb, stage):
  daemon.store.at_command = slow_at(verb)
  began = time.monotonic()
  all_start(daemon.deliver('bob'), '250')
  assert_slow(delays(daemon, 'bob'), stage, time.monotonic() - began)


@pytest.fixture
def secured(new_daemon, certificates) -> Daemon:
  """Its store has TLS, and a login by PLAIN."""
  daemon = new_daemon('tls = encrypt\nauth-user = mx\nauth-mechanisms = PLAIN\n'
                      'auth-password-file = {folder}/passwords\n', start=False)
  passwords = daemon.folder / 'passwords'
  passwords.write_text(f'{daemon.store.address} mx:secret\n')
  passwords.chmod(0o600)
  daemon.store.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
  daemon.store.tls.load_cert_chain(certificates.path('good.pem'), certificates.key_of('good'))
  daemon.store.offers = ('PIPELINING', 'STARTTLS', 'AUTH PLAIN')
  daemon.store.at_command = lambda _, line: '235 2.7.0 ok' if line.startswith('AUTH') else ''
  daemon.process.start()
  return daemon


def test_a_slow_handshake_is_in_tls(secured):
  secured.store.before_handshake = lambda: time.sleep(SLOW)
  began = time.monotonic()
  all_start(secured.deliver('bob'), '250')
  assert_slow(delays(secured, 'bob'), 'tls', time.monotonic() - began)
  assert 'auth=PLAIN' in secured.process.log_text()


def test_a_slow_login_is_in_auth(secured):
  secured.store.at_command = (
      lambda _, line: (time.sleep(SLOW) or '235 2.7.0 ok') if line.startswith('AUTH') else '')
  began = time.monotonic()
  all_start(secured.deliver('bob'), '250')
  assert_slow(delays(secured, 'bob'), 'auth', time.monotonic() - began)


def test_a_slow_final_reply_is_in_reply(daemon):
  daemon.store.at_final = lambda _: time.sleep(SLOW) or ''
  began = time.monotonic()
  all_start(daemon.deliver('bob'), '250')
  assert_slow(delays(daemon, 'bob'), 'reply', time.monotonic() - began)


def test_a_slow_client_is_in_read(daemon):
  with daemon.dial() as client:
    began = time.monotonic()
    client.ask('MAIL FROM:<a@mail.test>')
    client.ask('RCPT TO:<bob@store.test>')
    time.sleep(SLOW)
    client.ask('DATA')
    client.send(b'Subject: x\r\n\r\n.\r\n')
    assert client.reply().startswith('250')
  assert_slow(delays(daemon, 'bob'), 'read', time.monotonic() - began)


def test_a_wait_for_a_connection_is_in_queue(new_daemon):
  daemon = new_daemon('connections = 1\n')
  held = daemon.held('first')
  began = time.monotonic()
  waiting = daemon.in_background('bob')
  daemon.wait_for_waiting(for_connections=1)
  time.sleep(SLOW)
  daemon.store.hold.set()
  all_start(held.end() + waiting.end(), '250')
  assert_slow(delays(daemon, 'bob'), 'queue', time.monotonic() - began)


def test_the_time_that_a_dead_connection_cost_is_in_delays_and_in_the_log(new_daemon):
  """A firewall has forgotten the connection: RSET is never answered."""
  daemon = new_daemon(f'rset-timeout = {SLOW * 1000:.0f}ms\n')
  all_start(daemon.deliver(), '250')
  old = daemon.store.connections[0]
  daemon.store.at_command = lambda connection, _: daemon.store.over.wait() and '' if connection is old else ''
  began = time.monotonic()
  all_start(daemon.deliver('bob'), '250')
  assert_slow(delays(daemon, 'bob'), 'envelope', time.monotonic() - began)
  line, = re.findall('event=connection-lost .*', daemon.process.log_text())
  spent = re.search(r' qid=q\S+ destination=unix:\S+ relay=unix:\S+ idle=\d+\.\ds spent=(\d+\.\d)s conn-use=2 '
                    r'error="timed out before the reply to RSET"', line)
  assert spent and float(spent[1]) >= SLOW - 0.1, line
  assert 'event=store-failed' not in daemon.process.log_text()


def test_the_time_of_a_store_that_failed_before_is_in_delays(new_daemon):
  daemon = new_daemon(start=False)
  first = daemon.another_store('slow')
  daemon.process.write(daemon.filled(f'destination = {first.address}, {{store}}\n{FRONT}'))
  daemon.process.start()
  first.at_command = lambda connection, line: line.startswith('LHLO') and time.sleep(SLOW) or '421 4.3.2 no'
  began = time.monotonic()
  all_start(daemon.deliver('bob'), '250')
  assert_slow(delays(daemon, 'bob'), 'lhlo', time.monotonic() - began)
  assert daemon.store.boxes() == ['bob'] and not first.filed


def test_the_sum_is_the_time_from_mail_to_the_reply(daemon):
  def slow(_, line):
    time.sleep(0.1 if line.split(' ')[0] in ('LHLO', 'RCPT', 'DATA') else 0)
    return ''
  daemon.store.at_command = slow
  daemon.store.at_final = lambda _: time.sleep(0.1) or ''
  began = time.monotonic()
  all_start(daemon.deliver('u1', 'u2', 'u3'), '250')
  took = time.monotonic() - began
  # LHLO, three RCPT and DATA; each recipient's reply goes out when it is there.
  for user, least in (('u1', 0.6), ('u2', 0.7), ('u3', 0.8)):
    total = sum(delays(daemon, user).values())
    assert least - 0.01 <= total <= took + 0.01, (user, delays(daemon, user), took)

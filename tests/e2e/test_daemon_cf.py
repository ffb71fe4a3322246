"""Sendmail dials lmtpq serve as cf/mailer/lmtpq.m4 has it with LMTPQ_DAEMON: two listeners for two
mailers, one connection a queue run, and nothing lost when the daemon is away, ends or is restarted.

The daemon runs under what dist/systemd/lmtpq.service forbids; a sanitizer build needs more of the
kernel, and does not."""

import os
import shutil
import socket
import subprocess
import threading
import time
from collections import Counter
from pathlib import Path

from fixtures import mailers
from fixtures.case import MailCase
from fixtures.cyrus import Cyrus
from fixtures.lmtp_store import fields_of
from fixtures.mailers import ROOT
from fixtures.messages import message, message_id
from fixtures.process import HasServer, Server, open_files, wait_until
from fixtures.scratch import Scratch
from fixtures.secure_case import PASSWORD, USER, Secured
from fixtures.sendmail import Sendmail
from fixtures.tag_case import NOTICES, TagCase
from fixtures.milter import Milter, filter_lines

UNIT = ROOT / 'dist/systemd/lmtpq.service'
ACCOUNT = 'nobody'  # stands for lmtpq, which need not exist here

CONF = """destination = @STORE@
log = @DIR@/serve.log
control = @DIR@/control
spool-dir = @DIR@
tag-keys = none
@OPTIONS@

[listener.lmtp]
address = unix:@DIR@/lmtp

[listener.lmtpq]
address = unix:@DIR@/lmtpq
ignore-quota = always
"""


def program_in(scratch: Scratch) -> Path:
  """lmtpq, with lmtpq-serve beside it."""
  shutil.copy(mailers.LMTPQ.with_name('lmtpq-serve'), scratch.path)
  return mailers.in_reach(scratch)


class Daemon(HasServer):
  """lmtpq serve with one listener for each of the two mailers."""

  def __init__(self, scratch: Scratch, name: str, store: str, options: str = ''):
    self.dir = scratch.folder(name)
    shutil.chown(self.dir, ACCOUNT)
    self.log = self.dir / 'serve.log'
    self.conf = self.dir / 'lmtpq.conf'
    self.conf.write_text(CONF.replace('@STORE@', store).replace('@OPTIONS@', options)
                         .replace('@DIR@', str(self.dir)))
    program = program_in(scratch)
    self.command = [program, 'serve', '--config', self.conf]
    if b'__asan_init' in program.read_bytes() or b'__tsan_init' in program.read_bytes():
      self.command += ['--user', ACCOUNT]
    else:
      self.command = [ROOT / 'tests/dist/under_unit', UNIT, ACCOUNT, '--', *self.command]
    self.environment = os.environ | {
        name: f'log_path={scratch.path}/sanitizer/report:{os.environ.get(name, "")}'
        for name in ('ASAN_OPTIONS', 'UBSAN_OPTIONS', 'TSAN_OPTIONS')}

  def start(self):
    before = len(self.lines('event=serving'))
    self.server = Server(self.command, self.dir / 'serve.out', self.environment)
    self.server.wait_ready(lambda: len(self.lines('event=serving')) > before, 'the daemon serves')

  def lines(self, having: str = '') -> list[dict[str, str]]:
    text = self.log.read_text(errors='replace') if self.log.exists() else ''
    return [fields_of(line) for line in text.splitlines() if having in line]

  def mailer_lines(self, door: str = '') -> str:
    """For an .mc file; door: another socket for cyrusv2."""
    return (f"define(`LMTPQ_DAEMON', `{door or self.dir / 'lmtp'}')\n"
            f"define(`LMTPQ_QUOTA_DAEMON', `{self.dir}/lmtpq')\n"
            f"PUSHDIVERT(7)include(`{ROOT}/cf/mailer/lmtpq.m4')POPDIVERT\n")


class CountingDoor:
  """A socket in front of another, which counts who comes."""

  def __init__(self, path: Path, behind: Path):
    self.behind = behind
    self.connections = 0
    self.listener = socket.socket(socket.AF_UNIX)
    self.listener.bind(str(path))
    self.listener.listen()
    threading.Thread(target=self.run, daemon=True).start()

  def run(self):
    while True:
      client, _ = self.listener.accept()
      self.connections += 1
      server = socket.socket(socket.AF_UNIX)
      server.connect(str(self.behind))
      for source, sink in ((client, server), (server, client)):
        threading.Thread(target=self.pump, args=(source, sink), daemon=True).start()

  @staticmethod
  def pump(source: socket.socket, sink: socket.socket):
    try:
      while data := source.recv(65536):
        sink.sendall(data)
      sink.shutdown(socket.SHUT_WR)
    except OSError:
      pass  # one of both has gone


class DaemonCase(MailCase):
  def setUp(self):
    super().setUp()
    self.daemon: Daemon | None = None

  def tearDown(self):
    try:
      super().tearDown()
    finally:
      if self.daemon:
        self.daemon.stop()

  def with_daemon(self, options: str = '', mc_options: str = '', store: str = '',
                  start: bool = True, **more) -> Sendmail:
    self.daemon = Daemon(self.scratch, f'daemon{self.number}', store or self.store.address, options)
    if start:
      self.daemon.start()
    return self.with_mailers(self.daemon.mailer_lines(**more), mc_options)

  def send_many(self, count: int, user: str, **more) -> dict[str, str]:
    """Queue id -> Message-ID."""
    raws = [message(b'number %d\r\n' % number) for number in range(count)]
    return {self.send(raw, user, **more): message_id(raw) for raw in raws}

  def sockets_of_daemon(self) -> int:
    return sum(name.startswith('socket:') for name in open_files(self.daemon.server.pid))

  def recipient_lines(self, qid: str) -> list[dict[str, str]]:
    return [line for line in self.daemon.lines(f'qid={qid} ') if 'to' in line]

  def assert_filed_once(self, user: str, sent: dict[str, str]):
    filed = Counter(self.store.message_ids(user))
    self.assertEqual(set(filed), set(sent.values()), 'nothing is lost, nothing is foreign')
    self.assertEqual([identity for identity, times in filed.items() if times > 1], [])


class DaemonForSendmail(DaemonCase):
  make_store = Cyrus
  weight = 3

  def test_both_mailers_deliver_and_only_cyrusv2q_ignores_the_quota(self):
    self.with_daemon()
    user, full = self.mailbox('alice'), self.full_mailbox()
    plain = self.send_many(1, user)
    refused = self.send_many(1, full)
    notice = self.send_many(1, full, domain='quota.test')
    self.sendmail.run_queue()
    for qid in plain:
      self.assert_sent(qid, user)
    for qid in refused:
      self.assert_deferred(qid, full, '4.2.2', self.store.over_quota)
    for qid in notice:
      self.assert_sent(qid, full)
      self.assertEqual([line['ignorequota'] for line in self.recipient_lines(qid)], ['sent'])
    self.assert_filed_once(user, plain)
    self.assert_filed_once(full, notice)

  def test_a_queue_run_of_20_messages_is_one_client_and_one_connection_to_the_store(self):
    self.with_daemon(door=str(self.scratch.path / f'door{self.number}'))
    door = CountingDoor(self.scratch.path / f'door{self.number}', self.daemon.dir / 'lmtp')
    user = self.mailbox('alice')
    sent = self.send_many(20, user)
    self.sendmail.run_queue()
    self.assert_queue_empty()
    self.assert_filed_once(user, sent)
    self.assertEqual(door.connections, 1)
    uses = sorted(int(line['conn_use']) for qid in sent for line in self.recipient_lines(qid))
    self.assertEqual(uses, list(range(1, 21)))

  def test_the_next_queue_run_finds_the_connection_of_the_last_one(self):
    self.with_daemon()
    user = self.mailbox('alice')
    uses = []
    for _ in range(3):
      [qid] = self.send_many(1, user)
      self.sendmail.run_queue()
      uses += [int(line['conn_use']) for line in self.recipient_lines(qid)]
    self.assertEqual(uses, [1, 2, 3])

  def test_a_bounce_and_recipients_of_other_hosts_have_transactions_of_their_own(self):
    self.with_daemon()
    user, other = self.mailbox('alice'), self.mailbox('bob')
    raw = message()
    qid = self.sendmail.submit(raw, f'{user}@store.test', f'{other}@mail.test',
                               f'nobody{self.number}@store.test', sender=self.sender)
    self.sendmail.run_queue()
    for name in (user, other):
      self.assertEqual(self.store.message_ids(name), [message_id(raw)])
    self.assert_bounced(qid, f'nobody{self.number}', '5.1.1', 'Mailbox unknown')
    self.assert_queue_empty()

  def test_a_message_with_dots_and_more_than_the_spool_s_edge_arrives_as_it_is(self):
    self.with_daemon()
    user = self.mailbox('alice')
    body = b'.\r\n..\r\n.x\r\n' * 50_000
    self.send(message(body), user)
    self.sendmail.run_queue()
    [raw] = self.store.messages(user)
    self.assertTrue(raw.endswith(b'\r\n\r\n' + body))

  def test_mail_waits_for_a_daemon_that_does_not_run(self):
    self.with_daemon(start=False)
    user = self.mailbox('alice')
    self.assert_waits_for_the_daemon(user, self.send_many(3, user))

  def assert_waits_for_the_daemon(self, user, sent):
    self.sendmail.run_queue()
    for qid in sent:
      self.assert_deferred(qid, user, '4.')
    self.daemon.start()
    self.sendmail.run_queue()
    self.assert_queue_empty()
    self.assert_filed_once(user, sent)

  def test_mail_waits_for_a_daemon_that_was_killed_and_has_left_its_socket(self):
    self.with_daemon()
    self.daemon.kill()
    self.assertTrue((self.daemon.dir / 'lmtp').is_socket())
    user = self.mailbox('alice')
    self.assert_waits_for_the_daemon(user, self.send_many(1, user))

  def test_a_daemon_that_is_told_to_end_in_a_queue_run_loses_and_doubles_nothing(self):
    self.with_daemon()
    user = self.mailbox('alice')
    sent = self.send_many(150, user)
    run = self.sendmail.start_queue_run()
    self.wait_for_log('stat=Sent', 20)
    ended = self.daemon.server.child
    self.daemon.stop()
    wait_until(lambda: run.child.poll() is not None, 'the queue run ends', 60)
    self.assertEqual(ended.returncode, 0)
    self.assertTrue(0 < len(self.sendmail.queued()) < len(sent), 'it ended in the middle')
    self.assertEqual(self.daemon.lines('possible duplicate'), [])
    self.daemon.start()
    self.sendmail.run_queue()
    self.assert_queue_empty()
    self.assert_filed_once(user, sent)

  def test_a_daemon_that_drains_refuses_who_dials_and_takes_its_sockets_away(self):
    self.with_daemon()
    user = self.mailbox('alice')
    sent = self.send_many(1, user)
    self.store.pause()
    self.addCleanup(self.store.resume)
    idle = self.sockets_of_daemon()
    run = self.sendmail.start_queue_run()
    wait_until(lambda: self.sockets_of_daemon() >= idle + 2, 'it has a client, and dials')
    self.daemon.server.child.terminate()
    wait_until(lambda: self.daemon.lines('event=draining'), 'it drains')
    for name in ('lmtp', 'lmtpq'):
      self.assertFalse((self.daemon.dir / name).exists())
    self.store.resume()
    self.assertEqual(self.daemon.server.child.wait(timeout=20), 0)
    wait_until(lambda: run.child.poll() is not None, 'the queue run ends')
    self.assert_queue_empty()
    self.assert_filed_once(user, sent)

  def test_a_daemon_that_is_restarted_behind_its_socket_defers_nothing(self):
    self.with_daemon(start=False)
    doors = [socket.socket(socket.AF_UNIX) for _ in range(2)]
    for door, name in zip(doors, ('lmtp', 'lmtpq')):
      door.bind(str(self.daemon.dir / name))
      door.listen()
      self.addCleanup(door.close)
    user = self.mailbox('alice')
    sent = self.send_many(150, user)
    first = self.start_with(doors)
    run = self.sendmail.start_queue_run()
    self.wait_for_log('stat=Sent', 20)
    first.terminate()
    self.assertEqual(first.wait(timeout=10), 0)
    self.assertIsNone(run.child.poll(), 'the queue run goes on')
    time.sleep(0.2)
    second = self.start_with(doors)
    wait_until(lambda: run.child.poll() is not None, 'the queue run ends', 60)
    second.terminate()
    second.wait(timeout=10)
    self.assert_queue_empty()
    self.assertEqual(self.sendmail.log_lines('Deferred'), [])
    self.assert_filed_once(user, sent)

  def start_with(self, doors: list[socket.socket]) -> subprocess.Popen:
    """As systemd would, for lmtpq.socket: sd_listen_fds(3)."""
    words = ' '.join(f"'{word}'" for word in self.daemon.command)
    moves = ' '.join(f'{3 + at}<&{door.fileno()}' for at, door in enumerate(doors))
    command = f'exec {moves}; LISTEN_FDS={len(doors)} LISTEN_PID=$$ exec {words}'
    child = subprocess.Popen(['bash', '-c', command], pass_fds=[door.fileno() for door in doors],
                             env=self.daemon.environment)
    self.addCleanup(lambda: child.poll() is None and child.kill())
    return child

  def test_warns_at_its_start_and_not_of_clients_that_do_not_wait_for_the_answer_to_quit(self):
    self.with_daemon('spool-dir = /nowhere')
    user = self.mailbox('alice')
    for _ in range(5):
      subprocess.run([mailers.LMTPQ, 'deliver', '--config', '/dev/null', '--log', 'stderr', '-d',
                      f'unix:{self.daemon.dir}/lmtp', '-f', '', user], input=message(), check=True,
                     timeout=30, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    self.assertEqual(len(self.store.messages(user)), 5)
    [warned] = self.daemon.lines('level=warning')
    self.assertEqual((warned['spool-dir'], warned['effect']),
                     ('/nowhere', 'messages over 256 KiB will be deferred'))

  def test_background_delivery_of_many_at_once_is_served_from_few_connections(self):
    self.with_daemon('connections = 3')
    self.sendmail.start('background')
    user = self.mailbox('alice')
    sent = self.send_many(30, user)
    wait_until(lambda: not self.sendmail.queued(), 'all are delivered', 60)
    self.assert_filed_once(user, sent)
    fresh = [line for qid in sent for line in self.recipient_lines(qid) if line['conn_use'] == '1']
    self.assertLessEqual(len(fresh), 3)


class DaemonAndMilter(TagCase, DaemonCase):
  make_store = Cyrus
  weight = 2

  def test_a_tag_of_the_milter_opens_the_quota_through_the_ordinary_listener(self):
    self.milter = Milter(self.scratch, f'milter{self.number}', NOTICES)
    self.milter.start()
    shutil.chown(self.milter.mailer_keys, ACCOUNT)
    self.with_daemon(f'tag-keys = {self.milter.mailer_keys}',
                     mc_options=filter_lines(self.milter.socket))
    full = self.full_mailbox()
    notice = self.notify(f'{full}@store.test')
    other = self.send(message(), full)
    self.sendmail.run_queue()
    self.assert_sent(notice, full)
    self.assert_deferred(other, full, '4.2.2')
    [line] = self.recipient_lines(notice)
    self.assertEqual((line['ignorequota'], line['tag'] != ''), ('sent', True))
    self.assertTrue(line['trace'].startswith(notice))
    self.assert_no_tag_filed(full)


class DaemonToCyrusOverTls(Secured, DaemonCase):
  weight = 2

  def test_logs_in_within_tls_once_for_many_messages(self):
    passwords = self.scratch.path / f'passwords{self.number}'
    passwords.touch(mode=0o600)
    passwords.write_text(f'localhost {USER}:{PASSWORD}\n')
    shutil.chown(passwords, ACCOUNT)
    self.with_daemon('\n'.join([*self.tls(), f'auth-password-file = {passwords}',
                                'auth-mechanisms = SCRAM-SHA-256']), store=self.store.tcp_address)
    user = self.mailbox('alice')
    sent = self.send_many(5, user)
    self.sendmail.run_queue()
    self.assert_queue_empty()
    self.assert_filed_once(user, sent)
    self.assertEqual(self.logins(), [(USER, 'SCRAM-SHA-256+TLS')])
    self.assertEqual(len(self.handshakes()), 1)

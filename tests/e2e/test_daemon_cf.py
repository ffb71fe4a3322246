"""Sendmail dials lmtpq serve as cf/mailer/lmtpq.m4 has it with LMTPQ_DAEMON: two listeners for two
mailers, one connection a queue run, nothing lost when the daemon is down, ends or is restarted."""

import contextlib
import shutil
import signal
import socket
import subprocess
import textwrap
import time

import pytest

from e2e.daemon_mail import ACCOUNT, CountingSocket, Daemon, DaemonMail
from fixtures import mailers
from fixtures.accounts import let_read
from fixtures.authority import Authority
from fixtures.cyrus import Cyrus
from fixtures.lmtp_client import Client
from fixtures.mail import running
from fixtures.messages import message, message_id
from fixtures.milter import Milter, filter_lines, rotate_keys
from fixtures.paths import ROOT, program
from fixtures.process import send_signal, wait_until
from fixtures.scratch import free_port
from fixtures.secure_mail import PASSWORD, USER, CyrusMail, secured_cyrus
from fixtures.tagged_mail import NOTICES, TaggedMail


class TaggedDaemonMail(DaemonMail, TaggedMail):
  pass


class SecureDaemonMail(DaemonMail, CyrusMail):
  pass


@pytest.fixture
def mail(scratch, store):
  with contextlib.closing(DaemonMail(scratch, store)) as one:
    yield one


@pytest.mark.store(kind=Cyrus)
@pytest.mark.weight(3)
class TestDaemonForSendmail:
  def test_both_mailers_deliver_and_only_cyrusv2q_ignores_the_quota(self, mail):
    mail.with_daemon()
    user, full = mail.mailbox('alice'), mail.full_mailbox()
    plain = mail.send_many(1, user)
    refused = mail.send_many(1, full)
    notice = mail.send_many(1, full, domain='quota.test')
    mail.sendmail.run_queue()
    for qid in plain:
      mail.assert_sent(qid, user)
    for qid in refused:
      mail.assert_deferred(qid, full, '4.2.2', mail.store.over_quota)
    for qid in notice:
      mail.assert_sent(qid, full)
      assert [line['ignorequota'] for line in mail.recipient_lines(qid)] == ['sent']
    mail.assert_filed_once(user, plain)
    mail.assert_filed_once(full, notice)

  def test_a_queue_run_of_20_messages_is_one_client_and_one_connection_to_the_store(self, mail):
    path = mail.scratch.path / f'counted{mail.number}'
    mail.with_daemon(socket=str(path))
    counted = CountingSocket(path, mail.daemon.dir / 'lmtp')
    user = mail.mailbox('alice')
    sent = mail.send_many(20, user)
    mail.sendmail.run_queue()
    mail.assert_queue_empty()
    mail.assert_filed_once(user, sent)
    assert counted.connections == 1
    uses = sorted(int(line['conn-use']) for qid in sent for line in mail.recipient_lines(qid))
    assert uses == list(range(1, 21))

  def test_over_tcp_the_stock_mailer_delivers_to_the_listener_of_the_readme(self, mail):
    port = free_port()
    shown = (ROOT / 'cf/README.md').read_text().partition('# lmtpq.conf on that host\n')[2]
    listener = textwrap.dedent(shown.partition('\n\n')[0])
    listener = listener.replace('192.0.2.1:24', f'127.0.0.1:{port}').replace('192.0.2.25', '127.0.0.1')
    mail.daemon = Daemon(mail.scratch, f'daemon{mail.number}', mail.store.address, listener)
    mail.daemon.start()
    mail.with_mailers(mailers.stock(f'inet:[127.0.0.1]:{port}'))
    with Client(f'inet:127.0.0.1:{port}') as client:
      assert '250-PIPELINING' not in client.offers, 'Sendmail must not see it'
      assert {'250-XLMTPQ', '250-LIMITS RCPTMAX=1000'} <= set(client.offers), 'it does not mind these'
    user, other, full = mail.mailbox('alice'), mail.mailbox('bob'), mail.full_mailbox()
    sent = mail.send_many(3, user)
    raw = message()
    qid = mail.sendmail.submit(raw, f'{user}@store.test', f'{full}@store.test', f'{other}@store.test',
                               f'nobody{mail.number}@store.test', sender=mail.sender)
    mail.sendmail.run_queue()
    mail.assert_filed_once(user, sent | {qid: message_id(raw)})
    assert mail.store.message_ids(other) == [message_id(raw)]
    mail.assert_deferred(qid, full, '4.2.2', mail.store.over_quota)
    mail.assert_bounced(qid, f'nobody{mail.number}', '5.1.1', 'Mailbox unknown')

  def test_the_next_queue_run_finds_the_connection_of_the_last_one(self, mail):
    mail.with_daemon()
    user = mail.mailbox('alice')
    uses = []
    for _ in range(3):
      [qid] = mail.send_many(1, user)
      mail.sendmail.run_queue()
      uses += [int(line['conn-use']) for line in mail.recipient_lines(qid)]
    assert uses == [1, 2, 3]

  def test_a_bounce_and_recipients_of_other_hosts_have_separate_transactions(self, mail):
    mail.with_daemon()
    user, other = mail.mailbox('alice'), mail.mailbox('bob')
    raw = message()
    qid = mail.sendmail.submit(raw, f'{user}@store.test', f'{other}@mail.test',
                               f'nobody{mail.number}@store.test', sender=mail.sender)
    mail.sendmail.run_queue()
    for name in (user, other):
      assert mail.store.message_ids(name) == [message_id(raw)]
    mail.assert_bounced(qid, f'nobody{mail.number}', '5.1.1', 'Mailbox unknown')
    mail.assert_queue_empty()

  def test_a_message_with_dots_that_is_too_large_for_memory_arrives_unchanged(self, mail):
    mail.with_daemon()
    user = mail.mailbox('alice')
    body = b'.\r\n..\r\n.x\r\n' * 50_000
    mail.send(message(body), user)
    mail.sendmail.run_queue()
    [raw] = mail.store.messages(user)
    assert raw.endswith(b'\r\n\r\n' + body)

  def test_mail_waits_for_a_daemon_that_does_not_run(self, mail):
    mail.with_daemon(start=False)
    user = mail.mailbox('alice')
    self.assert_waits_for_the_daemon(mail, user, mail.send_many(3, user))

  def assert_waits_for_the_daemon(self, mail, user, sent):
    mail.sendmail.run_queue()
    for qid in sent:
      mail.assert_deferred(qid, user, '4.')
    mail.daemon.start()
    mail.sendmail.run_queue()
    mail.assert_queue_empty()
    mail.assert_filed_once(user, sent)

  def test_mail_waits_for_a_daemon_that_was_killed_and_has_left_its_socket(self, mail):
    mail.with_daemon()
    mail.daemon.kill()
    assert (mail.daemon.dir / 'lmtp').is_socket()
    user = mail.mailbox('alice')
    self.assert_waits_for_the_daemon(mail, user, mail.send_many(1, user))

  def test_a_daemon_that_is_told_to_end_in_a_queue_run_loses_and_doubles_nothing(self, mail):
    mail.with_daemon()
    user = mail.mailbox('alice')
    sent = mail.send_many(150, user)
    run = mail.sendmail.start_queue_run()
    mail.wait_for_log('stat=Sent', 20)
    ended = mail.daemon.server.child
    mail.daemon.stop()
    wait_until(lambda: run.child.poll() is not None, 'the queue run ends')
    assert ended.returncode == 0
    assert 0 < len(mail.sendmail.queued()) < len(sent), 'it ended in the middle'
    assert mail.daemon.lines('possible duplicate') == []
    mail.daemon.start()
    mail.sendmail.run_queue()
    mail.assert_queue_empty()
    mail.assert_filed_once(user, sent)

  def test_a_daemon_that_drains_refuses_new_connections_and_removes_its_sockets(self, mail):
    mail.with_daemon()
    user = mail.mailbox('alice')
    sent = mail.send_many(1, user)
    mail.store.pause()
    mail.at_end(mail.store.resume)
    idle = mail.sockets_of_daemon()
    run = mail.sendmail.start_queue_run()
    wait_until(lambda: mail.sockets_of_daemon() >= idle + 2, 'it has a client, and dials')
    mail.daemon.server.child.terminate()
    wait_until(lambda: mail.daemon.lines('event=draining'), 'it drains')
    for name in ('lmtp', 'lmtpq'):
      assert not (mail.daemon.dir / name).exists()
    mail.store.resume()
    assert mail.daemon.server.child.wait(timeout=30) == 0
    wait_until(lambda: run.child.poll() is not None, 'the queue run ends')
    mail.assert_queue_empty()
    mail.assert_filed_once(user, sent)

  def test_a_daemon_that_is_restarted_while_its_sockets_stay_defers_nothing(self, mail):
    mail.with_daemon(start=False)
    listeners = [socket.socket(socket.AF_UNIX) for _ in range(2)]
    for listener, name in zip(listeners, ('lmtp', 'lmtpq')):
      listener.bind(str(mail.daemon.dir / name))
      listener.listen()
      mail.at_end(listener.close)
    user = mail.mailbox('alice')
    sent = mail.send_many(150, user)
    first = self.start_with(mail, listeners)
    run = mail.sendmail.start_queue_run()
    mail.wait_for_log('stat=Sent', 20)
    first.terminate()
    assert first.wait(timeout=30) == 0
    assert run.child.poll() is None, 'the queue run goes on'
    time.sleep(0.2)
    second = self.start_with(mail, listeners)
    wait_until(lambda: run.child.poll() is not None, 'the queue run ends')
    second.terminate()
    second.wait(timeout=30)
    mail.assert_queue_empty()
    assert mail.sendmail.log_lines('Deferred') == []
    mail.assert_filed_once(user, sent)

  def start_with(self, mail, listeners: list[socket.socket]) -> subprocess.Popen:
    """As systemd would, for lmtpq.socket: sd_listen_fds(3)."""
    words = ' '.join(f"'{word}'" for word in mail.daemon.command)
    numbers = [listener.fileno() for listener in listeners]
    moves = ' '.join(f'{3 + at}<&{number}' for at, number in enumerate(numbers))
    command = f'exec {moves}; LISTEN_FDS={len(numbers)} LISTEN_PID=$$ exec {words}'
    child = subprocess.Popen(['bash', '-c', command], pass_fds=numbers,
                             env=mail.daemon.environment)
    mail.at_end(lambda: child.poll() is None and child.kill())
    return child

  def test_warns_at_its_start_and_not_of_clients_that_do_not_wait_for_the_reply_to_quit(self, mail):
    mail.with_daemon('spool-dir = /nowhere')
    user = mail.mailbox('alice')
    for _ in range(5):
      subprocess.run([program('LMTPQ'), 'deliver', '--config', '/dev/null', '--log', 'stderr', '-d',
                      f'unix:{mail.daemon.dir}/lmtp', '-f', '', user], input=message(), check=True,
                     timeout=30, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert len(mail.store.messages(user)) == 5
    [warned] = mail.daemon.lines('level=warning')
    assert ((warned['spool-dir'], warned['effect'])
            == ('/nowhere', 'messages over 256 KiB will be deferred'))

  def test_background_delivery_of_many_at_once_is_served_from_few_connections(self, mail):
    mail.with_daemon('connections = 3')
    mail.sendmail.start('background')
    user = mail.mailbox('alice')
    sent = mail.send_many(30, user)
    wait_until(lambda: not mail.sendmail.queued(), 'all are delivered', 60)
    mail.assert_filed_once(user, sent)
    fresh = [line for qid in sent for line in mail.recipient_lines(qid) if line['conn-use'] == '1']
    assert len(fresh) <= 3


@pytest.mark.store(kind=Cyrus)
@pytest.mark.weight(2)
class TestDaemonAndMilter:
  @pytest.fixture
  def mail(self, scratch, store):
    with contextlib.closing(TaggedDaemonMail(scratch, store)) as one:
      yield one

  def test_a_tag_of_the_milter_opens_the_quota_through_the_ordinary_listener(self, mail):
    mail.milter = Milter(mail.scratch, f'milter{mail.number}', NOTICES)
    mail.milter.start()
    shutil.chown(mail.milter.mailer_keys, ACCOUNT)
    mail.with_daemon(f'tag-keys = {mail.milter.mailer_keys}',
                     mc_options=filter_lines(mail.milter.socket))
    full = mail.full_mailbox()
    notice = mail.notify(f'{full}@store.test')
    other = mail.send(message(), full)
    mail.sendmail.run_queue()
    mail.assert_sent(notice, full)
    mail.assert_deferred(other, full, '4.2.2')
    [line] = mail.recipient_lines(notice)
    assert (line['ignorequota'], line['tag-key'] != '') == ('sent', True)
    assert line['trace'].startswith(notice)
    mail.assert_no_tag_filed(full)


  def test_keys_change_and_every_tag_is_good_in_either_order_of_reloads(self, mail):
    mail.milter = Milter(mail.scratch, f'milter{mail.number}', NOTICES)
    keys = mail.milter.milter_keys
    let_read(keys, ACCOUNT)  # the milter runs as root here
    rotate_keys(mail.lmtpq, keys)
    mail.milter.start()
    mail.with_daemon(f'tag-keys = {keys}', mc_options=filter_lines(mail.milter.socket))

    def daemon_reloads():
      before = len(mail.daemon.lines('event=reloaded'))
      send_signal(mail.daemon.server.pid, signal.SIGHUP)
      wait_until(lambda: len(mail.daemon.lines('event=reloaded')) > before, 'the daemon has reloaded')

    signers = []
    for first, second in ((mail.milter.reload, daemon_reloads), (daemon_reloads, mail.milter.reload)):
      rotate_keys(mail.lmtpq, keys)
      for step in (first, second):
        step()
        full = mail.full_mailbox(f'full{len(signers)}')
        qid = mail.notify(f'{full}@store.test')
        signers.append(mail.tag_in_queue(qid)['k'])
        mail.sendmail.run_queue()
        mail.assert_sent(qid, full)
    assert signers[0] == signers[1] == signers[2] != signers[3]
    assert 'first' not in signers, 'the first one that reads the new file uses it'

  def test_mail_waits_while_the_daemon_cannot_read_its_key(self, mail):
    mail.milter = Milter(mail.scratch, f'milter{mail.number}', NOTICES)
    mail.milter.start()
    keys = mail.milter.mailer_keys
    mail.with_daemon(f'tag-keys = {keys}', mc_options=filter_lines(mail.milter.socket), start=False)
    refused = subprocess.run(mail.daemon.command, capture_output=True, text=True, timeout=60)
    assert refused.returncode == 78, refused
    assert f'{keys}: Permission denied as user {ACCOUNT}; let a group of this user' in refused.stderr
    full = mail.full_mailbox()
    qid = mail.notify(f'{full}@store.test')
    mail.sendmail.run_queue()
    mail.assert_deferred(qid, full, '4.')
    shutil.chown(keys, ACCOUNT)
    mail.daemon.start()
    mail.sendmail.run_queue()
    mail.assert_sent(qid, full)
    assert mail.store.messages(mail.notice.partition('@')[0]) == [], 'nothing bounced'


@pytest.mark.weight(2)
class TestDaemonToCyrusOverTls:
  @pytest.fixture(scope='class')
  def authority(self, scratch):
    return Authority(scratch.folder('authority'))

  @pytest.fixture(scope='class')
  def store(self, scratch, authority):
    with running(secured_cyrus(scratch, authority)) as one:
      yield one

  @pytest.fixture
  def mail(self, scratch, store, authority):
    with contextlib.closing(SecureDaemonMail(scratch, store, authority)) as one:
      yield one

  def test_logs_in_within_tls_once_for_many_messages(self, mail):
    passwords = mail.scratch.path / f'passwords{mail.number}'
    passwords.touch(mode=0o600)
    passwords.write_text(f'localhost {USER}:{PASSWORD}\n')
    shutil.chown(passwords, ACCOUNT)
    lines = [*mail.tls(), f'auth-password-file = {passwords}', 'auth-mechanisms = SCRAM-SHA-256']
    mail.with_daemon('\n'.join(lines), store=mail.store.tcp_address)
    user = mail.mailbox('alice')
    sent = mail.send_many(5, user)
    mail.sendmail.run_queue()
    mail.assert_queue_empty()
    mail.assert_filed_once(user, sent)
    assert mail.logins() == [(USER, 'SCRAM-SHA-256+TLS')]
    assert len(mail.handshakes()) == 1

"""Where Q and T have an effect: LMTP to a program, two mailers of one binary; and not in SMTP."""

import re

import pytest

from fixtures.messages import message, message_id
from fixtures.paths import ROOT

from . import store_log
from .dialogue import exchanges, received, transactions
from .patch_mail import mailer
from .peer_mail import PeerCases

PIPE = """#!/usr/bin/python3 -IS
import os, select, socket, sys
peer = socket.socket(socket.AF_UNIX)
peer.connect(sys.argv[1])
while True:
  ready = select.select([0, peer], [], [])[0]
  data = os.read(0, 65536) if 0 in ready else b'-'
  answer = peer.recv(65536) if peer in ready else b'-'
  if not data or not answer:
    break
  if 0 in ready:
    peer.sendall(data)
  if peer in ready:
    os.write(1, answer)
"""


@pytest.mark.store(options=['--log-commands'])
class TestProgramMailer:
  def test_q_and_t_work_over_the_pipe_of_a_program(self, mail):
    pipe = mail.scratch.path / 'pipe'
    pipe.write_text(PIPE)
    pipe.chmod(0o755)
    mail.with_mailers(mailer(mail.store.address, 'QTS', path=str(pipe),
                             arguments=f'pipe {mail.store.dir}/lmtp'))
    user = mail.full_mailbox()
    raws = [message() for _ in range(5)]
    qids = [mail.send(raw, user) for raw in raws]
    mail.sendmail.run_queue()
    mail.assert_queue_empty()
    assert store_log.sessions(mail.store) == 1
    assert sorted(mail.store.message_ids(user)) == sorted(message_id(raw) for raw in raws)
    delivered = {one['r.tid']: one for one in store_log.events(mail.store, 'Delivered')}
    assert sorted(delivered) == sorted(qids)
    for qid in qids:
      mail.assert_ignorequota(qid, user, 'sent')
      assert mail.fields(qid, user)['sessionid'] == f'<{delivered[qid]["sessionid"]}>'


class TestTwoMailers(PeerCases):
  """One binary for ordinary mail and notifications, told apart by the mailertable."""

  def with_table(self, mail):
    """The .mc lines and the mailertable that patches/README.md shows, with this test's places."""
    readme = (ROOT / 'patches/README.md').read_text()
    shown = dict(re.findall(r'^```(m4|mailertable)\n(.*?)^```$', readme, re.M | re.S))
    lines = [line for line in shown['m4'].replace('/run/cyrus/socket/lmtp', str(mail.peer.path))
             .splitlines() if not line.startswith(('FEATURE', "MAILER(`local'", "MAILER(`smtp'"))]
    table = mail.scratch.path / f'mailertable{mail.number}'
    table.write_text('store.test\tcyrusv2:store.test\n'
                     + shown['mailertable'].replace('notice.example.org', 'notify.test'))
    mail.with_mailers('\n'.join(lines), f"FEATURE(`mailertable', `text -k0 -v1 {table}')\n"
                                        'RELAY_DOMAIN(`notify.test\')')
    mail.sendmail.edit_cf('R$+ < @ store.test $* >', 'R$+ < @ unused.test $* >')

  def test_both_kinds_of_mail_in_one_queue_run_over_both_cached_connections(self, mail):
    self.with_table(mail)
    kinds = {}
    for number in range(10):
      domain = 'notify.test' if number % 2 else 'store.test'
      kinds[mail.send_sized(number, f'u{number}', domain=domain)] = bool(number % 2)
    sessions = mail.run_queue()
    mail.assert_queue_empty()
    assert len(sessions) == 2
    found = mail.assert_traced(sessions)
    assert len(found) == 10
    for one in found:
      assert one.rcpts[0].sent.endswith(b' IGNOREQUOTA\r\n') == kinds[one.qid], one
      end = mail.sendmail.deliveries(one.qid)[-1]
      assert end.mailer == ('cyrusv2q' if kinds[one.qid] else 'cyrusv2')
      assert (', ignorequota=sent' in end.line) == kinds[one.qid]
    for number in range(10):
      assert len(mail.peer.messages(f'u{number}')) == 1

  def test_one_message_to_both_ignores_the_quota_only_where_the_mailer_does(self, mail):
    self.with_table(mail)
    qid = mail.sendmail.submit(message(), 'alice@store.test', 'bob@notify.test',
                               sender='sender@mail.test')
    sessions = mail.run_queue()
    ends = {one.rcpts[0].sent.rstrip().split(b' ')[-1]: one for one in transactions(sessions)}
    assert len(ends) == 2
    assert {one.trace_id for one in ends.values()} == {qid}
    mail.assert_ignorequota(qid, 'alice', None)
    mail.assert_ignorequota(qid, 'bob', 'sent')


class TestTwoBinaries:
  """A stock and a patched Sendmail share a queue and a .cf."""

  def test_the_binary_that_runs_the_queue_decides_about_the_quota_and_nothing_is_lost(self, mail):
    user = mail.full_mailbox()
    mail.with_flags('QT')
    qid = mail.send(message(), user)
    patched = mail.sendmail.binary
    mail.sendmail.binary = mail.tested.stock
    mail.sendmail.run_queue()
    mail.assert_deferred(qid, user, '4.2.2')
    mail.assert_ignorequota(qid, user, None)
    mail.sendmail.binary = patched
    mail.sendmail.run_queue()
    mail.assert_sent(qid, user)
    mail.assert_ignorequota(qid, user, 'sent')
    assert len(mail.store.messages(user)) == 1


class TestSmtpMailer(PeerCases):
  """Q and T without z: an SMTP mailer knows neither."""

  def test_nothing_is_sent_and_nothing_is_logged(self, mail):
    dialogues = []
    for binary in (mail.tested.stock, mail.tested.patched):
      mail.peer.forget()
      mail.peer.offered = (*mail.peer.offered, 'DSN')
      lines = mailer(mail.peer.address) + mailer(
          '', 'QT', name='qsmtp', base='mDFMuXa', arguments=f'TCP [127.0.0.1] {mail.peer.port}')
      mail.with_mailers(lines, binary=binary, quota_mailer='qsmtp')
      qids = [mail.send_sized(number, 'alice', 'bob', domain='quota.test') for number in range(3)]
      sessions = mail.run_queue()
      for qid in qids:
        mail.assert_sent(qid, 'alice')
        assert 'sessionid' not in mail.fields(qid, 'alice')
        assert 'ignorequota' not in mail.fields(qid, 'alice')
      text = received(sessions)
      assert b'EHLO ' in text
      assert b'IGNOREQUOTA' not in text
      assert b'TRACE' not in text
      assert len(transactions(sessions)) == 3
      dialogues.append([one.sent for session in sessions for one in session.exchanges
                        if not one.is_message])
    assert dialogues[0] == dialogues[1]


class TestDiagnosis(PeerCases):
  def test_the_test_mode_shows_the_letters_and_the_version_its_extension(self, mail):
    mail.with_flags('QT')
    shown = mail.sendmail.run('-bt', given=b'=M\n')
    line = next(line for line in shown.splitlines() if '(cyrusv2)' in line)
    flags = re.search(r'F=(\S+)', line).group(1)
    assert {'Q', 'T', 'z'} <= set(flags), line
    said = mail.sendmail.run('-d0.1', '-bt')
    assert f'Version {mail.tested.version}\n' in said
    compiled = re.search(r'Compiled with:(.*?)\n\n', said, re.S).group(1)
    assert 'LMTPEXT' in compiled.split()

  def test_the_stock_binary_lists_no_such_extension(self, mail):
    mail.with_flags('QT', binary=mail.tested.stock)
    assert 'LMTPEXT' not in mail.sendmail.run('-d0.1', '-bt')

  @pytest.mark.parametrize('debug', ['-d11.1', '-d18.1'])
  @pytest.mark.parametrize('offered, wanted', [
      (('IGNOREQUOTA', 'TRACE'), {'IGNOREQUOTA', 'TRACE'}),
      (('IGNOREQUOTA',), {'IGNOREQUOTA'}), (('SIZE',), set())])
  def test_dumps_of_connections_show_what_the_server_offers(self, mail, debug, offered, wanted):
    mail.peer.offered = offered
    mail.with_flags('QT')
    for number in range(2):
      mail.send(message(), 'alice')
    said = mail.sendmail.run(debug, '-qf')
    mail.run_queue()
    dumps = re.findall(r'lmtp=<([^>]*)>', said)
    assert dumps, said[-2000:]
    words = set(dumps[-1].split(',')) & {'IGNOREQUOTA', 'TRACE'}
    assert words == wanted, dumps

  def test_a_recording_of_the_dialogue_counts_what_the_log_counts(self, mail):
    """Messages at both ends."""
    mail.with_flags('QT')
    for number in range(5):
      mail.send_sized(number, 'alice', 'bob')
    sessions = mail.run_queue()
    assert len(exchanges(sessions, '.')) == 5
    sent = [one for one in mail.ends() if one.stat.startswith('Sent')]
    assert len(sent) == 10
    assert sum(len(messages) for messages in mail.peer.filed.values()) == 10

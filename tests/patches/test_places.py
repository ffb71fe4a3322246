"""Where Q and T hold: LMTP to a program, two mailers of one binary; and where not: SMTP."""

import re

import store_log
from dialogue import exchanges, received, transactions
from patch_case import PatchCase, Tested, mailer
from peer_case import PeerCase
from fixtures.lmtp_store import LmtpStore
from fixtures.paths import ROOT
from fixtures.messages import message, message_id

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


class ProgramMailer(PatchCase):
  store: LmtpStore

  @classmethod
  def prepare_store(cls):
    cls.store.options = ['--log-commands']
    cls.pipe = cls.scratch.path / 'pipe'
    cls.pipe.write_text(PIPE)
    cls.pipe.chmod(0o755)

  def test_q_and_t_work_over_the_pipe_of_a_program(self):
    self.with_mailers(mailer(self.store.address, 'QTS', path=str(self.pipe),
                             arguments=f'pipe {self.store.dir}/lmtp'))
    user = self.full_mailbox()
    raws = [message() for _ in range(5)]
    qids = [self.send(raw, user) for raw in raws]
    self.sendmail.run_queue()
    self.assert_queue_empty()
    self.assertEqual(store_log.sessions(self.store), 1)
    self.assertEqual(sorted(self.store.message_ids(user)), sorted(message_id(raw) for raw in raws))
    delivered = {one['r.tid']: one for one in store_log.events(self.store, 'Delivered')}
    self.assertEqual(sorted(delivered), sorted(qids))
    for qid in qids:
      self.assert_ignorequota(qid, user, 'sent')
      self.assertEqual(self.fields(qid, user)['sessionid'], f'<{delivered[qid]["sessionid"]}>')


class TwoMailers(PeerCase):
  """One binary for ordinary mail and notifications, told apart by the mailertable."""

  def with_table(self):
    """The .mc lines and the mailertable that patches/README.md shows, with this test's places."""
    readme = (ROOT / 'patches/README.md').read_text()
    shown = dict(re.findall(r'^```(m4|mailertable)\n(.*?)^```$', readme, re.M | re.S))
    lines = [line for line in shown['m4'].replace('/run/cyrus/socket/lmtp', str(self.peer.path))
             .splitlines() if not line.startswith(('FEATURE', "MAILER(`local'", "MAILER(`smtp'"))]
    table = self.scratch.path / f'mailertable{self.number}'
    table.write_text('store.test\tcyrusv2:store.test\n'
                     + shown['mailertable'].replace('notice.example.org', 'notify.test'))
    self.with_mailers('\n'.join(lines), f"FEATURE(`mailertable', `text -k0 -v1 {table}')\n"
                                        'RELAY_DOMAIN(`notify.test\')')
    self.sendmail.edit_cf('R$+ < @ store.test $* >', 'R$+ < @ unused.test $* >')

  def test_both_kinds_of_mail_in_one_queue_run_over_both_cached_connections(self):
    self.with_table()
    kinds = {}
    for number in range(10):
      domain = 'notify.test' if number % 2 else 'store.test'
      kinds[self.send_sized(number, f'u{number}', domain=domain)] = bool(number % 2)
    sessions = self.run_queue()
    self.assert_queue_empty()
    self.assertEqual(len(sessions), 2)
    found = self.assert_traced(sessions)
    self.assertEqual(len(found), 10)
    for one in found:
      self.assertEqual(one.rcpts[0].sent.endswith(b' IGNOREQUOTA\r\n'), kinds[one.qid], one)
      end = self.sendmail.deliveries(one.qid)[-1]
      self.assertEqual(end.mailer, 'cyrusv2q' if kinds[one.qid] else 'cyrusv2')
      self.assertEqual(', ignorequota=sent' in end.line, kinds[one.qid])
    for number in range(10):
      self.assertEqual(len(self.peer.messages(f'u{number}')), 1)

  def test_one_message_to_both_ignores_the_quota_only_where_the_mailer_does(self):
    self.with_table()
    qid = self.sendmail.submit(message(), 'alice@store.test', 'bob@notify.test',
                               sender='sender@mail.test')
    sessions = self.run_queue()
    ends = {one.rcpts[0].sent.rstrip().split(b' ')[-1]: one for one in transactions(sessions)}
    self.assertEqual(len(ends), 2)
    self.assertEqual({one.trace_id for one in ends.values()}, {qid})
    self.assert_ignorequota(qid, 'alice', None)
    self.assert_ignorequota(qid, 'bob', 'sent')


class TwoBinaries(PatchCase):
  """A stock and a patched Sendmail share a queue and a .cf."""

  def test_who_runs_the_queue_decides_about_the_quota_and_nothing_is_lost(self):
    user = self.full_mailbox()
    self.with_flags('QT')
    qid = self.send(message(), user)
    patched = self.sendmail.binary
    self.sendmail.binary = Tested.stock
    self.sendmail.run_queue()
    self.assert_deferred(qid, user, '4.2.2')
    self.assert_ignorequota(qid, user, None)
    self.sendmail.binary = patched
    self.sendmail.run_queue()
    self.assert_sent(qid, user)
    self.assert_ignorequota(qid, user, 'sent')
    self.assertEqual(len(self.store.messages(user)), 1)


class SmtpMailer(PeerCase):
  """Q and T without z: an SMTP mailer knows neither."""

  def test_nothing_is_sent_and_nothing_is_logged(self):
    dialogues = []
    for binary in (Tested.stock, Tested.patched):
      self.peer.forget()
      self.peer.offered = (*self.peer.offered, 'DSN')
      lines = mailer(self.peer.address) + mailer(
          '', 'QT', name='qsmtp', base='mDFMuXa', arguments=f'TCP [127.0.0.1] {self.peer.port}')
      self.with_mailers(lines, binary=binary, quota_mailer='qsmtp')
      qids = [self.send_sized(number, 'alice', 'bob', domain='quota.test') for number in range(3)]
      sessions = self.run_queue()
      for qid in qids:
        self.assert_sent(qid, 'alice')
        self.assertNotIn('sessionid', self.fields(qid, 'alice'))
        self.assertNotIn('ignorequota', self.fields(qid, 'alice'))
      text = received(sessions)
      self.assertIn(b'EHLO ', text)
      self.assertNotIn(b'IGNOREQUOTA', text)
      self.assertNotIn(b'TRACE', text)
      self.assertEqual(len(transactions(sessions)), 3)
      dialogues.append([one.sent for session in sessions for one in session.exchanges
                        if not one.is_message])
    self.assertEqual(dialogues[0], dialogues[1])


class Diagnosis(PeerCase):
  def test_the_test_mode_shows_the_letters_and_the_version_its_extension(self):
    self.with_flags('QT')
    shown = self.sendmail.run('-bt', given=b'=M\n')
    line = next(line for line in shown.splitlines() if '(cyrusv2)' in line)
    flags = re.search(r'F=(\S+)', line).group(1)
    self.assertLessEqual({'Q', 'T', 'z'}, set(flags), line)
    said = self.sendmail.run('-d0.1', '-bt')
    self.assertIn(f'Version {Tested.version}\n', said)
    compiled = re.search(r'Compiled with:(.*?)\n\n', said, re.S).group(1)
    self.assertIn('LMTPEXT', compiled.split())

  def test_the_stock_binary_lists_no_such_extension(self):
    self.with_flags('QT', binary=Tested.stock)
    self.assertNotIn('LMTPEXT', self.sendmail.run('-d0.1', '-bt'))

  def test_dumps_of_connections_show_what_the_server_offers(self):
    for debug in ('-d11.1', '-d18.1'):
      for offered, wanted in ((('IGNOREQUOTA', 'TRACE'), {'IGNOREQUOTA', 'TRACE'}),
                              (('IGNOREQUOTA',), {'IGNOREQUOTA'}), (('SIZE',), set())):
        with self.subTest(debug=debug, offered=offered):
          self.peer.forget()
          self.peer.offered = offered
          self.with_flags('QT')
          for number in range(2):
            self.send(message(), 'alice')
          said = self.sendmail.run(debug, '-qf')
          self.run_queue()
          dumps = re.findall(r'lmtp=<([^>]*)>', said)
          self.assertTrue(dumps, said[-2000:])
          words = set(dumps[-1].split(',')) & {'IGNOREQUOTA', 'TRACE'}
          self.assertEqual(words, wanted, dumps)

  def test_a_recording_of_the_dialogue_counts_what_the_log_counts(self):
    """Messages at both ends."""
    self.with_flags('QT')
    for number in range(5):
      self.send_sized(number, 'alice', 'bob')
    sessions = self.run_queue()
    self.assertEqual(len(exchanges(sessions, '.')), 5)
    sent = [one for one in self.ends() if one.stat.startswith('Sent')]
    self.assertEqual(len(sent), 10)
    self.assertEqual(sum(len(messages) for messages in self.peer.filed.values()), 10)

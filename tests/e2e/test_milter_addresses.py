"""Sendmail takes addresses that mean another mailbox than a pattern sees; none opens a quota."""

import re
import socket

from fixtures.messages import message, message_id
from fixtures.tag_case import TagCase, rule


class MilterAddresses(TagCase):
  def bring(self, sender: str, recipient: str) -> tuple[str, str]:
    """MAIL and RCPT with exactly these arguments; the queue id, empty if RCPT was refused."""
    raw = message()
    with socket.create_connection(('127.0.0.1', self.sendmail.port), timeout=30) as link:
      replies = link.makefile('rb')

      def say(line: bytes) -> bytes:
        link.sendall(line)
        reply = replies.readline()
        while reply[3:4] == b'-':
          reply = replies.readline()
        return reply

      say(b'')
      say(b'EHLO client.test\r\n')
      for command in (f'MAIL FROM:{sender}', f'RCPT TO:{recipient}', 'DATA'):
        reply = say(command.encode() + b'\r\n')
        if reply[:1] not in b'23':
          return '', message_id(raw)
      taken = say(raw + b'.\r\n').decode()
      say(b'QUIT\r\n')
    return re.search(r'2\.0\.0 (\w+) Message accepted', taken).group(1), message_id(raw)

  def assert_never_past(self, rules: str, pairs: list[tuple[str, str]], full: str):
    """Sendmail takes them, resolves them to the full mailbox, and they wait outside."""
    self.with_milter(rules)
    self.sendmail.start()
    taken = [(pair, *self.bring(*pair)) for pair in pairs]
    accepted = [one for one in taken if one[1]]
    self.assertTrue(accepted, 'at least one of them is an address to Sendmail')
    self.sendmail.run_queue()
    filed = self.store.message_ids(full)
    for pair, qid, identity in accepted:
      self.assertEqual(self.milter.word_on(qid)['quota'], 'honour', pair)
      self.assertNotIn(identity, filed, pair)

  def test_a_pattern_of_recipients_opens_no_mailbox_behind_another_name(self):
    full = self.full_mailbox()
    own = f'<{self.sender}>'
    self.assert_never_past(
        rule('elsewhere', client='127.0.0.1', rcpt='*@elsewhere.test ops*'),
        [(own, f'<{full}@mail.test>@elsewhere.test'), (own, f'ops+<{full}@mail.test>@mail.test'),
         (own, f'ops<{full}@mail.test>'), (own, f'<@elsewhere.test:{full}@mail.test>'),
         (own, f'<ops({full})@mail.test>')], full)
    self.assertTrue(any(line['why'] == 'odd address' for line in self.milter.log_lines('why=')))

  def test_a_sender_is_not_counted_anew_under_another_spelling(self):
    full = self.full_mailbox()
    self.with_milter(rule('notices', client='127.0.0.1', **{'from': 'notice*@mail.test'},
                          limit='1/hour'))
    self.sendmail.start()
    first = self.bring(f'<{self.notice}>', f'<{full}@store.test>')
    user = self.notice.partition('@')[0]
    others = [self.bring(sender, f'<{full}@store.test>')
              for sender in (f'<{user}(a)@mail.test>', f'notice(1)<{self.notice}>x@mail.test',
                             f'<{self.notice.upper()}>', f'<"{user}"@mail.test>')]
    self.sendmail.run_queue()
    self.assertEqual(self.store.message_ids(full), [first[1]])
    self.assertTrue([qid for qid, _ in others if qid])

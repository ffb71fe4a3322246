"""Addresses that mean another mailbox to Sendmail than to a pattern: none ignores the quota."""

import re
import socket

from fixtures.messages import message, message_id
from fixtures.tagged_mail import rule


class TestMilterAddresses:
  def bring(self, mail, sender: str, recipient: str) -> tuple[str, str]:
    """MAIL and RCPT with exactly these arguments; the queue id, empty if RCPT was refused."""
    raw = message()
    with socket.create_connection(('127.0.0.1', mail.sendmail.port), timeout=30) as link:
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

  def assert_never_past(self, mail, rules: str, pairs: list[tuple[str, str]], full: str):
    """Sendmail takes them and resolves them to the full mailbox, and none is filed there."""
    mail.with_milter(rules)
    mail.sendmail.start()
    taken = [(pair, *self.bring(mail, *pair)) for pair in pairs]
    accepted = [one for one in taken if one[1]]
    assert accepted, 'at least one of them is an address to Sendmail'
    mail.sendmail.run_queue()
    filed = mail.store.message_ids(full)
    for pair, qid, identity in accepted:
      assert mail.milter.decision_on(qid)['quota'] == 'honour', pair
      assert identity not in filed, pair

  def test_a_pattern_of_recipients_opens_no_mailbox_under_another_name(self, mail):
    full = mail.full_mailbox()
    own = f'<{mail.sender}>'
    self.assert_never_past(
        mail, rule('elsewhere', client='127.0.0.1', rcpt='*@elsewhere.test ops*'),
        [(own, f'<{full}@mail.test>@elsewhere.test'), (own, f'ops+<{full}@mail.test>@mail.test'),
         (own, f'ops<{full}@mail.test>'), (own, f'<@elsewhere.test:{full}@mail.test>'),
         (own, f'<ops({full})@mail.test>')], full)
    assert any(line['reason'] == 'ambiguous address' for line in mail.milter.log_lines('event=decision'))

  def test_a_sender_is_not_counted_separately_under_another_spelling(self, mail):
    full = mail.full_mailbox()
    mail.with_milter(rule('notices', client='127.0.0.1', **{'from': 'notice*@mail.test'},
                          limit='1/hour'))
    mail.sendmail.start()
    first = self.bring(mail, f'<{mail.notice}>', f'<{full}@store.test>')
    user = mail.notice.partition('@')[0]
    others = [self.bring(mail, sender, f'<{full}@store.test>')
              for sender in (f'<{user}(a)@mail.test>', f'notice(1)<{mail.notice}>x@mail.test',
                             f'<{mail.notice.upper()}>', f'<"{user}"@mail.test>')]
    mail.sendmail.run_queue()
    assert mail.store.message_ids(full) == [first[1]]
    assert [qid for qid, _ in others if qid]

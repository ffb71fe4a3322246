"""A destination smtp:HOST: lmtpq deliver, relay and serve to a real Sendmail that listens by SMTP."""

import json
import subprocess

import pytest

from fixtures.lmtp_client import Client, Message
from fixtures.messages import message
from fixtures.sendmail import Sendmail
from fixtures.serve import Serve

UNKNOWN = 'User unknown'
LOCAL = "define(`confLOCAL_MAILER', `local')"  # which looks for users at RCPT


@pytest.mark.weight(2)
class TestSendmailAsTheStore:
  @pytest.fixture
  def mx(self, mail):
    """It queues what it takes for alice and bob, and knows nobody else."""
    one = Sendmail(mail.scratch, f'mx{mail.number}', '', LOCAL)
    one.add_aliases('alice: alice@elsewhere.test\nbob: bob@elsewhere.test')
    one.start()
    mail.at_end(one.stop)
    return one

  def run(self, mail, command: str, *words: str, given: bytes = b''):
    ran = subprocess.run([mail.lmtpq, command, '--config=/dev/null', '--tag-keys=none',
                          f'--log={mail.log}', *words], input=given, capture_output=True,
                         timeout=60)
    return ran.returncode, (ran.stdout + ran.stderr).decode()

  def queued(self, mx: Sendmail) -> list[list[str]]:
    """The recipients of each message that it took."""
    return [sorted(line.partition('<')[2].partition('>')[0].partition('@')[0]
                   for line in (mx.dir / 'queue' / f'qf{qid}').read_text('latin-1').splitlines()
                   if line.startswith('R') and '<' in line) for qid in sorted(mx.queued())]

  def test_deliver_and_each_recipient_has_its_own_reply(self, mail, mx):
    status, said = self.run(mail, 'deliver', '-Q', '-d', f'smtp:127.0.0.1:{mx.port}', '-f',
                            'sender@mail.test', '--', 'alice', 'stranger', 'bob', given=message())
    lines = said.splitlines()
    assert status == 67, said
    assert [line.partition(' (')[0] for line in lines] == [
        'alice: sent', 'stranger: refused', 'bob: sent']
    assert UNKNOWN in lines[1]
    assert lines[0].partition(' (')[2] == lines[2].partition(' (')[2], 'one reply is for both'
    assert 'Message accepted' in lines[0]
    assert self.queued(mx) == [['alice', 'bob']]
    assert [line['ignorequota'] for line in mail.lmtpq_lines('event=delivery')] == [
        'not-offered'] * 3

  def test_a_store_that_refuses_the_message_refuses_it_for_all(self, mail, mx):
    mx.stop()
    mx.edit_cf('#O MaxMessageSize=0', 'O MaxMessageSize=2000')
    mx.start()
    status, said = self.run(mail, 'deliver', '-d', f'smtp:127.0.0.1:{mx.port}', '-f',
                            'sender@mail.test', '--', 'alice', 'bob',
                            given=message(b'x' * 70 + b'\n' * 4000))
    assert status == 69, said
    assert said.count('552 5.3.4 ') == 2, said
    assert mx.queued() == set()

  def test_probe(self, mail, mx):
    status, said = self.run(mail, 'probe', '--json', '--rcpt=alice', f'smtp:127.0.0.1:{mx.port}')
    assert status == 0, said
    told = json.loads(said)
    assert 'ESMTP' in told['greeting']
    assert 'PIPELINING' in told['offers']
    assert (told['IGNOREQUOTA'], told['TRACE'], told['state']) == (False, False, 'accepted')
    status, said = self.run(mail, 'probe', f'inet:127.0.0.1:{mx.port}')
    assert status == 76
    assert 'a store that speaks SMTP is smtp:HOST' in said
    assert mx.queued() == set()

  def test_serve_reuses_the_connection(self, mail, mx):
    serve = Serve(mail.scratch.path / f'serve{mail.number}')
    front = f'unix:{serve.folder}/front'
    serve.write(f'destination = smtp:127.0.0.1:{mx.port}\nconnections = 1\n'
                f'[listener.front]\naddress = {front}\n')
    serve.start()
    mail.at_end(serve.stop)
    with Client(front) as client:
      for _ in range(3):
        replies = client.deliver(Message(['alice', 'stranger', 'bob']))
        assert [reply[:4] for reply in replies] == ['250 ', '550 ', '250 '], replies
    assert self.queued(mx) == [['alice', 'bob']] * 3
    assert [line.partition('conn-use=')[2].split()[0]
            for line in serve.log_lines('event=delivery') if 'to=<bob>' in line] == ['1', '2', '3']
    store, = serve.status()['stores']
    assert store['destination'] == f'smtp:127.0.0.1:{mx.port}'
    assert serve.sanitizers() == ''

  def test_sendmail_falls_back_to_it(self, mail, mx):
    """As the second DEST of the M line, after a store that is down."""
    mail.with_lmtpq(address='inet:127.0.0.1:1',
                    knobs=f"define(`LMTPQ_MAILER_FALLBACK', `smtp:127.0.0.1:{mx.port}')")
    qid = mail.send(message(), 'alice')
    mail.sendmail.run_queue()
    mail.assert_sent(qid, 'alice')
    assert self.queued(mx) == [['alice']]

"""lmtpq deliver and lmtpq probe against the real stores, without Sendmail."""

import json
import subprocess

import pytest

from fixtures.cyrus import Cyrus
from fixtures.dovecot import Dovecot
from fixtures.messages import body_of, message, message_id


class CommandCases:
  def lmtpq_run(self, mail, command: str, *words: str, given: bytes = b'') -> tuple[int, str]:
    """Exit status, and what it printed."""
    empty = mail.scratch.path / 'empty.conf'
    empty.touch()
    patient = ['--timeout=50s'] if command == 'probe' else []
    ran = subprocess.run([mail.lmtpq, command, f'--config={empty}', f'--log={mail.log}', *patient,
                          *words], input=given, capture_output=True, timeout=60)
    return ran.returncode, (ran.stdout + ran.stderr).decode()

  def deliver(self, mail, raw: bytes, *users: str,
              options: tuple[str, ...] = ()) -> tuple[int, str]:
    # As a script would: lines end in LF.
    return self.lmtpq_run(mail, 'deliver', *options, '-d', mail.store.address, '-f', mail.sender,
                          '--', *users, given=raw.replace(b'\r\n', b'\n'))

  def closed(self, mail, redirection: str, *words: str, given: bytes = b'') -> int:
    """The exit status of deliver, started with descriptors closed."""
    script = f'exec "$@" {redirection}'
    return subprocess.run(['sh', '-c', script, 'sh', mail.lmtpq, 'deliver', '--config=/dev/null',
                           *words], input=given, timeout=60, check=False).returncode

  @pytest.mark.parametrize('redirection', ['>&-', '2>&-', '>&- 2>&-'])
  def test_deliver_with_closed_descriptors_says_nothing_to_the_store(self, mail, redirection):
    users = [mail.mailbox('alice'), mail.mailbox('bob')]
    raw = message()
    status = self.closed(mail, redirection, '--log=stderr', '--recipient-limit=1',
                         f'-d{mail.store.address}', '-fa@mail.test', *users, given=raw)
    assert status == 0
    for user in users:
      assert mail.store.message_ids(user) == [message_id(raw)]

  def test_deliver_over_its_file_size_limit_exits_75(self, mail):
    """A message that fits into no spool file: SIGXFSZ must not kill it (ulimit -f)."""
    user = mail.mailbox('alice')
    script = 'ulimit -f 8; exec "$@"'
    big = message((b'y' * 70 + b'\r\n') * 40_000)
    ran = subprocess.run(['sh', '-c', script, 'sh', mail.lmtpq, 'deliver', '--config=/dev/null',
                          '--log=stderr', f'-d{mail.store.address}', '-fa@mail.test', user],
                         input=big, capture_output=True, timeout=60, check=False)
    assert ran.returncode == 75, (ran.returncode, ran.stderr)
    assert b'File too large' in ran.stdout + ran.stderr, (ran.stdout, ran.stderr)
    assert mail.store.messages(user) == []

  def test_deliver_that_cannot_read_its_message_files_none(self, mail):
    user = mail.mailbox('alice')
    assert self.closed(mail, '<&-', f'-d{mail.store.address}', '-fa@mail.test', user) == 75
    assert mail.store.messages(user) == []

  def test_deliver_files_a_message_and_exits_0(self, mail):
    user = mail.mailbox('alice')
    raw = message(b'.\r\n..\r\nQUIT\r\n' + b'\xc3\xa4' * 400 + b'\r\n')
    status, said = self.deliver(mail, raw, user)
    assert status == 0, said
    assert len(said.splitlines()) == 1, said
    assert user in said
    filed = mail.store.messages(user)
    assert [message_id(one) for one in filed] == [message_id(raw)]
    assert body_of(filed[0]) == body_of(raw)

  def test_deliver_to_an_unknown_user_exits_67(self, mail):
    status, said = self.deliver(mail, message(), 'stranger')
    assert status == 67, said
    assert mail.store.unknown_user in said

  def test_deliver_to_a_full_mailbox_exits_75(self, mail):
    user = mail.full_mailbox()
    status, said = self.deliver(mail, message(), user)
    assert status == 75, said
    assert mail.store.over_quota in said
    assert mail.store.messages(user) == []

  def test_deliver_with_q_files_into_a_full_mailbox_where_the_store_can(self, mail):
    user = mail.full_mailbox()
    status, said = self.deliver(mail, message(), user, options=('-Q',))
    assert status == (0 if mail.store.ignores_quota else 75), said
    assert len(mail.store.messages(user)) == (1 if mail.store.ignores_quota else 0)

  def test_deliver_to_three_prints_a_line_for_each_and_exits_75_if_one_is_temporary(self, mail):
    alice, full = mail.mailbox('alice'), mail.full_mailbox()
    status, said = self.deliver(mail, message(), alice, full, 'stranger')
    assert status == 75, said
    lines = said.splitlines()
    assert len(lines) == 3, said
    for user, line in zip((alice, full, 'stranger'), lines):
      assert user in line
    assert len(mail.store.messages(alice)) == 1

  def test_deliver_to_a_store_that_is_down_exits_75(self, mail):
    user = mail.mailbox('alice')
    mail.store.stop()
    try:
      status, said = self.deliver(mail, message(), user)
    finally:
      mail.store.start()
    assert status == 75, said
    assert mail.store.messages(user) == []

  def test_probe_tells_what_the_store_can_do(self, mail):
    status, said = self.lmtpq_run(mail, 'probe', '--json', mail.store.address)
    assert status == 0, said
    told = json.loads(said)
    assert told['IGNOREQUOTA'] == mail.store.ignores_quota, said
    assert told['TRACE'] == mail.store.has_trace, said

  def test_probe_of_a_store_that_is_down_exits_69(self, mail):
    mail.store.stop()
    try:
      status, said = self.lmtpq_run(mail, 'probe', mail.store.address)
    finally:
      mail.store.start()
    assert status == 69, said


@pytest.mark.store(kind=Cyrus)
class TestCommandsWithCyrus(CommandCases):

  def test_probe_of_a_full_mailbox_says_over_quota(self, mail):
    status, said = self.lmtpq_run(mail, 'probe', '--rcpt', mail.full_mailbox(), mail.store.address)
    assert status == 0, said
    assert 'over quota' in said

  def test_monitor_says_whether_a_mailbox_is_full(self, mail):
    for user, status, words in ((mail.mailbox('alice'), 0, 'is below quota'),
                                (mail.full_mailbox(), 1, 'is over quota')):
      ended, said = self.lmtpq_run(mail, 'probe', '--monitor', '--rcpt', user, mail.store.address)
      assert ended == status and f'{user} {words}' in said, said


@pytest.mark.store(kind=Dovecot)
class TestCommandsWithDovecot(CommandCases):
  pass


class TestCommandsWithStore(CommandCases):
  pass

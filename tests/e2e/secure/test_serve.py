"""The daemon with a Cyrus that wants TLS and a login: few handshakes, and settings that change."""

import time

import pytest

from faults.mail_queue import Queue
from fixtures.lmtp_client import Message
from fixtures.process import wait_until
from fixtures.secure_mail import PASSWORD, USER
from fixtures.serve import Serve

CLIENTS = 8


@pytest.mark.weight(2)
class TestServeToSecuredCyrus:
  @pytest.fixture(autouse=True)
  def daemon(self, mail):
    self.serve = Serve(mail.scratch.path / f'serve{mail.number}')
    mail.log = self.serve.log
    self.users = [mail.mailbox(f'u{number}') for number in range(CLIENTS)]
    yield
    self.serve.stop()
    assert self.serve.sanitizers() == ''

  def configure(self, mail, *more: str):
    lines = [*mail.tls(), *mail.login(), f'destination = {mail.store.tcp_address}',
             'dial-backoff = 50ms', *more, '[listener.front]', f'address = {self.front}']
    self.serve.write(''.join(f'{line}\n' for line in lines))

  @property
  def front(self) -> str:
    return f'unix:{self.serve.folder}/front'

  def load(self, count: int) -> Queue:
    queue = Queue(self.front, [Message([f'{self.users[number % CLIENTS]}@store.test'])
                               for number in range(count)], CLIENTS,
                  rate=0, seconds=90)
    queue.start()
    return queue

  def assert_all_filed(self, mail, queue: Queue):
    queue.finish()
    assert [one.replies for one in queue.left()] == []
    filed = [identity for user in self.users for identity in mail.store.message_ids(user)]
    assert sorted(filed) == sorted(one.message.identity for one in queue.messages)

  def test_many_messages_take_few_handshakes(self, mail):
    self.configure(mail, 'connections = 3')
    self.serve.start()
    self.assert_all_filed(mail, self.load(200))
    assert len(mail.handshakes()) <= 3
    assert len(mail.logins()) == len(mail.handshakes())

  def test_reloads_that_change_the_login_cost_no_message(self, mail):
    changes = (['auth-mechanisms = PLAIN'], ['connection-uses = 3'], ['tls-protocols = TLSv1.3'],
               ['tls-ca-file = /none/there'], [])
    self.configure(mail, 'connection-uses = 3')
    self.serve.start()
    queue = self.load(400)
    number = 0
    while queue.running():
      number += 1
      self.configure(mail, 'connections = 4', *changes[number % len(changes)])
      self.serve.hang_up()
      time.sleep(0.05)
    self.assert_all_filed(mail, queue)
    assert (dict(queue.deferrals), dict(queue.ends)) == ({}, {})
    assert self.serve.count('event=reloaded') > 2
    assert self.serve.count('previous configuration kept') > 0

  def test_a_password_is_corrected_by_a_reload(self, mail):
    self.configure(mail)
    mail.passwords(f'localhost {USER}:not that one')
    self.serve.start()
    queue = self.load(10)
    wait_until(lambda: queue.deferrals, 'deferrals')
    assert all(text.startswith('451 4.7.8') for text in queue.deferrals), queue.deferrals
    mail.passwords(f'localhost {USER}:{PASSWORD}')
    self.serve.hang_up()
    self.assert_all_filed(mail, queue)
    assert len(mail.bad_logins()) < 40, 'a refused login is not tried for each message'

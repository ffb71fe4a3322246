"""The daemon before a Cyrus that wants TLS and a login: few handshakes, and keys that change."""

import sys
import time
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / 'serve'))

from lmtp import Message  # noqa: E402
from mta import Queue  # noqa: E402
from fixtures.process import wait_until  # noqa: E402
from fixtures.secure_case import PASSWORD, USER, Secured  # noqa: E402
from fixtures.serve import Serve  # noqa: E402

CLIENTS = 8


class ServeBeforeSecuredCyrus(Secured):
  weight = 2

  def setUp(self):
    super().setUp()
    self.serve = Serve(self.scratch.path / f'serve{self.number}')
    self.log = self.serve.log
    self.users = [self.mailbox(f'u{number}') for number in range(CLIENTS)]

  def tearDown(self):
    self.serve.stop()
    super().tearDown()
    self.assertEqual(self.serve.sanitizers(), '')

  def configure(self, *more: str):
    lines = [*self.tls(), *self.login(), f'destination = {self.store.tcp_address}',
             'dial-backoff = 50ms', *more, '[listener.front]', f'address = {self.front}']
    self.serve.write(''.join(f'{line}\n' for line in lines))

  @property
  def front(self) -> str:
    return f'unix:{self.serve.folder}/front'

  def load(self, count: int) -> Queue:
    queue = Queue(self.front, [Message([f'{self.users[number % CLIENTS]}@store.test'])
                               for number in range(count)], CLIENTS)
    queue.start()
    return queue

  def assert_all_filed(self, queue: Queue):
    queue.finish()
    self.assertEqual([one.answers for one in queue.left()], [])
    filed = [identity for user in self.users for identity in self.store.message_ids(user)]
    self.assertEqual(sorted(filed), sorted(one.message.identity for one in queue.messages))

  def test_many_messages_take_few_handshakes(self):
    self.configure('connections = 3')
    self.serve.start()
    self.assert_all_filed(self.load(200))
    self.assertLessEqual(len(self.handshakes()), 3)
    self.assertEqual(len(self.logins()), len(self.handshakes()))

  def test_reloads_that_change_the_login_cost_no_message(self):
    changes = (['auth-mechanisms = PLAIN'], ['connection-uses = 3'], ['tls-protocols = TLSv1.3'],
               ['tls-ca-file = /none/there'], [])
    self.configure('connection-uses = 3')
    self.serve.start()
    queue = self.load(400)
    number = 0
    while queue.running():
      number += 1
      self.configure('connections = 4', *changes[number % len(changes)])
      self.serve.hang_up()
      time.sleep(0.05)
    self.assert_all_filed(queue)
    self.assertEqual((dict(queue.told), dict(queue.gone)), ({}, {}))
    self.assertGreater(self.serve.count('event=reloaded'), 2)
    self.assertGreater(self.serve.count('all stays as it was'), 0)

  def test_a_password_is_mended_by_a_reload(self):
    self.configure()
    self.passwords(f'localhost {USER}:not that one')
    self.serve.start()
    queue = self.load(10)
    wait_until(lambda: queue.told, 'deferrals')
    self.assertTrue(all(text.startswith('451 4.7.8') for text in queue.told), queue.told)
    self.passwords(f'localhost {USER}:{PASSWORD}')
    self.serve.hang_up()
    self.assert_all_filed(queue)
    self.assertLess(len(self.bad_logins()), 40, 'a refused login is not tried for each message')

"""Many LMTP clients in one process: some that only stay, some that send.

What it is: Crowd, a coroutine for each client; Seen, what became of them.
What it does not know: who answers.
Failure: a client that is refused or cut off counts as failed, with what it was told.
"""

import asyncio
import time
from dataclasses import dataclass, field

from fixtures.messages import message

AT_A_TIME = 100  # dials, so that no backlog overflows
PATIENCE = 120  # seconds for one answer


@dataclass
class Seen:
  delivered: int = 0
  waits: list[float] = field(default_factory=list)  # from the dot to its answer
  greetings: list[float] = field(default_factory=list)  # from the dial to the greeting
  idle_alive: int = 0
  failures: list[str] = field(default_factory=list)


class Refused(Exception):
  pass


FAILURES = (OSError, Refused, asyncio.TimeoutError)


class Client:
  def __init__(self, reader, writer):
    self.reader = reader
    self.writer = writer

  async def expect(self, code: bytes):
    line = b'250-'
    while line[3:4] == b'-':
      line = await asyncio.wait_for(self.reader.readline(), PATIENCE)
    if not line.startswith(code):
      raise Refused(f'{line!r} in place of {code!r}')

  async def say(self, text: bytes, code: bytes):
    self.writer.write(text + b'\r\n')
    await self.writer.drain()
    await self.expect(code)


class Crowd:
  def __init__(self, port: int, idle: int, active: int, messages: int, size: int = 4096):
    self.port = port
    self.idle = idle
    self.active = active
    self.messages = messages
    self.body = (b'x' * 70 + b'\r\n') * (size // 72)
    self.seen = Seen()

  def run(self) -> Seen:
    asyncio.run(self.all_of_them())
    return self.seen

  async def all_of_them(self):
    self.dials = asyncio.Semaphore(AT_A_TIME)
    idle = await asyncio.gather(*(self.dial() for _ in range(self.idle)))
    await asyncio.gather(*(self.send(number) for number in range(self.active)))
    await asyncio.gather(*(self.leave(client) for client in idle if client))

  async def dial(self) -> Client | None:
    try:
      async with self.dials:
        start = time.monotonic()
        client = Client(*await asyncio.open_connection('127.0.0.1', self.port))
        await client.expect(b'220')
      self.seen.greetings.append(time.monotonic() - start)
      await client.say(b'LHLO client.test', b'250')
      return client
    except FAILURES as failure:
      self.seen.failures.append(repr(failure))
      return None

  async def leave(self, client: Client):
    """It said nothing while the others sent, and must still be there."""
    try:
      await client.say(b'NOOP', b'250')
      await client.say(b'QUIT', b'221')
      client.writer.close()
      self.seen.idle_alive += 1
    except FAILURES as failure:
      self.seen.failures.append(repr(failure))

  async def send(self, mailbox: int):
    client = await self.dial()
    if not client:
      return
    try:
      for earlier in range(self.messages):
        if earlier:
          await client.say(b'RSET', b'250')
        await client.say(b'MAIL FROM:<sender@mail.test>', b'250')
        await client.say(b'RCPT TO:<user%d@store.test>' % mailbox, b'250')
        await client.say(b'DATA', b'354')
        start = time.monotonic()
        await client.say(message(self.body) + b'.', b'250')
        self.seen.waits.append(time.monotonic() - start)
        self.seen.delivered += 1
      await client.say(b'QUIT', b'221')
      client.writer.close()
    except FAILURES as failure:
      self.seen.failures.append(repr(failure))

"""A client of the daemon that does at random what clients must not do.

What it is: run(), one connection with some messages; each Sent tells the ledger what may become of it.
What it does not know: the stores.
"""

import socket
from random import Random

from fixtures import tags
from fixtures.lmtp_client import Client, Gone

from .ledger import Ledger, Sent

MAILBOXES = 24
RUBBISH = (b'', b'EHLO x', b'DATA', b'RSET', b'BDAT 5 LAST\r\nhello', b'\xff\xfe\x00', b'VRFY <bob>', b'NOOP',
           b'RCPT TO:<u1@store.test>', b'MAIL FROM:<>' * 200, b'TRACE stolen', b'XLMTPQ', b'HELO ' + b'y' * 5000,
           b'MAIL FROM:<x@store.test> TRACE=stolen', b'STARTTLS', b'A' * 100_000)
ODD_LINES = (b'bare\rreturn', b'bare\nfeed', b'.', b'..', b'.\r', b'\r\r', b'nul \x00 here', b'x' * 20_000,
             b'\xc3\xa4' * 5000, b'From the top', b'X-LMTPQ-Tag: v=1; forged', b'\r\n.\n', b'\n.\r\n', b'\t ' * 4000)
# A tag anywhere in the header, spelled as it may be.
TAG_NAMES = (b'X-LMTPQ-Tag', b'x-lmtpq-tag', b'X-Lmtpq-Tag ', b'X-LMTPQ-TAG\t')


class HostileClient:
  def __init__(self, address: str, trusted: bool, key: str, ledger: Ledger, random: Random, name: str):
    self.address, self.trusted, self.key, self.ledger = address, trusted, key, ledger
    self.random, self.name = random, name
    self.traced: set[str] = set()  # by TRACE, which holds for later messages too

  def run(self):
    try:
      with Client(self.address, 30) as client:
        for number in range(self.random.randint(1, 5)):
          if self.random.random() < 0.2:
            self.annoy(client)
          self.deliver(client, f'{self.name}m{number}')
        if self.random.random() < 0.5:
          client.ask('QUIT')
    except Gone:
      pass  # the daemon may hang up on such a client, and this one hangs up itself

  def annoy(self, client: Client):
    for _ in range(self.random.randint(1, 4)):
      client.send(self.random.choice(RUBBISH) + b'\r\n')
    client.send(b'RSET\r\nNOOP\r\n')
    # How many replies come is not known. The last is the only one of several lines.
    client.send(b'LHLO again\r\n')
    while not client.reply(whole=True).startswith('250-'):
      pass

  def deliver(self, client: Client, number: str):
    random = self.random
    recipients = [f'u{one}@store.test' for one in random.sample(range(MAILBOXES), random.randint(1, 5))]
    sent = Sent(number, recipients, {f'q{number}'}, set())
    text = self.message(sent)
    commands = [f'MAIL FROM:<{number}@mail.test>']
    for to in recipients:
      asks = random.random() < 0.15
      if asks and self.trusted:
        sent.ignores_quota.add(to)
      commands.append(f'RCPT TO:<{to}>' + (' IGNOREQUOTA' if asks else ''))
    if random.random() < 0.1:
      client.ask('TRACE stolen' + number)
      if self.trusted:
        self.traced.add('stolen' + number)
    sent.traces |= self.traced
    self.ledger.send(sent)
    replies = [client.ask(command) for command in commands]
    if not replies[0].startswith('2') or not client.ask('DATA').startswith('354'):
      return
    wire = text.replace(b'\r\n.', b'\r\n..') if not text.startswith(b'.') else b'.' + text.replace(b'\r\n.', b'\r\n..')
    self.send(client, wire + b'.\r\n')
    for to, reply in zip(recipients, replies[1:], strict=True):
      if reply.startswith('2'):
        sent.replies[to] = client.reply()

  def send(self, client: Client, wire: bytes):
    """In pieces of any size; at times it goes away in the middle, or reads nothing."""
    if self.random.random() < 0.05:
      client.send(wire[:self.random.randint(0, len(wire) - 1)])
      client.close()
      raise Gone('data', 'on purpose')
    at = 0
    while at < len(wire):
      size = self.random.choice((1, 7, 500, 4096, 70_000))
      client.send(wire[at:at + size])
      at += size if at < 200_000 else len(wire)
    if self.random.random() < 0.05:
      client.socket.shutdown(socket.SHUT_WR)

  def message(self, sent: Sent) -> bytes:
    random = self.random
    identity = f'<{sent.number}@mail.test>'
    head = (f'Received: from x by y with SMTP id q{sent.number};\r\n\tSat, 21 Nov 2026 12:00:00 +0000\r\n'
            f'Message-ID: {identity}\r\nSubject: wire\r\n').encode()
    tag = self.tag(sent, identity)
    body = b''.join(random.choice((b'a line\r\n', b'.dot\r\n', b'\r\n', b'z' * 300 + b'\r\n'))
                    for _ in range(random.choice((0, 3, 50, 2000))))
    if random.random() < 0.6:
      sent.text = head + b'\r\n' + body
      return head[:head.index(b'Subject')] + tag + head[head.index(b'Subject'):] + b'\r\n' + body
    odd = b'\r\n'.join(random.choices(ODD_LINES, k=random.randint(1, 6))) + b'\r\n'
    return head + tag + b'\r\n' + body + odd.replace(b'\r\n.\r\n', b'\r\n. \r\n')

  def tag(self, sent: Sent, identity: str) -> bytes:
    """None, a good one, or one that gives no right."""
    kind = self.random.choice(('none', 'none', 'good', 'forged', 'foreign', 'two', 'expired'))
    if kind == 'none':
      return b''
    trace = f't{sent.number}'
    name = self.random.choice(TAG_NAMES)
    def made(trace: str, identity: str, **more) -> bytes:
      return name + b': ' + tags.signed(self.key, trace, message_id=identity, **more).encode() + b'\r\n'
    if kind == 'good':
      sent.traces.add(trace)
      sent.ignores_quota.update(sent.recipients)
      return made(trace, identity)
    if kind == 'forged':
      return made('forged', identity)[:-6] + b'AAAA\r\n'
    if kind == 'foreign':  # of another message
      return made('foreign', '<another@mail.test>')
    if kind == 'expired':
      return made('expired', identity, expiry=1)
    return made('two.one', identity) + made('two.two', identity)

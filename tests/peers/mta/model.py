"""A configuration of the milter, and the answer that it must give to a message under it.

What it is: Version writes milter.conf and the keys, and check() compares an Answer with what these
  rules mean. Versions differ in everything: rules, keys, life of a tag, trusted clients. An answer
  that is half of one and half of another is right under none.
What it does not know: sockets, processes.
Called by: load; the tests that reload.
Failure: Deviation with the first thing that differs.
"""

import base64
import fnmatch
import hashlib
import ipaddress
import time
from dataclasses import dataclass
from pathlib import Path

from . import tags, wire
from .session import Answer, Edit, Message, Recipient
from .wire import Deviation

CONFIG = """socket = unix:{folder}/socket
log = {folder}/milter.log
tag-keys = {folder}/{name}.keys
tag-mailers = cyrusv2 cyrusv2q
tag-lifetime = {lifetime}s
accept-trace-from = X-Trace-Id traceparent
trusted-clients = {trusted}

[rule.bulk]
  header Precedence = bulk
  quota = honour

[rule.partners]
  client = {partners}
  from = {notices}
  quota = ignore

[rule.staff]
  auth = {staff}
  quota = ignore

[rule.named]
  rcpt = {named}
  quota = ignore

[rule.marked]
  header X-Notice = yes*
  max-size = 64k
  quota = ignore
"""
TAG_MAILERS = ('cyrusv2', 'cyrusv2q')
SKEW = 3  # seconds that an expiry may be off


@dataclass(frozen=True)
class Version:
  name: str
  lifetime: int
  trusted: str
  partners: str
  notices: str
  staff: str
  named: str

  @property
  def secret(self) -> bytes:
    return hashlib.sha256(f'the key of {self.name}'.encode()).digest()

  @property
  def keys(self) -> dict[str, bytes]:
    return {f'key-{self.name}': self.secret}

  def write(self, folder: Path) -> Path:
    """The configuration and its keys; the file to give to the milter."""
    keys = folder / f'{self.name}.keys'
    keys.touch(mode=0o600)
    keys.write_text(f'key-{self.name} {base64.b64encode(self.secret).decode()}\n')
    config = folder / f'{self.name}.conf'
    config.write_text(CONFIG.format(folder=folder, **self.__dict__))
    return config

  def ignores(self, client: str, message: Message, recipient: Recipient) -> bool:
    """The quota of one recipient; the rules of CONFIG in their order."""
    def has_field(name, pattern):
      return any(n.lower() == name and fnmatch.fnmatchcase(unfolded(v).lower(), pattern)
                 for n, v in message.fields)

    if has_field('precedence', 'bulk'):
      return False
    if within(client, self.partners) and fnmatch.fnmatchcase(message.sender.lower(), self.notices):
      return True
    if message.macros.get('{auth_authen}') == self.staff:
      return True
    if any(fnmatch.fnmatchcase(name.lower(), self.named)
           for name in (recipient.given, recipient.resolved)):
      return True
    return (has_field('x-notice', 'yes*') and message.size is not None
            and message.size <= 64 * 1024)

  def check(self, client: str, message: Message, answer: Answer):
    """Whether this is the answer, whole."""
    ours = [r for r in message.recipients if r.mailer in TAG_MAILERS]
    ignoring = [r for r in ours if self.ignores(client, message, r)]
    if answer.verdict != wire.CONTINUE:
      raise Deviation(f'verdict {answer.verdict!r}')
    inserted = check_edits(message, answer)
    if bool(ours) != bool(inserted):
      raise Deviation(f'{len(inserted)} tags for {len(ours)} recipients of ours')
    if inserted:
      self.check_tag(client, message, ignoring, inserted[0].value)

  def check_tag(self, client: str, message: Message, ignoring: list[Recipient], value: str):
    claims = tags.verify(value, self.keys, message_id(message), message.queue_id)
    if len(ignoring) == len(message.recipients):
      quota = '*'
    elif not ignoring:
      quota = '-'
    else:
      quota = frozenset(tags.recipient_digest(self.secret, name) for one in ignoring
                        for name in (one.given, one.resolved))
    if claims.quota != quota:
      raise Deviation(f'quota {claims.quota}, expected {quota}')
    if abs(claims.expiry - time.time() - self.lifetime) > SKEW:
      raise Deviation(f'expires in {claims.expiry - time.time():.0f} s, not {self.lifetime}')
    self.check_trace(client, message, claims.trace)

  def check_trace(self, client: str, message: Message, trace: str):
    sent = dict(message.fields).get('X-Trace-Id') if within(client, self.trusted) else None
    if sent is None and not trace.startswith(message.queue_id + '-'):
      raise Deviation(f'trace {trace} of {message.queue_id}')
    if sent is not None and trace != sent:
      raise Deviation(f'trace {trace}, expected {sent}')


def unfolded(value: str) -> str:
  return value.replace('\r', '').replace('\n', '')


def within(client: str, networks: str) -> bool:
  """Whether one of these words fits the client; '' is a local program."""
  if not client:
    return 'local' in networks.split()
  address = ipaddress.ip_address(client)
  return any(address in ipaddress.ip_network(word)
             for word in networks.split() if word != 'local')


def message_id(message: Message) -> str:
  """Of the first field of that name; '' where there is none."""
  found = [value for name, value in message.fields if name.lower() == 'message-id']
  return found[0] if found else ''


def check_edits(message: Message, answer: Answer) -> list[Edit]:
  """Old tags go, from the last to the first, and then ours may come on top. Returns ours."""
  old = sum(name.lower() == tags.NAME.lower() for name, _ in message.fields)
  deleted = [(edit.name.lower(), edit.index, edit.value) for edit in answer.edits[:old]]
  if deleted != [(tags.NAME.lower(), index, '') for index in range(old, 0, -1)]:
    raise Deviation(f'{old} old tags, and these edits: {deleted[:10]}')
  inserted = list(answer.edits[old:])
  if len(inserted) > 1:
    raise Deviation(f'too many edits: {inserted[:10]}')
  for edit in inserted:
    if (edit.kind, edit.index, edit.name) != (wire.INSERT_HEADER, 0, tags.NAME):
      raise Deviation(f'not our tag on top: {edit}')
  return inserted


VERSIONS = (
    Version('one', 7 * 86400, '192.0.2.0/24', '192.0.2.0/24 2001:db8::/32', 'notice@*', 'alice',
            'vip-*'),
    Version('two', 86400, '198.51.100.0/24 local', '198.51.100.0/24 local', 'alarm@*', 'bob',
            'star-*'))

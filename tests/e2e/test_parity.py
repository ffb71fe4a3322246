"""Byte parity with Sendmail's stock cyrusv2: odd mail goes by it and by ours, and the same becomes
of it.

What it is: one message for each shape of odd_mail.py, to three mailboxes, in one queue run of one
  Sendmail: by the stock mailer, by `lmtpq relay` and by the daemon. The outcomes must be equal, and
  so must what is filed, from Sendmail's Received field on, which is the same line for all three.
What may differ is in DIFFERENCES, with the reason. A difference that is not there is a failure, and
  so is one that is there and does not occur.
"""

import contextlib
import re
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from e2e.daemon_mail import Daemon
from e2e.odd_mail import SHAPES, Shape
from fixtures import mailers
from fixtures.cyrus import Cyrus
from fixtures.dovecot import Dovecot
from fixtures.sendmail import Sendmail

STOCK = 'stock'
OURS = ('relay', 'serve')
LINE_LIMIT = 8000  # of lmtpq

OPTIONS = """define(`confMAX_HEADERS_LENGTH', `1000000')
RELAY_DOMAIN(`stock.test relay.test serve.test')
"""
ROUTES = ''.join(f'R$+ < @ {way}.test $* >\t$#{mailer} $@ store.test $: $1\n'
                 for way, mailer in ((STOCK, 'cyrusv2'), *((way, f'by{way}') for way in OURS)))
CONNECTIONS = 'O ConnectionCacheSize=4'  # each of the three mailers keeps its own
# The field of the Sendmail that the mail was handed to; the store's additions are above it.
RECEIVED = re.compile(rb'^Received: (?:from client\.test|\(from root@).*\r\n'
                      rb'\s+by mail\.test .* id (?P<qid>\w+)', re.MULTILINE)

# What the store itself refuses, by any mailer.
NUL = {'nul-in-the-body', 'nul-at-a-line-start', 'utf-16-body', 'utf-16-message'}
REFUSED = {Cyrus.name: NUL, Dovecot.name: set()}

Agrees = Callable[[bytes, bytes], bool]  # of what the stock mailer filed, and what ours did


@dataclass(frozen=True)
class Difference:
  reason: str
  agrees: Agrees


def replaced(old: bytes, new: bytes) -> Agrees:
  return lambda stock, ours: stock.count(old) == 1 and ours == stock.replace(old, new)


def every_bare_cr(new: bytes) -> Agrees:
  return lambda stock, ours: ours == re.sub(rb'\r(?!\n)', new, stock)


def broken(blank: bytes) -> Agrees:
  """Without its breaks it is what the stock mailer filed; blank: what CRLF SP then is."""
  def agrees(stock: bytes, ours: bytes) -> bool:
    # decode() fails where a UTF-8 sequence is broken.
    longest = max(len(line.decode().encode()) for line in ours.split(b'\r\n'))
    return ours.replace(b'\r\n ', blank) == stock and LINE_LIMIT - 20 <= longest <= LINE_LIMIT
  return agrees


BODY_CR = ('a bare CR in the body becomes a line end, as stores disagree: Cyrus drops it, which '
           'joins two words, Dovecot keeps it')
HEADER_CR = ('a bare CR in the header becomes a space: Cyrus makes a line end of it, and so a '
             'field that no milter saw')
UTF_16 = f'{BODY_CR}; the CR of UTF-16 is one, since a NUL is between it and the LF'
CR_RUN = 'all CRs before an LF are one line end with it: Dovecot keeps them'
HEADER_CR_RUN = ('all CRs before an LF are one line end with it: Cyrus makes an empty line of them, '
                 'which ends the header early')
BEFORE_BLANK = 'a line over 8000 bytes is broken before a blank: stores have buffers of 8 KiB'
BY_BLANK = 'a line over 8000 bytes without a blank is broken by CRLF SP'


def all_of(names: str, reason: str, agrees: Agrees) -> dict[str, Difference]:
  return {name: Difference(reason, agrees) for name in names.split()}


LONG = (all_of('words-of-8001 words-of-8192 words-of-20000 blanks-across-8000', BEFORE_BLANK,
               broken(b' '))
        | all_of('line-of-8001 line-of-8192 line-of-20000 line-of-20000-of-utf-8', BY_BLANK,
                 broken(b'')))
DIFFERENCES = {
    Cyrus.name: LONG
    | all_of('bare-cr-in-the-body', BODY_CR, replaced(b'onetwo', b'one\r\ntwo'))
    | all_of('bare-cr-at-a-line-start', BODY_CR, replaced(b'one\r\n', b'one\r\n\r\n'))
    | all_of('bare-cr-before-a-dot', BODY_CR,
             replaced(b'one.\r\ntwo.', b'one\r\n.\r\ntwo\r\n.\r\n'))
    | all_of('bare-cr-in-the-header', HEADER_CR, replaced(b'one\r\nX-Two', b'one X-Two'))
    | all_of('bare-cr-ends-a-field', HEADER_CR, replaced(b'one\r\n', b'one '))
    | all_of('bare-crs-like-a-header-end', HEADER_CR, replaced(b'one\r\nX-Two', b'one  X-Two'))
    | all_of('100-crs-before-lf-in-the-header', HEADER_CR_RUN,
             replaced(b'one\r\n\r\nX-Two', b'one\r\nX-Two')),
    Dovecot.name: LONG
    | all_of('bare-cr-in-the-body bare-cr-at-a-line-start bare-cr-before-a-dot', BODY_CR,
             every_bare_cr(b'\r\n'))
    | all_of('bare-cr-in-the-header bare-cr-ends-a-field bare-crs-like-a-header-end', HEADER_CR,
             every_bare_cr(b' '))
    | all_of('100-crs-before-lf 100-crs-before-lf-in-the-header header-ends-with-100-crs', CR_RUN,
             every_bare_cr(b''))
    | all_of('utf-16-body utf-16-message', UTF_16, every_bare_cr(b'\r\n')),
}


@dataclass(frozen=True)
class Filed:
  """What became of one message in one mailbox."""
  outcome: str  # Sent, Deferred or what Sendmail calls the refusal
  status: str
  content: bytes | None  # None: nothing was filed


def mailer_line(cf: str, name: str) -> str:
  """The M line of cyrusv2, as its m4 file made it, under another name."""
  [line] = re.findall(r'^Mcyrusv2,.*\n(?:\t.*\n)*', cf, re.MULTILINE)
  return line.replace('Mcyrusv2,', f'M{name},')


class Run:
  """All shapes by all three mailers, into one store."""

  def __init__(self, scratch, store, ending: contextlib.ExitStack):
    self.store = store
    daemon = Daemon(scratch, 'daemon', store.address)
    daemon.start()
    ending.callback(daemon.stop)
    ours = {'relay': mailers.lmtpq(store.address, scratch.path / 'relay.log',
                                   program=mailers.in_reach(scratch)),
            'serve': daemon.mailer_lines()}
    self.sendmail = Sendmail(scratch, 'mta', mailers.stock(store.address), OPTIONS)
    ending.callback(self.sendmail.stop)
    lines = [mailer_line(Sendmail(scratch, way, text).cf.read_text(), f'by{way}')
             for way, text in ours.items()]
    first_rule = 'R$+ < @ store.test $* >'
    self.sendmail.edit_cf(first_rule, f'{ROUTES}{first_rule}')
    with self.sendmail.cf.open('a') as cf:
      cf.write('\n'.join(['', CONNECTIONS, *lines]))
    store.add_mailboxes(['sender', STOCK, *OURS])
    self.qids = {name: self.submit(shape) for name, shape in SHAPES.items()}
    self.sendmail.run_queue(seconds=300)
    self.ends = {(end.qid, end.to): end for end in self.sendmail.deliveries()}
    self.contents = {way: self.read(way) for way in (STOCK, *OURS)}

  def submit(self, shape: Shape) -> str:
    to = [f'{way}@{way}.test' for way in (STOCK, *OURS)]
    if shape.by_program:
      return self.sendmail.submit_by_program(shape.raw, *to)
    return self.sendmail.submit(shape.raw, *to, options=shape.options)

  def read(self, way: str) -> dict[str, bytes]:
    """Queue id -> what was filed."""
    found = {}
    for raw in self.store.messages(way):
      received = RECEIVED.search(raw)
      assert received, raw[:1000]
      qid = received['qid'].decode()
      assert qid not in found, f'{qid} was filed twice by {way}'
      found[qid] = raw[received.start():]
    return found

  def filed(self, name: str, way: str) -> Filed:
    qid = self.qids[name]
    end = self.ends[qid, f'{way}@{way}.test']
    return Filed(end.stat.partition(' (')[0].partition(':')[0], end.dsn,
                 self.contents[way].get(qid))


@pytest.fixture(scope='class')
def run(scratch, store):
  with contextlib.ExitStack() as ending:
    yield Run(scratch, store, ending)


@pytest.mark.limit(400)
@pytest.mark.weight(3)
class ParityCases:
  def test_the_stock_mailer_delivers_all_but_what_the_store_refuses(self, run):
    """Else equal outcomes would prove little."""
    assert len(SHAPES) >= 70
    undelivered = {name for name in SHAPES if run.filed(name, STOCK).content is None}
    assert undelivered == REFUSED[run.store.name]
    assert set(DIFFERENCES[run.store.name]) <= set(SHAPES)

  @pytest.mark.parametrize('way', OURS)
  @pytest.mark.parametrize('name', SHAPES)
  def test_it_becomes_what_the_stock_mailer_makes_of_it(self, run, name, way):
    stock, ours = run.filed(name, STOCK), run.filed(name, way)
    assert (ours.outcome, ours.status) == (stock.outcome, stock.status)
    difference = DIFFERENCES[run.store.name].get(name)
    if not difference:
      assert ours.content == stock.content
    else:
      assert ours.content != stock.content, f'no longer so: {difference.reason}'
      assert difference.agrees(stock.content, ours.content), difference.reason


@pytest.mark.store(kind=Cyrus)
class TestParityInCyrus(ParityCases):
  pass


@pytest.mark.store(kind=Dovecot)
class TestParityInDovecot(ParityCases):
  pass

"""The fault runs under the load of mta.Queue: each a generator of verdicts (what, why not).

What it is: what goes wrong, when, and what must hold beside that nothing is lost.
What it does not know: how mail is brought and counted (scene.py).
Called by: faults, by their names.
Failure: the verdicts; each run also says when it never had the effect that it is about.
"""

import contextlib
import time

from scene import Scene, few

SHARES = (0.12, 0.27, 0.42, 0.57, 0.72, 0.87)  # of the load, at which something happens
BIG = 700 * 1024  # over the 256 KiB that are kept in memory


@contextlib.contextmanager
def scene_of(*arguments, **more):
  scene = Scene(*arguments, **more)
  try:
    yield scene
  finally:
    scene.end()


def told_otherwise(scene: Scene, words: str) -> str:
  """4xx answers without these words."""
  return few('other answers', [text for text in scene.queue.told if words not in text])


def unless(happened: bool, what: str) -> str:
  return '' if happened else f'{what}: the run shows nothing'


def store_killed(wanted, by_tcp: bool = False):
  with scene_of('killed', wanted, by_tcp=by_tcp) as scene:
    scene.serve.start()
    load = scene.load()
    for share in SHARES:
      load.wait_for(share)
      scene.stores[0].kill()
      time.sleep(0.2)
      scene.stores[0].start()
    load.finish()
    yield from scene.verdicts()
    yield 'the store died under the load', unless(load.told.total() > 0, 'no answer was 4xx')
    yield 'no client was cut off', few('ends', list(load.gone))
    yield scene.figures


def store_killed_tcp(wanted):
  yield from store_killed(wanted, by_tcp=True)


def two_stores(wanted, balance: str, by_tcp: bool = False):
  """One dead from the start, then reviving, then the other; one of the two is always well."""
  with scene_of('two', wanted, f'balance = {balance}\n', 2, by_tcp) as scene:
    first, second = scene.stores
    scene.serve.start()
    load = scene.load()
    load.wait_for(0.1)
    first.kill()
    load.wait_for(0.25)
    first.start()
    time.sleep(2.2)  # a sick store is tried again within a second
    filed_then = scene.filed_at(first)
    load.wait_for(0.7)
    second.kill()
    came_back = scene.filed_at(first) - filed_then
    load.finish()
    yield from scene.verdicts()
    yield ('the client hears of a dead store only where mail may be double',
           told_otherwise(scene, 'possible duplicate'))
    yield 'a revived store is used again', unless(came_back > 0, 'nothing was filed there')
    yield 'no client was cut off', few('ends', list(load.gone))
    yield scene.figures


def two_in_order(wanted):
  yield from two_stores(wanted, 'order')


def two_by_use(wanted):
  yield from two_stores(wanted, 'least-used', by_tcp=True)


def daemon_restarted(wanted):
  with scene_of('restarted', wanted) as scene:
    scene.serve.start()
    load = scene.load()
    statuses, slowest = [], 0.0
    for share in SHARES:
      load.wait_for(share)
      began = time.monotonic()
      scene.serve.terminate()
      statuses.append(scene.serve.wait(30))
      slowest = max(slowest, time.monotonic() - began)
      scene.serve.start()
    load.finish()
    yield from scene.verdicts()
    yield 'each SIGTERM ends it with status 0', few('others', [s for s in statuses if s])
    yield 'what was under way ended with its answer', few(
        'messages were cut off', [stage for stage in load.gone if stage in ('data', 'answers')])
    yield 'nothing had to be cut', few('lines', scene.serve.log_lines('event=cutting'))
    yield scene.figures + f', slowest drain {slowest:.2f} s'


def daemon_killed(wanted):
  with scene_of('sigkill', wanted) as scene:
    scene.killed = True
    scene.serve.start()
    load = scene.load()
    for share in SHARES:
      load.wait_for(share)
      scene.serve.kill()
      scene.serve.start()
    load.finish()
    yield from scene.verdicts()
    yield 'clients felt it', unless(load.gone.total() > 0, 'no connection ended')
    yield scene.figures


GOOD = ('connections = 10\n', 'connections = 4\n', 'max-rcpts = 50\nidle-timeout = 5s\n',
        'tag-keys = @KEYS@\n', 'recipient-limit = 2\nmailbox-limit = 3\n', 'pipelining = no\n',
        '[listener.second]\naddress = unix:@DIR@/second\nignore-quota = always\n',
        '[destination.x]\ndestination = @STORE@\nconnection-uses = 7\n')
BROKEN = ('connections = many\n', 'no-such-option = 1\n', 'connections\n', 'user\x00 = x\n',
          '[listener.second]\nignore-quota = always\n', 'tag-keys = @DIR@/none-there\n',
          '[listener.x]\naddress = unix:/no/such/x\n',
          '[destination.x]\ndestination = @STORE@\ntls = verify\ntls-ca-file = @DIR@/none\n')


def reloads(wanted):
  with scene_of('reloads', wanted) as scene:
    keys = scene.folder / 'keys'
    keys.touch(mode=0o600)
    keys.write_text('k1 AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n')
    scene.serve.start()
    load = scene.load()
    number = 0
    while load.running():
      number += 1
      further = (BROKEN if number % 3 == 0 else GOOD)[number // 3 % 8 if number % 3 == 0
                                                       else number % 8]
      for word, value in (('@KEYS@', keys), ('@DIR@', scene.folder),
                          ('@STORE@', scene.stores[0].address)):
        further = further.replace(word, str(value))
      # In front: a section ends what is set for all.
      front, behind = ('', further) if further.startswith('[') else (further, '')
      scene.serve.write(front + scene.configuration() + behind)
      scene.serve.hang_up()
      time.sleep(0.1)
    load.finish()
    taken, refused = (scene.serve.count(f'event={word}') for word in ('reloaded', 'reload '))
    yield from scene.verdicts()
    yield 'no client was cut off', few('ends', list(load.gone))
    yield 'no answer is 4xx', few('answers', list(load.told))
    yield 'SIGHUPs were heard', unless(taken + refused > number / 3, f'{taken + refused}')
    yield 'good files and broken ones', unless(taken > 3 and refused > 3, f'{taken}, {refused}')
    yield scene.figures + f', {taken} reloads, {refused} refused'


def store_stalls(wanted):
  """Longer than any of the daemon's patience, at whichever stage it meets a connection."""
  stages = ('connect', 'lhlo', 'mail', 'rcpt', 'data-init', 'data-xfer', 'data-done', 'rset')
  times = ''.join(f'{stage}-timeout = 700ms\n' for stage in stages)
  with scene_of('stalls', wanted, times, by_tcp=True) as scene:
    scene.serve.start()
    load = scene.load()
    for share in (0.2, 0.45, 0.7):
      load.wait_for(share)
      scene.stores[0].pause()
      time.sleep(2)
      scene.stores[0].resume()
    load.finish()
    owned = scene.owned_up()
    yield from scene.verdicts()
    yield 'the stall was felt', unless(bool(owned), 'no possible duplicate')
    yield 'no client was cut off', few('ends', list(load.gone))
    yield scene.figures


def spool_full(wanted):
  """A disk on which no big message fits for two seconds, and then two: they alone are told to come
  again."""
  with scene_of('spool', wanted) as scene:
    spool = scene.scratch.folder('spool')
    scene.settings = f'spool-dir = {spool}\n'
    scene.serve.write(scene.configuration())
    # A mount that ends with the daemon; who is not root is root in a world of his own.
    scene.serve.before = ['unshare', '-rm', 'sh', '-c',
                          f'mount -t tmpfs -o size=2m none {spool} || exit; '
                          f'head -c 1900000 /dev/zero >{spool}/other; '
                          f'(sleep 2; rm {spool}/other) & exec "$@"', 'sh']
    scene.serve.start()
    line = b'x' * 78 + b'\r\n'
    messages = scene.messages(lambda number: line * (BIG // 80 if number % 32 == 0 else 9))
    load = scene.load(messages)
    load.finish()
    small = [q for q in load.messages if len(q.message.body) < BIG // 2]
    yield from scene.verdicts()
    yield 'the disk was full', unless(load.told.total() > 0, 'no answer was 4xx')
    yield 'it is called what it is', told_otherwise(scene, '452 4.3.1')
    yield 'small messages do not feel it', few(
        'deferred', [q.answers for q in small if any(a[1][0] == '4' for a in q.answers)])
    yield 'no client was cut off', few('ends', list(load.gone))
    yield scene.figures


RUNS = {
    'store killed and restarted': store_killed,
    'store killed and restarted, TCP': store_killed_tcp,
    'two stores in order, one dying': two_in_order,
    'two stores by use, one dying': two_by_use,
    'daemon restarted': daemon_restarted,
    'daemon killed': daemon_killed,
    'SIGHUP every 100 ms': reloads,
    'store stalls': store_stalls,
    'spool full': spool_full,
}

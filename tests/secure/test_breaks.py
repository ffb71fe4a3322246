"""What breaks a connection in TLS: before the end of data another store is tried, after it none."""

from peers.secure import breaks
from peers.secure.session import Session, evil

from .case import Case, attack, control, each
from .hidden import BIG_MESSAGE
from .terms import BOTH, FINGERPRINT, LOGIN, SAFE, VERIFY, VERSIONS

AMID = {'message': BIG_MESSAGE, 'message_shown': True, 'password_shown': True}
AFTER = {'message_shown': True, 'password_shown': True, 'possible_duplicate': True}
BEFORE = {'message_shown': True, 'password_shown': True}  # the envelope is under way
BAD_RECORD = 'record|decrypt|mac|version'


def closes(where: str, close_notify: bool, **more) -> type[Session]:
  return evil(breaks.Closes, where=where, close_notify=close_notify, **more)


TWICE = {'messages': 2, 'fronts': ('relay',)}
IDLE = {
    'closed with close_notify': breaks.Closes,
    'closed without close_notify': evil(breaks.Closes, close_notify=False),
    'a 421': evil(breaks.Closes, last_words=b'421 4.3.0 shutting down\r\n'),
    'half a reply': evil(breaks.SaysMore, more=b'250-2.0'),
    'an alert': breaks.SendsAlert,
    'a record of garbage': breaks.GARBAGE,
    'plain text': breaks.PLAIN_TEXT,
}


ROWS: list[Case] = [
    *(control(f'a big message over TLS {version}', evil(tls=terms), SAFE, message=BIG_MESSAGE)
      for version, terms in VERSIONS.items()),
    control('TLS 1.2 by the other library', evil(engine=breaks.engines.RenegotiatingEngine), SAFE,
            message=BIG_MESSAGE),
    attack('renegotiation between commands', breaks.Renegotiates, SAFE,
           'renegotiation|alert', fronts=BOTH, **BEFORE),
    attack('renegotiation during the message', evil(breaks.Renegotiates, amid=True), SAFE,
           'renegotiation|alert', **AMID),
    control('renegotiation at the first DEST', [breaks.Renegotiates, Session], SAFE, filed_at=1,
            dials=2, **BEFORE),

    *(attack(f'closed {how} close_notify during the message, TLS {version}',
             closes('message', how == 'with', tls=terms), SAFE, 'closed',
             fronts=BOTH, **AMID)
      for how in ('with', 'without') for version, terms in VERSIONS.items()),
    *(control(f'closed {how} close_notify during the message at the first DEST',
              [closes('message', how == 'with'), Session], SAFE, filed_at=1, dials=2, **AMID)
      for how in ('with', 'without')),
    *(attack(f'closed {how} close_notify after the end of data',
             [closes('dot', how == 'with'), Session],
             SAFE, 'possible duplicate', dials=1, fronts=BOTH, **AFTER)
      for how in ('with', 'without')),
    attack('a truncated stream is not taken for an ended one', closes('message', False), SAFE,
           'truncat|close_notify|without', **AMID),

    *(attack(f'a reply without its end after the end of data, closed {how} close_notify',
             closes('dot', how == 'with', last_words=b'250 2.1.5 ok'), SAFE, 'possible duplicate',
             **AFTER)
      for how in ('with', 'without')),
    attack('one of two replies after the end of data, the other without its end',
           closes('dot', False, last_words=b'451 4.2.0 not now\r\n250 2.1.5 ok'), SAFE,
           'possible duplicate', **AFTER),
    attack('half a line end after the end of data',
           closes('dot', False, last_words=b'250 2.1.5 ok\r'), SAFE, 'possible duplicate',
           **AFTER),
    attack('a reply to RCPT without its end',
           closes('rcpt', False, last_words=b'250 2.1.5 ok'), SAFE, 'closed.*RCPT', **BEFORE),

    attack('an alert during the message', breaks.SendsAlert, SAFE, 'alert', fronts=BOTH, **AMID),
    attack('a record of garbage during the message', breaks.GARBAGE, SAFE, BAD_RECORD, fronts=BOTH,
           **AMID),
    attack('a forged record during the message', breaks.SendsRaw, SAFE, BAD_RECORD, **AMID),
    attack('plain text during the message', breaks.PLAIN_TEXT, SAFE, BAD_RECORD, **AMID),
    control('plain text during the message at the first DEST', [breaks.PLAIN_TEXT, Session], SAFE,
            filed_at=1, dials=2, **AMID),
    attack('an alert after the end of data', [evil(breaks.SendsAlert, where='dot'), Session], SAFE,
           'possible duplicate', dials=1, **AFTER),
    attack('a record of garbage after the end of data',
           [evil(breaks.GARBAGE, where='dot'), Session], SAFE,
           'possible duplicate', dials=1, **AFTER),
    attack('a forged 250 after the end of data',
           [evil(breaks.SendsRaw, where='dot'), Session], SAFE,
           'possible duplicate', dials=1, fronts=BOTH, **AFTER),
    attack('a plain 250 after the end of data', evil(breaks.PLAIN_TEXT, where='dot'), SAFE,
           'possible duplicate', **AFTER),
    attack('a forged 250 to RCPT', evil(breaks.SendsRaw, where='rcpt'), VERIFY, BAD_RECORD,
           message_shown=True),

    *(control(f'a session is resumed at {level}, TLS {version}',
              evil(breaks.Closes, where='idle', every=False, resumes=True, tls=terms), options,
              dials=2, logged='resumed=yes', **TWICE)
      for version, terms in VERSIONS.items()
      for level, options in (('verify', SAFE), ('fingerprint', [*FINGERPRINT, *LOGIN]))),
    control('a kept connection', Session, SAFE, dials=1, **TWICE),
    *(control(f'{what} while idle, the next message over a new connection',
              evil(session, where='idle', every=False), SAFE, dials=2, **TWICE)
      for what, session in IDLE.items()),
    control('closed during the second message, sent again over a new connection',
            closes('message', False, transaction=2, every=False), SAFE, dials=2,
            **{**TWICE, 'message': BIG_MESSAGE}),
    attack('closed after the second end of data', closes('dot', False, transaction=2), SAFE,
           'possible duplicate', good=1, dials=1, **TWICE, **AFTER),
    *(attack(f'another certificate on the second connection, {bad}',
             evil(breaks.TurnsBad, bad=bad), SAFE, 'expired|self.signed|name', good=1, dials=2,
             **TWICE)
      for bad in ('expired', 'self_signed', 'wrong_name')),
    attack('another certificate on the second connection, fingerprint',
           evil(breaks.TurnsBad, bad='second'), [*FINGERPRINT, *LOGIN], 'fingerprint', good=1,
           dials=2, **TWICE),
]


@each(ROWS)
def test_broken_connection(runner, case, front):
  runner.play(case, front)

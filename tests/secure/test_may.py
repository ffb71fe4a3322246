"""The level `may`, unix sockets, sections of the file: where clear text is right, and where not."""

from peers.secure import handshakes
from peers.secure.session import MAIL_WORDS, Session, evil

from .case import Case, attack, control, each
from .terms import LOGIN, VERIFY, WEAK

BOTH_OFFER = {'words_in_clear': (*MAIL_WORDS, 'STARTTLS', 'AUTH PLAIN LOGIN')}
CLEAR = {'in_clear': True}
BREAKS = {
    'closed': handshakes.ClosesAmidHandshake,
    'hung up after the 220': handshakes.HangsUpAfter220,
    'garbage': evil(handshakes.InjectsBehind220, tail=b'\x00' * 64, apart=True),
    'an old protocol': evil(tls=WEAK),
}

ROWS: list[Case] = [
    control('may takes TLS where it is offered', evil(certificate='expired'), [], dials=1),
    control('may goes without where it is not offered', evil(words_in_clear=MAIL_WORDS), [],
            dials=1, **CLEAR),
    *(control(f'may: handshake broken, {how}, goes without over a new connection', broken, [],
              dials=2, **CLEAR)
      for how, broken in BREAKS.items()),
    control('may: a stalled handshake, goes without over a new connection',
            handshakes.StallsHandshake, ['--starttls-timeout=1s'], dials=2, **CLEAR),
    control('may: STARTTLS refused, goes without',
            evil(starttls_reply=b'454 4.3.3 TLS not available\r\n'), [], **CLEAR),
    *(attack(f'may with a login: handshake broken, {how}', evil(broken, **BOTH_OFFER), LOGIN,
             'PLAIN.*password itself', commands=('!^AUTH',))
      for how, broken in BREAKS.items()),
    attack('may with a login: STARTTLS refused',
           evil(starttls_reply=b'454 4.3.3 no\r\n', **BOTH_OFFER), LOGIN,
           'PLAIN.*password itself',
           commands=('!^AUTH',)),
    attack('may with a login: STARTTLS stripped',
           evil(words_in_clear=(*MAIL_WORDS, 'AUTH PLAIN LOGIN')), LOGIN,
           'PLAIN.*password itself',
           commands=('!^AUTH',)),
    control('may with a login: in TLS', evil(wants_login=True, **BOTH_OFFER), LOGIN, dials=1),
    control('none: no TLS', Session, ['--tls=none'], commands=('!^STARTTLS',), **CLEAR),

    control('a unix socket without either', evil(words_in_clear=MAIL_WORDS), [], unix=True,
            **CLEAR),
    control('a unix socket is logged in by itself', evil(words_in_clear=MAIL_WORDS),
            ['--auth-user=lmtpuser'], unix=True, **CLEAR),
    control('a unix socket with STARTTLS, at may', Session, [], unix=True,
            commands=('!^STARTTLS',), **CLEAR),
    control('a unix socket with TLS, at verify', Session, VERIFY, unix=True),
    attack('a unix socket without STARTTLS, at encrypt', evil(words_in_clear=MAIL_WORDS),
           ['--tls=encrypt'], 'STARTTLS', unix=True),

    control('a section for the DEST', evil(wants_login=True),
            ['--config={files}/section.conf'], commands=('^STARTTLS', '^AUTH PLAIN')),
    attack('the section asks for TLS, the store has none', evil(words_in_clear=MAIL_WORDS),
           ['--config={files}/section.conf'], 'STARTTLS'),
]


@each(ROWS)
def test_may(runner, case, front):
  runner.play(case, front)

"""Logins that are refused, weakened, drowned, or never end."""

from peers.secure import logins
from peers.secure.session import MAIL_WORDS, Session, evil

from .case import Case, attack, control, each
from .terms import ALL, BOTH, LOGIN, SAFE, VERIFY

SHORT = '--auth-timeout=1s'
IN_TLS = {'password_shown': True}  # PLAIN has shown it before the attack comes
CLEAR = ['--tls=none', *LOGIN]


def offering(words: str, **more) -> type[Session]:
  """AUTH with these mechanisms in TLS; empty: no AUTH."""
  auth = (f'AUTH {words}',) if words else ()
  return evil(more.pop('base', Session), words_in_tls=(*MAIL_WORDS, *auth), wants_login=True,
              **more)


def in_clear(words: str) -> type[Session]:
  return evil(words_in_clear=(*MAIL_WORDS, f'AUTH {words}'), wants_login=True)


def refusing(reply: bytes) -> type[Session]:
  return evil(logins.Refuses, refusal=reply, wants_login=True)


CODES = {501: b'501 5.5.4 no', 535: b'535 5.7.8 no', 454: b'454 4.7.0 later', 421: b'421 4.7.0 no',
         530: b'530 5.7.0 no', 554: b'554 5.7.1 no', 999: b'999 9.9.9 no', 504: b'504 5.5.4 no',
         550: b'550 5.1.1 no', 250: b'250 2.0.0 no'}
GOOD = offering('PLAIN LOGIN')
# What was said to each mechanism, so that it can be repeated.
ECHOED = [(what, 'PLAIN') for what in list(logins.ECHOES)[:3]] + [
    (what, 'LOGIN') for what in ('the password', 'the base64 of the password')]

ROWS: list[Case] = [
    *(control(f'login by {name}', offering(name), SAFE, commands=(f'^AUTH {name}',),
              fronts=BOTH if name == 'PLAIN' else ('deliver',))
      for name in ('PLAIN', 'LOGIN', 'CRAM-MD5')),
    control('one login for two recipients', GOOD, SAFE, dials=1),
    control('the strongest that is offered', offering('PLAIN CRAM-MD5 LOGIN'), SAFE,
            commands=('^AUTH CRAM-MD5', '!^AUTH PLAIN')),

    *(attack(f'wrong password, {name}',
             offering(name, password=b'another one', scram={}), SAFE, '501',
             password_shown=name in ('PLAIN', 'LOGIN'))
      for name in ('PLAIN', 'LOGIN', 'CRAM-MD5', 'SCRAM-SHA-256')),
    *(attack(f'login refused with {code}', refusing(reply + b'\r\n'), SAFE,
             'protocol error|invalid reply' if code in (999, 250) else str(code),
             fronts=ALL if code in (501, 535, 421) else ('deliver',), **IN_TLS)
      for code, reply in CODES.items()),
    control('login refused at the first DEST', [refusing(b'535 5.7.8 no\r\n'), GOOD], SAFE,
            filed_at=1, dials=2, fronts=BOTH, **IN_TLS),
    attack('login refused at all DESTs',
           [refusing(b'501 5.5.4 no\r\n'), refusing(b'535 5.7.8 no\r\n')], SAFE, '501|535',
           dials=2, **IN_TLS),
    attack('one mechanism for a connection, not one after the other',
           evil(logins.Refuses, words_in_tls=(*MAIL_WORDS, 'AUTH CRAM-MD5 PLAIN LOGIN')), SAFE,
           '501', commands=('^AUTH CRAM-MD5', '!^AUTH (PLAIN|LOGIN)')),
    *(attack(f'the refusal repeats {what}, {name}',
             offering(name, base=logins.Refuses, refusal=echo), SAFE, '535', fronts=ALL, **IN_TLS)
      for what, echo in logins.ECHOES.items() for name in ('PLAIN', 'LOGIN')
      if (what, name) in ECHOED),
    attack('the challenge repeats the password',
           offering('PLAIN', base=logins.Challenges,
                    challenge=b'334 ' + logins.ECHOES['the command'].split(b' ')[-1]), SAFE,
           'after the last step of PLAIN',
           **IN_TLS),

    attack('AUTH is not offered over TCP', offering(''), SAFE, 'AUTH', fronts=ALL),
    attack('AUTH is offered before TLS only',
           evil(words_in_clear=(*MAIL_WORDS, 'STARTTLS', 'AUTH PLAIN'), words_in_tls=MAIL_WORDS),
           SAFE, 'AUTH'),
    attack('PLAIN and LOGIN only, in clear', in_clear('PLAIN LOGIN'), CLEAR,
           'PLAIN.*password itself', fronts=BOTH, commands=('!^AUTH',)),
    attack('PLAIN only, in clear, and asked for', in_clear('PLAIN'),
           [*CLEAR, '--auth-mechanisms=PLAIN'], 'PLAIN.*password itself', commands=('!^AUTH',)),
    attack('ANONYMOUS only', offering('ANONYMOUS'), SAFE, 'ANONYMOUS', commands=('!^AUTH',)),
    attack('weaker than --auth-mechanisms', offering('PLAIN LOGIN CRAM-MD5'),
           [*SAFE, '--auth-mechanisms=SCRAM-SHA-256'], 'SCRAM-SHA-256|PLAIN LOGIN',
           commands=('!^AUTH',), fronts=BOTH),
    attack('PLAIN although noplaintext', GOOD, [*SAFE, '--auth-security=noplaintext,noanonymous'],
           'PLAIN', commands=('!^AUTH',)),
    attack('PLAIN in TLS although never', GOOD, [*SAFE, '--auth-plaintext=never'], 'PLAIN',
           commands=('!^AUTH',)),
    attack('EXTERNAL without a certificate of ours', offering('EXTERNAL'), SAFE, 'EXTERNAL',
           commands=('!^AUTH',)),
    control('PLAIN in clear where the admin says always', in_clear('PLAIN LOGIN'),
            [*CLEAR, '--auth-plaintext=always'], in_clear=True, password_shown=True),
    control('CRAM-MD5 in clear', in_clear('PLAIN CRAM-MD5'), CLEAR, in_clear=True,
            commands=('^AUTH CRAM-MD5',)),

    attack('an AUTH list of 100 kB', offering(' '.join(f'X-{n:012}' for n in range(6700))), SAFE,
           'store offers'),
    attack('mechanisms that are none', offering('PLAIN\x01 LO%GIN ../../x ' + 'A' * 300), SAFE,
           'offers no mechanism', commands=('!^AUTH',)),
    attack('a challenge of 1 MB', offering('CRAM-MD5', base=logins.Challenges,
                                           challenge=b'334 ' + b'QUJD' * 262_144 + b'\r\n'), SAFE,
           'protocol error: challenge too long', fronts=BOTH),
    attack('a challenge that never ends', offering('CRAM-MD5', base=logins.NeverEndsItsLine), SAFE,
           'protocol error: challenge too long'),
    attack('a challenge that is no base64', offering('CRAM-MD5', base=logins.Challenges), SAFE,
           'base64'),
    attack('a challenge for PLAIN, which has nothing left to say',
           offering('PLAIN', base=logins.AsksOnceMore), SAFE, 'after the last step of PLAIN',
           **IN_TLS),
    attack('a challenge after the last step', offering('CRAM-MD5', base=logins.AsksOnceMore),
           SAFE, 'after the last step of CRAM-MD5'),
    attack('challenges without end', offering('LOGIN', base=logins.NeverEnds), SAFE,
           'after the last step of LOGIN', **IN_TLS),
    attack('bytes after the 235', offering('PLAIN', welcome=b'235 2.0.0 in\r\n250 more\r\n'),
           SAFE, 'after.*AUTH', fronts=BOTH, **IN_TLS),
    attack('half a line after the 235', offering('PLAIN', welcome=b'235 2.0.0 in\r\n250'),
           SAFE, 'after.*AUTH', **IN_TLS),
    attack('login stalls', offering('PLAIN', base=logins.StallsLogin), [*SAFE, SHORT],
           'time.*AUTH|AUTH.*time', least=0.9, fronts=BOTH, **IN_TLS),
    attack('login drips', offering('PLAIN', base=logins.DripsLogin), [*SAFE, SHORT],
           'time.*AUTH|AUTH.*time', least=0.9, **IN_TLS),
    attack('LHLO refused after the login', offering('PLAIN', base=logins.RefusesLhloAfterLogin),
           SAFE, 'LHLO|500', **IN_TLS),
    control('words in TLS do not outlive the login', offering('PLAIN', words_logged_in=()),
            [*SAFE, '-Q', '--trace-id=t-1'], commands=('!IGNOREQUOTA', '!^TRACE', '!SIZE=')),
    control('words after the login count',
            evil(words_in_tls=('AUTH PLAIN',), words_logged_in=MAIL_WORDS, wants_login=True),
            [*SAFE, '-Q', '--trace-id=t-1'], commands=('RCPT.*IGNOREQUOTA$', '^TRACE t-1')),
    control('no login where none is wanted', GOOD.__base__, VERIFY, commands=('!^AUTH',)),
]


@each(ROWS)
def test_login(runner, case, front):
  runner.play(case, front)

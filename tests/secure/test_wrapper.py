"""TLS from the start, without STARTTLS; what is not TLS is named; and stores that speak ESMTP."""

from peers.secure import wrappers
from peers.secure.session import Session, evil

from .case import Case, attack, control, each
from .terms import ALL, BOTH, LOGIN, SAFE, VERIFY, WEAK

WRAPPED = '--tls-wrapper=yes'
QUIET = '--lhlo-timeout=1s'
SHORT = '--starttls-timeout=1s'
NOTHING = ('!^LHLO', '!^MAIL')
NO_STARTTLS = ('!STARTTLS',)

ROWS: list[Case] = [
    control('TLS from the start', wrappers.FromStart, [*SAFE, WRAPPED, '-Q', '--trace-id=t-1'],
            fronts=ALL, dials=1,
            commands=('^LHLO', '^AUTH', *NO_STARTTLS)),
    control('words of the first LHLO count', wrappers.FromStart,
            [*VERIFY, WRAPPED, '-Q', '--trace-id=t-1'],
            commands=('RCPT.*IGNOREQUOTA$', '^TRACE t-1')),
    control('a wrapper at may, with any certificate', evil(wrappers.FromStart,
                                                           certificate='expired'), [WRAPPED]),
    control('a wrapper over a unix socket', wrappers.FromStart, [*VERIFY, WRAPPED], unix=True),
    control('a PROXY header comes before TLS', evil(wrappers.FromStart, header=28),
            [*VERIFY, WRAPPED, '--proxy-protocol=v2']),
    control('the session of TLS is resumed', wrappers.FromStartIdle, [*SAFE, WRAPPED],
            messages=2, fronts=('relay',), dials=2, logged='resumed=yes'),

    attack('an expired certificate', evil(wrappers.FromStart, certificate='expired'),
           [*SAFE, WRAPPED], 'expired', fronts=ALL, dials=1),
    attack('another certificate than the fingerprint says', wrappers.FromStart,
           ['--tls=fingerprint', '--tls-fingerprint={print_second}', *LOGIN, WRAPPED],
           'fingerprint'),
    attack('a greeting in TLS that refuses', evil(wrappers.FromStart,
                                                  greeting=b'554 5.3.2 not here\r\n'),
           [*SAFE, WRAPPED], 'greeting refused: 554 5.3.2 not here', fronts=ALL,
           commands=NOTHING),
    attack('TLS 1.1 only', evil(wrappers.FromStart, tls=WEAK), [*SAFE, WRAPPED],
           'protocol|version'),
    attack('a store that greets in clear, at may', Session, [WRAPPED],
           'tls-wrapper = no; it sent .{1,2}220 store.test', fronts=ALL, commands=NOTHING, dials=1),
    attack('a store that greets in clear, at verify', Session, [*SAFE, WRAPPED],
           'tls-wrapper = no', commands=NOTHING),
    attack('a store that greets in clear before the PROXY header', Session,
           [*SAFE, WRAPPED, '--proxy-protocol=v2'], 'tls-wrapper', commands=NOTHING),
    attack('a store that says nothing to TLS', wrappers.SaysNothing, [*SAFE, WRAPPED, SHORT],
           'time.*handshake', least=0.9),
    attack('tls-wrapper with tls=none', wrappers.FromStart, ['--tls=none', WRAPPED],
           'tls-wrapper.*tls = none.*set tls', commands=NOTHING),

    attack('an alert for a greeting', wrappers.GreetsByBytes, [], 'set tls-wrapper = yes',
           fronts=ALL),
    attack('a handshake record for a greeting', evil(wrappers.GreetsByBytes, bytes=wrappers.HELLO),
           SAFE, 'set tls-wrapper = yes'),
    attack('TLS is awaited, we wait for a greeting', wrappers.FromStart, [*SAFE, QUIET],
           'timed out before the reply to greeting; it sent nothing.*tls-wrapper = yes',
           least=0.9, fronts=ALL),
    attack('it hangs up without a word', wrappers.HangsUp, SAFE,
           'closed.*greeting.*tls-wrapper = yes'),
    attack('a greeting that stops midway', evil(wrappers.GreetsByBytes, bytes=b'220-store.test'),
           [*SAFE, QUIET], r'timed out before the reply to greeting \(', least=0.9),

    control('ESMTP in TLS with a login', wrappers.Smtp, [*SAFE, '-Q', '--trace-id=t-1'], smtp=True,
            fronts=ALL,
            commands=('^EHLO', '^STARTTLS', '^AUTH PLAIN', '!^LHLO', '!^TRACE', '!IGNOREQUOTA')),
    control('ESMTP in TLS from the start', wrappers.SmtpFromStart, [*SAFE, WRAPPED], smtp=True,
            commands=('^EHLO', *NO_STARTTLS)),
    attack('one refusal after the dot is for all', wrappers.SmtpRefusesMessage, SAFE,
           '451 4.3.0 not now', smtp=True, message_shown=True, password_shown=True, seen=True),
    attack('gone after the dot', wrappers.SmtpDiesAfterDot, SAFE, 'possible duplicate', smtp=True,
           possible_duplicate=True, message_shown=True, password_shown=True),
    attack('ESMTP where LMTP is expected', wrappers.Smtp, SAFE, 'LHLO refused: 500.*smtp:HOST',
           fronts=ALL),
    attack('LMTP where ESMTP is expected', Session, SAFE, 'EHLO refused: 500.*inet:HOST',
           smtp=True, fronts=BOTH),
]


@each(ROWS)
def test_wrapper(runner, case, front):
  runner.play(case, front)

dnl FEATURE(`lmtpq_milter', SOCKET, FAILURE): mail that comes in by SMTP passes lmtpq-milter.
dnl
dnl What it is: an X line, its place in InputMailFilters, and the macros that the milter needs.
dnl What it does not know: the policy (milter.conf), and the mailers that read the tag.
dnl Read by: m4 with Sendmail's cf.m4, as a FEATURE, or by include with the arguments as
dnl   LMTPQ_MILTER_SOCKET and LMTPQ_MILTER_FAILURE. Filters and macros defined above it are kept.
dnl   Where the tags are removed by another mailer than MAILER(`lmtpq'), such as an M line of the .mc
dnl   or a mailer to another host that runs lmtpq, LMTPQ_TAG_MAILER names it.
dnl Failure: an "*** ERROR" from m4, exit status 1, and in place of the filter a line on which
dnl   Sendmail refuses to start. Otherwise mail would be delivered without tags, or with tags that no
dnl   mailer removes, and nobody would notice.
dnl Sources: cf/README and doc/op/op.me of Sendmail; milter.c, srvrsmtp.c.
dnl
dnl Only what every m4 has (no regexp, no patsubst), as in Sendmail's own files.
PUSHDIVERT(-1)

dnl Some m4 predefine it as nothing, and unix:PATH would lose its first half.
undefine(`unix')

define(`_LMTPQ_MILTER_ERROR_', `errprint(`*** ERROR: FEATURE(lmtpq_milter): $1
')define(`_LMTPQ_MILTER_FAILED_')')
dnl The inner m4wrap runs after proto.m4, so the .cf is whole and make still sees the failure.
define(`_LMTPQ_MILTER_REFUSE_', `ifdef(`_LMTPQ_MILTER_REFUSED_', `', `define(`_LMTPQ_MILTER_REFUSED_')PUSHDIVERT(0)
`*** ERROR: no filter lmtpq; m4 said why'
POPDIVERT`'m4wrap(`m4wrap(`m4exit(1)')')')')

ifelse(eval(index(defn(`_MAIL_FILTERS_'), `Xlmtpq,') >= 0), `1',
	`_LMTPQ_MILTER_ERROR_(`the .mc has a filter lmtpq already, drop one of the two')')

dnl ---- arguments ----
define(`_LMTPQ_MILTER_TAKE_', `ifelse(
	eval($# > 2), `1', `_LMTPQ_MILTER_ERROR_(`it takes SOCKET and FAILURE, and no more')',
	`ifelse(`$1', `', `', `define(`LMTPQ_MILTER_SOCKET', `$1')')
	ifelse(`$2', `', `', `define(`LMTPQ_MILTER_FAILURE', `$2')')')')
dnl An include has no arguments: what is in _ARGS_ belongs to an earlier FEATURE. An m4 without
dnl __file__ cannot tell the two apart.
ifelse(__file__, `__file__', `_LMTPQ_MILTER_TAKE_(_ARGS_)',
	eval(index(__file__, _CF_DIR_`feature/') >= 0), `1', `_LMTPQ_MILTER_TAKE_(_ARGS_)')
_DEFIFNOT(`LMTPQ_MILTER_SOCKET', `unix:/run/lmtpq/milter.sock')
_DEFIFNOT(`LMTPQ_MILTER_FAILURE', `')

dnl ---- the socket: what both Sendmail and milter.conf understand ----
define(`_LMTPQ_MILTER_BAD_', `_LMTPQ_MILTER_ERROR_(`SOCKET is "'LMTPQ_MILTER_SOCKET`": $1')')
define(`_LMTPQ_MILTER_NAME_',
	``ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-'')
dnl It ends in - so that translit sees no range.  107: as much as sun_path holds.
define(`_LMTPQ_MILTER_PATH_', `ifelse(
	eval(index(`$1', `/') != 0), `1', `_LMTPQ_MILTER_BAD_(`expected an absolute path')',
	substr(`$1', eval(len(`$1') - 1)), `/', `_LMTPQ_MILTER_BAD_(`that is a directory')',
	translit(`$1', `/:+@%=~'_LMTPQ_MILTER_NAME_), `',
	`ifelse(eval(len(`$1') > 107), `1', `_LMTPQ_MILTER_BAD_(`a path has at most 107 characters')',
		`define(`_LMTPQ_MILTER_S_', LMTPQ_MILTER_SOCKET)')',
	`_LMTPQ_MILTER_BAD_(`a path has only letters, digits and ./:_+@%=~-')')')
dnl A leading 0 is refused because eval would read the number as octal.
define(`_LMTPQ_MILTER_IS_PORT_', `ifelse(
	`$1', `', `0',
	translit(`$1', `0123456789')index(`$1', `0'), `0', `0',
	translit(`$1', `0123456789'), `', `eval(len(`$1') < 6 && $1 < 65536)',
	`0')')
dnl Sendmail never connects to an address in brackets (EINVAL; milter_open leaves addrlen 0), and
dnl does without them.
define(`_LMTPQ_MILTER_HOST_', `ifelse(
	`$1', `['translit(`$1', `[]')`]', `translit(`$1', `[]')',
	``$1'')')
define(`_LMTPQ_MILTER_INET_', `ifelse(
	_LMTPQ_MILTER_IS_PORT_(`$2'), `0',
	`_LMTPQ_MILTER_BAD_(`expected $1:PORT@HOST, the port a number from 1 to 65535')',
	`$3', `', `_LMTPQ_MILTER_BAD_(`no host after the @')',
	translit(`$3', ifelse(`$1', `inet6', `:')_LMTPQ_MILTER_NAME_), `',
	`define(`_LMTPQ_MILTER_S_', `$1:$2@$3')',
	`_LMTPQ_MILTER_BAD_(`a host is NAME, 1.2.3.4, or with inet6: [ADDR]')')')
define(`_LMTPQ_MILTER_AT_', `_LMTPQ_MILTER_INET_(`$1', ifelse(
	index(`$2', `@'), `-1', ``'',
	`substr(`$2', 0, index(`$2', `@')),
		_LMTPQ_MILTER_HOST_(substr(`$2', eval(index(`$2', `@') + 1)))'))')
define(`_LMTPQ_MILTER_FORM_', `ifelse(
	index(`$1', `unix:'), `0', `_LMTPQ_MILTER_PATH_(substr(`$1', 5))',
	index(`$1', `local:'), `0', `_LMTPQ_MILTER_PATH_(substr(`$1', 6))',
	index(`$1', `inet:'), `0', `_LMTPQ_MILTER_AT_(`inet', substr(`$1', 5))',
	index(`$1', `inet6:'), `0', `_LMTPQ_MILTER_AT_(`inet6', substr(`$1', 6))',
	`_LMTPQ_MILTER_BAD_(`expected unix:PATH, inet:PORT@HOST or inet6:PORT@HOST')')')
define(`_LMTPQ_MILTER_COUNT_', `$#')
ifelse(_LMTPQ_MILTER_COUNT_(LMTPQ_MILTER_SOCKET), `1',
	`_LMTPQ_MILTER_FORM_(LMTPQ_MILTER_SOCKET)',
	`_LMTPQ_MILTER_ERROR_(`SOCKET must not have a comma')')

dnl ---- the failure flag, and how long the milter is waited for ----
dnl It answers in milliseconds. Who goes on without it gives up soon; who would turn mail away
dnl waits longer, but not until the client gives up (RFC 5321 4.5.3.2: 5 minutes).
define(`_LMTPQ_MILTER_PATIENT_', ``F=$1, T=C:30s;S:10s;R:30s;E:1m'')
define(`_LMTPQ_MILTER_TAIL_', `ifelse(
	`$1', `', ``T=C:5s;S:5s;R:10s;E:15s'',
	`$1', `T', `_LMTPQ_MILTER_PATIENT_(`$1')',
	`$1', `4', `_LMTPQ_MILTER_PATIENT_(`$1')',
	`$1', `R', `_LMTPQ_MILTER_PATIENT_(`$1')',
	`_LMTPQ_MILTER_ERROR_(`FAILURE is "$1": expected T, 4, R or nothing')')')
define(`_LMTPQ_MILTER_T_', _LMTPQ_MILTER_TAIL_(defn(`LMTPQ_MILTER_FAILURE')))

dnl ---- macros ----
dnl The milter asks for what it needs, but Sendmail up to 8.17 then still sends the list of eom from
dnl here (milter_data), and other versions or MTAs send all of these.
define(`_LMTPQ_MILTER_HAS_', `eval(index(`.'translit(defn(`$1'), `,; 	
', `.....')`.', `.$2.') >= 0)')
define(`_LMTPQ_MILTER_MACRO_', `ifelse(
	_LMTPQ_MILTER_HAS_(`$1', `$2'), `1', `',
	defn(`$1'), `', `define(`$1', ``$2'')',
	`define(`$1', defn(`$1')``, $2'')')')
define(`_LMTPQ_MILTER_ASK_', `ifelse(`$2', `', `',
	`_LMTPQ_MILTER_MACRO_(`confMILTER_MACROS_$1', `$2')_LMTPQ_MILTER_ASK_(`$1', shift(shift($@)))')')

dnl ---- the filter ----
dnl One quote more: what is in the X line is not expanded again.
define(`_LMTPQ_MILTER_ADD_', `ifelse(_LMTPQ_MILTER_HAS_(`confINPUT_MAIL_FILTERS', `lmtpq'), `1',
	`MAIL_FILTER(`lmtpq', ``$1'')',
	`INPUT_MAIL_FILTER(`lmtpq', ``$1'')')')
dnl A list that is set below, without lmtpq in it, undoes all this, unless a daemon names it (I=).
dnl Without a mailer that removes the tags they reach mailboxes, or the .mc has a MAILER of which m4
dnl has not found the file, and mail bounces. An M line of the .mc is text that m4 cannot look for.
define(`_LMTPQ_MILTER_LAST_', `PUSHDIVERT(-1)
	ifelse(eval(
	_LMTPQ_MILTER_HAS_(`confINPUT_MAIL_FILTERS', `lmtpq') || index(defn(`_DPO_'), `lmtpq') >= 0), `0',
	`_LMTPQ_MILTER_ERROR_(`confINPUT_MAIL_FILTERS is set below it without lmtpq, add it there')')
	ifelse(ifdef(`_LMTPQ_MAILER_', `1')defn(`LMTPQ_TAG_MAILER'), `',
	`_LMTPQ_MILTER_ERROR_(`no mailer removes its tags: add MAILER(lmtpq), whose file m4 must find, or define LMTPQ_TAG_MAILER as the mailer that runs lmtpq')')
	ifdef(`_LMTPQ_MILTER_FAILED_', `_LMTPQ_MILTER_REFUSE_')
POPDIVERT`'')
ifdef(`_LMTPQ_MILTER_FAILED_', `_LMTPQ_MILTER_REFUSE_', `
	_LMTPQ_MILTER_ADD_(`S='_LMTPQ_MILTER_S_`, 'defn(`_LMTPQ_MILTER_T_'))
	_LMTPQ_MILTER_ASK_(`CONNECT', `{client_addr}')
	_LMTPQ_MILTER_ASK_(`ENVFROM', `i', `{auth_authen}', `{verify}', `{cert_subject}', `{client_addr}')
	_LMTPQ_MILTER_ASK_(`ENVRCPT', `{rcpt_mailer}', `{rcpt_addr}')
	_LMTPQ_MILTER_ASK_(`EOM', `i', `{msg_size}')
	m4wrap(`_LMTPQ_MILTER_LAST_`'')')
POPDIVERT

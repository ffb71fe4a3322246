dnl The mailers cyrusv2 and cyrusv2q through lmtpq, in place of MAILER(`cyrusv2').
dnl
dnl What it is: two M lines for sendmail.cf. cyrusv2 delivers as the stock mailer of that name
dnl   does; cyrusv2q delivers whether or not the mailbox is over its quota. They run a program,
dnl   `lmtpq relay', or with LMTPQ_DAEMON they dial a daemon, `lmtpq serve'.
dnl What it does not know: the store; the options of `lmtpq relay', which pass unread, but that
dnl   --mta-timeout and --data-done-timeout are looked for; the daemon's settings.
dnl Read by: m4 with Sendmail's cf.m4, after MAILER(`local') and MAILER(`smtp'), whose rulesets
dnl   it names. All knobs are read here, so they, MODIFY_MAILER_FLAGS and
dnl   confTO_DATAFINAL must come before this file.
dnl Failure: an "*** ERROR" from m4, exit status 1, and in place of the mailers a line on which
dnl   Sendmail refuses to start. A missing mailer would bounce mail instead.
dnl Sources: cf/README and doc/op/op.me of Sendmail; deliver.c, readcf.c; RFC 2033.
dnl
dnl Only what every m4 has (no regexp, no patsubst), as in Sendmail's own files.
PUSHDIVERT(-1)

dnl For FEATURE(`lmtpq_milter'): the tags are removed.
define(`_LMTPQ_MAILER_')

_DEFIFNOT(`LMTPQ_MAILER_PATH', `/usr/local/libexec/lmtpq/lmtpq')
_DEFIFNOT(`LMTPQ_MAILER_USER', `cyrus:mail')
_DEFIFNOT(`LMTPQ_MAILER_CONFIG', `')
_DEFIFNOT(`LMTPQ_MAILER_ARGS', `')
_DEFIFNOT(`LMTPQ_MAILER_FALLBACK', `')
_DEFIFNOT(`LMTPQ_DAEMON', `')
define(`_LMTPQ_FORM_', ifelse(defn(`LMTPQ_DAEMON'), `', `program', `daemon'))
ifdef(`LMTPQ_QUOTA_DAEMON', `define(`_LMTPQ_QUOTA_NAMED_')',
	`define(`LMTPQ_QUOTA_DAEMON', defn(`LMTPQ_DAEMON')`q')')
_DEFIFNOT(`CYRUSV2_MAILER_ARGS', `FILE /var/run/cyrus/socket/lmtp')
_DEFIFNOT(`CYRUSV2_MAILER_FLAGS', `A@/:|m')
_DEFIFNOT(`_DEF_CYRUSV2_MAILER_FLAGS', `lsDFMnqXz')

dnl Some m4 predefine it as nothing, and unix:PATH would lose its first half.
undefine(`unix')

define(`_LMTPQ_ERROR_', `errprint(`*** ERROR: MAILER(lmtpq): $1
')define(`_LMTPQ_FAILED_')')

ifdef(`_MAILER_cyrusv2_',
	`_LMTPQ_ERROR_(`MAILER(cyrusv2) already defines the mailer, drop one of the two')',
	`define(`_MAILER_cyrusv2_')')

dnl ---- what an M line may contain ----
dnl A comma ends a field of an M line and a backslash escapes in it (munchstring in readcf.c).
dnl $u in A= turns F=z off without a word to the sender (deliver.c).
define(`_LMTPQ_CHARACTERS_',
	``ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 	./:[]${}&_+@%=~-'')
define(`_LMTPQ_CHECK_', `ifelse(
	eval($# > 2), `1', `_LMTPQ_ERROR_(`$1 must not have a comma')',
	translit(`$2', _LMTPQ_CHARACTERS_), `',
	`ifelse(eval(index(`$2', `$u') + index(`$2', `${u}') + index(`$2', `$&u') > -3), `1',
		`_LMTPQ_ERROR_(`$1 must not have a $'`u: an LMTP mailer gets no recipients in A=')')',
	`_LMTPQ_ERROR_(`$1 has a character other than letters digits blanks ./:[]${}&_+@%=~-')')')
_LMTPQ_CHECK_(`LMTPQ_MAILER_PATH', LMTPQ_MAILER_PATH)
_LMTPQ_CHECK_(`LMTPQ_MAILER_USER', LMTPQ_MAILER_USER)
_LMTPQ_CHECK_(`LMTPQ_MAILER_CONFIG', LMTPQ_MAILER_CONFIG)
_LMTPQ_CHECK_(`LMTPQ_MAILER_ARGS', LMTPQ_MAILER_ARGS)
_LMTPQ_CHECK_(`LMTPQ_MAILER_FALLBACK', LMTPQ_MAILER_FALLBACK)
_LMTPQ_CHECK_(`CYRUSV2_MAILER_ARGS', CYRUSV2_MAILER_ARGS)
ifdef(`confTO_DATAFINAL', `_LMTPQ_CHECK_(`confTO_DATAFINAL', confTO_DATAFINAL)')
dnl One word, and absolute: Sendmail runs its mailers in the queue's directory.
define(`_LMTPQ_CONFIG_', `ifelse(
	`$1', `', `',
	substr(`$1', 0, 1)translit(`$1', ` 	'), `/$1', ` --config=$1',
	`_LMTPQ_ERROR_(`LMTPQ_MAILER_CONFIG takes the absolute path of a file, without blanks')')')
ifdef(`_LMTPQ_FAILED_', `', `define(`_LMTPQ_FILE_ARG_', _LMTPQ_CONFIG_(LMTPQ_MAILER_CONFIG))')

dnl ---- CYRUSV2_MAILER_ARGS as a DEST of lmtpq ----
define(`_LMTPQ_BAD_', `_LMTPQ_ERROR_(`CYRUSV2_MAILER_ARGS is "'CYRUSV2_MAILER_ARGS`": $1')')
dnl [IPv6:ADDR] is written [ADDR] in a DEST; [NAME] only told Sendmail to ask for no MX record,
dnl which lmtpq never does.
define(`_LMTPQ_LITERAL_', `ifelse(
	lower(substr(`$1', 0, 5)), `ipv6:', `[substr(`$1', 5)]',
	index(`$1', `:'), `-1',
	`ifelse(translit(`$1', `0123456789.'), `', `[$1]', `$1')',
	`_LMTPQ_BAD_(`an IPv6 address is written [IPv6:ADDR]')')')
define(`_LMTPQ_HOST_', `ifelse(
	translit(`$1', `[]'), `', `_LMTPQ_BAD_(`no host after TCP')',
	translit(`$1', `[]:/'), `$1', `$1',
	`['translit(`$1', `[]')`]', `$1', `_LMTPQ_LITERAL_(translit(`$1', `[]'))',
	`_LMTPQ_BAD_(`a host is NAME, [1.2.3.4], [IPv6:ADDR] or a macro such as $'`h')')')
dnl A leading 0 is refused because eval would read the number as octal.
define(`_LMTPQ_BAD_PORT_', `_LMTPQ_BAD_(`a port is 1 to 65535 or the name of a service')')
define(`_LMTPQ_PORT_', `ifelse(
	`$1', `', `',
	index(`$1', `0'), `0', `_LMTPQ_BAD_PORT_',
	translit(`$1', `0123456789'), `',
	`ifelse(eval(len(`$1') < 6 && $1 < 65536), `1', `:$1', `_LMTPQ_BAD_PORT_')',
	translit(`$1', `.:[]/${}&+@%=~'), `$1', `:$1',
	`_LMTPQ_BAD_PORT_')')
define(`_LMTPQ_FILE_', `ifelse(
	substr(`$1', 0, 1), `/', `unix:$1',
	`_LMTPQ_BAD_(`FILE takes the absolute path of a socket')')')
dnl IPC is what TCP was called before Sendmail 8.11; readcf.c still lets it pass.
define(`_LMTPQ_DEST_OF_', `ifelse(
	`$1/$3', `FILE/', `_LMTPQ_FILE_(`$2')',
	`$1/$4', `TCP/', `inet:_LMTPQ_HOST_(`$2')`'_LMTPQ_PORT_(`$3')',
	`$1/$4', `IPC/', `inet:_LMTPQ_HOST_(`$2')`'_LMTPQ_PORT_(`$3')',
	`_LMTPQ_BAD_(`it must be FILE path, TCP host or TCP host port')')')
dnl Two blanks in a row make an empty word, which is left out.
define(`_LMTPQ_WORDS_', `ifelse(
	eval($# < 2), `1', ``$1'',
	`$1', `', `_LMTPQ_WORDS_(shift($@))',
	``$1',_LMTPQ_WORDS_(shift($@))')')
ifdef(`_LMTPQ_FAILED_', `', `define(`_LMTPQ_DEST_',
	_LMTPQ_DEST_OF_(_LMTPQ_WORDS_(translit(CYRUSV2_MAILER_ARGS, ` 	', `,,'))))')

dnl ---- confTO_DATAFINAL as --mta-timeout ----
dnl Else Sendmail would give up while the store is filing, and send again. Seconds; 0 is a mistake.
dnl A leading 0 would make eval read the number as octal.
define(`_LMTPQ_DECIMAL_', `ifelse(
	eval(len(`$1') > 1 && index(`$1', `0') == 0), `1', `_LMTPQ_DECIMAL_(substr(`$1', 1))', `$1')')
dnl $1 seconds of the unit, $2 the number, $3 what follows, $4 the seconds before it. No number is
dnl above 4 weeks, so eval cannot overflow.
define(`_LMTPQ_PLUS_', `ifelse(
	`$2', `', `0',
	`ifelse(eval(len(`$2') < 8 && $2 <= 2419200 / $1), `1',
		`_LMTPQ_SECONDS_(`$3', `', eval($4 + $2 * $1))', `0')')')
define(`_LMTPQ_UNIT_', `_LMTPQ_PLUS_(`$1', _LMTPQ_DECIMAL_(`$3'), substr(`$2', 1), `$4')')
dnl $1 what is left, $2 the digits of a number, $3 the seconds so far. A number without a unit is
dnl minutes (settimeout in readcf.c).
define(`_LMTPQ_SECONDS_', `ifelse(
	`$1$2', `', `$3',
	`$1', `', `_LMTPQ_UNIT_(`60', `', `$2', `$3')',
	translit(substr(`$1', 0, 1), `0123456789'), `',
	`_LMTPQ_SECONDS_(substr(`$1', 1), `$2'substr(`$1', 0, 1), `$3')',
	index(`$1', `s'), `0', `_LMTPQ_UNIT_(`1', `$1', `$2', `$3')',
	index(`$1', `m'), `0', `_LMTPQ_UNIT_(`60', `$1', `$2', `$3')',
	index(`$1', `h'), `0', `_LMTPQ_UNIT_(`3600', `$1', `$2', `$3')',
	index(`$1', `d'), `0', `_LMTPQ_UNIT_(`86400', `$1', `$2', `$3')',
	index(`$1', `w'), `0', `_LMTPQ_UNIT_(`604800', `$1', `$2', `$3')',
	`0')')
define(`_LMTPQ_BAD_TIME_', `_LMTPQ_ERROR_(`confTO_DATAFINAL is "'confTO_DATAFINAL`"$1')')
dnl 630: lmtpq's --data-done-timeout of 10m and the 30s that it keeps for its own answer. With less
dnl it would refuse to start, and all mail would wait.
define(`_LMTPQ_DATAFINAL_', `ifelse(
	`$1', `0',
	`_LMTPQ_BAD_TIME_(`: expected a time such as 90s, 20m or 1h30m, at most 4w')',
	eval($1 <= 630 && index(LMTPQ_MAILER_ARGS, `--data-done-timeout') < 0), `1',
	`_LMTPQ_BAD_TIME_(`: lmtpq waits 10m, set --data-done-timeout in LMTPQ_MAILER_ARGS')',
	`define(`_LMTPQ_MTA_', ` --mta-timeout=$1s')')')
define(`_LMTPQ_MTA_', `')
ifdef(`_LMTPQ_FAILED_', `', `ifdef(`confTO_DATAFINAL',
	`ifelse(_LMTPQ_FORM_`'index(LMTPQ_MAILER_ARGS, `--mta-timeout'), `program-1',
		`_LMTPQ_DATAFINAL_(_LMTPQ_SECONDS_(confTO_DATAFINAL, `', `0'))')')')

dnl ---- LMTPQ_DAEMON, in place of the program ----
dnl A unix socket only. A listener that Sendmail dials over TCP needs `offer-pipelining = no'.
dnl Sendmail finds a connection by the path alone: with a macro in it, mail for one host could go
dnl down the connection of another.  107: as much as sun_path holds.
define(`_LMTPQ_PATH_CHARACTERS_',
	``ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/._-'')
define(`_LMTPQ_BAD_SOCKET_',
	`_LMTPQ_ERROR_(`$1 takes the absolute path of a socket, of letters digits and /._-')')
define(`_LMTPQ_SOCKET_', `ifelse(
	eval($# > 2), `1', `_LMTPQ_BAD_SOCKET_(`$1')',
	substr(`$2', 0, 1)translit(`$2', _LMTPQ_PATH_CHARACTERS_), `/',
	`ifelse(eval(len(`$2') > 107), `1',
		`_LMTPQ_ERROR_(`$1 is longer than the 107 characters of a socket')')',
	`_LMTPQ_BAD_SOCKET_(`$1')')')
dnl That P= and U= are not used changes no mail's fate, and CYRUSV2_MAILER_ARGS is in every .mc. But
dnl options, other files and other stores would be lost without a word.
define(`_LMTPQ_NOT_WITH_', `ifelse(`$2', `', `',
	`_LMTPQ_ERROR_(`with LMTPQ_DAEMON there is no $1: write it into the lmtpq.conf of the daemon')')')
define(`_LMTPQ_CHECK_DAEMON_', `
	_LMTPQ_SOCKET_(`LMTPQ_DAEMON', LMTPQ_DAEMON)
	_LMTPQ_SOCKET_(`LMTPQ_QUOTA_DAEMON', LMTPQ_QUOTA_DAEMON)
	ifelse(defn(`LMTPQ_DAEMON'), defn(`LMTPQ_QUOTA_DAEMON'),
		`_LMTPQ_ERROR_(`LMTPQ_DAEMON and LMTPQ_QUOTA_DAEMON are the same: the second must ignore quotas')')
	_LMTPQ_NOT_WITH_(`LMTPQ_MAILER_ARGS', LMTPQ_MAILER_ARGS)
	_LMTPQ_NOT_WITH_(`LMTPQ_MAILER_CONFIG', LMTPQ_MAILER_CONFIG)
	_LMTPQ_NOT_WITH_(`LMTPQ_MAILER_FALLBACK', LMTPQ_MAILER_FALLBACK)
	ifelse(index(CYRUSV2_MAILER_ARGS, `$'), `-1', `',
		`_LMTPQ_NOT_WITH_(`macro in CYRUSV2_MAILER_ARGS', `$')')')
ifelse(_LMTPQ_FORM_, `daemon', `_LMTPQ_CHECK_DAEMON_', `ifdef(`_LMTPQ_QUOTA_NAMED_',
	`_LMTPQ_ERROR_(`LMTPQ_QUOTA_DAEMON is set, and LMTPQ_DAEMON is not')')')
dnl The daemon waits for an hour, and we cannot tell it. With less in the .cf it would be filing still
dnl when Sendmail has given up, and Sendmail would send again.
define(`_LMTPQ_PATIENCE_', `ifelse(
	`$1', `0', `_LMTPQ_BAD_TIME_(`: expected a time such as 90s, 20m or 1h30m, at most 4w')',
	eval($1 < 3600), `1', `_LMTPQ_WARNING_(confTO_DATAFINAL, `mta-timeout = $1s')')')
define(`_LMTPQ_WARNING_', `errprint(
`*** WARNING: MAILER(lmtpq): for confTO_DATAFINAL "$1" the daemon needs $2
')')
ifelse(_LMTPQ_FORM_, `daemon', `ifdef(`_LMTPQ_FAILED_', `',
	`ifdef(`confTO_DATAFINAL', `_LMTPQ_PATIENCE_(_LMTPQ_SECONDS_(confTO_DATAFINAL, `', `0'))')')')

dnl ---- the fields of the two lines ----
dnl X and z: dot-stuffing and LMTP, which lmtpq needs. S: U= applies whatever the sender is; a
dnl daemon has no U=.
define(`_LMTPQ_FLAGS_', _AP_(`_ADDCHAR_',
	_MODMF_(CONCAT(_DEF_CYRUSV2_MAILER_FLAGS, CYRUSV2_MAILER_FLAGS), `CYRUSV2'),
	ifelse(_LMTPQ_FORM_, `program', `SXz', `Xz')))
define(`_LMTPQ_QFLAGS_', _ADDCHAR_(_LMTPQ_FLAGS_, `Q'))
define(`_LMTPQ_Q_', `ifelse(eval(index(`$1', `Q') >= 0), `1', ` -Q')')
define(`_LMTPQ_OPT_', `ifelse(`$1', `', `', ` $1')')
define(`_LMTPQ_TAIL_',
	`_LMTPQ_MTA_`'_LMTPQ_FILE_ARG_`'_LMTPQ_OPT_(LMTPQ_MAILER_ARGS) _LMTPQ_DEST_`'_LMTPQ_OPT_(LMTPQ_MAILER_FALLBACK)')
dnl A= is expanded once, when the process starts, for the first recipient of the first message.
dnl F=l puts all hosts in one transaction (hostsignature in deliver.c), and without it "a:24" and
dnl "a:25" still share one (coloncmp); the next message finds the process by the mailer's name.
dnl So a macro in A= needs one process for each recipient.
define(`_LMTPQ_LIMITS_', `ifelse(index(_LMTPQ_TAIL_, `$'), `-1',
	`_OPTINS(`CYRUSV2_MAILER_MAXMSGS', `m=', `, ')_OPTINS(`CYRUSV2_MAILER_MAXRCPTS', `r=', `, ')',
	`m=1, r=1, ')')
define(`_LMTPQ_QGRP_', `ifelse(defn(`CYRUSV2_MAILER_QGRP'), `', `', ` Q=CYRUSV2_MAILER_QGRP,')')
dnl W=: by default Sendmail waits forever for a mailer that does not exit.
define(`_LMTPQ_RUN_', `ifelse(_LMTPQ_FORM_, `program',
	`P=LMTPQ_MAILER_PATH, F=$1, U=LMTPQ_MAILER_USER, W=1m', `P=[IPC], F=$1')')
define(`_LMTPQ_A_', `ifelse(_LMTPQ_FORM_, `program', `lmtpq relay`'_LMTPQ_Q_(`$1')`'_LMTPQ_TAIL_',
	_LMTPQ_Q_(`$1'), `', `FILE LMTPQ_DAEMON', `FILE LMTPQ_QUOTA_DAEMON')')
define(`_LMTPQ_MAILER_LINE_',
`M$1,	_LMTPQ_RUN_(`$2'),
		S=EnvFromSMTP/HdrFromL, R=EnvToL/HdrToL, E=\r\n,
		_LMTPQ_LIMITS_`'_OPTINS(`CYRUSV2_MAILER_CHARSET', `C=', `, ')T=DNS/RFC822/SMTP,_LMTPQ_QGRP_
		A=_LMTPQ_A_(`$2')')

dnl The inner m4wrap runs after proto.m4, so the .cf is whole and make still sees the failure.
ifdef(`_LMTPQ_FAILED_', `m4wrap(`m4wrap(`m4exit(1)')')')
POPDIVERT

#######################################
###   lmtpq: cyrusv2 and cyrusv2q   ###
#######################################

ifdef(`_LMTPQ_FAILED_',
`*** ERROR: no mailers cyrusv2 and cyrusv2q; m4 said why',
`_LMTPQ_MAILER_LINE_(`cyrusv2', _LMTPQ_FLAGS_)
_LMTPQ_MAILER_LINE_(`cyrusv2q', _LMTPQ_QFLAGS_)')

#!/bin/sh
# Documents against the program: the man pages have exactly the options of --help; lmtpq.conf.5 has
# exactly the keys of the configuration file, with the program's defaults; the program accepts the files
# that are shown, and writes the texts that are quoted; the man pages have no lint; what the pages for
# developers name exists, every trap of a test is in TRAPS.md, and texts are in plain English.
# usage: check-docs.sh LMTPQ LMTPQ_MILTER
set -u
cd "$(dirname "$0")/.." || exit 1
lmtpq=$1
milter=$2
page=docs/man/lmtpq.8
conf_page=docs/man/lmtpq.conf.5
. tests/verdict.sh

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
options_of() { # text of --help
  grep -oE '^ +(-[A-Za-z], )?--[a-z0-9-]+' | grep -oE -e '--[a-z0-9-]+' | sort -u
}
check_page() { # page; the program's options are in $scratch/help
  sed -n 's/^\.It.* Fl -\([a-z0-9-]*\).*/--\1/p' "$1" | sort -u >"$scratch/page"
  verdict "$1: --help names options" "$([ -s "$scratch/help" ] || echo "none found")"
  verdict "$1 has every option of --help" "$(comm -23 "$scratch/help" "$scratch/page")"
  verdict "$1 has no other option" "$(comm -13 "$scratch/help" "$scratch/page")"
  verdict "$1 has no lint" "$(mandoc -T lint -W warning "$1" 2>&1)"
}
verdict "the version of VERSION is that of the programs and the package, and the first in CHANGES.md" "$(
  version=$(cat VERSION)
  for said in "$("$lmtpq" --version | head -1)" "$("$lmtpq" serve --version | head -1)"; do
    [ "$said" = "lmtpq $version" ] || echo "$said"
  done
  [ "$("$milter" --version | head -1)" = "lmtpq-milter $version" ] || "$milter" --version
  [ "$(grep -m 1 '^## ' docs/CHANGES.md)" = "## $version" ] || grep -m 1 '^## ' docs/CHANGES.md
  case $(head -n 1 debian/changelog) in "lmtpq ($version) "*) ;; *) head -n 1 debian/changelog ;; esac
  grep -q "^    lmtpq $version   pid" docs/METRICS.md || echo "METRICS.md shows another")"
commands="relay deliver probe serve check keygen"
for command in $commands; do
  "$lmtpq" $command --help=all
done | options_of >"$scratch/help"
cp "$scratch/help" "$scratch/help.lmtpq"
check_page docs/man/lmtpq.8
"$milter" --help=all | options_of >"$scratch/help"
check_page docs/man/lmtpq-milter.8

for command in $commands; do
  "$lmtpq" $command --help=all | tr '\n' ' ' | tr -s ' ' >"$scratch/$command"
done
verdict "the man page's times are the program's" "$(
  sed -n '/^\.Ss Time/,/^\.Ss The process/p; /^\.Ss Advanced/,/^\.Sh /p' $page | tr '\n' ' ' |
    grep -oE 'Fl -[a-z-]+-timeout Ar TIME [^.]*\(([0-9]+[smh])' |
    sed 's/Fl \(-[a-z-]*\) .*(\([0-9]*[smh]\)$/-\1 \2/' | while read -r option time; do
      grep -qE -e "$option TIME [^(]*(\([^)]*\)[^(]*)?\(default: $time\)" "$scratch/relay" ||
        echo "$option is not $time"
    done)"

# Asks the program itself: what it says of `NAME = ` in a file, above the sections and in one of either
# kind. The daemon has no folder for its socket, and ends.
serve_nowhere() {
  timeout 10 "$lmtpq" serve --log stderr --tag-keys none --listen unix:/nowhere/socket "$@" 2>&1 </dev/null
}
objection() { # text of a file, option
  printf '%b' "$1" >"$scratch/conf"
  for command in relay deliver probe; do
    grep -qE "^ +(-., )?--$2( |\[|$)" "$scratch/$command.help" || continue
    "$lmtpq" $command --config "$scratch/conf" --log stderr --tag-keys none -d unix:/nowhere 2>&1 </dev/null
    return
  done
  serve_nowhere --config "$scratch/conf" -d unix:/nowhere
}
for command in $commands; do
  "$lmtpq" $command --help=all >"$scratch/$command.help"
done
for option in $(cat "$scratch/help.lmtpq"); do
  name=${option#--}
  case $(objection "$name = \n" "$name") in
  *"allowed on the command line"* | *"unknown option"*) ;;
  *) echo "$name" >>"$scratch/keys" ;;
  esac
  case $(objection "[destination.x]\n$name = \n" "$name") in
  *"not allowed in a section"* | *"allowed on the command line"* | *"unknown key"*) ;;
  *) echo "$name" ;;
  esac
done | grep -vx destination >"$scratch/section-keys"
for name in $(cat "$scratch/keys"); do
  printf '[listener.x]\naddress = unix:/nowhere/x\n%s = \n' "$name" >"$scratch/conf"
  case $(serve_nowhere --config "$scratch/conf" unix:/nowhere) in
  *"not allowed in a section"* | *"allowed on the command line"* | *"unknown key"*) ;;
  *) echo "$name" ;;
  esac
done >"$scratch/listener-keys"
grep -vxF -f "$scratch/section-keys" -f "$scratch/listener-keys" "$scratch/keys" >"$scratch/top-keys"
defaults_of() { # command
  sed 's/^ \{2,6\}\(-[A-Za-z], \)\{0,1\}--/@--/' "$scratch/$1.help" | tr '\n' ' ' | tr -s ' ' | tr '@' '\n' |
    sed -n 's/^--\([a-z0-9-]*\)[ [].*(default: \([^)]*\)).*/\1 \2/p'
}
verdict "what is asked of one command is asked of the daemon too, with the same default" "$(
  defaults_of serve | sort >"$scratch/defaults"
  defaults_of relay | sort | comm -23 - "$scratch/defaults")"
# Those of the daemon alone; of the others the page says some in other words.
verdict "$page has the daemon's defaults" "$(
  defaults_of relay >"$scratch/other"
  defaults_of serve | grep -vxF -f "$scratch/other" | while read -r option default; do
    text=$(printf '%s' "$default" | sed 's/[][*.+?^$(){}|\\]/\\&/g')
    sed -n "/^\.It Fl -$option\( \|\$\)/,/^\.\(It\|El\)/p" $page | sed 1d | tr '\n' ' ' |
      grep -qE -e "\($text\)|P[qa] (Pa )?$text|default is \.Cm $text" || echo "$option is not $default"
  done)"
keys_under() { # heading of lmtpq.conf.5
  sed -n "/^\.Ss $1\$/,/^\.S[sh] /s/^\.It Ic \([a-z0-9-]*\).*/\1/p" $conf_page | sort
}
keys_under "Above the sections, or in them" >"$scratch/section-page"
keys_under "Above the sections, or in listeners" >"$scratch/listener-page"
keys_under "Above the sections only" >"$scratch/top-page"
verdict "the program has keys for its file, and for sections" "$(
  [ -s "$scratch/top-keys" ] && [ -s "$scratch/section-keys" ] && [ -s "$scratch/listener-keys" ] || echo "none found")"
verdict "$conf_page has exactly the keys of a section" \
  "$(diff "$scratch/section-keys" "$scratch/section-page")"
verdict "$conf_page has exactly the keys of a listener's section" \
  "$(diff "$scratch/listener-keys" "$scratch/listener-page")"
verdict "$conf_page has exactly the keys that are allowed above the sections only" \
  "$(diff "$scratch/top-keys" "$scratch/top-page")"
verdict "$conf_page has the program's defaults" "$(
  defaults_of serve | grep -v '^config ' | sort >"$scratch/defaults"
  sed -n 's/^\.It Ic \([a-z0-9-]*\) Ar [A-Z]* Pq \(.*\)/\1 \2/p' $conf_page | sort | diff "$scratch/defaults" -)"
# Files as they are shown: each block becomes $scratch/shown.N.
awk -v into="$scratch/shown." '/^```ini$/ {n++; on=1; next} /^```/ {on=0} on {print >(into n)}' docs/TLS.md
awk -v into="$scratch/shown.install" '/^ *```ini$/ {n++; on=1; next} /^ *```/ {on=0} on {sub(/^   /, ""); print >(into n)}' docs/INSTALL.md
awk -v into="$scratch/shown.daemon" '/^```ini$/ {n++; on=1; next} /^```/ {on=0} on {print >(into n)}' docs/DAEMON.md
awk -v into="$scratch/block." '/^\.Bd/ {n++; on=1; next} /^\.Ed/ {on=0} on {print >(into n)}' $page
for file in $(grep -l '^\[listener' "$scratch"/block.*); do mv "$file" "$scratch/shown.page.${file##*.}"; done
awk -v into="$scratch/shown.man" '/^\.Bd/ {n++; on=1; next} /^\.Ed/ {on=0} {sub(/^\\&/, "")} on {print >(into n)}' $conf_page
cp cf/examples/lmtpq.conf "$scratch/shown.example"
cp cf/examples/daemon.conf "$scratch/shown.example.daemon"
awk '/^```passwords$/ {on=1; next} /^```/ {on=0} on' docs/TLS.md >"$scratch/passwords.TLS"
cp cf/examples/passwords "$scratch/passwords.example"
for file in "$scratch"/shown.*; do
  if grep -q '^\[' "$file"; then continue; fi
  mv "$file" "$scratch/passwords.${file##*.}"
done
chmod 600 "$scratch"/passwords.*
unreached() { # arguments of probe: it must get as far as the destination, which has a name to verify
  "$lmtpq" probe --log stderr --user "$(id -un)" "$@" inet:127.0.0.1:1 >"$scratch/said" 2>&1
  [ $? -eq 69 ] || cat "$scratch/said"
}
verdict "files of both kinds are shown in three places" "$(
  [ "$(ls "$scratch" | grep -c '^shown\.')" -ge 8 ] && [ "$(ls "$scratch" | grep -c '^passwords\.')" -eq 3 ] ||
    ls "$scratch")"
verdict "the program takes every lmtpq.conf that is shown" "$(
  for file in "$scratch"/shown.*; do unreached --config "$file"; done)"
verdict "the daemon takes every file with listeners that is shown, as far as its folder" "$(
  shown=0
  for file in $(grep -l '^\[listener' "$scratch"/shown.*); do
    shown=$((shown + 1))
    sed 's|unix:/run/lmtpq/|unix:/nowhere/|' "$file" >"$scratch/conf"
    said=$(serve_nowhere --config "$scratch/conf") || case $said in *'.lock": No such file '*) ;; *) echo "$file: $said" ;; esac
  done
  [ $shown -ge 5 ] || echo "only $shown")"
(umask 077 && "$lmtpq" keygen >"$scratch/tag.keys")
printf '%s\n' "tag-keys = $scratch/tag.keys" "socket = unix:$scratch/milter.sock" >"$scratch/milter.conf"
awk '/^ *```milter$/ {on=1; next} /^ *```/ {on=0} on' docs/INSTALL.md >>"$scratch/milter.conf"
verdict "the milter takes the rules that INSTALL.md shows" "$(
  "$milter" --check --user "$(id -un)" --config "$scratch/milter.conf" >"$scratch/said" 2>&1 &&
    grep -q ' 1 rules' "$scratch/said" || cat "$scratch/said")"
verdict "the program takes every password file that is shown" "$(
  for file in "$scratch"/passwords.*; do unreached --auth-password-file "$file"; done)"
# Where the first DEST of a store is shown to be probed, it is with the rights that Sendmail gives.
grep -rnE 'lmtpq probe .*(inet:|imap[0-9])' docs cf README.md >"$scratch/probes"
verdict "a probe that says whether mail would get there has the rights that Sendmail gives" "$(
  [ "$(grep -cE -e 'setpriv --euid' "$scratch/probes")" -ge 4 ] || echo "too few are shown"
  grep -vE -e 'setpriv --euid [a-z]+ --egid [a-z]+ --clear-groups lmtpq probe|--tls=encrypt' "$scratch/probes")"

# An empty value overrides the one above the sections, as the page says of each of these kinds.
verdict "an empty value is taken in a section" "$(
  sed -n "/^\.Ss Above the sections, or/,/^\.Ss/s/^\.It Ic \([a-z0-9-]*\) Ar \(FILE\|LIST\|USER\).*/\1/p" $conf_page |
    while read -r name; do
      printf '[destination.127.0.0.1]\n%s =\n' "$name" >"$scratch/conf"
      unreached --config "$scratch/conf"
    done)"

# The reasons in the table of TLS.md, and probe's rows: the constant pieces of what is quoted.
libraries=$(ldd "${lmtpq%/*}/lmtpq-secure.so" | awk '/libcrypto|libsasl2/ {print $3}')
sed -n '/^| reason/,/^$/s/^| \([^|]*\)|.*/\1/p' docs/TLS.md | grep -o '`[^`]*`' | tr -d '`' |
  sed 's/--tls=verify/\n/; s/, expected/\n/; s/[0-9][0-9][0-9] [0-9.]*/\n/g; s/\.\.\./\n/g; s/\<\(FILE\|NAME\|DEST\|ADDRESS\|Authentication required\)\>/\n/g' |
  sed 's/^[ ;,]*//; s/[ ;]*$//' | grep '[a-z]' | sort -u >"$scratch/reasons"
verdict "TLS.md quotes reasons" "$([ "$(grep -c . "$scratch/reasons")" -ge 20 ] || cat "$scratch/reasons")"
verdict "every reason of TLS.md is one that can be given" "$(while read -r words; do
  grep -qaF -e "$words" "$lmtpq" "${lmtpq%/*}/lmtpq-secure.so" $libraries || echo "$words"
done <"$scratch/reasons")"
# The same for the daemon's log lines: the quoted texts without names, numbers and addresses.
sed -n '/^| line |/,/^$/s/^| \(.*\) |[^|]*|$/\1/p; /^| in the journal |/,/^$/s/^| \([^|]*\)|.*/\1/p' docs/DAEMON.md |
  grep -o '`[^`]*`' | tr -d '`' | grep -v 'Start request\|^lmtpq.socket\|^drain-timeout' |
  sed 's/event=\([a-z]*\)/\n\1\n/g; s/\.\.\./\n/g; s/[a-z-]*="\{0,1\}/\n/g; s/[0-9] [0-9.]* /&\n/g; s/\(unix\|inet\):[^ ]*/\n/g; s/uid:1000//; s/[";]/\n/g' |
  sed 's/^[ ,;:]*//; s/[ ;:,]*$//' | grep '[a-z][a-z]' | grep -v '^clients$\|^listener$\|^/\|No such file\|Permission' | sort -u >"$scratch/words"
verdict "DAEMON.md quotes the log" "$([ "$(grep -c . "$scratch/words")" -ge 20 ] || cat "$scratch/words")"
verdict "every log line of DAEMON.md is one that can be written" "$(while read -r words; do
  grep -qaF -e "$words" "$lmtpq-serve" || echo "$words"
done <"$scratch/words")"
verdict "the figures of INSTALL.md are those of PERFORMANCE.md" "$(
  sed 's/\*\*//g; s/median of the ratios //' docs/PERFORMANCE.md >"$scratch/figures"
  grep -oE '[0-9.]+(/s| s) against [^|]*[^| ]' docs/INSTALL.md >"$scratch/quoted"
  [ "$(grep -c . "$scratch/quoted")" -eq 7 ] || cat "$scratch/quoted"
  while read -r figure; do grep -qF "$figure |" "$scratch/figures" || echo "$figure"; done <"$scratch/quoted")"
sed -n '/^    # lmtpq probe/,/^$/s/^    \( \{0,2\}[A-Za-z][A-Za-z0-9 ]\{0,17\}\) .*/\1/p' docs/TLS.md |
  sed 's/ *$//; s/^ *//' | sed 's/  .*//' | sort -u >"$scratch/rows"
verdict "TLS.md shows rows of probe, and probe has them" "$(
  [ "$(grep -c . "$scratch/rows")" -ge 15 ] || cat "$scratch/rows"
  while read -r row; do
    grep -qF "\"$row\"" mailer/probe_text.cpp || grep -qF "\"  $row\"" mailer/probe_text.cpp || echo "$row"
  done <"$scratch/rows")"
verdict "$page has what probe says of how far it came" "$(
  sed -n 's/.*reached\[\] = {\(.*\)};/\1/p' mailer/probe_json.cpp | tr -d '", ' | grep . >/dev/null || echo "none found"
  sed -n 's/.*reached\[\] = {\(.*\)};/\1/p' mailer/probe_json.cpp | tr -d '" ' | tr ',' '\n' >"$scratch/reached"
  sed -n '/^\.Va reached/,/^\.El/s/^\.It Ic \(.*\)/\1/p' $page | diff "$scratch/reached" -)"
verdict "$conf_page has no lint" "$(mandoc -T lint -W warning $conf_page 2>&1)"

# The pages for developers name what exists.
for page in ARCHITECTURE FLOW DECISIONS TRAPS HACKING; do
  grep -oE '`[A-Za-z_]+(::[A-Za-z_]+)?\(\)`' docs/$page.md | tr -d '`()' >"$scratch/names.$page"
done
sed -n 's/.*class="code"[^>]*>\([A-Za-z_:]*\)()<.*/\1/p' docs/flow.svg >"$scratch/names.flow"
verdict "FLOW.md and its picture name functions" "$(
  [ "$(grep -c . "$scratch/names.FLOW")" -ge 40 ] && [ "$(grep -c . "$scratch/names.flow")" -ge 15 ] || echo "too few")"
sort -u "$scratch"/names.* >"$scratch/names"
verdict "every function that the pages for developers name exists" "$(while read -r name; do
  grep -rqE "(^|[^A-Za-z_])$name\(" common mailer milter --include=*.cpp ||
    grep -rqE "(^|[^A-Za-z_])${name#*::}\(" common mailer milter --include=*.h &&
    { [ "${name#*::}" = "$name" ] || grep -rq "class ${name%%::*}\|struct ${name%%::*}" common mailer milter; } ||
    [ -z "$(grep -LE "(^|[^A-Za-z_])$name\(" patches/*.patch)" ] || echo "$name"
done <"$scratch/names")"
sed -n '/^## Seams/,/^## /s/^| \(`[^|]*\) |.*/\1/p' docs/ARCHITECTURE.md | grep -o '[A-Za-z]*' >"$scratch/seams"
verdict "every interface of ARCHITECTURE.md exists" "$([ -s "$scratch/seams" ] || echo "none found"
  while read -r name; do
    grep -rqE "^class $name( |\$)" mailer milter --include=*.h || echo "$name"
  done <"$scratch/seams")"
verdict "ARCHITECTURE.md has the folders of folders.txt, in their order" "$(
  awk '$1 ~ /^[0-9]+$/ {print $1, $2}' folders.txt >"$scratch/folders"
  sed -n 's/^| \([0-9]*\) | `\([a-z/]*\)\/` |.*/\1 \2/p' docs/ARCHITECTURE.md | diff "$scratch/folders" -)"
grep -oE '`(common|mailer|milter|tests|cf|docs|patches)/[A-Za-z0-9_./-]+`' docs/*.md README.md | sed 's/.*`\(.*\)`/\1/' |
  sort -u >"$scratch/paths"
verdict "every path in the documents exists" "$(while read -r path; do
  [ -e "$path" ] || [ -e "$path.h" ] || [ -e "$path.cpp" ] || echo "$path"
done <"$scratch/paths")"

verdict "every fuzz target has its suite" "$(for file in tests/fuzz/fuzz_*.cpp tests/fuzz/milter/fuzz_*.cpp; do
  name=$(basename "$file" .cpp)
  grep -q "/replay_${name#fuzz_} " tests/check.suites || echo "$file"
done)"
verdict "the example of tests/dialogues/README.md is the dialogue" "$(
  sed -n '/^    # One refusal/,/^$/s/^    //p' tests/dialogues/README.md |
    diff - tests/dialogues/replies/one_552_for_all.dlg)"

# The samples of README.md: the suites of make test, and what make demo prints between the log lines.
verdict "README.md has the suites of make test, in their order" "$(
  grep -hvE '^(#|jobs:|$)' tests/check.suites tests/e2e.suites tests/patches.suites | sed 's/:.*//' >"$scratch/suites"
  sed -n '/^    \$ make test$/,/^$/s/^    \(.*[^ 0-9]\) *[0-9]* passed  *[0-9]* failed  *[0-9.]* s\( [0-9]* skipped\)*$/\1/p' README.md |
    diff "$scratch/suites" -)"
sed -n '/^    \$ make demo$/,/^`/s/^    \([^ $]\)/\1/p' README.md |
  sed 's/^[0-9]\. //; s/ \.\.\..*//; s/, in [0-9.]* s\. \| hands its mail to /\n/; s/\.$//; s/: client = .*//' >"$scratch/sentences"
verdict "README.md shows the sentences of make demo" "$(
  [ "$(grep -c . "$scratch/sentences")" -eq 11 ] || cat "$scratch/sentences"
  while read -r sentence; do
    grep -qF -e "$sentence" tests/e2e/demo || echo "$sentence"
  done <"$scratch/sentences")"

# A trap has an entry in TRAPS.md, which lists the tests that hold it; a test names the trap.
trap_names() { # of marks such as "trap: a" or "traps: a, b", each with its file
  grep -rnoE '\btraps?: [a-z0-9]+(-[a-z0-9]+)+(, [a-z0-9]+(-[a-z0-9]+)+)*' tests --include=*.dlg --include=*.cpp \
    --include=*.py | sed 's/:[0-9]*:traps\{0,1\}: /:/' |
    awk -F: '{n = split($2, names, ", "); for (i = 1; i <= n; i++) print names[i], $1}' | sort -u
}
trap_names >"$scratch/marks"
awk '/^### / {name = $2} /^Tests: / {lists = 1; printf "%s", name} lists {printf " %s", $0}
  /^$/ && lists {lists = 0; print ""} END {print ""}' docs/TRAPS.md | while read -r name list; do
  echo "$list" | grep -oE '`tests/[^`]*`( \(`[A-Za-z0-9_]*`(, `[A-Za-z0-9_]*`)*\))?' | tr -d '`(),' | sed "s/^/$name /"
done >"$scratch/listed"
cut -d' ' -f1,2 "$scratch/listed" | sort -u >"$scratch/held"
verdict "TRAPS.md has traps, each with tests" "$(
  [ "$(grep -c '^### ' docs/TRAPS.md)" -ge 70 ] || echo "too few"
  sed -n 's/^### //p' docs/TRAPS.md | while read -r name; do grep -q "^$name " "$scratch/held" || echo "$name"; done
  sed -n 's/^### //p' docs/TRAPS.md | sort | uniq -d)"
verdict "every trap that a test names has an entry in TRAPS.md that lists the test" \
  "$(comm -23 "$scratch/marks" "$scratch/held")"
verdict "every test that TRAPS.md lists names the trap" "$(
  comm -13 "$scratch/marks" "$scratch/held" | grep -E '\.(dlg|cpp)$')"
verdict "every test function that TRAPS.md lists exists" "$(while read -r name path functions; do
  for function in $functions; do grep -q "$function" "$path" || echo "$path has no $function"; done
done <"$scratch/listed")"
verdict "a test names a trap by its name, not by a number" "$(
  grep -rnE '\bT[0-9]{2}\b' tests common mailer milter --include=*.dlg --include=*.cpp --include=*.h)"

# The words of tests/plain-words: in the pages for developers, in the texts, comments and test names of the
# sources, and in what the programs print for --help.
verdict "the pages are in plain English" "$(
  tests/check-words README.md SECURITY.md docs/CHANGES.md docs/FLOW.md docs/ARCHITECTURE.md docs/DECISIONS.md \
    docs/TRAPS.md docs/HACKING.md docs/INSTALL.md docs/METRICS.md docs/TAG.md docs/ROUTING.md docs/RELIABILITY.md)"
find common mailer milter cf dist patches tests Makefile folders.txt -type f ! -path '*/corpus/*' ! -name '*.patch' \
  ! -name '*.pyc' ! -path cf/README.md ! -path patches/README.md ! -path tests/plain-words | sort >"$scratch/sources"
verdict "the sources are in plain English" "$(
  for kind in h cpp c py dlg sh lua suites m4 mc conf service md; do
    grep -q "\.$kind\$" "$scratch/sources" || echo "no .$kind file found"
  done
  grep -q '^tests/e2e/demo$' "$scratch/sources" || echo "no demo found"
  xargs tests/check-words <"$scratch/sources")"
for command in "" relay deliver serve probe check keygen; do
  "$lmtpq" $command --help=all
done >"$scratch/all-help"
"$milter" --help=all >>"$scratch/all-help"
verdict "the output of --help is in plain English" "$(
  [ "$(grep -c '^usage: ' "$scratch/all-help")" -eq 8 ] || echo "a program printed no usage"
  tests/check-words "$scratch/all-help")"
archaic=$(sed -n 's/^\([a-z]*\) -> .*/\1/p' tests/plain-words | head -1)
planted() { # file, text: it is refused once, by the name of the file and the line
  printf '%b\n' "$2" >"$scratch/$1"
  [ "$(tests/check-words "$scratch/$1" | grep -c "/$1:[0-9]*: [a-z ]*: say ")" -eq 1 ] ||
    echo "$1: $2: $(tests/check-words "$scratch/$1")"
}
verdict "a word that is not plain is refused in every kind of text" "$(
  planted page.md "We begin $archaic."
  planted page.md "We begin so\nlong."
  planted text.cpp "log(\"begin $archaic\");"
  planted text.cpp "log(\"this so \" \"long\");"
  planted text.h "// begin $archaic"
  planted text.h "// this is so\n// long"
  planted text.py "# this is so\n# long"
  planted raw.cpp "log(R\"(begin $archaic)\");"
  planted name.cpp "CPPUNIT_TEST(begins$(echo "$archaic" | sed 's/^./\U&/'));"
  planted text.py "log('begin $archaic')"
  planted text.py "x = 1  # begin $archaic"
  planted text.py "\"\"\"Begin $archaic.\"\"\""
  planted text.py "log(f'begin {x} $archaic')"
  planted name.py "def test_begins_$archaic(daemon):"
  planted name.py "class TestBegins$(echo "$archaic" | sed 's/^./\U&/'):"
  planted test_begins_$archaic.py ""
  planted begins_$archaic.dlg ""
  planted comment.dlg "# We begin $archaic"
  planted check.suites "begins $archaic: true"
  planted demo "#!/usr/bin/env python3\nprint('begin $archaic')"
  planted help "  --again   begin $archaic")"
spared() { # file, text: nothing is refused
  printf '%b\n' "$2" >"$scratch/$1"
  tests/check-words "$scratch/$1"
}
verdict "code and the traffic of dialogues are no texts" "$(
  spared page.md "We call \`$archaic()\`.\n\n    $archaic"
  spared code.cpp "#include \"$archaic.h\"\nint $archaic = '$archaic'[0];"
  spared code.py "$archaic = 1"
  spared traffic.dlg "mta>> $archaic")"

close_suite

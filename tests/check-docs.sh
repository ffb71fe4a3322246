#!/bin/sh
# Documents against the program: every option of --help stands in the man page and the other way
# round, the man page has no lint, and every function that ARCHITECTURE.md names exists.
# usage: check-docs.sh LMTPQ LMTPQ_MILTER
set -u
cd "$(dirname "$0")/.." || exit 1
lmtpq=$1
milter=$2
page=docs/man/lmtpq.8
. tests/verdict.sh

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
options_of() { # text of --help
  grep -oE '^ +(-[A-Za-z], )?--[a-z0-9-]+' | grep -oE -e '--[a-z0-9-]+' | sort -u
}
check_page() { # page; the program's options stand in $scratch/help
  sed -n 's/^\.It.* Fl -\([a-z0-9-]*\).*/--\1/p' "$1" | sort -u >"$scratch/page"
  verdict "$1: --help names options" "$([ -s "$scratch/help" ] || echo "none found")"
  verdict "$1 has every option of --help" "$(comm -23 "$scratch/help" "$scratch/page")"
  verdict "$1 has no other option" "$(comm -13 "$scratch/help" "$scratch/page")"
  verdict "$1 has no lint" "$(mandoc -T lint -W warning "$1" 2>&1)"
}
for command in relay deliver probe; do
  "$lmtpq" $command --help
done | options_of >"$scratch/help"
check_page docs/man/lmtpq.8
"$milter" --help | options_of >"$scratch/help"
check_page docs/man/lmtpq-milter.8

for command in relay deliver probe; do
  "$lmtpq" $command --help | tr '\n' ' ' | tr -s ' ' >"$scratch/$command"
done
verdict "the man page's times are the program's" "$(
  sed -n '/^\.Ss Time/,/^\.Ss The process/p' $page | tr '\n' ' ' |
    grep -oE 'Fl -[a-z-]+-timeout Ar TIME [^.]*\(([0-9]+[smh])' |
    sed 's/Fl \(-[a-z-]*\) .*(\([0-9]*[smh]\)$/-\1 \2/' | while read -r option time; do
      grep -qE -e "$option TIME [^(]*(\([^)]*\)[^(]*)?\(default: $time\)" "$scratch/relay" ||
        echo "$option is not $time"
    done)"

grep -oE '`[A-Za-z_]+(::[A-Za-z_]+)?\(\)`' docs/ARCHITECTURE.md | tr -d '`()' | sort -u >"$scratch/names"
verdict "ARCHITECTURE.md names functions" "$([ -s "$scratch/names" ] || echo "none found")"
verdict "every function of ARCHITECTURE.md exists" "$(while read -r name; do
  grep -rqE "(^|[^A-Za-z_])$name\(" common mailer milter --include=*.cpp ||
    grep -rqE "(^|[^A-Za-z_])${name#*::}\(" common mailer milter --include=*.h && 
    { [ "${name#*::}" = "$name" ] || grep -rq "class ${name%%::*}\|struct ${name%%::*}" common mailer milter; } ||
    echo "$name"
done <"$scratch/names")"
grep -oE '`(common|mailer|milter|tests|cf|docs)/[A-Za-z0-9_./-]+`' docs/*.md README.md | sed 's/.*`\(.*\)`/\1/' |
  sort -u >"$scratch/paths"
verdict "every path in the documents exists" "$(while read -r path; do
  [ -e "$path" ] || [ -e "$path.h" ] || [ -e "$path.cpp" ] || echo "$path"
done <"$scratch/paths")"

close_suite

#!/bin/sh
# Documents against the program: every option of --help stands in the man page and the other way
# round, the man page has no lint, and every function that ARCHITECTURE.md names exists.
# usage: check-docs.sh LMTPQ
set -u
cd "$(dirname "$0")/.." || exit 1
lmtpq=$1
page=docs/man/lmtpq.8
. tests/verdict.sh

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
for command in relay deliver probe; do
  "$lmtpq" $command --help
done | grep -oE '^ +(-[A-Za-z], )?--[a-z0-9-]+' | grep -oE -e '--[a-z0-9-]+' | sort -u >"$scratch/help"
sed -n 's/^\.It.* Fl -\([a-z0-9-]*\).*/--\1/p' $page | sort -u >"$scratch/page"
[ -s "$scratch/help" ]
verdict "--help names options" "$([ -s "$scratch/help" ] || echo "none found")"
verdict "every option of --help is in the man page" "$(comm -23 "$scratch/help" "$scratch/page")"
verdict "every option of the man page is in --help" "$(comm -13 "$scratch/help" "$scratch/page")"
verdict "the man page has no lint" "$(mandoc -T lint -W warning $page 2>&1)"

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
  grep -rqE "(^|[^A-Za-z_])$name\(" common mailer --include=*.cpp ||
    grep -rqE "(^|[^A-Za-z_])${name#*::}\(" common mailer --include=*.h && 
    { [ "${name#*::}" = "$name" ] || grep -rq "class ${name%%::*}\|struct ${name%%::*}" common mailer; } ||
    echo "$name"
done <"$scratch/names")"
grep -oE '`(common|mailer|tests|cf|docs)/[A-Za-z0-9_./-]+`' docs/*.md README.md | sed 's/.*`\(.*\)`/\1/' |
  sort -u >"$scratch/paths"
verdict "every path in the documents exists" "$(while read -r path; do
  [ -e "$path" ] || [ -e "$path.h" ] || [ -e "$path.cpp" ] || echo "$path"
done <"$scratch/paths")"

close_suite

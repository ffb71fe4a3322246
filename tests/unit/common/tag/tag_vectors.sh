#!/bin/sh
# The commands of docs/TAG.md print what is below them there. Needs openssl(1), nothing of ours.
# usage: tag_vectors.sh
set -u
cd "$(dirname "$0")/../../../.." || exit 1
page=docs/TAG.md
. tests/verdict.sh

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
fenced() { sed -n "/^\`\`\`$1\$/,/^\`\`\`\$/{/^\`\`\`/!p;}" $page; }

fenced sh >"$scratch/commands"
fenced text >"$scratch/expected"
verdict "the page has commands and their output" \
  "$([ "$(grep -c '^tag ' "$scratch/commands")" -ge 3 ] &&
    [ "$(grep -c '^v=1; ' "$scratch/expected")" -ge 3 ] || echo "fewer than three tags")"
sh -u "$scratch/commands" >"$scratch/printed" 2>&1
verdict "the commands print it" "$(diff "$scratch/expected" "$scratch/printed")"

# The key lines carry the bytes that the commands name in hexadecimal.
verdict "the key lines are the keys of the commands" "$(
  sed -n 's/^hexkey=//p' "$scratch/commands" | tr a-f A-F | while read -r hex; do
    coded=$(printf %s "$hex" | basenc --base16 -d | base64 -w 0)
    grep -q "^    [0-9a-z]* $coded\$" $page || echo "$coded"
  done)"

close_suite

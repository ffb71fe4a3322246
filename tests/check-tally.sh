#!/bin/sh
# tests/tally: its sum, its exit status, what it runs at the same time, and closing lines that it refuses.
# usage: check-tally.sh
set -u
cd "$(dirname "$0")/.." || exit 1
. tests/verdict.sh
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

list() { # name; the list is standard input, with FOLDER for the scratch folder
  sed "s|FOLDER|$scratch|g" >"$scratch/$1"
}
tally() { # arguments; its last line and exit status
  said=$(cd "$scratch" && "$OLDPWD/tests/tally" "$@")
  status=$?
  echo "$(echo "$said" | tail -n 1), exit status $status"
}
expect() { # title, expected, arguments
  title=$1 expected=$2
  shift 2
  found=$(tally "$@")
  verdict "$title" "$([ "$found" = "$expected" ] || echo "$found")"
}

list good <<'END'
# a comment
one: echo 3 passed, 0 failed
two: echo 4 passed, 0 failed, 1 skipped
END
list bad <<'END'
three: echo 1 passed, 2 failed; exit 1
END
expect "it adds up" "7 passed, 0 failed, 1 skipped, exit status 0" "$scratch/good"
expect "a failure is one of the sum" "8 passed, 2 failed, 1 skipped, exit status 1" "$scratch/good" "$scratch/bad"
expect "no case at all is no success" "0 passed, 0 failed, exit status 1" /dev/null

list named <<'END'
named: echo ${NUMBER} passed, 0 failed
END
expect "a name has its value" "5 passed, 0 failed, exit status 0" "$scratch/named" NUMBER=5

while IFS='|' read -r title passes command; do
  echo "dishonest: $command" | list dishonest
  expect "$title is a failure" "$passes passed, 1 failed, exit status 1" "$scratch/dishonest"
done <<'END'
no closing line|0|echo done
a closing line that is not the last|0|echo 1 passed, 0 failed; echo more
a suite without a case|0|echo 0 passed, 0 failed
success with exit status 1|1|echo 1 passed, 0 failed; exit 1
END

# Each waits for the other, a minute at most.
meet() { # own name, the other's
  echo "$1: touch FOLDER/$1; for i in \$(seq 600); do [ ! -e FOLDER/$2 ] || break; sleep 0.1; done;" \
    "[ -e FOLDER/$2 ] && echo 1 passed, 0 failed"
}
meet first second | list lane1
meet second first | list lane2
{ echo "jobs: 2" && meet first second && meet second first; } | list jobs
expect "lists after beside run at the same time" "2 passed, 0 failed, exit status 0" "$scratch/lane1" beside "$scratch/lane2"
rm -f "$scratch/first" "$scratch/second"
expect "suites after jobs: 2 run side by side" "2 passed, 0 failed, exit status 0" "$scratch/jobs"
close_suite

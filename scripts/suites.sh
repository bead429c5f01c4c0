# shellcheck shell=bash
# How scripts/test runs each suite. A suite is a function suite_<name>: it builds and starts what its
# tests need and has prove run them. Source it after lib.sh. What came of a suite goes to WORK/results, as
# scripts/test wants it.

# Sets PACKAGES to the Debian packages that the suites need.
packages_of() {
  local suite
  PACKAGES=(g++ make perl "postgresql-$PG_MAJOR" "postgresql-server-dev-$PG_MAJOR")
  for suite in "$@"; do
    case $suite in
      lint) PACKAGES+=(binutils clang-format-14 shellcheck) ;;
      unit) PACKAGES+=(cmake libgtest-dev) ;;
      fuzz) PACKAGES+=(clang-14 cmake libclang-rt-14-dev) ;;
      pgtap) PACKAGES+=("postgresql-$PG_MAJOR-pgtap") ;;
      t) PACKAGES+=(libfaketime libipc-run-perl libpq-dev pgbouncer "postgresql-$PG_MAJOR-cron" python3-hypothesis
           python3-psycopg) ;;
      stress) PACKAGES+=(libpq-dev) ;;
      crash) PACKAGES+=(libipc-run-perl libpq-dev mount) ;;
    esac
  done
}

# A suite counts in PASSED, FAILED and SKIPPED. One that neither ran a test nor said what it skips has failed.
run_suite() {
  local start=$SECONDS
  SUITE=$1 PASSED=0 FAILED=0 SKIPPED=0
  printf '\n== %s\n' "$SUITE"
  "suite_$SUITE" || fail "the suite could not be run to its end"
  if [ $((PASSED + FAILED + SKIPPED)) = 0 ]; then fail "the suite found no test to run"; fi
  echo "$SUITE $PASSED $FAILED $((SECONDS - start))" >>"$WORK/results"
}

fail() {
  echo "not ok - $SUITE: $1"
  note_failure "$1"
  FAILED=$((FAILED + 1))
}

note_failure() { echo "failed: $SUITE: $1" >>"$WORK/results"; }

# skip text: the text, in one line, says what is skipped and why.
skip() {
  echo "skipped: $1"
  echo "skipped: $1" >>"$WORK/results"
  SKIPPED=$((SKIPPED + 1))
}

# The library is built once and the server started once, when they are first needed; if that
# fails, it has failed for everybody.

BUILD=
SERVER=

build_once() {
  if [ -z "$BUILD" ]; then
    BUILD=built
    install_privately || BUILD=failed
    # A build that ignores the flags would find nothing, forever.
    if [ "$BUILD${KANTHORQ_SANITIZE:-}" = builtyes ]; then
      is_sanitized "$WORK/src/kanthorq.so" || BUILD=failed
    fi
  fi
  [ "$BUILD" = built ] && return
  echo "the build failed"
  return 1
}

is_sanitized() {
  nm --dynamic "$1" >"$WORK/symbols" && grep -q __asan_report "$WORK/symbols" &&
    grep -q __ubsan_handle_add_overflow "$WORK/symbols" && return
  echo "the library is built without the sanitizers"
  return 1
}

# Returns when the server takes connections, also if a test has just made it restart.
server_once() {
  build_once || return
  if [ -z "$SERVER" ]; then
    SERVER=started
    # Preloaded, so that commits wake those that wait; tests/t has servers without.
    start_server "cluster_name = kanthorq_test" "shared_preload_libraries = 'kanthorq'" \
      "kanthorq.default_partition_interval = '${KANTHORQ_PARTITIONED:+1 day}'" || SERVER=failed
  fi
  if [ "$SERVER" = started ]; then
    for _ in {1..120}; do
      if as_user pg_isready -q; then return; fi
      sleep 0.5
    done
  fi
  echo "there is no server to test with"
  return 1
}

RUN=()   # what run_tests runs prove with, if not as_user from the sources

# run_tests argument...: has prove run tests with these arguments, from the sources, and counts them. Root has
# all that a test could miss, so that skipped tests have failed then.
run_tests() {
  local tally=$WORK/log/tally status=0 passed=0 failed=0 kind text log run=("${RUN[@]}")
  if [ ${#run[@]} = 0 ]; then run=(as_user env -C "$WORK/src"); fi
  rm -f "$tally"
  "${run[@]}" perl "$WORK/src/scripts/prove.pl" "$tally" --failures "$@" </dev/null 2>&1 || status=$?
  if [ -e "$tally" ]; then read -r passed failed <"$tally"; fi
  PASSED=$((PASSED + passed))
  FAILED=$((FAILED + failed))
  while read -r kind text; do
    text=${text//"$WORK/"/}
    case $kind in
      skipped:) if [ "$(id -u)" = 0 ]; then fail "$text, which root need not skip"; else skip "$text"; fi ;;
      failed:)
        note_failure "$text"
        text=${text%%.pl: *}
        log=$WORK/$SUITE/tmp_check/log/regress_log_${text##*/}
        if [ -e "$log" ]; then tail -n 50 "$log"; fi
        ;;
    esac
  done <<<"$([ ! -e "$tally" ] || cat "$tally")"
  if [ $status != 0 ] && [ "$failed" = 0 ]; then fail "prove ended with status $status"; fi
}

# The suites

suite_lint() {
  local lint lints=()
  for lint in "$WORK"/src/tests/lint/*; do
    if [[ $lint != *.pm ]]; then lints+=("${lint#"$WORK/src/"}"); fi
  done
  run_tests --verbose --exec '' "${lints[@]}"  # some say how much they looked at
}

suite_unit() {
  quietly configure cmake -S "$WORK/src" -B "$WORK/unit" -DKANTHORQ_SANITIZE=ON &&
    quietly compile cmake --build "$WORK/unit" --parallel "$(nproc)" || return
  run_tests --comments --exec '' "$WORK/unit/core_tests"
}

suite_fuzz() {
  quietly configure-fuzz cmake -S "$WORK/src" -B "$WORK/fuzz" -DKANTHORQ_FUZZ=ON \
    -DCMAKE_CXX_COMPILER=clang++-14 &&
    quietly compile-fuzz cmake --build "$WORK/fuzz" --parallel "$(nproc)" || return
  local RUN=(as_user env -C "$WORK/src" "KANTHORQ_FUZZ_SECONDS=${KANTHORQ_FUZZ_SECONDS:-10}")
  run_tests --comments --jobs "$(nproc)" --exec tests/fuzz/run "$WORK"/fuzz/*_fuzz
}

suite_regress() { installcheck regress; }

suite_isolation() { installcheck isolation; }

installcheck() {
  server_once || return
  run_tests --comments \
    --exec "tests/installcheck ${KANTHORQ_PARTITIONED:+--partitioned} PG_CONFIG=/usr/lib/postgresql/$PG_MAJOR/bin/pg_config" "$1"
}

suite_pgtap() {
  server_once || return
  quietly template psql -X -q -v ON_ERROR_STOP=1 -d postgres \
    -c "CREATE DATABASE kanthorq_template" -c "\connect kanthorq_template" \
    -c "CREATE EXTENSION kanthorq" -c "CREATE SCHEMA tap" -c "CREATE EXTENSION pgtap SCHEMA tap" \
    || return
  local files=("$WORK"/src/tests/pgtap/*.sql)
  run_tests --comments --exec tests/pgtap/run "${files[@]#"$WORK/src/"}"
}

suite_t() {
  build_once || return
  local name settings=()
  for name in KANTHORQ_{INTERRUPTS,INTERRUPTS_SEED,LARGE,MODEL_STEPS,MODEL_SEED,YEAR_EVENTS}; do
    if [ -n "${!name:-}" ]; then settings+=("$name=${!name}"); fi
  done
  prove_suite t "$WORK/src" "${settings[@]}"
}

# prove_suite suite sources [VARIABLE=value...]: the files of tests/<suite>/ there.
prove_suite() {
  local files=("$2/tests/$1"/*.pl) RUN=(as_tester "$2" "$1" "${@:3}")
  run_tests "${files[@]#"$2/"}"
}

# build_with_points directory: a copy of the sources there, built with MAKE_FLAGS, and installed beside it.
build_with_points() {
  as_user cp -a "$WORK/src" "$1" || return
  # Without the library make would not miss the objects.
  as_user find "$1" \( -name '*.o' -o -name '*.so' \) -delete || return
  install_copy "$PG_MAJOR" "$1" "$WORK/points-root" || return
  quietly stress-build make --no-print-directory -C "$1/tests/stress" "-j$(nproc)" \
    "PG_CONFIG=/usr/lib/postgresql/$PG_MAJOR/bin/pg_config"
}

# Its library has points at which it is killed. Root gives the tests a small file system, in a name
# space of mounts that ends with them.
suite_crash() {
  local points=$WORK/points small=$WORK/small bin=$PG_BIN RUN_AS=("${RUN_AS[@]}")
  # shellcheck disable=SC2034 # lib.sh reads it
  local MAKE_FLAGS=(KANTHORQ_TEST_POINTS=1)
  build_with_points "$points" || {
    echo "the build failed"
    return 1
  }
  as_user mkdir "$small"
  if [ "$(id -u)" = 0 ]; then
    # shellcheck disable=SC2016 # sh expands them
    RUN_AS=(unshare --mount sh -c 'mount -t tmpfs -o size=32m,mode=777 kanthorq "$0" && exec "$@"'
      "$small" "${RUN_AS[@]}")
  fi
  PG_BIN=$WORK/points-root/usr/lib/postgresql/$PG_MAJOR/bin
  prove_suite crash "$points" "KANTHORQ_SMALL_DISK=$small" \
    "KANTHORQ_CRASH_STOPS=${KANTHORQ_CRASH_STOPS:-16}" "KANTHORQ_CRASH_SEED=${KANTHORQ_CRASH_SEED:-$RANDOM}"
  PG_BIN=${bin:-$PG_BIN}  # whoever stops servers needs one
}

suite_stress() {
  server_once || return
  quietly stress-build make --no-print-directory -C "$WORK/src/tests/stress" "-j$(nproc)" \
    "PG_CONFIG=/usr/lib/postgresql/$PG_MAJOR/bin/pg_config" || return
  as_user createdb stress && as_user psql -Xqd stress -c "CREATE EXTENSION kanthorq" || return
  run_tests --comments --exec '' tests/stress/stress :: --seconds "${KANTHORQ_STRESS_SECONDS:-60}" \
    --seed "${KANTHORQ_STRESS_SEED:-$RANDOM}" --conninfo "host=$WORK/socket dbname=stress user=postgres"
}

# Sets LOGS to the logs of the servers and sanitizers.
find_logs() {
  mapfile -t LOGS <<<"$(find "$WORK"/log "$WORK"/{t,crash}/tmp_check/log -maxdepth 1 \
    \( -name 'sanitizer.*' -o -name '*server*.log' -o -path '*/tmp_check/*.log' \) 2>/dev/null | sort)"
  if [ -z "${LOGS[0]}" ]; then LOGS=(); fi
}

suite_logs() { run_tests --comments --exec '' tests/logs :: "${LOGS[@]}"; }

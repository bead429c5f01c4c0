# shellcheck shell=bash
# The suite upgrade of scripts/test: pg_upgrade from each older version of PostgreSQL that is
# installed here with its headers. tests/upgrade/ says what there is before and what must be so
# behind it.

suite_upgrade() {
  local old wanted=" ${KANTHORQ_UPGRADE_FROM:-} "
  build_once || return
  for ((old = 15; old < PG_MAJOR; old++)); do
    if [ -x "/usr/lib/postgresql/$old/bin/initdb" ] &&
      [ -e "/usr/include/postgresql/$old/server/postgres.h" ]; then
      upgrade_from "$old" || fail "the upgrade from $old could not be run to its end"
    elif [[ $wanted == *" $old "* ]]; then
      fail "there is no PostgreSQL $old to upgrade from"
    fi
  done
}

upgrade_from() {
  local old=$1 dir=$WORK/upgrade-$1 bin=$WORK/root-$1/usr/lib/postgresql/$1/bin
  as_user cp -a "$WORK/src" "$WORK/src-$old" &&
    quietly clean make -C "$WORK/src-$old" "PG_CONFIG=/usr/lib/postgresql/$old/bin/pg_config" clean &&
    install_copy "$old" "$WORK/src-$old" "$WORK/root-$old" && as_user mkdir "$dir" || return
  upgrade_cluster "$bin" "$dir/old" && upgrade_server "$bin" "$dir/old" start "$old" &&
    upgrade_tests before.sql "$old" && upgrade_server "$bin" "$dir/old" stop "$old" || return

  upgrade_cluster "$PG_BIN" "$dir/new" &&
    quietly pg_upgrade env -C "$dir" pg_upgrade -U postgres -b "$bin" -B "$PG_BIN" -d "$dir/old" \
      -D "$dir/new" --socketdir "$WORK/socket" || return
  upgrade_server "$PG_BIN" "$dir/new" start "$old" && upgrade_tests after.sql "$old" &&
    upgrade_server "$PG_BIN" "$dir/new" stop "$old"
}

# upgrade_cluster programs directory. Checksums, because 18 has them by default and pg_upgrade wants
# the same on both sides.
upgrade_cluster() {
  quietly initdb "$1/initdb" -D "$2" -U postgres -A trust -E UTF8 --locale=C.UTF-8 --no-sync -k &&
    as_user tee -a "$2/postgresql.conf" >/dev/null <<CONF
listen_addresses = ''
unix_socket_directories = '$WORK/socket'
fsync = off
max_prepared_transactions = 10
shared_preload_libraries = 'kanthorq'
CONF
}

# upgrade_server programs directory start|stop old
upgrade_server() {
  quietly "$3" "$1/pg_ctl" -D "$2" -l "$WORK/log/upgrade-server-$4.log" \
    -o "-p 50432" -w "$3"
}

# upgrade_tests file old: the file's lines are results, as many as it says at its head.
upgrade_tests() {
  local log=$WORK/log/upgrade.log status=0
  as_user psql -X -q -A -t -v ON_ERROR_STOP=1 -h "$WORK/socket" -p 50432 -U postgres -d postgres \
    -f "$WORK/src/tests/upgrade/$1" >"$log" 2>&1 </dev/null || status=$?
  sed "s/^\(not \)\{0,1\}ok - /&$2 to $PG_MAJOR: /" "$log"
  count "$(grep -c '^ok - ' "$log" || true)" "$(grep -c '^not ok - ' "$log" || true)" $status "$1"
  if [ "$(grep -cE '^(not )?ok - ' "$log")" != "$(sed -n 's/^-- tests: //p' "$WORK/src/tests/upgrade/$1")" ]; then
    fail "$1 has other results than it announces"
  fi
  [ $status = 0 ]
}
